//! `regreen fix` and `regreen loops`: loops driven in this process.

use crate::config::Flag;
use crate::daemon::Handle;
use crate::git::GitError;
use crate::git::Worktree;
use crate::iteration::LoopError;
use crate::iteration::LoopFiles;
use crate::iteration::driver;
use crate::iteration::driver::Deps;
use crate::iteration::landing;
use crate::iteration::landing::Landed;
use crate::iteration::records;
use crate::iteration::records::Unfinished;
use crate::iteration::setup;
use crate::iteration::setup::SetupError;
use crate::model::Budget;
use crate::model::EXIT_ERROR;
use crate::model::EXIT_INTERRUPTED;
use crate::model::EXIT_USAGE;
use crate::model::FixRequest;
use crate::model::Landing;
use crate::model::LoopId;
use crate::model::LoopLine;
use crate::model::LoopReport;
use crate::model::Note;
use crate::model::ProjectId;
use crate::model::StopReason;
use crate::store::Store;
use crate::store::StoreError;
use crate::workspace::Grounds;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// Why a loop could not be driven, shown or landed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FixError {
    /// It could not begin.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// It could not go on.
    #[error(transparent)]
    Loop(#[from] LoopError),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not a worktree.
    #[error(transparent)]
    Git(#[from] GitError),
    /// No loop is meant by this.
    #[error("{0}")]
    NoLoop(String),
    /// A part of regreen itself failed.
    #[error("work in the background came to no end")]
    Internal(#[from] tokio::task::JoinError),
}

impl FixError {
    /// The exit code of the command line.
    pub fn exit_code(&self) -> u8 {
        match self {
            FixError::Setup(error) => error.exit_code(),
            FixError::Loop(LoopError::Suspended(_)) => EXIT_INTERRUPTED,
            FixError::Loop(LoopError::Unknown(_)) | FixError::NoLoop(_) | FixError::Git(_) => {
                EXIT_USAGE
            }
            _ => EXIT_ERROR,
        }
    }
}

/// Who watches a loop, and how it is ended.
#[derive(Debug, Clone)]
pub struct LoopWatch {
    /// Gets what happens, as it happens.
    pub lines: mpsc::Sender<LoopLine>,
    /// The user wants the loop to end.
    pub cancel: CancellationToken,
    /// Regreen ends; the loop goes on when it is back.
    pub suspend: CancellationToken,
}

impl Handle {
    /// Drives an agent until the tests of a branch pass, in this process.
    ///
    /// # Errors
    /// When the loop could not begin, or regreen was ended in mid-loop.
    pub async fn fix(
        &self,
        request: &FixRequest,
        flags: &[Flag],
        watch: LoopWatch,
    ) -> Result<LoopReport, FixError> {
        let (request, host, flags) = (request.clone(), self.host().clone(), flags.to_vec());
        let apply = request.apply;
        let begun = spawn_blocking(move || setup::begin(&request, &host, &flags)).await?;
        let (record, grounds) = begun?;
        let deps = self.deps(grounds, watch)?;
        let report = driver::start(deps.clone(), record).await?;
        Ok(self.maybe_apply(deps, report, apply).await)
    }

    /// Goes on with a loop that was cut short, or gives a stopped one more to spend.
    ///
    /// # Errors
    /// When it cannot go on.
    pub async fn resume_loop(
        &self,
        id: &LoopId,
        more: Option<Budget>,
        watch: LoopWatch,
    ) -> Result<LoopReport, FixError> {
        let (deps, apply) = self.deps_of(id, watch).await?;
        let report = driver::resume(deps.clone(), id, more).await?;
        Ok(self.maybe_apply(deps, report, apply).await)
    }

    /// Cleans up after every loop that had ended when its driver was killed: a landing that was
    /// begun comes to its end, rooms are given back and reports are written. A loop that was cut short before its end is left to
    /// `regreen loops resume`: going on with it spends an agent's turn, and that is the user's
    /// to say.
    pub async fn finish_ended_loops(self) {
        let open = match self.store() {
            Ok(store) => records::unfinished(&store).await.map_err(FixError::from),
            Err(error) => Err(error.into()),
        };
        let open = open.unwrap_or_else(|error| {
            tracing::warn!(%error, "the loops on record cannot be read");
            Vec::new()
        });
        for (id, what) in open {
            // Nobody watches, and nothing is asked of it that could be cancelled.
            let (lines, _) = mpsc::channel(1);
            let watch = LoopWatch {
                lines,
                cancel: CancellationToken::new(),
                suspend: CancellationToken::new(),
            };
            let done = match what {
                Unfinished::End => self.resume_loop(&id, None, watch).await,
                Unfinished::Landing => self.land(&id, Landed::CutShort, watch).await,
            };
            match done {
                Ok(_) => tracing::info!(%id, "a loop that had ended was cleaned up"),
                Err(error) => tracing::info!(%id, %error, "a loop that had ended is left as it is"),
            }
        }
    }

    /// Moves a loop's result onto its branch as it is now, once it is proved there.
    ///
    /// # Errors
    /// When it may not be moved; then nothing was changed.
    pub async fn apply_loop(&self, id: &LoopId, watch: LoopWatch) -> Result<LoopReport, FixError> {
        self.land(id, Landed::Asked, watch).await
    }

    async fn land(
        &self,
        id: &LoopId,
        how: Landed,
        watch: LoopWatch,
    ) -> Result<LoopReport, FixError> {
        let (deps, _) = self.deps_of(id, watch).await?;
        Ok(landing::apply(&deps, id, how).await?)
    }

    /// A person's word about a loop that needs approval.
    ///
    /// # Errors
    /// When it asked for none.
    pub async fn decide_loop(&self, id: &LoopId, yes: bool) -> Result<LoopReport, FixError> {
        let landing = match yes {
            true => Landing::Approved,
            false => Landing::Rejected,
        };
        let state_dir = self.host().state_dir();
        Ok(landing::decide(&self.store()?, &state_dir, id, landing).await?)
    }

    /// Ends a loop, whoever drives it, and answers its report once it has ended.
    ///
    /// # Errors
    /// When there is no such loop.
    pub async fn stop_loop(&self, id: &LoopId, watch: LoopWatch) -> Result<LoopReport, FixError> {
        let report = self.loop_report(id).await?;
        if report.stop_reason.is_some() {
            return Ok(report);
        }
        let files = LoopFiles::of(&self.host().state_dir(), id);
        let driven = files
            .wish_for_the_end()
            .map_err(LoopError::io("write to", files.dir()))?;
        if !driven {
            let (deps, _) = self.deps_of(id, watch).await?;
            return Ok(driver::abandon(deps, id).await?);
        }
        let shown = files.dir().to_owned();
        let ended = spawn_blocking(move || files.wait_for_the_end()).await?;
        ended.map_err(LoopError::io("wait for the loop in", &shown))?;
        self.loop_report(id).await
    }

    /// The loops on record, newest first; only those of the project at `here` if it is named.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn loops(&self, here: Option<&Path>) -> Result<Vec<LoopReport>, FixError> {
        let project = here.map(Worktree::discover).transpose()?;
        self.loops_of(project.map(|worktree| worktree.id())).await
    }

    async fn loops_of(&self, project: Option<ProjectId>) -> Result<Vec<LoopReport>, FixError> {
        let state_dir = self.host().state_dir();
        let found = records::standings(&self.store()?, &state_dir, project.as_ref()).await?;
        Ok(found.into_iter().map(|(_, report)| report).collect())
    }

    /// The report of a loop.
    ///
    /// # Errors
    /// When there is none.
    pub async fn loop_report(&self, id: &LoopId) -> Result<LoopReport, FixError> {
        Ok(records::standing(&self.store()?, &self.host().state_dir(), id).await?)
    }

    /// Whether anybody drives a loop now.
    pub fn loop_is_driven(&self, id: &LoopId) -> bool {
        LoopFiles::of(&self.host().state_dir(), id).is_driven()
    }

    /// The report of a loop as Markdown.
    pub fn loop_markdown(&self, report: &LoopReport) -> String {
        driver::markdown(report)
    }

    /// The loop that is meant: by its id or the beginning of it, or the newest of the project.
    ///
    /// # Errors
    /// When none or several are meant.
    pub async fn find_loop(&self, text: Option<&str>, here: &Path) -> Result<LoopId, FixError> {
        let Some(text) = text else {
            let project = Worktree::discover(here)?.id();
            let newest = self.loops_of(Some(project)).await?.into_iter().next();
            return newest.map(|report| report.id).ok_or_else(|| {
                FixError::NoLoop("this project has no loop yet: see `regreen fix`".to_owned())
            });
        };
        let all = self.store()?.loops(None).await?;
        let ids: Vec<LoopId> = all
            .into_iter()
            .map(|row| row.id)
            .filter(|id| id.as_str().starts_with(text))
            .collect();
        match ids.as_slice() {
            [id] => Ok(id.clone()),
            [] => Err(FixError::NoLoop(format!(
                "there is no loop `{text}`: see `regreen loops list`"
            ))),
            several => {
                let names: Vec<&str> = several.iter().map(LoopId::as_str).collect();
                Err(FixError::NoLoop(format!(
                    "`{text}` is the beginning of several loops: {}",
                    names.join(", ")
                )))
            }
        }
    }

    fn store(&self) -> Result<Store, StoreError> {
        Store::open(&self.host().state_dir())
    }

    fn deps(&self, grounds: Grounds, watch: LoopWatch) -> Result<Deps, StoreError> {
        Ok(Deps {
            store: self.store()?,
            grounds: Arc::new(grounds),
            lines: watch.lines,
            cancel: watch.cancel,
            suspend: watch.suspend,
        })
    }

    /// What a loop on record works with, and whether it is to be applied when it passed.
    async fn deps_of(&self, id: &LoopId, watch: LoopWatch) -> Result<(Deps, bool), FixError> {
        let record = records::load(&self.store()?, id).await?;
        let apply = record.apply;
        let host = self.host().clone();
        let grounds = spawn_blocking(move || setup::again(&record, &host)).await??;
        Ok((self.deps(grounds, watch)?, apply))
    }

    /// Lands what passed, if that was asked for. A refusal is a note of the report: the loop
    /// itself has passed.
    async fn maybe_apply(&self, deps: Deps, mut report: LoopReport, apply: bool) -> LoopReport {
        if !apply || report.stop_reason != Some(StopReason::Passed) {
            return report;
        }
        match landing::apply(&deps, &report.id, Landed::Asked).await {
            Ok(applied) => applied,
            Err(error) => {
                let note = Note::new("not_applied", error.whole()).remedy(format!(
                    "put it right, then run `regreen loops apply {}`",
                    report.id
                ));
                report.notes.push(note);
                report
            }
        }
    }
}
