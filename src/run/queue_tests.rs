//! Tables and properties of the queue.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn request(run: &str, project: &str, suite: &str, tree: &str, asker: Asker) -> Request {
    Request {
        run: RunId::new(run),
        project: ProjectId::new(project),
        key: RunKey {
            snapshot: SnapshotId::new(tree),
            suite: suite.to_owned(),
            environment: None,
        },
        asker,
    }
}

fn change(run: &str, project: &str, suite: &str, tree: &str) -> Request {
    request(run, project, suite, tree, Asker::Watch)
}

fn asked(run: &str, project: &str, suite: &str, tree: &str) -> Request {
    request(run, project, suite, tree, Asker::Explicit)
}

fn accepted(displaced: &[&str]) -> Pushed {
    Pushed::Accepted {
        displaced: displaced.iter().map(|run| RunId::new(*run)).collect(),
    }
}

/// A queue that takes in the projects of these tests.
fn open_queue(limit: usize) -> Queue {
    let mut queue = Queue::new(limit);
    for project in PROJECTS {
        queue.open(&ProjectId::new(project));
    }
    queue
}

fn next(queue: &mut Queue) -> Option<String> {
    queue.next(|_| true).map(|r| r.run.as_str().to_owned())
}

fn moved(queue: &mut Queue, project: &str, tree: &str) -> Moved {
    queue.moved(&ProjectId::new(project), &SnapshotId::new(tree), |_| None)
}

#[test]
fn a_newer_snapshot_takes_the_place_of_what_waits() {
    let mut queue = open_queue(1);
    queue.push(change("r1", "p", "cargo", "t1"));
    queue.push(change("r2", "p", "pytest", "t1"));
    assert_eq!(next(&mut queue).as_deref(), Some("r1"));
    assert_eq!(moved(&mut queue, "p", "t2").superseded, [RunId::new("r2")]);
    queue.push(change("r3", "p", "cargo", "t2"));
    queue.push(change("r4", "p", "pytest", "t2"));
    assert_eq!(next(&mut queue), None);
    queue.ended(&RunId::new("r1"));
    // pytest has been waiting since t1: edits in time with cargo's runs must not starve it.
    assert_eq!(next(&mut queue).as_deref(), Some("r4"));
}

#[test]
fn the_same_thing_is_run_once() {
    let mut queue = open_queue(1);
    assert_eq!(queue.push(change("r1", "p", "s", "t1")), accepted(&[]));
    let same = Pushed::Coalesced(RunId::new("r1"));
    assert_eq!(queue.push(change("r2", "p", "s", "t1")), same);
    next(&mut queue);
    assert_eq!(queue.push(change("r3", "p", "s", "t1")), same);
    // Who asks gets a run of his own: the one under way began before he asked.
    assert_eq!(queue.push(asked("r4", "p", "s", "t1")), accepted(&[]));
    let same = Pushed::Coalesced(RunId::new("r4"));
    assert_eq!(queue.push(asked("r5", "p", "s", "t1")), same);
    assert_eq!(queue.push(change("r6", "q", "s", "t1")), accepted(&[]));
}

#[test]
fn who_asks_comes_first_and_follows_the_worktree() {
    let mut queue = open_queue(1);
    queue.push(change("r1", "p", "s", "t1"));
    let ask = asked("r2", "p", "s", "t1");
    assert_eq!(queue.push(ask), accepted(&["r1"]));
    let after = moved(&mut queue, "p", "t2");
    assert_eq!(after.superseded, []);
    assert_eq!(after.followed, [asked("r2", "p", "s", "t2")]);
    let same = Pushed::Coalesced(RunId::new("r2"));
    assert_eq!(queue.push(change("r3", "p", "s", "t2")), same);
    queue.push(change("r4", "q", "s", "t1"));
    assert_eq!(next(&mut queue).as_deref(), Some("r2"));
}

#[test]
fn a_project_runs_one_thing_and_all_together_the_limit() {
    let mut queue = open_queue(2);
    queue.push(change("r1", "p", "a", "t"));
    queue.push(change("r2", "p", "b", "t"));
    queue.push(change("r3", "q", "a", "t"));
    queue.push(change("r4", "r", "a", "t"));
    assert_eq!(next(&mut queue).as_deref(), Some("r1"));
    assert_eq!(next(&mut queue).as_deref(), Some("r3"));
    assert_eq!(next(&mut queue), None);
    queue.ended(&RunId::new("r1"));
    assert_eq!(next(&mut queue).as_deref(), Some("r4"));
    queue.ended(&RunId::new("r4"));
    assert_eq!(queue.next(|p| p.as_str() != "p"), None);
    assert_eq!(next(&mut queue).as_deref(), Some("r2"));
}

