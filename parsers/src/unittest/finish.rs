//! The report of a whole run of unittest: records, files, text and exit status together.

use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::junit;
use crate::junit::Document;
use crate::live::End;
use crate::python;
use crate::python::fault;
use crate::python::traceback;
use crate::records::Records;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text;
use crate::unittest::UnittestRun;
use crate::unittest::dialect;
use crate::unittest::failure;
use crate::unittest::judge;
use crate::unittest::names;
use crate::unittest::text::Reader;
use crate::unittest::text::Session;
use crate::unittest::xml;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

impl UnittestRun {
    /// The report of the whole run.
    pub fn report(mut self, end: &End) -> Report {
        for (lines, reader) in [
            (&mut self.output, &mut self.text),
            (&mut self.errors, &mut self.error_text),
        ] {
            if let Some(line) = lines.finish() {
                reader.line(line.seen());
            }
            reader.finish();
        }
        self.records.retain(|_, records| records.began());
        if !self.records.is_empty() {
            return self.read_records(end);
        }
        let mut documents = std::mem::take(&mut self.xml);
        if self.inline.is_xml() {
            documents.insert("log".to_owned(), std::mem::take(&mut self.inline));
        }
        if !documents.is_empty() {
            return self.read_xml(&documents, end);
        }
        self.read_text(end)
    }

    /// Both outputs' last lines; unittest writes to standard error.
    fn last_lines(&self, most: usize) -> Vec<String> {
        match self.error_tail.lines(most) {
            lines if lines.is_empty() => self.tail.lines(most),
            lines => lines,
        }
    }

    fn errors(&self) -> &text::Tail {
        match self.error_tail.lines(1).is_empty() {
            true => &self.tail,
            false => &self.error_tail,
        }
    }

    fn read_records(mut self, end: &End) -> Report {
        let records = std::mem::take(&mut self.records);
        let last = self.last_lines(400);
        let mut reports: Vec<Report> = Vec::new();
        let several = records.len() > 1;
        // `regreen.ndjson` is the first run, `regreen.1.ndjson` the second.
        let mut in_order: Vec<(String, Records)> = records.into_iter().collect();
        in_order.sort_by_key(|(name, _)| (name.len(), name.clone()));
        for (_, one) in in_order {
            // Of several runs the exit status is that of none.
            let of_all = End {
                exit: None,
                interrupted: end.interrupted,
            };
            let own = match several && one.finished() {
                true => &of_all,
                false => end,
            };
            reports.push(one.report(own, self.errors(), |compose, _| {
                for failure in &mut compose.failures {
                    crash_place(failure, &last, &self.context);
                }
            }));
        }
        if reports.len() == 1
            && let Some(report) = reports.pop()
        {
            return report;
        }
        let mut compose = Compose::new();
        for report in reports {
            compose.outcome_of(&report);
            compose.lay_in(report);
        }
        junit::settle_exit(&mut compose, end, self.errors(), "unittest");
        compose.finish("unittest", Source::Events, end)
    }

    fn read_xml(self, documents: &BTreeMap<String, Document>, end: &End) -> Report {
        let mut compose = Compose::new();
        for (name, document) in documents {
            let mut read = document.read(&self.context);
            for failure in &mut read.failures {
                xml::refine(failure, &self.context);
            }
            junit::add(&mut compose, &read, name);
        }
        // A test whose subtests failed is one failed test.
        let failing: BTreeSet<&str> = compose
            .failures
            .iter()
            .map(|failure| names::without_subtest(&failure.id))
            .collect();
        compose.counts.failed = failing.len() as u64;
        // xmlrunner's files are written at the end, those of a run that dies are not there.
        let text = self.found();
        if text.is_empty() && self.began() {
            self.settle_broken(&mut compose, end);
        }
        junit::settle_exit(&mut compose, end, self.errors(), "unittest");
        compose.finish("unittest", Source::Report, end)
    }

    /// The runs of the text that are believed.
    fn found(&self) -> Vec<judge::Found> {
        let of = |reader: &Reader| {
            let sessions = judge::real(reader.sessions.clone());
            let judged = sessions
                .into_iter()
                .map(|session| judge::judge(session, &self.context));
            judged.collect::<Vec<judge::Found>>()
        };
        match of(&self.error_text) {
            found if found.is_empty() => of(&self.text),
            found => found,
        }
    }

    fn began(&self) -> bool {
        self.text.began() || self.error_text.began()
    }

    /// What goes on at the end of the text.
    fn current(&self) -> &Session {
        match self.error_text.began() {
            true => &self.error_text.current,
            false => &self.text.current,
        }
    }

