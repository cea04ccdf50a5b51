//! The results of node's runner, whatever form they were read from: each test and suite as a
//! point, children before their parents, as all of node's reporters tell them.

use crate::compose;
use crate::context::Context;
use crate::js::stack;
use crate::js::thrown;
use crate::js::thrown::Thrown;
use crate::node::dialect;
use crate::node::path::Path;
use crate::node::rerun;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;
use std::ops::Deref;
use std::ops::DerefMut;
use std::sync::LazyLock;

/// A test or suite that is over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Point {
    /// Its titles, outermost first.
    pub path: Path,
    /// It failed.
    pub failed: bool,
    /// It was skipped, or is to be done: neither a pass nor a failure.
    pub kept: bool,
    /// A filter left it out.
    pub filtered: bool,
    /// It is known to be a suite.
    pub suite: bool,
    /// What else is told: little, where it passed.
    pub told: Option<Box<Told>>,
}

/// What is told of some points.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// Where it is defined.
    pub at: Option<Location>,
    /// Node's word for the failure, where it is told.
    pub word: String,
    /// What was thrown.
    pub thrown: Thrown,
    /// What should have been, and what was.
    pub sides: (Option<String>, Option<String>),
    /// Node's own text.
    pub details: String,
    /// What its process printed to standard error, for a file that failed as a whole.
    pub errors: String,
    /// The exit status of its process.
    pub exit: Option<i64>,
    /// The signal that ended its process.
    pub signal: Option<String>,
    /// Milliseconds.
    pub ms: Option<u64>,
}

/// Of most points nothing is told.
static NOTHING: LazyLock<Told> = LazyLock::new(Told::default);

impl Deref for Point {
    type Target = Told;

    fn deref(&self) -> &Told {
        self.told.as_deref().unwrap_or(&NOTHING)
    }
}

impl DerefMut for Point {
    fn deref_mut(&mut self) -> &mut Told {
        self.told.get_or_insert_default()
    }
}

/// What the points come to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Tests that passed; those with tests of their own are not among them.
    pub passed: u64,
    /// Skipped, to do, or cancelled because what they are in failed by itself.
    pub skipped: u64,
    /// What failed.
    pub failures: Vec<Failure>,
    /// Tests that a filter left out.
    pub filtered: u64,
}

/// Behind so many failures a further one is not listed, even if some of them are told twice.
const MANY: usize = 2 * compose::MOST_FAILURES;

/// What node says of a test that its parent did not wait for.
const CANCELLED: &str = "test did not finish before its parent and was cancelled";
/// And of one that can never be over.
const PENDING: &str = "Promise resolution is still pending but the event loop has already resolved";

impl Point {
    /// Whether a whole file stands for itself.
    fn is_file(&self) -> bool {
        let (Some(at), Some(name)) = (&self.at, self.path.only()) else {
            return false;
        };
        at.line == Some(1)
            && at.column == Some(1)
            && (at.file == name
                || name.ends_with(&format!("/{}", at.file))
                || at.file.ends_with(&format!("/{name}")))
    }

    /// Node's word, or what the message proves.
    fn word(&self) -> &str {
        let message = self.thrown.message.trim_matches('\'');
        match self.word.as_str() {
            "" if message.starts_with(CANCELLED) || message.starts_with(PENDING) => {
                "cancelledByParent"
            }
            "" if message.starts_with("test timed out after ") => "testTimeoutFailure",
            "" if self.thrown.stack.contains("at TestHook.run (node:") => "hookFailed",
            "" if subtests_failed(message) => "subtestsFailed",
            word => word,
        }
    }
}

/// `3 subtests failed`.
fn subtests_failed(message: &str) -> bool {
    let number = message.split(' ').next().unwrap_or("");
    let rest = message.get(number.len()..).unwrap_or("");
    number.parse::<u64>().is_ok() && matches!(rest, " subtest failed" | " subtests failed")
}

