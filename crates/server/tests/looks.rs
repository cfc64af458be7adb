//! How it stands: the overview, metrics, badges, attempts, traces for viewers, exports, versions.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::sse::{PATIENCE, TICK};
use support::{Answer, Server, answer};
use surefoot_server::ServerConfig;

const ASKS: &str = "{id: asks, tasks: {ask: {uses: approval, with: {prompt: ok?}}}}";
const PAYS: &str = "{id: pays, tasks: {pay: {uses: pay}}}";

fn runs(workflow: &str) -> String {
    format!("/v1/workflows/{workflow}/runs")
}

async fn ended(server: &Server, workflow: &str, source: &str) -> Value {
    let put = server.put(&format!("/v1/workflows/{workflow}"), source).await;
    assert!(matches!(put.status, 200 | 201), "{}", put.text);
    let request = server.request("POST", &runs(workflow)).header("prefer", "wait=30");
    let ended = answer(request.json(&json!({}))).await;
    assert_eq!(ended.status, 200, "{}", ended.text);
    ended.body
}

/// Asks again until the answer is as it should be.
async fn until(server: &Server, path: &str, is_so: impl Fn(&Answer) -> bool) -> Answer {
    let asking = async {
        loop {
            let answer = server.get(path).await;
            if is_so(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("it comes in time")
}

#[tokio::test]
async fn the_overview_counts_what_runs_and_what_waits() {
    let server = Server::open().await;
    ended(&server, "tick", TICK).await;
    let asks = server.started("asks", ASKS, json!({})).await;
    server.started("pays", PAYS, json!({})).await;
    let said =
        json!({"name": "w", "capabilities": ["ship"], "slots": 3, "protocol": 1, "sdk": "x"});
    assert_eq!(server.post("/v1/workers", said).await.status, 201);
    let is_so = |it: &Answer| it.body["queues"][0]["waiting"] == 1 && it.body["waiting"] == 1;
    let seen = until(&server, "/v1/overview", is_so).await.body;
    assert_eq!(seen["runs"], json!({"pending": 0, "running": 2, "paused": 0, "cancelling": 0}));
    assert_eq!((&seen["started"], &seen["ended"]), (&json!(3), &json!({"completed": 1})));
    assert_eq!(seen["oldest"], json!(asks));
    assert_eq!(seen["queues"][0]["queue"], "pay");
    assert_eq!(seen["workers"], json!({"connected": 1, "draining": 0, "lost": 0}));
    assert_eq!((&seen["worker_slots"], &seen["window_seconds"]), (&json!(3), &json!(60)));
    assert!(seen["took_ms_p50"].as_u64() <= seen["took_ms_p95"].as_u64());
    for wrong in ["window=0", "window=soon", "window=86401", "windw=5"] {
        let refused = server.get(&format!("/v1/overview?{wrong}")).await;
        assert_eq!((refused.status, refused.code()), (400, "SF4007"), "{wrong}");
    }
}

#[tokio::test]
async fn a_caller_of_one_namespace_sees_its_own_alone() {
    let server = Server::open().await;
    let made = server.post("/v1/tokens", json!({"name": "root", "role": "admin"})).await;
    let root = made.body["token"].as_str().unwrap().to_owned();
    let as_root = |method: &str, path: &str| server.request(method, path).bearer_auth(&root);
    for id in ["billing.invoice", "order"] {
        let source = format!("{{id: {id}, tasks: {{t: {{uses: log, with: {{message: m}}}}}}}}");
        let put = as_root("PUT", &format!("/v1/workflows/{id}"));
        let put = answer(put.header("content-type", "application/yaml").body(source)).await;
        assert_eq!(put.status, 201, "{}", put.text);
        let start = as_root("POST", &runs(id)).header("prefer", "wait=30");
        assert_eq!(answer(start.json(&json!({}))).await.status, 200);
    }
    let clerk = json!({"name": "clerk", "role": "viewer", "namespaces": ["billing"]});
    let clerk = answer(as_root("POST", "/v1/tokens").json(&clerk)).await;
    let clerk = clerk.body["token"].as_str().unwrap().to_owned();
    let asks = |path: &str| answer(server.request("GET", path).bearer_auth(&clerk));
    assert_eq!(asks("/v1/overview").await.body["started"], 1);
    assert_eq!(answer(as_root("GET", "/v1/overview")).await.body["started"], 2);
    assert_eq!(asks("/badge/billing.invoice.svg").await.status, 200);
    assert_eq!(asks("/badge/order.svg").await.status, 404, "it does not exist for the clerk");
    assert_eq!(server.get("/badge/billing.invoice.svg").await.status, 401, "nor for nobody");
}

#[tokio::test]
async fn badges_say_how_the_last_run_ended() {
    let server = Server::open().await;
    server.put("/v1/workflows/asks", ASKS).await;
    let badge = async |workflow: &str| {
        let badge = server.get(&format!("/badge/{workflow}.svg")).await;
        assert_eq!((badge.status, badge.header("content-type")), (200, "image/svg+xml"));
        badge.text
    };
    assert!(badge("asks").await.contains("asks: no runs"));
    server.started("asks", ASKS, json!({})).await;
    assert!(badge("asks").await.contains("asks: running"));
    ended(&server, "tick", TICK).await;
    assert!(badge("tick").await.contains("tick: completed"));
    let fails = "{id: tick, version: 2.0.0, tasks: {stop: {uses: fail, with: {message: no}}}}";
    ended(&server, "tick", fails).await;
    assert!(badge("tick").await.contains("tick: failed"));
    for (path, status) in
        [("/badge/tick", 404), ("/badge/none.svg", 404), ("/badge/%3Cb%3E.svg", 404)]
    {
        assert_eq!(server.get(path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn attempts_are_told_one_by_one() {
    let server = Server::open().await;
    let source = "id: tries\ntasks:\n  call:\n    uses: http\n    with: {url: 'http://127.0.0.1:1/'}\n    retry: {max_attempts: 3, delay: 1ms}\n  ask: {uses: signal, with: {name: go}}\n";
    let run = server.started("tries", source, json!({})).await;
    let path = |task: &str| format!("/v1/runs/{run}/tasks/{task}/attempts");
    let is_over = |it: &Answer| it.body["status"] == "failed";
    until(&server, &format!("/v1/runs/{run}/tasks/call"), is_over).await;
    let call = server.get(&path("call")).await.body;
    let items = call["items"].as_array().unwrap();
    assert!(!items.is_empty() && items.iter().all(|it| it["status"] == "failed"), "{call}");
    assert_eq!(items[0]["attempt"], 1);
    assert!(items[0]["error"]["type"].is_string() && items[0]["took_ms"].is_u64());
    for (wrong, status) in [(path("cal"), 404), (path("call").replace(&run, "x"), 400)] {
        assert_eq!(server.get(&wrong).await.status, status, "{wrong}");
    }
    let trace = server.get(&format!("/v1/runs/{run}/trace")).await;
    let events = trace.body["traceEvents"].as_array().unwrap();
    let named =
        |name: &str| events.iter().filter(|it| it["ph"] == "X" && it["name"] == name).count();
    assert_eq!((named("tries"), named("call")), (1, items.len()), "{}", trace.text);
    for event in events.iter().filter(|it| it["ph"] == "X") {
        assert!(event["ts"].is_u64() && event["dur"].is_u64(), "{event}");
    }
}

#[tokio::test]
async fn an_export_has_everything_of_a_run() {
    let server = Server::open().await;
    let run = ended(&server, "tick", TICK).await["id"].as_str().unwrap().to_owned();
    let log = format!("/v1/runs/{run}/logs");
    until(&server, &log, |it| !it.body["items"].as_array().unwrap().is_empty()).await;
    let export = server.get(&format!("/v1/runs/{run}/export")).await;
    assert_eq!((export.status, export.header("content-type")), (200, "application/x-ndjson"));
    let lines: Vec<Value> =
        export.text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(lines[0]["run"]["id"], json!(run));
    assert_eq!(lines[1]["definition"]["source"], TICK);
    let with = |field: &str| lines.iter().filter(|it| !it[field].is_null()).count();
    let records = server.get(&format!("/v1/runs/{run}/records")).await.body;
    assert_eq!(with("record"), records["items"].as_array().unwrap().len());
    assert_eq!(with("log"), 1);
    assert_eq!(server.get("/v1/runs/01JD8X3M7QK4S6T8V0W2Y4Z6B8/export").await.status, 404);
}

#[tokio::test]
async fn an_older_version_is_compared_and_made_active_again() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let open = async || {
        let engine = surefoot::Engine::builder().store(&url).open().await.unwrap();
        Server::over(engine, ServerConfig::default()).await
    };
    let server = open().await;
    let source = |version: &str, task: &str| {
        format!(
            "{{id: order, version: {version}, tasks: {{{task}: {{uses: log, with: {{message: m}}}}}}}}"
        )
    };
    assert_eq!(server.put("/v1/workflows/order", &source("1.0.0", "one")).await.status, 201);
    let alone = server.get("/v1/workflows/order/diff").await;
    assert_eq!((alone.status, alone.code()), (400, "SF4007"));
    assert_eq!(server.put("/v1/workflows/order", &source("2.0.0", "two")).await.status, 201);
    let diff = server.get("/v1/workflows/order/diff").await.body;
    assert_eq!((&diff["from"], &diff["to"]), (&json!("1.0.0"), &json!("2.0.0")));
    assert_eq!(diff["changes"], json!(["- one", "+ two"]));
    let back = server.get("/v1/workflows/order/diff?from=2.0.0&to=1.0.0").await.body;
    assert_eq!(back["changes"], json!(["+ one", "- two"]));
    for (query, status) in [("from=3.0.0", 404), ("frm=1.0.0", 400)] {
        let wrong = server.get(&format!("/v1/workflows/order/diff?{query}")).await;
        assert_eq!(wrong.status, status, "{}", wrong.text);
    }
    let activate = |version: &str| {
        answer(server.request("POST", &format!("/v1/workflows/order/versions/{version}/activate")))
    };
    assert_eq!(activate("3.0.0").await.status, 404);
    let active = activate("1.0.0").await;
    assert_eq!((active.status, &active.body["active"]), (200, &json!(true)), "{}", active.text);
    let taken = async |server: &Server| {
        let shown = server.get("/v1/workflows/order").await.body["version"].clone();
        let request = server.request("POST", &runs("order")).header("prefer", "wait=30");
        let run = answer(request.json(&json!({}))).await.body;
        assert_eq!(shown, run["version"]);
        shown.as_str().unwrap().to_owned()
    };
    assert_eq!(taken(&server).await, "1.0.0");
    server.engine.stop(Duration::ZERO).await.unwrap();
    drop(server);
    let server = open().await;
    assert_eq!(taken(&server).await, "1.0.0", "it is kept");
    // What is deployed is active, be it new or not.
    assert_eq!(server.put("/v1/workflows/order", &source("2.0.0", "two")).await.status, 200);
    assert_eq!(taken(&server).await, "2.0.0");
    assert_eq!(server.put("/v1/workflows/order", &source("3.0.0", "three")).await.status, 201);
    assert_eq!(taken(&server).await, "3.0.0");
    let listed = server.get("/v1/workflows/order/versions").await.body;
    let active: Vec<&Value> =
        listed["items"].as_array().unwrap().iter().filter(|it| it["active"] == true).collect();
    assert_eq!(active.len(), 1);
    assert_eq!(active[0]["version"], "3.0.0");
}

#[tokio::test]
async fn a_worker_may_drain_itself_and_nobody_else() {
    let server = Server::open().await;
    let made = server.post("/v1/tokens", json!({"name": "root", "role": "admin"})).await;
    let root = made.body["token"].as_str().unwrap().to_owned();
    let mut workers = Vec::new();
    for name in ["one", "two"] {
        let token = json!({"name": name, "role": "worker"});
        let made = server.request("POST", "/v1/tokens").bearer_auth(&root).json(&token);
        let token = answer(made).await.body["token"].as_str().unwrap().to_owned();
        let said =
            json!({"name": name, "capabilities": ["pay"], "slots": 1, "protocol": 1, "sdk": "x"});
        let made = server.request("POST", "/v1/workers").bearer_auth(&token).json(&said);
        let id = answer(made).await.body["worker"].as_str().unwrap().to_owned();
        workers.push((token, id));
    }
    let drain = |token: &str, id: &str| {
        answer(server.request("POST", &format!("/v1/workers/{id}/drain")).bearer_auth(token))
    };
    let foreign = drain(&workers[0].0, &workers[1].1).await;
    assert_eq!((foreign.status, foreign.code()), (404, "SF4063"));
    assert_eq!(drain(&workers[0].0, &workers[0].1).await.status, 202);
    let shown = answer(server.request("GET", "/v1/workers").bearer_auth(&root)).await;
    let status = |id: &str| {
        let items = shown.body["items"].as_array().unwrap();
        items.iter().find(|it| it["id"] == id).unwrap()["status"].clone()
    };
    assert_eq!(
        (status(&workers[0].1), status(&workers[1].1)),
        (json!("draining"), json!("connected"))
    );
}

#[tokio::test]
async fn every_metric_is_there_after_real_runs() {
    let metrics = std::sync::Arc::new(surefoot_server::Metrics::default());
    let remote = surefoot::RemoteConfig::default();
    let engine = surefoot::Engine::builder().remote_workers(remote).observer(metrics.clone());
    let engine = engine.open().await.unwrap();
    let server = Server::counting(engine, ServerConfig::default(), metrics).await;
    ended(&server, "tick", TICK).await;
    let fails = "{id: fails, tasks: {call: {uses: http, with: {url: 'http://127.0.0.1:1/'}}}}";
    ended(&server, "fails", fails).await;
    server.started("asks", ASKS, json!({})).await;
    server.started("pays", PAYS, json!({})).await;
    let waits = "surefoot_queue_depth{queue=\"pay\"} 1\n";
    let text = until(&server, "/metrics", |it| it.text.contains(waits)).await.text;
    for expected in [
        "surefoot_runs_started_total{workflow=\"tick\"} 1",
        "surefoot_runs_finished_total{workflow=\"tick\",outcome=\"completed\"} 1",
        "surefoot_runs_finished_total{workflow=\"fails\",outcome=\"failed\"} 1",
        "surefoot_run_duration_seconds_count{workflow=\"tick\"} 1",
        "surefoot_runs_active{state=\"running\"} 2",
        "surefoot_runs_active{state=\"paused\"} 0",
        "surefoot_tasks_finished_total{workflow=\"tick\",task_type=\"transform\",outcome=\"completed\"} 1",
        "surefoot_task_start_delay_seconds_count{workflow=\"fails\",task_type=\"http\"}",
        "surefoot_task_duration_seconds_count{workflow=\"fails\",task_type=\"http\"} 1",
        "surefoot_queue_depth{queue=\"slots\"} 0",
        "surefoot_workers{state=\"connected\"} 0",
        "surefoot_timers_late_seconds_count",
        "surefoot_journal_append_seconds_count",
        "surefoot_store_bytes 0",
        "surefoot_lease_expired_total 0",
        "surefoot_schedule_missed_total 0",
        "surefoot_trace_spans_exported_total 0",
        "surefoot_trace_spans_dropped_total 0",
        "surefoot_sse_clients 0",
        "surefoot_build_info{version=",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    let documented = include_str!("../../../docs/reference/metrics.md");
    let names = text.lines().filter_map(|it| it.strip_prefix("# TYPE ")?.split(' ').next());
    for name in names {
        assert!(documented.contains(&format!("`{name}")), "docs/reference/metrics.md lacks {name}");
    }
}