    fn read_text(self, end: &End) -> Report {
        let mut compose = Compose::new();
        let found = self.found();
        let runs = found.len();
        let failed = found.iter().any(|found| found.failed);
        for found in found {
            take(&mut compose, found);
        }
        let current = self.current();
        let goes_on = !current.blocks.is_empty()
            || current.progress.lines > 0
            || current.progress.running.is_some();
        if runs == 0 || goes_on {
            self.settle_broken(&mut compose, end);
        } else {
            self.settle_status(&mut compose, end, failed);
        }
        self.unheard(&mut compose, end);
        compose.finish("unittest", Source::Text, end)
    }

    /// In a run of regreen's own the reporter writes: text alone may hide that it could not.
    fn unheard(&self, compose: &mut Compose, end: &End) {
        let success = end.exit.is_some_and(|exit| exit.success());
        if self.live && success && !compose.has_fault() {
            compose.incomplete(
                Note::new(
                    "no_events",
                    "regreen's reporter wrote nothing, so the results cannot be believed",
                )
                .remedy(
                    "the command has to start python with PYTHONPATH kept, without -I, -E and -S",
                ),
            );
        }
    }

    /// The text has its end: does the exit status agree?
    fn settle_status(&self, compose: &mut Compose, end: &End, failed: bool) {
        let exit = end.exit.unwrap_or_default();
        if failed && !compose.has_fault() {
            compose.outcome(Outcome::Failed);
        }
        // Since 3.12 the status says that nothing ran.
        let nothing = compose.counts.passed + compose.counts.failed == 0;
        if exit.code == Some(5) && nothing && !compose.has_fault() {
            return;
        }
        junit::settle_exit(compose, end, self.errors(), "unittest");
    }

    /// The end is missing.
    fn settle_broken(&self, compose: &mut Compose, end: &End) {
        compose.complete = false;
        let current = self.current().clone();
        let running = current.progress.running.clone();
        let lost = current.progress.letters + current.progress.lines > 0 || running.is_some();
        take(compose, judge::judge(current, &self.context));
        let exit = end.exit.unwrap_or_default();
        let last = self.last_lines(400);
        if end.interrupted {
            return;
        }
        if exit.code.is_none_or(|code| code != 0) && !exit.timed_out && !exit.oom {
            if let Some(note) = usage(&last, exit.code) {
                compose.outcome(Outcome::UsageError);
                compose.note(note);
                return;
            }
            if let Some(traceback) = last_traceback(&last) {
                return self.raised(compose, &traceback, running.as_deref(), lost);
            }
        }
        let fault = fault::find(&last);
        let by_fault = fault.as_ref().and_then(|fault| self.faulty(fault));
        let (kind, how) = crate::records::how(end.exit);
        let how = match &fault {
            Some(fault) if kind == FailureKind::Crash => fault.what.clone(),
            _ => how,
        };
        let Some(id) = running.or(by_fault) else {
            if end.exit.is_some() || fault.is_some() {
                let message = format!("{how} before the end of the run");
                let mut failure = compose::failure("unittest", kind, Phase::Session, message);
                failure.kind_sure = end.exit.is_some();
                failure.stderr = text::block(
                    &last[last.len().saturating_sub(60)..].join("\n"),
                    text::DETAILS,
                );
                crash_place(&mut failure, &last, &self.context);
                compose.failed(compose::seal(failure));
            } else {
                compose.note(Note::new("no_end", "unittest's last lines are missing"));
            }
            return;
        };
        let message = format!("{how} while this test was running");
        let mut failure = compose::failure(&id, kind, Phase::Call, message);
        failure.kind_sure = end.exit.is_some() || fault.is_some();
        failure.rerun = dialect::rerun(&self.context, &id);
        failure.stderr = text::block(
            &last[last.len().saturating_sub(200)..].join("\n"),
            text::DETAILS,
        );
        crash_place(&mut failure, &last, &self.context);
        compose.failed(compose::seal(failure));
    }

    /// Something was raised through unittest itself, or before it began.
    fn raised(&self, compose: &mut Compose, details: &str, running: Option<&str>, lost: bool) {
        let chain = traceback::read(details);
        let raised = chain.last().cloned().unwrap_or_default();
        if python::bare_class(&raised.class) == "KeyboardInterrupt" {
            compose.outcome(Outcome::Interrupted);
            let who = running
                .map(|id| format!(" while `{id}` was running"))
                .unwrap_or_default();
            compose.note(Note::new("interrupted", format!("KeyboardInterrupt{who}")));
            return;
        }
        if let Some(id) = running {
            let mut failure = compose::failure(
                id,
                FailureKind::Crash,
                Phase::Call,
                failure::one_line(&raised),
            );
            failure::explain(&mut failure, &raised, &self.context);
            failure.details = text::block(details, text::DETAILS);
            failure.rerun = dialect::rerun(&self.context, id);
            compose.failed(compose::seal(failure));
            return;
        }
        let mut failure = failure::collection("", details, &self.context);
        failure.rerun = dialect::rerun(&self.context, "");
        let running = raised.entries.iter().any(|entry| {
            let ends = [
                "unittest/suite.py",
                "unittest/case.py",
                "multiprocessing/pool.py",
            ];
            ends.iter().any(|end| entry.file.ends_with(end))
        });
        if lost || running || failure.location.is_none() {
            failure.id = "unittest".to_owned();
            failure.kind = FailureKind::Crash;
            failure.phase = Phase::Session;
        }
        compose.failed(compose::seal(failure));
    }

