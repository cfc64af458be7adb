//! A job: what is kept of it, and how it goes on.

use serde::{Deserialize, Serialize};
use surefoot::core::time::Millis;
use surefoot::store::{Expect, ItemWrite};
use surefoot::{By, CommandError, RunId};
use surefoot_client::wire::{BulkAction, BulkItem, BulkJob};

use crate::auth::Principal;
use crate::problem::Problem;
use crate::service::Service;
use crate::time;

/// Where jobs are kept, and their runs in chunks of [`CHUNK`].
const JOBS: &str = "bulk";
const CHUNKS: &str = "bulk_runs";
pub(super) const CHUNK: usize = 500;
/// Chunks that are written together.
const CHUNKS_AT_ONCE: usize = 100;
/// Jobs that are looked through for unfinished ones when the service opens.
const JOBS_MAX: u32 = 1000;

/// A job as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    action: BulkAction,
    reason: Option<String>,
    actor: String,
    created_at: Millis,
    status: Status,
    total: u64,
    done: u64,
    refused: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Running,
    Done,
    Stopped,
}

impl Job {
    fn to_wire(&self, id: &str) -> BulkJob {
        BulkJob {
            id: id.to_owned(),
            action: self.action,
            reason: self.reason.clone(),
            actor: self.actor.clone(),
            status: match self.status {
                Status::Running => "running",
                Status::Done => "done",
                Status::Stopped => "stopped",
            }
            .to_owned(),
            total: self.total,
            done: self.done,
            refused: self.refused,
            created_at: time::text(self.created_at),
        }
    }
}

fn key(id: &str, chunk: usize) -> String {
    format!("{id}/{chunk:06}")
}

fn body(value: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(value).map_err(Problem::internal)
}

/// Keeps a job with its runs, and begins with it.
pub(super) async fn begin(
    service: &Service,
    principal: &Principal,
    action: BulkAction,
    reason: Option<String>,
    runs: &[RunId],
) -> Result<BulkJob, Problem> {
    let id = RunId::new(service.now(), rand::random()).to_string();
    let chunks: Vec<&[RunId]> = runs.chunks(CHUNK).collect();
    for (at, some) in chunks.chunks(CHUNKS_AT_ONCE).enumerate() {
        let mut writes = Vec::new();
        for (offset, runs) in some.iter().enumerate() {
            let waiting = |it: &RunId| BulkItem {
                run: it.to_string(),
                status: "waiting".to_owned(),
                problem: None,
            };
            let items: Vec<BulkItem> = runs.iter().map(waiting).collect();
            let key = key(&id, at * CHUNKS_AT_ONCE + offset);
            writes.push(ItemWrite::put(CHUNKS, &key, Expect::Anything, body(&items)?));
        }
        // Expectations of anything always hold.
        let _ = service.store().write_items(writes).await?;
    }
    let job = Job {
        action,
        reason,
        actor: principal.actor.clone(),
        created_at: service.now(),
        status: if runs.is_empty() { Status::Done } else { Status::Running },
        total: runs.len() as u64,
        done: 0,
        refused: 0,
    };
    // Last, so that a job that is there has all of its runs.
    let write = ItemWrite::put(JOBS, &id, Expect::Absent, body(&job)?);
    if service.store().write_items(vec![write]).await?.is_err() {
        return Err(Problem::internal("the id of a new job was taken"));
    }
    let shown = job.to_wire(&id);
    tokio::spawn(go_on(service.clone(), id));
    Ok(shown)
}

/// Reads a job of the caller's, or of anybody for an admin.
pub(super) async fn read(
    service: &Service,
    principal: &Principal,
    id: &str,
) -> Result<(BulkJob, u64), Problem> {
    let found = kept(service, id).await?;
    let is_theirs =
        |job: &Job| job.actor == principal.actor || principal.role == crate::auth::Role::Admin;
    let found = found.filter(|(job, _)| is_theirs(job));
    let (job, revision) = found.ok_or_else(|| Problem::not_found("job", id))?;
    Ok((job.to_wire(id), revision))
}

async fn kept(service: &Service, id: &str) -> Result<Option<(Job, u64)>, Problem> {
    let Some(item) = service.store().item(JOBS, id).await? else { return Ok(None) };
    let job = serde_json::from_slice(&item.body).map_err(Problem::internal)?;
    Ok(Some((job, item.revision)))
}

