//! Pytest's output for people, as it is pasted or saved.
//!
//! Only what stands where pytest puts it is believed: the failures' blocks, the short summary
//! and the last line, whose numbers have to agree. A line is looked at by its first bytes;
//! most of a log is never copied.

use crate::lines::Seen;
use crate::pytest::last;
use crate::pytest::last::Last;
use crate::pytest::progress::Progress;
use crate::text;
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// The most that is kept of one block, and of all together.
const MOST_BLOCK: usize = 256 * 1024;
const MOST_BYTES: usize = 48 * 1024 * 1024;
/// More blocks or summary lines than this are not kept.
pub(crate) const MOST: usize = 50_000;
/// More of pytest's own messages are not kept.
const MOST_MESSAGES: usize = 20;

static NODE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"::"));
static FATAL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"Fatal Python error: "));

static PY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b".py "));
static TIMEOUT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"+++ Timeout +++"));

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Progress,
    Blocks,
    Summary,
    /// A conftest that cannot be loaded, an error of pytest's own: until the end.
    Rest,
    Other,
}

/// One line of the short summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Of set-up, teardown or collection.
    pub error: bool,
    /// A subtest's.
    pub subtest: bool,
    /// Which subtest it is, as it is added to the id.
    pub part: String,
    /// Id and message.
    pub rest: String,
}

/// A block with its title; without a title a line of `--tb=line`.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub title: String,
    pub text: String,
}

/// What one session says.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Its heading was there.
    pub began: bool,
    /// How many tests it collected, as far as it says.
    pub collected: Option<u64>,
    pub blocks: Vec<Block>,
    /// The lines of `--tb=line`.
    pub places: Vec<String>,
    pub named: Vec<Named>,
    pub last: Option<Last>,
    pub progress: Progress,
    /// What stands between exclamation marks: why it stopped.
    pub stopped: Vec<String>,
    pub rootdir: Option<String>,
    /// The last lines are those of a conftest that cannot be loaded, or of an error of pytest's.
    pub broken: Option<Block>,
}

/// Reads the text line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Sessions that ended and were followed by another one.
    pub earlier: Vec<Session>,
    pub session: Session,
    part: Part,
    /// Failures begin whose blocks have no titles (`--tb=line`), behind those of errors.
    untitled: bool,
    /// What the blocks hold.
    bytes: usize,
    /// The numbers in the last line that is not empty, if it has no ruling, as with `-q`.
    pub bare: Option<Last>,
    /// Pytest's `ERROR: …` lines.
    pub messages: Vec<String>,
    /// A process was about to die.
    pub fatal: bool,
}

impl Reader {
    /// Takes one line.
    pub fn line(&mut self, seen: Seen<'_>) {
        let head = seen.head();
        if head.is_empty() {
            self.empty();
            return;
        }
        if may_matter(head) {
            let line = seen.shown();
            if line.is_empty() {
                self.empty();
                return;
            }
            self.marked(&line, seen);
            return;
        }
        self.bare = None;
        self.plain(seen);
    }

    fn empty(&mut self) {
        match self.part {
            Part::Blocks => self.keep(""),
            Part::Rest => self.rest(""),
            _ => {}
        }
    }

    /// A line whose beginning may be pytest's own.
    fn marked(&mut self, line: &str, seen: Seen<'_>) {
        let first = line.as_bytes().first().copied().unwrap_or(b' ');
        self.bare = match first {
            b'0'..=b'9' | b'n' => last::bare(line),
            _ => None,
        };
        match first {
            b'=' => {
                if let Some(title) = ruled(line, '=') {
                    self.title(title);
                    return;
                }
            }
            b'_' => {
                if let Some(title) = ruled(line, '_')
                    && self.block(title)
                {
                    return;
                }
            }
            b'!' => {
                if let Some(why) = ruled(line, '!') {
                    if self.session.stopped.len() < MOST_MESSAGES {
                        self.session.stopped.push(text::one_line(why));
                    }
                    return;
                }
            }
            b'r' => {
                if let Some(rest) = line.strip_prefix("rootdir: ")
                    && self.session.rootdir.is_none()
                {
                    let rootdir = rest.split(", ").next().unwrap_or(rest);
                    self.session.rootdir = Some(rootdir.to_owned());
                }
            }
            b'c' if self.part == Part::Progress => self.collected(line),
            b'E' | b'I' => self.own_words(line),
            _ => {}
        }
        self.plain(seen);
    }

