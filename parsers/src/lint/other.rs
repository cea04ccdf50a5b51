//! Whoever else names a place, a level and a message: `a.swift:3:5: error: …`,
//! `Program.cs(3,5): error CS0103: …`, `a.yml:3:5: [error] … (rule)`, `a.rb:3:5: C: Style/X: …`,
//! and what GitHub's runner is told: `::error file=a.js,line=3,col=5::…`.

use crate::lint::finding::Finding;
use crate::lint::finding::Level;
use crate::lint::finding::Tool;
use crate::lint::place;
use crate::lint::place::Language;
use crate::lint::place::Placed;

/// A message.
pub(crate) fn head(at: &Placed<'_>, line: &str) -> Option<Finding> {
    // Their own readers know better where a message of these ends.
    if matches!(at.language, Language::C | Language::Jvm | Language::Rust) && !at.brackets {
        return None;
    }
    let (level, code, message) = levelled(at.rest)
        .or_else(|| yamllint(at.rest))
        .or_else(|| rubocop(at))?;
    let finding = Finding::new(Tool::Other, level, at.file, message);
    Some(finding.at(Some(at.line), at.column).coded(code).with(line))
}

/// `error: …`, `fatal error: …`, `error CS0103: …`, `ERROR [rule]: …`.
fn levelled(text: &str) -> Option<(Level, &str, &str)> {
    let words = [
        ("fatal error", Level::Error),
        ("error", Level::Error),
        ("warning", Level::Warning),
    ];
    let (level, rest) = words.iter().find_map(|(word, level)| {
        let head = text.get(..word.len())?;
        head.eq_ignore_ascii_case(word)
            .then(|| (*level, &text[word.len()..]))
    })?;
    let (code, message) = rest.split_once(':')?;
    let code = code.trim().trim_matches(['[', ']']);
    let coded = code
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/' | b'.'));
    let message = message.trim();
    (coded && !message.is_empty()).then_some((level, code, message))
}

/// `[error] trailing spaces (trailing-spaces)`.
fn yamllint(text: &str) -> Option<(Level, &str, &str)> {
    let (level, rest) = match text.strip_prefix('[')?.split_once("] ")? {
        ("error", rest) => (Level::Error, rest),
        ("warning", rest) => (Level::Warning, rest),
        _ => return None,
    };
    match rest.trim_end().strip_suffix(')')?.rsplit_once(" (") {
        Some((message, rule)) if !rule.contains(' ') => Some((level, rule, message)),
        _ => None,
    }
}

/// `C: [Correctable] Style/StringLiterals: Prefer …`. Whatever it says makes it fail.
fn rubocop<'a>(at: &Placed<'a>) -> Option<(Level, &'a str, &'a str)> {
    let (letter, rest) = at.rest.split_once(": ")?;
    let ruby = at.file.ends_with(".rb") || at.file.ends_with(".rake");
    if !ruby || !matches!(letter, "C" | "W" | "E" | "F" | "R" | "I") {
        return None;
    }
    let rest = rest.strip_prefix("[Correctable] ").unwrap_or(rest);
    let (rule, message) = rest.split_once(": ")?;
    (rule.contains('/') && !rule.contains(' ')).then_some((Level::Error, rule, message))
}

/// `::error title=rule,file=src/a.js,line=3,col=5::message`.
pub(crate) fn github(line: &str) -> Option<Finding> {
    let rest = line.strip_prefix("::")?;
    let (level, rest) = match rest.split_once(' ')? {
        ("error", rest) => (Level::Error, rest),
        ("warning", rest) => (Level::Warning, rest),
        _ => return None,
    };
    let (about, message) = rest.split_once("::")?;
    let named = |name: &str| {
        about
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value)
    };
    let file = named("file")?;
    place::language(file)?;
    let number = |name| named(name).and_then(|value| value.parse().ok());
    let message = message
        .replace("%0A", "\n")
        .replace("%0D", "")
        .replace("%25", "%");
    let finding = Finding::new(
        Tool::Pylint,
        level,
        file,
        message.lines().next().unwrap_or(""),
    );
    let code = named("title")
        .filter(|title| !title.contains(' '))
        .unwrap_or("");
    Some(
        finding
            .at(number("line"), number("col"))
            .coded(code)
            .with(line),
    )
}
