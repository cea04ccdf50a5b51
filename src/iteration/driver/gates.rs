//! Asking the gates: facts are gathered in a room of their own, which is thrown away.

use crate::git::Edit;
use crate::git::EntryMode;
use crate::git::FileChange as TreeChange;
use crate::git::Objects;
use crate::git::Oid;
use crate::iteration::driver::Driver;
use crate::iteration::driver::commits::oid;
use crate::iteration::driver::testing::SeenNow;
use crate::iteration::driver::testing::Watch;
use crate::iteration::driver::testing::snapshot;
use crate::iteration::error::LoopError;
use crate::iteration::gate::CommandEnd;
use crate::iteration::gate::Executed;
use crate::iteration::gate::FileChange;
use crate::iteration::gate::GateFacts;
use crate::iteration::gate::REPEATS;
use crate::iteration::gate::Repeat;
use crate::iteration::gate::is_test_file;
use crate::iteration::gate::judge;
use crate::iteration::inventory::Inventory;
use crate::iteration::inventory::Ran;
use crate::iteration::inventory::stable;
use crate::iteration::machine::LoopInput;
use crate::iteration::progress::key_of;
use crate::model::GateAnswer;
use crate::model::Limits;
use crate::model::LoopLine;
use crate::model::Report;
use crate::model::Suite;
use crate::workspace::Grounds;
use crate::workspace::Room;
use crate::workspace::SandboxExec;
use crate::workspace::Testing;
use crate::workspace::Workspace;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A changed file is looked at up to this size.
const LOOKED_AT: usize = 8 << 20;
/// Fixed tests are repeated one by one up to this many; more mean the whole suites.
const ONE_BY_ONE: usize = 6;

impl Driver {
    pub(super) async fn gate(
        &mut self,
        commit: &str,
        limit_ms: u64,
    ) -> Result<LoopInput, LoopError> {
        let base = self
            .record
            .state
            .base
            .clone()
            .ok_or_else(|| LoopError::State {
                id: self.record.id().clone(),
                reason: "has no base".to_owned(),
            })?;
        let base_reports = self.kept_tests("base.json")?;
        let question = Question {
            suites: self.record.suites.clone(),
            base: oid(&base.commit)?,
            commit: oid(commit)?,
            inventory: self.base_inventory()?,
            failing: base_reports.map_or_else(Vec::new, |seen| seen.reports),
            gates: self.record.gates.clone(),
            protect: self.record.protect.clone(),
            deadline: Instant::now() + Duration::from_millis(limit_ms),
        };
        let grounds = self.deps.grounds.clone();
        let watch = Watch {
            lines: self.deps.lines.clone(),
        };
        let asked = question
            .ask(&mut self.workspace, &grounds, &watch, &self.stop)
            .await?;
        let Asked::Answers { answers, cut } = asked else {
            let Asked::Trouble(why) = asked else {
                return Ok(LoopInput::Cancel);
            };
            return Ok(LoopInput::Trouble(why));
        };
        let iteration = self.record.state.spend.iterations;
        self.iteration(iteration).gates.clone_from(&answers);
        self.tell(LoopLine::Gates {
            gates: answers.clone(),
        });
        Ok(LoopInput::Gated {
            commit: commit.to_owned(),
            answers,
            cut,
        })
    }
}

/// What the gates are asked about.
pub(crate) struct Question {
    /// The suites of the base.
    pub suites: Vec<Suite>,
    /// The commit to compare with.
    pub base: Oid,
    /// The commit in question.
    pub commit: Oid,
    /// The base's tests, if it built.
    pub inventory: Option<Inventory>,
    /// What the base's run said.
    pub failing: Vec<Report>,
    /// The user's own gate commands.
    pub gates: Vec<Vec<String>>,
    /// The user's own protected patterns.
    pub protect: Vec<String>,
    /// When the loop's time is up.
    pub deadline: Instant,
}

/// What came of asking.
pub(crate) enum Asked {
    /// Every gate answered.
    Answers {
        /// What each one says.
        answers: Vec<GateAnswer>,
        /// The time was up before the end.
        cut: bool,
    },
    /// The sandbox or regreen failed.
    Trouble(String),
    /// It was cut short from outside.
    Stopped,
}

impl Question {
    /// Gathers the facts and lets the gates judge them.
    pub(crate) async fn ask(
        &self,
        workspace: &mut Workspace,
        grounds: &Grounds,
        watch: &Watch,
        stop: &CancellationToken,
    ) -> Result<Asked, LoopError> {
        let mut facts = self.compare(grounds.clone()).await?;
        let tree = self.tree_of(grounds.clone(), self.commit).await?;
        let mut room = workspace.make_gate(&snapshot(tree)).await?;
        let asked = self
            .in_room(&mut room, &mut facts, tree, grounds, watch, stop)
            .await;
        // Nothing flows back, also when something went wrong.
        room.destroy().await?;
        asked
    }

