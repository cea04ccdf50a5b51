//! A turn: begun once, whatever happens to regreen, and judged by the tree.

use crate::agent::Agent;
use crate::agent::AgentEvent;
use crate::agent::Command;
use crate::agent::End;
use crate::agent::Fixer;
use crate::git::Edit;
use crate::git::FileChangeKind;
use crate::git::Oid;
use crate::iteration::brief::BriefFacts;
use crate::iteration::brief::brief;
use crate::iteration::driver::Driver;
use crate::iteration::driver::commits::oid;
use crate::iteration::driver::testing::snapshot;
use crate::iteration::error::LoopError;
use crate::iteration::junk::is_junk;
use crate::iteration::junk::is_stray_lock;
use crate::iteration::machine::LoopInput;
use crate::iteration::machine::TurnEnd;
use crate::iteration::machine::TurnHow;
use crate::iteration::machine::TurnPlan;
use crate::iteration::record::AgentSpec;
use crate::model::LoopLine;
use crate::model::SnapshotId;
use crate::model::status::printable;
use crate::sandbox::Network;
use crate::workspace::TurnEnded;
use crate::workspace::TurnRequest;
use crate::workspace::ended_by;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Changed paths are named up to this many.
const NAMED: usize = 50;
/// So many lines of an agent's standard error are in the report.
const LINES: usize = 20;

impl Driver {
    pub(super) async fn turn(&mut self, plan: &TurnPlan) -> Result<LoopInput, LoopError> {
        let turn = self.files.turn(plan.iteration);
        let files = self.files.clone();
        let io = |what| LoopError::io(what, files.dir());
        let from = oid(&plan.from)?;
        let before = self
            .with_objects(move |objects, _| Ok(objects.commit_info(from)?.tree))
            .await?;
        let end = match turn.ended().map_err(io("read from"))? {
            // Ended, and killed before that was journalled.
            Some(end) => end,
            None => {
                let end = if turn.begun() {
                    self.in_flight(before).await?
                } else {
                    self.take_turn(plan, before).await?
                };
                if self.deps.suspend.is_cancelled() {
                    // Not ended by itself: the next start finds it in flight.
                    return Err(LoopError::Suspended(self.record.id().clone()));
                }
                turn.end(&end).map_err(io("write to"))?;
                end
            }
        };
        let standing = &self.tip()?.standing;
        let (failing, outcome) = (standing.told_count(), standing.outcome);
        let entry = self.iteration(plan.iteration);
        entry.ended = in_words(&end.how);
        entry.changed.clone_from(&end.changed);
        entry.failures_before = failing;
        entry.outcome_before = Some(outcome);
        entry.turn_ms = end.duration_ms;
        entry.stderr.clone_from(&end.stderr);
        Ok(LoopInput::TurnEnded(end))
    }

    /// Regreen was killed in mid-turn: what the agent had written by then is what it made.
    async fn in_flight(&mut self, before: Oid) -> Result<TurnEnd, LoopError> {
        if !self.workspace.has_work() {
            self.workspace.make_work(&snapshot(before)).await?;
        }
        ended_by(self.workspace.work()?)?;
        let ended = TurnEnded {
            end: End::Stopped,
            timed_out: false,
            touched: true,
            took: Duration::ZERO,
            stderr: Vec::new(),
        };
        self.judge(before, ended, TurnHow::Interrupted, false).await
    }

    async fn take_turn(&mut self, plan: &TurnPlan, before: Oid) -> Result<TurnEnd, LoopError> {
        let spec = self.agent(plan.tier)?;
        let tree = snapshot(before);
        if self.workspace.has_work() {
            self.workspace.work()?.restore(&tree).await?;
        } else {
            self.workspace.make_work(&tree).await?;
        }
        // From here on a kill has to find the room again.
        self.save().await?;
        let text = self.brief(plan, &spec)?;
        let turn = self.files.turn(plan.iteration);
        turn.begin(&text)
            .map_err(LoopError::io("write to", self.files.dir()))?;
        let request = TurnRequest {
            agent: agent(&spec),
            brief: text,
            id: self.record.id().clone(),
            iteration: plan.iteration,
            network: if spec.network {
                Network::Host
            } else {
                Network::None
            },
            limit: Duration::from_millis(plan.limit_ms),
            commit: oid(&plan.from)?,
            branch: self.record.loop_branch(),
            cargo: self.record.directories(true),
            python: self.record.directories(false),
            transcript: turn.transcript(),
        };
        let (said, heard) = mpsc::channel(64);
        let show = tokio::spawn(show(heard, self.deps.lines.clone()));
        let grounds = self.deps.grounds.clone();
        let stop = self.stop.clone();
        let ended = self
            .workspace
            .work()?
            .turn(&grounds, request, said, &stop)
            .await;
        show.await.map_err(crate::workspace::WorkspaceError::from)?;
        let ended = ended?;
        let how = how(&ended, plan.whole_loop);
        // The fixer starts compilers only: what they write outside the tree proves nothing.
        let believed = spec.argv.is_none();
        self.judge(before, ended, how, believed).await
    }

