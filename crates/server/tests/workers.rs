//! The worker protocol over HTTP: every route with its statuses, codes and hints, and the loop of
//! our own worker against it.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use surefoot::{
    By, Command, Engine, RemoteConfig, RunHandle, RunStatus, StartRequest, TakeRequest, inspect,
};
use surefoot_client::wire::{RegisterWorker, TaskFailure};
use surefoot_client::{Client, TaskContext, Worker};
use surefoot_server::{Role, ServerConfig, Service, TokenConfig};
use tokio_util::sync::CancellationToken;

struct Server {
    url: String,
    engine: Engine,
    http: reqwest::Client,
    stop: CancellationToken,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(config: ServerConfig, lease: Duration) -> Server {
    let remote = RemoteConfig { lease, ..RemoteConfig::default() };
    let engine = Engine::builder().remote_workers(remote).open().await.unwrap();
    let config = ServerConfig { listen: "127.0.0.1:0".to_owned(), ..config };
    let service = Service::open(engine.clone(), config).await.unwrap();
    let listener = service.bind().await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // It chooses the cryptography that the next client needs too.
    Client::new(&url, None).unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(surefoot_server::serve(service, listener, stopped));
    Server { url, engine, http: reqwest::Client::new(), stop }
}

async fn open() -> Server {
    serve(ServerConfig::default(), Duration::from_secs(10)).await
}

impl Server {
    async fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, Value) {
        let method = method.parse().unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask("POST", path, "", &body.to_string()).await
    }

    async fn register(&self, name: &str) -> String {
        let (status, answer) = self.post("/v1/workers", worker(name)).await;
        assert_eq!(status, 201, "{answer}");
        answer["worker"].as_str().unwrap().to_owned()
    }

    async fn start(&self, source: &str) -> RunHandle {
        let deployed = self.engine.deploy(source).await.unwrap();
        self.engine.start(StartRequest::new(&deployed.workflow)).await.unwrap()
    }

    /// Starts a run of one task and takes it. Returns the run and the lease.
    async fn lend(&self, worker: &str) -> (RunHandle, String) {
        let run = self.start("{id: shop, tasks: {pay: {uses: pay}}}").await;
        let path = format!("/v1/workers/{worker}/poll");
        let (status, answer) = self.post(&path, json!({"slots": 1, "wait_seconds": 20})).await;
        assert_eq!(status, 200, "{answer}");
        (run, answer["tasks"][0]["lease"].as_str().unwrap().to_owned())
    }
}

fn worker(name: &str) -> Value {
    json!({"name": name, "capabilities": ["pay"], "slots": 8, "protocol": 1})
}

async fn records(server: &Server, run: &RunHandle) -> usize {
    inspect::history(&**server.engine.store(), run.id()).await.unwrap().len()
}

