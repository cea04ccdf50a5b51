//! The report of a whole run of the harness.

use crate::compose;
use crate::compose::Compose;
use crate::live::End;
use crate::prove::ProveRun;
use crate::prove::file::File;
use crate::prove::file::Verdict;
use crate::records::how;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::report::Report;
use crate::report::Source;
use crate::tap;
use crate::tap::Block;
use crate::tap::Death;
use crate::tap::Level;
use crate::tap::Others;
use crate::tap::Teller;
use crate::tap::Told;
use crate::text;

/// How the tests of a file came out.
#[derive(Debug, Default)]
struct Ran {
    failed: u64,
    seen: u32,
    mismatch: Option<String>,
    bail: Option<String>,
    /// Its TAP was read.
    known: bool,
}

impl ProveRun {
    /// The report of the whole run.
    pub fn finish(mut self, end: &End) -> Report {
        self.last_lines();
        self.diagnostics.finish();
        let mut compose = Compose::new();
        let dumped = self.dumped();
        let source = match dumped.is_empty() {
            true => Source::Text,
            false => Source::Events,
        };
        let files = self.files(&dumped, &mut compose);
        let silent = |(file, levels): &(File, Vec<Level>)| {
            levels.is_empty() && file.verdict == Some(Verdict::Passed)
        };
        if source == Source::Events && files.iter().any(silent) {
            let message = "a file is said to have passed, and its TAP holds nothing";
            compose.incomplete(Note::new("cut_off", message));
        }
        let mut all_known = !files.is_empty();
        let mut counted = 0;
        let others = Others::of(files.iter().map(|(file, _)| file.name.as_str()));
        for (file, levels) in &files {
            let mut ran = self.file(&mut compose, file, levels, &others);
            // Nothing runs after the file that gave up.
            let last = std::ptr::eq(file, &files[files.len() - 1].0);
            if last && ran.bail.is_none() {
                ran.bail.clone_from(&self.text.stopped);
            }
            all_known &= ran.known || file.verdict == Some(Verdict::Skipped);
            counted += u64::from(ran.seen);
            self.settle(&mut compose, file, &ran, end);
        }
        if !all_known && let Some((_, tests)) = self.text.totals {
            // Files whose tests are not shown are only counted together.
            let failed = compose.counts.failed + compose.counts.skipped + compose.counts.passed;
            let rest = u64::from(tests).saturating_sub(counted.max(failed));
            compose.counts.passed += rest;
        }
        self.whole(&mut compose, &files, end);
        compose.finish("prove", source, end)
    }

    fn last_lines(&mut self) {
        if let Some(line) = self.errors.finish() {
            self.diagnostics.line(&text::shown(&line.bytes));
        }
        if let Some(line) = self.output.finish() {
            let shown = text::shown(&line.bytes);
            if !shown.trim_start().starts_with(['o', 'n']) {
                let seen = crate::lines::Seen {
                    bytes: &line.bytes,
                    length: line.length,
                    unfinished: true,
                };
                self.text.take(seen, &mut self.diagnostics);
            }
        }
    }

    /// The TAP that the harness put into files, by file.
    fn dumped(&mut self) -> Vec<(String, Vec<Level>)> {
        let dumps = std::mem::take(&mut self.dumps);
        dumps
            .into_iter()
            .map(|(name, (mut lines, mut reader))| {
                if let Some(line) = lines.finish() {
                    reader.line(&text::shown(&line.bytes));
                }
                (name, reader.finish())
            })
            .collect()
    }

    /// Text and TAP of each file together, in the order of the text.
    fn files(
        &mut self,
        dumped: &[(String, Vec<Level>)],
        compose: &mut Compose,
    ) -> Vec<(File, Vec<Level>)> {
        let named = std::mem::take(&mut self.text.files);
        let summed = self.text.totals.is_some();
        let mut used = vec![false; dumped.len()];
        let mut files = Vec::new();
        for mut file in named {
            let own = file
                .name
                .trim_start_matches("./")
                .trim_start_matches('/')
                .to_owned();
            let same = |(name, _): &(String, Vec<Level>)| {
                let name = name.trim_start_matches("./");
                *name == own || (!name.contains('/') && own.rsplit('/').next() == Some(name))
            };
            let dump = (0..dumped.len()).find(|at| !used[*at] && same(&dumped[*at]));
            // A file that failed stands in the summary; one that does not was only printed.
            if summed && file.summary.is_none() && file.verdict == Some(Verdict::Failed) {
                compose.incomplete(compose::inconsistent(format!(
                    "the summary does not know of {}, which is said to have failed",
                    file.name
                )));
                continue;
            }
            let levels = match dump {
                Some(at) => {
                    used[at] = true;
                    dumped[at].1.clone()
                }
                None => file.tap.take().map(tap::Reader::finish).unwrap_or_default(),
            };
            files.push((file, levels));
        }
        for (at, (name, levels)) in dumped.iter().enumerate() {
            if !used[at] {
                let file = File {
                    name: name.clone(),
                    ..File::default()
                };
                files.push((file, levels.clone()));
            }
        }
        files
    }

