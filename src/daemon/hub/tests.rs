//! The hub in a world that is made of its own effects: whatever the order in which they come
//! back, the status ends up true, nothing accepted is lost, and slot and run never overlap.

use super::*;
use crate::model::Activity;
use crate::model::Asker;
use crate::model::Outcome;
use crate::model::Source;
use crate::model::Verdict;
use crate::model::status::Fold;
use crate::model::wire::AcceptedRuns;
use proptest::prelude::*;
use std::collections::BTreeSet;

const SUITES: [&str; 2] = ["cargo", "pytest"];

/// An effect that goes on and has not come back yet.
#[derive(Debug, Clone, PartialEq)]
enum Going {
    Open(ProjectId),
    Close(ProjectId),
    Sync(ProjectId, bool),
    Run {
        project: ProjectId,
        run: RunId,
        suite: String,
        tree: u32,
        cancelled: bool,
    },
    Commit(Token, Vec<Event>),
}

#[derive(Debug)]
struct World {
    state: State,
    now: Timestamp,
    /// What stands in each worktree.
    disk: BTreeMap<ProjectId, u32>,
    /// What stands in each slot.
    slot: BTreeMap<ProjectId, u32>,
    going: Vec<Going>,
    written: BTreeMap<ProjectId, Status>,
    answers: BTreeMap<Token, Answer>,
    asked: u64,
    journal: Vec<Event>,
    started: Vec<(ProjectId, String, u32)>,
    disk_is_full: bool,
    exited: bool,
}

fn id(place: usize) -> ProjectId {
    ProjectId::new(["p", "q", "r"][place])
}

fn report(outcome: Outcome, passed: u64, failed: u64) -> Report {
    let mut report = Report::new("cargo", Source::Events, outcome);
    report.complete = outcome != Outcome::Interrupted;
    report.counts = Counts::new(passed, failed, 0);
    report
}

impl World {
    fn new(parallel: usize) -> Self {
        let started = Timestamp::from_millis(0);
        let me = DaemonStatus {
            pid: 1,
            version: "0".to_owned(),
            started,
        };
        World {
            state: State::new(me, parallel, 7),
            now: started,
            disk: BTreeMap::new(),
            slot: BTreeMap::new(),
            going: Vec::new(),
            written: BTreeMap::new(),
            answers: BTreeMap::new(),
            asked: 0,
            journal: Vec::new(),
            started: Vec::new(),
            disk_is_full: false,
            exited: false,
        }
    }

    fn put(&mut self, input: Input) {
        self.now = self.now.plus(Duration::from_millis(10));
        for effect in step(&mut self.state, input, self.now) {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Journal(events) => self.journal.extend(events),
            Effect::Commit { token, events } => self.going.push(Going::Commit(token, events)),
            Effect::Open { project, .. } => self.going.push(Going::Open(project)),
            Effect::Close { project } => {
                let busy = self.going.iter().any(
                    |going| matches!(going, Going::Run { project: other, .. } if *other == project),
                );
                assert!(!busy, "closed under a run");
                self.going.push(Going::Close(project));
            }
            Effect::Sync {
                project, rescan, ..
            } => {
                assert!(!self.is_busy(&project), "two things in one slot");
                self.going.push(Going::Sync(project, rescan));
            }
            Effect::Run {
                project,
                run,
                suite,
                snapshot,
                ..
            } => {
                assert!(!self.is_busy(&project), "two things in one slot");
                let tree = self.slot[&project];
                assert_eq!(snapshot.as_str(), tree.to_string(), "not what stands there");
                self.started.push((project.clone(), suite.clone(), tree));
                self.going.push(Going::Run {
                    project,
                    run,
                    suite,
                    tree,
                    cancelled: false,
                });
            }
            Effect::Cancel { run } => {
                for going in &mut self.going {
                    if let Going::Run {
                        run: other,
                        cancelled,
                        ..
                    } = going
                        && *other == run
                    {
                        *cancelled = true;
                    }
                }
            }
            Effect::Status { project, status } => {
                self.written.insert(project, *status);
            }
            Effect::Reply { token, answer } => {
                assert!(
                    self.answers.insert(token, answer).is_none(),
                    "answered twice"
                );
            }
            Effect::Exit => self.exited = true,
            Effect::Ready | Effect::Alive { .. } | Effect::Checkpoint { .. } => {}
        }
    }

