//! What is mirrored beyond what git does not ignore, and why something is not.

use serde::Deserialize;
use serde::Serialize;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The user's choices for a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorRules {
    /// Paths (relative to the worktree) that go in although they look like credentials or are
    /// ignored.
    pub include: Vec<PathBuf>,
    /// Ignored directories to carry besides the well-known ones.
    pub carry: Vec<PathBuf>,
    /// Of the carried directories, those that tests must write to: private copies.
    pub carry_writable: Vec<PathBuf>,
    /// Untracked files above this size are hashed and not stored.
    pub large_bytes: u64,
    /// Whether build caches are seeded from the user's own.
    pub seed: bool,
}

impl Default for MirrorRules {
    fn default() -> Self {
        MirrorRules {
            include: Vec::new(),
            carry: Vec::new(),
            carry_writable: Vec::new(),
            large_bytes: 16 << 20,
            seed: true,
        }
    }
}

/// Why something of the worktree is not in the slot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// An untracked file that looks like a credential.
    Credential(Credential),
    /// The system does not let it be read, and said why.
    Unreadable(String),
    /// Something other than a file, a directory or a link.
    Special(Special),
    /// A submodule whose commit is not on this machine.
    NoCommit,
}

/// What a file looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// An environment file.
    Environment,
    /// A tool's own file for passwords.
    Password,
    /// A key of SSH, by its name.
    SshKey,
    /// It begins with a private-key header.
    PrivateKey,
}

/// What is neither a file nor a directory nor a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Special {
    /// A pipe with a name.
    Fifo,
    /// A socket.
    Socket,
    /// A device.
    Device,
}

impl MirrorRules {
    /// Stands for what the user named.
    pub(crate) fn named(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for path in &self.include {
            hasher.update(path.as_os_str().as_bytes());
            hasher.update(b"\0");
        }
        hasher.finalize().to_hex().to_string()
    }
}

impl Reason {
    /// What the system said when it was read.
    pub(crate) fn unreadable(error: &io::Error) -> Reason {
        Reason::Unreadable(error.to_string())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Credential(what) => {
                let looks = match what {
                    Credential::Environment => "it may hold secrets",
                    Credential::Password => "it may hold a password or token",
                    Credential::SshKey => "it looks like an SSH key",
                    Credential::PrivateKey => "it begins with a private-key header",
                };
                write!(
                    f,
                    "{looks}: name it under `include` in your configuration if the tests need it"
                )
            }
            Reason::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Reason::Special(kind) => {
                let kind = match kind {
                    Special::Fifo => "FIFO",
                    Special::Socket => "socket",
                    Special::Device => "device",
                };
                write!(
                    f,
                    "it is a {kind}: only files, directories and links are copied"
                )
            }
            Reason::NoCommit => {
                f.write_str("the submodule's commit is not here: run `git submodule update --init`")
            }
        }
    }
}
