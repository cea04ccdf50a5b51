//! What cargo, rustup and the linker say only in text: manifests, resolving, build scripts,
//! toolchains. Also the compiler's own text in a pasted log.

use crate::cargo::messages;
use crate::cargo::package::Package;
use crate::cargo::rerun;
use crate::cargo::targets::Target;
use crate::compose;
use crate::libtest::panic;
use crate::report::Diagnostic;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Note;
use crate::report::Phase;
use crate::text;

/// A block of more lines than this is cut.
const MOST_LINES: usize = 400;
/// More blocks than this are not kept.
const MOST_BLOCKS: usize = 400;

/// One `error:` or `warning:` with the lines that belong to it.
#[derive(Debug, Clone, Default)]
struct Block {
    error: bool,
    code: Option<String>,
    message: String,
    lines: Vec<String>,
}

/// Collects the blocks of cargo's text.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    blocks: Vec<Block>,
    open: Option<Block>,
    lines: Vec<String>,
}

/// What the text comes to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What failed to build.
    pub failures: Vec<Failure>,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
    /// Causes with remedies.
    pub notes: Vec<Note>,
    /// Cargo refused its arguments.
    pub usage: Option<String>,
}

impl Errors {
    /// Takes one line, free of control sequences.
    pub fn line(&mut self, line: &str) {
        if self.lines.len() < 200 {
            self.lines.push(text::cut(line, 500));
        }
        // Most lines are neither the beginning of a block nor part of one.
        let first = line.as_bytes().first();
        let other = !matches!(first, Some(b'e' | b'w' | b' ' | b'\x1b')) && !line.contains(".rs:");
        if other && self.open.is_none() {
            return;
        }
        if let Some(block) = heading(line) {
            self.shut();
            self.open = Some(block);
            return;
        }
        if is_status(line) {
            self.shut();
            return;
        }
        if let Some(open) = &mut self.open
            && open.lines.len() < MOST_LINES
        {
            open.lines.push(text::cut(line, 2000));
        }
    }

    /// Whether a block goes on.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Somebody else speaks: what is open is whole.
    pub fn shut(&mut self) {
        if let Some(block) = self.open.take()
            && self.blocks.len() < MOST_BLOCKS
        {
            self.blocks.push(block);
        }
    }

    /// Reads what was collected. `built`: cargo said that the build succeeded, so no error in
    /// the text is one of the build.
    pub fn finish(mut self, built: bool, package: &Package) -> Found {
        self.shut();
        let mut found = Found::default();
        for block in &self.blocks {
            if !block.error {
                found.warnings.extend(warning(block, package));
            } else if let Some(usage) = usage(block) {
                found.usage.get_or_insert(usage);
            } else if !built && !is_summary(&block.message) {
                found.failures.push(failure(block, package));
            }
            found.notes.extend(causes(block));
        }
        if found.failures.is_empty() && !built {
            found
                .notes
                .extend(self.lines.iter().filter_map(|line| toolchain(line)));
        }
        found
    }
}

/// `error: …`, `error[E0308]: …`, `warning: …`.
fn heading(line: &str) -> Option<Block> {
    short(line).or_else(|| long(line))
}

/// `src/lib.rs:3:5: error[E0432]: …`, with `--message-format=short`.
fn short(line: &str) -> Option<Block> {
    let at = line.find(": error").or_else(|| line.find(": warning"))?;
    let (place, rest) = (&line[..at], &line[at + 2..]);
    let mut parts = place.rsplitn(3, ':');
    let (column, row, file) = (parts.next()?, parts.next()?, parts.next()?);
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = number(column) && number(row) && file.ends_with(".rs") && !file.contains(": ");
    let mut block = long(rest).filter(|_| fits)?;
    block.lines.push(format!("  --> {place}"));
    Some(block)
}

fn long(line: &str) -> Option<Block> {
    let (word, rest) = line.split_once(": ")?;
    let (level, code) = match word.split_once('[') {
        Some((level, code)) => (level, Some(code.strip_suffix(']')?.to_owned())),
        None => (word, None),
    };
    let error = match level {
        "error" => true,
        "warning" => false,
        _ => return None,
    };
    Some(Block {
        error,
        code,
        message: rest.to_owned(),
        lines: Vec::new(),
    })
}

