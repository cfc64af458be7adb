//! Workers come and go.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use surefoot::RemoteConfig;
use surefoot_client::wire::{PROTOCOL, RegisterWorker, RegisteredWorker};

use super::{not_served, poll::POLL_SECONDS_MAX};
use crate::auth::{Principal, Role};
use crate::body::Json as Body;
use crate::problem::Problem;
use crate::service::Service;

/// Capabilities of one worker.
const CAPABILITIES_MAX: usize = 1_000;
/// Tasks that one worker executes at once.
pub(super) const SLOTS_MAX: u32 = 1_000;
/// Bytes of a worker's name, of each capability, of each label and its value.
const NAME_BYTES_MAX: usize = 128;
const LABELS_MAX: usize = 64;

/// Registers a worker. A name that is there already is another worker with the same name.
#[utoipa::path(post, path = "/v1/workers", tag = "workers", request_body = RegisterWorker,
    responses((status = 201, description = "It may poll now", body = RegisteredWorker)))]
pub(super) async fn register(
    State(service): State<Service>,
    principal: Principal,
    Body(said): Body<RegisterWorker>,
) -> Result<(StatusCode, Json<RegisteredWorker>), Problem> {
    let config = service.engine().remote().ok_or_else(not_served)?;
    check(&said)?;
    allow(&principal, &said)?;
    let worker = service.workers().add(said, &principal.actor, service.now())?;
    Ok((StatusCode::CREATED, Json(registered(worker, config))))
}

fn registered(worker: String, config: &RemoteConfig) -> RegisteredWorker {
    RegisteredWorker {
        worker,
        protocol: PROTOCOL,
        lease_seconds: config.lease.as_secs_f64(),
        heartbeat_seconds: config.heartbeat().as_secs_f64(),
        poll_seconds_max: POLL_SECONDS_MAX,
    }
}

fn check(said: &RegisterWorker) -> Result<(), Problem> {
    if said.protocol != PROTOCOL {
        let title = format!("version {} of the worker protocol is not spoken", said.protocol);
        return Err(Problem::new(StatusCode::UPGRADE_REQUIRED, "SF4062", title)
            .supported(vec![PROTOCOL])
            .hint(format!("Speak version {PROTOCOL}.")));
    }
    let is_name = |it: &str| {
        let known = |it: char| it.is_ascii_alphanumeric() || "_.-".contains(it);
        !it.is_empty() && it.len() <= NAME_BYTES_MAX && it.chars().all(known)
    };
    let count = said.capabilities.len();
    let labels = said.labels.iter().flat_map(|(name, value)| [name, value]);
    let fault = if !(1..=CAPABILITIES_MAX).contains(&count) {
        format!("it has {count} capabilities, and may have from 1 to {CAPABILITIES_MAX}")
    } else if let Some(odd) = said.capabilities.iter().find(|it| !is_name(it)) {
        format!("`{}` is not the name of a capability", odd.escape_debug())
    } else if !(1..=SLOTS_MAX).contains(&said.slots) {
        format!("it has {} slots, and may have from 1 to {SLOTS_MAX}", said.slots)
    } else if said.labels.len() > LABELS_MAX {
        format!("it has {} labels, and may have at most {LABELS_MAX}", said.labels.len())
    } else if labels.chain([&said.name, &said.sdk]).any(|it| it.len() > NAME_BYTES_MAX) {
        format!("its name, its SDK or a label has more than {NAME_BYTES_MAX} bytes")
    } else {
        return Ok(());
    };
    Err(Problem::new(StatusCode::BAD_REQUEST, "SF4060", "the worker cannot be registered")
        .detail(fault)
        .hint("Capabilities are what tasks `use`: letters, digits, `_`, `-` and `.`."))
}

/// A worker's token may be bound to capabilities. Namespaces bind it when it polls.
fn allow(principal: &Principal, said: &RegisterWorker) -> Result<(), Problem> {
    let Some(allowed) = &principal.capabilities else { return Ok(()) };
    let Some(other) = said.capabilities.iter().find(|it| !allowed.contains(*it)) else {
        return Ok(());
    };
    let title = "the token does not cover this worker";
    Err(Problem::new(StatusCode::FORBIDDEN, "SF4061", title)
        .detail(format!("it is not for the capability `{other}`"))
        .hint("Offer only what the token is bound to."))
}

/// Removes a worker. What it holds is given to others at once.
#[utoipa::path(delete, path = "/v1/workers/{id}", tag = "workers", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone")))]
pub(super) async fn remove(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let is_admin = principal.role == Role::Admin;
    service.workers().remove(&id, |it| is_admin || it.actor == principal.actor)?;
    service.engine().leave(&id).await;
    Ok(StatusCode::NO_CONTENT)
}
