//! The two sides of a comparison, taken out of what Go's assertion libraries and people print.

use crate::libtest::sides;
use crate::report::Diff;
use crate::text;
use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// The sides that a message names, if it is sure which is which.
pub(crate) fn of(message: &str) -> Option<Diff> {
    testify(message)
        .or_else(|| quicktest(message))
        .or_else(|| cmp(message))
        .or_else(|| gomega(message))
        .or_else(|| gotest_tools(message))
        .or_else(|| blocks(message))
        .or_else(|| words(message.lines().next()?, message))
}

/// What `Example` functions print.
pub(crate) fn example(lines: &[&str]) -> Option<Diff> {
    let got = lines.iter().position(|line| *line == "got:")?;
    let want = lines
        .iter()
        .rposition(|line| *line == "want:" || *line == "want (unordered):")?;
    if want < got {
        return None;
    }
    let actual = lines[got + 1..want].join("\n");
    let expected = lines[want + 1..].join("\n");
    Some(sides::expected_actual(
        Some(expected.trim_end()),
        Some(actual.trim_end()),
        None,
    ))
}

/// A part of testify's message, by its label.
pub(crate) fn labelled(message: &str, label: &str) -> Option<String> {
    let mut lines = message.lines();
    let first = lines.by_ref().find_map(|line| {
        let rest = line.trim_start().strip_prefix(label)?.strip_prefix(':')?;
        Some(rest.trim().to_owned())
    })?;
    let mut found = vec![first];
    for line in lines {
        // The lines below are indented by a tab and as many blanks as the label has letters.
        let bare = line.trim_start_matches(' ');
        let Some(rest) = bare.strip_prefix('\t') else {
            break;
        };
        if !rest.starts_with(' ') {
            break;
        }
        let inner = rest.trim_start_matches(' ');
        found.push(inner.strip_prefix('\t').unwrap_or(inner).to_owned());
    }
    Some(found.join("\n"))
}

fn testify(message: &str) -> Option<Diff> {
    if !message.contains("Error Trace:") {
        return None;
    }
    let error = labelled(message, "Error")?;
    let lines: Vec<&str> = error.lines().collect();
    let expected = side(&lines, "expected:", &["actual  :", "actual:", "in chain:"])?;
    let actual = side(&lines, "actual  :", &["Diff:", ""])
        .or_else(|| side(&lines, "actual:", &["Diff:", ""]))
        .or_else(|| side(&lines, "in chain:", &[]))?;
    let own = lines.iter().position(|line| *line == "Diff:").map(|at| {
        let shown: Vec<&str> = lines[at + 1..].to_vec();
        text::cap(shown.join("\n").trim_end(), text::SIDE)
    });
    Some(sides::expected_actual(Some(&expected), Some(&actual), own))
}

/// The text behind a label, down to the next one.
fn side(lines: &[&str], label: &str, ends: &[&str]) -> Option<String> {
    let at = lines
        .iter()
        .position(|line| line.trim_start().starts_with(label))?;
    let first = lines[at].trim_start().strip_prefix(label)?;
    let mut found = vec![first.strip_prefix(' ').unwrap_or(first)];
    for line in &lines[at + 1..] {
        let over = ends.iter().any(|end| match *end {
            "" => line.is_empty(),
            end => line.trim_start().starts_with(end),
        });
        if over {
            break;
        }
        found.push(line);
    }
    Some(found.join("\n").trim_end().to_owned())
}

/// quicktest's `got:` and `want:` blocks.
fn quicktest(message: &str) -> Option<Diff> {
    let lines: Vec<&str> = message.lines().collect();
    if !lines.iter().any(|line| line.trim() == "error:") {
        return None;
    }
    let block = |label: &str| -> Option<String> {
        let at = lines.iter().position(|line| line.trim() == label)?;
        let depth = lines[at].len() - lines[at].trim_start().len();
        let inner: Vec<&str> = lines[at + 1..]
            .iter()
            .take_while(|line| {
                line.len() - line.trim_start().len() > depth || line.trim().is_empty()
            })
            .map(|line| line.get(depth + 2..).unwrap_or(""))
            .collect();
        let text = inner.join("\n");
        Some(text.trim_end().to_owned())
    };
    let (got, mut want) = (block("got:")?, block("want:")?);
    if want == "<same as \"got\">" {
        want.clone_from(&got);
    }
    let own =
        block("diff (-got +want):").map(|text| text::cap(&text.replace('\u{a0}', " "), text::SIDE));
    Some(sides::expected_actual(Some(&want), Some(&got), own))
}

