//! Whether a line of a test file stands in a hook, by the source around it.

use crate::report::Phase;

/// What a line stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    /// A hook that runs before tests.
    Before,
    /// One that runs after them.
    After,
    /// A test.
    Test,
}

impl Inside {
    /// The phase of what fails there.
    pub fn phase(self) -> Phase {
        match self {
            Inside::Before => Phase::Setup,
            Inside::After => Phase::Teardown,
            Inside::Test => Phase::Call,
        }
    }
}

/// Looks upward from the last of the lines for the call that opened the block it is in: a line
/// that is indented less and calls a hook or a test.
pub(crate) fn of<'a>(lines: impl DoubleEndedIterator<Item = &'a str>) -> Option<Inside> {
    let mut lines = lines.rev();
    let own = lines.next()?;
    if let Some(found) = opens(own) {
        return Some(found);
    }
    let mut least = indent(own);
    for line in lines.take(400) {
        if line.trim().is_empty() || indent(line) >= least {
            continue;
        }
        least = indent(line);
        if let Some(found) = opens(line) {
            return Some(found);
        }
    }
    None
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// What a line calls with a function.
fn opens(line: &str) -> Option<Inside> {
    let line = line.trim_start();
    let end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '$'))
        .unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    if !rest.trim_start().starts_with(['(', '.', '`', '<']) {
        return None;
    }
    match word {
        "beforeAll" | "beforeEach" | "before" => Some(Inside::Before),
        "afterAll" | "afterEach" | "after" => Some(Inside::After),
        "test" | "it" | "fit" | "xit" | "xtest" => Some(Inside::Test),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_around_is_found() {
        for (text, expected) in [
            (
                "describe('x', () => {\n  beforeAll(async () => {\n    const a = {\n      b: 1,\n    };\n    throw a;",
                Some(Inside::Before),
            ),
            ("afterEach(() => {\n  boom();", Some(Inside::After)),
            (
                "beforeEach(() => {\n  a();\n});\ntest('x', () => {\n  boom();",
                Some(Inside::Test),
            ),
            ("beforeEach(() => boom());", Some(Inside::Before)),
            ("describe('x', () => {\n  throw 1;", None),
            ("function helper() {\n  throw 1;", None),
        ] {
            assert_eq!(of(text.lines()), expected, "{text}");
        }
    }
}
