//! Where the engine's socket lies: found as the clients of Docker and of Podman find it. Reads
//! files and variables only.

use crate::model::HostEnv;
use serde::Deserialize;
use std::path::Path;
use std::path::PathBuf;

/// The context of Docker's client that means "no context".
const DEFAULT_CONTEXT: &str = "default";

/// A place where an engine may listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The socket, or why this place cannot be used.
    pub socket: Result<PathBuf, String>,
    /// Who names it, in words for the user.
    pub origin: String,
}

/// Every place to try, in order. What the user named (a variable, a context) stands alone: who
/// names an engine does not want another one.
pub fn candidates(host: &HostEnv) -> Vec<Candidate> {
    for name in ["DOCKER_HOST", "CONTAINER_HOST"] {
        if let Some(address) = host.var(name).filter(|address| !address.is_empty()) {
            return vec![named(address, format!("${name}"))];
        }
    }
    if let Some(candidate) = context(host) {
        return vec![candidate];
    }
    usual(host)
}

/// The sockets that are there without anybody naming them.
fn usual(host: &HostEnv) -> Vec<Candidate> {
    let runtime = |name: &str| host.xdg_runtime.as_ref().map(|dir| dir.join(name));
    let places = [
        (Some("/var/run/docker.sock".into()), "Docker"),
        (runtime("docker.sock"), "Docker without root"),
        (runtime("podman/podman.sock"), "Podman without root"),
        (Some("/run/podman/podman.sock".into()), "Podman"),
    ];
    let known = places
        .into_iter()
        .filter_map(|(socket, origin)| Some((socket?, origin)));
    known
        .map(|(socket, origin)| Candidate {
            socket: Ok(socket),
            origin: origin.into(),
        })
        .collect()
}

fn named(address: &str, origin: String) -> Candidate {
    let socket = match address.split_once("://") {
        Some(("unix", path)) if Path::new(path).is_absolute() => Ok(PathBuf::from(path)),
        None if Path::new(address).is_absolute() => Ok(PathBuf::from(address)),
        _ => Err(format!(
            "`{address}` is no unix socket, and regreen speaks to engines over those only: its \
             mounts have to be this machine's"
        )),
    };
    Candidate { socket, origin }
}

/// What Docker's client remembers of `docker context use`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClientConfig {
    current_context: Option<String>,
}

/// One context of Docker's client.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    name: String,
    endpoints: Endpoints,
}

#[derive(Debug, Deserialize)]
struct Endpoints {
    docker: Endpoint,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    host: String,
}

/// The context that Docker's client uses, if it is not the default one.
fn context(host: &HostEnv) -> Option<Candidate> {
    let dir = host
        .var("DOCKER_CONFIG")
        .map_or_else(|| host.home.join(".docker"), PathBuf::from);
    let name = match host.var("DOCKER_CONTEXT").filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => {
            let text = std::fs::read(dir.join("config.json")).ok()?;
            let config: ClientConfig = serde_json::from_slice(&text).ok()?;
            config.current_context.filter(|name| !name.is_empty())?
        }
    };
    if name == DEFAULT_CONTEXT {
        return None;
    }
    let origin = format!("Docker's context `{name}`");
    Some(match endpoint(&dir, &name) {
        Some(address) => named(&address, origin),
        None => Candidate {
            socket: Err(format!("it is not in `{}`", dir.join("contexts").display())),
            origin,
        },
    })
}

/// The directory of a context is named by a hash; the name stands in the file.
fn endpoint(dir: &Path, name: &str) -> Option<String> {
    let all = std::fs::read_dir(dir.join("contexts/meta")).ok()?;
    all.flatten().find_map(|entry| {
        let text = std::fs::read(entry.path().join("meta.json")).ok()?;
        let meta: Meta = serde_json::from_slice(&text).ok()?;
        (meta.name == name).then_some(meta.endpoints.docker.host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(dir: &Path, vars: &[(&str, &str)]) -> HostEnv {
        let vars = vars
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        HostEnv {
            vars: vars.collect(),
            ..HostEnv::below(dir, "/usr/bin")
        }
    }

    fn context_of(dir: &Path, current: &str, address: &str) {
        let docker = dir.join("home/.docker");
        let meta = docker.join("contexts/meta/0123");
        std::fs::create_dir_all(&meta).expect("made");
        let config = format!(r#"{{"auths": {{}}, "currentContext": "{current}"}}"#);
        std::fs::write(docker.join("config.json"), config).expect("written");
        let text = format!(
            r#"{{"Name": "mine", "Metadata": {{}}, "Endpoints": {{"docker": {{"Host": "{address}"}}}}}}"#
        );
        std::fs::write(meta.join("meta.json"), text).expect("written");
    }

    #[test]
    fn a_variable_stands_before_a_context_and_a_context_before_the_usual() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let places = |vars: &[(&str, &str)]| -> Vec<String> {
            let all = candidates(&host(dir.path(), vars));
            all.into_iter()
                .map(|it| {
                    it.socket
                        .map_or_else(|why| why, |it| it.display().to_string())
                })
                .collect()
        };
        let runtime = dir.path().join("run");
        let usual = [
            "/var/run/docker.sock".to_owned(),
            runtime.join("docker.sock").display().to_string(),
            runtime.join("podman/podman.sock").display().to_string(),
            "/run/podman/podman.sock".to_owned(),
        ];
        assert_eq!(places(&[]), usual);
        context_of(dir.path(), "mine", "unix:///mine.sock");
        assert_eq!(places(&[]), ["/mine.sock"]);
        assert_eq!(places(&[("DOCKER_CONTEXT", "default")]), usual);
        let podman = ("CONTAINER_HOST", "unix:///p.sock");
        assert_eq!(places(&[podman]), ["/p.sock"]);
        let docker = ("DOCKER_HOST", "unix:///d.sock");
        assert_eq!(places(&[podman, docker]), ["/d.sock"]);
        context_of(dir.path(), "other", "unix:///mine.sock");
        assert!(places(&[])[0].contains("contexts"), "{:?}", places(&[]));
    }

    #[test]
    fn an_engine_elsewhere_is_said_to_be_so() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for address in ["tcp://10.0.0.1:2375", "ssh://me@there", "unix://relative"] {
            let all = candidates(&host(dir.path(), &[("DOCKER_HOST", address)]));
            let why = all[0].socket.as_ref().expect_err(address);
            assert!(why.contains(address) && all.len() == 1, "{why}");
        }
    }
}
