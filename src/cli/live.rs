//! What `watch` and `status` show of a status: one text for both, for a terminal and for a
//! pipe.

use crate::cli::out;
use crate::cli::out::Paint;
use crate::cli::out::Style;
use crate::cli::render;
use crate::model::Activity;
use crate::model::INTERRUPTED;
use crate::model::Note;
use crate::model::Timestamp;
use crate::model::Trigger;
use crate::model::Verdict;
use crate::model::status::RunStatus;
use crate::model::status::Status;
use crate::model::status::SuiteStatus;
use std::time::Duration;

/// Failures that are shown with everything that is known of them.
const WHOLE: usize = 3;

/// Failures that are at least named.
const NAMED: usize = 10;

/// The first line: the verdict, and how far it can be believed.
pub fn headline(status: &Status, now: Timestamp, paint: Paint) -> String {
    let (mark, style) = match status.verdict {
        Verdict::Green => ("✓", Style::Good),
        Verdict::Red => ("✗", Style::Bad),
        Verdict::Broken => ("✗", Style::Bad),
        Verdict::Unknown => ("?", Style::Warn),
    };
    let mut line = paint.style(style, format!("{mark} {}", status.verdict.as_str()));
    if status.stale {
        line.push_str(&paint.style(Style::Dim, " (stale)"));
    }
    let counts = status
        .suites
        .iter()
        .fold((0, 0, 0), |(passed, failed, skipped), suite| {
            let counts = suite.counts;
            (
                passed + counts.passed,
                failed + counts.failed,
                skipped + counts.skipped,
            )
        });
    let words = [
        (counts.1, "failed"),
        (counts.0, "passed"),
        (counts.2, "skipped"),
    ];
    for (number, word) in words {
        if number > 0 {
            line.push_str(&format!("  {number} {word}"));
        }
    }
    if status.activity != Activity::Idle {
        let what = paint.style(Style::Strong, status.activity.as_str());
        line.push_str(&format!("  · {what}"));
    }
    if status.verdict != Verdict::Unknown {
        let age = now.since(status.since);
        let age = match age.as_secs() {
            0..=59 => out::duration(age.as_millis() as u64),
            _ => out::age(age),
        };
        let text = format!("  · {} for {age}", status.verdict.as_str());
        line.push_str(&paint.style(Style::Dim, text));
    }
    line
}

/// One line a suite: verdict, progress or counts.
fn suite_line(suite: &SuiteStatus, written: Timestamp, now: Timestamp, paint: Paint) -> String {
    let style = match suite.verdict {
        Verdict::Green => Style::Good,
        Verdict::Red | Verdict::Broken => Style::Bad,
        Verdict::Unknown => Style::Warn,
    };
    let mut line = format!(
        "  {}  {}",
        suite.name,
        paint.style(style, suite.verdict.as_str())
    );
    if suite.stale {
        line.push_str(&paint.style(Style::Dim, " (stale)"));
    }
    let run = suite.run.as_ref();
    match (suite.activity, run) {
        (Activity::Running, Some(run)) => {
            let total = run.total.map_or("?".to_owned(), |total| total.to_string());
            line.push_str(&format!("  running {}/{total}", run.done));
            if let Some(started) = run.started {
                let elapsed = now.since(started).as_millis() as u64;
                line.push_str(&format!("  {}", out::duration(elapsed)));
            }
        }
        (Activity::Queued, _) => line.push_str("  queued"),
        (_, run) => {
            if let Some(reused) = &suite.reused_from {
                let since = now.since(written).as_millis() as u64;
                let age = out::age(Duration::from_millis(reused.age_ms + since));
                line.push_str(&format!("  known from {} ({age} ago)", reused.run));
            } else if let Some(took) = run.and_then(|run| run.duration_ms) {
                let counts = suite.counts;
                line.push_str(&format!(
                    "  {} passed, {} failed, {} skipped in {}",
                    counts.passed,
                    counts.failed,
                    counts.skipped,
                    out::duration(took)
                ));
                if let Some(ended) = run.and_then(RunStatus::ended) {
                    let ago = format!(" · {} ago", out::age(now.since(ended)));
                    line.push_str(&paint.style(Style::Dim, ago));
                }
            }
        }
    }
    line
}