/// Rows 73 to 80 of the table of bad requests, and those of the protocol beyond it: what is sent,
/// and what is answered. None of them changes a run that goes on.
#[tokio::test]
async fn every_bad_request_has_its_answer_and_changes_nothing() {
    let server = open().await;
    let (mine, gone, drained) =
        (server.register("a").await, server.register("a").await, server.register("b").await);
    assert_ne!(mine, gone, "79: a name twice is two workers");
    let (run, held) = server.lend(&mine).await;
    let (_, done) = server.lend(&mine).await;
    let complete = |lease: &str| format!("/v1/leases/{lease}/complete");
    let first = server.post(&complete(&done), json!({"output": {"n": 1}})).await;
    assert_eq!(first.0, 200);
    let (_, lost) = server.lend(&gone).await;
    assert_eq!(server.ask("DELETE", &format!("/v1/workers/{gone}"), "", "").await.0, 204);
    // What the gone worker held goes to the next who asks; it is not what is looked at here.
    let drain = server.ask("POST", &format!("/v1/workers/{drained}/drain"), "", "").await;
    assert_eq!(drain.0, 202);
    let (cancelled_run, cancelled) = {
        let path = format!("/v1/workers/{mine}/poll");
        server.post(&path, json!({"slots": 8})).await;
        server.lend(&mine).await
    };
    cancelled_run.command(Command::Cancel, By::actor("ann")).await.unwrap();
    let forged = format!("ls_{}", "0".repeat(96));
    let register = |body: Value| {
        let mut said = worker("c");
        said.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        ("/v1/workers".to_owned(), said)
    };
    let poll = |worker: &str, body: Value| (format!("/v1/workers/{worker}/poll"), body);
    let beat = |lease: &str, body: Value| (format!("/v1/leases/{lease}/heartbeat"), body);
    let rows = [
        (73, (complete("ls_guess"), json!({"output": 1})), 404, "SF4065", "lease"),
        (73, (complete(&"9".repeat(99)), json!({"output": 1})), 404, "SF4065", "lease"),
        (74, (complete(&lost), json!({"output": 1})), 410, "SF4067", "without this worker"),
        (74, (complete(&forged), json!({"output": 1})), 410, "SF4067", "Drop the result"),
        (75, (complete(&done), json!({"output": {"n": 1}})), 200, "", ""),
        (75, (complete(&done), json!({"output": {"n": 2}})), 409, "SF4066", "first result"),
        (76, beat(&done, json!({})), 409, "SF4066", "first result"),
        (76, beat(&cancelled, json!({})), 200, "", ""),
        (76, beat(&lost, json!({})), 410, "SF4067", ""),
        (76, beat("ls_guess", json!({})), 404, "SF4065", ""),
        (78, register(json!({"capabilities": []})), 400, "SF4060", "letters"),
        (78, register(json!({"capabilities": ["a b"]})), 400, "SF4060", "letters"),
        (78, register(json!({"capabilities": "pay"})), 422, "SF4023", "openapi"),
        (78, register(json!({"slots": 0})), 400, "SF4060", ""),
        (78, register(json!({"slots": 1001})), 400, "SF4060", ""),
        (78, register(json!({"speed": 3})), 422, "SF4023", ""),
        (78, poll(&mine, json!({"slots": 1_000_000})), 400, "SF4064", ""),
        (78, poll(&mine, json!({"slots": 1, "wait_seconds": -1})), 400, "SF4064", ""),
        (78, poll(&mine, json!({"slots": 0, "results": [{"lease": held}]})), 400, "SF4064", ""),
        (78, poll("wk_yesterday", json!({"slots": 1})), 404, "SF4063", "Register again"),
        (78, poll(&gone, json!({"slots": 1})), 404, "SF4063", "Register again"),
        (80, register(json!({"protocol": 0})), 426, "SF4062", "Speak version 1"),
        (80, register(json!({"protocol": 99})), 426, "SF4062", "Speak version 1"),
        (77, (complete(&held), json!({"outptu": 1})), 422, "SF4023", ""),
    ];
    let before = records(&server, &run).await;
    for (row, (path, body), status, code, hint) in rows {
        // The last row is the one that ends its attempt: see the test of results.
        if row == 77 {
            assert_eq!(records(&server, &run).await, before, "nothing has changed the run");
        }
        let (got, answer) = server.post(&path, body.clone()).await;
        let told = answer["code"].as_str().unwrap_or_default();
        assert_eq!((got, told), (status, code), "{row}: {path} {body} {answer}");
        let hinted = answer["hint"].as_str().unwrap_or_default();
        assert!(hinted.contains(hint), "{row}: {path} {body}: hint {hinted:?}");
        assert!(status == 200 || !hinted.is_empty(), "{row}: {path} {body}: no hint");
        if status == 426 {
            assert_eq!(answer["supported"], json!([1]), "{row}");
        }
    }
    let (_, answer) = server.post(&beat(&cancelled, json!({})).0, json!({})).await;
    assert_eq!(answer["cancel"], json!(true), "76: after cancel");
    let asked = poll(&drained, json!({"slots": 4, "wait_seconds": 20}));
    let (_, answer) = server.post(&asked.0, asked.1).await;
    assert_eq!((&answer["drain"], &answer["tasks"]), (&json!(true), &json!([])), "after drain");
}

/// Row 77: a result that cannot be kept fails its attempt, and the task is not stuck.
#[tokio::test]
async fn a_result_that_cannot_be_kept_fails_its_attempt() {
    let server = open().await;
    let worker = server.register("a").await;
    let output = |bytes: usize| json!({"output": "x".repeat(bytes)}).to_string();
    let rows = [
        (output(2 * 1024 * 1024), 413, "SF4068"),
        (output(5 * 1024 * 1024), 413, "SF4004"),
        ("{\"output\": \"\\u0000\"}".to_owned(), 422, "SF4023"),
        ("{\"outptu\": 1}".to_owned(), 422, "SF4023"),
    ];
    for (body, status, code) in rows {
        let (run, lease) = server.lend(&worker).await;
        let path = format!("/v1/leases/{lease}/complete");
        let (got, answer) = server.ask("POST", &path, "", &body).await;
        assert_eq!((got, answer["code"].as_str()), (status, Some(code)), "{answer}");
        let error = run.wait().await.unwrap().error.unwrap().error;
        assert_eq!(error.kind, "result_invalid", "{code}: {error:?}");
    }
    let (run, lease) = server.lend(&worker).await;
    let path = format!("/v1/leases/{lease}/complete");
    let (status, answer) = server.ask("POST", &path, "", "{\"output\": ").await;
    assert_eq!((status, answer["code"].as_str()), (400, Some("SF4001")), "a torn body: {answer}");
    assert_eq!(server.post(&path, json!({"output": null})).await.0, 200, "it may be sent again");
    assert_eq!(run.wait().await.unwrap().status, RunStatus::Completed);
}

