//! One failure of PHPUnit, out of its block of text, its XML or its TeamCity message.

use crate::compose;
use crate::context::Context;
use crate::junit::xml::Element;
use crate::phpunit::compare;
use crate::phpunit::frames;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// What PHPUnit's headings call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// An exception or PHP's own error.
    Error,
    /// An assertion.
    Failure,
    /// PHPUnit before 10: the test itself is not right.
    Warning,
    /// PHPUnit 10 and later: no test's, a data provider's, say.
    Runner,
}

/// A title without the data at its end: `A::t with data set "x" (1, 2)`.
pub(crate) fn id(title: &str) -> String {
    let title = title.trim_end();
    if let Some(at) = title.find(" with data set ") {
        let set = &title[at + " with data set ".len()..];
        let from = title.len() - set.len();
        let end = match set.strip_prefix('#') {
            Some(number) => {
                1 + number
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(number.len())
            }
            None => set.find("\" (").map_or(set.len(), |quote| quote + 1),
        };
        return title[..from + end].to_owned();
    }
    match title.find(" with data (") {
        Some(at) => title[..at].to_owned(),
        None => title.to_owned(),
    }
}

/// The failure of a block: its title and what stands below.
pub(crate) fn of(title: &str, body: &str, section: Section, context: &Context) -> Failure {
    let id = id(title);
    let body = body.trim_matches(['\n', '\r']);
    if id == "Error" || id == "Warning" {
        return provider(&id, body, section, context);
    }
    let (kind, sure) = kind(section, body);
    let mut failure = compose::failure(&id, kind, Phase::Call, message(body));
    failure.kind_sure = sure;
    failure.target = id.split_once("::").map(|(class, _)| class.to_owned());
    failure.frames = frames::of(body, context);
    failure.location = frames::location(&failure.frames, context).or_else(|| inline(body, context));
    failure.diff = compare::sides(without_caused(body));
    failure.details = text::block(body, text::DETAILS);
    phase(&mut failure, body, context);
    if failure.kind == FailureKind::SetupError {
        failure.phase = Phase::Setup;
    }
    failure.rerun = super::rerun(&failure.id, context);
    compose::seal(failure)
}

fn kind(section: Section, body: &str) -> (FailureKind, bool) {
    match section {
        Section::Failure => (FailureKind::Assertion, true),
        Section::Error => (FailureKind::Panic, true),
        Section::Runner if body.contains("data provider") => (FailureKind::SetupError, false),
        Section::Runner | Section::Warning => (FailureKind::Panic, false),
    }
}

/// What a data provider threw belongs to the method that asked for it.
fn provider(id: &str, body: &str, section: Section, context: &Context) -> Failure {
    let named = |words: &str| {
        let rest = body.split_once(words)?.1;
        let end = rest.find([' ', '\n']).unwrap_or(rest.len());
        Some(rest[..end].trim_end_matches('.').to_owned())
    };
    let method =
        named("data provider specified for ").or_else(|| named("No tests found in class "));
    let name = method.as_deref().unwrap_or(id).trim_matches('"').to_owned();
    let mut failure = compose::failure(&name, FailureKind::SetupError, Phase::Setup, message(body));
    if !body.contains("data provider") {
        failure.kind = match section {
            Section::Error => FailureKind::Panic,
            _ => FailureKind::CollectionError,
        };
        failure.phase = Phase::Collect;
    }
    failure.kind_sure = false;
    failure.target = name.split_once("::").map(|(class, _)| class.to_owned());
    failure.frames = frames::of(body, context);
    failure.location = frames::location(&failure.frames, context);
    failure.details = text::block(body, text::DETAILS);
    let cause = body.lines().map(str::trim).nth(1).unwrap_or("");
    if !cause.is_empty() && frames::place(cause).is_none() {
        failure.message = text::one_line(&format!("{} {cause}", failure.message));
    }
    failure.rerun = super::rerun(&failure.id, context);
    compose::seal(failure)
}

/// `… in /p/a.php:5`, as an exception is shown that PHPUnit did not expect there.
fn inline(body: &str, context: &Context) -> Option<Location> {
    let line = body.lines().find(|line| line.contains(" in /"))?;
    let place = line.rsplit_once(" in ")?.1;
    let (file, line) = frames::place(place).or_else(|| on_line(place))?;
    let file = context.relative(file);
    frames::is_user(&file, context).then_some(Location {
        file,
        line: Some(line),
        column: None,
    })
}

/// `/p/a.php on line 5`.
pub(crate) fn on_line(place: &str) -> Option<(&str, u32)> {
    let (file, line) = place.trim().rsplit_once(" on line ")?;
    Some((file, line.parse().ok()?))
}

/// What failed last; what caused it comes below.
fn without_caused(body: &str) -> &str {
    body.find("\nCaused by\n").map_or(body, |at| &body[..at])
}

/// One line: the user's own words and what did not hold.
fn message(body: &str) -> String {
    let body = without_caused(body);
    let mut words = Vec::new();
    for line in body.lines().map(str::trim_end) {
        let over = line.is_empty() && !words.is_empty()
            || line == "--- Expected"
            || frames::place(line).is_some()
            || line == "Stack trace:";
        if over {
            break;
        }
        if !line.trim().is_empty() {
            words.push(line.trim());
        }
        if words.len() > 3 {
            break;
        }
    }
    let first = words.first().copied().unwrap_or("");
    // The exception's place is told elsewhere.
    let first = match first.rsplit_once(" in ") {
        Some((said, place)) if frames::place(place).is_some() => said,
        _ => first,
    };
    // What a class's own step threw stands on the next line.
    if first.starts_with("Exception in ") && words.len() > 1 {
        return format!("{first}: {}", words[1]);
    }
    let asserting = words
        .iter()
        .find(|line| line.starts_with("Failed asserting"));
    match asserting {
        Some(line) if *line != first => format!("{first}: {line}"),
        _ => first.to_owned(),
    }
}

