//! The nouns: pure types that every other module speaks in. No I/O, no async, no clock.

mod budget;
mod change;
mod doctor;
mod event;
mod exit;
mod fix;
mod host;
mod hosts;
mod ids;
mod run;
mod slots;
pub mod status;
mod stop;
mod suite;
mod time;
mod verdict;
pub mod wire;

pub use budget::*;
pub use change::*;
pub use doctor::*;
pub use event::*;
pub use exit::*;
pub use fix::*;
pub use host::*;
pub use hosts::*;
pub use ids::*;
pub use regreen_parsers::event::TestEvent;
pub use regreen_parsers::report::*;
pub use run::*;
pub use slots::*;
pub use status::Status;
pub use stop::*;
pub use suite::*;
pub use time::*;
pub use verdict::*;
pub use wire::Problem;
