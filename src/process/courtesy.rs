//! Standing back while a person's own work fills the machine. Low priority alone does not do:
//! two builds at once push each other out of caches and off processors, whatever their niceness
//! (measured: the nice one costs the other a third). So the one in the background is stopped for
//! most of the time, in slices and with a bound, while ordinary processes want the processors.
//!
//! Only for what bears to be stopped: compilers do, tests that look at a clock do not.

use crate::process::Tree;
use rustix::process::Signal;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;
use tokio::time::Instant;

/// How often the machine is looked at.
const STEP: Duration = Duration::from_millis(25);
/// The first stop at most: many a build after a save is over by then.
const FIRST: Duration = Duration::from_millis(750);
/// Every later stop at most, and how long it goes on before it: three quarters of the time go
/// to the person's own work.
const STOP: Duration = Duration::from_millis(150);
const BETWEEN: Duration = Duration::from_millis(50);
/// So many looks in a row have to find the others done: a build that reads its own state, or waits
/// for a linker's disk, is not over (measured: with one look the first stop ended after 100 ms).
const DONE: u32 = 3;
/// All stops together: a machine that is always busy must not keep a verdict away.
const MOST: Duration = Duration::from_secs(20);
/// The part of a limit on time that stops may use up: they must not let it come true.
const PART_OF_LIMIT: u32 = 10;
/// From this share of all processors on, ordinary processes fill the machine.
const BUSY: f64 = 0.3;
/// `/proc/stat` counts in hundredths of a second, whatever the kernel's own clock.
const TICKS: f64 = 100.0;

/// A process tree that stands back.
#[derive(Debug)]
pub struct Courtesy {
    tree: Tree,
    others: Others,
    state: State,
    due: Instant,
}

impl Courtesy {
    /// For a tree that has just started and has this long; `None` where the machine's use cannot
    /// be seen.
    pub fn new(tree: Tree, limit: Duration) -> Option<Self> {
        let now = Instant::now();
        Some(Courtesy {
            tree,
            others: Others::new(now)?,
            state: State::new(MOST.min(limit / PART_OF_LIMIT), now),
            due: now + STEP,
        })
    }

    /// Waits until it is time to [look](Courtesy::look). Cancel-safe.
    pub async fn due(&self) {
        tokio::time::sleep_until(self.due).await;
    }

    /// Stops the tree, or has it go on, as the machine's use asks for. Answers whether it goes
    /// on after a stop, in which it could give no sign of life.
    pub async fn look(&mut self) -> bool {
        let now = Instant::now();
        self.due = now + STEP;
        let busy = self.others.share(now).is_some_and(|share| share >= BUSY);
        let signal = match self.state.step(busy, now) {
            Some(Turn::Stop) => Signal::STOP,
            Some(Turn::GoOn) => Signal::CONT,
            None => return false,
        };
        let tree = self.tree.clone();
        let _ = tokio::task::spawn_blocking(move || tree.signal_below(signal)).await;
        signal == Signal::CONT
    }
}

