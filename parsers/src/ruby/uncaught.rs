//! What the interpreter itself says when it ends: an exception that nobody caught, a syntax
//! error, a crash of its own. It counts only where a run has no results of its own: threads and
//! child processes print the same.

use crate::context::Context;
use crate::report::Frame;
use crate::report::Location;
use crate::ruby;
use crate::ruby::Traced;
use crate::text;
use memchr::memmem;
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// More lines than this are not kept of one error.
const MOST_LINES: usize = 400;
/// Longer lines are no errors.
const LONGEST: usize = 8 * 1024;

/// What ended the interpreter, as far as its text says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Uncaught {
    /// The exception's class; empty for a crash of the interpreter.
    pub class: String,
    /// Its message.
    pub message: String,
    /// The whole text.
    pub lines: Vec<String>,
    /// The backtrace's lines, innermost first.
    pub trace: Vec<String>,
    /// Where a syntax error is.
    pub syntax: Option<(String, u32)>,
    /// The interpreter itself crashed.
    pub bug: bool,
}

impl Uncaught {
    /// Its frames.
    pub fn frames(&self, context: &Context) -> Vec<Frame> {
        ruby::frames(context, self.trace.iter().map(String::as_str))
    }

    /// Its place: that of a syntax error, else the innermost frame of the user's own.
    pub fn place(&self, context: &Context) -> Option<Location> {
        if let Some((file, line)) = &self.syntax {
            return Some(ruby::at(&ruby::relative(context, file), Some(*line)));
        }
        ruby::place(context, &self.frames(context))
    }

    /// The file that could not be loaded: the outermost test file, or file, of the user's own.
    pub fn file(&self, context: &Context) -> Option<String> {
        let frames = self.frames(context);
        let own = || frames.iter().rev().filter(|frame| frame.user);
        let test = own().find(|frame| looks_like_a_test(&frame.file));
        let found = test
            .or_else(|| own().next())
            .map(|frame| frame.file.clone());
        let syntax = || {
            self.syntax
                .as_ref()
                .map(|(file, _)| ruby::relative(context, file))
        };
        found.or_else(syntax)
    }

    /// One line: class and message.
    pub fn one_line(&self) -> String {
        let first = text::one_line(&self.message);
        match (self.class.as_str(), first.as_str()) {
            ("", _) => first,
            (class, "") => class.to_owned(),
            (class, _) => format!("{class}: {first}"),
        }
    }
}

/// Whether a file is called like one that holds tests.
pub(crate) fn looks_like_a_test(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let helper = name.ends_with("_helper.rb");
    let named = ["_test.rb", "_spec.rb"]
        .iter()
        .any(|end| name.ends_with(end));
    !helper && (named || name.starts_with("test_") || name.starts_with("tc_"))
}

static BUG: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("[BUG] "));
static SYNTAX: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(": syntax error"));

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Outside,
    /// After the first line: more of the message, or the backtrace.
    Message,
    /// In the backtrace.
    Trace,
    /// After `[BUG]`, before Ruby's own backtrace.
    Bug,
    /// In Ruby's own backtrace of a crash, outermost first.
    BugTrace,
    /// The interpreter's memory map and the like.
    BugRest,
}

/// Reads the lines of standard error, or of a log.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    part: Part,
    now: Uncaught,
    last: Option<Uncaught>,
}

impl Reader {
    /// Takes a line as it is.
    pub fn line(&mut self, bytes: &[u8]) {
        if self.part == Part::Outside && !may_begin(bytes) {
            return;
        }
        if bytes.len() > LONGEST {
            return;
        }
        let shown = text::shown(bytes);
        self.shown(shown.trim_end());
    }

    fn shown(&mut self, line: &str) {
        match self.part {
            Part::Bug | Part::BugTrace | Part::BugRest => self.bug_line(line),
            Part::Message | Part::Trace if line.starts_with("\tfrom ") => {
                self.part = Part::Trace;
                self.keep(line);
                if self.now.trace.len() < MOST_LINES {
                    self.now.trace.push(line[6..].to_owned());
                }
            }
            Part::Trace if line.starts_with("\t ") => {}
            // A syntax error of another file may be the message's second line; a cause follows
            // the backtrace.
            Part::Message if !begins(line) || self.now.class == "SyntaxError" => self.more(line),
            _ => self.first(line),
        }
    }

    /// A line that begins an error, or none.
    fn first(&mut self, line: &str) {
        let caused = self.part == Part::Trace;
        let Some(found) = header(line) else {
            self.part = Part::Outside;
            return;
        };
        if caused && !found.bug {
            // `cause`: what was thrown last stands first, and counts.
            self.keep(line);
            self.part = Part::Outside;
            return;
        }
        self.part = match found.bug {
            true => Part::Bug,
            false => Part::Message,
        };
        self.store();
        self.now = found;
    }

