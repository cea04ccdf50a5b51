//! Turns the output of test runners and compilers into one structured [`Report`].
//!
//! The crate is pure: no I/O, no clock, no threads. Parsing never fails and never panics;
//! whatever the bytes are, a report comes out that says how far they could be believed.
//!
//! Two ways in: [`parse`] takes everything that a finished run left behind, [`Live`] takes
//! the bytes while they come and says at once what became known.
#![doc = ""]
#![doc = include_str!("../README.md")]

pub mod cargo;
mod compose;
mod context;
pub mod event;
pub mod export;
mod fingerprint;
pub mod generic;
pub mod junit;

mod libtest;
mod lines;
mod live;
pub mod nextest;
pub mod pytest;
pub mod report;
mod text;

pub use context::Context;
pub use event::TestEvent;
pub use live::End;
pub use live::Format;
pub use live::Input;
pub use live::Live;
pub use live::ReportFile;
pub use live::Stream;
pub use live::parse;
pub use report::*;
pub use text::clean;