/// Returns a chunk of a job's runs.
pub(super) async fn chunk(
    service: &Service,
    id: &str,
    at: usize,
) -> Result<Vec<BulkItem>, Problem> {
    match service.store().item(CHUNKS, &key(id, at)).await? {
        Some(item) => serde_json::from_slice(&item.body).map_err(Problem::internal),
        None => Ok(Vec::new()),
    }
}

/// Ends a job; done and stopped ones stay as they are.
pub(super) async fn stop(
    service: &Service,
    principal: &Principal,
    id: &str,
) -> Result<BulkJob, Problem> {
    read(service, principal, id).await?;
    let changed = change(service, id, |job| {
        if job.status == Status::Running {
            job.status = Status::Stopped;
        }
    });
    let job = changed.await?.ok_or_else(|| Problem::not_found("job", id))?;
    Ok(job.to_wire(id))
}

/// Changes a job, again if somebody else did so in between.
async fn change(
    service: &Service,
    id: &str,
    change: impl Fn(&mut Job),
) -> Result<Option<Job>, Problem> {
    loop {
        let Some((mut job, revision)) = kept(service, id).await? else { return Ok(None) };
        change(&mut job);
        let write = ItemWrite::put(JOBS, id, Expect::Revision(revision), body(&job)?);
        if service.store().write_items(vec![write]).await?.is_ok() {
            return Ok(Some(job));
        }
    }
}

/// Goes on with the jobs that a stop or a crash has cut off.
pub(crate) async fn resume(service: &Service) -> Result<(), Problem> {
    for item in service.store().items(JOBS, None, JOBS_MAX).await? {
        let job: Job = serde_json::from_slice(&item.body).map_err(Problem::internal)?;
        if job.status == Status::Running {
            tokio::spawn(go_on(service.clone(), item.key));
        }
    }
    Ok(())
}

async fn go_on(service: Service, id: String) {
    if let Err(problem) = carry_out(&service, &id).await {
        tracing::error!(
            job = id,
            ?problem,
            "a bulk job is interrupted; it goes on at the next start"
        );
    }
}

/// Does what is left of a job, chunk by chunk.
async fn carry_out(service: &Service, id: &str) -> Result<(), Problem> {
    let Some((job, _)) = kept(service, id).await? else { return Ok(()) };
    let chunks = (job.total as usize).div_ceil(CHUNK);
    for at in 0..chunks {
        let mut items = chunk(service, id, at).await?;
        if items.iter().all(|it| it.status != "waiting") {
            continue;
        }
        for item in items.iter_mut().filter(|it| it.status == "waiting") {
            if service.stopping().is_cancelled() {
                return Ok(());
            }
            one(service, &job, item).await?;
        }
        let write = ItemWrite::put(CHUNKS, &key(id, at), Expect::Anything, body(&items)?);
        let _ = service.store().write_items(vec![write]).await?;
        let done = ((at + 1) * CHUNK).min(job.total as usize) as u64;
        let refused = items.iter().filter(|it| it.status == "refused").count() as u64;
        let changed = change(service, id, |job| {
            job.done = done;
            job.refused += refused;
            if done == job.total && job.status == Status::Running {
                job.status = Status::Done;
            }
        });
        if changed.await?.is_none_or(|it| it.status != Status::Running) {
            break;
        }
    }
    Ok(())
}

/// Asks one run. What is refused is a result; a store that does not answer is none.
async fn one(service: &Service, job: &Job, item: &mut BulkItem) -> Result<(), Problem> {
    let Ok(run) = item.run.parse::<RunId>() else {
        return Err(Problem::internal(format!("`{}` is not the id of a run", item.run)));
    };
    let by = By { actor: job.actor.clone(), reason: job.reason.clone() };
    match service.engine().command(run, super::command(job.action), by).await {
        Ok(()) => item.status = "done".to_owned(),
        Err(error @ (CommandError::Store(_) | CommandError::Stopping)) => return Err(error.into()),
        Err(error) => {
            item.status = "refused".to_owned();
            item.problem = Some(error.to_string());
        }
    }
    Ok(())
}