    async fn in_room(
        &self,
        room: &mut Room,
        facts: &mut GateFacts,
        tree: Oid,
        grounds: &Grounds,
        watch: &Watch,
        stop: &CancellationToken,
    ) -> Result<Asked, LoopError> {
        let all = self.suites.clone();
        let fresh = self.run(room, all, tree, grounds, watch, stop).await?;
        if let Some(why) = fresh.tests.trouble() {
            return Ok(Asked::Trouble(why));
        }
        if stop.is_cancelled() {
            return Ok(Asked::Stopped);
        }
        let mut cut = fresh.tests.cut;
        let green = fresh.tests.reports.iter().all(Report::is_green);
        facts.fresh.clone_from(&fresh.tests.reports);
        facts.head = fresh.inventory;
        facts.repeats.push(repeat(&fresh.tests.reports));
        while green && !cut && facts.repeats.len() < REPEATS {
            let again = self.repeated(&facts.head);
            let seen = self.run(room, again, tree, grounds, watch, stop).await?;
            cut |= seen.tests.cut;
            facts.repeats.push(repeat(&seen.tests.reports));
        }
        for command in &self.gates {
            if !green || cut || stop.is_cancelled() {
                break;
            }
            let end = self.command(room, command, grounds, stop).await;
            facts.commands.push(end);
        }
        if green && !cut {
            let seen = self
                .base_tests(room, facts, tree, grounds, watch, stop)
                .await?;
            cut |= seen.as_ref().is_some_and(|seen| seen.tests.cut);
            facts.base_tests = seen.map(|seen| seen.tests.reports);
        }
        if stop.is_cancelled() {
            return Ok(Asked::Stopped);
        }
        Ok(Asked::Answers {
            answers: judge(facts),
            cut,
        })
    }

    async fn run(
        &self,
        room: &mut Room,
        suites: Vec<Suite>,
        tree: Oid,
        grounds: &Grounds,
        watch: &Watch,
        stop: &CancellationToken,
    ) -> Result<SeenNow, LoopError> {
        let testing = Testing {
            suites,
            snapshot: snapshot(tree),
            commit: Some(self.commit.to_string()),
            limit: self.deadline.saturating_duration_since(Instant::now()),
            failed_before: BTreeMap::new(),
        };
        watch.test(room, grounds, testing, stop).await
    }

    /// What is run again: the fixed tests one by one where that is possible and they are few,
    /// the suites otherwise.
    fn repeated(&self, head: &Inventory) -> Vec<Suite> {
        let mut again = Vec::new();
        for report in &self.failing {
            let suite = report.run.suite.as_deref().unwrap_or_default();
            let suite = self.suites.iter().find(|one| one.name == suite);
            for failure in &report.failures {
                let there = |suite: &Suite| {
                    let key = key_of(&suite.name, failure);
                    head.that(Ran::Passed).any(|one| stable(one) == key)
                };
                match suite {
                    // What is gone is the inventory's business.
                    Some(suite) if !failure.rerun.is_empty() && !there(suite) => {}
                    Some(suite) if !failure.rerun.is_empty() => again.push(Suite {
                        command: failure.rerun.clone(),
                        dir: PathBuf::new(),
                        ..suite.clone()
                    }),
                    _ => return self.suites.clone(),
                }
            }
        }
        if again.is_empty() || again.len() > ONE_BY_ONE {
            return self.suites.clone();
        }
        again
    }

    /// A gate command of the user's, in the gate's room.
    async fn command(
        &self,
        room: &mut Room,
        argv: &[String],
        grounds: &Grounds,
        stop: &CancellationToken,
    ) -> CommandEnd {
        let mounts = match room.mounts(grounds, room.place()).await {
            Ok(mounts) => mounts,
            Err(error) => {
                return CommandEnd {
                    command: argv.join(" "),
                    success: false,
                    said: vec![error.to_string()],
                };
            }
        };
        let left = self.deadline.saturating_duration_since(Instant::now());
        let exec = SandboxExec {
            backend: grounds.backend.clone(),
            place: room.place().clone(),
            env: grounds.env(),
            mounts,
            limits: Limits {
                wall_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
                ..grounds.config.limits
            },
            network: grounds.network(),
            image: grounds.image(),
        };
        let (success, said) = exec.to_its_end(argv, &grounds.worktree.root, stop).await;
        CommandEnd {
            command: argv.join(" "),
            success,
            said,
        }
    }

