//! Programs that look whether files are formatted, and name those that are not: gofmt, black,
//! `ruff format`, Prettier, rustfmt.

use crate::cc::digits;
use crate::lint::finding::Finding;
use crate::lint::finding::Level;
use crate::lint::finding::Tool;
use crate::lint::place;
use crate::lint::place::Language;

/// Which of them has been heard of: what only names files is believed of none else.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    gofmt: bool,
}

impl Heard {
    /// The command itself, or a line in which make or a shell says what it runs.
    pub fn command(&mut self, line: &str) {
        let runs = [
            "gofmt -l",
            "gofmt -s -l",
            "gofmt -d",
            "goimports -l",
            "gofmt -e -l",
        ];
        self.gofmt = runs.iter().any(|words| line.contains(words));
    }

    /// A line that names a file.
    pub fn line(&mut self, line: &str) -> Option<Finding> {
        if self.gofmt {
            let is_go = place::language(line) == Some(Language::Go);
            if is_go && !line.contains([' ', ':', '\t', '"', '\'']) {
                return Some(unformatted(line, "not formatted as gofmt does").with(line));
            }
            self.gofmt = false;
        }
        let black = line.strip_prefix("would reformat ");
        let ruff = line.strip_prefix("Would reformat: ");
        if let Some(file) = black.or(ruff) {
            place::language(file).filter(|kind| *kind == Language::Python)?;
            return Some(unformatted(file, "would be reformatted").with(line));
        }
        if let Some(file) = line.strip_prefix("[warn] ") {
            let script = place::language(file).is_some() && !file.contains(' ');
            return script.then(|| unformatted(file, "not formatted as Prettier does").with(line));
        }
        rustfmt(line)
    }
}

fn unformatted(file: &str, message: &str) -> Finding {
    Finding::new(Tool::Formatter, Level::Error, file, message)
}

/// `Diff in /p/src/lib.rs:3:`, `Diff in /p/src/lib.rs at line 3:`; the difference stands below.
fn rustfmt(line: &str) -> Option<Finding> {
    let rest = line.strip_prefix("Diff in ")?.strip_suffix(':')?;
    let (file, row) = rest
        .rsplit_once(" at line ")
        .or_else(|| rest.rsplit_once(':'))?;
    let (Some(row), "") = digits(row) else {
        return None;
    };
    place::language(file).filter(|kind| *kind == Language::Rust)?;
    let finding = unformatted(file, "not formatted as rustfmt does");
    Some(finding.at(Some(row), None).with(line))
}

/// Whether a line goes on with the message: rustfmt's difference.
pub(crate) fn more(finding: &mut Finding, line: &str) -> bool {
    let diff = finding.line.is_some() && line.starts_with([' ', '+', '-']);
    if diff {
        finding.push(line);
    }
    diff
}
