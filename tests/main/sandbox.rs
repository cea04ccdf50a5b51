//! The sandbox on this very machine: what it lets through, what it holds back, and that nothing
//! of it is left. Every probe really tries.

use crate::support::require;
use regreen::model::HostEnv;
use regreen::model::Limits;
use regreen::sandbox::Backend;
use regreen::sandbox::Ended;
use regreen::sandbox::Mount;
use regreen::sandbox::Network;
use regreen::sandbox::Place;
use regreen::sandbox::Running;
use regreen::sandbox::Spec;
use regreen::sandbox::Stream;
use regreen::sandbox::bwrap::Bwrap;
use regreen::sandbox::bwrap::Options;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// A slot and a home below one temporary directory.
struct Lab {
    dir: TempDir,
    host: HostEnv,
}

/// What a command printed and how it ended.
#[derive(Debug)]
struct Seen {
    stdout: String,
    stderr: String,
    ended: Ended,
}

impl Seen {
    fn code(&self) -> Option<i32> {
        self.ended.exit.code
    }
}

impl Lab {
    fn new() -> Lab {
        let dir = tempfile::Builder::new()
            .prefix("regreen-lab-")
            .tempdir_in("/var/tmp")
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

    fn top(&self) -> PathBuf {
        self.dir.path().canonicalize().expect("it is there")
    }

    fn root(&self) -> PathBuf {
        self.host.home.join("project")
    }

    fn tree(&self) -> PathBuf {
        self.top().join("slot/tree")
    }

    fn spec<S: Into<String>>(&self, argv: impl IntoIterator<Item = S>) -> Spec {
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
        }
    }

    fn backend(&self) -> Bwrap {
        Bwrap::new(&self.host, Options::default())
    }

    async fn run(&self, spec: Spec) -> Seen {
        let running = self.backend().start(spec).await;
        follow(running.expect("the sandbox starts")).await
    }

    async fn shell(&self, script: &str) -> Seen {
        self.run(self.spec(["sh", "-c", script])).await
    }
}

async fn follow(mut running: Running) -> Seen {
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

#[tokio::test]
async fn a_command_runs_at_the_users_own_path() {
    if !require("bwrap") {
        return;
    }
    let lab = Lab::new();
    std::fs::write(lab.tree().join("a.txt"), "from the slot").expect("ours");
    let seen = lab.shell("pwd; cat a.txt; echo made >b.txt; exit 7").await;
    let expected = format!("{}\nfrom the slot", lab.root().display());
    assert_eq!(seen.stdout, expected, "{seen:?}");
    assert_eq!(seen.code(), Some(7));
    assert_eq!(seen.ended.not_started, None);
    let made = std::fs::read_to_string(lab.tree().join("b.txt")).expect("it went to the slot");
    assert_eq!(made, "made\n");
    assert!(
        !lab.root().join("b.txt").exists(),
        "the user's tree is untouched"
    );
    let markers = std::fs::read_dir(Bwrap::markers(&lab.host)).expect("it was made");
    assert_eq!(markers.count(), 0, "the marker is gone with the sandbox");
}
