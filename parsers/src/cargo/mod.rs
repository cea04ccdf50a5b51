//! Reads `cargo test`: compiler messages, the runner shim's files, rustdoc's and cargo's text.
//!
//! # The files of the runner shim
//!
//! `cargo test --message-format=json` starts every test binary through a runner
//! (`CARGO_TARGET_<triple>_RUNNER`). Regreen's runner, the *shim*, writes three files for each
//! binary that it starts into one directory. Their stem is any unique word without a dot (the
//! shim's process id, say); what counts is the ending:
//!
//! | file | content |
//! |---|---|
//! | `STEM.list` | what `BINARY ARGS --list --format terse` printed to standard output, byte for byte; written whole before `STEM.events` appears; only for Rust's own harness |
//! | `STEM.events` | header line, then the binary's standard output byte for byte, then the end line |
//! | `STEM.stderr` | the binary's standard error, byte for byte (a copy; may be absent) |
//!
//! The header is one line of JSON, see [`shim::Header`]:
//!
//! ```json
//! {"regreen":"target","version":1,"binary":"/p/target/debug/deps/demo-8348","package":"demo",
//!  "manifest_dir":"/p","args":["--exact","tests::a"],"pid":17,"harness":"libtest","listed":true}
//! ```
//!
//! (on one line). `binary` is written exactly as cargo passed it: it is matched with the
//! `executable` of cargo's own messages, which names target and kind. `harness` is `libtest` or
//! `custom` (a `harness = false` target: run without any added argument and judged by its exit
//! status). Rust's own harness is recognised in the binary by the bytes `__RUST_TEST_INVOKE`,
//! and is started as `RUSTC_BOOTSTRAP=1 BINARY ARGS -Zunstable-options --format json
//! --report-time`.
//!
//! The end line follows a line feed that the shim always adds, see [`shim::Trailer`]:
//!
//! ```json
//! {"regreen":"end","code":101,"signal":null,"stdout_bytes":1234,"duration_ms":12}
//! ```
//!
//! `stdout_bytes` counts what lies between the header's line feed and the added one. A process
//! that writes a forged end line into its output is found by this count and by what follows it.
//!
//! Since cargo 1.89 doctests are started through the runner too (a binary named `rust_out` in a
//! temporary directory). The shim writes nothing for these: it sets
//! `RUSTDOC_DOCTEST_BIN_PATH=BINARY` (which rustdoc does itself only without a runner; without
//! it all merged doctests share one process) and executes the binary. Their results are read
//! from rustdoc's text on cargo's standard output.

mod binary;
pub(crate) mod errors;
mod finish;
mod messages;
pub(crate) mod package;
mod rerun;
pub mod shim;
mod targets;

use crate::cargo::binary::Binary;
use crate::cargo::binary::Identity;
use crate::cargo::errors::Errors;
use crate::cargo::messages::Said as Compiler;
use crate::cargo::package::Package;
use crate::cargo::targets::Target;
use crate::cargo::targets::Targets;
use crate::compose;
use crate::context::Context;
use crate::event::TestEvent;
use crate::libtest::json;
use crate::libtest::json::Step;
use crate::libtest::text as harness;
use crate::libtest::text::Said;
use crate::libtest::text::Section;
use crate::libtest::text::Word;
use crate::lines::Lines;
use crate::lines::Seen;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Stream;
use crate::report::Counts;
use crate::report::Diagnostic;
use crate::report::Failure;
use crate::report::Report;
use crate::text;
use crate::text::Tail;
use cargo_metadata::Message;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// More compiler errors than this are not kept.
const MOST_ERRORS: usize = 1000;
/// More files of the shim than this are not followed.
const MOST_BINARIES: usize = 10_000;

/// A run of `cargo test` (or of one test binary) that is being read.
///
/// Feed cargo's standard output as [`Stream::Stdout`], its standard error as
/// [`Stream::Stderr`], and every file of the shim as [`Stream::File`] with its name.
#[derive(Debug)]
pub struct CargoRun {
    context: Context,
    framework: &'static str,
    stdout: Lines,
    stderr: Lines,
    tail: Tail,
    targets: Targets,
    errors: Errors,
    compiler: Vec<Failure>,
    warnings: Vec<Diagnostic>,
    built: Option<bool>,
    messages: bool,
    build_ended: bool,
    binaries: BTreeMap<String, Binary>,
    order: Vec<String>,
    reader: harness::Reader,
    current: Option<Current>,
    /// What its tests' target is called, while nothing changes that.
    label: Option<Option<String>>,
    sections: Vec<(Option<Current>, Section)>,
    inline: Vec<Inline>,
    doc_headers: usize,
    /// How many failures of the text have been told.
    told: usize,
    died: Vec<Died>,
    planned: u64,
    counts: Counts,
}

