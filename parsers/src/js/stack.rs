//! Stacks as V8 writes them, and whose code a frame is.
//!
//! `at fn (file:///p/x.mjs:1:2)`, `at async /p/x.js:1:2`, `at new A (x.js:1:2)`, frames of
//! `eval`, of node itself (`node:internal/…`), and the ids of bundlers (`/@fs/p/x.ts?v=1`,
//! `webpack-internal:///./x.js`). Innermost first, as they are written.

use crate::context::Context;
use crate::report::Frame;

/// A longer stack than this is nobody's.
const MOST: usize = 200;
/// A longer line than this is no frame.
const LONGEST: usize = 8 * 1024;

/// One frame of a stack, its file as it is printed, without `file://` and the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file; `<anonymous>` or `node:…` where it is none of anybody's.
    pub file: String,
    /// Line, counted from 1.
    pub line: Option<u32>,
    /// Column, counted from 1.
    pub column: Option<u32>,
    /// The function, as V8 names it.
    pub function: Option<String>,
}

impl Place {
    /// The frame of a report; whose it is, is asked later.
    pub fn frame(&self) -> Frame {
        Frame {
            file: self.file.clone(),
            line: self.line,
            function: self.function.clone(),
            user: false,
        }
    }
}

/// The frames of a stack's text, innermost first.
pub(crate) fn frames(stack: &str) -> Vec<Frame> {
    places(stack).iter().map(Place::frame).collect()
}

/// The columns that belong to [`frames`].
pub(crate) fn columns(stack: &str) -> Vec<Option<u32>> {
    places(stack).iter().map(|place| place.column).collect()
}

/// The same with columns. The stack's first run of frames is meant: what comes after it (the
/// properties of the error, its cause with a stack of its own) is another's.
pub(crate) fn places(stack: &str) -> Vec<Place> {
    let mut found = Vec::new();
    let mut began = false;
    for line in stack.lines() {
        if is_frame(line) {
            began = true;
            if found.len() < MOST {
                found.extend(place(line));
            }
        } else if began && !line.trim_start().starts_with("...") {
            // `... 4 lines matching cause stack trace ...` stands between frames.
            break;
        }
    }
    found
}

/// Whether a line looks like a frame, with a place or without (`at async Promise.all (index 0)`).
pub(crate) fn is_frame(line: &str) -> bool {
    let Some(rest) = line.trim_start().strip_prefix("at ") else {
        return false;
    };
    let rest = trimmed(rest);
    rest.ends_with(')') && rest.contains(" (") || position(rest).1.is_some()
}

/// The frame in a line; nothing where the line is none, or names no file.
pub(crate) fn place(line: &str) -> Option<Place> {
    if line.len() > LONGEST {
        return None;
    }
    let rest = trimmed(line.trim_start().strip_prefix("at ")?);
    let (function, place) = match bracketed(rest) {
        Some((function, place)) => (Some(function), place),
        None => (None, rest.strip_prefix("async ").unwrap_or(rest)),
    };
    let place = innermost_eval(place);
    let (file, line, column) = position(place);
    let native = file == "<anonymous>" || file == "native";
    if line.is_none() && !native || file.is_empty() {
        return None;
    }
    let function = function.map(|name| name.strip_prefix("async ").unwrap_or(name));
    let function = function.filter(|name| !name.is_empty() && *name != "<anonymous>");
    Some(Place {
        file: path(file),
        line,
        column,
        function: function.map(str::to_owned),
    })
}

/// Whether a file, already made relative, is the user's own: inside of the project, and neither
/// node's nor a package manager's.
pub(crate) fn is_user(context: &Context, file: &str) -> bool {
    if file.is_empty() || file.starts_with(['<', '[']) || file.starts_with("../") {
        return false;
    }
    if file.starts_with('/') && context.root.is_some() {
        return false;
    }
    if file.starts_with("internal/") || file == "native" || file.starts_with("evalmachine.") {
        return false;
    }
    let foreign = |part: &str| {
        matches!(
            part,
            "node_modules" | ".pnpm" | ".yarn" | ".pnp.cjs" | "bower_components"
        ) || part.starts_with("node:")
    };
    !file.split('/').any(foreign)
}