    /// What runs a file again, which is named from the project's root.
    fn rerun(&self, file: &str) -> Vec<String> {
        self.context.rerun(&["prove"], [self.context.in_dir(file)])
    }

    /// The tests of one file.
    fn file(
        &mut self,
        compose: &mut Compose,
        file: &File,
        levels: &[Level],
        others: &Others<'_>,
    ) -> Ran {
        let name = self.context.relative(&file.name);
        let mut ran = Ran::default();
        if levels.is_empty() {
            self.without_tap(compose, file, &name, others, &mut ran);
            return ran;
        }
        ran.known = true;
        let rerun = self.rerun(&name);
        for level in levels {
            let told = Teller {
                compose,
                diagnostics: &mut self.diagnostics,
                context: &self.context,
                file: Some(&name),
                rerun: rerun.clone(),
                told: Told::default(),
            }
            .stream(level);
            tap::remarks(compose, &told, Some(&name));
            ran.failed += told.failed;
            ran.seen += told.seen;
            ran.mismatch = ran.mismatch.or(told.mismatch);
            ran.bail = ran.bail.or_else(|| level.bail.clone());
        }
        ran
    }

    /// Where its TAP is not shown, the numbers of the summary and what Test::More says.
    fn without_tap(
        &mut self,
        compose: &mut Compose,
        file: &File,
        name: &str,
        others: &Others<'_>,
        ran: &mut Ran,
    ) {
        if file.verdict == Some(Verdict::Skipped) {
            compose.counts.skipped += 1;
            return;
        }
        let summary = file.summary.clone().unwrap_or_default();
        let planned = summary.errors.iter().find_map(|error| {
            error
                .strip_prefix("Bad plan. You planned ")?
                .split(' ')
                .next()?
                .parse::<u32>()
                .ok()
        });
        let disordered = summary
            .errors
            .iter()
            .any(|error| error.contains("out of sequence"));
        let mut numbers = summary.failed;
        numbers.retain(|number| planned.is_none_or(|plan| *number <= plan));
        let count = match (&file.summary, file.count) {
            (Some(_), _) => numbers.len(),
            (None, Some((failed, _))) => failed as usize,
            (None, None) => 0,
        };
        let mut blocks = self.diagnostics.of_file(&file.name, others, count);
        // What is out of sequence may have been printed by anybody.
        blocks.retain(|block| {
            let at = block.at.as_ref();
            at.is_none_or(|(at, line)| {
                let at = self.context.relative(at);
                self.context.tree.may_hold(&at, Some(*line)) && (!disordered || at == name)
            })
        });
        ran.seen = summary.tests;
        let before = compose.counts.failed;
        let exact = blocks.len() == numbers.len();
        for (at, block) in blocks.iter().enumerate() {
            let number = numbers.get(at).filter(|_| exact);
            self.told_by(compose, block, name, &mut Vec::new(), number.copied());
        }
        // Numbers out of sequence are the harness's guess.
        let unexplained = if disordered {
            0
        } else {
            numbers.len().saturating_sub(blocks.len())
        };
        for number in numbers.iter().rev().take(unexplained).rev() {
            let mut failure = compose::failure(
                number.to_string(),
                FailureKind::Assertion,
                Phase::Call,
                format!("Failed test {number}"),
            );
            failure.kind_sure = false;
            self.add(compose, failure, name);
        }
        ran.failed = compose.counts.failed - before;
        if file.summary.is_some() {
            let rest = u64::from(summary.tests).saturating_sub(count as u64);
            compose.counts.skipped += u64::from(file.skipped);
            compose.counts.passed += rest.saturating_sub(u64::from(file.skipped));
        }
    }

    fn told_by(
        &self,
        compose: &mut Compose,
        block: &Block,
        file: &str,
        path: &mut Vec<String>,
        number: Option<u32>,
    ) {
        path.push(match (block.name.as_str(), number) {
            ("", Some(number)) => number.to_string(),
            ("", None) => "not ok".to_owned(),
            (name, _) => name.to_owned(),
        });
        for child in &block.children {
            self.told_by(compose, child, file, path, None);
        }
        if block.children.is_empty() {
            let id = path.join(tap::SEPARATOR);
            let failure = tap::explained(&id, block, &self.context);
            self.add(compose, failure, file);
        }
        path.pop();
    }

