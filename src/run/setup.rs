//! Set-ups: what tests need is installed in a sandbox of its own, with a way to the allowed hosts
//! and no other network, from a copy of the project's files and with an empty home. The tests get
//! the result read-only, and no network.

use crate::git;
use crate::model::Hosts;
use crate::model::Limits;
use crate::model::Note;
use crate::model::Setup;
use crate::run::Job;
use crate::run::command::Inside;
use crate::run::layer;
use crate::run::layer::Layer;
use crate::sandbox::Backend;
use crate::sandbox::Ended;
use crate::sandbox::Mount;
use crate::sandbox::Network;
use crate::sandbox::Place;
use crate::sandbox::Priority;
use crate::sandbox::SandboxError;
use crate::sandbox::Spec;
use crate::sandbox::egress::Contacts;
use crate::sandbox::egress::Egress;
use crate::sandbox::egress::inside;
use crate::sandbox::slot;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// So much of the end of what a failed set-up printed stands in the report.
const TAIL: usize = 4 << 10;

/// Why there is no layer.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The disk, or a file of the project.
    #[error("failed to prepare the set-up: {0}")]
    Io(#[from] io::Error),
    /// The sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The command.
    #[error("`{command}` {how}{refused}\n{tail}")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        how: String,
        /// Which hosts it asked for in vain.
        refused: String,
        /// The end of what it printed.
        tail: String,
    },
    /// It made nothing of what it should.
    #[error(
        "`{command}` ended well, but made no directory called {wanted}; name what it makes with `provides`"
    )]
    Nothing {
        /// The command.
        command: String,
        /// What it should have made.
        wanted: String,
    },
    /// The run was stopped.
    #[error("stopped during the set-up")]
    Stopped,
}

/// A layer, and a word on how it was made if it was made now.
pub type Made = (Layer, Option<Note>);