    /// What the turn came to, by the tree.
    async fn judge(
        &mut self,
        before: Oid,
        ended: TurnEnded,
        how: TurnHow,
        believed: bool,
    ) -> Result<TurnEnd, LoopError> {
        let captured = self.workspace.work()?.capture().await?;
        let after = oid(captured.tree.as_str())?;
        let (tree, changed) = self.without_junk(before, after).await?;
        Ok(TurnEnd {
            how,
            edited: tree != snapshot(before),
            touched: ended.touched && !believed,
            tree,
            tokens: 0,
            micro_usd: 0,
            duration_ms: u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX),
            changed,
            stderr: last_lines(&ended.stderr),
        })
    }

    /// The tree without what tools left in it, and the paths that were really changed.
    async fn without_junk(
        &self,
        before: Oid,
        after: Oid,
    ) -> Result<(SnapshotId, Vec<String>), LoopError> {
        self.with_objects(move |objects, _| {
            let changes = objects.changes(before, after)?;
            let lossy = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
            let names: Vec<String> = changes.iter().map(|change| lossy(&change.path)).collect();
            let mut edits = Vec::new();
            let mut changed = Vec::new();
            for (change, name) in changes.iter().zip(&names) {
                let new = change.kind == FileChangeKind::Added;
                let stray = is_stray_lock(name, names.iter().map(String::as_str));
                if (new && is_junk(name)) || stray {
                    edits.push(Edit {
                        path: change.path.clone(),
                        entry: change.old,
                    });
                } else if changed.len() < NAMED {
                    changed.push(name.clone());
                }
            }
            let tree = objects.edit_tree(Some(after), &edits)?;
            Ok((snapshot(tree), changed))
        })
        .await
    }

    fn brief(&self, plan: &TurnPlan, spec: &AgentSpec) -> Result<String, LoopError> {
        let reports = self.reports_of_tip()?;
        let tried = if plan.fresh {
            &[]
        } else {
            self.record.iterations.as_slice()
        };
        Ok(brief(&BriefFacts {
            iteration: plan.iteration,
            iterations: self.record.state.budget.iterations,
            limit_ms: plan.limit_ms,
            reports: &reports,
            told: &plan.told,
            tried,
            network: spec.network,
        }))
    }

    fn agent(&self, tier: u32) -> Result<AgentSpec, LoopError> {
        let spec = self.record.agents.get(tier as usize);
        spec.cloned().ok_or_else(|| LoopError::State {
            id: self.record.id().clone(),
            reason: format!("has no agent of tier {tier}"),
        })
    }
}

fn agent(spec: &AgentSpec) -> Arc<dyn Agent> {
    match &spec.argv {
        Some(argv) => Arc::new(Command { argv: argv.clone() }),
        None => Arc::new(Fixer),
    }
}

fn how(ended: &TurnEnded, whole_loop: bool) -> TurnHow {
    match &ended.end {
        End::NotStarted(why) => TurnHow::NotStarted(why.clone()),
        _ if ended.timed_out => TurnHow::TimedOut { whole_loop },
        End::Exited(status) => TurnHow::Exited(*status),
        End::Signalled(signal) => TurnHow::Signalled(*signal),
        End::Stopped => TurnHow::Interrupted,
    }
}

fn in_words(how: &TurnHow) -> String {
    match how {
        TurnHow::Exited(0) => "ended by itself".to_owned(),
        TurnHow::Exited(status) => format!("ended with status {status}"),
        TurnHow::Signalled(signal) => format!("died of signal {signal}"),
        TurnHow::TimedOut { whole_loop: false } => "ran into the turn's time limit".to_owned(),
        TurnHow::TimedOut { whole_loop: true } => "ran into the loop's time limit".to_owned(),
        TurnHow::NotStarted(why) => format!("could not be started: {why}"),
        TurnHow::Interrupted => "was cut short when regreen was ended".to_owned(),
    }
}

/// The last lines of what an agent printed, as they can be shown.
fn last_lines(bytes: &[u8]) -> String {
    let text = printable(&String::from_utf8_lossy(bytes));
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let lines = &lines[lines.len().saturating_sub(LINES)..];
    lines.join("\n").trim().to_owned()
}

/// Hands on what the agent prints, line by line and without control sequences.
async fn show(mut heard: mpsc::Receiver<AgentEvent>, lines: mpsc::Sender<LoopLine>) {
    while let Some(event) = heard.recv().await {
        let text = match event {
            AgentEvent::Output(output) => String::from_utf8_lossy(&output.bytes).into_owned(),
            AgentEvent::Said(text) => text,
            AgentEvent::Started(command) => format!("$ {command}"),
        };
        for line in text.lines() {
            let plain: String = line.chars().filter(|c| !c.is_control()).take(400).collect();
            if !plain.trim().is_empty() {
                // Whoever watches may be slow or gone.
                let _ = lines.try_send(LoopLine::Agent { text: plain });
            }
        }
    }
}
