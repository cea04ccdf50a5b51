//! Makes structured failures of the reporters' records.

use crate::compose;
use crate::libtest::sides;
use crate::records::Error;
use crate::records::Failed;
use crate::records::Named;
use crate::records::Records;
use crate::report::Diff;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Frame;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// A longer stack than this is cut.
const MOST_FRAMES: usize = 40;

impl Records {
    /// The failure of one record.
    pub(super) fn failure(&self, record: &Failed, test: &Named) -> Failure {
        let phase = phase(&record.phase);
        let (kind, sure) = kind(record, phase);
        let message = record.error.as_ref().map_or(String::new(), message);
        let mut failure = compose::failure(&test.id, kind, phase, message);
        failure.kind_sure = sure;
        failure.target = super::target(test);
        failure.test_location = record.at.as_ref().map(|(file, line, column)| Location {
            file: self.file(file),
            line: *line,
            column: *column,
        });
        if let Some(error) = &record.error {
            self.explain(&mut failure, error);
        }
        if failure.location.is_none() && phase != Phase::Session {
            failure.location.clone_from(&failure.test_location);
        }
        if failure.location.is_none() && phase == Phase::Collect && !test.file.is_empty() {
            failure.location = Some(Location {
                file: test.file.clone(),
                line: None,
                column: None,
            });
        }
        failure.stdout = text::block(&record.out, text::DETAILS);
        failure.stderr = text::block(&record.err, text::DETAILS);
        failure.duration_ms = record.ms.filter(|ms| *ms >= 0.0).map(|ms| ms as u64);
        failure.rerun = self.dialect.rerun(&self.context, test);
        self.dialect.refine(&mut failure, record, &self.context);
        compose::seal(failure)
    }

    /// Frames, location, sides and details of what was thrown.
    fn explain(&self, failure: &mut Failure, error: &Error) {
        failure.frames = self.frames(error);
        let user = failure.frames.iter().position(|frame| frame.user);
        let structured = error.frames.iter().take(MOST_FRAMES);
        let mut columns: Vec<Option<u32>> = structured.map(|(_, _, column, _)| *column).collect();
        if error.frames.is_empty() {
            columns = self.dialect.columns(below(error));
        }
        failure.location = user.map(|at| Location {
            file: failure.frames[at].file.clone(),
            line: failure.frames[at].line,
            column: columns.get(at).copied().flatten(),
        });
        failure.diff = diff(error);
        failure.code.clone_from(&error.code);
        failure.details = text::block(&details(error), text::DETAILS);
    }

    fn frames(&self, error: &Error) -> Vec<Frame> {
        let mut frames: Vec<Frame> = error
            .frames
            .iter()
            .map(|(file, line, _, function)| Frame {
                file: file.clone(),
                line: *line,
                function: function.as_deref().map(|name| text::cut(name, 300)),
                user: false,
            })
            .collect();
        if frames.is_empty() {
            frames = self.dialect.frames(below(error));
        }
        frames.truncate(MOST_FRAMES);
        for frame in &mut frames {
            frame.file = self.file(&frame.file);
            frame.user = self.dialect.is_user(&self.context, &frame.file);
        }
        frames
    }
}

/// The stack without the message that stands before it: a message may hold a stack of its own.
fn below(error: &Error) -> &str {
    let message = error.message.trim_end();
    let named = error.name.len() + 64;
    match error.stack.find(message) {
        Some(at) if message.contains('\n') && at <= named => &error.stack[at + message.len()..],
        _ => &error.stack,
    }
}

fn phase(word: &str) -> Phase {
    match word {
        "setup" => Phase::Setup,
        "teardown" => Phase::Teardown,
        "collect" => Phase::Collect,
        "build" => Phase::Build,
        "session" => Phase::Session,
        _ => Phase::Call,
    }
}

/// The reporter's word, or what the phase and the error make probable.
fn kind(record: &Failed, phase: Phase) -> (FailureKind, bool) {
    let word = record.kind.as_deref().unwrap_or_default();
    let said = serde_json::from_value::<FailureKind>(word.into());
    if let Ok(kind) = said {
        return (kind, true);
    }
    match phase {
        Phase::Setup => (FailureKind::SetupError, true),
        Phase::Teardown => (FailureKind::TeardownError, true),
        Phase::Collect => (FailureKind::CollectionError, true),
        Phase::Build => (FailureKind::CompileError, true),
        _ => (FailureKind::Panic, record.error.is_some()),
    }
}

/// One line: the message with the class's name before it, unless that says nothing.
fn message(error: &Error) -> String {
    let first = text::one_line(&error.message);
    let plain = matches!(
        error.name.as_str(),
        "" | "Error" | "AssertionError" | "AssertionError [ERR_ASSERTION]" | "JestAssertionError"
    );
    if plain || first.starts_with(&format!("{}:", error.name)) {
        return if first.is_empty() {
            error.name.clone()
        } else {
            first
        };
    }
    match first.as_str() {
        "" => error.name.clone(),
        first => format!("{}: {first}", error.name),
    }
}

fn diff(error: &Error) -> Option<Diff> {
    let clean = |side: &Option<String>| side.as_deref().map(text::clean);
    let (expected, actual) = (clean(&error.expected), clean(&error.actual));
    let (left, right) = (clean(&error.left), clean(&error.right));
    let unified = error.unified.as_deref();
    let unified = unified.map(|text| text::cap(&text::clean(text), text::SIDE));
    if expected.is_some() || actual.is_some() {
        return Some(sides::expected_actual(
            expected.as_deref(),
            actual.as_deref(),
            unified,
        ));
    }
    let (left, right) = (left?, right?);
    let mut diff = sides::with_unified(&left, &right);
    diff.unified = unified.or(diff.unified);
    Some(diff)
}

/// The runtime's own text, or the message, with what caused it.
fn details(error: &Error) -> String {
    let mut text = whole(error);
    let mut cause = error.cause.as_deref();
    for _ in 0..5 {
        let Some(one) = cause else { break };
        text.push_str("\ncaused by: ");
        text.push_str(&whole(one));
        cause = one.cause.as_deref();
    }
    text
}

fn whole(error: &Error) -> String {
    if error.stack.contains(error.message.trim()) && !error.stack.is_empty() {
        return error.stack.clone();
    }
    let named = match error.name.as_str() {
        "" => error.message.clone(),
        name => format!("{name}: {}", error.message),
    };
    match error.stack.as_str() {
        "" => named,
        stack => format!("{named}\n{stack}"),
    }
}
