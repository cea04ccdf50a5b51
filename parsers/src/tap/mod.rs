//! Reads TAP 12, 13 and 14 of any producer: Test::More, Test2, pgTAP, node-tap, tape, node:test,
//! vitest, GLib, KTAP, bats, and what one writes by hand.
//!
//! # Facts
//!
//! - id: the description without ` - ` and escapes; the number where there is none. Subtests are
//!   leaves only, their id is the path of titles joined by ` > `.
//! - A parent that fails with a failing child is no failure of its own.
//! - `not ok … # TODO` is skipped. `ok … # TODO` is what TAP calls a bonus: it passed, and a note
//!   says so.
//! - A plan that does not fit is one failure `plan` of kind `plan_mismatch`. A result whose number
//!   lies beyond the plan or is there already is no result, and the run is not complete.
//! - `Bail out!` is a failure of that name and kind `panic`.
//! - kind: `assertion`, unless the material says otherwise; sure only where it is explained.
//! - TAP itself knows no way to run one test again, so `rerun` is empty.

mod failure;
mod level;
mod perl;
mod reader;
mod report;
mod sides;
mod token;
mod yaml;

pub(crate) use failure::explained;
pub(crate) use level::Level;
pub(crate) use perl::Block;
pub(crate) use perl::Death;
pub(crate) use perl::Diagnostics;
pub(crate) use perl::Others;
pub(crate) use reader::Reader;
pub(crate) use reader::Step;
pub(crate) use report::SEPARATOR;
pub(crate) use report::Teller;
pub(crate) use report::Told;
pub(crate) use report::remarks;

use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::event::TestEvent;
use crate::lines::Lines;
use crate::lines::Seen;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::records::how;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text;
use crate::text::Tail;
use std::collections::BTreeMap;

/// A report file has a reader of its own; more of them are read by the last.
const MOST_FILES: usize = 5_000;

/// TAP that is being read.
#[derive(Debug)]
struct TapRun {
    context: Context,
    output: Lines,
    errors: Lines,
    reader: Reader,
    files: BTreeMap<String, (Lines, Reader)>,
    diagnostics: Diagnostics,
    tail: Tail,
    /// The output ends with a line end.
    whole: bool,
}

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(TapRun {
        context,
        output: Lines::default(),
        errors: Lines::default(),
        reader: Reader::default(),
        files: BTreeMap::new(),
        diagnostics: Diagnostics::default(),
        tail: Tail::default(),
        whole: true,
    })
}

/// Shows a line to the reader of TAP and to that of diagnostics, if one of them wants it.
pub(crate) fn look(
    seen: Seen<'_>,
    reader: &mut Reader,
    diagnostics: &mut Diagnostics,
) -> Option<Step> {
    let tap = reader.wants(seen.bytes);
    if !tap && !diagnostics.wants(seen.bytes) {
        diagnostics.pass(seen.bytes);
        return None;
    }
    let shown = seen.shown();
    let step = tap.then(|| reader.line(&shown)).flatten();
    match step.is_some() {
        true => diagnostics.cut(),
        false => diagnostics.line(&shown),
    }
    step
}

fn event(step: Step) -> TestEvent {
    let target = None;
    match step {
        Step::Passed(id) => TestEvent::Passed { target, id },
        Step::Skipped(id) => TestEvent::Skipped { target, id },
        Step::Planned(total) => TestEvent::Planned {
            total: u64::from(total),
        },
        Step::Failed(id) => {
            let failure = compose::failure(&id, FailureKind::Assertion, Phase::Call, &id);
            TestEvent::Failed(Box::new(compose::seal(failure)))
        }
    }
}

