//! What the JavaScript frameworks have in common.

pub(crate) mod load;
pub(crate) mod stack;
pub(crate) mod thrown;
