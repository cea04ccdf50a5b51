//! One test of bats, however it was told.

use crate::bats::block;
use crate::compose;
use crate::context::Context;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;
use std::sync::Arc;

/// More lines of one block are not kept.
const MOST_LINES: usize = 2_000;
/// More bytes of one block are not kept.
const MOST_BYTES: usize = 64 * 1024;

/// How a test came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Skipped,
    Failed,
    /// Bats's own time limit.
    TimedOut,
}

/// A test that has a result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    /// Its number in the plan, where it was told.
    pub number: Option<u32>,
    /// Its name.
    pub name: String,
    pub verdict: Verdict,
    /// Its file, where that was told.
    pub file: Option<Arc<str>>,
    /// What bats said about it.
    pub block: Vec<String>,
    bytes: usize,
    /// How long it took, in milliseconds.
    pub millis: Option<u64>,
    /// What had this number before.
    pub instead: Option<Box<Outcome>>,
}

impl Outcome {
    pub fn new(number: Option<u32>, name: &str, verdict: Verdict, file: Option<Arc<str>>) -> Self {
        Outcome {
            number,
            name: text::cut(name, 16 * 1024),
            verdict,
            file,
            block: Vec::new(),
            bytes: 0,
            millis: None,
            instead: None,
        }
    }

    /// One more line of what is said.
    pub fn say(&mut self, line: &str) {
        if !self.is_bad() || block::is_warning(line) {
            return;
        }
        if self.block.len() < MOST_LINES && self.bytes + line.len() < MOST_BYTES {
            self.bytes += line.len();
            self.block.push(line.to_owned());
        }
    }

    /// Whether it failed.
    pub fn is_bad(&self) -> bool {
        matches!(self.verdict, Verdict::Failed | Verdict::TimedOut)
    }

    /// Whether it is no test, but what stands around tests.
    pub fn is_hook(&self) -> bool {
        is_hook(&self.name)
    }

    /// The failure.
    pub fn failure(&self, context: &Context) -> Failure {
        let lines: Vec<&str> = self.block.iter().map(String::as_str).collect();
        let mut failure = compose::failure(&self.name, FailureKind::Assertion, Phase::Call, "");
        block::explain(&mut failure, &lines, context);
        let file = self.file.as_ref().map(|file| context.relative(file));
        failure.target = file.or_else(|| test_file(&failure));
        if self.is_hook() {
            self.hook(&mut failure, &lines, context);
        }
        if self.verdict == Verdict::TimedOut {
            (failure.kind, failure.kind_sure) = (FailureKind::Timeout, true);
        }
        if failure.message.is_empty() {
            failure.message = text::one_line(&self.name);
            failure.kind_sure = false;
        }
        failure.duration_ms = self.millis;
        failure.rerun = rerun(&failure, self.is_hook(), context);
        compose::seal(failure)
    }

    /// What stands around the tests of a file failed, or the file cannot be read at all.
    fn hook(&self, failure: &mut Failure, lines: &[&str], context: &Context) {
        let teardown = self.name.starts_with("teardown");
        (failure.kind, failure.phase) = match teardown {
            true => (FailureKind::TeardownError, Phase::Teardown),
            false => (FailureKind::SetupError, Phase::Setup),
        };
        failure.kind_sure = true;
        if !failure.frames.is_empty() || teardown {
            return;
        }
        let placed = lines.iter().find_map(|line| shell_error(line, context));
        let unloaded = lines
            .iter()
            .any(|line| line.starts_with("bats_load_safe: ") || line.contains(" does not exist"));
        if let Some((at, message)) = placed {
            let target = failure.target.as_deref();
            if target.is_none_or(|target| at.file.ends_with(&format!("/{target}"))) {
                failure.target = Some(at.file.clone());
            }
            failure.message = text::one_line(message);
            failure.location = Some(at);
        } else if !unloaded {
            return;
        }
        if self.name.starts_with("setup_suite") {
            return;
        }
        (failure.kind, failure.phase) = (FailureKind::CollectionError, Phase::Collect);
        if let Some(file) = failure.target.take() {
            failure.id = file;
        }
    }
}

/// Whether a result of this name is about what stands around tests.
pub(crate) fn is_hook(name: &str) -> bool {
    matches!(
        name,
        "setup_file failed"
            | "teardown_file failed"
            | "setup_suite"
            | "teardown_suite"
            | "setup_suite failed"
            | "teardown_suite failed"
    )
}

/// The file of the outermost frame.
fn test_file(failure: &Failure) -> Option<String> {
    let outermost = failure.frames.last()?;
    Some(outermost.file.clone())
}

/// `FILE: line 8: message`, the shell's way.
pub(crate) fn shell_error<'a>(line: &'a str, context: &Context) -> Option<(Location, &'a str)> {
    let (file, rest) = line.split_once(": line ")?;
    let (number, message) = rest.split_once(": ")?;
    let location = Location {
        file: context.relative(file),
        line: Some(number.parse().ok()?),
        column: None,
    };
    (!file.is_empty() && context.is_user(&location.file)).then_some((location, message))
}

/// Only this test: its name as a pattern for the whole of it, and its file.
fn rerun(failure: &Failure, hook: bool, context: &Context) -> Vec<String> {
    let file = match failure.kind {
        FailureKind::CollectionError if is_hook(&failure.id) => None,
        FailureKind::CollectionError => Some(&failure.id),
        _ => failure.target.as_ref(),
    };
    let Some(file) = file.filter(|file| !file.ends_with("setup_suite.bash")) else {
        return Vec::new();
    };
    let path = context.in_dir(file);
    if hook {
        return context.rerun(&["bats"], [path]);
    }
    context.rerun(
        &["bats"],
        ["-f".to_owned(), format!("^{}$", escaped(&failure.id)), path],
    )
}

/// Characters that mean something in an extended regular expression stand for themselves.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        // Some versions look at the name as it stands between double quotes in the shell.
        if "\"$`".contains(c) {
            out.push_str("\\\\?");
        }
        if "\\^$.|?*+()[]{}".contains(c) {
            out.push('\\');
        }
        out.push(c);
        if c == '\\' {
            out.push_str("(\\\\)?");
        }
    }
    out
}
