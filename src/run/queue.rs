//! Which run comes next. Pure: no clock, no I/O; the order of calls is the only time.
//!
//! A project has one place to run (slot 0), so it runs one thing at a time; all projects
//! together run at most `limit`. What somebody asked for goes before what a change asked for,
//! but every fourth start belongs to a change if one waits. Among equals the project comes
//! first whose last start of that class is longest ago, and in a project the suite that waits
//! longest, whatever newer snapshots came meanwhile.
//!
//! A request of a change is about *the latest* snapshot: a newer one takes its place. A
//! request that was accepted from somebody is never dropped: it follows the worktree to the
//! newer snapshot under its own id.

use crate::model::Asker;
use crate::model::EnvironmentHash;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::RunKey;
use crate::model::SnapshotId;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// So many starts of asked-for runs in a row, while a change's run waits.
const STREAK: u32 = 3;

/// A run that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub run: RunId,
    /// Whose.
    pub project: ProjectId,
    /// What to test.
    pub key: RunKey,
    /// Who asks.
    pub asker: Asker,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// It waits. The changes' requests for the same key are needless now and were dropped.
    Accepted {
        /// Their ids.
        displaced: Vec<RunId>,
    },
    /// The same thing waits or runs already, under this id.
    Coalesced(RunId),
    /// Its project is not open, or is being given up: nothing of it may wait any more.
    Refused,
}

/// What a newer snapshot did to the requests that waited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    /// Dropped: the newer snapshot has their place.
    pub superseded: Vec<RunId>,
    /// Now about the newer snapshot, under their own ids.
    pub followed: Vec<Request>,
}

/// Where a cancelled run stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It waited, and is gone.
    Waiting,
    /// It runs: whoever runs it has to be told, and says when it has ended.
    Running,
    /// No such run.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Asked,
    Change,
}

