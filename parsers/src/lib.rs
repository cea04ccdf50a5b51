//! Turns the output of test runners and compilers into one structured [`Report`].
//!
//! The crate is pure: no I/O, no clock, no threads. Parsing never fails and never panics;
//! whatever the bytes are, a report comes out that says how far they could be believed.
//!
//! Two ways in: [`parse`] takes everything that a finished run left behind, [`Live`] takes
//! the bytes while they come and says at once what became known.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod auto;
mod bats;
pub mod cargo;
mod cc;
mod compose;
mod context;
mod ctest;
pub mod event;
pub mod export;
mod fingerprint;
pub mod generic;
mod go;
mod gtest;
mod javac;
mod jest;
mod js;
pub mod junit;
mod libtest;
mod lines;
mod lint;
mod live;
mod minitest;
mod mixed;
mod mocha;
mod names;
pub mod nextest;
mod node;
mod phpunit;
mod prove;
pub mod pytest;
mod python;
mod records;
pub mod report;
pub mod request;
mod rspec;
mod ruby;
mod stamps;
mod tap;
mod text;
mod tree;
mod unittest;
mod vitest;

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
pub use request::Places;
pub use request::Refused;
pub use request::Request;
pub use request::request;
pub use request::tool;
pub use text::clean;
pub use tree::Files;
pub use tree::Tree;
