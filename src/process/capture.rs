//! Pieces of output and the cap on them: the first half passes as it comes, of the rest only
//! the last half is kept, and what lies between is counted.

use std::collections::VecDeque;

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Which stream.
    pub stream: Stream,
    /// The bytes as they came.
    pub bytes: Vec<u8>,
}

/// Which stream a piece of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How many times its cap a child may print before it is ended: whoever prints more is not
/// testing any more.
const FLOOD: u64 = 16;

/// Held pieces below this size grow before a new one is begun, in bytes.
const JOIN: usize = if cfg!(test) { 2 } else { 32 << 10 };

/// Output under a cap.
#[derive(Debug)]
pub(super) struct Capture {
    cap: u64,
    seen: u64,
    passed: u64,
    tail: VecDeque<Chunk>,
    tail_bytes: u64,
    dropped: u64,
}

impl Capture {
    pub(super) fn new(cap: u64) -> Self {
        Capture {
            cap,
            seen: 0,
            passed: 0,
            tail: VecDeque::new(),
            tail_bytes: 0,
            dropped: 0,
        }
    }

    /// Takes a piece; answers it if it may pass at once.
    pub(super) fn push(&mut self, chunk: Chunk) -> Option<Chunk> {
        let size = chunk.bytes.len() as u64;
        self.seen += size;
        if self.tail.is_empty() && self.passed + size <= self.cap / 2 {
            self.passed += size;
            return Some(chunk);
        }
        self.tail_bytes += size;
        self.keep(chunk);
        while self.tail_bytes > self.cap - self.cap / 2 {
            let Some(oldest) = self.tail.pop_front() else {
                break;
            };
            self.tail_bytes -= oldest.bytes.len() as u64;
            self.dropped += oldest.bytes.len() as u64;
        }
        None
    }

    /// Small pieces of one stream are joined, or their bookkeeping would outgrow them.
    fn keep(&mut self, chunk: Chunk) {
        match self.tail.back_mut() {
            Some(last) if last.stream == chunk.stream && last.bytes.len() < JOIN => {
                last.bytes.extend_from_slice(&chunk.bytes);
            }
            _ => self.tail.push_back(chunk),
        }
    }

    /// Whether so much was printed that the child should be ended.
    pub(super) fn flooded(&self) -> bool {
        self.seen > self.cap.saturating_mul(FLOOD)
    }

    /// Bytes that came, whether kept or not.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// The next piece of what was held back, oldest first; a note stands in the gap.
    pub(super) fn next_held(&mut self) -> Option<Chunk> {
        if self.dropped > 0 {
            let note = format!("\n[regreen left out {} bytes here]\n", self.dropped);
            self.dropped = 0;
            return Some(Chunk {
                stream: Stream::Stderr,
                bytes: note.into_bytes(),
            });
        }
        self.tail.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(bytes: &[u8]) -> Chunk {
        Chunk {
            stream: Stream::Stdout,
            bytes: bytes.to_vec(),
        }
    }

    fn rest(capture: &mut Capture) -> Vec<String> {
        std::iter::from_fn(|| capture.next_held())
            .map(|chunk| String::from_utf8_lossy(&chunk.bytes).into_owned())
            .collect()
    }

    #[test]
    fn the_middle_is_left_out_and_counted() {
        let mut capture = Capture::new(8);
        assert_eq!(capture.push(chunk(b"abcd")), Some(chunk(b"abcd")));
        for piece in [b"ef", b"gh", b"ij", b"kl"] {
            assert_eq!(capture.push(chunk(piece)), None);
        }
        assert_eq!(
            rest(&mut capture),
            ["\n[regreen left out 4 bytes here]\n", "ij", "kl"]
        );
        assert_eq!(capture.seen(), 12);
    }

    #[test]
    fn nothing_is_said_where_everything_fits() {
        let mut capture = Capture::new(8);
        assert!(capture.push(chunk(b"abcd")).is_some());
        assert!(capture.push(chunk(b"efgh")).is_none());
        assert_eq!(rest(&mut capture), ["efgh"]);
        assert!(!capture.flooded());
    }

    #[test]
    fn a_flood_is_noticed() {
        let mut capture = Capture::new(8);
        capture.push(chunk(&[0; 128]));
        assert!(!capture.flooded());
        capture.push(chunk(b"x"));
        assert!(capture.flooded());
    }
}
