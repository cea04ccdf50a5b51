//! One test binary that the shim ran: its files, and what they come to.

use crate::cargo::package::Package;
use crate::cargo::rerun;
use crate::cargo::shim::Harness;
use crate::cargo::shim::Header;
use crate::cargo::shim::Trailer;
use crate::cargo::shim::VERSION;
use crate::cargo::targets::Target;
use crate::compose;
use crate::compose::Compose;
use crate::libtest::failure;
use crate::libtest::json;
use crate::libtest::json::Failed;
use crate::libtest::json::Step;
use crate::libtest::json::Stream;
use crate::libtest::panic;
use crate::lines::Line;
use crate::lines::Lines;
use crate::live::End;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Note;
use crate::report::Phase;
use crate::text;
use crate::text::Tail;

/// The most of a list file that is kept.
const MOST_LIST: usize = 64 * 1024 * 1024;

/// What is known of one binary.
#[derive(Debug)]
pub(crate) struct Binary {
    /// The header, when it was read.
    pub header: Option<Header>,
    headed: bool,
    lines: Lines,
    written: u64,
    trailer: Option<Trailer>,
    faults: Vec<String>,
    list: Option<Vec<u8>>,
    stderr: Tail,
    stdout: Tail,
    stream: Stream,
    failed: Vec<Failed>,
}

/// Who a binary is, for the report.
pub(crate) struct Identity<'a> {
    /// The target.
    pub target: &'a Target,
    /// The word for it.
    pub label: &'a str,
    /// Its package.
    pub package: &'a Package,
}

impl Default for Binary {
    fn default() -> Self {
        Binary {
            header: None,
            headed: false,
            lines: Lines::default(),
            written: 0,
            trailer: None,
            faults: Vec::new(),
            list: None,
            // A process that panics while it panics prints two long backtraces.
            stderr: Tail::of(256 * 1024),
            stdout: Tail::default(),
            stream: Stream::default(),
            failed: Vec::new(),
        }
    }
}

