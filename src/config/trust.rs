//! Trust in a project's `regreen.toml`: recorded by the file's hash, so that any change of it
//! ends the trust. Until then the file may narrow, never open (docs/security.md).

use crate::config::ConfigError;
use crate::config::read;
use crate::model::HostEnv;
use serde::Deserialize;
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

/// How far a project's file is believed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// There is no file.
    #[default]
    NoFile,
    /// Nobody trusted it.
    Untrusted,
    /// It was trusted and has changed since.
    Changed,
    /// It is trusted as it is.
    Trusted,
}

impl Trust {
    /// In words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Trust::NoFile => "no regreen.toml",
            Trust::Untrusted => "untrusted",
            Trust::Changed => "untrusted (changed since it was trusted)",
            Trust::Trusted => "trusted",
        }
    }
}

/// The record of one trusted file.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    file: PathBuf,
    hash: String,
}

/// The hash that stands for a text.
pub fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn record_path(host: &HostEnv, file: &Path) -> PathBuf {
    let name = blake3::hash(file.as_os_str().as_encoded_bytes()).to_hex();
    host.state_dir()
        .join("trust")
        .join(format!("{}.json", &name[..32]))
}

/// How far this text of `file` is believed.
pub fn state(host: &HostEnv, file: &Path, text: &str) -> Trust {
    let Ok(bytes) = std::fs::read(record_path(host, file)) else {
        return Trust::Untrusted;
    };
    match serde_json::from_slice::<Record>(&bytes) {
        Ok(record) if record.file == file && record.hash == hash(text) => Trust::Trusted,
        Ok(record) if record.file == file => Trust::Changed,
        _ => Trust::Untrusted,
    }
}

/// Records trust in this text of `file`.
pub fn grant(host: &HostEnv, file: &Path, text: &str) -> Result<(), ConfigError> {
    let path = record_path(host, file);
    let record = Record {
        file: file.to_owned(),
        hash: hash(text),
    };
    write(&path, &record).map_err(|source| ConfigError::Unwritable { path, source })
}

fn write(path: &Path, record: &Record) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let dir = path.parent().unwrap_or(Path::new("/"));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Takes trust back. Says whether there was any.
pub fn revoke(host: &HostEnv, file: &Path) -> Result<bool, ConfigError> {
    let path = record_path(host, file);
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(ConfigError::Unwritable { path, source }),
    }
}

/// The file of a project and its text, if there is one.
pub fn subject(root: &Path) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let file = read::project_file(root);
    Ok(read::project_text(&file)?.map(|text| (file, text)))
}
