//! A report for people: what it comes to, what failed where and why, and how to run it again.

use crate::cli::out;
use crate::cli::out::Paint;
use crate::cli::out::Style;
use crate::model::Cause;
use crate::model::Diff;
use crate::model::Failure;
use crate::model::FailureKind;
use crate::model::Location;
use crate::model::MemoryOf;
use crate::model::NO_PROGRAM;
use crate::model::Note;
use crate::model::Outcome;
use crate::model::Report;
use crate::model::Used;
use crate::model::Verdict;
use std::fmt::Write;

/// Failures that are shown whole; of the rest only the names.
const WHOLE: usize = 20;
/// Lines of what a framework says about a failure.
const DETAIL_LINES: usize = 24;
/// Frames of a stack.
const FRAMES: usize = 6;

/// The whole report.
pub fn report(report: &Report, paint: Paint) -> String {
    let mut text = String::new();
    // Of several with one cause the first is shown whole, with the others' names.
    let (first, same): (Vec<&Failure>, Vec<&Failure>) = report
        .failures
        .iter()
        .partition(|failure| cause(report, failure).is_none_or(|it| it.ids[0] == failure.id));
    for failure in first.iter().take(WHOLE) {
        text.push_str(&self::failure(failure, paint));
        if let Some(cause) = cause(report, failure) {
            text.push_str(&others(cause, paint));
        }
        text.push('\n');
    }
    let known = |failure: &&&Failure| cause(report, failure).is_none();
    for failure in first.iter().skip(WHOLE).chain(same.iter().filter(known)) {
        let _ = writeln!(
            text,
            "  {} {}",
            paint.style(Style::Bad, "FAIL"),
            name(failure)
        );
    }
    text.push_str(&notes(&report.notes, "", paint));
    text.push_str(&headline(report, paint));
    if let Some(used) = report.run.used.and_then(used) {
        let _ = writeln!(
            text,
            "{}",
            paint.style(Style::Dim, format!("  used: {used}"))
        );
    }
    if let Some(kept) = artifacts(report) {
        let _ = writeln!(text, "{}", paint.style(Style::Dim, kept));
    }
    if !report.is_green()
        && let Some(log) = &report.raw_log
    {
        let _ = writeln!(
            text,
            "{}",
            paint.style(Style::Dim, format!("  output: {log}"))
        );
    }
    text
}

/// The cause that a failure shares with others.
fn cause<'a>(report: &'a Report, failure: &Failure) -> Option<&'a Cause> {
    let place = |at: &Option<Location>| at.as_ref().map(|at| (at.file.clone(), at.line));
    report.causes.iter().find(|cause| {
        cause.fingerprint == failure.fingerprint
            && place(&cause.location) == place(&failure.location)
    })
}

