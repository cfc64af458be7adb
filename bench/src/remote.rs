//! R1: one step that a worker in another process executes, over HTTP on this machine. First how
//! long a task takes to reach a worker that waits for it, then runs as in W1.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use surefoot::{Engine, StartRequest};
use surefoot_client::Client;
use surefoot_client::wire::{PROTOCOL, Poll, RegisterWorker};
use surefoot_server::{ServerConfig, Service};

use crate::closed_loop::{average_record, execute, repeat};
use crate::process::{Meter, resident_bytes};
use crate::row::{Row, percentile_ms};
use crate::{Error, Options, Scratch};

/// What the worker executes: `surefoot worker --conformance` has it.
const HANDLER: &str = "conformance.echo";
const DEFINITION: &str = "{id: bench, tasks: {t: {uses: conformance.echo}}}";
/// How long the worker's process may take to begin.
const BEGIN_MAX: Duration = Duration::from_secs(10);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Part of the time that is spent before anything is measured.
const WARM_UP: f64 = 0.2;

/// An engine with its service, at an address of its own.
struct Served {
    engine: Engine,
    url: String,
    serving: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn open(scratch: &Scratch) -> Result<Served, Error> {
        let engine = scratch.builder().remote_workers(Default::default()).open().await?;
        let config = ServerConfig { listen: "127.0.0.1:0".to_owned(), ..ServerConfig::default() };
        let service = Service::open(engine.clone(), config).await.map_err(service)?;
        let listener = service.bind().await.map_err(self::service)?;
        let address = listener.local_addr().map_err(self::service)?;
        let serving = tokio::spawn(async move {
            // It ends with the measurement.
            let _ = surefoot_server::serve(service, listener, std::future::pending()).await;
        });
        engine.deploy(DEFINITION).await?;
        Ok(Served { engine, url: format!("http://{address}"), serving })
    }

    async fn close(self) -> Result<(), Error> {
        self.serving.abort();
        Ok(self.engine.stop(Duration::from_secs(1)).await?)
    }
}

/// A worker's process; it ends with the measurement.
struct Worker(Child);

impl Worker {
    fn start(options: &Options, url: &str) -> Result<Worker, Error> {
        let (program, arguments) = options.worker.split_first().ok_or_else(|| {
            Error::Remote("no command of a worker is known; use `surefoot bench`".to_owned())
        })?;
        let mut command = Command::new(program);
        command.args(arguments).arg("--server").arg(url);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Worker(command.spawn().map_err(service)?))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // What has ended already needs no end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// From the call that starts a run to the moment at which a worker that waits has its task: two
/// commits and an answer over HTTP. One at a time.
pub(crate) async fn dispatch(options: &Options) -> Result<Row, Error> {
    let scratch = Scratch::new(options, "r1-dispatch");
    let served = Served::open(&scratch).await?;
    let client = Client::new(&served.url, None).map_err(service)?;
    let said = RegisterWorker {
        name: "bench".to_owned(),
        capabilities: vec![HANDLER.to_owned()],
        slots: 1,
        protocol: PROTOCOL,
        ..RegisterWorker::default()
    };
    let worker = client.register(&said).await.map_err(service)?.worker;
    let meter = Meter::start();
    let (mut taken, begun) = (Vec::new(), Instant::now());
    while begun.elapsed() < options.duration {
        let (client, worker) = (client.clone(), worker.clone());
        let poll = Poll { slots: 1, wait_seconds: 20.0, ..Poll::default() };
        let waiting = tokio::spawn(async move { client.poll(&worker, &poll).await });
        while served.engine.capabilities().await.iter().all(|it| it.asked == 0) {
            tokio::task::yield_now().await;
        }
        let start = Instant::now();
        served.engine.start(StartRequest::new("bench")).await?;
        let polled = waiting.await.expect("a poll does not panic").map_err(service)?;
        taken.push(start.elapsed());
        report(&served, polled.tasks.into_iter().map(|it| it.lease)).await?;
    }
    let (seconds, cpu_percent) = (meter.elapsed().as_secs_f64(), meter.cpu_percent());
    let rss_bytes = resident_bytes();
    served.close().await?;
    taken.sort_unstable();
    Ok(Row {
        workload: "R1/reach".to_owned(),
        concurrency: 1,
        runs_per_s: taken.len() as f64 / seconds,
        steps_per_s: taken.len() as f64 / seconds,
        p50_ms: percentile_ms(&taken, 0.5),
        p99_ms: percentile_ms(&taken, 0.99),
        cpu_percent,
        rss_bytes,
        limit_rows_per_s: 0.0,
        limit_ratio: 0.0,
    })
}

async fn report(served: &Served, leases: impl Iterator<Item = String>) -> Result<(), Error> {
    for lease in leases {
        let settled = served.engine.settle(&lease, None, Ok(serde_json::Value::Null)).await;
        settled.map_err(service)?;
    }
    Ok(())
}

/// Runs of one step as in W1, with one worker process that has as many slots as there are callers.
pub(crate) async fn measure(options: &Options, concurrency: usize) -> Result<Row, Error> {
    let scratch = Scratch::new(options, &format!("r1-{concurrency}"));
    let served = Served::open(&scratch).await?;
    let _worker = Worker::start(options, &served.url)?;
    let engine = &served.engine;
    let begun = Instant::now();
    while engine.capabilities().await.iter().all(|it| it.asked == 0) {
        if begun.elapsed() > BEGIN_MAX {
            return Err(Error::Remote("the worker's process does not ask for tasks".to_owned()));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    repeat(engine, "bench", concurrency, options.duration.mul_f64(WARM_UP)).await?;
    let records_before = engine.statistics().records;
    let meter = Meter::start();
    let mut taken = repeat(engine, "bench", concurrency, options.duration).await?;
    let (seconds, cpu_percent) = (meter.elapsed().as_secs_f64(), meter.cpu_percent());
    let (rss_bytes, records) = (resident_bytes(), engine.statistics().records - records_before);
    let last = execute(engine, "bench").await?;
    let record_bytes = average_record(engine, last).await?;
    served.close().await?;
    let limit_rows_per_s = scratch.bare_limit(records, record_bytes).await?;
    taken.sort_unstable();
    let runs_per_s = taken.len() as f64 / seconds;
    Ok(Row {
        workload: "R1".to_owned(),
        concurrency,
        runs_per_s,
        steps_per_s: runs_per_s,
        p50_ms: percentile_ms(&taken, 0.5),
        p99_ms: percentile_ms(&taken, 0.99),
        cpu_percent,
        rss_bytes,
        limit_rows_per_s,
        limit_ratio: records as f64 / seconds / limit_rows_per_s,
    })
}

fn service(error: impl std::fmt::Display) -> Error {
    Error::Remote(error.to_string())
}
