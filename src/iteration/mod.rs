//! Loops: the state machine that takes a branch from red to green (design section 7).
//!
//! [`machine`], [`brief`], [`gate`], [`inventory`], [`integrity`] and [`progress`] are pure:
//! they decide. `driver` carries out what they decided and journals it before it does.

pub mod brief;
mod carry;
pub mod driver;
mod error;
mod files;
pub mod gate;
pub mod inventory;
mod junk;
pub mod landing;
pub mod machine;
pub mod progress;
mod record;
pub mod records;
pub mod setup;
pub mod sweep;

pub use error::LoopError;
pub use files::LoopFiles;
pub use record::AgentSpec;
pub use record::LoopRecord;
pub use record::Start;