fn token(name: &str, role: Role, capabilities: Option<&[&str]>) -> TokenConfig {
    TokenConfig {
        name: name.to_owned(),
        hash: format!("blake3:{}", blake3::hash(name.as_bytes()).to_hex()),
        role,
        namespaces: None,
        groups: Vec::new(),
        capabilities: capabilities.map(|it| it.iter().map(|it| (*it).to_owned()).collect()),
    }
}

#[tokio::test]
async fn a_worker_may_use_only_what_is_its_own() {
    let tokens = vec![
        token("till", Role::Worker, Some(&["pay"])),
        token("thief", Role::Worker, None),
        token("ann", Role::Viewer, None),
        token("root", Role::Admin, None),
    ];
    let config = ServerConfig { tokens, ..ServerConfig::default() };
    let server = serve(config, Duration::from_secs(10)).await;
    let said = worker("a").to_string();
    let (_, answer) = server.ask("POST", "/v1/workers", "till", &said).await;
    let mine = answer["worker"].as_str().unwrap().to_owned();
    server.start("{id: shop, tasks: {pay: {uses: pay}}}").await;
    let poll = format!("/v1/workers/{mine}/poll");
    let asks = json!({"slots": 1, "wait_seconds": 20}).to_string();
    let (_, answer) = server.ask("POST", &poll, "till", &asks).await;
    let lease = answer["tasks"][0]["lease"].as_str().unwrap().to_owned();
    let (beat, done) =
        (format!("/v1/leases/{lease}/heartbeat"), format!("/v1/leases/{lease}/complete"));
    let more = json!({"capabilities": ["pay", "refund"], "slots": 1, "protocol": 1}).to_string();
    let (this, drain) = (format!("/v1/workers/{mine}"), format!("/v1/workers/{mine}/drain"));
    let output = json!({"output": 1}).to_string();
    let rows = [
        ("POST", "/v1/workers", "", &*said, 401, "SF4010"),
        ("POST", "/v1/workers", "forged", &said, 401, "SF4010"),
        ("POST", "/v1/workers", "ann", &said, 403, "SF4011"),
        ("POST", "/v1/workers", "till", &more, 403, "SF4061"),
        ("POST", &poll, "thief", &asks, 404, "SF4063"),
        ("POST", &poll, "ann", &asks, 403, "SF4011"),
        ("POST", &beat, "thief", "{}", 404, "SF4065"),
        ("POST", &done, "thief", &output, 404, "SF4065"),
        ("DELETE", &this, "thief", "", 404, "SF4063"),
        ("POST", &drain, "thief", "", 404, "SF4063"),
        ("POST", &drain, "ann", "", 403, "SF4011"),
        ("GET", "/v1/workers", "till", "", 403, "SF4011"),
        ("GET", "/v1/capabilities", "till", "", 403, "SF4011"),
        ("POST", &beat, "till", "{}", 200, ""),
        ("POST", &done, "till", &output, 200, ""),
        ("POST", &drain, "till", "", 202, ""),
        ("POST", &drain, "root", "", 202, ""),
    ];
    for (method, path, token, body, status, code) in rows {
        let (got, answer) = server.ask(method, path, token, body).await;
        let told = answer["code"].as_str().unwrap_or_default();
        assert_eq!((got, told), (status, code), "{method} {path} as {token:?}: {answer}");
        let is_hinted = answer["hint"].as_str().is_some_and(|it| !it.is_empty());
        assert!(status < 300 || is_hinted, "{method} {path} as {token:?}: {answer}");
    }
}

