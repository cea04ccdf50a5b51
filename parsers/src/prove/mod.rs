//! Reads `prove`.

use crate::context::Context;
use crate::generic::GenericRun;
use crate::live::Adapter;
use crate::request::Asked;
use crate::request::Request;

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(GenericRun::new(context))
}

/// Asks for structure.
pub(crate) fn request(asked: &Asked<'_>) -> Request {
    Request::plain(asked.argv)
}

/// What a rerun begins with.
pub(crate) fn tool(_argv: &[String]) -> Vec<String> {
    Vec::new()
}
