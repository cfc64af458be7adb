//! A namespace that floods the server keeps another one waiting for a moment, not until its backlog
//! is through. What is looked at is an order, not a time.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{Server, until};
use surefoot::core::limits::Limits;
use surefoot::{Config, Context, Engine, RemoteConfig, TaskError};
use surefoot_server::ServerConfig;
use tokio::sync::Semaphore;

const FLOOD: usize = 200;
const SLOTS: usize = 2;

fn source(id: &str) -> String {
    format!("{{id: {id}, tasks: {{work: {{uses: work}}}}}}")
}

/// Starts many runs of one namespace, and then one of another.
async fn flood(server: &Server) -> String {
    for _ in 0..FLOOD {
        server.started("noisy.job", &source("noisy.job"), json!({})).await;
    }
    server.started("quiet.job", &source("quiet.job"), json!({})).await
}

#[tokio::test]
async fn a_flood_of_one_namespace_leaves_slots_to_another() {
    let (begun, gate) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
    let (seen, open) = (begun.clone(), gate.clone());
    let limits = Limits { slots: SLOTS, ..Limits::default() };
    let engine = Engine::builder()
        .config(Config { limits, ..Config::default() })
        .handler("work", move |context: Context, _: Value| {
            seen.lock().unwrap().push(context.run.to_string());
            let open = open.clone();
            async move {
                open.acquire().await.unwrap().forget();
                Ok::<_, TaskError>(Value::Null)
            }
        })
        .open()
        .await
        .unwrap();
    let server = Server::over(engine, ServerConfig::default()).await;
    let quiet = flood(&server).await;
    let place = || begun.lock().unwrap().iter().position(|it| *it == quiet);
    assert_eq!(place(), None, "the slots are taken");
    // As many attempts end as there are slots, and one more.
    gate.add_permits(SLOTS + 1);
    let place = until(async || place()).await;
    assert!(place <= 2 * SLOTS, "{place} of {FLOOD} went before it");
    gate.add_permits(FLOOD);
    let ended = server.get(&format!("/v1/runs/{quiet}/result?wait=30")).await;
    assert_eq!(ended.body["status"], "completed", "{}", ended.text);
    until(async || (begun.lock().unwrap().len() == FLOOD + 1).then_some(())).await;
}

#[tokio::test]
async fn a_flood_of_one_namespace_leaves_workers_to_another() {
    let engine = Engine::builder().remote_workers(RemoteConfig::default()).open().await.unwrap();
    let server = Server::over(engine, ServerConfig::default()).await;
    let quiet = flood(&server).await;
    let said = json!({"name": "w", "capabilities": ["work"], "slots": 4, "protocol": 1});
    let worker = server.post("/v1/workers", said).await.body["worker"].clone();
    let path = format!("/v1/workers/{}/poll", worker.as_str().unwrap());
    let polled = server.post(&path, json!({"slots": 4, "wait_seconds": 20})).await;
    let runs: Vec<&Value> =
        polled.body["tasks"].as_array().unwrap().iter().map(|it| &it["run"]).collect();
    assert!(runs.contains(&&json!(quiet)), "{}", polled.text);
    assert!(runs.len() > 1, "the flood goes on beside it");
}
