//! One numbered failure of Mocha's list: titles, message, diff, stack.
//!
//! ```text
//! kinds                                  (titles, each two columns deeper, the last with `:`)
//!        strict equal:
//!
//!       AssertionError: expected 2 to equal 3     (six columns where a diff follows,
//!       + expected - actual                        five where none does)
//!
//!       -2
//!       +3
//!       (six blanks)
//!       at Context.<anonymous> (test/a.js:10:12)
//! ```

use crate::js::thrown::Thrown;

/// What a block says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// The titles, outermost first.
    pub path: Vec<String>,
    /// What was thrown.
    pub thrown: Thrown,
    /// It was caught by nobody.
    pub uncaught: bool,
    /// Both sides as the diff shows them: expected, actual.
    pub sides: Option<(String, String)>,
    /// The diff itself, where it has several lines.
    pub unified: Option<String>,
    /// The block without its titles.
    pub text: String,
}

/// Reads a block from behind its number on. `leaf` is the last title, where the tree names it.
pub(crate) fn read(item: &str, leaf: Option<&str>) -> Block {
    let lines: Vec<&str> = item.lines().collect();
    let (path, body) = titles(&lines, leaf);
    let mut block = Block {
        path,
        text: lines[body..].join("\n"),
        ..Block::default()
    };
    let lines = &lines[body..];
    let frame = |line: &str| line.starts_with("      at ") && crate::js::stack::is_frame(line);
    // What caused it has a stack of its own, and a message may hold one, too: the last counts.
    let cause = |line: &str| line.starts_with("     Caused by: ");
    let end = lines
        .iter()
        .position(|line| cause(line))
        .unwrap_or(lines.len());
    let last = lines[..end].iter().rposition(|line| frame(line));
    let stack = last.map(|last| {
        let run = lines[..last]
            .iter()
            .rev()
            .take_while(|line| frame(line))
            .count();
        last - run
    });
    let head = &lines[..stack.unwrap_or(lines.len())];
    let message = match head
        .iter()
        .rposition(|line| *line == "      + expected - actual")
    {
        Some(at) if sides(&head[at + 1..]).is_some() => {
            let diff = &head[at + 1..];
            block.sides = sides(diff);
            block.unified = unified(diff);
            &head[..at]
        }
        _ => head,
    };
    let message = message.join("\n");
    let message = message.trim_start_matches('\n').trim();
    let message = match message.strip_prefix("Uncaught ") {
        Some(rest) => {
            block.uncaught = true;
            rest
        }
        None => message,
    };
    block.thrown = Thrown::head(message);
    block.thrown.stack = stack.map_or(String::new(), |at| lines[at..].join("\n"));
    block
}

/// The titles, and where the body begins.
fn titles(lines: &[&str], leaf: Option<&str>) -> (Vec<String>, usize) {
    let mut path = vec![lines.first().copied().unwrap_or("").to_owned()];
    let mut at = 1;
    while let Some(line) = lines.get(at) {
        let depth = 5 + 2 * path.len();
        let last = path.last().map_or("", String::as_str);
        let ended = last.ends_with(':');
        // A title may begin with blanks of its own.
        let deeper = indent(line) >= depth;
        let named = leaf.is_none_or(|leaf| is_leaf(last, leaf));
        if ended && named && (line.trim().is_empty() || indent(line) == 5) {
            break;
        }
        // A message that is itself indented looks like a title, except that none ends it.
        if ended && deeper && (leaf.is_some() && named || !ends_later(&lines[at..])) {
            break;
        }
        if deeper {
            path.push(line[depth..].to_owned());
        } else if ended && leaf.is_none() {
            break;
        } else if let Some(last) = path.last_mut() {
            // A title of several lines.
            last.push('\n');
            last.push_str(line);
        }
        at += 1;
        if path.len() > 60 || at > 400 {
            break;
        }
    }
    if let Some(last) = path.last_mut()
        && last.ends_with(':')
    {
        last.pop();
    }
    (path, at.min(lines.len()))
}

/// Whether a last title is the one of the tree, which shows its first line, or (`list`) all the
/// titles in one.
fn is_leaf(last: &str, leaf: &str) -> bool {
    let Some(title) = last.strip_suffix(':') else {
        return false;
    };
    let first = title.lines().next().unwrap_or("");
    let list = |title: &str| {
        leaf.strip_suffix(title)
            .is_some_and(|rest| rest.ends_with(' '))
    };
    first == leaf || list(first) || title == leaf || leaf.trim() == first.trim()
}