/// Counts points and makes failures of them: leaves only, and no test that is merely a victim
/// of its suite's own failure.
pub(crate) fn settle(points: &[Point], context: &Context) -> Found {
    let mut found = Found::default();
    // How many points, and how many failed ones, stand at each depth below the next parent.
    let mut below: Vec<(u64, bool)> = Vec::new();
    let mut cancelled: Vec<&Point> = Vec::new();
    for point in points {
        let depth = point.path.depth();
        let (inner, inner_failed) = below.get(depth).copied().unwrap_or_default();
        below.truncate(depth);
        below.resize(depth, (0, false));
        below[depth - 1].0 += u64::from(!point.filtered);
        below[depth - 1].1 |= point.failed && !point.kept;
        let word = point.word();
        let own = point.failed
            && !point.kept
            && word != "subtestsFailed"
            && !(word.is_empty() && inner_failed && point.thrown.message.is_empty());
        let mine = |one: &&Point| one.path.is_below(&point.path);
        let (victims, others): (Vec<_>, Vec<_>) = cancelled.into_iter().partition(mine);
        cancelled = others;
        // Hooks of a suite: who was cancelled by one that comes before did not run.
        let after = inner > 0 && victims.is_empty();
        for victim in victims {
            match own {
                true => found.skipped += 1,
                false => found.failures.push(failure(victim, context)),
            }
        }
        if point.filtered {
            found.filtered += 1;
        } else if point.kept {
            found.skipped += u64::from(inner == 0 || !point.suite);
        } else if !point.failed {
            found.passed += u64::from(inner == 0 && !point.suite);
        } else if word == "cancelledByParent" && depth > 1 {
            cancelled.push(point);
        } else if own || (inner == 0 && word != "subtestsFailed") || point.is_file() {
            if found.failures.len() >= MANY && !point.is_file() && point.at.is_some() {
                found.failures.push(brief(point));
                continue;
            }
            let mut failure = failure(point, context);
            if after && failure.kind == FailureKind::SetupError {
                (failure.kind, failure.phase) = (FailureKind::TeardownError, Phase::Teardown);
                failure = compose::seal(failure);
            }
            // Tests came before it, and it says nothing: its process ended in the middle.
            if failure.kind == FailureKind::ExitNonzero && point.is_file() && below[0].0 > 1 {
                failure.kind = FailureKind::Crash;
                failure = compose::seal(failure);
            }
            found.failures.push(failure);
        }
    }
    found
        .failures
        .extend(cancelled.into_iter().map(|point| failure(point, context)));
    found
}

/// The failure of one point where so many came before that it is only counted.
fn brief(point: &Point) -> Failure {
    let message = "failed, as did too many others";
    let id = point.path.titles().join(" > ");
    let mut failure = compose::failure(id, FailureKind::Panic, Phase::Call, message);
    failure.kind_sure = false;
    failure.target = point.at.as_ref().map(|at| at.file.clone());
    failure.test_location.clone_from(&point.at);
    failure.location.clone_from(&point.at);
    compose::seal(failure)
}

/// The failure of one point.
pub(crate) fn failure(point: &Point, context: &Context) -> Failure {
    if point.is_file() {
        return of_file(point, context);
    }
    let word = point.word().to_owned();
    let phase = match word.as_str() {
        "hookFailed" => hook_phase(point),
        _ => Phase::Call,
    };
    let (kind, sure) = kind(point, &word, phase);
    let titles = point.path.titles();
    let mut failure = compose::failure(titles.join(" > "), kind, phase, message(&point.thrown));
    failure.kind_sure = sure;
    thrown::place(&mut failure, &point.thrown.stack, context);
    failure.test_location = point.at.clone();
    let outermost = failure.frames.iter().rfind(|frame| frame.user);
    let file = point.at.as_ref().map(|at| at.file.clone());
    failure.target = file.or_else(|| outermost.map(|frame| frame.file.clone()));
    if failure.location.is_none() {
        failure.location.clone_from(&failure.test_location);
    }
    let sides = match &point.sides {
        (None, None) => thrown::compared(&point.thrown.message)
            .filter(|_| point.thrown.is_assertion())
            .map_or((None, None), |(expected, actual)| {
                (Some(expected), Some(actual))
            }),
        sides => sides.clone(),
    };
    failure.diff = thrown::diff(sides.0.as_deref(), sides.1.as_deref());
    if let (Some(diff), Some(own)) = (&mut failure.diff, dialect::own_diff(&point.thrown.message)) {
        diff.unified = Some(own);
    }
    failure.code.clone_from(&point.thrown.code);
    failure.details = text::block(&point.details, text::DETAILS);
    failure.duration_ms = point.ms;
    let target = failure.target.clone().unwrap_or_default();
    let names = rerun::names(&titles, &point.thrown.stack);
    failure.rerun = rerun::argv(context, &target, &names);
    compose::seal(failure)
}

