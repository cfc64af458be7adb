//! What a server answers to requests that are wrong: status, code, and a hint. Rows 53 to 71 of the
//! plan of tests.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use serde_json::{Value, json};
use support::{Answer, Server, answer};
use surefoot_server::ServerConfig;

const HELLO: &str = "{id: hello, version: 1.0.0, input: {type: object, properties: {name: {type: string}}, required: [name]}, tasks: {greet: {uses: transform, with: {value: '${{ input.name }}'}}}, output: '${{ tasks.greet.output.value }}'}";
const WAITS: &str =
    "{id: waits, version: 1.0.0, tasks: {go: {uses: signal, with: {name: go, timeout: 1h}}}}";

async fn hello() -> Server {
    let server = Server::open().await;
    assert_eq!(server.put("/v1/workflows/hello", HELLO).await.status, 201);
    assert_eq!(server.put("/v1/workflows/waits", WAITS).await.status, 201);
    server
}

/// Every problem has a code with a page, a kind that leads to it, a hint, and is told as RFC 9457
/// says.
#[track_caller]
fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.text);
    assert_eq!(answer.body["status"], status);
    assert_eq!(answer.body["type"], format!("/errors/{code}"));
    let hint = answer.body["hint"].as_str().unwrap_or_default();
    assert!(!hint.is_empty(), "it says what to do: {}", answer.text);
    assert!(surefoot::core::source::codes::page(code).is_some(), "{code} has no page");
}

#[track_caller]
fn is_problem_with_hint(answer: &Answer, status: u16, code: &str, hint: &str) {
    is_problem(answer, status, code);
    assert!(answer.body["hint"].as_str().unwrap().contains(hint), "{hint}: {}", answer.text);
}

#[tokio::test]
async fn bodies_that_are_not_taken() {
    let server = hello().await;
    let path = "/v1/workflows/hello/runs";
    let json = "application/json";
    let long = format!("{{\"input\": {{\"name\": \"{}\"}}}}", "x".repeat(2 << 20));
    let huge = " ".repeat((4 << 20) + 1);
    let table: [(&str, &[u8], u16, &str, &str); 17] = [
        (json, b"{", 400, "SF4001", ""),
        (json, b"{} {}", 400, "SF4001", ""),
        (json, b"{\"input\": {},}", 400, "SF4001", ""),
        (json, b"\xff\xfe", 400, "SF4001", ""),
        (json, b"nul", 400, "SF4001", ""),
        ("text/plain", b"{}", 415, "SF4003", "application/json"),
        ("multipart/form-data; boundary=x", b"{}", 415, "SF4003", "application/json"),
        ("", b"{}", 415, "SF4003", "application/json"),
        (json, b"{\"inputs\": {}}", 422, "SF4023", "/openapi.json"),
        (json, b"[]", 422, "SF4023", "/openapi.json"),
        (json, b"{\"input\": {\"name\": \"a\", \"name\": \"b\"}}", 422, "SF4023", ""),
        (json, b"{\"input\": {\"name\": \"\\u0000\"}}", 422, "SF4023", ""),
        (json, b"{\"input\": {\"name\": 1e400}}", 422, "SF4023", ""),
        (json, b"{\"input\": {\"name\": \"\\ud800\"}}", 422, "SF4023", ""),
        (json, b"{\"input\": {\"name\": 3}}", 422, "SF4017", "`input` schema"),
        (json, long.as_bytes(), 413, "SF4004", ""),
        (json, huge.as_bytes(), 413, "SF4004", ""),
    ];
    for (kind, body, status, code, hint) in table {
        let mut request = server.request("POST", path).body(body.to_vec());
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        is_problem_with_hint(&answer(request).await, status, code, hint);
    }
    let zipped = server.request("POST", path).header("content-encoding", "gzip").body("x");
    is_problem_with_hint(
        &answer(zipped.header("content-type", json)).await,
        415,
        "SF4003",
        "without Content-Encoding",
    );
    let empty = server.request("POST", "/v1/runs/01JD8X3M7QK4S6T8V0W2Y4Z6B8/rewind");
    is_problem(&answer(empty).await, 400, "SF4002");
    assert_eq!(server.get("/v1/runs").await.body["items"], json!([]), "nothing was started");
}

