//! Writing to a terminal: styles that vanish where nobody sees them, and the two streams.

use crate::cli::closed;
use std::fmt::Display;
use std::io::IsTerminal;
use std::io::Write;

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// All is well.
    Good,
    /// Something failed.
    Bad,
    /// Something to know.
    Warn,
    /// What the eye should find first.
    Strong,
    /// What it may pass over.
    Dim,
}

/// Where text goes, and whether styles show there.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    colours: bool,
}

impl Paint {
    /// For standard output.
    pub fn stdout() -> Self {
        Paint::on(std::io::stdout().is_terminal())
    }

    /// For standard error.
    pub fn stderr() -> Self {
        Paint::on(std::io::stderr().is_terminal())
    }

    /// Colours only on a terminal that can show them and whose user wants them
    /// (<https://no-color.org>).
    fn on(terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Paint {
            colours: terminal && !refused && !dumb,
        }
    }

    /// Never colours.
    #[cfg(test)]
    pub fn plain() -> Self {
        Paint { colours: false }
    }

    /// The text in a style.
    pub fn style(self, style: Style, text: impl Display) -> String {
        if !self.colours {
            return text.to_string();
        }
        let code = match style {
            Style::Good => "32",
            Style::Bad => "31",
            Style::Warn => "33",
            Style::Strong => "1",
            Style::Dim => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Writes text to standard output. A reader that went away (`| head`) is no error.
pub fn print(text: impl Display) -> std::io::Result<()> {
    if closed::stdout() {
        return Err(std::io::Error::other("standard output is closed"));
    }
    let mut out = std::io::stdout().lock();
    forgiving(write!(out, "{text}").and_then(|()| out.flush()))
}

/// Writes a line to standard output.
pub fn line(text: impl Display) -> std::io::Result<()> {
    print(format!("{text}\n"))
}

/// Writes a JSON document to standard output.
pub fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(line(serde_json::to_string_pretty(value)?)?)
}

/// Writes a line to standard error.
pub fn tell(text: impl Display) {
    // Nothing is left to do if even standard error is gone.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn forgiving(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(std::io::Error::new(
            error.kind(),
            format!("standard output cannot be written: {error}"),
        )),
        Ok(()) => Ok(()),
    }
}

/// `1.2 s`, `350 ms`, `3 min 5 s`.
pub fn duration(millis: u64) -> String {
    match millis {
        0..=999 => format!("{millis} ms"),
        1_000..=59_999 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        _ => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1000),
    }
}

/// `12 s`, `3 min`, `5 h`, `2 days`: how long something is gone, which nobody needs exactly.
pub fn age(age: std::time::Duration) -> String {
    match age.as_secs() {
        seconds @ 0..=59 => format!("{seconds} s"),
        seconds @ 60..=3_599 => format!("{} min", seconds / 60),
        seconds @ 3_600..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// `1.2 MiB`, `340 B`.
pub fn bytes(count: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// `1 test`, `2 tests`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The width of the terminal, or what most have.
pub fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    match size.map(|size| usize::from(size.ws_col)) {
        Ok(columns) if columns >= 20 => columns,
        _ => 80,
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_readable() {
        let shown: Vec<String> = [0, 1023, 1024, 1_572_864, u64::MAX].map(bytes).to_vec();
        assert_eq!(
            shown,
            ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "16777216.0 TiB"]
        );
    }
}