impl Drop for Courtesy {
    fn drop(&mut self) {
        if self.state.stopped {
            self.tree.signal_below(Signal::CONT);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Stop,
    GoOn,
}

/// Whether the tree is stopped, since when it is or is not, and for how long it may be.
#[derive(Debug)]
struct State {
    stopped: bool,
    since: Instant,
    first: bool,
    /// How often in a row the others were found done.
    done: u32,
    left: Duration,
}

impl State {
    fn new(left: Duration, now: Instant) -> Self {
        State {
            stopped: false,
            since: now,
            first: true,
            done: 0,
            left,
        }
    }

    fn step(&mut self, busy: bool, now: Instant) -> Option<Turn> {
        let time = now.saturating_duration_since(self.since);
        self.done = if busy { 0 } else { self.done.saturating_add(1) };
        let turn = if self.stopped {
            let most = if self.first { FIRST } else { STOP };
            (self.done >= DONE || time >= most.min(self.left)).then_some(Turn::GoOn)
        } else {
            let may = self.first || time >= BETWEEN;
            (busy && may && !self.left.is_zero()).then_some(Turn::Stop)
        }?;
        if turn == Turn::GoOn {
            self.left = self.left.saturating_sub(time);
            self.first = false;
        }
        self.stopped = turn == Turn::Stop;
        self.since = now;
        Some(turn)
    }
}

/// What processes of ordinary priority use; what regreen runs is nice and counted apart.
#[derive(Debug)]
struct Others {
    stat: File,
    processors: f64,
    ticks: u64,
    at: Instant,
}

impl Others {
    fn new(now: Instant) -> Option<Self> {
        let stat = File::open("/proc/stat").ok()?;
        let ticks = user_ticks(&stat)?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Some(Others {
            stat,
            processors: f64::from(u32::try_from(processors).unwrap_or(u32::MAX)),
            ticks,
            at: now,
        })
    }

    /// The share of all processors since the last call.
    fn share(&mut self, now: Instant) -> Option<f64> {
        let ticks = user_ticks(&self.stat)?;
        let used = ticks.saturating_sub(self.ticks);
        let time = now.saturating_duration_since(self.at).as_secs_f64();
        (self.ticks, self.at) = (ticks, now);
        let used = f64::from(u32::try_from(used).unwrap_or(u32::MAX));
        (time > 0.0).then(|| used / TICKS / time / self.processors)
    }
}

/// The first figure of `/proc/stat` (proc_stat(5)): time in user mode at ordinary priority.
fn user_ticks(stat: &File) -> Option<u64> {
    let mut text = [0; 64];
    let read = stat.read_at(&mut text, 0).ok()?;
    let text = std::str::from_utf8(&text[..read]).ok()?;
    text.strip_prefix("cpu ")?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stops_in_slices_while_others_are_busy_and_never_for_long() {
        let begun = Instant::now();
        let most = Duration::from_secs(5);
        let mut state = State::new(most, begun);
        let mut stops = Vec::new();
        let mut since = begun;
        for step in 0..2_000 {
            let now = begun + STEP * step;
            match state.step(true, now) {
                Some(Turn::Stop) => {
                    assert!(stops.is_empty() || now - since >= BETWEEN);
                    since = now;
                }
                Some(Turn::GoOn) => {
                    stops.push(now - since);
                    since = now;
                }
                None => {}
            }
        }
        assert_eq!(stops[0], FIRST);
        assert!(stops[1..].iter().all(|stop| *stop <= STOP), "{stops:?}");
        let sum: Duration = stops.iter().sum();
        assert!((most..most + STEP).contains(&sum), "{sum:?}");
        assert!(!state.stopped, "it goes on once its patience is used up");
    }

    #[test]
    fn it_goes_on_soon_after_the_others_are_done() {
        let now = Instant::now();
        let mut state = State::new(MOST, now);
        assert_eq!(state.step(false, now), None);
        assert_eq!(state.step(true, now), Some(Turn::Stop));
        assert_eq!(state.step(true, now + STEP), None);
        let mut at = |step, busy| state.step(busy, now + STEP * step);
        // A pause of theirs is no end.
        assert_eq!([2, 3].map(|step| at(step, false)), [None, None]);
        assert_eq!(at(4, true), None);
        assert_eq!([5, 6].map(|step| at(step, false)), [None, None]);
        assert_eq!(at(7, false), Some(Turn::GoOn));
        assert_eq!(at(8, false), None);
    }

    #[test]
    fn ordinary_work_is_seen() {
        let begun = Instant::now();
        let mut others = Others::new(begun).expect("/proc/stat");
        let mut sum = 0_u64;
        while begun.elapsed() < Duration::from_millis(200) {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
        }
        let share = others.share(Instant::now()).expect("a share");
        assert!(share > 0.2 / others.processors, "{share}");
    }

    #[tokio::test]
    async fn a_tree_is_stopped_and_goes_on_when_nobody_asks_any_more() {
        use crate::process::Command;
        use crate::process::Spawner;
        let command = Command::new("/bin/sh").args(["-c", "sleep 60 & wait"]);
        let child = Spawner::global().spawn(command).await.expect("a child");
        let tree = Tree::new(child.pid());
        let below = async || loop {
            let members = tree.members();
            if members.len() > 1 {
                return members.into_iter().find(|pid| *pid != child.pid());
            }
            tokio::task::yield_now().await;
        };
        let sleeper = below().await.expect("a child of the shell");
        let state = || {
            let path = format!("/proc/{}/stat", sleeper.as_raw_nonzero());
            let text = std::fs::read_to_string(path).expect("it lives");
            text.rsplit(") ")
                .next()
                .and_then(|rest| rest.chars().next())
        };
        let mut courtesy = Courtesy::new(tree.clone(), MOST).expect("a machine");
        courtesy.state.stopped = true;
        tree.signal_below(Signal::STOP);
        while state() != Some('T') {
            tokio::task::yield_now().await;
        }
        drop(courtesy);
        while state() == Some('T') {
            tokio::task::yield_now().await;
        }
        tree.kill();
    }
}
