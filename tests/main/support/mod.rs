//! The builder of hermetic test places, to be read like sentences:
//!
//! ```ignore
//! let home = Home::new();
//! let project = home.project("demo").file("Cargo.toml", MANIFEST).file("src/lib.rs", RED).committed();
//! project.regreen(["run", "--json"]).run().exits(100);
//! let daemon = home.regreen(["daemon"]).start();
//! project.write("src/lib.rs", GREEN);
//! project.status_until("green", |status| status["verdict"] == "green");
//! ```
//!
//! Every `Home` is a temporary directory with its own `HOME` and XDG directories; nothing of
//! the user's is read, except the toolchains, which are passed by `CARGO_HOME`,
//! `RUSTUP_HOME` and `PATH`.
#![allow(
    dead_code,
    unused_imports,
    clippy::allow_attributes,
    reason = "not every area uses every word of this vocabulary, and which ones changes daily"
)]

mod engines;
mod home;
mod invocation;
mod project;
mod require;
mod toolchain;
mod wait;

pub use engines::TestEngine;
pub use home::Home;
pub use invocation::Invocation;
pub use invocation::Ran;
pub use invocation::Started;
pub use invocation::command;
pub use project::Fingerprint;
pub use project::Project;
pub use project::ProjectBuilder;
pub use project::copy_tree;
pub use project::fixtures;
pub use require::full_tier;
pub use require::is_root;
pub use require::require;
pub use require::say;
pub use toolchain::as_ordinary_user;
pub use toolchain::node_tools;
pub use toolchain::pytest_venv;
pub use toolchain::repository;
pub use wait::for_end_of;
pub use wait::until;
pub use wait::until_changed;