#[tokio::test]
async fn a_worker_of_a_namespace_gets_its_tasks_alone() {
    let mut clerk = token("clerk", Role::Worker, None);
    clerk.namespaces = Some(vec!["billing".to_owned()]);
    let tokens = vec![clerk, token("all", Role::Worker, None)];
    let config = ServerConfig { tokens, ..ServerConfig::default() };
    let server = serve(config, Duration::from_secs(10)).await;
    for id in ["shop", "shop.order", "billingx.invoice", "billing.invoice"] {
        server.start(&format!("{{id: {id}, tasks: {{pay: {{uses: pay}}}}}}")).await;
    }
    let said = worker("a").to_string();
    let asks = json!({"slots": 9, "wait_seconds": 20}).to_string();
    let nothing_more = json!({"slots": 9, "wait_seconds": 0}).to_string();
    for (token, expected) in
        [("clerk", &["billing.invoice"][..]), ("all", &["shop", "shop.order", "billingx.invoice"])]
    {
        let (_, answer) = server.ask("POST", "/v1/workers", token, &said).await;
        let poll = format!("/v1/workers/{}/poll", answer["worker"].as_str().unwrap());
        let mut got = Vec::new();
        for asks in [&asks, &nothing_more] {
            let (status, answer) = server.ask("POST", &poll, token, asks).await;
            assert_eq!(status, 200, "{answer}");
            let tasks = answer["tasks"].as_array().unwrap();
            got.extend(tasks.iter().map(|it| it["workflow"].as_str().unwrap().to_owned()));
        }
        assert_eq!(got, expected, "{token}");
    }
}

#[tokio::test]
async fn people_see_workers_their_progress_and_their_queues() {
    let server = open().await;
    let client = Client::new(&server.url, None).unwrap();
    let id = server.register("till").await;
    let (run, lease) = server.lend(&id).await;
    let waiting = server.start("{id: film, tasks: {cut: {uses: gpu}}}").await;
    let said = json!({"progress": 0.5, "message": "charging", "logs": [{"level": "info", "text": "hello"}]});
    server.post(&format!("/v1/leases/{lease}/heartbeat"), said).await;
    let seen = client.worker(&id).await.unwrap();
    assert_eq!((&*seen.name, &*seen.status, seen.slots), ("till", "connected", 8));
    let task = &seen.tasks[0];
    assert_eq!((&*task.run, &*task.task), (&*run.id().to_string(), "pay"));
    assert_eq!((task.progress, task.message.as_deref()), (Some(0.5), Some("charging")));
    let all = client.capabilities().await.unwrap().items;
    let names: Vec<_> = all.iter().map(|it| (&*it.capability, it.waiting, it.running)).collect();
    assert_eq!(names, [("gpu", 1, 0), ("pay", 0, 1)]);
    let path = format!("/v1/runs/{}/tasks/cut/why", waiting.id());
    let why: Value = client.get(&path).await.unwrap();
    assert_eq!(why["why"], "no worker with capability `gpu` is connected");
    client.drain(&id).await.unwrap();
    assert_eq!(client.worker(&id).await.unwrap().status, "draining");
}

#[tokio::test]
async fn a_batch_of_results_is_answered_one_by_one() {
    let server = open().await;
    let id = server.register("a").await;
    let (first, one) = server.lend(&id).await;
    let (second, other) = server.lend(&id).await;
    let error = json!({"type": "declined", "message": "no", "retryable": false});
    let results = json!([
        {"lease": one, "output": null},
        {"lease": other, "error": error},
        {"lease": "ls_guess", "output": 1},
        {"lease": one, "output": 2},
    ]);
    let (_, answer) = server
        .post(&format!("/v1/workers/{id}/poll"), json!({"slots": 0, "results": results}))
        .await;
    let statuses: Vec<_> =
        answer["results"].as_array().unwrap().iter().map(|it| &it["status"]).collect();
    assert_eq!(statuses, [200, 200, 404, 409]);
    assert_eq!(first.wait().await.unwrap().status, RunStatus::Completed);
    assert_eq!(second.wait().await.unwrap().error.unwrap().error.kind, "declined");
}

