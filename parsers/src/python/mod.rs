//! What pytest and unittest share: tracebacks, the two sides of a comparison, whose code a
//! file is.

pub(crate) mod fault;
pub(crate) mod sides;
pub(crate) mod traceback;

use crate::context::Context;
use crate::report::Frame;
use crate::report::Location;
use crate::text;

/// A longer stack than this is cut in its middle.
pub(crate) const MOST_FRAMES: usize = 40;

/// Whether a file, already relative, is the project's own code: not Python's own library
/// either, wherever that lies.
pub(crate) fn is_user(context: &Context, file: &str) -> bool {
    context.is_user(file) && !of_python(file)
}

/// `…/lib/python3.11/…`, and the places that python has no file for.
pub(crate) fn of_python(file: &str) -> bool {
    let mut parts = file.split(['/', '\\']).rev().skip(1);
    let versioned = |part: &str| {
        part.strip_prefix("python").is_some_and(|version| {
            version.starts_with(|c: char| c.is_ascii_digit())
                && version.chars().all(|c| c.is_ascii_digit() || c == '.')
        })
    };
    parts.any(|part| versioned(part) || part == "site-packages" || part == "dist-packages")
}

/// Frames as a report has them, innermost first; `frames` are outermost first.
pub(crate) fn frames(
    frames: &[traceback::Entry],
    path: impl Fn(&str) -> String,
    context: &Context,
) -> Vec<Frame> {
    let made = frames.iter().rev().take(MOST_FRAMES).map(|entry| {
        let file = path(&entry.file);
        Frame {
            user: is_user(context, &file),
            file,
            line: entry.line,
            function: entry.function.as_deref().map(|name| text::cut(name, 300)),
        }
    });
    made.collect()
}

/// The innermost frame of the user's own code.
pub(crate) fn innermost(frames: &[Frame]) -> Option<Location> {
    let frame = frames.iter().find(|frame| frame.user)?;
    Some(Location {
        file: frame.file.clone(),
        line: frame.line,
        column: None,
    })
}

/// The class without its module: `json.decoder.JSONDecodeError` is a `JSONDecodeError`.
pub(crate) fn bare_class(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

/// `tests.test_a` is the module of `tests/test_a.py`.
pub(crate) fn module_file(module: &str) -> String {
    format!("{}.py", module.replace('.', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_s_library_is_nobody_s() {
        let context = Context::default();
        for file in [
            "/usr/lib/python3.11/json/decoder.py",
            "/home/x/.pyenv/versions/3.8.18/lib/python3.8/unittest/case.py",
            "/x/lib/python3/dist-packages/y.py",
            "<frozen importlib._bootstrap>",
        ] {
            assert!(!is_user(&context, file), "{file}");
        }
        assert!(is_user(&context, "/home/x/python/python_tests/a.py"));
        assert!(is_user(&context, "python3.py"));
    }
}
