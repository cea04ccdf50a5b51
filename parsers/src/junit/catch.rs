//! The words of Catch2's `<failure>`: the macro with what it was given, what that came to, notes,
//! the place.

use crate::libtest::sides;
use crate::report::Diff;

/// What is wrong, in one line: the expression, or the first words below `FAILED:`.
pub(crate) fn message(attribute: &str, body: &str) -> String {
    if !attribute.trim().is_empty() {
        return attribute.to_owned();
    }
    let lines = body.lines().map(str::trim);
    let mut told = lines.filter(|line| !line.is_empty() && *line != "FAILED:");
    let place = |line: &str| line.starts_with("at ");
    told.find(|line| !place(line))
        .unwrap_or("failed")
        .to_owned()
}

/// Both sides of `with expansion:`, where one operator stands between them.
pub(crate) fn sides(body: &str) -> Option<Diff> {
    const OPERATORS: [&str; 6] = ["==", "!=", "<=", ">=", "<", ">"];
    let mut lines = body.lines().skip_while(|line| *line != "with expansion:");
    lines.next()?;
    let lines: Vec<&str> = lines
        .take_while(|line| line.starts_with("  "))
        .map(|line| &line[2..])
        .collect();
    // Long values stand on lines of their own, the operator between them.
    let alone = lines.iter().position(|line| OPERATORS.contains(line));
    let (left, right) = match alone {
        Some(at) => (lines[..at].join("\n"), lines[at + 1..].join("\n")),
        None => {
            let [line] = lines[..] else {
                return None;
            };
            let found = OPERATORS.iter().find_map(|operator| {
                let between = format!(" {operator} ");
                let (left, right) = line.split_once(between.as_str())?;
                // Of several such signs nobody knows which one compares.
                (!right.contains(between.as_str())).then_some((left, right))
            });
            let (left, right) = found?;
            (left.to_owned(), right.to_owned())
        }
    };
    let sound = !left.is_empty() && !right.is_empty();
    sound.then(|| sides::with_unified(&left, &right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expansion_has_the_sides() {
        for (body, left, right) in [
            (
                "FAILED:\n  REQUIRE( a == 2 )\nwith expansion:\n  1 == 2\nat t.cpp:4\n",
                "1",
                "2",
            ),
            (
                "FAILED:\n  REQUIRE( x == y )\nwith expansion:\n  \"a\n  b\"\n  ==\n  \"a\n  c\"\ninfo here\nat t.cpp:8\n",
                "\"a\nb\"",
                "\"a\nc\"",
            ),
        ] {
            let diff = sides(body).expect(body);
            assert_eq!(
                (diff.left.as_deref(), diff.right.as_deref()),
                (Some(left), Some(right))
            );
        }
        assert_eq!(sides("FAILED:\n  CHECK( 1 == 2 )\nat t.cpp:7\n"), None);
        assert_eq!(
            message("", "\nFAILED:\nboom <x>\nat t.cpp:11\n"),
            "boom <x>"
        );
    }
}
