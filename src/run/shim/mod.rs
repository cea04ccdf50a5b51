//! The runner shim: `regreen __runner BINARY ARGS…`, which cargo starts instead of every test
//! binary. It asks Rust's own harness for events, keeps what the binary prints apart from
//! everything else, and ends as the binary ended.
//!
//! The files that it writes are described in `regreen_parsers::cargo`. It runs inside the
//! sandbox, before any thread exists, and must never be the reason why a test fails: where it
//! cannot write, it runs the binary as cargo would have.

mod harness;
mod isolated;
mod pump;
mod witness;

use crate::model::EXIT_ERROR;
use regreen_parsers::cargo::shim::Harness;
use regreen_parsers::cargo::shim::Header;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::ExitCode;

/// Names the directory for events, inside the sandbox.
pub const EVENTS: &str = "REGREEN_SHIM_EVENTS";
/// A JSON array of argvs: the project's own runners, which stay between the shim and the binary.
pub const CHAINS: &str = "REGREEN_SHIM_CHAINS";
/// The argument that names one of them by its index.
pub const CHAIN_ARG: &str = "--regreen-chain=";
/// When set, every listed test gets a process of its own.
pub const ISOLATED: &str = "REGREEN_SHIM_ISOLATED";
/// Where the sandbox finds the shim, the events and the reporters.
pub const INSIDE: &str = "/run/regreen";

/// What is to be run, and how.
struct Target {
    binary: PathBuf,
    args: Vec<OsString>,
    chain: Vec<String>,
    events: Option<PathBuf>,
}

/// Runs `BINARY ARGS…` and ends as it ended.
pub fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let mut first = args.next();
    let chain = first
        .as_ref()
        .and_then(|arg| arg.to_str()?.strip_prefix(CHAIN_ARG)?.parse::<usize>().ok());
    if chain.is_some() {
        first = args.next();
    }
    let Some(binary) = first else {
        complain("the runner needs the path of a test binary");
        return ExitCode::from(EXIT_ERROR);
    };
    let target = Target {
        binary: binary.into(),
        args: args.collect(),
        chain: chain.and_then(own_runner).unwrap_or_default(),
        events: std::env::var_os(EVENTS).map(PathBuf::from),
    };
    if target.is_doctest() {
        return target.replace(true);
    }
    let Some(events) = target.events.clone().filter(|_| !target.passes_through()) else {
        return target.replace(false);
    };
    let harness = harness::of(&target.binary);
    let isolated = std::env::var_os(ISOLATED).is_some() && harness == Harness::Libtest;
    let ended = if isolated {
        isolated::run(&target, &events)
    } else {
        target.observed(&events, harness, &target.args)
    };
    match ended {
        Ok(ended) => ended.leave(),
        Err(error) => {
            complain(&format!(
                "failed to observe `{}`: {error}",
                target.binary.display()
            ));
            target.replace(false)
        }
    }
}

/// The project's own runner of this index.
fn own_runner(index: usize) -> Option<Vec<String>> {
    let chains = std::env::var(CHAINS).ok()?;
    let chains: Vec<Vec<String>> = serde_json::from_str(&chains).ok()?;
    chains.into_iter().nth(index)
}

impl Target {
    /// Since cargo 1.89 merged doctests are started through the runner too.
    fn is_doctest(&self) -> bool {
        let name = self.binary.file_name().unwrap_or_default();
        name == OsStr::new("rust_out") || self.binary.extension() == Some(OsStr::new("rust_out"))
    }

    /// What asks the binary for something other than a test run.
    fn passes_through(&self) -> bool {
        self.args.iter().any(|arg| {
            matches!(
                arg.to_str(),
                Some("--list" | "--bench" | "--help" | "-h" | "--logfile")
            )
        })
    }

    /// A command that starts the binary, through the project's own runner if there is one.
    fn command(&self) -> Command {
        let mut words = self.chain.iter();
        #[expect(
            clippy::disallowed_methods,
            reason = "the shim is the test binary's parent inside the sandbox, has one thread, \
                      and the sandbox ends it with everything else"
        )]
        let mut command = match words.next() {
            Some(program) => {
                let mut command = Command::new(program);
                command.args(words).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        for name in [EVENTS, CHAINS, ISOLATED, "RUST_TEST_NOCAPTURE"] {
            command.env_remove(name);
        }
        command
    }

    /// Becomes the binary.
    fn replace(&self, doctest: bool) -> ExitCode {
        let mut command = self.command();
        command.args(&self.args);
        if doctest {
            // Rustdoc sets it only where there is no runner; without it all merged doctests
            // share one process.
            command.env("RUSTDOC_DOCTEST_BIN_PATH", &self.binary);
        }
        let error = command.exec();
        complain(&format!(
            "failed to start `{}`: {error}",
            self.binary.display()
        ));
        ExitCode::from(127)
    }

    /// Runs the binary with its output in files of its own.
    fn observed(
        &self,
        events: &Path,
        harness: Harness,
        args: &[OsString],
    ) -> std::io::Result<pump::Ended> {
        let args: Vec<OsString> = match harness {
            Harness::Libtest => args.iter().filter(|arg| !conflicts(arg)).cloned().collect(),
            Harness::Custom => args.to_vec(),
        };
        let stem = stem();
        let mut header = Header::new(self.binary.to_string_lossy(), harness);
        header.package = std::env::var("CARGO_PKG_NAME").ok();
        header.manifest_dir = std::env::var("CARGO_MANIFEST_DIR").ok();
        header.args = args
            .iter()
            .map(|arg| arg.to_string_lossy().into_owned())
            .collect();
        let mut command = self.command();
        if harness == Harness::Libtest {
            let list = self.list(&args)?;
            std::fs::write(events.join(format!("{stem}.list")), list)?;
            header.listed = true;
            // For this binary alone: with cargo or rustdoc it would rebuild dependencies and
            // change what `compile_fail` doctests see.
            command.env("RUSTC_BOOTSTRAP", "1");
            command.args(&args);
            command.args(["-Zunstable-options", "--format", "json", "--report-time"]);
        } else {
            command.args(&args);
        }
        // A runner of the project's own may be another process than the binary.
        let carried = match harness == Harness::Libtest && self.chain.is_empty() {
            true => pump::Carried::Witnessed,
            false => pump::Carried::Plain,
        };
        pump::run(command, events, &stem, header, carried)
    }

    /// What the binary says that it will run.
    fn list(&self, args: &[OsString]) -> std::io::Result<Vec<u8>> {
        let output = self
            .command()
            .args(args)
            .args(["--list", "--format", "terse"])
            .stderr(std::process::Stdio::inherit())
            .output()?;
        Ok(output.stdout)
    }
}

/// A name for the files of this process; pid namespaces make pids unique in a sandbox only,
/// but so is the directory.
fn stem() -> String {
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{number}", std::process::id())
}

/// Arguments of libtest that would spoil the stream of events; none changes which tests run.
fn conflicts(arg: &OsStr) -> bool {
    let Some(arg) = arg.to_str() else {
        return false;
    };
    matches!(
        arg,
        "--nocapture" | "--no-capture" | "--show-output" | "-q" | "--quiet"
    ) || arg.starts_with("--format=")
        || arg.starts_with("--color=")
}

fn complain(text: &str) {
    use std::io::Write;
    // Nothing is left to do if even standard error is gone.
    let _ = writeln!(std::io::stderr(), "regreen: {text}");
}