    fn is_busy(&self, id: &ProjectId) -> bool {
        self.going.iter().any(|going| match going {
            Going::Sync(project, _) | Going::Run { project, .. } => project == id,
            _ => false,
        })
    }

    fn ask(&mut self, ask: Ask) -> Token {
        self.asked += 1;
        let token = Token(self.asked);
        self.put(Input::Ask { token, ask });
        token
    }

    fn add(&mut self, place: usize) -> Token {
        self.disk.entry(id(place)).or_insert(0);
        let recovered = Recovered {
            fold: Some(self.told(place)),
            ..Recovered::default()
        };
        self.ask(Ask::Add {
            project: id(place),
            path: PathBuf::from("/p"),
            foreground: false,
            recovered: Box::new(recovered),
        })
    }

    /// What the journal says of a project.
    fn told(&self, place: usize) -> Fold {
        let mut fold = Fold::new(id(place), "/p", Timestamp::from_millis(0));
        self.journal.iter().for_each(|event| fold.apply(event));
        fold
    }

    fn save(&mut self, place: usize, tree: u32) {
        self.disk.insert(id(place), tree);
        self.put(Input::Changed {
            project: id(place),
            origin: Origin::Save,
            paths: vec![PathBuf::from("src/lib.rs")],
            rescan: false,
        });
    }

