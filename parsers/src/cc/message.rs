//! One message of a compiler, with everything that belongs to it.

use crate::cc::place;
use crate::cc::place::Places;
use crate::compose;
use crate::context::Context;
use crate::report::Diagnostic;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Frame;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// More lines than this are not kept of one message.
const MOST_LINES: usize = 120;
/// More lines of context than this are not kept.
const MOST_CONTEXT: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
}

/// A place as the compiler prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct At {
    file: String,
    line: u32,
    column: Option<u32>,
}

/// A message that is whole.
#[derive(Debug)]
pub(crate) struct Message {
    level: Level,
    at: Option<At>,
    /// The program that says it, where no file is named.
    tool: String,
    code: Option<String>,
    text: String,
    lines: Vec<String>,
    /// The templates that want it, innermost first.
    via: Vec<At>,
    /// The files that include it, innermost first.
    included: Vec<At>,
    suggestion: Option<String>,
}

/// The message that is being read, and the context before the next one.
#[derive(Debug, Default)]
pub(crate) struct Open {
    message: Option<Message>,
    context: Vec<String>,
    via: Vec<At>,
    included: Vec<At>,
    caret: bool,
}

impl Open {
    /// Whether no further line can belong to anything.
    pub fn is_idle(&self) -> bool {
        self.message.is_none() && self.context.is_empty()
    }

    /// Takes one line; the message before it, if it is whole now.
    pub fn line(&mut self, line: &str) -> Option<Message> {
        if let Some(head) = head(line) {
            let before = self.take_message();
            let mut message = head;
            message.lines.append(&mut self.context);
            message.lines.push(line.to_owned());
            message.via.append(&mut self.via);
            message.included.append(&mut self.included);
            message.suggestion = meant(&message.text);
            self.caret = false;
            self.message = Some(message);
            return before;
        }
        if let Some((via, included)) = context(line) {
            // The context of a note stands below its error: a candidate's header, say.
            let before = self.take_message();
            if self.context.len() < MOST_CONTEXT {
                self.context.push(line.to_owned());
                match included {
                    true => self.included.extend(via),
                    false => self.via.extend(via),
                }
            }
            return before;
        }
        if let Some(message) = &mut self.message {
            if belongs(line) {
                message.take(line, &mut self.caret);
                return None;
            }
            self.forget();
            return self.take_message();
        }
        self.forget();
        None
    }

    /// Whatever is open.
    pub fn take(&mut self) -> Option<Message> {
        self.forget();
        self.take_message()
    }

    fn forget(&mut self) {
        self.context.clear();
        self.via.clear();
        self.included.clear();
    }

    fn take_message(&mut self) -> Option<Message> {
        self.caret = false;
        self.message.take()
    }
}

/// A line that says which file includes, which function holds, or which template instantiates
/// what comes; the places in it, and whether they include.
fn context(line: &str) -> Option<(Vec<At>, bool)> {
    let bare = line.trim_start();
    if let Some(rest) = bare.strip_prefix("In file included from ").or_else(|| {
        bare.strip_prefix("from ")
            .filter(|_| line.starts_with("    "))
    }) {
        return Some((at_start(rest).into_iter().collect(), true));
    }
    if let Some((_, _, _, rest)) = place::split(line) {
        let rest = rest.trim_start();
        if rest.starts_with("note: ") {
            return None;
        }
        let via = rest.starts_with("required from")
            || rest.starts_with("required by")
            || rest.starts_with("recursively required")
            || rest.contains("requested here")
            || rest.starts_with("in ‘constexpr’ expansion of")
            || rest.starts_with("in 'constexpr' expansion of");
        return via.then(|| (at_start_of(line).into_iter().collect(), false));
    }
    let (file, rest) = bare.split_once(": ")?;
    let inside = [
        "In function ",
        "In member function ",
        "In static member function ",
        "In constructor ",
        "In destructor ",
        "In instantiation of ",
        "In substitution of ",
        "In lambda function",
        "In copy constructor ",
        "At global scope:",
        "At top level:",
    ];
    let holds = line.ends_with(':') && !file.contains(' ');
    (holds && inside.iter().any(|words| rest.starts_with(words))).then(|| (Vec::new(), false))
}

/// `file:line:col` at the start, whatever follows.
fn at_start(text: &str) -> Option<At> {
    let text = text.trim_end_matches([',', ':']);
    let with_end = format!("{text}:");
    let (file, line, column, _) = place::split(&with_end)?;
    Some(At {
        file: file.to_owned(),
        line,
        column,
    })
}

