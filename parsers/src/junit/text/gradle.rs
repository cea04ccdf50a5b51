//! Gradle's text: what its test task and its build say.
//!
//! Gradle 4.4 was run for this. What later versions print differently (`> Task :test`, `Gradle
//! Test Run …`, full traces, nested and parameterised tests) is built from their published
//! documentation and tested on samples written by hand, which say so.

use crate::compose;
use crate::junit::java;
use crate::junit::sources::Sources;
use crate::junit::stack::At;
use crate::junit::text::Told;
use crate::junit::text::core;
use crate::junit::text::number_before;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// More failures than this are not kept.
const MOST: usize = 5_000;
/// The most that is kept of one, in bytes.
const LONGEST: usize = 256 * 1024;

/// A test that failed.
#[derive(Debug, Clone, Default)]
struct Block {
    title: String,
    body: String,
}

/// Reads Gradle's text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    began: bool,
    ends: u64,
    open: bool,
    blocks: Vec<Block>,
    passed: u64,
    skipped: u64,
    /// Tests, failed, skipped of all tasks together.
    total: Option<(u64, u64, u64)>,
    success: bool,
    failed: bool,
    ran: bool,
    started: Option<String>,
    died: Option<String>,
    wrong: Option<String>,
    after_wrong: bool,
    none: bool,
    compile: bool,
}

impl Reader {
    /// Whether a line may matter.
    pub fn wants(&self, bytes: &[u8]) -> bool {
        if self.open || self.after_wrong {
            return true;
        }
        match bytes.first() {
            Some(b'>' | b':' | b'*') => true,
            Some(b'B') => bytes.starts_with(b"BUILD "),
            Some(b'F') => bytes.starts_with(b"FAILURE: "),
            Some(b'0'..=b'9') => {
                memchr::memmem::find(&bytes[..bytes.len().min(80)], b" completed").is_some()
            }
            Some(b' ') => false,
            _ => {
                let end = &bytes[bytes.len().saturating_sub(8)..];
                [b" FAILED".as_slice(), b" PASSED", b"SKIPPED", b"STARTED"]
                    .iter()
                    .any(|word| end.ends_with(word))
            }
        }
    }

    /// Whether it was seen at all.
    pub fn began(&self) -> bool {
        self.began
    }

    /// How many builds or tasks came to their end.
    pub fn ends(&self) -> u64 {
        self.ends
    }

    /// Takes one line.
    pub fn line(&mut self, line: &str) {
        if self.open {
            let inside = line.starts_with("    ") || line.is_empty();
            if inside {
                if let Some(block) = self.blocks.last_mut()
                    && block.body.len() < LONGEST
                {
                    block
                        .body
                        .push_str(line.strip_prefix("    ").unwrap_or(line));
                    block.body.push('\n');
                }
                return;
            }
            // Of a message only the first line is indented.
            let block = self.blocks.last().map_or("", |block| block.body.as_str());
            let short = block.lines().count() == 1 && !block.contains(": ");
            let told = short
                || block.contains(" at ") && block.lines().count() == 1
                || block.contains("\n    at ")
                || block.lines().any(|line| line.is_empty());
            if !told && !line.contains(" > ") && !self.is_own(line) && !block.is_empty() {
                if let Some(block) = self.blocks.last_mut()
                    && block.body.len() < LONGEST
                {
                    block.body.push_str(line);
                    block.body.push('\n');
                }
                return;
            }
            self.open = false;
        }
        self.outside(line);
    }

    fn is_own(&self, line: &str) -> bool {
        let starts = ["> Task ", "BUILD ", "FAILURE: ", ":"];
        starts.iter().any(|start| line.starts_with(start)) || line.contains(" tests completed")
    }

