//! Real container engines of the tests' own: a Docker and a Podman that share nothing with what
//! runs on this machine. Each is started once a test process, where a test asks for it, and
//! ends with the process.

use crate::support::command;
use crate::support::is_root;
use crate::support::require;
use rustix::process::Pid;
use rustix::process::Signal;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;
use std::time::Instant;

/// How long an engine may take to listen.
const START: Duration = Duration::from_secs(60);

/// Starts Docker without a network of its own: no bridge, no rule of a firewall. Ends it, and
/// removes its directory, when the test process has ended, which closes the standard input.
const DOCKER: &str = r#"
dockerd --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" --host "unix://$1/engine.sock" \
  --iptables=false --ip6tables=false --bridge=none --group 0 >"$1/log" 2>&1 </dev/null &
echo $!
cat >/dev/null
kill $! 2>/dev/null
wait $!
for process in /proc/[0-9]*; do
  if { tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null | grep -q "^/usr/bin/containerd-shim.* $1/"; then
    kill -9 "${process#/proc/}"
  fi
done
grep -o " $1/[^ ]*" /proc/mounts | sort -r | while read -r place; do umount -l "$place"; done
rm -rf "$1"
"#;

/// The same with Podman. The flags are for machines with control groups of both versions, and
/// for users without a session.
const PODMAN: &str = r#"
export XDG_RUNTIME_DIR="$1/run" XDG_CONFIG_HOME="$1/config" XDG_DATA_HOME="$1/data"
export HOME="$1" TMPDIR="$1/tmp"
mkdir -p "$1/run" "$1/tmp" "$1/config/containers"
cp /etc/containers/policy.json "$1/config/containers/" 2>/dev/null
podman --root "$1/root" --runroot "$1/run/root" --tmpdir "$1/run/tmp" --storage-driver "$2" \
  --cgroup-manager cgroupfs --events-backend file --runtime runc \
  system service --time 0 "unix://$1/engine.sock" >"$1/log" 2>&1 </dev/null &
echo $!
cat >/dev/null
kill $!
wait $!
# What Podman leaves: a process for each command, for five minutes, and one for its user namespace.
for process in /proc/[0-9]*; do
  if { tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null | grep -q "^\(/usr/bin/\)\?\(conmon\|podman\) .*$1/"; then
    kill -9 "${process#/proc/}"
  fi
done
grep -o " $1/[^ ]*" /proc/mounts | sort -r | while read -r place; do umount -l "$place"; done
podman unshare rm -rf "$1/root" 2>/dev/null
for file in "$1/run/tmp/pause.pid" "$1/run/libpod/tmp/pause.pid"; do
  if [ -r "$file" ]; then kill -9 "$(cat "$file")"; fi
done
rm -rf "$1"
"#;

/// An engine that the tests started.
pub struct TestEngine {
    dir: PathBuf,
    /// Its own pid, for those who kill it.
    pub pid: i32,
    /// Holds its standard input: the end of this is the engine's.
    keeper: Child,
}

impl TestEngine {
    /// The shared Docker, if the machine has what it needs.
    pub fn docker() -> Option<&'static TestEngine> {
        static DOCKER: OnceLock<TestEngine> = OnceLock::new();
        require("docker").then(|| DOCKER.get_or_init(TestEngine::new_docker))
    }

    /// The shared Podman, if the machine has what it needs.
    pub fn podman() -> Option<&'static TestEngine> {
        static PODMAN: OnceLock<TestEngine> = OnceLock::new();
        require("podman").then(|| PODMAN.get_or_init(TestEngine::new_podman))
    }

    /// A Docker of one's own, to be killed.
    pub fn new_docker() -> TestEngine {
        TestEngine::start(DOCKER, "")
    }

    fn new_podman() -> TestEngine {
        TestEngine::start(PODMAN, if is_root() { "overlay" } else { "vfs" })
    }

    fn start(script: &str, word: &str) -> TestEngine {
        // Not below /tmp, which may be small and in memory; short, because sockets have a limit.
        let dir = tempfile::Builder::new()
            .prefix("rg-engine-")
            .tempdir_in("/var/tmp");
        let dir = dir.expect("the directory is writable").keep();
        TestEngine::start_in(script, word, dir)
    }

    fn start_in(script: &str, word: &str, dir: PathBuf) -> TestEngine {
        let mut keeper = command("sh")
            .args(["-c", script, "engine"])
            .arg(&dir)
            .arg(word)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("a shell starts");
        let pid = first_number(&mut keeper);
        let engine = TestEngine { dir, pid, keeper };
        engine.wait_until_it_listens();
        engine
    }

    fn wait_until_it_listens(&self) {
        let end = Instant::now() + START;
        while !self.answers() {
            assert!(
                Instant::now() < end,
                "the engine does not start: {}",
                self.log()
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        let asked = || {
            let mut stream = UnixStream::connect(self.socket())?;
            stream.write_all(b"GET /_ping HTTP/1.0\r\n\r\n")?;
            let mut answer = [0; 15];
            stream.read_exact(&mut answer)?;
            Ok::<_, std::io::Error>(answer.ends_with(b" 200 OK"))
        };
        asked().unwrap_or(false)
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("engine.sock")
    }

    /// The socket as `DOCKER_HOST` names it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Kills Docker and what serves it hard, and not what holds its containers.
    pub fn kill_9(&self) {
        let beside = std::fs::read_to_string(self.dir.join("exec/containerd/containerd.pid"));
        let beside = beside.ok().and_then(|pid| pid.trim().parse().ok());
        for pid in [Some(self.pid), beside].into_iter().flatten() {
            let process = Pid::from_raw(pid).expect("a pid");
            rustix::process::kill_process(process, Signal::KILL).expect("it runs and is ours");
            assert!(crate::support::for_end_of(pid as u32, START));
        }
    }

    /// Starts it again after [`TestEngine::kill_9`], in the same place.
    pub fn again(&self) -> TestEngine {
        for name in ["pid", "engine.sock", "exec/containerd/containerd.pid"] {
            let _ = std::fs::remove_file(self.dir.join(name));
        }
        TestEngine::start_in(DOCKER, "", self.dir.clone())
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for TestEngine {
    /// Of the shared ones nobody is dropped; they end with the process.
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn first_number(keeper: &mut Child) -> i32 {
    let stdout = keeper.stdout.as_mut().expect("it is a pipe");
    let mut text = String::new();
    let mut byte = [0];
    while stdout.read(&mut byte).is_ok_and(|count| count == 1) && byte[0] != b'\n' {
        text.push(char::from(byte[0]));
    }
    text.parse().expect("the shell says the engine's pid")
}
