//! H5 and H6: what a server costs that stands by, alone and with many who listen to its events.

use std::time::{Duration, Instant};

use tokio::sync::{Barrier, watch};

use crate::http::{Connection, request};
use crate::process::{Meter, open_more_files, resident_bytes_of};
use crate::row::Row;
use crate::served::Served;
use crate::workload::Workload;
use crate::{Error, Options, Scratch};

/// Streams of live events.
pub const CLIENTS: usize = 10_000;
/// Files that are open beside the streams.
const OTHER_FILES: usize = 100;
/// Runs whose events are sent to all.
const RUNS: usize = 5;
/// How long nothing happens while a server that stands by is measured.
const QUIET: Duration = Duration::from_secs(10);
/// How long a server has to come to rest.
const REST: Duration = Duration::from_secs(2);
/// How long the streams may take to open, and an event to reach all of them.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server that nobody asks.
pub async fn idle(options: &Options) -> Result<Row, Error> {
    let scratch = Scratch::new(options, "h6");
    let served = Served::start(options, &scratch)?;
    served.deploy(&Workload::H6.definition().0).await?;
    tokio::time::sleep(REST).await;
    let meter = Meter::of(served.id());
    tokio::time::sleep(QUIET).await;
    let row = Row::of(Workload::H6.to_string(), 0, &meter, &mut []);
    Ok(Row { rss_bytes: resident_bytes_of(served.id()), ..row })
}

/// Many who listen: the row's latency is from the start of a run to the event of its end at each
/// of them; its processor time is that of the server while nothing happens.
pub async fn listeners(options: &Options, wanted: usize) -> Result<Row, Error> {
    let clients = wanted.min(open_more_files().saturating_sub(OTHER_FILES));
    let scratch = Scratch::new(options, "h5");
    let served = Served::start(options, &scratch)?;
    served.deploy(&Workload::H5.definition().0).await?;
    let (begin, begun) = watch::channel(Instant::now());
    let met = std::sync::Arc::new(Barrier::new(clients + 1));
    let listening: Vec<_> = (0..clients)
        .map(|_| tokio::spawn(listen(served.address, met.clone(), begun.clone())))
        .collect();
    let all_met = || async {
        let meeting = tokio::time::timeout(PATIENCE, met.wait());
        meeting.await.map_err(|_| Error::Remote("not every client is served".to_owned()))
    };
    all_met().await?;
    let meter = Meter::of(served.id());
    tokio::time::sleep(QUIET).await;
    let row = Row::of(Workload::H5.to_string(), clients, &meter, &mut []);
    let mut caller = served.connect().await?;
    for _ in 0..RUNS {
        begin.send_replace(Instant::now());
        let start = request("POST", "/v1/workflows/bench/runs", "", "{}");
        caller.ask(&start).await.map_err(Error::remote)?;
        all_met().await?;
    }
    let rss_bytes = resident_bytes_of(served.id());
    let mut taken = Vec::with_capacity(clients * RUNS);
    for client in listening {
        taken.extend(client.await.expect("a client does not panic").map_err(Error::remote)?);
    }
    Ok(Row { rss_bytes, ..row }.with_latency(&mut taken))
}

/// One stream. Says when it is open and when it has heard of each end.
async fn listen(
    address: std::net::SocketAddr,
    met: std::sync::Arc<Barrier>,
    begun: watch::Receiver<Instant>,
) -> std::io::Result<Vec<Duration>> {
    let mut connection = Connection::open(address).await?;
    let status = connection.listen(&request("GET", "/v1/events?topics=runs:*", "", "")).await?;
    if status != 200 {
        return Err(std::io::Error::other(format!("a stream of events answers {status}")));
    }
    met.wait().await;
    let mut taken = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        connection.hear(b"\"status\":\"completed\"").await?;
        taken.push(begun.borrow().elapsed());
        met.wait().await;
    }
    Ok(taken)
}
