//! The two sides of a comparison in the comments of Test::More, Test2 and pgTAP.

use crate::libtest::sides;
use crate::report::Diff;
use crate::text;

const ACTUAL: [&str; 3] = ["got:", "have:", "found:"];
const EXPECTED: [&str; 3] = ["expected:", "want:", "wanted:"];

/// What a block says; its lines are without comment signs.
pub(crate) fn of(body: &[String]) -> Option<Diff> {
    labelled(body)
        .or_else(|| structures(body))
        .or_else(|| pattern(body))
        .or_else(|| operator(body))
        .or_else(|| table(body))
}

fn both(expected: &str, actual: &str) -> Diff {
    sides::expected_actual(
        Some(&text::clean(expected)),
        Some(&text::clean(actual)),
        None,
    )
}

/// `got: '1'` and `expected: '2'`, perhaps over several lines.
fn labelled(body: &[String]) -> Option<Diff> {
    let (mut actual, mut expected) = (None::<String>, None::<String>);
    let mut last = false;
    for line in body {
        let words = line.trim_start();
        let value = |labels: &[&str]| {
            let found = labels.iter().find_map(|label| words.strip_prefix(label))?;
            Some(found.strip_prefix(' ').unwrap_or(found).to_owned())
        };
        if let Some(value) = value(&ACTUAL).filter(|_| actual.is_none()) {
            actual = Some(value);
            last = false;
        } else if let Some(value) = value(&EXPECTED).filter(|_| expected.is_none()) {
            expected = Some(value);
            last = true;
        } else if let Some(side) = if last { &mut expected } else { &mut actual } {
            // A value that goes on begins and is not closed.
            let open = side.starts_with('\'') && (side.len() == 1 || !side.ends_with('\''));
            if open && side.len() < 4 * text::SIDE {
                side.push('\n');
                side.push_str(line);
            }
        }
    }
    Some(both(&expected?, &actual?))
}

/// `$got->{a}[2] = '3'` and `$expected->{a}[2] = '4'`.
fn structures(body: &[String]) -> Option<Diff> {
    let side = |name: &str| {
        let line = body
            .iter()
            .find(|line| line.trim_start().starts_with(name))?;
        line.split_once(" = ").map(|(_, value)| value.trim_end())
    };
    Some(both(side("$expected")?, side("$got")?))
}

/// `'text'` above `doesn't match '(?^:pattern)'`.
fn pattern(body: &[String]) -> Option<Diff> {
    let at = body
        .iter()
        .position(|line| line.trim_start().starts_with("doesn't match '"))?;
    let actual: Vec<&str> = body[..at].iter().map(|line| line.trim()).collect();
    let expected = body[at].trim().strip_prefix("doesn't match ")?;
    (!actual.is_empty()).then(|| both(expected, &actual.join("\n")))
}

/// `'3'`, `>`, `'5'` in three lines.
fn operator(body: &[String]) -> Option<Diff> {
    let lines: Vec<&str> = body.iter().map(|line| line.trim()).collect();
    let [left, operator, right] = lines[..] else {
        return None;
    };
    let known = !operator.is_empty() && operator.len() <= 4 && !operator.starts_with('\'');
    known.then(|| sides::with_unified(left, right))
}

/// Test2's table with the columns `GOT`, `OP`, `CHECK`.
fn table(body: &[String]) -> Option<Diff> {
    let cells = |line: &String| -> Option<Vec<String>> {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        Some(
            inner
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect(),
        )
    };
    let mut rows = body.iter().filter_map(cells);
    let head = rows.next()?;
    let first = rows.next()?;
    let cell = |name: &str| first.get(head.iter().position(|cell| cell == name)?);
    Some(both(cell("CHECK")?, cell("GOT")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Diff {
        let body: Vec<String> = text.lines().map(str::to_owned).collect();
        of(&body).expect("two sides")
    }

    #[test]
    fn both_sides_are_found() {
        let diff = read("         got: 'one\ntwo\n'\n    expected: 'one\n2\n'");
        assert_eq!(diff.actual.as_deref(), Some("'one\ntwo\n'"));
        assert_eq!(diff.expected.as_deref(), Some("'one\n2\n'"));
        assert!(diff.unified.is_some());
        let diff = read(
            "    Structures begin differing at:\n    $got->[1] = Does not exist\n    $expected->[1] = '2'",
        );
        assert_eq!(diff.actual.as_deref(), Some("Does not exist"));
        let diff = read("                  'some text'\n    doesn't match '(?^:other)'");
        assert_eq!(diff.expected.as_deref(), Some("'(?^:other)'"));
        let diff = read("    '3'\n        >\n    '5'");
        assert_eq!(
            (diff.left.as_deref(), diff.right.as_deref()),
            (Some("'3'"), Some("'5'"))
        );
        let diff = read(
            "+-----+----+-------+\n| GOT | OP | CHECK |\n+-----+----+-------+\n| 1   | eq | 2     |\n+-----+----+-------+",
        );
        assert_eq!(
            (diff.actual.as_deref(), diff.expected.as_deref()),
            (Some("1"), Some("2"))
        );
    }
}
