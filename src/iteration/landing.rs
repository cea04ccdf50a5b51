//! Landing: what a loop made is moved onto the branch as it is now, proved there, and only
//! then the branch moves. One landing at a time a branch.

use crate::git::Objects;
use crate::git::Oid;
use crate::git::Rebased;
use crate::iteration::carry::LandingPlan;
use crate::iteration::carry::Left;
use crate::iteration::driver::Asked;
use crate::iteration::driver::Deps;
use crate::iteration::driver::Question;
use crate::iteration::driver::Seen;
use crate::iteration::driver::Watch;
use crate::iteration::driver::markdown;
use crate::iteration::driver::oid;
use crate::iteration::error::LoopError;
use crate::iteration::files::LoopFiles;
use crate::iteration::files::LoopLock;
use crate::iteration::record::LoopRecord;
use crate::iteration::records::keep;
use crate::iteration::records::load;
use crate::model::GateAnswer;
use crate::model::GateVerdict;
use crate::model::Landing;
use crate::model::LoopId;
use crate::model::LoopLine;
use crate::model::LoopReport;
use crate::model::SnapshotId;
use crate::model::StopReason;
use crate::run::now;
use crate::store::Store;
use crate::workspace::Grounds;
use crate::workspace::Testing;
use crate::workspace::Workspace;
use crate::workspace::WorkspaceError;
use rustix::fs::FlockOperation;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// A person's word about a loop that needs approval.
///
/// # Errors
/// When there is no such loop, or it did not ask for approval.
pub async fn decide(
    store: &Store,
    state_dir: &Path,
    id: &LoopId,
    landing: Landing,
) -> Result<LoopReport, LoopError> {
    let files = LoopFiles::of(state_dir, id);
    // Not before the loop is known: an unknown one gets no directory.
    load(store, id).await?;
    let _lock = locked(&files, id)?;
    let mut record = load(store, id).await?;
    if let Some(reason) = against_deciding(&record, landing) {
        let id = id.clone();
        return Err(LoopError::State { id, reason });
    }
    // Said again it stands as it was said first.
    if record.landing != landing {
        record.landing = landing;
        record.decided = Some(now());
        keep(store, &record).await?;
    }
    let report = record.report(files.dir(), now());
    written(&files, &report)?;
    Ok(report)
}

/// What stands against a decision: one is made once, about what may be landed and was not.
fn against_deciding(record: &LoopRecord, wanted: Landing) -> Option<String> {
    let id = record.id();
    let at = record
        .decided
        .map_or(String::new(), |at| format!(" at {at}"));
    match (record.landing, record.state.stop) {
        (_, None) => Some(format!(
            "has not ended yet: `regreen loops stop {id}` ends it"
        )),
        (Landing::Applied, _) => Some(format!(
            "was applied already{}: `git revert` takes it back",
            record
                .applied
                .as_ref()
                .map_or(String::new(), |commit| format!(" as {commit}"))
        )),
        _ if record.plan.is_some() => Some(format!(
            "is being landed: `regreen loops apply {id}` brings that to its end"
        )),
        (Landing::Rejected, _) if wanted == Landing::Approved => Some(format!(
            "was rejected{at}, and that is final: its commits are on `{}`, or start anew with \
             `regreen fix`",
            record.loop_branch()
        )),
        (Landing::Approved, _) if wanted == Landing::Rejected => Some(format!(
            "was approved{at}, and that is final: it lands only when you run `regreen loops \
             apply {id}`"
        )),
        (_, Some(StopReason::NeedsApproval)) => None,
        (_, Some(StopReason::Passed)) => match wanted {
            Landing::Rejected => None,
            _ => Some(format!(
                "passed, and needs no approval: `regreen loops apply {id}` lands it"
            )),
        },
        (_, Some(other)) => Some(format!(
            "ended {}: there is nothing to approve or to reject",
            other.as_str()
        )),
    }
}

/// The right to work on a loop.
fn locked(files: &LoopFiles, id: &LoopId) -> Result<LoopLock, LoopError> {
    files.make().map_err(LoopError::io("make", files.dir()))?;
    let taken = files.lock().map_err(LoopError::io("lock", files.dir()))?;
    taken.map_err(|pid| LoopError::Busy {
        id: id.clone(),
        pid,
    })
}

