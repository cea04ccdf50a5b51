//! Test files that could not be loaded: which file it was, and where the fault is.

use crate::compose;
use crate::context::Context;
use crate::js::stack;
use crate::js::thrown;
use crate::js::thrown::Thrown;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// The place that stands before the message of a syntax error: `/p/x.js:3`, the line, `^^^`.
pub(crate) fn syntax_place(text: &str, context: &Context) -> Option<Location> {
    let mut lines = text.lines().map(str::trim_end);
    let first = lines.find(|line| !line.is_empty())?.trim_start();
    let (file, line) = first.rsplit_once(':')?;
    let line: u32 = line.parse().ok().filter(|line| *line > 0)?;
    if !(file.starts_with('/') || file.starts_with("file://")) || file.contains(": ") {
        return None;
    }
    let caret = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && line.bytes().all(|byte| byte == b'^')
    };
    let column = lines.take(4).find(caret).and_then(|line| line.find('^'));
    let file = context.relative(&stack::path(file));
    stack::is_user(context, &file).then(|| Location {
        file,
        line: Some(line),
        column: column.and_then(|at| u32::try_from(at + 1).ok()),
    })
}

/// The failure of a file that could not be loaded; nothing where no file can be told.
/// `text` is the runtime's own: place and source line of a syntax error, name, message, stack.
pub(crate) fn failure(text: &str, known: Option<&str>, context: &Context) -> Option<Failure> {
    let syntax = syntax_place(text, context);
    let body = below_source(text).trim_start();
    let thrown = Thrown::read(body);
    let mut failure = compose::failure(
        "",
        FailureKind::CollectionError,
        Phase::Collect,
        thrown.line(),
    );
    thrown::place(&mut failure, &thrown.stack, context);
    let importer = importer(text, context);
    let outermost = failure.frames.iter().rfind(|frame| frame.user);
    let file = known
        .map(str::to_owned)
        .or_else(|| outermost.map(|frame| frame.file.clone()))
        .or_else(|| syntax.as_ref().map(|at| at.file.clone()))
        .or_else(|| importer.clone());
    failure.id = file?;
    if syntax.is_some() {
        failure.location = syntax;
    }
    if failure.location.is_none() {
        failure.location = Some(Location {
            file: importer.unwrap_or_else(|| failure.id.clone()),
            line: None,
            column: None,
        });
    }
    failure.code.clone_from(&thrown.code);
    failure.details = text::block(text, text::DETAILS);
    Some(failure)
}

/// What follows the source line and its `^^^`.
pub(crate) fn below_source(text: &str) -> &str {
    let first = text.lines().next().unwrap_or("").trim_end();
    let digits = first.bytes().rev().take_while(u8::is_ascii_digit).count();
    if digits == 0 || !first[..first.len() - digits].ends_with(':') {
        return text;
    }
    let mut from = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        from += line.len();
        let bare = line.trim();
        if number > 0 && !bare.is_empty() && bare.bytes().all(|byte| byte == b'^') {
            return &text[from..];
        }
        if number > 5 {
            break;
        }
    }
    text
}

/// The user's file that a message names: `Cannot find module 'x' imported from /p/a.mjs`,
/// the first of a `Require stack:`, Mocha's `SyntaxError[ @/p/a.mjs ]`.
fn importer(text: &str, context: &Context) -> Option<String> {
    let user = |file: &str| {
        let file = context.relative(&stack::path(file.trim()));
        stack::is_user(context, &file).then_some(file)
    };
    for line in text.lines().take(40) {
        if let Some((_, file)) = line.rsplit_once(" imported from ")
            && let Some(file) = user(file)
        {
            return Some(file);
        }
        if let Some((_, rest)) = line.split_once("[ @")
            && let Some((file, _)) = rest.split_once(" ]")
            && let Some(file) = user(file)
        {
            return Some(file);
        }
    }
    let mut lines = text
        .lines()
        .skip_while(|line| *line != "Require stack:")
        .skip(1);
    lines.find_map(|line| user(line.strip_prefix("- ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, String, Option<u32>) {
        let found = failure(text, None, &Context::rooted("/p")).expect("a file");
        let at = found.location.expect("a place");
        (found.id, at.file, at.line)
    }

    #[test]
    fn the_file_and_the_fault_are_told_apart() {
        let syntax = "/p/lib.js:2\nfunction ( {\n^^^^^^^^\n\nSyntaxError: no name\n    at wrapSafe (node:internal/x:1:1)\n    at Object.<anonymous> (/p/t/a.js:3:1)\n";
        assert_eq!(read(syntax), ("t/a.js".into(), "lib.js".into(), Some(2)));
        let esm = "Error [ERR_MODULE_NOT_FOUND]: Cannot find module '/p/t/nope.mjs' imported from /p/t/a.mjs\n    at finalizeResolution (node:internal/x:1:1)\n";
        assert_eq!(read(esm), ("t/a.mjs".into(), "t/a.mjs".into(), None));
        let thrown = "TypeError: boom\n    at exports.boom (/p/lib.js:2:9)\n    at Suite.<anonymous> (/p/t/a.js:4:7)\n    at run (/p/node_modules/mocha/lib/x.js:1:1)\n";
        assert_eq!(read(thrown), ("t/a.js".into(), "lib.js".into(), Some(2)));
        let bare = "SyntaxError[ @/p/t/s.mjs ]: Unexpected token ';'\n    at compile (node:internal/x:1:1)";
        assert_eq!(read(bare).0, "t/s.mjs");
    }
}
