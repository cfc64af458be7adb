//! A server whose clock is hours or years away from that of its workers: leases, heartbeats and
//! results are counted by the server alone, so it makes no difference.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Server, answer, until};
use surefoot::core::time::Millis;
use surefoot::{Clock, Engine, RemoteConfig, SystemClock};
use surefoot_client::wire::TaskFailure;
use surefoot_client::{Client, TaskContext, Worker};
use surefoot_server::ServerConfig;

const HOUR_MS: i64 = 3_600_000;

/// A clock that is away from that of this machine, where the workers are.
struct Skewed {
    clock: SystemClock,
    by_ms: i64,
}

impl Clock for Skewed {
    fn now(&self) -> Millis {
        self.clock.now().saturating_add_signed(self.by_ms)
    }
}

async fn server(by_ms: i64, lease: Duration) -> Server {
    let remote = RemoteConfig { lease, ..RemoteConfig::default() };
    let clock = Arc::new(Skewed { clock: SystemClock::new(), by_ms });
    let engine = Engine::builder().remote_workers(remote).clock(clock).open().await.unwrap();
    Server::over(engine, ServerConfig::default()).await
}

const SKEWS_MS: [i64; 4] = [-6 * HOUR_MS, 6 * HOUR_MS, -10 * 365 * 24 * HOUR_MS, 24 * HOUR_MS];
const PAY: &str = "{id: shop, tasks: {pay: {uses: pay, timeout: 1h, retry: 3}}}";

#[tokio::test]
async fn a_worker_whose_clock_is_hours_off_keeps_its_lease_and_is_believed() {
    for by_ms in SKEWS_MS {
        let server = server(by_ms, Duration::from_secs(10)).await;
        let said = json!({"name": "w", "capabilities": ["pay"], "slots": 1, "protocol": 1});
        let worker = server.post("/v1/workers", said).await.body["worker"].clone();
        let run = server.started("shop", PAY, json!({})).await;
        // It says what time it has, in a header and in what it reports; nobody asks.
        let post = |path: String, body: Value| {
            let request = server.request("POST", &path).json(&body);
            answer(request.header("date", "Thu, 01 Jan 1998 00:00:00 GMT"))
        };
        let path = format!("/v1/workers/{}/poll", worker.as_str().unwrap());
        let polled = post(path, json!({"slots": 1, "wait_seconds": 20})).await;
        let task = &polled.body["tasks"][0];
        assert_eq!(task["lease_expires_in_ms"], 10_000, "{by_ms}: {}", polled.text);
        let lease = task["lease"].as_str().unwrap();
        let log = json!({"logs": [{"level": "info", "text": "1998-01-01T00:00:00Z paid"}]});
        let beat = post(format!("/v1/leases/{lease}/heartbeat"), log).await;
        assert_eq!((beat.status, &beat.body["cancel"]), (200, &json!(false)), "{}", beat.text);
        assert_eq!(beat.body["lease_expires_in_ms"], 10_000, "{by_ms}");
        let done = post(format!("/v1/leases/{lease}/complete"), json!({"output": 1})).await;
        assert_eq!(done.status, 200, "{by_ms}: {}", done.text);
        let ended = server.get(&format!("/v1/runs/{run}/result?wait=30")).await;
        assert_eq!(ended.body["status"], "completed", "{by_ms}: {}", ended.text);
        let attempts = server.get(&format!("/v1/runs/{run}/tasks/pay/attempts")).await;
        assert_eq!(attempts.body["items"].as_array().unwrap().len(), 1, "{}", attempts.text);
    }
}

#[tokio::test]
async fn a_worker_that_dies_loses_its_lease_whatever_its_clock_said() {
    for by_ms in SKEWS_MS {
        let server = server(by_ms, Duration::from_millis(300)).await;
        let said = json!({"name": "dead", "capabilities": ["pay"], "slots": 1, "protocol": 1});
        let dead = server.post("/v1/workers", said).await.body["worker"].clone();
        let run = server.started("shop", PAY, json!({})).await;
        let path = format!("/v1/workers/{}/poll", dead.as_str().unwrap());
        let polled = server.post(&path, json!({"slots": 1, "wait_seconds": 20})).await;
        let late = polled.body["tasks"][0]["lease"].as_str().unwrap().to_owned();
        let url = format!("http://{}", server.address);
        let worker = Worker::new(&url)
            .handler("pay", async |task: TaskContext, _: Value| Ok::<_, TaskFailure>(task.attempt));
        let running = tokio::spawn(worker.run_until(std::future::pending()));
        let ended = server.get(&format!("/v1/runs/{run}/result?wait=30")).await;
        assert_eq!(ended.body["status"], "completed", "{by_ms}: {}", ended.text);
        let path = format!("/v1/leases/{late}/complete");
        let told = server.post(&path, json!({"output": "late"})).await;
        assert_eq!((told.status, told.code()), (410, "SF4067"), "{by_ms}: {}", told.text);
        let client = Client::new(&url, None).unwrap();
        let dead = dead.as_str().unwrap();
        until(async || (client.worker(dead).await.unwrap().status == "lost").then_some(())).await;
        running.abort();
    }
}
