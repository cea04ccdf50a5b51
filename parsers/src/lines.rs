//! Splits a byte stream into lines with bounded memory.

use crate::text;
use std::borrow::Cow;

/// The longest line that is kept whole. What a line has beyond it is counted and dropped.
pub(crate) const LONGEST: usize = 8 * 1024 * 1024;
/// The most of a line that is text for people.
const SHOWN: usize = 256 * 1024;

/// One line without its end, as far as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The line's bytes, at most [`LONGEST`].
    pub bytes: Vec<u8>,
    /// How many bytes the line had in the stream, its end included.
    pub length: u64,
    /// The stream ended without a line end here.
    pub unfinished: bool,
}

impl Line {
    /// The line as text, bytes that are not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The line as text for people: nothing that is meant for them is as long as this.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(SHOWN)]).into_owned()
    }

    /// The line to be looked at as the others are ([`Lines::each`]).
    pub fn seen(&self) -> Seen<'_> {
        Seen {
            bytes: &self.bytes,
            length: self.length,
            unfinished: self.unfinished,
        }
    }

    /// The line as it is if it may hold a record, else as it is shown.
    pub fn record_or_shown(&self) -> String {
        match memchr::memmem::find(&self.bytes, b"\"type\"") {
            Some(_) => self.text(),
            None => self.shown(),
        }
    }

    /// Whether the line was too long to be kept whole.
    pub fn cut(&self) -> bool {
        let kept = self.bytes.len() as u64;
        self.length > kept + 2
    }
}

/// One line that is only looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// The line's bytes without its end, at most [`LONGEST`].
    pub bytes: &'a [u8],
    /// How many bytes the line had in the stream, its end included.
    pub length: u64,
    /// The stream ended without a line end here.
    pub unfinished: bool,
}

impl<'a> Seen<'a> {
    /// The line as it is shown to people: without control sequences, at most [`SHOWN`] bytes of
    /// it. Where a carriage return stands in it, what follows the last one, as on a terminal.
    pub fn shown(&self) -> Cow<'a, str> {
        text::shown(&self.bytes[..self.bytes.len().min(SHOWN)])
    }

    /// The line from its first visible character on: what sets colours stands before it. Cheap,
    /// where most lines are only looked at by their beginning.
    pub fn head(&self) -> &'a [u8] {
        let mut rest = self.bytes;
        while let Some(after) = rest.strip_prefix(b"\x1b[") {
            let Some(end) = after.iter().position(u8::is_ascii_alphabetic) else {
                return rest;
            };
            rest = &after[end + 1..];
        }
        rest.strip_prefix(b"\r").unwrap_or(rest)
    }

    /// The line as it is if it may hold a record, else as it is shown.
    pub fn record_or_shown(&self) -> Cow<'a, str> {
        let whole = memchr::memmem::find(self.bytes, b"\"type\"").is_some();
        let most = if whole { self.bytes.len() } else { SHOWN };
        String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(most)])
    }

    /// The line on its own.
    pub fn to_line(self) -> Line {
        Line {
            bytes: self.bytes.to_vec(),
            length: self.length,
            unfinished: self.unfinished,
        }
    }

    /// Whether the line was too long to be kept whole.
    pub fn cut(&self) -> bool {
        self.length > self.bytes.len() as u64 + 2
    }
}

/// Collects bytes until a line is whole.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    length: u64,
}

impl Lines {
    /// Takes more bytes, returns the lines that are whole now.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut whole = Vec::new();
        self.each(bytes, |line| whole.push(line.to_line()));
        whole
    }

    /// Takes more bytes, shows each line that is whole now. Nothing is copied but what a line
    /// has in several pieces: most lines of a log are looked at and forgotten.
    pub fn each(&mut self, mut bytes: &[u8], mut look: impl FnMut(Seen<'_>)) {
        while let Some(at) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(at);
            if self.length == 0 && line.len() <= LONGEST {
                look(Seen {
                    bytes: line.strip_suffix(b"\r").unwrap_or(line),
                    length: line.len() as u64 + 1,
                    unfinished: false,
                });
            } else {
                self.keep(line);
                self.length += 1;
                let line = self.take(false);
                look(Seen {
                    bytes: &line.bytes,
                    length: line.length,
                    unfinished: false,
                });
            }
            bytes = &rest[1..];
        }
        self.keep(bytes);
    }

    /// The rest that had no line end, if there is one.
    pub fn finish(&mut self) -> Option<Line> {
        (self.length > 0).then(|| self.take(true))
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LONGEST.saturating_sub(self.partial.len());
        self.partial
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.length += bytes.len() as u64;
    }

    fn take(&mut self, unfinished: bool) -> Line {
        let mut bytes = std::mem::take(&mut self.partial);
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        Line {
            bytes,
            length: std::mem::take(&mut self.length),
            unfinished,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_the_bytes_are_cut() {
        let stream = b"one\r\ntwo\n\nthree";
        for cut in 0..stream.len() {
            let mut lines = Lines::default();
            let mut seen: Vec<Line> = lines.feed(&stream[..cut]);
            seen.extend(lines.feed(&stream[cut..]));
            seen.extend(lines.finish());
            let texts: Vec<String> = seen.iter().map(Line::text).collect();
            assert_eq!(texts, ["one", "two", "", "three"]);
            assert!(seen[3].unfinished);
            let total: u64 = seen.iter().map(|line| line.length).sum();
            assert_eq!(total, stream.len() as u64);
        }
    }

    #[test]
    fn an_endless_line_does_not_grow_memory() {
        let mut lines = Lines::default();
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..20 {
            assert!(lines.feed(&chunk).is_empty());
        }
        assert!(lines.partial.capacity() <= 2 * LONGEST);
        let line = lines.feed(b"\n").remove(0);
        assert_eq!(line.bytes.len(), LONGEST);
        assert_eq!(line.length, (20 << 20) + 1);
        assert!(line.cut());
    }
}
