//! The driver: carries out what the machine decided, and journals it before it does.
//!
//! The record is on the disk before an effect begins, so that after a kill the loop goes on
//! with the very effect that was pending. Every effect can be begun again: what was paid (a
//! turn) leaves markers, what moves something (a ref) compares first, the rest is only work.

mod commits;
mod gates;
mod prepare;
mod render;
mod testing;
mod turn;

use crate::git::Objects;
use crate::iteration::error::LoopError;
use crate::iteration::files::LoopFiles;
use crate::iteration::files::LoopLock;
use crate::iteration::machine::LoopEffect;
use crate::iteration::machine::LoopInput;
use crate::iteration::machine::LoopState;
use crate::iteration::machine::Phase;
use crate::iteration::machine::step;
use crate::iteration::record::LoopRecord;
use crate::iteration::records::keep;
use crate::iteration::records::load;
use crate::model::Budget;
use crate::model::Event;
use crate::model::EventKind;
use crate::model::IterationRecord;
use crate::model::LoopId;
use crate::model::LoopLine;
use crate::model::LoopReport;
use crate::model::Note;
use crate::model::StopReason;
use crate::run::now;
use crate::store::Store;
use crate::workspace::Grounds;
use crate::workspace::Workspace;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

pub(crate) use commits::oid;
pub(crate) use gates::Asked;
pub(crate) use gates::Question;
pub use render::markdown;
pub(crate) use testing::Seen;
pub(crate) use testing::Watch;

/// How often a driver looks whether another process wants the loop to end.
const GLANCE: Duration = Duration::from_millis(250);

/// What a driver works with.
#[derive(Clone)]
pub struct Deps {
    /// Where loops are kept.
    pub store: Store,
    /// What sandboxes are made of.
    pub grounds: Arc<Grounds>,
    /// Who watches.
    pub lines: mpsc::Sender<LoopLine>,
    /// The user wants the loop to end.
    pub cancel: CancellationToken,
    /// Regreen ends; the loop goes on when it is back.
    pub suspend: CancellationToken,
}

/// Drives one loop.
pub(crate) struct Driver {
    deps: Deps,
    record: LoopRecord,
    files: LoopFiles,
    workspace: Workspace,
    /// Cancelled by either of the tokens in `deps`.
    stop: CancellationToken,
    _lock: LoopLock,
}

/// Begins a loop and drives it to its end.
///
/// # Errors
/// When its record cannot be kept; what goes wrong with the loop itself is in the report.
pub async fn start(deps: Deps, record: LoopRecord) -> Result<LoopReport, LoopError> {
    let mut driver = Driver::new(deps, record).await?;
    driver.save().await?;
    let effects = driver.step(LoopInput::Begin).await?;
    driver.drive(effects).await
}

/// Goes on with a loop that was cut short, or gives a stopped one more to spend.
///
/// # Errors
/// When there is no such loop, another process drives it, or it cannot go on.
pub async fn resume(
    deps: Deps,
    id: &LoopId,
    more: Option<Budget>,
) -> Result<LoopReport, LoopError> {
    let record = load(&deps.store, id).await?;
    let mut driver = Driver::new(deps, record).await?;
    let stopped = driver.record.state.phase == Phase::Stopped;
    let finishing = stopped && !driver.record.state.pending.is_empty();
    let effects = if stopped && !finishing {
        driver.may_go_on()?;
        let budget = more.unwrap_or_else(|| again(&driver.record.state));
        driver.step(LoopInput::Extended(budget)).await?
    } else {
        driver.take_back().await?;
        driver.step(LoopInput::Resumed).await?
    };
    driver.drive(effects).await
}

/// As much again as was granted before.
fn again(state: &LoopState) -> Budget {
    let (budget, spend) = (state.budget, state.spend);
    Budget {
        wall_ms: spend.wall_ms.saturating_add(budget.wall_ms),
        turn_ms: budget.turn_ms,
        iterations: spend.iterations.saturating_add(budget.iterations),
        tokens: budget.tokens.map(|most| spend.tokens.saturating_add(most)),
        micro_usd: budget
            .micro_usd
            .map(|most| spend.micro_usd.saturating_add(most)),
    }
}

/// Ends a loop that nobody drives: its rooms are given back, its report is written.
///
/// # Errors
/// When there is no such loop or another process drives it.
pub async fn abandon(deps: Deps, id: &LoopId) -> Result<LoopReport, LoopError> {
    let record = load(&deps.store, id).await?;
    let mut driver = Driver::new(deps, record).await?;
    driver.take_back().await?;
    let effects = driver.step(LoopInput::Cancel).await?;
    driver.drive(effects).await
}

