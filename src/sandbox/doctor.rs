//! The checks of `regreen doctor` that concern sandboxes: each looks at, or better tries, the
//! thing itself, and names the cause and the remedy of what fails.

use crate::model::AttackLine;
use crate::model::Check;
use crate::model::HostEnv;
use crate::model::Limits;
use crate::sandbox::Backend;
use crate::sandbox::Network;
use crate::sandbox::Place;
use crate::sandbox::Priority;
use crate::sandbox::SandboxError;
use crate::sandbox::Spec;
use crate::sandbox::attack::AttackError;
use crate::sandbox::attack::Trap;
use crate::sandbox::bwrap::Bwrap;
use crate::sandbox::bwrap::Options;
use crate::sandbox::cgroup::Delegated;
use crate::sandbox::scope;
use crate::sandbox::toolchain::Toolchains;
use std::path::Path;
use std::path::PathBuf;

/// Below this much free space slots cannot grow, in bytes.
const DISK_LEAST: u64 = 1 << 30;
/// Below this much a large project may not find room, in bytes.
const DISK_ENOUGH: u64 = 5 << 30;
/// Watches that a large worktree needs.
const WATCHES: u64 = 65_536;
/// inotify instances that a desktop and regreen share.
const INSTANCES: u64 = 128;

/// The checks of toolchains.
pub fn toolchains(found: &Toolchains, project: &Path) -> Vec<Check> {
    let mut checks: Vec<Check> = found
        .notes
        .iter()
        .map(|note| {
            let remedy = note.remedy.clone().unwrap_or_default();
            match note.code.as_str() {
                "toolchain_missing" => Check::fail("toolchain", &note.message, remedy),
                _ => Check::warn("toolchain", &note.message, remedy),
            }
        })
        .collect();
    let needs = [
        ("cargo", "Cargo.toml", "install Rust: https://rustup.rs"),
        ("python3", "pyproject.toml", "install Python 3"),
    ];
    for (name, manifest, remedy) in needs {
        let needed = project.join(manifest).exists();
        checks.push(match found.program(name) {
            Some(program) => {
                let version = program.version.as_deref().unwrap_or("version unknown");
                Check::ok(name, format!("{} ({version})", program.path.display()))
            }
            None if needed => Check::fail(name, format!("`{name}` was not found"), remedy),
            None => Check::ok(name, "not found, and not needed here"),
        });
    }
    checks
}

/// Starts a real sandbox in a scratch directory.
pub async fn bubblewrap(host: &HostEnv, found: &Toolchains) -> Vec<Check> {
    let name = "bubblewrap";
    let scratch = match Scratch::new(host) {
        Ok(scratch) => scratch,
        Err(error) => return vec![Check::fail(name, error.to_string(), CACHE_REMEDY)],
    };
    let backend = Bwrap::new(host, Options::default());
    let mut checks = Vec::new();
    match try_one(&backend, &scratch, found).await {
        Ok(()) => {
            checks.push(Check::ok(
                name,
                "a sandbox was made and a command ran in it",
            ));
            checks.push(Check::ok("user_namespaces", "they can be made"));
        }
        Err(SandboxError::Unavailable { reason, remedy }) => {
            let missing = reason.contains("not installed") || reason.contains("too old");
            checks.push(Check::fail(name, reason, remedy.clone()));
            if !missing {
                checks.push(Check::fail("user_namespaces", "they are refused", remedy));
            }
        }
        Err(error) => checks.push(Check::fail(
            name,
            error.to_string(),
            "report this: https://github.com/containers/bubblewrap works, but not with \
             regreen's policy",
        )),
    }
    checks
}

const CACHE_REMEDY: &str = "make regreen's cache directory (XDG_CACHE_HOME) writable";

async fn try_one(
    backend: &Bwrap,
    scratch: &Scratch,
    found: &Toolchains,
) -> Result<(), SandboxError> {
    let mut spec = scratch.spec();
    spec.mounts = found.prepare(&spec.place).map_err(SandboxError::Start)?;
    let mut running = backend.start(spec).await?;
    while running.output.recv().await.is_some() {}
    let lost = || SandboxError::Start(std::io::Error::other("its end was not told"));
    let ended = running.exit.await.map_err(|_| lost())?;
    match ended.not_started {
        None if ended.exit.success() => Ok(()),
        reason => Err(SandboxError::Start(std::io::Error::other(
            reason.unwrap_or_else(|| format!("`true` ended with {:?}", ended.exit)),
        ))),
    }
}

