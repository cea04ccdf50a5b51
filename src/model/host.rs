//! The machine as regreen was started on it: home, search path and the XDG directories,
//! captured once at the start and handed down. Tests build their own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

/// Home, search path and directories of whoever started regreen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEnv {
    /// The user's home directory.
    pub home: PathBuf,
    /// `PATH` as it was.
    pub path: OsString,
    /// `$XDG_CONFIG_HOME`, or `~/.config`; regreen's own directory is [`HostEnv::config_dir`].
    pub xdg_config: PathBuf,
    /// `$XDG_STATE_HOME`, or `~/.local/state`.
    pub xdg_state: PathBuf,
    /// `$XDG_CACHE_HOME`, or `~/.cache`.
    pub xdg_cache: PathBuf,
    /// `$XDG_RUNTIME_DIR`, where there is one.
    pub xdg_runtime: Option<PathBuf>,
    /// Every variable as it was, for what reads its own (`REGREEN_*`, `CARGO_HOME`, …).
    pub vars: BTreeMap<OsString, OsString>,
}

impl HostEnv {
    /// Reads the environment of this process.
    pub fn capture() -> Self {
        HostEnv::from_vars(std::env::vars_os())
    }

    /// The same from any set of variables. Relative XDG paths are ignored, as the XDG base
    /// directory specification demands; without `HOME` it is `/`, which every user of it refuses.
    pub fn from_vars(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let vars: BTreeMap<OsString, OsString> = vars.into_iter().collect();
        let absolute = |name: &str| {
            vars.get(OsStr::new(name))
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let home = absolute("HOME").unwrap_or_else(|| PathBuf::from("/"));
        HostEnv {
            path: vars.get(OsStr::new("PATH")).cloned().unwrap_or_default(),
            xdg_config: absolute("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")),
            xdg_state: absolute("XDG_STATE_HOME").unwrap_or_else(|| home.join(".local/state")),
            xdg_cache: absolute("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache")),
            xdg_runtime: absolute("XDG_RUNTIME_DIR"),
            home,
            vars,
        }
    }

    /// A machine below one directory, for tests: home, state, cache and runtime all lie in it.
    pub fn below(dir: &Path, path: impl Into<OsString>) -> Self {
        HostEnv {
            home: dir.join("home"),
            path: path.into(),
            xdg_config: dir.join("config"),
            xdg_state: dir.join("state"),
            xdg_cache: dir.join("cache"),
            xdg_runtime: Some(dir.join("run")),
            vars: BTreeMap::new(),
        }
    }

    /// A variable, if it was set and is UTF-8.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars
            .get(OsStr::new(name))
            .and_then(|value| value.to_str())
    }

    /// Where the user's `config.toml` lies.
    pub fn config_dir(&self) -> PathBuf {
        self.xdg_config.join("regreen")
    }

    /// Where the store, the runs and the projects' records lie.
    pub fn state_dir(&self) -> PathBuf {
        self.xdg_state.join("regreen")
    }

    /// Where the slots lie.
    pub fn cache_dir(&self) -> PathBuf {
        self.xdg_cache.join("regreen")
    }

    /// Where sockets lie: never in `/tmp`.
    pub fn runtime_dir(&self) -> PathBuf {
        match &self.xdg_runtime {
            Some(dir) => dir.join("regreen"),
            None => self.state_dir().join("run"),
        }
    }

    /// The daemon's HTTP socket.
    pub fn socket(&self) -> PathBuf {
        self.runtime_dir().join("regreen.sock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> HostEnv {
        HostEnv::from_vars(
            pairs
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        )
    }

    #[test]
    fn directories_follow_xdg() {
        let bare = vars(&[("HOME", "/home/ada"), ("XDG_STATE_HOME", "relative")]);
        assert_eq!(
            bare.state_dir(),
            Path::new("/home/ada/.local/state/regreen")
        );
        assert_eq!(
            bare.socket(),
            Path::new("/home/ada/.local/state/regreen/run/regreen.sock")
        );
        let full = vars(&[("HOME", "/home/ada"), ("XDG_RUNTIME_DIR", "/run/user/7")]);
        assert_eq!(full.socket(), Path::new("/run/user/7/regreen/regreen.sock"));
    }
}