impl Binary {
    /// Takes more of the list file.
    pub fn list(&mut self, bytes: &[u8]) {
        let list = self.list.get_or_insert_default();
        let room = MOST_LIST.saturating_sub(list.len());
        list.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Takes more of the standard error file.
    pub fn stderr(&mut self, bytes: &[u8]) {
        self.stderr.feed(bytes);
    }

    /// Takes more of the events file.
    pub fn events(&mut self, bytes: &[u8]) -> Vec<Step> {
        let lines = self.lines.feed(bytes);
        lines.iter().filter_map(|line| self.line(line)).collect()
    }

    fn line(&mut self, line: &Line) -> Option<Step> {
        let text = line.record_or_shown();
        if !self.headed {
            self.headed = true;
            self.header = serde_json::from_str::<Header>(&text)
                .ok()
                .filter(|header| header.regreen == "target");
            match &self.header {
                None => self.fault("the events file has no header"),
                Some(header) if header.version != VERSION => {
                    self.fault("the events file is of another version")
                }
                Some(_) => {}
            }
            return None;
        }
        if self.trailer.is_some() {
            self.fault("something was written after the end line");
        }
        if let Some(trailer) = trailer(&text) {
            if self.written == trailer.stdout_bytes + 1 {
                self.trailer = Some(trailer);
            } else {
                self.fault("an end line came that does not fit");
            }
            self.written += line.length;
            return None;
        }
        self.written += line.length;
        if line.cut() {
            self.fault("a line was too long to be kept");
        }
        if self.is_custom() {
            self.stdout.feed(text.as_bytes());
            self.stdout.feed(b"\n");
            return None;
        }
        let step = self.stream.line(&text);
        if let Some(Step::Failed(failed)) = &step {
            self.failed.push(failed.clone());
        }
        step
    }

    fn fault(&mut self, fault: &str) {
        if !self.faults.iter().any(|known| known == fault) {
            self.faults.push(fault.to_owned());
        }
    }

    fn is_custom(&self) -> bool {
        self.header
            .as_ref()
            .is_some_and(|header| header.harness == Harness::Custom)
    }

    /// Adds everything about this binary to the report.
    pub fn settle(mut self, compose: &mut Compose, end: &End, who: &Identity<'_>) {
        if let Some(rest) = self.lines.finish() {
            self.line(&rest);
        }
        if self.is_custom() {
            self.settle_custom(compose, end, who);
            return;
        }
        let (passed, _, ignored) = self.stream.tally();
        compose.counts.passed += passed;
        compose.counts.skipped += ignored;
        compose.filtered += self.stream.end().map_or(0, |end| end.filtered);
        for failed in std::mem::take(&mut self.failed) {
            if compose.is_full() {
                compose.unlisted();
                continue;
            }
            compose.failed(of(&failed, who));
        }
        let regular = self.stream.end().is_some()
            && self.trailer.as_ref().is_some_and(|t| t.signal.is_none());
        if regular {
            self.settle_regular(compose, who);
        } else {
            self.settle_broken(compose, end, who);
        }
    }

    /// The suite ended and the process exited: believed if nothing contradicts itself.
    fn settle_regular(&mut self, compose: &mut Compose, who: &Identity<'_>) {
        let listed = self.header.as_ref().is_some_and(|header| header.listed);
        let list = self
            .list
            .take()
            .map(|list| json::listed(&String::from_utf8_lossy(&list)));
        let mut faults = std::mem::take(&mut self.faults);
        // An empty list file is a list all the same.
        let list = list.or_else(|| listed.then(Default::default));
        faults.extend(self.stream.contradictions(list.as_ref()));
        let ok = self.stream.end().is_some_and(|end| end.ok);
        let code = self.trailer.as_ref().and_then(|trailer| trailer.code);
        if !ok && code == Some(0) {
            faults.push("the suite failed and the process exited with status 0".to_owned());
        }
        if !faults.is_empty() {
            disbelieved(compose, who, &faults);
        } else if ok && code != Some(0) {
            let message = format!(
                "the process exited with status {} after its tests had passed",
                code.unwrap_or(-1)
            );
            let mut failure =
                compose::failure(who.label, FailureKind::ExitNonzero, Phase::Session, message);
            failure.kind_sure = false;
            failure.stderr = text::block(&self.stderr.lines(40).join("\n"), text::DETAILS);
            compose.failed(named(failure, who, None));
        }
    }

    /// No suite's end, or a signal: the tests that were running are named.
    fn settle_broken(&mut self, compose: &mut Compose, end: &End, who: &Identity<'_>) {
        let exit = end.exit.unwrap_or_default();
        let running = self.stream.running();
        let left = self.stream.not_begun();
        if left > 0 {
            let message = format!("{left} tests of `{}` did not run", who.label);
            compose.incomplete(Note::new("not_run", message));
        }
        compose.complete = false;
        if end.interrupted {
            if !running.is_empty() {
                let message = format!(
                    "running when the run was interrupted: {}",
                    running.join(", ")
                );
                compose.note(Note::new("was_running", text::cut(&message, 2000)));
            }
            return;
        }
        let (kind, how) = self.how(exit);
        let said = Said::of(&self.stderr, &running, who.package);
        let culprits = match &said.culprit {
            Some(culprit) => vec![culprit.clone()],
            None => running.clone(),
        };
        if culprits.is_empty() {
            let when = if self.stream.end().is_some() {
                "after its tests"
            } else if self.stream.began() {
                "between its tests"
            } else {
                "before its first test"
            };
            let message = said.message(&format!("{how} {when}"));
            let failure = compose::failure(who.label, kind, Phase::Session, message);
            compose.failed(named(said.into(failure), who, None));
            return;
        }
        if culprits.len() < running.len() {
            let others: Vec<&String> = running
                .iter()
                .filter(|name| !culprits.contains(name))
                .collect();
            let others: Vec<&str> = others.iter().map(|name| name.as_str()).collect();
            let message = format!(
                "also running when `{}` ended: {}",
                who.label,
                others.join(", ")
            );
            compose.note(Note::new("was_running", text::cut(&message, 2000)));
        }
        for name in &culprits {
            let among = match culprits.len() {
                1 => "while this test was running".to_owned(),
                many => format!("while this test and {} others were running", many - 1),
            };
            let message = said.message(&format!("{how} {among}"));
            let mut failure = compose::failure(name, kind, Phase::Call, message);
            failure.kind_sure = culprits.len() == 1;
            compose.failed(named(said.clone().into(failure), who, Some(name)));
        }
    }

    /// What kind of end it was, and in words.
    fn how(&self, exit: crate::report::Exit) -> (FailureKind, String) {
        let trailer = self.trailer.as_ref();
        if exit.timed_out {
            return (
                FailureKind::Timeout,
                "the time limit was reached".to_owned(),
            );
        }
        if exit.oom {
            return (FailureKind::Oom, "memory ran out".to_owned());
        }
        let how = match (trailer.and_then(|t| t.signal), trailer.and_then(|t| t.code)) {
            (Some(signal), _) => format!("the process died of {}", compose::signal_name(signal)),
            (None, Some(code)) => format!("the process exited with status {code}"),
            (None, None) => "the process ended without an end line".to_owned(),
        };
        (FailureKind::Crash, how)
    }

    /// A target without a protocol counts as one test, judged by its exit status.
    fn settle_custom(self, compose: &mut Compose, end: &End, who: &Identity<'_>) {
        let exit = end.exit.unwrap_or_default();
        let status = self
            .trailer
            .as_ref()
            .map(|trailer| (trailer.code, trailer.signal));
        if status == Some((Some(0), None)) && self.faults.is_empty() {
            compose.counts.passed += 1;
            return;
        }
        if status.is_none() || !self.faults.is_empty() {
            compose.complete = false;
            if end.interrupted {
                return;
            }
        }
        let (kind, message) = match status {
            Some((Some(code), None)) if code != 0 => (
                FailureKind::ExitNonzero,
                format!("exited with status {code}"),
            ),
            Some((Some(_), None)) => {
                disbelieved(compose, who, &self.faults);
                return;
            }
            _ => self.how(exit),
        };
        let said = self.stderr.lines(40).join("\n");
        let last = said
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .map(str::to_owned);
        let message = last.map_or(message.clone(), |last| format!("{message}: {last}"));
        let mut failure = compose::failure(who.label, kind, Phase::Call, message);
        failure.kind_sure = false;
        failure.stderr = text::block(&said, text::DETAILS);
        failure.stdout = text::block(&self.stdout.lines(40).join("\n"), text::DETAILS);
        compose.failed(named(failure, who, None));
    }
}

fn trailer(text: &str) -> Option<Trailer> {
    if !text.starts_with("{\"regreen\":") {
        return None;
    }
    serde_json::from_str::<Trailer>(text)
        .ok()
        .filter(|trailer| trailer.regreen == "end")
}

/// A stream that contradicts itself is a failure of its target, and never complete.
pub(crate) fn disbelieved(compose: &mut Compose, who: &Identity<'_>, faults: &[String]) {
    let why = text::cut(&faults.join("; "), text::MESSAGE);
    compose.incomplete(compose::inconsistent(format!(
        "the results of `{}` contradict themselves: {why}",
        who.label
    )));
    let message = format!("the results contradict themselves: {why}");
    let id = if who.label.is_empty() {
        "tests"
    } else {
        who.label
    };
    let failure = compose::failure(id, FailureKind::PlanMismatch, Phase::Session, message);
    compose.failed(named(failure, who, None));
}

/// The failure of one test.
pub(crate) fn of(failed: &Failed, who: &Identity<'_>) -> Failure {
    let mut failure = failure::of(
        &failed.name,
        &failed.output,
        failed.verdict.as_deref(),
        who.package,
    );
    if failed.verdict.as_deref() == Some("time limit exceeded") {
        failure.kind = FailureKind::Timeout;
        failure.kind_sure = true;
        failure.message = "the test's own time limit was exceeded".to_owned();
    }
    failure.duration_ms = failed.duration_ms;
    named(failure, who, Some(&failed.name))
}

/// Adds target, rerun and fingerprint.
pub(crate) fn named(mut failure: Failure, who: &Identity<'_>, test: Option<&str>) -> Failure {
    failure.target = (!who.label.is_empty()).then(|| who.label.to_owned());
    let context = &who.package.context;
    failure.rerun = match test {
        Some(test) => rerun::test(context, who.target, test),
        None => rerun::target(context, who.target),
    };
    compose::seal(failure)
}

/// What a dying process said on standard error.
#[derive(Debug, Clone, Default)]
struct Said {
    culprit: Option<String>,
    words: Option<String>,
    location: Option<Location>,
    stderr: Option<String>,
}

impl Said {
    fn of(stderr: &Tail, running: &[String], package: &Package) -> Self {
        let text = stderr.lines(4000).join("\n");
        let mut said = Said {
            stderr: text::block(&text, text::DETAILS),
            ..Said::default()
        };
        let overflow = text.lines().rev().find_map(|line| {
            let name = line.strip_prefix("thread '")?.split_once('\'')?;
            name.1
                .contains("has overflowed its stack")
                .then(|| name.0.to_owned())
        });
        if let Some(thread) = overflow {
            said.culprit = running.contains(&thread).then_some(thread);
            said.words = Some("stack overflow".to_owned());
            return said;
        }
        let panics = panic::all(&text);
        let own = panics.iter().rfind(|panic| {
            running.contains(&panic.thread)
                && package.context.is_user(&package.compiler_path(&panic.file))
        });
        if let Some(panic) = own {
            said.culprit = Some(panic.thread.clone());
            said.words = Some(text::one_line(&panic.message));
            said.location = Some(Location {
                file: package.compiler_path(&panic.file),
                line: Some(panic.line),
                column: Some(panic.column),
            });
            return said;
        }
        // A panic in a destructor is reported by the library itself, without a user's place.
        if let Some(panic) = panics.iter().rfind(|panic| running.contains(&panic.thread)) {
            said.culprit = Some(panic.thread.clone());
            said.words = Some(text::one_line(&panic.message));
            return said;
        }
        said.words = text
            .lines()
            .rfind(|line| {
                line.contains("error while loading shared libraries")
                    || line.starts_with("fatal runtime error")
            })
            .map(str::to_owned);
        said
    }

    fn message(&self, how: &str) -> String {
        match &self.words {
            Some(words) => format!("{how}: {words}"),
            None => how.to_owned(),
        }
    }

    fn into(self, mut failure: Failure) -> Failure {
        failure.location = self.location;
        failure.stderr = self.stderr;
        failure
    }
}
