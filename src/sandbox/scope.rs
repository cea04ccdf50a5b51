//! The control group of this process: the one that the service manager handed over, or, where
//! nobody did (a terminal), a scope that the user's own manager is asked for. The process stays the
//! same one; the manager only moves it.

use crate::model::HostEnv;
use crate::process::Command;
use crate::process::Spawner;
use crate::process::Status;
use crate::sandbox::cgroup::Delegated;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

/// Where the program that speaks to the manager is looked for; `PATH` is not asked, because a
/// project may stand in it.
const PROGRAMS: [&str; 3] = [
    "/usr/bin/busctl",
    "/bin/busctl",
    "/run/current-system/sw/bin/busctl",
];
/// How long the manager may take, all in all.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether the process was moved.
const LOOK: Duration = Duration::from_millis(5);
/// What is kept of an answer.
const ANSWER: usize = 4 << 10;

/// The group is the process's, like its directory or its user: there is one, and once it is taken
/// it stays.
static OURS: OnceLock<Option<Arc<Delegated>>> = OnceLock::new();

/// The group that this process took, if it has.
pub fn ours() -> Option<Arc<Delegated>> {
    OURS.get().cloned().flatten()
}

/// Takes the group that was handed over.
pub fn take_offered() -> Option<Arc<Delegated>> {
    OURS.get_or_init(|| Delegated::take().map(Arc::new)).clone()
}

/// Takes the group that was handed over, or asks the user's manager for one. Only for a `main`:
/// it moves this process.
pub async fn take_or_ask(host: &HostEnv) -> Option<Arc<Delegated>> {
    if let Some(taken) = OURS.get() {
        return taken.clone();
    }
    let offered = Delegated::offered().is_ok();
    if !offered && let Err(why) = ask(host).await {
        tracing::debug!(why, "no control group from the user's service manager");
        return None;
    }
    take_offered()
}

/// Whether there is a manager to ask.
pub fn can_ask(host: &HostEnv) -> bool {
    manager(host).is_some() && program().is_some()
}

/// The runtime directory of a user with a manager.
fn manager(host: &HostEnv) -> Option<PathBuf> {
    let dir = host.var("XDG_RUNTIME_DIR").map(PathBuf::from)?;
    let there = dir.is_absolute() && dir.join("systemd/private").exists();
    there.then_some(dir)
}

fn program() -> Option<&'static Path> {
    let mut programs = PROGRAMS.iter().map(Path::new);
    programs.find(|path| path.is_file())
}

/// Has this process moved into a scope of its own, which goes with it.
async fn ask(host: &HostEnv) -> Result<(), String> {
    let runtime = manager(host).ok_or("there is none")?;
    let program = program().ok_or("busctl is not installed")?;
    let name = format!("regreen-{}.scope", std::process::id());
    let mut command = Command::new(program)
        .args(request(&name, std::process::id()))
        .env("XDG_RUNTIME_DIR", &runtime);
    if let Some(bus) = host.var("DBUS_SESSION_BUS_ADDRESS") {
        command = command.env("DBUS_SESSION_BUS_ADDRESS", bus);
    }
    let asked = async {
        let child = Spawner::global().spawn(command).await?;
        child.collect(ANSWER).await
    };
    let said = tokio::time::timeout(PATIENCE, asked).await;
    let said = said.map_err(|_| "it does not answer".to_owned())?;
    let said = said.map_err(|error| error.to_string())?;
    if said.status != Status::Exited(0) {
        return Err(String::from_utf8_lossy(&said.stderr).trim().to_owned());
    }
    let moved = tokio::time::timeout(PATIENCE, moved_into(&name)).await;
    moved.map_err(|_| format!("it did not move this process into `{name}`"))
}

/// `StartTransientUnit` of org.freedesktop.systemd1(5).
fn request(name: &str, pid: u32) -> Vec<String> {
    let pid = pid.to_string();
    let words = [
        "--user",
        "--quiet",
        "call",
        "org.freedesktop.systemd1",
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
        "StartTransientUnit",
        "ssa(sv)a(sa(sv))",
        name,
        "fail",
        "4",
        "Description",
        "s",
        "regreen and its sandboxes",
        "PIDs",
        "au",
        "1",
        &pid,
        "Delegate",
        "b",
        "true",
        "CollectMode",
        "s",
        "inactive-or-failed",
        "0",
    ];
    words.map(str::to_owned).to_vec()
}

/// The manager answers before it has done it.
async fn moved_into(name: &str) {
    let mut every = tokio::time::interval(LOOK);
    loop {
        every.tick().await;
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        if own
            .lines()
            .any(|line| line.starts_with("0::") && line.ends_with(name))
        {
            return;
        }
    }
}
