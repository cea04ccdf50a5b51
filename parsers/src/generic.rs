//! Reads anything: `file:line: error: …` lines, the end of the log, the exit status.
//!
//! A command without a protocol counts as one test, judged by its exit status.

use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::event::TestEvent;
use crate::lines::Lines;
use crate::lines::Seen;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::report::Diagnostic;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text;
use crate::text::Tail;
use regex::Regex;
use std::sync::LazyLock;

/// More error lines than this are not kept.
const MOST: usize = 200;
/// Lines longer than this are no messages.
const LONGEST: usize = 4000;

/// `file:line:column: error: message`, the compilers' way.
static COLONS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^\s*(?P<file>(?:[A-Za-z]:)?[^\s:()\[\]'\x22`]+\.[A-Za-z0-9_+-]+):(?P<line>\d{1,7})(?::(?P<column>\d{1,6}))?:?\s+(?:-\s+)?(?P<level>(?i:fatal error|error|warning))\b(?:\s*\[?(?P<code>[A-Za-z]+[-A-Za-z]*\d*)\]?)?\s*:\s*(?P<message>.+)$",
    )
    .expect("a constant pattern")
});
/// `file(line,column): error CODE: message`, the way of Microsoft's tools and of tsc.
static BRACKETS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^\s*(?P<file>[^\s()]+\.[A-Za-z0-9_+-]+)\((?P<line>\d{1,7})(?:,(?P<column>\d{1,6}))?\)\s*:\s*(?P<level>(?i:fatal error|error|warning))\s*(?P<code>[A-Za-z]+\d+)?\s*:\s*(?P<message>.+)$",
    )
    .expect("a constant pattern")
});
/// `file:line:column: CODE message`, the linters' way.
static LINTER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^(?P<file>[^\s:()]+\.[A-Za-z0-9_+-]+):(?P<line>\d{1,7}):(?P<column>\d{1,6}):\s+(?P<level>)(?P<code>[A-Z]{1,4}\d{2,5})\s+(?P<message>.+)$",
    )
    .expect("a constant pattern")
});

/// Whether a line may name a place: a number behind a colon or a bracket, and a word for how bad
/// it is or a linter's code.
fn may_name(line: &[u8]) -> bool {
    let placed = memchr::memchr2_iter(b':', b'(', line)
        .any(|at| line.get(at + 1).is_some_and(u8::is_ascii_digit));
    let has = |word: &[u8]| memchr::memmem::find(line, word).is_some();
    let coded = || {
        line.windows(3)
            .any(|w| w[0] == b':' && w[1] == b' ' && w[2].is_ascii_uppercase())
    };
    let level = || has(b"rror") || has(b"arning") || has(b"RROR") || has(b"ARNING");
    placed && (level() || coded())
}

/// Whether a line has the word that makes it a warning, where no control sequence tears it apart.
fn warns(line: &[u8]) -> bool {
    const WORD: &[u8] = b"warning";
    memchr::memchr(0x1b, line).is_some()
        || memchr::memchr2_iter(WORD[0], WORD[0].to_ascii_uppercase(), line).any(|at| {
            let word = line.get(at..at + WORD.len());
            word.is_some_and(|word| word.eq_ignore_ascii_case(WORD))
        })
}

/// A run of any command that is being read.
#[derive(Debug)]
pub struct GenericRun {
    context: Context,
    lines: Lines,
    errors: Lines,
    failures: Vec<Failure>,
    warnings: Vec<Diagnostic>,
    tail: Tail,
}

impl GenericRun {
    /// Begins to read a run.
    pub fn new(context: Context) -> Self {
        GenericRun {
            context,
            lines: Lines::default(),
            errors: Lines::default(),
            failures: Vec::new(),
            warnings: Vec::new(),
            tail: Tail::default(),
        }
    }

