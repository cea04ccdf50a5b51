//! The report of a whole Mocha run.

use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::junit;
use crate::live::End;
use crate::mocha::MochaRun;
use crate::mocha::dialect;
use crate::mocha::json;
use crate::mocha::json::Found;
use crate::mocha::junit as reporter;
use crate::mocha::part;
use crate::mocha::part::Part;
use crate::mocha::scan;
use crate::mocha::scan::Scan;
use crate::mocha::text;
use crate::mocha::text::Run;
use crate::mocha::xunit;
use crate::records;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::text as shown;
use std::collections::BTreeMap;

/// What every stream and file came to.
struct Material {
    context: Context,
    out: scan::Found,
    err: scan::Found,
    live: bool,
    tail: shown::Tail,
}

impl MochaRun {
    /// The report of the whole run.
    pub(super) fn report(self, end: &End) -> Report {
        let material = Material {
            context: self.context.clone(),
            out: self.out.finish(),
            err: self.err.finish(),
            live: self.live,
            tail: self.tail,
        };
        if self.records.began() {
            let Material {
                context,
                out,
                err,
                live: _,
                tail,
            } = material;
            return self.records.report(end, &tail, |compose, _| {
                if compose.has_fault() || end.exit.is_none_or(|exit| exit.success()) {
                    return;
                }
                let late = err.trouble.after_the_end(&context);
                if let Some(late) = late.or_else(|| out.trouble.after_the_end(&context)) {
                    compose.failed(late);
                }
            });
        }
        let status = end.exit.and_then(|exit| exit.code);
        let (found, others) = material.structured(&self.files, status);
        match found {
            Some(found) => material.of_report(found, others, end),
            None => material.of_text(end),
        }
    }
}

impl Material {
    /// The first form with structure that there is: files before the log.
    fn structured(
        &self,
        files: &BTreeMap<String, Vec<u8>>,
        status: Option<i32>,
    ) -> (Option<Found>, Vec<scan::Found>) {
        let mut others = Vec::new();
        let mut all: Option<Found> = None;
        for bytes in files.values() {
            let text = String::from_utf8_lossy(bytes);
            let bare = text.trim_start_matches('\u{feff}').trim_start();
            let read = match bare.as_bytes().first() {
                Some(b'{') => json::document(bare.trim_end(), &self.context),
                Some(b'<') => xunit::read(bare, &self.context)
                    .or_else(|| reporter::read(bare, &self.context))
                    .or_else(|| self.junit(bytes)),
                _ => None,
            };
            match read {
                Some(read) => all = Some(plus(all, read)),
                None => {
                    let mut scan = Scan::default();
                    scan.feed(bytes);
                    others.push(scan.finish());
                }
            }
        }
        if all.is_none() {
            let streams = [&self.out, &self.err].into_iter().chain(&others);
            all = streams
                .into_iter()
                .find_map(|found| inline(found, &self.context, status));
        }
        (all, others)
    }

    /// JUnit of another reporter (`mocha-junit-reporter`).
    fn junit(&self, bytes: &[u8]) -> Option<Found> {
        let mut document = junit::Document::default();
        document.feed(bytes);
        let read = document.read(&self.context);
        read.dialect?;
        let failed = read.failures.len() as u64;
        Some(Found {
            passed: read.passed,
            skipped: read.skipped,
            failed: failed.saturating_sub(read.doubles),
            failures: read.failures,
            faults: read.faults,
        })
    }

    fn of_report(&self, mut found: Found, others: Vec<scan::Found>, end: &End) -> Report {
        let mut compose = Compose::new();
        // Text knows where titles end; structure joins them.
        let streams = [&self.out, &self.err].into_iter().chain(&others);
        let mut paths = BTreeMap::new();
        for run in streams.flat_map(|found| &found.text.runs) {
            for block in text::items(run) {
                paths.insert(block.path.join(" "), block.path.join(" > "));
            }
        }
        for failure in &mut found.failures {
            if let Some(id) = paths.get(&failure.id.replace(" > ", " ")) {
                failure.id.clone_from(id);
            }
        }
        for fault in &found.faults {
            compose.incomplete(compose::inconsistent(fault.clone()));
        }
        add(&mut compose, found);
        self.settle(&mut compose, end, true);
        compose.finish("mocha", Source::Report, end)
    }

