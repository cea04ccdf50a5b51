//! How one test of a JUnit report is run again.
//!
//! | tool | selection |
//! |---|---|
//! | console launcher | `--select-method=com.example.FooTest#bar(int,java.lang.String)`, a nested class by its `$`; `--select-iteration=method:…[1]` for one invocation of a parameterised or repeated test; `--select-class` for a class |
//! | Maven | `-Dtest=com.example.FooTest#bar`: all invocations of a parameterised test |
//! | Gradle | `--tests com.example.FooTest.bar`: the same |
//! | anything else | none, but pytest's node ids |

use crate::context::Context;
use crate::junit::dialect::Dialect;
use crate::report::Failure;

/// The argv that runs a failed test again; empty where nobody can know.
pub(crate) fn of(failure: &Failure, dialect: Dialect, context: &Context) -> Vec<String> {
    match dialect {
        // What wrote the file is not what the context's command starts.
        Dialect::Pytest => Context {
            command: Vec::new(),
            ..context.clone()
        }
        .rerun(&["pytest"], [failure.id.clone()]),
        Dialect::Phpunit => crate::phpunit::rerun(&failure.id, context),
        _ => Vec::new(),
    }
}

/// The tool of a command, by the names of its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// JUnit's console launcher.
    Launcher,
    /// Maven.
    Maven,
    /// Gradle.
    Gradle,
    /// Ant.
    Ant,
    /// Something else.
    Other,
}

/// What a command starts.
pub(crate) fn tool_of(argv: &[String]) -> Tool {
    for word in argv.iter().take(40) {
        let name = word.rsplit('/').next().unwrap_or(word);
        match name {
            "mvn" | "mvnw" | "mvnd" => return Tool::Maven,
            "gradle" | "gradlew" => return Tool::Gradle,
            "ant" => return Tool::Ant,
            _ if name.contains("junit-platform-console") => return Tool::Launcher,
            _ if word.contains("org.junit.platform.console.ConsoleLauncher") => {
                return Tool::Launcher;
            }
            _ => {}
        }
    }
    Tool::Other
}

/// A test method as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Method<'a> {
    /// The class with its package.
    pub class: &'a str,
    /// The method as the report names it, `rows(int, String)[2]`; empty for the class itself.
    pub name: &'a str,
    /// The parameters' types in full, where they are known.
    pub types: Option<&'a str>,
}

/// The argv that runs a test method again.
pub(crate) fn method(method: &Method<'_>, context: &Context) -> Vec<String> {
    let class = method.class;
    if class.is_empty() || context.command.is_empty() {
        return Vec::new();
    }
    let name = method.name;
    let bare = name.split(['(', '[', '{', ' ']).next().unwrap_or("");
    let named = !bare.is_empty()
        && bare != "initializationError"
        && bare != class
        && bare
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '$');
    match tool_of(&context.command) {
        Tool::Launcher => {
            let selection = match (named, method.types) {
                (true, Some(types)) => one(class, bare, name, types),
                (true, None) if name.ends_with("()") => one(class, bare, "", ""),
                _ => format!("--select-class={class}"),
            };
            context.rerun(&[], [selection])
        }
        Tool::Maven => {
            let selection = match named {
                true => format!("-Dtest={class}#{bare}"),
                false => format!("-Dtest={class}"),
            };
            // Of several modules only one has the class.
            let lenient = [
                "-DfailIfNoTests=false",
                "-Dsurefire.failIfNoSpecifiedTests=false",
            ];
            let lenient = lenient.map(str::to_owned);
            context.rerun(&[], [selection].into_iter().chain(lenient))
        }
        Tool::Gradle => {
            let selection = match named {
                true => format!("{class}.{bare}"),
                false => class.to_owned(),
            };
            context.rerun(&[], ["--tests".to_owned(), selection])
        }
        Tool::Ant | Tool::Other => Vec::new(),
    }
}

/// A method, or one of its invocations where the name ends in one index.
fn one(class: &str, bare: &str, name: &str, types: &str) -> String {
    let types: Vec<&str> = types.split(',').map(str::trim).collect();
    let method = format!("{class}#{bare}({})", types.join(","));
    let index = name
        .strip_suffix(']')
        .and_then(|rest| rest.rsplit_once('['))
        .filter(|(before, _)| !before.ends_with(']'))
        .and_then(|(_, index)| index.parse::<u64>().ok())
        .filter(|index| *index > 0);
    match index {
        // Invocations are counted from 1 in the reports, from 0 here.
        Some(index) => format!("--select-iteration=method:{method}[{}]", index - 1),
        None => format!("--select-method={method}"),
    }
}
