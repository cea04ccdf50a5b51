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
    let errors = one
        .report
        .failures
        .iter()
        .filter(|failure| is_error(failure))
        .count() as u64;
    let failures = one.report.failures.len() as u64 - errors;
    let time = seconds(one.report.run.duration_ms);
    let _ = write!(
        text,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{}\" time=\"{time}\"",
        escape(one.suite()),
        counts.total,
        counts.skipped,
    );
    if let Some(started) = &one.report.run.started {
        let _ = write!(text, " timestamp=\"{}\"", escape(started));
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
    for other in one.others {
        let class = escape(other.target.as_deref().unwrap_or(one.suite()));
        let name = escape(&other.id);
        let rest = if other.skipped {
            "><skipped/></testcase>"
        } else {
            "/>"
        };
        let _ = writeln!(
            text,
            "    <testcase classname=\"{class}\" name=\"{name}\" time=\"0\"{rest}"
        );
    }
    text.push_str("  </testsuite>\n");
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
    let class = escape(failure.target.as_deref().unwrap_or(one.suite()));
    let time = seconds(failure.duration_ms);
    let _ = write!(
        text,
        "    <testcase classname=\"{class}\" name=\"{}\" time=\"{time}\"",
        escape(&failure.id)
    );
    if let Some(at) = failure.location.as_ref().or(failure.test_location.as_ref()) {
        let _ = write!(text, " file=\"{}\"", escape(&at.file));
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
        escape(&failure.message),
        escape(details),
    );
    for (tag, output) in [
        ("system-out", &failure.stdout),
        ("system-err", &failure.stderr),
    ] {
        if let Some(output) = output {
            let _ = writeln!(text, "      <{tag}>{}</{tag}>", escape(output));
        }
    }
    text.push_str("    </testcase>\n");
}

fn seconds(millis: Option<u64>) -> String {
    let millis = millis.unwrap_or(0);
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// Text as XML 1.0 can carry it: control characters have no way in, not even escaped.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push('\u{fffd}')
            }
            c => escaped.push(c),
        }
    }
    escaped
}