/// A status line of cargo: a word at the end of the first twelve columns.
pub(crate) fn is_status(line: &str) -> bool {
    let Some(head) = line.get(..13) else {
        return false;
    };
    let word = head.trim_start();
    head.ends_with(' ')
        && head.starts_with("  ")
        && word.len() >= 4
        && word
            .trim_end()
            .chars()
            .all(|c| c.is_ascii_alphabetic() || c == '-')
        && word.starts_with(|c: char| c.is_ascii_uppercase())
}

fn is_summary(message: &str) -> bool {
    let starts = [
        "could not compile `",
        "aborting due to ",
        "test failed, to rerun",
        "doctest failed, to rerun",
        "bench failed",
        "build failed",
        "test run failed",
        "command `",
        "creating test list failed",
    ];
    starts.iter().any(|start| message.starts_with(start))
        || message.ends_with(" targets failed:")
        || message.ends_with(" target failed:")
}

/// Cargo's complaints about how it was called.
fn usage(block: &Block) -> Option<String> {
    let message = block.message.as_str();
    let starts = [
        "unexpected argument ",
        "no such command",
        "invalid value ",
        "the argument ",
        "could not find `Cargo.toml` in ",
        "no test target named ",
        "no test target matches ",
        "no bin target named ",
        "no library targets found",
        "package ID specification ",
        "the package '",
        "manifest path `",
        "unrecognized subcommand ",
        "a value is required for ",
        // The test harness's own.
        "Option '",
        "Unrecognized option: ",
        "Argument to option '",
        "the option `Z` is only accepted",
        "argument for --",
    ];
    starts
        .iter()
        .any(|start| message.starts_with(start))
        .then(|| text::one_line(message))
}

fn failure(block: &Block, package: &Package) -> Failure {
    if block
        .message
        .starts_with("failed to run custom build command")
    {
        return build_script(block, package);
    }
    let location = arrow(block, package).or_else(|| manifest(block, package));
    let id = messages::id(location.as_ref(), block.code.as_deref(), "cargo");
    let mut failure = compose::failure(id, FailureKind::CompileError, Phase::Build, message(block));
    failure.location = location;
    failure.code = block.code.clone();
    failure.details = details(block);
    if failure.location.is_some() {
        failure.rerun = rerun::target(&package.context, &Target::default());
        failure.rerun.push("--no-run".to_owned());
    }
    compose::seal(failure)
}

/// The message with its innermost cause: cargo's own first line seldom says what is wrong.
fn message(block: &Block) -> String {
    let Some(at) = block.lines.iter().position(|line| line == "Caused by:") else {
        return block.message.clone();
    };
    let causes = block.lines[at + 1..]
        .iter()
        .filter(|line| *line != "Caused by:");
    let cause = causes.map(|line| line.trim()).find(|line| !line.is_empty());
    match cause {
        Some(cause) => format!("{}: {cause}", block.message),
        None => block.message.clone(),
    }
}

fn details(block: &Block) -> Option<String> {
    let level = if block.error { "error" } else { "warning" };
    let code = block
        .code
        .as_ref()
        .map(|code| format!("[{code}]"))
        .unwrap_or_default();
    let whole = format!(
        "{level}{code}: {}\n{}",
        block.message,
        block.lines.join("\n")
    );
    text::block(&whole, text::DETAILS)
}

/// The first `--> file:line:column` of a block.
fn arrow(block: &Block, package: &Package) -> Option<Location> {
    let place = block
        .lines
        .iter()
        .find_map(|line| line.trim_start().strip_prefix("--> "))?;
    let mut parts = place.trim().rsplitn(3, ':');
    let (column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Location {
        file: package.compiler_path(file),
        line: Some(line.parse().ok()?),
        column: column.parse().ok(),
    })
}

/// The manifest that a message names.
fn manifest(block: &Block, package: &Package) -> Option<Location> {
    let lines = || std::iter::once(&block.message).chain(&block.lines);
    let named = lines()
        .flat_map(|line| line.split('`'))
        .find(|word| word.ends_with("Cargo.toml"));
    let path = match named {
        Some(path) => path.to_owned(),
        None => {
            let start = "required by package `";
            let line = lines().find(|line| line.trim_start().starts_with(start))?;
            let dir = line.rsplit_once('(')?.1.split(')').next()?;
            format!("{dir}/Cargo.toml")
        }
    };
    Some(Location {
        file: package.compiler_path(&path),
        line: None,
        column: None,
    })
}