    fn outside(&mut self, line: &str) {
        if let Some(task) = line
            .strip_prefix("> Task ")
            .or(line.strip_prefix(':').filter(|rest| !rest.contains(": ")))
        {
            self.task(task);
        } else if line.starts_with("BUILD SUCCESSFUL") {
            (self.began, self.success) = (true, true);
            self.ends += 1;
        } else if line.starts_with("BUILD FAILED") {
            (self.began, self.failed) = (true, true);
            self.ends += 1;
        } else if line.starts_with("FAILURE: Build ") {
            self.began = true;
        } else if line == "* What went wrong:" {
            self.after_wrong = true;
        } else if self.after_wrong {
            self.wrong(line);
        } else if let Some(tests) =
            number_before(line, " test completed").or(number_before(line, " tests completed"))
        {
            if line.starts_with(|c: char| c.is_ascii_digit()) {
                self.completed(line, tests);
            }
        } else {
            self.test(line);
        }
    }

    fn completed(&mut self, line: &str, tests: u64) {
        let (all, failed, skipped) = self.total.unwrap_or_default();
        self.began = true;
        self.ends += 1;
        self.total = Some((
            all.saturating_add(tests),
            failed.saturating_add(number_before(line, " failed").unwrap_or(0)),
            skipped.saturating_add(number_before(line, " skipped").unwrap_or(0)),
        ));
    }

    fn task(&mut self, task: &str) {
        let name = task.trim_start_matches(':').split(' ').next().unwrap_or("");
        let name = name.rsplit(':').next().unwrap_or("");
        self.began = true;
        self.compile |= name.starts_with("compile") && task.ends_with(" FAILED");
        let idle = [" NO-SOURCE", " UP-TO-DATE", " SKIPPED", " FROM-CACHE"];
        let idle = idle.iter().any(|word| task.ends_with(word));
        if (name == "test" || name.ends_with("Test")) && !name.starts_with("compile") && !idle {
            self.ran = true;
        }
    }

    fn wrong(&mut self, line: &str) {
        let words = line.trim_start_matches(['>', ' ']);
        if line.is_empty() {
            self.after_wrong = false;
        } else if words.starts_with("Process 'Gradle Test Executor") {
            self.died = Some(text::one_line(words));
        } else if words.starts_with("No tests found for given includes")
            || words.contains("did not discover any tests")
        {
            self.none = true;
        } else if self.wrong.is_none()
            || words.starts_with("Compilation failed")
            || self
                .wrong
                .as_deref()
                .is_some_and(|w| w.starts_with("Execution failed"))
        {
            self.wrong = Some(text::one_line(words));
        }
    }

    /// `com.example.FooTest > bar() FAILED`
    fn test(&mut self, line: &str) {
        let Some((title, word)) = line.trim_end().rsplit_once(' ') else {
            return;
        };
        let title = title.trim_end();
        // The console launcher's feed of tests has its own word for it.
        let other = title.ends_with(" ::");
        if !title.contains(" > ") || title.starts_with(['\t', ' ']) || other {
            return;
        }
        let title = own(title);
        match word {
            "FAILED" if self.blocks.len() < MOST => {
                self.began = true;
                self.started = None;
                self.open = true;
                self.blocks.push(Block {
                    title,
                    body: String::new(),
                });
            }
            "PASSED" => {
                self.started = None;
                self.passed += 1;
            }
            "SKIPPED" => {
                self.started = None;
                self.skipped += 1;
            }
            "STARTED" => self.started = Some(title),
            _ => {}
        }
    }

    /// What was read.
    pub fn finish(self, sources: &mut Sources) -> Told {
        let mut told = Told {
            began: true,
            ended: self.success || self.failed,
            died: self.died,
            ..Told::default()
        };
        for block in &self.blocks {
            told.failures.push(block.failure(sources));
        }
        let known = told.failures.len() as u64;
        told.counts = Some((self.passed, known, self.skipped));
        if let Some((tests, failed, skipped)) = self.total {
            told.counts = Some((tests.saturating_sub(failed + skipped), failed, skipped));
            if failed != known {
                told.faults
                    .push(format!("{failed} failures are counted, {known} are told"));
            }
        }
        if let Some(title) = self.started.filter(|_| !told.ended || told.died.is_some()) {
            let (id, class, _) = identity(&title, "");
            told.running.push((id, class));
        }
        told.compile = self.compile;
        told.well = self.success && self.ran;
        if self.failed && told.failures.is_empty() && told.died.is_none() && !self.none {
            told.refused = self.wrong;
        }
        told
    }
}

