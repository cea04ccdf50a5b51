//! The lines that GoogleTest itself prints: twelve bytes in brackets, and the places of failed
//! assertions.

use crate::lines::Seen;
use crate::text::cut;
use memchr::memmem::Finder;
use std::borrow::Cow;
use std::sync::LazyLock;

/// Microsoft's form of a place.
static MSVC: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("): error: "));

/// What stands between the brackets of GoogleTest's own lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Rule,
    Dash,
    Run,
    Ok,
    Failed,
    Skipped,
    Passed,
}

/// Where one of GoogleTest's marks may stand in a line: twelve bytes in brackets.
pub(crate) fn mark_at(line: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'[', &line[from..]) {
        let at = from + at;
        let rest = &line[at..];
        if rest.len() >= 12 && rest[11] == b']' && is_mark(&rest[1..11]).is_some() {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

fn is_mark(inner: &[u8]) -> Option<Mark> {
    Some(match inner {
        b"==========" => Mark::Rule,
        b"----------" => Mark::Dash,
        b" RUN      " => Mark::Run,
        b"       OK " => Mark::Ok,
        b"  FAILED  " => Mark::Failed,
        b"  SKIPPED " => Mark::Skipped,
        b"  PASSED  " => Mark::Passed,
        _ => return None,
    })
}

/// The mark in a line as it is shown, what follows it and what stands before it. Only the end
/// of a test may stand behind something that was printed without a line end.
pub(crate) fn mark(shown: &str) -> Option<(Mark, &str, &str)> {
    let at = mark_at(shown.as_bytes())?;
    let found = is_mark(&shown.as_bytes()[at + 1..at + 11])?;
    let rest = shown[at + 12..].strip_prefix(' ')?;
    let ends = matches!(found, Mark::Ok | Mark::Failed | Mark::Skipped);
    (at == 0 || ends).then_some((found, rest, &shown[..at]))
}

/// Whether what follows a mark is the end of that test.
pub(crate) fn is_end(rest: &str, id: &str) -> bool {
    rest.strip_prefix(id).is_some_and(|rest| {
        rest.is_empty() || rest.starts_with(" (") || rest.starts_with(", where ")
    })
}

/// `Running 3 tests from 2 test suites.`
pub(crate) fn running(rest: &str) -> Option<u64> {
    let rest = rest.strip_prefix("Running ")?;
    let number = tests(rest)?;
    rest.contains(" from ").then_some(number)
}

/// `3 tests from 2 test suites ran. (0 ms total)`; with `--gtest_print_time=0` without the time.
pub(crate) fn ran(rest: &str) -> Option<u64> {
    let over = rest.contains(" ran. (") || rest.ends_with(" ran.");
    over.then(|| tests(rest)).flatten()
}

/// The number of `3 tests`, `1 test.`, `2 tests, listed below:`.
pub(crate) fn tests(rest: &str) -> Option<u64> {
    let (number, rest) = rest.split_once(' ')?;
    let rest = rest.strip_prefix("test")?;
    let rest = rest.strip_prefix('s').unwrap_or(rest);
    let fits = rest.starts_with(" from ") || rest == "." || rest == ", listed below:";
    fits.then(|| number.parse().ok()).flatten()
}

pub(crate) fn milliseconds(rest: &str) -> Option<u64> {
    rest.trim_end()
        .strip_suffix(" ms)")?
        .rsplit_once('(')?
        .1
        .parse()
        .ok()
}

pub(crate) fn note(line: &str) -> Option<String> {
    line.strip_prefix("Note: Google Test filter = ")
        .map(|filter| cut(filter, 4096))
}

/// The place of a line `a.cc:12: Failure`, and whether it tells of a skip.
pub(crate) fn header(seen: &Seen<'_>) -> Option<(Option<(String, u32)>, bool)> {
    let bytes = seen.bytes;
    let skipped = bytes.ends_with(b": Skipped");
    let msvc = !skipped && MSVC.find(&bytes[..bytes.len().min(2000)]).is_some();
    if !skipped && !msvc && !bytes.ends_with(b": Failure") {
        return None;
    }
    let shown: Cow<'_, str> = seen.shown();
    if shown.len() > 4096 {
        return None;
    }
    if msvc {
        let (place, _) = shown.split_once("): error: ")?;
        let (file, line) = place.rsplit_once('(')?;
        return Some((Some((file.to_owned(), line.parse().ok()?)), false));
    }
    let place = shown
        .strip_suffix(": Failure")
        .or_else(|| shown.strip_suffix(": Skipped"))?;
    if place.ends_with("unknown file") {
        return Some((None, skipped));
    }
    let (file, line) = place.rsplit_once(':')?;
    let line: u32 = line.parse().ok()?;
    (!file.is_empty()).then(|| (Some((file.to_owned(), line)), skipped))
}

/// What Microsoft's form has on the line of the place.
pub(crate) fn message_on_it(line: &str) -> String {
    match line.split_once("): error: ") {
        Some((_, message)) => format!("{message}\n"),
        None => String::new(),
    }
}
