//! How a tool is asked for structure: flags, environment and a reporter of ours, never an edit
//! of the project.
//!
//! [`request`] takes the user's own command and says what is started in its place; whoever runs
//! it puts [`Request::files`] into the directory [`Places::inject`], reads what is written to
//! [`Places::events`] while it grows (`Stream::File`), and after the end reads what
//! [`Request::collect`] names.

use crate::live::Format;

/// Two directories, at the paths by which the command sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places<'a> {
    /// Where [`Request::files`] lie; the command only reads it.
    pub inject: &'a str,
    /// Where events and reports are to be written; empty before the run.
    pub events: &'a str,
}

/// What is started in place of the user's command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables that are set for it; where the suite sets the same one, its value is part of
    /// this one.
    pub env: Vec<(String, String)>,
    /// Name and content of each file that has to lie in [`Places::inject`].
    pub files: Vec<(&'static str, &'static str)>,
    /// Report files that the tool writes by itself: paths relative to the working directory,
    /// with `*` for a part of a name and `**` for any directories. Only files that are newer
    /// than the start count.
    pub collect: Vec<String>,
    /// Why the command is not started at all: it would never end by itself, say.
    pub refused: Option<Refused>,
}

/// Why a command is not started, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// What is the matter.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

impl Request {
    /// The command as it is.
    pub fn plain(argv: &[String]) -> Self {
        Request {
            argv: argv.to_vec(),
            ..Request::default()
        }
    }

    /// With one more variable.
    pub(crate) fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// With one more file.
    pub(crate) fn file(mut self, name: &'static str, content: &'static str) -> Self {
        self.files.push((name, content));
        self
    }
}

/// What the modules of the formats are given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The command, without `env …` before it.
    pub argv: &'a [String],
    /// What the suite itself sets.
    pub own: &'a [(String, String)],
    /// The directories.
    pub places: Places<'a>,
}

impl Asked<'_> {
    /// The value that the suite itself gives a variable.
    pub fn own(&self, name: &str) -> Option<&str> {
        let value = self.own.iter().rev().find(|(known, _)| known == name);
        value.map(|(_, value)| value.as_str())
    }

    /// The words that are options of the tool itself, before any `--`.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.argv
            .iter()
            .map(String::as_str)
            .take_while(|word| *word != "--")
    }

    /// Whether the command has an option, alone or with `=value`.
    pub fn has(&self, option: &str) -> bool {
        self.words().any(|word| {
            word.strip_prefix(option)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    }
}

/// What is started in place of `argv`, so that its output can be read as `format`.
///
/// `own` are the variables that the suite sets itself.
pub fn request(
    format: Format,
    argv: &[String],
    own: &[(String, String)],
    places: Places<'_>,
) -> Request {
    // `env --chdir=web npx jest` is how a rerun names its directory.
    let (before, rest) = argv.split_at(prefix(argv));
    let asked = Asked {
        argv: rest,
        own,
        places,
    };
    let mut request = crate::live::ask(format, &asked);
    request.argv.splice(0..0, before.iter().cloned());
    request
}

/// The argv that starts the tool, without a selection of tests: what a rerun begins with
/// ([`Context::command`](crate::Context::command)). Empty where the tool's usual name will do.
pub fn tool(format: Format, argv: &[String]) -> Vec<String> {
    crate::live::tool(format, &argv[prefix(argv)..])
}

/// How many words at the beginning only say in which directory and with which variables.
fn prefix(argv: &[String]) -> usize {
    let base = argv
        .first()
        .map(|word| word.rsplit('/').next().unwrap_or(word));
    if base != Some("env") {
        return 0;
    }
    let mut at = 1;
    while let Some(word) = argv.get(at) {
        let sets = word
            .split_once('=')
            .is_some_and(|(name, _)| !name.is_empty());
        match word.as_str() {
            "-C" | "--chdir" => at += 2,
            _ if word.starts_with("--chdir=") || (sets && !word.starts_with('-')) => at += 1,
            _ => break,
        }
    }
    // Other options of `env` are not understood, and left alone.
    if at >= argv.len() || argv[at].starts_with('-') {
        return 0;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn only_what_env_does_is_looked_through() {
        for (text, expected) in [
            ("env --chdir=web npx jest", 2),
            ("env -C web A=1 npx jest", 4),
            ("env -i npx jest", 0),
            ("env A=1", 0),
            ("npx jest", 0),
        ] {
            assert_eq!(prefix(&words(text)), expected, "{text}");
        }
    }
}
