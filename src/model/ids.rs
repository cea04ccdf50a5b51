//! Identities. Each is a newtype over its printed form, so that none can stand for another.

use crate::model::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the printed form as it is.
            pub fn new(text: impl Into<String>) -> Self {
                $name(text.into())
            }

            /// The printed form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// A watched worktree: 16 hex digits of the hash of its canonical path.
    ProjectId
}
id! {
    /// A git tree id, 40 hex digits.
    SnapshotId
}
id! {
    /// A run; sorts by time of creation.
    RunId
}
id! {
    /// A fix loop; sorts by time of creation.
    LoopId
}
id! {
    /// An agent's lease of a branch, a mirror and a sandbox.
    WorkspaceId
}
id! {
    /// Everything besides snapshot and suite that a verdict may depend on, hashed.
    EnvironmentHash
}

impl RunId {
    /// A new id from the time and a random number.
    pub fn make(now: Timestamp, entropy: u64) -> Self {
        RunId(sortable('r', now, entropy))
    }
}

impl LoopId {
    /// A new id from the time and a random number.
    pub fn make(now: Timestamp, entropy: u64) -> Self {
        LoopId(sortable('l', now, entropy))
    }
}

impl WorkspaceId {
    /// A new id from the time and a random number.
    pub fn make(now: Timestamp, entropy: u64) -> Self {
        WorkspaceId(sortable('w', now, entropy))
    }
}

/// Crockford's base 32: no letter that looks like a digit; lower case, so that it can stand
/// in a branch name on any file system.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn sortable(prefix: char, now: Timestamp, entropy: u64) -> String {
    let mut text = String::with_capacity(16);
    text.push(prefix);
    for (value, digits) in [(now.millis() as u64, 9), (entropy, 5)] {
        for place in (0..digits).rev() {
            text.push(DIGITS[((value >> (5 * place)) & 31) as usize] as char);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let early = RunId::make(Timestamp::from_millis(1_000), u64::MAX);
        let late = RunId::make(Timestamp::from_millis(1_001), 0);
        assert!(early < late, "{early} {late}");
        assert_eq!(early.as_str().len(), 15);
    }
}