/// Who fails for the same reason.
fn others(cause: &Cause, paint: Paint) -> String {
    const NAMED: usize = 4;
    let more = cause.count - 1;
    let names: Vec<&str> = cause
        .ids
        .iter()
        .skip(1)
        .take(NAMED)
        .map(String::as_str)
        .collect();
    let rest = more.saturating_sub(names.len() as u64);
    let rest = match rest {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    let text = format!(
        "       and {more} for the same reason: {}{rest}",
        names.join(", ")
    );
    format!("{}\n", paint.style(Style::Warn, text))
}

/// One line: verdict, suite, counts, time.
pub fn headline(report: &Report, paint: Paint) -> String {
    let verdict = Verdict::of(report.outcome, report.complete);
    let (mark, style, word) = match verdict {
        Some(Verdict::Green) => ("✓", Style::Good, "green"),
        Some(Verdict::Red) => ("✗", Style::Bad, "red"),
        Some(Verdict::Broken) => ("✗", Style::Bad, "broken"),
        Some(Verdict::Unknown) => ("?", Style::Warn, "unknown"),
        None => ("!", Style::Warn, "no verdict"),
    };
    let suite = report.run.suite.as_deref().unwrap_or(&report.run.framework);
    let mut parts = vec![paint.style(Style::Strong, suite)];
    parts.push(counts(report, paint));
    if let Some(millis) = report.run.duration_ms {
        parts.push(out::duration(millis));
    }
    match report.run.isolation.as_ref().map(|it| it.backend.as_str()) {
        Some("none") => parts.push(paint.style(Style::Warn, "no sandbox")),
        Some(backend) => parts.push(backend.to_owned()),
        None => {}
    }
    let head = paint.style(style, format!("{mark} {word}"));
    format!("{head}  {}\n", parts.join(" · "))
}

/// What the run took of the machine, in one line; only what is worth a word.
fn used(used: Used) -> Option<String> {
    const NOTHING: u64 = 1 << 20;
    let cpu = used.cpu_user_ms.map(|user| {
        let system = used.cpu_system_ms.unwrap_or(0);
        format!("{} of CPU", out::duration(user + system))
    });
    let memory = used
        .peak_memory_bytes
        .map(|peak| match used.peak_memory_of {
            Some(MemoryOf::Process) => format!("{} in the largest process", out::bytes(peak)),
            _ => format!("{} of memory", out::bytes(peak)),
        });
    let moved = |bytes: Option<u64>, how: &str| {
        let bytes = bytes.filter(|bytes| *bytes >= NOTHING)?;
        Some(format!("{} {how}", out::bytes(bytes)))
    };
    let parts = [
        cpu,
        memory,
        moved(used.read_bytes, "read"),
        moved(used.written_bytes, "written"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// How much was kept, and where.
fn artifacts(report: &Report) -> Option<String> {
    let first = report.artifacts.first()?;
    let dir = first.kept.strip_suffix(&first.path)?.trim_end_matches('/');
    let bytes = report.artifacts.iter().map(|file| file.bytes).sum();
    let files = out::count(report.artifacts.len() as u64, "file", "files");
    Some(format!("  kept: {files}, {} in {dir}", out::bytes(bytes)))
}

fn counts(report: &Report, paint: Paint) -> String {
    let counts = &report.counts;
    let mut parts = Vec::new();
    if counts.failed > 0 {
        let why = match report.causes.first() {
            Some(cause) if cause.count >= counts.failed && counts.failed > 2 => " (one cause)",
            _ => "",
        };
        parts.push(paint.style(Style::Bad, format!("{} failed{why}", counts.failed)));
    }
    if counts.passed > 0 || counts.failed > 0 {
        parts.push(format!("{} passed", counts.passed));
    }
    if counts.skipped > 0 {
        parts.push(format!("{} skipped", counts.skipped));
    }
    if counts.flaky > 0 {
        parts.push(paint.style(Style::Warn, format!("{} flaky", counts.flaky)));
    }
    let said = match report.outcome {
        Outcome::Passed if !report.complete => "incomplete: the end is missing",
        // Something failed that is no test.
        Outcome::Failed if counts.failed == 0 => {
            parts.extend(report.failures.first().map(|it| besides(report, it)));
            ""
        }
        Outcome::Passed | Outcome::Failed => "",
        Outcome::NoTests => "nothing ran",
        Outcome::BuildFailed => "does not build",
        Outcome::CollectionError => "tests cannot be loaded",
        Outcome::Crashed => "crashed",
        Outcome::Timeout => "timed out",
        Outcome::Interrupted => "interrupted",
        Outcome::InfraError => match could_not_be_started(report) {
            Some(said) => {
                parts.push(said);
                ""
            }
            None => "regreen or its sandbox failed",
        },
        Outcome::UsageError => "the runner refused its arguments",
    };
    parts.push(said.to_owned());
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}

/// What failed though no test did: mostly the runner's own exit status.
fn besides(report: &Report, failure: &Failure) -> String {
    let code = report.run.exit.and_then(|exit| exit.code);
    match (failure.kind, code) {
        (FailureKind::ExitNonzero, Some(code)) => {
            format!("{} ended with status {code}", name(failure))
        }
        _ => failure.message.clone(),
    }
}

/// The program that is not there, or cannot be executed: neither regreen nor its sandbox failed.
fn could_not_be_started(report: &Report) -> Option<String> {
    let program = report.run.command.first()?;
    report.notes.iter().find(|note| note.code == NO_PROGRAM)?;
    Some(format!("`{program}` could not be started"))
}

fn name(failure: &Failure) -> String {
    match &failure.target {
        Some(target) if !failure.id.starts_with(target.as_str()) => {
            format!("{} ({target})", failure.id)
        }
        _ => failure.id.clone(),
    }
}

/// `src/lib.rs:3:9`, as terminals and editors make a link of it.
pub fn place(at: &Location) -> String {
    let number = |number: Option<u32>| number.map_or(String::new(), |number| format!(":{number}"));
    format!("{}{}{}", at.file, number(at.line), number(at.column))
}

/// One failure, with everything that helps.
pub fn failure(failure: &Failure, paint: Paint) -> String {
    let mut text = String::new();
    let label = match (failure.flaky, failure.kind) {
        (Some(true), _) => paint.style(Style::Warn, "FLAKY"),
        (_, FailureKind::CompileError) => paint.style(Style::Bad, "ERROR"),
        (_, FailureKind::Timeout) => paint.style(Style::Bad, "TIME OUT"),
        (_, FailureKind::Crash | FailureKind::Oom) => paint.style(Style::Bad, "CRASH"),
        _ => paint.style(Style::Bad, "FAIL"),
    };
    let place = failure.location.as_ref().map(place);
    let title = match failure.kind {
        FailureKind::CompileError => {
            let code = failure
                .code
                .as_ref()
                .map_or(String::new(), |code| format!(" [{code}]"));
            format!("{}{code}", failure.target.as_deref().unwrap_or("build"))
        }
        _ => name(failure),
    };
    let place = place.map_or(String::new(), |place| {
        format!("  {}", paint.style(Style::Strong, place))
    });
    let _ = writeln!(text, "  {label} {title}{place}");
    for line in failure.message.lines().take(6) {
        let _ = writeln!(text, "       {line}");
    }
    match &failure.diff {
        Some(diff) => text.push_str(&sides(diff, paint)),
        None => text.push_str(&details(failure, paint)),
    }
    text.push_str(&frames(failure, paint));
    if let Some(suggestion) = &failure.suggestion {
        for (at, line) in suggestion.lines().take(4).enumerate() {
            let lead = if at == 0 { "help: " } else { "      " };
            let _ = writeln!(text, "       {}{line}", paint.style(Style::Good, lead));
        }
    }
    text.push_str(&notes(&failure.notes, "     ", paint));
    if !failure.rerun.is_empty() {
        let again = format!("       again: {}", shell(&failure.rerun));
        let _ = writeln!(text, "{}", paint.style(Style::Dim, again));
    }
    text
}

fn sides(diff: &Diff, paint: Paint) -> String {
    let mut text = String::new();
    if let Some(unified) = &diff.unified {
        for line in unified.lines().take(DETAIL_LINES) {
            let style = match line.chars().next() {
                Some('+') => Style::Good,
                Some('-') => Style::Bad,
                _ => Style::Dim,
            };
            let _ = writeln!(text, "       {}", paint.style(style, line));
        }
        return text;
    }
    let sides = [
        ("left", &diff.left, Style::Bad),
        ("right", &diff.right, Style::Good),
        ("expected", &diff.expected, Style::Good),
        ("actual", &diff.actual, Style::Bad),
    ];
    for (word, value, style) in sides {
        for (at, line) in value
            .iter()
            .flat_map(|value| value.lines())
            .take(8)
            .enumerate()
        {
            let lead = if at == 0 { word } else { "" };
            let _ = writeln!(text, "       {lead:>8} {}", paint.style(style, line));
        }
    }
    text
}

/// What the framework says, where the message alone does not show it.
fn details(failure: &Failure, paint: Paint) -> String {
    let mut text = String::new();
    let Some(details) = failure.details.as_deref() else {
        return text;
    };
    if details.trim() == failure.message.trim() {
        return text;
    }
    let lines: Vec<&str> = details.trim_end().lines().collect();
    for line in lines.iter().take(DETAIL_LINES) {
        let _ = writeln!(text, "       {}", paint.style(Style::Dim, line));
    }
    if lines.len() > DETAIL_LINES {
        let more = format!("({} more lines)", lines.len() - DETAIL_LINES);
        let _ = writeln!(text, "       {}", paint.style(Style::Dim, more));
    }
    text
}

fn frames(failure: &Failure, paint: Paint) -> String {
    let mut text = String::new();
    let user = failure.frames.iter().filter(|frame| frame.user);
    let here = failure
        .location
        .as_ref()
        .map(|at| (at.file.as_str(), at.line));
    let elsewhere = user.filter(|frame| Some((frame.file.as_str(), frame.line)) != here);
    for frame in elsewhere.take(FRAMES) {
        let line = frame.line.map_or(String::new(), |line| format!(":{line}"));
        let function = frame
            .function
            .as_ref()
            .map_or(String::new(), |name| format!("  {name}"));
        let at = format!("       from {}{line}{function}", frame.file);
        let _ = writeln!(text, "{}", paint.style(Style::Dim, at));
    }
    text
}

/// Notes one by one; what several advise is said once, after the last of them.
fn notes(notes: &[Note], indent: &str, paint: Paint) -> String {
    let mut text = String::new();
    for (at, note) in notes.iter().enumerate() {
        let _ = writeln!(
            text,
            "{indent}  {} {}",
            paint.style(Style::Warn, "note"),
            note.message
        );
        let next = notes.get(at + 1).and_then(|note| note.remedy.as_ref());
        if let Some(remedy) = &note.remedy
            && next != Some(remedy)
        {
            let _ = writeln!(text, "{indent}       → {remedy}");
        }
    }
    text
}

/// An argv as it can be pasted into a shell.
pub fn shell(argv: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    let words: Vec<String> = argv
        .iter()
        .map(|word| {
            if !word.is_empty() && word.chars().all(plain) {
                word.clone()
            } else {
                format!("'{}'", word.replace('\'', "'\\''"))
            }
        })
        .collect();
    words.join(" ")
}
