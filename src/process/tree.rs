//! A child and everything that came of it, found in `/proc`: descendants, members of its
//! session, and what carries its token in the environment after it left both.

use rustix::process::Pid;
use rustix::process::Signal;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::OnceLock;

/// Rounds of killing: each can only be outrun by processes that fork faster than `/proc` is
/// read, and those run into the limit on processes.
const ROUNDS: usize = 50;

/// The root of a process tree.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Empty as long as nobody knows the leader.
    leader: Arc<OnceLock<Pid>>,
    token: Option<Vec<u8>>,
    sealed: bool,
}

/// One process as `/proc/<pid>/stat` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    pid: i32,
    state: u8,
    parent: i32,
    group: i32,
    session: i32,
    started: u64,
}

impl Tree {
    /// The tree below a session leader.
    pub fn new(leader: Pid) -> Self {
        Tree {
            leader: Arc::new(OnceLock::from(leader)),
            ..Tree::unknown()
        }
    }

    /// A tree whose leader nobody knows yet: it has no members until [`Tree::found`].
    pub fn unknown() -> Self {
        Tree {
            leader: Arc::default(),
            token: None,
            sealed: false,
        }
    }

    /// Says who the leader is, to every clone; once.
    pub fn found(&self, leader: Pid) {
        // The first word counts.
        let _ = self.leader.set(leader);
    }

    /// Counts in processes that left the tree but still carry this `NAME=value` in their
    /// environment, or this word as their own name.
    pub fn with_token(mut self, variable: &OsStr) -> Self {
        self.token = Some(variable.as_bytes().to_vec());
        self
    }

    /// Says that the kernel ends all members with the leader (a PID namespace), so that nobody
    /// has to be looked for, and that the leader itself must not see TERM, because its end
    /// would leave the others no grace.
    pub fn sealed(mut self) -> Self {
        self.sealed = true;
        self
    }

    /// Asks every member to end.
    pub fn terminate(&self) {
        self.send(Signal::TERM, !self.sealed);
    }

    /// Kills everybody, the leader included, who must not have been waited for yet.
    pub fn kill(&self) {
        if let Some(leader) = self.leader.get() {
            let _ = rustix::process::kill_process(*leader, Signal::KILL);
        }
        self.kill_rest();
    }