/// What a string that was thrown looks like loses its quotes.
fn message(thrown: &Thrown) -> String {
    let line = thrown.line();
    let bare = line
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''));
    // A comparison of two strings has quotes at both its ends, too.
    bare.filter(|bare| !bare.is_empty() && !bare.contains('\''))
        .map_or(line.clone(), str::to_owned)
}

fn of_file(point: &Point, context: &Context) -> Failure {
    let file = point
        .at
        .as_ref()
        .map_or_else(String::new, |at| at.file.clone());
    let died = point.signal.as_deref();
    let (kind, phase, how) = match died {
        Some(signal) => (
            FailureKind::Crash,
            Phase::Session,
            format!("the process of the file died of {signal}"),
        ),
        None if point.word() == "testTimeoutFailure" => {
            (FailureKind::Timeout, Phase::Session, message(&point.thrown))
        }
        None => (
            FailureKind::CollectionError,
            Phase::Collect,
            message(&point.thrown),
        ),
    };
    let mut failure = compose::failure(&file, kind, phase, how);
    if phase == Phase::Collect {
        dialect::file_failed(&mut failure, &point.errors, point.exit, context);
    }
    if failure.location.is_none() {
        failure.location = Some(Location {
            file: file.clone(),
            line: None,
            column: None,
        });
    }
    failure.stderr = text::block(&point.errors, text::DETAILS);
    failure.rerun = rerun::argv(context, &file, &[]);
    compose::seal(failure)
}

/// Hooks that come before have nothing between them and the test; those that come after are
/// called through a function that runs once.
fn hook_phase(point: &Point) -> Phase {
    let message = point.details.lines().next().unwrap_or("");
    let of_test = |line: &str| {
        line.trim_start()
            .starts_with("at after (node:internal/test_runner/")
    };
    if message.contains("failed running after") || point.thrown.stack.lines().any(of_test) {
        return Phase::Teardown;
    }
    let lines: Vec<&str> = point.thrown.stack.lines().map(str::trim).collect();
    let hook = lines
        .iter()
        .position(|line| line.contains(".runHook (node:"));
    let Some(at) = hook else {
        return Phase::Setup;
    };
    let after = lines.get(at + 1..).unwrap_or_default();
    let once = after
        .first()
        .is_some_and(|line| line.starts_with("at node:internal/test_runner/test:"))
        && after
            .get(1)
            .is_some_and(|line| line.contains("node:internal/util:"));
    if once { Phase::Teardown } else { Phase::Setup }
}

fn kind(point: &Point, word: &str, phase: Phase) -> (FailureKind, bool) {
    match (word, phase) {
        ("testTimeoutFailure", _) => (FailureKind::Timeout, true),
        (_, Phase::Setup) => (FailureKind::SetupError, true),
        (_, Phase::Teardown) => (FailureKind::TeardownError, true),
        _ if point.thrown.message.contains("expected to fail") && word.contains("xpect") => {
            (FailureKind::UnexpectedPass, true)
        }
        _ => {
            let kind = thrown::kind(&point.thrown);
            let empty = point.thrown.message.is_empty() && point.thrown.name.is_empty();
            (kind, dialect::sure(word) && !empty)
        }
    }
}

/// A definition's place: `test/a.js:3:1`, absolute or relative to where node was started.
pub(crate) fn place(text: &str, context: &Context) -> Option<Location> {
    let found = stack::place(&format!("at {text}"))?;
    Some(Location {
        file: thrown::relative(context, &found.file),
        line: found.line,
        column: found.column,
    })
}
