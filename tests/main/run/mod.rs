//! `regreen run` and the verbs around it, on real projects in a real sandbox.

mod cargo;
mod config;
mod facts;
mod interrupt;
mod matrix;
mod pytest;
mod services;
mod setup;
mod verbs;

use crate::support::Project;
use crate::support::Ran;
use regreen::model::Report;
use regreen::model::RunDocument;

/// Runs the project's suites and answers the document besides the run itself.
#[track_caller]
fn document(project: &Project, args: &[&str]) -> (RunDocument, Ran) {
    let words = ["run", "--json"].iter().chain(args);
    let ran = project.regreen(words).run();
    let document: RunDocument =
        serde_json::from_value(ran.json()).unwrap_or_else(|error| panic!("{error}\n{ran}"));
    assert_eq!(ran.code(), Some(i32::from(document.exit_code)), "{ran}");
    (document, ran)
}

/// The only report of a run.
#[track_caller]
fn only(document: &RunDocument) -> &Report {
    assert_eq!(document.reports.len(), 1, "{document:#?}");
    &document.reports[0]
}

/// The codes of a report's notes.
fn codes(report: &Report) -> Vec<&str> {
    report.notes.iter().map(|note| note.code.as_str()).collect()
}

/// Whether a report names this test as failed.
fn blames(report: &Report, id: &str) -> bool {
    report.failures.iter().any(|failure| failure.id == id)
}