/// What cargo said it is running now, in a text log.
#[derive(Debug, Clone)]
struct Current {
    target: Target,
    doctests: bool,
}

/// A test binary that cargo says failed.
#[derive(Debug)]
struct Died {
    current: Option<Current>,
    code: Option<i32>,
    signal: Option<i32>,
    /// Its tests ran in one thread.
    alone: bool,
}

/// A JSON stream that stands in the log itself.
#[derive(Debug)]
struct Inline {
    current: Option<Current>,
    /// What its target is called, while nothing changes that.
    label: Option<String>,
    stream: json::Stream,
    failed: Vec<json::Failed>,
}

impl CargoRun {
    /// Begins to read a run of `cargo test`.
    pub fn new(context: Context) -> Self {
        CargoRun {
            context,
            framework: "cargo-test",
            stdout: Lines::default(),
            stderr: Lines::default(),
            tail: Tail::default(),
            targets: Targets::default(),
            errors: Errors::default(),
            compiler: Vec::new(),
            warnings: Vec::new(),
            built: None,
            messages: false,
            build_ended: false,
            binaries: BTreeMap::new(),
            order: Vec::new(),
            reader: harness::Reader::default(),
            current: None,
            label: None,
            sections: Vec::new(),
            inline: Vec::new(),
            doc_headers: 0,
            told: 0,
            died: Vec::new(),
            planned: 0,
            counts: Counts::default(),
        }
    }

    /// Begins to read the output of one test binary.
    pub fn libtest(context: Context) -> Self {
        CargoRun {
            framework: "libtest",
            ..CargoRun::new(context)
        }
    }

