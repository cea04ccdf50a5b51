//! Python's own text of an exception: `Traceback (most recent call last):` and what follows.

/// One line of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The file as it is printed.
    pub file: String,
    /// Its line.
    pub line: Option<u32>,
    /// The function; absent in the place of a syntax error.
    pub function: Option<String>,
}

/// One exception of a chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Raised {
    /// Its class, with the module where that is printed.
    pub class: String,
    /// Its text, all lines of it.
    pub message: String,
    /// Where it was raised, outermost first.
    pub entries: Vec<Entry>,
}

/// More exceptions or stack lines than this are not read.
const MOST: usize = 400;
const START: &str = "Traceback (most recent call last):";
const GROUP: &str = "  + Exception Group Traceback (most recent call last):";

/// The exceptions of a text, as they are printed: the last one is what was raised in the end.
pub(crate) fn read(text: &str) -> Vec<Raised> {
    let mut found: Vec<Raised> = Vec::new();
    let (mut inside, mut group) = (false, false);
    for line in text.lines() {
        if line == START || line == GROUP {
            group = line == GROUP;
            inside = true;
            if found.len() >= MOST {
                break;
            }
            found.push(Raised::default());
            continue;
        }
        let Some(raised) = found.last_mut() else {
            continue;
        };
        let line = match group {
            true => match line.strip_prefix("  | ") {
                Some(rest) => rest,
                // The parts of a group follow: it has said what it is.
                None => {
                    inside = false;
                    line
                }
            },
            false => line,
        };
        if inside {
            inside = stack_line(raised, line);
        } else if !raised.class.is_empty() && !group {
            message_line(raised, line);
        }
    }
    found.retain(|raised| !raised.class.is_empty() || !raised.entries.is_empty());
    for raised in &mut found {
        raised.message.truncate(raised.message.trim_end().len());
    }
    found
}

/// Takes a line of the stack; says whether the stack goes on.
fn stack_line(raised: &mut Raised, line: &str) -> bool {
    if let Some(entry) = entry(line) {
        if raised.entries.len() < MOST {
            raised.entries.push(entry);
        }
        return true;
    }
    let Some((class, message)) = exception(line) else {
        // Source, carets, values of `--locals`, "[Previous line repeated …]".
        return true;
    };
    raised.class = class.to_owned();
    raised.message = message.to_owned();
    false
}

fn message_line(raised: &mut Raised, line: &str) {
    raised.message.push('\n');
    raised.message.push_str(line);
}

/// `  File "/p/a.py", line 3, in f`; without a function where a syntax error is.
pub(crate) fn entry(line: &str) -> Option<Entry> {
    let rest = line.trim_start().strip_prefix("File \"")?;
    let (file, rest) = rest.split_once("\", line ")?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (number, rest) = rest.split_at(end);
    // A fault's stack has no comma: `line 3 in f`.
    let rest = rest.strip_prefix(',').unwrap_or(rest);
    let function = rest.strip_prefix(" in ").map(str::to_owned);
    if function.is_none() && !rest.trim().is_empty() {
        return None;
    }
    Some(Entry {
        file: file.to_owned(),
        line: number.parse().ok().filter(|line| *line > 0),
        function,
    })
}

/// `json.decoder.JSONDecodeError: Expecting …`, `KeyboardInterrupt`: class and message.
pub(crate) fn exception(line: &str) -> Option<(&str, &str)> {
    let (class, message) = match line.split_once(':') {
        Some((class, message)) => (class, message),
        None => (line.trim_end(), ""),
    };
    let word = |part: &str| {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && chars.all(|c| c.is_alphanumeric() || c == '_')
    };
    let named = class
        .split('.')
        .all(|part| word(part) || part == "<locals>");
    let message = message.strip_prefix(' ').unwrap_or(message);
    (named && !class.is_empty()).then_some((class, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_read_in_its_order() {
        let text = "Traceback (most recent call last):\n  File \"/p/a.py\", line 3, in f\n    {}[1]\n    ~~^^^\nKeyError: 1\n\nThe above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n  File \"/p/a.py\", line 5, in f\n    raise ValueError(\"x\")\nmod.Sub: first\nsecond\n";
        let found = read(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].class, "KeyError");
        assert_eq!(
            (found[1].class.as_str(), found[1].message.as_str()),
            ("mod.Sub", "first\nsecond")
        );
        assert_eq!(found[1].entries[0].line, Some(5));
    }

    #[test]
    fn a_syntax_error_has_a_place_without_a_function() {
        let found = read(
            "Traceback (most recent call last):\n  File \"/l/loader.py\", line 3, in go\n    __import__(name)\n  File \"/p/t.py\", line 6\n    x = = 1\n        ^\nSyntaxError: invalid syntax\n",
        );
        let last = found[0].entries.last().expect("an entry");
        assert_eq!(
            (last.file.as_str(), last.line, &last.function),
            ("/p/t.py", Some(6), &None)
        );
        assert_eq!(found[0].message, "invalid syntax");
    }

    #[test]
    fn groups_are_read() {
        let found = read(
            "  + Exception Group Traceback (most recent call last):\n  |   File \"/p/t.py\", line 6, in g\n  |     raise ExceptionGroup(\"many\", [ValueError(1)])\n  | ExceptionGroup: many (1 sub-exception)\n  +-+---------------- 1 ----------------\n    | ValueError: 1\n    +------------------------------------\n",
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].class, "ExceptionGroup");
        assert_eq!(found[0].message, "many (1 sub-exception)");
    }
}
