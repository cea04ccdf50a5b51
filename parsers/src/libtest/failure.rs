//! Makes a structured failure of what a failed Rust test printed.

use crate::cargo::package::Package;
use crate::compose;
use crate::libtest::backtrace;
use crate::libtest::crates;
use crate::libtest::panic;
use crate::libtest::panic::Panic;
use crate::libtest::sides;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// The failure of `test`. `output` is what it printed, `verdict` what the harness says besides
/// (about `should_panic`).
pub(crate) fn of(test: &str, output: &str, verdict: Option<&str>, package: &Package) -> Failure {
    let output = text::clean(output);
    let panics = panic::all(&output);
    let decisive = panic::decisive(&panics, test);
    let mut failure = match (expectation(verdict, &output), returned(&output, decisive)) {
        (Some(expectation), _) => unexpected(test, expectation, decisive, package),
        (None, Some((at, error))) => {
            let mut failure = compose::failure(test, FailureKind::ReturnedErr, Phase::Call, error);
            failure.details = text::block(&output[at..], text::DETAILS);
            failure.stdout = text::block(&output[..at], text::DETAILS);
            failure.kind_sure = decisive.is_none();
            return doctest_place(failure, package);
        }
        (None, None) => match decisive {
            Some(panic) => {
                let mut failure = panicked(test, panic, &output, package);
                // The runtime's own last panic: what led to it is in the user's code.
                if failure.location.is_none()
                    && panic.message.starts_with("panic in a ")
                    && let Some(before) = panics
                        .iter()
                        .rfind(|before| before.thread == panic.thread && before.start < panic.start)
                {
                    place(&mut failure, before, package);
                }
                failure
            }
            None => silent(test, &output),
        },
    };
    let from = decisive.map_or(output.len(), |panic| panic.start);
    failure.stdout = text::block(&output[..from], text::DETAILS);
    if failure.details.is_none() {
        failure.details = text::block(&output[from..], text::DETAILS);
    }
    let message = decisive.map_or("", |panic| panic.message.as_str());
    crates::refine(&mut failure, message, &output, package);
    doctest_place(failure, package)
}

/// What the harness says about `should_panic`, from the event or the output's end.
fn expectation<'a>(verdict: Option<&'a str>, output: &'a str) -> Option<&'a str> {
    if let Some(verdict) = verdict {
        return Some(verdict);
    }
    let tail = output.trim_end();
    let at = tail
        .rfind("note: test did not panic as expected")
        .or_else(|| tail.rfind("note: panic did not contain expected string"))
        .or_else(|| tail.rfind("note: expected panic with string value"))?;
    let own_line = at == 0 || tail.as_bytes().get(at - 1) == Some(&b'\n');
    own_line.then(|| tail[at..].trim_start_matches("note: "))
}

fn unexpected(test: &str, verdict: &str, panic: Option<&Panic>, package: &Package) -> Failure {
    let silent = verdict.starts_with("test did not panic");
    let kind = if silent {
        FailureKind::UnexpectedPass
    } else {
        FailureKind::Assertion
    };
    let mut failure = compose::failure(test, kind, Phase::Call, verdict);
    failure.details = text::block(verdict, text::DETAILS);
    if silent {
        let place = verdict.rsplit_once(" at ").map(|(_, place)| place);
        failure.location = place.and_then(|place| location(place, package));
    } else if let Some(panic) = panic {
        place(&mut failure, panic, package);
        let mut diff = crate::report::Diff::default();
        for line in verdict.lines() {
            if let Some(actual) = line.trim_start().strip_prefix("panic message: ") {
                diff.actual = Some(text::cap(actual, text::SIDE));
            }
            if let Some(expected) = line.trim_start().strip_prefix("expected substring: ") {
                diff.expected = Some(text::cap(expected, text::SIDE));
            }
        }
        failure.diff = diff.expected.is_some().then_some(diff);
    }
    failure
}

/// The error of a test that returned `Err`: an `Error: ` line that belongs to no panic's text.
fn returned<'a>(output: &'a str, panic: Option<&Panic>) -> Option<(usize, &'a str)> {
    let from = match panic {
        Some(panic) if !panic.closed => return None,
        Some(panic) => panic.end,
        None => 0,
    };
    let rest = output.get(from..)?;
    let at = if rest.starts_with("Error: ") {
        0
    } else {
        rest.rfind("\nError: ")? + 1
    };
    Some((from + at, &rest[at + "Error: ".len()..]))
}

