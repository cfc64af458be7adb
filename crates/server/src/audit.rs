//! The audit log: every change that a known caller asked for, whether it was carried out or refused.
//! Strangers are not kept, so that they cannot fill the disk; the server's log has them.
//!
//! Entries are only ever added. Each has a hash over itself and the hash before it, so that an entry
//! that was changed or taken out is noticed.

use std::time::Duration;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use surefoot::Engine;
use surefoot::store::{Error, Expect, ItemWrite, Store};
use surefoot_client::wire::{AuditEntry, Page};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use utoipa_axum::routes;

use crate::api::{Access, Api};
use crate::auth::Principal;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::service::Service;
use crate::{cursor, time};

const COLLECTION: &str = "audit";
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
/// What stands before the first entry.
const NO_CHAIN: &str = "";

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Admin, routes!(list))
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
    let cursor = cursor.map(|it| cursor::read_text(COLLECTION, &it)).transpose()?;
    let kept = service.store().items(COLLECTION, cursor.as_deref(), limit).await?;
    let last = kept.last().filter(|_| kept.len() as u32 == limit);
    let next_cursor = last.map(|it| cursor::write_text(COLLECTION, &it.key));
    let read = |body: &[u8]| serde_json::from_slice(body).map_err(Problem::internal);
    let items = kept.iter().map(|it| read(&it.body)).collect::<Result<_, _>>()?;
    Ok(Json(Page { items, next_cursor }))
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
        if !changes || !matches!(access, Access::Operate | Access::Deploy | Access::Admin) {
            return None;
        }
        let target = request.uri().path().to_owned();
        let pattern = request.extensions().get::<MatchedPath>().map(|it| it.as_str().to_owned());
        let pattern = pattern.unwrap_or_else(|| target.clone());
        let given = request.headers().get(REQUEST_ID).and_then(|it| it.to_str().ok());
        let given = given.filter(|it| {
            (1..=REQUEST_ID_LEN_MAX).contains(&it.len())
                && it.bytes().all(|it| it.is_ascii_graphic())
        });
        Some(Act {
            principal: principal.clone(),
            action: format!("{} {pattern}", request.method()),
            target,
            request_id: given.map_or_else(new_request_id, str::to_owned),
            is_start: pattern.ends_with("/runs"),
        })
    }
}

fn new_request_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Takes entries. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Audit(mpsc::Sender<Waiting>);

struct Waiting {
    entry: AuditEntry,
    /// Told once it is written, where somebody waits for that.
    written: Option<oneshot::Sender<()>>,
}

impl Audit {
    /// Starts the one task that writes. It ends when the last sender is gone, and is quick once
    /// the service is stopping.
    pub async fn open(engine: &Engine, stopping: CancellationToken) -> Result<Audit, Error> {
        let end = end(&**engine.store()).await?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(write(engine.clone(), waiting, end, stopping));
        Ok(Audit(queue))
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
        let is_awaited = !(act.is_start && is_accepted);
        let (written, answer) = is_awaited.then(oneshot::channel).unzip();
        // The queue is only closed when the server ends.
        if self.0.send(Waiting { entry, written }).await.is_ok()
            && let Some(answer) = answer
        {
            // Without an answer it could not be written, which the log says; the act has happened.
            let _ = answer.await;
        }
        response
    }
}

/// Where the log ends: the number of the next entry, and the hash before it.
struct End {
    next: u64,
    chain: String,
}

async fn end(store: &dyn Store) -> Result<End, Error> {
    let newest = store.items(COLLECTION, None, 1).await?.into_iter().next();
    let end = newest.and_then(|item| {
        let entry: AuditEntry = serde_json::from_slice(&item.body).ok()?;
        Some(End { next: number(&item.key)? + 1, chain: entry.chain })
    });
    Ok(end.unwrap_or(End { next: 0, chain: NO_CHAIN.to_owned() }))
}

async fn write(
    engine: Engine,
    mut waiting: mpsc::Receiver<Waiting>,
    mut at: End,
    stopping: CancellationToken,
) {
    let store = &**engine.store();
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        gather(&mut waiting, &mut batch, &stopping).await;
        let writes = batch.iter_mut().map(|it| at.add(&mut it.entry)).collect();
        if let Err(reason) = keep(store, writes).await {
            tracing::error!(reason, entries = batch.len(), "the audit log cannot be written");
            batch.clear();
            // Whether they were written is not known: the log is looked at again.
            if let Ok(end) = end(store).await {
                at = end;
            }
        }
        for written in batch.drain(..).filter_map(|it| it.written) {
            // Who waits may have gone.
            let _ = written.send(());
        }
    }
}

/// Takes what comes within a moment into a batch that nobody waits for.
async fn gather(
    waiting: &mut mpsc::Receiver<Waiting>,
    batch: &mut Vec<Waiting>,
    stopping: &CancellationToken,
) {
    let end = tokio::time::Instant::now() + GATHERING;
    let mut is_awaited = batch.iter().any(|it| it.written.is_some());
    while !is_awaited && batch.len() < BATCH {
        tokio::select! {
            biased;
            () = stopping.cancelled() => return,
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

impl End {
    fn add(&mut self, entry: &mut AuditEntry) -> ItemWrite {
        self.chain = chained(&self.chain, entry);
        entry.chain.clone_from(&self.chain);
        let body = serde_json::to_vec(entry).unwrap_or_default();
        let write = ItemWrite::put(COLLECTION, &key(self.next), Expect::Absent, body);
        self.next += 1;
        write
    }
}

async fn keep(store: &dyn Store, writes: Vec<ItemWrite>) -> Result<(), String> {
    match store.write_items(writes).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(conflict)) => Err(format!("entry {} is there already", conflict.key)),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns the hash of an entry that follows another.
fn chained(before: &str, entry: &AuditEntry) -> String {
    let entry = AuditEntry { chain: before.to_owned(), ..entry.clone() };
    blake3::hash(&serde_json::to_vec(&entry).unwrap_or_default()).to_hex().to_string()
}

/// Collections are listed by ascending key, and the log begins with its newest entry.
fn key(number: u64) -> String {
    format!("{:020}", u64::MAX - number)
}

fn number(key: &str) -> Option<u64> {
    let is_key = key.len() == 20 && key.bytes().all(|it| it.is_ascii_digit());
    is_key.then(|| key.parse::<u64>().ok()).flatten().map(|it| u64::MAX - it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_entry_comes_first() {
        assert!(key(2) < key(1));
        assert_eq!(number(&key(7)), Some(7));
        for text in
            ["", "7", "1844674407370955161x", "99999999999999999999", "184467440737095516150"]
        {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn the_chain_depends_on_every_field_and_on_what_came_before() {
        let entry = AuditEntry { actor: "ada".to_owned(), ..AuditEntry::default() };
        let other = AuditEntry { status: 403, ..entry.clone() };
        let one = chained(NO_CHAIN, &entry);
        assert_ne!(one, chained(NO_CHAIN, &other));
        assert_ne!(one, chained(&one, &entry));
        let kept = AuditEntry { chain: one.clone(), ..entry };
        assert_eq!(one, chained(NO_CHAIN, &kept), "the kept hash does not enter itself");
    }
}