    /// Takes more bytes of one stream. Whether something failed is known only at the end.
    pub fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        self.tail.feed(bytes);
        let mut lines = std::mem::take(match stream {
            Stream::Stderr => &mut self.errors,
            _ => &mut self.lines,
        });
        lines.each(bytes, |seen| self.look(seen));
        match stream {
            Stream::Stderr => self.errors = lines,
            _ => self.lines = lines,
        }
        Vec::new()
    }

    fn look(&mut self, seen: Seen<'_>) {
        // What is not kept need not be read.
        let full = self.failures.len() >= MOST;
        if full && (self.warnings.len() >= MOST || !warns(seen.bytes)) {
            return;
        }
        if seen.bytes.len() <= LONGEST && may_name(seen.bytes) {
            self.line(&seen.shown());
        }
    }

    fn line(&mut self, line: &str) {
        let found = COLONS
            .captures(line)
            .or_else(|| BRACKETS.captures(line))
            .or_else(|| LINTER.captures(line));
        let Some(found) = found else {
            return;
        };
        let part = |name: &str| found.name(name).map(|part| part.as_str());
        let location = Location {
            file: self.context.relative(part("file").unwrap_or("")),
            line: part("line").and_then(|n| n.parse().ok()),
            column: part("column").and_then(|n| n.parse().ok()),
        };
        let code = part("code")
            .filter(|code| !code.is_empty())
            .map(str::to_owned);
        let message = part("message").unwrap_or("");
        if part("level").is_some_and(|level| level.eq_ignore_ascii_case("warning")) {
            self.warning(code, message, location);
        } else {
            self.error(code, message, location);
        }
    }

    fn warning(&mut self, code: Option<String>, message: &str, location: Location) {
        if self.warnings.len() < MOST {
            self.warnings.push(Diagnostic {
                level: "warning".to_owned(),
                code,
                message: text::one_line(message),
                location: Some(location),
            });
        }
    }

    fn error(&mut self, code: Option<String>, message: &str, location: Location) {
        let line = location
            .line
            .map(|line| format!(":{line}"))
            .unwrap_or_default();
        let column = location
            .column
            .map(|column| format!(":{column}"))
            .unwrap_or_default();
        let shown = code
            .as_ref()
            .map(|code| format!(" {code}"))
            .unwrap_or_default();
        let id = format!("{}{line}{column}{shown}", location.file);
        let mut failure = compose::failure(id, FailureKind::CompileError, Phase::Build, message);
        failure.kind_sure = false;
        failure.code = code;
        failure.location = Some(location);
        let failure = compose::seal(failure);
        if self.failures.len() < MOST && !self.failures.contains(&failure) {
            self.failures.push(failure);
        }
    }

    /// The report of the whole run.
    pub fn finish(mut self, end: End) -> Report {
        for line in [self.lines.finish(), self.errors.finish()]
            .into_iter()
            .flatten()
        {
            self.look(line.seen());
        }
        let mut compose = Compose::new();
        std::mem::take(&mut self.warnings)
            .into_iter()
            .for_each(|warning| compose.diagnostic(warning));
        let name = self.name();
        match end.exit {
            Some(exit) if exit.success() => {
                compose.counts.passed = 1;
                // The command knows best whether its own messages are fatal.
                for failure in std::mem::take(&mut self.failures) {
                    compose.diagnostic(Diagnostic {
                        level: "error".to_owned(),
                        code: failure.code,
                        message: failure.message,
                        location: failure.location,
                    });
                }
            }
            Some(exit) => {
                compose.counts.failed = 1;
                self.settle_failed(&mut compose, &name, &end, exit);
            }
            None => {
                compose.incomplete(
                    Note::new("exit_unknown", "how the command ended is not known")
                        .remedy("give it with `--exit N`"),
                );
                compose.counts.failed = u64::from(!self.failures.is_empty());
                std::mem::take(&mut self.failures)
                    .into_iter()
                    .for_each(|failure| compose.failure(failure));
            }
        }
        compose.finish("generic", Source::Text, &end)
    }

    fn settle_failed(
        &mut self,
        compose: &mut Compose,
        name: &str,
        end: &End,
        exit: crate::report::Exit,
    ) {
        if end.interrupted {
            compose.counts.failed = 0;
            return;
        }
        let found = std::mem::take(&mut self.failures);
        let (kind, message) = if exit.timed_out {
            (
                FailureKind::Timeout,
                "the time limit was reached".to_owned(),
            )
        } else if exit.oom {
            (FailureKind::Oom, "memory ran out".to_owned())
        } else if let Some(signal) = exit.signal {
            if [1, 2, 15].contains(&signal) {
                compose.outcome(Outcome::Interrupted);
            }
            (
                FailureKind::Crash,
                format!("died of {}", compose::signal_name(signal)),
            )
        } else {
            (
                FailureKind::ExitNonzero,
                format!("exited with status {}", exit.code.unwrap_or(-1)),
            )
        };
        if kind == FailureKind::ExitNonzero && !found.is_empty() {
            found
                .into_iter()
                .for_each(|failure| compose.failure(failure));
            return;
        }
        let lines = self.tail.lines(40);
        let last = lines
            .last()
            .map(|line| format!(": {}", text::one_line(line)))
            .unwrap_or_default();
        let mut failure = compose::failure(name, kind, Phase::Call, format!("{message}{last}"));
        failure.kind_sure = kind != FailureKind::ExitNonzero;
        failure.details = text::block(&lines.join("\n"), text::DETAILS);
        failure.rerun = self.context.command.clone();
        compose.failure(compose::seal(failure));
        found
            .into_iter()
            .for_each(|failure| compose.failure(failure));
    }

    /// The one test is named after the program.
    fn name(&self) -> String {
        let program = self
            .context
            .command
            .first()
            .map_or("command", String::as_str);
        program.rsplit('/').next().unwrap_or(program).to_owned()
    }
}

