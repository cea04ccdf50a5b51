//! Control groups, where the service manager has handed one over to regreen: one group a run,
//! for limits that hold for the sandbox as a whole and for an end that nobody escapes.

use crate::model::MemoryOf;
use crate::model::Used;
use rustix::process::Pid;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Where regreen itself goes: a group with controllers for its children may hold no processes.
const OWN: &str = "regreen";

/// A control group of version 2 that belongs to regreen alone.
#[derive(Debug)]
pub struct Delegated {
    dir: PathBuf,
    /// Whether memory can be limited and its end be noticed.
    pub memory: bool,
    /// Whether processes can be counted.
    pub pids: bool,
    /// Whether time of processors can be limited.
    pub cpu: bool,
}

/// What a group may use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Most {
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Processors, in thousandths.
    pub cpu_millis: Option<u64>,
}

/// The time that `cpu.max` divides up, in microseconds: the kernel's own choice.
const PERIOD: u64 = 100_000;

/// The processes of a group, without those of the groups below.
fn members(dir: &Path) -> Vec<u32> {
    let text = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    text.split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// This process, or a child of it: the guard stands before anything else is done.
fn is_ours(pid: u32) -> bool {
    let own = std::process::id();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let parent = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
    pid == own || parent == Some(own)
}

impl Delegated {
    /// The group that this process is in, if it is offered to regreen: writable, not the
    /// machine's own, and holding nobody else.
    ///
    /// # Errors
    /// Why not, in words for the user.
    pub fn offered() -> Result<PathBuf, String> {
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mount = mount_point(&mounts).ok_or("control groups of version 2 are not mounted")?;
        let path = own_path(&own).ok_or("this process is in no control group of its own")?;
        let dir = mount.join(path);
        let shown = dir.display();
        if !members(&dir).into_iter().all(is_ours) {
            return Err(format!(
                "the control group `{shown}` holds other processes too"
            ));
        }
        let control = dir.join("cgroup.subtree_control");
        match rustix::fs::access(&control, rustix::fs::Access::WRITE_OK) {
            Ok(()) => Ok(dir),
            Err(_) => Err(format!("the control group `{shown}` is not delegated")),
        }
    }

    /// Takes over the group that is offered. Moves this process, and those that it has started
    /// already, into a group below it: a group that delegates has no members of its own.
    pub fn take() -> Option<Self> {
        Delegated::within(Delegated::offered().ok()?, true).ok()
    }

    /// Uses `dir`, which must be writable. With `move_in` this process goes into a group below.
    ///
    /// # Errors
    /// If groups cannot be made there.
    pub fn within(dir: PathBuf, move_in: bool) -> io::Result<Self> {
        if move_in {
            let own = dir.join(OWN);
            make(&own)?;
            for member in members(&dir).into_iter().filter(|member| is_ours(*member)) {
                std::fs::write(own.join("cgroup.procs"), member.to_string())?;
            }
        }
        let control = dir.join("cgroup.subtree_control");
        let enable = |name: &str| std::fs::write(&control, format!("+{name}")).is_ok();
        Ok(Delegated {
            memory: enable("memory"),
            pids: enable("pids"),
            cpu: enable("cpu"),
            dir,
        })
    }

    /// Makes a group for one run.
    ///
    /// # Errors
    /// If the kernel refuses it or a limit.
    pub fn group(&self, most: Most) -> io::Result<Group> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = self
            .dir
            .join(format!("run-{}-{number}", std::process::id()));
        make(&dir)?;
        let group = Group { dir };
        let memory = most.memory.filter(|_| self.memory);
        let pids = most.pids.filter(|_| self.pids);
        let cpu = most.cpu_millis.filter(|_| self.cpu);
        let limits = [
            ("memory.max", memory.map(|bytes| bytes.to_string())),
            ("pids.max", pids.map(|count| count.to_string())),
            ("cpu.max", cpu.map(cpu_max)),
        ];
        for (file, limit) in limits {
            if let Some(limit) = limit {
                std::fs::write(group.dir.join(file), limit)?;
            }
        }
        if memory.is_some() {
            // Without this the limit would only push the run into swap. Not every kernel has it.
            let _ = std::fs::write(group.dir.join("memory.swap.max"), "0");
        }
        Ok(group)
    }
}

/// So much of each period.
fn cpu_max(millis: u64) -> String {
    format!("{} {PERIOD}", millis.saturating_mul(PERIOD / 1000))
}

/// The control group of one run; killed and removed when dropped.
#[derive(Debug)]
pub struct Group {
    dir: PathBuf,
}

impl Group {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Moves a process in; what it forks from now on is in too.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn add(&self, pid: Pid) -> io::Result<()> {
        let pid = pid.as_raw_nonzero().to_string();
        std::fs::write(self.dir.join("cgroup.procs"), pid)
    }

    /// Processes that the kernel ended because memory ran out.
    pub fn oom_kills(&self) -> u64 {
        let events = std::fs::read_to_string(self.dir.join("memory.events")).unwrap_or_default();
        flat(&events, "oom_kill").unwrap_or(0)
    }

    /// Whether it was the group's own limit that memory ran into, and not the machine's.
    pub fn met_its_limit(&self) -> bool {
        let events = std::fs::read_to_string(self.dir.join("memory.events")).unwrap_or_default();
        flat(&events, "oom").is_some_and(|times| times > 0)
    }

