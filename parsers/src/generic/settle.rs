//! What a command came to: by its exit status, by what compilers said, by the frameworks' reports.

use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::lint::Said;
use crate::live::End;
use crate::report::Diagnostic;
use crate::report::Exit;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text;
use crate::text::Tail;

/// What was said in several streams, each thing once.
pub(super) fn merge(all: Vec<Said>) -> Said {
    let mut whole = Said::default();
    let mut tallied = true;
    let mut any = false;
    for mut said in all {
        let spoke = !said.failures.is_empty();
        tallied &= said.whole || !spoke;
        any |= spoke;
        let known = |own: &[Failure], one: &Failure| own.contains(one);
        said.failures.retain(|one| !known(&whole.failures, one));
        said.doubtful.retain(|one| !known(&whole.doubtful, one));
        whole.failures.append(&mut said.failures);
        whole.doubtful.append(&mut said.doubtful);
        whole.warnings.append(&mut said.warnings);
        whole.notes.append(&mut said.notes);
        whole.more += said.more;
    }
    whole.whole = tallied && any;
    whole
}

/// The report of everything.
pub(super) fn report(
    context: &Context,
    tail: &Tail,
    said: Said,
    mut reports: Vec<Report>,
    end: &End,
) -> Report {
    if reports.is_empty() {
        return alone(context, tail, said, end);
    }
    let ok = end.exit.is_some_and(|exit| exit.success());
    let mut said = said;
    // The frameworks' own readers know builds, too.
    said.failures
        .retain(|one| !reports.iter().any(|report| tells(report, one)));
    said.warnings.retain(|one| {
        !reports
            .iter()
            .any(|report| report.diagnostics.contains(one))
    });
    let fine = reports
        .iter()
        .all(|report| report.outcome == Outcome::Passed);
    let coded = end
        .exit
        .is_some_and(|exit| !exit.success() && exit.code.is_some());
    let unexplained = fine && coded && said.failures.is_empty();
    let quiet = said.failures.is_empty() && said.warnings.is_empty() && said.notes.is_empty();
    if quiet && !unexplained && reports.len() == 1 {
        let mut only = reports.remove(0);
        only.run.exit = end.exit;
        return only;
    }
    let mut compose = Compose::new();
    said.notes.drain(..).for_each(|note| compose.note(note));
    let failures = std::mem::take(&mut said.failures);
    if ok {
        failures
            .into_iter()
            .for_each(|one| compose.diagnostic(diagnostic(one)));
    } else {
        failures.into_iter().for_each(|one| compose.failure(one));
    }
    if unexplained && !said.doubtful.is_empty() {
        std::mem::take(&mut said.doubtful)
            .into_iter()
            .for_each(|one| compose.failure(one));
    } else {
        said.warnings
            .into_iter()
            .for_each(|one| compose.diagnostic(one));
        if unexplained && let Some(exit) = end.exit {
            compose.failed(ended(context, tail, exit));
        }
    }
    let framework = match reports.as_slice() {
        [only] => only.run.framework.clone(),
        _ => "generic".to_owned(),
    };
    let source = if reports.len() == 1 {
        reports[0].run.source
    } else {
        Source::Text
    };
    for report in reports {
        add(&mut compose, report);
    }
    compose.finish(&framework, source, end)
}

/// Adds a framework's report. Its outcome stays what it is beside the failures that make it.
fn add(compose: &mut Compose, report: Report) {
    let sum = compose.counts.plus(report.counts);
    compose.counts = sum;
    report
        .failures
        .into_iter()
        .for_each(|one| compose.failure(one));
    report
        .diagnostics
        .into_iter()
        .for_each(|one| compose.diagnostic(one));
    report.notes.into_iter().for_each(|note| compose.note(note));
    compose.complete &= report.complete;
    if report.outcome != Outcome::Passed {
        compose.outcome(report.outcome);
    }
}

/// Whether a report has what a compiler said: at one place one thing is wrong.
fn tells(report: &Report, one: &Failure) -> bool {
    report.failures.iter().any(|known| {
        let same = known.location.is_some() && known.location == one.location;
        known.id == one.id || same
    })
}

fn diagnostic(failure: Failure) -> Diagnostic {
    Diagnostic {
        level: "error".to_owned(),
        code: failure.code,
        message: failure.message,
        location: failure.location,
    }
}

