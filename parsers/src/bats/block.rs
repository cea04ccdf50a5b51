//! What bats says about a failure: where, which command, and what was printed.
//!
//! ```text
//! (from function `same' in file test/helper.bash, line 4,
//!  in test file test/a.bats, line 13)
//!   `same a b' failed
//! what the test printed
//! ```

use crate::context::Context;
use crate::libtest::sides;
use crate::report::Diff;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Frame;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// More frames than this are not kept.
const MOST_FRAMES: usize = 40;

/// Whether a text is such a block.
pub(crate) fn is(text: &str) -> bool {
    ["(in test file ", "(from function ", "(in file "]
        .iter()
        .any(|start| text.starts_with(start))
        && text.contains(", line ")
}

/// A line of bats's own that stands at the end of whatever was read before.
pub(crate) fn is_warning(line: &str) -> bool {
    line.starts_with("bats warning: Executed ")
}

/// Lays a block into a failure.
pub(crate) fn explain(failure: &mut Failure, lines: &[&str], context: &Context) {
    let lines: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| !is_warning(line))
        .collect();
    failure.kind = FailureKind::Assertion;
    let mut at = 0;
    while let Some(frame) = lines.get(at).and_then(|line| frame(line, context)) {
        at += 1;
        if failure.frames.len() < MOST_FRAMES {
            failure.frames.push(frame);
        }
        if lines[at - 1].ends_with(')') {
            break;
        }
    }
    let innermost = failure.frames.iter().find(|frame| frame.user);
    failure.location = innermost.map(|frame| Location {
        file: frame.file.clone(),
        line: frame.line,
        column: None,
    });
    (failure.kind, failure.phase) = phase(&failure.frames);
    let said = lines.get(at).map_or("", |line| line.trim());
    let command = said.starts_with(|c: char| !c.is_alphanumeric()) && said.contains(" failed");
    let output = match command && !failure.frames.is_empty() {
        true => &lines[at + 1..],
        false => &lines[at..],
    };
    if command {
        judge(failure, said);
        failure.message = text::one_line(said);
    } else {
        let first = output.iter().find(|line| !line.trim().is_empty());
        failure.message = text::one_line(first.map_or("", |line| line));
    }
    if let Some(title) = title(output) {
        failure.message = text::one_line(&format!("{}: {title}", failure.message));
    }
    failure.diff = compared(output);
    failure.stdout = text::block(&output.join("\n"), text::DETAILS);
    failure.details = text::block(&lines.join("\n"), text::DETAILS);
}

/// In which phase the innermost function of bats's own names failed.
fn phase(frames: &[Frame]) -> (FailureKind, Phase) {
    for frame in frames {
        match frame.function.as_deref() {
            Some("setup" | "setup_file" | "setup_suite") => {
                return (FailureKind::SetupError, Phase::Setup);
            }
            Some("teardown" | "teardown_file" | "teardown_suite") => {
                return (FailureKind::TeardownError, Phase::Teardown);
            }
            _ => {}
        }
    }
    (FailureKind::Assertion, Phase::Call)
}

/// Any command that fails fails a test: whether it was meant as an assertion is seen from it.
fn judge(failure: &mut Failure, said: &str) {
    if said.ends_with("failed due to timeout") {
        (failure.kind, failure.kind_sure) = (FailureKind::Timeout, true);
    }
    if failure.kind != FailureKind::Assertion {
        failure.kind_sure = true;
        return;
    }
    let command = said.trim_start_matches(['`', '\'', '"']);
    let first = command.split([' ', '\'', ';']).next().unwrap_or("");
    let status = said
        .rsplit_once("failed with status ")
        .map(|(_, status)| status.trim());
    if first == "exit" {
        (failure.kind, failure.kind_sure) = (FailureKind::ExitNonzero, true);
        return;
    }
    let asserts = [
        "[", "[[", "((", "test", "grep", "diff", "cmp", "false", "fail", "!", "run",
    ];
    let named = ["assert", "refute", "expect"]
        .iter()
        .any(|word| first.starts_with(word));
    failure.kind_sure =
        named || asserts.contains(&first) || first.starts_with("((") || status.is_none();
}

