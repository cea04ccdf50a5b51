//! Places of PHPUnit's traces, and what the project's sources say about them.

use crate::context::Context;
use crate::report::Frame;
use crate::report::Location;
use crate::report::Phase;

/// More frames than this are not kept.
const MOST: usize = 40;

/// `/p/tests/ATest.php:12`, alone on its line.
pub(crate) fn place(line: &str) -> Option<(&str, u32)> {
    let line = line.trim();
    let (file, number) = line.rsplit_once(':')?;
    let number = number.parse().ok().filter(|number| *number > 0)?;
    let absolute = file.starts_with('/') || file.starts_with("phar://");
    let windows = file
        .get(1..3)
        .is_some_and(|drive| drive == ":\\" || drive == ":/");
    let known = [".php", ".phpt", ".inc"]
        .iter()
        .any(|end| file.ends_with(end));
    let relative = known && !file.contains(' ') && !file.starts_with(['+', '-', '\'', '"']);
    (absolute || windows || relative).then_some((file, number))
}

/// The frames of a block, innermost first: they stand at its end, and what the message says above
/// them is no frame.
pub(crate) fn of(body: &str, context: &Context) -> Vec<Frame> {
    let main = body.find("\nCaused by\n").map_or(body, |at| &body[..at]);
    let found = trailing(main, context);
    match found.is_empty() {
        true => trailing(body, context),
        false => found,
    }
}

fn trailing(body: &str, context: &Context) -> Vec<Frame> {
    let mut frames = Vec::new();
    for line in body.trim_end().lines().rev() {
        if line.trim_end().ends_with(" {main}") || line.trim_start().starts_with("thrown in ") {
            continue;
        }
        let found = place(line)
            .map(|(file, line)| (file, line, None))
            .or_else(|| numbered(line));
        let Some((file, line, function)) = found else {
            break;
        };
        if frames.len() < 10 * MOST {
            frames.push(frame(file, line, function, context));
        }
    }
    frames.reverse();
    frames.truncate(MOST);
    frames
}

/// `#0 /p/a.php(12): f()` of PHP's own traces.
fn numbered(line: &str) -> Option<(&str, u32, Option<&str>)> {
    let rest = line.trim_start().strip_prefix('#')?;
    let (number, rest) = rest.split_once(' ')?;
    number.parse::<u32>().ok()?;
    let (file, rest) = rest.split_once('(')?;
    let (line, rest) = rest.split_once(')')?;
    let function = rest.strip_prefix(": ");
    Some((file, line.parse().ok()?, function))
}

fn frame(file: &str, line: u32, function: Option<&str>, context: &Context) -> Frame {
    let file = context.relative(file);
    Frame {
        user: is_user(&file, context),
        file,
        line: Some(line),
        function: function.map(|name| crate::text::cut(name, 300)),
    }
}

/// Whether a file, already relative, is the user's.
pub(crate) fn is_user(file: &str, context: &Context) -> bool {
    let foreign = ["phar:", "/usr/share/php", "/usr/bin/"];
    !foreign.iter().any(|start| file.starts_with(start))
        && !file.contains("/phpunit/src/")
        && context.is_user(file)
}

/// The innermost of the user's.
pub(crate) fn location(frames: &[Frame], context: &Context) -> Option<Location> {
    let mut user = frames.iter().filter(|frame| frame.user);
    let frame = user.find(|frame| context.tree.may_hold(&frame.file, frame.line))?;
    Some(Location {
        file: frame.file.clone(),
        line: frame.line,
        column: None,
    })
}

/// The function that holds a line of a source, and the class around it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inside {
    /// The namespace.
    pub namespace: String,
    /// The class.
    pub class: String,
    /// The function.
    pub function: String,
    /// The line of its head.
    pub line: u32,
    /// What its attributes and comments say.
    pub phase: Option<Phase>,
}

impl Inside {
    /// `Foo\BarTest::testBaz`.
    pub fn id(&self) -> String {
        let class = self.class_name();
        format!("{class}::{}", self.function)
    }

    fn class_name(&self) -> String {
        match self.namespace.as_str() {
            "" => self.class.clone(),
            namespace => format!("{namespace}\\{}", self.class),
        }
    }
}

/// What holds a line of a file.
pub(crate) fn inside(file: &str, line: u32, context: &Context) -> Option<Inside> {
    let source = context.tree.read(file)?;
    let mut found = Inside::default();
    let mut marks: Option<Phase> = None;
    for (text, number) in source.lines().zip(1u32..) {
        if number > line {
            break;
        }
        let code = text.trim_start();
        if let Some(rest) = code.strip_prefix("namespace ") {
            found.namespace = rest.trim_end_matches([';', '{', ' ']).to_owned();
        }
        for (mark, phase) in [
            ("#[Before", Phase::Setup),
            ("#[After", Phase::Teardown),
            ("@beforeClass", Phase::Setup),
            ("@before", Phase::Setup),
            ("@afterClass", Phase::Teardown),
            ("@after", Phase::Teardown),
        ] {
            if code.contains(mark) {
                marks = Some(phase);
            }
        }
        if let Some(name) = named(code, "class ") {
            found.class = name.to_owned();
            found.function.clear();
        }
        if let Some(name) = named(code, "function ") {
            found.function = name.to_owned();
            found.line = number;
            found.phase = marks.take().or(by_name(name));
        }
    }
    (!found.function.is_empty()).then_some(found)
}

fn named<'a>(code: &'a str, word: &str) -> Option<&'a str> {
    if code.starts_with(['*', '/', '#']) {
        return None;
    }
    let at = code.find(word)?;
    let before = &code[..at];
    let modifiers = before.split_whitespace().all(|word| {
        [
            "public",
            "protected",
            "private",
            "static",
            "final",
            "abstract",
            "readonly",
        ]
        .contains(&word)
    });
    let rest = code[at + word.len()..].trim_start_matches('&');
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    let name = &rest[..end.unwrap_or(rest.len())];
    (modifiers && !name.is_empty()).then_some(name)
}

/// The methods that PHPUnit itself calls.
pub(crate) fn by_name(function: &str) -> Option<Phase> {
    match function {
        "setUp" | "setUpBeforeClass" | "assertPreConditions" => Some(Phase::Setup),
        "tearDown" | "tearDownAfterClass" | "assertPostConditions" => Some(Phase::Teardown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stand_alone() {
        assert_eq!(place("/p/a b/ATest.php:12"), Some(("/p/a b/ATest.php", 12)));
        assert_eq!(place("tests/a.phpt:3"), Some(("tests/a.phpt", 3)));
        for line in ["see a.php:3 for more", "12:30", "", "a.php", "/p/a.php:x"] {
            assert_eq!(place(line), None, "{line}");
        }
    }

    #[test]
    fn numbered_frames_are_read() {
        assert_eq!(
            numbered("#1 /p/a.php(12): A->b('x')"),
            Some(("/p/a.php", 12, Some("A->b('x')")))
        );
        assert_eq!(numbered("#6 {main}"), None);
    }
}
