//! A server seen as a store that can only be read. Every command that looks at runs reads a store,
//! so each works the same whether the store is a file here or belongs to a server elsewhere.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use surefoot::core::ids::{Digest, RunId};
use surefoot::core::time::Millis;
use surefoot::store::*;
use surefoot_client::{Client, Error as CallError, wire};

/// Records that are asked for at once.
const RECORDS_AT_ONCE: u32 = 1000;
/// Rows that are asked for at once.
const ROWS_AT_ONCE: u32 = 500;

pub struct RemoteStore {
    client: Client,
}

impl RemoteStore {
    pub fn new(client: Client) -> RemoteStore {
        RemoteStore { client }
    }

    /// Gets something; nothing if the server does not know it.
    async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        match self.client.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(CallError::Refused(problem)) if problem.status == 404 => Ok(None),
            Err(error) => Err(self.unavailable(&error)),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.client.get(path).await.map_err(|error| self.unavailable(&error))
    }

    fn unavailable(&self, error: &CallError) -> Error {
        let (location, reason) = (self.client.url().to_owned(), error.to_string());
        let hint = error.problem().and_then(|it| it.hint.clone());
        if let Some(status @ (401 | 403)) = error.problem().map(|it| it.status) {
            let hint = hint.unwrap_or_else(|| "Use another token: SUREFOOT_TOKEN.".to_owned());
            return Error::Forbidden { location, reason, hint, is_known: status == 403 };
        }
        Error::Unavailable {
            location,
            reason,
            hint: hint
                .unwrap_or_else(|| "Start it with `surefoot dev`, or name another.".to_owned()),
        }
    }

    fn never<T>(&self, what: &str) -> Result<T> {
        Err(Error::Unavailable {
            location: self.client.url().to_owned(),
            reason: format!("a server does not let others {what}"),
            hint: "Do it where the store is, with --store.".to_owned(),
        })
    }

    fn garbled(&self, what: &str) -> Error {
        Error::Damaged {
            location: self.client.url().to_owned(),
            reason: format!("{what} cannot be read"),
        }
    }

    fn row(&self, run: wire::Run) -> Result<RunRow> {
        let id = |text: &str| text.parse::<RunId>().map_err(|_| self.garbled("the id of a run"));
        let ended_at = run.ended_at.as_deref().and_then(instant);
        let definition = run.definition.parse().map_err(|_| self.garbled("a hash"))?;
        Ok(RunRow {
            id: id(&run.id)?,
            shard: 0,
            workflow: run.workflow,
            version: run.version,
            definition,
            key: run.key,
            key_body: None,
            status: run.status,
            activity: if ended_at.is_some() { Activity::Ended } else { Activity::Active },
            created_at: instant(&run.created_at).unwrap_or_default(),
            started_at: run.started_at.as_deref().and_then(instant),
            ended_at,
            priority: run.priority,
            actor: run.actor,
            parent: run.parent.as_deref().map(id).transpose()?,
            concurrency_key: None,
            labels: run.labels,
            summary: run.summary,
            done: run.done,
            total: run.total,
        })
    }

    fn definition_row(&self, it: wire::Workflow) -> Result<DefinitionRow> {
        Ok(DefinitionRow {
            hash: it.hash.parse().map_err(|_| self.garbled("a hash"))?,
            workflow: it.workflow,
            version: it.version,
            source: it.source.unwrap_or_default(),
            created_at: instant(&it.created_at).unwrap_or_default(),
            actor: it.actor,
        })
    }
}

fn instant(text: &str) -> Option<Millis> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    Millis::try_from(instant.as_millisecond()).ok()
}

