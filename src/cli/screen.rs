//! A block of lines that is drawn again in place.

use rustix::termios::tcgetwinsize;
use std::io::IsTerminal;
use std::io::Write;

/// A block of lines on standard output.
#[derive(Debug)]
pub struct Screen {
    terminal: bool,
    /// Lines that stand there now.
    drawn: usize,
}

impl Screen {
    /// Nothing drawn yet.
    pub fn new() -> Self {
        Screen {
            terminal: std::io::stdout().is_terminal(),
            drawn: 0,
        }
    }

    /// Whether it can be drawn again in place.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Replaces what stands there. Lines are cut at the edge, so that each is one row.
    pub fn draw(&mut self, lines: &[String]) -> std::io::Result<()> {
        let (columns, rows) = match tcgetwinsize(std::io::stdout()) {
            Ok(size) if size.ws_col >= 20 && size.ws_row >= 5 => {
                (usize::from(size.ws_col), usize::from(size.ws_row))
            }
            _ => (80, 24),
        };
        let mut text = self.back();
        let shown = lines.len().min(rows.saturating_sub(2));
        for line in &lines[..shown] {
            text.push_str(&cut(line, columns));
            text.push_str("\x1b[0m\r\n");
        }
        if shown < lines.len() {
            text.push_str(&format!("… {} more lines\r\n", lines.len() - shown));
        }
        self.drawn = shown + usize::from(shown < lines.len());
        write(&text)
    }

    /// Leaves what stands there for good.
    pub fn leave(&mut self) -> std::io::Result<()> {
        self.drawn = 0;
        match self.terminal {
            true => write("\x1b[0m"),
            false => Ok(()),
        }
    }

    /// To the first line of what stands there, and away with it.
    fn back(&self) -> String {
        match self.drawn {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r\x1b[J"),
        }
    }
}

fn write(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The line up to `columns` characters, its styles not counted. Wide characters count as one;
/// a row too many is drawn over at the next look.
fn cut(line: &str, columns: usize) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut width = 0;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c == '\x1b' {
            shown.push(c);
            for c in rest.by_ref() {
                shown.push(c);
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
            continue;
        }
        let columns_of = if c == '\t' { 8 - width % 8 } else { 1 };
        if width + columns_of > columns {
            break;
        }
        width += columns_of;
        shown.push(c);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_but_not_its_styles() {
        assert_eq!(cut("\x1b[31mabcdef\x1b[0m", 3), "\x1b[31mabc");
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("\tx", 8), "\t");
    }
}