    fn add(&self, compose: &mut Compose, mut failure: Failure, file: &str) {
        failure.target = (failure.id != file).then(|| file.to_owned());
        if file != "prove" {
            failure.rerun = self.rerun(file);
        }
        compose.failed(compose::seal(failure));
    }

    /// How the file as a whole ended.
    fn settle(&mut self, compose: &mut Compose, file: &File, ran: &Ran, end: &End) {
        let name = self.context.relative(&file.name);
        if let Some(signal) = file.signal() {
            let message = format!("died of {}", compose::signal_name(signal));
            compose.complete = false;
            self.add(
                compose,
                compose::failure(&name, FailureKind::Crash, Phase::Call, message),
                &name,
            );
            return;
        }
        if let Some(why) = &ran.bail {
            compose.complete = false;
            let message = format!("Bail out! {why}");
            let mut failure =
                compose::failure(&name, FailureKind::Panic, Phase::Call, message.trim());
            failure.kind_sure = false;
            self.add(compose, failure, &name);
            return;
        }
        let errors = file
            .summary
            .as_ref()
            .map(|summary| summary.errors.clone())
            .unwrap_or_default();
        let tests = file
            .summary
            .as_ref()
            .map_or(ran.seen, |summary| summary.tests);
        let exit = file.exit();
        let death = match exit {
            Some(code) => self
                .diagnostics
                .death(Some(code), Some(tests), Some(&file.name)),
            // Without a last line nobody says how it ended.
            None if file.verdict.is_none() && file.summary.is_none() => {
                self.diagnostics
                    .death(None, Some(ran.seen), Some(&file.name))
            }
            None => None,
        };
        if let Some(death) = death {
            self.died(compose, &death, &name, exit, tests);
        } else if let Some(failure) = self.last_words(&name, exit, tests, &errors) {
            self.add(compose, failure, &name);
        } else if let Some(first) = errors.first() {
            let failure = compose::failure(
                &name,
                FailureKind::PlanMismatch,
                Phase::Call,
                self.plan(first),
            );
            compose.complete &= self.text.ended();
            self.add(compose, failure, &name);
        } else if let Some(why) = ran
            .mismatch
            .as_ref()
            .filter(|_| file.verdict.is_some() || end.exit.is_some_and(|exit| exit.code.is_some()))
        {
            let failure = compose::failure(
                &name,
                FailureKind::PlanMismatch,
                Phase::Call,
                self.plan(why),
            );
            compose.complete = false;
            self.add(compose, failure, &name);
        } else if ran.mismatch.is_some() {
            compose.complete = false;
        } else if let Some(code) = exit.filter(|_| ran.failed == 0) {
            let message = format!("exited with status {code} although no test failed");
            let failure = compose::failure(&name, FailureKind::ExitNonzero, Phase::Call, message);
            self.add(compose, failure, &name);
        } else if file.verdict == Some(Verdict::Failed) && ran.failed == 0 {
            let mut failure = compose::failure(
                &name,
                FailureKind::ExitNonzero,
                Phase::Call,
                "the file failed",
            );
            failure.kind_sure = false;
            self.add(compose, failure, &name);
        }
    }

    /// Test::More's own words say the same with less doubt.
    fn plan(&mut self, said: &str) -> String {
        let number = |text: &str, word: &str| {
            let rest = text.split_once(word)?.1;
            rest.split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse::<u32>()
                .ok()
        };
        let wanted = (number(said, "planned "), number(said, "ran "));
        let at = self.diagnostics.plans.iter().position(|plan| {
            wanted.0.is_some() && (number(plan, "planned "), number(plan, "ran ")) == wanted
        });
        if let Some(at) = at {
            self.diagnostics.plans.remove(at);
        }
        said.to_owned()
    }

    /// A script without Test::More dies without its last remark.
    fn last_words(
        &mut self,
        name: &str,
        exit: Option<i32>,
        tests: u32,
        errors: &[String],
    ) -> Option<Failure> {
        let code = exit.filter(|_| !errors.is_empty())?;
        let found = self.diagnostics.said_by(name)?;
        let kind = match (found.compile, code) {
            (true, _) => FailureKind::CollectionError,
            _ => FailureKind::Panic,
        };
        let phase = if found.compile {
            Phase::Collect
        } else {
            Phase::Call
        };
        let mut failure = compose::failure(name, kind, phase, &found.message);
        failure.kind_sure = code == 255 && tests == 0 || found.compile;
        failure.location = self.place(&found);
        failure.details = text::block(&found.text, text::DETAILS);
        Some(failure)
    }