/// A line with which an error or a warning begins.
fn head(line: &str) -> Option<Message> {
    let (at, rest) = match place::split(line) {
        Some((file, number, column, rest)) if rest.starts_with(' ') && is_file(file) => {
            let file = file.to_owned();
            (
                Some(At {
                    file,
                    line: number,
                    column,
                }),
                rest.trim_start(),
            )
        }
        _ => (None, line),
    };
    let (tool, rest) = match at {
        Some(_) => ("", rest),
        None => tool(line)?,
    };
    let (level, text) = level(rest)?;
    let (text, code) = code(text);
    Some(Message {
        level,
        at,
        tool: tool.to_owned(),
        code,
        text,
        lines: Vec::new(),
        via: Vec::new(),
        included: Vec::new(),
        suggestion: None,
    })
}

fn is_file(file: &str) -> bool {
    !file.is_empty()
        && file.len() < 1000
        && !file.contains("://")
        && !file.starts_with([' ', '\t', '[', '('])
}

/// `cc1plus: all warnings being treated as errors`, `clang: error: no input files`.
fn tool(line: &str) -> Option<(&str, &str)> {
    let (tool, rest) = line.split_once(": ")?;
    let base = tool.rsplit('/').next().unwrap_or(tool);
    let bare = base.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    let known = [
        "gcc",
        "g++",
        "cc",
        "c++",
        "clang",
        "clang++",
        "cc1",
        "cc1plus",
        "collect2",
        "cpp",
        "as",
        "ld.lld",
        "lld",
        "mold",
        "lto1",
        "lto-wrapper",
        "clang-cl",
        "ar",
        "c89",
        "c99",
        "nvcc",
        "emcc",
        "em++",
        "x86_64-linux-gnu-g++",
        "x86_64-linux-gnu-gcc",
    ];
    (known.contains(&base) || known.contains(&bare)).then_some((base, rest))
}

fn level(text: &str) -> Option<(Level, &str)> {
    for (words, level) in [
        ("error: ", Level::Error),
        ("fatal error: ", Level::Error),
        ("sorry, unimplemented: ", Level::Error),
        ("internal compiler error: ", Level::Error),
        ("Error: ", Level::Error),
        ("warning: ", Level::Warning),
    ] {
        if let Some(rest) = text.strip_prefix(words) {
            return Some((level, rest));
        }
    }
    None
}

/// The message without its option, and the option: `[-Werror=unused-variable]`.
fn code(text: &str) -> (String, Option<String>) {
    let text = text.trim_end();
    if let Some((before, option)) = text.rsplit_once(" [-")
        && let Some(option) = option.strip_suffix(']')
        && !option.contains(' ')
    {
        return (before.to_owned(), Some(format!("-{option}")));
    }
    (text.to_owned(), None)
}

/// Whether a line goes on with the message above it.
fn belongs(line: &str) -> bool {
    if line.is_empty() {
        return false;
    }
    if let Some((_, _, _, rest)) = place::split(line) {
        return rest.trim_start().starts_with("note: ");
    }
    if line.starts_with([' ', '\t']) {
        return true;
    }
    // clang shows its source lines without a gutter; they are followed by a caret.
    !is_ours(line)
}

/// What make, ninja, cmake and the drivers say between messages.
fn is_ours(line: &str) -> bool {
    let starts = [
        "make",
        "gmake",
        "ninja",
        "[",
        "FAILED: ",
        "-- ",
        "compilation terminated",
        "cc1",
        "collect2",
        "/usr/bin/",
        "CMake ",
        "Test project",
        "Internal ctest",
        "Scanning ",
        "Consolidate ",
        "Built target",
        "Running ",
        "g++",
        "gcc",
        "c++ ",
        "cc ",
        "clang",
    ];
    starts.iter().any(|start| line.starts_with(start))
        || line.ends_with(" generated.")
        || line.ends_with("Stop.")
}

/// `; did you mean ‘empty’?`
fn meant(text: &str) -> Option<String> {
    let at = text
        .find("did you mean")
        .or_else(|| text.find("did you forget"))?;
    Some(text::cut(text[at..].trim(), text::MESSAGE))
}

