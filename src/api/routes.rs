//! The routes: each a thin shell over [`Handle`].

use crate::daemon::Handle;
use crate::model::ProjectId;
use crate::model::RunId;
use crate::model::status::Status;
use crate::model::wire::AcceptedRuns;
use crate::model::wire::AddProject;
use crate::model::wire::Collect;
use crate::model::wire::Collected;
use crate::model::wire::Health;
use crate::model::wire::Problem;
use crate::model::wire::ProjectInfo;
use crate::model::wire::RunRecord;
use crate::model::wire::StartRuns;
use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde::de::DeserializeOwned;

/// Everything that is served.
pub(super) fn router(handle: Handle) -> Router {
    Router::new()
        .route("/v1/healthz", get(health))
        .route("/v1/projects", get(projects).post(add))
        .route("/v1/projects/{id}", get(status).delete(remove))
        .route("/v1/projects/{id}/pause", post(pause))
        .route("/v1/projects/{id}/resume", post(resume))
        .route("/v1/projects/{id}/runs", post(start_runs))
        .route("/v1/runs/{id}", get(run).delete(cancel))
        .route("/v1/gc", post(collect))
        .fallback(unknown)
        .with_state(handle)
}

/// A refusal on its way out.
struct Refused(Problem);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Refused(problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}

type Answered<T> = Result<Json<T>, Refused>;

/// The body as JSON; an empty one is the default where there is one.
fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Problem> {
    let bytes = if bytes.is_empty() { b"{}" } else { &bytes[..] };
    serde_json::from_slice(bytes).map_err(|error| {
        let text = format!("the request's body is not understood: {error}");
        Problem::new(400, "bad_request", text)
    })
}

async fn unknown() -> Refused {
    Refused(Problem::new(404, "no_such_route", "there is no such route"))
}

async fn health(State(handle): State<Handle>) -> Answered<Health> {
    Ok(Json(handle.health().await?))
}

async fn projects(State(handle): State<Handle>) -> Answered<Vec<ProjectInfo>> {
    Ok(Json(handle.projects().await?))
}

async fn add(State(handle): State<Handle>, bytes: Bytes) -> Answered<ProjectInfo> {
    let wish: AddProject = body(&bytes)?;
    if !wish.path.is_absolute() {
        let text = format!("`{}` is not an absolute path", wish.path.display());
        return Err(Refused(Problem::new(400, "bad_request", text)));
    }
    Ok(Json(handle.add(&wish.path, wish.foreground).await?))
}

async fn status(State(handle): State<Handle>, Path(id): Path<String>) -> Answered<Box<Status>> {
    let project = ProjectId::new(id);
    Ok(Json(handle.project_status(&project).await?))
}

async fn remove(
    State(handle): State<Handle>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    handle.remove(&ProjectId::new(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn pause(
    State(handle): State<Handle>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    handle.pause(&ProjectId::new(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn resume(
    State(handle): State<Handle>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    handle.resume(&ProjectId::new(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn start_runs(
    State(handle): State<Handle>,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<AcceptedRuns>), Refused> {
    let wish: StartRuns = body(&bytes)?;
    let accepted = handle.start_runs(&ProjectId::new(id), wish.suite).await?;
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

async fn run(State(handle): State<Handle>, Path(id): Path<String>) -> Answered<RunRecord> {
    Ok(Json(handle.run_record(&RunId::new(id)).await?))
}

async fn cancel(
    State(handle): State<Handle>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    handle.cancel(&RunId::new(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn collect(State(handle): State<Handle>, bytes: Bytes) -> Answered<Collected> {
    let wish: Collect = body(&bytes)?;
    Ok(Json(handle.collect_garbage(wish.dry_run).await?))
}
