//! What a report says of a limit that a run met: which one, how much it was, and how it is raised.

use crate::config::Size;
use crate::config::Time;
use crate::model::Enforcement;
use crate::model::FailureKind;
use crate::model::Limits;
use crate::model::Note;
use crate::model::Outcome;
use crate::model::Report;
use std::time::Duration;

const FREE: &str = "free disk space (`regreen gc` removes what regreen can do without), or look at \
                    what its tests write";

/// How runtimes say that the kernel refused them memory.
const REFUSED: [&str; 9] = [
    "memory allocation of ",
    "MemoryError",
    "std::bad_alloc",
    "Cannot allocate memory",
    "cannot allocate memory",
    "java.lang.OutOfMemoryError",
    "JavaScript heap out of memory",
    "runtime: out of memory",
    "NoMemoryError",
];

/// Nobody ended it: there was no space left.
pub(super) const FULL: &str = "disk_full";

/// What a run met.
#[derive(Debug, Clone, Copy)]
pub(super) struct Met<'a> {
    /// The limit that ended it, if one did.
    pub limit: Option<&'a str>,
    /// What there is to say of it.
    pub said: Option<&'a str>,
    /// The end of what the run printed.
    pub tail: &'a str,
}

/// Whether a limit is one of the disk.
pub(super) fn is_disk(limit: Option<&str>) -> bool {
    matches!(limit, Some("disk" | "disk_space" | FULL))
}

/// Adds what there is to say of limits.
pub(super) fn tell(report: &mut Report, met: Met<'_>, limits: &Limits) {
    match met.limit {
        Some("memory") => of_memory(report, limits),
        Some(limit) => {
            report.notes.push(note(limit, met.said, limits));
            if is_disk(met.limit) {
                never_green(report, limit);
            }
        }
        None => refused(report, met.tail, limits),
    }
}

/// What was cut short is no verdict of its own; whose disk is full says nothing of the tests.
fn never_green(report: &mut Report, limit: &str) {
    report.outcome = match (limit, report.outcome) {
        ("disk_space" | FULL, outcome) => outcome.min(Outcome::InfraError),
        // It ended by the signal that regreen sent, which looks like somebody's wish.
        (_, Outcome::Interrupted) => Outcome::Crashed,
        (_, outcome) => outcome.min(Outcome::Crashed),
    };
    report.complete = false;
}

fn note(limit: &str, said: Option<&str>, limits: &Limits) -> Note {
    let time = |millis: u64| Time(Duration::from_millis(millis)).to_string();
    let said = said.map(str::to_owned);
    if limit == FULL {
        let message = format!(
            "{}, so what failed says nothing of the tests",
            said.unwrap_or_default()
        );
        return Note::new(FULL, message).remedy(FREE);
    }
    let (what, remedy) = match limit {
        "wall" => (
            format!("it ran for {}", time(limits.wall_ms)),
            "raise `timeout` of the suite or of `[limits]`",
        ),
        "silence" => (
            format!(
                "it neither printed anything nor ended a test for {}",
                time(limits.silence_ms)
            ),
            "raise `silence` of the suite or of `[limits]`",
        ),
        "output" => (
            "it printed far more than is kept".to_owned(),
            "raise `output` of `[limits]`",
        ),
        "disk" => (
            said.unwrap_or_else(|| "it wrote more than is allowed".to_owned()),
            "look at what its tests write, or raise `disk` of `[limits]`",
        ),
        "disk_space" => (
            said.unwrap_or_else(|| "it had nearly filled the disk".to_owned()),
            FREE,
        ),
        other => (
            format!("it reached the limit `{other}`"),
            "raise it in `[limits]`",
        ),
    };
    Note::new("limit", format!("regreen ended the run because {what}")).remedy(remedy)
}

/// The kernel ended a process of it: the parser has said so, and this says which limit it was.
fn of_memory(report: &mut Report, limits: &Limits) {
    let Some(bytes) = limits.memory_bytes else {
        return;
    };
    report.notes.retain(|note| note.code != "out_of_memory");
    let message = format!(
        "the kernel ended a process because the run needed more memory than its limit of {}",
        Size(bytes)
    );
    report.notes.push(
        Note::new("out_of_memory", message)
            .remedy("raise `memory` of `[limits]`, or make its tests need less"),
    );
}

/// Where the limit on memory holds for each process alone, nobody is killed: allocations fail.
fn refused(report: &mut Report, tail: &str, limits: &Limits) {
    let held = report.run.isolation.as_ref();
    let held = held.and_then(|isolation| isolation.limits.get("memory"));
    let (Some(bytes), Some(Enforcement::PerProcess)) = (limits.memory_bytes, held) else {
        return;
    };
    let says = |text: &str| REFUSED.iter().any(|words| text.contains(words));
    if report.is_green() {
        return;
    }
    let mut any = says(tail);
    for failure in &mut report.failures {
        let texts = [
            Some(&failure.message),
            failure.details.as_ref(),
            failure.stderr.as_ref(),
        ];
        let of_this = texts.into_iter().flatten().any(|text| says(text));
        any |= of_this;
        if of_this && failure.kind == FailureKind::Crash {
            failure.kind = FailureKind::Oom;
        }
    }
    if any {
        let message = format!(
            "a process was refused memory: the limit of {} (`memory`) holds for each one here",
            Size(bytes)
        );
        let remedy = "raise `memory` of `[limits]`, or make its tests need less";
        report
            .notes
            .push(Note::new("memory_limit", message).remedy(remedy));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Isolation;
    use regreen_parsers::Source;

    fn told(limit: Option<&str>, tail: &str, outcome: Outcome) -> Report {
        let met = Met {
            limit,
            said: limit.map(|_| "it grew"),
            tail,
        };
        let mut report = Report::new("generic", Source::Text, outcome);
        report.complete = true;
        report.counts.passed = 1;
        report.counts.total = 1;
        report.run.isolation = Some(Isolation {
            backend: "bwrap".into(),
            limits: [("memory".into(), Enforcement::PerProcess)].into(),
        });
        let limits = Limits {
            memory_bytes: Some(64 << 20),
            ..Limits::default()
        };
        tell(&mut report, met, &limits);
        report
    }

    #[test]
    fn a_full_disk_is_never_green_and_never_red() {
        let green = Outcome::Passed;
        let own = told(Some("disk"), "", green);
        assert_eq!((own.outcome, own.complete), (Outcome::Crashed, false));
        let ended = told(Some("disk"), "", Outcome::Interrupted);
        assert_eq!(ended.outcome, Outcome::Crashed);
        let machines = told(Some("disk_space"), "", Outcome::Failed);
        assert_eq!(machines.outcome, Outcome::InfraError);
        assert!(machines.notes[0].message.ends_with("because it grew"));
    }

    #[test]
    fn memory_that_ran_out_is_told_with_its_limit() {
        let killed = told(Some("memory"), "", Outcome::Crashed);
        assert!(killed.notes[0].message.contains("limit of 64MiB"));
        let refused = told(
            None,
            "memory allocation of 300 bytes failed\n",
            Outcome::Failed,
        );
        assert_eq!(refused.notes[0].code, "memory_limit");
        assert!(
            told(None, "MemoryError\n", Outcome::Passed)
                .notes
                .is_empty()
        );
        assert!(told(None, "boom\n", Outcome::Failed).notes.is_empty());
    }
}
