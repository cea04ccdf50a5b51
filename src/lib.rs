//! regreen watches git worktrees, tests every change in a sandbox, keeps a status file true,
//! and drives coding agents in a bounded loop until the tests pass.
//!
//! The modules stand in the order of the layers, lowest first; a module imports only lower
//! ones. `docs/architecture.md` says why, `tests/layering.rs` checks it.

pub mod model;

pub mod config;
pub mod process;
pub mod telemetry;

pub mod git;

pub mod agent;
pub mod sandbox;
pub mod store;
pub mod suite;
pub mod watch;

pub mod memory;
pub mod run;

pub mod workspace;

pub mod iteration;

pub mod daemon;

pub mod api;

pub mod cli;
