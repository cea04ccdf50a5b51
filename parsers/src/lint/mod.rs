//! Reads what compilers, type checkers and linters say, whichever of them was run.
//!
//! | tool | forms |
//! |---|---|
//! | gcc, clang, ld, CMake ([`crate::cc`]), javac, kotlinc ([`crate::javac`]), rustc, clippy | text |
//! | tsc | plain, `--pretty` |
//! | ESLint | stylish, compact, unix, JSON |
//! | Biome | text, JSON |
//! | Ruff, flake8 | full, concise, JSON |
//! | mypy | text with notes, `--pretty`, JSON lines |
//! | Pyright | text, JSON |
//! | Pylint | text, parseable, JSON |
//! | go build, go vet, golangci-lint | text |
//! | ShellCheck | text, gcc, JSON |
//! | gofmt, black, `ruff format`, Prettier, rustfmt | the files that they name |
//! | anybody | `file:line:column: error: …`, `file(line,column): error X1: …`, GitHub's commands |
//!
//! An error is a failure of kind `compile_error` in the phase `build`, its id `file:line:column
//! code`, columns counted from 1 whatever the tool does. The contract has no word for what a
//! linter objects to: it is reported so, too, and `kind_sure` is false where it compiles all the
//! same. The names of files have to have an end that some tool checks: a log is full of numbers
//! behind colons.

mod biome;
mod eslint;
mod finding;
mod formatter;
mod golang;
mod json;
mod mypy;
mod other;
mod place;
mod pylint;
mod pyright;
mod ruff;
mod rust;
mod shellcheck;
mod tsc;

use crate::cc;
use crate::context::Context;
use crate::javac;
use crate::lines::Seen;
use crate::lint::finding::Finding;
use crate::lint::finding::Level;
use crate::lint::finding::Tool;
use crate::lint::json::Step;
use crate::lint::place::Language;
use crate::report::Diagnostic;
use crate::report::Failure;
use crate::report::Note;
use memchr::memmem::Finder;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// More messages than this are not kept.
const MOST: usize = 1000;
/// Lines longer than this are no messages for people.
const LONGEST: usize = 16 * 1024;

static COLUMN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(", col "));

/// What all of them said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// What is wrong.
    pub failures: Vec<Failure>,
    /// What fails the command only if nothing else does: the same things as failures.
    pub doubtful: Vec<Failure>,
    /// What does not fail it.
    pub warnings: Vec<Diagnostic>,
    /// Causes with remedies.
    pub notes: Vec<Note>,
    /// More came than is kept.
    pub more: u64,
    /// A tool said itself how many errors there are, and so many were read.
    pub whole: bool,
}

/// Reads one stream line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    cc: cc::Reader,
    javac: javac::Reader,
    rust: rust::Rust,
    documents: json::Documents,
    heard: formatter::Heard,
    open: Option<Finding>,
    /// The file that the stylish format speaks of.
    file: Option<String>,
    /// The line above a place of Ruff's.
    above: Option<String>,
    shell: Option<shellcheck::Block>,
    found: Vec<Finding>,
    seen: BTreeSet<String>,
    more: u64,
    tallied: Option<u64>,
    strict: bool,
}

impl Reader {
    /// Begins to read the output of a command.
    pub fn new(context: &Context) -> Self {
        let mut reader = Reader::default();
        reader.heard.command(&context.command.join(" "));
        reader
    }

    /// Takes one line.
    pub fn line(&mut self, seen: &Seen<'_>, context: &Context) {
        match self.documents.line(seen.bytes) {
            Step::Text => self.text(seen, context),
            Step::Inside => {}
            Step::Whole(found) => {
                self.close();
                found.into_iter().for_each(|finding| self.add(finding));
            }
            Step::NoDocument(text) => {
                self.replay(&text, context);
                self.text(seen, context);
            }
        }
    }

