//! Everything before the first process of `regreen run`: the worktree, its configuration, its
//! copy, its suites, the toolchains. It blocks.

use crate::config::BackendName;
use crate::config::Config;
use crate::config::Flag;
use crate::git::Objects;
use crate::git::Worktree;
use crate::git::refuse_path;
use crate::git::refuse_root;
use crate::model::HostEnv;
use crate::model::Note;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::RunRequest;
use crate::model::SnapshotId;
use crate::model::Suite;
use crate::run::Ground;
use crate::run::Job;
use crate::run::once::OnceError;
use crate::sandbox::Mount;
use crate::sandbox::Place;
use crate::sandbox::mirror::Mirror;
use crate::sandbox::mirror::MirrorError;
use crate::sandbox::mirror::MirrorRules;
use crate::sandbox::mirror::Synced;
use crate::sandbox::slot::Purpose;
use crate::sandbox::slot::Slots;
use crate::sandbox::toolchain;
use crate::sandbox::toolchain::Toolchains;
use crate::suite;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// What is ready to run.
#[derive(Debug)]
pub struct Prepared {
    /// The project's id.
    pub project: ProjectId,
    /// Its configuration.
    pub config: Config,
    /// What lies in the slot.
    pub snapshot: SnapshotId,
    /// The suites to run.
    pub suites: Vec<Suite>,
    commit: Option<String>,
    dirty: bool,
    place: Place,
    /// Held for the lease of its slot; only one thread at a time may use it.
    mirror: Mutex<Mirror>,
    synced: Synced,
    toolchains: Toolchains,
    /// The toolchains' mounts, those private to the slot included.
    mounts: Vec<Mount>,
    shim: PathBuf,
}

/// Prepares a run. The slot is held as long as the answer lives.
pub fn prepare(
    request: &RunRequest,
    host: &HostEnv,
    flags: &[Flag],
) -> Result<Prepared, OnceError> {
    let worktree = Worktree::discover(&request.path).map_err(|error| {
        match refuse_path(&request.path, &host.home) {
            Some((path, reason)) => OnceError::Refused { path, reason },
            None => error.into(),
        }
    })?;
    if let Some(reason) = refuse_root(&worktree.root, &host.home) {
        return Err(OnceError::Refused {
            path: worktree.root,
            reason,
        });
    }
    let shim = std::env::current_exe().map_err(OnceError::Program)?;
    let config = Config::load(host, Some(&worktree.root), flags)?;
    let head = worktree.head()?;
    let target = match &request.at {
        Some(rev) => Some(worktree.resolve(rev)?),
        None => None,
    };
    let mut suites = chosen(request, &worktree, &worktree.root, &config)?;
    let rules = MirrorRules {
        include: config.include.clone(),
        carry: suites
            .iter()
            .flat_map(|suite| suite.carry.clone())
            .collect(),
        ..MirrorRules::default()
    };
    let slots = Slots::open(&host.cache_dir())?;
    let slot = slots.lease(&worktree, Purpose::Run, crate::run::now())?;
    let objects = Objects::open(&host.state_dir(), &worktree).map_err(OnceError::Objects)?;
    let mut mirror = Mirror::open(worktree.clone(), objects, slot, rules)?;
    let synced = match &target {
        Some(target) => mirror.populate_tree(&target.tree)?,
        None => mirror.reconcile()?,
    };
    if target.is_some() {
        suites = chosen(request, &worktree, mirror.tree(), &config)?;
    }
    let toolchains = toolchain::discover(host, &worktree.root);
    let place = mirror.place();
    let mounts = toolchains.prepare(&place).map_err(OnceError::Toolchains)?;
    Ok(Prepared {
        project: worktree.id(),
        config,
        snapshot: synced.snapshot.clone(),
        suites,
        dirty: target.is_none() && head.tree.as_ref() != Some(&synced.snapshot),
        commit: target.map_or(head.commit, |target| target.commit),
        place,
        mirror: Mutex::new(mirror),
        synced,
        toolchains,
        mounts,
        shim,
    })
}

