//! The documents that linters write as JSON, alone or in a log: ESLint, Biome, Ruff, mypy (one a
//! line), Pyright, Pylint, ShellCheck.

use crate::lint::finding::Finding;
use crate::lint::finding::Level;
use crate::lint::finding::Tool;
use crate::lint::pylint;
use memchr::memmem;
use serde_json::Value;

/// A longer document is not read.
const LONGEST: usize = 16 << 20;
/// What is given up is read as text if it is no longer than this.
const REPLAYED: usize = 64 * 1024;

/// What a line did to a document.
#[derive(Debug)]
pub(crate) enum Step {
    /// It belongs to none.
    Text,
    /// It belongs to one that goes on.
    Inside,
    /// It ends one; what that says.
    Whole(Vec<Finding>),
    /// What was taken for a document is none: its lines are to be read as text.
    NoDocument(Vec<u8>),
}

/// A document that is being collected.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    text: Vec<u8>,
    depth: u32,
    quoted: bool,
    escaped: bool,
    open: bool,
}

impl Documents {
    /// Takes one line.
    pub fn line(&mut self, line: &[u8]) -> Step {
        if !self.open {
            return self.begin(line);
        }
        // Nothing in a document that is written over several lines stands at their beginning
        // but its end; what does is somebody's text.
        let apart = !self.quoted
            && !line.is_empty()
            && !matches!(
                line[0],
                b' ' | b'\t' | b'{' | b'}' | b'[' | b']' | b',' | b'"'
            );
        if apart {
            return self.give_up();
        }
        self.take(line)
    }

    fn begin(&mut self, line: &[u8]) -> Step {
        let begins = match line {
            [b'[' | b'{'] => true,
            [b'[', rest @ ..] => rest.trim_ascii_start().starts_with(b"{\""),
            [b'{', rest @ ..] => rest.trim_ascii_start().starts_with(b"\""),
            _ => false,
        };
        if !begins {
            return Step::Text;
        }
        // Most lines of this kind are whole, and no linter's.
        let whole = matches!(line.last(), Some(b']' | b'}')) && line.len() > 1;
        if whole {
            if !may_tell(line) {
                return Step::Text;
            }
            if let Ok(value) = serde_json::from_slice::<Value>(line) {
                return read(&value, line).map_or(Step::Text, Step::Whole);
            }
        }
        self.open = true;
        self.take(line)
    }

    fn take(&mut self, line: &[u8]) -> Step {
        if self.text.len() + line.len() > LONGEST {
            return self.give_up();
        }
        for byte in line {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.quoted => self.escaped = true,
                b'"' => self.quoted = !self.quoted,
                b'[' | b'{' if !self.quoted => self.depth += 1,
                b']' | b'}' if !self.quoted => {
                    self.depth = self.depth.saturating_sub(1);
                }
                _ => {}
            }
        }
        self.escaped = false;
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
        if self.depth > 0 {
            return Step::Inside;
        }
        let found = serde_json::from_slice::<Value>(&self.text)
            .ok()
            .filter(|_| may_tell(&self.text))
            .and_then(|value| read(&value, &self.text));
        match found {
            Some(found) => {
                *self = Documents::default();
                Step::Whole(found)
            }
            None => self.give_up(),
        }
    }

    /// Whatever is open is no document.
    pub fn give_up(&mut self) -> Step {
        let mut text = std::mem::take(self).text;
        text.truncate(REPLAYED);
        Step::NoDocument(text)
    }
}

/// Whether a document has the words that one of the linters writes; cheap.
fn may_tell(text: &[u8]) -> bool {
    let has = |word: &str| memmem::find(text, word.as_bytes()).is_some();
    has("\"message") && (has("\"severity\"") || has("\"row\"") || has("\"line\""))
        || has("\"generalDiagnostics\"")
        || has("\"messages\"")
}