/// The phase, by the sources where they can be looked at, else by what the trace names.
fn phase(failure: &mut Failure, body: &str, context: &Context) {
    let method = failure.id.split_once("::").map_or("", |(_, method)| method);
    let bare = method.split([' ', '#']).next().unwrap_or(method).to_owned();
    let told = frames::by_name(&bare);
    let mut sure = told.is_some();
    let traced = [
        "setUpBeforeClass",
        "tearDownAfterClass",
        "setUp",
        "tearDown",
    ]
    .into_iter()
    .find(|name| body.contains(&format!("::{name}()")) || body.contains(&format!("->{name}()")));
    let mut found = told.or_else(|| traced.and_then(frames::by_name));
    sure |= found.is_some();
    if found.is_none() {
        let mut user = failure.frames.iter().filter(|frame| frame.user);
        let mut any = None;
        let in_test = user.any(|frame| {
            let inside = frames::inside(&frame.file, frame.line.unwrap_or(0), context);
            if let Some(phase) = inside.as_ref().and_then(|inside| inside.phase) {
                any = Some(phase);
            }
            inside.is_some_and(|inside| inside.function == bare)
        });
        if !in_test && any.is_some() {
            found = any;
            sure = true;
        }
    }
    if let Some(phase) = found {
        failure.phase = phase;
        failure.kind = match phase {
            Phase::Setup => FailureKind::SetupError,
            _ => FailureKind::TeardownError,
        };
        failure.kind_sure = sure;
    }
}

/// What only PHPUnit's XML has: the failure's text begins with the test's name, and the test's
/// own line tells a set-up that failed.
pub(crate) fn refine(failure: &mut Failure, case: &Element, child: &Element, context: &Context) {
    let kind = child.get("type").unwrap_or("");
    let section = match child.name.as_str() {
        "failure" => Section::Failure,
        "warning" => Section::Warning,
        _ => Section::Error,
    };
    let body = crate::junit::body(child);
    let (title, rest) = body.split_once('\n').unwrap_or((body, ""));
    let titled =
        title.contains("::") && !title.contains(": ") || title == "Error" || title == "Warning";
    // A data set's name may have line ends.
    let rest = match rest.split_once("\" (") {
        Some((name, _)) if titled && title.matches('"').count() == 1 && !name.contains("\n\n") => {
            rest.split_once('\n').map_or(rest, |(_, rest)| rest)
        }
        _ => rest,
    };
    let (title, rest) = if titled { (title, rest) } else { ("", body) };
    let title = match title {
        "Error" | "Warning" => title.to_owned(),
        _ => failure.id.clone(),
    };
    let mut read = of(&title, rest, section, context);
    let named =
        kind.ends_with("ExpectationFailedException") || kind.ends_with("AssertionFailedError");
    if section == Section::Error && named {
        read.kind = FailureKind::Assertion;
    }
    read.id = match title.as_str() {
        "Error" | "Warning" => read.id,
        _ => failure.id.clone(),
    };
    read.target.clone_from(&failure.target);
    read.stdout = failure.stdout.take();
    read.stderr = failure.stderr.take();
    read.duration_ms = failure.duration_ms;
    read.test_location = failure.test_location.take();
    by_line(&mut read, case);
    if read.location.is_none() {
        read.location.clone_from(&read.test_location);
    }
    read.rerun = super::rerun(&read.id, context);
    *failure = compose::seal(read);
}

/// Without sources: if no frame in the test's file lies behind the test's head, it never ran.
fn by_line(failure: &mut Failure, case: &Element) {
    let Some(at) = failure.test_location.clone() else {
        return;
    };
    if failure.phase != Phase::Call
        || failure.kind != FailureKind::Panic
        || case.get("line").is_none()
    {
        return;
    }
    let mut same = failure
        .frames
        .iter()
        .filter(|frame| frame.file == at.file)
        .peekable();
    let some = same.peek().is_some();
    if some && same.all(|frame| frame.line < at.line) {
        // Something was already asserted: the test itself is over.
        let asserted = case.get("assertions").and_then(|n| n.parse::<u64>().ok());
        let after = asserted.is_some_and(|number| number > 0);
        (failure.phase, failure.kind) = match after {
            true => (Phase::Teardown, FailureKind::TeardownError),
            false => (Phase::Setup, FailureKind::SetupError),
        };
        failure.kind_sure = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_lose_their_data() {
        for (title, expected) in [
            ("A\\BTest::testC", "A\\BTest::testC"),
            (
                "A::t with data set \"two words\" (1, 2)",
                "A::t with data set \"two words\"",
            ),
            (
                "A::t with data set \"with \"quotes\"\" ('a (b)', 'c')",
                "A::t with data set \"with \"quotes\"\"",
            ),
            ("A::t with data set #0 (3, 4)", "A::t with data set #0"),
            ("A::t with data set \"x\"", "A::t with data set \"x\""),
            ("A::t#0 with data (1)", "A::t#0"),
        ] {
            assert_eq!(id(title), expected);
        }
    }

    #[test]
    fn the_message_has_the_users_words_and_what_did_not_hold() {
        let body = "the sum is wrong\nFailed asserting that 2 matches expected 1.\n\n/p/t.php:12\n";
        let failure = of("A::t", body, Section::Failure, &Context::rooted("/p"));
        assert_eq!(
            failure.message,
            "the sum is wrong: Failed asserting that 2 matches expected 1."
        );
        assert_eq!(
            failure.location.map(|at| (at.file, at.line)),
            Some(("t.php".into(), Some(12)))
        );
    }
}