    fn place(&self, death: &Death) -> Option<Location> {
        let (file, line) = death.at.as_ref()?;
        let file = self.context.relative(file);
        self.context.is_user(&file).then_some(Location {
            file,
            line: Some(*line),
            column: None,
        })
    }

    fn died(
        &self,
        compose: &mut Compose,
        death: &Death,
        name: &str,
        exit: Option<i32>,
        tests: u32,
    ) {
        let location = self.place(death);
        let (kind, phase) = match death.compile {
            true => (FailureKind::CollectionError, Phase::Collect),
            false if location.is_none() && death.message.is_empty() => {
                (FailureKind::ExitNonzero, Phase::Call)
            }
            false => (FailureKind::Panic, Phase::Call),
        };
        let kind = match (kind, exit) {
            // `exit 5` after some warning is no exception.
            (FailureKind::Panic, Some(code)) if code != 255 && code != 2 && death.at.is_none() => {
                FailureKind::ExitNonzero
            }
            (kind, _) => kind,
        };
        let status = format!(
            "exited with status {} after {tests} tests",
            exit.or(death.code).unwrap_or(255)
        );
        let message = match kind {
            FailureKind::ExitNonzero => status,
            _ => death.message.clone(),
        };
        let mut failure = compose::failure(name, kind, phase, message);
        failure.location = location;
        failure.details = text::block(&death.text, text::DETAILS);
        self.add(compose, failure, name);
    }

    /// The run as a whole.
    fn whole(&self, compose: &mut Compose, files: &[(File, Vec<Level>)], end: &End) {
        let exit = end.exit.unwrap_or_default();
        if self.text.interrupted {
            compose.outcome(Outcome::Interrupted);
            compose.complete = false;
        }
        if let Some(why) = &self.text.refused
            && files.is_empty()
        {
            compose.outcome(Outcome::UsageError);
            compose.note(Note::new("prove", text::one_line(why)));
            return;
        }
        if let Some(why) = &self.text.stopped {
            compose.complete = false;
            let known = compose
                .failures
                .iter()
                .any(|failure| failure.message.starts_with("Bail out!"));
            if !known {
                let message = format!("Bail out! {why}");
                let running = self.text.running();
                let name = running
                    .last()
                    .map_or("prove".to_owned(), |name| self.context.relative(name));
                let mut failure =
                    compose::failure(&name, FailureKind::Panic, Phase::Session, message.trim());
                failure.kind_sure = false;
                self.add(compose, failure, &name);
            }
            return;
        }
        if exit.timed_out || exit.oom || exit.signal.is_some() {
            compose.complete = false;
            if end.interrupted {
                return;
            }
            let (kind, how) = how(end.exit);
            // The last file that has TAP or a heading and no verdict.
            let open: Vec<&str> = files
                .iter()
                .filter(|(file, _)| file.verdict.is_none() && file.summary.is_none())
                .filter(|(_, levels)| levels.is_empty() || levels.iter().any(|level| !level.full()))
                .map(|(file, _)| file.name.as_str())
                .collect();
            let name = open
                .last()
                .map_or("prove".to_owned(), |name| self.context.relative(name));
            let mut failure = compose::failure(
                &name,
                kind,
                Phase::Call,
                format!("{how} while this file was running"),
            );
            failure.kind_sure = open.len() == 1;
            self.add(compose, failure, &name);
            return;
        }
        if !self.text.ended() {
            compose.incomplete(Note::new(
                "cut_off",
                "the last line of the harness is missing",
            ));
        }
        let failed = compose.has_fault() || compose.counts.failed > 0;
        let said = self.text.result.as_deref();
        if !failed
            && (said == Some("FAIL")
                || exit.code.is_some_and(|code| code != 0) && said != Some("NOTESTS"))
        {
            let lines = self.tail.lines(40);
            let message = match exit.code {
                Some(code) => format!("exited with status {code}"),
                None => "the harness says FAIL".to_owned(),
            };
            let mut failure =
                compose::failure("prove", FailureKind::ExitNonzero, Phase::Session, message);
            failure.kind_sure = false;
            failure.details = text::block(&lines.join("\n"), text::DETAILS);
            compose.failed(compose::seal(failure));
        }
        if failed && exit.code == Some(0) {
            compose.note(Note::new(
                "exit_disagrees",
                "something failed, and the harness exited with 0",
            ));
        }
    }
}
