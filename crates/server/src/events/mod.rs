//! Live events: one stream of server-sent events for each client, resumed where it broke off.
//!
//! | module | holds |
//! |---|---|
//! | `topic` | what a client wants to hear of, and what it may |
//! | `position` | how far it has come |
//! | `hub` | follows the journal once for all clients |
//! | `stream` | one client: the store until it has caught up, then the hub |
//! | `fold`, `frame` | a record told with the names of its tasks and the status after it |

pub(crate) mod fold;
mod frame;
mod hub;
mod position;
mod stream;
mod topic;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::routes;

pub(crate) use self::hub::Hub;
use self::position::Position;
use self::stream::Stream;
use self::topic::Filter;
use crate::api::{Access, Api};
use crate::auth::Principal;
use crate::parameters::{Parameters, bad};
use crate::problem::Problem;
use crate::runs;
use crate::service::Service;

/// Seconds after which a client that found no room may come back.
const RETRY_SECONDS: u64 = 5;
/// How soon a client comes back after its stream broke off.
const RECONNECT_MS: u32 = 1_000;

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Read, routes!(events))
}

/// Records and log lines as they become durable, as server-sent events. `Last-Event-ID` (or
/// `after`) goes on where another stream broke off: nothing is lost and nothing comes twice.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(("topics" = Option<String>, Query, description = "With commas: run:ID, runs:*, runs:workflow=ID, logs:RUN/TASK, logs:RUN/*"),
        ("after" = Option<String>, Query, description = "The id of the last event that was seen")),
    responses((status = 200, description = "Events `record`, `log` and `reset`", body = String, content_type = "text/event-stream")))]
async fn events(
    State(service): State<Service>,
    principal: Principal,
    mut parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let topics = topic::read(parameters.text("topics").as_deref())?;
    let after = parameters.text("after");
    parameters.finish()?;
    for run in topics.iter().filter_map(topic::Topic::run) {
        runs::row(&service, &principal, &run.to_string()).await?;
    }
    let resumed = match headers.get("last-event-id") {
        Some(id) => Some(id.to_str().unwrap_or_default().to_owned()),
        None => after,
    };
    let resumed = resumed.as_deref().map(read_position).transpose()?;
    let seat = service.hub().seat().ok_or_else(crowded)?;
    let store = service.store();
    let end = Position { journal: store.journal_end().await?, logs: store.logs_end().await? };
    let removed = store.journal_removed().await?;
    let (at, is_reset) = match resumed {
        Some(at) if end.covers(at) && !misses(&topics, at, removed) => (at, false),
        Some(_) => (end, true),
        None => (end, false),
    };
    let reset = if is_reset { "event: reset\ndata: {}\n" } else { "" };
    let first = format!("retry: {RECONNECT_MS}\nid: {at}\n{reset}\n");
    let filter = Filter { topics, principal };
    let stream = Stream::new(service, seat, filter, at, first, headers);
    let body = futures_util::stream::unfold(stream, async |mut stream| {
        let bytes = stream.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), stream))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Whether something that a client wanted to hear of after a position was removed since. Who follows
/// runs by name misses nothing, for a run is removed as a whole; who begins at the very first
/// position wants what there is.
fn misses(topics: &[topic::Topic], at: Position, removed: i64) -> bool {
    let is_wide = topics.iter().any(|it| it.run().is_none());
    is_wide && at.journal > 0 && at.journal < removed
}

fn read_position(text: &str) -> Result<Position, Problem> {
    text.parse().map_err(|()| {
        bad("this is not the id of an event", text.to_owned())
            .hint("Send the `id` of the last event that you saw, such as 120-7, or none.")
    })
}

fn crowded() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "SF4041", "too many streams of events are open")
        .hint("Close one, follow several topics in one stream, or raise server.event_clients.")
        .retry_after(RETRY_SECONDS)
}
