//! What the JavaScript frameworks have in common.

pub(crate) mod argv;
pub(crate) mod documents;
pub(crate) mod hook;
pub(crate) mod inject;
pub(crate) mod load;
pub(crate) mod loose;
pub(crate) mod raised;
pub(crate) mod results;
pub(crate) mod sessions;
pub(crate) mod settle;
pub(crate) mod sides;
pub(crate) mod stack;
pub(crate) mod thrown;
pub(crate) mod xml;