/// A title without the run and the executor that newer versions put before it.
fn own(title: &str) -> String {
    let parts: Vec<&str> = title.split(" > ").collect();
    let from = parts
        .iter()
        .take_while(|part| {
            part.starts_with("Gradle Test Run ") || part.starts_with("Gradle Test Executor ")
        })
        .count();
    parts[from.min(parts.len() - 1)..].join(" > ")
}

/// Id, class and method of `FooTest > Inner > bar()`: the trace knows the class.
fn identity(title: &str, body: &str) -> (String, String, String) {
    let parts: Vec<&str> = title.split(" > ").collect();
    let (first, rest) = parts
        .split_first()
        .map_or(("", [].as_slice()), |(first, rest)| (*first, rest));
    let simple = first.rsplit('.').next().unwrap_or(first);
    let mut class = first.to_owned();
    let mut from = 0;
    for at in body.lines().filter_map(At::read).filter(|at| !at.foreign()) {
        let outer = at.outer().rsplit('.').next().unwrap_or("");
        if outer != simple.split('$').next().unwrap_or(simple) {
            continue;
        }
        let nested: Vec<&str> = at.class.split('$').skip(1).collect();
        let told = rest
            .iter()
            .zip(&nested)
            .take_while(|(part, name)| part == name)
            .count();
        if first.contains('.') || first.contains('$') {
            from = 0;
        } else {
            class = at.outer().to_owned();
        }
        for name in &rest[..told] {
            class.push('$');
            class.push_str(name);
        }
        from = from.max(told);
        break;
    }
    let method = rest[from.min(rest.len())..].join(" > ");
    let id = match method.as_str() {
        "" => class.clone(),
        method => format!("{class}.{method}"),
    };
    (id, class, method)
}

impl Block {
    fn failure(&self, sources: &mut Sources) -> Failure {
        let (id, class, method) = identity(&self.title, &self.body);
        let body = self.body.trim_end();
        let first = java::first_line(body);
        // The short form: `java.lang.AssertionError at FooTest.java:14`.
        if let Some((thrown, place)) = first.rsplit_once(" at ")
            && let Some((file, line)) = place.rsplit_once(':')
            && let Ok(line) = line.parse::<u32>()
            && !thrown.contains(' ')
        {
            let mut failure = core::of(&id, &class, &method, thrown, sources);
            failure.location = Some(Location {
                file: sources.path(&class, file),
                line: Some(line),
                column: None,
            });
            failure.details = text::block(body, text::DETAILS);
            step(&mut failure, &class, &method, sources);
            return compose::seal(failure);
        }
        let mut failure = core::of(&id, &class, &method, first_thrown(body), sources);
        failure.details = text::block(body, text::DETAILS);
        compose::seal(failure)
    }
}

/// Of several exceptions of one test, as its own and its teardown's, the first.
fn first_thrown(body: &str) -> &str {
    let mut frames = false;
    for (at, _) in body.match_indices("\n\n") {
        let before = body[..at].rsplit('\n').next().unwrap_or("");
        frames |= At::read(before).is_some() || before.trim_start().starts_with("... ");
        let next = body[at + 2..].lines().next().unwrap_or("");
        if frames && !java::split(next).0.is_empty() {
            return &body[..at];
        }
    }
    body
}

/// The short form names no method: the project's file has it, and its annotation tells the phase.
fn step(failure: &mut Failure, class: &str, method: &str, sources: &mut Sources) {
    let Some(Location {
        file,
        line: Some(line),
        ..
    }) = failure.location.clone()
    else {
        return;
    };
    let bare = method.split(['(', '[', ' ']).next().unwrap_or(method);
    let Some(holder) = sources.method_at(&file, line).filter(|at| at != bare) else {
        return;
    };
    let at = At {
        class: class.to_owned(),
        method: holder,
        file: file.rsplit('/').next().unwrap_or(&file).to_owned(),
        line: Some(line),
    };
    let told = sources.annotated(&at);
    let kind = match told.phase {
        Phase::Setup => FailureKind::SetupError,
        Phase::Teardown => FailureKind::TeardownError,
        _ => return,
    };
    (failure.kind, failure.phase, failure.kind_sure) = (kind, told.phase, told.sure);
}
