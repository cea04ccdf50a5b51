//! What a test's output says: `t.Log` and `t.Error` lines with their places, and the rest.

use memchr::memmem::Finder;
use regex::Regex;
use std::sync::LazyLock;

static FILE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(".go:"));
/// A log line behind what was printed without a line end.
static GLUED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(.*\S.*)    ([\w.-]+\.go):(\d{1,7}): (.*)$").expect("a constant pattern")
});

/// One call of `t.Log`, `t.Error` and their kin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The file as it was printed.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The message, without indentation.
    pub text: String,
    /// Whether it was an error, where testing says so (Go 1.26 and later).
    pub error: Option<bool>,
}

/// A test's output, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Logged {
    /// What was logged.
    pub entries: Vec<Entry>,
    /// What was printed.
    pub printed: Vec<String>,
}

/// Sorts the lines of an output.
pub(crate) fn sort(lines: &[&str]) -> Logged {
    let typed = lines.iter().any(|line| line.starts_with('\u{2}'));
    let mut logged = Logged::default();
    let mut inside = false;
    for line in lines {
        let (mark, line) = match line.chars().next() {
            Some(mark @ ('\u{2}' | '\u{3}')) => (Some(mark), &line[1..]),
            _ => (None, *line),
        };
        let more = line.strip_prefix("        ");
        if let Some(found) = log_line(line).filter(|_| mark != Some('\u{3}')) {
            let error = typed.then_some(mark.is_some());
            inside = push(&mut logged, found, error);
        } else if let (true, Some(text), Some(last)) = (inside, more, logged.entries.last_mut()) {
            last.text.push('\n');
            last.text.push_str(text);
        } else if inside && line.trim().is_empty() && mark.is_none() {
            // A blank line below a log line may be either's; log lines keep their indentation.
            if let Some(last) = logged.entries.last_mut().filter(|_| line.starts_with(' ')) {
                last.text.push('\n');
            } else {
                logged.printed.push(line.to_owned());
            }
        } else if let Some((before, found)) = glued(line) {
            logged.printed.push(before.to_owned());
            inside = push(&mut logged, found, None);
        } else {
            inside = false;
            logged.printed.push(line.to_owned());
        }
    }
    for entry in &mut logged.entries {
        entry.text.truncate(entry.text.trim_end().len());
    }
    logged
}

fn push(logged: &mut Logged, found: (&str, &str, &str), error: Option<bool>) -> bool {
    let (file, line, text) = found;
    let Ok(line) = line.parse() else {
        return false;
    };
    logged.entries.push(Entry {
        file: file.to_owned(),
        line,
        text: text.to_owned(),
        error,
    });
    true
}

/// File, line and message of `    a_test.go:12: message`; the file is whole with `-fullpath`.
fn log_line(line: &str) -> Option<(&str, &str, &str)> {
    let rest = line.strip_prefix("    ")?;
    let (file, rest) = rest.split_at(memchr::memchr(b':', rest.as_bytes())?);
    if file.starts_with(char::is_whitespace) {
        return None;
    }
    let (name, kind) = file.rsplit_once('.')?;
    let known = !name.is_empty() && matches!(kind, "go" | "s" | "y" | "rl" | "qtpl");
    let (number, text) = rest[1..].split_once(':')?;
    let digits = (1..=7).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix(' ').unwrap_or(text);
    (known && digits).then_some((file, number, text))
}

/// The same behind something that was printed without a line end.
fn glued(line: &str) -> Option<(&str, (&str, &str, &str))> {
    FILE.find(line.as_bytes())?;
    let found = GLUED.captures(line)?;
    let part = |at: usize| found.get(at).map(|part| part.as_str());
    Some((part(1)?, (part(2)?, part(3)?, part(4)?)))
}

impl Entry {
    /// Whether the message reads as if something was wrong.
    pub fn complains(&self) -> bool {
        const WORDS: [&str; 14] = [
            "error",
            "fail",
            "mismatch",
            "should",
            "unexpected",
            "differ",
            "wrong",
            "invalid",
            "assert",
            "panic",
            "must",
            "got",
            "missing",
            "cannot",
        ];
        let text = self.text.to_lowercase();
        WORDS.iter().any(|word| text.contains(word))
    }

    /// Whether the message compares.
    pub fn compares(&self) -> bool {
        const WORDS: [&str; 6] = [
            "want",
            "expect",
            "error trace:",
            "not equal",
            "!=",
            "race detected",
        ];
        let text = self.text.to_lowercase();
        WORDS.iter().any(|word| text.contains(word))
    }

    /// As it was printed.
    pub fn shown(&self) -> String {
        format!(
            "    {}:{}: {}",
            self.file,
            self.line,
            self.text.replace('\n', "\n        ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_and_prints_are_told_apart() {
        let logged = sort(&[
            "printed",
            "    a_test.go:4: one",
            "        two",
            "        ",
            "        three",
            "    printed, too",
            "    b.go:7: ",
            "        \tError Trace:\tx",
            "no end    a_test.go:9: glued",
        ]);
        let texts: Vec<&str> = logged
            .entries
            .iter()
            .map(|entry| entry.text.as_str())
            .collect();
        assert_eq!(texts, ["one\ntwo\n\nthree", "\n\tError Trace:\tx", "glued"]);
        assert_eq!(logged.printed, ["printed", "    printed, too", "no end"]);
    }

    #[test]
    fn newer_versions_say_what_is_an_error() {
        let logged = sort(&[
            "    a_test.go:4: one",
            "\u{2}    a_test.go:5: two",
            "\u{3}        more",
        ]);
        let errors: Vec<Option<bool>> = logged.entries.iter().map(|entry| entry.error).collect();
        assert_eq!(errors, [Some(false), Some(true)]);
        assert_eq!(logged.entries[1].text, "two\nmore");
    }
}
