//! What the JavaScript frameworks have in common.

pub(crate) mod stack;