impl Message {
    fn take(&mut self, line: &str, caret: &mut bool) {
        if self.lines.len() < MOST_LINES {
            self.lines.push(text::cut(line, 2000));
        }
        if let Some((_, _, _, rest)) = place::split(line)
            && let Some(note) = rest.trim_start().strip_prefix("note: ")
        {
            *caret = false;
            let here = note.contains("requested here") || note.contains("required from here");
            if here && self.via.len() < MOST_CONTEXT {
                self.via.extend(at_start_of(line));
            }
            let suggests = note.contains("did you") || note.starts_with("suggested alternative");
            if suggests && self.suggestion.is_none() {
                self.suggestion = meant(note).or_else(|| Some(text::cut(note, text::MESSAGE)));
            }
            return;
        }
        let gutter = line.split_once('|').filter(|(left, _)| {
            left.chars()
                .all(|c| c.is_ascii_digit() || c == ' ' || c == '+')
        });
        let shown = gutter.map_or(line, |(_, shown)| shown);
        // `+++ |+#include <cstdio>` is a whole line to be added.
        if let Some((left, shown)) = gutter
            && left.contains('+')
        {
            self.fix(shown.trim_start_matches('+').trim());
        } else if *caret && is_fix(shown) {
            self.fix(shown.trim());
        }
        *caret = shown.contains('^')
            && shown
                .trim()
                .chars()
                .all(|c| matches!(c, '^' | '~' | '-' | ' '));
    }

    fn fix(&mut self, fix: &str) {
        if self.suggestion.is_none() && !fix.is_empty() {
            self.suggestion = Some(text::cut(fix, text::MESSAGE));
        }
    }

    /// Whether it is only a warning.
    pub fn is_warning(&self) -> bool {
        self.level == Level::Warning
    }

    /// Whether it only says that something else has failed.
    pub fn is_end(&self) -> bool {
        self.at.is_none()
            && (self.text.starts_with("ld returned ")
                || self.text.starts_with("linker command failed")
                || self.text.contains("returned 1 exit status"))
    }

    /// The words of the message.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// As a warning.
    pub fn diagnostic(&self, places: &Places, context: &Context) -> Diagnostic {
        let at = self.at.as_ref();
        Diagnostic {
            level: "warning".to_owned(),
            code: self.code.clone(),
            message: text::one_line(&self.text),
            location: at.map(|at| at.location(places, context)),
        }
    }

    /// As a failure.
    pub fn failure(&self, places: &Places, context: &Context) -> Failure {
        let at = self.at.as_ref().map(|at| at.location(places, context));
        let id = match (&at, &self.code) {
            (Some(at), code) => id(at, code.as_deref()),
            (None, _) => self.tool.clone(),
        };
        let mut failure = compose::failure(id, FailureKind::CompileError, Phase::Build, &self.text);
        failure.code.clone_from(&self.code);
        failure.suggestion.clone_from(&self.suggestion);
        failure.details = text::block(&self.lines.join("\n"), text::DETAILS);
        let via = self.via.iter().chain(&self.included);
        let via = via.map(|at| at.location(places, context));
        let all: Vec<Location> = at.iter().cloned().chain(via).collect();
        if all.len() > 1 {
            failure.frames = all.iter().map(|at| frame(at, context)).collect();
        }
        // A library's header breaks where the user's own line wants something of it.
        let own = all.iter().find(|at| context.is_user(&at.file));
        failure.location = own.cloned().or(at);
        compose::seal(failure)
    }
}

impl At {
    fn location(&self, places: &Places, context: &Context) -> Location {
        places.location(&self.file, Some(self.line), self.column, context)
    }
}

fn at_start_of(line: &str) -> Option<At> {
    let (file, line, column, _) = place::split(line)?;
    Some(At {
        file: file.to_owned(),
        line,
        column,
    })
}

fn frame(at: &Location, context: &Context) -> Frame {
    Frame {
        file: at.file.clone(),
        line: at.line,
        function: None,
        user: context.is_user(&at.file),
    }
}

/// `file:line:column code`.
pub(crate) fn id(at: &Location, code: Option<&str>) -> String {
    let number = |number: Option<u32>| number.map(|n| format!(":{n}")).unwrap_or_default();
    let code = code.map(|code| format!(" {code}")).unwrap_or_default();
    format!("{}{}{}{code}", at.file, number(at.line), number(at.column))
}

/// A line directly below the caret holds what to write there; labels have pipes above them.
fn is_fix(shown: &str) -> bool {
    let word = shown.trim();
    let marks = |c: char| matches!(c, '^' | '~' | '-' | ' ' | '|');
    !word.is_empty() && shown.starts_with("  ") && !word.contains('|') && !word.chars().all(marks)
}
