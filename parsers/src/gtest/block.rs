//! One failed assertion of GoogleTest: what its text says.
//!
//! "Expected equality of these values" does not say which one is expected (left and right);
//! `Actual:` and `Expected:` do. Values stand as GoogleTest prints them, quotes included.

use crate::report::Diff;
use crate::report::FailureKind;
use crate::report::Phase;
use crate::text;

/// The first line of a failed equality.
const EQUALITY: &str = "Expected equality of these values:\n";
/// What stands before a value.
const WHICH: &str = "    Which is: ";

/// A failed assertion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// Its file and line as they are printed; none in "unknown file".
    pub place: Option<(String, u32)>,
    /// What stands below its first line.
    pub text: String,
}

/// What it comes to.
#[derive(Debug)]
pub(crate) struct Meaning {
    /// One line.
    pub message: String,
    /// The two sides.
    pub diff: Option<Diff>,
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// Whether the text proves the kind.
    pub sure: bool,
    /// Where in the test it happened.
    pub phase: Phase,
}

impl Block {
    /// The text of a report file: its first line is the place.
    pub fn of_report(text: &str) -> Block {
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        match place(first) {
            Some(place) => Block {
                place: Some(place),
                text: rest.to_owned(),
            },
            None if first.trim() == "unknown file" => Block {
                place: None,
                text: rest.to_owned(),
            },
            None => Block {
                place: None,
                text: text.to_owned(),
            },
        }
    }

    /// The block as GoogleTest prints it.
    pub fn shown(&self) -> String {
        let text = text::clean(&self.text);
        match &self.place {
            Some((file, line)) => format!("{file}:{line}: Failure\n{text}"),
            None => format!("unknown file: Failure\n{text}"),
        }
    }

    /// Whether it begins as GoogleTest's own assertions do.
    pub fn is_usual(&self) -> bool {
        const STARTS: [&str; 18] = [
            "Expected",
            "Value of: ",
            "Failed",
            "C++ exception",
            "Unknown C++ exception",
            "The difference between ",
            "Death test: ",
            "Actual function call",
            "Unexpected mock",
            "Uninteresting mock",
            "Mock function called",
            "Returning value",
            "SEH exception",
            "Assertion failed",
            "To be equal to",
            "The following",
            "Death test",
            "Syntax error",
        ];
        let text = self.text.trim_start();
        STARTS.iter().any(|start| text.starts_with(start)) || text.contains(" evaluates to ")
    }

    /// What it comes to.
    pub fn meaning(&self) -> Meaning {
        let text = text::clean(&self.text);
        let body = text.split("\nGoogle Test trace:\n").next().unwrap_or(&text);
        let (kind, sure, phase) = kind(body.trim_start());
        Meaning {
            message: message(body),
            diff: diff(body),
            kind,
            sure,
            phase,
        }
    }

    /// The places of the trace below it (`SCOPED_TRACE`), innermost first.
    pub fn trace(&self) -> Vec<(String, u32)> {
        let Some((_, trace)) = self.text.split_once("Google Test trace:\n") else {
            return Vec::new();
        };
        let lines = trace.lines().filter_map(|line| {
            let (file, number, _, _) = crate::cc::split(line)?;
            Some((file.to_owned(), number))
        });
        lines.take(50).collect()
    }

    /// A place that the text names besides: where a mock's expectation was set.
    pub fn mentioned(&self) -> Option<(String, u32)> {
        self.text.lines().take(60).find_map(|line| {
            let (file, number, _, rest) = crate::cc::split(line)?;
            rest.trim_start()
                .starts_with("EXPECT_CALL(")
                .then(|| (file.to_owned(), number))
        })
    }
}

/// `a.cc:12` or `a.cc(12)`.
fn place(line: &str) -> Option<(String, u32)> {
    let line = line.trim_end();
    if let Some((file, number)) = line
        .strip_suffix(')')
        .and_then(|line| line.rsplit_once('('))
    {
        return Some((file.to_owned(), number.parse().ok()?));
    }
    let (file, number) = line.rsplit_once(':')?;
    let number = number.parse().ok()?;
    (!file.is_empty()).then(|| (file.to_owned(), number))
}

fn kind(body: &str) -> (FailureKind, bool, Phase) {
    let exception =
        body.starts_with("C++ exception with") || body.starts_with("Unknown C++ exception thrown");
    let windows = body.starts_with("SEH exception with");
    if !exception && !windows {
        return (FailureKind::Assertion, true, Phase::Call);
    }
    let place = body
        .rsplit_once(" thrown in ")
        .map_or("", |(_, place)| place);
    let setup = [
        "SetUp()",
        "the test fixture's constructor",
        "SetUpTestSuite()",
        "SetUpTestCase()",
    ];
    let teardown = [
        "TearDown()",
        "the test fixture's destructor",
        "TearDownTestSuite()",
        "TearDownTestCase()",
    ];
    if setup.iter().any(|words| place.starts_with(words)) {
        (FailureKind::SetupError, true, Phase::Setup)
    } else if teardown.iter().any(|words| place.starts_with(words)) {
        (FailureKind::TeardownError, true, Phase::Teardown)
    } else {
        (FailureKind::Panic, true, Phase::Call)
    }
}