/// What a document says; nothing if it is none of a linter's.
fn read(value: &Value, text: &[u8]) -> Option<Vec<Finding>> {
    let list = |value: &Value, read: fn(&Value) -> Option<Finding>| -> Option<Vec<Finding>> {
        value.as_array()?.iter().map(read).collect()
    };
    if value["generalDiagnostics"].is_array() && value["summary"].is_object() {
        return list(&value["generalDiagnostics"], pyright);
    }
    if value["comments"].is_array() {
        return list(&value["comments"], shellcheck);
    }
    if value["messages"].is_array() && value["statistics"].is_object() {
        return list(&value["messages"], pylint_message);
    }
    if value["diagnostics"].is_array() && value["summary"].is_object() {
        return list(&value["diagnostics"], biome);
    }
    if value["hint"].is_null() | value["hint"].is_string() && value["severity"].is_string() {
        return mypy(value);
    }
    let first = value.as_array()?.first()?;
    if first["filePath"].is_string() && first["messages"].is_array() {
        return eslint(value);
    }
    if first["filename"].is_string() && first["location"]["row"].is_u64() {
        return list(value, ruff);
    }
    if first["message-id"].is_string() || first["messageId"].is_string() {
        return list(value, pylint_message);
    }
    if first["code"].is_u64() && first["endColumn"].is_u64() && text.first() == Some(&b'[') {
        return list(value, shellcheck);
    }
    None
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|n| u32::try_from(n).ok())
}

/// Counted from 0 where the document counts so.
fn from_zero(value: &Value) -> Option<u32> {
    number(value).map(|n| n.saturating_add(1))
}

fn level(word: &str) -> Level {
    match word {
        "error" | "fatal" => Level::Error,
        _ => Level::Warning,
    }
}

fn eslint(value: &Value) -> Option<Vec<Finding>> {
    let mut found = Vec::new();
    for file in value.as_array()? {
        let path = file["filePath"].as_str()?;
        for message in file["messages"].as_array()? {
            let level = match message["severity"].as_u64() {
                Some(1) => Level::Warning,
                _ => Level::Error,
            };
            let said = message["message"].as_str()?;
            let rule = message["ruleId"].as_str().unwrap_or("");
            let mut finding = Finding::new(Tool::Eslint, level, path, first_line(said))
                .at(number(&message["line"]), number(&message["column"]))
                .coded(rule);
            let (line, column) = (&message["line"], &message["column"]);
            finding.push(&format!("{path}:{line}:{column}: {said}"));
            if let Some(fix) = message["suggestions"][0]["desc"].as_str() {
                finding.suggest(fix);
            }
            found.push(finding);
        }
    }
    Some(found)
}

fn ruff(one: &Value) -> Option<Finding> {
    let (path, said) = (one["filename"].as_str()?, one["message"].as_str()?);
    let code = one["code"].as_str().unwrap_or("");
    let (row, column) = (
        number(&one["location"]["row"]),
        number(&one["location"]["column"]),
    );
    let mut finding = Finding::new(Tool::Ruff, Level::Error, path, first_line(said))
        .at(row, column)
        .coded(code);
    let place = (row.unwrap_or(0), column.unwrap_or(0));
    finding.push(&format!("{path}:{}:{}: {code} {said}", place.0, place.1));
    if let Some(fix) = one["fix"]["message"].as_str() {
        finding.suggest(fix);
    }
    Some(finding)
}

/// One line is one message; a note without a line only says in which function.
fn mypy(one: &Value) -> Option<Vec<Finding>> {
    let (path, said) = (one["file"].as_str()?, one["message"].as_str()?);
    let (row, column) = (one["line"].as_i64()?, one["column"].as_i64()?);
    let word = one["severity"].as_str()?;
    if word == "note" {
        return Some(Vec::new());
    }
    let row = u32::try_from(row).ok();
    let column = u32::try_from(column).ok().map(|column| column + 1);
    let mut finding = Finding::new(Tool::Mypy, level(word), path, first_line(said))
        .at(row, column)
        .coded(one["code"].as_str().unwrap_or(""));
    finding.push(&format!("{path}:{}: {word}: {said}", row.unwrap_or(0)));
    if let Some(hint) = one["hint"].as_str() {
        hint.lines().for_each(|line| finding.push(line));
    }
    Some(vec![finding])
}

