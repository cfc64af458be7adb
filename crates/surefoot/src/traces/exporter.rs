//! Sends the spans of ended attempts and runs to a collector.
//!
//! The journal is the queue: the exporter reads it behind the engine, holds one batch in memory, and
//! keeps in the store how far it has come. So the engine never waits for it, and a crash loses
//! nothing. What could not be sent within [`AGE_MAX`] is dropped and counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;
use surefoot_core::ids::RunId;
use surefoot_core::run::{Event, Spans};
use surefoot_core::trace::TraceParent;
use surefoot_store::{Error, Expect, ItemWrite, JournalEntry, Store};
use tokio_util::sync::CancellationToken;

use super::{Plans, TracesConfig, begin, follow, otlp};
use crate::engine::Engine;
use crate::inspect::{self, InspectError};

/// What waits longer than this for its collector is dropped.
pub const AGE_MAX: Duration = Duration::from_secs(60 * 60);
/// Entries of the journal that are read in one go.
const PAGE: u32 = 1000;
/// Spans of one request.
const SPANS_MAX: usize = 512;
/// How often the journal is looked at when it stood still. Meanwhile spans gather.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a collector has for an answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// Pause after a collector did not answer; doubles up to the maximum.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Runs in one generation; twice as many are kept at most. The others are read again.
const GENERATION_RUNS_MAX: usize = 512;
/// Where the exporter keeps how far it has come.
const COLLECTION: &str = "traces";
const CURSOR: &str = "cursor";

/// What became of spans since the process began.
#[derive(Debug, Default)]
pub struct Counts {
    exported: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    /// Returns how many spans a collector took.
    pub fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Returns how many were refused, or were too old when they could have been sent.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Follows an engine's journal for a collector.
pub struct Exporter {
    engine: Engine,
    client: Client,
    url: Url,
    headers: HeaderMap,
    service_name: String,
    counts: Arc<Counts>,
    cursor: i64,
    plans: Plans,
    young: HashMap<RunId, Followed>,
    old: HashMap<RunId, Followed>,
}

enum Followed {
    Sampled(Box<Spans>),
    /// Whoever started the run does not record the trace.
    NotSampled,
}

/// What is done with spans that their collector cannot take now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    AskAgain,
    GiveUp,
}

/// Why spans were not sent. They are sent when the journal is followed next.
#[derive(Debug, thiserror::Error)]
pub enum Unsent {
    #[error("the store cannot be read: {0}")]
    Store(#[from] Error),
    #[error("the collector at {url}: {reason}")]
    Collector { url: String, reason: String },
}

/// Why a collector did not take spans.
enum Untaken {
    /// It never will.
    Refused(String),
    /// It may, after so long if it says so.
    Later(String, Option<Duration>),
}

impl Exporter {
    /// Makes the exporter that the engine's configuration asks for; nothing if it asks for none.
    /// The first time it begins at the end of the journal, from then on where it was. An error is
    /// one of the configuration, or of the store.
    pub async fn open(engine: &Engine, counts: Arc<Counts>) -> Result<Option<Exporter>, String> {
        let config = engine.config().traces.clone();
        if config.endpoint.is_empty() {
            return Ok(None);
        }
        let url = endpoint(&config.endpoint)?;
        let cursor = cursor(&**engine.store()).await.map_err(|error| error.to_string())?;
        let (client, headers) = (client(&url)?, headers(&config)?);
        let service_name = config.service_name;
        Ok(Some(Exporter {
            engine: engine.clone(),
            client,
            url,
            headers,
            service_name,
            counts,
            cursor,
            plans: Plans::default(),
            young: HashMap::new(),
            old: HashMap::new(),
        }))
    }