    /// Takes more bytes of one stream; says what became known by them.
    pub fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        let mut events = Vec::new();
        match stream {
            Stream::File(name) => self.file(name, bytes, &mut events),
            Stream::Stderr => {
                self.tail.feed(bytes);
                let mut lines = std::mem::take(&mut self.stderr);
                lines.each(bytes, |seen| self.error_line(&seen.shown()));
                self.stderr = lines;
            }
            Stream::Stdout | Stream::Log => {
                self.tail.feed(bytes);
                let mut lines = std::mem::take(&mut self.stdout);
                lines.each(bytes, |seen| self.log_line(seen, &mut events));
                self.stdout = lines;
            }
        }
        events
    }

    fn file(&mut self, name: &str, bytes: &[u8], events: &mut Vec<TestEvent>) {
        let file = name.rsplit('/').next().unwrap_or(name);
        let Some((stem, ending)) = file.rsplit_once('.') else {
            return;
        };
        if !matches!(ending, "events" | "list" | "stderr") {
            return;
        }
        if !self.binaries.contains_key(stem) {
            if self.binaries.len() >= MOST_BINARIES {
                return;
            }
            self.binaries.insert(stem.to_owned(), Binary::default());
        }
        let Some(binary) = self.binaries.get_mut(stem) else {
            return;
        };
        match ending {
            "list" => binary.list(bytes),
            "stderr" => binary.stderr(bytes),
            _ => {
                if !self.order.iter().any(|known| known == stem) {
                    self.order.push(stem.to_owned());
                }
                let steps = binary.events(bytes);
                let target = self.target_of(stem);
                self.tell(steps, &target, None, events);
            }
        }
    }

    fn target_of(&self, stem: &str) -> Target {
        let header = self
            .binaries
            .get(stem)
            .and_then(|binary| binary.header.as_ref());
        let Some(header) = header else {
            return Target {
                name: stem.to_owned(),
                ..Target::default()
            };
        };
        let mut target = self.targets.of(&header.binary);
        if target.package.is_empty() {
            target.package = header.package.clone().unwrap_or_default();
        }
        if target.dir.is_empty() {
            target.dir = header.manifest_dir.clone().unwrap_or_default();
        }
        target
    }

    /// Turns steps of a stream into events; `label` is what the target is called, where that is
    /// known already.
    fn tell(
        &mut self,
        steps: impl IntoIterator<Item = Step>,
        target: &Target,
        label: Option<&str>,
        events: &mut Vec<TestEvent>,
    ) {
        let mut steps = steps.into_iter().peekable();
        if steps.peek().is_none() {
            return;
        }
        let label = match label {
            Some(label) => Cow::Borrowed(label),
            None => Cow::Owned(self.targets.label(target)),
        };
        let before = self.counts;
        for step in steps {
            let of = || Some(label.clone().into_owned());
            match step {
                Step::Announced(count) => {
                    self.planned = self.planned.saturating_add(count);
                    events.push(TestEvent::Planned {
                        total: self.planned,
                    });
                }
                Step::Started(id) => events.push(TestEvent::Started { target: of(), id }),
                Step::Passed(id) => {
                    self.counts.passed += 1;
                    events.push(TestEvent::Passed { target: of(), id });
                }
                Step::Ignored(id) => {
                    self.counts.skipped += 1;
                    events.push(TestEvent::Skipped { target: of(), id });
                }
                Step::Failed(failed) => {
                    self.counts.failed += 1;
                    let failure = if self.counts.failed > compose::MOST_FAILURES as u64 {
                        compose::unlisted(&failed.name, of())
                    } else {
                        let package = Targets::package(target, &self.context);
                        let who = Identity {
                            target,
                            label: &label,
                            package: &package,
                        };
                        binary::of(&failed, &who)
                    };
                    events.push(TestEvent::Failed(Box::new(failure)));
                }
            }
        }
        self.say_counts(before, events);
    }

    fn say_counts(&mut self, before: Counts, events: &mut Vec<TestEvent>) {
        self.counts.total = self.counts.passed + self.counts.failed + self.counts.skipped;
        if self.counts != before {
            events.push(TestEvent::Counts(self.counts));
        }
    }

    fn log_line(&mut self, seen: Seen<'_>, events: &mut Vec<TestEvent>) {
        if self.inline.is_empty()
            && let Some((id, word)) = self.reader.result_of(seen.bytes)
        {
            let before = self.counts;
            if self.reader.take(id, word) {
                self.result(id, word, events);
            }
            self.say_counts(before, events);
            return;
        }
        if seen.bytes.starts_with(b"{\"reason\":") && !self.reader.in_failures() {
            let read = serde_json::from_slice::<Message>(seen.bytes);
            if let Ok(message) = read {
                self.message(message, events);
                return;
            }
        }
        // A JSON stream begins with its first record; everything after that may be one.
        if (!self.inline.is_empty() || seen.bytes.starts_with(b"{"))
            && self.inline_line(&seen.record_or_shown(), events)
        {
            return;
        }
        let line = seen.shown();
        // With one thread the name of the test that crashed has no line end of its own.
        if self.reader.is_open()
            && let Some(at) = glued(&line)
        {
            self.text_line(&line[..at], events);
            self.text_line(&line[at..], events);
            return;
        }
        self.text_line(&line, events);
    }

    fn text_line(&mut self, line: &str, events: &mut Vec<TestEvent>) {
        if !self.reader.in_failures() && self.header(line) {
            return;
        }
        if !self.reader.is_open() {
            self.hint(line);
        }
        let before = self.counts;
        match self.reader.line(line) {
            Said::Began(count, section) => {
                if let Some(section) = section {
                    self.section(*section, events);
                }
                self.planned = self.planned.saturating_add(count);
                events.push(TestEvent::Planned {
                    total: self.planned,
                });
            }
            Said::Results(found) => {
                for (id, word) in found {
                    self.result(&id, word, events);
                }
            }
            Said::Result(id, word) => self.result(id, word, events),
            Said::Ended(section) => self.section(*section, events),
            Said::Inside => {}
            Said::Outside => {
                // A last line after the last line: one of them was not the harness's.
                if harness::last_line(line).is_some()
                    && let Some((_, section)) = self.sections.last_mut()
                {
                    section.faults.push("a second last line came".to_owned());
                }
                self.error_line(line);
            }
        }
        self.say_counts(before, events);
    }

    fn result(&mut self, id: &str, word: Word, events: &mut Vec<TestEvent>) {
        // The reason of a failure is known when the section ends.
        if word == Word::Failed {
            self.counts.failed += 1;
            return;
        }
        let target = match &self.current {
            Some(current) => {
                let targets = &self.targets;
                let label = self.label.get_or_insert_with(|| {
                    let label = targets.label(&current.target);
                    (!label.is_empty()).then_some(label)
                });
                label.clone()
            }
            None => self.current_label(id),
        };
        let id = id.to_owned();
        if word == Word::Ok {
            self.counts.passed += 1;
            events.push(TestEvent::Passed { target, id });
        } else {
            self.counts.skipped += 1;
            events.push(TestEvent::Skipped { target, id });
        }
    }

    fn current_label(&self, id: &str) -> Option<String> {
        let current = self.current_for(id)?;
        let label = self.targets.label(&current.target);
        (!label.is_empty()).then_some(label)
    }

    /// What a result in the text belongs to: a doctest's id tells by its file.
    fn current_for(&self, id: &str) -> Option<Current> {
        if self.current.is_some() {
            return self.current.clone();
        }
        let (file, _) = crate::libtest::failure::doctest(id)?;
        let file = self.context.relative(file);
        let target = self.targets.library(&file, &self.context)?;
        Some(Current {
            target,
            doctests: true,
        })
    }

    fn section(&mut self, section: Section, events: &mut Vec<TestEvent>) {
        for (name, output) in &section.failed {
            let current = self.current_for(name);
            self.told += 1;
            let failure = if self.told > compose::MOST_FAILURES {
                let target = current.map(|current| self.targets.label(&current.target));
                compose::unlisted(name, target.filter(|label| !label.is_empty()))
            } else {
                self.text_failure(current.as_ref(), name, output)
            };
            events.push(TestEvent::Failed(Box::new(failure)));
        }
        if self.sections.len() < MOST_BINARIES {
            self.sections.push((self.current.clone(), section));
        }
    }

    /// The failure of a test whose output stands in the text.
    fn text_failure(&self, current: Option<&Current>, name: &str, output: &str) -> Failure {
        let target = current
            .map(|current| current.target.clone())
            .unwrap_or_default();
        let label = self.targets.label(&target);
        let package = Targets::package(&target, &self.context);
        let who = Identity {
            target: &target,
            label: &label,
            package: &package,
        };
        let failure = crate::libtest::failure::of(name, output, None, &package);
        let mut failure = binary::named(failure, &who, Some(name));
        if crate::libtest::failure::doctest(name).is_some() {
            failure.rerun = rerun::doctest(&self.context, Some(&target), name);
        }
        failure
    }

    /// A JSON stream of a test binary in the log itself.
    fn inline_line(&mut self, raw: &str, events: &mut Vec<TestEvent>) -> bool {
        let begins =
            || raw.starts_with('{') && raw.contains("\"suite\"") && raw.contains("\"started\"");
        let open = self
            .inline
            .last()
            .is_some_and(|inline| inline.stream.end().is_none());
        let single = self.framework == "libtest" && !self.inline.is_empty();
        if !open && !single && (self.reader.is_open() || !begins()) {
            return false;
        }
        if open && !raw.starts_with('{') && self.header(&text::clean(raw)) {
            return true;
        }
        if !open && !single {
            if self.inline.len() >= MOST_BINARIES {
                return true;
            }
            self.inline.push(Inline {
                current: self.current.clone(),
                label: None,
                stream: json::Stream::default(),
                failed: Vec::new(),
            });
        }
        let Some(mut inline) = self.inline.pop() else {
            return false;
        };
        let step = inline.stream.line(raw);
        if let Some(Step::Failed(failed)) = &step {
            inline.failed.push(failed.clone());
        }
        if step.is_some() {
            let unknown = Target::default();
            let target = inline.current.as_ref().map_or(&unknown, |it| &it.target);
            let label = inline.label.take();
            let label = label.unwrap_or_else(|| self.targets.label(target));
            self.tell(step, target, Some(&label), events);
            inline.label = Some(label);
        }
        self.inline.push(inline);
        true
    }

    fn message(&mut self, message: Message, events: &mut Vec<TestEvent>) {
        self.messages = true;
        match message {
            Message::CompilerArtifact(artifact) => {
                self.targets.artifact(&artifact);
                self.label = None;
                for inline in &mut self.inline {
                    inline.label = None;
                }
            }
            Message::BuildFinished(finished) => {
                self.built = Some(finished.success);
                self.build_ended = true;
            }
            Message::CompilerMessage(message) => {
                let dir = targets::package_dir(&message.package_id.repr);
                let dir = dir.unwrap_or_else(|| self.context.dir.clone());
                let package = Package::new(self.context.clone(), &dir);
                let target = &message.target;
                match messages::read(
                    &message.message,
                    &target.name,
                    target.src_path.as_str(),
                    &package,
                ) {
                    Compiler::Error(failure) => self.compiler_error(*failure, &message, events),
                    Compiler::Warning(warning) => self.warning(warning),
                    Compiler::Nothing => {}
                }
            }
            _ => {}
        }
    }

    fn compiler_error(
        &mut self,
        mut failure: Failure,
        message: &cargo_metadata::CompilerMessage,
        events: &mut Vec<TestEvent>,
    ) {
        // The library and its unit tests are compiled both and say the same.
        let same = |known: &Failure| known.id == failure.id && known.message == failure.message;
        if self.compiler.len() >= MOST_ERRORS || self.compiler.iter().any(same) {
            return;
        }
        let target = Target {
            package: targets::package_name(&message.package_id.repr),
            ..Target::default()
        };
        failure.rerun = rerun::target(&self.context, &target);
        failure.rerun.push("--no-run".to_owned());
        events.push(TestEvent::Failed(Box::new(failure.clone())));
        self.compiler.push(failure);
    }

    fn warning(&mut self, warning: Diagnostic) {
        if self.warnings.len() < MOST_ERRORS && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// `error: test failed, to rerun pass `-p demo --test api``: whose the last section was.
    fn hint(&mut self, line: &str) {
        let Some(hinted) = rerun::hinted(line) else {
            return;
        };
        let Some((current, section)) = self.sections.last_mut() else {
            return;
        };
        if section.failed.is_empty() && section.ended {
            return;
        }
        let doctests = hinted.kind == "doc";
        match current {
            Some(current)
                if current.target.package.is_empty() && current.target.kind.is_empty() =>
            {
                current.target.package = hinted.package;
                if !doctests {
                    current.target.kind = hinted.kind;
                }
            }
            Some(_) => {}
            // `--quiet` names nothing beforehand.
            None if !hinted.name.is_empty() => {
                *current = Some(Current {
                    target: hinted,
                    doctests,
                });
            }
            None => {}
        }
    }

    /// A line of cargo's own text.
    fn error_line(&mut self, line: &str) {
        if self.header(line) {
            return;
        }
        if let Some((code, signal)) = died(line) {
            self.died.push(Died {
                current: self.current.clone(),
                code,
                signal,
                // One thread prints a test's name before it runs; several print it when it is over.
                alone: line.contains(" --test-threads=1`")
                    || line.contains(" --test-threads 1`")
                    || line.contains(" --test-threads=1 "),
            });
        }
        self.errors.line(line);
    }

    /// `Running unittests src/lib.rs (target/debug/deps/demo-8348)`, `Doc-tests demo`: a
    /// section that was open is over.
    fn header(&mut self, line: &str) -> bool {
        let failed = [
            "error: test failed, to rerun",
            "error: doctest failed, to rerun",
        ];
        if failed.iter().any(|start| line.starts_with(start)) && self.reader.is_open() {
            let section = self.reader.close();
            self.sections
                .extend(section.map(|section| (self.current.clone(), section)));
            return false;
        }
        let current = if let Some(rest) = line.strip_prefix("     Running ") {
            let binary = rest
                .trim_end()
                .strip_suffix(')')
                .and_then(|rest| rest.rsplit_once('('));
            let Some((_, binary)) = binary else {
                return false;
            };
            Current {
                target: self.targets.of(binary),
                doctests: false,
            }
        } else if let Some(name) = line.strip_prefix("   Doc-tests ") {
            self.doc_headers += 1;
            let named = Target {
                package: name.trim().to_owned(),
                name: name.trim().to_owned(),
                ..Target::default()
            };
            Current {
                target: self.targets.library_named(name.trim()).unwrap_or(named),
                doctests: true,
            }
        } else {
            return false;
        };
        let section = self.reader.close();
        self.sections
            .extend(section.map(|section| (self.current.clone(), section)));
        self.built.get_or_insert(true);
        self.current = Some(current);
        self.label = None;
        true
    }
}

