//! A slot and a home below one temporary directory, and commands run in a sandbox of theirs.

use crate::support::TestEngine;
use regreen::model::HostEnv;
use regreen::model::Limits;
use regreen::sandbox::Backend;
use regreen::sandbox::Ended;
use regreen::sandbox::Network;
use regreen::sandbox::Place;
use regreen::sandbox::Priority;
use regreen::sandbox::Running;
use regreen::sandbox::Spec;
use regreen::sandbox::Stream;
use regreen::sandbox::bwrap::Bwrap;
use regreen::sandbox::bwrap::Options;
use regreen::sandbox::engine::Engine;
use regreen::sandbox::toolchain;
use std::path::Path;
use std::path::PathBuf;
use tempfile::TempDir;

/// A slot and a home below one temporary directory.
pub struct Lab {
    dir: TempDir,
    /// The machine that the backend believes in.
    pub host: HostEnv,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Seen {
    pub stdout: String,
    pub stderr: String,
    pub ended: Ended,
}

impl Seen {
    pub fn code(&self) -> Option<i32> {
        self.ended.exit.code
    }
}

impl Lab {
    pub fn new() -> Lab {
        Lab::below(Path::new("/var/tmp"))
    }

    /// One whose directory lies in `parent`, for a process that will be killed.
    pub fn below(parent: &Path) -> Lab {
        let dir = tempfile::Builder::new()
            .prefix("regreen-lab-")
            .tempdir_in(parent)
            .expect("the temporary directory is writable");
        let top = dir.path().canonicalize().expect("it was just made");
        for name in [
            "home/project",
            "slot/tree",
            "slot/home",
            "slot/tmp",
            "state",
        ] {
            std::fs::create_dir_all(top.join(name)).expect("the directory is ours");
        }
        let host = HostEnv::below(&top, "/usr/bin:/bin");
        Lab { dir, host }
    }

    pub fn top(&self) -> PathBuf {
        self.dir.path().canonicalize().expect("it is there")
    }

    pub fn root(&self) -> PathBuf {
        self.host.home.join("project")
    }

    pub fn tree(&self) -> PathBuf {
        self.top().join("slot/tree")
    }

    pub fn spec<S: Into<String>>(&self, argv: impl IntoIterator<Item = S>) -> Spec {
        Spec {
            argv: argv.into_iter().map(Into::into).collect(),
            env: vec![
                ("PATH".into(), "/usr/bin:/bin".into()),
                ("HOME".into(), self.host.home.display().to_string()),
            ],
            cwd: self.root(),
            place: Place {
                root: self.root(),
                tree: self.tree(),
                home: self.top().join("slot/home"),
                tmp: self.top().join("slot/tmp"),
            },
            mounts: Vec::new(),
            stdin: None,
            limits: Limits {
                wall_ms: 60_000,
                silence_ms: 60_000,
                ..Limits::default()
            },
            network: Network::None,
            image: None,
            priority: Priority::default(),
        }
    }

    pub fn backend(&self) -> Bwrap {
        Bwrap::new(&self.host, Options::default())
    }

    /// The engine backend with an engine of the tests'.
    pub fn engine(&self, engine: &TestEngine) -> Engine {
        Engine::new(&self.host_of(engine))
    }

    /// The lab's machine, on which somebody named that engine.
    pub fn host_of(&self, engine: &TestEngine) -> HostEnv {
        let mut host = self.host.clone();
        let address = engine.address().into();
        host.vars.insert("DOCKER_HOST".into(), address);
        host
    }

    pub async fn run(&self, spec: Spec) -> Seen {
        let running = self.backend().start(spec).await;
        follow(running.expect("the sandbox starts")).await
    }

    /// The same with the real user's toolchains.
    pub fn with_toolchains(self, home: &crate::support::Home) -> Lab {
        let real = HostEnv::from_vars(home.environment());
        let host = HostEnv {
            path: real.path,
            vars: real.vars,
            ..self.host.clone()
        };
        Lab { host, ..self }
    }

    /// A command with everything that the project's toolchains need.
    pub fn spec_with_toolchains<S: Into<String>>(&self, argv: impl IntoIterator<Item = S>) -> Spec {
        let toolchains = toolchain::discover(&self.host, &self.root());
        let spec = self.spec(argv);
        let mounts = toolchains.prepare(&spec.place).expect("the slot is ours");
        Spec {
            env: toolchains.env,
            mounts,
            ..spec
        }
    }

    pub async fn shell(&self, script: &str) -> Seen {
        self.run(self.spec(["sh", "-c", script])).await
    }
}

/// Reads everything and waits for the end.
pub async fn follow(mut running: Running) -> Seen {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(chunk) = running.output.recv().await {
        match chunk.stream {
            Stream::Stdout => stdout.extend(chunk.bytes),
            Stream::Stderr => stderr.extend(chunk.bytes),
        }
    }
    Seen {
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
        ended: running.exit.await.expect("the end is told"),
    }
}
