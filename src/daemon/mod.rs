//! The daemon: one hub that owns all state, the effects that carry out its decisions, and
//! [`Handle`], the only door for the command line and the API.

mod actor;
mod direct;
mod effects;
mod files;
mod handle;
mod hub;
mod instance;
mod loops;
mod recover;
mod site;
mod start;
mod statuses;
mod systemd;

pub use crate::run::OnceError;
pub use direct::FixError;
pub use direct::LoopWatch;
pub use direct::ReportError;
pub use direct::Reported;
pub use direct::ServiceError;
pub use direct::ServiceState;
pub use direct::SlotsError;
pub use direct::StatusPlace;
pub use direct::TrustView;
pub use handle::Handle;
pub use instance::Instance;
pub use instance::InstanceError;
pub use start::Audience;
pub use start::Daemon;
pub use start::Options;
pub use start::StartError;
pub use start::adopt_orphans;
pub use start::guard;
pub use start::set_up;
pub use start::warning;