fn panicked(test: &str, panic: &Panic, output: &str, package: &Package) -> Failure {
    let (kind, sure) = kind(&panic.message);
    let mut failure = compose::failure(test, kind, Phase::Call, &panic.message);
    failure.kind_sure = sure;
    failure.diff = sides::of(&panic.message);
    failure.frames = backtrace::frames(&output[panic.start..panic.end.min(output.len())], package);
    place(&mut failure, panic, package);
    failure
}

/// Without a panic and without an error: all that is known is that it failed.
fn silent(test: &str, output: &str) -> Failure {
    let said = [
        (
            "Test executable succeeded, but it's marked `should_panic`",
            FailureKind::UnexpectedPass,
        ),
        (
            "Test compiled successfully, but it's marked `compile_fail`",
            FailureKind::UnexpectedPass,
        ),
        (
            "Some expected error codes were not found",
            FailureKind::Assertion,
        ),
    ];
    for (phrase, kind) in said {
        if let Some(line) = output.lines().rfind(|line| line.starts_with(phrase)) {
            return compose::failure(test, kind, Phase::Call, line);
        }
    }
    if output.contains("Couldn't compile the test.") {
        return not_compiled(test, output);
    }
    let line = output.lines().rfind(|line| !line.trim().is_empty());
    let mut failure = compose::failure(
        test,
        FailureKind::Panic,
        Phase::Call,
        line.unwrap_or("failed without a message"),
    );
    failure.kind_sure = false;
    failure.details = text::block(output, text::DETAILS);
    failure
}

/// A doctest that does not compile; the compiler's own location is right there.
fn not_compiled(test: &str, output: &str) -> Failure {
    // With `--error-format short` the place stands before the level.
    let short = output.lines().find_map(|line| {
        let (place, rest) = line.split_once(": error")?;
        let known = backtrace::file_and_line(place).is_some_and(|(file, _)| file.ends_with(".rs"));
        known.then_some((place, &line[line.len() - rest.len() - "error".len()..]))
    });
    let error = output.lines().find(|line| line.starts_with("error"));
    let error = short.map(|(_, error)| error).or(error);
    let message = error
        .and_then(|line| line.split_once(": "))
        .map_or("does not compile", |(_, m)| m);
    let mut failure = compose::failure(test, FailureKind::CompileError, Phase::Call, message);
    failure.code = error.and_then(|line| {
        let code = line.strip_prefix("error[")?.split_once(']')?.0;
        Some(code.to_owned())
    });
    failure.details = text::block(output, text::DETAILS);
    let place = output
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("--> "));
    let place = short.map(|(place, _)| place).or(place);
    failure.location = place.and_then(|place| location(place, &Package::default()));
    failure
}

/// What kind of panic a message belongs to, and whether it proves it.
fn kind(message: &str) -> (FailureKind, bool) {
    let asserts = [
        "assertion failed: ",
        "assertion `left ",
        "snapshot assertion for ",
    ];
    if asserts.iter().any(|start| message.starts_with(start)) {
        return (FailureKind::Assertion, true);
    }
    let panics = [
        "called `Option::unwrap()` on a `None` value",
        "called `Result::unwrap",
        "called `Result::expect",
        "index out of bounds: ",
        "attempt to ",
        "not yet implemented",
        "not implemented",
        "internal error: entered unreachable code",
        "explicit panic",
        "byte index ",
        "range ",
        "already borrowed",
        "already mutably borrowed",
        "RefCell already",
        "capacity overflow",
        "no entry found for key",
    ];
    let sure = panics.iter().any(|start| message.starts_with(start));
    (FailureKind::Panic, sure)
}

/// The innermost user frame: the panic's own place if that is the user's, else the backtrace's
/// first one that is.
fn place(failure: &mut Failure, panic: &Panic, package: &Package) {
    let file = package.compiler_path(&panic.file);
    if package.context.is_user(&file) {
        failure.location = Some(Location {
            file,
            line: Some(panic.line),
            column: Some(panic.column),
        });
        return;
    }
    let user = failure.frames.iter().find(|frame| frame.user);
    failure.location = user.map(|frame| Location {
        file: frame.file.clone(),
        line: frame.line,
        column: None,
    });
}

/// `file:line:column`, relative to the project.
fn location(place: &str, package: &Package) -> Option<Location> {
    let (file, line) = backtrace::file_and_line(place)?;
    let column = place
        .trim_end()
        .strip_prefix(file)?
        .trim_start_matches(':')
        .split_once(':');
    Some(Location {
        file: package.compiler_path(file),
        line: Some(line),
        column: column.and_then(|(_, column)| column.parse().ok()),
    })
}

