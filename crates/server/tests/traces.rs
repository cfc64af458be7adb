//! Runs as distributed traces: where they come from, what is handed on, what a collector gets.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use support::sse::TICK;
use support::{Server, answer, until};
use surefoot::kinds::HttpConfig;
use surefoot::traces::TracesConfig;
use surefoot::{Config, Engine, RemoteConfig, StartRequest};
use surefoot_server::ServerConfig;
use tokio::net::TcpListener;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
/// What tracing systems tell each other.
const STATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

/// Takes what is posted to any path, and answers what it is told.
#[derive(Clone, Default)]
struct Sink {
    taken: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    /// So many are told to come back.
    busy: Arc<AtomicU32>,
    /// What it answers, if not `{}`.
    answer: Arc<Mutex<Option<(StatusCode, Value)>>>,
}

impl Sink {
    async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sink = self.clone();
        let take = move |headers: HeaderMap, body: String| async move {
            let busy =
                sink.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |it| it.checked_sub(1));
            if busy.is_ok() {
                return (StatusCode::SERVICE_UNAVAILABLE, axum::Json(json!({})));
            }
            let body = serde_json::from_str(&body).unwrap_or_default();
            sink.taken.lock().unwrap().push((headers, body));
            let (status, answer) =
                sink.answer.lock().unwrap().clone().unwrap_or((StatusCode::OK, json!({})));
            (status, axum::Json(answer))
        };
        let router = axum::Router::new().fallback(take);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    fn headers(&self) -> Vec<HeaderMap> {
        self.taken.lock().unwrap().iter().map(|it| it.0.clone()).collect()
    }

    fn spans(&self) -> Vec<Told> {
        let taken = self.taken.lock().unwrap();
        let requests = taken.iter().flat_map(|(_, body)| body["resourceSpans"].as_array().unwrap());
        let scopes = requests.flat_map(|it| it["scopeSpans"].as_array().unwrap());
        scopes.flat_map(|it| it["spans"].as_array().unwrap().clone()).map(Told).collect()
    }

    async fn has(&self, count: usize) -> Vec<Told> {
        until(|| async { (self.spans().len() >= count).then(|| self.spans()) }).await
    }
}

/// A span as a collector gets it.
#[derive(Clone, Debug, PartialEq)]
struct Told(Value);

impl Told {
    fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    fn attribute(&self, key: &str) -> Value {
        let all = self.0["attributes"].as_array().unwrap();
        let found = all.iter().find(|it| it["key"] == key);
        found.map_or(Value::Null, |it| {
            let value = it["value"].as_object().unwrap();
            value.values().next().unwrap().clone()
        })
    }

    fn nanoseconds(&self, field: &str) -> u64 {
        self.text(field).parse().unwrap()
    }
}

fn config(collector: &str) -> Config {
    let http = HttpConfig { allow_private: true, ..HttpConfig::default() };
    let headers = BTreeMap::from([("x-api-key".to_owned(), "k1".to_owned())]);
    let traces = TracesConfig { endpoint: collector.to_owned(), headers, ..Default::default() };
    Config { http, traces, ..Config::default() }
}

async fn engine(path: Option<&Path>, config: Config) -> Engine {
    let store = path.map_or("memory:".to_owned(), |it| format!("sqlite:{}", it.display()));
    let builder = Engine::builder().store(&store).remote_workers(RemoteConfig::default());
    builder.config(config).open().await.unwrap()
}

async fn serving(collector: &str) -> Server {
    Server::over(engine(None, config(collector)).await, ServerConfig::default()).await
}

/// Deploys a source, starts a run within a trace and waits for its end.
async fn run(server: &Server, workflow: &str, source: &str, from: Option<&str>) -> Value {
    let put = server.put(&format!("/v1/workflows/{workflow}"), source).await;
    assert!(matches!(put.status, 200 | 201), "{}", put.text);
    let request = server.request("POST", &format!("/v1/workflows/{workflow}/runs"));
    let request = request.header("prefer", "wait=30").json(&json!({}));
    let request = from
        .into_iter()
        .fold(request, |request, it| request.header("traceparent", it).header("tracestate", STATE));
    let ended = answer(request).await;
    assert_eq!(ended.status, 200, "{}", ended.text);
    ended.body
}

