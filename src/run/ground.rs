//! What a suite runs on: everything about a project that a job needs besides the suite itself.

use crate::config::BackendName;
use crate::config::Config;
use crate::config::NetworkAccess;
use crate::git::Confined;
use crate::model::EnvironmentHash;
use crate::model::Framework;
use crate::model::HostEnv;
use crate::model::Note;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::SnapshotId;
use crate::model::Suite;
use crate::run::Job;
use crate::run::command::Facts;
use crate::run::history;
use crate::run::reuse;
use crate::run::runners;
use crate::run::select;
use crate::run::select::Early;
use crate::run::select::Previous;
use crate::sandbox::Mount;
use crate::sandbox::Network;
use crate::sandbox::Place;
use crate::sandbox::Priority;
use crate::sandbox::mirror::LeftOut;
use crate::sandbox::mirror::Synced;
use crate::sandbox::toolchain::Toolchains;
use crate::suite;
use crate::suite::CrateGraph;
use crate::suite::Listing;
use std::path::Path;
use std::path::PathBuf;

/// Manifests and configurations of cargo above this size are not read.
const MAX_CONFIG: u64 = 1 << 20;
/// The code of the note on a command whose tests cannot be seen.
pub const EXIT_STATUS_ONLY: &str = "exit_status_only";

/// What a suite runs on.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// The machine.
    pub host: &'a HostEnv,
    /// The project.
    pub project: &'a ProjectId,
    /// Its configuration.
    pub config: &'a Config,
    /// What lies in the slot.
    pub snapshot: &'a SnapshotId,
    /// The commit that it belongs to.
    pub commit: Option<&'a str>,
    /// Whether it differs from that commit's tree.
    pub dirty: bool,
    /// Where the command finds it.
    pub place: &'a Place,
    /// How it came there.
    pub synced: &'a Synced,
    /// The toolchains.
    pub toolchains: &'a Toolchains,
    /// Their mounts, prepared for the place.
    pub mounts: &'a [Mount],
    /// The regreen binary, for the shim.
    pub shim: &'a Path,
}

