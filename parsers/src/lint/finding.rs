//! One message of a compiler, type checker or linter, whoever says it.

use crate::compose;
use crate::context::Context;
use crate::report::Diagnostic;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// More lines than this are not kept of one message.
const MOST_LINES: usize = 120;

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// TypeScript's compiler.
    Tsc,
    /// ESLint.
    Eslint,
    /// Biome.
    Biome,
    /// Ruff.
    Ruff,
    /// mypy.
    Mypy,
    /// Pyright, basedpyright.
    Pyright,
    /// flake8, pycodestyle, and whoever else prints `file:line:column: CODE message`.
    Flake8,
    /// Pylint.
    Pylint,
    /// `go build`, `go vet`, staticcheck, golangci-lint.
    Go,
    /// ShellCheck.
    Shellcheck,
    /// What only looks whether a file is formatted.
    Formatter,
    /// Anybody else.
    Other,
}

impl Tool {
    /// Whether it says that something cannot be compiled, rather than that it should not be so.
    fn compiles(self) -> bool {
        matches!(self, Tool::Tsc | Tool::Mypy | Tool::Pyright | Tool::Other)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// It fails the command.
    Error,
    /// It fails the command only if that is told to fail of it.
    Warning,
}

/// One message.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    /// Who says it.
    pub tool: Tool,
    /// How bad it is.
    pub level: Level,
    /// The file as the tool names it; empty where it names none.
    pub file: String,
    /// The line, counted from 1.
    pub line: Option<u32>,
    /// The column, counted from 1.
    pub column: Option<u32>,
    /// The tool's code for it.
    pub code: Option<String>,
    /// What is wrong.
    pub message: String,
    /// The tool's own lines about it.
    pub lines: Vec<String>,
    /// What the tool proposes.
    pub suggestion: Option<String>,
}

impl Finding {
    /// A message of which the place is still to be said.
    pub fn new(tool: Tool, level: Level, file: &str, message: &str) -> Self {
        Finding {
            tool,
            level,
            file: file.to_owned(),
            line: None,
            column: None,
            code: None,
            message: message.trim().to_owned(),
            lines: Vec::new(),
            suggestion: None,
        }
    }

    /// With its place.
    pub fn at(mut self, line: Option<u32>, column: Option<u32>) -> Self {
        self.line = line.filter(|line| *line > 0);
        self.column = column.filter(|column| *column > 0);
        self
    }

    /// With its code, if there is one.
    pub fn coded(mut self, code: &str) -> Self {
        let code = code.trim();
        self.code = (!code.is_empty()).then(|| text::cut(code, 200));
        self
    }

    /// With one more of the tool's lines.
    pub fn with(mut self, line: &str) -> Self {
        self.push(line);
        self
    }

    /// Takes one more of the tool's lines.
    pub fn push(&mut self, line: &str) {
        if self.lines.len() < MOST_LINES {
            self.lines.push(text::cut(line.trim_end(), 2000));
        }
    }

    /// Keeps the first thing that is proposed.
    pub fn suggest(&mut self, words: &str) {
        let words = text::one_line(words);
        if self.suggestion.is_none() && !words.is_empty() {
            self.suggestion = Some(words);
        }
    }

    fn location(&self, context: &Context) -> Option<Location> {
        (!self.file.is_empty()).then(|| Location {
            file: context.relative(&self.file),
            line: self.line,
            column: self.column,
        })
    }

    /// As something that did not fail the run.
    pub fn diagnostic(self, context: &Context) -> Diagnostic {
        let location = self.location(context);
        Diagnostic {
            level: match self.level {
                Level::Error => "error".to_owned(),
                Level::Warning => "warning".to_owned(),
            },
            code: self.code,
            message: text::one_line(&self.message),
            location,
        }
    }

    /// As what failed the run.
    pub fn failure(self, context: &Context) -> Failure {
        let location = self.location(context);
        let id = id(location.as_ref(), self.code.as_deref());
        let mut failure =
            compose::failure(id, FailureKind::CompileError, Phase::Build, &self.message);
        let code = self.code.as_deref().unwrap_or("");
        let syntax = ["invalid-syntax", "parse", "E999", "E0001"].contains(&code)
            || self.message.contains("yntax")
            || self.message.starts_with("Parsing ");
        failure.kind_sure = self.tool.compiles() || syntax;
        failure.details = text::block(&self.lines.join("\n"), text::DETAILS);
        failure.location = location;
        failure.code = self.code;
        failure.suggestion = self.suggestion;
        compose::seal(failure)
    }
}

/// `file:line:column code`.
fn id(at: Option<&Location>, code: Option<&str>) -> String {
    let Some(at) = at else {
        return code.unwrap_or("command").to_owned();
    };
    let number = |number: Option<u32>| number.map(|n| format!(":{n}")).unwrap_or_default();
    let code = code.map(|code| format!(" {code}")).unwrap_or_default();
    format!("{}{}{}{code}", at.file, number(at.line), number(at.column))
}
