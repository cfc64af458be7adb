//! Reading runs from a store, whoever owns it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use surefoot_core::ids::{Digest, RunId};
use surefoot_core::limits::Limits;
use surefoot_core::plan::Plan;
use surefoot_core::run::{Approval, Record, Run, RunState, TaskId, Wait};
use surefoot_core::time::Millis;
use surefoot_store::{Activity, RunFilter, RunRow, Store};

use crate::engine::{Inbox, SHARD};

/// Records that are read in one go.
const RECORDS_AT_ONCE: u32 = 1000;

/// Why a run cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum InspectError {
    #[error("there is no run {0}")]
    NotFound(RunId),
    #[error("run {run} cannot be read: {reason}")]
    Unreadable { run: RunId, reason: String },
    #[error(transparent)]
    Store(#[from] surefoot_store::Error),
}

/// Why a text does not name one run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("no run matches `{text}`")]
    NotFound { text: String },
    #[error("`{text}` matches more than one run")]
    Ambiguous { text: String, candidates: Vec<RunId> },
    #[error(transparent)]
    Store(#[from] surefoot_store::Error),
}

/// Folds a run from its journal.
pub async fn load(store: &dyn Store, run: RunId) -> Result<Run, InspectError> {
    let row = store.run(run).await?.ok_or(InspectError::NotFound(run))?;
    let plan = plan(store, run, row.definition).await?;
    let state = fold(store, run).await?;
    Ok(Run::new(plan, state, Arc::new(Limits::default())))
}

/// Returns the plan that a run follows.
pub(crate) async fn plan(
    store: &dyn Store,
    run: RunId,
    definition: Digest,
) -> Result<Arc<Plan>, InspectError> {
    let unreadable = |reason: String| InspectError::Unreadable { run, reason };
    let row = store.definition(definition).await?;
    let row =
        row.ok_or_else(|| unreadable(format!("definition {definition} is not in the store")))?;
    crate::engine::plan_of(&row).map_err(unreadable)
}

/// Folds the state of a run: from its snapshot, if it has one, and the records after it.
pub(crate) async fn fold(store: &dyn Store, run: RunId) -> Result<RunState, InspectError> {
    let unreadable = |reason: String| InspectError::Unreadable { run, reason };
    let loaded = store.load(run).await?;
    if loaded.is_empty() {
        return Err(InspectError::NotFound(run));
    }
    // A snapshot is disposable: one that cannot be read only costs the time of the whole journal.
    let snapshot = loaded.snapshot.map(|(_, bytes)| serde_json::from_slice::<RunState>(&bytes));
    let Some(Ok(mut state)) = snapshot else {
        let records = match snapshot {
            Some(_) => history(store, run).await?,
            None => decode(store, run, loaded.records).await?,
        };
        return RunState::fold(run, records).map_err(|error| unreadable(error.to_string()));
    };
    let records = decode(store, run, loaded.records).await?;
    records.iter().for_each(|record| state.apply(record));
    Ok(state)
}

/// Returns the whole journal of a run, oldest record first.
pub async fn history(store: &dyn Store, run: RunId) -> Result<Vec<Record>, InspectError> {
    let all = records(store, run, 0).await?;
    if all.is_empty() { Err(InspectError::NotFound(run)) } else { Ok(all) }
}

/// Returns the records of a run from number `from` on, for who follows it.
pub async fn records(
    store: &dyn Store,
    run: RunId,
    from: u64,
) -> Result<Vec<Record>, InspectError> {
    let mut all = Vec::new();
    loop {
        let some = store.records(run, from + all.len() as u64, RECORDS_AT_ONCE).await?;
        let is_last = some.len() < RECORDS_AT_ONCE as usize;
        all.extend(decode(store, run, some).await?);
        if is_last {
            return Ok(all);
        }
    }
}

/// A run has no task of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("run {run} has no task `{path}`")]
pub struct UnknownTask {
    pub run: RunId,
    pub path: String,
    /// The names of its tasks.
    pub known: Vec<String>,
}

/// Finds a task of a run by its path.
pub fn task_named(run: &Run, path: &str) -> Result<TaskId, UnknownTask> {
    run.find(path).ok_or_else(|| {
        let tasks = (0..run.state().tasks.len() as u32).map(TaskId);
        let known = tasks.map(|it| run.path(it)).collect();
        UnknownTask { run: run.id(), path: path.to_owned(), known }
    })
}

/// Returns the row of a run as its journal has it. Whether it wants to be loaded, only its owner
/// knows: here every run that has not ended does.
pub fn row(run: &Run) -> RunRow {
    let state = run.state();
    let created = &state.created;
    let (done, total) = state.progress();
    let activity = match state.status.is_terminal() {
        true => Activity::Ended,
        false => Activity::Active,
    };
    RunRow {
        id: state.id,
        shard: SHARD,
        workflow: created.workflow.clone(),
        version: created.version.clone(),
        definition: created.definition,
        key: created.key.clone(),
        key_body: None,
        status: state.status.name().to_owned(),
        activity,
        created_at: state.created_at,
        started_at: state.started_at,
        ended_at: state.ended_at,
        priority: created.priority,
        actor: created.actor.clone(),
        parent: created.parent.as_ref().map(|it| it.run),
        concurrency_key: created.concurrency_key.clone(),
        labels: created.labels.clone(),
        summary: summary(run),
        done,
        total,
    }
}

