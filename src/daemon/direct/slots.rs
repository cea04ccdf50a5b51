//! `regreen slots`: which slots there are, what tests did in one, and the way back by name.

use crate::config::Config;
use crate::config::ConfigError;
use crate::daemon::Handle;
use crate::git::GitError;
use crate::git::Worktree;
use crate::model::DriftView;
use crate::model::SlotView;
use crate::sandbox::mirror::Inspection;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::mirror::MirrorRules;
use crate::sandbox::slot::SlotError;
use crate::sandbox::slot::Slots;
use std::path::Path;
use std::path::PathBuf;

/// Why slots could not be shown or used.
#[derive(Debug, thiserror::Error)]
pub enum SlotsError {
    /// Not a worktree.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The slots cannot be read.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// One slot cannot be read, or a name is not among what tests made.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no such slot.
    #[error(
        "`{}` has no slot{}: it gets one by `regreen run` or `regreen watch`",
        root.display(),
        number.map_or(String::new(), |number| format!(" {number}"))
    )]
    NoSlot {
        /// The worktree.
        root: PathBuf,
        /// The slot that was asked for.
        number: Option<u32>,
    },
}

impl Handle {
    /// Every slot, with its size. Walks them all.
    ///
    /// # Errors
    /// When the cache directory cannot be read.
    pub fn slots(&self) -> Result<Vec<SlotView>, SlotsError> {
        let slots = Slots::open(&self.host().cache_dir())?.list()?;
        Ok(slots
            .into_iter()
            .map(|slot| SlotView {
                project: slot.project.to_string(),
                number: slot.number,
                purpose: slot
                    .lease
                    .as_ref()
                    .map(|lease| format!("{:?}", lease.purpose).to_lowercase()),
                root: slot.lease.map(|lease| lease.root),
                in_use: slot.in_use,
                bytes: slot.bytes,
                dir: slot.dir,
            })
            .collect())
    }

    /// What tests did in a slot of the worktree at `path`: slot `number`, or the watch's, or
    /// the first there is.
    ///
    /// # Errors
    /// When it is no worktree, has no such slot, or the slot cannot be read.
    pub fn drift(&self, path: &Path, number: Option<u32>) -> Result<DriftView, SlotsError> {
        let (slot, inspection) = self.inspect(path, number)?;
        let drift = inspection.drift()?;
        let shown = |paths: Vec<PathBuf>| -> Vec<String> {
            let paths = paths.into_iter().map(|path| path.display().to_string());
            paths.collect()
        };
        Ok(DriftView {
            slot,
            created: shown(drift.created),
            rewritten: shown(drift.rewritten),
            removed: shown(drift.removed),
            locks: shown(drift.locks),
        })
    }

    /// Copies files that tests made from a slot into the worktree at `path`, by name (relative
    /// to the worktree). The only writing into a worktree that is not a landing.
    ///
    /// # Errors
    /// As [`Handle::drift`], and when a name is not among what tests made; then nothing is
    /// written.
    pub fn bring_back(
        &self,
        path: &Path,
        number: Option<u32>,
        names: &[PathBuf],
    ) -> Result<Vec<PathBuf>, SlotsError> {
        let (_, inspection) = self.inspect(path, number)?;
        Ok(inspection.bring_back(names)?)
    }

    fn inspect(&self, path: &Path, number: Option<u32>) -> Result<(u32, Inspection), SlotsError> {
        let worktree = Worktree::discover(path)?;
        let config = Config::load(self.host(), Some(&worktree.root), &[])?;
        let project = self
            .host()
            .cache_dir()
            .join("slots")
            .join(worktree.id().as_str());
        let used = |number: &u32| {
            project
                .join(number.to_string())
                .join("manifest.db")
                .exists()
        };
        let found = match number {
            Some(number) => Some(number).filter(used),
            None => (0..Slots::MOST).find(used),
        };
        let Some(slot) = found else {
            let root = worktree.root;
            return Err(SlotsError::NoSlot { root, number });
        };
        let rules = MirrorRules {
            include: config.include,
            ..MirrorRules::default()
        };
        let dir = project.join(slot.to_string());
        Ok((slot, Inspection::open(&worktree, &dir, rules)?))
    }
}
