//! The connection to an engine, and what the engine says of itself: which it is, and which
//! limits it can hold.

use crate::model::HostEnv;
use crate::sandbox::SandboxError;
use crate::sandbox::engine::socket;
use bollard::API_DEFAULT_VERSION;
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::SystemInfo;
use bollard::models::SystemInfoCgroupVersionEnum;
use bollard::models::SystemVersion;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

/// How long an engine may take to answer a request, in seconds.
const PATIENCE: u64 = 120;
/// How long it may take to say who it is.
const GREETING: Duration = Duration::from_secs(30);

/// Which engine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
}

impl Kind {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Docker => "docker",
            Kind::Podman => "podman",
        }
    }
}

/// What an engine can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Which it is.
    pub kind: Kind,
    /// Its version.
    pub version: String,
    /// Whether it runs as an ordinary user.
    pub rootless: bool,
    /// Whether it can limit the memory of a container.
    pub memory: bool,
    /// Whether it can limit the processes of a container.
    pub processes: bool,
    /// Whether it can limit how busy a container keeps the processors.
    pub cpu: bool,
    /// Whether it filters system calls.
    pub seccomp: bool,
}

impl Facts {
    /// `by_root` says whether who listens is root: not every version of Podman tells.
    fn of(version: &SystemVersion, info: &SystemInfo, by_root: bool) -> Self {
        let components = version.components.iter().flatten();
        let podman = components
            .map(|component| component.name.as_str())
            .any(|name| name.contains("Podman"));
        let options = info.security_options.iter().flatten();
        let has = |name: &str| {
            let wanted = format!("name={name}");
            options.clone().any(|option| option.starts_with(&wanted))
        };
        let rootless = has("rootless") || !by_root;
        // With control groups of version 1 an ordinary user has none to give: the engine says
        // that it can, and ignores what it is asked for.
        let v1 = info.cgroup_version == Some(SystemInfoCgroupVersionEnum::_1);
        let groups = !(rootless && v1);
        Facts {
            kind: if podman { Kind::Podman } else { Kind::Docker },
            version: version.version.clone().unwrap_or_default(),
            rootless,
            memory: groups && info.memory_limit.unwrap_or(false),
            processes: groups && info.pids_limit.unwrap_or(false),
            cpu: groups && info.cpu_cfs_quota.unwrap_or(false),
            seccomp: has("seccomp"),
        }
    }
}

impl Facts {
    /// Which engine it is, in words.
    pub fn describe(&self) -> String {
        let by = if self.rootless {
            "without root"
        } else {
            "as root"
        };
        format!("{} {}, {by}", self.kind.as_str(), self.version)
    }

    /// Whether commands do not get the limits that their container was made with.
    pub fn forgets_ulimits(&self) -> bool {
        self.rootless && self.kind == Kind::Podman
    }
}

/// A connection. Each request opens its own; an engine that was started again is found again.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its client.
    pub docker: Docker,
    /// What the engine can do.
    pub facts: Facts,
    /// Where it listens.
    pub socket: PathBuf,
}

/// Connects to the first engine that answers.
///
/// # Errors
/// [`SandboxError::Unavailable`], naming every place that was tried.
pub async fn connect(host: &HostEnv) -> Result<Link, SandboxError> {
    let mut tried = Vec::new();
    for candidate in socket::candidates(host) {
        let said = match candidate.socket {
            Ok(socket) => match greet(&socket).await {
                Ok(link) => return Ok(link),
                Err(why) => format!("`{}` ({}): {why}", socket.display(), candidate.origin),
            },
            Err(why) => format!("{}: {why}", candidate.origin),
        };
        tried.push(said);
    }
    Err(SandboxError::Unavailable {
        reason: format!("no container engine answers; tried {}", tried.join("; ")),
        remedy: "start one (`systemctl --user start podman.socket`, or `sudo systemctl start \
                 docker` for members of the group `docker`, who are root by that), or name its \
                 socket in `DOCKER_HOST=unix:///…`"
            .into(),
    })
}

/// One place where an engine may listen, and what was found there.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where, and who names it.
    pub place: String,
    /// The engine, or why there is none.
    pub engine: Result<Facts, String>,
}

