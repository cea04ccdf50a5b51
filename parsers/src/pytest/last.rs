//! The last line of a session: how many tests ended how.

/// The numbers of the last line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Last {
    /// Passed, unexpectedly passed too.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Errors of set-up, teardown, collection.
    pub errors: u64,
    /// Skipped, failed as expected.
    pub skipped: u64,
    /// Left out by `-k`, `-m` and the like.
    pub deselected: u64,
    /// Only collected (`--collect-only`).
    pub collected: u64,
}

const WORDS: [&str; 14] = [
    "passed",
    "xpassed",
    "failed",
    "error",
    "errors",
    "skipped",
    "xfailed",
    "deselected",
    "warning",
    "warnings",
    "rerun",
    "reruns",
    "subtests passed",
    "subtests skipped",
];

/// The whole line of `pytest -q`, nothing before and nothing after.
pub(crate) fn bare(line: &str) -> Option<Last> {
    let (counts, time) = line.trim_end().rsplit_once(" in ")?;
    // `61.20s (0:01:01)` above a minute.
    let (seconds, clock) = time.split_once(' ').unwrap_or((time, "(0)"));
    let digits = |text: &str, others: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_digit() || others.contains(c))
    };
    let timed = digits(seconds.strip_suffix('s')?, ".")
        && digits(clock.strip_prefix('(')?.strip_suffix(')')?, ":, days");
    let counted = counts == "no tests ran"
        || collected(counts).is_some()
        || counts.split(", ").all(|part| {
            part.split_once(' ')
                .is_some_and(|(number, word)| digits(number, "") && WORDS.contains(&word))
        });
    (timed && counted).then(|| of(line.trim_end())).flatten()
}

/// `1 failed, 2 passed, 3 warnings in 0.10s`.
pub(crate) fn of(title: &str) -> Option<Last> {
    let (counts, time) = title.rsplit_once(" in ")?;
    let seconds = time.split(' ').next()?;
    // Pytest 4 says `0.10 seconds`.
    let seconds = seconds
        .strip_suffix('s')
        .or(time.strip_suffix(" seconds"))?;
    seconds.parse::<f64>().ok()?;
    if let Some((collected, deselected)) = collected(counts) {
        return Some(Last {
            collected,
            deselected,
            ..Last::default()
        });
    }
    let mut last = Last::default();
    let mut any = counts == "no tests ran";
    for part in counts.split(", ") {
        let Some((number, word)) = part.split_once(' ') else {
            continue;
        };
        let Ok(number) = number.parse::<u64>() else {
            continue;
        };
        any |= WORDS.contains(&word);
        let field = match word {
            "passed" | "xpassed" => &mut last.passed,
            "failed" => &mut last.failed,
            "error" | "errors" => &mut last.errors,
            "skipped" | "xfailed" => &mut last.skipped,
            "deselected" => &mut last.deselected,
            _ => continue,
        };
        *field = field.saturating_add(number);
    }
    any.then_some(last)
}

/// `5 tests collected`, `2/5 tests collected (3 deselected)`, `no tests collected`.
fn collected(counts: &str) -> Option<(u64, u64)> {
    let (counts, more) = counts.split_once(" (").unwrap_or((counts, ""));
    let (counts, _) = counts.split_once(", ").unwrap_or((counts, ""));
    let number = counts
        .strip_suffix(" tests collected")
        .or(counts.strip_suffix(" test collected"))?;
    let deselected = more.strip_suffix(" deselected)");
    let deselected = deselected.and_then(|number| number.parse().ok());
    let number = number.split('/').next()?;
    let number = if number == "no" {
        0
    } else {
        number.parse().ok()?
    };
    Some((number, deselected.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_read() {
        let last = of("1 failed, 12 passed, 2 skipped, 1 xfailed, 3 warnings, 1 error in 0.10s");
        let expected = Last {
            passed: 12,
            failed: 1,
            errors: 1,
            skipped: 3,
            ..Last::default()
        };
        assert_eq!(last, Some(expected));
        assert_eq!(of("no tests ran in 0.01s"), Some(Last::default()));
        assert_eq!(of("FAILURES"), None);
        assert_eq!(
            of("8 failed, 3 passed, 3 subtests passed in 0.42s").map(|last| last.passed),
            Some(3)
        );
        assert_eq!(
            of("2/5 tests collected (3 deselected) in 0.01s").map(|last| last.collected),
            Some(2)
        );
        assert_eq!(
            of("2 passed, 1 rerun in 61.20s (0:01:01)").map(|last| last.passed),
            Some(2)
        );
    }
}
