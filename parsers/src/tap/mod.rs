//! Reads TAP.

use crate::context::Context;
use crate::generic::GenericRun;
use crate::live::Adapter;

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(GenericRun::new(context))
}
