//! The engine backend: Docker or Podman over their API. One warm container a slot, one `exec` a
//! run; without an image of the user's, the programs of this machine appear in an empty one.
//!
//! A container's first process (`keeper.sh`) reads the standard input that regreen holds open,
//! and ends with it; the kernel then ends everybody else in there. Everything that a container
//! is made of stands in its key ([`plan`]): if a run needs another one, the old one goes.

mod container;
mod doctor;
mod exec;
mod image;
mod label;
mod link;
mod plan;
mod reap;
mod socket;
mod stream;

use crate::model::Enforcement;
use crate::model::HostEnv;
use crate::model::Isolation;
use crate::process::supervise_any;
use crate::sandbox::Backend;
use crate::sandbox::BoxFuture;
use crate::sandbox::Network;
use crate::sandbox::Running;
use crate::sandbox::SandboxError;
use crate::sandbox::Spec;
use crate::sandbox::base::Base;
use crate::sandbox::bwrap::supervision;
use crate::sandbox::mountpoint;
use crate::sandbox::policy;
pub use doctor::checks;

use container::Container;
use image::Image;
use link::Facts;
use link::Link;
use plan::Filter;
use plan::Plan;
use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The engine backend.
pub struct Engine {
    host: HostEnv,
    base: Base,
    /// The first engine that answered; asked for again as long as none did.
    link: OnceCell<Link>,
    idle: Arc<Idle>,
}

/// How long a container is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// Warm containers that nobody uses, by slot.
#[derive(Default)]
struct Idle {
    /// Runs end in tasks of their own and give their container back here; held for one look.
    by_slot: Mutex<HashMap<PathBuf, Kept>>,
}

/// A container and since when nobody uses it.
struct Kept {
    container: Arc<Container>,
    since: Instant,
}

impl Idle {
    fn all(&self) -> MutexGuard<'_, HashMap<PathBuf, Kept>> {
        self.by_slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, slot: &Path) -> Option<Arc<Container>> {
        Some(self.all().remove(slot)?.container)
    }

    /// Keeps a container for a while; answers the one that was there.
    fn put(self: Arc<Self>, slot: PathBuf, container: Arc<Container>) -> Option<Arc<Container>> {
        let since = Instant::now();
        let kept = Kept { container, since };
        let before = self.all().insert(slot.clone(), kept);
        // Whoever drops the backend must not wait for this.
        let idle = Arc::downgrade(&self);
        tokio::spawn(async move {
            tokio::time::sleep_until(since + IDLE).await;
            let idle = idle.upgrade()?;
            let unused = {
                let mut all = idle.all();
                let same = all.get(&slot)?.since == since;
                same.then(|| all.remove(&slot))??
            };
            unused.container.destroy().await;
            Some(())
        });
        Some(before?.container)
    }
}

impl Engine {
    /// A backend on this machine. Connects to nothing; whether an engine answers shows at the
    /// first [`Backend::start`] or with [`Engine::check`].
    pub fn new(host: &HostEnv) -> Self {
        Engine {
            host: host.clone(),
            base: Base::discover(),
            link: OnceCell::new(),
            idle: Arc::default(),
        }
    }

    /// Checks that an engine answers; says which.
    ///
    /// # Errors
    /// [`SandboxError::Unavailable`] with what was tried.
    pub async fn check(&self) -> Result<String, SandboxError> {
        let link = self.link().await?;
        let socket = link.socket.display();
        Ok(format!("{}, at `{socket}`", link.facts.describe()))
    }

    async fn link(&self) -> Result<&Link, SandboxError> {
        let connect = || async {
            let link = link::connect(&self.host).await?;
            reap::reap(&link).await;
            Ok(link)
        };
        self.link.get_or_try_init(connect).await
    }

