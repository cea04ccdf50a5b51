//! A watched project's site: its worktree, its slot, its configuration, its suites and
//! toolchains. Everything here blocks; the project's actor calls it where that is allowed.

use crate::config::Config;
use crate::daemon::hub::SuiteKey;
use crate::daemon::hub::SyncReport;
use crate::git::Head;
use crate::git::Objects;
use crate::git::Worktree;
use crate::git::refuse_root;
use crate::model::EnvironmentHash;
use crate::model::HostEnv;
use crate::model::LeftOutFile;
use crate::model::Note;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::SnapshotId;
use crate::model::Suite;
use crate::model::Trigger;
use crate::run::Ground;
use crate::run::Job;
use crate::sandbox::Mount;
use crate::sandbox::Place;
use crate::sandbox::mirror::Mirror;
use crate::sandbox::mirror::MirrorRules;
use crate::sandbox::mirror::Synced;
use crate::sandbox::slot::Purpose;
use crate::sandbox::slot::Slots;
use crate::sandbox::toolchain;
use crate::sandbox::toolchain::Toolchains;
use crate::suite;
use std::error::Error;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// Names of drifted files that a note lists.
const NAMES: usize = 5;

/// A watched project's site.
#[derive(Debug)]
pub(super) struct Site {
    host: Arc<HostEnv>,
    shim: PathBuf,
    project: ProjectId,
    worktree: Worktree,
    /// What tells its repository from another at the same path.
    identity: Option<String>,
    /// Its directory: watcher and mirror hold on to this one.
    top: Option<(u64, u64)>,
    mirror: Mirror,
    /// The configuration in force; the last good one while the files are broken.
    config: Config,
    suites: Vec<Suite>,
    toolchains: Toolchains,
    mounts: Vec<Mount>,
    /// Where packages are installed that the suites may use, outside of the project.
    packages: Vec<PathBuf>,
    /// What the slot took on disk when that was last looked at.
    slot_bytes: u64,
    /// What the last synchronisation found.
    last: Option<Last>,
}

/// What the last synchronisation found.
#[derive(Debug)]
struct Last {
    synced: Synced,
    head: Head,
    /// What was to be tested, and how.
    defined: (Config, Vec<Suite>),
}

impl Site {
    /// Takes slot 0 of the worktree at `path`.
    pub fn open(host: &Arc<HostEnv>, shim: &Path, path: &Path) -> Result<Site, Note> {
        // Looked at before: what takes its place meanwhile is found at the next look.
        let top = inode(path);
        let worktree = Worktree::discover(path).map_err(|e| match path.exists() {
            true => note("open", &e),
            false => gone(path),
        })?;
        // Without it, the repository around it would be found.
        if worktree.root != path {
            return Err(gone(path));
        }
        if let Some(reason) = refuse_root(&worktree.root, &host.home) {
            let text = format!("`{}` is not watched: {reason}", worktree.root.display());
            return Err(Note::new("open", text));
        }
        // A broken configuration must not keep the project from being watched: mending it is
        // a change like any other.
        let config = Config::load(host, Some(&worktree.root), &[])
            .or_else(|_| Config::from_text(host, None, &[]))
            .unwrap_or_default();
        let slots = Slots::open(&host.cache_dir()).map_err(|e| note("open", &e))?;
        let slot = slots
            .lease(&worktree, Purpose::Watch, crate::run::now())
            .map_err(|e| note("open", &e))?;
        let objects = Objects::open(&host.state_dir(), &worktree).map_err(|e| note("open", &e))?;
        let rules = rules(&config, &[]);
        let mirror =
            Mirror::open(worktree.clone(), objects, slot, rules).map_err(|e| note("open", &e))?;
        let toolchains = toolchain::discover(host, &worktree.root);
        Ok(Site {
            host: Arc::clone(host),
            shim: shim.to_owned(),
            project: worktree.id(),
            identity: identity(&worktree),
            top,
            worktree,
            mirror,
            config,
            suites: Vec::new(),
            toolchains,
            mounts: Vec::new(),
            packages: Vec::new(),
            slot_bytes: 0,
            last: None,
        })
    }