/// go-cmp's diff below a line that says what the signs mean.
fn cmp(message: &str) -> Option<Diff> {
    let (head, body) = message.split_once('\n')?;
    let minus_is_want = if head.contains("-want +got")
        || head.contains("-expected +actual")
        || head.contains("-want, +got")
    {
        true
    } else if head.contains("-got +want")
        || head.contains("-actual +expected")
        || head.contains("-got, +want")
    {
        false
    } else {
        return None;
    };
    // go-cmp mixes no-break spaces in, so that nobody relies on its form.
    let body = body.replace('\u{a0}', " ");
    let body: Vec<&str> = body
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect();
    let signs = body
        .iter()
        .filter(|line| line.starts_with(['-', '+']))
        .count();
    if signs == 0 {
        return None;
    }
    let of = |sign: char| -> String {
        let kept = body
            .iter()
            .filter(|line| line.starts_with(sign) || !line.starts_with(['-', '+']));
        let bare: Vec<String> = kept
            .map(|line| {
                line.get(1..)
                    .unwrap_or("")
                    .trim_start_matches(' ')
                    .to_owned()
            })
            .collect();
        bare.join("\n").trim().to_owned()
    };
    let (want, got) = if minus_is_want {
        (of('-'), of('+'))
    } else {
        (of('+'), of('-'))
    };
    let unified = text::cap(body.join("\n").trim_end(), text::SIDE);
    Some(sides::expected_actual(
        Some(&scalar(&want)),
        Some(&scalar(&got)),
        Some(unified),
    ))
}

/// `int(\n\t5,\n)` is `5`.
fn scalar(side: &str) -> String {
    let lines: Vec<&str> = side.lines().map(str::trim).collect();
    match lines.as_slice() {
        [open, value, ")"] if open.ends_with('(') => value.trim_end_matches(',').to_owned(),
        _ => side.to_owned(),
    }
}

/// `Expected\n    <int>: 1\nto equal\n    <int>: 2`.
fn gomega(message: &str) -> Option<Diff> {
    let lines: Vec<&str> = message.lines().map(str::trim_end).collect();
    let at = lines.iter().position(|line| line.trim() == "Expected")?;
    let to = lines[at..].iter().position(|line| {
        matches!(
            line.trim(),
            "to equal" | "to be identical to" | "to be equivalent to" | "to be =="
        )
    })? + at;
    let value = |lines: &[&str]| -> Option<String> {
        let text = lines
            .iter()
            .map(|line| line.trim_start())
            .collect::<Vec<_>>()
            .join("\n");
        let (kind, value) = text.split_once(">: ")?;
        kind.starts_with('<').then(|| value.trim_end().to_owned())
    };
    let (actual, expected) = (value(&lines[at + 1..to])?, value(&lines[to + 1..])?);
    Some(sides::expected_actual(Some(&expected), Some(&actual), None))
}

/// `assertion failed: 1 (got int) != 2 (want int)`: gotest.tools does not say which is which.
fn gotest_tools(message: &str) -> Option<Diff> {
    let rest = message.lines().next()?.strip_prefix("assertion failed: ")?;
    let (left, right) = rest.split_once(" != ")?;
    if right.contains(" != ") {
        return None;
    }
    let bare = |side: &str| -> Option<String> {
        let (value, note) = side.trim_end().rsplit_once(" (")?;
        note.ends_with(')').then(|| value.to_owned())
    };
    Some(sides::with_unified(&bare(left)?, &bare(right)?))
}

