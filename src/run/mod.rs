//! Owned by a later commit.

pub mod queue;
