//! What one test of CTest's printed: GoogleTest's lines in it, and its beginning and end.

use crate::gtest::program::Program;
use crate::gtest::text::Reader;
use crate::lines::Seen;
use crate::text;
use crate::text::Tail;

/// The most that is kept of an output's beginning.
const HEAD: usize = 12 * 1024;
/// The most that is kept of its end.
const TAIL: usize = 8 * 1024;

/// A test's output as it is read.
#[derive(Debug, Default)]
pub(crate) struct Output {
    reader: Reader,
    head: Vec<u8>,
    tail: Option<Tail>,
    bytes: u64,
}

impl Printed {
    /// Whether anything was printed.
    pub fn is_some(&self) -> bool {
        !self.programs.is_empty() || !self.text.trim().is_empty()
    }
}

/// A test's output that is whole.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    /// What GoogleTest said in it.
    pub programs: Vec<Program>,
    /// Its text, capped.
    pub text: String,
}

impl Output {
    /// Takes one line, without what CTest puts before it.
    pub fn line(&mut self, bytes: &[u8]) {
        self.reader.line(&Seen {
            bytes,
            length: bytes.len() as u64 + 1,
            unfinished: false,
        });
        // What became known is told at the end.
        drop(self.reader.news());
        self.bytes += bytes.len() as u64 + 1;
        if self.head.len() < HEAD {
            let room = HEAD - self.head.len();
            self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
            self.head.push(b'\n');
        } else {
            let tail = self.tail.get_or_insert_with(|| Tail::of(TAIL));
            tail.feed(&bytes[bytes.len().saturating_sub(TAIL)..]);
            tail.feed(b"\n");
        }
    }

    /// Whether nothing was printed.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Everything.
    pub fn finish(self) -> Printed {
        let mut text = text::clean(&String::from_utf8_lossy(&self.head));
        if let Some(tail) = self.tail {
            text.push_str("[...]\n");
            text.push_str(&tail.lines(400).join("\n"));
        }
        Printed {
            programs: self.reader.finish(),
            text,
        }
    }
}
