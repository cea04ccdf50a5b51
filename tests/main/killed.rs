//! The daemon killed by `kill -9`, at any moment: it comes back true, nothing accepted is lost,
//! and nothing of it is left, not even until the next start.

use crate::daemon::daemon;
use crate::daemon::get;
use crate::daemon::holds;
use crate::daemon::request;
use crate::daemon::script_project;
use crate::daemon::settled;
use crate::support::Home;
use crate::support::Project;
use crate::support::Started;
use crate::support::full_tier;
use crate::support::require;
use crate::support::say;
use crate::support::until_changed;
use rustix::fs::FlockOperation;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use walkdir::WalkDir;

/// The status is true so long after the next run's end, at most.
const TRUE_WITHIN: Duration = Duration::from_secs(5);

/// The state that a daemon is to be killed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Watching,
    Syncing,
    Running,
    Looping,
}

const MOMENTS: [Moment; 4] = [
    Moment::Watching,
    Moment::Syncing,
    Moment::Running,
    Moment::Looping,
];

impl Moment {
    /// How long at most to wait in it before the kill: the moment in it is random too.
    fn longest_wait(self) -> Duration {
        Duration::from_millis(match self {
            Moment::Watching => 300,
            Moment::Syncing => 2,
            Moment::Running => 350,
            Moment::Looping => 600,
        })
    }
}

/// What the daemon does by its own word.
fn moment(status: &Value) -> Option<Moment> {
    let looping = status["loops"]
        .as_array()
        .is_some_and(|loops| loops.iter().any(|l| l["stop"].is_null()));
    match status["activity"].as_str()? {
        _ if looping => Some(Moment::Looping),
        "idle" => Some(Moment::Watching),
        "syncing" => Some(Moment::Syncing),
        "running" | "queued" => Some(Moment::Running),
        _ => None,
    }
}

