//! Finds in a failed test's output the panic or error that failed it.

use memchr::memmem::Finder;
use regex::Regex;
use std::sync::LazyLock;

/// One panic as the default hook prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panic {
    /// The thread's name.
    pub thread: String,
    /// The file as the compiler knows it.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
    /// The message, perhaps of several lines.
    pub message: String,
    /// Where in the output the panic's header begins.
    pub start: usize,
    /// Where in the output the panic's text ends (backtrace included).
    pub end: usize,
    /// Something after the message marks its end for certain.
    pub closed: bool,
}

/// What stands in each header.
static PANICKED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(" panicked at "));

/// Before Rust 1.73 the message stood in the header, in single quotes.
static OLD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?ms)^thread '([^'\n]*)' panicked at '(.*?)', ([^\s:']+):(\d+):(\d+)$")
        .expect("a constant pattern")
});

/// Every panic that was printed in `output`, in order.
pub(crate) fn all(output: &str) -> Vec<Panic> {
    if PANICKED.find(output.as_bytes()).is_none() {
        return Vec::new();
    }
    let mut panics = new_style(output);
    if panics.is_empty() {
        panics = old_style(output);
    }
    panics
}

fn old_style(output: &str) -> Vec<Panic> {
    OLD.captures_iter(output)
        .filter_map(|found| {
            let whole = found.get(0)?;
            let rest = output.get(whole.end()..)?;
            let (_, used, _) = message(rest);
            Some(Panic {
                thread: found.get(1)?.as_str().to_owned(),
                file: found.get(3)?.as_str().to_owned(),
                line: found.get(4)?.as_str().parse().ok()?,
                column: found.get(5)?.as_str().parse().ok()?,
                message: found.get(2)?.as_str().to_owned(),
                start: whole.start(),
                end: whole.end() + used,
                closed: true,
            })
        })
        .collect()
}

/// `thread 'NAME' (17) panicked at FILE:LINE:COLUMN:`, and where the line stands.
struct Header<'a> {
    start: usize,
    end: usize,
    thread: &'a str,
    file: &'a str,
    line: u32,
    column: u32,
}

impl<'a> Header<'a> {
    fn of(line: &'a str, start: usize) -> Option<Self> {
        let rest = line.strip_prefix("thread '")?.strip_suffix(':')?;
        let (rest, column) = rest.rsplit_once(':')?;
        let (rest, row) = rest.rsplit_once(':')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(column) || !digits(row) {
            return None;
        }
        // A thread's name may hold the words, too.
        let mut ends = rest.rmatch_indices(" panicked at ");
        let (thread, file) = ends.find_map(|(at, words)| {
            let thread = named(&rest[..at])?;
            Some((thread, &rest[at + words.len()..]))
        })?;
        Some(Header {
            start,
            end: start + line.len(),
            thread,
            file,
            line: row.parse().ok()?,
            column: column.parse().ok()?,
        })
    }

    /// Each header that `output` holds, one a line.
    fn all(output: &'a str) -> Vec<Self> {
        let mut headers: Vec<Self> = Vec::new();
        let mut done = 0;
        for found in PANICKED.find_iter(output.as_bytes()) {
            if found < done {
                continue;
            }
            let start = memchr::memrchr(b'\n', &output.as_bytes()[..found]).map_or(0, |at| at + 1);
            let rest = &output[start..];
            let end = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
            done = start + end;
            headers.extend(Header::of(&rest[..end], start));
        }
        headers
    }
}

/// The name before its closing quote; new versions add the thread's number.
fn named(text: &str) -> Option<&str> {
    if let Some(name) = text.strip_suffix('\'') {
        return Some(name);
    }
    let (name, number) = text.strip_suffix(')')?.rsplit_once("' (")?;
    let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    numbered.then_some(name)
}

