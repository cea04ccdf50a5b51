//! The titles that lead to a test, in one piece: there are as many paths as tests.

/// Stands between two titles; what is shown to people never holds it.
const BETWEEN: char = '\u{1f}';

/// Titles, outermost first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path {
    text: String,
    depth: usize,
}

impl Path {
    /// The titles of a path that stands in others, and one more.
    pub fn of(outer: &[String], last: &str) -> Self {
        let length: usize = outer.iter().map(|title| title.len() + 1).sum();
        let mut path = Path {
            text: String::with_capacity(length + last.len()),
            depth: 0,
        };
        outer.iter().for_each(|title| path.push(title));
        path.push(last);
        path
    }

    /// One more title.
    pub fn push(&mut self, title: &str) {
        if self.depth > 0 {
            self.text.push(BETWEEN);
        }
        self.depth += 1;
        self.more(title);
    }

    /// The last title goes on.
    pub fn more(&mut self, text: &str) {
        match text.contains(BETWEEN) {
            true => self.text.push_str(&text.replace(BETWEEN, " ")),
            false => self.text.push_str(text),
        }
    }

    /// Titles before the first.
    pub fn put_before(&mut self, outer: &[String]) {
        if outer.is_empty() {
            return;
        }
        let mut path = Path::default();
        outer.iter().for_each(|title| path.push(title));
        path.text.push(BETWEEN);
        path.text.push_str(&self.text);
        path.depth += self.depth;
        *self = path;
    }

    /// How many titles there are.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The only title.
    pub fn only(&self) -> Option<&str> {
        (self.depth == 1).then_some(self.text.as_str())
    }

    /// The last title.
    pub fn last(&self) -> &str {
        let at = memchr::memrchr(BETWEEN as u8, self.text.as_bytes());
        at.map_or(self.text.as_str(), |at| &self.text[at + 1..])
    }

    /// Whether another path leads here, and ends before.
    pub fn is_below(&self, other: &Path) -> bool {
        let rest = self.text.strip_prefix(other.text.as_str());
        self.depth > other.depth && rest.is_some_and(|rest| rest.starts_with(BETWEEN))
    }

    /// All titles.
    pub fn titles(&self) -> Vec<String> {
        match self.depth {
            0 => Vec::new(),
            _ => self.text.split(BETWEEN).map(str::to_owned).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_come_back_as_they_were() {
        let mut path = Path::of(&["a".to_owned(), String::new()], "b c");
        path.more("\nd");
        assert_eq!(path.titles(), ["a", "", "b c\nd"]);
        assert_eq!((path.depth(), path.last()), (3, "b c\nd"));
        let outer = Path::of(&["a".to_owned()], "");
        assert!(path.is_below(&outer) && !outer.is_below(&path));
        assert!(!path.is_below(&path.clone()));
        path.put_before(&["x".to_owned()]);
        assert_eq!(path.titles(), ["x", "a", "", "b c\nd"]);
        assert_eq!(Path::of(&[], "one").only(), Some("one"));
    }
}
