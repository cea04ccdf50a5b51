//! What other harnesses print in a test of CTest's: Catch2, doctest, Boost.Test, and lines
//! `file:line: …` of anybody's. The first failed check tells why the test failed.

use crate::cc;
use crate::context::Context;
use crate::report::Diff;
use crate::report::FailureKind;
use crate::report::Location;
use crate::text;

/// The first failed check of an output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// One line.
    pub message: String,
    /// Where.
    pub location: Option<Location>,
    /// The two sides.
    pub diff: Option<Diff>,
    /// What kind of failure it is.
    pub kind: FailureKind,
}

/// Finds it.
pub(crate) fn first(text: &str, context: &Context) -> Option<Check> {
    let lines: Vec<&str> = text.lines().collect();
    let harness = lines.iter().enumerate().find_map(|(at, line)| {
        if !line.contains("FAILED") && !line.contains("ERROR: ") && !line.contains("error: in ") {
            return None;
        }
        let below = &lines[at + 1..];
        catch(line, below, context)
            .or_else(|| doctest(line, below, context))
            .or_else(|| boost(line, context))
    });
    harness.or_else(|| lines.iter().find_map(|line| plain(line, context)))
}

fn location(file: &str, line: u32, context: &Context) -> Option<Location> {
    let file = context.relative(file.trim());
    (context.is_user(&file) && context.tree.may_hold(&file, Some(line))).then_some(Location {
        file,
        line: Some(line),
        column: None,
    })
}

/// `a.cc:5: FAILED:` with the expression and its expansion below.
fn catch(line: &str, below: &[&str], context: &Context) -> Option<Check> {
    let (file, number, _, rest) = cc::split(line)?;
    if !matches!(rest.trim(), "FAILED:" | "FAILED") {
        return None;
    }
    let block: Vec<&str> = below
        .iter()
        .take(60)
        .copied()
        .take_while(|line| {
            !line.starts_with("----") && !line.starts_with("====") && !line.is_empty()
        })
        .collect();
    let exception = block.iter().any(|line| {
        line.starts_with("due to unexpected exception")
            || line.starts_with("due to a fatal error condition")
    });
    let expansion = block
        .iter()
        .position(|line| line.trim_end() == "with expansion:");
    let diff = expansion.and_then(|at| {
        let lines = block[at + 1..]
            .iter()
            .take_while(|line| line.starts_with("  "));
        sides(&lines.map(|line| &line[2..]).collect::<Vec<_>>())
    });
    let words: Vec<&str> = block.iter().map(|line| line.trim()).collect();
    Some(Check {
        message: text::cut(&words.join(" "), text::MESSAGE),
        location: location(file, number, context),
        diff,
        kind: match exception {
            true => FailureKind::Panic,
            false => FailureKind::Assertion,
        },
    })
}

/// `0 == 2`, on one line or on three and more.
fn sides(lines: &[&str]) -> Option<Diff> {
    const SIGNS: [&str; 8] = ["==", "!=", "<=", ">=", "<", ">", "&&", "||"];
    if let Some(at) = lines.iter().position(|line| SIGNS.contains(&line.trim())) {
        return Some(left_right(
            &lines[..at].join("\n"),
            &lines[at + 1..].join("\n"),
        ));
    }
    let [line] = lines else {
        return None;
    };
    let found = SIGNS
        .iter()
        .find_map(|sign| line.split_once(&format!(" {sign} ")))?;
    Some(left_right(found.0, found.1))
}

fn left_right(left: &str, right: &str) -> Diff {
    Diff {
        left: Some(text::cap(left, text::SIDE)),
        right: Some(text::cap(right, text::SIDE)),
        ..Diff::default()
    }
}

/// `a.cc:5: ERROR: CHECK( add(1, 1) == 2 ) is NOT correct!`, `  values: CHECK( 0 == 2 )`.
fn doctest(line: &str, below: &[&str], context: &Context) -> Option<Check> {
    let (file, number, _, rest) = cc::split(line)?;
    let rest = rest.trim();
    let words = rest
        .strip_prefix("ERROR: ")
        .or_else(|| rest.strip_prefix("FATAL ERROR: "))?;
    let values = below
        .iter()
        .take(3)
        .find_map(|line| line.trim_start().strip_prefix("values: "));
    let diff = values.and_then(|values| {
        let inner = values.split_once("( ")?.1.strip_suffix(" )")?;
        sides(&[inner])
    });
    let threw = words.starts_with("test case THREW exception: ");
    let checked = words.ends_with("is NOT correct!") || values.is_some();
    if !threw && !checked && rest.starts_with("ERROR: ") && !line.contains("CHECK") {
        return None;
    }
    let values = values
        .map(|values| format!(" values: {values}"))
        .unwrap_or_default();
    Some(Check {
        message: text::cut(&format!("{words}{values}"), text::MESSAGE),
        location: location(file, number, context),
        diff,
        kind: match threw {
            true => FailureKind::Panic,
            false => FailureKind::Assertion,
        },
    })
}

/// `a.cc(3): error: in "adds": check 1 - 1 == 2 has failed [0 != 2]`.
fn boost(line: &str, context: &Context) -> Option<Check> {
    let (place, words) = line
        .split_once("): error: in \"")
        .or_else(|| line.split_once("): fatal error: in \""))?;
    let (file, number) = place.rsplit_once('(')?;
    let (_, message) = words.split_once("\": ")?;
    let number: u32 = number.parse().ok()?;
    let diff = message
        .strip_suffix(']')
        .and_then(|message| message.rsplit_once('['))
        .and_then(|(_, values)| sides(&[values]));
    Some(Check {
        message: text::one_line(message),
        location: match number {
            0 => None,
            _ => location(file, number, context),
        },
        diff,
        kind: match message.starts_with("check ") || message.starts_with("critical check ") {
            true => FailureKind::Assertion,
            false => FailureKind::Panic,
        },
    })
}

/// `a.c:12: check failed: x == y`: a place, and a word that says that it is bad.
fn plain(line: &str, context: &Context) -> Option<Check> {
    if line.len() > 2000 {
        return None;
    }
    let (file, number, _, rest) = cc::split(line)?;
    let file = file.rsplit([' ', '(']).next().unwrap_or(file);
    let end = file.rsplit_once('.')?.1;
    let source = end.len() <= 4
        && end
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+');
    let lower = rest.to_ascii_lowercase();
    let bad = ["fail", "assert", "error", "expected", "mismatch", "not ok"]
        .iter()
        .any(|word| lower.contains(word));
    if !source || !bad {
        return None;
    }
    let asserts = ["assert", "check fail", "expected", "mismatch"]
        .iter()
        .any(|word| lower.contains(word));
    Some(Check {
        message: text::one_line(rest),
        location: Some(location(file, number, context)?),
        diff: None,
        kind: match asserts {
            true => FailureKind::Assertion,
            false => FailureKind::ExitNonzero,
        },
    })
}
