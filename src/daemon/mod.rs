//! The daemon: one hub that owns all state, the effects that carry out its decisions, and
//! [`Handle`], the only door for the command line and the API.

mod direct;
mod handle;
mod hub;
mod instance;

pub use crate::run::OnceError;
pub use direct::FixError;
pub use direct::LoopWatch;
pub use direct::ReportError;
pub use direct::TrustView;
pub use handle::Handle;
pub use instance::Instance;
pub use instance::InstanceError;
