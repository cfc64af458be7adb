//! Runs as distributed traces.
//!
//! Spans are read off the journal ([`surefoot_core::run::Spans`]), and their ids are derived from
//! run, task and attempt. So the engine does nothing for a trace but to hand `traceparent` on, a
//! crash loses no span, and one that is sent twice is the same span.
//!
//! | file | holds |
//! |---|---|
//! | `exporter` | follows the journal and sends what has ended to a collector |
//! | `otlp` | spans as OTLP has them, in JSON |
//! | `chrome` | one run as a file for Perfetto and Chrome |

mod chrome;
mod exporter;
mod otlp;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use surefoot_core::ids::{Digest, RunId};
use surefoot_core::plan::Plan;
use surefoot_core::run::{Event, Record, Span, Spans};
use surefoot_store::Store;

use crate::inspect::{self, InspectError};

pub use chrome::chrome;
pub use exporter::{Counts, Exporter, Unsent};

/// Records that are read in one go.
const PAGE: u32 = 1000;
/// Plans that are remembered.
const PLANS_MAX: usize = 100;

/// `[traces]` in surefoot.toml.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TracesConfig {
    /// Where a server sends spans, with OTLP over HTTP; nowhere if it is empty. An address without
    /// a path gets `/v1/traces`.
    pub endpoint: String,
    /// Sent with every request, such as the key of a service.
    pub headers: BTreeMap<String, String>,
    /// What the collector is told that this is.
    pub service_name: String,
}

impl Default for TracesConfig {
    fn default() -> TracesConfig {
        let service_name = "surefoot".to_owned();
        TracesConfig { endpoint: String::new(), headers: BTreeMap::new(), service_name }
    }
}

/// Plans that runs follow. To make one, its whole definition is read.
#[derive(Default)]
struct Plans(HashMap<Digest, Arc<Plan>>);

impl Plans {
    async fn get(
        &mut self,
        store: &dyn Store,
        run: RunId,
        definition: Digest,
    ) -> Result<Arc<Plan>, InspectError> {
        if let Some(plan) = self.0.get(&definition) {
            return Ok(Arc::clone(plan));
        }
        let plan = inspect::plan(store, run, definition).await?;
        if self.0.len() >= PLANS_MAX {
            self.0.clear();
        }
        self.0.insert(definition, Arc::clone(&plan));
        Ok(plan)
    }
}

/// Reads all spans of a run: those that have ended, and behind them those that go on.
pub async fn of_run(store: &dyn Store, run: RunId) -> Result<(Spans, Vec<Span>), InspectError> {
    let mut all = Vec::new();
    let spans = follow(store, run, u64::MAX, &mut Plans::default(), &mut all).await?;
    all.extend(spans.open());
    Ok((spans, all))
}

/// Folds at most `count` records of a run from its first on, and collects the spans that end.
async fn follow(
    store: &dyn Store,
    run: RunId,
    count: u64,
    plans: &mut Plans,
    ended: &mut Vec<Span>,
) -> Result<Spans, InspectError> {
    let mut page = inspect::page(store, run, 0, PAGE).await?;
    let first = page.first().ok_or(InspectError::NotFound(run))?;
    let mut spans = begin(store, run, first, plans).await?;
    loop {
        for record in &page {
            if spans.records() >= count {
                return Ok(spans);
            }
            ended.extend(spans.follow(record));
        }
        if page.len() < PAGE as usize {
            return Ok(spans);
        }
        page = inspect::page(store, run, spans.records(), PAGE).await?;
    }
}

/// Begins with the first record of a run, without folding it.
async fn begin(
    store: &dyn Store,
    run: RunId,
    first: &Record,
    plans: &mut Plans,
) -> Result<Spans, InspectError> {
    let Some(Event::Created(created)) = first.events.first() else {
        let reason = "its journal does not begin with its creation".to_owned();
        return Err(InspectError::Unreadable { run, reason });
    };
    let plan = plans.get(store, run, created.definition).await?;
    Ok(Spans::new(plan, run, (**created).clone(), first.at))
}