    /// `ERROR: file or directory not found: x`, `INTERNALERROR> …`, a conftest's error.
    fn own_words(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("ERROR: ") {
            if self.messages.len() < MOST_MESSAGES {
                self.messages.push(text::one_line(rest));
            }
        } else if let Some(rest) = line.strip_prefix("INTERNALERROR>") {
            if !matches!(self.part, Part::Blocks | Part::Summary) {
                self.part = Part::Progress;
                let rest = rest.strip_prefix(' ').unwrap_or(rest);
                self.broken("INTERNALERROR", rest);
            }
        } else if let Some(rest) = line.strip_prefix("ImportError while loading conftest '")
            && let Some(path) = rest.split('\'').next()
            && self.session.blocks.is_empty()
        {
            self.broken(path, "");
            self.part = Part::Rest;
        }
    }

    fn broken(&mut self, title: &str, line: &str) {
        let broken = self.session.broken.get_or_insert_with(|| Block {
            title: title.to_owned(),
            text: String::new(),
        });
        if broken.text.len() < MOST_BLOCK {
            broken.text.push_str(line);
            broken.text.push('\n');
        }
    }

    fn rest(&mut self, line: &str) {
        let title = self
            .session
            .broken
            .as_ref()
            .map(|block| block.title.clone());
        if let Some(title) = title {
            self.broken(&title, line);
        }
    }

    /// A line of no special kind: what it is depends on where it stands.
    fn plain(&mut self, seen: Seen<'_>) {
        match self.part {
            Part::Progress => self.progress(seen),
            Part::Blocks => {
                let line = seen.shown();
                self.keep(&line);
            }
            // A test printed a summary: the places come behind it.
            Part::Summary | Part::Other if self.untitled && seen.bytes.first() == Some(&b'/') => {
                self.keep(&seen.shown());
            }
            Part::Summary => self.summary(&seen.shown()),
            Part::Rest => {
                let line = seen.shown();
                if !line.starts_with("ImportError while loading conftest '") {
                    self.rest(&line);
                }
            }
            Part::Other => {}
        }
    }

    fn progress(&mut self, seen: Seen<'_>) {
        if self.session.progress.passed_line(seen.bytes) {
            return;
        }
        if NODE.find(seen.bytes).is_some() {
            self.session.progress.verbose(&seen.shown());
        } else if shows_letters(seen.bytes) {
            self.session.progress.letters(&seen.shown());
        }
        // Both of these words have a capital letter that most lines have not.
        if self.fatal {
            return;
        }
        let dying = FATAL.find(seen.bytes).is_some() || TIMEOUT.find(seen.bytes).is_some();
        if dying {
            self.fatal = true;
            let line = seen.shown();
            let at = line.find("Fatal Python error: ").or(line.find("+++"));
            self.session.progress.before(&line[..at.unwrap_or(0)]);
        }
    }

    /// `collected 5 items / 2 deselected / 3 selected`.
    fn collected(&mut self, line: &str) {
        let Some(at) = line.find("collected ") else {
            return;
        };
        let rest = &line[at + 10..];
        let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        if rest.starts_with("item") && self.session.collected.is_none() {
            self.session.collected = number.parse().ok();
        }
    }

