//! The same change to many runs.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use serde_json::{Value, json};
use support::{Answer, Server};

const WAITS: &str =
    "{id: waits, version: 1.0.0, tasks: {go: {uses: signal, with: {name: go, timeout: 1h}}}}";

async fn done(server: &Server, path: &str) -> Answer {
    loop {
        let job = server.get(path).await;
        if job.body["status"] != "running" {
            return job;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_job_changes_the_runs_that_fitted_and_says_what_became_of_each() {
    let server = Server::open().await;
    let mut runs = Vec::new();
    for _ in 0..12 {
        runs.push(server.started("waits", WAITS, json!({})).await);
    }
    server.post(&format!("/v1/runs/{}/cancel", runs[3]), json!({})).await;
    let filter = json!({"workflow": "waits"});
    let asked = |dry_run: bool| json!({"action": "pause", "filter": filter, "reason": "audit", "dry_run": dry_run});
    let preview = server.post("/v1/bulk", asked(true)).await;
    assert_eq!((preview.status, &preview.body["count"]), (200, &json!(12)), "{}", preview.text);
    assert_eq!(preview.body["sample"].as_array().unwrap().len(), 10);
    let running = server.get("/v1/runs?status=paused").await;
    assert_eq!(running.body["items"], json!([]), "a preview changes nothing");
    let begun = server.post("/v1/bulk", asked(false)).await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    let path = begun.header("location").to_owned();
    let job = done(&server, &path).await;
    assert_eq!(
        (&job.body["status"], &job.body["done"], &job.body["refused"]),
        (&json!("done"), &json!(12), &json!(1)),
        "{}",
        job.text
    );
    let items = server.get(&format!("{path}/items")).await;
    let items = items.body["items"].as_array().unwrap();
    let refused: Vec<&Value> = items.iter().filter(|it| it["status"] == "refused").collect();
    assert_eq!((items.len(), &refused[0]["run"]), (12, &json!(runs[3])));
    let paused = server.get("/v1/runs?status=paused").await;
    assert_eq!(paused.body["items"].as_array().unwrap().len(), 11);
}

#[tokio::test]
async fn filters_that_mean_nothing_or_everything_are_refused() {
    let server = Server::open().await;
    for (filter, status) in [
        (json!({}), 422),
        (json!({"status": ["faild"]}), 422),
        (json!({"since": "yesterday"}), 422),
        (json!({"state": "failed"}), 422),
    ] {
        let told = server.post("/v1/bulk", json!({"action": "cancel", "filter": filter})).await;
        assert_eq!((told.status, told.code()), (status, "SF4023"), "{filter}: {}", told.text);
    }
    let none =
        server.post("/v1/bulk", json!({"action": "cancel", "filter": {"workflow": "x"}})).await;
    assert_eq!((none.status, &none.body["status"]), (202, &json!("done")), "{}", none.text);
    assert_eq!(server.get("/v1/bulk/x").await.status, 404);
}

#[tokio::test]
async fn a_job_that_was_cut_off_is_gone_on_with() {
    use surefoot::Engine;
    use surefoot::store::{MemoryStore, Store};
    use surefoot_server::ServerConfig;
    let store: std::sync::Arc<dyn Store> = std::sync::Arc::new(MemoryStore::new());
    let open = async || {
        let engine = Engine::builder().store_with(store.clone()).open().await.unwrap();
        Server::over(engine, ServerConfig::default()).await
    };
    let server = open().await;
    for _ in 0..600 {
        server.started("waits", WAITS, json!({})).await;
    }
    let asked = json!({"action": "cancel", "filter": {"workflow": "waits"}});
    let path = server.post("/v1/bulk", asked).await.header("location").to_owned();
    // Whether it was cut off early or late, the next one ends it.
    server.service.begin_to_stop();
    drop(server);
    let server = open().await;
    let job = done(&server, &path).await;
    assert_eq!((&job.body["status"], &job.body["done"]), (&json!("done"), &json!(600)));
    let left = server.get("/v1/runs?status=running,pending").await;
    assert_eq!(left.body["items"], json!([]), "{}", left.text);
}
