//! The texts of the Java world: the console launcher's, Maven's, Gradle's, JUnit 4's own.

pub(crate) mod core;
pub(crate) mod gradle;
pub(crate) mod launcher;
pub(crate) mod maven;

use crate::javac;
use crate::junit::sources::Sources;
use crate::lines::Seen;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Phase;

/// The most that is kept of what ended the main thread, in bytes.
const MOST_FATAL: usize = 64 * 1024;

/// What the texts say together.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// What failed.
    pub failures: Vec<Failure>,
    /// Passed, failed, skipped, by the tool's own count.
    pub counts: Option<(u64, u64, u64)>,
    /// Tests that passed after they had failed.
    pub flaky: u64,
    /// Whether the tool came to its end.
    pub ended: bool,
    /// Whether a tool's text was seen at all.
    pub began: bool,
    /// Whether it says that it ended well without counting the tests.
    pub well: bool,
    /// Every test stands in the tool's files, if there are any.
    pub all_in_files: bool,
    /// What looks like an earlier run in the same text failed; a test may have printed it.
    pub earlier_failed: bool,
    /// Why it is not to be believed.
    pub faults: Vec<String>,
    /// Why nothing was begun.
    pub refused: Option<String>,
    /// Who was running when it broke off: id, class, message where the tool has one.
    pub running: Vec<(String, String)>,
    /// The tool says that something did not compile.
    pub compile: bool,
    /// The tool's own word that the process of the tests died.
    pub died: Option<String>,
    /// What ended the main thread, with its trace.
    pub fatal: Option<String>,
}

impl Told {
    /// Counts what is told as it happens.
    fn add(&mut self, more_passed: u64, more_skipped: u64) {
        let (passed, failed, skipped) = self.counts.unwrap_or_default();
        self.counts = Some((passed + more_passed, failed, skipped + more_skipped));
    }
}

/// Reads all of them line by line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    launcher: launcher::Reader,
    maven: maven::Reader,
    gradle: gradle::Reader,
    core: core::Reader,
    /// What the compilers said.
    pub javac: javac::Reader,
    virtual_machine: Option<String>,
    fatal: String,
    in_fatal: bool,
    /// How many lines mattered, and which of them each tool began and ended with.
    lines: u64,
    spans: [Span; 4],
    /// The console launcher's first words: how many times, and where last.
    banners: (u64, u64),
}

/// Where a tool's own text begins and where it last came to an end; 0 if nowhere.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    began: u64,
    /// It said so itself that it begins.
    started: u64,
    ended: u64,
    ends: u64,
}

impl Reader {
    /// Takes one line.
    pub fn line(&mut self, seen: &Seen<'_>) {
        let bytes = seen.bytes;
        let first = bytes.first().copied().unwrap_or(b'\n');
        let plain = !matches!(first, 0x1b);
        let wanted = self.launcher.wants(bytes)
            || self.maven.wants(bytes)
            || self.gradle.wants(bytes)
            || self.core.wants(bytes)
            || self.javac.wants(bytes)
            || first == b'#'
            || self.in_fatal
            || first == b'E' && bytes.starts_with(b"Exception in thread");
        if plain && !wanted {
            return;
        }
        let line = seen.shown();
        self.launcher.line(&line);
        self.mark();
        // The tree has a line for each test, and says nothing to the others.
        let bytes = line.as_bytes();
        let others = self.maven.wants(bytes) || self.gradle.wants(bytes) || self.core.wants(bytes);
        if launcher::is_tree(&line) && !others && !self.javac.wants(bytes) {
            return;
        }
        self.maven.line(&line);
        self.gradle.line(&line);
        self.core.line(&line);
        self.javac.line(&line);
        self.machine(&line);
        self.mark();
    }

    /// Remembers where each tool's text begins and ends.
    fn mark(&mut self) {
        self.lines += 1;
        if self.launcher.banners() > self.banners.0 {
            self.banners = (self.launcher.banners(), self.lines);
        }
        let now = [
            (
                self.launcher.began(),
                self.launcher.started(),
                self.launcher.ends(),
            ),
            (self.maven.began(), self.maven.started(), self.maven.ends()),
            (self.gradle.began(), false, self.gradle.ends()),
            (self.core.began(), false, self.core.ends()),
        ];
        for (span, (began, started, ends)) in self.spans.iter_mut().zip(now) {
            let first = |known: u64, is: bool| match known {
                0 if is => self.lines,
                known => known,
            };
            span.began = first(span.began, began);
            span.started = first(span.started, started);
            if ends > span.ends {
                (span.ends, span.ended) = (ends, self.lines);
            }
        }
    }