fn pyright(one: &Value) -> Option<Finding> {
    let (path, said) = (one["file"].as_str()?, one["message"].as_str()?);
    let start = &one["range"]["start"];
    let mut finding = Finding::new(
        Tool::Pyright,
        level(one["severity"].as_str()?),
        path,
        first_line(said),
    )
    .at(from_zero(&start["line"]), from_zero(&start["character"]))
    .coded(one["rule"].as_str().unwrap_or(""));
    said.lines().for_each(|line| finding.push(line));
    Some(finding)
}

fn pylint_message(one: &Value) -> Option<Finding> {
    let (path, said) = (one["path"].as_str()?, one["message"].as_str()?);
    let code = one["message-id"].as_str().or(one["messageId"].as_str())?;
    let symbol = one["symbol"].as_str()?;
    let words = format!("{} ({symbol})", first_line(said));
    let row = number(&one["line"]);
    let column = from_zero(&one["column"]);
    let mut finding = Finding::new(Tool::Pylint, pylint::level(code), path, &words)
        .at(row, column)
        .coded(code);
    let (line, from) = (&one["line"], &one["column"]);
    finding.push(&format!("{path}:{line}:{from}: {code}: {said} ({symbol})"));
    Some(finding)
}

fn shellcheck(one: &Value) -> Option<Finding> {
    let (path, said) = (one["file"].as_str()?, one["message"].as_str()?);
    let (row, column) = (number(&one["line"]), number(&one["column"]));
    one["level"].as_str()?;
    let code = format!("SC{}", one["code"].as_u64()?);
    let mut finding = Finding::new(Tool::Shellcheck, Level::Error, path, first_line(said))
        .at(row, column)
        .coded(&code);
    let place = (row.unwrap_or(0), column.unwrap_or(0));
    finding.push(&format!("{path}:{}:{}: {said} [{code}]", place.0, place.1));
    Some(finding)
}

/// Biome 2 says line and column, Biome 1 a span of bytes and the source.
fn biome(one: &Value) -> Option<Finding> {
    let place = &one["location"];
    let path = place["path"].as_str().or(place["path"]["file"].as_str());
    let said = match &one["message"] {
        Value::String(said) => said.clone(),
        parts => contents(parts),
    };
    let (row, column) = match number(&place["start"]["line"]) {
        Some(row) => (Some(row), number(&place["start"]["column"])),
        None => spanned(place),
    };
    let word = match one["severity"].as_str()? {
        "fatal" => "error",
        word => word,
    };
    let category = one["category"].as_str().unwrap_or("");
    let mut finding = Finding::new(
        Tool::Biome,
        level(word),
        path.unwrap_or(""),
        first_line(&said),
    )
    .at(row, column)
    .coded(category);
    let place = (row.unwrap_or(0), column.unwrap_or(0));
    finding.push(&format!(
        "{}:{}:{} {category}: {said}",
        path.unwrap_or(""),
        place.0,
        place.1
    ));
    advices(&mut finding, &one["advices"]);
    Some(finding)
}

/// What would mend it.
fn advices(finding: &mut Finding, value: &Value) {
    let list = value.as_array().or(value["advices"].as_array());
    for advice in list.into_iter().flatten() {
        let said = match advice["text"].as_str() {
            Some(said) => said.to_owned(),
            None => contents(&advice["log"][1]),
        };
        if said.is_empty() {
            continue;
        }
        finding.push(&format!("  {said}"));
        if let Some((kind, fix)) = said.split_once(" fix: ")
            && ["Safe", "Unsafe", "Suggested"].contains(&kind)
        {
            finding.suggest(fix);
        }
    }
}

/// Text in pieces, each with a style of its own.
fn contents(parts: &Value) -> String {
    let pieces = parts.as_array().into_iter().flatten();
    pieces.filter_map(|part| part["content"].as_str()).collect()
}

fn spanned(place: &Value) -> (Option<u32>, Option<u32>) {
    let start = place["span"][0]
        .as_u64()
        .and_then(|n| usize::try_from(n).ok());
    let source = place["sourceCode"].as_str();
    let (Some(start), Some(source)) = (start, source) else {
        return (None, None);
    };
    let Some(before) = source.get(..start) else {
        return (None, None);
    };
    let row = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |line| line.chars().count())
        + 1;
    (u32::try_from(row).ok(), u32::try_from(column).ok())
}

fn first_line(text: &str) -> &str {
    text.lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("")
}
