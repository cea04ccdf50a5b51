//! Rust's own test harness: its JSON stream, its text, and what a panic looks like.

pub(crate) mod backtrace;
mod crates;
pub(crate) mod failure;
pub(crate) mod json;
mod loose;
pub(crate) mod panic;
pub(crate) mod sides;
pub(crate) mod text;