    /// The tool whose text it is; what looks like another's was printed by a test. The outermost
    /// ends last, or began first if it does not end.
    fn tool(&self) -> Option<usize> {
        // The launcher has nothing to say of a run that went well with `--details=none`.
        let banner = self.banners.1;
        let around = |span: &Span| span.began < banner && span.ended > banner;
        let silent = banner > 0 && !self.launcher.began() && !self.maven.started();
        if silent && !self.spans[1..].iter().any(around) {
            return None;
        }
        let spans = || {
            self.spans
                .iter()
                .enumerate()
                .filter(|(_, span)| span.began > 0)
        };
        let outer = spans()
            .filter(|(_, span)| span.started > 0)
            .min_by_key(|(_, span)| span.started);
        let ended = spans().filter(|(_, span)| span.ended > 0);
        let last = ended.max_by_key(|(_, span)| span.ended);
        let first = spans().min_by_key(|(_, span)| span.began);
        let broken = outer.filter(|(_, span)| {
            span.ended == 0 && spans().all(|(_, other)| other.began >= span.started)
        });
        broken.or(last).or(outer).or(first).map(|(tool, _)| tool)
    }

    /// Whether any tool's text was seen.
    pub fn began(&self) -> bool {
        self.launcher.began() || self.maven.began() || self.gradle.began() || self.core.began()
    }

    /// The virtual machine's own last words.
    fn machine(&mut self, line: &str) {
        if let Some(thrown) = line.strip_prefix("Exception in thread \"main\" ") {
            self.in_fatal = true;
            self.fatal = format!("{thrown}\n");
        } else if self.in_fatal {
            self.in_fatal = line.starts_with(['\t', ' ']) || line.starts_with("Caused by: ");
            if self.in_fatal && self.fatal.len() < MOST_FATAL {
                self.fatal.push_str(line);
                self.fatal.push('\n');
            }
        }
        if self.virtual_machine.is_some() && self.virtual_machine.as_deref() != Some("") {
            return;
        }
        if line.starts_with("# A fatal error has been detected by the Java Runtime Environment") {
            self.virtual_machine = Some(String::new());
        } else if line.starts_with("# There is insufficient memory for the Java Runtime") {
            self.virtual_machine = Some(line.trim_start_matches("# ").to_owned());
        } else if self.virtual_machine.is_some() {
            let said = line.trim_start_matches('#').trim();
            if said.starts_with("SIG") || said.starts_with("Internal Error") {
                self.virtual_machine = Some(format!("the Java virtual machine crashed: {said}"));
            }
        }
    }

    /// What was read.
    pub fn finish(mut self, sources: &mut Sources) -> Told {
        let machine = self.virtual_machine.take();
        let machine = machine.filter(|said| !said.is_empty());
        let mut told = match self.tool() {
            Some(0) => self.launcher.finish(sources),
            Some(1) => self.maven.finish(sources),
            Some(2) => self.gradle.finish(sources),
            Some(_) => self.core.finish(sources),
            None => Told {
                refused: self.launcher.refused(),
                ..Told::default()
            },
        };
        told.died = told.died.or(machine);
        told.fatal = Some(self.fatal).filter(|fatal| !fatal.is_empty());
        told
    }
}

/// A failure of the tool's session that belongs to no test.
pub(crate) fn of_session(id: &str, kind: FailureKind, message: &str) -> Failure {
    let mut failure = crate::compose::failure(id, kind, Phase::Session, message);
    failure.kind_sure = kind != FailureKind::ExitNonzero;
    crate::compose::seal(failure)
}

/// The number before a word: `3 tests`.
pub(crate) fn number_before(text: &str, word: &str) -> Option<u64> {
    let at = text.find(word)?;
    let digits = text[..at]
        .trim_end()
        .rsplit(|c: char| !c.is_ascii_digit())
        .next()?;
    digits.parse().ok()
}

/// The number behind a word: `Failures: 3`.
pub(crate) fn number_after(text: &str, word: &str) -> Option<u64> {
    let rest = text[text.find(word)? + word.len()..].trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit());
    rest[..end.unwrap_or(rest.len())].parse().ok()
}

#[cfg(test)]
mod tests;