/// Returns one line for lists: the error of an ended run, or the first thing that a run waits for.
pub fn summary(run: &Run) -> Option<String> {
    let state = run.state();
    if let Some(error) = &state.error {
        let task = error.task.as_ref().map_or_else(String::new, |it| format!("{it}: "));
        return Some(format!("{task}{}", error.error.message));
    }
    if state.status.is_terminal() {
        return None;
    }
    let mut tasks = (0..state.tasks.len() as u32).map(TaskId);
    let waiting =
        tasks.find(|it| state.task(*it).wait().is_some() && !state.task(*it).status.is_ended())?;
    Some(run.path(waiting))
}

/// Returns the approvals of a run that are open.
pub fn approvals(run: &Run) -> Vec<(TaskId, &Approval)> {
    let tasks = run.state().tasks.iter().enumerate();
    let open = tasks.filter_map(|(at, task)| match task.wait() {
        Some(Wait::Approval(approval)) if !task.status.is_ended() => {
            Some((TaskId(at as u32), &**approval))
        }
        _ => None,
    });
    open.collect()
}

/// Returns at most `limit` records of a run, from number `from` on.
pub async fn page(
    store: &dyn Store,
    run: RunId,
    from: u64,
    limit: u32,
) -> Result<Vec<Record>, InspectError> {
    let raw = store.records(run, from, limit).await?;
    decode(store, run, raw).await
}

/// Reads records as they are kept, with the values that are kept apart from them.
pub async fn decode(
    store: &dyn Store,
    run: RunId,
    raw: Vec<Vec<u8>>,
) -> Result<Vec<Record>, InspectError> {
    let unreadable = |reason: String| InspectError::Unreadable { run, reason };
    let mut records = Vec::with_capacity(raw.len());
    let mut fetched: BTreeMap<Digest, Arc<Value>> = BTreeMap::new();
    for bytes in raw {
        let mut record = Record::decode(&bytes).map_err(|error| unreadable(error.to_string()))?;
        for digest in record.kept() {
            if let std::collections::btree_map::Entry::Vacant(place) = fetched.entry(digest) {
                let bytes = store.payload(digest).await?;
                let bytes =
                    bytes.ok_or_else(|| unreadable(format!("payload {digest} is missing")))?;
                let value = serde_json::from_slice(&bytes)
                    .map_err(|error| unreadable(format!("payload {digest}: {error}")))?;
                place.insert(Arc::new(value));
            }
        }
        record.resolve(&fetched);
        records.push(record);
    }
    Ok(records)
}

/// Candidates that an ambiguous text is answered with.
const CANDIDATES_MAX: u32 = 5;

/// Finds the run that a text names: an id or a unique prefix of one, `@latest`, `@latest-failed`,
/// or `key:KEY`.
pub async fn resolve(store: &dyn Store, text: &str) -> Result<RunId, ResolveError> {
    let not_found = || ResolveError::NotFound { text: text.to_owned() };
    let mut filter = RunFilter { limit: CANDIDATES_MAX, ..RunFilter::default() };
    match text {
        "@latest" => filter.limit = 1,
        "@latest-failed" => {
            filter.limit = 1;
            filter.statuses = vec!["failed".to_owned()];
        }
        _ => match text.strip_prefix("key:") {
            Some(key) => filter.key = Some(key.to_owned()),
            None => filter.ids = Some(RunId::prefix_range(text).ok_or_else(not_found)?),
        },
    }
    let rows: Vec<RunRow> = store.runs(&filter).await?;
    match &rows[..] {
        [] => Err(not_found()),
        [row] => Ok(row.id),
        _ => {
            let candidates = rows.iter().map(|it| it.id).collect();
            Err(ResolveError::Ambiguous { text: text.to_owned(), candidates })
        }
    }
}

/// How often a left request is looked after.
const ANSWER_INTERVAL: Duration = Duration::from_millis(25);

/// Leaves a request for the process that owns the store and waits for its answer. `None` means
/// that there was none in time; the request stays and may still be carried out.
pub async fn remote(
    store: &dyn Store,
    run: RunId,
    request: &Inbox,
    now: Millis,
    patience: Duration,
) -> Result<Option<String>, surefoot_store::Error> {
    let body = serde_json::to_vec(request).expect("a request has a text");
    let entry = store.post(run, body, now).await?;
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        if let Some(answer) = store.answered(entry).await? {
            return Ok(Some(answer));
        }
        if tokio::time::Instant::now() >= deadline {
            return Ok(None);
        }
        tokio::time::sleep(ANSWER_INTERVAL).await;
    }
}