/// Looks at every place where an engine may listen.
pub async fn survey(host: &HostEnv) -> Vec<Found> {
    let mut all = Vec::new();
    for candidate in socket::candidates(host) {
        let (place, engine) = match candidate.socket {
            Ok(socket) => {
                let engine = greet(&socket).await.map(|link| link.facts);
                (format!("`{}`", socket.display()), engine)
            }
            Err(why) => (candidate.origin, Err(why)),
        };
        all.push(Found { place, engine });
    }
    all
}

async fn greet(socket: &Path) -> Result<Link, String> {
    let by_root = reachable(socket)?;
    let path = socket.to_str().ok_or("its path is not UTF-8")?;
    let docker = Docker::connect_with_unix(path, PATIENCE, API_DEFAULT_VERSION).map_err(words)?;
    let hello = async {
        let docker = docker.negotiate_version().await?;
        let version = docker.version().await?;
        let info = docker.info().await?;
        Ok::<_, Error>((docker, Facts::of(&version, &info, by_root)))
    };
    let answer = tokio::time::timeout(GREETING, hello).await;
    let answer = answer.map_err(|_| format!("silent for {} s", GREETING.as_secs()))?;
    let (docker, facts) = answer.map_err(words)?;
    Ok(Link {
        docker,
        facts,
        socket: socket.to_owned(),
    })
}

/// Whether root listens there. The client hides why it cannot connect.
fn reachable(socket: &Path) -> Result<bool, String> {
    match std::os::unix::net::UnixStream::connect(socket) {
        Ok(stream) => {
            let peer = rustix::net::sockopt::socket_peercred(&stream);
            Ok(peer.map_or(true, |peer| peer.uid.is_root()))
        }
        Err(error) => Err(match error.kind() {
            std::io::ErrorKind::NotFound => "not there".into(),
            std::io::ErrorKind::PermissionDenied => "permission denied".into(),
            std::io::ErrorKind::ConnectionRefused => "nobody listens".into(),
            _ => error.to_string(),
        }),
    }
}

/// An engine's error as a person should read it: the innermost cause, in one line.
pub fn words(error: Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::DockerStreamError { error } => error,
        Error::RequestTimeoutError => "the engine did not answer in time".into(),
        other => {
            let mut inner: &dyn std::error::Error = &other;
            while let Some(source) = inner.source() {
                inner = source;
            }
            inner.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::SystemVersionComponents;

    fn info(options: &[&str], cgroup: SystemInfoCgroupVersionEnum) -> SystemInfo {
        SystemInfo {
            memory_limit: Some(true),
            pids_limit: Some(true),
            security_options: Some(options.iter().map(|&it| it.into()).collect()),
            cgroup_version: Some(cgroup),
            ..SystemInfo::default()
        }
    }

    #[test]
    fn a_rootless_engine_without_groups_of_its_own_holds_no_limits() {
        let podman = SystemVersion {
            components: Some(vec![SystemVersionComponents {
                name: "Podman Engine".into(),
                ..SystemVersionComponents::default()
            }]),
            ..SystemVersion::default()
        };
        let rootless = ["name=seccomp,profile=default", "name=rootless"];
        let v1 = Facts::of(
            &podman,
            &info(&rootless, SystemInfoCgroupVersionEnum::_1),
            true,
        );
        assert_eq!(v1.kind, Kind::Podman);
        assert!(v1.rootless && v1.seccomp && !v1.memory && !v1.processes);
        let v2 = Facts::of(
            &podman,
            &info(&rootless, SystemInfoCgroupVersionEnum::_2),
            true,
        );
        assert!(v2.memory && v2.processes);
        let docker = SystemVersion::default();
        let root = Facts::of(&docker, &info(&[], SystemInfoCgroupVersionEnum::_1), true);
        assert_eq!(root.kind, Kind::Docker);
        assert!(root.memory && root.processes && !root.seccomp && !root.rootless);
        let user = Facts::of(&docker, &info(&[], SystemInfoCgroupVersionEnum::_1), false);
        assert!(user.rootless && !user.memory);
    }
}
