//! Runs: one suite at one snapshot in one sandbox, from the command to the report.

mod artifacts;
mod attempt;
mod build;
mod collect;
pub mod command;
mod execute;
mod find;
pub mod flaky;
mod ground;
pub mod history;
pub mod layer;
mod limits;
mod notes;
mod once;
mod prepare;
pub mod queue;
pub mod reuse;
pub mod rundir;
pub mod runners;
pub mod select;
pub mod services;
pub mod setup;
pub mod shim;
mod sources;
mod space;
mod tail;

pub use attempt::Key;
pub use execute::Job;
pub use execute::execute;
pub use ground::Ground;
pub use once::OnceError;
pub use once::once;
pub use prepare::entropy;

use crate::config::BackendName;
use crate::model::HostEnv;
use crate::model::Timestamp;
use crate::sandbox::Backend;
use crate::sandbox::bwrap::Bwrap;
use crate::sandbox::bwrap::Options;
use crate::sandbox::engine::Engine;
use crate::sandbox::none::NoSandbox;
use crate::sandbox::scope;

/// The time on the wall.
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |time| time.as_millis());
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// The backend of a name. None is ever replaced by a weaker one.
pub fn backend(name: BackendName, host: &HostEnv) -> Box<dyn Backend> {
    match name {
        BackendName::Bwrap => {
            let options = Options {
                cgroup: scope::ours(),
                ..Options::default()
            };
            Box::new(Bwrap::new(host, options))
        }
        BackendName::Engine => Box::new(Engine::new(host)),
        BackendName::None => Box::new(NoSandbox::new(host)),
    }
}