    /// Sends until it is told to stop. What was not sent then is sent by [`Exporter::finish`], or
    /// after the next start.
    pub async fn run(mut self, stop: CancellationToken) -> Exporter {
        stop.run_until_cancelled(async {
            loop {
                match self.export(Patience::AskAgain).await {
                    Ok(true) => {}
                    Ok(false) => tokio::time::sleep(PAUSE).await,
                    Err(error) => {
                        tracing::warn!(%error, "spans wait");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        })
        .await;
        self
    }

    /// Sends what the journal has by now, and asks a collector that is away only once.
    pub async fn finish(&mut self) -> Result<(), Unsent> {
        while self.export(Patience::GiveUp).await? {}
        Ok(())
    }

    /// Exports one page of the journal. Returns whether there was one.
    async fn export(&mut self, patience: Patience) -> Result<bool, Unsent> {
        let store = Arc::clone(self.engine.store());
        let entries = store.journal(self.cursor, PAGE).await?;
        let Some(last) = entries.last().map(|it| it.position) else { return Ok(false) };
        let mut spans = Vec::new();
        for entry in &entries {
            self.take(&*store, entry, &mut spans).await?;
            if spans.len() >= SPANS_MAX {
                self.send(std::mem::take(&mut spans), patience).await?;
                self.keep(&*store, entry.position).await?;
            }
        }
        if !spans.is_empty() {
            self.send(spans, patience).await?;
        }
        self.keep(&*store, last).await?;
        Ok(true)
    }

    async fn keep(&mut self, store: &dyn Store, cursor: i64) -> Result<(), Error> {
        self.cursor = cursor;
        write_cursor(store, cursor).await
    }

    /// Adds the spans that end with a record.
    async fn take(
        &mut self,
        store: &dyn Store,
        entry: &JournalEntry,
        told: &mut Vec<(u64, Value)>,
    ) -> Result<(), Error> {
        match self.followed(store, entry).await {
            Ok((run, ended)) => {
                told.extend(ended);
                if let Some(run) = run {
                    self.remember(entry.run, run);
                }
                Ok(())
            }
            Err(InspectError::Store(error)) => Err(error),
            // Removed in the meantime.
            Err(InspectError::NotFound(_)) => Ok(()),
            Err(error @ InspectError::Unreadable { .. }) => {
                tracing::warn!(%error, seq = entry.seq, "a record is left out of the traces");
                Ok(())
            }
        }
    }

    /// Returns the run to remember, if it goes on, and what ends with a record: when, and the span.
    async fn followed(
        &mut self,
        store: &dyn Store,
        entry: &JournalEntry,
    ) -> Result<(Option<Followed>, Vec<(u64, Value)>), InspectError> {
        let run = entry.run;
        let raw = vec![entry.record.clone()];
        let known = self.young.remove(&run).or_else(|| self.old.remove(&run));
        if let Some(Followed::NotSampled) = known {
            return Ok((known, Vec::new()));
        }
        let decoded = inspect::decode(store, run, raw).await?;
        let record = decoded.first().ok_or(InspectError::NotFound(run))?;
        let mut spans = match known {
            Some(Followed::Sampled(spans)) if spans.records() == entry.seq => spans,
            _ if entry.seq == 0 => Box::new(begin(store, run, record, &mut self.plans).await?),
            _ => Box::new(follow(store, run, entry.seq, &mut self.plans, &mut Vec::new()).await?),
        };
        if !TraceParent::of_run(run, &spans.state().created).is_sampled {
            return Ok((Some(Followed::NotSampled), Vec::new()));
        }
        let ended = spans.follow(record);
        let state = spans.state();
        let told = ended.iter().filter_map(|it| Some((record.at, otlp::span(it, state)?)));
        let told: Vec<(u64, Value)> = told.collect();
        let has_ended = record.events.iter().any(|it| matches!(it, Event::Ended { .. }));
        Ok(((!has_ended).then_some(Followed::Sampled(spans)), told))
    }

    fn remember(&mut self, run: RunId, followed: Followed) {
        if self.young.len() >= GENERATION_RUNS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(run, followed);
    }

    /// Sends spans that are not too old.
    async fn send(&self, spans: Vec<(u64, Value)>, patience: Patience) -> Result<(), Unsent> {
        let count = spans.len();
        let young = spans.into_iter().filter(|it| self.is_young(it.0));
        let young: Vec<(u64, Value)> = young.collect();
        let oldest = young.iter().map(|it| it.0).min().unwrap_or_default();
        let young: Vec<Value> = young.into_iter().map(|it| it.1).collect();
        self.count(&self.counts.dropped, count - young.len());
        for part in young.chunks(SPANS_MAX) {
            self.send_part(part, oldest, patience).await?;
        }
        Ok(())
    }

    /// Sends one request, again and again until it is taken, refused, or too old; or only once.
    async fn send_part(
        &self,
        part: &[Value],
        oldest: u64,
        patience: Patience,
    ) -> Result<(), Unsent> {
        let body = otlp::request(&self.service_name, part).to_string();
        let mut pause = RETRY_PAUSE;
        loop {
            match self.post(&body).await {
                Ok(rejected) => {
                    let rejected = rejected.min(part.len());
                    self.count(&self.counts.dropped, rejected);
                    self.count(&self.counts.exported, part.len() - rejected);
                    return Ok(());
                }
                Err(Untaken::Later(reason, _)) if patience == Patience::GiveUp => {
                    return Err(Unsent::Collector { url: self.shown_url(), reason });
                }
                Err(Untaken::Later(reason, after)) if self.is_young(oldest) => {
                    tracing::warn!(
                        url = self.shown_url(),
                        reason,
                        "spans wait for their collector"
                    );
                    tokio::time::sleep(after.unwrap_or(pause).min(RETRY_PAUSE_MAX)).await;
                    pause = (pause * 2).min(RETRY_PAUSE_MAX);
                }
                Err(Untaken::Later(reason, _) | Untaken::Refused(reason)) => {
                    let (url, spans) = (self.shown_url(), part.len());
                    tracing::error!(url, reason, spans, "spans are dropped");
                    self.count(&self.counts.dropped, spans);
                    return Ok(());
                }
            }
        }
    }

    fn is_young(&self, at: u64) -> bool {
        self.engine.now().saturating_sub(at) <= AGE_MAX.as_millis() as u64
    }

    /// Returns the collector's address without a password.
    fn shown_url(&self) -> String {
        let mut url = self.url.clone();
        // An address that can have none has none.
        let _ = url.set_password(None);
        let _ = url.set_username("");
        url.set_query(None);
        url.to_string()
    }

    fn count(&self, counter: &AtomicU64, by: usize) {
        counter.fetch_add(by as u64, Ordering::Relaxed);
    }

    /// Sends one request. Returns how many of its spans were rejected.
    async fn post(&self, body: &str) -> Result<usize, Untaken> {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone());
        let response = request.body(body.to_owned()).send().await;
        // Its text may have the URL, and that a password.
        let response =
            response.map_err(|error| Untaken::Later(error.without_url().to_string(), None))?;
        let status = response.status();
        if status.is_success() {
            return Ok(rejected(response).await);
        }
        let reason = format!("it answered {status}");
        match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                let after = response.headers().get(RETRY_AFTER);
                let after = after.and_then(|it| it.to_str().ok()?.parse().ok());
                Err(Untaken::Later(reason, after.map(Duration::from_secs)))
            }
            _ => Err(Untaken::Refused(reason)),
        }
    }
}

/// Reads how many spans a collector took only in part. An answer that cannot be read rejects none.
async fn rejected(mut response: Response) -> usize {
    let mut content = Vec::new();
    while let Ok(Some(part)) = response.chunk().await {
        content.extend_from_slice(&part);
        if content.len() > ANSWER_BYTES_MAX {
            return 0;
        }
    }
    let answer: Value = serde_json::from_slice(&content).unwrap_or_default();
    let rejected = &answer["partialSuccess"]["rejectedSpans"];
    // A 64-bit number is a text in this form; some write it as a number all the same.
    let count = rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or(0);
    if count > 0 {
        let reason = answer["partialSuccess"]["errorMessage"].as_str().unwrap_or_default();
        tracing::warn!(count, reason, "a collector rejected spans");
    }
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn endpoint(text: &str) -> Result<Url, String> {
    let wrong = |why: &str| format!("traces.endpoint: `{text}` {why}");
    let mut url: Url = text.parse().map_err(|_| wrong("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("must begin with http:// or https://"));
    }
    if matches!(url.path(), "" | "/") {
        url.set_path("/v1/traces");
    }
    Ok(url)
}

fn headers(config: &TracesConfig) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in &config.headers {
        let parsed = HeaderName::try_from(name).ok().zip(HeaderValue::from_str(value).ok());
        let Some((parsed, mut value)) = parsed else {
            return Err(format!("traces.headers: `{name}` is not a header, or its value is none"));
        };
        value.set_sensitive(true);
        headers.insert(parsed, value);
    }
    Ok(headers)
}

fn client(url: &Url) -> Result<Client, String> {
    crate::kinds::install_tls_provider();
    let builder = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("surefoot/", env!("CARGO_PKG_VERSION")))
        .timeout(ANSWER_TIME_MAX);
    // Plain HTTP needs no root certificates, and the machine may have none.
    let builder = if url.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
    builder.build().map_err(|error| format!("traces.endpoint: {error}"))
}

async fn cursor(store: &dyn Store) -> Result<i64, Error> {
    let kept = store.item(COLLECTION, CURSOR).await?;
    let kept = kept.and_then(|it| String::from_utf8(it.body).ok()?.parse().ok());
    if let Some(cursor) = kept {
        return Ok(cursor);
    }
    let end = store.journal_end().await?;
    write_cursor(store, end).await?;
    Ok(end)
}

async fn write_cursor(store: &dyn Store, cursor: i64) -> Result<(), Error> {
    let body = cursor.to_string().into_bytes();
    let write = ItemWrite::put(COLLECTION, CURSOR, Expect::Anything, body);
    store.write_items(vec![write]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_get_the_path_of_the_protocol() {
        for (text, expected) in [
            ("http://127.0.0.1:4318", Ok("http://127.0.0.1:4318/v1/traces")),
            ("http://collector/", Ok("http://collector/v1/traces")),
            ("https://collector/otlp/v1/traces", Ok("https://collector/otlp/v1/traces")),
            ("collector:4317", Err(())),
            ("grpc://collector:4317", Err(())),
            ("/v1/traces", Err(())),
        ] {
            let url = endpoint(text).map(|it| it.to_string()).map_err(drop);
            assert_eq!(url, expected.map(str::to_owned), "{text}");
        }
    }
}
