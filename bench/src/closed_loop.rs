//! W1 to W4: a number of callers, each of which starts a run, waits for its end, and starts the
//! next.

use std::time::{Duration, Instant};

use surefoot::{Engine, RunId, RunStatus, StartRequest};

use crate::process::Meter;
use crate::row::Row;
use crate::workload::Workload;
use crate::{Error, Options, Scratch};

/// Part of the time that is spent before anything is measured.
const WARM_UP: f64 = 0.2;

pub async fn measure(
    options: &Options,
    workload: Workload,
    concurrency: usize,
) -> Result<Row, Error> {
    let scratch = Scratch::new(options, &format!("{workload}-{concurrency}"));
    let (definition, steps) = workload.definition();
    let engine = scratch.open().await?;
    let name = engine.deploy(&definition).await?.workflow;
    repeat(&engine, &name, concurrency, options.duration.mul_f64(WARM_UP)).await?;

    let records_before = engine.statistics().records;
    let meter = Meter::start();
    let mut taken = repeat(&engine, &name, concurrency, options.duration).await?;
    let row = Row::of(workload.to_string(), concurrency, &meter, &mut taken);
    let seconds = meter.elapsed().as_secs_f64();
    let records = engine.statistics().records - records_before;
    let last = execute(&engine, &name).await?;
    let record_bytes = average_record(&engine, last).await?;
    engine.stop(Duration::from_secs(1)).await?;

    let limit_rows_per_s = scratch.bare_limit(records, record_bytes).await?;
    let limit_ratio = records as f64 / seconds / limit_rows_per_s;
    let steps_per_s = row.runs_per_s * steps as f64;
    Ok(Row { steps_per_s, limit_rows_per_s, limit_ratio, ..row })
}

/// Keeps so many runs going for so long, and returns how long each took.
async fn repeat(
    engine: &Engine,
    workflow: &str,
    concurrency: usize,
    duration: Duration,
) -> Result<Vec<Duration>, Error> {
    let end = Instant::now() + duration;
    let callers: Vec<_> = (0..concurrency)
        .map(|_| {
            let (engine, workflow) = (engine.clone(), workflow.to_owned());
            tokio::spawn(async move {
                let mut taken = Vec::new();
                while Instant::now() < end {
                    let start = Instant::now();
                    execute(&engine, &workflow).await?;
                    taken.push(start.elapsed());
                }
                Ok::<_, Error>(taken)
            })
        })
        .collect();
    let mut all = Vec::new();
    for caller in callers {
        all.extend(caller.await.expect("a caller does not panic")?);
    }
    Ok(all)
}

/// Carries one run to its end.
pub(crate) async fn execute(engine: &Engine, workflow: &str) -> Result<RunId, Error> {
    let outcome = engine.execute(StartRequest::new(workflow)).await?;
    if outcome.status == RunStatus::Completed {
        return Ok(outcome.run);
    }
    let reason = outcome.error.map_or_else(String::new, |it| it.error.message);
    Err(Error::Run { workload: workflow.to_owned(), status: outcome.status, reason })
}

/// Returns the average size of a run's records.
pub(crate) async fn average_record(engine: &Engine, run: RunId) -> Result<usize, Error> {
    let records = engine.store().records(run, 0, u32::MAX).await?;
    let bytes: usize = records.iter().map(Vec::len).sum();
    Ok(bytes / records.len().max(1))
}