/// Without what `util.inspect` puts behind the last frame.
fn trimmed(rest: &str) -> &str {
    let rest = rest.trim_end();
    rest.strip_suffix(" {").unwrap_or(rest)
}

/// Function and place of `fn (place)`; both may have brackets of their own, in pairs.
fn bracketed(rest: &str) -> Option<(&str, &str)> {
    let inner = rest.strip_suffix(')')?;
    let mut depth = 1usize;
    for (at, byte) in inner.bytes().enumerate().rev() {
        match byte {
            b')' => depth += 1,
            b'(' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((inner[..at].trim_end(), &inner[at + 1..]));
        }
    }
    None
}

/// `eval at f (eval at g (/p/x.js:1:2)), <anonymous>:1:1` was written in `/p/x.js`.
fn innermost_eval(place: &str) -> &str {
    let mut place = place;
    for _ in 0..8 {
        let Some(inner) = place.strip_prefix("eval at ") else {
            break;
        };
        let outer = inner.rsplit_once(", ").map_or(inner, |(outer, _)| outer);
        match bracketed(outer) {
            Some((_, inside)) => place = inside,
            None => break,
        }
    }
    place
}

/// `file:line:column` or `file:line`; the file alone where there is no number.
fn position(place: &str) -> (&str, Option<u32>, Option<u32>) {
    let number = |text: &str| {
        let digits = (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u32>().ok()).flatten()
    };
    let Some((rest, last)) = place.rsplit_once(':') else {
        return (place, None, None);
    };
    let Some(last) = number(last) else {
        return (place, None, None);
    };
    match rest
        .rsplit_once(':')
        .map(|(file, line)| (file, number(line)))
    {
        Some((file, Some(line))) => (file, Some(line), Some(last)),
        _ => (rest, Some(last), None),
    }
}

/// A path of what stands there: URLs lose their scheme, bundlers' ids their prefixes.
pub(crate) fn path(file: &str) -> String {
    if file.starts_with("node:") {
        return file.to_owned();
    }
    if let Some(path) = file.strip_prefix("file://") {
        return decoded(without_query(path));
    }
    for scheme in [
        "webpack-internal://",
        "webpack://",
        "rollup://",
        "turbopack://",
    ] {
        if let Some(rest) = file.strip_prefix(scheme) {
            // What comes before the path is the name of the bundle.
            let path = rest.split_once('/').map_or(rest, |(_, path)| path);
            let path = path.strip_prefix("(rsc)/").unwrap_or(path);
            return without_query(path.trim_start_matches("./")).to_owned();
        }
    }
    for scheme in ["http://", "https://"] {
        if let Some(rest) = file.strip_prefix(scheme) {
            let path = rest.split_once('/').map_or(rest, |(_, path)| path);
            return match path.strip_prefix("@fs/") {
                Some(path) => decoded(&format!("/{}", without_query(path).trim_start_matches('/'))),
                None => decoded(without_query(path)),
            };
        }
    }
    if let Some(path) = file.strip_prefix("/@fs/") {
        return format!("/{}", without_query(path).trim_start_matches('/'));
    }
    without_query(file).to_owned()
}

/// `x.ts?v=1` is `x.ts`; a `?` that no `=` or word follows may be part of the name.
fn without_query(path: &str) -> &str {
    match path.rsplit_once('?') {
        Some((path, query)) if !path.is_empty() && !query.contains('/') => path,
        _ => path,
    }
}

