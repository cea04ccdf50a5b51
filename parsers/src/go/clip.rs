//! The beginning and the end of an output that is too long to be kept.

use crate::text;

/// Lines, of which the first and the last are kept.
#[derive(Debug, Clone)]
pub(crate) struct Clip {
    head: String,
    tail: String,
    most: usize,
    dropped: bool,
}

impl Clip {
    /// Keeps so many bytes of each end.
    pub fn of(most: usize) -> Self {
        Clip {
            head: String::new(),
            tail: String::new(),
            most,
            dropped: false,
        }
    }

    /// One more line.
    pub fn push(&mut self, line: &str) {
        let line = &line[..text::floor(line, self.most)];
        let room = self.tail.is_empty() && self.head.len() + line.len() < self.most;
        if room || self.head.is_empty() {
            self.head.push_str(line);
            self.head.push('\n');
            return;
        }
        self.tail.push_str(line);
        self.tail.push('\n');
        // The tail is cut rarely, so that a line costs no more than its copy.
        if self.tail.len() > 3 * self.most {
            let from = text::floor(&self.tail, self.tail.len() - self.most);
            let line = self.tail[from..]
                .find('\n')
                .map_or(from, |at| from + at + 1);
            self.tail.drain(..line);
            self.dropped = true;
        }
    }

    /// Whether nothing came.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// What was kept, and where lines are missing a sign of it.
    pub fn lines(&self) -> Vec<&str> {
        let gap = self.dropped.then_some("[... lines left out ...]");
        let head = self.head.split_terminator('\n');
        head.chain(gap)
            .chain(self.tail.split_terminator('\n'))
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
        assert!(text.len() < 2100, "{}", text.len());
    }
}