/// Row 81 among others: our own worker, with handlers of every manner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_worker_executes_reports_and_leaves() {
    let server = open().await;
    let calls = Arc::new(AtomicU32::new(0));
    let seen = calls.clone();
    let shutdown = CancellationToken::new();
    let worker = Worker::new(&server.url)
        .name("ours")
        .slots(4)
        .handler("pay", async |_: TaskContext, input: Value| Ok::<_, TaskFailure>(input))
        .handler("panic", async |_: TaskContext, _: Value| -> Result<Value, TaskFailure> {
            panic!("as planned")
        })
        .handler("large", async |_: TaskContext, _: Value| {
            Ok::<_, TaskFailure>("x".repeat(5 * 1024 * 1024))
        })
        .handler("flaky", move |task: TaskContext, _: Value| {
            seen.fetch_add(1, Ordering::SeqCst);
            async move {
                task.log("info", "trying");
                match task.attempt {
                    1 => Err(TaskFailure::new("busy", "later")),
                    _ => Ok(json!(task.attempt)),
                }
            }
        })
        .handler("endless", async |task: TaskContext, _: Value| {
            task.cancelled().await;
            Err::<Value, _>(TaskFailure::fatal("stopped", "as asked"))
        });
    let running = tokio::spawn(worker.run_until(shutdown.clone().cancelled_owned()));
    let end = async |source: &str| server.start(source).await.wait().await.unwrap();

    let outcome = end("{id: a, tasks: {t: {uses: pay, for_each: [1, 2, 3, 4, 5, 6, 7, 8, 9], with: {n: '${{ item }}'}}}, output: '${{ tasks.t.output[8].n }}'}").await;
    assert_eq!((outcome.status, outcome.output), (RunStatus::Completed, json!(9)));
    let outcome = end("{id: b, tasks: {t: {uses: panic}}}").await;
    assert_eq!(outcome.error.unwrap().error.kind, "panic");
    let outcome = end("{id: c, tasks: {t: {uses: large}}}").await;
    assert_eq!(outcome.error.unwrap().error.kind, "result_invalid");
    let outcome =
        end("{id: d, tasks: {t: {uses: flaky, retry: {max_attempts: 2, delay: 1ms}}}}").await;
    assert_eq!((outcome.status, calls.load(Ordering::SeqCst)), (RunStatus::Completed, 2));

    let run = server.start("{id: e, tasks: {t: {uses: endless}}}").await;
    while server.engine.leases(None).is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    run.command(Command::Cancel, By::actor("ann")).await.unwrap();
    assert_eq!(run.wait().await.unwrap().status, RunStatus::Cancelled);

    shutdown.cancel();
    running.await.unwrap().unwrap();
    let client = Client::new(&server.url, None).unwrap();
    assert_eq!(client.workers().await.unwrap().items, [], "it has left");
}

#[tokio::test]
async fn our_worker_registers_again_and_ends_when_it_is_drained() {
    let server = open().await;
    let client = Client::new(&server.url, None).unwrap();
    let worker = Worker::new(&server.url)
        .handler("pay", async |_: TaskContext, input: Value| Ok::<_, TaskFailure>(input));
    let running = tokio::spawn(worker.run_until(std::future::pending()));
    let known = async || loop {
        let items = client.workers().await.unwrap().items;
        if let Some(worker) = items.first() {
            return worker.id.clone();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let first = known().await;
    // As after a restart of the server: it has never heard of the worker.
    client.remove_worker(&first).await.unwrap();
    let second = known().await;
    assert_ne!(first, second);
    let run = server.start("{id: shop, tasks: {pay: {uses: pay}}}").await;
    assert_eq!(run.wait().await.unwrap().status, RunStatus::Completed);
    client.drain(&second).await.unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_worker_that_dies_loses_its_task_to_another() {
    let server = serve(ServerConfig::default(), Duration::from_millis(300)).await;
    let dead = server.register("dead").await;
    let (run, late) = server.lend(&dead).await;
    let client = Client::new(&server.url, None).unwrap();
    let worker = Worker::new(&server.url)
        .handler("pay", async |task: TaskContext, _: Value| Ok::<_, TaskFailure>(task.attempt));
    let running = tokio::spawn(worker.run_until(std::future::pending()));
    assert_eq!(run.wait().await.unwrap().status, RunStatus::Completed);
    let before = records(&server, &run).await;
    let path = format!("/v1/leases/{late}/complete");
    let (status, answer) = server.post(&path, json!({"output": 1})).await;
    assert_eq!((status, answer["code"].as_str()), (410, Some("SF4067")), "{answer}");
    assert_eq!(records(&server, &run).await, before, "the journal does not change");
    assert_eq!(client.worker(&dead).await.unwrap().status, "lost");
    running.abort();
}

#[tokio::test]
async fn an_engine_without_workers_says_so() {
    let engine = Engine::builder().open().await.unwrap();
    let config = ServerConfig { listen: "127.0.0.1:0".to_owned(), ..ServerConfig::default() };
    let service = Service::open(engine, config).await.unwrap();
    let listener = service.bind().await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(surefoot_server::serve(service, listener, std::future::pending()));
    let client = Client::new(&url, None).unwrap();
    let said = RegisterWorker {
        capabilities: vec!["pay".to_owned()],
        slots: 1,
        protocol: 1,
        ..RegisterWorker::default()
    };
    let error = client.register(&said).await.unwrap_err();
    assert_eq!(error.problem().map(|it| &*it.code), Some("SF4070"));
    let take = TakeRequest {
        worker: "w".to_owned(),
        capabilities: Vec::new(),
        slots: 1,
        wait: Duration::ZERO,
        holding: None,
        namespaces: None,
    };
    assert!(Engine::builder().open().await.unwrap().take(take).await.is_err());
    serving.abort();
}
