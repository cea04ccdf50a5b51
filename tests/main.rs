//! The integration tests, one binary: each area is a module below `tests/main/`.
//!
//! A test that needs a part of the machine says `require("bwrap")` (see `support`): without
//! the part it is skipped loudly, or fails where `REGREEN_REQUIRE` names it.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests may unwrap as a test may"
)]

#[path = "main/support/mod.rs"]
mod support;

// One area a line, in alphabetical order; the file is `tests/main/<area>.rs`.
#[path = "main/bad_input.rs"]
mod bad_input;
#[path = "main/contract.rs"]
mod contract;
#[path = "main/daemon.rs"]
mod daemon;
#[path = "main/documents.rs"]
mod documents;
#[path = "main/e2e.rs"]
mod e2e;
#[path = "main/fix/mod.rs"]
mod fix;
#[path = "main/fixtures.rs"]
mod fixtures;
#[path = "main/harness.rs"]
mod harness;
#[path = "main/hostile.rs"]
mod hostile;
#[path = "main/killed.rs"]
mod killed;
#[path = "main/liveness.rs"]
mod liveness;
#[path = "main/lost.rs"]
mod lost;
#[path = "main/mirror/mod.rs"]
mod mirror;
#[path = "main/process.rs"]
mod process;
#[path = "main/run/mod.rs"]
mod run;
#[path = "main/sandbox/mod.rs"]
mod sandbox;
#[path = "main/status_schema.rs"]
mod status_schema;
#[path = "main/systemd.rs"]
mod systemd;
#[path = "main/tour.rs"]
mod tour;
#[path = "main/triggers.rs"]
mod triggers;
#[path = "main/trouble.rs"]
mod trouble;
#[path = "main/untouched.rs"]
mod untouched;
#[path = "main/watch.rs"]
mod watch;
