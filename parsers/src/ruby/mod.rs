//! What RSpec and minitest have in common because both are Ruby: backtraces, whose code a file
//! is, errors that end the interpreter, and where in a source a line stands.

pub(crate) mod source;
pub(crate) mod streams;
pub(crate) mod uncaught;

use crate::context::Context;
use crate::report::Frame;
use crate::report::Location;
use crate::text;

/// A longer backtrace is cut.
const MOST_FRAMES: usize = 40;

/// One line of a backtrace as Ruby prints it: `a.rb:3:in 'A#b'`, before 3.4 "a.rb:3:in `b'".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Traced<'a> {
    /// The file as it is printed.
    pub file: &'a str,
    /// The line.
    pub line: u32,
    /// What is printed of the method, without the quotes.
    pub function: Option<&'a str>,
    /// What follows the place: an uncaught exception's message.
    pub rest: &'a str,
}

/// Reads `file:line` with what follows; nothing where that does not begin the text.
pub(crate) fn traced(text: &str) -> Option<Traced<'_>> {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(found) = memchr::memchr(b':', &bytes[from..]) {
        let at = from + found;
        let digits = bytes[at + 1..]
            .iter()
            .take(9)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let end = at + 1 + digits;
        let follows = matches!(bytes.get(end), None | Some(b':' | b' '));
        if at > 0 && digits > 0 && digits < 8 && follows {
            let line = text[at + 1..end].parse().ok().filter(|line| *line > 0)?;
            let (function, rest) = function(&text[end..]);
            let file = &text[..at];
            return plausible(file).then_some(Traced {
                file,
                line,
                function,
                rest,
            });
        }
        from = at + 1;
    }
    None
}

/// Whether a text can be a file's name: messages have colons and numbers, too.
fn plausible(file: &str) -> bool {
    let begins = file.starts_with(['/', '.', '<', '(', '-']);
    let named = begins || file.contains(['.', '/']) && !file.contains(": ");
    named && !file.starts_with(' ') && file.len() < 4096
}

/// `:in 'f': message` makes `f` and the message.
fn function(text: &str) -> (Option<&str>, &str) {
    let Some(quoted) = text.strip_prefix(":in ") else {
        return (None, text.trim_start_matches([':', ' ']));
    };
    let Some(inner) = quoted.strip_prefix(['`', '\'']) else {
        return (None, quoted);
    };
    // A method's own name may hold no quote; a block's place may.
    let end = inner.find("':").or_else(|| inner.rfind('\''));
    match end {
        Some(end) => (
            Some(&inner[..end]),
            inner[end + 1..].trim_start_matches([':', ' ']),
        ),
        None => (Some(inner), ""),
    }
}

/// A method's bare name: `block in A#b` (3.4) and `block in b` make `block in b`.
pub(crate) fn bare(function: &str) -> String {
    let (before, name) = match function.rfind(" in ") {
        Some(at) => function.split_at(at + 4),
        None => ("", function),
    };
    let last = name.rsplit_once('#').map_or(name, |(_, last)| last);
    let last = match last.rsplit_once('.') {
        Some((class, last)) if class.starts_with(|c: char| c.is_uppercase()) => last,
        _ => last,
    };
    format!("{before}{last}")
}

/// Whether a file, already relative to the project, is the user's own.
pub(crate) fn is_user(context: &Context, file: &str) -> bool {
    const FOREIGN: [&str; 5] = [
        "gems",
        "rubygems",
        "bundle",
        ".bundle",
        "rubygems-integration",
    ];
    if !context.is_user(file) || file.starts_with(['(', '<', '-']) {
        return false;
    }
    let standard = file.contains("/lib/ruby/") || file.contains("/ruby/lib/");
    // The binstubs of a project start tools; they are nobody's failing code.
    let started = file.starts_with('/') && file.contains("/bin/") || file.starts_with("bin/");
    !standard && !started && !file.split('/').any(|part| FOREIGN.contains(&part))
}

/// The frames of a backtrace's lines, innermost first.
pub(crate) fn frames<'a>(
    context: &Context,
    lines: impl IntoIterator<Item = &'a str>,
) -> Vec<Frame> {
    let lines = lines.into_iter().filter_map(|line| traced(line.trim()));
    let mut frames: Vec<Frame> = lines
        .map(|line| {
            let file = relative(context, line.file);
            Frame {
                user: is_user(context, &file),
                file,
                line: Some(line.line),
                function: line.function.map(|name| text::cut(name, 300)),
            }
        })
        .filter(|frame| frame.user || !framework(&frame.file))
        .take(400)
        .collect();
    shorten(&mut frames);
    frames
}

