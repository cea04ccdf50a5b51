//! The report for people.

use crate::model::INTERRUPTED;
use crate::model::Landing;
use crate::model::LoopReport;
use crate::model::TurnClass;
use std::fmt::Write;

/// The report as Markdown.
pub fn markdown(report: &LoopReport) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, report);
    text
}

fn write(text: &mut String, report: &LoopReport) -> std::fmt::Result {
    let reason = match report.stop_reason {
        Some(reason) => reason.as_str(),
        None if report.state == INTERRUPTED => INTERRUPTED,
        None => "going on",
    };
    let decided = report
        .landing
        .word()
        .map_or(String::new(), |word| format!(", {word}"));
    writeln!(text, "# Loop {}: {reason}{decided}\n", report.id)?;
    if let Some(detail) = &report.detail {
        writeln!(text, "{detail}\n")?;
    }
    writeln!(text, "- project: `{}`", report.project)?;
    if let Some(branch) = &report.branch {
        writeln!(text, "- started from: `{branch}`")?;
    }
    match report.stop_reason.is_some() && report.head == report.base {
        false => writeln!(text, "- worked on: `{}`", report.loop_branch)?,
        true => writeln!(text, "- result: none; nothing was changed for good")?,
    }
    for (name, commit) in [("base", &report.base), ("best commit", &report.head)] {
        if let Some(commit) = commit {
            writeln!(text, "- {name}: `{commit}`")?;
        }
    }
    if let Some(at) = report.decided {
        let word = match report.landing {
            Landing::Rejected => "rejected",
            _ => "approved",
        };
        writeln!(text, "- {word}: {at}")?;
    }
    if let Some(commit) = &report.applied {
        writeln!(text, "- applied: `{commit}`")?;
    }
    writeln!(text, "- agents: {}", report.agents.join(", "))?;
    writeln!(
        text,
        "- failing: {} at the start, {} now",
        report.before.failing, report.after.failing
    )?;
    writeln!(
        text,
        "- spent: {} of {} iterations, {:.1} of {:.0} seconds",
        report.spend.iterations,
        report.budget.iterations,
        report.spend.wall_ms as f64 / 1000.0,
        report.budget.wall_ms as f64 / 1000.0
    )?;
    list(text, "Fixed", &report.fixed)?;
    list(text, "Still failing", &report.failing)?;
    list(
        text,
        "Tests that vanished (deleted, renamed or skipped by the agent)",
        &report.vanished,
    )?;
    iterations(text, report)?;
    stderr(text, report)?;
    gates(text, report)?;
    if !report.notes.is_empty() {
        writeln!(text, "\n## Notes\n")?;
        for note in &report.notes {
            writeln!(text, "- {}", note.message)?;
            if let Some(remedy) = &note.remedy {
                writeln!(text, "  ({remedy})")?;
            }
        }
    }
    Ok(())
}

fn list(text: &mut String, title: &str, items: &[String]) -> std::fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n## {title}\n")?;
    for item in items.iter().take(100) {
        writeln!(text, "- `{item}`")?;
    }
    if items.len() > 100 {
        writeln!(text, "- and {} more", items.len() - 100)?;
    }
    Ok(())
}

fn iterations(text: &mut String, report: &LoopReport) -> std::fmt::Result {
    if report.iterations.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n## Iterations\n")?;
    writeln!(
        text,
        "| # | agent | came to | failing | turn s | tests s | commit |"
    )?;
    writeln!(text, "|---|---|---|---|---|---|---|")?;
    for one in &report.iterations {
        let commit = one.commit.as_deref().unwrap_or("–");
        writeln!(
            text,
            "| {} | {} | {} ({}) | {} | {:.1} | {:.1} | {} |",
            one.iteration,
            one.agent,
            one.class.as_str(),
            one.ended,
            one.in_words(),
            one.turn_ms as f64 / 1000.0,
            one.test_ms as f64 / 1000.0,
            &commit[..commit.len().min(12)]
        )?;
    }
    Ok(())
}

/// What agents printed on standard error in turns that did not help.
fn stderr(text: &mut String, report: &LoopReport) -> std::fmt::Result {
    for one in &report.iterations {
        let helped = matches!(one.class, TurnClass::Fixed | TurnClass::Progress);
        if helped || one.stderr.is_empty() {
            continue;
        }
        writeln!(
            text,
            "\n## What the agent printed on standard error in iteration {}\n",
            one.iteration
        )?;
        // Indented: nothing that an agent prints ends the block.
        for line in one.stderr.lines() {
            writeln!(text, "    {line}")?;
        }
    }
    Ok(())
}

fn gates(text: &mut String, report: &LoopReport) -> std::fmt::Result {
    if report.gates.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n## Gates\n")?;
    for gate in &report.gates {
        writeln!(
            text,
            "- **{}**: {}",
            gate.gate.as_str(),
            gate.verdict.as_str()
        )?;
        for fact in &gate.evidence {
            writeln!(text, "  - {fact}")?;
        }
    }
    Ok(())
}
