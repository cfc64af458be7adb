//! Changing a run. Every verb is idempotent, says who asked and why, and answers with the run.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use surefoot::Command;
use surefoot_client::wire::{Control, Rewind, Run, SetResult, Skip};

use crate::auth::Principal;
use crate::body::Json as Body;
use crate::body::{AnyJson, MaybeJson};
use crate::problem::Problem;
use crate::service::Service;

/// Carries a command out and returns the run as it is then.
async fn carry_out(
    service: &Service,
    principal: &Principal,
    id: &str,
    command: Command,
    reason: Option<String>,
) -> Result<Json<Run>, Problem> {
    let row = super::row(service, principal, id).await?;
    service.engine().command(row.id, command, principal.by(reason)).await?;
    Ok(Json(super::of_run(&service.engine().load(row.id).await?)))
}

/// Sends a signal, or the event of a machine. The body is its data.
#[utoipa::path(post, path = "/v1/runs/{id}/signals/{name}", tag = "runs", params(("id" = String, Path), ("name" = String, Path)),
    request_body(content = Option<Value>), responses((status = 202, description = "Taken", body = Run)))]
pub(super) async fn signal(
    State(service): State<Service>,
    principal: Principal,
    Path((id, name)): Path<(String, String)>,
    AnyJson(data): AnyJson,
) -> Result<(StatusCode, Json<Run>), Problem> {
    let command = Command::Signal { name, data };
    let run = carry_out(&service, &principal, &id, command, None).await?;
    Ok((StatusCode::ACCEPTED, run))
}

/// Starts nothing new; what runs may end.
#[utoipa::path(post, path = "/v1/runs/{id}/pause", tag = "runs", params(("id" = String, Path)), request_body = Option<Control>,
    responses((status = 200, description = "Done", body = Run)))]
pub(super) async fn pause(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    MaybeJson(body): MaybeJson<Control>,
) -> Result<Json<Run>, Problem> {
    carry_out(&service, &principal, &id, Command::Pause, body.reason).await
}

/// Goes on with a paused run.
#[utoipa::path(post, path = "/v1/runs/{id}/resume", tag = "runs", params(("id" = String, Path)), request_body = Option<Control>,
    responses((status = 200, description = "Done", body = Run)))]
pub(super) async fn resume(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    MaybeJson(body): MaybeJson<Control>,
) -> Result<Json<Run>, Problem> {
    carry_out(&service, &principal, &id, Command::Resume, body.reason).await
}

/// Ends a run, with compensation and `finally`.
#[utoipa::path(post, path = "/v1/runs/{id}/cancel", tag = "runs", params(("id" = String, Path)), request_body = Option<Control>,
    responses((status = 200, description = "Done", body = Run)))]
pub(super) async fn cancel(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    MaybeJson(body): MaybeJson<Control>,
) -> Result<Json<Run>, Problem> {
    carry_out(&service, &principal, &id, Command::Cancel, body.reason).await
}

/// Ends a run at once, without clean-up.
#[utoipa::path(post, path = "/v1/runs/{id}/kill", tag = "runs", params(("id" = String, Path)), request_body = Option<Control>,
    responses((status = 200, description = "Done", body = Run)))]
pub(super) async fn kill(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    MaybeJson(body): MaybeJson<Control>,
) -> Result<Json<Run>, Problem> {
    carry_out(&service, &principal, &id, Command::Kill, body.reason).await
}

/// Runs what failed again, keeping good results.
#[utoipa::path(post, path = "/v1/runs/{id}/retry", tag = "runs", params(("id" = String, Path)), request_body = Option<Control>,
    responses((status = 200, description = "Done", body = Run)))]
pub(super) async fn retry(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    MaybeJson(body): MaybeJson<Control>,
) -> Result<Json<Run>, Problem> {
    carry_out(&service, &principal, &id, Command::Retry, body.reason).await
}

/// Runs a task and all that depends on it again.
#[utoipa::path(post, path = "/v1/runs/{id}/rewind", tag = "runs", params(("id" = String, Path)), request_body = Rewind,
    responses((status = 200, description = "Done", body = Run)))]
pub(super) async fn rewind(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    Body(body): Body<Rewind>,
) -> Result<Json<Run>, Problem> {
    carry_out(&service, &principal, &id, Command::Rewind { to: body.to }, body.reason).await
}

/// Skips a task that has not ended.
#[utoipa::path(post, path = "/v1/runs/{id}/skip", tag = "runs", params(("id" = String, Path)), request_body = Skip,
    responses((status = 200, description = "Done", body = Run)))]
pub(super) async fn skip(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    Body(body): Body<Skip>,
) -> Result<Json<Run>, Problem> {
    carry_out(&service, &principal, &id, Command::Skip { task: body.task }, body.reason).await
}

/// Gives a task a result by hand.
#[utoipa::path(post, path = "/v1/runs/{id}/set-result", tag = "runs", params(("id" = String, Path)), request_body = SetResult,
    responses((status = 200, description = "Done", body = Run)))]
pub(super) async fn set_result(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    Body(body): Body<SetResult>,
) -> Result<Json<Run>, Problem> {
    let command = Command::SetResult { task: body.task, output: body.output };
    carry_out(&service, &principal, &id, command, body.reason).await
}

/// Removes a run that has ended, and its sub-runs: inputs, outputs, journals and logs. Nothing of them
/// can be read afterwards; backups and what was sent to others stay as they are, and the answer to an
/// `Idempotency-Key` stays for its time.
#[utoipa::path(delete, path = "/v1/runs/{id}", tag = "runs", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn erase(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let row = super::row(&service, &principal, &id).await?;
    service.engine().erase(row.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