impl Class {
    fn of(asker: Asker) -> Self {
        match asker {
            Asker::Watch => Class::Change,
            Asker::Explicit | Asker::Loop | Asker::Gate => Class::Asked,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Waiting {
    request: Request,
    /// When this suite's wait began; inherited from superseded requests.
    since: u64,
}

/// The requests that wait and the runs that go on.
#[derive(Debug, Clone)]
pub struct Queue {
    limit: usize,
    /// Projects whose runs are taken in.
    open: BTreeSet<ProjectId>,
    waiting: Vec<Waiting>,
    running: Vec<Request>,
    /// The wait that superseded requests of a suite leave to the next one.
    inherited: BTreeMap<(ProjectId, String), u64>,
    last_start: BTreeMap<(ProjectId, Class), u64>,
    streak: u32,
    /// Counts calls; stands for time.
    clock: u64,
}

impl Queue {
    /// An empty queue that runs at most `limit` (at least one) at a time.
    pub fn new(limit: usize) -> Self {
        Queue {
            limit: limit.max(1),
            open: BTreeSet::new(),
            waiting: Vec::new(),
            running: Vec::new(),
            inherited: BTreeMap::new(),
            last_start: BTreeMap::new(),
            streak: 0,
            clock: 0,
        }
    }

    /// From now on a project's requests are taken in.
    pub fn open(&mut self, project: &ProjectId) {
        self.open.insert(project.clone());
    }

    /// From now on a project's requests are refused; what waits and runs stays as it is.
    pub fn close(&mut self, project: &ProjectId) {
        self.open.remove(project);
    }

    /// Takes a request in, if its project is open. A change's request is answered by whatever waits or runs for the
    /// same key; an asked-for one only by an asked-for one that waits, and it takes the place
    /// of a change's request for the same key.
    pub fn push(&mut self, request: Request) -> Pushed {
        if !self.open.contains(&request.project) {
            return Pushed::Refused;
        }
        self.clock += 1;
        let class = Class::of(request.asker);
        let same = |known: &Request| known.project == request.project && known.key == request.key;
        let waits = self
            .waiting
            .iter()
            .find(|known| same(&known.request) && Class::of(known.request.asker) <= class);
        if let Some(known) = waits {
            return Pushed::Coalesced(known.request.run.clone());
        }
        if class == Class::Change
            && let Some(known) = self.running.iter().find(|known| same(known))
        {
            return Pushed::Coalesced(known.run.clone());
        }
        let displaced = self.displace(&request);
        let suite = (request.project.clone(), request.key.suite.clone());
        let since = self.inherited.remove(&suite).unwrap_or(self.clock);
        self.waiting.push(Waiting { request, since });
        Pushed::Accepted { displaced }
    }

    /// Drops the changes' requests that an asked-for one with the same key makes needless; it
    /// inherits their wait.
    fn displace(&mut self, by: &Request) -> Vec<RunId> {
        let (gone, kept): (Vec<Waiting>, _) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|known| {
                known.request.asker == Asker::Watch
                    && known.request.project == by.project
                    && known.request.key == by.key
            });
        self.waiting = kept;
        gone.iter().for_each(|known| self.leave_wait(known));
        gone.into_iter().map(|known| known.request.run).collect()
    }

    /// A project's worktree has moved on: `environment` says what else the verdict on a suite
    /// depends on now. To be called before the changes' own requests are pushed.
    pub fn moved(
        &mut self,
        project: &ProjectId,
        snapshot: &SnapshotId,
        environment: impl Fn(&str) -> Option<EnvironmentHash>,
    ) -> Moved {
        let mut moved = Moved::default();
        let mut kept = Vec::with_capacity(self.waiting.len());
        for mut known in std::mem::take(&mut self.waiting) {
            if known.request.project != *project {
                kept.push(known);
                continue;
            }
            let key = RunKey {
                snapshot: snapshot.clone(),
                suite: known.request.key.suite.clone(),
                environment: environment(&known.request.key.suite),
            };
            if known.request.key == key {
                kept.push(known);
            } else if known.request.asker == Asker::Watch {
                self.leave_wait(&known);
                moved.superseded.push(known.request.run);
            } else {
                known.request.key = key;
                moved.followed.push(known.request.clone());
                kept.push(known);
            }
        }
        self.waiting = kept;
        moved
    }

    /// The run that starts now, if one may: its project must be `ready` and not run already.
    pub fn next(&mut self, ready: impl Fn(&ProjectId) -> bool) -> Option<Request> {
        if self.running.len() >= self.limit {
            return None;
        }
        self.clock += 1;
        let best = |class: Class| {
            self.waiting
                .iter()
                .enumerate()
                .filter(|(_, known)| Class::of(known.request.asker) == class)
                .filter(|(_, known)| {
                    let project = &known.request.project;
                    ready(project) && !self.runs(project)
                })
                .min_by_key(|(_, known)| {
                    let project = known.request.project.clone();
                    let last = self.last_start.get(&(project, class)).copied();
                    (last.unwrap_or(0), known.since)
                })
                .map(|(place, _)| place)
        };
        let (asked, change) = (best(Class::Asked), best(Class::Change));
        let (place, class) = match (asked, change) {
            (Some(_), Some(place)) if self.streak >= STREAK => (place, Class::Change),
            (Some(place), _) => (place, Class::Asked),
            (None, Some(place)) => (place, Class::Change),
            (None, None) => return None,
        };
        self.streak = match class {
            Class::Asked => self.streak.saturating_add(1),
            Class::Change => 0,
        };
        let request = self.waiting.remove(place).request;
        self.last_start
            .insert((request.project.clone(), class), self.clock);
        self.running.push(request.clone());
        Some(request)
    }

    /// A run has ended, however.
    pub fn ended(&mut self, run: &RunId) -> Option<Request> {
        let place = self.running.iter().position(|known| known.run == *run)?;
        Some(self.running.remove(place))
    }

    /// Somebody no longer wants a run.
    pub fn cancel(&mut self, run: &RunId) -> Cancelled {
        if !self.drop_where(|known| known.run == *run).is_empty() {
            Cancelled::Waiting
        } else if self.running.iter().any(|known| known.run == *run) {
            Cancelled::Running
        } else {
            Cancelled::Unknown
        }
    }

    /// Drops what waits for a project; answers the runs' ids.
    pub fn forget(&mut self, project: &ProjectId) -> Vec<RunId> {
        self.inherited.retain(|(known, _), _| known != project);
        self.last_start.retain(|(known, _), _| known != project);
        let place = |known: &Waiting| known.request.project == *project;
        let (gone, kept) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(place);
        self.waiting = kept;
        let gone: Vec<Waiting> = gone;
        gone.into_iter().map(|known| known.request.run).collect()
    }

    /// Drops what waits for suites that a project no longer has.
    pub fn keep_suites(&mut self, project: &ProjectId, suites: &[String]) -> Vec<RunId> {
        self.drop_where(|known| known.project == *project && !suites.contains(&known.key.suite))
    }

    /// Whether a project runs something.
    pub fn runs(&self, project: &ProjectId) -> bool {
        self.running.iter().any(|known| known.project == *project)
    }

    /// What runs.
    pub fn running(&self) -> &[Request] {
        &self.running
    }

    /// What waits.
    pub fn waiting(&self) -> impl Iterator<Item = &Request> {
        self.waiting.iter().map(|known| &known.request)
    }

    fn leave_wait(&mut self, gone: &Waiting) {
        let suite = (gone.request.project.clone(), gone.request.key.suite.clone());
        let since = self.inherited.entry(suite).or_insert(gone.since);
        *since = gone.since.min(*since);
    }

    fn drop_where(&mut self, is_gone: impl Fn(&Request) -> bool) -> Vec<RunId> {
        let (gone, kept) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|known| is_gone(&known.request));
        self.waiting = kept;
        let gone: Vec<Waiting> = gone;
        gone.into_iter().map(|known| known.request.run).collect()
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
