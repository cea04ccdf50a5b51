//! What the command line can ask without a daemon: one file a topic, each a thin
//! `impl Handle` over the layer that does the work.

mod config;
mod doctor;
mod fix;
mod gc;
mod logs;
mod run;
mod service;
mod slots;
mod status;
mod trust;

pub use fix::FixError;
pub use fix::LoopWatch;
pub use run::ReportError;
pub use run::Reported;
pub use service::ServiceError;
pub use service::ServiceState;
pub use slots::SlotsError;
pub use status::StatusPlace;
pub use trust::TrustView;