/// Percent-encoded bytes as they are; what is no such encoding stays.
fn decoded(path: &str) -> String {
    if !path.contains('%') {
        return path.to_owned();
    }
    let hex = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16));
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%'
            && let (Some(high), Some(low)) = (hex(bytes.get(at + 1)), hex(bytes.get(at + 2)))
        {
            out.push((high * 16 + low) as u8);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(String, u32, u32, String)> {
        let place = place(line)?;
        let function = place.function.unwrap_or_default();
        let (line, column) = (place.line.unwrap_or(0), place.column.unwrap_or(0));
        Some((place.file, line, column, function))
    }

    #[test]
    fn every_form_of_a_frame_is_read() {
        for (line, file, number, column, function) in [
            ("    at fn (file:///p/x.mjs:1:2)", "/p/x.mjs", 1, 2, "fn"),
            (
                "    at async Object.<anonymous> (/p/x.js:3:4)",
                "/p/x.js",
                3,
                4,
                "Object.<anonymous>",
            ),
            ("at /p/x.js:1:2", "/p/x.js", 1, 2, ""),
            ("at async /p/x.js:1:2", "/p/x.js", 1, 2, ""),
            (
                "at async file:///p/a%20b/x.mjs:1:2",
                "/p/a b/x.mjs",
                1,
                2,
                "",
            ),
            ("at new Foo (/p/x.js:1:2)", "/p/x.js", 1, 2, "new Foo"),
            (
                "at Foo.bar [as baz] (/p/x.js:1:2)",
                "/p/x.js",
                1,
                2,
                "Foo.bar [as baz]",
            ),
            (
                "at Context.<anonymous> (test/a.js:3:10)",
                "test/a.js",
                3,
                10,
                "Context.<anonymous>",
            ),
            (
                "at Object.a (b) (/p/d (1)/x.js:1:2)",
                "/p/d (1)/x.js",
                1,
                2,
                "Object.a (b)",
            ),
            (
                "at node:internal/process/task_queues:95:5",
                "node:internal/process/task_queues",
                95,
                5,
                "",
            ),
            ("at f (/@fs/p/x.ts?v=12:1:2)", "/p/x.ts", 1, 2, "f"),
            (
                "at f (http://localhost:5173/src/x.ts?t=1:4:2)",
                "src/x.ts",
                4,
                2,
                "f",
            ),
            (
                "at f (http://localhost:5173/@fs/p/x.ts:4:2)",
                "/p/x.ts",
                4,
                2,
                "f",
            ),
            (
                "at f (webpack-internal:///./src/x.js:4:2)",
                "src/x.js",
                4,
                2,
                "f",
            ),
            (
                "at f (webpack://app/./src/x.js?ab12:4:2)",
                "src/x.js",
                4,
                2,
                "f",
            ),
            (
                "at eval (eval at <anonymous> (/p/x.js:5:6), <anonymous>:1:7)",
                "/p/x.js",
                5,
                6,
                "eval",
            ),
            (
                "at eval (eval at f (eval at g (/p/x.js:5:6), <anonymous>:1:1), <anonymous>:1:7)",
                "/p/x.js",
                5,
                6,
                "eval",
            ),
            (
                "at async Promise.all (/p/x.js:5:6) {",
                "/p/x.js",
                5,
                6,
                "Promise.all",
            ),
            (
                "at f (evalmachine.<anonymous>:1:7)",
                "evalmachine.<anonymous>",
                1,
                7,
                "f",
            ),
            (
                "at JSON.parse (<anonymous>)",
                "<anonymous>",
                0,
                0,
                "JSON.parse",
            ),
        ] {
            let expected = (file.to_owned(), number, column, function.to_owned());
            assert_eq!(read(line), Some(expected), "{line}");
        }
        for line in [
            "at the beginning",
            "at (now) we",
            "at async Promise.all (index 0)",
            "x (/p/x.js:1:2)",
            "at ",
            "at )",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn the_cause_has_a_stack_of_its_own() {
        let stack = "Error: no\n    at f (/p/x.js:1:2)\n    at async Promise.all (index 0)\n    ... 4 lines matching cause stack trace ...\n    at g (/p/x.js:9:2) {\n  [cause]: Error: why\n      at h (/p/y.js:1:2)";
        let lines: Vec<_> = frames(stack).iter().map(|frame| frame.line).collect();
        assert_eq!(lines, [Some(1), Some(9)]);
        assert_eq!(columns(stack), [Some(2), Some(2)]);
    }

    #[test]
    fn packages_and_node_are_not_the_user_s() {
        let context = Context::rooted("/p");
        for file in ["src/x.js", "target/x.js", "vendor/x.js", "internals/x.js"] {
            assert!(is_user(&context, file), "{file}");
        }
        for file in [
            "node_modules/chai/x.js",
            "a/node_modules/.pnpm/x.js",
            "node:internal/x",
            "web/node:internal/x",
            "internal/modules/cjs/loader.js",
            "<anonymous>",
            "/usr/lib/node_modules/mocha/lib/x.js",
            "../other/x.js",
            "native",
        ] {
            assert!(!is_user(&context, file), "{file}");
        }
        assert!(is_user(&Context::default(), "/home/u/p/x.js"));
    }
}