/// Writes a filter as the query of a list.
fn query(filter: &RunFilter) -> String {
    let mut query = format!("limit={}", filter.limit.clamp(1, ROWS_AT_ONCE));
    let mut add = |name: &str, value: &str| {
        query.push_str(&format!(
            "&{}={}",
            surefoot_client::segment(name),
            surefoot_client::segment(value)
        ));
    };
    if let Some(workflow) = &filter.workflow {
        add("workflow", workflow);
    }
    if !filter.statuses.is_empty() {
        add("status", &filter.statuses.join(","));
    }
    if let Some(key) = &filter.key {
        add("key", key);
    }
    if let Some(parent) = filter.parent {
        add("parent", &parent.to_string());
    }
    for (name, value) in &filter.labels {
        add(&format!("label.{name}"), value);
    }
    if let Some(since) = filter.since {
        add("since", &crate::output::time::iso(since));
    }
    query
}

#[async_trait]
impl Store for RemoteStore {
    async fn claim(&self, _: Shard) -> Result<Owner> {
        self.never("own its store")
    }

    fn append(&self, _: Owner, _: Arc<[Append]>) -> Pending<Vec<Outcome>> {
        let refused = self.never("write its journal");
        Box::pin(async move { refused })
    }

    async fn load(&self, run: RunId) -> Result<Loaded> {
        let mut records = Vec::new();
        loop {
            let some = self.records(run, records.len() as u64, RECORDS_AT_ONCE).await?;
            let is_last = some.len() < RECORDS_AT_ONCE as usize;
            records.extend(some);
            if is_last {
                return Ok(Loaded { snapshot: None, records });
            }
        }
    }

    async fn records(&self, run: RunId, from: u64, limit: u32) -> Result<Vec<Vec<u8>>> {
        let path = format!("/v1/runs/{run}/records?from={from}&limit={limit}");
        let found: Option<wire::Records> = self.find(&path).await?;
        let items = found.map(|it| it.items).unwrap_or_default();
        Ok(items.iter().map(|it| it.to_string().into_bytes()).collect())
    }

    async fn run(&self, run: RunId) -> Result<Option<RunRow>> {
        let found: Option<wire::Run> = self.find(&format!("/v1/runs/{run}")).await?;
        found.map(|it| self.row(it)).transpose()
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>> {
        let mut query = query(filter);
        if let Some((from, to)) = filter.ids {
            let (from, to) = (from.to_string(), to.to_string());
            let common = from.bytes().zip(to.bytes()).take_while(|(one, other)| one == other);
            query.push_str(&format!("&id={}", &from[..common.count()]));
        }
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let page: wire::Page<wire::Run> =
                self.get(&format!("/v1/runs?{query}{cursor}")).await?;
            for run in page.items {
                let row = self.row(run)?;
                if filter.before.is_none_or(|it| row.id < it) {
                    rows.push(row);
                }
            }
            match page.next_cursor {
                Some(next) if rows.len() < filter.limit as usize => {
                    cursor = format!("&cursor={next}")
                }
                _ => break,
            }
        }
        rows.truncate(filter.limit as usize);
        Ok(rows)
    }

    async fn tally(&self, _: Millis) -> Result<Tally> {
        self.never("count its runs")
    }

    async fn active(&self, _: Shard, _: Option<RunId>, _: u32) -> Result<Vec<RunId>> {
        self.never("take its runs over")
    }

    async fn due(&self, _: Shard, _: Millis, _: u32) -> Result<Vec<(Millis, RunId)>> {
        self.never("take its runs over")
    }

    async fn next_wake(&self, _: Shard, _: Millis) -> Result<Option<Millis>> {
        self.never("take its runs over")
    }

    async fn keyed(&self, _: Shard) -> Result<Vec<RunRow>> {
        self.never("take its runs over")
    }

    async fn put_definition(&self, _: &DefinitionRow) -> Result<std::result::Result<(), Digest>> {
        self.never("write its definitions")
    }

    async fn definition(&self, hash: Digest) -> Result<Option<DefinitionRow>> {
        let found: Option<wire::Workflow> = self.find(&format!("/v1/definitions/{hash}")).await?;
        found.map(|it| self.definition_row(it)).transpose()
    }