    fn title(&mut self, title: &str) {
        if let Some(last) = last::of(title) {
            // The last one counts: what came before was printed by a test.
            self.session.last = Some(last);
            self.bare = Some(last);
            self.part = Part::Other;
            return;
        }
        self.part = match title {
            "test session starts" => {
                if self.session.whole() {
                    let ended = std::mem::take(&mut self.session);
                    if self.earlier.len() < MOST_MESSAGES {
                        self.earlier.push(ended);
                    }
                }
                self.session.began = true;
                match self.part {
                    // A test prints what another pytest has printed.
                    Part::Blocks => Part::Blocks,
                    _ => Part::Progress,
                }
            }
            "FAILURES" | "ERRORS" | "PASSES" | "XFAILURES" | "XPASSES" => {
                let last = self.session.blocks.last();
                let of_error = last.is_none_or(|block| block.title.starts_with("ERROR "));
                self.untitled = title == "FAILURES" && of_error;
                Part::Blocks
            }
            "short test summary info" => {
                self.session.named.clear();
                Part::Summary
            }
            _ => Part::Other,
        };
    }

    /// A block's title. In a summary it says that the summary was none.
    fn block(&mut self, title: &str) -> bool {
        if self.part == Part::Progress || self.part == Part::Rest {
            return false;
        }
        // Between the entries of one stack.
        if title.starts_with("_ _") {
            return false;
        }
        if self.part == Part::Other && self.session.blocks.is_empty() {
            return false;
        }
        // Summary and end come behind all blocks.
        self.session.named.clear();
        self.session.last = None;
        self.part = Part::Blocks;
        self.untitled = false;
        if self.session.blocks.len() < MOST {
            self.session.blocks.push(Block {
                title: title.to_owned(),
                text: String::new(),
            });
        }
        true
    }

    fn keep(&mut self, line: &str) {
        match self.session.blocks.last_mut().filter(|_| !self.untitled) {
            Some(block) if block.text.len() < MOST_BLOCK && self.bytes < MOST_BYTES => {
                block.text.push_str(line);
                block.text.push('\n');
                self.bytes += line.len() + 1;
            }
            Some(_) => {}
            None if line.is_empty() => {}
            None if self.session.places.len() < MOST => {
                self.session.places.push(text::cut(line, 4_000));
            }
            None => {}
        }
        // `--tb=line` has no titles, only places, also behind the blocks of errors.
        if !self.untitled
            && line.starts_with('/')
            && !self.session.blocks.is_empty()
            && self.session.places.len() < MOST
            && crate::pytest::block::split_place(line)
                .is_some_and(|(_, _, rest)| rest.contains(": ") || rest.contains(' '))
        {
            self.session.places.push(text::cut(line, 4_000));
        }
    }

    fn summary(&mut self, line: &str) {
        if self.session.named.len() >= MOST {
            return;
        }
        let plain = [("FAILED ", false), ("ERROR ", true)];
        let named = plain.into_iter().find_map(|(start, error)| {
            let rest = line.strip_prefix(start)?;
            Some(Named {
                error,
                subtest: false,
                part: String::new(),
                rest: rest.to_owned(),
            })
        });
        if let Some(named) = named.or_else(|| subtest(line)) {
            self.session.named.push(named);
        }
    }

    /// The numbers of the last session's end.
    pub fn end_of(&self, session: &Session) -> Option<Last> {
        // Where the session has its heading the last line has its ruling. Without a heading it
        // is the last of all lines.
        match session.began {
            true => session.last,
            false => self.bare,
        }
    }
}

impl Session {
    /// It ended, and its numbers are those of what it collected.
    fn whole(&self) -> bool {
        let Some(last) = self.last else {
            return false;
        };
        let ran = last.passed + last.failed + last.skipped + last.deselected;
        let named = self.named.len() as u64;
        self.collected
            .is_some_and(|collected| ran <= collected + named && ran + last.errors >= collected)
            && named == last.failed + last.errors
    }
}

/// `test_a.py ..F`, `...  [ 50%]`: the end of a line is looked at first.
fn shows_letters(bytes: &[u8]) -> bool {
    let end = bytes.iter().rev().take(12);
    let mut end = end.skip_while(|byte| **byte == b' ');
    match end.next() {
        Some(b']') => matches!(end.next(), Some(b'%' | b's' | b'm' | b'0'..=b'9')),
        // The colour is set back at the end.
        Some(b'm') if bytes.first() == Some(&0x1b) || bytes.ends_with(b"\x1b[0m") => true,
        Some(b'.' | b'F' | b'E' | b's' | b'x' | b'X' | b'u' | b'R') => PY.find(bytes).is_some(),
        _ => false,
    }
}

