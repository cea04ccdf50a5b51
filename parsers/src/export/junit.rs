//! JUnit XML, in the form that CI systems read (the schema of Jenkins' xUnit plugin).

use crate::export::Exported;
use crate::report::Failure;
use crate::report::FailureKind;
use std::fmt::Write;

/// Reports as one JUnit document, a `testsuite` each.
pub fn junit(exported: &[Exported<'_>]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for one in exported {
        suite(&mut text, one);
    }
    text.push_str("</testsuites>");
    text
}

fn suite(text: &mut String, one: &Exported<'_>) {
    let counts = &one.report.counts;
    let unlisted = one.unlisted();
    let errors = one.report.failures.iter().filter(|it| is_error(it)).count();
    let errors = errors as u64 + u64::from(unlisted.is_some());
    let failures = one.failed() - errors;
    let _ = write!(
        text,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{}\" time=\"{}\"",
        attribute(one.suite()),
        counts.passed + counts.skipped + one.failed(),
        counts.skipped,
        seconds(one.report.run.duration_ms),
    );
    if let Some(started) = &one.report.run.started {
        let _ = write!(text, " timestamp=\"{}\"", attribute(started));
    }
    text.push_str(">\n");
    let _ = writeln!(
        text,
        "    <properties>\n      <property name=\"regreen.outcome\" value=\"{}\"/>\n      \
         <property name=\"regreen.complete\" value=\"{}\"/>\n    </properties>",
        one.report.outcome.as_str(),
        one.report.complete,
    );
    for failure in &one.report.failures {
        case(text, one, failure);
    }
    if let Some(message) = unlisted {
        let (suite, message) = (attribute(one.suite()), attribute(&message));
        let outcome = one.report.outcome.as_str();
        let _ = writeln!(
            text,
            "    <testcase classname=\"{suite}\" name=\"{suite}\" time=\"0.000\"><error \
             type=\"{outcome}\" message=\"{message}\"/></testcase>",
        );
    }
    others(text, one);
    text.push_str("  </testsuite>\n");
}

fn others(text: &mut String, one: &Exported<'_>) {
    for other in one.others {
        let class = attribute(other.target.as_deref().unwrap_or(one.suite()));
        let name = attribute(&other.id);
        let rest = match other.skipped {
            true => "><skipped/></testcase>",
            false => "/>",
        };
        let _ = writeln!(
            text,
            "    <testcase classname=\"{class}\" name=\"{name}\" time=\"0.000\"{rest}"
        );
    }
}

/// What kept a test from running or ending is an error, what it found is a failure.
fn is_error(failure: &Failure) -> bool {
    !matches!(
        failure.kind,
        FailureKind::Assertion
            | FailureKind::Panic
            | FailureKind::ReturnedErr
            | FailureKind::ExitNonzero
            | FailureKind::UnexpectedPass
    )
}

fn case(text: &mut String, one: &Exported<'_>, failure: &Failure) {
    let class = attribute(failure.target.as_deref().unwrap_or(one.suite()));
    let time = seconds(failure.duration_ms);
    let _ = write!(
        text,
        "    <testcase classname=\"{class}\" name=\"{}\" time=\"{time}\"",
        attribute(&failure.id)
    );
    if let Some(at) = failure.location.as_ref().or(failure.test_location.as_ref()) {
        let _ = write!(text, " file=\"{}\"", attribute(&at.file));
        if let Some(line) = at.line {
            let _ = write!(text, " line=\"{line}\"");
        }
    }
    let tag = if is_error(failure) {
        "error"
    } else {
        "failure"
    };
    let kind = serde_json::to_value(failure.kind).unwrap_or_default();
    let details = failure.details.as_deref().unwrap_or(&failure.message);
    let _ = writeln!(
        text,
        ">\n      <{tag} type=\"{}\" message=\"{}\">{}</{tag}>",
        kind.as_str().unwrap_or("failure"),
        attribute(&failure.message),
        content(details),
    );
    for (tag, output) in [
        ("system-out", &failure.stdout),
        ("system-err", &failure.stderr),
    ] {
        if let Some(output) = output {
            let _ = writeln!(text, "      <{tag}>{}</{tag}>", content(output));
        }
    }
    text.push_str("    </testcase>\n");
}

fn seconds(millis: Option<u64>) -> String {
    let millis = millis.unwrap_or(0);
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// The value of an attribute: a reader would make blanks of its line ends and tabs.
fn attribute(text: &str) -> String {
    escape(text, true)
}

/// The text between two tags.
fn content(text: &str) -> String {
    escape(text, false)
}

/// Text as XML 1.0 can carry it: most control characters have no way in, not even escaped.
fn escape(text: &str, attribute: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' if attribute => escaped.push_str("&quot;"),
            '\n' if attribute => escaped.push_str("&#10;"),
            '\t' if attribute => escaped.push_str("&#9;"),
            '\n' | '\t' => escaped.push(c),
            // Written as it is, a reader would take it for a line end.
            '\r' => escaped.push_str("&#13;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            '\u{7f}'..='\u{9f}' => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}
