//! Loops: the state machine that takes a branch from red to green (design section 7).
//!
//! [`machine`], [`brief`], [`gate`], [`inventory`], [`integrity`] and [`progress`] are pure:
//! they decide. `driver` carries out what they decided and journals it before it does.

pub mod brief;
pub mod gate;
pub mod inventory;
pub mod machine;
pub mod progress;