impl Ground<'_> {
    /// The job of one suite.
    pub fn job(&self, run: RunId, suite: &Suite, backend: BackendName) -> Job {
        let host = self.host;
        let state = host.state_dir();
        let previous = history::previous(&state, self.project, &suite.name);
        let network = self.network(backend);
        let (env, mounts) = match backend {
            // An image has its own programs, and its own `PATH` to them.
            BackendName::Engine if self.config.image.is_some() => {
                (self.toolchains.env_of_an_image(), &[][..])
            }
            BackendName::Bwrap | BackendName::Engine => (self.toolchains.env.clone(), self.mounts),
            // What the user's own shell would have; the toolchains lie where they lie.
            BackendName::None => (own_environment(host), &[][..]),
        };
        let mounts = mounts.iter().cloned();
        Job {
            run_dir: history::runs_dir(&state).join(run.as_str()),
            project: self.project.clone(),
            run,
            suite: suite.clone(),
            snapshot: self.snapshot.clone(),
            commit: self.commit.map(str::to_owned),
            dirty: self.dirty,
            place: self.place.clone(),
            env,
            mounts: mounts
                .chain(self.synced.carried.iter().cloned())
                .chain(self.configured())
                .collect(),
            facts: self.facts(suite, network, host),
            network,
            image: self.image(backend),
            stands_back: false,
            priority: Priority::Low,
            early: self.early(suite, previous.as_ref()),
            failed_before: previous.map(|previous| previous.failed),
            shim: self.shim.to_owned(),
            layers: self.place.home.with_file_name("layers"),
            user_home: host.home.clone(),
            notes: self
                .notes(backend)
                .into_iter()
                .chain(by_exit_status(suite))
                .collect(),
            notes_if_red: self
                .left_out()
                .into_iter()
                .chain(not_allowed(suite))
                .collect(),
        }
    }

    /// What else than the snapshot a verdict on the suite depends on; `None` when that cannot be
    /// determined. Reads the stat of every entry of what is carried in: not for a save's way.
    pub fn environment(&self, suite: &Suite, backend: BackendName) -> Option<EnvironmentHash> {
        // Only the project's own toolchain was looked at; this one may change behind its name, and so
        // may an image.
        let toolchain = suite.env.iter().any(|(name, _)| name == suite::RUSTUP);
        if toolchain || self.image(backend).is_some() {
            return None;
        }
        let network = self.network(backend);
        let carried: Vec<Mount> = self
            .synced
            .carried
            .iter()
            .cloned()
            .chain(self.configured())
            .collect();
        let mut packages = match suite.framework.may_use_python() {
            true => self.toolchains.packages(&self.place.root),
            false => Vec::new(),
        };
        if suite.framework.may_use_ruby() {
            packages.extend(self.toolchains.gems());
        }
        reuse::environment_hash(reuse::Surroundings {
            suite,
            programs: &self.toolchains.programs,
            env: &self.toolchains.env,
            carried: &carried,
            packages: &packages,
            facts: &self.facts(suite, network, self.host),
            network,
            backend: backend.as_str(),
        })
    }

    fn image(&self, backend: BackendName) -> Option<String> {
        let image = self.config.image.clone();
        image.filter(|_| backend == BackendName::Engine)
    }

    fn network(&self, backend: BackendName) -> Network {
        match (backend, self.config.network) {
            (BackendName::None, _) | (_, NetworkAccess::Host) => Network::Host,
            (BackendName::Bwrap | BackendName::Engine, NetworkAccess::None) => Network::None,
        }
    }

    fn configured(&self) -> impl Iterator<Item = Mount> {
        self.config.mounts.iter().map(|entry| Mount {
            source: entry.source.clone(),
            target: entry.target.clone().unwrap_or_else(|| entry.source.clone()),
            writable: entry.writable,
            optional: false,
        })
    }

    /// What to look at before the whole suite.
    fn early(&self, suite: &Suite, previous: Option<&Previous>) -> Early {
        let crates = previous
            .filter(|previous| suite.framework == Framework::Cargo && select::is_long(previous))
            .filter(|_| !self.synced.first)
            .and_then(|_| Listing::read(&self.place.tree).ok())
            .map(|listing| CrateGraph::read(&listing));
        let Some(crates) = crates else {
            return select::early(suite, previous, None, 0);
        };
        let synced = self.synced.changed.iter().chain(&self.synced.removed);
        let changed: Vec<PathBuf> = synced
            .filter(|path| path.starts_with(&suite.dir))
            .cloned()
            .collect();
        let affected = crates.affected(&suite.dir, &changed);
        let all = crates.members(&suite.dir).len();
        select::early(suite, previous, affected.as_ref(), all)
    }

    fn facts(&self, suite: &Suite, network: Network, host: &HostEnv) -> Facts {
        let passed = self.config.pass_env.iter().filter_map(|name| {
            let value = host.var(name)?;
            Some((name.clone(), value.to_owned()))
        });
        let cargo_home = host
            .var("CARGO_HOME")
            .map_or_else(|| host.home.join(".cargo"), PathBuf::from);
        let user = std::fs::read_to_string(cargo_home.join("config.toml")).ok();
        let tree = Confined::open(&self.place.tree).ok();
        let read = |path: &Path| {
            let bytes = tree.as_ref()?.read(path, MAX_CONFIG).ok()?;
            String::from_utf8(bytes).ok()
        };
        Facts {
            passed: passed.collect(),
            offline: network == Network::None,
            runners: runners::read(&suite.dir, read, user.as_deref()),
        }
    }

    /// What every report of this run says.
    fn notes(&self, backend: BackendName) -> Vec<Note> {
        let mut notes = self.toolchains.notes.clone();
        notes.extend(self.config.notes.iter().cloned());
        if backend == BackendName::None {
            let message = "there was no sandbox: the tests could do whatever the user can";
            notes.push(Note::new("no_sandbox", message));
        }
        let left_out = self.config.left_out.iter().map(|setting| {
            let line = setting
                .line
                .map_or(String::new(), |line| format!(", line {line}"));
            let message = format!(
                "regreen.toml{line}: `{}` was left out: {}",
                setting.key, setting.reason
            );
            Note::new("untrusted_config", message).remedy(
                "read the file, then run `regreen trust`, or set it in your own config.toml",
            )
        });
        notes.extend(left_out);
        notes.extend(self.unreadable());
        notes
    }

    /// Which files the tests did not get; said where that may be the reason of a failure.
    fn left_out(&self) -> Vec<Note> {
        let by_rule = self.synced.left_out.iter().filter(|it| !it.is_unreadable());
        let note = not_copied("left_out", by_rule);
        note.map(|note| {
            note.remedy("name what the tests need in `include` of the user's config.toml")
        })
        .into_iter()
        .collect()
    }

    /// Which files nobody could read: a verdict without them is not about all that is there,
    /// and has to say so.
    fn unreadable(&self) -> Option<Note> {
        let unreadable = self.synced.left_out.iter().filter(|it| it.is_unreadable());
        let note = not_copied("unreadable", unreadable);
        note.map(|note| note.remedy("let the user who runs regreen read it, or have git ignore it"))
    }
}

fn not_copied<'a>(code: &str, files: impl Iterator<Item = &'a LeftOut>) -> Option<Note> {
    const SHOWN: usize = 10;
    let all: Vec<String> = files
        .map(|it| format!("`{}` ({})", it.path.display(), it.reason))
        .collect();
    let shown = all.get(..SHOWN).unwrap_or(&all).join(", ");
    let more = match all.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("not copied into the sandbox: {shown}{more}");
    (!all.is_empty()).then(|| Note::new(code, message))
}

/// The user's environment without what tells tools that an agent looks on.
fn own_environment(host: &HostEnv) -> Vec<(String, String)> {
    const AGENTS: [&str; 8] = [
        "AI_AGENT",
        "AGENT",
        "CLAUDECODE",
        "CLAUDE_CODE",
        "CODEX_SANDBOX",
        "CURSOR_AGENT",
        "GEMINI_CLI",
        "OPENCODE",
    ];
    let vars = host
        .vars
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned())));
    vars.filter(|(name, _)| !AGENTS.contains(&name.as_str()) && !name.starts_with("REGREEN_"))
        .collect()
}

/// A set-up that nobody allowed may be what is missing.
fn not_allowed(suite: &Suite) -> Option<Note> {
    let setup = suite.setup.as_ref().filter(|setup| !setup.allowed)?;
    let message = format!("`{}` was not run before the tests", setup.command.join(" "));
    Some(Note::new("setup_not_allowed", message).remedy(
        "install what the tests need, or allow set-ups with `setup.allow = true` in your own config.toml",
    ))
}

/// Tests that something else starts: how many there were and which failed nobody can tell.
fn by_exit_status(suite: &Suite) -> Option<Note> {
    if suite.framework != Framework::Generic {
        return None;
    }
    let unseen = crate::config::unseen_tests(&suite.command)?;
    let message = format!("judged by exit status only: {}", unseen.why);
    Some(Note::new(EXIT_STATUS_ONLY, message).remedy(unseen.remedy))
}