    fn of_text(&self, end: &End) -> Report {
        let mut compose = Compose::new();
        let status = end.exit.and_then(|exit| exit.code);
        let reader = match self.out.text.runs.is_empty() && !self.err.text.runs.is_empty() {
            true => &self.err.text,
            false => &self.out.text,
        };
        let believed = reader.believed(status);
        for run in &believed {
            self.run(&mut compose, run);
        }
        let ran = !believed.is_empty();
        if !ran {
            self.without_end(&mut compose, reader, end);
        }
        self.settle(&mut compose, end, ran);
        compose.finish("mocha", Source::Text, end)
    }

    /// One epilogue.
    fn run(&self, compose: &mut Compose, run: &Run) {
        compose.counts.passed += run.passing;
        compose.counts.skipped += run.pending;
        compose.counts.failed += run.failing;
        let mut failures: Vec<Failure> = Vec::new();
        for block in text::items(run) {
            let failure = part::failure(
                &Part {
                    path: block.path,
                    thrown: block.thrown,
                    sides: block.sides,
                    unified: block.unified,
                    details: block.text,
                    ..Part::default()
                },
                &self.context,
            );
            let again = failures.iter().rev().take(20).any(|known| {
                (&known.id, &known.target, &known.message)
                    == (&failure.id, &failure.target, &failure.message)
            });
            if !again {
                failures.push(failure);
            }
        }
        let have = run.items.len() as u64;
        if have < run.failing {
            let message = format!("{} of {} failures are told", have, run.failing);
            compose.incomplete(Note::new("cut_off", message));
            let rest = run.marks.iter().filter(|mark| mark.number > have);
            failures.extend(rest.map(|mark| self.marked(&mark.path)));
        }
        failures
            .into_iter()
            .for_each(|failure| compose.failure(failure));
    }

    /// The tree names a failing test; the reason did not come.
    fn marked(&self, path: &[String]) -> Failure {
        let mut failure = part::failure(
            &Part {
                path: path.to_vec(),
                ..Part::default()
            },
            &self.context,
        );
        failure.message = "the output ends before the reason".to_owned();
        failure.kind_sure = false;
        compose::seal(failure)
    }

    /// There is no epilogue: the tree tells what there is.
    fn without_end(&self, compose: &mut Compose, reader: &text::Reader, end: &End) {
        let mut seen = 0;
        for run in reader.runs.iter().chain([&reader.tree]) {
            compose.counts.passed += run.passed;
            seen += run.passed + run.marks.len() as u64;
            for mark in &run.marks {
                compose.failed(self.marked(&mark.path));
            }
        }
        if seen == 0 {
            let found = self.err.trouble.instead_of_a_run(compose, &self.context)
                || self.out.trouble.instead_of_a_run(compose, &self.context);
            if found {
                return;
            }
        }
        compose.incomplete(Note::new("cut_off", "the output has no end of a run"));
        let exit = end.exit.unwrap_or_default();
        if end.exit.is_none() || end.interrupted || exit.signal.is_some() {
            return;
        }
        let (mut kind, how) = records::how(end.exit);
        let mut message = format!("{how} before the end of the run");
        let last = self.tail.lines(40);
        if seen == 0 && kind == FailureKind::Crash {
            if exit.code == Some(0) {
                return;
            }
            kind = FailureKind::ExitNonzero;
            let line = last
                .last()
                .map(|line| format!(": {}", shown::one_line(line)));
            message = format!("{how}{}", line.unwrap_or_default());
        }
        let mut failure = compose::failure("mocha", kind, Phase::Session, message);
        failure.kind_sure = kind != FailureKind::ExitNonzero;
        failure.details = shown::block(&last.join("\n"), shown::DETAILS);
        failure.rerun = dialect::rerun(&self.context, "", &[]);
        compose.failed(compose::seal(failure));
    }

