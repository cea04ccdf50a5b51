//! `regreen doctor`: everything that may keep regreen from working on this machine.

use crate::config::BackendName;
use crate::config::Config;
use crate::daemon::Handle;
use crate::git::Worktree;
use crate::model::Check;
use crate::model::DoctorReport;
use crate::model::Health;
use crate::sandbox::Backend;
use crate::sandbox::attack::AttackError;
use crate::sandbox::doctor;
use crate::sandbox::engine;
use crate::sandbox::engine::Engine;
use crate::sandbox::toolchain;
use std::path::Path;

impl Handle {
    /// Checks the machine, for the project that `dir` lies in; with `attack` by trying to get
    /// out of a sandbox as well.
    ///
    /// # Errors
    /// If the attack could not be made; what the checks find is no error.
    pub async fn doctor(&self, dir: &Path, attack: bool) -> Result<DoctorReport, AttackError> {
        let host = self.host();
        let worktree = Worktree::discover(dir);
        let root = worktree.as_ref().map_or(dir, |worktree| &worktree.root);
        let found = toolchain::discover(host, root);
        let mut checks = vec![doctor::user()];
        checks.extend(doctor::toolchains(&found, root));
        let sandbox = doctor::bubblewrap(host, &found).await;
        let wanted = self.wants_engine(root);
        let engines = engine::checks(host, wanted).await;
        let works = match wanted {
            true => engines.iter().all(|check| check.state != Health::Fail),
            false => sandbox.iter().all(|check| check.state == Health::Ok),
        };
        checks.extend(sandbox);
        checks.extend(engines);
        checks.push(doctor::cgroup(host));
        checks.push(doctor::inotify());
        checks.extend(doctor::disk(host));
        checks.push(match &worktree {
            Ok(worktree) => git_dir(worktree),
            Err(error) => Check::ok("git_dir", format!("not looked at: {error}")),
        });
        let attack = match (attack && works, std::env::current_exe()) {
            (true, Ok(regreen)) => {
                let engine = wanted.then(|| Engine::new(host));
                let backend = engine.as_ref().map(|engine| engine as &dyn Backend);
                doctor::attack(host, &regreen, backend).await?
            }
            _ => Vec::new(),
        };
        Ok(DoctorReport {
            schema: 1,
            checks,
            mounts: found.describe(),
            attack,
        })
    }
}

impl Handle {
    /// Whether the configuration asks for the engine backend; what is wrong with it is told
    /// elsewhere.
    fn wants_engine(&self, root: &Path) -> bool {
        let config = Config::load(self.host(), Some(root), &[]);
        config.is_ok_and(|config| config.backend == BackendName::Engine)
    }
}

/// The status file lies in the git directory of the worktree.
fn git_dir(worktree: &Worktree) -> Check {
    let dir = &worktree.git_dir;
    match rustix::fs::access(dir, rustix::fs::Access::WRITE_OK) {
        Ok(()) => Check::ok("git_dir", format!("`{}` is writable", dir.display())),
        Err(error) => Check::warn(
            "git_dir",
            format!("`{}` cannot be written to: {error}", dir.display()),
            "the status file is kept in regreen's state directory instead; `regreen status \
             --path` prints where",
        ),
    }
}
