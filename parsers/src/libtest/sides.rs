//! The two sides of a failed comparison, taken out of a panic's message.

use crate::report::Diff;
use crate::text;
use similar::TextDiff;

/// The sides of `assert_eq!` and its kin, and of pretty_assertions; nothing for other messages.
pub(crate) fn of(message: &str) -> Option<Diff> {
    standard(message).or_else(|| pretty(message))
}

/// `assertion `left == right` failed` with `  left: ` and ` right: ` at the message's end.
fn standard(message: &str) -> Option<Diff> {
    let known =
        message.starts_with("assertion `left ") || message.starts_with("assertion failed: `(left");
    if !known {
        return None;
    }
    let right_at = message.rfind("\n right: ")?;
    let left_at = message[..right_at].rfind("\n  left: ")?;
    let left = message[left_at + 9..right_at].trim_end_matches([',', '\n']);
    let right = message[right_at + 9..].trim_end();
    // similar-asserts goes on with a diff by lines.
    let right = right
        .split_once("\n\nDifferences (")
        .map_or(right, |(right, _)| right);
    // Before Rust 1.73 the sides stood in backticks, and the message behind them.
    if message.starts_with("assertion failed: `(left") {
        let right = right.rsplit_once("`: ").map_or(right, |(side, _)| side);
        return Some(with_unified(
            left.trim_matches('`'),
            right.trim_matches('`'),
        ));
    }
    Some(with_unified(left, right))
}

/// pretty_assertions prints only a diff, by lines: `<` is left, `>` is right.
fn pretty(message: &str) -> Option<Diff> {
    if !message.starts_with("assertion failed: `(left") {
        return None;
    }
    if let Some((_, both)) = message.split_once("Both sides:\n") {
        return Some(with_unified(both.trim_end(), both.trim_end()));
    }
    let marker = "Diff < left / right > :\n";
    let body = &message[message.find(marker)? + marker.len()..];
    let (mut left, mut right, mut unified) = (String::new(), String::new(), String::new());
    for line in body.lines().filter(|line| !line.is_empty()) {
        let (sign, rest) = (
            line.chars().next().unwrap_or(' '),
            line.get(1..).unwrap_or(""),
        );
        if sign != '>' {
            left.push_str(rest);
            left.push('\n');
        }
        if sign != '<' {
            right.push_str(rest);
            right.push('\n');
        }
        unified.push(match sign {
            '<' => '-',
            '>' => '+',
            _ => ' ',
        });
        unified.push_str(rest);
        unified.push('\n');
    }
    Some(Diff {
        left: Some(text::cap(left.trim_end(), text::SIDE)),
        right: Some(text::cap(right.trim_end(), text::SIDE)),
        unified: Some(text::cap(&unified, text::SIDE)),
        ..Diff::default()
    })
}

/// The same where it is known which side is which; `own` is the framework's diff by lines.
pub(crate) fn expected_actual(
    expected: Option<&str>,
    actual: Option<&str>,
    own: Option<String>,
) -> Diff {
    let both = expected.zip(actual);
    let made = both.and_then(|(expected, actual)| with_unified(expected, actual).unified);
    Diff {
        expected: expected.map(|side| text::cap(side, text::SIDE)),
        actual: actual.map(|side| text::cap(side, text::SIDE)),
        unified: own.or(made),
        ..Diff::default()
    }
}

/// Both sides, and a diff by lines if one of them has several.
pub(crate) fn with_unified(left: &str, right: &str) -> Diff {
    let (left, right) = (text::cap(left, text::SIDE), text::cap(right, text::SIDE));
    let (shown_left, shown_right) = (unescaped(&left), unescaped(&right));
    let unified = (shown_left.contains('\n') || shown_right.contains('\n'))
        .then(|| unified(&shown_left, &shown_right));
    Diff {
        left: Some(left),
        right: Some(right),
        unified,
        ..Diff::default()
    }
}

/// A diff by lines, capped.
pub(crate) fn unified(left: &str, right: &str) -> String {
    let (left, right) = (format!("{left}\n"), format!("{right}\n"));
    let diff = TextDiff::from_lines(&left, &right);
    let text = diff
        .unified_diff()
        .context_radius(3)
        .header("left", "right")
        .to_string();
    text::cap(text.trim_end(), text::SIDE)
}

/// A string as `{:?}` shows it, turned back; anything else as it is.
fn unescaped(side: &str) -> String {
    let Some(inner) = side
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return side.to_owned();
    };
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some(other @ ('"' | '\\' | '\'')) => out.push(other),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_and_a_diff_by_lines() {
        let diff =
            of("assertion `left == right` failed: why\n  left: \"a\\nb\"\n right: \"a\\nx\"")
                .expect("sides");
        assert_eq!(diff.left.as_deref(), Some("\"a\\nb\""));
        assert_eq!(diff.right.as_deref(), Some("\"a\\nx\""));
        let unified = diff.unified.expect("several lines");
        assert!(unified.contains("-b\n+x"), "{unified}");
    }

    #[test]
    fn one_line_needs_no_diff() {
        let diff = of("assertion `left == right` failed\n  left: 2\n right: 3").expect("sides");
        assert_eq!(
            (diff.left.as_deref(), diff.right.as_deref()),
            (Some("2"), Some("3"))
        );
        assert_eq!(diff.unified, None);
    }

    #[test]
    fn a_message_that_only_looks_alike_has_no_sides() {
        assert_eq!(of("user says\n  left: 2\n right: 3"), None);
        assert_eq!(of("assertion `left == right` failed"), None);
    }

    #[test]
    fn pretty_assertions_are_read() {
        let message = "assertion failed: `(left == right)`\n\nDiff < left / right > :\n Point {\n<    x: 1,\n>    x: 2,\n }\n\n";
        let diff = of(message).expect("sides");
        assert_eq!(diff.left.as_deref(), Some("Point {\n    x: 1,\n}"));
        assert_eq!(
            diff.unified.as_deref(),
            Some(" Point {\n-    x: 1,\n+    x: 2,\n }\n")
        );
    }
}