/// `got:` and `want:` on lines of their own, the values below them or behind them.
fn blocks(message: &str) -> Option<Diff> {
    let lines: Vec<&str> = message.lines().collect();
    let label = |line: &str, words: &[&str]| -> Option<String> {
        let (word, rest) = line.trim_start().split_once(':')?;
        let word = word.trim().to_ascii_lowercase();
        words
            .contains(&word.as_str())
            .then(|| rest.trim().to_owned())
    };
    let got = ["got", "actual", "have", "received"];
    let want = ["want", "expected", "wanted"];
    if lines.len() < 2 {
        return None;
    }
    let at = |words: &[&str]| {
        let mut found = lines
            .iter()
            .enumerate()
            .filter_map(|(at, line)| Some((at, label(line, words)?)));
        let first = found.next()?;
        found.next().is_none().then_some(first)
    };
    let ((got_at, got_first), (want_at, want_first)) = (at(&got)?, at(&want)?);
    let value = |at: usize, first: &str, other: usize| -> String {
        let end = if other > at { other } else { lines.len() };
        let mut inner: Vec<&str> = lines[at + 1..end].to_vec();
        if !first.is_empty() {
            // A value behind the label has its one line.
            return first.to_owned();
        }
        while inner.last().is_some_and(|line| line.trim().is_empty()) {
            inner.pop();
        }
        inner.join("\n")
    };
    let actual = value(got_at, &got_first, want_at);
    let expected = value(want_at, &want_first, got_at);
    (!actual.is_empty() || !expected.is_empty())
        .then(|| sides::expected_actual(Some(&expected), Some(&actual), None))
}

/// The forms of one line; `(?i)` for the words only.
static FORMS: LazyLock<Vec<(Regex, bool)>> = LazyLock::new(|| {
    [
        // The first side is what was.
        (r"^(?:.*?[\s:;,(=])?(?i:got|actual|have|received)(?:[:=]|\s+value\s|\s)\s*(?P<one>.+?)[,;.]?\s+(?:but\s+)?(?i:wanted|want|expected|expecting)(?:[:=]\s*|\s+value\s+|\s+)(?P<two>.+)$", false),
        (r"^.*?(?:\s=|\s=>|\sreturned|\sis|\swas|\s==)\s+(?P<one>.+?)[,;.]?\s+(?:but\s+)?(?i:wanted|want|expected|expecting)(?:[:=]\s*|\s+)(?P<two>.+)$", false),
        // The first side is what should have been.
        (r"^(?:.*?[\s:;,(=])?(?i:want|wanted|expected|expecting|expects|should be)(?:[:=]|\s+value|\s)\s*(?:to be\s+)?(?P<two>.+?)[,;.]?\s+(?:but\s+)?(?i:got|actual|have|received|was)(?:[:=]\s*|\s+value\s+|\s+)(?P<one>.+)$", true),
    ]
    .into_iter()
    .map(|(pattern, first)| (Regex::new(pattern).expect("a constant pattern"), first))
    .collect()
});

static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:want|wanted|expected|expecting|expects)\b").expect("a constant pattern")
});

/// `Add(1, 2) = 4, want 3` and its kin. Nothing where the words occur twice.
fn words(line: &str, message: &str) -> Option<Diff> {
    if line.len() > 4000 {
        return None;
    }
    let bare = masked(line);
    if WORDS.find_iter(&bare).count() != 1 {
        return None;
    }
    for (form, _) in FORMS.iter() {
        let Some(found) = form.captures(&bare) else {
            continue;
        };
        let (actual, expected) = (found.name("one")?, found.name("two")?);
        let actual_last = actual.start() > expected.start();
        let (last, first) = match actual_last {
            true => (&line[actual.range()], &line[expected.range()]),
            false => (&line[expected.range()], &line[actual.range()]),
        };
        // What goes on below belongs to the value on the right.
        if message.lines().nth(1).is_some() && !last.is_empty() {
            return None;
        }
        let (mut first, last) = (inner(first), ending(last));
        // `expected status 200 but got 500`: both are numbers.
        let number = |text: &str| text.parse::<f64>().is_ok();
        if let Some((_, word)) = first
            .rsplit_once(' ')
            .filter(|(_, word)| number(word) && number(&last))
        {
            first = word.to_owned();
        }
        let (actual, expected) = if actual_last {
            (last, first)
        } else {
            (first, last)
        };
        if actual.is_empty() || expected.is_empty() {
            return None;
        }
        return Some(sides::expected_actual(Some(&expected), Some(&actual), None));
    }
    None
}