#[tokio::test]
async fn a_collector_gets_a_span_of_the_run_and_of_each_attempt() {
    let (collector, shop) = (Sink::default(), Sink::default());
    let (url, shop_url) = (collector.listen().await, shop.listen().await);
    let server = serving(&url).await;
    // The shop is busy once, so the second task of the group takes two attempts.
    let source = format!(
        "id: order\ntasks:\n  prepare: {{uses: transform, with: {{a: 1}}}}\n  ship:\n    needs: [prepare]\n    tasks:\n      pack: {{uses: http, with: {{url: '{shop_url}/pack'}}, retry: {{max_attempts: 3, delay: 1ms}}}}\n  tell:\n    needs: [ship]\n    uses: fail\n    with: {{message: nobody listens}}\n"
    );
    shop.busy.store(1, Ordering::SeqCst);
    let ended = run(&server, "order", &source, Some(&traceparent("01"))).await;
    assert_eq!(ended["status"], "failed");
    let spans = collector.has(5).await;
    let named =
        |name: &str| -> Vec<&Told> { spans.iter().filter(|it| it.text("name") == name).collect() };
    let root = named("order")[0];
    assert_eq!(spans.iter().filter(|it| it.text("traceId") != TRACE).count(), 0);
    assert_eq!(root.text("parentSpanId"), CALLER);
    assert_eq!(root.0["status"]["code"], 2);
    assert_eq!(root.attribute("surefoot.run.id"), ended["id"]);
    assert_eq!(root.attribute("surefoot.workflow.name"), "order");
    assert_eq!(root.attribute("cicd.pipeline.result"), "failure");
    let group = named("ship")[0];
    assert_eq!(group.text("parentSpanId"), root.text("spanId"));
    assert_eq!(group.attribute("surefoot.task.type"), Value::Null);
    let attempts = named("ship.pack");
    let told = |it: &Told| {
        let number = |key: &str| it.attribute(key).as_str().unwrap().to_owned();
        (
            number("surefoot.task.attempt"),
            it.0["status"]["code"].clone(),
            it.attribute("error.type"),
        )
    };
    assert_eq!(attempts.len(), 2, "{spans:?}");
    assert_eq!(told(attempts[0]), ("1".to_owned(), json!(2), json!("http_status")));
    assert_eq!(told(attempts[1]), ("2".to_owned(), json!(1), Value::Null));
    for attempt in &attempts {
        assert_eq!(attempt.text("parentSpanId"), group.text("spanId"));
        assert_eq!(attempt.attribute("surefoot.task.type"), "http");
        assert_eq!(attempt.attribute("surefoot.task.name"), "ship.pack");
        let (start, end) = ("startTimeUnixNano", "endTimeUnixNano");
        assert!(attempt.nanoseconds(start) <= attempt.nanoseconds(end));
        assert!(root.nanoseconds(start) <= attempt.nanoseconds(start));
        assert!(attempt.nanoseconds(end) <= root.nanoseconds(end));
    }
    // What the task called was told which attempt calls.
    let heard: Vec<String> = shop.headers().iter().map(|it| header(it, "traceparent")).collect();
    assert_eq!(heard, [format!("00-{TRACE}-{}-01", attempts[1].text("spanId"))]);
    assert_eq!(header(&shop.headers()[0], "tracestate"), STATE);
    let asked = &collector.headers()[0];
    assert_eq!(
        (header(asked, "content-type"), header(asked, "x-api-key")),
        ("application/json".into(), "k1".into())
    );
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map_or(String::new(), |it| it.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn what_is_not_sampled_is_not_sent_and_what_is_not_valid_is_ignored() {
    let collector = Sink::default();
    let server = serving(&collector.listen().await).await;
    run(&server, "tick", TICK, Some(&traceparent("00"))).await;
    for wrong in ["", "00-zz", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
        let ended = run(&server, "tick", TICK, Some(wrong)).await;
        let own = ended["id"].as_str().unwrap().to_owned();
        let spans = until(|| async {
            let spans = collector.spans();
            spans
                .iter()
                .any(|it| it.attribute("surefoot.run.id") == own && it.text("name") == "tick")
                .then_some(spans)
        })
        .await;
        let root = spans.iter().rfind(|it| it.text("name") == "tick").unwrap();
        assert_eq!(root.0.get("parentSpanId"), None, "`{wrong}`");
        assert_ne!(root.text("traceId"), TRACE, "`{wrong}`");
    }
    assert!(collector.spans().iter().all(|it| it.text("traceId") != TRACE));
}

#[tokio::test]
async fn a_sub_run_is_in_the_trace_of_its_parent() {
    let collector = Sink::default();
    let server = serving(&collector.listen().await).await;
    server.put("/v1/workflows/tick", TICK).await;
    let outer = "{id: outer, tasks: {inner: {uses: workflow, with: {id: tick}}}}";
    let ended = run(&server, "outer", outer, Some(&traceparent("01"))).await;
    let ticks = server.get("/v1/runs?workflow=tick").await;
    let child = &ticks.body["items"][0]["id"];
    for id in [&ended["id"], child] {
        let id: surefoot::RunId = id.as_str().unwrap().parse().unwrap();
        let run = server.engine.load(id).await.unwrap();
        assert_eq!(run.state().created.tracestate.as_deref(), Some(STATE), "{id}");
    }
    let spans = collector.has(6).await;
    let named = |name: &str| spans.iter().find(|it| it.text("name") == name).unwrap();
    assert_eq!(named("tick").text("parentSpanId"), named("inner").text("spanId"));
    assert_eq!(named("inner").text("parentSpanId"), named("outer").text("spanId"));
    assert!(spans.iter().all(|it| it.text("traceId") == TRACE));
}

#[tokio::test]
async fn webhooks_events_and_workers_carry_the_trace_on() {
    let server = serving(&Sink::default().listen().await).await;
    let source = "id: shop\ntriggers:\n  - event: {type: paid}\n  - webhook: {path: paid}\ntasks: {pay: {uses: pay}}\n";
    assert_eq!(server.put("/v1/workflows/shop", source).await.status, 201);
    let own = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01";
    let event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "paid", "traceparent": own, "tracestate": "own=1"});
    let kind = "application/cloudevents+json";
    let sent = server.request("POST", "/v1/ingest").header("traceparent", traceparent("01"));
    let sent = sent.header("tracestate", STATE);
    let sent = answer(sent.header("content-type", kind).body(event.to_string())).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    let hook = server.request("POST", "/hooks/paid").header("traceparent", traceparent("00"));
    // Many headers are one list.
    let hook = hook.header("tracestate", "a=1").header("tracestate", "b=2");
    let hook = answer(hook.header("webhook-id", "d1").json(&json!({}))).await;
    assert_eq!(hook.status, 200, "{}", hook.text);
    let runs = [&sent.body["events"][0]["runs"][0]["run"], &hook.body["runs"][0]["run"]];
    let said = json!({"name": "w", "capabilities": ["pay"], "slots": 2, "protocol": 1, "sdk": "x"});
    let worker = server.post("/v1/workers", said).await;
    let worker = worker.body["worker"].as_str().unwrap().to_owned();
    let mut heard = BTreeMap::new();
    while heard.len() < 2 {
        let poll = json!({"slots": 2, "wait_seconds": 5, "results": []});
        let polled = server.post(&format!("/v1/workers/{worker}/poll"), poll).await;
        for task in polled.body["tasks"].as_array().unwrap() {
            let place = task["traceparent"].as_str().unwrap().to_owned();
            let state = task["tracestate"].as_str().unwrap().to_owned();
            heard.insert(task["run"].as_str().unwrap().to_owned(), (place, state));
        }
    }
    for (run, (flags, told)) in runs.into_iter().zip([("01", "own=1"), ("00", "a=1,b=2")]) {
        let (place, state) = &heard[run.as_str().unwrap()];
        assert_eq!(state, told);
        assert!(place.starts_with(&format!("00-{TRACE}-")) && place.ends_with(flags), "{place}");
        assert!(!place.contains(CALLER), "{place}");
    }
    let history = surefoot::inspect::history(
        &**server.engine.store(),
        runs[0].as_str().unwrap().parse().unwrap(),
    );
    let created = format!("{:?}", history.await.unwrap()[0]);
    assert!(created.contains("1111111111111111"), "the event's own place counts: {created}");
}