/// What is wrong, and what can be done about it.
pub fn note(note: &Note, paint: Paint) -> String {
    let remedy = match &note.remedy {
        Some(remedy) => format!(" — {remedy}"),
        None => String::new(),
    };
    paint.style(Style::Warn, format!("  ! {}{remedy}", note.message))
}

/// The whole text, a line an item.
pub fn text(status: &Status, now: Timestamp, paint: Paint) -> Vec<String> {
    let mut lines = vec![headline(status, now, paint)];
    // Without a commit there is nothing to be detached at.
    let nameless = status.head.as_ref().map_or("", |_| "(detached)");
    let branch = status.branch.as_deref().unwrap_or(nameless);
    let snapshot = status.snapshot.as_ref().map_or("", |id| id.as_str());
    let dirty = if status.dirty {
        ", uncommitted changes"
    } else {
        ""
    };
    let short: String = snapshot.chars().take(12).collect();
    let about = format!("  {}  {branch}  {short}{dirty}", status.project);
    lines.push(paint.style(Style::Dim, about.trim_end()));
    let tree = match status.trigger {
        Trigger::Save => None,
        Trigger::Stage => Some("the index (trigger = stage)"),
        Trigger::Commit => Some("HEAD (trigger = commit)"),
    };
    if let Some(tree) = tree {
        let text = format!("  about {tree}, not about the files as they are saved");
        lines.push(paint.style(Style::Warn, text));
    }
    for suite in &status.suites {
        lines.push(suite_line(suite, status.updated_at, now, paint));
    }
    lines.extend(loops(status, paint));
    for trouble in &status.notes {
        lines.push(note(trouble, paint));
    }
    if let Some(reason) = &status.watch.degraded {
        lines.push(paint.style(Style::Warn, format!("  ! watching is degraded: {reason}")));
    }
    for ignored in &status.ignored {
        let text = format!("  ! regreen.toml is not trusted, left out: {ignored}");
        lines.push(paint.style(Style::Warn, text));
    }
    lines.extend(failures(status, paint));
    for test in &status.flaky {
        lines.push(paint.style(Style::Warn, format!("  flaky: {}", test.id)));
    }
    lines
}

/// The loops that have not ended, a line each.
pub fn loops(status: &Status, paint: Paint) -> Vec<String> {
    let open = status.loops.iter().filter(|one| one.stop.is_none());
    open.map(|one| {
        let what = match one.iteration {
            0 => one.state.clone(),
            iteration => format!("{}, iteration {iteration}", one.state),
        };
        match one.state.as_str() {
            INTERRUPTED => {
                let text = format!(
                    "  ! loop {id}: {what} — `regreen loops resume {id}` goes on with it, \
                     `regreen loops stop {id}` ends it",
                    id = one.id
                );
                paint.style(Style::Warn, text)
            }
            _ => format!("  loop {}  {what}", one.id),
        }
    })
    .collect()
}

fn failures(status: &Status, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for (place, failure) in status.failures.iter().take(NAMED).enumerate() {
        if place < WHOLE {
            lines.push(String::new());
            let whole = render::failure(&failure.failure, paint);
            lines.extend(whole.trim_end().lines().map(str::to_owned));
        } else {
            let location = failure
                .failure
                .location
                .as_ref()
                .map_or_else(String::new, |place| format!("  {}", render::place(place)));
            let text = format!("  {}{location}", failure.failure.id);
            lines.push(paint.style(Style::Bad, text));
        }
        if failure.stale {
            lines.push(paint.style(Style::Dim, "    (seen before the last change)"));
        }
    }
    let unnamed = status.failures.len().saturating_sub(NAMED) as u64 + status.more;
    if unnamed > 0 {
        lines.push(format!(
            "  … and {}",
            out::count(unnamed, "failure", "failures")
        ));
    }
    lines
}
