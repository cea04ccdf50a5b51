//! Reads one layer: text to [`Layer`], with file, line, column and the nearest known key in
//! every complaint.

use crate::config::ConfigError;
use crate::config::Layer;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use toml::de::DeTable;
use toml::de::DeValue;

/// The name of a project's configuration file, at the top of its worktree.
pub const PROJECT_FILE: &str = "regreen.toml";

/// Configuration files above this size are refused.
pub const MAX_FILE: u64 = 1 << 20;

/// Reads a layer from the text of `file`.
pub fn layer(file: &Path, text: &str) -> Result<Layer, ConfigError> {
    toml::from_str(text).map_err(|error| wrong(file, text, &error))
}

/// Reads the user's own file, if there is one.
pub fn user_text(path: &Path) -> Result<Option<String>, ConfigError> {
    text_of(path, OFlags::empty())
}

/// Reads a project's file, if there is one. It is untrusted: a link in its place is refused.
pub fn project_text(path: &Path) -> Result<Option<String>, ConfigError> {
    text_of(path, OFlags::NOFOLLOW)
}

/// What is no regular file or too large is an error; a FIFO does not block.
fn text_of(path: &Path, flags: OFlags) -> Result<Option<String>, ConfigError> {
    let unreadable = |source: std::io::Error| ConfigError::Unreadable {
        file: path.to_owned(),
        source,
    };
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => std::fs::File::from(fd),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(Errno::LOOP) => {
            return Err(unreadable(std::io::Error::other("it is a symbolic link")));
        }
        Err(error) => return Err(unreadable(error.into())),
    };
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(unreadable(std::io::Error::other("it is no regular file")));
    }
    let mut text = String::new();
    file.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE {
        return Err(unreadable(std::io::Error::other("it is larger than 1 MiB")));
    }
    Ok(Some(text))
}

/// The complaint about a text that is no configuration.
fn wrong(file: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let (line, column) = error.span().map_or((1, 1), |span| place(text, span.start));
    let (message, hint) = explain(error.message());
    ConfigError::Wrong {
        file: file.to_owned(),
        line,
        column,
        message,
        hint,
    }
}

/// Turns serde's words about an unknown key or value into ours, with a suggestion.
pub fn explain(message: &str) -> (String, Option<String>) {
    let unknown = ["field", "variant"].iter().find_map(|what| {
        let rest = message.strip_prefix(&format!("unknown {what} `"))?;
        let (name, rest) = rest.split_once('`')?;
        let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        Some((*what, name, known))
    });
    let Some((what, name, known)) = unknown else {
        return (message.trim().replace('\n', "; "), None);
    };
    let what = if what == "field" { "key" } else { "value" };
    let hint = match nearest(name, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    };
    (format!("unknown {what} `{name}`"), Some(hint))
}

/// The known word that `name` is most likely a slip of.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|word| (strsim::jaro_winkler(name, word), *word))
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

/// Line and column, counted from 1, of a byte offset.
pub fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    (line, column)
}

/// The line on which a dotted key stands in a text that was read before; `suite.0.timeout`
/// names an element of a list.
pub fn line_of(text: &str, key: &str) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let mut found = None;
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        let (name, value) = table.iter().find(|(name, _)| name.get_ref() == part)?;
        found = Some(name.span().start);
        let mut value = value.get_ref();
        if let DeValue::Array(items) = value
            && let Some(index) = parts.peek().and_then(|part| part.parse::<usize>().ok())
        {
            parts.next();
            let item = items.get(index)?;
            found = Some(item.span().start);
            value = item.get_ref();
        }
        if let DeValue::Table(inner) = value {
            table = inner;
        }
    }
    found.map(|offset| place(text, offset).0)
}

/// Where a project keeps its configuration.
pub fn project_file(root: &Path) -> PathBuf {
    root.join(PROJECT_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_keys() {
        let text = "trigger = 'save'\n[limits]\ntimeout = '1m'\n\n[[suite]]\nname = 'a'\n[[suite]]\nname = 'b'\ntimeout = '2m'\n";
        assert_eq!(line_of(text, "trigger"), Some(1));
        assert_eq!(line_of(text, "limits.timeout"), Some(3));
        assert_eq!(line_of(text, "suite.1.timeout"), Some(9));
        assert_eq!(line_of(text, "suite.1.silence"), None);
        assert_eq!(line_of(text, "suite.7"), None);
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(place("a\nüb", 4), (2, 2));
        assert_eq!(place("", 9), (1, 1));
    }
}