#[tokio::test]
async fn every_violation_of_an_input_is_listed() {
    let server = Server::open().await;
    let source = "{id: two, input: {type: object, required: [a, b], properties: {a: {type: string}, b: {type: integer}}}, tasks: {t: {uses: log, with: {message: m}}}}";
    server.put("/v1/workflows/two", source).await;
    let told = server.post("/v1/workflows/two/runs", json!({"input": {"a": 1, "b": "x"}})).await;
    is_problem(&told, 422, "SF4017");
    let pointers: Vec<&str> = told.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers, ["/input/a", "/input/b"]);
}

#[tokio::test]
async fn names_and_parameters_that_are_wrong() {
    let server = hello().await;
    let table = [
        ("GET", "/v1/workflows/helo", 404, "SF4012", "Did you mean `hello`?"),
        ("GET", "/v1/workflows/hello/versions/9", 404, "SF4012", "versions"),
        ("GET", "/v1/runs/01JD8X3M7QK4S6T8V0W2Y4Z6B8", 404, "SF4012", "Check the name"),
        ("GET", "/v1/runs/nonsense", 400, "SF4009", "26 letters"),
        ("GET", "/v1/tasks/nonsense", 400, "SF4009", ""),
        ("GET", "/v1/runs?limit=-1", 400, "SF4007", ""),
        ("GET", "/v1/runs?limit=1000000000", 400, "SF4007", ""),
        ("GET", "/v1/runs?sort=;drop", 400, "SF4007", "This route takes"),
        ("GET", "/v1/runs?status=failde", 400, "SF4007", ""),
        ("GET", "/v1/runs?since=yesterday", 400, "SF4007", ""),
        ("GET", "/v1/runs?limit=1&limit=2", 400, "SF4007", ""),
        ("GET", "/v1/workflows?namespace=shop", 400, "SF4007", ""),
        ("GET", "/v1/tokens?role=admin", 400, "SF4007", ""),
        ("GET", "/v1/workers?x", 400, "SF4007", "no parameters"),
        ("POST", "/v1/workflows/hello/runs?dry_run=true", 400, "SF4007", ""),
        ("GET", "/v1/runs?cursor=abc", 400, "SF4008", "`next_cursor`"),
        ("GET", "/v1/runs/", 404, "SF4005", "/openapi.json"),
        ("GET", "/v1//runs", 404, "SF4005", "/openapi.json"),
        ("GET", "/v1/..;/runs", 404, "SF4005", "/openapi.json"),
        ("GET", "/v1%2fruns", 404, "SF4005", "/openapi.json"),
        ("GET", "/nothing", 404, "SF4005", "/openapi.json"),
        ("DELETE", "/v1/runs", 405, "SF4006", "`Allow`"),
        ("PATCH", "/v1/workflows/hello", 405, "SF4006", "`Allow`"),
    ];
    for (method, path, status, code, hint) in table {
        let told = answer(server.request(method, path)).await;
        is_problem_with_hint(&told, status, code, hint);
        if status == 405 {
            assert!(told.header("allow").contains("GET"), "{path}: {:?}", told.headers);
        }
    }
    let near = server.get("/v1/workflows/helo").await;
    assert_eq!(near.body["hint"], "Did you mean `hello`?");
}

