//! The poll: results go in, tasks come out.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use futures_util::future::join_all;
use surefoot::{Lease, TakeError, TakeRequest, Taken};
use surefoot_client::wire::{LeaseResult, LeasedTask, Poll, Polled, ResultStatus};

use super::lease::{self, Outcome};
use super::pool::Polling;
use super::{not_served, register::SLOTS_MAX};
use crate::auth::Principal;
use crate::body::Json as Body;
use crate::problem::Problem;
use crate::service::Service;
use crate::time;

/// How long a poll waits at most, whatever it asks for.
pub(super) const POLL_SECONDS_MAX: u64 = 30;
/// Results, and leases that are named, in one poll.
const RESULTS_MAX: usize = 1_000;

/// Reports results, says that the worker and all its leases are alive, and takes tasks. Waits for
/// the first task, at most 30 seconds, and at most a heartbeat if the worker holds leases.
#[utoipa::path(post, path = "/v1/workers/{id}/poll", tag = "workers", params(("id" = String, Path)), request_body = Poll,
    responses((status = 200, description = "Tasks, if there are any", body = Polled)))]
pub(super) async fn poll(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    Body(said): Body<Poll>,
) -> Result<Json<Polled>, Problem> {
    let polling = service.workers().poll(&id, &principal, service.now())?;
    check(&said)?;
    let results = said.results.into_iter().map(|it| report(&service, &id, it));
    let results = join_all(results).await;
    let request = TakeRequest {
        worker: id,
        capabilities: polling.capabilities.clone(),
        namespaces: principal.namespaces.clone(),
        slots: if polling.drained.is_cancelled() { 0 } else { said.slots },
        wait: Duration::from_secs_f64(said.wait_seconds.min(POLL_SECONDS_MAX as f64)),
        holding: said.holding,
    };
    let taken = take(&service, &polling, request).await?;
    Ok(Json(Polled {
        tasks: taken.tasks.into_iter().map(task).collect(),
        cancelled: taken.cancelled,
        drain: polling.drained.is_cancelled(),
        results,
    }))
}

fn check(said: &Poll) -> Result<(), Problem> {
    let held = said.holding.as_ref().map_or(0, Vec::len);
    let is_one = |it: &LeaseResult| it.output.is_some() != it.error.is_some();
    let fault = if said.slots > SLOTS_MAX {
        format!("`slots` is {}, and may be at most {SLOTS_MAX}", said.slots)
    } else if !(said.wait_seconds >= 0.0 && said.wait_seconds.is_finite()) {
        format!("`wait_seconds` is {}, which is no time", said.wait_seconds)
    } else if said.results.len().max(held) > RESULTS_MAX {
        format!("more than {RESULTS_MAX} results or leases are named")
    } else if let Some(odd) = said.results.iter().position(|it| !is_one(it)) {
        format!("/results/{odd} needs either `output` or `error`")
    } else {
        return Ok(());
    };
    Err(Problem::new(StatusCode::BAD_REQUEST, "SF4064", "the poll cannot be read")
        .detail(fault)
        .hint("GET /openapi.json has what a poll says."))
}

/// Waits for tasks, until the worker is to hear something else.
async fn take(
    service: &Service,
    polling: &Polling,
    request: TakeRequest,
) -> Result<Taken, Problem> {
    let (engine, worker) = (service.engine(), request.worker.clone());
    let mut take = std::pin::pin!(engine.take(request));
    let interrupted = async {
        tokio::select! {
            () = polling.drained.cancelled() => {}
            () = service.stopping().cancelled() => {}
        }
    };
    let taken = tokio::select! {
        biased;
        taken = &mut take => taken,
        () = interrupted => {
            engine.dismiss(&worker).await;
            take.await
        }
    };
    taken.map_err(|error| match error {
        TakeError::NotAllowed => not_served(),
        TakeError::Stopping => surefoot::CommandError::Stopping.into(),
    })
}

async fn report(service: &Service, worker: &str, result: LeaseResult) -> ResultStatus {
    let LeaseResult { lease, output, error } = result;
    let outcome = match (output, error) {
        (_, Some(error)) => Outcome::Failed(error),
        (output, None) => Outcome::Completed(output.unwrap_or_default()),
    };
    match lease::settle(service, &lease, Some(worker), outcome).await {
        Ok(_) => ResultStatus { lease, status: StatusCode::OK.as_u16(), problem: None },
        Err(problem) => {
            let status = problem.status().as_u16();
            ResultStatus { lease, status, problem: Some(problem.to_wire()) }
        }
    }
}

fn task(lease: Lease) -> LeasedTask {
    LeasedTask {
        lease: lease.token,
        run: lease.run.to_string(),
        workflow: lease.workflow,
        version: lease.version,
        task: lease.task,
        uses: lease.kind,
        attempt: lease.attempt,
        input: lease.input,
        idempotency_key: lease.idempotency_key,
        actor: lease.actor,
        deadline: lease.deadline.map(time::text),
        lease_expires_in_ms: lease.expires_in.as_millis() as u64,
        traceparent: Some(lease.traceparent),
        tracestate: lease.tracestate,
    }
}