#[test]
fn cancelling_and_forgetting() {
    let mut queue = open_queue(1);
    queue.push(change("r1", "p", "a", "t"));
    queue.push(asked("r2", "p", "b", "t"));
    queue.push(change("r3", "p", "c", "t"));
    next(&mut queue);
    assert_eq!(queue.cancel(&RunId::new("r2")), Cancelled::Running);
    assert_eq!(queue.cancel(&RunId::new("r1")), Cancelled::Waiting);
    assert_eq!(queue.cancel(&RunId::new("r1")), Cancelled::Unknown);
    assert_eq!(queue.forget(&ProjectId::new("p")), [RunId::new("r3")]);
    assert!(queue.runs(&ProjectId::new("p")));
}

#[test]
fn a_project_that_is_given_up_has_nothing_taken_in() {
    let mut queue = open_queue(1);
    queue.push(change("r1", "p", "a", "t"));
    let p = ProjectId::new("p");
    queue.close(&p);
    assert_eq!(queue.push(asked("r2", "p", "b", "t")), Pushed::Refused);
    // Not even what would be answered by something that waits.
    assert_eq!(queue.push(change("r3", "p", "a", "t")), Pushed::Refused);
    assert_eq!(queue.push(change("r4", "q", "a", "t")), accepted(&[]));
    assert_eq!(queue.forget(&p), [RunId::new("r1")]);
    queue.open(&p);
    assert_eq!(queue.push(asked("r5", "p", "b", "t")), accepted(&[]));
}

/// Whoever saves while a run goes on supersedes what waits, never what runs: a verdict that is
/// late is worth more than none, and edits in quick succession would starve it.
#[test]
fn what_runs_is_not_superseded() {
    let mut queue = open_queue(1);
    queue.push(change("r1", "p", "a", "t1"));
    next(&mut queue);
    for (run, tree) in [("r2", "t2"), ("r3", "t3"), ("r4", "t4")] {
        moved(&mut queue, "p", tree);
        assert_eq!(queue.push(change(run, "p", "a", tree)), accepted(&[]));
    }
    let waiting: Vec<&str> = queue.waiting().map(|known| known.run.as_str()).collect();
    assert_eq!(waiting, ["r4"], "only the latest waits");
    assert_eq!(queue.running()[0].run, RunId::new("r1"));
    queue.ended(&RunId::new("r1"));
    assert_eq!(next(&mut queue).as_deref(), Some("r4"));
}

#[derive(Debug, Clone)]
enum Op {
    Save { project: usize, tree: usize },
    Ask { project: usize, suite: usize },
    Start { busy: usize },
    End { which: usize },
    Cancel { which: usize },
}

const PROJECTS: [&str; 3] = ["p", "q", "r"];
const SUITES: [&str; 2] = ["a", "b"];

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..3usize, 0..4usize).prop_map(|(project, tree)| Op::Save { project, tree }),
        3 => (0..3usize, 0..2usize).prop_map(|(project, suite)| Op::Ask { project, suite }),
        5 => (0..4usize).prop_map(|busy| Op::Start { busy }),
        4 => (0..9usize).prop_map(|which| Op::End { which }),
        1 => (0..99usize).prop_map(|which| Op::Cancel { which }),
    ]
}

/// The hub as far as the queue can see it, and what it has seen.
struct World {
    queue: Queue,
    trees: [String; 3],
    asked: BTreeSet<RunId>,
    ran: Vec<Request>,
    made: usize,
}

impl World {
    fn new(limit: usize) -> Self {
        World {
            queue: open_queue(limit),
            trees: std::array::from_fn(|_| "t".to_owned()),
            asked: BTreeSet::new(),
            ran: Vec::new(),
            made: 0,
        }
    }

    fn make(&mut self, project: usize, suite: &str, asker: Asker) -> Request {
        self.made += 1;
        let run = format!("r{:04}", self.made);
        request(&run, PROJECTS[project], suite, &self.trees[project], asker)
    }

    fn save(&mut self, project: usize, tree: String) {
        self.trees[project] = tree;
        let (queue, tree) = (&mut self.queue, self.trees[project].clone());
        moved(queue, PROJECTS[project], &tree);
        for suite in SUITES {
            let request = self.make(project, suite, Asker::Watch);
            self.queue.push(request);
        }
    }

    fn ask(&mut self, project: usize, suite: usize) {
        let request = self.make(project, SUITES[suite], Asker::Explicit);
        match self.queue.push(request.clone()) {
            Pushed::Accepted { .. } => {
                self.asked.insert(request.run);
            }
            Pushed::Coalesced(with) => {
                assert!(self.asked.contains(&with), "coalesced with a change's run");
            }
            Pushed::Refused => panic!("the project is open"),
        }
    }