    /// What tells its repository from another at the same path, as far as that is known.
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// Whether its repository still is where it was, and so is what it is copied into.
    pub fn stands(&self) -> bool {
        let top = inode(&self.worktree.root);
        let rooted = top.is_some() && top == self.top;
        rooted && identity(&self.worktree) == self.identity && self.mirror.is_in_place()
    }

    /// Whether what ran, ran in the copy: tests in a slot that is removed fail of that.
    pub fn holds_slot(&self) -> bool {
        self.mirror.holds_slot()
    }

    pub fn worktree(&self) -> &Worktree {
        &self.worktree
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Brings the slot up to date and looks at what it holds now.
    ///
    /// `may_be_known` says of a snapshot whether an earlier run may answer for it; only then,
    /// and on a rescan, it is worth finding out what else its verdict depends on.
    pub fn sync(
        &mut self,
        paths: &[PathBuf],
        rescan: bool,
        may_be_known: impl FnOnce(&SnapshotId) -> bool,
    ) -> Result<SyncReport, Note> {
        let failed = |e: &dyn Error| note("sync", e);
        // Before anything that may fail: what the files say now may be the way out of it.
        let mut anew = rescan || self.last.is_none() || paths.iter().any(|path| concerns(path));
        if anew || self.config.trigger != Trigger::Save {
            match self.load() {
                Ok(config) if config.trigger != self.config.trigger => {
                    self.config = config;
                    return Err(Note::new("sync", "another tree is to be tested now"));
                }
                Ok(config) => anew |= config != self.config,
                // Told of where it is read again.
                Err(_) => anew = true,
            }
        }
        let head = self.worktree.head().map_err(|e| failed(&e))?;
        let synced = match self.config.trigger {
            Trigger::Save if rescan => self.mirror.reconcile(),
            Trigger::Save => self.mirror.sync(paths),
            Trigger::Stage => {
                let objects = self.mirror.objects();
                let tree = objects.index_tree(&self.worktree).map_err(|e| failed(&e))?;
                self.mirror.populate_tree(&tree)
            }
            Trigger::Commit => {
                let Some(tree) = &head.tree else {
                    let text = "there is no commit yet, and commits are what is tested here";
                    return Err(Note::new("sync", text));
                };
                self.mirror.populate_tree(tree)
            }
        }
        .map_err(|e| failed(&e))?;
        let mut touched = synced.changed.iter().chain(&synced.removed);
        let anew = anew || touched.any(|path| concerns(path));
        let rules = self.mirror.rules().clone();
        let suites = match anew {
            true => self.look_again(),
            false => Ok(()),
        };
        // What a suite wants carried in is known only now.
        let synced = match self.config.trigger == Trigger::Save && *self.mirror.rules() != rules {
            true => self.mirror.reconcile().map_err(|e| failed(&e))?,
            false => synced,
        };
        // On the same snapshot, verdicts on what was defined otherwise are about something else.
        let defined = (self.config.clone(), self.suites.clone());
        let redefined = self
            .last
            .as_ref()
            .is_some_and(|last| last.synced.snapshot == synced.snapshot && last.defined != defined);
        let digest = rescan || redefined || may_be_known(&synced.snapshot);
        self.last = Some(Last {
            synced,
            head,
            defined,
        });
        let report = self.report(suites, rescan, digest)?;
        Ok(SyncReport {
            redefined,
            ..report
        })
    }

    /// The configuration as the files have it now.
    fn load(&self) -> Result<Config, Note> {
        Config::load(&self.host, Some(&self.worktree.root), &[]).map_err(|e| note("config", &e))
    }

    /// Reads configuration, suites and toolchains again.
    fn look_again(&mut self) -> Result<(), Note> {
        self.config = self.load()?;
        let root = match self.config.trigger {
            Trigger::Save => self.worktree.root.as_path(),
            Trigger::Stage | Trigger::Commit => self.mirror.tree(),
        };
        self.suites = suite::suites_at(root, &self.config).map_err(|e| note("config", &e))?;
        self.mirror.set_rules(rules(&self.config, &self.suites));
        self.toolchains = toolchain::discover(&self.host, &self.worktree.root);
        self.mounts = self
            .toolchains
            .prepare(&self.mirror.place())
            .map_err(|e| note("config", &e))?;
        let python = self.suites.iter().any(|it| it.framework.may_use_python());
        self.packages = match python {
            true => self.toolchains.packages(&self.worktree.root),
            false => Vec::new(),
        };
        Ok(())
    }

    fn report(
        &self,
        suites: Result<(), Note>,
        rescan: bool,
        digest: bool,
    ) -> Result<SyncReport, Note> {
        let Some(Last { synced, head, .. }) = &self.last else {
            return Err(Note::new("sync", "nothing was synchronised"));
        };
        let suites = suites.map(|()| {
            self.suites
                .iter()
                .map(|suite| SuiteKey {
                    name: suite.name.clone(),
                    environment: digest.then(|| self.environment(&suite.name)).flatten(),
                })
                .collect()
        });
        let ignored = self
            .config
            .left_out
            .iter()
            .map(|it| format!("`{}`: {}", it.key, it.reason));
        Ok(SyncReport {
            snapshot: synced.snapshot.clone(),
            branch: head.branch.clone(),
            head: head.commit.clone(),
            dirty: head.tree.as_ref() != Some(&synced.snapshot),
            suites,
            ignored: ignored.collect(),
            left_out: synced
                .left_out
                .iter()
                .map(|file| LeftOutFile {
                    path: file.path.display().to_string(),
                    reason: file.reason.to_string(),
                })
                .collect(),
            slot_bytes: self.slot_bytes,
            notes: [&self.toolchains.notes[..], &self.config.notes].concat(),
            rescan,
            redefined: false,
        })
    }

    /// What else than the snapshot a verdict on a suite depends on.
    pub fn environment(&self, suite: &str) -> Option<EnvironmentHash> {
        let last = self.last.as_ref()?;
        let suite = self.suites.iter().find(|known| known.name == suite)?;
        let place = self.mirror.place();
        self.ground(last, &place)
            .environment(suite, self.config.backend)
    }

    fn ground<'a>(&'a self, last: &'a Last, place: &'a Place) -> Ground<'a> {
        Ground {
            host: &self.host,
            project: &self.project,
            config: &self.config,
            snapshot: &last.synced.snapshot,
            commit: last.head.commit.as_deref(),
            dirty: last.head.tree.as_ref() != Some(&last.synced.snapshot),
            place,
            synced: &last.synced,
            toolchains: &self.toolchains,
            mounts: &self.mounts,
            shim: &self.shim,
        }
    }

    /// The job of a run of a suite in the slot as it stands.
    pub fn job(&self, run: RunId, suite: &str, snapshot: &SnapshotId) -> Result<Job, Note> {
        let Some(last) = self
            .last
            .as_ref()
            .filter(|it| it.synced.snapshot == *snapshot)
        else {
            let text = format!("the slot does not hold `{snapshot}`");
            return Err(Note::new("infra_error", text));
        };
        let Some(suite) = self.suites.iter().find(|known| known.name == suite) else {
            let text = format!("there is no suite `{suite}` any more");
            return Err(Note::new("infra_error", text));
        };
        let ready = self.mirror.begin_run();
        ready.map_err(|e| note("infra_error", &e))?;
        let place = self.mirror.place();
        let ground = self.ground(last, &place);
        Ok(Job {
            stands_back: true,
            ..ground.job(run, suite, self.config.backend)
        })
    }

    /// What shows that an environment which tests use was changed, as installers change it;
    /// looked at again and again, so only a handful of names. Empty where there is none.
    pub fn pulse(&self) -> Pulse {
        let carried = self.last.iter().flat_map(|last| &last.synced.carried);
        carried
            .flat_map(|mount| touchstones(&mount.target))
            .chain(self.packages.iter().cloned())
            .map(|path| {
                let changed = std::fs::metadata(&path).ok();
                (path, changed.map(|meta| (meta.mtime(), meta.mtime_nsec())))
            })
            .collect()
    }

    /// These environments: of them, what is edited in place counts too.
    pub fn environments(&self) -> Vec<PathBuf> {
        let carried = self.last.iter().flat_map(|last| &last.synced.carried);
        let carried = carried.map(|mount| mount.target.clone());
        carried.chain(self.packages.iter().cloned()).collect()
    }

    /// Finds out what the slot takes on disk: a walk over all of it, not for a save's way.
    pub fn measure(&mut self) -> u64 {
        self.slot_bytes = self.mirror.slot().bytes();
        self.slot_bytes
    }

    /// Looks at what a run did to the copy, and undoes it; says what it was, and
    /// whether the slot has moved on with what was edited meanwhile.
    pub fn mend(&mut self) -> Result<(Option<Note>, bool), Note> {
        let failed = |e: &dyn Error| note("drift", e);
        let (drift, repaired) = self.mirror.mend().map_err(|e| failed(&e))?;
        let Some(repaired) = repaired else {
            return Ok((None, false));
        };
        let moved = match &mut self.last {
            Some(last) => {
                let moved = last.synced.snapshot != repaired.snapshot;
                last.synced.snapshot = repaired.snapshot;
                moved
            }
            None => true,
        };
        let mut names = drift.rewritten.iter().chain(&drift.removed);
        let shown: Vec<String> = names
            .by_ref()
            .take(NAMES)
            .map(|path| format!("`{}`", path.display()))
            .collect();
        let more = match names.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let text = format!(
            "tests rewrote files of the copy: {}{more}",
            shown.join(", ")
        );
        let remedy = "they were put back; `regreen slots` shows them and brings them over by name";
        Ok((Some(Note::new("drift", text).remedy(remedy)), moved))
    }
}

