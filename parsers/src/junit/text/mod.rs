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
            || first == b'E' && bytes.starts_with(b"Exception in thread");
        if plain && !wanted {
            return;
        }
        let line = seen.shown();
        self.launcher.line(&line);
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
    }

    /// Whether any tool's text was seen.
    pub fn began(&self) -> bool {
        self.launcher.began() || self.maven.began() || self.gradle.began() || self.core.began()
    }

    /// The virtual machine's own last words.
    fn machine(&mut self, line: &str) {
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
    pub fn finish(self, sources: &mut Sources) -> Told {
        let machine = self.virtual_machine.filter(|said| !said.is_empty());
        let mut told = if self.launcher.began() {
            self.launcher.finish(sources)
        } else if self.maven.began() {
            self.maven.finish(sources)
        } else if self.gradle.began() {
            self.gradle.finish(sources)
        } else if self.core.began() {
            self.core.finish(sources)
        } else {
            Told {
                refused: self.launcher.refused(),
                ..Told::default()
            }
        };
        told.died = told.died.or(machine);
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
