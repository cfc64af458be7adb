//! H1 to H4 and R1 to R3: callers that start runs of a server in another process, each over a
//! connection of its own that stays open. In R1 to R3 a third process executes the steps.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use surefoot_client::wire::{Page, Run};

use crate::http::{Connection, holds, request};
use crate::process::{Meter, resident_bytes_of};
use crate::row::Row;
use crate::served::{HANDLER, Served, WorkerProgram};
use crate::workload::Workload;
use crate::{Error, Options, Scratch};

/// Part of the time that is spent before anything is measured.
const WARM_UP: f64 = 0.2;
/// How long what was begun may take to end after the time is over.
const END_MAX: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What each caller does again and again.
#[derive(Clone)]
struct Call {
    request: Arc<[u8]>,
    /// What the answer says if all is well.
    status: u16,
    says: &'static [u8],
}

/// What the callers have seen.
#[derive(Default)]
struct Seen {
    taken: Vec<Duration>,
    /// The body of an answer.
    body: Vec<u8>,
}

/// Runs are started and waited for.
pub async fn to_the_end(
    options: &Options,
    workload: Workload,
    worker: Option<&WorkerProgram>,
    concurrency: usize,
) -> Result<Row, Error> {
    let name = worker.map_or_else(|| workload.to_string(), |it| format!("{workload}/{}", it.name));
    let call = Call { says: b"\"status\":\"completed\"", ..start("prefer: wait=60\r\n", 200) };
    let bed = Bed::make(options, workload, worker, &name.replace('/', "-"), concurrency).await?;
    let (row, seen, _) = bed.measure(options, &call, name, concurrency).await?;
    bed.beside_the_limit(row, &seen).await
}

/// Runs are started and not waited for. The row's steps are those that ended until all had.
pub async fn starts(options: &Options, concurrency: usize) -> Result<Row, Error> {
    let workload = Workload::H4;
    let call = start("", 201);
    let bed = Bed::make(options, workload, None, "h4", concurrency).await?;
    let (row, seen, meter) = bed.measure(options, &call, workload.to_string(), concurrency).await?;
    bed.all_ended().await?;
    let steps_per_s = seen.taken.len() as f64 / meter.elapsed().as_secs_f64();
    bed.beside_the_limit(Row { steps_per_s, ..row }, &seen).await
}

fn start(headers: &str, status: u16) -> Call {
    let request = request("POST", "/v1/workflows/bench/runs", headers, "{}");
    Call { request: request.into(), status, says: b"\"id\"" }
}

/// A server with a store of its own, and perhaps a worker.
struct Bed {
    served: Served,
    _worker: Option<crate::served::Process>,
    scratch: Scratch,
    steps: usize,
}

impl Bed {
    async fn make(
        options: &Options,
        workload: Workload,
        worker: Option<&WorkerProgram>,
        name: &str,
        concurrency: usize,
    ) -> Result<Bed, Error> {
        let scratch = Scratch::new(options, &format!("{name}-{concurrency}"));
        let served = Served::start(options, &scratch)?;
        let (definition, steps) = workload.definition();
        let worker = match worker {
            None => {
                served.deploy(&definition).await?;
                None
            }
            Some(program) => {
                let remote = definition.replace("\"step\"", &format!("{HANDLER:?}"));
                served.deploy(&remote).await?;
                Some(served.worker(program).await?)
            }
        };
        Ok(Bed { served, _worker: worker, scratch, steps })
    }

    async fn measure(
        &self,
        options: &Options,
        call: &Call,
        name: String,
        concurrency: usize,
    ) -> Result<(Row, Seen, Meter), Error> {
        let address = self.served.address;
        repeat(address, call, concurrency, options.duration.mul_f64(WARM_UP)).await?;
        let meter = Meter::of(self.served.id());
        let mut seen = repeat(address, call, concurrency, options.duration).await?;
        let row = Row::of(name, concurrency, &meter, &mut seen.taken);
        let rss_bytes = resident_bytes_of(self.served.id());
        let steps_per_s = row.runs_per_s * self.steps as f64;
        Ok((Row { steps_per_s, rss_bytes, ..row }, seen, meter))
    }

    /// Adds what the store would take of as many rows of the same size.
    async fn beside_the_limit(self, row: Row, seen: &Seen) -> Result<Row, Error> {
        let run: Run = serde_json::from_slice(&seen.body).map_err(Error::remote)?;
        let (records, bytes) = self.served.records(&run.id).await?;
        let Bed { served, scratch, .. } = self;
        drop(served);
        let limit = scratch.bare_limit(records * seen.taken.len() as u64, bytes).await?;
        let limit_ratio = row.runs_per_s * records as f64 / limit;
        Ok(Row { limit_rows_per_s: limit, limit_ratio, ..row })
    }

    async fn all_ended(&self) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            let open: Page<Value> =
                self.served.get("/v1/runs?status=running,pending&limit=1").await?;
            if open.items.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > END_MAX {
                return Err(Error::Remote("runs that were started do not end".to_owned()));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

/// Has so many callers call for so long: on one thread, so that they take little from the server.
async fn repeat(
    address: SocketAddr,
    call: &Call,
    concurrency: usize,
    duration: Duration,
) -> Result<Seen, Error> {
    let call = call.clone();
    let calling = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let all = call_all(address, &call, concurrency, duration);
        runtime.block_on(async { tokio::time::timeout(duration + END_MAX, all).await })?
    });
    calling.await.expect("a caller does not panic").map_err(Error::remote)
}

async fn call_all(
    address: SocketAddr,
    call: &Call,
    concurrency: usize,
    duration: Duration,
) -> io::Result<Seen> {
    let mut connections = Vec::with_capacity(concurrency);
    for _ in 0..concurrency {
        connections.push(Connection::open(address).await?);
    }
    let end = Instant::now() + duration;
    let callers: Vec<_> = connections
        .into_iter()
        .map(|connection| tokio::spawn(call_again(connection, call.clone(), end)))
        .collect();
    let mut all = Seen::default();
    for caller in callers {
        let seen = caller.await.map_err(io::Error::other)??;
        all.taken.extend(seen.taken);
        all.body = seen.body;
    }
    Ok(all)
}

async fn call_again(mut connection: Connection, call: Call, end: Instant) -> io::Result<Seen> {
    let mut seen = Seen::default();
    loop {
        let start = Instant::now();
        let answer = connection.ask(&call.request).await?;
        seen.taken.push(start.elapsed());
        if answer.status != call.status || !holds(answer.body, call.says) {
            let body = String::from_utf8_lossy(answer.body);
            return Err(io::Error::other(format!("status {}: {body}", answer.status)));
        }
        if Instant::now() >= end {
            seen.body = answer.body.to_vec();
            return Ok(seen);
        }
    }
}