    fn replay(&mut self, text: &[u8], context: &Context) {
        for bytes in text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let seen = Seen {
                bytes,
                length: bytes.len() as u64 + 1,
                unfinished: false,
            };
            self.text(&seen, context);
        }
    }

    fn text(&mut self, seen: &Seen<'_>, context: &Context) {
        if seen.bytes.len() > LONGEST {
            return;
        }
        let idle = self.open.is_none() && self.shell.is_none() && self.above.is_none();
        // What colours a place stands in the middle of it.
        let coloured = memchr::memchr(0x1b, seen.bytes).is_some();
        let placed = match coloured {
            true => place::may_name(seen.shown().as_bytes()),
            false => place::may_name(seen.bytes),
        };
        if !(idle && self.file.is_none()) || placed || may_begin(seen.bytes) {
            let line = seen.shown();
            if self.own(&line, placed, context) {
                self.cc.settle(context);
                self.rust.shut();
                return;
            }
            // What names a file of another language is none of these compilers'.
            let at = placed.then(|| place::split(&line, context)).flatten();
            match at.map(|at| at.language) {
                Some(Language::Jvm) => return self.javac.line(&line),
                Some(Language::Rust) => return self.rust.line(&line),
                Some(Language::C) | None => {}
                Some(_) => return,
            }
        }
        if self.javac.wants(seen.bytes) {
            self.javac.line(&seen.shown());
        }
        if self.rust.wants(seen.bytes) {
            self.rust.line(&seen.shown());
        }
        self.cc.line(seen, context);
    }

    /// Takes a line of one of the tools that are read here; whether it was one.
    fn own(&mut self, line: &str, placed: bool, context: &Context) -> bool {
        if let Some(finding) = &mut self.open {
            if more(finding, line, context) {
                return true;
            }
            self.close();
        }
        if let Some(block) = &mut self.shell {
            if let Some(finding) = block.line(line) {
                self.open = Some(finding);
                return true;
            }
            if line.is_empty() {
                self.shell = None;
            }
        }
        if let Some(finding) = self.head(line, placed, context) {
            self.open = Some(finding);
            return true;
        }
        self.shell = shellcheck::begins(line).or(self.shell.take());
        self.remember(line);
        self.say(line)
    }

    fn head(&mut self, line: &str, placed: bool, context: &Context) -> Option<Finding> {
        if let Some(finding) = self
            .file
            .as_deref()
            .and_then(|file| eslint::stylish(file, line))
        {
            return Some(finding);
        }
        if let Some(above) = self.above.take()
            && let Some(finding) = ruff::placed(&above, line)
        {
            return Some(finding);
        }
        if line.ends_with('━') {
            return biome::head(line);
        }
        let bare = line.strip_prefix("vet: ").unwrap_or(line);
        if placed && let Some(at) = place::split(bare, context) {
            return placed_head(&at, bare, line);
        }
        tsc::placeless(line)
            .or_else(|| other::github(line))
            .or_else(|| eslint::compact(line))
            .or_else(|| self.heard.line(line))
    }

    /// What says of whom the lines below speak.
    fn remember(&mut self, line: &str) {
        if line.is_empty() {
            self.file = None;
        } else if eslint::header(line) {
            self.file = Some(line.to_owned());
        }
        if ruff::announces(line) {
            self.above = Some(line.to_owned());
        }
        if line.contains("gofmt") || line.contains("goimports") {
            self.heard.command(line);
        }
    }

    /// What the tools say of themselves; whether it was that.
    fn say(&mut self, line: &str) -> bool {
        self.strict |= line.starts_with("ESLint found too many warnings");
        let tally = mypy::tally(line)
            .or_else(|| tsc::tally(line))
            .or_else(|| biome::tally(line))
            .or_else(|| eslint::tally(line))
            .or_else(|| pyright::tally(line));
        if let Some(number) = tally {
            self.tallied = Some(self.tallied.unwrap_or(0).saturating_add(number));
        }
        tally.is_some()
    }

    fn close(&mut self) {
        if let Some(finding) = self.open.take() {
            self.add(finding);
        }
    }

    /// Whoever is run twice says everything twice.
    fn add(&mut self, finding: Finding) {
        if finding.message.is_empty() {
            return;
        }
        if self.found.len() >= MOST {
            self.more += u64::from(finding.level == Level::Error);
            return;
        }
        let key = format!(
            "{}\n{:?}\n{:?}\n{:?}\n{}",
            finding.file, finding.line, finding.column, finding.code, finding.message
        );
        if self.seen.insert(key) {
            self.found.push(finding);
        }
    }

    /// Everything that was read.
    pub fn finish(mut self, context: &Context) -> Said {
        if let Step::NoDocument(text) = self.documents.give_up() {
            self.replay(&text, context);
        }
        self.close();
        let mut said = Said::default();
        let errors = self
            .found
            .iter()
            .filter(|finding| finding.level == Level::Error)
            .count() as u64;
        said.whole = self
            .tallied
            .is_some_and(|number| number > 0 && number == errors);
        said.more = self.more;
        let strict = self.strict;
        for finding in std::mem::take(&mut self.found) {
            match finding.level {
                Level::Error => said.failures.push(finding.failure(context)),
                Level::Warning if strict && finding.tool == Tool::Eslint => {
                    said.failures.push(finding.failure(context));
                }
                Level::Warning => {
                    said.doubtful.push(finding.clone().failure(context));
                    said.warnings.push(finding.diagnostic(context));
                }
            }
        }
        self.compilers(&mut said, context);
        said
    }

    /// What those that have readers of their own said.
    fn compilers(self, said: &mut Said, context: &Context) {
        let rust = self.rust.finish(context);
        said.failures.extend(rust.failures);
        said.warnings.extend(rust.warnings);
        said.notes.extend(rust.notes);
        let (failures, warnings) = self.javac.finish(context);
        said.failures.extend(failures);
        said.warnings.extend(warnings);
        let cc = self.cc.finish_said(context);
        said.more += cc.more;
        let real = |file: &str| {
            let named = place::language(file).is_some() && !file.contains([' ', '"', '\'', '`']);
            named || context.tree.holds(file)
        };
        said.failures.extend(
            cc.failures
                .into_iter()
                .filter(|failure| failure.location.as_ref().is_none_or(|at| real(&at.file))),
        );
        said.warnings.extend(
            cc.warnings
                .into_iter()
                .filter(|warning| warning.location.as_ref().is_some_and(|at| real(&at.file))),
        );
    }
}