/// Writes the report's two files anew.
fn written(files: &LoopFiles, report: &LoopReport) -> Result<(), LoopError> {
    files
        .put("report.json", report)
        .and_then(|()| files.put_text("report.md", &markdown(report)))
        .map_err(LoopError::io("write the report in", files.dir()))
}

/// Which landings are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landed {
    /// Any: the user asked for it.
    Asked,
    /// One that the user had asked for and that a kill cut short.
    CutShort,
}

/// Lands a loop's result on the branch that it started from.
///
/// # Errors
/// When it may not be landed, the proof fails, the branch moved meanwhile or a touched path is
/// dirty; then nothing was changed.
pub async fn apply(deps: &Deps, id: &LoopId, how: Landed) -> Result<LoopReport, LoopError> {
    may_land(&load(&deps.store, id).await?)?;
    let files = LoopFiles::of(&deps.grounds.state_dir(), id);
    let _lock = locked(&files, id)?;
    // Somebody may have decided about it in between.
    let mut record = load(&deps.store, id).await?;
    let branch = may_land(&record)?;
    if let Some(elsewhere) = deps.grounds.worktree.other_checkout(&branch)? {
        return Err(LoopError::Refused(format!(
            "`{branch}` is checked out in `{}`: run `regreen loops apply {id}` there",
            elsewhere.display()
        )));
    }
    let _turnstile = turnstile(&deps.grounds, &branch).await?;
    // Nobody has to watch.
    let _ = deps.lines.try_send(LoopLine::State {
        id: id.clone(),
        state: "landing".to_owned(),
        iteration: record.state.spend.iterations,
        at: now(),
    });
    let plan = match finish(deps, &mut record).await? {
        Some(plan) => plan,
        None if how == Landed::CutShort => {
            return Err(LoopError::Refused(
                "the branch has moved since the landing was cut short".to_owned(),
            ));
        }
        None => {
            let attempt = Attempt::plan(&deps.grounds, &record, branch).await?;
            let mut workspace = Workspace::new(deps.grounds.clone(), id.clone());
            let proved = attempt.prove(deps, &record, &files, &mut workspace).await;
            workspace.destroy().await?;
            proved?;
            let plan = attempt.decided();
            // On record before anything moves: a kill at any step is found by the next try.
            record.plan = Some(plan.clone());
            keep(&deps.store, &record).await?;
            carry_out(deps, &mut record, &plan, false).await?;
            plan
        }
    };
    record.plan = None;
    record.landing = Landing::Applied;
    record.applied = Some(plan.commit);
    keep(&deps.store, &record).await?;
    let report = record.report(files.dir(), now());
    written(&files, &report)?;
    Ok(report)
}

/// Brings a landing to its end that a kill cut short, if there is one. It was proved then, and
/// the branch is where it was.
async fn finish(deps: &Deps, record: &mut LoopRecord) -> Result<Option<LandingPlan>, LoopError> {
    let Some(plan) = record.plan.clone() else {
        return Ok(None);
    };
    match plan.left(&deps.grounds).await? {
        Left::Nothing => {}
        Left::Halfway => carry_out(deps, record, &plan, true).await?,
        Left::Void => {
            record.plan = None;
            keep(&deps.store, record).await?;
            return Ok(None);
        }
    }
    Ok(Some(plan))
}

/// Carries a plan out; one that is refused has changed nothing and is forgotten, unless an
/// earlier try had begun with it.
async fn carry_out(
    deps: &Deps,
    record: &mut LoopRecord,
    plan: &LandingPlan,
    again: bool,
) -> Result<(), LoopError> {
    let carried = plan.carry_out(&deps.grounds, record.id(), again).await;
    if carried.is_err() && !again {
        record.plan = None;
        keep(&deps.store, record).await?;
    }
    carried
}