/// inotify's limits: too few watches make regreen poll.
pub fn inotify() -> Check {
    let limit = |name: &str| -> Option<u64> {
        let path = format!("/proc/sys/fs/inotify/{name}");
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    let name = "inotify";
    let (Some(watches), Some(instances)) = (limit("max_user_watches"), limit("max_user_instances"))
    else {
        return Check::fail(
            name,
            "the kernel has no inotify",
            "use a kernel with inotify",
        );
    };
    let found = format!("{watches} watches, {instances} instances");
    let raise = |key: &str, value: u64| {
        format!(
            "raise it: `echo fs.inotify.{key}={value} | sudo tee /etc/sysctl.d/60-inotify.conf \
             && sudo sysctl --system`"
        )
    };
    if watches < WATCHES {
        let message = format!("{found}: too few watches for a large worktree, which is polled");
        return Check::warn(name, message, raise("max_user_watches", 524_288));
    }
    if instances < INSTANCES {
        let message = format!("{found}: other programs may leave none for regreen");
        return Check::warn(name, message, raise("max_user_instances", 512));
    }
    Check::ok(name, found)
}

/// Whether limits of memory and processes can hold for a sandbox as a whole.
pub fn cgroup(host: &HostEnv) -> Check {
    match Delegated::offered() {
        Ok(path) => handed_over(&path),
        Err(_) if scope::can_ask(host) => Check::ok(
            "cgroup",
            "the user's service manager hands one over when a limit needs it",
        ),
        Err(reason) => Check::warn(
            "cgroup",
            format!("{reason}: memory is limited for each process alone"),
            "run regreen as its systemd user service (`regreen service install`), which gets a \
             control group of its own",
        ),
    }
}

/// Which limits a group can hold: systemd hands over what the unit's `Delegate=`, and that of the
/// user's manager above it, allow.
fn handed_over(group: &Path) -> Check {
    let found = format!("delegated: `{}`", group.display());
    let offered = std::fs::read_to_string(group.join("cgroup.controllers")).unwrap_or_default();
    let lacks = |name: &&str| !offered.split_ascii_whitespace().any(|it| it == *name);
    let lacking: Vec<&str> = ["memory", "pids", "cpu"]
        .into_iter()
        .filter(lacks)
        .collect();
    if lacking.is_empty() {
        return Check::ok("cgroup", found);
    }
    Check::warn(
        "cgroup",
        format!("{found}, without {}", lacking.join(", ")),
        "let the user's manager have them: `sudo systemctl edit user@.service`, with `[Service]` and \
         `Delegate=cpu memory pids io`, then log in anew; on a machine with control groups of version 1 \
         boot with `systemd.unified_cgroup_hierarchy=1`",
    )
}

/// Free space where slots and records lie.
pub fn disk(host: &HostEnv) -> Vec<Check> {
    [
        ("disk_cache", host.cache_dir()),
        ("disk_state", host.state_dir()),
    ]
    .into_iter()
    .map(|(name, dir)| disk_at(name, &dir))
    .collect()
}

fn disk_at(name: &str, dir: &Path) -> Check {
    let existing = dir.ancestors().find(|dir| dir.is_dir());
    let stat = existing.and_then(|dir| rustix::fs::statvfs(dir).ok());
    let Some(stat) = stat else {
        let message = format!("`{}` cannot be looked at", dir.display());
        return Check::fail(name, message, CACHE_REMEDY);
    };
    let free = stat.f_bavail * stat.f_frsize;
    let message = format!("{} MiB free at `{}`", free >> 20, dir.display());
    let remedy = "free some space, or run `regreen gc`";
    match free {
        free if free < DISK_LEAST => Check::fail(name, message, remedy),
        free if free < DISK_ENOUGH => Check::warn(name, message, remedy),
        _ => Check::ok(name, message),
    }
}

/// Root escapes some limits.
pub fn user() -> Check {
    match rustix::process::geteuid().is_root() {
        true => Check::warn(
            "user",
            "regreen runs as root: the limit on processes does not bind a sandbox",
            "run it as an ordinary user",
        ),
        false => Check::ok("user", "an ordinary user"),
    }
}

/// Really tries to get out of a sandbox of this backend, or of bubblewrap's; `regreen` is this
/// program's own file.
///
/// # Errors
/// If the attack could not be made.
pub async fn attack(
    host: &HostEnv,
    regreen: &Path,
    backend: Option<&dyn Backend>,
) -> Result<Vec<AttackLine>, AttackError> {
    let scratch = Scratch::new(host).map_err(|source| AttackError::Bait {
        dir: host.cache_dir(),
        source,
    })?;
    // The cache lies in the home directory; the home itself is not littered.
    let trap = Trap::lay(&scratch.dir, &scratch.dir)?;
    let bubblewrap = Bwrap::new(host, Options::default());
    let backend = backend.unwrap_or(&bubblewrap);
    let answers = trap.spring(backend, regreen, &host.home).await?;
    Ok(answers
        .into_iter()
        .map(|answer| AttackLine {
            remedy: (!answer.held).then(|| remedy(&answer.name).to_owned()),
            property: answer.name,
            held: answer.held,
            detail: answer.detail,
        })
        .collect())
}

/// What may be wrong where an attempt got through.
fn remedy(property: &str) -> &'static str {
    match property {
        "kernel_settings" => "do not run regreen as root",
        "write_dev" if rustix::process::geteuid().is_root() => "do not run regreen as root",
        "shm_size" | "write_dev" | "write_root" => "upgrade bubblewrap to 0.8 or later",
        _ => "stop using the sandbox for untrusted code and report this: it must not happen",
    }
}

/// A throw-away slot.
struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    fn new(host: &HostEnv) -> std::io::Result<Self> {
        let dir = host
            .cache_dir()
            .join(format!("doctor-{}", std::process::id()));
        for name in ["slot/tree", "slot/home", "slot/tmp"] {
            std::fs::create_dir_all(dir.join(name))?;
        }
        Ok(Scratch { dir })
    }

    fn spec(&self) -> Spec {
        let root = self.dir.join("project");
        Spec {
            argv: vec!["true".into()],
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            cwd: root.clone(),
            place: Place {
                root,
                tree: self.dir.join("slot/tree"),
                home: self.dir.join("slot/home"),
                tmp: self.dir.join("slot/tmp"),
            },
            mounts: Vec::new(),
            stdin: None,
            limits: Limits {
                wall_ms: 30_000,
                ..Limits::default()
            },
            network: Network::None,
            image: None,
            priority: Priority::default(),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