    fn more(&mut self, line: &str) {
        let now = &mut self.now;
        if now.syntax.is_none() && now.class == "SyntaxError" {
            now.syntax = syntax(line).map(|(file, line, _)| (file.to_owned(), line));
        }
        // Prism's heading names where it began to wonder; the first mark stands at the fault.
        let marked = now.lines.iter().any(|line| line.starts_with("> "));
        if let Some(rest) = line.strip_prefix("> ")
            && now.class == "SyntaxError"
            && !marked
            && let Some((number, _)) = rest.trim_start().split_once(" | ")
            && let (Ok(number), Some((_, at))) = (number.trim().parse(), now.syntax.as_mut())
        {
            *at = number;
        }
        if now.lines.len() < MOST_LINES {
            now.message.push('\n');
            now.message.push_str(line);
        }
        self.keep(line);
    }

    fn keep(&mut self, line: &str) {
        if self.now.lines.len() < MOST_LINES {
            self.now.lines.push(line.to_owned());
        }
    }

    fn bug_line(&mut self, line: &str) {
        if line.starts_with("-- ") {
            self.part = match line.starts_with("-- Ruby level backtrace information") {
                true => Part::BugTrace,
                false if self.part == Part::Bug => Part::Bug,
                false => Part::BugRest,
            };
            return;
        }
        if self.part == Part::BugTrace && ruby::traced(line).is_some() {
            self.keep(line);
            self.now.trace.insert(0, line.to_owned());
            self.now.trace.truncate(MOST_LINES);
        }
        if self.part == Part::BugRest && begins(line) {
            self.first(line);
        }
    }

    fn store(&mut self) {
        let now = std::mem::take(&mut self.now);
        // The crash of the interpreter is the end, whatever else is printed.
        let keeps = self.last.as_ref().is_some_and(|last| last.bug);
        if !now.lines.is_empty() && !keeps {
            self.last = Some(now);
        }
    }

    /// The last error of all.
    pub fn finish(mut self) -> Option<Uncaught> {
        if self.part == Part::Message && self.now.class != "SyntaxError" {
            // Without a backtrace nothing says where the message ends.
            let first = self.now.message.lines().next().unwrap_or("").to_owned();
            self.now.message = first;
            self.now.lines.truncate(1);
        }
        self.store();
        self.last
    }
}

/// A cheap look at a line's bytes.
fn may_begin(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_suffix(b"\x1b[m").unwrap_or(bytes);
    match bytes.last() {
        Some(b')' | b'm' | b'n') if bytes.len() < LONGEST => {}
        _ => {
            return memchr::memchr2(b'[', b'-', bytes).is_some() && BUG.find(bytes).is_some()
                || SYNTAX.find(bytes).is_some();
        }
    }
    memmem::find(bytes, b": ").is_some()
}

fn begins(line: &str) -> bool {
    header(line).is_some()
}

/// The first line of an error.
fn header(line: &str) -> Option<Uncaught> {
    let traced = ruby::traced(line)?;
    let rest = traced.rest;
    if let Some(bug) = rest.strip_prefix("[BUG] ") {
        return Some(Uncaught {
            message: format!("[BUG] {bug}"),
            lines: vec![line.to_owned()],
            bug: true,
            ..Uncaught::default()
        });
    }
    if traced.function.is_none() && rest.starts_with("syntax error") {
        // A script that cannot even be begun: there is no backtrace.
        let found = syntax(line)?;
        return Some(of_syntax(line, found, None));
    }
    traced.function?;
    if rest == "unhandled exception" {
        return Some(of_exception(line, &traced, "RuntimeError", rest));
    }
    let (message, class) = rest.strip_suffix(')')?.rsplit_once(" (")?;
    let constant = class.starts_with(|c: char| c.is_ascii_uppercase())
        && class
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | ':'));
    if !constant {
        return None;
    }
    if class == "SyntaxError"
        && let Some(found) = syntax(message)
    {
        return Some(of_syntax(line, found, Some(&traced)));
    }
    Some(of_exception(line, &traced, class, message))
}

fn of_exception(line: &str, traced: &Traced<'_>, class: &str, message: &str) -> Uncaught {
    Uncaught {
        class: class.to_owned(),
        message: message.to_owned(),
        lines: vec![line.to_owned()],
        trace: vec![place_of(traced)],
        ..Uncaught::default()
    }
}

fn of_syntax(line: &str, found: (&str, u32, &str), traced: Option<&Traced<'_>>) -> Uncaught {
    let (file, number, message) = found;
    Uncaught {
        class: "SyntaxError".to_owned(),
        message: message.trim_end_matches(" (SyntaxError)").to_owned(),
        lines: vec![line.to_owned()],
        trace: traced.map(place_of).into_iter().collect(),
        syntax: Some((file.to_owned(), number)),
        bug: false,
    }
}

fn place_of(traced: &Traced<'_>) -> String {
    match traced.function {
        Some(function) => format!("{}:{}:in '{function}'", traced.file, traced.line),
        None => format!("{}:{}", traced.file, traced.line),
    }
}