/// A doctest's panic has the line of a file that nobody sees: the fence in its id counts.
fn doctest_place(mut failure: Failure, package: &Package) -> Failure {
    let Some((file, line)) = doctest(&failure.id) else {
        return failure;
    };
    let fence = Location {
        file: package.compiler_path(file),
        line: Some(line),
        column: None,
    };
    if failure.kind == FailureKind::CompileError {
        if let Some(own) = &mut failure.location {
            own.file = package.compiler_path(&own.file);
        }
        if failure
            .location
            .as_ref()
            .is_none_or(|own| own.file != fence.file)
        {
            failure.location = Some(fence.clone());
        }
    } else {
        failure.location = Some(fence.clone());
        failure.frames.clear();
    }
    failure.test_location = Some(fence);
    failure
}

/// File and line of a doctest's id, `src/lib.rs - add (line 2)`.
pub(crate) fn doctest(id: &str) -> Option<(&str, u32)> {
    // Most ids are those of tests, and have no space.
    memchr::memchr(b' ', id.as_bytes())?;
    let (file, rest) = id.split_once(" - ")?;
    let line = rest.rsplit_once("(line ")?.1.strip_suffix(')')?;
    Some((file, line.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;

    fn package() -> Package {
        Package::new(Context::rooted("/p"), "/p")
    }

    #[test]
    fn assert_with_a_message_and_panic_look_alike() {
        let output = "\nthread 'tests::a' (9) panicked at src/lib.rs:3:5:\nplain words\n";
        let failure = of("tests::a", output, None, &package());
        assert_eq!(
            (failure.kind, failure.kind_sure),
            (FailureKind::Panic, false)
        );
        assert_eq!(
            failure.location.map(|at| (at.file, at.line, at.column)),
            Some(("src/lib.rs".into(), Some(3), Some(5)))
        );
    }

    #[test]
    fn a_returned_error_is_no_panic() {
        let failure = of(
            "tests::err",
            "said\nError: \"bad\\nthing\"\n",
            None,
            &package(),
        );
        assert_eq!(failure.kind, FailureKind::ReturnedErr);
        assert_eq!(failure.message, "\"bad\\nthing\"");
        assert_eq!(failure.stdout.as_deref(), Some("said"));
        assert_eq!(failure.location, None);
    }

    #[test]
    fn a_panic_that_says_error_is_a_panic() {
        let output = "\nthread 't' (9) panicked at src/lib.rs:3:5:\nError: x\nError: y\n";
        assert_eq!(of("t", output, None, &package()).kind, FailureKind::Panic);
    }

    #[test]
    fn a_panic_without_words_is_not_the_expected_one() {
        let output = "\nthread 'a' (9) panicked at src/lib.rs:3:5:\nBox<dyn Any>\nnote: expected panic with string value,\n found non-string value: `TypeId(0x56)`\n     expected substring: \"x\"\n";
        let failure = of("a", output, None, &package());
        assert_eq!(failure.kind, FailureKind::Assertion);
        let expected = failure.diff.and_then(|diff| diff.expected);
        assert_eq!(expected.as_deref(), Some("\"x\""));
    }

    #[test]
    fn should_panic_both_ways() {
        let quiet = of(
            "tests::sp",
            "",
            Some("test did not panic as expected at src/lib.rs:19:50"),
            &package(),
        );
        assert_eq!(quiet.kind, FailureKind::UnexpectedPass);
        assert_eq!(quiet.location.and_then(|at| at.line), Some(19));
        let other = "\nthread 'tests::sp2' (1) panicked at src/lib.rs:20:58:\nfoo\nnote: panic did not contain expected string\n      panic message: \"foo\"\n expected substring: \"boo\"";
        let failure = of("tests::sp2", other, None, &package());
        assert_eq!(failure.kind, FailureKind::Assertion);
        let diff = failure.diff.expect("both sides");
        assert_eq!(
            (diff.actual.as_deref(), diff.expected.as_deref()),
            (Some("\"foo\""), Some("\"boo\""))
        );
    }

    #[test]
    fn a_doctest_is_where_its_fence_is() {
        let output = "\nthread 'src/lib.rs - add (line 7)' (16560) panicked at /tmp/rustdoctestAkkI9O/doctest_bundle_2024.rs:14:1:\nassertion `left == right` failed\n  left: 3\n right: 4\n";
        let failure = of("src/lib.rs - add (line 7)", output, None, &package());
        assert_eq!(
            failure.location.map(|at| (at.file, at.line)),
            Some(("src/lib.rs".into(), Some(7)))
        );
        assert_eq!(
            failure.diff.and_then(|diff| diff.left).as_deref(),
            Some("3")
        );
    }
}
