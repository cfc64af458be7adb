//! R1/reach: how long a task takes to reach a worker that waits for it. One at a time.

use std::time::Instant;

use serde_json::{Value, json};
use surefoot_client::wire::{PROTOCOL, Polled, RegisteredWorker};

use crate::http::{Connection, request};
use crate::process::{Meter, resident_bytes_of};
use crate::row::Row;
use crate::served::{HANDLER, Served};
use crate::workload::Workload;
use crate::{Error, Options, Scratch};

/// From the request that starts a run to the answer that has its task for a worker: two requests
/// over HTTP and two commits.
pub async fn measure(options: &Options) -> Result<Row, Error> {
    let scratch = Scratch::new(options, "r1-reach");
    let served = Served::start(options, &scratch)?;
    let (definition, _) = Workload::R1.definition();
    served.deploy(&definition.replace("\"step\"", &format!("{HANDLER:?}"))).await?;
    let mut caller = served.connect().await?;
    let said =
        json!({"name": "bench", "capabilities": [HANDLER], "slots": 1, "protocol": PROTOCOL});
    let registered: RegisteredWorker = post(&mut caller, "/v1/workers", &said).await?;
    let path = format!("/v1/workers/{}/poll", registered.worker);
    let poll = request("POST", &path, "", &json!({"slots": 1, "wait_seconds": 20}).to_string());
    let start = request("POST", "/v1/workflows/bench/runs", "", "{}");
    let mut waiting = served.connect().await?;
    let meter = Meter::of(served.id());
    let (mut taken, begun) = (Vec::new(), Instant::now());
    while begun.elapsed() < options.duration {
        let answer = waiting.ask(&poll);
        let reaching = async {
            served.asked_for("bench").await?;
            let started = Instant::now();
            caller.ask(&start).await.map_err(Error::remote)?;
            Ok::<_, Error>(started)
        };
        let (polled, started) = tokio::join!(
            async { answer.await.map(|it| (it.body.to_vec(), Instant::now())) },
            reaching
        );
        let ((polled, reached), started) = (polled.map_err(Error::remote)?, started?);
        taken.push(reached - started);
        let polled: Polled = serde_json::from_slice(&polled).map_err(Error::remote)?;
        for task in polled.tasks {
            let path = format!("/v1/leases/{}/complete", task.lease);
            post::<Value>(&mut caller, &path, &json!({"output": null})).await?;
        }
    }
    let row = Row::of("R1/reach".to_owned(), 1, &meter, &mut taken);
    Ok(Row { rss_bytes: resident_bytes_of(served.id()), ..row })
}

async fn post<T: serde::de::DeserializeOwned>(
    connection: &mut Connection,
    path: &str,
    body: &Value,
) -> Result<T, Error> {
    let asked = request("POST", path, "", &body.to_string());
    let answer = connection.ask(&asked).await.map_err(Error::remote)?;
    serde_json::from_slice(answer.body).map_err(Error::remote)
}