    /// What everybody who was ever in it used; which facts there are depends on the controllers
    /// that were handed over and on the kernel's age.
    pub fn used(&self) -> Used {
        let read = |name: &str| std::fs::read_to_string(self.dir.join(name)).unwrap_or_default();
        let (cpu, io) = (read("cpu.stat"), read("io.stat"));
        let millis = |name: &str| flat(&cpu, name).map(|micros| micros / 1000);
        let peak = read("memory.peak").trim().parse().ok();
        let mut used = Used::default();
        used.peak_memory_bytes = peak;
        used.peak_memory_of = peak.map(|_| MemoryOf::Run);
        used.cpu_user_ms = millis("user_usec");
        used.cpu_system_ms = millis("system_usec");
        used.read_bytes = nested(&io, "rbytes=");
        used.written_bytes = nested(&io, "wbytes=");
        used
    }
}

/// The value of a key in a file of lines `KEY VALUE`.
fn flat(text: &str, key: &str) -> Option<u64> {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(key));
    values.find_map(|value| value.strip_prefix(' ')?.trim().parse().ok())
}

/// The sum of a key over the devices of `io.stat`; `None` where nothing is told.
fn nested(text: &str, key: &str) -> Option<u64> {
    let values = text.split_ascii_whitespace();
    let values = values.filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok());
    values.reduce(u64::saturating_add)
}

impl Drop for Group {
    fn drop(&mut self) {
        remove_left_over(&self.dir);
    }
}

/// Ends everybody in a group and removes it.
pub fn remove_left_over(dir: &Path) {
    let _ = std::fs::write(dir.join("cgroup.kill"), "1");
    // The killed are gone a moment later; an empty group that stays costs next to nothing.
    for _ in 0..100 {
        match std::fs::remove_dir(dir) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => std::thread::yield_now(),
            _ => return,
        }
    }
}

fn make(dir: &Path) -> io::Result<()> {
    match std::fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// The version 2 line of `/proc/self/cgroup`, without its leading slash; `None` for the root
/// group, which is never regreen's own.
fn own_path(text: &str) -> Option<PathBuf> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    (!path.is_empty() && !path.contains("..")).then(|| PathBuf::from(path))
}

/// Where cgroup version 2 is mounted.
fn mount_point(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let is_v2 = right.split(' ').next() == Some("cgroup2");
        is_v2.then(|| left.split(' ').nth(4).map(PathBuf::from))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_group_is_never_ours() {
        assert_eq!(own_path("4:memory:/x\n0::/\n"), None);
        let service = own_path("0::/user.slice/app.slice/regreen.service\n");
        assert_eq!(service, Some("user.slice/app.slice/regreen.service".into()));
    }

    /// The files of a group, imitated: what is written to them. That the kernel keeps to it cannot
    /// be shown without its controllers; see docs/not-tested.md.
    #[test]
    fn limits_are_written_as_the_kernel_reads_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let delegated = Delegated::within(dir.path().to_owned(), false).expect("ours");
        let most = Most {
            memory: Some(1 << 20),
            pids: Some(40),
            cpu_millis: Some(1500),
        };
        let group = delegated.group(most).expect("made");
        let read = |name: &str| std::fs::read_to_string(group.path().join(name)).expect(name);
        assert_eq!(read("memory.max"), "1048576");
        assert_eq!(read("memory.swap.max"), "0");
        assert_eq!(read("pids.max"), "40");
        assert_eq!(read("cpu.max"), "150000 100000");
        assert_eq!(group.oom_kills(), 0);
        let events = "low 0\noom 1\noom_kill 2\noom_group_kill 0\n";
        std::fs::write(group.path().join("memory.events"), events).expect("written");
        assert_eq!(group.oom_kills(), 2);
        assert!(group.met_its_limit());
        std::fs::write(group.path().join("memory.events"), "oom 0\noom_kill 1\n").expect("ours");
        assert!(!group.met_its_limit(), "the machine ran out of it");
    }

    #[test]
    fn what_a_group_used_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("run");
        std::fs::create_dir(&path).expect("made");
        let write = |name: &str, text: &str| std::fs::write(path.join(name), text).expect(name);
        let cpu = "usage_usec 7000000\nuser_usec 4000000\nsystem_usec 3000000\nnr_periods 0\n";
        write("cpu.stat", cpu);
        let group = Group { dir: path.clone() };
        let only_cpu = group.used();
        assert_eq!(only_cpu.cpu_user_ms, Some(4000));
        assert_eq!(only_cpu.cpu_system_ms, Some(3000));
        assert_eq!((only_cpu.peak_memory_of, only_cpu.read_bytes), (None, None));
        write("memory.peak", "1048576\n");
        let io = "8:0 rbytes=10 wbytes=5 rios=1\n8:16 rbytes=1 wbytes=2 rios=1\n";
        write("io.stat", io);
        let all = group.used();
        assert_eq!(all.peak_memory_bytes, Some(1 << 20));
        assert_eq!((all.read_bytes, all.written_bytes), (Some(11), Some(7)));
    }

    #[test]
    fn the_mount_point_is_read_from_mountinfo() {
        let text = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_point(text), Some("/sys/fs/cgroup".into()));
        assert_eq!(mount_point("30 23 0:26 / /x rw - tmpfs tmpfs rw\n"), None);
    }
}