/// Where cargo's own words begin behind the name of a test that never ended.
fn glued(line: &str) -> Option<usize> {
    if !line.starts_with("test ") || line.ends_with(" ... ok") {
        return None;
    }
    let starts = [
        "error: test failed, to rerun pass `",
        "     Running ",
        "   Doc-tests ",
    ];
    let at = starts.iter().find_map(|start| line.find(start))?;
    (line[..at].trim_end().ends_with(" ...")).then_some(at)
}

/// `process didn't exit successfully: `…` (signal: 11, SIGSEGV: …)`, once tests run.
fn died(line: &str) -> Option<(Option<i32>, Option<i32>)> {
    let rest = line
        .trim_start()
        .strip_prefix("process didn't exit successfully: `")?;
    let (_, how) = rest.rsplit_once(" (")?;
    if let Some(signal) = how.strip_prefix("signal: ") {
        let number = signal.split([',', ')']).next()?;
        return Some((None, number.parse().ok()));
    }
    let code = how.strip_prefix("exit status: ")?.trim_end_matches(')');
    Some((code.parse().ok(), None))
}

impl Adapter for CargoRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        CargoRun::feed(self, stream, bytes)
    }

    fn finish(self: Box<Self>, end: End) -> Report {
        CargoRun::finish(*self, end)
    }
}