/// One line of the header.
fn frame(line: &str, context: &Context) -> Option<Frame> {
    let line = line.trim_start_matches(['(', ' ']);
    let (function, rest) = match line.strip_prefix("from function ") {
        Some(rest) => {
            let (name, rest) = rest.split_once(" in ")?;
            let name = name.trim_matches(['`', '\'', '"']);
            (Some(name.to_owned()), rest)
        }
        None => (None, line.strip_prefix("in ")?),
    };
    let rest = rest.strip_prefix("test ").unwrap_or(rest);
    let (file, number) = rest.strip_prefix("file ")?.rsplit_once(", line ")?;
    let number = number.trim_end_matches([',', ')', ' ']);
    let file = context.relative(file);
    Some(Frame {
        user: context.is_user(&file) && !is_library(&file),
        line: Some(number.parse().ok()?),
        file,
        function,
    })
}

/// Whether a file is bats's or one of its libraries'.
fn is_library(file: &str) -> bool {
    file.split('/').any(|part| {
        matches!(
            part,
            "bats-core" | "bats-assert" | "bats-support" | "bats-file" | "bats-mock" | "bats-detik"
        )
    }) || file.starts_with("/usr/lib/bats")
}

/// `-- values do not equal --`
fn title<'a>(output: &[&'a str]) -> Option<&'a str> {
    output.iter().find_map(|line| {
        let title = line.strip_prefix("-- ")?.strip_suffix(" --")?;
        (!title.is_empty()).then_some(title)
    })
}

/// The two sides that bats-assert and its kin print, in one line or in several.
fn compared(output: &[&str]) -> Option<Diff> {
    let start = output
        .iter()
        .position(|line| line.starts_with("-- ") && line.ends_with(" --"))?;
    let (mut expected, mut actual) = (None, None);
    let mut at = start + 1;
    while at < output.len() && output[at].trim_end() != "--" {
        let line = output[at];
        at += 1;
        let label = line.split([' ', ':']).next().unwrap_or("");
        let side = match label {
            "expected" => &mut expected,
            "actual" => &mut actual,
            _ => continue,
        };
        let rest = line[label.len()..].trim_start();
        if let Some(value) = rest.strip_prefix(':') {
            *side = Some(value.strip_prefix(' ').unwrap_or(value).to_owned());
        } else if rest.starts_with('(') {
            let from = at;
            while at < output.len() && (output[at].starts_with("  ") || output[at].is_empty()) {
                at += 1;
            }
            let lines = output[from..at]
                .iter()
                .map(|line| line.get(2..).unwrap_or(""));
            *side = Some(lines.collect::<Vec<_>>().join("\n"));
        }
    }
    let (expected, actual) = (expected?, actual?);
    Some(sides::expected_actual(Some(&expected), Some(&actual), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose;

    fn read(text: &str) -> Failure {
        let mut failure = compose::failure("a", FailureKind::Assertion, Phase::Call, "");
        let lines: Vec<&str> = text.lines().collect();
        explain(&mut failure, &lines, &Context::rooted("/p"));
        failure
    }

    #[test]
    fn frames_and_sides_are_read() {
        let failure = read(
            "(from function `assert_equal' in file /usr/lib/bats/bats-assert/src/assert.bash, line 40,\n from function `same' in file test/h.bash, line 4,\n in test file test/a, b.bats, line 13)\n  `same a b' failed\n\n-- output differs --\nexpected (2 lines):\n  one\n  two\nactual (1 lines):\n  1\n--\n\nbats warning: Executed 4 instead of expected 5 tests",
        );
        let at = failure.location.expect("a place");
        assert_eq!((at.file.as_str(), at.line), ("test/h.bash", Some(4)));
        assert_eq!(failure.frames[2].file, "test/a, b.bats");
        let diff = failure.diff.expect("two sides");
        assert_eq!(
            (diff.expected.as_deref(), diff.actual.as_deref()),
            (Some("one\ntwo"), Some("1"))
        );
        assert_eq!(failure.message, "`same a b' failed: output differs");
        assert!(!failure.details.is_some_and(|text| text.contains("warning")));
    }

    #[test]
    fn the_phase_is_that_of_the_function() {
        let failure =
            read("(from function `setup' in test file b.bats, line 4)\n  `false' failed\nsaid");
        assert_eq!(
            (failure.kind, failure.phase),
            (FailureKind::SetupError, Phase::Setup)
        );
        assert_eq!(failure.stdout.as_deref(), Some("said"));
        let left = read("(in test file b.bats, line 4)\n  `exit 4' failed with status 4");
        assert_eq!(left.kind, FailureKind::ExitNonzero);
        let unsure = read("(in test file b.bats, line 4)\n  `tool --x' failed with status 127");
        assert!(!unsure.kind_sure);
    }
}
