//! Lays streams of TAP into a report.

use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Note;
use crate::tap::failure;
use crate::tap::level::Case;
use crate::tap::level::Level;
use crate::tap::perl::Block;
use crate::tap::perl::Diagnostics;
use crate::tap::token::Directive;

/// Between the titles of a path.
pub(crate) const SEPARATOR: &str = " > ";

/// What a stream came to besides its tests.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Why the number of tests is wrong.
    pub mismatch: Option<String>,
    /// Results that are not believed.
    pub passed_over: usize,
    /// Tests that were expected to fail and passed.
    pub bonus: u64,
    /// How many failed.
    pub failed: u64,
    /// How many results of the outermost level there are.
    pub seen: u32,
}

/// Lays a stream into a report.
#[derive(Debug)]
pub(crate) struct Teller<'a> {
    pub compose: &'a mut Compose,
    pub diagnostics: &'a mut Diagnostics,
    pub context: &'a Context,
    /// The file that the stream is of.
    pub file: Option<&'a str>,
    /// How each of its tests is run again.
    pub rerun: Vec<String>,
    pub told: Told,
}

impl Teller<'_> {
    /// Tells the whole stream.
    pub fn stream(mut self, level: &Level) -> Told {
        let believed = level.believed();
        self.told.mismatch = believed.mismatch;
        self.told.passed_over = believed.passed_over;
        self.told.seen =
            u32::try_from(believed.cases.len() as u64 + level.more).unwrap_or(u32::MAX);
        self.compose.counts.passed += level.more;
        if level.plan == Some(0) && level.cases.is_empty() {
            self.compose.counts.skipped += u64::from(level.skip_all.is_some());
        }
        for case in believed.cases {
            self.case(case, &mut Vec::new(), None);
        }
        self.told
    }

    fn case(&mut self, case: &Case, path: &mut Vec<String>, outer: Option<&Block>) {
        if let Some(directive) = case.directive {
            self.told.bonus += u64::from(case.ok && directive == Directive::Todo);
            match case.ok && directive == Directive::Todo {
                true => self.compose.counts.passed += 1,
                false => self.compose.counts.skipped += 1,
            }
            return;
        }
        let detail = case.detail.as_deref();
        let children = detail.and_then(|detail| detail.children.as_ref());
        if case.ok && children.is_none() {
            self.compose.counts.passed += 1;
            return;
        }
        path.push(match case.name() {
            "" => case.number.to_string(),
            name => name.to_owned(),
        });
        self.with_children(case, children, path, outer);
        path.pop();
    }

    fn with_children(
        &mut self,
        case: &Case,
        children: Option<&Level>,
        path: &mut Vec<String>,
        outer: Option<&Block>,
    ) {
        let block = match outer {
            Some(outer) => outer
                .children
                .iter()
                .find(|block| block.name == case.name())
                .cloned(),
            None if case.failed() => self.diagnostics.take(case.name(), self.file),
            None => None,
        };
        let before = self.told.failed;
        let mut mismatch = None;
        if let Some(level) = children {
            let believed = level.believed();
            mismatch = believed.mismatch;
            self.told.passed_over += believed.passed_over;
            for case in believed.cases {
                self.case(case, path, block.as_ref());
            }
            // A suite without tests is a test.
            if case.ok && level.cases.is_empty() {
                self.compose.counts.passed += 1;
            }
        }
        if !case.failed() || self.told.failed > before {
            return;
        }
        let Some(detail) = case.detail.as_deref() else {
            return;
        };
        // Only a block of YAML may tell of more than a failed test.
        if self.compose.is_full() && mismatch.is_none() && detail.yaml.is_empty() {
            self.told.failed += 1;
            self.compose.unlisted();
            return;
        }
        let id = path.join(SEPARATOR);
        let mut failure = failure::of(&id, detail, block.as_ref(), self.context);
        if let Some(why) = mismatch {
            failure.kind = FailureKind::PlanMismatch;
            failure.kind_sure = true;
            failure.message = why;
        }
        self.failed(failure);
    }

    fn failed(&mut self, mut failure: Failure) {
        failure.target = self.file.map(str::to_owned);
        failure.rerun.clone_from(&self.rerun);
        self.told.failed += 1;
        self.compose.failed(compose::seal(failure));
    }
}

/// What is said about results that are not believed, and about tests that passed although
/// they were expected to fail.
pub(crate) fn remarks(compose: &mut Compose, told: &Told, file: Option<&str>) {
    let of = file.map(|file| format!(" of {file}")).unwrap_or_default();
    if told.passed_over > 0 {
        compose.incomplete(compose::inconsistent(format!(
            "{} results{of} do not fit its plan or its numbers and are passed over",
            told.passed_over
        )));
    }
    if told.bonus > 0 {
        let message = format!("{} tests{of} that are marked as TODO passed", told.bonus);
        compose.note(Note::new("todo_passed", message));
    }
}