/// Whether one of the next lines, down to the first that is empty, ends as titles do.
fn ends_later(lines: &[&str]) -> bool {
    let mut titles = lines.iter().take(60).take_while(|line| indent(line) >= 7);
    titles.any(|line| line.ends_with(':'))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// The lines of the diff, with their sign and without the margin.
fn diff_lines<'a>(diff: &'a [&'a str]) -> impl Iterator<Item = (char, &'a str)> {
    let lines = diff.iter().skip_while(|line| line.trim().is_empty());
    let end = |line: &&&str| line.trim_start() != "" || line.len() > 6;
    lines.take_while(end).filter_map(|line| {
        if *line == "--" || line.starts_with("      [mocha] output truncated") {
            return Some(('~', "..."));
        }
        let line = line.strip_prefix("      ")?;
        let mut chars = line.chars();
        match chars.next() {
            Some(sign @ (' ' | '+' | '-')) => Some((sign, chars.as_str())),
            _ => None,
        }
    })
}

fn sides(diff: &[&str]) -> Option<(String, String)> {
    let (mut expected, mut actual) = (Vec::new(), Vec::new());
    for (sign, text) in diff_lines(diff) {
        if sign != '-' {
            expected.push(text);
        }
        if sign != '+' {
            actual.push(text);
        }
    }
    let any = !expected.is_empty() || !actual.is_empty();
    any.then(|| (expected.join("\n"), actual.join("\n")))
}

fn unified(diff: &[&str]) -> Option<String> {
    let lines: Vec<String> = diff_lines(diff)
        .map(|(sign, text)| match sign {
            '~' => text.to_owned(),
            sign => format!("{sign}{text}"),
        })
        .collect();
    (lines.len() > 2).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_message_diff_and_stack_are_told_apart() {
        let block = read(
            "kinds\n       deep:\n\n      AssertionError [ERR_ASSERTION]: they differ\nat length\n      + expected - actual\n\n       [\n      -  1\n      +  2\n       ]\n      \n      at Context.<anonymous> (test/a.js:3:10)\n\n",
            None,
        );
        assert_eq!(block.path, ["kinds", "deep"]);
        assert_eq!(block.thrown.message, "they differ\nat length");
        let (expected, actual) = block.sides.expect("sides");
        assert_eq!(
            (expected.as_str(), actual.as_str()),
            ("[\n  2\n]", "[\n  1\n]")
        );
        assert!(block.thrown.stack.contains("test/a.js:3:10"));
    }

    #[test]
    fn titles_hold_what_separates_them() {
        let colons = "a:\n       b::\n         c:\n     Error: x: y\n      at f (a.js:1:1)\n";
        assert_eq!(read(colons, Some("c")).path, ["a:", "b::", "c"]);
        assert_eq!(read(colons, None).path, ["a:", "b::", "c"]);
        let lines = read("a\n       two\nlines:\n     Error: x\n", None);
        assert_eq!(lines.path, ["a", "two\nlines"]);
        let one = read(
            "alone:\n\n      no\n      + expected - actual\n\n      -1\n      +2\n      \n",
            None,
        );
        assert_eq!(
            (one.path.as_slice(), one.sides),
            (&["alone".to_owned()][..], Some(("2".into(), "1".into())))
        );
    }

    #[test]
    fn the_tree_says_which_title_is_the_last() {
        let hook = "before all\n       \"before all\" hook for \"x\":\n     Error: no\n      at f (a.js:1:1)\n";
        let full = "before all \"before all\" hook for \"x\"";
        assert_eq!(read(hook, Some(full)).path.len(), 2);
        let lines = read(
            "a\n       b\n         two\nlines:\n     Error: x\n",
            Some("two"),
        );
        assert_eq!(lines.path, ["a", "b", "two\nlines"]);
    }

    #[test]
    fn a_message_may_hold_a_stack_and_a_diff_of_its_own() {
        let block = read(
            "a:\n     Error: child\n    at forged (/p/f.js:1:1)\n      + expected - actual\n\nend\n      at real (b.js:2:2)\n",
            None,
        );
        assert_eq!(crate::js::stack::places(&block.thrown.stack).len(), 1);
        assert_eq!(block.sides, None);
    }
}