/// The line with the letters inside of its quotes made others: what a value says is no word of
/// the message. As long as the line, so that places in it hold.
fn masked(line: &str) -> Cow<'_, str> {
    if !line.contains(['"', '`']) {
        return Cow::Borrowed(line);
    }
    let mut bare = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['"', '`']) {
        let quote = if rest[at..].starts_with('"') {
            '"'
        } else {
            '`'
        };
        let end = match quote {
            '"' => quoted(&rest[at..], quote),
            _ => rest[at + 1..].find(quote).map(|end| end + 2),
        };
        let Some(end) = end else {
            break;
        };
        bare.push_str(&rest[..=at]);
        bare.extend(std::iter::repeat_n('x', end - 2));
        bare.push(quote);
        rest = &rest[at + end..];
    }
    bare.push_str(rest);
    Cow::Owned(bare)
}

/// A value between two words.
fn inner(text: &str) -> String {
    text.trim()
        .trim_end_matches([',', ';'])
        .trim_end()
        .to_owned()
}

/// A value at the end of a line, without what people say behind it.
fn ending(text: &str) -> String {
    let text = text.trim();
    let (value, rest) = literal(text);
    let plain = match rest.chars().next() {
        None => return value.to_owned(),
        Some(_) if !value.is_empty() => value,
        Some(_) => text,
    };
    if plain != text {
        return plain.to_owned();
    }
    let end = [" for ", " at index ", " in case ", " (", "; ", " when "]
        .iter()
        .filter_map(|stop| text.find(stop))
        .min();
    text[..end.unwrap_or(text.len())]
        .trim_end_matches(['.', '!', ',', ')'])
        .trim_end()
        .to_owned()
}

/// A Go value at the beginning of a text that is sure to end where it ends, and what follows.
fn literal(text: &str) -> (&str, &str) {
    let end = match text.as_bytes().first() {
        Some(b'"') => quoted(text, '"'),
        Some(b'`') => text[1..].find('`').map(|at| at + 2),
        Some(b'\'') => quoted(text, '\''),
        Some(b'<') => balanced(text),
        Some(b'[' | b'{' | b'&' | b'(' | b'*') => composite(text),
        Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') if composed(text) => composite(text),
        Some(b'0'..=b'9' | b'-' | b'+' | b'.') => {
            let end = text.find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ')' | '('));
            let end = end.unwrap_or(text.len());
            Some(text[..end].trim_end_matches(':').len())
        }
        _ => {
            let word = text.split([' ', ',', ';', ')']).next().unwrap_or("");
            matches!(word, "true" | "false" | "nil" | "<nil>").then_some(word.len())
        }
    };
    match end {
        Some(end) => {
            let (value, rest) = text.split_at(end);
            (
                value.trim_end_matches('.'),
                rest.trim_start_matches(['.', '!']),
            )
        }
        None => ("", text),
    }
}

fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}

/// Whether a text begins with a value that has a type before its braces: `map[int]bool{}`,
/// `time.Duration(3)`.
fn composed(text: &str) -> bool {
    let named = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '*');
    let rest = text.trim_start_matches(named);
    let kind = &text[..text.len() - rest.len()];
    rest.starts_with('{')
        || kind == "map" && rest.starts_with('[')
        || kind.contains('.') && rest.starts_with('(')
        || matches!(kind, "struct" | "interface") && rest.starts_with(" {")
}

/// The end of a value that has braces, with the type before them: `[]string{"a"}`, `(*T)(nil)`,
/// `[]interface {}{1}`, `[1 2]`.
fn composite(text: &str) -> Option<usize> {
    let mut end = 0;
    let mut closed = false;
    loop {
        let rest = &text[end..];
        match rest.chars().next() {
            Some('[' | '{' | '(') => {
                end += balanced(rest)?;
                closed = true;
            }
            Some(c) if c.is_alphanumeric() || matches!(c, '_' | '.' | '*' | '&') => {
                end += c.len_utf8();
            }
            Some(' ')
                if rest.starts_with(" {")
                    && (text[..end].ends_with("interface") || text[..end].ends_with("struct")) =>
            {
                end += 1;
            }
            _ => return closed.then_some(end),
        }
    }
}