/// The branch, if the loop may be landed on it.
fn may_land(record: &LoopRecord) -> Result<String, LoopError> {
    let refuse = |reason: String| LoopError::State {
        id: record.id().clone(),
        reason,
    };
    let against = match (record.state.stop, record.landing) {
        (_, Landing::Applied) => Some(match &record.applied {
            Some(commit) => format!("was applied already, as {commit}"),
            None => "was applied already".to_owned(),
        }),
        (_, Landing::Rejected) => Some(format!(
            "was rejected, and that is final: its commits are on `{}`, or start anew with \
             `regreen fix`",
            record.loop_branch()
        )),
        (Some(StopReason::Passed), _) | (Some(StopReason::NeedsApproval), Landing::Approved) => {
            None
        }
        (Some(StopReason::NeedsApproval), _) => Some(format!(
            "needs approval: look at it with `regreen loops show {id}`, then `regreen loops \
             approve {id}`",
            id = record.id()
        )),
        (Some(other), _) => Some(format!(
            "ended {}: only what passed is applied; `regreen loops resume {}` gives it more to \
             spend",
            other.as_str(),
            record.id()
        )),
        (None, _) => Some(format!(
            "has not ended yet: `regreen loops show {}` says how far it is",
            record.id()
        )),
    };
    if let Some(reason) = against {
        return Err(refuse(reason));
    }
    record.branch.clone().ok_or_else(|| {
        LoopError::Refused(format!(
            "the loop started from a detached HEAD, and there is no branch to move: its result is \
             on `{}`, merge that by hand",
            record.loop_branch()
        ))
    })
}

/// One landing at a time a branch, over all processes.
async fn turnstile(grounds: &Grounds, branch: &str) -> Result<File, LoopError> {
    let dir = grounds
        .state_dir()
        .join("projects")
        .join(grounds.worktree.id().as_str());
    let name = blake3::hash(branch.as_bytes()).to_hex();
    let path = dir.join(format!("landing-{}", &name[..16]));
    let shown = path.clone();
    let taken = spawn_blocking(move || {
        std::fs::create_dir_all(&dir)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    });
    taken
        .await
        .map_err(WorkspaceError::from)?
        .map_err(LoopError::io("lock", &shown))
}

/// One try to land.
struct Attempt {
    branch: String,
    /// The branch's tip now.
    onto: Oid,
    onto_tree: Oid,
    /// What the branch will be.
    commit: Oid,
    tree: Oid,
    /// The branch is not what the loop began with.
    moved: bool,
}

impl Attempt {
    /// The attempt as it goes on record, once it is proved.
    fn decided(&self) -> LandingPlan {
        LandingPlan {
            branch: self.branch.clone(),
            onto: self.onto.to_string(),
            commit: self.commit.to_string(),
            from: SnapshotId::new(self.onto_tree.to_string()),
            to: SnapshotId::new(self.tree.to_string()),
            at: now(),
        }
    }

    /// Moves the loop's commits onto the branch as it is now; no ref is moved.
    async fn plan(
        grounds: &Grounds,
        record: &LoopRecord,
        branch: String,
    ) -> Result<Attempt, LoopError> {
        let state = &record.state;
        let (Some(base), Some(best)) = (&state.base, &state.best) else {
            return Err(LoopError::Refused("the loop made nothing".to_owned()));
        };
        let (base, tip) = (oid(&base.commit)?, oid(&best.commit)?);
        let start = oid(&record.tip)?;
        let grounds = grounds.clone();
        let result = record.loop_branch();
        let planned = spawn_blocking(move || {
            let objects = Objects::open(&grounds.state_dir(), &grounds.worktree)?;
            let name = format!("refs/heads/{branch}");
            let onto = grounds.worktree.read_ref(&name)?.ok_or_else(|| {
                LoopError::Refused(format!(
                    "the branch `{branch}` does not exist any more: make it again with `git \
                     branch {branch} {start}`, or take the result from `{result}`"
                ))
            })?;
            let onto_tree = objects.commit_info(onto)?.tree;
            // A loop that began from a dirty work tree brings its own edits, not the user's.
            let (commit, tree) = match objects.rebase(base, tip, onto)? {
                Rebased::Clean { tip, tree } => (tip, tree),
                Rebased::Conflict { commit, paths } => {
                    return Err(LoopError::Refused(format!(
                        "commit {commit} conflicts with `{branch}` as it is now in `{}`; the \
                         result stays on `{result}`: merge that by hand, or start anew with \
                         `regreen fix`",
                        paths.join("`, `")
                    )));
                }
            };
            if tree == onto_tree {
                return Err(LoopError::Refused(format!(
                    "`{branch}` has all of it already"
                )));
            }
            objects.adopt_since(commit, &[onto])?;
            Ok(Attempt {
                branch,
                onto,
                onto_tree,
                commit,
                tree,
                moved: onto != start || base != start,
            })
        });
        planned.await.map_err(WorkspaceError::from)?
    }