/// `file:3: syntax error, …`: file, line and what is wrong.
pub(crate) fn syntax(text: &str) -> Option<(&str, u32, &str)> {
    let found = ruby::traced(text)?;
    let known = found.rest.starts_with("syntax error")
        || found.rest.ends_with("(SyntaxError)")
        || found.rest.starts_with("void value")
        || found.rest.contains(" unexpected");
    (found.function.is_none() && known).then_some((found.file, found.line, found.rest))
}

/// The place that a message about a syntax error names: its mark, or its first line.
pub(crate) fn syntax_place(message: &str) -> Option<(String, u32)> {
    let found = message.lines().find_map(|line| syntax(line.trim()))?;
    let (file, line, _) = found;
    let marked = message.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix("> ")?;
        rest.split_once(" | ")?.0.trim().parse::<u32>().ok()
    });
    Some((file.to_owned(), marked.unwrap_or(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(log: &str) -> Option<Uncaught> {
        let mut reader = Reader::default();
        log.lines().for_each(|line| reader.line(line.as_bytes()));
        reader.finish()
    }

    #[test]
    fn an_exception_with_its_cause() {
        let found = read(
            "c.rb:7:in `rescue in b': outer (RuntimeError)\n\tfrom c.rb:4:in `b'\n\tfrom c.rb:9:in `<main>'\nc.rb:2:in `a': one (IOError)\ntwo\n\tfrom c.rb:5:in `b'\n",
        )
        .expect("an error");
        assert_eq!(found.one_line(), "RuntimeError: outer");
        let context = Context::default();
        assert_eq!(found.place(&context), Some(ruby::at("c.rb", Some(7))));
        assert_eq!(found.trace.len(), 3);
        assert_eq!(found.file(&context).as_deref(), Some("c.rb"));
    }

    #[test]
    fn a_message_of_several_lines() {
        let found = read("t.rb:2:in 'A#a': one (IOError)\ntwo\n\tfrom t.rb:5:in 'Object#b'\n");
        assert_eq!(
            found.map(|found| found.message),
            Some("one\ntwo".to_owned())
        );
        let found = read("t.rb:2:in 'A#a': one (IOError)\nsomething else of the log\n");
        assert_eq!(found.map(|found| found.message), Some("one".to_owned()));
    }

    #[test]
    fn syntax_errors_of_every_ruby() {
        let context = Context::default();
        for (log, line, file) in [
            (
                "bad.rb:3: syntax error, unexpected `end', expecting ')'\n",
                3,
                "bad.rb",
            ),
            (
                "test/m_test.rb:1:in `require_relative': /p/bad.rb:3: syntax error, unexpected `end' (SyntaxError)\n\tfrom test/m_test.rb:1:in `<main>'\n",
                3,
                "test/m_test.rb",
            ),
            (
                "bad.rb:1: syntax errors found (SyntaxError)\n  1 | def x\n> 2 |   foo(\n    |       ^ unexpected end-of-input\n",
                2,
                "bad.rb",
            ),
            (
                "test/m_test.rb:1:in 'Kernel#require_relative': /p/bad.rb:3: syntax error found (SyntaxError)\n  2 |   foo(\n> 3 | end\n    | ^~~ unexpected 'end'\n> 4 | x\n    | ^ more\n\tfrom test/m_test.rb:1:in '<main>'\n",
                3,
                "test/m_test.rb",
            ),
        ] {
            let found = read(log).expect(log);
            assert_eq!(found.class, "SyntaxError", "{log}");
            assert_eq!(
                found.place(&context).and_then(|at| at.line),
                Some(line),
                "{log}"
            );
            assert_eq!(found.file(&context).as_deref(), Some(file), "{log}");
        }
    }

    #[test]
    fn a_crash_of_the_interpreter_has_its_ruby_frames() {
        let found = read(
            "/p/a.rb:4: [BUG] Segmentation fault at 0x0000\nruby 3.1.2p20\n\n-- Control frame information ---\nc:0004 p:---- s:0016 e:000015 CFUNC  :kill\n\n-- Ruby level backtrace information ---\n/usr/bin/rspec:25:in `<main>'\n/p/a.rb:4:in `f'\n/p/a.rb:4:in `kill'\n\n-- Machine register context ---\n RIP: 0x00\n",
        )
        .expect("a crash");
        assert!(found.bug);
        assert_eq!(found.message, "[BUG] Segmentation fault at 0x0000");
        let place = found.place(&Context::rooted("/p"));
        assert_eq!(place, Some(ruby::at("a.rb", Some(4))));
    }

    #[test]
    fn what_is_no_error_is_none() {
        for log in [
            "a.rb:1: warning: unused (yes)\n",
            "it says (Error)\n",
            "12:30:01 in 'x': no (3)\n",
            "a.rb:3:in `x': lower (case)\n",
        ] {
            assert_eq!(read(log), None, "{log}");
        }
    }
}