    /// Kills until nobody but the leader is left. Zombies do not count: their parents reap
    /// them.
    pub fn kill_rest(&self) {
        if self.sealed {
            return;
        }
        for _ in 0..ROUNDS {
            if self.send(Signal::KILL, false) == 0 {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Sends a signal to everybody below the leader. A leader that answers for a namespace of
    /// its own is spared with its first process: they only wait.
    pub fn signal_below(&self, signal: Signal) {
        let Some(leader) = self.number() else {
            return;
        };
        let waiting = |stat: &Stat| stat.pid == leader || (self.sealed && stat.parent == leader);
        let all = processes();
        let spared: HashSet<i32> = all
            .iter()
            .filter(|stat| waiting(stat))
            .map(|stat| stat.pid)
            .collect();
        let own = rustix::process::getpid().as_raw_nonzero().get();
        for pid in members(&all, Some(leader), own, |_| false) {
            if !spared.contains(&pid)
                && let Some(pid) = Pid::from_raw(pid)
            {
                // Gone meanwhile, or not ours: either way there is nothing to do.
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    }

    /// Sends a signal to the living members; answers how many there were.
    fn send(&self, signal: Signal, leader_too: bool) -> usize {
        let members = self.members();
        let chosen = members
            .iter()
            .filter(|pid| leader_too || self.leader.get() != Some(*pid));
        chosen
            .map(|pid| {
                // Gone meanwhile, or not ours: either way there is nothing to do.
                let _ = rustix::process::kill_process(*pid, signal);
            })
            .count()
    }

    /// The living members, the leader among them.
    pub fn members(&self) -> Vec<Pid> {
        self.among(self.number())
    }

    fn number(&self) -> Option<i32> {
        Some(self.leader.get()?.as_raw_nonzero().get())
    }

    /// The living processes that carry a token, and what came of them, whoever started them.
    pub fn of_token(token: &OsStr) -> Vec<Pid> {
        let tree = Tree::unknown().with_token(token);
        tree.among(None)
    }

    fn among(&self, leader: Option<i32>) -> Vec<Pid> {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        members(&processes(), leader, own, |pid| self.carries_token(pid))
            .into_iter()
            .filter_map(Pid::from_raw)
            .collect()
    }

    fn carries_token(&self, pid: i32) -> bool {
        let Some(token) = &self.token else {
            return false;
        };
        let holds = |file: &str, most: usize| {
            std::fs::read(format!("/proc/{pid}/{file}")).is_ok_and(|text| {
                text.split(|byte| *byte == 0)
                    .take(most)
                    .any(|entry| entry == token)
            })
        };
        // The environment of a process that changed its user namespace cannot be read; its name
        // can.
        holds("environ", usize::MAX) || holds("cmdline", 1)
    }
}

/// Who belongs to `leader`, of all processes; without a leader, only what `extra` names and what
/// came of it. Never `own`, its ancestors, init or the kernel's threads, whatever is asked for:
/// who is in this list gets killed.
fn members(all: &[Stat], leader: Option<i32>, own: i32, extra: impl Fn(i32) -> bool) -> Vec<i32> {
    let spared = spared(all, own);
    // Session and group 0 are those of the kernel's threads and of init; nobody leads them.
    let leader = leader.filter(|pid| *pid > 1);
    let belongs = |stat: &Stat| {
        leader.is_some_and(|leader| [stat.pid, stat.session, stat.group].contains(&leader))
    };
    let mut found: HashSet<i32> = all
        .iter()
        .filter(|stat| !spared.contains(&stat.pid))
        .filter(|stat| belongs(stat) || extra(stat.pid))
        .map(|stat| stat.pid)
        .collect();
    loop {
        let before = found.len();
        for stat in all {
            if found.contains(&stat.parent) && !spared.contains(&stat.pid) {
                found.insert(stat.pid);
            }
        }
        if found.len() == before {
            break;
        }
    }
    all.iter()
        .filter(|stat| found.contains(&stat.pid) && !matches!(stat.state, b'Z' | b'X'))
        .map(|stat| stat.pid)
        .collect()
}

/// Whom no signal of ours may ever reach: init, the kernel's threads, ourselves and those who
/// started us.
fn spared(all: &[Stat], own: i32) -> HashSet<i32> {
    const KTHREADD: i32 = 2;
    let kernel = |stat: &&Stat| stat.pid == KTHREADD || stat.parent == KTHREADD;
    let threads = all.iter().filter(|stat| stat.session == 0).filter(kernel);
    let mut spared: HashSet<i32> = threads.map(|stat| stat.pid).collect();
    spared.extend([0, 1]);
    let mut pid = own;
    while spared.insert(pid) {
        match all.iter().find(|stat| stat.pid == pid) {
            Some(stat) => pid = stat.parent,
            None => break,
        }
    }
    spared
}

/// Everything in `/proc`. What disappears while we look is left out.
fn processes() -> Vec<Stat> {
    let Ok(dir) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    dir.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(stat)
        .collect()
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// `pid (comm) state ppid pgrp session …`; the command may hold blanks and parentheses.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let open = text.iter().position(|byte| *byte == b'(')?;
    let close = text.iter().rposition(|byte| *byte == b')')?;
    let pid = std::str::from_utf8(&text[..open])
        .ok()?
        .trim()
        .parse()
        .ok()?;
    let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        pid,
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// When a living process started, in clock ticks since boot: with its pid this names it for
/// good, since pids are given away again. `None` for one that is gone or a zombie.
pub fn start_time(pid: Pid) -> Option<u64> {
    stat(pid.as_raw_nonzero().get())
        .filter(|stat| !matches!(stat.state, b'Z' | b'X'))
        .map(|stat| stat.started)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pid: i32, parent: i32, session: i32, state: char) -> Stat {
        let text = format!(
            "{pid} (a) b) {state} {parent} {session} {session} 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77 0"
        );
        parse_stat(text.as_bytes()).expect("a whole line")
    }

    #[test]
    fn a_command_with_parentheses_does_not_confuse() {
        let stat = line(7, 3, 5, 'S');
        assert_eq!((stat.pid, stat.parent, stat.session), (7, 3, 5));
        assert_eq!((stat.state, stat.started), (b'S', 77));
        assert_eq!(parse_stat(b"7 (x"), None);
    }

    #[test]
    fn members_are_descendants_and_sessions_but_not_zombies() {
        let all = [
            line(10, 1, 10, 'S'),
            line(11, 10, 10, 'S'),
            line(12, 11, 12, 'S'),
            line(13, 1, 10, 'S'),
            line(14, 1, 14, 'S'),
            line(15, 10, 10, 'Z'),
            line(16, 1, 16, 'S'),
            line(17, 16, 16, 'S'),
        ];
        let of = |leader, extra: fn(i32) -> bool| members(&all, leader, 99, extra);
        assert_eq!(of(Some(10), |_| false), [10, 11, 12, 13]);
        assert_eq!(of(Some(10), |pid| pid == 16), [10, 11, 12, 13, 16, 17]);
        assert_eq!(of(None, |pid| pid == 16), [16, 17]);
        assert!(of(None, |_| false).is_empty());
    }

    /// Without a leader nobody belongs: session 0 is that of init, and everybody descends from
    /// it. This once killed a whole machine.
    #[test]
    fn init_the_kernel_and_our_own_ancestors_are_always_spared() {
        let all = [
            line(1, 0, 0, 'S'),
            line(2, 0, 0, 'S'),
            line(3, 2, 0, 'S'),
            line(20, 1, 20, 'S'),
            line(21, 20, 20, 'S'),
            line(22, 21, 20, 'S'),
            line(30, 1, 30, 'S'),
        ];
        let everybody = |_| true;
        let nobody = |_| false;
        for leader in [None, Some(0), Some(1)] {
            assert!(members(&all, leader, 21, nobody).is_empty(), "{leader:?}");
        }
        // 22 is our child, 30 a stranger; 20 and 1 are our ancestors.
        assert_eq!(members(&all, None, 21, everybody), [22, 30]);
        assert_eq!(members(&all, Some(20), 21, nobody), [22]);
    }

    #[test]
    fn our_own_start_is_known() {
        let own = rustix::process::getpid();
        assert!(start_time(own).is_some_and(|ticks| ticks > 0));
    }
}
