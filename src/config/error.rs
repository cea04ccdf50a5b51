//! What can be wrong with a configuration, said with file, line, column and remedy.

use crate::config::Layer;
use crate::config::Matrix;
use crate::config::ReadyTable;
use crate::config::SuiteTable;
use crate::config::command;
use crate::config::read;
use crate::model::Framework;
use std::path::Path;
use std::path::PathBuf;

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("failed to read `{}`", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("failed to write `{}`", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file says something that is not understood.
    #[error("`{}`, line {line}, column {column}: {message}{}", file.display(), hinted(hint))]
    Wrong {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
        /// What is wrong.
        message: String,
        /// What was probably meant.
        hint: Option<String>,
    },
    /// A variable or flag has a value that is not understood.
    #[error("`{name}`: {message}{}", hinted(hint))]
    Value {
        /// The variable or flag.
        name: String,
        /// What is wrong.
        message: String,
        /// What was probably meant.
        hint: Option<String>,
    },
}

fn hinted(hint: &Option<String>) -> String {
    hint.as_ref()
        .map_or(String::new(), |hint| format!("; {hint}"))
}

/// A key that stands in the wrong file.
pub fn misplaced(file: &Path, text: &str, key: &str) -> ConfigError {
    at(
        file,
        text,
        key,
        format!("`{key}` belongs in the regreen.toml of a project, not in the user's file"),
    )
}

fn at(file: &Path, text: &str, key: &str, message: String) -> ConfigError {
    ConfigError::Wrong {
        file: file.to_owned(),
        line: read::line_of(text, key).unwrap_or(1),
        column: 1,
        message,
        hint: None,
    }
}

/// Checks what the types cannot: names, and paths that have to lie in the project.
pub fn check(file: &Path, text: &str, layer: &Layer) -> Result<(), ConfigError> {
    let suites = layer.suite.as_deref().unwrap_or_default();
    for (index, suite) in suites.iter().enumerate() {
        let key = format!("suite.{index}");
        if suite.name.is_empty() || suite.name.chars().any(|c| c.is_whitespace() || c == '/') {
            let message = format!(
                "`{}` is no name of a suite; use letters and digits",
                suite.name
            );
            return Err(at(file, text, &format!("{key}.name"), message));
        }
        if suites[..index].iter().any(|other| other.name == suite.name) {
            let message = format!("there are two suites named `{}`", suite.name);
            return Err(at(file, text, &format!("{key}.name"), message));
        }
        if let Some(dir) = &suite.dir
            && !inside(dir)
        {
            let message = format!("`{}` does not lie in the project", dir.display());
            return Err(at(file, text, &format!("{key}.dir"), message));
        }
        check_services(suite)
            .map_err(|message| at(file, text, &format!("{key}.service"), message))?;
        let outside = suite.artifacts.iter().flatten();
        if let Some(pattern) = outside.into_iter().find(|pattern| !inside_pattern(pattern)) {
            let message = format!("`{pattern}` is no pattern of files below the suite's directory");
            return Err(at(file, text, &format!("{key}.artifacts"), message));
        }
        if let Some(matrix) = &suite.matrix {
            check_matrix(matrix)
                .map_err(|message| at(file, text, &format!("{key}.matrix"), message))?;
        }
        if let Some(command) = &suite.command {
            check_command(&command.0, suite)
                .map_err(|message| at(file, text, &format!("{key}.command"), message))?;
        }
    }
    Ok(())
}

/// A service's name is that of its log, too.
fn check_services(suite: &SuiteTable) -> Result<(), String> {
    let services = suite.service.as_deref().unwrap_or_default();
    for (index, service) in services.iter().enumerate() {
        let name = &service.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
            return Err(format!(
                "`{name}` is no name of a service; use letters, digits, `-` and `_`"
            ));
        }
        if services[..index].iter().any(|other| other.name == *name) {
            return Err(format!("there are two services named `{name}`"));
        }
        if let ReadyTable::Http(url) = &service.ready
            && !url.starts_with("http://")
        {
            return Err(format!(
                "`ready` of the service `{name}`: `{url}` does not begin with `http://`"
            ));
        }
    }
    Ok(())
}

/// Suites that one matrix may make.
const MOST_COMBINATIONS: usize = 32;

fn check_matrix(matrix: &Matrix) -> Result<(), String> {
    let plain = |key: &String| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        key.chars().all(fits) && key.starts_with(|c: char| !c.is_ascii_digit())
    };
    if let Some(key) = matrix.keys().find(|key| !plain(key)) {
        return Err(format!(
            "`{key}` is no key of a matrix: use letters, digits and `_`"
        ));
    }
    let empty = matrix.iter().find(|(_, values)| values.is_empty());
    match empty {
        Some((key, _)) => return Err(format!("`{key}` of the matrix has no value")),
        None if matrix.is_empty() => return Err("the matrix is empty".to_owned()),
        None => {}
    }
    let sizes = matrix.values().map(Vec::len);
    let of = sizes.fold(1_usize, usize::saturating_mul);
    match of > MOST_COMBINATIONS {
        true => Err(format!(
            "the matrix makes {of} suites, and {MOST_COMBINATIONS} are the most: name fewer values"
        )),
        false => Ok(()),
    }
}

/// A command has to end, and nothing may hide whose tests it runs.
fn check_command(argv: &[String], suite: &SuiteTable) -> Result<(), String> {
    let (_, argv) = command::assignments(argv);
    let argv = argv.as_slice();
    let inner = command::in_shell(argv);
    let started = std::iter::once(argv).chain(inner.iter().map(Vec::as_slice));
    if let Some(watch) = started.filter_map(watching).next() {
        return Err(format!(
            "`{watch}` makes the command wait for changes and never end"
        ));
    }
    match command::hidden_tests(argv) {
        Some((tests, framework)) if suite.framework.is_none() => {
            let or = match framework.is_asked_by_environment() {
                true => format!(
                    "`framework = \"{}\"`, whose tests they are",
                    framework.as_str()
                ),
                false => "`framework = \"generic\"` if the exit status is enough".to_owned(),
            };
            Err(format!(
                "`{tests}` behind a shell could be judged by its exit status only; write the \
                 command without a shell, as a list of arguments (variables belong in `env`, the \
                 directory in `dir`), or say {or}"
            ))
        }
        _ => Ok(()),
    }
}

/// Whether a pattern names something below where it starts.
fn inside_pattern(pattern: &str) -> bool {
    let parts = || pattern.split('/');
    parts().all(|part| !matches!(part, "" | "." | ".."))
}

/// Whether a relative path stays below where it starts.
pub fn inside(path: &Path) -> bool {
    use std::path::Component;
    path.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// The argument that would make a test command watch instead of end, if there is one.
pub fn watching(argv: &[String]) -> Option<&str> {
    let program = argv
        .first()
        .map(|word| word.rsplit('/').next().unwrap_or(word))?;
    if matches!(
        program,
        "cargo-watch" | "watchexec" | "entr" | "ptw" | "pytest-watch" | "bacon"
    ) {
        return argv.first().map(String::as_str);
    }
    let words = argv.iter().skip(1).map(String::as_str);
    let pytest = command::guess_framework(argv) == Framework::Pytest;
    if program == "cargo"
        && let Some(verb) = words.clone().find(|word| !word.starts_with(['-', '+']))
        && matches!(verb, "watch" | "bacon")
    {
        return Some(verb);
    }
    words.take_while(|word| *word != "--").find(|word| {
        matches!(
            *word,
            "--watch" | "--watchAll" | "--watch-all" | "--looponfail" | "--pdb" | "--trace"
        ) || (pytest && *word == "-f")
    })
}
