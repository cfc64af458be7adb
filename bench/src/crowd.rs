//! S1: many schedules that come due in the same second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use surefoot::core::schedule::{Policy, When};
use surefoot::core::time::Millis;
use surefoot::schedules::{Origin, Position, ScheduleSpec, Schedules};
use surefoot::store::{Expect, ItemWrite, RunFilter};
use surefoot::{Clock, Engine, SystemClock};
use tokio_util::sync::CancellationToken;

use crate::process::{Meter, resident_bytes};
use crate::row::Row;
use crate::workload::Workload;
use crate::{Error, Options, Scratch};

/// Schedules of the crowd.
pub const SCHEDULES: usize = 100_000;
/// Schedules that are written together.
const WRITTEN_AT_ONCE: usize = 500;
/// Rows of runs that are read together.
const ROWS_AT_ONCE: u32 = 1_000;
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(300);
const HOUR: Millis = 3_600_000;

/// The time of this machine, set forward.
#[derive(Default)]
struct Ahead {
    system: SystemClock,
    by: AtomicU64,
}

impl Clock for Ahead {
    fn now(&self) -> Millis {
        self.system.now() + self.by.load(Ordering::Relaxed)
    }
}

/// The row's latency is how late each run was created; its rate is until the last one had ended.
pub async fn measure(options: &Options, schedules: usize) -> Result<Row, Error> {
    let scratch = Scratch::new(options, "s1");
    let clock = Arc::new(Ahead::default());
    let engine = crate::builder(&scratch.path).clock(clock.clone()).open().await?;
    let workflow = engine.deploy(&Workload::S1.definition().0).await?.workflow;
    let due = (clock.now() / HOUR + 1) * HOUR;
    fill(&engine, &workflow, schedules, clock.now(), due).await?;
    let kept = Schedules::open(&engine).await.map_err(Error::remote)?;
    let stop = CancellationToken::new();
    let keeper = tokio::spawn({
        let (kept, stop) = (kept.clone(), stop.clone());
        async move { kept.keep(stop).await }
    });
    clock.by.store(due - clock.system.now(), Ordering::Relaxed);
    let (meter, begun) = (Meter::start(), Instant::now());
    while engine.statistics().runs_ended < schedules as u64 {
        tokio::time::sleep(LOOK_INTERVAL).await;
        if begun.elapsed() > PATIENCE {
            return Err(Error::Remote("not every schedule has started its run".to_owned()));
        }
    }
    let row = Row::of(Workload::S1.to_string(), schedules, &meter, &mut []);
    let runs_per_s = schedules as f64 / meter.elapsed().as_secs_f64();
    let rss_bytes = resident_bytes();
    stop.cancel();
    keeper.await.expect("the keeper does not panic");
    let mut late = lateness(&engine, due).await?;
    engine.stop(Duration::from_secs(1)).await?;
    let row = Row { runs_per_s, steps_per_s: runs_per_s, rss_bytes, ..row };
    Ok(row.with_latency(&mut late))
}

async fn fill(
    engine: &Engine,
    workflow: &str,
    schedules: usize,
    now: Millis,
    due: Millis,
) -> Result<(), Error> {
    let spec = ScheduleSpec {
        workflow: workflow.to_owned(),
        version: None,
        when: When::Cron { expression: "0 * * * *".to_owned(), timezone: "UTC".to_owned() },
        policy: Policy::default(),
        input: json!({}),
        labels: BTreeMap::new(),
        priority: None,
        is_paused: false,
        origin: Origin::Request,
        actor: "bench".to_owned(),
        created_at: now,
    };
    let position = Position { cursor: now, next: Some(due), ..Position::default() };
    let text = |value: Result<Value, _>| value.map_err(Error::remote).map(|it| it.to_string());
    let spec = text(serde_json::to_value(&spec))?;
    let position = text(serde_json::to_value(&position))?;
    let ids: Vec<String> = (0..schedules).map(|it| format!("s{it:07}")).collect();
    for some in ids.chunks(WRITTEN_AT_ONCE) {
        let put = |collection, id: &str, body: &str| {
            ItemWrite::put(collection, id, Expect::Absent, body.as_bytes().to_vec())
        };
        let writes = some
            .iter()
            .flat_map(|id| [put("schedules", id, &spec), put("schedule_slots", id, &position)]);
        // They are absent from a new store.
        let _ = engine.store().write_items(writes.collect()).await?;
    }
    Ok(())
}

/// Returns how long after its slot each run was created.
async fn lateness(engine: &Engine, due: Millis) -> Result<Vec<Duration>, Error> {
    let mut late = Vec::new();
    let mut filter = RunFilter { limit: ROWS_AT_ONCE, ..RunFilter::default() };
    loop {
        let rows = engine.store().runs(&filter).await?;
        let Some(last) = rows.last() else { return Ok(late) };
        filter.before = Some(last.id);
        late.extend(rows.iter().map(|it| Duration::from_millis(it.created_at.saturating_sub(due))));
    }
}