    /// The base's whole test files with the new code, where such files were changed.
    async fn base_tests(
        &self,
        room: &mut Room,
        facts: &GateFacts,
        tree: Oid,
        grounds: &Grounds,
        watch: &Watch,
        stop: &CancellationToken,
    ) -> Result<Option<SeenNow>, LoopError> {
        let changed = facts
            .changes
            .iter()
            .any(|change| change.base.is_some() && is_test_file(&change.path) && change.matters());
        if !changed {
            return Ok(None);
        }
        let base = self.tree_of(grounds.clone(), self.base).await?;
        let spliced = in_objects(grounds.clone(), move |objects| {
            let edits: Vec<Edit> = objects
                .changes(base, tree)?
                .into_iter()
                .filter(|change| change.old.is_some())
                .filter(|change| is_test_file(&String::from_utf8_lossy(&change.path)))
                .map(|change| Edit {
                    path: change.path,
                    entry: change.old,
                })
                .collect();
            Ok(objects.edit_tree(Some(tree), &edits)?)
        })
        .await?;
        room.restore(&snapshot(spliced)).await?;
        let all = self.suites.clone();
        self.run(room, all, spliced, grounds, watch, stop)
            .await
            .map(Some)
    }

    async fn tree_of(&self, grounds: Grounds, commit: Oid) -> Result<Oid, LoopError> {
        in_objects(grounds, move |objects| {
            Ok(objects.commit_info(commit)?.tree)
        })
        .await
    }

    /// What differs, and what manifests of both sides make executable.
    async fn compare(&self, grounds: Grounds) -> Result<GateFacts, LoopError> {
        let (base, commit) = (self.base, self.commit);
        let (changes, executed) = in_objects(grounds, move |objects| {
            let base = objects.commit_info(base)?.tree;
            let head = objects.commit_info(commit)?.tree;
            let mut changes = Vec::new();
            for change in objects.changes(base, head)? {
                changes.push(contents(objects, &change)?);
            }
            let mut executed = Executed::default();
            for tree in [base, head] {
                manifests(objects, tree, "", 0, &mut executed)?;
            }
            Ok((changes, executed))
        })
        .await?;
        Ok(GateFacts {
            suites: self.suites.iter().map(|suite| suite.name.clone()).collect(),
            base: self.inventory.clone(),
            changes,
            executed,
            protect: self.protect.clone(),
            ..GateFacts::default()
        })
    }
}

fn repeat(reports: &[Report]) -> Repeat {
    let red = reports.iter().filter(|report| !report.is_green());
    let what = red.flat_map(|report| {
        let suite = report.run.suite.clone().unwrap_or_default();
        let outcome = report.outcome.as_str();
        let failures = report.failures.iter().map(|failure| failure.id.clone());
        std::iter::once(format!("suite `{suite}` ended {outcome} when repeated")).chain(failures)
    });
    Repeat {
        green: !reports.is_empty() && reports.iter().all(Report::is_green),
        what: what.collect(),
    }
}

async fn in_objects<T: Send + 'static>(
    grounds: Grounds,
    work: impl FnOnce(&Objects) -> Result<T, LoopError> + Send + 'static,
) -> Result<T, LoopError> {
    let answer = tokio::task::spawn_blocking(move || {
        let objects = Objects::open(&grounds.state_dir(), &grounds.worktree)?;
        work(&objects)
    });
    answer
        .await
        .map_err(crate::workspace::WorkspaceError::from)?
}

fn contents(objects: &Objects, change: &TreeChange) -> Result<FileChange, LoopError> {
    let read = |side: &Option<(EntryMode, Oid)>| -> Result<Option<Vec<u8>>, LoopError> {
        match side {
            None => Ok(None),
            Some((EntryMode::Gitlink, id)) => Ok(Some(id.to_string().into_bytes())),
            Some((_, id)) => Ok(Some(objects.read_blob(*id, LOOKED_AT)?)),
        }
    };
    let mode = |side: &Option<(EntryMode, Oid)>| side.map(|(mode, _)| mode);
    let (old, new) = (mode(&change.old), mode(&change.new));
    let odd = |mode: Option<EntryMode>| mode.is_some_and(|mode| mode != EntryMode::File);
    Ok(FileChange {
        path: String::from_utf8_lossy(&change.path).into_owned(),
        base: read(&change.old)?,
        head: read(&change.new)?,
        // A new file that is executable or a submodule is a change of mode too.
        mode_changed: new.is_some() && new != old && (old.is_some() || odd(new)),
        link: new == Some(EntryMode::Link),
    })
}

/// Reads every `Cargo.toml` of a tree.
fn manifests(
    objects: &Objects,
    tree: Oid,
    dir: &str,
    depth: usize,
    executed: &mut Executed,
) -> Result<(), LoopError> {
    if depth > 12 {
        return Ok(());
    }
    for entry in objects.tree_entries(tree)? {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        let path = match dir {
            "" => name.clone(),
            dir => format!("{dir}/{name}"),
        };
        match entry.mode {
            EntryMode::Tree => manifests(objects, entry.id, &path, depth + 1, executed)?,
            EntryMode::File | EntryMode::Executable if name == "Cargo.toml" => {
                let text = objects.read_blob(entry.id, LOOKED_AT)?;
                executed.read_manifest(dir, &String::from_utf8_lossy(&text));
            }
            _ => {}
        }
    }
    Ok(())
}
