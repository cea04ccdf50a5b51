//! Commands that start a JavaScript test runner, and names as patterns.

/// Where the runner's own arguments begin: behind one of its names.
pub(crate) fn start(argv: &[String], names: &[&str]) -> Option<usize> {
    let is = |word: &String| {
        let base = word.rsplit('/').next().unwrap_or(word);
        let base = base.split('@').next().unwrap_or(base);
        names.contains(&base) && !word.starts_with('-')
    };
    argv.iter().take(8).position(is).map(|at| at + 1)
}

/// What an option does to a rerun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// It is kept.
    Keep,
    /// It is kept, with the value that follows it.
    KeepWithValue,
    /// It is dropped.
    Drop,
    /// It is dropped, with the value that follows it.
    DropWithValue,
    /// It is dropped, with all values that follow it.
    DropWithValues,
}

/// The command without what selects tests, watches or ends early.
pub(crate) fn tool(argv: &[String], names: &[&str], sort: impl Fn(&str) -> Use) -> Vec<String> {
    let Some(start) = start(argv, names) else {
        return Vec::new();
    };
    let mut kept: Vec<String> = argv[..start].to_vec();
    let mut words = argv[start..].iter().peekable();
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or(word);
        let inline = word.contains('=');
        if !word.starts_with('-') || word == "--" {
            continue;
        }
        let value = |word: &&String| !word.starts_with('-');
        match sort(name) {
            Use::Keep => kept.push(word.clone()),
            Use::KeepWithValue => {
                kept.push(word.clone());
                if !inline {
                    kept.extend(words.next_if(value).cloned());
                }
            }
            Use::Drop => {}
            Use::DropWithValue if !inline => {
                words.next_if(value);
            }
            Use::DropWithValue => {}
            Use::DropWithValues => while words.next_if(value).is_some() {},
        }
    }
    kept
}

/// Titles as a regular expression of JavaScript that matches them alone; where the last one is
/// empty, everything below the others.
pub(crate) fn pattern(path: &[String]) -> String {
    let below = path.len() > 1 && path.last().is_some_and(String::is_empty);
    let mut out = String::from("^");
    for c in path.join(" ").chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\\' | '^' | '$' | '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|'
            | '/' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    if !below {
        out.push('$');
    }
    out
}

/// The path that stands for everything below a suite.
pub(crate) fn below(path: &[String]) -> Vec<String> {
    let mut path = path.to_vec();
    path.push(String::new());
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored() {
        let path = |titles: &[&str]| titles.iter().map(|title| (*title).to_owned()).collect();
        let one: Vec<String> = path(&["a (b)", "c/d"]);
        assert_eq!(pattern(&one), r"^a \(b\) c\/d$");
        assert_eq!(pattern(&below(&one[..1])), r"^a \(b\) ");
    }
}
