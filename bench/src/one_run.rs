//! W5: how the time of one run grows with its graph.

use std::time::{Duration, Instant};

use crate::closed_loop::{average_record, execute};
use crate::process::{Meter, resident_bytes};
use crate::row::Row;
use crate::workload::Workload;
use crate::{Error, Options, Scratch};

/// Tasks of the graphs.
pub const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

/// Times one run. The time of the check is not in it: a definition is checked once.
pub async fn measure(options: &Options, tasks: usize) -> Result<Row, Error> {
    let scratch = Scratch::new(options, &format!("W5-{tasks}"));
    let (definition, steps) = Workload::large(tasks);
    let engine = scratch.open().await?;
    let name = engine.deploy(&definition).await?.workflow;

    let meter = Meter::start();
    let start = Instant::now();
    let run = execute(&engine, &name).await?;
    let (seconds, cpu_percent) = (start.elapsed().as_secs_f64(), meter.cpu_percent());
    let (rss_bytes, records) = (resident_bytes(), engine.statistics().records);
    let record_bytes = average_record(&engine, run).await?;
    engine.stop(Duration::from_secs(1)).await?;

    let limit_rows_per_s = scratch.bare_limit(records, record_bytes).await?;
    Ok(Row {
        workload: format!("W5/{tasks}"),
        concurrency: 1,
        runs_per_s: 1.0 / seconds,
        steps_per_s: steps as f64 / seconds,
        p50_ms: seconds * 1e3,
        p99_ms: seconds * 1e3,
        cpu_percent,
        rss_bytes,
        limit_rows_per_s,
        limit_ratio: records as f64 / seconds / limit_rows_per_s,
    })
}
