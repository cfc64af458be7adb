//! Workers: processes in any language that take tasks and report on them. The protocol is in
//! docs/worker-protocol.md; who holds which task is the engine's to know.
//!
//! | file | holds |
//! |---|---|
//! | `pool` | which workers there are, and whose they are |
//! | `register`, `poll`, `lease` | what a worker calls |
//! | `show` | what people see of it |

mod lease;
mod poll;
mod pool;
mod register;
mod show;

use axum::http::StatusCode;
use surefoot::LeaseError;
use utoipa_axum::routes;

pub(crate) use pool::{Census, Pool};

use crate::api::{Access, Api};
use crate::problem::Problem;

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Worker, routes!(register::register))
        .route(Access::Worker, routes!(poll::poll))
        .route(Access::Worker, routes!(register::remove))
        .route(Access::Worker, routes!(lease::heartbeat))
        .route(Access::Worker, routes!(lease::complete))
        .route(Access::Worker, routes!(lease::fail))
        .route(Access::Attend, routes!(show::drain))
        .route(Access::Read, routes!(show::list))
        .route(Access::Read, routes!(show::show))
        .route(Access::Read, routes!(show::capabilities))
}

/// What an engine without remote workers is asked in vain.
fn not_served() -> Problem {
    Problem::new(StatusCode::CONFLICT, "SF4070", "workers are not served here")
        .hint("Open the engine with remote workers, or use `surefoot server`.")
}

fn unknown_worker(id: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "SF4063", format!("there is no worker `{id}`"))
        .hint("Register again: POST /v1/workers.")
}

fn unknown_lease() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "SF4065", LeaseError::Unknown.to_string())
        .hint("Use the `lease` that came with the task, and the token that polled for it.")
}

fn refused(error: LeaseError) -> Problem {
    let title = error.to_string();
    match error {
        LeaseError::Unknown => unknown_lease(),
        LeaseError::Done(_) => Problem::new(StatusCode::CONFLICT, "SF4066", title)
            .hint("The first result stands. Only the same one may be sent again."),
        LeaseError::Lost { .. } => Problem::new(StatusCode::GONE, "SF4067", title)
            .hint("Drop the result: the task goes on without this worker."),
        LeaseError::Store(error) => error.into(),
        LeaseError::Stopping => surefoot::CommandError::Stopping.into(),
    }
}
