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
    if text.split('\n').all(|line| is_harmless(line.as_bytes())) {
        return text.to_owned();
    }
    let harmless = |c: char| c == '\n' || c == '\t' || !(c.is_control() || reorders(c));
    if text.chars().all(harmless) {
        return text.to_owned();
    }
    if let Some(rest) = without_colours(text.as_bytes()).and_then(|it| String::from_utf8(it).ok())
        && rest.chars().all(harmless)
    {
        return rest;
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
    if is_harmless(line) {
        // Most lines end here.
        if let Ok(text) = std::str::from_utf8(line) {
            return Cow::Borrowed(text);
        }
    } else if let Some(rest) = without_colours(line) {
        let harmless = is_harmless(&rest);
        return Cow::Owned(match String::from_utf8(rest) {
            Ok(text) if harmless => text,
            Ok(text) => last_part(&text),
            Err(error) => last_part(&String::from_utf8_lossy(error.as_bytes())),
        });
    }
    Cow::Owned(last_part(&String::from_utf8_lossy(line)))
}

/// Cleaned; a progress bar overwrites its own line.
fn last_part(text: &str) -> String {
    let last = text.rsplit('\r').find(|part| !part.is_empty());
    clean(last.unwrap_or(""))
}

/// Whether there are no control characters but tabs, and none that reorder text, if it is text
/// at all. Eight bytes are looked at together.
fn is_harmless(bytes: &[u8]) -> bool {
    let (mut control, mut beyond) = (0, 0);
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let word = word.try_into().map_or(0, u64::from_le_bytes);
        control |= maybe_control(word);
        beyond |= word;
    }
    let (rest, mut last) = (words.remainder(), [b' '; 8]);
    last[..rest.len()].copy_from_slice(rest);
    let word = u64::from_le_bytes(last);
    control |= maybe_control(word);
    beyond |= word;
    if control != 0 {
        let is_control = |byte: &u8| matches!(byte, 0..=0x08 | 0x0a..=0x1f | 0x7f);
        if bytes.iter().any(is_control) {
            return false;
        }
    }
    // Only characters that begin so can be control characters, or such as `reorders` knows.
    beyond & HIGH == 0
        || !memchr::memchr2_iter(0xc2, 0xe2, bytes).any(|at| is_harmful(&bytes[at..]))
}

/// The highest bit of each byte.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Not zero if one of the bytes may be a control character of ASCII: below a blank, or `DEL`.
fn maybe_control(word: u64) -> u64 {
    let below = word.wrapping_sub(HIGH >> 2) & !word;
    let other = word ^ (HIGH - (HIGH >> 7));
    let delete = other.wrapping_sub(HIGH >> 7) & !other;
    (below | delete) & HIGH
}

/// Whether the text begins with a control character beyond ASCII, or with one that reorders.
fn is_harmful(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0xc2, 0x80..=0x9f, ..]
            | [0xe2, 0x80, 0x8e | 0x8f | 0xaa..=0xae, ..]
            | [0xe2, 0x81, 0xa6..=0xa9, ..]
    )
}

/// The line without control sequences, where it has only those that colours are made of
/// (`ESC [ … letter`); nothing where it has none or others.
fn without_colours(line: &[u8]) -> Option<Vec<u8>> {
    let mut next = memchr::memchr(0x1b, line)?;
    let mut kept = Vec::with_capacity(line.len());
    let mut rest = line;
    loop {
        kept.extend_from_slice(&rest[..next]);
        let sequence = rest[next..].strip_prefix(b"\x1b[")?;
        let end = sequence
            .iter()
            .position(|byte| !matches!(byte, 0x20..=0x3f))?;
        if !matches!(sequence[end], 0x40..=0x7e) {
            return None;
        }
        rest = &sequence[end + 1..];
        match memchr::memchr(0x1b, rest) {
            Some(at) => next = at,
            None => {
                kept.extend_from_slice(rest);
                return Some(kept);
            }
        }
    }
}