fn balanced(text: &str) -> Option<usize> {
    let mut depth = 0i32;
    let mut skip = 0;
    for (at, c) in text.char_indices() {
        match c {
            _ if at < skip => {}
            '"' => skip = at + quoted(&text[at..], '"')?,
            '[' | '{' | '(' | '<' => depth += 1,
            ']' | '}' | ')' | '>' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(message: &str) -> Option<(String, String)> {
        let diff = of(message)?;
        Some((diff.actual?, diff.expected?))
    }

    #[test]
    fn what_people_write() {
        for (message, actual, expected) in [
            ("Add(1, 2) = 4, want 3", "4", "3"),
            ("Add(1, 2) = 4; want 3", "4", "3"),
            ("got 1, want 2", "1", "2"),
            ("got \"x\", want \"y\"", "\"x\"", "\"y\""),
            ("got: 1, want: 2", "1", "2"),
            ("got=1 want=2", "1", "2"),
            ("marked: expected 3 but got 4", "4", "3"),
            ("bare: expected 1, got 2", "2", "1"),
            ("expected: [1 2], got: [1 3]", "[1 3]", "[1 2]"),
            ("want 5, got 6", "6", "5"),
            ("expected status 200 but got 500: oops", "500", "200"),
            ("got 1, want 2 for input x", "1", "2"),
            (
                "got error no such file, want nil",
                "error no such file",
                "nil",
            ),
            (
                "Reverse(\"ab\") returned \"ab\", expected \"ba\"",
                "\"ab\"",
                "\"ba\"",
            ),
            ("sum: got {1 2}, want {1 3}", "{1 2}", "{1 3}"),
            ("got true; want false (case 3)", "true", "false"),
            ("Name() = a b, want c d", "a b", "c d"),
            (
                "Split(\"x\") = []string{\"x\"}, want []string{\"y, want z\"}",
                "[]string{\"x\"}",
                "[]string{\"y, want z\"}",
            ),
            ("got x, want []string(nil)", "x", "[]string(nil)"),
            (
                "got: main.P{X:1, Y:2}, want: &main.P{X:1, Y:3}.",
                "main.P{X:1, Y:2}",
                "&main.P{X:1, Y:3}",
            ),
            (
                "got [], want []interface {}{1, \"a } b\"} in case 3",
                "[]",
                "[]interface {}{1, \"a } b\"}",
            ),
            (
                "expected \"a, got b\", got \"want c\"",
                "\"want c\"",
                "\"a, got b\"",
            ),
            ("got map[a:1], want map[a:2].", "map[a:1]", "map[a:2]"),
        ] {
            assert_eq!(
                pair(message),
                Some((actual.into(), expected.into())),
                "{message}"
            );
        }
    }

    #[test]
    fn what_is_not_sure_has_no_sides() {
        for message in [
            "boom",
            "we want more",
            "got a letter",
            "got 1, want 2, want 3",
            "expected an error",
            "unexpected error: x",
        ] {
            assert_eq!(of(message), None, "{message}");
        }
    }

    #[test]
    fn libraries_are_known() {
        let testify = "\n\tError Trace:\t/p/a_test.go:21\n\tError:      \tNot equal: \n\t            \texpected: 4\n\t            \tactual  : 5\n\tTest:       \tTestEqual\n\tMessages:   \tsums of 2";
        assert_eq!(pair(testify), Some(("5".into(), "4".into())));
        assert_eq!(labelled(testify, "Messages").as_deref(), Some("sums of 2"));
        let cmp = "mismatch (-want +got):\n  int(\n- \t5,\n+ \t6,\n  )\n";
        assert_eq!(pair(cmp), Some(("6".into(), "5".into())));
        let gomega = "Expected\n    <int>: 1\nto equal\n    <int>: 2";
        assert_eq!(pair(gomega), Some(("1".into(), "2".into())));
        let left = of("assertion failed: 1 (got int) != 2 (want int)").and_then(|d| d.left);
        assert_eq!(left.as_deref(), Some("1"));
    }
}