    /// Lets one of the effects come back.
    fn come_back(&mut self, which: usize) {
        if self.going.is_empty() {
            return;
        }
        match self.going.remove(which % self.going.len()) {
            Going::Open(project) => {
                let result = Ok(Opened::default());
                self.put(Input::Opened { project, result });
            }
            Going::Close(project) if self.is_busy(&project) => {
                // The same actor does both, one after the other.
                self.going.push(Going::Close(project));
            }
            Going::Close(project) => self.put(Input::Closed { project }),
            Going::Commit(token, events) => {
                let result = match self.disk_is_full {
                    true => Err("the disk is full".to_owned()),
                    false => {
                        self.journal.extend(events);
                        Ok(())
                    }
                };
                self.put(Input::Committed { token, result });
            }
            Going::Sync(project, rescan) => {
                let tree = self.disk[&project];
                self.slot.insert(project.clone(), tree);
                let result = Ok(Box::new(synced(tree, rescan)));
                self.put(Input::Synced { project, result });
            }
            Going::Run {
                project,
                run,
                suite,
                tree,
                cancelled,
            } => {
                let report = match (cancelled, tree % 2) {
                    (true, _) => report(Outcome::Interrupted, 0, 0),
                    (false, 0) => report(Outcome::Passed, 3, 0),
                    _ => report(Outcome::Failed, 2, 1),
                };
                let report = Box::new(report);
                let (is_green, counts) = (report.is_green(), report.counts);
                let ended = run.clone();
                self.put(Input::RunEnded { run, report });
                if is_green {
                    self.put(Input::Digested {
                        project,
                        run: ended,
                        key: RunKey {
                            snapshot: SnapshotId::new(tree.to_string()),
                            suite,
                            environment: Some(crate::model::EnvironmentHash::new("e")),
                        },
                        counts,
                    });
                }
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..2_000 {
            if self.going.is_empty() {
                return;
            }
            self.come_back(0);
        }
        panic!("never comes to rest: {:?}", self.going);
    }

    fn accepted(&self) -> BTreeSet<RunId> {
        let runs = self.answers.values().filter_map(|answer| match answer {
            Answer::Runs(AcceptedRuns { runs }) => Some(runs.clone()),
            _ => None,
        });
        runs.flatten().collect()
    }

    /// Runs that the journal says have ended, and how.
    fn ended(&self) -> BTreeMap<RunId, &'static str> {
        let of = |event: &Event| match &event.kind {
            EventKind::RunFinished { run, .. } => Some((run.clone(), "finished")),
            EventKind::RunCancelled { run } => Some((run.clone(), "cancelled")),
            EventKind::RunSuperseded { run } => Some((run.clone(), "superseded")),
            _ => None,
        };
        self.journal.iter().filter_map(of).collect()
    }
}

fn synced(tree: u32, rescan: bool) -> SyncReport {
    SyncReport {
        snapshot: SnapshotId::new(tree.to_string()),
        branch: None,
        head: None,
        dirty: false,
        suites: Ok(SUITES
            .iter()
            .map(|name| SuiteKey {
                name: (*name).to_owned(),
                // Only looked for where an earlier run may answer.
                environment: tree
                    .is_multiple_of(2)
                    .then(|| crate::model::EnvironmentHash::new("e")),
            })
            .collect()),
        ignored: Vec::new(),
        left_out: Vec::new(),
        slot_bytes: 1,
        notes: Vec::new(),
        rescan,
        redefined: false,
    }
}

#[test]
fn from_a_save_to_a_verdict_and_back_without_a_run() {
    let mut world = World::new(1);
    world.add(0);
    world.settle();
    let shown = |world: &World| {
        let status = &world.written[&id(0)];
        (status.verdict, status.activity, status.stale)
    };
    assert_eq!(shown(&world), (Verdict::Green, Activity::Idle, false));
    assert_eq!(world.started.len(), 2);
    world.save(0, 1);
    assert_eq!(shown(&world), (Verdict::Green, Activity::Syncing, true));
    world.come_back(0);
    assert_eq!(shown(&world), (Verdict::Green, Activity::Running, true));
    world.settle();
    assert_eq!(shown(&world), (Verdict::Red, Activity::Idle, false));
    assert_eq!(world.started.len(), 4);
    // Back to what was green: answered without a run. Touched only: nothing at all.
    world.save(0, 0);
    world.settle();
    assert_eq!(shown(&world), (Verdict::Green, Activity::Idle, false));
    let suite = &world.written[&id(0)].suites[0];
    assert!(suite.reused_from.is_some());
    // What is shown is what that run counted, and not the red one before.
    assert_eq!(suite.counts, Counts::new(3, 0, 0));
    world.save(0, 0);
    world.settle();
    assert_eq!(world.started.len(), 4);
    // Red ones always run again when they come back.
    world.save(0, 1);
    world.settle();
    assert_eq!(world.started.len(), 6);
}

#[test]
fn an_edit_during_a_run_makes_it_stale_and_is_tested_next() {
    let mut world = World::new(1);
    world.add(0);
    world.settle();
    world.save(0, 1);
    world.come_back(0);
    world.save(0, 2);
    assert!(matches!(world.going[..], [Going::Run { tree: 1, .. }]));
    world.come_back(0);
    let finished = world
        .journal
        .iter()
        .rev()
        .find_map(|event| match event.kind {
            EventKind::RunFinished { stale, .. } => Some(stale),
            _ => None,
        });
    assert_eq!(finished, Some(true));
    assert!(world.written[&id(0)].stale);
    world.settle();
    let last = world.started.last().cloned();
    // pytest waited since the first save: it goes first now, cargo after it.
    assert_eq!(last, Some((id(0), "cargo".to_owned(), 2)));
    assert_eq!(world.written[&id(0)].verdict, Verdict::Green);
}

#[test]
fn an_accepted_run_is_on_the_disk_before_it_is_acknowledged() {
    let mut world = World::new(1);
    world.add(0);
    world.settle();
    let ask = || Ask::Run {
        project: id(0),
        suite: Some("cargo".to_owned()),
    };
    let token = world.ask(ask());
    assert_eq!(world.answers.get(&token), None);
    assert_eq!(world.started.len(), 2);
    world.come_back(0);
    assert!(matches!(world.answers[&token], Answer::Runs(_)));
    assert_eq!(world.started.len(), 3);
    world.settle();

    world.disk_is_full = true;
    let token = world.ask(ask());
    world.settle();
    let Answer::Refused(problem) = &world.answers[&token] else {
        panic!("accepted without a disk");
    };
    assert!(problem.to_string().contains("disk is full"), "{problem}");
    assert_eq!(world.started.len(), 3);
    // Watching goes on meanwhile.
    world.save(0, 1);
    world.settle();
    assert_eq!(world.written[&id(0)].verdict, Verdict::Red);
}

impl World {
    /// Lets the first effect come back that is of this kind.
    fn come_back_first(&mut self, is_it: impl Fn(&Going) -> bool) {
        let place = self.going.iter().position(is_it).expect("it goes on");
        self.come_back(place);
    }
}

fn is_commit(going: &Going) -> bool {
    matches!(going, Going::Commit(..))
}

/// Found by the property below: what was asked for before a project was given up, and came to
/// the disk after that, waited for ever.
#[test]
fn what_was_asked_for_while_a_project_is_given_up_ends_with_it() {
    let mut world = World::new(1);
    world.add(0);
    world.settle();
    world.save(0, 1);
    let remove = world.ask(Ask::Remove(id(0)));
    let run = world.ask(Ask::Run {
        project: id(0),
        suite: None,
    });
    world.come_back_first(is_commit);
    assert!(
        !world.answers.contains_key(&remove),
        "it still synchronises"
    );
    world.come_back_first(is_commit);
    let Answer::Refused(problem) = &world.answers[&run] else {
        panic!("{:?}", world.answers[&run]);
    };
    assert_eq!(problem.code(), "closing");
    world.settle();
    assert_eq!(world.answers[&remove], Answer::Done);
    let queued = world.journal.iter().filter_map(|event| match &event.kind {
        EventKind::RunQueued { run, .. } => Some(run.clone()),
        _ => None,
    });
    let ended = world.ended();
    for run in queued {
        assert!(ended.contains_key(&run), "{run} waits for ever");
    }
}

/// Found by the property below: of two who add a project, the second brings what the journal
/// said before the first.
#[test]
fn a_project_that_comes_back_has_its_last_word() {
    let mut world = World::new(1);
    world.add(0);
    world.add(0);
    world.come_back_first(is_commit);
    while let Some(place) = world.going.iter().position(|going| !is_commit(going)) {
        world.come_back(place);
    }
    assert_eq!(world.written[&id(0)].verdict, Verdict::Green);
    world.ask(Ask::Remove(id(0)));
    let place = world.going.len() - 1;
    world.come_back(place);
    world.come_back_first(|going| matches!(going, Going::Close(_)));
    world.come_back_first(is_commit);
    let status = &world.written[&id(0)];
    assert_eq!((status.verdict, status.stale), (Verdict::Green, true));
}

#[test]
fn bad_requests_say_what_to_do() {
    let mut world = World::new(1);
    let refused = |world: &mut World, ask: Ask| {
        let token = world.ask(ask);
        match &world.answers[&token] {
            Answer::Refused(problem) => format!("{} {problem}", problem.status),
            other => panic!("{other:?}"),
        }
    };
    let run = |suite: Option<&str>| Ask::Run {
        project: id(0),
        suite: suite.map(str::to_owned),
    };
    let said = refused(&mut world, run(None));
    assert_eq!(
        said,
        "404 project `p` is not watched; `regreen add PATH` has it watched"
    );
    world.add(0);
    world.come_back(0);
    let said = refused(&mut world, run(None));
    assert!(
        said.starts_with("409 the project's state is not known yet"),
        "{said}"
    );
    world.settle();
    let said = refused(&mut world, run(Some("karma")));
    assert_eq!(
        said,
        "404 there is no suite `karma`; there is: cargo, pytest"
    );
    let said = refused(&mut world, Ask::Cancel(RunId::new("r1")));
    assert_eq!(said, "404 run `r1` neither waits nor goes on");
}

#[test]
fn what_cannot_be_opened_or_synchronised_is_tried_again() {
    let mut world = World::new(1);
    world.add(0);
    world.come_back(0);
    world.going.clear();
    let gone = |world: &mut World| {
        world.put(Input::Opened {
            project: id(0),
            result: Err(Note::new("x", "the worktree is gone")),
        });
    };
    gone(&mut world);
    let notes = &world.written[&id(0)].notes;
    assert_eq!(notes[0].message, "the worktree is gone");
    let wait = |world: &mut World, seconds: u64| {
        world.now = world.now.plus(Duration::from_secs(seconds));
        world.put(Input::Tick);
    };
    wait(&mut world, 1);
    assert_eq!(world.going, []);
    wait(&mut world, 6);
    assert_eq!(world.going, [Going::Open(id(0))]);
    world.going.clear();
    world.put(Input::Opened {
        project: id(0),
        result: Err(Note::new("x", "the slot is in use")),
    });
    let notes = &world.written[&id(0)].notes;
    assert_eq!(notes[0].message, "the slot is in use");
    assert_eq!(notes.len(), 1);
    wait(&mut world, 6);
    world.come_back(0);
    assert_eq!(world.written[&id(0)].notes, []);
    world.going.clear();
    world.put(Input::Synced {
        project: id(0),
        result: Err(Note::new("x", "no space is left")),
    });
    assert_eq!(world.going, []);
    assert_eq!(world.written[&id(0)].notes[0].code, "sync");
    wait(&mut world, 6);
    world.settle();
    assert_eq!(world.written[&id(0)].verdict, Verdict::Green);
    assert_eq!(world.written[&id(0)].notes, []);
}

/// Nothing waits until the clock gets again to where it was.
#[test]
fn a_clock_that_is_set_back_holds_nothing_up() {
    let hour = |hour: i64| Timestamp::from_millis(hour * 3_600_000);
    let mut world = World::new(1);
    world.now = hour(10);
    world.put(Input::Tick);
    world.add(0);
    world.come_back(0);
    world.going.clear();
    world.put(Input::Opened {
        project: id(0),
        result: Err(Note::new("x", "the slot is in use")),
    });
    let seconds = |world: &mut World, many: u64| {
        for _ in 0..many {
            world.now = world.now.plus(Duration::from_secs(1));
            world.put(Input::Tick);
        }
    };
    world.now = hour(9);
    seconds(&mut world, 8);
    assert_eq!(world.going, [Going::Open(id(0))]);
    world.come_back(0);
    world.going.clear();
    world.put(Input::Synced {
        project: id(0),
        result: Err(Note::new("x", "no space is left")),
    });
    world.now = hour(8);
    seconds(&mut world, 8);
    world.settle();
    assert_eq!(world.written[&id(0)].verdict, Verdict::Green);
    world.now = hour(7);
    for _ in 0..3 {
        world.written.clear();
        world.now = world.now.plus(TICK);
        world.put(Input::Tick);
        assert_eq!(world.written[&id(0)].updated_at, world.now);
    }
    // And the walk that is due now and then comes.
    seconds(&mut world, 700);
    assert_eq!(world.going, [Going::Sync(id(0), true)]);
}

#[test]
fn a_change_of_head_alone_is_looked_at_and_needs_no_run() {
    let mut world = World::new(1);
    world.add(0);
    world.settle();
    let before = world.started.len();
    world.put(Input::Changed {
        project: id(0),
        origin: Origin::Save,
        paths: Vec::new(),
        rescan: false,
    });
    assert_eq!(world.going, [Going::Sync(id(0), false)]);
    world.settle();
    assert!(!world.written[&id(0)].stale);
    assert_eq!(world.started.len(), before);
}

#[test]
fn a_panic_is_shown_until_the_next_start() {
    let mut world = World::new(1);
    world.add(0);
    world.settle();
    world.put(Input::Panicked {
        project: None,
        message: "index out of bounds at x.rs:1".to_owned(),
    });
    let status = &world.written[&id(0)];
    assert_eq!(status.notes[0].code, "panic");
    assert!(status.notes[0].message.contains("x.rs:1"));
    // It says nothing about the project.
    assert_eq!((status.verdict, status.stale), (Verdict::Green, false));
}

#[test]
fn every_status_is_written_again_in_time() {
    let mut world = World::new(1);
    world.add(0);
    world.add(1);
    world.settle();
    let mut last = world.now;
    for _ in 0..20 {
        world.written.clear();
        world.now = last.plus(TICK);
        world.put(Input::Tick);
        last = world.now;
        assert_eq!(world.written.len(), 2);
        // What was written just before a tick may wait for the next one.
        world.save(0, 0);
        world.settle();
    }
    let gap = TICK + FRESH;
    assert!(gap <= Duration::from_secs(5), "{gap:?}");
}

#[test]
fn a_file_that_is_written_all_the_time_does_not_keep_the_tests_from_running() {
    let mut world = World::new(1);
    world.add(0);
    world.settle();
    let before = world.started.len();
    for tree in 0..40 {
        world.save(0, tree % 7);
        world.save(0, (tree + 1) % 7);
        world.come_back(0);
    }
    assert!(world.started.len() > before + 5, "{}", world.started.len());
}

#[derive(Debug, Clone)]
enum Op {
    Save(usize, u32),
    ComeBack(usize),
    Run(usize, Option<usize>),
    Cancel(usize),
    Pause(usize),
    Resume(usize),
    Remove(usize),
    Add(usize),
    Tick,
    FullDisk(bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..3usize, 0..5u32).prop_map(|(p, tree)| Op::Save(p, tree)),
        12 => (0..20usize).prop_map(Op::ComeBack),
        3 => (0..3usize, prop::option::of(0..2usize)).prop_map(|(p, s)| Op::Run(p, s)),
        1 => (0..50usize).prop_map(Op::Cancel),
        1 => (0..3usize).prop_map(Op::Pause),
        1 => (0..3usize).prop_map(Op::Resume),
        1 => (0..3usize).prop_map(Op::Remove),
        2 => (0..3usize).prop_map(Op::Add),
        1 => Just(Op::Tick),
        1 => any::<bool>().prop_map(Op::FullDisk),
    ]
}

