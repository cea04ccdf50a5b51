//! `regreen service`: the unit file of the systemd user service, and what systemd says of it.

use crate::daemon::Handle;
use crate::process::Command;
use crate::process::Spawner;
use crate::process::Status;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::path::PathBuf;

/// The unit file as it is shipped.
const UNIT: &str = include_str!("../../../systemd/regreen.service");

/// Its name.
const NAME: &str = "regreen.service";

/// Where programs of the machine are looked for: not in `PATH`, which a project may stand in.
const PLACES: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];

/// What systemd prints is cut at so many bytes.
const CAP: usize = 64 << 10;

/// Why the service could not be installed, removed or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// There is no systemd here.
    #[error(
        "`systemctl` was not found: this machine has no systemd; run `regreen daemon` by other \
         means"
    )]
    NoSystemd,
    /// systemd has no session of this user.
    #[error(
        "`systemctl --user` does not answer: {0}; log in as this user (not by `su`), or have an \
         administrator run `loginctl enable-linger`"
    )]
    NoSession(String),
    /// systemd refused.
    #[error("`systemctl --user {verb}` failed: {said}")]
    Refused {
        /// What was asked.
        verb: String,
        /// What it said.
        said: String,
    },
    /// The unit file is somebody else's work.
    #[error("`{}` was not made by `regreen service install`; move it away first", .0.display())]
    Foreign(PathBuf),
    /// The path cannot stand in a unit file.
    #[error("`{}` cannot stand in a unit file; put the program elsewhere", .0.display())]
    Path(PathBuf),
    /// The system refused.
    #[error("failed to write `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What systemd says of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceState {
    /// Where its unit file lies, if it is there.
    pub unit: Option<PathBuf>,
    /// `active`, `inactive`, `failed`, …
    pub active: String,
    /// `enabled`, `disabled`, …
    pub enabled: String,
    /// What the daemon says how it goes.
    pub text: String,
}

/// The unit file for a program at this path.
fn unit(program: &Path) -> Result<String, ServiceError> {
    let refused = || ServiceError::Path(program.to_owned());
    let path = program.to_str().ok_or_else(refused)?;
    if path.chars().any(char::is_control) {
        return Err(refused());
    }
    // systemd.service(5) and systemd.unit(5): quotes for spaces, doubled specifiers and
    // variables.
    let quoted = path
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    let line = format!("ExecStart=\"{quoted}\" daemon");
    let lines = UNIT.lines().map(|known| match known {
        known if known.starts_with("ExecStart=") => line.as_str(),
        known => known,
    });
    Ok(lines.collect::<Vec<_>>().join("\n") + "\n")
}

impl Handle {
    fn unit_path(&self) -> PathBuf {
        let dir = self.host().xdg_config.join("systemd/user");
        dir.join(NAME)
    }

    /// Writes the unit file for this program, and enables and starts the service.
    ///
    /// # Errors
    /// When there is no systemd, or it refuses.
    pub async fn install_service(&self) -> Result<PathBuf, ServiceError> {
        let path = self.unit_path();
        let io = |source| ServiceError::Io {
            path: path.clone(),
            source,
        };
        let program = std::env::current_exe().map_err(io)?;
        if let Ok(known) = std::fs::read_to_string(&path)
            && !is_ours(&known)
        {
            return Err(ServiceError::Foreign(path));
        }
        self.systemctl(&["show-environment"])
            .await
            .map_err(|error| match error {
                ServiceError::Refused { said, .. } => ServiceError::NoSession(said),
                other => other,
            })?;
        let text = unit(&program)?;
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(io)?;
        }
        std::fs::write(&path, text).map_err(io)?;
        self.systemctl(&["daemon-reload"]).await?;
        self.systemctl(&["enable", NAME]).await?;
        self.systemctl(&["restart", NAME]).await?;
        Ok(path)
    }

    /// Stops and disables the service, and removes its unit file.
    ///
    /// # Errors
    /// When there is no systemd, or it refuses.
    pub async fn uninstall_service(&self) -> Result<bool, ServiceError> {
        let path = self.unit_path();
        let Ok(known) = std::fs::read_to_string(&path) else {
            return Ok(false);
        };
        if !is_ours(&known) {
            return Err(ServiceError::Foreign(path));
        }
        self.systemctl(&["disable", "--now", NAME]).await?;
        std::fs::remove_file(&path).map_err(|source| ServiceError::Io {
            path: path.clone(),
            source,
        })?;
        self.systemctl(&["daemon-reload"]).await?;
        Ok(true)
    }

    /// What systemd says of the service.
    ///
    /// # Errors
    /// When there is no systemd, or no session.
    pub async fn service_state(&self) -> Result<ServiceState, ServiceError> {
        let said = self
            .systemctl(&[
                "show",
                "--property=ActiveState,UnitFileState,StatusText",
                NAME,
            ])
            .await
            .map_err(|error| match error {
                ServiceError::Refused { said, .. } => ServiceError::NoSession(said),
                other => other,
            })?;
        let value = |name: &str| {
            said.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                .unwrap_or_default()
                .to_owned()
        };
        Ok(ServiceState {
            unit: Some(self.unit_path()).filter(|path| path.exists()),
            active: value("ActiveState"),
            enabled: value("UnitFileState"),
            text: value("StatusText"),
        })
    }

    async fn systemctl(&self, args: &[&str]) -> Result<String, ServiceError> {
        let program = PLACES
            .iter()
            .map(Path::new)
            .find(|path| path.is_file())
            .ok_or(ServiceError::NoSystemd)?;
        let mut command = Command::new(program)
            .args(["--user"])
            .args(args.iter().copied());
        // Which bus it talks to is in the environment; nothing else is handed on.
        for name in [
            "HOME",
            "XDG_RUNTIME_DIR",
            "DBUS_SESSION_BUS_ADDRESS",
            "LANG",
        ] {
            if let Some(value) = self.host().vars.get(OsStr::new(name)) {
                command = command.env(name, value.clone());
            }
        }
        let refused = |said: String| ServiceError::Refused {
            verb: args.join(" "),
            said,
        };
        let done = async { Spawner::global().spawn(command).await?.collect(CAP).await }
            .await
            .map_err(|error| refused(error.to_string()))?;
        match done.status {
            Status::Exited(0) => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
            _ => Err(refused(
                String::from_utf8_lossy(&done.stderr).trim().to_owned(),
            )),
        }
    }
}

/// What `install` wrote begins like the file that is shipped.
fn is_ours(text: &str) -> bool {
    text.lines().next() == UNIT.lines().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_quoted() {
        let text = unit(Path::new("/opt/my tools/50% \"off\"/$regreen")).unwrap();
        let line = text.lines().find(|l| l.starts_with("ExecStart=")).unwrap();
        assert_eq!(
            line,
            "ExecStart=\"/opt/my tools/50%% \\\"off\\\"/$$regreen\" daemon"
        );
        assert!(is_ours(&text));
        assert_eq!(text.lines().count(), UNIT.lines().count());
        let bad = unit(Path::new("/opt/two\nlines"));
        assert!(matches!(bad, Err(ServiceError::Path(_))));
    }
}
