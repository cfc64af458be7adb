//! How it stands: what runs, what waits and for whom, what has ended lately.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use surefoot::core::run::RunStatus;
use surefoot::store::{Activity, RunFilter, Tally};
use surefoot_client::wire::{Overview, QueueState};
use utoipa_axum::routes;

use crate::api::{Access, Api};
use crate::auth::Principal;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::service::Service;
use crate::time;

/// Seconds that are looked back, and how many may be.
const WINDOW_SECONDS: u64 = 60;
const WINDOW_SECONDS_MAX: u64 = 24 * 60 * 60;
/// Runs that are looked through for a caller who may see only some.
const LOOKED_THROUGH_MAX: u32 = 10_000;

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Read, routes!(overview))
}

/// How it stands with the runs that the caller may see, and with the workers: what a dashboard or
/// `surefoot ls --watch` shows. `/v1/stats` counts from the start of the process instead.
#[utoipa::path(get, path = "/v1/overview", tag = "service",
    params(("window" = Option<u64>, Query, description = "Seconds to look back for what was started and has ended", minimum = 1, maximum = 86400)),
    responses((status = 200, description = "The overview", body = Overview)))]
async fn overview(
    State(service): State<Service>,
    principal: Principal,
    mut parameters: Parameters,
) -> Result<Json<Overview>, Problem> {
    let window = parameters.number("window", 1, WINDOW_SECONDS_MAX)?.unwrap_or(WINDOW_SECONDS);
    parameters.finish()?;
    let now = service.now();
    let since = now.saturating_sub(window * 1000);
    let tally = match principal.namespaces {
        None => service.store().tally(since).await?,
        Some(_) => tally_of(&service, &principal, since).await?,
    };
    let statistics = service.engine().statistics();
    let census = service.census();
    let capabilities = service.engine().capabilities().await;
    let elsewhere: u64 = capabilities.iter().map(|it| it.waiting as u64).sum();
    let queues = capabilities.into_iter().map(|it| QueueState {
        queue: it.name,
        waiting: it.waiting as u64,
        oldest_seconds: it.oldest_ms as f64 / 1000.0,
        running: it.running as u64,
        workers: it.workers,
    });
    let queues: Vec<QueueState> = queues.collect();
    let running_elsewhere: u64 = queues.iter().map(|it| it.running).sum();
    let states = RunStatus::ALL.into_iter().filter(|it| !it.is_terminal());
    let runs: BTreeMap<String, u64> = states
        .map(|it| (it.name().to_owned(), tally.unended.get(it.name()).copied().unwrap_or(0)))
        .collect();
    Ok(Json(Overview {
        at: time::text(now),
        waiting: runs.values().sum::<u64>().saturating_sub(tally.active),
        runs,
        oldest: tally.oldest.map(|it| it.to_string()),
        oldest_at: tally.oldest.map(|it| time::text(it.created_ms())),
        window_seconds: window,
        started: tally.created,
        took_ms_p50: tally.took_quantile(0.5),
        took_ms_p95: tally.took_quantile(0.95),
        ended: tally.ended,
        slots: service.engine().limits().slots as u64,
        slots_taken: statistics.attempts_in_flight.saturating_sub(running_elsewhere),
        slots_wanted: statistics.attempts_queued.saturating_sub(elsewhere),
        queues,
        workers: census.states.into_iter().map(|(it, count)| (it.to_owned(), count)).collect(),
        worker_slots: census.slots,
        worker_slots_taken: running_elsewhere,
        store_bytes: tally.bytes,
    }))
}

/// Counts the runs of a caller's namespaces. They have no index, so the newest are looked through.
async fn tally_of(service: &Service, principal: &Principal, since: u64) -> Result<Tally, Problem> {
    let filter = RunFilter { limit: LOOKED_THROUGH_MAX, ..RunFilter::default() };
    let mut tally = Tally::default();
    for row in service.store().runs(&filter).await? {
        if !principal.sees(&row.workflow) {
            continue;
        }
        tally.created += u64::from(row.created_at >= since);
        tally.active += u64::from(row.activity == Activity::Active);
        match row.ended_at {
            None => {
                *tally.unended.entry(row.status).or_default() += 1;
                // Newest first.
                tally.oldest = Some(row.id);
            }
            Some(ended_at) if ended_at >= since => {
                *tally.ended.entry(row.status).or_default() += 1;
                tally.took_ms.push(ended_at.saturating_sub(row.created_at));
            }
            Some(_) => {}
        }
    }
    Ok(tally)
}
