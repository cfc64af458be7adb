//! The audit log: every change that a known caller or the holder of a link asked for, whether it was
//! carried out or refused; and, counted, who was not let in.
//!
//! | file | holds |
//! |---|---|
//! | `chain` | the entries: only ever added, each with a hash over itself and the hash before it, until their time is over |
//! | `strangers` | counts those who are not known, so that they cannot fill the disk |

mod chain;
mod strangers;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use surefoot::Engine;
use surefoot::core::time::Millis;
use surefoot::store::Error;
use surefoot_client::wire::{AuditCheck, AuditEntry, Page};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use utoipa_axum::routes;

use chain::{COLLECTION, Chain};
use strangers::Strangers;

use crate::api::{Access, Api};
use crate::auth::Principal;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::service::Service;
use crate::{cursor, time};

/// Entries that may wait to be written; who adds one more waits.
const QUEUE: usize = 1_024;
/// Entries that are written together.
const BATCH: usize = 256;
/// Entries of one part of the list.
const LIMIT: u64 = 50;
const LIMIT_MAX: u64 = 500;
/// How long entries that nobody waits for may gather: each write keeps the disk from the runs.
const GATHERING: Duration = Duration::from_millis(5);
/// Letters of a request id that a caller brings.
const REQUEST_ID_LEN_MAX: usize = 128;
const REQUEST_ID: &str = "x-request-id";
/// How often the counts of strangers are written, and old entries removed.
const TURN: Duration = Duration::from_secs(30);

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Admin, routes!(list)).route(Access::Admin, routes!(verify))
}

/// Who did what, newest first.
#[utoipa::path(get, path = "/v1/audit", tag = "audit",
    params(("limit" = Option<u64>, Query, minimum = 1, maximum = 500), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "A part of the log", body = Page<AuditEntry>)))]
async fn list(
    State(service): State<Service>,
    mut parameters: Parameters,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let limit = parameters.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT) as u32;
    let cursor = parameters.text("cursor");
    parameters.finish()?;
    service.audit().write_strangers(service.now()).await;
    let cursor = cursor.map(|it| cursor::read_text(COLLECTION, &it)).transpose()?;
    let (items, next) = chain::list(service.store(), cursor.as_deref(), limit).await?;
    let next_cursor = next.map(|it| cursor::write_text(COLLECTION, &it));
    Ok(Json(Page { items, next_cursor }))
}

/// Whether the log is as it was written: no entry changed, none taken out but the oldest, whose time
/// was over. `chain` is the hash of the newest entry: keep it elsewhere to notice if the end is cut off.
#[utoipa::path(get, path = "/v1/audit/check", tag = "audit",
    responses((status = 200, description = "What was found", body = AuditCheck)))]
async fn verify(State(service): State<Service>) -> Result<Json<AuditCheck>, Problem> {
    Ok(Json(chain::check(service.store()).await?))
}

/// A request that changes something, before its outcome is known.
pub(crate) struct Act {
    principal: Principal,
    action: String,
    target: String,
    request_id: String,
    /// Whether the journal of the run says who did it as well.
    is_start: bool,
}

impl Act {
    /// Returns nothing for what only looks, and for the work of workers.
    pub fn of(request: &Request, access: Access, principal: &Principal) -> Option<Act> {
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let is_audited = match access {
            Access::Operate | Access::Deploy | Access::Admin | Access::Attend => true,
            Access::Public | Access::Read | Access::Worker => false,
        };
        if !changes || !is_audited {
            return None;
        }
        let target = request.uri().path().to_owned();
        let action = action(request);
        let given = request.headers().get(REQUEST_ID).and_then(|it| it.to_str().ok());
        let given = given.filter(|it| {
            (1..=REQUEST_ID_LEN_MAX).contains(&it.len())
                && it.bytes().all(|it| it.is_ascii_graphic())
        });
        Some(Act {
            principal: principal.clone(),
            is_start: action.ends_with("/runs"),
            action,
            target,
            request_id: given.map_or_else(new_request_id, str::to_owned),
        })
    }
}

/// Returns what a request asks for: the method and the route, without what its sender chose.
pub(crate) fn action(request: &Request) -> String {
    let pattern = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    format!("{} {pattern}", request.method())
}

impl Act {
    /// The use of a link that decides `task`. The link itself is a secret, and is not kept.
    pub fn by_link(holder: &Principal, action: String, task: &str) -> Act {
        Act {
            principal: holder.clone(),
            action,
            target: format!("/v1/tasks/{task}"),
            request_id: new_request_id(),
            is_start: false,
        }
    }
}

fn new_request_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Takes entries. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Audit {
    queue: mpsc::Sender<Waiting>,
    strangers: Arc<Strangers>,
}

struct Waiting {
    entry: AuditEntry,
    /// Told once it is written, where somebody waits for that.
    written: Option<oneshot::Sender<()>>,
}

