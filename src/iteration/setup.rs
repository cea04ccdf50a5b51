//! Setting a loop up: from what the user asked for to a record with everything frozen, and
//! from a record back to what its sandboxes are made of. It blocks.

use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Flag;
use crate::config::NetworkAccess;
use crate::git::GitError;
use crate::git::Head;
use crate::git::Objects;
use crate::git::Worktree;
use crate::git::refuse_root;
use crate::iteration::driver::oid;
use crate::iteration::error::LoopError;
use crate::iteration::machine::LoopState;
use crate::iteration::record::AgentSpec;
use crate::iteration::record::LoopRecord;
use crate::iteration::record::Start;
use crate::model::EXIT_ERROR;
use crate::model::EXIT_USAGE;
use crate::model::FixRequest;
use crate::model::HostEnv;
use crate::model::Landing;
use crate::model::LoopId;
use crate::model::StopReason;
use crate::run::backend;
use crate::run::entropy;
use crate::run::now;
use crate::sandbox::mirror::MirrorRules;
use crate::sandbox::toolchain;
use crate::suite;
use crate::suite::Listing;
use crate::workspace::Grounds;
use crate::workspace::LeaseRecord;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The project's configuration is read up to this size.
const CONFIG: usize = 1 << 20;

/// Why a loop could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Not a worktree, or one that cannot be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directory must not be tested.
    #[error("`{}` is not tested: {reason}", path.display())]
    Refused {
        /// The worktree.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// There is nothing to start from.
    #[error("{0}")]
    Start(String),
    /// There is no such agent.
    #[error(
        "there is no agent `{name}`: there is {known}; name others with `[agent.NAME]` in your \
         own config.toml, or give a command with `--agent-command`"
    )]
    Agent {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Regreen's own program cannot be found, which the shim needs.
    #[error("failed to find regreen's own program")]
    Program(#[source] io::Error),
    /// A record names an odd object.
    #[error(transparent)]
    Loop(#[from] LoopError),
}

impl SetupError {
    /// The exit code of the command line.
    pub fn exit_code(&self) -> u8 {
        match self {
            SetupError::Program(_) | SetupError::Loop(_) => EXIT_ERROR,
            SetupError::Git(error) if error.is_the_disks() => StopReason::InfraError.exit_code(),
            _ => EXIT_USAGE,
        }
    }
}

/// A new loop: its record, and what its sandboxes are made of.
///
/// # Errors
/// When what was asked for cannot be done; each says what, where, and what to do.
pub fn begin(
    request: &FixRequest,
    host: &HostEnv,
    flags: &[Flag],
) -> Result<(LoopRecord, Grounds), SetupError> {
    if let Some(line) = &request.agent_command
        && line.trim().is_empty()
    {
        return Err(SetupError::Start(
            "`--agent-command` is empty: give it the command that is the agent, or leave it out"
                .to_owned(),
        ));
    }
    let worktree = Worktree::discover(&request.path)?;
    if let Some(reason) = refuse_root(&worktree.root, &host.home) {
        return Err(SetupError::Refused {
            path: worktree.root,
            reason,
        });
    }
    let head = worktree.head()?;
    let (branch, tip) = start_of(request, &worktree, &head)?;
    let checked_out = branch.is_none() || branch == head.branch;
    if request.apply {
        may_be_applied(&worktree, branch.as_deref())?;
    }
    if request.dirty && !checked_out {
        let name = branch.unwrap_or_default();
        return Err(SetupError::Start(format!(
            "`--dirty` starts from the work tree, which has another branch than `{name}` \
             checked out"
        )));
    }
    let config = if request.dirty {
        Config::load(host, Some(&worktree.root), flags)?
    } else {
        config_at(host, &worktree, &tip, flags)?
    };
    let record = record(request, &worktree, &config, (branch, tip, checked_out))?;
    let grounds = grounds(host, worktree, config)?;
    Ok((record, grounds))
}

fn record(
    request: &FixRequest,
    worktree: &Worktree,
    config: &Config,
    (branch, tip, checked_out): (Option<String>, String, bool),
) -> Result<LoopRecord, SetupError> {
    let agents = agents(request, config)?;
    let created = now();
    let id = LoopId::make(created, entropy());
    let mut budget = config.budget();
    budget.iterations = request.max_iterations.unwrap_or(budget.iterations);
    budget.wall_ms = request.timeout_ms.unwrap_or(budget.wall_ms);
    budget.turn_ms = request.turn_timeout_ms.unwrap_or(budget.turn_ms);
    budget.tokens = request.tokens.or(budget.tokens);
    budget.micro_usd = request.micro_usd.or(budget.micro_usd);
    for (nothing, flag, key) in [
        (budget.iterations == 0, "--max-iterations", "max_iterations"),
        (budget.wall_ms == 0, "--timeout", "timeout"),
        (budget.turn_ms == 0, "--turn-timeout", "turn_timeout"),
    ] {
        if nothing {
            return Err(SetupError::Start(format!(
                "`{flag}` (`{key}` in the configuration's `[fix]`) is 0, and no agent could work: \
                 give it more, or leave it out"
            )));
        }
    }
    let tiers = u32::try_from(agents.len()).unwrap_or(u32::MAX);
    let gates = config.fix.gates.iter().map(|line| line.0.clone());
    Ok(LoopRecord {
        state: LoopState::new(id, budget, tiers, created),
        project: worktree.id(),
        root: worktree.root.clone(),
        branch,
        tip,
        checked_out,
        start: match request.dirty {
            true => Start::Dirty,
            false => Start::Tip,
        },
        agents,
        suites: Vec::new(),
        gates: gates.collect(),
        protect: config.fix.protected.clone(),
        backend: config.backend.as_str().to_owned(),
        apply: request.apply,
        lease: LeaseRecord::default(),
        iterations: Vec::new(),
        notes: Vec::new(),
        created,
        landing: Landing::None,
        decided: None,
        applied: None,
        plan: None,
    })
}

/// What the sandboxes of a loop on record are made of.
///
/// # Errors
/// When the worktree or its base is gone, or the configuration is wrong.
pub fn again(record: &LoopRecord, host: &HostEnv) -> Result<Grounds, SetupError> {
    let worktree = Worktree::discover(&record.root)?;
    let base = record.state.base.as_ref().or(record.state.tip.as_ref());
    let commit = base.map_or(&record.tip, |mark| &mark.commit);
    let flags = [Flag {
        name: "--backend",
        key: "backend",
        value: record.backend.clone(),
    }];
    let config = config_at(host, &worktree, commit, &flags)?;
    grounds(host, worktree, config)
}

fn grounds(host: &HostEnv, worktree: Worktree, config: Config) -> Result<Grounds, SetupError> {
    let shim = std::env::current_exe().map_err(SetupError::Program)?;
    // What cannot be listed carries nothing; the suites themselves are found in the base.
    let carry = Listing::read(&worktree.root)
        .ok()
        .and_then(|listing| suite::suites(&listing, &config).ok())
        .unwrap_or_default();
    let rules = MirrorRules {
        include: config.include.clone(),
        carry: carry.into_iter().flat_map(|suite| suite.carry).collect(),
        // A commit has to be whole.
        large_bytes: u64::MAX,
        ..MirrorRules::default()
    };
    Ok(Grounds {
        backend: Arc::from(backend(config.backend, host)),
        backend_name: config.backend,
        toolchains: toolchain::discover(host, &worktree.root),
        host: host.clone(),
        worktree,
        config,
        shim,
        rules,
    })
}

/// The branch to start from and its tip.
fn start_of(
    request: &FixRequest,
    worktree: &Worktree,
    head: &Head,
) -> Result<(Option<String>, String), SetupError> {
    let Some(branch) = &request.branch else {
        let Some(commit) = &head.commit else {
            return Err(SetupError::Start(
                "the branch has no commit yet: commit something first".to_owned(),
            ));
        };
        return Ok((head.branch.clone(), commit.clone()));
    };
    let name = branch.strip_prefix("refs/heads/").unwrap_or(branch);
    match worktree.branch_tip(name)? {
        Some(tip) => Ok((Some(name.to_owned()), tip.to_string())),
        None => Err(no_branch(worktree, name)),
    }
}

/// What is said of a name that is no branch.
fn no_branch(worktree: &Worktree, name: &str) -> SetupError {
    if worktree.resolve(name).is_ok() {
        return SetupError::Start(format!(
            "`{name}` is a revision of `{}` and no branch of it: a loop starts at a branch's tip. \
             Make one there with `git branch NAME {name}` and run `regreen fix NAME`, or leave \
             `{name}` out to start from what is checked out",
            worktree.root.display()
        ));
    }
    let branches = worktree.refs("refs/heads/").unwrap_or_default();
    let known: Vec<String> = branches
        .iter()
        .filter_map(|(full, _)| full.strip_prefix("refs/heads/"))
        .filter(|name| !name.starts_with("regreen/"))
        .take(10)
        .map(|name| format!("`{name}`"))
        .collect();
    let there = match known.as_slice() {
        [] => "it has none yet: commit something first".to_owned(),
        known => format!(
            "there is {}; name one of them, or none to start from what is checked out",
            known.join(", ")
        ),
    };
    SetupError::Start(format!(
        "there is no branch `{name}` in `{}`: {there}",
        worktree.root.display()
    ))
}

/// What would stand against `--apply` at the end is said before anything is spent.
fn may_be_applied(worktree: &Worktree, branch: Option<&str>) -> Result<(), SetupError> {
    let Some(branch) = branch else {
        return Err(SetupError::Start(format!(
            "`--apply` moves the branch that the loop started from, and HEAD of `{}` is \
             detached: check a branch out or name one, or leave `--apply` out",
            worktree.root.display()
        )));
    };
    match worktree.other_checkout(branch)? {
        None => Ok(()),
        Some(elsewhere) => Err(SetupError::Start(format!(
            "`--apply` cannot move `{branch}` from `{}`, because it is checked out in `{}`: run \
             `regreen fix --apply` there, or leave `--apply` out here",
            worktree.root.display(),
            elsewhere.display()
        ))),
    }
}

/// The configuration that a commit has.
fn config_at(
    host: &HostEnv,
    worktree: &Worktree,
    commit: &str,
    flags: &[Flag],
) -> Result<Config, SetupError> {
    let objects = Objects::open(&host.state_dir(), worktree)?;
    let tree = objects.commit_info(oid(commit)?)?.tree;
    let bytes = objects.read_file(tree, b"regreen.toml", CONFIG)?;
    let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let file = worktree.root.join("regreen.toml");
    let project = text.as_deref().map(|text| (file.as_path(), text));
    Ok(Config::from_text(host, project, flags)?)
}

fn agents(request: &FixRequest, config: &Config) -> Result<Vec<AgentSpec>, SetupError> {
    let mut specs = Vec::new();
    if let Some(line) = &request.agent_command {
        specs.push(AgentSpec {
            name: "command".to_owned(),
            argv: Some(vec!["sh".to_owned(), "-c".to_owned(), line.clone()]),
            network: false,
        });
    }
    for name in &request.agents {
        specs.push(named(name, config)?);
    }
    if specs.is_empty() {
        specs.push(named(&config.fix.agent, config)?);
    }
    Ok(specs)
}

fn named(name: &str, config: &Config) -> Result<AgentSpec, SetupError> {
    if let Some(agent) = config.agents.get(name) {
        return Ok(AgentSpec {
            name: name.to_owned(),
            argv: Some(agent.command.0.clone()),
            network: agent.network == NetworkAccess::Host,
        });
    }
    if name == "fixer" {
        return Ok(AgentSpec {
            name: name.to_owned(),
            argv: None,
            network: false,
        });
    }
    let mut known: Vec<String> = config
        .agents
        .keys()
        .map(|name| format!("`{name}`"))
        .collect();
    known.push("`fixer`".to_owned());
    Err(SetupError::Agent {
        name: name.to_owned(),
        known: known.join(", "),
    })
}
