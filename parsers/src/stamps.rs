//! Times before every line of a saved log, as GitHub Actions, GitLab and Jenkins write them.
//!
//! They are taken off where each of the first lines has one of the same form: then somebody
//! wrote them who wrote every line. Which lines come in one piece makes no difference.

use std::borrow::Cow;

/// So many lines have to begin with a time.
const LINES: usize = 8;
/// A log that has fewer in all.
const FEWEST: usize = 2;
/// So much is held until that is known.
const HELD: usize = 64 * 1024;
/// A time stands within the first bytes of its line.
const HEAD: usize = 512;

/// The form of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `2026-11-20T13:22:05.1234567Z `
    Date,
    /// `[2026-11-20T13:22:05.123Z] `
    Brackets,
    /// `[12:01:02] `
    Clock,
    /// `job<TAB>step<TAB>2026-11-20T13:22:05.1234567Z `
    Tabs,
}

#[derive(Debug, Default)]
enum State {
    /// The first lines are still to come.
    #[default]
    Open,
    /// Nothing is taken off.
    Plain,
    /// Each line that begins with such a time loses it.
    Stamped(Form),
}

/// Takes times off the lines of one stream.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    state: State,
    held: Vec<u8>,
    /// The line that comes has lost its time already.
    inside: bool,
}

impl Stamps {
    /// Whether nothing is held back, and nothing will be.
    pub fn plain(&self) -> bool {
        matches!(self.state, State::Plain) && self.held.is_empty()
    }

    /// What is to be read of these bytes, and of what was held back.
    pub fn take<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match self.state {
            State::Plain => Cow::Borrowed(bytes),
            State::Stamped(form) => Cow::Owned(self.strip(form, bytes, false)),
            State::Open if self.held.is_empty() => match decide(bytes, false) {
                Some(State::Plain) => {
                    self.state = State::Plain;
                    Cow::Borrowed(bytes)
                }
                decided => self.decided(decided, bytes, false),
            },
            State::Open => {
                let held = std::mem::take(&mut self.held);
                let all = [&held, bytes].concat();
                let decided = decide(&all, false);
                self.decided(decided, &all, false)
            }
        }
    }

    /// What was held back, when nothing more comes.
    pub fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Plain => held,
            State::Stamped(form) => self.strip(form, &held, true),
            State::Open => {
                let decided = decide(&held, true);
                self.decided(decided, &held, true).into_owned()
            }
        }
    }

    fn decided(&mut self, state: Option<State>, bytes: &[u8], last: bool) -> Cow<'static, [u8]> {
        match state {
            None => {
                self.held = bytes.to_vec();
                Cow::Owned(Vec::new())
            }
            Some(State::Stamped(form)) => {
                self.state = State::Stamped(form);
                Cow::Owned(self.strip(form, without_mark(bytes), last))
            }
            Some(_) => {
                self.state = State::Plain;
                Cow::Owned(bytes.to_vec())
            }
        }
    }

    /// The bytes without times. The beginning of a line is held until its time must be there.
    fn strip(&mut self, form: Form, bytes: &[u8], last: bool) -> Vec<u8> {
        let joined;
        let mut rest = bytes;
        if !self.held.is_empty() {
            joined = [&std::mem::take(&mut self.held), bytes].concat();
            rest = &joined;
        }
        let mut found = Vec::with_capacity(rest.len());
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest);
            if !self.inside {
                if end.is_none() && rest.len() < HEAD && !last {
                    self.held = rest.to_vec();
                    break;
                }
                let head = &rest[..end.unwrap_or(rest.len()).min(HEAD)];
                if let Some((_, length)) = stamp(head).filter(|(it, _)| *it == form) {
                    rest = &rest[length..];
                }
            }
            let end = memchr::memchr(b'\n', rest);
            self.inside = end.is_none();
            let (line, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
            found.extend_from_slice(line);
            rest = after;
        }
        found
    }
}

/// What the first lines say, once they are there.
fn decide(bytes: &[u8], last: bool) -> Option<State> {
    // More is not looked at, however many bytes come at once.
    let full = bytes.len() >= HELD;
    let last = last && !full;
    let mut rest = without_mark(&bytes[..bytes.len().min(HELD)]);
    let mut known: Option<Form> = None;
    let mut lines = 0;
    while lines < LINES {
        let Some(end) = memchr::memchr(b'\n', rest).or(last.then_some(rest.len())) else {
            return full.then_some(State::Plain);
        };
        let line = rest[..end].trim_ascii_end();
        if !line.is_empty() {
            let form = stamp(&rest[..end.min(HEAD)]).map(|(form, _)| form);
            let Some(form) = form.filter(|form| known.is_none_or(|known| known == *form)) else {
                return Some(State::Plain);
            };
            known = Some(form);
            lines += 1;
        }
        if end >= rest.len() {
            break;
        }
        rest = &rest[end + 1..];
    }
    match known {
        Some(form) if lines >= FEWEST => Some(State::Stamped(form)),
        _ if last || lines > 0 => Some(State::Plain),
        _ => None,
    }
}

