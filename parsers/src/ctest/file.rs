//! CTest's own files: its JUnit report, and `LastTest.log`.

use crate::ctest::line;
use crate::ctest::line::Status;
use crate::ctest::output::Output;
use crate::text;
use roxmltree::Node;
use roxmltree::ParsingOptions;

/// A test as a file tells it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: Option<Status>,
    /// Why it could not run.
    pub reason: String,
    /// How long it took.
    pub ms: Option<u64>,
    /// What it printed.
    pub output: Output,
    /// Its command line.
    pub command: Option<String>,
}

/// What a file says.
#[derive(Debug)]
pub(crate) enum Read {
    /// It is one of CTest's.
    Tests(Vec<Told>),
    /// It is one, and not whole.
    Broken(String, Vec<Told>),
    /// It is not.
    Other,
}

/// Reads a file that may be one of CTest's.
pub(crate) fn read(bytes: &[u8]) -> Read {
    let text = String::from_utf8_lossy(bytes);
    let start = text.trim_start();
    if start.starts_with("Start testing: ") {
        return last_test(&text);
    }
    if !start.starts_with('<') || !start.contains("<testsuite") || start.contains("<testsuites") {
        return Read::Other;
    }
    junit(start)
}

fn junit(text: &str) -> Read {
    let text = text::xml(text);
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: 4_000_000,
        ..ParsingOptions::default()
    };
    if crate::junit::too_deep(&text) {
        return Read::Other;
    }
    let document = match roxmltree::Document::parse_with_options(&text, options) {
        Ok(document) => document,
        Err(error) => {
            return Read::Broken(format!("not a whole XML document: {error}"), Vec::new());
        }
    };
    let root = document.root_element();
    let cases: Vec<Node<'_, '_>> = root
        .children()
        .filter(|node| node.has_tag_name("testcase"))
        .collect();
    let ours = root.has_tag_name("testsuite")
        && root.attribute("disabled").is_some()
        && cases.iter().all(|case| case.attribute("status").is_some());
    if !ours {
        return Read::Other;
    }
    let said = root
        .attribute("tests")
        .and_then(|n| n.parse::<usize>().ok());
    let seen = cases.len();
    let tests = cases.into_iter().map(case).collect();
    match said.filter(|said| *said != seen) {
        Some(said) => Read::Broken(
            format!("{said} tests are announced, {seen} are there"),
            tests,
        ),
        None => Read::Tests(tests),
    }
}

fn case(node: Node<'_, '_>) -> Told {
    let child = |tag: &str| node.children().find(|child| child.has_tag_name(tag));
    let message = |tag: &str| {
        let message = child(tag).and_then(|child| child.attribute("message"));
        message.unwrap_or("").to_owned()
    };
    let mut told = Told {
        name: node.attribute("name").unwrap_or("").to_owned(),
        ..Told::default()
    };
    let seconds = node
        .attribute("time")
        .and_then(|time| time.parse::<f64>().ok());
    told.ms = seconds
        .filter(|s| s.is_finite() && *s >= 0.0)
        .map(|s| (s * 1000.0).round() as u64);
    told.status = Some(match node.attribute("status") {
        Some("run") => Status::Passed,
        Some("fail") => match message("failure").as_str() {
            "Failed" => Status::Failed(String::new()),
            words @ ("Timeout" | "SEGFAULT" | "ILLEGAL" | "NUMERICAL" | "INTERRUPT"
            | "OTHER_FAULT") => Status::of_list(words),
            words if words.starts_with("Subprocess ") => Status::of_list(words),
            words => Status::Failed(words.to_owned()),
        },
        Some("notrun") => {
            let why = message("skipped");
            let failed = [
                "Unable to find",
                "Fixture dependency",
                "Required Files",
                "Unable to ",
                "Bad",
            ];
            match failed.iter().any(|words| why.starts_with(words)) {
                true => {
                    told.reason = why;
                    Status::NotRun
                }
                false => Status::Skipped,
            }
        }
        _ => Status::Skipped,
    });
    let output = child("system-out")
        .and_then(|child| child.text())
        .unwrap_or("");
    if told.status == Some(Status::NotRun) {
        if !output.trim().is_empty() {
            told.reason = crate::text::one_line(output);
        }
    } else {
        let body = output.strip_suffix('\n').unwrap_or(output);
        if !body.is_empty() {
            body.lines()
                .for_each(|line| told.output.line(line.as_bytes()));
        }
    }
    told
}

/// `LastTest.log`: a heading, the output, and whether it passed.
fn last_test(text: &str) -> Read {
    let mut tests: Vec<Told> = Vec::new();
    let mut inside = false;
    let mut ended = false;
    let mut lines = text.lines().peekable();
    while let Some(raw) = lines.next() {
        if inside {
            match (raw.strip_suffix("<end of output>"), tests.last_mut()) {
                (Some(rest), Some(test)) => {
                    if !rest.is_empty() {
                        test.output.line(rest.as_bytes());
                    }
                    inside = false;
                }
                (None, Some(test)) => test.output.line(raw.as_bytes()),
                _ => {}
            }
            continue;
        }
        if let Some(name) = heading(raw) {
            tests.push(Told {
                name: name.to_owned(),
                ..Told::default()
            });
        }
        ended |= raw.starts_with("End testing: ");
        let Some(test) = tests.last_mut() else {
            continue;
        };
        if let Some(command) = raw.strip_prefix("Command: ") {
            test.command = Some(crate::text::cut(command, 4096));
        } else if raw == "Output:" {
            inside = lines.next().is_some_and(|line| line.starts_with("-----"));
        } else if let Some(time) = raw.strip_prefix("Test time = ") {
            test.ms = line::seconds(time).map(|(_, ms)| ms);
        } else if raw.starts_with("Test Passed.") {
            test.status = Some(Status::Passed);
        } else if raw.starts_with("Test Failed.") {
            test.status = Some(Status::Failed(String::new()));
        } else if raw.starts_with("Unable to find executable: ") {
            test.reason = crate::text::one_line(raw);
            test.status = Some(Status::NotRun);
        }
    }
    match ended && !inside {
        true => Read::Tests(tests),
        false => Read::Broken("its end is missing".to_owned(), tests),
    }
}

/// `1/39 Testing: name`.
fn heading(line: &str) -> Option<&str> {
    let (index, name) = line.split_once(" Testing: ")?;
    let (at, of) = index.split_once('/')?;
    let number =
        |text: &str| !text.trim().is_empty() && text.trim().bytes().all(|b| b.is_ascii_digit());
    (number(at) && number(of)).then_some(name)
}
