//! What CMake says while it configures: blocks with their text indented and their call stack.

use crate::cc::place;
use crate::compose;
use crate::context::Context;
use crate::report::Diagnostic;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Frame;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// More lines than this are not kept of one block.
const MOST_LINES: usize = 200;

/// A block that is being read.
#[derive(Debug)]
pub(crate) struct Block {
    error: bool,
    at: Option<(String, u32)>,
    command: Option<String>,
    /// What stands on the first line itself.
    first: String,
    lines: Vec<String>,
    stack: Vec<(String, u32, String)>,
    in_stack: bool,
}

/// What a block comes to.
#[derive(Debug)]
pub(crate) enum Said {
    /// It stops the configuration.
    Error(Box<Failure>),
    /// It does not.
    Warning(Diagnostic),
    /// It says nothing of its own.
    Nothing,
}

impl Block {
    /// The block that begins with a line.
    pub fn begins(line: &str) -> Option<Block> {
        let rest = line.strip_prefix("CMake ")?;
        let (error, rest) = match rest.strip_prefix("Error") {
            Some(rest) => (true, rest),
            None => (
                false,
                rest.strip_prefix("Warning")
                    .or_else(|| rest.strip_prefix("Deprecation Warning"))?,
            ),
        };
        let rest = rest.strip_prefix(" (dev)").unwrap_or(rest);
        let mut block = Block {
            error,
            at: None,
            command: None,
            first: String::new(),
            lines: vec![line.to_owned()],
            stack: Vec::new(),
            in_stack: false,
        };
        if let Some(rest) = rest.strip_prefix(" at ") {
            let (file, number, command) = called(rest)?;
            block.at = Some((file, number));
            block.command = Some(command);
        } else if let Some(rest) = rest.strip_prefix(" in ") {
            let file = rest.strip_suffix(':')?;
            block.at = Some((file.to_owned(), 0));
        } else {
            block.first = rest.strip_prefix(": ")?.to_owned();
        }
        Some(block)
    }

    /// Takes one more line; whether it belongs.
    pub fn line(&mut self, line: &str) -> bool {
        if line.starts_with("Call Stack (most recent call first)") {
            self.in_stack = true;
        } else if !line.is_empty() && !line.starts_with(' ') {
            return false;
        } else if !line.is_empty() && !self.first.is_empty() {
            // A message on one line has no block below it.
            return false;
        }
        if self.in_stack
            && let Some(call) = called(line.trim())
        {
            self.stack.push(call);
        }
        if self.lines.len() < MOST_LINES {
            self.lines.push(text::cut(line, 2000));
        }
        true
    }

    /// What it came to.
    pub fn finish(self, context: &Context) -> Said {
        let message = self.message();
        if message.is_empty() {
            return Said::Nothing;
        }
        let at = self
            .at
            .as_ref()
            .map(|(file, line)| location(file, *line, context));
        if !self.error {
            return Said::Warning(Diagnostic {
                level: "warning".to_owned(),
                code: None,
                message: text::one_line(&message),
                location: at,
            });
        }
        // What CMake says when it gives up because of what it has already said.
        if message.starts_with("Error processing file")
            || message.starts_with("Problem processing arguments")
        {
            return Said::Nothing;
        }
        let stack = self
            .stack
            .iter()
            .map(|(file, line, _)| location(file, *line, context));
        let all: Vec<Location> = at.iter().cloned().chain(stack).collect();
        let command = self.command.as_deref();
        let id = at
            .as_ref()
            .map_or_else(|| "CMake".to_owned(), |at| super::message::id(at, command));
        let mut failure = compose::failure(id, FailureKind::CompileError, Phase::Build, &message);
        failure.code = self.command.clone();
        let functions = std::iter::once(self.command.clone()).chain(
            self.stack
                .iter()
                .map(|(_, _, command)| Some(command.clone())),
        );
        if all.len() > 1 {
            let frames = all.iter().zip(functions).map(|(at, function)| Frame {
                file: at.file.clone(),
                line: at.line,
                function,
                user: context.is_user(&at.file),
            });
            failure.frames = frames.collect();
        }
        // A module of CMake's own complains of the line that called it.
        let own = all.iter().find(|at| context.is_user(&at.file));
        failure.location = own.cloned().or(at);
        failure.details = text::block(&self.lines.join("\n"), text::DETAILS);
        Said::Error(Box::new(compose::seal(failure)))
    }

    /// The first paragraph, on one line.
    fn message(&self) -> String {
        if !self.first.is_empty() {
            return self.first.clone();
        }
        let mut words: Vec<&str> = Vec::new();
        for line in self.lines.iter().skip(1).map(|line| line.trim()) {
            // A paragraph that ends with a colon goes on in the next one.
            let done = words.last().is_some_and(|last| !last.ends_with(':'));
            if line.starts_with("Call Stack") || (line.is_empty() && done) {
                break;
            }
            if !line.is_empty() {
                words.push(line);
            }
        }
        words.join(" ")
    }
}

/// `sub/CMakeLists.txt:3 (add_executable)`.
fn called(text: &str) -> Option<(String, u32, String)> {
    let text = text.strip_suffix(':').unwrap_or(text);
    let (place, command) = text.rsplit_once(" (")?;
    let command = command.strip_suffix(')')?;
    let (file, number) = place.rsplit_once(':')?;
    let (number, rest) = place::digits(number);
    (rest.is_empty() && !file.is_empty()).then_some((file.to_owned(), number?, command.to_owned()))
}

fn location(file: &str, line: u32, context: &Context) -> Location {
    Location {
        file: context.relative(file),
        line: (line > 0).then_some(line),
        column: None,
    }
}
