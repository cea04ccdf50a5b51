//! Documents of frameworks that have a reader of their own: it knows what their words mean, which
//! of their failures are hooks' or files', and what their diffs compare.
//!
//! A document is read by the walker of every origin first. What that reader says is taken only
//! where it reads the document at all. Of one that breaks off it is given the whole cases.

use crate::compose::Compose;
use crate::context::Context;
use crate::junit::dialect::Dialect;
use crate::junit::document;
use crate::junit::document::Document;
use crate::junit::document::Read;
use crate::junit::xml;
use crate::live;
use crate::live::End;
use crate::live::Format;
use crate::live::Stream;
use crate::report::Outcome;
use crate::report::Report;
use std::collections::BTreeMap;

/// The format of a document, by its beginning; `inline` where it stands in a log.
pub(crate) fn format(head: &str, inline: bool) -> Format {
    let Some(dialect) = document::peek(head) else {
        return Format::Junit;
    };
    match dialect {
        // These find their documents in files only.
        Dialect::Jest | Dialect::Mocha if inline && !head.contains("<testsuite name=\"Mocha") => {
            Format::Junit
        }
        Dialect::Go | Dialect::Nextest | Dialect::Unittest if inline => Format::Junit,
        Dialect::Nextest => Format::Nextest,
        Dialect::Bats => Format::Bats,
        dialect => reader(dialect).unwrap_or(Format::Junit),
    }
}

/// Whether a log is a document that its framework's reader looks for in files only.
pub(crate) fn is_file(format: Format, log: &[u8]) -> bool {
    let files_only = matches!(
        format,
        Format::Jest
            | Format::Mocha
            | Format::GoTest
            | Format::Nextest
            | Format::Minitest
            | Format::Unittest
    );
    let start = log.strip_prefix(b"\xef\xbb\xbf").unwrap_or(log);
    let start = start.trim_ascii_start();
    let known = [&b"<?xml"[..], b"<testsuite"];
    files_only
        && known.iter().any(|known| start.starts_with(known))
        && memchr::memmem::find(&start[..start.len().min(4096)], b"<testsuite").is_some()
}

/// Whose reader reads a dialect better than the one of every origin.
fn reader(dialect: Dialect) -> Option<Format> {
    Some(match dialect {
        Dialect::Pytest => Format::Pytest,
        Dialect::Unittest => Format::Unittest,
        Dialect::Go => Format::GoTest,
        Dialect::Jest => Format::Jest,
        Dialect::Vitest => Format::Vitest,
        Dialect::Mocha => Format::Mocha,
        Dialect::Node => Format::NodeTest,
        Dialect::Gtest => Format::Gtest,
        Dialect::Ctest => Format::Ctest,
        Dialect::Rspec => Format::Rspec,
        Dialect::Bats => Format::Bats,
        _ => return None,
    })
}

/// Gives documents to the readers of their frameworks. What these read is left in `reads` only
/// as far as the document itself is to be judged.
pub(crate) fn read(
    documents: &BTreeMap<String, &Document>,
    reads: &mut [(String, Read)],
    context: &Context,
) -> Vec<Report> {
    let mut formats: Vec<Format> = Vec::new();
    let of = |read: &Read| read.dialect.and_then(reader);
    for (_, read) in reads.iter() {
        formats.extend(of(read).filter(|format| !formats.contains(format)));
    }
    let mut reports = Vec::new();
    for format in formats {
        let own: Vec<&mut (String, Read)> = reads
            .iter_mut()
            .filter(|(_, read)| of(read) == Some(format))
            .collect();
        reports.extend(by(format, own, documents, context));
    }
    reports
}

/// What the reader of a framework says of its documents; nothing where it cannot read them.
fn by(
    format: Format,
    reads: Vec<&mut (String, Read)>,
    documents: &BTreeMap<String, &Document>,
    context: &Context,
) -> Option<Report> {
    let mut adapter = live::open(format, context.clone());
    // There is no text, and nobody is to wait for it.
    adapter.feed(Stream::Log, b"");
    let (mut any, mut failed) = (false, false);
    let mut partial = Vec::new();
    for (name, read) in reads.iter().map(|own| &**own) {
        any |= read.passed + read.skipped > 0 || !read.failures.is_empty();
        failed |= !read.failures.is_empty();
        let document = documents.get(name.as_str())?;
        let mut text = xml::text_of(document.bytes());
        if read.cut {
            partial.extend(read.partial.iter().cloned());
            // Node's document ends with its numbers.
            let end = match format {
                Format::NodeTest => "<!-- duration_ms 0 -->",
                _ => "",
            };
            text = document::mended(&text, end).unwrap_or_default().into();
        }
        // Some know their files by their ends.
        let end = match format {
            Format::Unittest | Format::Bats if !name.ends_with(".xml") => ".xml",
            _ => "",
        };
        adapter.feed(Stream::File(&format!("{name}{end}")), text.as_bytes());
    }
    let mut report = adapter.finish(End::default());
    // Node tells of what may fail, too.
    let blind = failed && report.failures.is_empty() && format != Format::NodeTest;
    if blind || any && report.counts.total == 0 && report.failures.is_empty() {
        return None;
    }
    report.counts.failed += partial.len() as u64;
    report.failures.append(&mut partial);
    for (_, read) in reads {
        *read = Read {
            dialect: read.dialect,
            faults: std::mem::take(&mut read.faults),
            ..Read::default()
        };
    }
    Some(report)
}

/// Adds such a report.
pub(crate) fn add(compose: &mut Compose, report: Report) {
    // That tests failed, the failures say.
    if report.outcome != Outcome::Failed {
        compose.outcome_of(&report);
    }
    compose.lay_in(report);
}