/// Chance that can be repeated: `REGREEN_SEED` names where it begins.
struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    fn new() -> Chance {
        let given = std::env::var("REGREEN_SEED").ok();
        let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seed = match given.map(|text| text.parse().expect("REGREEN_SEED is a number")) {
            Some(seed) => seed,
            None => u64::from(clock().expect("after 1970").subsec_nanos()),
        };
        Chance { seed, state: seed }
    }

    /// Anything from nothing to `most`.
    fn up_to(&mut self, most: Duration) -> Duration {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        most.mul_f64((z >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// Lets just so much time go by: a kill at a random moment is all about time.
fn pass(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

#[test]
fn killed_at_any_moment_it_comes_back_true() {
    if !require("bwrap") {
        return;
    }
    let rounds = if full_tier() { 100 } else { 20 };
    let mut chance = Chance::new();
    say(&format!("REGREEN_SEED={}", chance.seed));
    let mut lab = Lab::new();
    let mut killed: BTreeMap<Moment, u32> = BTreeMap::new();
    let mut latest = Duration::ZERO;
    for round in 0..rounds {
        let aim = MOMENTS[round as usize % 4];
        let (seen, late) = lab.round(round, aim, &mut chance);
        *killed.entry(seen).or_default() += 1;
        latest = latest.max(late);
    }
    let said: Vec<String> = killed
        .iter()
        .map(|(moment, times)| format!("{moment:?} {times}"))
        .collect();
    say(&format!(
        "killed {rounds} times: {}; true at the latest {} ms after the next run's end",
        said.join(", "),
        latest.as_millis()
    ));
    for moment in MOMENTS {
        let times = killed.get(&moment).copied().unwrap_or(0);
        assert!(
            times * 10 >= rounds,
            "{moment:?} only {times} times of {rounds}"
        );
    }
    let daemon = lab.daemon.take().expect("a daemon runs between rounds");
    daemon.terminate().exits(0);
    let left = left_running(&lab.home);
    assert!(left.is_empty(), "{left:?}");
}

/// A project whose daemon is killed again and again.
struct Lab {
    home: Home,
    project: Project,
    id: String,
    daemon: Option<Started>,
    good: bool,
}

/// What a round began before the kill.
#[derive(Default)]
struct Begun {
    accepted: Option<String>,
    fixing: Option<Started>,
}

impl Lab {
    fn new() -> Lab {
        let home = Home::new();
        let project = script_project(&home, "p", "sleep 0.4; exit 0\n");
        // Enough to copy that synchronising takes a moment in which it can be killed.
        for file in 0..300 {
            std::fs::create_dir_all(project.path("data")).unwrap();
            std::fs::write(project.path(format!("data/f{file}")), "x".repeat(2_000)).unwrap();
        }
        project.commit("data");
        let daemon = daemon(&home);
        project.regreen(["add"]).run().exits(0);
        settled(&project, "green");
        let id = get(&home, "/v1/projects")[0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        Lab {
            home,
            project,
            id,
            daemon: Some(daemon),
            good: true,
        }
    }

    /// Answers in which moment it was killed, and how late the status was true.
    fn round(&mut self, round: u32, aim: Moment, chance: &mut Chance) -> (Moment, Duration) {
        let begun = self.begin(round, aim);
        let wait = chance.up_to(aim.longest_wait());
        let seen = self.aim_at(aim, wait);
        let dying = self.daemon.take().expect("a daemon runs between rounds");
        let killed = dying.pid();
        dying.kill_9();
        if let Some(fixing) = begun.fixing {
            fixing.kill_9();
        }
        let clean = nothing_outlives(&self.home);
        let restarted = SystemTime::now();
        self.daemon = Some(daemon(&self.home));
        let listens = SystemTime::now();
        let truth = self.true_again(round);
        // Without a run, because the verdict on the tree was known, it is from the start.
        let ended = first_end_since(&self.home, restarted);
        let late = truth
            .duration_since(ended.unwrap_or(listens))
            .unwrap_or_default();
        let after = if ended.is_some() {
            "the next run's end"
        } else {
            "the start"
        };
        say(&format!(
            "round {round}: process {killed} killed {wait:?} into {seen:?} (aim {aim:?}); clean \
             after {clean:?}, true {late:?} after {after}"
        ));
        assert!(
            late <= TRUE_WITHIN,
            "round {round}: true only {late:?} after {after}"
        );
        self.settle(round, aim, begun.accepted.as_deref());
        (seen, late)
    }

    /// Has the daemon do what it is to be killed in.
    fn begin(&mut self, round: u32, aim: Moment) -> Begun {
        let mut begun = Begun::default();
        if aim == Moment::Looping {
            // A loop begins at the branch's tip, which has to be red for it to go on.
            self.good = false;
            let script = format!("# {round}\nsleep 0.4; exit 1\n");
            self.project.write("test.sh", script);
            self.project.commit("red");
            settled(&self.project, "red");
            let agent = ["fix", "--agent-command", "sleep 60"];
            begun.fixing = Some(self.project.regreen(agent).start());
        } else if aim != Moment::Watching {
            self.good = !self.good;
            let exit = u32::from(!self.good);
            if aim == Moment::Syncing {
                for file in 0..300 {
                    let text = format!("{round} {}", "y".repeat(2_000));
                    std::fs::write(self.project.path(format!("data/f{file}")), text).unwrap();
                }
            }
            let script = format!("# {round}\nsleep 0.4; exit {exit}\n");
            self.project.write("test.sh", script);
        }
        if aim == Moment::Running {
            let path = format!("/v1/projects/{}/runs", self.id);
            let (status, body) = request(&self.home, "POST", &path, "");
            assert_eq!(status, 202, "{body}");
            begun.accepted = body["runs"][0].as_str().map(str::to_owned);
        }
        begun
    }

    /// Waits for the moment, and a while in it, and says at which one it is.
    fn aim_at(&self, aim: Moment, wait: Duration) -> Moment {
        let path = self.project.path(".git/regreen/status.json");
        let now = || {
            let text = std::fs::read(&path).ok()?;
            moment(&serde_json::from_slice::<Value>(&text).ok()?)
        };
        // A loop takes a while to begin; any other moment comes at once or not at all.
        let patience = if aim == Moment::Looping { 30 } else { 3 };
        let until = Instant::now() + Duration::from_secs(patience);
        while Instant::now() < until && now() != Some(aim) {}
        pass(wait);
        now().unwrap_or(Moment::Watching)
    }

    /// When the new daemon's status was first true. Until then it must not pretend to be.
    fn true_again(&self, round: u32) -> SystemTime {
        let verdict = if self.good { "green" } else { "red" };
        let pid = self.daemon.as_ref().map(Started::pid);
        let path = self.project.path(".git/regreen/status.json");
        let dir = path.parent().unwrap();
        let what = format!("round {round}: a true status");
        until_changed(dir, &what, Duration::from_secs(60), || {
            let text = std::fs::read(&path).ok()?;
            let status: Value = serde_json::from_slice(&text).ok()?;
            let settled =
                status["daemon"]["pid"].as_u64() == pid.map(u64::from) && status["stale"] == false;
            assert!(
                !settled || status["verdict"] == verdict,
                "round {round}: a false status: {status:#}"
            );
            settled.then(SystemTime::now)
        })
    }

    /// What else has to hold after a round.
    fn settle(&self, round: u32, aim: Moment, accepted: Option<&str>) {
        let status = self
            .project
            .status_until(&format!("round {round}: idle"), |status| {
                status["activity"] == "idle" && status["stale"] == false
            });
        let verdict = if self.good { "green" } else { "red" };
        assert_eq!(status["verdict"], verdict, "round {round}: {status:#}");
        if let Some(run) = accepted {
            let record = get(&self.home, &format!("/v1/runs/{run}"));
            assert_eq!(record["state"], "finished", "accepted and lost: {record}");
        }
        if aim == Moment::Looping {
            self.project.regreen(["loops", "stop"]).run();
            self.project.status_until("the loop has ended", |status| {
                let loops = status["loops"].as_array();
                loops.is_some_and(|loops| loops.iter().all(|l| !l["stop"].is_null()))
            });
        }
        nothing_is_left(&self.home, &self.project);
    }
}

/// When the first run ended after this moment, by the journal.
fn first_end_since(home: &Home, moment: SystemTime) -> Option<SystemTime> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let store = rusqlite::Connection::open_with_flags(home.state().join("store.sqlite"), flags);
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let ended: Option<i64> = store
        .unwrap()
        .query_row(
            "SELECT MIN(ended) FROM runs WHERE state = 'finished' AND ended >= ?1",
            [since.as_millis() as i64],
            |row| row.get(0),
        )
        .unwrap();
    ended.map(|ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms as u64))
}

/// Waits until no process of this home lives and no lock is held, although no daemon was
/// started again; answers how long that took.
#[track_caller]
fn nothing_outlives(home: &Home) -> Duration {
    let began = Instant::now();
    let end = began + Duration::from_secs(5);
    loop {
        let mut left = left_running(home);
        left.extend(held_locks(home));
        if left.is_empty() {
            return began.elapsed();
        }
        assert!(Instant::now() < end, "outlived the daemon: {left:#?}");
        std::thread::yield_now();
    }
}

/// Locks of this home that somebody holds.
fn held_locks(home: &Home) -> Vec<String> {
    let below = |place| WalkDir::new(place).max_depth(5).into_iter().flatten();
    let files = below(home.state()).chain(below(home.cache()));
    files
        .filter(|entry| entry.file_name() == "lock" && entry.file_type().is_file())
        .filter(|entry| {
            let lock = File::open(entry.path()).unwrap();
            rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err()
        })
        .map(|entry| format!("lock {}", entry.path().display()))
        .collect()
}

/// Every living process that regreen started in this home: by the home in its environment, by
/// the mounts that it sees, or by the name that bubblewrap was given.
fn left_running(home: &Home) -> Vec<String> {
    let top = home.top().to_string_lossy().into_owned();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let read = |dir: &Path, file: &str| {
        let bytes = std::fs::read(dir.join(file)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|dir| dir.join("mountinfo").exists())
        .filter_map(|dir| {
            let (words, stat) = (read(&dir, "cmdline"), read(&dir, "stat"));
            let dead = stat
                .rsplit_once(") ")
                .is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']));
            let named = words.starts_with("regreen-sandbox-") && is_child_of_dead(&words);
            let ours = named
                || read(&dir, "environ").contains(&top)
                || read(&dir, "mountinfo").contains(&top);
            (!dead && ours).then(|| format!("{}: {words} | {stat}", dir.display()))
        })
        .collect()
}

/// Whether a child of this daemon bears the name that bubblewrap is given.
fn has_begun_a_sandbox(daemon: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{daemon}/task")) else {
        return false;
    };
    let children = threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    children
        .flat_map(|line| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .any(|pid| {
            std::fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|words| words.starts_with(b"regreen-sandbox-"))
        })
}

/// Whether the daemon that gave bubblewrap this name is gone: other tests run at the same time.
fn is_child_of_dead(words: &str) -> bool {
    let pid = words
        .strip_prefix("regreen-sandbox-")
        .and_then(|rest| rest.split('-').next());
    pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
}

/// No marker, no temporary file, no mount.
fn nothing_is_left(home: &Home, project: &Project) {
    let names = |dir: &Path| -> Vec<String> {
        std::fs::read_dir(dir)
            .map(|entries| {
                entries
                    .flatten()
                    .map(|entry| entry.file_name().to_string_lossy().into_owned())
                    .collect()
            })
            .unwrap_or_default()
    };
    let sandboxes = home.state().join("sandboxes");
    holds("no marker is left", Duration::from_secs(10), || {
        names(&sandboxes).is_empty()
    });
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(
        !mounts.contains(home.cache().to_str().unwrap()),
        "a mount is left"
    );
    assert_eq!(names(&project.path(".git/regreen")), ["status.json"]);
    let runs = home.state().join("runs");
    for run in names(&runs) {
        let left: Vec<String> = names(&runs.join(&run))
            .into_iter()
            .filter(|name| !["raw.log", "report.json", "project"].contains(&name.as_str()))
            .collect();
        assert!(left.is_empty(), "{run}: {left:?}");
    }
}

/// bubblewrap binds its life to regreen's only at the end of its set-up. A daemon that dies
/// before leaves nothing all the same, and nobody has to start another one for that.
#[test]
fn killed_while_a_sandbox_is_made_nothing_is_left_without_a_restart() {
    if !require("bwrap") {
        return;
    }
    let rounds = if full_tier() { 300 } else { 50 };
    let mut chance = Chance::new();
    say(&format!("REGREEN_SEED={}", chance.seed));
    let home = Home::new();
    let project = script_project(&home, "p", "exec sleep 3600\n");
    let first = daemon(&home);
    project.regreen(["add"]).run().exits(0);
    let sandboxes = home.state().join("sandboxes");
    let marked =
        || std::fs::read_dir(&sandboxes).is_ok_and(|entries| entries.flatten().next().is_some());
    let mut daemon_now = Some(first);
    let (mut alive, mut longest) = (0, Duration::ZERO);
    for round in 0..rounds {
        let daemon = daemon_now
            .take()
            .unwrap_or_else(|| home.regreen(["daemon"]).start());
        let end = Instant::now() + Duration::from_secs(60);
        // In every second round from the start of bubblewrap on, else from just before it.
        let begun = || marked() && (round % 2 == 0 || has_begun_a_sandbox(daemon.pid()));
        while !begun() {
            assert!(Instant::now() < end, "round {round}: no run begins");
        }
        pass(chance.up_to(Duration::from_millis(12)));
        daemon.kill_9();
        alive += u32::from(!left_running(&home).is_empty());
        let took = nothing_outlives(&home);
        longest = longest.max(took);
        // The guard removes the markers too; only an unfinished one stays for the next start.
        holds("no marker is left", Duration::from_secs(5), || !marked());
    }
    say(&format!(
        "killed {rounds} times while a sandbox was made: something still lived {alive} times, \
         for {longest:?} at most"
    ));
}
