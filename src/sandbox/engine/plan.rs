//! What a container is to be: a pure function from a [`Spec`] and an engine's facts to what the
//! engine is asked for, and to the key that says whether a container that is there will do.

use crate::model::Limits;
use crate::sandbox::Network;
use crate::sandbox::Spec;
use crate::sandbox::base::Base;
use crate::sandbox::bwrap::processes;
use crate::sandbox::engine::image::Image;
use crate::sandbox::engine::label;
use crate::sandbox::engine::link::Facts;
use crate::sandbox::engine::link::Kind;
use crate::sandbox::policy::SHM_BYTES;
use crate::sandbox::seccomp_profile;
use bollard::models::ContainerCreateBody;
use bollard::models::HealthConfig;
use bollard::models::HostConfig;
use bollard::models::HostConfigLogConfig;
use bollard::models::Mount as EngineMount;
use bollard::models::MountBindOptions;
use bollard::models::MountBindOptionsPropagationEnum;
use bollard::models::MountType;
use bollard::models::ResourcesUlimits;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

/// The first process of a container.
const KEEPER: &str = include_str!("keeper.sh");
/// Who that is: nobody, so that tests, which are the user, can neither signal it nor hold its
/// standard input open through `/proc/1/fd`.
const KEEPER_USER: &str = "65534:65534";
/// What the engine mounts by itself.
const ENGINES_OWN: &[&str] = &["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// One mount of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bind {
    source: PathBuf,
    target: PathBuf,
    writable: bool,
}

/// What a container is to be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The slot that it serves: one warm container each.
    pub slot: PathBuf,
    /// Who runs in it, as `uid:gid`.
    pub user: String,
    /// Names everything that cannot be changed in a container that is there.
    pub key: String,
    /// What it is made from.
    pub image: Image,
    binds: Vec<Bind>,
    limits: Limits,
    network: Network,
    facts: Facts,
    filter: Filter,
}

/// The profile of system calls; empty where there is none for this processor.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// As text.
    pub text: String,
    /// The same in a file that the engine can read.
    pub file: PathBuf,
}

impl Filter {
    /// The profile, written to a file in `dir`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn prepare(dir: &Path) -> std::io::Result<Self> {
        let text = seccomp_profile::profile().unwrap_or_default();
        let file = dir.join("engine-seccomp.json");
        if std::fs::read_to_string(&file).ok().as_deref() != Some(text.as_str()) {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)?;
            let mut new = tempfile::NamedTempFile::new_in(dir)?;
            new.write_all(text.as_bytes())?;
            new.persist(&file)?;
        }
        Ok(Filter { text, file })
    }
}

impl Plan {
    /// What a command needs. Looks at the sources of mounts: a file that was replaced since is
    /// not the one that a container shows.
    pub fn of(
        spec: &Spec,
        image: Image,
        facts: &Facts,
        filter: &Filter,
        base: &Base,
        home: &Path,
    ) -> Self {
        let mut plan = Plan {
            slot: spec.place.tree.clone(),
            user: user(facts),
            key: String::new(),
            image,
            binds: binds(spec, base, home),
            limits: spec.limits,
            network: spec.network,
            facts: facts.clone(),
            filter: filter.clone(),
        };
        plan.key = plan.digest();
        plan
    }

    fn digest(&self) -> String {
        use std::fmt::Write;
        let mut text = format!(
            "{} {} {:?} {:?} {:?} {}",
            self.image.id,
            self.user,
            self.network,
            self.limits.memory_bytes,
            self.limits.processes,
            self.limits.file_bytes
        );
        for bind in &self.binds {
            let source = identity(&bind.source);
            // A mount goes with its mount point: `/tmp` is emptied between runs, and a project
            // may lie in it.
            let point = self.point(bind).and_then(|point| identity(&point));
            // Writing to a string cannot fail.
            let _ = write!(text, "\n{bind:?} {source:?} {point:?}");
        }
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }

    /// The mount point of what lies in another mount, as it lies on this machine.
    fn point(&self, bind: &Bind) -> Option<PathBuf> {
        let holders = self.binds.iter().filter(|holder| {
            holder.target != bind.target && bind.target.starts_with(&holder.target)
        });
        let holder = holders.max_by_key(|holder| holder.target.components().count())?;
        let relative = bind.target.strip_prefix(&holder.target).ok()?;
        Some(holder.source.join(relative))
    }

    /// What the engine is asked for.
    pub fn body(&self) -> ContainerCreateBody {
        let labels = [
            (label::DOMAIN, label::domain()),
            (label::OWNER, label::owner()),
            (label::SLOT, self.slot.display().to_string()),
        ];
        let labels = labels.map(|(name, value)| (name.to_owned(), value));
        ContainerCreateBody {
            image: Some(self.image.id.clone()),
            hostname: Some("regreen".into()),
            user: Some(KEEPER_USER.into()),
            entrypoint: Some(vec!["/bin/sh".into(), "-c".into(), KEEPER.into()]),
            cmd: Some(Vec::new()),
            working_dir: Some("/".into()),
            open_stdin: Some(true),
            stdin_once: Some(true),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            tty: Some(false),
            labels: Some(labels.into()),
            // What an image wants to run by itself would count as a stray.
            healthcheck: Some(HealthConfig {
                test: Some(vec!["NONE".into()]),
                ..HealthConfig::default()
            }),
            host_config: Some(self.host_config()),
            ..ContainerCreateBody::default()
        }
    }

