//! Child processes: everything that regreen starts goes through here.
//!
//! One thread that lives as long as regreen forks every child ([`Spawner`]), because
//! `PR_SET_PDEATHSIG` follows the *thread* that forked: a child of a pool thread would be killed
//! when the pool shrinks. A child gets an environment, descriptors and a session of its own;
//! [`supervise`] streams its output, holds it to its limits and ends its whole tree.
//!
//! Deliberately absent: shells, `PATH` of regreen itself, inherited anything.

mod capture;
mod child;
mod command;
mod courtesy;
mod guard;
mod orphans;
mod spawner;
mod supervise;
mod tree;
mod usage;

pub use capture::Chunk;
pub use capture::Stream;
pub use child::Child;
pub use child::Collected;
pub use child::Status;
pub use command::Command;
pub use command::Input;
pub use command::Rlimits;
pub use courtesy::Courtesy;
pub use guard::Guard;
pub use orphans::Heir;
pub use orphans::adopt_orphans;
pub use spawner::Spawner;
pub use spawner::calm;
pub use spawner::sealed_file;
pub use supervise::Ending;
pub use supervise::Heartbeat;
pub use supervise::Leader;
pub use supervise::LimitHit;
pub use supervise::Printed;
pub use supervise::Supervised;
pub use supervise::Supervision;
pub use supervise::supervise;
pub use supervise::supervise_any;
pub use tree::Tree;
pub use tree::start_time;
pub use usage::Usage;