#[tokio::test]
async fn what_a_collector_could_not_take_is_sent_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let collector = Sink::default();
    let url = collector.listen().await;
    collector.busy.store(u32::MAX, Ordering::SeqCst);
    let server =
        Server::over(engine(Some(&path), config(&url)).await, ServerConfig::default()).await;
    server.engine.deploy(TICK).await.unwrap();
    let asks = "{id: asks, tasks: {ask: {uses: signal, with: {name: go}}}}";
    server.engine.deploy(asks).await.unwrap();
    let done = server.engine.execute(StartRequest::new("tick")).await.unwrap().run;
    let open = StartRequest::new("asks").traceparent(Some(&traceparent("01")));
    let open = server.engine.start(open).await.unwrap().id();
    // It has been refused at least once.
    until(|| async { (collector.busy.load(Ordering::SeqCst) < u32::MAX).then_some(()) }).await;
    server.engine.stop(Duration::ZERO).await.unwrap();
    drop(server);

    collector.busy.store(0, Ordering::SeqCst);
    let server =
        Server::over(engine(Some(&path), config(&url)).await, ServerConfig::default()).await;
    let spans = collector.has(4).await;
    let of = |spans: &[Told], run: surefoot::RunId| -> Vec<Told> {
        let run = json!(run);
        spans.iter().filter(|it| it.attribute("surefoot.run.id") == run).cloned().collect()
    };
    assert_eq!(of(&spans, done).len(), 4, "{spans:?}");
    let handle = server.engine.run(open);
    handle.signal("go", json!({})).await.unwrap();
    handle.wait().await.unwrap();
    let spans = collector.has(6).await;
    let ended = of(&spans, open);
    let names: Vec<&str> = ended.iter().map(|it| it.text("name")).collect();
    assert_eq!(names, ["ask", "asks"], "begun before the restart, ended after it");
    assert_eq!(ended[0].text("parentSpanId"), ended[1].text("spanId"));
    assert_eq!(ended[1].text("parentSpanId"), CALLER);
    let metrics = server.get("/metrics").await.text;
    assert!(metrics.contains("surefoot_trace_spans_exported_total 6\n"), "{metrics}");
    assert!(metrics.contains("surefoot_trace_spans_dropped_total 0\n"), "{metrics}");
}