    fn host_config(&self) -> HostConfig {
        let memory = self.limits.memory_bytes.map(capped);
        let memory = memory.filter(|_| self.facts.memory);
        let pids = self
            .facts
            .processes
            .then(|| capped(processes(&self.limits)));
        // Both speak of billionths of a processor.
        let cpus = self.limits.cpu_millis.filter(|_| self.facts.cpu);
        let cpus = cpus.map(|millis| capped(millis.saturating_mul(1_000_000)));
        let keep_id = self.facts.rootless && self.facts.kind == Kind::Podman;
        HostConfig {
            network_mode: Some(self.network_mode().into()),
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".into()]),
            security_opt: Some(self.security()),
            memory,
            // The same: no swap besides.
            memory_swap: memory,
            pids_limit: pids,
            nano_cpus: cpus,
            ulimits: Some(self.ulimits()),
            shm_size: Some(capped(SHM_BYTES)),
            ipc_mode: Some("private".into()),
            auto_remove: Some(true),
            init: Some(false),
            privileged: Some(false),
            userns_mode: keep_id.then(|| "keep-id".into()),
            log_config: Some(HostConfigLogConfig {
                typ: Some("none".into()),
                config: Some(HashMap::new()),
            }),
            tmpfs: self.tmpfs(),
            mounts: Some(self.binds.iter().map(Bind::mount).collect()),
            ..HostConfig::default()
        }
    }

    /// Docker takes a profile of system calls as it is, Podman the place of one.
    fn security(&self) -> Vec<String> {
        let profile = match self.facts.kind {
            Kind::Docker => self.filter.text.clone(),
            Kind::Podman => self.filter.file.display().to_string(),
        };
        let mut all = vec!["no-new-privileges".to_owned(), "label=disable".to_owned()];
        if self.facts.seccomp && !self.filter.text.is_empty() {
            all.push(format!("seccomp={profile}"));
        }
        all
    }

    /// Podman makes `/run` of a read-only container writable by a file system in memory; asked
    /// for by name it is not.
    fn tmpfs(&self) -> Option<HashMap<String, String>> {
        let podman = self.facts.kind == Kind::Podman;
        podman.then(|| HashMap::from([("/run".into(), "ro,nosuid,nodev,mode=0755".into())]))
    }

    fn network_mode(&self) -> &'static str {
        match self.network {
            Network::None => "none",
            Network::Host => "host",
        }
    }

    fn ulimits(&self) -> Vec<ResourcesUlimits> {
        let limit = |name: &str, value: u64| ResourcesUlimits {
            name: Some(name.into()),
            soft: Some(capped(value)),
            hard: Some(capped(value)),
        };
        let mut all = vec![limit("core", 0), limit("fsize", self.limits.file_bytes)];
        if let Some(memory) = self.limits.memory_bytes.filter(|_| !self.facts.memory) {
            all.push(limit("data", memory));
        }
        if self.facts.kind == Kind::Podman {
            // Podman asks for more than an engine may have that lacks CAP_SYS_RESOURCE.
            let own = |resource| rustix::process::getrlimit(resource).maximum;
            let files = own(rustix::process::Resource::Nofile).unwrap_or(FILES);
            all.push(limit("nofile", files.min(FILES)));
            // Without root it is counted in the container's own user namespace; root is exempt.
            all.push(limit("nproc", processes(&self.limits)));
        }
        all
    }
}

/// What names a file or directory for good. A file system gives the number of what was removed
/// to what is made next, so that the time of birth belongs to it.
fn identity(path: &Path) -> Option<(u64, u64, Option<SystemTime>)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino(), meta.created().ok()))
}

/// Open files of a process where the engine does not know better.
const FILES: u64 = 1 << 20;

fn capped(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The user, as the engine calls them: root of a rootless Docker is who started it.
fn user(facts: &Facts) -> String {
    if facts.rootless && facts.kind == Kind::Docker {
        return "0:0".into();
    }
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    format!("{uid}:{gid}")
}

impl Bind {
    fn mount(&self) -> EngineMount {
        EngineMount {
            typ: Some(MountType::BIND),
            source: Some(self.source.to_string_lossy().into_owned()),
            target: Some(self.target.to_string_lossy().into_owned()),
            read_only: Some(!self.writable),
            bind_options: Some(MountBindOptions {
                propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
                ..MountBindOptions::default()
            }),
            ..EngineMount::default()
        }
    }
}

/// Every mount, parents first. Of two on the same place the later one counts.
fn binds(spec: &Spec, base: &Base, home: &Path) -> Vec<Bind> {
    let bind = |source: &Path, target: &Path, writable: bool| Bind {
        source: source.to_owned(),
        target: target.components().collect(),
        writable,
    };
    let place = &spec.place;
    let mut all: Vec<Bind> = match spec.image {
        Some(_) => Vec::new(),
        None => base
            .readonly
            .iter()
            .filter(|path| is_shown(path))
            .map(|path| bind(path, path, false))
            .collect(),
    };
    all.push(bind(&place.tmp, Path::new("/tmp"), true));
    all.push(bind(&place.tmp, Path::new("/var/tmp"), true));
    all.push(bind(&place.home, home, true));
    all.push(bind(&place.tree, &place.root, true));
    let mounts = spec
        .mounts
        .iter()
        .filter(|mount| !mount.optional || mount.source.exists());
    all.extend(mounts.map(|mount| bind(&mount.source, &mount.target, mount.writable)));
    let mut seen = BTreeSet::new();
    all.reverse();
    all.retain(|bind| seen.insert(bind.target.clone()));
    all.reverse();
    all.sort_by_key(|bind| bind.target.components().count());
    all
}

/// Whether a bit of the base system is mounted: not what the engine makes by itself.
fn is_shown(path: &Path) -> bool {
    let engines_own = ENGINES_OWN.iter().any(|own| path == Path::new(own));
    !engines_own && !path.starts_with("/sys") && path.exists()
}