/// The layer of a job's set-up, made if it is not there.
///
/// # Errors
/// [`SetupError`] says what is in the way.
pub async fn ensure(
    job: &Job,
    setup: &Setup,
    backend: &dyn Backend,
    raw: &mut File,
    stop: &CancellationToken,
) -> Result<Made, SetupError> {
    let key = layer::key(job, setup)?;
    if let Some(layer) = Layer::find(&job.layers, &key) {
        return Ok((layer, None));
    }
    let stage = layer::stage(&job.layers, &key);
    let begun = Instant::now();
    let contacts = install(job, setup, backend, &stage, raw, stop).await;
    let contacts = match contacts {
        Ok(contacts) => contacts,
        Err(error) => {
            let _ = git::remove_all(&stage);
            return Err(error);
        }
    };
    let (layers, wanted) = (job.layers.clone(), setup.clone());
    let kept = blocking(move || Layer::keep(&layers, &key, &wanted)).await?;
    let layer = kept.ok_or_else(|| SetupError::Nothing {
        command: setup.command.join(" "),
        wanted: format!("`{}`", setup.provides.join("`, `")),
    })?;
    Ok((layer, Some(told(setup, begun.elapsed(), &contacts))))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Runs the command in its stage.
async fn install(
    job: &Job,
    setup: &Setup,
    backend: &dyn Backend,
    stage: &Path,
    raw: &mut File,
    stop: &CancellationToken,
) -> Result<Contacts, SetupError> {
    let (tree, to) = (job.place.tree.clone(), stage.to_owned());
    let inputs = setup.inputs.clone();
    blocking(move || lay_out(&tree, &to, &inputs)).await?;
    let egress = Egress::open(stage, Hosts::new(setup.hosts.iter().cloned()))?;
    let _ = writeln!(raw, "regreen: set-up: {}", setup.command.join(" "));
    let mut running = backend
        .start(spec(job, setup, stage, egress.socket()))
        .await?;
    let mut tail = Vec::new();
    let mut asked = false;
    let ended = loop {
        tokio::select! {
            Some(chunk) = running.output.recv() => {
                let _ = raw.write_all(&chunk.bytes);
                tail.extend_from_slice(&chunk.bytes);
                if tail.len() > 4 * TAIL {
                    tail.drain(..tail.len() - TAIL);
                }
            }
            ended = &mut running.exit => break ended,
            () = stop.cancelled(), if !asked => {
                asked = true;
                running.stop.cancel();
            }
        }
    };
    while let Some(chunk) = running.output.recv().await {
        let _ = raw.write_all(&chunk.bytes);
        tail.extend_from_slice(&chunk.bytes);
    }
    if asked {
        return Err(SetupError::Stopped);
    }
    let contacts = egress.contacts();
    match ended {
        Ok(ended) if ended.exit.success() && ended.limit.is_none() => Ok(contacts),
        ended => Err(failed(setup, ended.ok().as_ref(), &contacts, &tail)),
    }
}

/// The project's files without what git ignores, an empty home and an empty `/tmp`.
fn lay_out(tree: &Path, stage: &Path, inputs: &[PathBuf]) -> io::Result<()> {
    git::remove_all(stage)?;
    for part in ["tree", "home", "tmp"] {
        std::fs::create_dir_all(stage.join(part))?;
    }
    let copy = stage.join("tree");
    let walk = ignore::WalkBuilder::new(tree)
        .standard_filters(false)
        .git_ignore(true)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    for entry in walk {
        let entry = entry.map_err(io::Error::other)?;
        let Ok(rel) = entry.path().strip_prefix(tree) else {
            continue;
        };
        let to = copy.join(rel);
        match entry.file_type() {
            Some(kind) if kind.is_dir() => std::fs::create_dir_all(to)?,
            Some(_) => slot::copy_all(entry.path(), &to)?,
            None => {}
        }
    }
    // A lock file that is ignored is an input all the same.
    let ignored = inputs.iter().filter(|input| !copy.join(input).exists());
    for input in ignored.filter(|input| tree.join(input).is_file()) {
        slot::copy_all(&tree.join(input), &copy.join(input))?;
    }
    Ok(())
}

fn spec(job: &Job, setup: &Setup, stage: &Path, socket: &Path) -> Spec {
    let inside = Inside::usual(&job.place.root);
    let shown = |source: &Path, target: &Path| Mount {
        source: source.to_owned(),
        target: target.to_owned(),
        writable: false,
        optional: false,
    };
    // The toolchains, but nothing of a slot's, and nothing that the user has installed himself.
    let toolchains = job
        .mounts
        .iter()
        .filter(|mount| !mount.writable && !mount.target.starts_with(&job.place.root))
        .cloned();
    let own = [
        shown(&job.shim, &inside.shim),
        shown(socket, Path::new(inside::SOCKET)),
    ];
    let shim = inside.shim.to_string_lossy().into_owned();
    let head = [shim, "__egress".to_owned(), inside::SOCKET.to_owned()];
    let mut env = job.env.clone();
    env.push(("CI".to_owned(), "1".to_owned()));
    env.extend(job.facts.passed.iter().cloned());
    env.extend(setup.env.iter().cloned());
    Spec {
        argv: head
            .into_iter()
            .chain(setup.command.iter().cloned())
            .collect(),
        env,
        cwd: job.place.root.join(&setup.dir),
        place: Place {
            root: job.place.root.clone(),
            tree: stage.join("tree"),
            home: stage.join("home"),
            tmp: stage.join("tmp"),
        },
        mounts: toolchains.chain(own).collect(),
        stdin: None,
        limits: Limits {
            wall_ms: setup.timeout_ms,
            // Downloads print nothing for long.
            silence_ms: setup.timeout_ms,
            ..job.suite.limits
        },
        network: Network::None,
        image: job.image.clone(),
        priority: Priority::Normal,
    }
}

fn failed(setup: &Setup, ended: Option<&Ended>, contacts: &Contacts, tail: &[u8]) -> SetupError {
    let how = match ended {
        Some(Ended {
            not_started: Some(why),
            ..
        }) => format!("was not started: {why}"),
        Some(Ended {
            limit: Some(limit), ..
        }) => format!("was ended by the limit `{limit}`"),
        Some(ended) => match (ended.exit.code, ended.exit.signal) {
            (Some(code), _) => format!("exited with status {code}"),
            (None, signal) => format!("was ended by signal {}", signal.unwrap_or(0)),
        },
        None => "was ended".to_owned(),
    };
    let refused: Vec<&str> = contacts
        .iter()
        .filter(|(_, contact)| contact.refused > 0)
        .map(|(host, _)| host.as_str())
        .collect();
    let refused = match refused.is_empty() {
        true => String::new(),
        false => format!("; it asked in vain for `{}`", refused.join("`, `")),
    };
    let from = tail.len().saturating_sub(TAIL);
    let tail = regreen_parsers::clean(&String::from_utf8_lossy(&tail[from..]));
    SetupError::Failed {
        command: setup.command.join(" "),
        how,
        refused,
        tail: tail.trim().to_owned(),
    }
}

/// What a set-up did, for the report.
fn told(setup: &Setup, took: Duration, contacts: &Contacts) -> Note {
    let hosts: Vec<String> = contacts
        .iter()
        .filter(|(_, contact)| contact.connections > 0)
        .map(|(host, contact)| format!("{host} ({} KiB)", contact.received >> 10))
        .collect();
    let with = match hosts.is_empty() {
        true => "nobody was asked for anything".to_owned(),
        false => format!("from {}", hosts.join(", ")),
    };
    let command = setup.command.join(" ");
    let message = format!(
        "set up by `{command}` in {:.1} s, {with}",
        took.as_secs_f64()
    );
    Note::new("set_up", message)
}
