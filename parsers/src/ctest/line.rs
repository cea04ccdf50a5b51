//! CTest's own lines: a test begins, a test ends, the summary.

/// How a test ended, as CTest words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    /// `Passed`.
    Passed,
    /// `***Failed`, with the reason where there is one.
    Failed(String),
    /// `***Timeout`.
    Timeout,
    /// `***Not Run`.
    NotRun,
    /// `***Not Run (Disabled)` and `***Skipped`.
    Skipped,
    /// `***Exception: SegFault`, `Subprocess aborted***Exception:`.
    Exception(String),
}

impl Status {
    /// Whether the test counts as failed.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Status::Passed | Status::Skipped)
    }

    /// The status of the words in the list at the end: `Failed`, `SEGFAULT`, `Not Run`.
    pub fn of_list(words: &str) -> Status {
        match words {
            "Failed" => Status::Failed(String::new()),
            "Timeout" => Status::Timeout,
            "Not Run" => Status::NotRun,
            "Disabled" | "Skipped" => Status::Skipped,
            other => Status::Exception(other.to_owned()),
        }
    }

    /// The signal that ended the test.
    pub fn signal(&self) -> Option<i32> {
        let Status::Exception(words) = self else {
            return None;
        };
        let words = words.to_ascii_lowercase();
        let known = [
            ("segfault", 11),
            ("subprocess aborted", 6),
            ("numerical", 8),
            ("illegal", 4),
            ("interrupt", 2),
            ("subprocess killed", 9),
            ("subprocess terminated", 15),
            ("sigbus", 7),
            ("bus error", 7),
        ];
        known
            .into_iter()
            .find(|(word, _)| words.contains(word))
            .map(|(_, signal)| signal)
    }
}

/// A line `      Start 12: name`.
pub(crate) fn start(line: &str) -> Option<(u64, &str)> {
    let rest = line.strip_prefix("    ")?.trim_start();
    let rest = rest.strip_prefix("Start ")?.trim_start();
    numbered(rest)
}

fn numbered(text: &str) -> Option<(u64, &str)> {
    let (number, name) = text.split_once(": ")?;
    let number = number.parse().ok().filter(|n| *n > 0)?;
    (!name.is_empty()).then_some((number, name))
}

/// A line ` 3/39 Test  #3: name ......***Failed    0.01 sec`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended<'a> {
    /// Which one it is of how many; a run that is repeated has none.
    pub index: Option<(u64, u64)>,
    /// Its number.
    pub number: u64,
    /// Name, dots, status, time.
    pub rest: &'a str,
}

/// The beginning of a result line.
pub(crate) fn ended(line: &str) -> Option<Ended<'_>> {
    let bare = line.trim_start();
    let (index, rest) = match bare.split_once('/') {
        Some((at, rest)) if bare.starts_with(|c: char| c.is_ascii_digit()) => {
            let (of, rest) = rest.split_once(' ')?;
            (Some((at.parse().ok()?, of.parse().ok()?)), rest)
        }
        _ if line.starts_with("    ") => (None, bare),
        _ => return None,
    };
    let rest = rest.trim_start();
    let rest = rest
        .strip_prefix("Test ")
        .or_else(|| rest.strip_prefix("MemCheck "))?;
    let (number, rest) = numbered(rest.trim_start().strip_prefix('#')?)?;
    Some(Ended {
        index,
        number,
        rest,
    })
}

/// Name, status and milliseconds of a result line; nothing of the time where the reason goes on
/// on the next line.
pub(crate) fn outcome<'a>(
    rest: &'a str,
    known: Option<&'a str>,
) -> Option<(&'a str, Status, Option<u64>)> {
    let told = known.and_then(|name| {
        let tail = rest.strip_prefix(name)?.strip_prefix(' ')?;
        status(tail.trim_start_matches('.')).map(|found| (name, found))
    });
    let found = told.or_else(|| {
        rest.match_indices(" .").take(200).find_map(|(at, _)| {
            let tail = rest[at + 1..].trim_start_matches('.');
            status(tail).map(|found| (&rest[..at], found))
        })
    });
    let (name, (status, ms)) = found?;
    Some((name, status, ms))
}

fn status(tail: &str) -> Option<(Status, Option<u64>)> {
    let (words, ms) = match seconds(tail) {
        Some((words, ms)) => (words, Some(ms)),
        None => (tail, None),
    };
    let words = words.trim();
    if words == "Passed" {
        return Some((Status::Passed, ms));
    }
    let (before, after) = words.split_once("***")?;
    let after = after.trim();
    let status = if let Some(reason) = after.strip_prefix("Failed") {
        Status::Failed(reason.trim().to_owned())
    } else if after.starts_with("Timeout") {
        Status::Timeout
    } else if after.starts_with("Not Run (Disabled)") || after.starts_with("Skipped") {
        Status::Skipped
    } else if after.starts_with("Not Run") {
        Status::NotRun
    } else if let Some(what) = after.strip_prefix("Exception:") {
        let words = format!("{} {}", before.trim(), what.trim());
        Status::Exception(words.trim().to_owned())
    } else if after.starts_with("Bad") || after.starts_with("No Process") {
        Status::NotRun
    } else if before.is_empty() && after.is_empty() {
        return None;
    } else {
        Status::Failed(after.to_owned())
    };
    Some((status, ms))
}

/// What stands before `   0.01 sec`, and how long that is.
pub(crate) fn seconds(text: &str) -> Option<(&str, u64)> {
    let rest = text.trim_end().strip_suffix(" sec")?;
    let (words, number) = rest.rsplit_once(' ').unwrap_or(("", rest));
    let seconds: f64 = number.parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then_some((words, (seconds * 1000.0).round() as u64))
}

/// `22% tests passed, 29 tests failed out of 37`: how many failed, out of how many.
pub(crate) fn summary(line: &str) -> Option<(u64, u64)> {
    let (percent, rest) = line.split_once("% tests passed, ")?;
    let _: u64 = percent.trim().parse().ok()?;
    let (failed, rest) = rest.split_once(' ')?;
    let rest = rest
        .strip_prefix("tests failed out of ")
        .or_else(|| rest.strip_prefix("test failed out of "))?;
    Some((failed.parse().ok()?, rest.trim().parse().ok()?))
}

/// `  3 - name (Failed)` behind a tab, with labels behind it in newer versions.
pub(crate) fn listed<'a>(
    line: &'a str,
    name_of: impl Fn(u64) -> Option<&'a str>,
) -> Option<(u64, &'a str, &'a str)> {
    let bare = line.strip_prefix('\t')?.trim_start();
    let (number, rest) = bare.split_once(" - ")?;
    let number = number.parse().ok()?;
    let tail = |name: &'a str| {
        let rest = rest.strip_prefix(name)?.strip_prefix(" (")?;
        rest.split_once(')').map(|(words, _)| (name, words))
    };
    let (name, words) = name_of(number).and_then(tail).or_else(|| {
        let close = rest.rfind(')')?;
        let open = rest[..close].rfind(" (")?;
        Some((&rest[..open], &rest[open + 2..close]))
    })?;
    Some((number, name, words))
}
