//! `regreen remove`: has the daemon forget a worktree.

use crate::api::client::Client;
use crate::api::client::ClientError;
use crate::cli::out;
use crate::cli::place::Place;
use crate::cli::remote;
use crate::daemon::Handle;
use crate::model::EXIT_OK;
use crate::model::HostEnv;
use crate::model::ProjectId;
use std::path::Path;
use std::path::PathBuf;

/// Has the daemon forget a worktree.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing in the worktree is touched. PATH may also be that of a worktree that is gone, or a project's id."
)]
pub struct Args {
    #[command(flatten)]
    at: Place,
}

/// Runs the command and answers its exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let handle = Handle::local(HostEnv::capture());
    let removed = remote::small_runtime()?.block_on(remove(&handle, args.at.path()));
    Ok(match removed {
        Ok(path) => {
            out::tell(format!(
                "no longer watching `{path}`: its status is the last word until `regreen add` or \
                 `regreen watch` watches it again; its runs and its copy stay until `regreen gc` \
                 finds them old",
                path = path.display()
            ));
            EXIT_OK
        }
        Err(error) => remote::failed(&error),
    })
}

async fn remove(handle: &Handle, path: &Path) -> Result<PathBuf, ClientError> {
    let client = Client::connect(handle.host()).await?;
    let (id, path) = match registered(&client, path).await? {
        Some(found) => found,
        None => handle.project_at(path)?,
    };
    let removed = client.remove(&id).await;
    removed.map_err(|error| remote::by_path(error, &path))?;
    Ok(path)
}

/// What is watched under exactly this path or id, whatever stands there now.
async fn registered(
    client: &Client,
    path: &Path,
) -> Result<Option<(ProjectId, PathBuf)>, ClientError> {
    let whole = absolute(path);
    let is_meant = |id: &ProjectId, known: &Path| {
        known == path || Some(known) == whole.as_deref() || Path::new(id.as_str()) == path
    };
    let projects = client.projects().await?;
    let found = projects.into_iter().find(|p| is_meant(&p.id, &p.path));
    Ok(found.map(|project| (project.id, project.path)))
}

/// The path from the root, with the links in what still exists of it followed.
fn absolute(path: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(path).ok()?;
    let stands = whole.ancestors().find_map(|above| {
        let found = above.canonicalize().ok()?;
        Some((found, whole.strip_prefix(above).ok()?))
    });
    let (above, rest) = stands?;
    // Joining nothing would leave a slash at the end.
    Some(match rest.as_os_str().is_empty() {
        true => above,
        false => above.join(rest),
    })
}