/// One line: GoogleTest's own words, then the test's.
fn message(body: &str) -> String {
    let body = body.trim();
    if let Some(rest) = body.strip_prefix(EQUALITY)
        && let Some(equality) = Equality::of(rest)
    {
        let rest = after(&equality.rest);
        let sides = equality.sides.map(|side| side.shown());
        return one(&format!(
            "{} {}{rest}",
            EQUALITY.trim_end(),
            sides.join(", ")
        ));
    }
    // `FAIL() << "words"`.
    if let Some(rest) = body.strip_prefix("Failed\n") {
        return one(rest);
    }
    one(body)
}

/// What the test adds below the values.
fn after(rest: &str) -> String {
    let rest = rest.trim();
    match rest.is_empty() || rest.starts_with("With diff:") {
        true => String::new(),
        false => format!("; {rest}"),
    }
}

/// Several lines as one.
fn one(text: &str) -> String {
    let words: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    text::cut(&text::clean(&words.join(" ")), text::MESSAGE)
}

/// One side of an equality: the expression, and its value where that is another text.
#[derive(Debug, Default)]
struct Side {
    expression: String,
    value: Option<String>,
}

impl Side {
    fn text(self) -> String {
        self.value.unwrap_or(self.expression)
    }

    fn shown(&self) -> String {
        match &self.value {
            Some(value) => format!("{} (which is {value})", self.expression),
            None => self.expression.clone(),
        }
    }

    /// Whether a brace is open: the value goes on.
    fn is_open(&self) -> bool {
        self.value.as_ref().is_some_and(|value| {
            let count = |wanted: char| value.chars().filter(|c| *c == wanted).count();
            value.contains('{') && count('{') > count('}')
        })
    }
}

/// Both sides, and what stands below them.
#[derive(Debug)]
struct Equality {
    sides: [Side; 2],
    rest: String,
}

impl Equality {
    /// A printed value may have lines of its own, and they may look like an expression.
    fn of(text: &str) -> Option<Equality> {
        let lines: Vec<&str> = text.lines().collect();
        let value = |at: usize| lines.get(at).and_then(|line| line.strip_prefix(WHICH));
        let expression = |at: usize| lines.get(at).and_then(|line| line.strip_prefix("  "));
        let mut left = Side {
            expression: expression(0)?.to_owned(),
            value: value(1).map(str::to_owned),
        };
        let mut at = 1 + usize::from(left.value.is_some());
        if left.value.is_some() {
            let next = (at..lines.len().min(at + 2000)).find(|at| value(*at).is_some());
            let last = next.filter(|next| *next > at && expression(*next - 1).is_some());
            at = go_on(&mut left, &lines, at, last.map(|next| next - 1));
        }
        let mut right = Side {
            expression: expression(at)?.to_owned(),
            value: value(at + 1).map(str::to_owned),
        };
        at += 1 + usize::from(right.value.is_some());
        at = go_on(&mut right, &lines, at, None);
        Some(Equality {
            sides: [left, right],
            rest: lines.get(at..).unwrap_or(&[]).join("\n"),
        })
    }
}

/// Adds the further lines of a value, up to a known end or as long as a brace is open; the line
/// after them.
fn go_on(side: &mut Side, lines: &[&str], mut at: usize, until: Option<usize>) -> usize {
    while at < lines.len() {
        if lines[at].starts_with("    As Text: ") {
            // The same again, readable; the value above is what was compared.
            at += 1;
            continue;
        }
        let goes_on = match until {
            Some(end) => at < end,
            None => side.is_open(),
        };
        if !goes_on {
            break;
        }
        push(&mut side.value, lines[at]);
        at += 1;
    }
    at
}

fn diff(body: &str) -> Option<Diff> {
    let body = body.trim_start_matches('\n');
    if let Some(rest) = body.strip_prefix(EQUALITY) {
        return equality(rest);
    }
    if let Some(rest) = body.strip_prefix("The difference between ") {
        return near(rest);
    }
    if let Some(rest) = body.strip_prefix("Expected: (")
        && let Some((_, values)) = rest.split_once("), actual: ")
    {
        return versus(values);
    }
    if let Some(found) = older(body) {
        return Some(found);
    }
    named(body)
}

/// The values of `EXPECT_EQ`: what "Which is" says, else the expression, a literal.
fn equality(text: &str) -> Option<Diff> {
    let Equality { sides, rest } = Equality::of(text)?;
    let [left, right] = sides.map(Side::text);
    let unified = rest
        .split_once("With diff:\n")
        .map(|(_, diff)| text::cap(unified(diff).trim_end(), text::SIDE));
    Some(Diff {
        left: Some(text::cap(&left, text::SIDE)),
        right: Some(text::cap(&right, text::SIDE)),
        unified: unified.filter(|text| !text.is_empty()),
        ..Diff::default()
    })
}