/// A document without what XML forbids: control characters, raw or as `&#x1B;`, and the colours
/// they begin. Many reporters write what a test's message holds as it is.
pub(crate) fn xml(text: &str) -> Cow<'_, str> {
    let odd = |byte: u8| byte < 0x20 && !matches!(byte, b'\n' | b'\t' | b'\r');
    let wide = ['\u{fffe}', '\u{ffff}'];
    let refers = memchr::memmem::find(text.as_bytes(), b"&#").is_some();
    if !refers && !text.bytes().any(odd) && !text.contains(wide) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (meant, length) = match reference(rest) {
            Some((code, length)) => (code.unwrap_or('\0'), length),
            None => (c, c.len_utf8()),
        };
        if !forbidden(meant) {
            out.push_str(&rest[..length]);
        }
        rest = &rest[length..];
        if meant == '\u{1b}'
            && let Some(colour) = rest.strip_prefix('[')
        {
            let end = colour.find(|c: char| !c.is_ascii_digit() && !";:?".contains(c));
            let end = end.filter(|at| colour.as_bytes()[*at].is_ascii_alphabetic());
            rest = end.map_or(rest, |at| &colour[at + 1..]);
        }
    }
    Cow::Owned(out)
}

/// What XML 1.0 does not allow.
fn forbidden(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// The character of a numeric reference, if it is one at all, and the reference's length.
fn reference(text: &str) -> Option<(Option<char>, usize)> {
    let number = text.strip_prefix("&#")?;
    let end = number.bytes().take(10).position(|byte| byte == b';')?;
    let digits = &number[..end];
    let code = match digits.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some((char::from_u32(code), end + 3))
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

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bytes.clear();
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
    fn a_line_is_shown_as_it_would_be_cleaned() {
        for line in [
            "plain",
            "tab\tbed",
            "\u{2713} sch\u{f6}n",
            "\x1b[31mred\x1b[0m \u{2717} rest",
            "\x1b[1;38;5;9mx\x1b[K",
            "a \u{202e}b \u{85} \x07",
            "\x1b]0;title\x07x",
            "\x1b[31",
            "\x1bcx\x1b[",
            "\x1b[3\u{e4}mx",
            "",
        ] {
            assert_eq!(shown(line.as_bytes()), clean(line), "{line:?}");
        }
        assert_eq!(shown(b" 10%\r100% done"), "100% done");
        assert_eq!(shown(b"\x1b[2K 10%\r\x1b[2K100%\r"), "100%");
        assert_eq!(shown(b"a\xffb"), "a\u{fffd}b");
    }

    #[test]
    fn a_document_loses_what_xml_forbids() {
        assert_eq!(
            xml("<a b=\"&#x1B;[31mred&#27;[39m &#x7;&#10;&#38;\">\u{1b}[1mx\u{8}\u{fffe}</a>"),
            "<a b=\"red &#10;&#38;\">x</a>"
        );
        for text in ["<a>&amp; &#x41; &# &#; &#zz;</a>", "<a>\t\r\n\u{e9}</a>"] {
            assert_eq!(xml(text), text);
        }
        assert_eq!(xml("\u{1b}[31"), "[31");
    }

    #[test]
    fn a_harmful_character_is_seen_wherever_it_stands() {
        for before in (0..20).map(|n| "x".repeat(n)) {
            for bad in [
                '\u{0}', '\u{1f}', '\u{7f}', '\u{85}', '\u{200f}', '\u{202a}', '\u{2069}',
            ] {
                let line = format!("{before}{bad}yz");
                assert_eq!(shown(line.as_bytes()), format!("{before}yz"), "{line:?}");
            }
            for good in [
                '\t', '~', '\u{a0}', '\u{2713}', '\u{2022}', '\u{206a}', '\u{d7}',
            ] {
                let line = format!("{before}{good}yz");
                assert!(matches!(shown(line.as_bytes()), Cow::Borrowed(it) if it == line));
            }
        }
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
