//! What is kept of a loop: its state and everything that was frozen at its start. This is what
//! the store's loops table holds, as JSON.

use crate::iteration::carry::LandingPlan;
use crate::iteration::inventory::TestKey;
use crate::iteration::machine::LoopState;
use crate::iteration::machine::Mark;
use crate::model::Framework;
use crate::model::IterationRecord;
use crate::model::Landing;
use crate::model::LoopId;
use crate::model::LoopReport;
use crate::model::LoopStanding;
use crate::model::Note;
use crate::model::ProjectId;
use crate::model::Suite;
use crate::model::Timestamp;
use crate::workspace::LeaseRecord;
use serde::Deserialize;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

/// An agent, as it was configured when the loop began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSpec {
    /// Its name, for reports and trailers.
    pub name: String,
    /// Program and arguments; the built-in fixer when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// It may talk to whatever the host can reach: only on the user's explicit word.
    #[serde(default)]
    pub network: bool,
}

/// Where a loop starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At the branch's tip.
    Tip,
    /// From the work tree as it is, on top of the branch's tip.
    Dirty,
}

/// A loop, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoopRecord {
    /// What the machine remembers.
    pub state: LoopState,
    /// The project.
    pub project: ProjectId,
    /// Its worktree.
    pub root: PathBuf,
    /// The branch that it started from; absent when HEAD was detached.
    pub branch: Option<String>,
    /// That branch's tip at the start.
    pub tip: String,
    /// Whether that branch is what the worktree has checked out.
    pub checked_out: bool,
    /// Where it starts.
    pub start: Start,
    /// The agents, one a tier.
    pub agents: Vec<AgentSpec>,
    /// The suites of the base; empty until it was prepared.
    pub suites: Vec<Suite>,
    /// The user's own gate commands.
    pub gates: Vec<Vec<String>>,
    /// The user's own protected patterns.
    pub protect: Vec<String>,
    /// The backend's name.
    pub backend: String,
    /// Land the result when it passed.
    pub apply: bool,
    /// Which slots it holds.
    pub lease: LeaseRecord,
    /// The iterations so far.
    pub iterations: Vec<IterationRecord>,
    /// Facts for people.
    pub notes: Vec<Note>,
    /// When it was asked for.
    pub created: Timestamp,
    /// What became of the result.
    pub landing: Landing,
    /// When a person approved or rejected it.
    #[serde(default)]
    pub decided: Option<Timestamp>,
    /// The commit that `apply` put on the branch.
    pub applied: Option<String>,
    /// A landing that was begun and is not known to have come to its end.
    #[serde(default)]
    pub plan: Option<LandingPlan>,
}

impl LoopRecord {
    /// Its id.
    pub fn id(&self) -> &LoopId {
        &self.state.id
    }

    /// The branch that it works on, without `refs/heads/`.
    pub fn loop_branch(&self) -> String {
        format!("regreen/{}", self.state.id)
    }

    /// The directories of its suites that hold Rust or Python.
    pub fn directories(&self, rust: bool) -> Vec<PathBuf> {
        let mut dirs: Vec<PathBuf> = self
            .suites
            .iter()
            .filter(|suite| match suite.framework {
                Framework::Cargo | Framework::Nextest => rust,
                Framework::Pytest | Framework::Unittest => !rust,
                _ => false,
            })
            .map(|suite| suite.dir.clone())
            .collect();
        dirs.dedup();
        dirs
    }

    /// The report as it stands now.
    pub fn report(&self, directory: &Path, now: Timestamp) -> LoopReport {
        let state = &self.state;
        let standing = |mark: &Option<Mark>| {
            mark.as_ref()
                .map_or_else(LoopStanding::default, |mark| LoopStanding {
                    outcome: Some(mark.standing.outcome),
                    counts: mark.standing.counts,
                    failing: mark.standing.told_count(),
                })
        };
        let Tests {
            fixed,
            failing,
            vanished,
        } = self.tests();
        LoopReport {
            schema: crate::model::LOOP_SCHEMA,
            kind: "report".to_owned(),
            id: state.id.clone(),
            project: self.root.to_string_lossy().into_owned(),
            branch: self.branch.clone(),
            loop_branch: self.loop_branch(),
            state: state.phase.as_str().to_owned(),
            stop_reason: state.stop,
            exit_code: state.stop.map(crate::model::StopReason::exit_code),
            detail: state.detail.clone(),
            base: state.base.as_ref().map(|mark| mark.commit.clone()),
            head: state.best.as_ref().map(|mark| mark.commit.clone()),
            agents: self.agents.iter().map(|agent| agent.name.clone()).collect(),
            before: standing(&state.base),
            after: standing(&state.best),
            fixed,
            failing,
            vanished,
            iterations: self.iterations.clone(),
            gates: state
                .gated
                .clone()
                .map_or(Vec::new(), |(_, answers)| answers),
            budget: state.budget,
            spend: state.spend,
            created: self.created,
            updated: now,
            landing: self.landing,
            decided: self.decided,
            applied: self.applied.clone(),
            notes: self.notes.iter().cloned().chain(self.cut_short()).collect(),
            directory: directory.to_string_lossy().into_owned(),
        }
    }

    fn cut_short(&self) -> Option<Note> {
        let plan = self.plan.as_ref()?;
        let message = format!(
            "landing on `{}` was begun and is not known to have come to its end",
            plan.branch
        );
        let remedy = format!("run `regreen loops apply {}`", self.id());
        Some(Note::new("landing_cut_short", message).remedy(remedy))
    }

    /// What became of the base's tests: each is named once.
    fn tests(&self) -> Tests {
        let failing = |mark: &Option<Mark>| match mark {
            Some(mark) if !mark.standing.green => mark.standing.told().cloned().collect(),
            _ => BTreeSet::new(),
        };
        let (before, after) = (failing(&self.state.base), failing(&self.state.best));
        let tested = |one: &&IterationRecord| one.failures_after.is_some();
        let vanished = self.iterations.iter().rev().find(tested);
        let vanished = vanished.map_or(Vec::new(), |last| last.vanished.clone());
        let names = |keys: &mut dyn Iterator<Item = &TestKey>| -> Vec<String> {
            keys.map(ToString::to_string)
                .filter(|name| !vanished.contains(name))
                .collect()
        };
        Tests {
            fixed: names(&mut before.difference(&after)),
            failing: names(&mut after.iter()),
            vanished,
        }
    }
}

struct Tests {
    fixed: Vec<String>,
    failing: Vec<String>,
    vanished: Vec<String>,
}