impl Adapter for TapRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        let mut events = Vec::new();
        match stream {
            Stream::File(name) => {
                let name = match self.files.len() < MOST_FILES {
                    true => name,
                    false => "",
                };
                let (lines, reader) = self.files.entry(name.to_owned()).or_default();
                lines.each(bytes, |seen| {
                    if let Some(step) = look(seen, reader, &mut self.diagnostics) {
                        events.push(event(step));
                    }
                });
            }
            Stream::Stderr => {
                let diagnostics = &mut self.diagnostics;
                self.errors
                    .each(bytes, |seen| match diagnostics.wants(seen.bytes) {
                        true => diagnostics.line(&seen.shown()),
                        false => diagnostics.pass(seen.bytes),
                    });
            }
            Stream::Stdout | Stream::Log => {
                self.tail.feed(bytes);
                self.whole = bytes.last().map_or(self.whole, |last| *last == b'\n');
                let (reader, diagnostics) = (&mut self.reader, &mut self.diagnostics);
                self.output.each(bytes, |seen| {
                    if let Some(step) = look(seen, reader, diagnostics) {
                        events.push(event(step));
                    }
                });
            }
        }
        events
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        TapRun::finish(*self, &end)
    }
}

impl TapRun {
    fn finish(mut self, end: &End) -> Report {
        if let Some(line) = self.output.finish() {
            self.last_line(&line.bytes, end);
        }
        if let Some(line) = self.errors.finish() {
            self.diagnostics.line(&text::shown(&line.bytes));
        }
        let mut streams = std::mem::take(&mut self.reader).finish();
        let mut source = Source::Text;
        for (mut lines, mut reader) in std::mem::take(&mut self.files).into_values() {
            if let Some(line) = lines.finish() {
                reader.line(&text::shown(&line.bytes));
            }
            let found = reader.finish();
            // The file says what the log says, too, and the log may be cut.
            if !found.is_empty() && source == Source::Text {
                streams.clear();
                source = Source::Report;
            }
            streams.extend(found);
        }
        self.diagnostics.finish();
        let mut compose = Compose::new();
        self.tell(&mut compose, &streams, end);
        self.status(&mut compose, &streams, end);
        let fine = !compose.has_fault() && compose.counts.failed == 0 && compose.counts.passed > 0;
        if fine && end.exit.is_some_and(|exit| exit.success()) {
            // What was passed over keeps it from being complete, but is no crash.
            compose.outcome(Outcome::Passed);
        }
        compose.finish("tap", source, end)
    }

    /// A line without an end: half of a result is none, unless the process ended by itself.
    fn last_line(&mut self, bytes: &[u8], end: &End) {
        let shown = text::shown(bytes).into_owned();
        let result = shown.trim_start().starts_with(['o', 'n', '1']);
        if !result || end.exit.is_some_and(|exit| exit.code.is_some()) {
            if self.reader.wants(bytes) {
                self.reader.line(&shown);
            }
            self.diagnostics.line(&shown);
        }
    }

    fn tell(&mut self, compose: &mut Compose, streams: &[Level], end: &End) {
        for (at, level) in streams.iter().enumerate() {
            let told = Teller {
                compose,
                diagnostics: &mut self.diagnostics,
                context: &self.context,
                file: None,
                rerun: Vec::new(),
                told: Told::default(),
            }
            .stream(level);
            remarks(compose, &told, None);
            if let Some(why) = &level.bail {
                compose.complete = false;
                let message = format!("Bail out! {why}");
                let mut failure = compose::failure(
                    "Bail out!",
                    FailureKind::Panic,
                    Phase::Session,
                    message.trim(),
                );
                failure.kind_sure = false;
                compose.failed(compose::seal(failure));
            } else if let Some(why) = told.mismatch {
                self.mismatch(
                    compose,
                    level,
                    &why,
                    told.seen,
                    at + 1 == streams.len(),
                    end,
                );
            }
        }
    }

