//! No sandbox, only on the user's explicit word: the command runs as the user, on the slot's
//! copy, and can touch everything that the user can. The report says so.

use crate::model::Enforcement;
use crate::model::Exit;
use crate::model::HostEnv;
use crate::model::Isolation;
use crate::process::Command;
use crate::process::Ending;
use crate::process::Input;
use crate::process::LimitHit;
use crate::process::Rlimits;
use crate::process::Spawner;
use crate::process::Status;
use crate::process::Tree;
use crate::process::supervise;
use crate::sandbox::Backend;
use crate::sandbox::BoxFuture;
use crate::sandbox::Ended;
use crate::sandbox::Priority;
use crate::sandbox::Running;
use crate::sandbox::SandboxError;
use crate::sandbox::Spec;
use crate::sandbox::bwrap::lost;
use crate::sandbox::bwrap::supervision;
use crate::sandbox::marker::Marker;
use crate::sandbox::marker::token;
use crate::sandbox::used;
use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// The variable by which what a command left behind is found again.
const TOKEN: &str = "REGREEN_RUN_TOKEN";

/// Running without a sandbox.
#[derive(Debug)]
pub struct NoSandbox {
    markers: PathBuf,
}

impl NoSandbox {
    /// The backend that isolates nothing.
    pub fn new(host: &HostEnv) -> Self {
        NoSandbox {
            markers: host.state_dir().join("sandboxes"),
        }
    }

    async fn start(&self, spec: Spec) -> Result<Running, SandboxError> {
        let paths = Paths::of(&spec);
        let env: Vec<(String, String)> = spec
            .env
            .iter()
            .map(|(name, value)| (name.clone(), paths.outside(value)))
            .collect();
        let argv: Vec<String> = spec.argv.iter().map(|arg| paths.outside(arg)).collect();
        let (program, args) = argv
            .split_first()
            .ok_or_else(|| SandboxError::Start(std::io::Error::other("the command is empty")))?;
        let token = format!("{TOKEN}={}", token());
        let (name, value) = token.split_once('=').unwrap_or((TOKEN, ""));
        let command = Command {
            args: args.iter().map(Into::into).collect(),
            env: env
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            cwd: paths.outside(&spec.cwd.to_string_lossy()).into(),
            input: spec.stdin.clone().map_or(Input::Null, Input::Bytes),
            rlimits: Rlimits::default(),
            background: spec.priority == Priority::Low,
            ..Command::new(search(program, &env)?)
        }
        .env(name, value);
        let marker = Marker::leave(&self.markers, &token, None).ok();
        let child = Spawner::global().spawn(command).await;
        let child = child.map_err(SandboxError::Start)?;
        let stop = CancellationToken::new();
        let tree = Tree::new(child.pid()).with_token(OsStr::new(&token));
        let whole = tree.clone();
        let terms = supervision(&spec.limits, stop.clone());
        let supervised = supervise(child, tree, terms).map_err(SandboxError::Start)?;
        let (mut answer, exit) = oneshot::channel();
        let ended = supervised.exit;
        tokio::spawn(async move {
            let _marker = marker;
            let ended = tokio::select! {
                ended = ended => ended,
                // Dropping `ended` kills the tree.
                () = answer.closed() => return,
            };
            let _ = answer.send(match ended {
                Ok(Ok(ending)) => conclude(&ending),
                _ => lost(),
            });
        });
        Ok(Running {
            output: supervised.output,
            stop,
            heartbeat: supervised.heartbeat,
            tree: whole,
            exit,
        })
    }
}

impl Backend for NoSandbox {
    fn name(&self) -> &'static str {
        "none"
    }

    fn isolation(&self, _spec: &Spec) -> Isolation {
        let nothing = ["filesystem", "network", "syscalls", "memory", "processes"]
            .into_iter()
            .chain(["cpu", "file_size", "shm", "disk"])
            .map(|name| (name.to_owned(), Enforcement::None));
        Isolation {
            backend: self.name().into(),
            limits: nothing.collect(),
        }
    }

    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Running, SandboxError>> {
        Box::pin(NoSandbox::start(self, spec))
    }
}

fn conclude(ending: &Ending) -> Ended {
    let mut exit = match ending.status {
        Status::Exited(code) => Exit::code(code),
        Status::Signaled(signal) => Exit {
            signal: Some(signal),
            ..Exit::default()
        },
    };
    exit.timed_out = ending.limit.is_some_and(LimitHit::is_time);
    Ended {
        exit,
        limit: ending.limit.map(|limit| limit.as_str().to_owned()),
        stopped: ending.stopped,
        not_started: None,
        used: ending.usage.map(used::of_tree),
        said: None,
    }
}

/// Where the paths of a sandbox lie when there is none.
struct Paths(Vec<(String, String)>);

impl Paths {
    fn of(spec: &Spec) -> Self {
        let place = (spec.place.root.as_path(), spec.place.tree.as_path());
        let mounts = spec.mounts.iter();
        let moved = mounts
            .map(|mount| (mount.target.as_path(), mount.source.as_path()))
            // What is carried in stays where it is, also below the project's own path.
            .chain([place])
            .map(|(inside, outside)| (text(inside), text(outside)));
        let mut paths: Vec<_> = moved.collect();
        // The longest first: a mount in the project wins over the project.
        paths.sort_by_key(|(inside, _)| std::cmp::Reverse(inside.len()));
        Paths(paths)
    }

    /// Rewrites every path of the sandbox in an argument or in the value of a variable.
    fn outside(&self, value: &str) -> String {
        let mut result = String::with_capacity(value.len());
        let mut rest = value;
        while let Some(first) = rest.chars().next() {
            let begins = result.chars().next_back().is_none_or(separates);
            let hit = self.0.iter().find(|(inside, _)| {
                begins
                    && rest.strip_prefix(inside.as_str()).is_some_and(|after| {
                        after
                            .chars()
                            .next()
                            .is_none_or(|next| next == '/' || separates(next))
                    })
            });
            match hit {
                Some((inside, outside)) => {
                    result.push_str(outside);
                    rest = &rest[inside.len()..];
                }
                None => {
                    result.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        result
    }
}

/// Whether a path may begin after, or end before, this character.
fn separates(character: char) -> bool {
    matches!(character, ':' | '=' | ',' | ';' | ' ' | '"' | '\'' | '\n')
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The program's absolute path, by the command's own `PATH`.
fn search(program: &str, env: &[(String, String)]) -> Result<PathBuf, SandboxError> {
    if program.starts_with('/') {
        return Ok(program.into());
    }
    let path = env.iter().rev().find(|(name, _)| name == "PATH");
    let path = path.map_or("", |(_, value)| value.as_str());
    std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| SandboxError::NoProgram {
            program: program.to_owned(),
            path: path.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_sandbox_are_rewritten_at_their_borders() {
        let paths = Paths(vec![
            ("/run/regreen/inject".into(), "/cache/inject".into()),
            ("/home/ada/app".into(), "/slot/tree".into()),
        ]);
        for (inside, outside) in [
            ("/home/ada/app", "/slot/tree"),
            ("--out=/home/ada/app/x", "--out=/slot/tree/x"),
            (
                "/run/regreen/inject:/home/ada/app",
                "/cache/inject:/slot/tree",
            ),
            ("/home/ada/apple", "/home/ada/apple"),
            ("/mnt/home/ada/app", "/mnt/home/ada/app"),
        ] {
            assert_eq!(paths.outside(inside), outside);
        }
    }
}