/// The suites that were asked for, as the files below `root` have them.
fn chosen(
    request: &RunRequest,
    worktree: &Worktree,
    root: &Path,
    config: &Config,
) -> Result<Vec<Suite>, OnceError> {
    if !request.command.is_empty() && request.suite.is_none() {
        return Ok(vec![asked(request, worktree, config)]);
    }
    let mut suites = suite::suites_at(root, config)?;
    if let Some(name) = &request.suite {
        let names: Vec<String> = suites.iter().map(|suite| suite.name.clone()).collect();
        // Of a matrix one combination, or by the name before it all of them.
        let of_matrix = |suite: &Suite| suite.name.split_once('[').is_some_and(|it| it.0 == name);
        suites.retain(|suite| suite.name == *name || of_matrix(suite));
        if suites.is_empty() && !names.is_empty() {
            return Err(OnceError::UnknownSuite {
                name: name.clone(),
                hint: format!(": there is `{}`", names.join("`, `")),
            });
        }
    }
    if suites.is_empty() {
        return Err(OnceError::NoSuite {
            path: worktree.root.clone(),
            why: suite::why_none(config),
        });
    }
    if !request.command.is_empty() {
        // Another command of the same suite: whose tests they are, and with which environment,
        // is known.
        for suite in &mut suites {
            let other = asked(request, worktree, config);
            suite.dir = other.dir;
            suite.command = other.command;
            suite.env.extend(other.env);
            suite.why = other.why;
        }
    }
    Ok(suites)
}

/// The suite of `regreen run -- COMMAND`, in the directory where it was typed.
fn asked(request: &RunRequest, worktree: &Worktree, config: &Config) -> Suite {
    let here = request
        .path
        .canonicalize()
        .unwrap_or_else(|_| request.path.clone());
    let dir = here.strip_prefix(&worktree.root).unwrap_or(Path::new(""));
    let (env, command) = crate::config::assignments(&request.command);
    Suite {
        name: "command".to_owned(),
        framework: crate::config::guess_framework(&command),
        dir: dir.to_owned(),
        command,
        env,
        carry: Vec::new(),
        services: Vec::new(),
        setup: None,
        artifacts: Vec::new(),
        limits: config.limits,
        why: "given on the command line".to_owned(),
    }
}

impl Prepared {
    /// The job of one suite.
    pub fn job(&self, suite: &Suite, backend: BackendName, host: &HostEnv) -> Job {
        let run = RunId::make(crate::run::now(), entropy());
        Ground {
            host,
            project: &self.project,
            config: &self.config,
            snapshot: &self.snapshot,
            commit: self.commit.as_deref(),
            dirty: self.dirty,
            place: &self.place,
            synced: &self.synced,
            toolchains: &self.toolchains,
            mounts: &self.mounts,
            shim: &self.shim,
        }
        .job(run, suite, backend)
    }

    /// Gets the slot ready for the next suite. It blocks.
    pub fn before(&self) -> Result<(), MirrorError> {
        self.mirror().begin_run()
    }

    /// Undoes what the tests did to the copy; says what they did to copied files. It blocks.
    pub fn after(&self) -> Result<Option<Note>, MirrorError> {
        let mut mirror = self.mirror();
        let (drift, _) = mirror.mend()?;
        if drift.is_clean() {
            return Ok(None);
        }
        let paths = drift.rewritten.iter().chain(&drift.removed);
        let names: Vec<String> = paths
            .take(10)
            .map(|path| format!("`{}`", path.display()))
            .collect();
        let message = format!(
            "the tests changed files of the project in their copy, which were put back: {}",
            names.join(", ")
        );
        let note = Note::new("drift", message);
        Ok(Some(note.remedy(
            "let tests write below `target`, a temporary directory, or an ignored path",
        )))
    }

    /// A panic while it was held has been reported; the manifest on disk is what counts.
    fn mirror(&self) -> MutexGuard<'_, Mirror> {
        self.mirror.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A random number: ids carry the time too, but two may be made in one millisecond.
pub fn entropy() -> u64 {
    use std::hash::BuildHasher;
    use std::hash::Hasher;
    std::hash::RandomState::new().build_hasher().finish()
}
