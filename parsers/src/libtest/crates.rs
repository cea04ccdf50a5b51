//! What assertions of widespread crates say in their own way: insta, googletest, proptest,
//! quickcheck.

use crate::cargo::package::Package;
use crate::libtest::backtrace;
use crate::libtest::sides;
use crate::report::Diff;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::text;

/// Adds what is known of the crate whose assertion failed. `output` is all that the test
/// printed, `message` that of the decisive panic.
pub(crate) fn refine(failure: &mut Failure, message: &str, output: &str, package: &Package) {
    if message.starts_with("snapshot assertion for ") {
        insta(failure, output, package);
    } else if let Some(said) =
        googletest(message).or_else(|| googletest(last_value(output, message)))
    {
        said.lay(failure, package);
    } else if let Some(said) = message.strip_prefix("Test failed: ") {
        proptest(failure, said, package);
    } else if message.starts_with("[quickcheck] TEST FAILED") {
        (failure.kind, failure.kind_sure) = (FailureKind::Assertion, true);
    }
}

/// `file:line` or `file:line:column`, if it lies in the project.
fn user_place(place: &str, package: &Package) -> Option<Location> {
    let (file, line) = backtrace::file_and_line(place.trim())?;
    let column = place.trim().strip_prefix(file)?.trim_start_matches(':');
    let column = column
        .split_once(':')
        .and_then(|(_, column)| column.parse().ok());
    let file = package.compiler_path(file);
    package.context.is_user(&file).then_some(Location {
        file,
        line: Some(line),
        column,
    })
}

/// insta panics in its own file, and shows what differs before.
fn insta(failure: &mut Failure, output: &str, package: &Package) {
    let Some(start) = output.rfind("Snapshot Summary ") else {
        return;
    };
    let summary = &output[start..];
    let source = summary
        .lines()
        .find_map(|line| line.strip_prefix("Source: "));
    if failure.location.is_none() {
        failure.location = source.and_then(|place| user_place(place, package));
    }
    let (mut expected, mut actual) = (String::new(), String::new());
    let mut any = false;
    for line in summary.lines() {
        let Some((numbers, rest)) = line.split_once('│') else {
            continue;
        };
        if !numbers
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_digit())
        {
            continue;
        }
        let (sign, rest) = rest.split_at(rest.chars().next().map_or(0, char::len_utf8));
        any = true;
        for (side, other) in [(&mut expected, "+"), (&mut actual, "-")] {
            if sign != other {
                side.push_str(rest);
                side.push('\n');
            }
        }
    }
    if any {
        let (expected, actual) = (expected.trim_end(), actual.trim_end());
        failure.diff = Some(sides::expected_actual(Some(expected), Some(actual), None));
    }
}

/// What googletest says about one value.
struct Said<'a> {
    value: &'a str,
    expected: &'a str,
    actual: &'a str,
    place: Option<&'a str>,
}

impl Said<'_> {
    fn lay(&self, failure: &mut Failure, package: &Package) {
        (failure.kind, failure.kind_sure) = (FailureKind::Assertion, true);
        let words = format!(
            "value of {}: expected {}, was {}",
            self.value, self.expected, self.actual
        );
        failure.message = text::one_line(&words);
        failure.diff = Some(Diff {
            expected: Some(text::cap(self.expected, text::SIDE)),
            actual: Some(text::cap(self.actual, text::SIDE)),
            ..Diff::default()
        });
        if let Some(at) = self.place.and_then(|place| user_place(place, package)) {
            failure.location = Some(at);
        }
    }
}

/// The last value that is spoken of, where the panic itself says nothing.
fn last_value<'a>(output: &'a str, message: &str) -> &'a str {
    if !message.is_empty() {
        return "";
    }
    output.rfind("Value of: ").map_or("", |at| &output[at..])
}

fn googletest(text: &str) -> Option<Said<'_>> {
    let text = text.trim_start();
    let mut said = Said {
        value: text.strip_prefix("Value of: ")?.lines().next()?,
        expected: "",
        actual: "",
        place: None,
    };
    for line in text.lines().skip(1) {
        if let Some(expected) = line.strip_prefix("Expected: ") {
            said.expected = expected;
        } else if let Some(actual) = line.strip_prefix("Actual: ") {
            said.actual = actual.trim_end_matches(',');
        } else if let Some(place) = line.strip_prefix("  at ") {
            said.place = Some(place);
            break;
        }
    }
    (!said.expected.is_empty() && !said.actual.is_empty()).then_some(said)
}

/// proptest: `too large at src/lib.rs:47.`, and the input that it found.
fn proptest(failure: &mut Failure, said: &str, package: &Package) {
    let Some((said, _)) = said.split_once("\nminimal failing input:") else {
        return;
    };
    let asserted = said
        .strip_suffix('.')
        .and_then(|said| said.rsplit_once(" at "));
    if let Some((words, place)) = asserted
        && let Some(at) = user_place(place, package)
    {
        failure.location = Some(at);
        (failure.kind, failure.kind_sure) = (FailureKind::Assertion, true);
        failure.diff = sides::of(words).or(failure.diff.take());
    } else {
        failure.diff = sides::of(said.trim_end_matches('.')).or(failure.diff.take());
        if said.starts_with("assertion ") {
            (failure.kind, failure.kind_sure) = (FailureKind::Assertion, true);
        }
    }
}