/// The lines of GoogleTest's diff, without what the test says below.
fn unified(text: &str) -> String {
    let lines = text
        .lines()
        .take_while(|line| line.starts_with(['@', ' ', '+', '-']));
    lines.collect::<Vec<_>>().join("\n")
}

/// `1.0 and 1.5 is 0.5, which exceeds 0.1, where`, with a line for each.
fn near(text: &str) -> Option<Diff> {
    let values: Vec<&str> = text
        .lines()
        .filter_map(|line| line.rsplit_once(" evaluates to ").map(|(_, value)| value))
        .map(|value| {
            value
                .trim_end_matches('.')
                .trim_end_matches(", and")
                .trim_end_matches(',')
        })
        .collect();
    let [left, right, ..] = values.as_slice() else {
        return None;
    };
    Some(Diff {
        left: Some((*left).to_owned()),
        right: Some((*right).to_owned()),
        ..Diff::default()
    })
}

/// `-1 vs 0`; a string may hold " vs ", too.
fn versus(values: &str) -> Option<Diff> {
    let values = values.lines().next()?;
    let at = match values.strip_prefix('"') {
        Some(quoted) => {
            let end = closing(quoted)? + 2;
            values[end..].find(" vs ").map(|at| at + end)?
        }
        None => values.find(" vs ")?,
    };
    Some(Diff {
        left: Some(text::cap(&values[..at], text::SIDE)),
        right: Some(text::cap(&values[at + 4..], text::SIDE)),
        ..Diff::default()
    })
}

/// Where a quoted string ends.
fn closing(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at),
            _ => {}
        }
    }
    None
}

/// `Expected: 4`, `To be equal to: add(2, 2)`, `Which is: 0`: GoogleTest 1.8.0.
fn older(body: &str) -> Option<Diff> {
    if !body.contains("To be equal to: ") {
        return None;
    }
    let mut sides = [None::<String>, None];
    let mut at = 0;
    for line in body.lines() {
        let line = line.trim_start();
        if let Some(value) = line.strip_prefix("Expected: ") {
            sides[0] = Some(value.to_owned());
        } else if let Some(value) = line.strip_prefix("To be equal to: ") {
            at = 1;
            sides[1] = Some(value.to_owned());
        } else if let Some(value) = line.strip_prefix("Which is: ") {
            sides[at] = Some(value.to_owned());
        }
    }
    let [Some(expected), Some(actual)] = sides else {
        return None;
    };
    Some(Diff {
        expected: Some(expected),
        actual: Some(actual),
        ..Diff::default()
    })
}

/// `Value of: …`, `  Actual: …`, `Expected: …`, each with the lines that go on below it.
fn named(body: &str) -> Option<Diff> {
    let mut expected: Option<String> = None;
    let mut actual: Option<String> = None;
    let mut open = 0;
    // Where the two stand side by side the first pair counts, and the second of the two ends it.
    for line in body.lines() {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        let labelled = [
            ("Expected arg #", 1),
            ("Expected: ", 1),
            ("Actual: ", 2),
            ("Which is: ", 3),
        ]
        .into_iter()
        .find_map(|(label, which)| {
            let rest = bare.strip_prefix(label)?;
            match label {
                "Expected arg #" => Some((rest.split_once(": ")?.1, which)),
                _ => Some((rest, which)),
            }
        });
        match labelled {
            Some((value, 1)) if expected.is_none() => {
                expected = Some(value.to_owned());
                open = if actual.is_some() { 0 } else { 1 };
                if actual.is_some() {
                    break;
                }
            }
            Some((value, 2)) if actual.is_none() => {
                actual = Some(value.to_owned());
                open = 2;
                if expected.is_some() {
                    open = 4;
                }
            }
            // A matcher explains on further lines what does not match.
            None if open == 4 && goes_on(actual.as_deref()) && !line.is_empty() => {
                push(&mut actual, line);
            }
            _ if open == 4 => break,
            Some((value, 3)) if open == 2 => actual = Some(value.to_owned()),
            Some(_) => {}
            None if open == 1 && !line.is_empty() => push(&mut expected, line),
            None if open == 2 && indent == 0 && !line.is_empty() => push(&mut actual, line),
            None => {}
        }
    }
    let (expected, actual) = (expected?, actual?);
    let several = expected.contains('\n') || actual.contains('\n');
    Some(Diff {
        unified: (several && actual.contains('\n') && expected.contains('\n'))
            .then(|| crate::libtest::sides::unified(&expected, &actual)),
        expected: Some(text::cap(expected.trim_end(), text::SIDE)),
        actual: Some(text::cap(actual.trim_end(), text::SIDE)),
        ..Diff::default()
    })
}

fn goes_on(text: Option<&str>) -> bool {
    let last = text.and_then(|text| text.lines().next_back()).unwrap_or("");
    last.ends_with([':', ',']) || last.ends_with(" and")
}

fn push(side: &mut Option<String>, line: &str) {
    if let Some(side) = side
        && side.len() < text::SIDE
    {
        side.push('\n');
        side.push_str(line);
    }
}