impl Driver {
    async fn new(deps: Deps, record: LoopRecord) -> Result<Driver, LoopError> {
        let files = LoopFiles::of(&deps.grounds.state_dir(), record.id());
        files.make().map_err(LoopError::io("make", files.dir()))?;
        let lock = files.lock().map_err(LoopError::io("lock", files.dir()))?;
        let lock = lock.map_err(|pid| LoopError::Busy {
            id: record.id().clone(),
            pid,
        })?;
        files
            .forget_the_wish()
            .map_err(LoopError::io("remove a file from", files.dir()))?;
        let workspace = Workspace::new(deps.grounds.clone(), record.id().clone());
        let stop = CancellationToken::new();
        Ok(Driver {
            stop,
            files,
            workspace,
            record,
            deps,
            _lock: lock,
        })
    }

    /// Takes back what the loop had before regreen was killed. A kill in the middle of moving
    /// its branch leaves a lock on it; whoever holds the loop's own lock may take that away.
    async fn take_back(&mut self) -> Result<(), LoopError> {
        let lease = self.record.lease.clone();
        self.workspace.reattach(&lease).await?;
        let name = format!("refs/heads/{}", self.record.loop_branch());
        self.with_objects(move |objects, grounds| {
            objects.forget_lock(&name)?;
            Ok(grounds.worktree.forget_lock(&name)?)
        })
        .await
    }

    fn may_go_on(&self) -> Result<(), LoopError> {
        match self.record.state.stop {
            Some(StopReason::Passed | StopReason::AlreadyGreen | StopReason::NeedsApproval) => {
                Err(LoopError::State {
                    id: self.record.id().clone(),
                    reason: format!(
                        "ended green: there is nothing to go on with; `regreen loops show {}` \
                         says what can be done with it",
                        self.record.id()
                    ),
                })
            }
            _ => Ok(()),
        }
    }

    /// Carries out effects until none is left.
    async fn drive(&mut self, mut effects: Vec<LoopEffect>) -> Result<LoopReport, LoopError> {
        let guard = self.follow_tokens();
        while !effects.is_empty() {
            let mut answer = None;
            for effect in effects {
                answer = match self.perform(&effect).await {
                    Ok(answer) => answer,
                    Err(error) if matches!(effect, LoopEffect::Finish(_)) => return Err(error),
                    Err(error) => Some(LoopInput::Trouble(error.whole())),
                };
                if matches!(answer, Some(LoopInput::Trouble(_))) {
                    break;
                }
            }
            if self.deps.suspend.is_cancelled() {
                return Err(LoopError::Suspended(self.record.id().clone()));
            }
            let stopped = self.record.state.phase == Phase::Stopped;
            let input = match answer {
                _ if stopped => break,
                _ if self.deps.cancel.is_cancelled() => LoopInput::Cancel,
                Some(input) => input,
                None => break,
            };
            effects = self.step(input).await?;
        }
        drop(guard);
        self.record.state.pending.clear();
        self.save().await?;
        Ok(self.report())
    }

    /// One token for what is under way; either wish ends it.
    fn follow_tokens(&self) -> tokio_util::sync::DropGuard {
        let done = CancellationToken::new();
        let (cancel, suspend) = (self.deps.cancel.clone(), self.deps.suspend.clone());
        let (stop, over) = (self.stop.clone(), done.clone());
        let files = self.files.clone();
        tokio::spawn(async move {
            let mut glance = tokio::time::interval(GLANCE);
            loop {
                tokio::select! {
                    () = over.cancelled() => return,
                    () = cancel.cancelled() => break,
                    () = suspend.cancelled() => break,
                    // `regreen loops stop` of another process.
                    _ = glance.tick() => if files.end_is_wished() {
                        cancel.cancel();
                    },
                }
            }
            stop.cancel();
        });
        done.drop_guard()
    }

    /// Lets the machine decide and writes down what it decided.
    async fn step(&mut self, input: LoopInput) -> Result<Vec<LoopEffect>, LoopError> {
        let before = self.record.state.phase;
        let iteration = self.record.state.spend.iterations;
        let effects = step(&mut self.record.state, input, now());
        self.note_iteration(before, iteration);
        self.save().await?;
        let state = &self.record.state;
        if state.phase != before || state.spend.iterations != iteration {
            self.announce();
        }
        Ok(effects)
    }