/// A build script that panicked: its panic is in the text that cargo shows.
fn build_script(block: &Block, package: &Package) -> Failure {
    let named = block.message.split('`').nth(1).unwrap_or("");
    let shown: Vec<&str> = block.lines.iter().map(|line| line.trim_start()).collect();
    let stderr = shown
        .iter()
        .rposition(|line| *line == "--- stderr")
        .unwrap_or(0);
    let output = shown[stderr..].join("\n");
    let panics = panic::all(&output);
    let panic = panics.last();
    // The package's directory stands in brackets behind its name.
    let dir = named
        .rsplit_once('(')
        .and_then(|(_, dir)| dir.strip_suffix(')'));
    let package = match dir {
        Some(dir) if dir.starts_with('/') => Package::new(package.context.clone(), dir),
        _ => package.clone(),
    };
    let location = panic.map(|panic| Location {
        file: package.compiler_path(&panic.file),
        line: Some(panic.line),
        column: Some(panic.column),
    });
    let words = match panic {
        Some(panic) => format!("build script failed: {}", text::one_line(&panic.message)),
        None => {
            let last = shown[stderr..]
                .iter()
                .rfind(|line| !line.is_empty() && !line.starts_with("---"));
            format!(
                "build script failed: {}",
                last.unwrap_or(&block.message.as_str())
            )
        }
    };
    let id = messages::id(location.as_ref(), None, &package.compiler_path("build.rs"));
    let mut failure = compose::failure(id, FailureKind::CompileError, Phase::Build, words);
    failure.target = named
        .split(' ')
        .next()
        .map(|name| format!("{name} (build script)"));
    failure.location = location;
    failure.details = details(block);
    compose::seal(failure)
}

fn warning(block: &Block, package: &Package) -> Option<Diagnostic> {
    let location = arrow(block, package)?;
    Some(Diagnostic {
        level: "warning".to_owned(),
        code: block.code.clone(),
        message: text::one_line(&block.message),
        location: Some(location),
    })
}

/// Known causes outside the project's own code, with what to do about them.
fn causes(block: &Block) -> Vec<Note> {
    let whole = format!("{}\n{}", block.message, block.lines.join("\n"));
    let has = |words: &[&str]| words.iter().any(|word| whole.contains(word));
    let mut notes = Vec::new();
    if has(&[
        "you're using offline mode",
        "but --offline was specified",
        "Could not resolve host",
        "Couldn't resolve host",
        "failed to download from",
        "unable to update registry",
        "Unable to update registry",
        "spurious network error",
        "no matching package named",
    ]) {
        let named = name_after(&whole, "no matching package named `")
            .or_else(|| name_after(&whole, "failed to get `"))
            .or_else(|| name_after(&whole, "failed to download `"));
        let what = named.map_or("a dependency".to_owned(), |name| {
            format!("the dependency `{name}`")
        });
        notes.push(
            Note::new(
                "missing_dependency",
                format!("{what} is not on this machine, and the sandbox has no network"),
            )
            .remedy("run `cargo fetch` in the project once, then run again"),
        );
    }
    if has(&[
        "--locked was passed",
        "because --locked",
        "--frozen was passed",
    ]) {
        notes.push(
            Note::new(
                "lock_file_outdated",
                "Cargo.lock does not fit the manifests",
            )
            .remedy("run `cargo update --workspace` and commit Cargo.lock"),
        );
    }
    if has(&["linker `", "linking with `"]) && has(&["not found", "No such file"]) {
        notes.push(
            Note::new("missing_linker", "the linker is not installed")
                .remedy("install a C compiler (Debian, Ubuntu: `apt install build-essential`)"),
        );
    }
    if has(&["unable to find library -l", "cannot find -l"]) {
        notes.push(
            Note::new(
                "missing_library",
                "a system library that is linked against is not installed",
            )
            .remedy("install the library's development package"),
        );
    }
    if has(&[
        "requires rustc ",
        "is not supported by the following package",
    ]) {
        notes.push(
            Note::new(
                "toolchain_too_old",
                "a package needs a newer Rust than the one in use",
            )
            .remedy("run `rustup update`, or pin an older version of the package"),
        );
    }
    notes.extend(toolchain(&whole));
    notes
}

