//! Turns the output of test runners and compilers into one structured [`Report`].
//!
//! The crate is pure: no I/O, no clock, no threads. Parsing never fails and never panics;
//! whatever the bytes are, a report comes out that says how far they could be believed.

pub mod event;
pub mod report;

pub use event::TestEvent;
pub use report::*;