fn new_style(output: &str) -> Vec<Panic> {
    let headers = Header::all(output);
    headers
        .iter()
        .enumerate()
        .filter_map(|(i, header)| {
            let limit = headers.get(i + 1).map_or(output.len(), |next| next.start);
            let body = output.get(header.end..limit)?;
            let body = body.strip_prefix('\n').unwrap_or(body);
            let (message, used, closed) = message(body);
            Some(Panic {
                thread: header.thread.to_owned(),
                file: header.file.to_owned(),
                line: header.line,
                column: header.column,
                message,
                start: header.start,
                end: limit - body.len() + used,
                closed,
            })
        })
        .collect()
}

/// The message at the beginning of `body`, how many bytes of it and its backtrace there are,
/// and whether its end is certain.
fn message(body: &str) -> (String, usize, bool) {
    let mut length = 0;
    for line in body.split_inclusive('\n') {
        let bare = line.trim_end();
        if bare == "stack backtrace:" {
            let used = length + backtrace_length(&body[length..]);
            return (body[..length].trim_end().to_owned(), used, true);
        }
        if bare.starts_with("note: run with `RUST_BACKTRACE=") {
            return (
                body[..length].trim_end().to_owned(),
                length + line.len(),
                true,
            );
        }
        length += line.len();
    }
    (body.trim_end().to_owned(), body.len(), false)
}

fn backtrace_length(text: &str) -> usize {
    let mut length = 0;
    for (i, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_start();
        let belongs = i == 0
            || bare.starts_with("at ")
            || bare
                .split_once(": ")
                .is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        if !belongs {
            return if bare.starts_with("note: Some details are omitted") {
                length + line.len()
            } else {
                length
            };
        }
        length += line.len();
    }
    length
}

/// The panic that failed `test`: the last one of the test's own thread (`main` with
/// `--test-threads=1`), else the last one. Caught panics come before it.
pub(crate) fn decisive<'a>(panics: &'a [Panic], test: &str) -> Option<&'a Panic> {
    panics
        .iter()
        .rfind(|panic| panic.thread == test)
        .or_else(|| panics.iter().rfind(|panic| panic.thread == "main"))
        .or_else(|| panics.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "said before\n\nthread 'tests::j' (23490) panicked at src/lib.rs:13:64:\ncaught first\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n\nthread 'tests::j' (23490) panicked at src/lib.rs:13:89:\nassertion `left == right` failed\n  left: 1\n right: 2\n";

    #[test]
    fn the_last_panic_of_the_own_thread_counts() {
        let panics = all(TWO);
        assert_eq!(panics.len(), 2);
        assert_eq!(panics[0].message, "caught first");
        assert!(panics[0].closed);
        let own = decisive(&panics, "tests::j").expect("there is one");
        assert_eq!((own.line, own.column), (13, 89));
        assert_eq!(
            own.message,
            "assertion `left == right` failed\n  left: 1\n right: 2"
        );
        assert!(TWO[own.start..].starts_with("thread 'tests::j'"));
    }

    #[test]
    fn another_thread_s_panic_does_not_hide_the_own() {
        let output = "\nthread 'tests::g' (1) panicked at src/lib.rs:10:79:\nown\n\nthread '<unnamed>' (2) panicked at src/lib.rs:10:51:\nother\n";
        let panics = all(output);
        assert_eq!(
            decisive(&panics, "tests::g").map(|p| p.message.as_str()),
            Some("own")
        );
        assert_eq!(
            decisive(&panics, "tests::x").map(|p| p.message.as_str()),
            Some("other")
        );
    }

    #[test]
    fn the_old_way_is_read_too() {
        let output = "thread 'tests::a' panicked at 'assertion failed: `(left == right)`
  left: `1`,
 right: `2`: why', src/lib.rs:9:5
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
";
        let panics = all(output);
        assert_eq!(
            (panics.len(), panics[0].line, panics[0].file.as_str()),
            (1, 9, "src/lib.rs")
        );
        let sides = crate::libtest::sides::of(&panics[0].message).expect("two sides");
        assert_eq!(
            (sides.left.as_deref(), sides.right.as_deref()),
            (Some("1"), Some("2"))
        );
    }
}
