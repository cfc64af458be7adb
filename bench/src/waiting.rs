//! W6: what runs cost that only wait.

use std::time::{Duration, Instant};

use surefoot::store::RunFilter;
use surefoot::{Engine, RunId, StartRequest};

use crate::closed_loop::average_record;
use crate::process::{Meter, give_back_memory};
use crate::row::Row;
use crate::workload::Workload;
use crate::{Error, Options, Scratch};

/// Runs that wait.
pub const RUNS: usize = 1_000_000;
/// One of so many is woken.
const WOKEN_PART: usize = 100;
/// Callers that start or wake runs.
const CALLERS: usize = 256;

/// Reports three rows: making the runs, opening an engine on them, and waking some.
pub async fn measure(
    options: &Options,
    runs: usize,
    progress: &mut dyn FnMut(&str),
    report: &mut dyn FnMut(&Row),
) -> Result<(), Error> {
    let scratch = Scratch::new(options, "W6");
    let (definition, _) = Workload::W6.definition();
    let engine = scratch.open().await?;
    let workflow = engine.deploy(&definition).await?.workflow;
    report(&fill(&scratch, &engine, &workflow, runs).await?);
    engine.stop(Duration::from_secs(1)).await?;
    drop(engine);
    give_back_memory();

    progress("opening an engine on them");
    let meter = Meter::start();
    let engine = scratch.open().await?;
    engine.idle().await;
    let taken = [meter.elapsed()];
    report(&row("W6/start", 1, &meter, &taken));

    progress("waking one in a hundred");
    let filter = RunFilter { limit: (runs / WOKEN_PART).max(1) as u32, ..RunFilter::default() };
    let some = engine.store().runs(&filter).await?.into_iter().map(|it| it.id).collect();
    report(&wake(&engine, some).await?);
    engine.stop(Duration::from_secs(1)).await?;
    Ok(())
}

async fn fill(
    scratch: &Scratch,
    engine: &Engine,
    workflow: &str,
    runs: usize,
) -> Result<Row, Error> {
    let meter = Meter::start();
    let shares = (0..CALLERS).map(|caller| runs / CALLERS + usize::from(caller < runs % CALLERS));
    let callers: Vec<_> = shares
        .map(|share| {
            let (engine, workflow) = (engine.clone(), workflow.to_owned());
            tokio::spawn(async move {
                let mut taken = Vec::with_capacity(share);
                for _ in 0..share {
                    let start = Instant::now();
                    engine.start(StartRequest::new(&workflow)).await?;
                    taken.push(start.elapsed());
                }
                Ok::<_, Error>(taken)
            })
        })
        .collect();
    let mut taken = Vec::with_capacity(runs);
    for caller in callers {
        taken.extend(caller.await.expect("a caller does not panic")?);
    }
    let mut row = row("W6/fill", CALLERS, &meter, &taken);
    let newest = engine.store().runs(&RunFilter { limit: 1, ..RunFilter::default() }).await?;
    if let Some(newest) = newest.first() {
        let bytes = average_record(engine, newest.id).await?;
        row.limit_rows_per_s = scratch.bare_limit(runs as u64, bytes).await?;
        row.limit_ratio = row.runs_per_s / row.limit_rows_per_s;
    }
    Ok(row)
}

/// Sends each run the signal that it waits for. The answer is that the run has ended: taking the
/// signal, completing the task and ending the run is one decision.
async fn wake(engine: &Engine, runs: Vec<RunId>) -> Result<Row, Error> {
    let meter = Meter::start();
    let callers: Vec<_> = runs
        .chunks(runs.len().div_ceil(CALLERS).max(1))
        .map(|share| {
            let (engine, share) = (engine.clone(), share.to_vec());
            tokio::spawn(async move {
                let mut taken = Vec::with_capacity(share.len());
                for run in share {
                    let start = Instant::now();
                    engine.run(run).signal("go", serde_json::Value::Null).await?;
                    taken.push(start.elapsed());
                }
                Ok::<_, Error>(taken)
            })
        })
        .collect();
    let mut taken = Vec::with_capacity(runs.len());
    for caller in callers {
        taken.extend(caller.await.expect("a caller does not panic")?);
    }
    Ok(row("W6/wake", CALLERS, &meter, &taken))
}

fn row(name: &str, concurrency: usize, meter: &Meter, taken: &[Duration]) -> Row {
    Row::of(name.to_owned(), concurrency, meter, &mut taken.to_vec())
}