    /// Runs suites and gates on the resulting tree.
    async fn prove(
        &self,
        deps: &Deps,
        record: &LoopRecord,
        files: &LoopFiles,
        workspace: &mut Workspace,
    ) -> Result<(), LoopError> {
        let watch = Watch {
            lines: deps.lines.clone(),
        };
        let before = self.base(deps, record, files, workspace, &watch).await?;
        let failing = before
            .as_ref()
            .map_or_else(Vec::new, |seen| seen.reports.clone());
        let question = Question {
            suites: record.suites.clone(),
            base: self.onto,
            commit: self.commit,
            failing,
            inventory: before.and_then(Seen::complete_inventory),
            gates: record.gates.clone(),
            protect: record.protect.clone(),
            deadline: Instant::now() + Duration::from_millis(record.state.budget.wall_ms),
        };
        let asked = question
            .ask(workspace, &deps.grounds, &watch, &deps.cancel)
            .await?;
        match asked {
            Asked::Answers { answers, cut } => {
                // Nobody has to watch.
                let _ = deps.lines.try_send(LoopLine::Gates {
                    gates: answers.clone(),
                });
                decided(&answers, cut, record.landing)
            }
            Asked::Trouble(why) => Err(LoopError::Refused(why)),
            Asked::Stopped => Err(LoopError::Refused("stopped on request".to_owned())),
        }
    }

    /// What the branch's tip shows: the loop's own baseline if the branch has not moved.
    async fn base(
        &self,
        deps: &Deps,
        record: &LoopRecord,
        files: &LoopFiles,
        workspace: &mut Workspace,
        watch: &Watch,
    ) -> Result<Option<Seen>, LoopError> {
        let tree = SnapshotId::new(self.onto_tree.to_string());
        let (room, _) = workspace.make_clean().await?;
        room.set(&tree).await?;
        if !self.moved {
            return files
                .get("base.json")
                .map_err(LoopError::io("read from", files.dir()));
        }
        let testing = Testing {
            suites: record.suites.clone(),
            snapshot: tree.clone(),
            commit: Some(self.onto.to_string()),
            limit: Duration::from_millis(record.state.budget.wall_ms),
            failed_before: BTreeMap::new(),
        };
        let seen = watch
            .test(room, &deps.grounds, testing, &deps.cancel)
            .await?;
        if let Some(why) = seen.tests.trouble() {
            return Err(LoopError::Refused(why));
        }
        room.restore(&tree).await?;
        Ok(Some(Seen {
            reports: seen.tests.reports,
            inventory: seen.inventory,
        }))
    }
}

/// Whether the gates let it land.
fn decided(answers: &[GateAnswer], cut: bool, landing: Landing) -> Result<(), LoopError> {
    if cut {
        return Err(LoopError::Refused(
            "time was up before the result was proved".to_owned(),
        ));
    }
    let allowed = match answers.iter().map(|answer| answer.verdict).max() {
        Some(GateVerdict::Pass) => true,
        Some(GateVerdict::NeedsApproval) => landing == Landing::Approved,
        _ => false,
    };
    if allowed {
        return Ok(());
    }
    let against: Vec<String> = answers
        .iter()
        .filter(|answer| answer.verdict != GateVerdict::Pass)
        .flat_map(|answer| {
            let name = answer.gate.as_str();
            let facts = answer.evidence.iter();
            facts.map(move |fact| format!("{name}: {fact}"))
        })
        .collect();
    Err(LoopError::Refused(format!(
        "on the branch as it is now the gates say: {}",
        against.join("; ")
    )))
}