    /// The id of the test that a fault's stack was in: the file tells the module, and the text
    /// of the file the class.
    fn faulty(&self, fault: &fault::Fault) -> Option<String> {
        let test = fault.test()?;
        let function = test.function.as_deref()?;
        let file = self.context.relative(&test.file);
        // Modules are named from the directory that unittest was started in.
        let path = self.context.in_dir(&file);
        let module = path.strip_suffix(".py")?.replace('/', ".");
        let class = self.context.tree.read(&file).and_then(|source| {
            let lines = source.lines().take(test.line.unwrap_or(1) as usize);
            let classes = lines.filter_map(|line| line.strip_prefix("class "));
            let name = classes.last()?.split(['(', ':', ' ']).next()?;
            Some(name.to_owned())
        });
        Some(match class {
            Some(class) => format!("{module}.{class}.{function}"),
            None => format!("{module}.{function}"),
        })
    }
}

/// Lays what one run of the text came to into the report.
fn take(compose: &mut Compose, found: judge::Found) {
    compose.counts.passed += found.counts.passed;
    compose.counts.failed += found.counts.failed;
    compose.counts.skipped += found.counts.skipped;
    for failure in found.failures {
        compose.failure(failure);
    }
    if found.unnamed > 0 {
        compose.outcome(Outcome::Failed);
        let message = format!(
            "{} tests passed unexpectedly; which ones is told by -v only",
            found.unnamed
        );
        compose.note(Note::new("unexpected_success", message));
    }
    if !found.faults.is_empty() {
        let why = found.faults.join("; ");
        compose.incomplete(compose::inconsistent(format!(
            "unittest's text contradicts itself: {why}"
        )));
    }
    compose.complete &= found.ended;
}

/// Where the process was when it died, if Python's fault handler said so.
fn crash_place(failure: &mut Failure, last: &[String], context: &Context) {
    if !matches!(failure.kind, FailureKind::Crash | FailureKind::Timeout)
        || failure.location.is_some()
    {
        return;
    }
    let Some(fault) = fault::find(last) else {
        return;
    };
    let entries: Vec<traceback::Entry> = fault.called().iter().rev().cloned().collect();
    failure.frames = python::frames(&entries, |file| context.relative(file), context);
    let user = failure.frames.iter().find(|frame| frame.user);
    failure.location = user.map(|frame| Location {
        file: frame.file.clone(),
        line: frame.line,
        column: None,
    });
}

/// The arguments were refused.
fn usage(last: &[String], code: Option<i32>) -> Option<Note> {
    let line = last.iter().rev().take(30).find(|line| {
        line.contains(": error: ")
            || line.contains(": can't open file ")
            || (line.contains(": No module named ") && !line.contains("Error: "))
            || line.starts_with("ImportError: Start directory is not importable")
            || (line.starts_with("CommandError: ") && code == Some(1))
            || line.starts_with("Unknown command: ")
    })?;
    // Anything may print such a line; a usage error ends with it.
    let usual = matches!(code, Some(1 | 2));
    usual.then(|| Note::new("usage", text::one_line(line)))
}

/// A traceback that the output ends with.
fn last_traceback(last: &[String]) -> Option<String> {
    // `-v` has begun the line with the test's name.
    let begins = |line: &String| line.ends_with("Traceback (most recent call last):");
    let at = last.iter().rposition(begins)?;
    // What it was raised from stands before it.
    let mut from = at;
    while let Some(before) = last[..from].iter().rposition(begins).filter(|before| {
        last[*before..from].iter().any(|line| {
            line.starts_with("The above exception was the direct cause")
                || line.starts_with("During handling of the above exception")
        })
    }) {
        from = before;
    }
    let first = "Traceback (most recent call last):".to_owned();
    let rest = last[from + 1..].iter().cloned();
    let lines: Vec<String> = std::iter::once(first).chain(rest).collect();
    Some(lines.join("\n"))
}