    fn announce(&self) {
        let state = &self.record.state;
        self.deps.store.append(vec![Event {
            at: now(),
            project: Some(self.record.project.clone()),
            kind: EventKind::Loop {
                id: state.id.clone(),
                state: state.phase.as_str().to_owned(),
                iteration: state.spend.iterations,
                stop: state.stop,
            },
        }]);
        self.tell(LoopLine::State {
            id: state.id.clone(),
            state: state.phase.as_str().to_owned(),
            iteration: state.spend.iterations,
            at: now(),
        });
    }

    /// Fills in what the machine now knows of the iteration that is ending.
    fn note_iteration(&mut self, before: Phase, iteration: u32) {
        let Some(entry) = self
            .record
            .iterations
            .iter_mut()
            .find(|entry| entry.iteration == iteration)
        else {
            return;
        };
        if let Some((judged, class)) = self.record.state.judged
            && judged == iteration
        {
            entry.class = class;
        }
        let over = matches!(self.record.state.phase, Phase::Turn | Phase::Stopped);
        if before != Phase::Stopped && over && !entry.ended.is_empty() {
            let line = LoopLine::Iteration {
                iteration: Box::new(entry.clone()),
            };
            self.tell(line);
        }
    }

    async fn perform(&mut self, effect: &LoopEffect) -> Result<Option<LoopInput>, LoopError> {
        match effect {
            LoopEffect::Prepare => self.prepare().await.map(Some),
            LoopEffect::Baseline { limit_ms } => self.baseline(*limit_ms).await.map(Some),
            LoopEffect::Turn(plan) => self.turn(plan).await.map(Some),
            LoopEffect::Test { tree, limit_ms } => self.test(tree, *limit_ms).await.map(Some),
            LoopEffect::Commit(plan) => self.commit(plan).await.map(Some),
            LoopEffect::Gate { commit, limit_ms } => self.gate(commit, *limit_ms).await.map(Some),
            LoopEffect::Point { commit } => self.point(commit).await.map(|()| None),
            LoopEffect::Finish(_) => self.finish().await.map(|()| None),
        }
    }

    async fn finish(&mut self) -> Result<(), LoopError> {
        self.workspace.destroy().await?;
        self.record.lease = self.workspace.record();
        self.remove_empty_branch().await?;
        let report = self.report();
        self.files
            .put("report.json", &report)
            .and_then(|()| self.files.put_text("report.md", &markdown(&report)))
            .map_err(LoopError::io("write the report in", self.files.dir()))
    }

    async fn save(&mut self) -> Result<(), LoopError> {
        self.record.lease = self.workspace.record();
        keep(&self.deps.store, &self.record).await
    }

    fn report(&self) -> LoopReport {
        self.record.report(self.files.dir(), now())
    }

    fn tell(&self, line: LoopLine) {
        // Whoever watches may be slow or gone; the loop does not wait for them.
        let _ = self.deps.lines.try_send(line);
    }

    fn note(&mut self, note: Note) {
        self.tell(LoopLine::Note { note: note.clone() });
        self.record.notes.push(note);
    }

    /// The record of an iteration, made if it is not there.
    fn iteration(&mut self, number: u32) -> &mut IterationRecord {
        let at = self
            .record
            .iterations
            .iter()
            .position(|entry| entry.iteration == number);
        let at = at.unwrap_or_else(|| {
            let tier = self.record.state.ladder.tier as usize;
            let agent = self.record.agents.get(tier);
            self.record.iterations.push(IterationRecord {
                iteration: number,
                agent: agent.map_or_else(String::new, |agent| agent.name.clone()),
                class: crate::model::TurnClass::NoEdit,
                ended: String::new(),
                commit: None,
                changed: Vec::new(),
                failures_before: 0,
                failures_after: None,
                outcome_before: None,
                outcome_after: None,
                turn_ms: 0,
                test_ms: 0,
                runs: Vec::new(),
                gates: Vec::new(),
                stderr: String::new(),
                vanished: Vec::new(),
                newly_skipped: 0,
            });
            self.record.iterations.len() - 1
        });
        &mut self.record.iterations[at]
    }

    /// Does something with regreen's own repository of the project, in the background.
    async fn with_objects<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Objects, &Grounds) -> Result<T, LoopError> + Send + 'static,
    ) -> Result<T, LoopError> {
        let grounds = self.deps.grounds.clone();
        let answer = spawn_blocking(move || {
            let objects = Objects::open(&grounds.state_dir(), &grounds.worktree)?;
            work(&objects, &grounds)
        });
        answer
            .await
            .map_err(crate::workspace::WorkspaceError::from)?
    }
}