/// Whether a file is the framework's or the interpreter's own: its steps say nothing of a test.
fn framework(file: &str) -> bool {
    const OWN: [&str; 5] = [
        "/lib/rspec/core",
        "/lib/rspec/expectations",
        "/lib/rspec/mocks",
        "/lib/rspec/support",
        "/lib/minitest",
    ];
    file.starts_with("<internal:") || OWN.iter().any(|own| file.contains(own))
}

/// A path as Ruby prints it, relative to the root.
pub(crate) fn relative(context: &Context, file: &str) -> String {
    if file.starts_with(['<', '(']) {
        return file.to_owned();
    }
    context.relative(file)
}

/// Leaves out the framework's frames below the user's last one, and what is too much.
pub(crate) fn shorten(frames: &mut Vec<Frame>) {
    let last = frames.iter().rposition(|frame| frame.user);
    frames.truncate(last.map_or(MOST_FRAMES, |last| last + 1));
    if frames.len() > MOST_FRAMES {
        // The caller at the outer end says more than the middle of a recursion.
        let end = frames.split_off(frames.len() - 5);
        frames.truncate(MOST_FRAMES - 5);
        frames.extend(end);
    }
}

/// The place of the innermost frame that is the user's own and can be there.
pub(crate) fn place(context: &Context, frames: &[Frame]) -> Option<Location> {
    let mut own = frames.iter().filter(|frame| frame.user);
    let found = own.find(|frame| context.tree.may_hold(&frame.file, frame.line))?;
    Some(at(&found.file, found.line))
}

/// A place.
pub(crate) fn at(file: &str, line: Option<u32>) -> Location {
    Location {
        file: file.to_owned(),
        line,
        column: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backtraces_of_every_ruby() {
        for (line, file, number, function, rest) in [
            ("/p/a.rb:3:in `b'", "/p/a.rb", 3, Some("b"), ""),
            ("./a.rb:3:in 'A#b'", "./a.rb", 3, Some("A#b"), ""),
            ("a b.rb:12", "a b.rb", 12, None, ""),
            (
                "a.rb:1:in `<main>': no: 3 (RuntimeError)",
                "a.rb",
                1,
                Some("<main>"),
                "no: 3 (RuntimeError)",
            ),
            (
                "a.rb:9:in 'Integer#/': divided by 0 (ZeroDivisionError)",
                "a.rb",
                9,
                Some("Integer#/"),
                "divided by 0 (ZeroDivisionError)",
            ),
            ("C:/x/a.rb:4:in `c'", "C:/x/a.rb", 4, Some("c"), ""),
        ] {
            let found = traced(line).expect(line);
            assert_eq!(
                (found.file, found.line, found.function, found.rest),
                (file, number, function, rest)
            );
        }
        for line in [
            "no place",
            "12:30",
            ":3",
            "Message: at 3:4 o'clock",
            "a.rb:0:in `x'",
        ] {
            assert_eq!(traced(line), None, "{line}");
        }
    }

    #[test]
    fn a_method_has_one_name_in_every_ruby() {
        for (printed, name) in [
            ("block in RSpec::Core::Example#run", "block in run"),
            ("block in run", "block in run"),
            ("A.b", "b"),
            ("setup", "setup"),
            ("TestA#setup", "setup"),
            (
                "block (2 levels) in <top (required)>",
                "block (2 levels) in <top (required)>",
            ),
        ] {
            assert_eq!(bare(printed), name);
        }
    }

    #[test]
    fn gems_and_the_standard_library_are_not_the_user_s() {
        let context = Context::default();
        for file in [
            "/usr/share/rubygems-integration/all/gems/rspec-core-3.12.0/lib/rspec/core.rb",
            "/usr/lib/ruby/3.1.0/timeout.rb",
            "vendor/bundle/ruby/3.1.0/gems/x-1/lib/x.rb",
            "/usr/bin/rspec",
            "bin/rails",
            "<internal:kernel>",
            "(eval at /p/a.rb:3)",
        ] {
            assert!(!is_user(&context, file), "{file}");
        }
        assert!(is_user(&context, "lib/ruby.rb"));
        assert!(is_user(&context, "/p/spec/a_spec.rb"));
    }
}