impl Audit {
    /// Starts the one task that writes. It ends when the last sender is gone, and is quick once the
    /// service is stopping. Entries are kept for so many milliseconds; for ever if nothing is said.
    pub async fn open(
        engine: &Engine,
        kept_ms: Option<Millis>,
        stopping: CancellationToken,
    ) -> Result<Audit, Error> {
        let chain = Chain::open(&**engine.store()).await?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let strangers = Arc::<Strangers>::default();
        let engine = engine.clone();
        let writer = Writer { engine, chain, kept_ms, strangers: strangers.clone(), stopping };
        tokio::spawn(writer.run(waiting));
        Ok(Audit { queue, strangers })
    }

    /// Counts somebody who was not let in. `action` is what they wanted, without what they chose.
    pub fn note_stranger(&self, from: Option<IpAddr>, action: &str, now: Millis) {
        self.strangers.note(from, action, now);
    }

    /// Writes the counts of strangers up to now, so that who reads the log sees them.
    async fn write_strangers(&self, now: Millis) {
        for entry in self.strangers.take(now) {
            self.add(entry).await;
        }
    }

    /// Adds an entry, and waits until it is written; without an answer it could not be, which the
    /// log says.
    async fn add(&self, entry: AuditEntry) {
        let (written, answer) = oneshot::channel();
        self.hand_over(Waiting { entry, written: Some(written) }).await;
        let _ = answer.await;
    }

    async fn hand_over(&self, waiting: Waiting) {
        // The queue is only closed when the server ends.
        let _ = self.queue.send(waiting).await;
    }

    /// Keeps what became of an act, and names the request in its answer.
    pub async fn keep(&self, act: Act, mut response: Response, now: u64) -> Response {
        if let Ok(id) = HeaderValue::from_str(&act.request_id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        let status = response.status();
        let is_accepted = status.is_success();
        let entry = AuditEntry {
            at: time::text(now),
            actor: act.principal.actor.clone(),
            action: act.action,
            target: act.target,
            reason: act.principal.said.get().cloned(),
            outcome: if is_accepted { "accepted" } else { "refused" }.to_owned(),
            status: status.as_u16(),
            request_id: act.request_id,
            chain: String::new(),
        };
        // Of a run that was started the journal says it as well.
        match act.is_start && is_accepted {
            true => self.hand_over(Waiting { entry, written: None }).await,
            false => self.add(entry).await,
        }
        response
    }
}

/// The one task that writes.
struct Writer {
    engine: Engine,
    chain: Chain,
    kept_ms: Option<Millis>,
    strangers: Arc<Strangers>,
    stopping: CancellationToken,
}

impl Writer {
    async fn run(mut self, mut waiting: mpsc::Receiver<Waiting>) {
        let mut batch = Vec::new();
        let mut turn = tokio::time::interval(TURN);
        loop {
            tokio::select! {
                count = waiting.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        break;
                    }
                    self.gather(&mut waiting, &mut batch).await;
                    let (entries, written): (Vec<_>, Vec<_>) =
                        batch.drain(..).map(|it| (it.entry, it.written)).unzip();
                    self.write(entries).await;
                    for it in written.into_iter().flatten() {
                        // Who waits may have gone.
                        let _ = it.send(());
                    }
                }
                _ = turn.tick() => self.take_turn().await,
            }
        }
        let left = self.strangers.take(Millis::MAX);
        self.write(left).await;
    }

    /// Takes what comes within a moment into a batch that nobody waits for.
    async fn gather(&self, waiting: &mut mpsc::Receiver<Waiting>, batch: &mut Vec<Waiting>) {
        let end = tokio::time::Instant::now() + GATHERING;
        let mut is_awaited = batch.iter().any(|it| it.written.is_some());
        while !is_awaited && batch.len() < BATCH {
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                more = waiting.recv() => match more {
                    Some(more) => {
                        is_awaited = more.written.is_some();
                        batch.push(more);
                    }
                    None => return,
                },
                () = tokio::time::sleep_until(end) => return,
            }
        }
    }

    async fn take_turn(&mut self) {
        let now = self.engine.now();
        let strangers = self.strangers.take_whole_minutes(now);
        self.write(strangers).await;
        if let Some(kept_ms) = self.kept_ms
            && let Err(error) =
                chain::remove_before(&**self.engine.store(), now.saturating_sub(kept_ms)).await
        {
            tracing::error!(%error, "old entries of the audit log cannot be removed");
        }
    }

    async fn write(&mut self, entries: Vec<AuditEntry>) {
        let count = entries.len();
        if count == 0 {
            return;
        }
        if let Err(reason) = self.chain.add(&**self.engine.store(), entries).await {
            tracing::error!(reason, entries = count, "the audit log cannot be written");
        }
    }
}