/// Whether a line without a place may begin something; cheap.
fn may_begin(line: &[u8]) -> bool {
    let (Some(first), Some(last)) = (line.first(), line.last()) else {
        return false;
    };
    // `━`, and the sign before ESLint's number of problems.
    let drawn = line.ends_with("━".as_bytes()) || line.starts_with("✖ ".as_bytes());
    let coloured = *first == 0x1b;
    // A path alone, Ruff's code above a place, a number of errors.
    let words = match first {
        b'/' => true,
        b'E' | b'e' => {
            line.starts_with(b"ESLint ") || line.starts_with(b"error TS") || ruff_like(line)
        }
        b'F' => line.starts_with(b"Found ") || ruff_like(line),
        b'I' => line.starts_with(b"In ") || ruff_like(line),
        b'W' | b'w' => {
            line.starts_with(b"ould reformat")
                || line[1..].starts_with(b"ould reformat")
                || ruff_like(line)
        }
        b'D' => line.starts_with(b"Diff in ") || ruff_like(line),
        b'i' => line.starts_with(b"invalid-syntax: "),
        b'S' => line.starts_with(b"SyntaxError: ") || ruff_like(line),
        b'A'..=b'Z' => ruff_like(line) || line.get(1) == Some(&b':'),
        b':' => line.starts_with(b"::"),
        b'[' => line.starts_with(b"[warn] "),
        b'g' | b't' => {
            line.starts_with(b"gofmt")
                || line.starts_with(b"test -z")
                || line.starts_with(b"goimports")
        }
        b'0'..=b'9' => last.is_ascii_alphabetic() || *last == b' ',
        _ => false,
    };
    // A relative path alone: no blank in it, and an end.
    let path = || {
        last.is_ascii_alphanumeric()
            && line.len() < 300
            && memchr::memchr2(b' ', b'\t', line).is_none()
            && memchr::memchr(b'.', line).is_some()
    };
    drawn || coloured || words || path() || COLUMN.find(line).is_some()
}

/// `F401 …`, `UP035 [*] …`.
fn ruff_like(line: &[u8]) -> bool {
    let letters = line
        .iter()
        .take(8)
        .take_while(|b| b.is_ascii_uppercase())
        .count();
    let digits = line[letters..]
        .iter()
        .take(6)
        .take_while(|b| b.is_ascii_digit())
        .count();
    letters > 0 && (2..=5).contains(&digits) && line.get(letters + digits) == Some(&b' ')
}

/// The message behind a place, by whoever writes it so.
fn placed_head(at: &place::Placed<'_>, bare: &str, line: &str) -> Option<Finding> {
    if let Some(finding) = tsc::head(at, line) {
        return Some(finding);
    }
    match at.language {
        Language::Python if bare.contains(" - ") => pyright::head(at, line),
        Language::Go => golang::head(at, bare),
        _ => None,
    }
    .or_else(|| mypy::head(at, line))
    .or_else(|| pylint::head(at, line))
    .or_else(|| shellcheck::gcc(at, line))
    .or_else(|| ruff::concise(at, line))
    .or_else(|| eslint::unix(at, line))
    .or_else(|| other::head(at, line))
}

/// Whether a line goes on with the message that is open.
fn more(finding: &mut Finding, line: &str, context: &Context) -> bool {
    match finding.tool {
        Tool::Tsc => tsc::more(finding, line),
        Tool::Biome => biome::more(finding, line),
        Tool::Ruff | Tool::Flake8 => ruff::more(finding, line),
        Tool::Mypy => mypy::more(finding, line, context),
        Tool::Pyright => pyright::more(finding, line),
        Tool::Go => golang::more(finding, line),
        Tool::Shellcheck => shellcheck::more(finding, line),
        Tool::Formatter => formatter::more(finding, line),
        Tool::Eslint | Tool::Pylint | Tool::Other => false,
    }
}

#[cfg(test)]
mod tests;