    fn start(&mut self, busy: Option<usize>) -> Option<Request> {
        let ready = |p: &ProjectId| busy.is_none_or(|busy| p.as_str() != PROJECTS[busy]);
        let started = self.queue.next(ready)?;
        self.ran.push(started.clone());
        Some(started)
    }

    fn end(&mut self, which: usize) {
        let running = self.queue.running();
        if !running.is_empty() {
            let run = running[which % running.len()].run.clone();
            self.queue.ended(&run);
        }
    }

    fn take(&mut self, op: &Op) {
        match op {
            Op::Save { project, tree } => self.save(*project, format!("t{tree}")),
            Op::Ask { project, suite } => self.ask(*project, *suite),
            Op::Start { busy } => {
                self.start((*busy < 3).then_some(*busy));
            }
            Op::End { which } => self.end(*which),
            Op::Cancel { which } => {
                let asked: Vec<RunId> = self.asked.iter().cloned().collect();
                if let Some(run) = asked.get(*which % asked.len().max(1))
                    && self.queue.cancel(run) == Cancelled::Waiting
                {
                    self.asked.remove(run);
                }
            }
        }
    }

    fn drain(&mut self) {
        for _ in 0..1_000 {
            if self.start(None).is_none() {
                if self.queue.running().is_empty() {
                    return;
                }
                self.end(0);
            }
        }
        panic!("the queue does not run dry");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_accepted_is_lost(ops in prop::collection::vec(op(), 0..60), limit in 1..4usize) {
        let mut world = World::new(limit);
        for op in &ops {
            world.take(op);
            let running = world.queue.running();
            prop_assert!(running.len() <= limit);
            let projects: BTreeSet<_> = running.iter().map(|r| &r.project).collect();
            prop_assert_eq!(projects.len(), running.len());
        }
        world.drain();
        for run in &world.asked {
            let times = world.ran.iter().filter(|ran| ran.run == *run).count();
            prop_assert_eq!(times, 1, "{}", run);
        }
    }

    #[test]
    fn the_last_snapshot_is_always_run(ops in prop::collection::vec(op(), 0..60)) {
        // Cancelling what somebody asked for may take a change's run with it that had been
        // answered by it; the hub asks again then, and this property does not.
        let ops: Vec<Op> = ops.into_iter().filter(|op| !matches!(op, Op::Cancel { .. })).collect();
        let mut world = World::new(2);
        for op in &ops {
            world.take(op);
        }
        world.drain();
        for (place, project) in PROJECTS.iter().enumerate() {
            let saved = ops.iter().any(|op| matches!(op, Op::Save { project, .. } if *project == place));
            for suite in SUITES.iter().filter(|_| saved) {
                let last = world.ran.iter().rfind(|ran| {
                    ran.project.as_str() == *project && ran.key.suite == *suite
                });
                let tree = last.map(|ran| ran.key.snapshot.as_str());
                // The run of this snapshot may have gone before one for an older snapshot
                // only if the worktree went back to it meanwhile: it was run in any case.
                let any = world.ran.iter().any(|ran| {
                    ran.project.as_str() == *project
                        && ran.key.suite == *suite
                        && ran.key.snapshot.as_str() == world.trees[place]
                });
                prop_assert!(any, "{} {} ended at {:?}", project, suite, tree);
                prop_assert_eq!(tree, Some(world.trees[place].as_str()));
            }
        }
    }

    #[test]
    fn nobody_starves(saves in prop::collection::vec((0..3usize, 0..2usize, any::<bool>()), 40..80)) {
        // Every project is edited before every start, so that each always wants both suites;
        // on top of that somebody asks for runs all the time.
        let mut world = World::new(1);
        let mut edits = 0;
        for (project, suite, asks) in saves {
            for place in 0..PROJECTS.len() {
                edits += 1;
                world.save(place, format!("t{edits}"));
            }
            if asks {
                world.ask(project, suite);
                world.ask((project + 1) % 3, suite);
            }
            prop_assert!(world.start(None).is_some());
            world.end(0);
        }
        // Six suites of changes, each fourth start at least: so 24 starts at most; then
        // somebody may ask for it, and it waits once more among the six that were asked for.
        for project in PROJECTS {
            for suite in SUITES {
                let starts = world.ran.iter().map(|ran| {
                    ran.project.as_str() == project && ran.key.suite == suite
                });
                let mut gap = 0;
                for hit in starts {
                    gap = if hit { 0 } else { gap + 1 };
                    prop_assert!(gap <= 36, "{} {} waits", project, suite);
                }
            }
        }
    }
}