/// Whether a line begins as one of pytest's own does.
fn may_matter(head: &[u8]) -> bool {
    match head[0] {
        rule @ (b'=' | b'_' | b'!') => {
            matches!(head.get(1), Some(next) if *next == rule || *next == b' ' || *next == 0x1b)
        }
        b'0'..=b'9' => matches!(head.last(), Some(b's' | b')' | b'm' | b'\r')),
        b'n' => head.starts_with(b"no tests"),
        b'r' => head.starts_with(b"rootdir"),
        b'E' => head.starts_with(b"ERROR"),
        b'c' => head.starts_with(b"collect"),
        b'I' => head.starts_with(b"INTERNALERR") || head.starts_with(b"ImportError while"),
        b'\r' | 0x1b => true,
        _ => false,
    }
}

/// `SUBFAILED[part] (i=1) a.py::test - message`, and before pytest 9
/// `[part] (i=1) SUBFAIL a.py::test - message`.
fn subtest(line: &str) -> Option<Named> {
    let named = |part: &str, rest: &str| Named {
        error: false,
        subtest: true,
        part: part.trim().to_owned(),
        rest: rest.trim_start().to_owned(),
    };
    if let Some(rest) = line
        .strip_prefix("SUBFAILED")
        .or(line.strip_prefix("SUBFAIL "))
    {
        if !rest.starts_with(['[', '(', ' ']) {
            return Some(named("", rest));
        }
        let at = node_at(rest)?;
        return Some(named(&rest[..at], &rest[at..]));
    }
    if !line.starts_with(['[', '(']) {
        return None;
    }
    for word in [" SUBFAIL ", " SUBFAILED ", "SUBFAIL "] {
        if let Some((part, rest)) = line.rsplit_once(word)
            && part.ends_with([']', ')'])
        {
            return Some(named(part, rest));
        }
    }
    None
}

/// Where the id begins: behind the brackets of the subtest's words.
fn node_at(rest: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = rest[from..].find(' ').map(|at| from + at + 1)?;
        let word = rest[at..].split(' ').next().unwrap_or("");
        let closed = rest[..at - 1].is_empty() || rest[..at - 1].ends_with([']', ')']);
        if closed && word.contains("::") && !word.starts_with(['[', '(']) {
            return Some(at);
        }
        from = at;
    }
}

/// The title in a line of `=`, `_` or `!`.
pub(crate) fn ruled(line: &str, rule: char) -> Option<&str> {
    let line = line.trim_end();
    let inner = line.trim_matches(rule);
    let width = line.len() - inner.len();
    let title = inner.strip_prefix(' ')?.strip_suffix(' ')?;
    // A title that is longer than the line has one character of the ruling on each side.
    let fits = width >= 4 || (width >= 2 && line.len() > 60);
    let both = line.ends_with(rule) && line.starts_with(rule);
    (fits && both).then_some(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtests_are_named_in_two_ways() {
        for (line, part, rest) in [
            (
                "SUBFAILED[part - one] (i=0) a.py::test - assert 0",
                "[part - one] (i=0)",
                "a.py::test - assert 0",
            ),
            (
                "SUBFAILED(a='x y') a.py::test - assert 0",
                "(a='x y')",
                "a.py::test - assert 0",
            ),
            (
                "[part - one] (i=0) SUBFAIL a.py::test - assert 0",
                "[part - one] (i=0)",
                "a.py::test - assert 0",
            ),
            (
                "(a='x::y z') SUBFAIL a.py::test[b c] - assert 0",
                "(a='x::y z')",
                "a.py::test[b c] - assert 0",
            ),
        ] {
            let named = subtest(line).expect("a subtest");
            assert_eq!(
                (named.part.as_str(), named.rest.as_str()),
                (part, rest),
                "{line}"
            );
        }
    }
}