fn play(world: &mut World, op: &Op) {
    match op {
        Op::Save(place, tree) => world.save(*place, *tree),
        Op::ComeBack(which) => world.come_back(*which),
        Op::Run(place, suite) => {
            world.ask(Ask::Run {
                project: id(*place),
                suite: suite.map(|suite| SUITES[suite].to_owned()),
            });
        }
        Op::Cancel(which) => {
            let accepted: Vec<RunId> = world.accepted().into_iter().collect();
            if !accepted.is_empty() {
                let run = accepted[which % accepted.len()].clone();
                world.ask(Ask::Cancel(run));
            }
        }
        Op::Pause(place) => {
            world.ask(Ask::Pause(id(*place)));
        }
        Op::Resume(place) => {
            world.ask(Ask::Resume(id(*place)));
        }
        Op::Remove(place) => {
            world.ask(Ask::Remove(id(*place)));
        }
        Op::Add(place) => {
            world.add(*place);
        }
        Op::Tick => {
            world.now = world.now.plus(TICK);
            world.put(Input::Tick);
        }
        Op::FullDisk(full) => world.disk_is_full = *full,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_order_the_status_ends_up_true(
        ops in prop::collection::vec(op(), 0..120),
        parallel in 1..4usize,
    ) {
        let mut world = World::new(parallel);
        for place in 0..3 {
            world.add(place);
        }
        for op in &ops {
            play(&mut world, op);
        }
        world.disk_is_full = false;
        world.settle();
        for place in 0..3 {
            world.add(place);
            world.ask(Ask::Resume(id(place)));
        }
        world.settle();
        // What a user cancelled is not tried again by itself; the next save tries it.
        for place in 0..3 {
            world.save(place, 8);
        }
        world.settle();
        for place in 0..3 {
            world.save(place, 5 + place as u32);
        }
        world.settle();
        prop_assert_eq!(world.answers.len() as u64, world.asked, "somebody still waits");
        for place in 0..3 {
            let status = &world.written[&id(place)];
            let tree = world.disk[&id(place)];
            let expected = if tree.is_multiple_of(2) { Verdict::Green } else { Verdict::Red };
            prop_assert_eq!(
                (status.verdict, status.activity, status.stale),
                (expected, Activity::Idle, false),
                "{:?}", status
            );
        }
        let ended = world.ended();
        for run in world.accepted() {
            prop_assert!(ended.contains_key(&run), "{} was accepted and never ended", run);
        }
    }

    #[test]
    fn it_stops_whatever_goes_on(ops in prop::collection::vec(op(), 0..60)) {
        let mut world = World::new(2);
        for place in 0..3 {
            world.add(place);
        }
        for op in &ops {
            play(&mut world, op);
        }
        world.put(Input::Stop);
        world.settle();
        prop_assert!(world.exited);
        for status in world.written.values() {
            prop_assert_eq!(status.daemon.as_ref(), None);
            prop_assert!(status.stale && status.activity == Activity::Idle);
        }
        prop_assert_eq!(world.answers.len() as u64, world.asked, "somebody still waits");
    }

    #[test]
    fn the_journal_alone_says_what_the_status_said(
        ops in prop::collection::vec(op(), 0..80),
    ) {
        let mut world = World::new(2);
        world.add(0);
        for op in &ops {
            play(&mut world, op);
        }
        world.disk_is_full = false;
        world.settle();
        world.put(Input::Tick);
        let Some(project) = world.state.projects.get(&id(0)) else {
            return Ok(());
        };
        let written = project.fold.status(world.now, Some(&world.state.me));
        let told = world.told(0).status(world.now, written.daemon.as_ref());
        prop_assert_eq!(told.verdict, written.verdict);
        prop_assert_eq!(told.activity, written.activity);
        prop_assert_eq!(told.stale, written.stale);
        prop_assert_eq!(&told.snapshot, &written.snapshot);
        let open = |status: &Status| -> Vec<_> { status.suites.iter().map(|s| s.run.clone()).collect() };
        prop_assert_eq!(open(&told), open(&written));
    }
}

#[test]
fn askers_are_kept_apart() {
    // A change's run that a person's run displaced is superseded, not lost.
    let mut world = World::new(1);
    world.add(0);
    world.settle();
    world.ask(Ask::Pause(id(0)));
    world.settle();
    world.save(0, 1);
    world.settle();
    let token = world.ask(Ask::Run {
        project: id(0),
        suite: None,
    });
    world.settle();
    world.ask(Ask::Resume(id(0)));
    world.settle();
    let Answer::Runs(AcceptedRuns { runs }) = &world.answers[&token] else {
        panic!("not accepted");
    };
    let ended = world.ended();
    assert!(runs.iter().all(|run| ended[run] == "finished"), "{ended:?}");
    let by_watch = world.journal.iter().filter(|event| {
        matches!(
            &event.kind,
            EventKind::RunQueued {
                asker: Asker::Watch,
                ..
            }
        )
    });
    assert_eq!(by_watch.count(), 4);
    assert_eq!(
        ended.values().filter(|how| **how == "superseded").count(),
        2
    );
}
