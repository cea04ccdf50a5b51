//! What `regreen doctor` says of container engines: which there are, how far their limits hold, and
//! that who may talk to one that runs as root is root.

use crate::model::Check;
use crate::model::HostEnv;
use crate::sandbox::engine::link;
use crate::sandbox::engine::link::Facts;
use crate::sandbox::engine::link::Found;

const NAME: &str = "engine";

/// The checks of engines. Only where the configuration wants one is it a failure that there is
/// none.
pub async fn checks(host: &HostEnv, wanted: bool) -> Vec<Check> {
    let root = rustix::process::geteuid().is_root();
    judge(&link::survey(host).await, wanted, root)
}

fn judge(found: &[Found], wanted: bool, root: bool) -> Vec<Check> {
    let mut checks = Vec::new();
    for place in found {
        if let Ok(facts) = &place.engine {
            checks.push(answering(&place.place, facts, root));
        }
    }
    if checks.is_empty() {
        checks.push(none(found, wanted));
    }
    checks
}

fn answering(place: &str, facts: &Facts, root: bool) -> Check {
    let message = format!("{}, at {place}", facts.describe());
    if !facts.rootless && !root {
        let message = format!(
            "{message}: whoever may write to this socket (the group `docker`, mostly) is root, \
             because a container can mount `/`"
        );
        let remedy = "use an engine without root: `systemctl --user start podman.socket`, or \
                      https://docs.docker.com/engine/security/rootless";
        return Check::warn(NAME, message, remedy);
    }
    if !facts.memory || !facts.processes {
        let message = format!("{message}: it cannot limit the memory of a container as a whole");
        let remedy = "boot with control groups of version 2 (`systemd.unified_cgroup_hierarchy=1`)";
        return Check::warn(NAME, message, remedy);
    }
    Check::ok(NAME, message)
}

fn none(found: &[Found], wanted: bool) -> Check {
    let tried = found.iter().map(|place| match &place.engine {
        Ok(_) => place.place.clone(),
        Err(why) => format!("{}: {why}", place.place),
    });
    let tried: Vec<String> = tried.collect();
    let message = format!("no container engine answers ({})", tried.join("; "));
    match wanted {
        true => Check::fail(
            NAME,
            message,
            "start one (`systemctl --user start podman.socket`), name its socket in \
             `DOCKER_HOST=unix:///…`, or set `backend = \"bwrap\"`",
        ),
        false => Check::ok(NAME, format!("{message}; `backend = \"bwrap\"` needs none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Health;
    use crate::sandbox::engine::link::Kind;

    fn found(rootless: bool, memory: bool) -> Vec<Found> {
        let nothing = Found {
            place: "`/run/podman/podman.sock`".into(),
            engine: Err("not there".into()),
        };
        let engine = Found {
            place: "`/var/run/docker.sock`".into(),
            engine: Ok(Facts {
                kind: Kind::Docker,
                version: "20.10".into(),
                rootless,
                memory,
                processes: memory,
                cpu: memory,
                seccomp: true,
            }),
        };
        vec![nothing, engine]
    }

    #[test]
    fn an_engine_of_roots_is_a_warning_for_everybody_else() {
        let checks = judge(&found(false, true), false, false);
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].state, Health::Warn);
        assert!(checks[0].message.contains("group `docker`"), "{checks:?}");
        assert_eq!(judge(&found(false, true), false, true)[0].state, Health::Ok);
        assert_eq!(judge(&found(true, true), false, false)[0].state, Health::Ok);
        let weak = &judge(&found(true, false), false, false)[0];
        assert_eq!(weak.state, Health::Warn);
        assert!(weak.message.contains("memory"), "{weak:?}");
    }

    #[test]
    fn none_is_a_failure_only_where_one_is_wanted() {
        let nothing = &found(true, true)[..1];
        assert_eq!(judge(nothing, false, false)[0].state, Health::Ok);
        let wanted = &judge(nothing, true, false)[0];
        assert_eq!(wanted.state, Health::Fail);
        assert!(
            wanted.message.contains("/run/podman/podman.sock"),
            "{wanted:?}"
        );
    }
}