#[tokio::test]
async fn what_a_collector_refuses_is_counted() {
    let collector = Sink::default();
    let server = serving(&collector.listen().await).await;
    let partly = json!({"partialSuccess": {"rejectedSpans": "1", "errorMessage": "too odd"}});
    *collector.answer.lock().unwrap() = Some((StatusCode::OK, partly));
    run(&server, "tick", TICK, None).await;
    let counted = async |exported: u64, dropped: u64| {
        let lines = [
            format!("surefoot_trace_spans_exported_total {exported}\n"),
            format!("surefoot_trace_spans_dropped_total {dropped}\n"),
        ];
        let metrics = until(|| async {
            let text = server.get("/metrics").await.text;
            lines.iter().all(|it| text.contains(it)).then_some(text)
        });
        metrics.await
    };
    counted(3, 1).await;
    *collector.answer.lock().unwrap() = Some((StatusCode::BAD_REQUEST, json!({})));
    run(&server, "tick", TICK, None).await;
    counted(3, 5).await;
}

#[tokio::test]
async fn a_wrong_endpoint_is_refused_at_once() {
    for endpoint in ["collector:4317", "grpc://collector:4317", "nowhere"] {
        let engine = engine(None, config(endpoint)).await;
        let opened = surefoot_server::Service::open(engine, ServerConfig::default()).await;
        let error = opened.err().unwrap().to_string();
        assert!(error.contains("traces.endpoint"), "{error}");
    }
}
