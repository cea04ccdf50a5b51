//! A home directory of its own, with the XDG directories below it.

use crate::support::Invocation;
use crate::support::Project;
use crate::support::ProjectBuilder;
use crate::support::fixtures;
use crate::support::toolchain;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// A temporary `HOME`. Clones share it; it is removed with the last one.
#[derive(Clone)]
pub struct Home(Arc<Inner>);

struct Inner {
    /// Holds the directory alive; taken out when `REGREEN_KEEP` asks for it to stay.
    _dir: Option<TempDir>,
    path: PathBuf,
}

impl Home {
    /// A new, empty home. With `REGREEN_KEEP` in the environment it is left behind for a look.
    pub fn new() -> Home {
        Home::within(&std::env::temp_dir())
    }

    /// One that lies in `parent`, for what is different below `/tmp`.
    pub fn within(parent: &Path) -> Home {
        let dir = tempfile::Builder::new()
            .prefix("regreen-test-")
            .tempdir_in(parent)
            .expect("the temporary directory is writable");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755))
            .expect("the directory is ours");
        let top = dir.path().canonicalize().expect("it was just made");
        let dir = if std::env::var_os("REGREEN_KEEP").is_some() {
            let kept = dir.keep();
            crate::support::require::say(&format!("kept: {}", kept.display()));
            None
        } else {
            Some(dir)
        };
        let home = Home(Arc::new(Inner {
            _dir: dir,
            path: top.join("home"),
        }));
        for part in ["", ".config", ".local/state", ".cache", ".local/share"] {
            make_dir(&home.path().join(part), 0o755);
        }
        make_dir(&home.runtime(), 0o700);
        std::fs::write(home.path().join(".gitconfig"), GITCONFIG).expect("home is writable");
        home
    }

    /// `$HOME`.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The directory that holds the home and may hold other things; removed with it.
    pub fn top(&self) -> &Path {
        self.0.path.parent().expect("the home lies in a directory")
    }

    /// `$XDG_STATE_HOME/regreen`.
    pub fn state(&self) -> PathBuf {
        self.path().join(".local/state/regreen")
    }

    /// `$XDG_CACHE_HOME/regreen`.
    pub fn cache(&self) -> PathBuf {
        self.path().join(".cache/regreen")
    }

    /// `$XDG_RUNTIME_DIR`.
    pub fn runtime(&self) -> PathBuf {
        self.top().join("runtime")
    }

    /// Writes the user's own configuration file of regreen.
    pub fn user_config(&self, toml: &str) -> &Self {
        let dir = self.path().join(".config/regreen");
        make_dir(&dir, 0o755);
        std::fs::write(dir.join("config.toml"), toml).expect("the home is ours");
        self
    }

    /// Begins a project below the home, from inline files.
    pub fn project(&self, name: &str) -> ProjectBuilder {
        ProjectBuilder::new(self.clone(), self.path().join(name))
    }

    /// A committed copy of `fixtures/projects/<name>`.
    pub fn fixture(&self, name: &str) -> Project {
        self.project(name)
            .copied_from(&fixtures().join("projects").join(name))
            .committed()
    }

    /// Begins an invocation of the regreen binary in the home.
    pub fn regreen<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Invocation {
        Invocation::new(regreen_binary(), self.path())
            .args(args)
            .only_env(self.environment())
    }

    /// Begins an invocation of any program with this home's environment.
    pub fn program<S: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = S>,
    ) -> Invocation {
        Invocation::new(program, self.path())
            .args(args)
            .only_env(self.environment())
    }

    /// The whole environment that a program of this home gets.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let home = self.path();
        let mut env: Vec<(OsString, OsString)> = vec![
            ("HOME".into(), home.into()),
            ("XDG_CONFIG_HOME".into(), home.join(".config").into()),
            ("XDG_STATE_HOME".into(), home.join(".local/state").into()),
            ("XDG_CACHE_HOME".into(), home.join(".cache").into()),
            ("XDG_DATA_HOME".into(), home.join(".local/share").into()),
            ("XDG_RUNTIME_DIR".into(), self.runtime().into()),
            ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
            ("LANG".into(), "C.UTF-8".into()),
            ("USER".into(), "tester".into()),
        ];
        env.extend(toolchain::environment());
        env
    }
}

/// The binary that cargo built for these tests.
fn regreen_binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_regreen"))
}

fn make_dir(path: &Path, mode: u32) {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .unwrap_or_else(|error| panic!("failed to make `{}`: {error}", path.display()));
}

const GITCONFIG: &str = "\
[user]
\tname = Tess Tester
\temail = tess@example.invalid
[init]
\tdefaultBranch = main
[commit]
\tgpgSign = false
[core]
\tpager = cat
[advice]
\tdetachedHead = false
";