impl Adapter for GenericRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        GenericRun::feed(self, stream, bytes)
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        GenericRun::finish(*self, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Exit;

    fn report(log: &str, exit: Option<Exit>) -> Report {
        let mut run = GenericRun::new(Context::rooted("/p"));
        run.feed(Stream::Log, log.as_bytes());
        run.finish(End {
            exit,
            interrupted: false,
        })
    }

    #[test]
    fn many_tools_name_file_and_line() {
        let log = "/p/src/a.c:3:5: error: expected ';' before 'x'
src/b.c:10: fatal error: b.h: No such file
src/c.ts(4,7): error TS2304: Cannot find name 'x'.
a/d.py:5:1: F401 `os` imported but unused
e.py:7: error: Incompatible types  [assignment]
src/a.c:9:1: warning: unused variable 'y' [-Wunused-variable]
12:30:01 error: not a place
test.sh: line 3: error: no number
";
        let report = report(log, Some(Exit::code(2)));
        let ids: Vec<&str> = report
            .failures
            .iter()
            .map(|failure| failure.id.as_str())
            .collect();
        assert_eq!(
            ids,
            [
                "src/a.c:3:5",
                "src/b.c:10",
                "src/c.ts:4:7 TS2304",
                "a/d.py:5:1 F401",
                "e.py:7"
            ]
        );
        assert_eq!(report.outcome, Outcome::BuildFailed);
        assert_eq!(report.counts.failed, 1);
        assert_eq!(report.diagnostics.len(), 1);
    }

    #[test]
    fn the_exit_status_decides() {
        let fine = report("a.c:1: error: expected by the test\n", Some(Exit::code(0)));
        assert!(fine.is_green());
        assert_eq!(fine.diagnostics[0].level, "error");
        let bad = report("all fine\nor so it says\n", Some(Exit::code(7)));
        assert_eq!((bad.outcome, bad.counts.failed), (Outcome::Failed, 1));
        assert_eq!(
            bad.failures[0].message,
            "exited with status 7: or so it says"
        );
        assert!(!bad.failures[0].kind_sure);
        let unknown = report("all fine\n", None);
        assert_eq!(
            (unknown.outcome, unknown.complete),
            (Outcome::NoTests, false)
        );
    }

    #[test]
    fn a_signal_is_a_crash() {
        let exit = Exit {
            signal: Some(11),
            ..Exit::default()
        };
        let report = report("", Some(exit));
        assert_eq!(report.outcome, Outcome::Crashed);
        assert_eq!(report.failures[0].message, "died of signal 11 (SIGSEGV)");
    }
}