    /// The number of tests is not the announced one: perhaps the program died, perhaps the log
    /// was cut, perhaps it is just wrong.
    fn mismatch(
        &mut self,
        compose: &mut Compose,
        level: &Level,
        why: &str,
        seen: u32,
        last: bool,
        end: &End,
    ) {
        let exit = end.exit.unwrap_or_default();
        let ended = exit.timed_out || exit.oom || exit.signal.is_some() || end.interrupted;
        if last && (ended || !self.whole) {
            compose.incomplete(Note::new(
                "cut_off",
                format!("the output ends early: {why}"),
            ));
            return;
        }
        let more = level.plan.is_some_and(|plan| plan < seen);
        if !more && let Some(death) = self.diagnostics.death(None, Some(seen), None) {
            compose.complete = false;
            self.died(compose, &death);
            return;
        }
        let last_words = match exit.code {
            Some(code) if code != 0 && last && !more => self.diagnostics.last_words(),
            _ => None,
        };
        if let Some(mut death) = last_words.filter(|death| death.at.is_some()) {
            compose.complete = false;
            death.code = exit.code;
            self.died(compose, &death);
            return;
        }
        let said = match self.diagnostics.plans.is_empty() {
            true => why.to_owned(),
            false => self.diagnostics.plans.remove(0),
        };
        let mut failure = compose::failure("plan", FailureKind::PlanMismatch, Phase::Session, said);
        failure.kind_sure = end.exit.is_some();
        compose.complete &= more;
        compose.failed(compose::seal(failure));
    }

    fn died(&self, compose: &mut Compose, death: &Death) {
        let location = death.at.as_ref().map(|(file, line)| Location {
            file: self.context.relative(file),
            line: Some(*line),
            column: None,
        });
        let (kind, phase) = match death.compile {
            true => (FailureKind::CollectionError, Phase::Collect),
            false if death.at.is_none() => (FailureKind::ExitNonzero, Phase::Session),
            false => (FailureKind::Panic, Phase::Session),
        };
        let file = location
            .as_ref()
            .filter(|_| death.compile)
            .map(|at| at.file.clone());
        let message = match (death.message.as_str(), death.code) {
            ("", Some(code)) => format!("exited with status {code} after {} tests", death.after),
            ("", None) => "died before its end".to_owned(),
            (message, _) => message.to_owned(),
        };
        let id = file.unwrap_or_else(|| "tap".to_owned());
        let mut failure = compose::failure(id, kind, phase, message);
        failure.location = location.filter(|at| self.context.is_user(&at.file));
        failure.details = text::block(&death.text, text::DETAILS);
        compose.failed(compose::seal(failure));
    }

    fn status(&mut self, compose: &mut Compose, streams: &[Level], end: &End) {
        let Some(exit) = end.exit.filter(|exit| !exit.success() && !end.interrupted) else {
            if streams.is_empty() {
                compose.note(Note::new("no_tap", "nothing in the output is TAP"));
            }
            return;
        };
        let running = streams.last().and_then(|level| level.announced.clone());
        if exit.timed_out || exit.oom || exit.signal.is_some() {
            compose.complete = false;
            let (kind, how) = how(end.exit);
            let id = running.unwrap_or_else(|| "tap".to_owned());
            let mut failure = compose::failure(
                id,
                kind,
                Phase::Call,
                format!("{how} before the end of the output"),
            );
            failure.details = text::block(&self.tail.lines(40).join("\n"), text::DETAILS);
            compose.failed(compose::seal(failure));
            return;
        }
        if compose.has_fault() {
            return;
        }
        if let Some(death) = self.diagnostics.death(exit.code, None, None) {
            return self.died(compose, &death);
        }
        let lines = self.tail.lines(40);
        let last = lines
            .last()
            .map(|line| format!(": {line}"))
            .unwrap_or_default();
        let code = exit.code.unwrap_or(-1);
        let mut failure = compose::failure(
            "tap",
            FailureKind::ExitNonzero,
            Phase::Session,
            format!("exited with status {code}{last}"),
        );
        failure.kind_sure = false;
        failure.details = text::block(&lines.join("\n"), text::DETAILS);
        if streams.is_empty() {
            compose.outcome(Outcome::Failed);
        }
        compose.failed(compose::seal(failure));
    }
}

#[cfg(test)]
mod tests;