/// What rustup says when the toolchain is missing.
fn toolchain(text: &str) -> Option<Note> {
    let missing = text.lines().find(|line| {
        (line.contains("toolchain '") && line.contains("is not installed"))
            || line.contains("no default is configured")
            || line.contains("could not choose a version of cargo")
    })?;
    let name = name_after(missing, "toolchain '").map(|name| name.trim_matches('\'').to_owned());
    let remedy = match &name {
        Some(name) => format!("run `rustup toolchain install {name}`"),
        None => "run `rustup default stable`".to_owned(),
    };
    Some(Note::new("missing_toolchain", text::one_line(missing)).remedy(remedy))
}

fn name_after(text: &str, start: &str) -> Option<String> {
    let rest = &text[text.find(start)? + start.len()..];
    let end = rest.find(['`', '\'', ' ', '\n'])?;
    Some(rest[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;

    fn found(text: &str, built: bool) -> Found {
        let mut errors = Errors::default();
        text.lines().for_each(|line| errors.line(line));
        errors.finish(built, &Package::new(Context::rooted("/p"), "/p"))
    }

    #[test]
    fn a_build_script_s_panic_is_located() {
        let found = found(
            "   Compiling demo v0.1.0 (/p/crates/demo)
error: failed to run custom build command for `demo v0.1.0 (/p/crates/demo)`

Caused by:
  process didn't exit successfully: `/p/target/debug/build/demo-1/build-script-build` (exit status: 101)
  --- stderr

  thread 'main' (17) panicked at crates/demo/build.rs:2:5:
  no libfoo here
  note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
warning: build failed, waiting for other jobs to finish...
",
            false,
        );
        assert_eq!(found.failures.len(), 1);
        assert_eq!(found.failures[0].id, "crates/demo/build.rs:2:5");
        assert_eq!(
            found.failures[0].message,
            "build script failed: no libfoo here"
        );
    }

    #[test]
    fn a_missing_crate_has_cause_and_remedy() {
        let found = found(
            "error: no matching package named `serde` found
location searched: crates.io index
required by package `demo v0.1.0 (/p)`
As a reminder, you're using offline mode (--offline) which can sometimes cause surprising resolution failures, if this error is too confusing you may wish to retry without `--offline`.
",
            false,
        );
        assert_eq!(found.notes[0].code, "missing_dependency");
        assert!(found.notes[0].message.contains("`serde`"));
        assert_eq!(found.failures[0].kind, FailureKind::CompileError);
    }

    #[test]
    fn a_missing_toolchain_has_cause_and_remedy() {
        let found = found(
            "error: toolchain 'nightly-2020-01-01-x86_64-unknown-linux-gnu' is not installed\n",
            false,
        );
        assert_eq!(found.notes[0].code, "missing_toolchain");
        assert_eq!(
            found.notes[0].remedy.as_deref(),
            Some("run `rustup toolchain install nightly-2020-01-01-x86_64-unknown-linux-gnu`")
        );
    }

    #[test]
    fn after_the_build_no_text_is_a_build_error() {
        let found = found("error: printed by a test\n --> src/lib.rs:1:1\n", true);
        assert!(found.failures.is_empty());
    }

    #[test]
    fn the_short_format_is_read() {
        let found = found(
            "src/lib.rs:3:5: error[E0432]: unresolved import `x`\nsrc/lib.rs:2:5: warning: unused import: `y`\nsrc/a.rs:8:20: error: expected `;`\nwarning: `broken` (lib) generated 1 warning\nerror: could not compile `broken` (lib) due to 2 previous errors; 1 warning emitted\n",
            false,
        );
        let ids: Vec<&str> = found
            .failures
            .iter()
            .map(|failure| failure.id.as_str())
            .collect();
        assert_eq!(ids, ["src/lib.rs:3:5 E0432", "src/a.rs:8:20"]);
        assert_eq!(found.warnings.len(), 1);
    }

    #[test]
    fn wrong_arguments_are_usage() {
        let found = found(
            "error: unexpected argument '--foo' found\n\nUsage: cargo test\n",
            false,
        );
        assert_eq!(
            found.usage.as_deref(),
            Some("unexpected argument '--foo' found")
        );
        assert!(found.failures.is_empty());
    }

    #[test]
    fn status_lines_are_known() {
        assert!(is_status("   Compiling demo v0.1.0"));
        assert!(is_status("     Running unittests src/lib.rs"));
        assert!(is_status("   Doc-tests demo"));
        assert!(!is_status("   |    ^^^^^^ expected"));
        assert!(!is_status("error: x"));
    }
}
