//! Slots: regreen-owned directories, each with a copy of a worktree, a home and a `/tmp`,
//! below `$XDG_CACHE_HOME/regreen`.
//!
//! A slot is held by an flock and says by a marker beside it what it is used for, so that
//! whatever a killed process leaves behind can be told from what is in use.

mod error;
mod lease;
mod size;

pub use error::SlotError;
pub use lease::Lease;
pub use lease::Purpose;
pub use lease::Slot;
pub use lease::SlotInfo;
pub use lease::Slots;
pub(crate) use size::clone_or_copy;
pub(crate) use size::copy_all;
pub(crate) use size::names;
pub(crate) use size::on_disk;
