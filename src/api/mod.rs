//! HTTP `/v1` over a unix socket that only its owner can use, and the client for it.
//!
//! | route | what |
//! |---|---|
//! | `GET /v1/healthz` | who is there |
//! | `GET, POST /v1/projects` | what is watched; watch a worktree |
//! | `GET, DELETE /v1/projects/{id}` | a project's status; watch it no longer |
//! | `POST /v1/projects/{id}/pause`, `…/resume` | start no runs; start runs again |
//! | `POST /v1/projects/{id}/runs` | run its suites, or one of them |
//! | `GET, DELETE /v1/runs/{id}` | a run's record; end it |
//! | `POST /v1/gc` | remove what is no longer needed |
//!
//! Errors are `application/problem+json` (RFC 9457) with a stable code and a remedy.

pub mod client;
mod routes;
mod socket;

pub use socket::ServeError;
pub use socket::Server;
