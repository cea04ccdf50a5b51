//! The machine: `step(state, input, now) -> effects`, the whole of a loop's decisions (pure).
//!
//! ```text
//! queued → preparing → baseline → turn → testing → gating → (turn | stopped)
//! ```
//! At any time at most one effect that asks for an answer is pending; it is kept in
//! [`LoopState::pending`], so that the state alone says how to go on after a kill. The driver
//! writes the state down before it carries the effect out.
//!
//! Invariants, held by properties in `tests`: any sequence of inputs ends within the budget;
//! `passed` is never said unless every gate passed on the commit that the loop ends with.

mod ladder;
mod state;
mod step;
#[cfg(test)]
mod tests;
mod words;

pub use state::*;
pub use step::step;
pub use words::*;