/// A log of GitHub's begins with a byte order mark.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The time that a line begins with: its form and its length.
fn stamp(line: &[u8]) -> Option<(Form, usize)> {
    let (form, length) = match line.first()? {
        b'0'..=b'9' => (Form::Date, gitlab(line, date(line)?)),
        b'[' => {
            let inner = &line[1..];
            let (form, length) = match date(inner) {
                Some(length) => (Form::Brackets, length),
                None => (Form::Clock, clock(inner)?),
            };
            (inner.get(length) == Some(&b']')).then_some((form, length + 2))?
        }
        _ => {
            let first = memchr::memchr(b'\t', line)? + 1;
            let second = first + memchr::memchr(b'\t', &line[first..])? + 1;
            (Form::Tabs, second + date(&line[second..])?)
        }
    };
    match line.get(length) {
        None | Some(b'\r') => Some((form, length)),
        Some(b' ') => Some((form, length + 1)),
        Some(_) => None,
    }
}

/// GitLab adds which stream it is: `2026-11-20T13:22:05.123456Z 01O text`.
fn gitlab(line: &[u8], length: usize) -> usize {
    match line.get(length..length + 5) {
        Some([b' ', b'0'..=b'9', b'0'..=b'9', b'O' | b'E', b' ']) => length + 4,
        _ => length,
    }
}

/// The length of `2026-11-20T13:22:05.1234567Z`.
fn date(bytes: &[u8]) -> Option<usize> {
    let fits = |at: usize, form: &[u8]| {
        let part = bytes.get(at..at + form.len())?;
        let same = part.iter().zip(form).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte == form,
        });
        same.then_some(at + form.len())
    };
    let day = fits(0, b"0000-00-00T")?;
    let end = day + clock(&bytes[day..])?;
    match bytes.get(end)? {
        b'Z' => Some(end + 1),
        b'+' | b'-' => fits(end + 1, b"00:00").or_else(|| fits(end + 1, b"0000")),
        _ => None,
    }
}

/// The length of `13:22:05`, with or without a fraction.
fn clock(bytes: &[u8]) -> Option<usize> {
    let whole = bytes.get(..8)?;
    let same = whole.iter().enumerate().all(|(at, byte)| match at {
        2 | 5 => *byte == b':',
        _ => byte.is_ascii_digit(),
    });
    if !same {
        return None;
    }
    let rest = &bytes[8..];
    let digits = |rest: &[u8]| rest.iter().take_while(|b| b.is_ascii_digit()).count();
    match rest.first() {
        Some(b'.' | b',') if digits(&rest[1..]) > 0 => Some(9 + digits(&rest[1..])),
        _ => Some(8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(log: &str, size: usize) -> String {
        let mut stamps = Stamps::default();
        let mut found = Vec::new();
        for piece in log.as_bytes().chunks(size.max(1)) {
            found.extend_from_slice(&stamps.take(piece));
        }
        found.extend(stamps.finish());
        String::from_utf8(found).unwrap()
    }

    #[test]
    fn times_before_every_line_are_taken_off() {
        let text = "a\n\nb 2026-11-20T13:22:05Z c\n  d\r\n--- FAIL: T (0.00s)\n1\n2\n3\n4\n5";
        for time in [
            "2026-11-20T13:22:05.1234567Z ",
            "[2026-11-20T13:22:05,123+01:00] ",
            "[12:01:02] ",
            "test\tRun tests\t2026-11-20T13:22:05.1Z ",
            "2026-11-20T13:22:05.123456Z 01O ",
        ] {
            let lines: Vec<String> = text.split('\n').map(|it| format!("{time}{it}")).collect();
            let log = lines.join("\n");
            for size in [1, 2, 7, 30, 100, log.len()] {
                assert_eq!(read(&log, size), text, "{time} {size}");
                assert_eq!(read(&format!("\u{feff}{log}"), size), text, "{time} {size}");
            }
            // A line without a time keeps what it has.
            let more = format!("{log}\nplain\n{time}end");
            assert_eq!(read(&more, 11), format!("{text}\nplain\nend"));
        }
    }

    #[test]
    fn anything_else_stays_as_it_is() {
        let stamped = "2026-11-20T13:22:05Z a\n".repeat(7);
        for log in [
            String::new(),
            "\n\n".to_owned(),
            "12:01:02 a\n12:01:03 b\n".to_owned(),
            "[12:01:02] once\n".to_owned(),
            "[12:01:02]a\n[12:01:02]b\n".to_owned(),
            format!("{stamped}b\n2026-11-20T13:22:05Z a\n"),
            format!("{stamped}[12:01:02] b\n"),
            "x".repeat(3 * HELD),
            "2026-11-20T13:22:05Z ".repeat(2 * HELD),
        ] {
            for size in [1, 3, 50, 1 << 20] {
                assert!(read(&log, size) == log, "{}", &log[..log.len().min(60)]);
            }
        }
    }
}