#[tokio::test]
async fn a_cursor_goes_through_the_whole_list_and_serves_no_other() {
    let server = hello().await;
    for name in ["a", "b", "c", "d", "e"] {
        server.post("/v1/workflows/hello/runs", json!({"input": {"name": name}})).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let after = cursor.map_or_else(String::new, |it| format!("&cursor={it}"));
        let page = server.get(&format!("/v1/runs?workflow=hello&limit=2{after}")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let items = page.body["items"].as_array().unwrap();
        seen.extend(items.iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        cursor = page.body["next_cursor"].as_str().map(str::to_owned);
        let Some(cursor) = &cursor else { break };
        let other = server.get(&format!("/v1/runs?workflow=waits&limit=2&cursor={cursor}")).await;
        is_problem(&other, 400, "SF4008");
    }
    let mut sorted = seen.clone();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (5, &sorted), "all, once, newest first");
}

#[tokio::test]
async fn versions_that_conflict() {
    let server = hello().await;
    let again = server.put("/v1/workflows/hello", HELLO).await;
    assert_eq!((again.status, &again.body["unchanged"]), (200, &json!(true)));
    let other = HELLO.replace("greet", "welcome");
    is_problem(&server.put("/v1/workflows/hello", &other).await, 409, "SF4021");
    is_problem(&server.put("/v1/workflows/hell", &other).await, 422, "SF4022");
    is_problem(
        &server.put("/v1/workflows/x", "{id: x, tasks: {a: {needs: [a], uses: log}}}").await,
        422,
        "SF4022",
    );
    let tag = server.get("/v1/workflows/hello").await.header("etag").to_owned();
    let newer = other.replace("1.0.0", "1.1.0");
    let send = |tag: &str, source: &str| {
        let request = server.request("PUT", "/v1/workflows/hello").header("if-match", tag);
        answer(request.header("content-type", "application/yaml").body(source.to_owned()))
    };
    let dry = server.put("/v1/workflows/hello?dry_run=true", &newer).await;
    assert_eq!(dry.body["changes"], json!(["- greet", "+ welcome"]), "{}", dry.text);
    assert_eq!(send(&tag, &newer).await.status, 201);
    is_problem(&send(&tag, &newer.replace("1.1.0", "1.2.0")).await, 412, "SF4015");
    let known = server.request("GET", "/v1/workflows/hello/versions/1.0.0");
    assert_eq!(answer(known.header("if-none-match", tag)).await.status, 304);
}

#[tokio::test]
async fn what_the_state_of_a_run_does_not_allow() {
    let server = hello().await;
    let done = server.post("/v1/workflows/hello/runs", json!({"input": {"name": "a"}})).await;
    let done = done.body["id"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/v1/runs/{done}/result?wait=30")).await.status, 200);
    let waits = server.started("waits", WAITS, json!({})).await;
    let verb = |run: &str, verb: &str| {
        let path = format!("/v1/runs/{run}/{verb}");
        let request = server.request("POST", &path);
        async move { answer(request).await }
    };
    is_problem(&verb(&done, "pause").await, 409, "SF4016");
    is_problem(&verb(&done, "signals/go").await, 409, "SF4016");
    for _ in 0..2 {
        assert_eq!(verb(&waits, "pause").await.status, 200, "pausing is idempotent");
    }
    assert_eq!(verb(&waits, "resume").await.status, 200);
    let skip = server.post(&format!("/v1/runs/{waits}/skip"), json!({"task": "og"})).await;
    is_problem(&skip, 404, "SF4012");
    let cancelled = server.post(&format!("/v1/runs/{waits}/cancel"), json!({"reason": "no"})).await;
    assert_eq!(cancelled.status, 200);
    assert_eq!(verb(&waits, "cancel").await.status, 200, "cancelling is idempotent");
    let history = server.get(&format!("/v1/runs/{waits}/history")).await;
    let reasons: Vec<&Value> =
        history.body["items"].as_array().unwrap().iter().map(|it| &it["reason"]).collect();
    assert!(reasons.contains(&&json!("no")), "{}", history.text);
}

#[tokio::test]
async fn a_key_starts_once() {
    let server = hello().await;
    let path = "/v1/workflows/hello/runs";
    let asked = json!({"key": "k", "input": {"name": "a"}});
    let first = server.post(path, asked.clone()).await;
    assert_eq!(first.status, 201);
    let second = server.post(path, asked).await;
    assert_eq!((second.status, &second.body["id"]), (200, &first.body["id"]));
    let other = server.post(path, json!({"key": "k", "input": {"name": "b"}})).await;
    is_problem(&other, 409, "SF4013");
}

#[tokio::test]
async fn an_idempotency_key_is_answered_once() {
    let server = hello().await;
    let send = |key: String, body: Value| {
        let request = server.request("POST", "/v1/workflows/hello/runs");
        answer(request.header("idempotency-key", key).json(&body))
    };
    let asked = json!({"input": {"name": "a"}});
    let first = send("one".to_owned(), asked.clone()).await;
    let second = send("one".to_owned(), asked.clone()).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, ""));
    assert_eq!((second.status, second.header("idempotency-replayed")), (201, "true"));
    assert_eq!(first.text, second.text);
    assert_eq!(first.header("location"), second.header("location"));
    let other = send("one".to_owned(), json!({"input": {"name": "b"}})).await;
    is_problem_with_hint(&other, 409, "SF4013", "choose another key");
    let none = send(String::new(), asked.clone()).await;
    is_problem_with_hint(&none, 400, "SF4014", "such as a UUID");
    is_problem(&send("x".repeat(256), asked.clone()).await, 400, "SF4014");
    let wrong = send("two".to_owned(), json!({"input": {"name": 1}})).await;
    is_problem(&wrong, 422, "SF4017");
    let wrong = send("two".to_owned(), json!({"input": {"name": 1}})).await;
    assert_eq!(wrong.header("idempotency-replayed"), "true", "a refusal is an answer too");
    // Many at once: one is carried out, the others are told to wait, or get its answer.
    let all = (0..20).map(|_| send("three".to_owned(), asked.clone()));
    let all = futures_util::future::join_all(all).await;
    assert!(all.iter().all(|it| matches!(it.status, 201 | 409)), "{all:?}");
    let runs = server.get("/v1/runs?workflow=hello").await;
    assert_eq!(runs.body["items"].as_array().unwrap().len(), 2, "{}", runs.text);
}

