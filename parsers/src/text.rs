//! Makes other programs' text safe and small enough to be shown.

use std::borrow::Cow;

/// The most that is kept of a message, in bytes.
pub(crate) const MESSAGE: usize = 600;
/// The most that is kept of one side of a comparison, in bytes.
pub(crate) const SIDE: usize = 8 * 1024;
/// The most that is kept of details and captured output, in bytes.
pub(crate) const DETAILS: usize = 24 * 1024;

/// Takes out control sequences, control characters and characters that reorder text; line
/// ends and tabs stay. Carriage returns become line ends.
pub fn clean(text: &str) -> String {
    if text
        .bytes()
        .all(|byte| byte == b'\n' || byte == b'\t' || (0x20..0x7f).contains(&byte))
    {
        return text.to_owned();
    }
    // The stripper takes tabs for control characters, so it never sees one.
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    let pieces: Vec<String> = lines
        .split('\t')
        .map(strip_ansi_escapes::strip_str)
        .collect();
    pieces
        .join("\t")
        .chars()
        .filter(|c| *c == '\n' || *c == '\t' || !(c.is_control() || reorders(*c)))
        .collect()
}

/// The bytes of one line as they are shown: what [`clean`] does, without a copy where nothing
/// is to be done.
pub(crate) fn shown(line: &[u8]) -> Cow<'_, str> {
    if line
        .iter()
        .all(|byte| *byte == b'\t' || (0x20..0x7f).contains(byte))
        && let Ok(text) = std::str::from_utf8(line)
    {
        return Cow::Borrowed(text);
    }
    let text = String::from_utf8_lossy(line);
    // A progress bar overwrites its own line.
    let last = text.rsplit('\r').find(|part| !part.is_empty());
    Cow::Owned(clean(last.unwrap_or("")))
}

/// Characters that change the order in which a terminal shows other characters.
fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// The text itself if it has at most `most` bytes, else its head and its tail.
pub(crate) fn cap(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let head = floor(text, most * 2 / 3);
    let tail = ceil(text, text.len() - most / 3);
    format!(
        "{}\n[... {} bytes left out ...]\n{}",
        &text[..head],
        tail - head,
        &text[tail..]
    )
}

/// Cleaned and capped, without blank lines around it; nothing if nothing is left.
pub(crate) fn block(text: &str, most: usize) -> Option<String> {
    let cleaned = clean(text);
    let body = cleaned.trim_end().trim_start_matches(['\n', '\r']);
    (!body.trim().is_empty()).then(|| cap(body, most))
}

/// The first line that says something, cleaned and cut.
pub(crate) fn one_line(text: &str) -> String {
    let cleaned = clean(text);
    let line = cleaned.lines().map(str::trim).find(|line| !line.is_empty());
    cut(line.unwrap_or(""), MESSAGE)
}

/// The text's beginning, with a sign that it was cut.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{} ...", &text[..floor(text, most)])
}

/// The last bytes of a log that is not kept.
#[derive(Debug)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    most: usize,
}

impl Default for Tail {
    fn default() -> Self {
        Tail::of(16 * 1024)
    }
}

impl Tail {
    /// Keeps the last `most` bytes.
    pub fn of(most: usize) -> Self {
        Tail {
            bytes: Vec::new(),
            most,
        }
    }

    /// Remembers the end of what was seen.
    pub fn feed(&mut self, bytes: &[u8]) {
        let from = bytes.len().saturating_sub(self.most);
        self.bytes.extend_from_slice(&bytes[from..]);
        if self.bytes.len() > 2 * self.most {
            self.bytes.drain(..self.bytes.len() - self.most);
        }
    }

    /// The last lines, cleaned.
    pub fn lines(&self, most: usize) -> Vec<String> {
        let from = self.bytes.len().saturating_sub(self.most);
        let text = clean(&String::from_utf8_lossy(&self.bytes[from..]));
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| cut(line.trim_end(), 2000))
            .collect();
        while lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
        lines.split_off(lines.len().saturating_sub(most))
    }
}

/// The largest character border at or below `at`.
pub(crate) fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|i| text.is_char_boundary(*i))
        .unwrap_or(0)
}

fn ceil(text: &str, at: usize) -> usize {
    (at..=text.len())
        .find(|i| text.is_char_boundary(*i))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_are_taken_out() {
        assert_eq!(
            clean("\x1b[31mred\x1b[0m\x07 \u{202e}x\ty\r\nz\x1b]0;title\x07"),
            "red x\ty\nz"
        );
        assert_eq!(clean("plain\n"), "plain\n");
        assert_eq!(clean("50%\rdone"), "50%\ndone");
    }

    #[test]
    fn long_text_keeps_head_and_tail() {
        let text = format!("HEAD{}TAIL", "ä".repeat(5000));
        let capped = cap(&text, 300);
        assert!(capped.starts_with("HEAD") && capped.ends_with("TAIL"));
        assert!(capped.len() < 400);
        assert!(capped.contains("bytes left out"));
    }

    #[test]
    fn the_tail_is_bounded() {
        let mut tail = Tail::default();
        for i in 0..10_000 {
            tail.feed(format!("line {i}\n").as_bytes());
        }
        assert!(tail.bytes.len() <= 2 * tail.most);
        assert_eq!(tail.lines(2), ["line 9998", "line 9999"]);
    }
}
