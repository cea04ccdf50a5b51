//! One start of a program: bounded, captured, and gone with the test.

use crate::support::wait;
use rustix::process::Pid;
use rustix::process::Signal;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::io::Read;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::Duration;

/// A program about to be started. Bounded by two minutes unless `within` says otherwise.
pub struct Invocation {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    clear: bool,
    cwd: PathBuf,
    input: Vec<u8>,
    bound: Duration,
}

impl Invocation {
    /// A start of `program` in `cwd`.
    pub fn new(program: impl AsRef<OsStr>, cwd: &Path) -> Invocation {
        Invocation {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            clear: false,
            cwd: cwd.to_owned(),
            input: Vec::new(),
            bound: Duration::from_secs(120),
        }
    }

    /// With these arguments after the ones before.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// With this environment and nothing else.
    pub fn only_env(mut self, env: Vec<(OsString, OsString)>) -> Self {
        self.clear = true;
        self.env = env;
        self
    }

    /// With one more variable, or another value of it.
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self = self.without_env(&key);
        self.env
            .push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Without this variable.
    pub fn without_env(mut self, key: impl AsRef<OsStr>) -> Self {
        self.env.retain(|(have, _)| have != key.as_ref());
        self
    }

    /// In this directory.
    pub fn within_dir(mut self, cwd: &Path) -> Self {
        self.cwd = cwd.to_owned();
        self
    }

    /// With these bytes on standard input.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// At most this long.
    pub fn within(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// As a prefix before the program: `["nice"]`, `["setpriv", …]`.
    pub fn behind<S: AsRef<OsStr>>(mut self, prefix: impl IntoIterator<Item = S>) -> Self {
        let mut words: Vec<OsString> = prefix.into_iter().map(|w| w.as_ref().into()).collect();
        if words.is_empty() {
            return self;
        }
        words.push(std::mem::take(&mut self.program));
        words.append(&mut self.args);
        self.program = words.remove(0);
        self.args = words;
        self
    }

    /// Starts it and waits for its end. Panics, with what it printed, if it takes too long.
    #[track_caller]
    pub fn run(self) -> Ran {
        let bound = self.bound;
        let mut started = self.start();
        match started.wait_for_end(bound) {
            Some(ran) => ran,
            None => {
                let words = started.words.clone();
                let ran = started.kill_9();
                panic!("`{words}` still ran after {bound:?}\n{ran}")
            }
        }
    }

    /// Starts it and leaves it running; it is killed when the answer is dropped.
    #[track_caller]
    pub fn start(self) -> Started {
        let mut command = command(&self.program);
        command.args(&self.args).current_dir(&self.cwd);
        if self.clear {
            command.env_clear();
        }
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let words = words(&self.program, &self.args);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("failed to start `{words}`: {error}"));
        let stdin = child.stdin.take();
        let input = self.input;
        std::thread::spawn(move || {
            // A program that does not read its input is no fault of the test.
            let _ = stdin.map(|mut stdin| stdin.write_all(&input));
        });
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        Started {
            words,
            child: Some(child),
            stdout: Some(stdout),
            stderr: Some(stderr),
        }
    }
}

/// The one place of the tests that starts processes.
#[expect(
    clippy::disallowed_methods,
    reason = "tests look at regreen from the outside and may not use its own spawner"
)]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// A running program; killed with its process group when dropped.
pub struct Started {
    words: String,
    child: Option<Child>,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Started {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it was not waited for").id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid() as i32).expect("process ids are positive");
        rustix::process::kill_process(pid, signal).expect("it runs and is ours");
    }

    /// Kills it alone, at once (its children are left to their fate), and takes what it said.
    pub fn kill_9(mut self) -> Ran {
        let child = self.child.as_mut().expect("it was not waited for");
        child.kill().expect("it runs and is ours");
        self.wait_for_end(Duration::from_secs(20))
            .expect("SIGKILL ends a process")
    }

    /// Asks it to end, as Ctrl-C does, and waits.
    #[track_caller]
    pub fn interrupt(self) -> Ran {
        self.signal(Signal::INT);
        self.end()
    }

    /// Asks it to end, as systemd does, and waits.
    #[track_caller]
    pub fn terminate(self) -> Ran {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Waits for its end, at most 60 s.
    #[track_caller]
    pub fn end(mut self) -> Ran {
        match self.wait_for_end(Duration::from_secs(60)) {
            Some(ran) => ran,
            None => panic!("`{}` does not end:\n{}", self.words.clone(), self.kill_9()),
        }
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        let child = self.child.as_mut().expect("it was not waited for");
        matches!(child.try_wait(), Ok(None))
    }

    fn wait_for_end(&mut self, bound: Duration) -> Option<Ran> {
        let child = self.child.as_mut().expect("it was not waited for");
        if !wait::for_end_of(child.id(), bound) {
            return None;
        }
        let status = child.wait().expect("it ended");
        self.child = None;
        Some(Ran {
            words: self.words.clone(),
            status,
            stdout: join(self.stdout.take()),
            stderr: join(self.stderr.take()),
        })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let Some(child) = self.child.as_mut() else {
            return;
        };
        if let Some(group) = Pid::from_raw(child.id() as i32) {
            // Either may be gone already; the goal is reached then.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A program that has ended, and what it said.
#[derive(Debug)]
pub struct Ran {
    words: String,
    /// How it ended.
    pub status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Ran {
    /// Standard output.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The exit status; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Panics unless it ended with this status.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        assert!(
            self.status.code() == Some(code),
            "expected exit status {code}\n{self}"
        );
        self
    }

    /// Panics unless standard error holds this text.
    #[track_caller]
    pub fn complains(&self, text: &str) -> &Self {
        let stderr = self.stderr();
        assert!(stderr.contains(text), "no `{text}` on stderr\n{self}");
        self
    }

    /// Panics unless standard output holds this text.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        let stdout = self.stdout();
        assert!(stdout.contains(text), "no `{text}` on stdout\n{self}");
        self
    }

    /// Standard output as exactly one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is no JSON document: {error}\n{self}"))
    }

    /// Standard output as JSON lines.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let text = self.stdout();
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|line| {
                serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("`{line}` is no JSON: {error}\n{self}"))
            })
            .collect()
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown end".to_owned(),
        };
        write!(
            f,
            "`{}` ended with {how}\n--- stdout\n{}\n--- stderr\n{}",
            self.words,
            self.stdout(),
            self.stderr()
        )
    }
}

fn words(program: &OsStr, args: &[OsString]) -> String {
    let all = std::iter::once(program).chain(args.iter().map(OsString::as_os_str));
    let all: Vec<_> = all.map(OsStr::to_string_lossy).collect();
    all.join(" ")
}

fn collect(stream: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is still worth showing.
        let _ = stream.map(|mut stream| stream.read_to_end(&mut bytes));
        bytes
    })
}

fn join(reader: Option<JoinHandle<Vec<u8>>>) -> Vec<u8> {
    let reader = reader.expect("output is taken once");
    // A grandchild may hold the pipe open for ever; what it prints is not ours to wait for.
    wait::for_thread(&reader, Duration::from_secs(5));
    if reader.is_finished() {
        reader.join().expect("the reader does not panic")
    } else {
        b"(a descendant still holds the pipe; output unknown)".to_vec()
    }
}
