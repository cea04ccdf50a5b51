//! The beginning and the end of an output that is too long to be kept.

use std::collections::VecDeque;

/// Lines, of which the first and the last are kept.
#[derive(Debug, Clone)]
pub(crate) struct Clip {
    head: Vec<String>,
    tail: VecDeque<String>,
    head_bytes: usize,
    tail_bytes: usize,
    most: usize,
    dropped: u64,
}

impl Clip {
    /// Keeps so many bytes of each end.
    pub fn of(most: usize) -> Self {
        Clip {
            head: Vec::new(),
            tail: VecDeque::new(),
            head_bytes: 0,
            tail_bytes: 0,
            most,
            dropped: 0,
        }
    }

    /// One more line.
    pub fn push(&mut self, line: &str) {
        let line = match line.len() > self.most {
            true => crate::text::cut(line, self.most),
            false => line.to_owned(),
        };
        let size = line.len() + 32;
        if self.dropped == 0 && self.tail.is_empty() && self.head_bytes + size <= self.most {
            self.head_bytes += size;
            self.head.push(line);
            return;
        }
        self.tail_bytes += size;
        self.tail.push_back(line);
        while self.tail_bytes > self.most && self.tail.len() > 1 {
            let gone = self.tail.pop_front().map_or(0, |line| line.len() + 32);
            self.tail_bytes -= gone;
            self.dropped += gone as u64;
        }
    }

    /// Whether nothing came.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty()
    }

    /// What was kept, and where lines are missing a sign of it.
    pub fn lines(&self) -> Vec<&str> {
        let gap = (self.dropped > 0).then_some("[... lines left out ...]");
        let head = self.head.iter().map(String::as_str);
        head.chain(gap)
            .chain(self.tail.iter().map(String::as_str))
            .collect()
    }

    /// The same as one text.
    pub fn text(&self) -> String {
        self.lines().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_kept() {
        let mut clip = Clip::of(400);
        for n in 0..10_000 {
            clip.push(&format!("line {n}"));
        }
        clip.push(&"x".repeat(100_000));
        let text = clip.text();
        assert!(text.starts_with("line 0\n") && text.contains("left out"));
        assert!(text.len() < 1500, "{}", text.len());
    }
}
