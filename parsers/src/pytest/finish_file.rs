//! The report of a run of pytest that is told by JUnit files.

use crate::compose;
use crate::compose::Compose;
use crate::junit;
use crate::live::End;
use crate::pytest::PytestRun;
use crate::pytest::block;
use crate::pytest::place::Place;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Report;
use crate::report::Source;

impl PytestRun {
    /// The report of JUnit files, and of the text where they are not whole.
    pub(super) fn read_xml(mut self, mut compose: Compose, end: &End) -> Report {
        let documents = std::mem::take(&mut self.xml);
        let mut place = self.place.clone();
        if let Some(rootdir) = &self.text.session.rootdir {
            place.set_rootdir(rootdir);
        }
        let mut reads = Vec::new();
        for (name, document) in &documents {
            let mut read = document.read(&place.context);
            for failure in &mut read.failures {
                refine(failure, &place);
            }
            reads.push((name, read));
        }
        let broken = reads.iter().any(|(_, read)| !read.faults.is_empty());
        if broken && self.text.session.last.is_some() {
            return self.read_text(compose, end);
        }
        for (name, read) in &reads {
            junit::add(&mut compose, read, name);
        }
        junit::settle_exit(&mut compose, end, &self.tail, "pytest");
        compose.finish("pytest", Source::Report, end)
    }
}

/// The text of a case is the text of a block.
fn refine(failure: &mut Failure, place: &Place) {
    let Some(details) = failure.details.clone() else {
        return;
    };
    failure.rerun = place.rerun(&failure.id);
    if failure.kind == FailureKind::CollectionError {
        let said = block::read(&details);
        block::fill(failure, &said, place);
        failure.diff = None;
        if !said.class.is_empty() {
            failure.message = block::one_line(&said);
        }
        failure.location = failure.location.take().or(Some(crate::report::Location {
            file: place.path(&failure.id),
            line: None,
            column: None,
        }));
        *failure = compose::seal(failure.clone());
        return;
    }
    let said = block::read(&details);
    (failure.kind, failure.kind_sure) = block::kind(&said, failure.phase);
    failure.message = block::one_line(&said);
    block::fill(failure, &said, place);
    *failure = compose::seal(failure.clone());
}