#[tokio::test]
async fn a_caller_waits_for_the_end_or_is_told_that_it_still_runs() {
    let server = hello().await;
    let start = |workflow: &str, wait: &str| {
        let request = server.request("POST", &format!("/v1/workflows/{workflow}/runs"));
        answer(request.header("prefer", wait).json(&json!({"input": {"name": "a"}})))
    };
    let ended = start("hello", "wait=30").await;
    assert_eq!((ended.status, &ended.body["output"]), (200, &json!("a")), "{}", ended.text);
    let waits = start("waits", "wait=0").await;
    assert_eq!((waits.status, &waits.body["status"]), (202, &json!("running")));
    is_problem(&start("hello", "wait=soon").await, 400, "SF4007");
    let id = waits.body["id"].as_str().unwrap();
    let path = format!("/v1/runs/{id}/signals/go");
    assert_eq!(server.post(&path, json!({"by": "hand"})).await.status, 202);
    let result = server.get(&format!("/v1/runs/{id}/result?wait=30")).await;
    assert_eq!((result.status, &result.body["status"]), (200, &json!("completed")));
}

#[tokio::test]
async fn a_start_is_answered_with_the_run_as_it_is_read_afterwards() {
    let server = hello().await;
    for (workflow, wait, key, status) in [
        ("hello", "wait=30", None, 200),
        ("waits", "wait=0", None, 202),
        ("waits", "", Some("one"), 201),
        ("waits", "", Some("one"), 200),
    ] {
        let request = server.request("POST", &format!("/v1/workflows/{workflow}/runs"));
        let body = json!({"input": {"name": "a"}, "key": key, "labels": {"region": "eu"}});
        let started = answer(request.header("prefer", wait).json(&body)).await;
        assert_eq!(started.status, status, "{}", started.text);
        let read = server.get(started.header("location")).await;
        assert_eq!(started.body, read.body, "{workflow} {wait}");
    }
    let runs = server.get("/v1/runs?workflow=waits").await;
    assert_eq!(runs.body["items"].as_array().unwrap().len(), 2, "a key starts once");
}

#[tokio::test]
async fn a_crowd_is_told_to_come_back() {
    let server = Server::with(ServerConfig { requests: 1, ..ServerConfig::default() }).await;
    server.put("/v1/workflows/waits", WAITS).await;
    let run = server.started("waits", WAITS, json!({})).await;
    let path = format!("/v1/runs/{run}/result?wait=60");
    let waiting = tokio::spawn(answer(server.request("GET", &path)));
    let told = loop {
        let told = server.get("/healthz").await;
        if told.status != 200 {
            break told;
        }
        tokio::task::yield_now().await;
    };
    is_problem(&told, 503, "SF4018");
    assert_eq!(told.header("retry-after"), "1");
    waiting.abort();
}