/// Directories and files, and when they were changed.
pub(super) type Pulse = Vec<(PathBuf, Option<(i64, i64)>)>;

/// What every installer touches of a carried directory.
fn touchstones(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    if dir.join("pyvenv.cfg").exists() {
        found.push(dir.join("bin"));
        let versions = std::fs::read_dir(dir.join("lib")).into_iter().flatten();
        let versions = versions.flatten().map(|entry| entry.path());
        found.extend(versions.map(|version| version.join("site-packages")));
    }
    if dir.file_name() == Some(OsStr::new("node_modules")) {
        found.push(dir.join(".package-lock.json"));
    }
    found.sort();
    found
}

fn rules(config: &Config, suites: &[Suite]) -> MirrorRules {
    MirrorRules {
        include: config.include.clone(),
        carry: suites
            .iter()
            .flat_map(|suite| suite.carry.clone())
            .collect(),
        ..MirrorRules::default()
    }
}

/// Whether a changed path may change what is tested, or how.
fn concerns(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let manifest = matches!(
        Path::new(name).extension().and_then(OsStr::to_str),
        Some("toml" | "ini" | "cfg" | "lock")
    );
    let python_test = name.ends_with(".py") && name.contains("test");
    manifest || python_test || matches!(name, "rust-toolchain" | ".python-version" | "pyvenv.cfg")
}

/// An error and its causes, as a note.
fn gone(path: &Path) -> Note {
    let text = format!("there is no git worktree at `{}` any more", path.display());
    let remedy = format!(
        "`regreen remove {}` forgets it; `regreen add` it where it is now",
        path.display()
    );
    Note::new("open", text).remedy(remedy)
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let meta = path.symlink_metadata().ok()?;
    meta.is_dir().then(|| (meta.dev(), meta.ino()))
}

/// Tells a git directory from every other, also from one that took its place: inode numbers
/// are used again.
fn identity(worktree: &Worktree) -> Option<String> {
    let meta = std::fs::metadata(&worktree.git_dir).ok()?;
    let born = meta
        .created()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let born = born.map_or(0, |at| at.as_nanos());
    Some(format!("{}:{}:{born}", meta.dev(), meta.ino()))
}

pub(super) fn note(code: &str, error: &dyn Error) -> Note {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    Note::new(code, text)
}