    async fn definitions(&self, workflow: Option<&str>) -> Result<Vec<DefinitionRow>> {
        let path = match workflow {
            Some(id) => format!("/v1/workflows/{}/versions", surefoot_client::segment(id)),
            None => "/v1/workflows".to_owned(),
        };
        let found: Option<wire::Page<wire::Workflow>> = self.find(&path).await?;
        let items = found.map(|it| it.items).unwrap_or_default();
        items.into_iter().map(|it| self.definition_row(it)).collect()
    }

    async fn payload(&self, _: Digest) -> Result<Option<Vec<u8>>> {
        // Records come with their values.
        Ok(None)
    }

    async fn logs(&self, run: RunId, filter: &LogFilter) -> Result<Vec<StoredLog>> {
        let mut path = format!("/v1/runs/{run}/logs?limit={}", filter.limit);
        if let Some(task) = &filter.task {
            path.push_str(&format!("&task={}", surefoot_client::segment(task)));
        }
        if let Some(attempt) = filter.attempt {
            path.push_str(&format!("&attempt={attempt}"));
        }
        if filter.after > 0 {
            path.push_str(&format!("&cursor={}", filter.after));
        }
        let page: wire::Page<wire::LogLine> = self.get(&path).await?;
        let position = page.next_cursor.and_then(|it| it.parse().ok()).unwrap_or(filter.after);
        let lines = page.items.into_iter().map(|it| StoredLog {
            // Readers go on after the last line; where those before it lie does not matter to them.
            position,
            line: LogLine {
                run,
                task: it.task,
                attempt: it.attempt,
                at: instant(&it.at).unwrap_or_default(),
                stream: it.level,
                text: it.text,
            },
        });
        Ok(lines.collect())
    }

    fn append_logs(&self, _: Owner, _: Vec<LogLine>) -> Pending<()> {
        let refused = self.never("write its logs");
        Box::pin(async move { refused })
    }

    async fn post(&self, _: RunId, _: Vec<u8>, _: Millis) -> Result<i64> {
        self.never("write its inbox")
    }

    async fn inbox(&self, _: i64, _: u32) -> Result<Vec<InboxRow>> {
        self.never("read its inbox")
    }

    async fn answer(&self, _: Owner, _: Vec<(i64, String)>) -> Result<()> {
        self.never("write its inbox")
    }

    async fn answered(&self, _: i64) -> Result<Option<String>> {
        self.never("read its inbox")
    }

    async fn item(&self, _: &str, _: &str) -> Result<Option<Item>> {
        self.never("read what it keeps beside runs")
    }

    async fn items(&self, _: &str, _: Option<&str>, _: u32) -> Result<Vec<Item>> {
        self.never("read what it keeps beside runs")
    }

    async fn write_items(
        &self,
        _: Vec<ItemWrite>,
    ) -> Result<std::result::Result<Vec<u64>, ItemConflict>> {
        self.never("write what it keeps beside runs")
    }

    async fn journal(&self, _: i64, _: u32) -> Result<Vec<JournalEntry>> {
        self.never("read its whole journal")
    }

    async fn journal_removed(&self) -> Result<i64> {
        self.never("read its whole journal")
    }

    async fn journal_end(&self) -> Result<i64> {
        self.never("read its whole journal")
    }

    async fn all_logs(&self, _: i64, _: u32) -> Result<Vec<StoredLog>> {
        self.never("read all of its logs")
    }

    async fn logs_end(&self) -> Result<i64> {
        self.never("read all of its logs")
    }

    async fn info(&self) -> Result<StoreInfo> {
        self.never("look into its store")
    }

    async fn verify(&self) -> Result<Vec<Damage>> {
        self.never("look into its store")
    }

    async fn backup(&self, _: &Path) -> Result<()> {
        self.never("copy its store")
    }

    async fn gc(&self, _: &Retention) -> Result<Collected> {
        self.never("clean its store")
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
