//! The report of a run of pytest that is told by JUnit files.

use crate::compose;
use crate::compose::Compose;
use crate::junit;
use crate::live::End;
use crate::pytest::PytestRun;
use crate::pytest::block;
use crate::pytest::finish_text::of_broken;
use crate::pytest::place::Place;
use crate::pytest::saved::Saved;
use crate::pytest::stock::Stock;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Report;
use crate::report::Source;

impl PytestRun {
    /// Files whose kind is known only now, and the documents that stand in the log.
    pub(super) fn sort_files(&mut self) {
        for (name, file) in &mut self.files {
            file.end(name);
            if let Saved::Xml(document) = file {
                self.xml.insert(name.clone(), std::mem::take(document));
            }
        }
        if self.xml.is_empty()
            && let Some(document) = self.inline.document()
            && self.fits(document.read(&self.place.context).failures.len() as u64)
        {
            self.xml.insert("log".to_owned(), document);
        }
    }

    /// What a plugin wrote, to a file or into the log.
    pub(super) fn stock(&mut self) -> Option<Stock> {
        let mut found = Stock::default();
        let files = std::mem::take(&mut self.files);
        for file in files.into_values() {
            match file {
                Saved::Lines(bytes) => bytes
                    .split(|byte| *byte == b'\n')
                    .filter(|line| !line.is_empty())
                    .for_each(|line| found.line(line, &mut self.place)),
                Saved::Json(bytes) => {
                    found.document(&bytes, &mut self.place);
                }
                _ => {}
            }
        }
        if found.began {
            return Some(found);
        }
        let mut inline = Stock::default();
        let mut place = self.place.clone();
        self.inline.read(&mut inline, &mut place);
        let failures = inline.failures.len() as u64;
        (inline.began && inline.finished && self.fits(failures)).then(|| {
            self.place = place;
            inline
        })
    }

    /// Whether so many failures are those of the text, if it says how many there are: what
    /// stands in the log may have been printed by a test.
    fn fits(&self, failures: u64) -> bool {
        let session = &self.text.session;
        // Pytest 9 counts a test whose subtests failed besides them.
        let parents = session.named.iter();
        let parents = parents.filter(|named| named.rest.contains(" failed subtest"));
        let parents = parents.count() as u64;
        match self.text.end_of(session) {
            Some(last) => {
                let said = last.failed + last.errors;
                failures == said || failures + parents == said
            }
            None => !session.began,
        }
    }

    pub(super) fn read_stock(mut self, mut compose: Compose, stock: Stock, end: &End) -> Report {
        let (passed, failed, skipped) = stock.tally();
        compose.counts.passed = passed;
        compose.counts.failed = failed;
        compose.counts.skipped = skipped;
        compose.counts.flaky = stock.flaky();
        let running = stock.running().map(str::to_owned);
        let status = stock.status.and_then(|status| i32::try_from(status).ok());
        for failure in stock.failures {
            compose.failure(failure);
        }
        if stock.more > 0 {
            compose.outcome(Outcome::Failed);
        }
        if stock.unreadable > 0 {
            let message = format!("{} records cannot be read", stock.unreadable);
            compose.incomplete(Note::new("report_unreadable", message));
        }
        if let Some(last) = self.text.session.last {
            compose.filtered = last.deselected;
        }
        let broken = self.text.session.broken.take();
        if let Some(broken) = broken.or(self.error_text.session.broken.take()) {
            compose.failed(of_broken(&broken, &self.place));
        }
        if !stock.finished {
            self.text.session.began = true;
            self.text.session.progress.running.extend(running);
            let session = std::mem::take(&mut self.text.session);
            self.no_end(&mut compose, end, &session);
            return compose.finish("pytest", Source::Report, end);
        }
        let own = end.exit.and_then(|exit| exit.code).or(status);
        let session = std::mem::take(&mut self.text.session);
        if own == Some(4) && !compose.has_fault() {
            self.refused(&mut compose);
        } else if !self.stopped(&mut compose, &session, own) {
            self.settle_code(&mut compose, end, own);
        }
        compose.finish("pytest", Source::Report, end)
    }

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
            // Pytest 9 lets a test fail whose subtests did.
            let ids: Vec<String> = read.failures.iter().map(|f| f.id.clone()).collect();
            read.failures.retain(|failure| {
                let alone = ids.iter().filter(|id| **id == failure.id).count() < 2;
                let parent = failure.message.starts_with("contains ")
                    && failure.message.contains(" failed subtest");
                if !alone && parent {
                    read.doubles = read.doubles.saturating_sub(1);
                }
                alone || !parent
            });
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
