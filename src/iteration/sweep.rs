//! What loops leave in a repository: a branch each, and commits that were refused. `regreen gc`
//! takes away what has landed, what another branch has, and, once they are older than the
//! retention, what was rejected and refused. Work that nobody decided about stays, and is named.

use crate::git::GitError;
use crate::git::Objects;
use crate::git::Oid;
use crate::git::RefUpdate;
use crate::git::Worktree;
use crate::iteration::error::LoopError;
use crate::iteration::files::LoopFiles;
use crate::iteration::record::LoopRecord;
use crate::iteration::records;
use crate::model::Landing;
use crate::model::Timestamp;
use crate::model::wire::LoopRef;
use crate::store::Store;
use std::path::Path;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// What is old enough to go, and whether it goes.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The time.
    pub now: Timestamp,
    /// How long refused and rejected work is kept.
    pub age: Duration,
    /// Only say what would go.
    pub dry_run: bool,
}

/// What went, or would go, and the branches that stay.
#[derive(Debug, Default)]
pub struct Swept {
    /// Removed.
    pub removed: Vec<LoopRef>,
    /// Branches that hold work that has not landed.
    pub kept: Vec<LoopRef>,
}

/// Goes through all loops that have ended. One whose worktree is gone, or that somebody works
/// with, is left alone.
///
/// # Errors
/// When the store cannot be read. What is wrong with one repository is logged, and the others
/// are gone through all the same.
pub async fn sweep(store: &Store, state_dir: &Path, terms: Terms) -> Result<Swept, LoopError> {
    let mut swept = Swept::default();
    for row in store.loops(None).await? {
        let old = terms.now.since(row.updated) >= terms.age;
        let files = LoopFiles::of(state_dir, &row.id);
        // Whoever drives it, lands it or decides about it has this.
        let Ok(Ok(lock)) = files.lock() else { continue };
        let Ok(record) = records::load(store, &row.id).await else {
            continue;
        };
        let over = record.state.stop.is_some() && record.state.pending.is_empty();
        if !over || record.plan.is_some() {
            continue;
        }
        let state_dir = state_dir.to_owned();
        let gone_through = spawn_blocking(move || {
            let _lock = lock;
            Remains::of(record, &state_dir, old, terms).map_or(Ok(Swept::default()), Remains::sweep)
        });
        match gone_through.await {
            Ok(Ok(one)) => {
                swept.removed.extend(one.removed);
                swept.kept.extend(one.kept);
            }
            Ok(Err(error)) => tracing::warn!(id = %row.id, %error, "a loop's refs are left"),
            Err(error) => tracing::warn!(id = %row.id, %error, "a loop's refs are left"),
        }
    }
    Ok(swept)
}

/// One loop that has ended, and the repositories that hold something of it.
struct Remains {
    record: LoopRecord,
    worktree: Worktree,
    objects: Objects,
    old: bool,
    dry_run: bool,
    swept: Swept,
}

enum Fate {
    Goes(String),
    Stays(String),
}

impl Remains {
    fn of(record: LoopRecord, state_dir: &Path, old: bool, terms: Terms) -> Option<Remains> {
        let worktree = Worktree::discover(&record.root).ok()?;
        if worktree.id() != record.project {
            return None;
        }
        let objects = Objects::open(state_dir, &worktree).ok()?;
        Some(Remains {
            record,
            worktree,
            objects,
            old,
            dry_run: terms.dry_run,
            swept: Swept::default(),
        })
    }

    fn sweep(mut self) -> Result<Swept, GitError> {
        self.branch()?;
        let why = match self.record.landing {
            Landing::Applied => "refused, and the loop has landed",
            _ if self.old => "refused, and older than `retention.age`",
            _ => return Ok(self.swept),
        };
        let prefix = format!("refs/regreen/rescue/{}/", self.record.id());
        let mut names = self.worktree.refs(&prefix)?;
        for own in self.objects.refs(&prefix)? {
            if !names.contains(&own) {
                names.push(own);
            }
        }
        for (name, commit) in names {
            self.remove(&name, commit, why)?;
        }
        Ok(self.swept)
    }

    fn branch(&mut self) -> Result<(), GitError> {
        let branch = self.record.loop_branch();
        let name = format!("refs/heads/{branch}");
        let Some(tip) = self.worktree.read_ref(&name)? else {
            // The user has removed it. Until somebody decided, regreen's own copy can still land.
            let decided = matches!(self.record.landing, Landing::Applied | Landing::Rejected);
            if (decided || self.old) && !self.dry_run {
                self.forget(&name)?;
            }
            return Ok(());
        };
        match self.fate(&branch, tip)? {
            Fate::Goes(why) => self.remove(&name, tip, &why),
            Fate::Stays(why) => {
                let kept = self.told(&name, tip, &why);
                self.swept.kept.push(kept);
                Ok(())
            }
        }
    }

    fn fate(&self, branch: &str, tip: Oid) -> Result<Fate, GitError> {
        let here = self.worktree.head()?.branch.as_deref() == Some(branch);
        if here || self.worktree.other_checkout(branch)?.is_some() {
            return Ok(Fate::Stays("it is checked out".to_owned()));
        }
        if let Some(other) = self.worktree.branch_with(tip)? {
            return Ok(Fate::Goes(format!("`{other}` has all of it")));
        }
        let state = &self.record.state;
        let last = state.best.as_ref().or(state.tip.as_ref());
        // Somebody has worked on it since.
        if last.is_none_or(|mark| mark.commit != tip.to_string()) {
            return Ok(Fate::Stays(
                "it has commits that are not regreen's".to_owned(),
            ));
        }
        let id = self.record.id();
        Ok(match self.record.landing {
            Landing::Applied => Fate::Goes("it has landed".to_owned()),
            Landing::Rejected if self.old => {
                Fate::Goes("rejected, and older than `retention.age`".to_owned())
            }
            Landing::Rejected => {
                Fate::Stays("rejected, and younger than `retention.age`".to_owned())
            }
            Landing::None | Landing::Approved => Fate::Stays(format!(
                "its work has not landed: see `regreen loops show {id}`"
            )),
        })
    }

    fn remove(&mut self, name: &str, commit: Oid, why: &str) -> Result<(), GitError> {
        let gone = self.told(name, commit, why);
        if !self.dry_run {
            if self.worktree.read_ref(name)?.is_some() {
                self.worktree.write_ref(&self.removal(name, commit))?;
            }
            self.forget(name)?;
        }
        self.swept.removed.push(gone);
        Ok(())
    }

    /// Takes a ref out of regreen's own repository, which then no longer keeps its objects.
    fn forget(&self, name: &str) -> Result<(), GitError> {
        match self.objects.read_ref(name)? {
            Some(own) => self.objects.write_ref(&self.removal(name, own)),
            None => Ok(()),
        }
    }

    fn removal(&self, name: &str, commit: Oid) -> RefUpdate {
        RefUpdate {
            name: name.to_owned(),
            old: Some(commit),
            new: None,
            log: format!("regreen: gc of loop {}", self.record.id()),
        }
    }

    fn told(&self, name: &str, commit: Oid, why: &str) -> LoopRef {
        LoopRef {
            name: name.to_owned(),
            commit: commit.to_string(),
            project: self.worktree.root.to_string_lossy().into_owned(),
            why: why.to_owned(),
        }
    }
}