    async fn start(&self, spec: Spec) -> Result<Running, SandboxError> {
        policy::check_root(&spec.place.root, &self.host.home)?;
        policy::check_sources(&spec)?;
        mountpoint::ensure(&spec, &self.host.home)?;
        let link = self.link().await?;
        let image = Image::of(link, spec.image.as_deref(), &self.base).await?;
        let filter = Filter::prepare(&self.host.state_dir()).map_err(SandboxError::Start)?;
        let (base, home) = (&self.base, &self.host.home);
        let plan = Plan::of(&spec, image, &link.facts, &filter, base, home);
        let (container, oom_before) = self.container(link, &plan).await?;
        let started = exec::start(&container, &spec).await?;
        let stop = CancellationToken::new();
        let terms = supervision(&spec.limits, stop.clone());
        let supervised = supervise_any(started.leader, started.printed, terms);
        let (mut answer, exit) = oneshot::channel();
        let (idle, last, ended) = (Arc::clone(&self.idle), started.last, supervised.exit);
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = ended => ended,
                // Dropping `ended` ends the command.
                () = answer.closed() => return,
            };
            let state = container.sweep().await;
            let oom = state.is_some_and(|state| state.oom > oom_before);
            let lost = |_| Err(std::io::Error::other("nobody supervised the command"));
            let mut ended = exec::conclude(ended.unwrap_or_else(lost), &last, &spec, oom);
            if container.has_vanished() {
                exec::taken_away(&mut ended);
            }
            if state.is_some_and(|state| !state.left) {
                if let Some(other) = idle.put(plan.slot, container) {
                    other.destroy().await;
                }
            } else {
                container.destroy().await;
            }
            let _ = answer.send(ended);
        });
        Ok(Running {
            output: supervised.output,
            stop,
            heartbeat: supervised.heartbeat,
            tree: started.tree,
            exit,
        })
    }

    /// A container for a plan: the slot's warm one if it will do and is well, else a new one.
    async fn container(
        &self,
        link: &Link,
        plan: &Plan,
    ) -> Result<(Arc<Container>, u64), SandboxError> {
        if let Some(warm) = self.idle.take(&plan.slot) {
            match warm.state().await {
                Some(state) if warm.key == plan.key && state.living == 0 && !state.left => {
                    return Ok((warm, state.oom));
                }
                // Nobody waits for the end of one that will not do.
                _ => drop(tokio::spawn(async move { warm.destroy().await })),
            }
        }
        let made = Container::create(link, plan).await?;
        Ok((Arc::new(made), 0))
    }
}

impl Backend for Engine {
    fn name(&self) -> &'static str {
        "engine"
    }

    fn isolation(&self, spec: &Spec) -> Isolation {
        isolation(self.link.get().map(|link| &link.facts), spec)
    }

    fn keeps_mounts(&self) -> bool {
        true
    }

    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Running, SandboxError>> {
        Box::pin(Engine::start(self, spec))
    }
}

/// Which limits hold in an engine, and how far. Of one that nobody knows yet, nothing is said
/// that hangs on it.
fn isolation(facts: Option<&Facts>, spec: &Spec) -> Isolation {
    let when = |held: bool, otherwise: Enforcement| match held {
        true => Enforcement::Enforced,
        false => otherwise,
    };
    let none = Enforcement::None;
    let known = facts.is_some();
    let has = |fact: fn(&Facts) -> bool| facts.is_some_and(fact);
    let memory = match spec.limits.memory_bytes {
        Some(_) if known => when(has(|it| it.memory), Enforcement::PerProcess),
        _ => none,
    };
    // A limit of each process counts in the user namespace, which is the container's own.
    let counted = has(|it| it.processes || it.forgets_ulimits());
    let limits = [
        ("filesystem", when(known, none)),
        (
            "network",
            when(known && spec.network == Network::None, none),
        ),
        ("syscalls", when(has(|it| it.seccomp), none)),
        ("memory", memory),
        (
            "cpu",
            when(spec.limits.cpu_millis.is_some() && has(|it| it.cpu), none),
        ),
        ("processes", when(counted, none)),
        (
            "file_size",
            if known { Enforcement::PerProcess } else { none },
        ),
        ("shm", when(known, none)),
        ("disk", none),
        ("wall", Enforcement::Enforced),
        ("silence", Enforcement::Enforced),
        ("output", Enforcement::Enforced),
    ];
    Isolation {
        backend: facts.map_or("engine", |facts| facts.kind.as_str()).into(),
        limits: limits.map(|(name, held)| (name.to_owned(), held)).into(),
    }
}
