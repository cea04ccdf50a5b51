//! What regreens that are gone left in an engine: found by label and removed, never somebody
//! else's. Mostly there is nothing: a container ends with its regreen.

use crate::sandbox::engine::container::remove;
use crate::sandbox::engine::label;
use crate::sandbox::engine::link::Link;
use crate::sandbox::engine::link::words;
use bollard::query_parameters::ListContainersOptions;
use std::collections::HashMap;

/// States of containers that are asked for one by one: the client refuses a whole list for one
/// state that it does not know, and Podman has such, for what is about to go by itself.
const STATES: [&str; 4] = ["running", "created", "exited", "paused"];

/// Removes what was left; answers how many containers that were.
pub async fn reap(link: &Link) -> usize {
    let mut removed = 0;
    for state in STATES {
        removed += reap_in(link, state).await;
    }
    removed
}

async fn reap_in(link: &Link, state: &str) -> usize {
    let ours = format!("{}={}", label::DOMAIN, label::domain());
    let filters = HashMap::from([
        ("label".to_owned(), vec![ours]),
        ("status".to_owned(), vec![state.to_owned()]),
    ]);
    let options = ListContainersOptions {
        all: true,
        filters: Some(filters),
        ..ListContainersOptions::default()
    };
    let all = match link.docker.list_containers(Some(options)).await {
        Ok(all) => all,
        Err(error) => {
            tracing::warn!(
                error = words(error),
                state,
                "left containers cannot be looked for"
            );
            return 0;
        }
    };
    let mut removed = 0;
    for container in all {
        // Looked at here once more: an engine that does not know the filter answers everything.
        let left = container.labels.as_ref().is_some_and(label::is_left_over);
        if let Some(id) = container.id.filter(|_| left) {
            tracing::warn!(container = id, "removing what a dead regreen left");
            remove(link, &id).await;
            removed += 1;
        }
    }
    removed
}
