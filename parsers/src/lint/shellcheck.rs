//! ShellCheck: its text for terminals, and gcc's form. Whatever it says makes it fail.

use crate::cc::digits;
use crate::lint::finding::Finding;
use crate::lint::finding::Level;
use crate::lint::finding::Tool;
use crate::lint::place::Language;
use crate::lint::place::Placed;

/// The line that is spoken of, in the text for terminals.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    file: String,
    row: u32,
    source: Option<String>,
}

/// `In a.sh line 3:`.
pub(crate) fn begins(line: &str) -> Option<Block> {
    let rest = line.strip_prefix("In ")?.strip_suffix(':')?;
    let (file, row) = rest.rsplit_once(" line ")?;
    let (Some(row), "") = digits(row) else {
        return None;
    };
    Some(Block {
        file: file.to_owned(),
        row,
        source: None,
    })
}

impl Block {
    /// Takes a line below: the first is the code, and each with a mark says something.
    pub fn line(&mut self, line: &str) -> Option<Finding> {
        let Some(source) = &self.source else {
            self.source = Some(line.to_owned());
            return None;
        };
        let marks = line.trim_start();
        if !marks.starts_with('^') {
            return None;
        }
        let (_, said) = marks.split_once(" SC")?;
        let (about, message) = said.split_once(": ")?;
        let number = about.split(' ').next()?;
        let column = u32::try_from(line.len() - marks.len() + 1).ok();
        let code = format!("SC{number}");
        let finding = Finding::new(Tool::Shellcheck, Level::Error, &self.file, message);
        let head = format!("In {} line {}:", self.file, self.row);
        Some(
            finding
                .at(Some(self.row), column)
                .coded(&code)
                .with(&head)
                .with(source)
                .with(line),
        )
    }
}

/// Whether a line goes on with the message: what was meant.
pub(crate) fn more(finding: &mut Finding, line: &str) -> bool {
    if line.starts_with("For more information:") || begins(line).is_some() {
        return false;
    }
    let meant = finding
        .lines
        .last()
        .is_some_and(|last| last == "Did you mean:");
    if meant {
        finding.suggest(line);
    } else if !(line.is_empty() || line == "Did you mean:") {
        return false;
    }
    finding.push(line);
    true
}

/// `a.sh:3:6: note: Double quote … [SC2086]`.
pub(crate) fn gcc(at: &Placed<'_>, line: &str) -> Option<Finding> {
    let (_, said) = at
        .rest
        .split_once(": ")
        .filter(|(level, _)| matches!(*level, "note" | "warning" | "error"))?;
    let (message, code) = said.trim_end().strip_suffix(']')?.rsplit_once(" [")?;
    if !code.starts_with("SC") || !matches!(at.language, Language::Shell | Language::Other) {
        return None;
    }
    let finding = Finding::new(Tool::Shellcheck, Level::Error, at.file, message);
    Some(finding.at(Some(at.line), at.column).coded(code).with(line))
}
