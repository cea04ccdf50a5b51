//! `regreen gc`: removes records, slots, refs of loops and objects that nobody needs any more.

use crate::config::Config;
use crate::daemon::Handle;
use crate::daemon::Instance;
use crate::daemon::effects::chain;
use crate::daemon::start;
use crate::git;
use crate::iteration::sweep::Terms;
use crate::iteration::sweep::sweep;
use crate::model::HostEnv;
use crate::model::wire::Collected;
use crate::model::wire::Problem;
use crate::run;
use crate::run::history;
use crate::sandbox::slot;
use crate::sandbox::slot::Slots;
use crate::store::Store;

impl Handle {
    /// Removes what is too old or too much, by the user's configuration; with `dry_run` it
    /// only counts. In a process without a hub it takes the daemon's lock for the time.
    ///
    /// # Errors
    /// When a daemon runs in another process, or the store cannot be used.
    pub async fn collect_garbage(&self, dry_run: bool) -> Result<Collected, Problem> {
        let failed = |error: &dyn std::error::Error| Problem::new(500, "gc", chain(error));
        let (store, _instance) = match self.hub_store() {
            Some(store) => (store.clone(), None),
            None => {
                let instance = Instance::take(self.host()).map_err(|e| failed(&e))?;
                let store = Store::open(&self.host().state_dir()).map_err(|e| failed(&e))?;
                (store, Some(instance))
            }
        };
        let runs = history::runs_dir(&self.host().state_dir());
        let keep = start::keep(self.host());
        let removed = store
            .retain(keep, &runs, run::now(), dry_run)
            .await
            .map_err(|e| failed(&e))?;
        let host = self.host().clone();
        let (slots, bytes) = tokio::task::spawn_blocking(move || evict(&host, dry_run))
            .await
            .map_err(|e| failed(&e))??;
        let terms = Terms {
            now: run::now(),
            age: keep.age,
            dry_run,
        };
        let loops = sweep(&store, &self.host().state_dir(), terms)
            .await
            .map_err(|e| failed(&e))?;
        Ok(Collected {
            dry_run,
            refs: loops.removed,
            kept: loops.kept,
            events: removed.events,
            runs: removed.runs,
            run_directories: removed.directories,
            slots,
            bytes: removed.bytes + bytes,
        })
    }
}

/// Slots of worktrees that are gone, and the longest unused ones beyond the limit.
fn evict(host: &HostEnv, dry_run: bool) -> Result<(u64, u64), Problem> {
    let failed = |error: &dyn std::error::Error| Problem::new(500, "gc", chain(error));
    let limit = Config::load(host, None, &[])
        .map_err(|e| failed(&e))?
        .slots_bytes;
    let slots = Slots::open(&host.cache_dir()).map_err(|e| failed(&e))?;
    let removed = match dry_run {
        true => slots.evictable(limit),
        false => slots.evict(limit),
    }
    .map_err(|e| failed(&e))?;
    let bytes: u64 = removed.iter().map(|slot| slot.bytes).sum();
    let stores = forget_projects(host, dry_run).map_err(|e| failed(&e))?;
    Ok((removed.len() as u64, bytes + stores))
}

/// What is kept of worktrees that are gone: regreen's objects of them. Answers the bytes.
fn forget_projects(host: &HostEnv, dry_run: bool) -> std::io::Result<u64> {
    let mut bytes = 0;
    for orphan in git::orphans(&host.state_dir()) {
        bytes += slot::on_disk(&orphan.dir);
        if !dry_run {
            git::remove_all(&orphan.dir)?;
        }
    }
    Ok(bytes)
}
