//! GoogleTest's files of one run of CTest: which file is which test's.
//!
//! CTest names no file. A test whose output is shown is matched by what failed; a test with a
//! file of its own by its name; a whole binary by its own name. What is left is told once.

use crate::gtest::document::Document;
use crate::gtest::merge;
use crate::gtest::program::Program;
use std::collections::BTreeMap;

/// The files that belong to nobody yet.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    left: Vec<Option<Program>>,
    /// What could not be read.
    pub broken: Vec<String>,
}

impl Pool {
    /// Reads all of them.
    pub fn read(files: &BTreeMap<String, Document>) -> Pool {
        let read = merge::read(files);
        Pool {
            left: read.programs.into_iter().map(Some).collect(),
            broken: read.broken,
        }
    }

    /// Adds what the files know to what a test printed.
    pub fn enrich(&mut self, programs: Vec<Program>, name: &str) -> Vec<Program> {
        let fits = |file: &Option<Program>, text: &Program| {
            file.as_ref().is_some_and(|file| merge::fits(file, text))
        };
        programs
            .into_iter()
            .map(|text| {
                let of_name = |file: &Option<Program>| {
                    let binary = file.as_ref().and_then(|file| file.binary.as_deref());
                    binary.is_some_and(|binary| name.contains(binary))
                };
                let named = self
                    .left
                    .iter()
                    .position(|file| of_name(file) && fits(file, &text));
                let at = named.or_else(|| self.left.iter().position(|file| fits(file, &text)));
                match at.and_then(|at| self.left[at].take()) {
                    Some(file) => merge::both(file, text),
                    None => text,
                }
            })
            .collect()
    }

    /// The file of a failed test that printed nothing which is known.
    pub fn of_failed(&mut self, name: &str) -> Option<Program> {
        let exact = |file: &Program| file.total() == 1 && same(file, |id| id == name);
        let parameter = |file: &Program| {
            let stem = |text: &str| text.rsplit_once('/').map(|(stem, _)| stem.to_owned());
            file.total() == 1 && same(file, |id| stem(id).is_some() && stem(id) == stem(name))
        };
        let binary = |file: &Program| {
            let of = file.binary.as_deref().unwrap_or("");
            file.has_failures() && file.total() != 1 && of == name
        };
        let like = |file: &Program| {
            let of = file.binary.as_deref().unwrap_or("");
            file.has_failures() && (is_part(name, of) || is_part(of, name))
        };
        self.take(exact)
            .or_else(|| self.take(parameter))
            .or_else(|| self.take(binary))
            .or_else(|| self.take(like))
    }

    /// The file of a passed test: it tells how many tests there were in it.
    pub fn of_passed(&mut self, name: &str) -> Option<Program> {
        self.take(|file| {
            let of = file.binary.as_deref().unwrap_or("");
            !file.has_failures() && file.total() > 1 && (of == name || is_part(name, of))
        })
    }

    fn take(&mut self, wanted: impl Fn(&Program) -> bool) -> Option<Program> {
        let at = self
            .left
            .iter()
            .position(|file| file.as_ref().is_some_and(&wanted))?;
        self.left[at].take()
    }

    /// The files with failures that are nobody's.
    pub fn rest(&mut self) -> Vec<Program> {
        let left = std::mem::take(&mut self.left).into_iter().flatten();
        left.filter(Program::has_failures).collect()
    }
}

/// Whether one name begins or ends with the other one as a word: `unit_fast`, `run-unit`.
fn is_part(name: &str, part: &str) -> bool {
    let edge = |c: char| !c.is_alphanumeric();
    let before = name
        .strip_prefix(part)
        .is_some_and(|rest| rest.starts_with(edge));
    let after = name
        .strip_suffix(part)
        .is_some_and(|rest| rest.ends_with(edge));
    !part.is_empty() && (before || after)
}

fn same(file: &Program, is: impl Fn(&str) -> bool) -> bool {
    file.failed.len() == 1 && file.failed.iter().all(|case| is(&case.id))
}
