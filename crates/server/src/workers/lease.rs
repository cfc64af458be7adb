//! What is reported on one task: that it is alive, that it is done, that it has failed.

use axum::Json;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;
use surefoot::{Beat, LeaseError, Settled, TaskError};
use surefoot_client::wire::{
    CompleteTask, FailTask, Heartbeat, HeartbeatAnswer, SettledTask, TaskFailure,
};

use super::{refused, unknown_lease};
use crate::auth::Principal;
use crate::body::{Json as Body, MaybeJson};
use crate::problem::Problem;
use crate::service::Service;

/// Bytes of an error's message that are kept, and of its type.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;
const TYPE_BYTES_MAX: usize = 64;
/// The type of error of an attempt whose result cannot be kept.
const INVALID: &str = "result_invalid";
/// Levels of log lines.
const LEVELS: [&str; 6] = ["debug", "info", "warn", "error", "stdout", "stderr"];

/// How a task ended.
pub(super) enum Outcome {
    Completed(Value),
    Failed(TaskFailure),
}

/// Says that a task is alive, and how far it is.
#[utoipa::path(post, path = "/v1/leases/{lease}/heartbeat", tag = "workers", params(("lease" = String, Path)), request_body = Option<Heartbeat>,
    responses((status = 200, description = "It counts anew", body = HeartbeatAnswer)))]
pub(super) async fn heartbeat(
    State(service): State<Service>,
    principal: Principal,
    Path(lease): Path<String>,
    MaybeJson(said): MaybeJson<Heartbeat>,
) -> Result<Json<HeartbeatAnswer>, Problem> {
    must_hold(&service, &principal, &lease)?;
    let level = |it: String| if LEVELS.contains(&&*it) { it } else { "info".to_owned() };
    let beat = Beat {
        progress: said.progress.map(|it| it.clamp(0.0, 1.0)),
        message: said.message,
        logs: said.logs.into_iter().map(|it| (level(it.level), it.text)).collect(),
    };
    let alive = service.engine().beat(&lease, None, beat).await.map_err(refused)?;
    let lease_expires_in_ms = alive.expires_in.as_millis() as u64;
    Ok(Json(HeartbeatAnswer { cancel: alive.cancel, lease_expires_in_ms }))
}

/// Reports that a task is done. The same result may be sent again.
#[utoipa::path(post, path = "/v1/leases/{lease}/complete", tag = "workers", params(("lease" = String, Path)), request_body = CompleteTask,
    responses((status = 200, description = "It is durable", body = SettledTask)))]
pub(super) async fn complete(
    State(service): State<Service>,
    principal: Principal,
    Path(lease): Path<String>,
    request: Request,
) -> Result<Json<SettledTask>, Problem> {
    must_hold(&service, &principal, &lease)?;
    let said: CompleteTask = read(&service, &lease, request).await?;
    settled(settle(&service, &lease, None, Outcome::Completed(said.output)).await?)
}

/// Reports that a task has failed.
#[utoipa::path(post, path = "/v1/leases/{lease}/fail", tag = "workers", params(("lease" = String, Path)), request_body = FailTask,
    responses((status = 200, description = "It is durable", body = SettledTask)))]
pub(super) async fn fail(
    State(service): State<Service>,
    principal: Principal,
    Path(lease): Path<String>,
    request: Request,
) -> Result<Json<SettledTask>, Problem> {
    must_hold(&service, &principal, &lease)?;
    let said: FailTask = read(&service, &lease, request).await?;
    settled(settle(&service, &lease, None, Outcome::Failed(said.error)).await?)
}

fn settled(it: Settled) -> Result<Json<SettledTask>, Problem> {
    Ok(Json(SettledTask { run: it.run.to_string(), task: it.task, attempt: it.attempt }))
}

/// A lease of another's worker is as good as none. One that has ended says so itself.
fn must_hold(service: &Service, principal: &Principal, lease: &str) -> Result<(), Problem> {
    match service.engine().lease_holder(lease) {
        Ok(worker) if service.workers().hear(&worker, principal, service.now()) => Ok(()),
        Ok(_) | Err(LeaseError::Unknown) => Err(unknown_lease()),
        Err(_) => Ok(()),
    }
}

/// Reads a result. One that cannot be kept fails its attempt, so that the task is not stuck with a
/// worker that can only send it again.
async fn read<T: DeserializeOwned>(
    service: &Service,
    lease: &str,
    request: Request,
) -> Result<T, Problem> {
    match Body::from_request(request, service).await {
        Ok(Body(said)) => Ok(said),
        Err(problem) => {
            let cannot_be_kept = [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNPROCESSABLE_ENTITY];
            if cannot_be_kept.contains(&problem.status()) {
                let why = problem.to_wire();
                let why = why.detail.unwrap_or(why.title);
                give_up(service, lease, None, &why).await?;
            }
            Err(problem)
        }
    }
}

async fn give_up(
    service: &Service,
    lease: &str,
    worker: Option<&str>,
    why: &str,
) -> Result<(), Problem> {
    let error = TaskError::fatal(INVALID, format!("its result cannot be kept: {why}"));
    service.engine().settle(lease, worker, Err(error)).await.map_err(refused)?;
    Ok(())
}

/// Tells the engine how a task ended.
pub(super) async fn settle(
    service: &Service,
    lease: &str,
    worker: Option<&str>,
    outcome: Outcome,
) -> Result<Settled, Problem> {
    let limit = service.engine().limits().payload_bytes;
    let fits = |it: &Value| surefoot::core::run::size(it, limit + 1) <= limit;
    let result = match outcome {
        Outcome::Completed(output) if !fits(&output) => {
            let why = format!("it has more than {limit} bytes (limits.payload_bytes)");
            give_up(service, lease, worker, &why).await?;
            let title = "the result is too large, and its attempt has failed";
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "SF4068", title)
                .detail(why)
                .hint("Store large data outside, and return where it is."));
        }
        Outcome::Completed(output) => Ok(output),
        Outcome::Failed(error) => {
            let details = if fits(&error.details) { error.details } else { Value::Null };
            Err(TaskError {
                kind: clipped(error.kind, TYPE_BYTES_MAX),
                message: clipped(error.message, MESSAGE_BYTES_MAX),
                retryable: error.retryable,
                status: None,
                retry_after_ms: error.retry_after_ms,
                details,
            })
        }
    };
    service.engine().settle(lease, worker, result).await.map_err(refused)
}

fn clipped(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}
