//! Brings report files and text together: each file tells what one start of a binary came to,
//! the text what its files lose.
//!
//! A file is the text's own if the same tests failed in both. Then its assertions count, which
//! nothing that a test prints can blur, and the text adds what was printed and what failed
//! outside of tests.

use crate::gtest::document::Document;
use crate::gtest::document::Read;
use crate::gtest::program::Case;
use crate::gtest::program::Program;
use std::collections::BTreeMap;

/// What report files say.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// The programs, with the name of their binary.
    pub programs: Vec<Program>,
    /// What could not be read, and why.
    pub broken: Vec<String>,
}

/// Reads all report files of GoogleTest.
pub(crate) fn read(files: &BTreeMap<String, Document>) -> Files {
    let mut found = Files::default();
    for (name, document) in files {
        match document.read() {
            Read::Program(mut program) => {
                program.binary = Some(binary(name));
                found.programs.push(*program);
            }
            Read::Broken(why) => found.broken.push(format!("`{name}`: {why}")),
            Read::Other => {}
        }
    }
    found
}

/// `unit_3.json` is the fourth file of the binary `unit`.
fn binary(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    let stem = last.rsplit_once('.').map_or(last, |(stem, _)| stem);
    match stem.rsplit_once('_') {
        Some((stem, number)) if !stem.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
            stem.to_owned()
        }
        _ => stem.to_owned(),
    }
}

/// One program of a file and one of the text: are they the same?
pub(crate) fn fits(file: &Program, text: &Program) -> bool {
    if file.failed_ids() != text.failed_ids() && sorted(file) != sorted(text) {
        return false;
    }
    text.ended
        && text
            .announced
            .is_some_and(|tests| tests + text.disabled >= file.total())
        && (file.passed, file.skipped) == (text.passed, text.skipped)
}

fn sorted(program: &Program) -> Vec<&str> {
    let mut ids = program.failed_ids();
    ids.sort_unstable();
    ids
}

/// The program of both: the file's assertions, the text's output.
pub(crate) fn both(file: Program, text: Program) -> Program {
    let mut known: BTreeMap<String, Case> = BTreeMap::new();
    for case in text.failed {
        known.insert(case.id.clone(), case);
    }
    let mut program = file;
    for case in &mut program.failed {
        if let Some(other) = known.remove(&case.id) {
            case.output = other.output;
            case.ms = other.ms.or(case.ms);
        }
    }
    if !text.outside.is_empty() {
        program.outside = text.outside;
    }
    program.rest = text.rest;
    program.repeat = text.repeat;
    program.filter = text.filter;
    program.faults.extend(text.faults);
    program.disabled = program.disabled.max(text.disabled);
    program
}

/// Whether a test of the text has more to say than the same test of a file.
impl Program {
    /// How many tests it has an answer for.
    pub fn total(&self) -> u64 {
        self.passed + self.skipped + self.failed.len() as u64 + self.more
    }
}

/// The programs of files and text together. What fits neither stays as it is.
pub(crate) fn all(files: Files, texts: Vec<Program>) -> (Vec<Program>, Vec<String>) {
    let mut faults = files.broken;
    let mut left: Vec<Option<Program>> = files.programs.into_iter().map(Some).collect();
    let mut programs = Vec::new();
    let mut alone = Vec::new();
    for text in texts {
        let fitting = left
            .iter()
            .position(|file| file.as_ref().is_some_and(|file| fits(file, &text)));
        match fitting.and_then(|at| left[at].take()) {
            Some(file) => programs.push(both(file, text)),
            None => alone.push(text),
        }
    }
    let rest: Vec<Program> = left.into_iter().flatten().collect();
    // Iterations of `--gtest_repeat` share one file, which has the last.
    let repeated = alone.iter().chain(&programs).any(|program| program.repeat);
    let crossed = !rest.is_empty() && alone.iter().any(|text| text.ended && text.total() > 0);
    if crossed && !repeated {
        faults.push("the report file and the text do not tell the same".to_owned());
        // The file is GoogleTest's alone; anybody may print.
        alone.retain(|text| !text.ended);
    }
    programs.extend(rest);
    programs.extend(alone);
    (programs, faults)
}
