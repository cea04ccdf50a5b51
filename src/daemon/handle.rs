//! [`Handle`]: the only door of the command line and the API to everything below.

use crate::model::HostEnv;
use std::sync::Arc;

/// The only door of the command line and the API to everything below. Cheap to clone.
///
/// A local handle works without a daemon: it offers what `daemon::direct` delegates. To talk
/// to a running daemon the command line uses `api::client` instead.
#[derive(Debug, Clone)]
pub struct Handle {
    host: Arc<HostEnv>,
}

impl Handle {
    /// A handle without a daemon, for the stateless verbs.
    pub fn local(host: HostEnv) -> Self {
        Handle {
            host: Arc::new(host),
        }
    }

    /// The machine as regreen was started on it.
    pub fn host(&self) -> &HostEnv {
        &self.host
    }
}