    /// The exit status may raise the outcome, never lower it.
    fn settle(&self, compose: &mut Compose, end: &End, ran: bool) {
        if self.live && ran && !compose.has_fault() && compose.counts.failed == 0 {
            compose.incomplete(compose::silent("mocha"));
        }
        let Some(exit) = end.exit else {
            return;
        };
        if exit.timed_out || exit.oom || end.interrupted {
            return;
        }
        if let Some(signal) = exit.signal {
            let message = format!("died of {}", compose::signal_name(signal));
            let mut failure =
                compose::failure("mocha", FailureKind::Crash, Phase::Session, message);
            failure.details = shown::block(&self.tail.lines(40).join("\n"), shown::DETAILS);
            failure.rerun = dialect::rerun(&self.context, "", &[]);
            compose.failed(compose::seal(failure));
            compose.complete = false;
            return;
        }
        let code = exit.code.unwrap_or(0);
        let failed = compose.has_fault() || compose.counts.failed > 0;
        if code == 0 && failed {
            let message = "the command exited with status 0 although something failed";
            compose.note(Note::new("exit_disagrees", message));
        }
        if code == 0 || failed || !ran {
            return;
        }
        if compose.counts.passed + compose.counts.skipped == 0 {
            compose.outcome(Outcome::NoTests);
            return;
        }
        let late = self.err.trouble.after_the_end(&self.context);
        if let Some(late) = late.or_else(|| self.out.trouble.after_the_end(&self.context)) {
            compose.failed(late);
            return;
        }
        let message = format!("exited with status {code} although no test failed");
        let mut failure =
            compose::failure("mocha", FailureKind::ExitNonzero, Phase::Session, message);
        failure.kind_sure = false;
        failure.details = shown::block(&self.tail.lines(30).join("\n"), shown::DETAILS);
        failure.rerun = dialect::rerun(&self.context, "", &[]);
        compose.failed(compose::seal(failure));
    }
}

/// The structure inside of a log; nothing where text is what Mocha wrote. Tests print such
/// things, too: what Mocha writes comes to its end last, and has as many failures as the exit
/// status says, where that is known.
fn inline(found: &scan::Found, context: &Context, status: Option<i32>) -> Option<Found> {
    let mut forms: Vec<(u64, u64, Option<Found>)> = Vec::new();
    let mut add = |at: u64, form: Option<Found>| {
        if let Some(form) = form.filter(|_| at > 0) {
            forms.push((at, form.failed, Some(form)));
        }
    };
    let ends = found.ends;
    let document = found.json.as_deref();
    add(
        ends.json,
        document.and_then(|text| json::document(text, context)),
    );
    add(
        ends.stream,
        found.stream.began().then(|| found.stream.found(context)),
    );
    let xml = found.xml.as_deref();
    add(ends.xml, xml.and_then(|text| xunit::read(text, context)));
    add(
        ends.tap,
        found.tap.began().then(|| found.tap.found(context)),
    );
    if let Some(last) = found.text.runs.last() {
        forms.push((ends.text, last.failing, None));
    }
    let status = status.and_then(|code| u64::try_from(code).ok());
    let fits = |failed: u64| status.is_some_and(|code| code == failed.min(255));
    let best = forms
        .into_iter()
        .max_by_key(|(at, failed, _)| (fits(*failed), *at));
    best.and_then(|(_, _, form)| form)
}

fn plus(all: Option<Found>, more: Found) -> Found {
    let Some(mut all) = all else {
        return more;
    };
    all.passed += more.passed;
    all.skipped += more.skipped;
    all.failed += more.failed;
    all.failures.extend(more.failures);
    all.faults.extend(more.faults);
    all
}

fn add(compose: &mut Compose, found: Found) {
    compose.counts.passed += found.passed;
    compose.counts.skipped += found.skipped;
    compose.counts.failed += found.failed;
    found
        .failures
        .into_iter()
        .for_each(|failure| compose.failure(failure));
}