/// A command in which no framework speaks is one test.
fn alone(context: &Context, tail: &Tail, said: Said, end: &End) -> Report {
    let mut compose = Compose::new();
    said.notes.into_iter().for_each(|note| compose.note(note));
    if said.more > 0 {
        let message = format!("{} more errors are not listed", said.more);
        compose.note(Note::new("failures_left_out", message));
    }
    let (mut failures, mut warnings) = (said.failures, said.warnings);
    let bad = end.exit.is_some_and(|exit| !exit.success());
    // Nothing else is why it failed: it was told to fail of warnings.
    if bad && failures.is_empty() && !said.doubtful.is_empty() {
        failures = said.doubtful;
        warnings.clear();
    }
    warnings.into_iter().for_each(|one| compose.diagnostic(one));
    match end.exit {
        Some(exit) if exit.success() && nothing_made(tail) => {
            let message = "make found nothing to do, so nothing was tested";
            compose
                .note(Note::new("nothing_made", message).remedy("declare the target as `.PHONY`"));
        }
        Some(exit) if exit.success() => {
            compose.counts.passed = 1;
            // The command knows best whether its own messages are fatal.
            failures
                .into_iter()
                .for_each(|one| compose.diagnostic(diagnostic(one)));
        }
        Some(exit) => {
            compose.counts.failed = 1;
            failed(context, tail, &mut compose, failures, end, exit);
        }
        None => {
            compose.counts.failed = u64::from(!failures.is_empty());
            // A linter that counts its own errors has told all of them.
            if !said.whole {
                compose.incomplete(
                    Note::new("exit_unknown", "how the command ended is not known")
                        .remedy("give it with `--exit N`"),
                );
            }
            failures.into_iter().for_each(|one| compose.failure(one));
        }
    }
    compose.finish("generic", Source::Text, end)
}

/// Whether make says that it is up to date, and nobody says anything else: a directory that is
/// called as the target is enough.
fn nothing_made(tail: &Tail) -> bool {
    let lines = tail.lines(20);
    let mut lines = lines
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty());
    let mut idle = false;
    let of_make = lines.all(|line| {
        idle |= line.contains(" is up to date.") || line.contains(" Nothing to be done for ");
        line.starts_with("make: ") || line.starts_with("make[")
    });
    of_make && idle
}

fn failed(
    context: &Context,
    tail: &Tail,
    compose: &mut Compose,
    found: Vec<Failure>,
    end: &End,
    exit: Exit,
) {
    if end.interrupted {
        compose.counts.failed = 0;
        return;
    }
    if exit
        .signal
        .is_some_and(|signal| [1, 2, 15].contains(&signal))
        && !exit.timed_out
    {
        compose.outcome(Outcome::Interrupted);
    }
    let by_itself = exit.signal.is_none() && !exit.timed_out && !exit.oom;
    if !by_itself || found.is_empty() {
        compose.failure(ended(context, tail, exit));
    }
    found
        .into_iter()
        .for_each(|failure| compose.failure(failure));
}

/// How the command ended, as the one failure that is known.
fn ended(context: &Context, tail: &Tail, exit: Exit) -> Failure {
    let (kind, message) = if exit.timed_out {
        let message = "the time limit was reached".to_owned();
        (FailureKind::Timeout, message)
    } else if exit.oom {
        (FailureKind::Oom, "memory ran out".to_owned())
    } else if let Some(signal) = exit.signal {
        let message = format!("died of {}", compose::signal_name(signal));
        (FailureKind::Crash, message)
    } else {
        let message = format!("exited with status {}", exit.code.unwrap_or(-1));
        (FailureKind::ExitNonzero, message)
    };
    let lines = tail.lines(40);
    let last = lines
        .last()
        .map(|line| format!(": {}", text::one_line(line)))
        .unwrap_or_default();
    let name = name(context);
    let mut failure = compose::failure(name, kind, Phase::Call, format!("{message}{last}"));
    failure.kind_sure = kind != FailureKind::ExitNonzero;
    failure.details = text::block(&lines.join("\n"), text::DETAILS);
    failure.rerun.clone_from(&context.command);
    compose::seal(failure)
}

/// The one test is named after the program.
fn name(context: &Context) -> String {
    let program = context.command.first().map_or("command", String::as_str);
    program.rsplit('/').next().unwrap_or(program).to_owned()
}
