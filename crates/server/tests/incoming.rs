//! Webhooks and events: proved, started once, and refused.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use support::{Answer, Server, answer};
use surefoot::{Config, Engine, SecretsConfig};
use surefoot_server::ServerConfig;

const SECRET: &str = "correct horse battery staple";
const ORDERS: &str = "{id: orders, triggers: [{webhook: {path: orders, secret: hook_key}, \
     input: {order: '${{ event.data.id }}'}}], \
     tasks: {t: {uses: transform, with: {order: '${{ input.order }}'}}}}";
const OPEN: &str = "{id: open, triggers: [{webhook: open}, {webhook: unset}], \
     tasks: {t: {uses: transform, with: {value: 1}}}}";
const UNSET: &str = "{id: unset, triggers: [{webhook: {path: unset2, secret: nobody_set}}], \
     tasks: {t: {uses: transform, with: {value: 1}}}}";
const PAID: &str = "{id: paid, triggers: [{event: {type: order.paid, source: shop, \
     if: event.data.total > 10.0}, input: {total: '${{ event.data.total }}'}}], \
     tasks: {t: {uses: transform, with: {value: 1}}}}";

const ROTATED: &str = "{id: rotated, triggers: [{webhook: {path: rotated, secret: [new_key, hook_key]}}], \
     tasks: {t: {uses: transform, with: {value: 1}}}}";

async fn server(folder: &std::path::Path) -> Server {
    holding(folder, &[("hook_key", SECRET)]).await
}

/// A server with these secrets.
async fn holding(folder: &std::path::Path, secrets: &[(&str, &str)]) -> Server {
    let file = folder.join("secrets");
    let lines: String = secrets.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    std::fs::write(&file, lines).unwrap();
    let secrets = SecretsConfig { file: Some(file), ..SecretsConfig::default() };
    let engine = Engine::builder().config(Config { secrets, ..Config::default() });
    let engine = engine.open().await.unwrap();
    for source in [ORDERS, OPEN, UNSET, PAID, ROTATED] {
        engine.deploy(source).await.unwrap();
    }
    Server::over(engine, ServerConfig::default()).await
}

fn sign(secret: &str, timestamp: u64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{timestamp}.{body}").as_bytes());
    let digits =
        mac.finalize().into_bytes().iter().map(|it| format!("{it:02x}")).collect::<String>();
    format!("sha256={digits}")
}

/// Checks a refusal: its status and code, and that it says what to do.
#[track_caller]
fn refused(found: &Answer, status: u16, code: &str, hint: &str) {
    assert_eq!((found.status, found.code()), (status, code), "{}", found.text);
    let told = found.body["hint"].as_str().unwrap_or_default();
    assert!(!told.is_empty() && told.contains(hint), "{hint}: {}", found.text);
}

async fn deliver(server: &Server, id: &str, timestamp: u64, signature: &str, body: &str) -> Answer {
    deliver_to(server, "orders", id, timestamp, signature, body).await
}

async fn deliver_to(
    server: &Server,
    hook: &str,
    id: &str,
    timestamp: u64,
    signature: &str,
    body: &str,
) -> Answer {
    let request = server
        .request("POST", &format!("/hooks/{hook}"))
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signature);
    answer(request.body(body.to_owned())).await
}

#[tokio::test]
async fn a_signed_webhook_starts_its_workflow_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let (now, body) = (server.engine.now() / 1000, r#"{"id": "o-1"}"#);
    let first = deliver(&server, "d1", now, &sign(SECRET, now, body), body).await;
    assert_eq!((first.status, &first.body["duplicate"]), (200, &json!(false)), "{}", first.text);
    let run = first.body["runs"][0]["run"].as_str().unwrap();
    let shown = server.get(&format!("/v1/runs/{run}")).await;
    assert_eq!(shown.body["input"], json!({"order": "o-1"}));
    assert_eq!(shown.body["actor"], "webhook:orders");
    // Sent again, signed anew: the same run.
    let later = now + 1;
    let again = deliver(&server, "d1", later, &sign(SECRET, later, body), body).await;
    assert_eq!(again.body["duplicate"], true, "{}", again.text);
    assert_eq!(again.body["runs"], first.body["runs"]);
    // A recording under another id starts nothing either.
    let replay = deliver(&server, "d2", now, &sign(SECRET, now, body), body).await;
    assert_eq!(replay.body["duplicate"], true, "{}", replay.text);
    assert_eq!(replay.body["runs"], first.body["runs"]);
    let other = r#"{"id": "o-2"}"#;
    let found = deliver(&server, "d1", now, &sign(SECRET, now, other), other).await;
    refused(&found, 409, "SF4105", "an id of its own");
    assert_eq!(server.get("/v1/runs").await.body["items"].as_array().unwrap().len(), 1);
}

/// A recording that is sent again under another id, with its signature written in another way.
#[tokio::test]
async fn a_signature_is_the_same_however_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let now = server.engine.now() / 1000;
    // A body whose signature has a digit pair that parsers of numbers would read with a sign too.
    let (good, body) = (0..)
        .map(|it| format!(r#"{{"id": "o-{it}"}}"#))
        .map(|body| (sign(SECRET, now, &body), body))
        .find(|(good, _)| pair_below_sixteen(good).is_some())
        .unwrap();
    let first = deliver(&server, "d0", now, &good, &body).await;
    assert_eq!((first.status, &first.body["duplicate"]), (200, &json!(false)), "{}", first.text);
    for (at, again) in
        [good.to_uppercase(), good[7..].to_owned(), format!(" {good} ")].iter().enumerate()
    {
        let found = deliver(&server, &format!("e{at}"), now, again, &body).await;
        assert_eq!((found.status, &found.body["duplicate"]), (200, &json!(true)), "{again}");
        assert_eq!(found.body["runs"], first.body["runs"]);
    }
    let at = pair_below_sixteen(&good).unwrap();
    let signed = format!("{}+{}", &good[..at], &good[at + 1..]);
    let found = deliver(&server, "e9", now, &signed, &body).await;
    assert_eq!((found.status, found.code()), (401, "SF4100"), "{}", found.text);
    assert_eq!(server.get("/v1/runs").await.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_recording_that_is_sent_under_many_ids_at_once_starts_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let (now, body) = (server.engine.now() / 1000, r#"{"id": "o-1"}"#);
    let signature = sign(SECRET, now, body);
    let ids: Vec<String> = (0..20).map(|it| format!("d{it}")).collect();
    let all = ids.iter().map(|id| deliver(&server, id, now, &signature, body));
    let all = futures_util::future::join_all(all).await;
    assert!(all.iter().all(|it| it.status == 200), "{all:?}");
    let new = all.iter().filter(|it| it.body["duplicate"] == false).count();
    assert_eq!(new, 1, "{all:?}");
    assert_eq!(server.get("/v1/runs").await.body["items"].as_array().unwrap().len(), 1);
}

/// Where in a signature a pair of digits begins with 0.
fn pair_below_sixteen(signature: &str) -> Option<usize> {
    (7..signature.len()).step_by(2).find(|at| signature[*at..].starts_with('0'))
}

#[tokio::test]
async fn the_old_and_the_new_secret_sign_while_both_are_set() {
    let body = r#"{"id": "o-1"}"#;
    let (old, new) = (("hook_key", SECRET), ("new_key", "battery staple horse"));
    for (set, old_is_good, new_is_good) in
        [(vec![old, new], true, true), (vec![new], false, true), (vec![old], true, false)]
    {
        let folder = tempfile::tempdir().unwrap();
        let server = holding(folder.path(), &set).await;
        let now = server.engine.now() / 1000;
        for (id, secret, is_good) in
            [("d1", old.1, old_is_good), ("d2", new.1, new_is_good), ("d3", "neither", false)]
        {
            let signature = sign(secret, now, body);
            let found = deliver_to(&server, "rotated", id, now, &signature, body).await;
            let expected = if is_good { (200, "") } else { (401, "SF4100") };
            assert_eq!((found.status, found.code()), expected, "{secret} of {set:?}");
        }
        // What is sent again, signed with the other secret, is the same delivery.
        if set.len() == 2 {
            let signature = sign(new.1, now, body);
            let found = deliver_to(&server, "rotated", "d1", now, &signature, body).await;
            assert_eq!(found.body["duplicate"], true);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let server = holding(folder.path(), &[]).await;
    let now = server.engine.now() / 1000;
    let found = deliver_to(&server, "rotated", "d1", now, &sign(SECRET, now, body), body).await;
    refused(&found, 503, "SF4103", "surefoot secret set");
}

#[tokio::test]
async fn a_webhook_that_proves_nothing_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let (now, body) = (server.engine.now() / 1000, r#"{"id": "o-1"}"#);
    let good = sign(SECRET, now, body);
    let table = [
        (now, sign("wrong", now, body), 401, "SF4100"),
        (now, sign(SECRET, now, "{}"), 401, "SF4100"),
        (now, "sha256=00".to_owned(), 401, "SF4100"),
        (now, String::new(), 401, "SF4100"),
        (now - 1, good.clone(), 401, "SF4100"),
        (now - 400, sign(SECRET, now - 400, body), 401, "SF4101"),
        (now + 400, sign(SECRET, now + 400, body), 401, "SF4101"),
    ];
    for (timestamp, signature, status, code) in table {
        let found = deliver(&server, "d1", timestamp, &signature, body).await;
        let hint = if code == "SF4101" { "within five minutes" } else { "HMAC-SHA256" };
        refused(&found, status, code, hint);
    }
    for id in [String::new(), "x".repeat(129)] {
        let found = deliver(&server, &id, now, &good, body).await;
        refused(&found, 400, "SF4102", "Send Webhook-Id");
    }
    let found = answer(server.request("POST", "/hooks/orders").header("webhook-id", "d1")).await;
    refused(&found, 401, "SF4100", "HMAC-SHA256");
    let found = answer(server.request("POST", "/hooks/nothing")).await;
    refused(&found, 404, "SF4012", "triggers");
    let request = server.request("POST", "/hooks/unset2").header("webhook-id", "d1");
    let found = answer(request.header("webhook-timestamp", now).header("webhook-signature", &good));
    let found = found.await;
    refused(&found, 503, "SF4103", "surefoot secret set");
    assert_eq!(server.get("/v1/runs").await.body["items"], json!([]));
    // The good one is none the worse.
    assert_eq!(deliver(&server, "d1", now, &good, body).await.status, 200);
    assert!(!server.get("/v1/runs").await.text.contains(SECRET));
}

#[tokio::test]
async fn a_webhook_without_a_secret_is_taken_only_where_nobody_needs_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let send =
        || answer(server.request("POST", "/hooks/open").header("webhook-id", "d1").body("x"));
    assert_eq!(send().await.status, 200);
    let made = server.post("/v1/tokens", json!({"name": "root", "role": "admin"})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let found = send().await;
    refused(&found, 401, "SF4100", "HMAC-SHA256");
}

async fn ingest(server: &Server, kind: &str, body: Value) -> Answer {
    let request = server.request("POST", "/v1/ingest").header("content-type", kind);
    answer(request.body(body.to_string())).await
}

fn event(id: &str, total: f64) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "shop", "type": "order.paid", "data": {"total": total}})
}

#[tokio::test]
async fn events_start_what_waits_for_them_in_each_of_three_forms() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let structured = "application/cloudevents+json";
    let first = ingest(&server, structured, event("1", 11.0)).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let run = first.body["events"][0]["runs"][0]["run"].as_str().unwrap().to_owned();
    let shown = server.get(&format!("/v1/runs/{run}")).await;
    assert_eq!(shown.body["input"], json!({"total": 11.0}));
    // The same in another form: the same event, the same run.
    let batch = json!([event("1", 11.0), event("2", 9.0), event("3", 12.0)]);
    let batch = ingest(&server, "application/cloudevents-batch+json", batch).await;
    let events = &batch.body["events"];
    assert_eq!(events[0]["duplicate"], true, "{}", batch.text);
    assert_eq!(events[0]["runs"][0]["run"], run.as_str());
    assert_eq!(events[1]["runs"], json!([]));
    assert_eq!(events[2]["runs"].as_array().unwrap().len(), 1);
    // Sent again by an attempt that comes later.
    let mut late = event("1", 11.0);
    late["time"] = json!("2027-01-01T00:00:00Z");
    late["traceparent"] = json!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let late = ingest(&server, structured, late).await;
    assert_eq!(late.body["events"][0]["duplicate"], true, "{}", late.text);
    let request = server
        .request("POST", "/v1/ingest")
        .header("ce-specversion", "1.0")
        .header("ce-id", "4")
        .header("ce-source", "shop")
        .header("ce-type", "order.paid")
        .header("content-type", "application/json");
    let binary = answer(request.body(r#"{"total": 13}"#)).await;
    assert_eq!(binary.body["events"][0]["runs"].as_array().unwrap().len(), 1, "{}", binary.text);
    // Of another source, or without what the condition reads.
    let mut other = event("5", 11.0);
    other["source"] = json!("elsewhere");
    assert_eq!(ingest(&server, structured, other).await.body["events"][0]["runs"], json!([]));
    let mut bare = event("6", 11.0);
    bare["data"] = json!({});
    let bare = ingest(&server, structured, bare).await;
    let outcome = &bare.body["events"][0]["runs"][0];
    assert_eq!(outcome["run"], Value::Null, "{}", bare.text);
    assert!(outcome["error"].as_str().unwrap().contains("total"), "{}", bare.text);
    let found = ingest(&server, structured, event("1", 99.0)).await;
    refused(&found, 409, "SF4105", "an id of its own");
    assert_eq!(server.get("/v1/runs").await.body["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_is_not_an_event_is_refused_with_all_its_faults() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let structured = "application/cloudevents+json";
    let batch = "application/cloudevents-batch+json";
    let found = ingest(&server, structured, json!({"type": "order.paid"})).await;
    refused(&found, 422, "SF4104", "");
    assert_eq!(found.body["errors"].as_array().unwrap().len(), 3, "{}", found.text);
    let found = ingest(&server, batch, json!([event("1", 11.0), {}])).await;
    assert_eq!(found.body["errors"][0]["pointer"], "/1/specversion", "{}", found.text);
    let found = ingest(&server, batch, json!({})).await;
    refused(&found, 422, "SF4104", "");
    let many: Vec<Value> = (0..1001).map(|it| event(&it.to_string(), 1.0)).collect();
    let found = ingest(&server, batch, json!(many)).await;
    refused(&found, 413, "SF4106", "");
    let found = ingest(&server, "application/json", event("1", 11.0)).await;
    refused(&found, 415, "SF4003", "");
    assert_eq!(server.get("/v1/runs").await.body["items"], json!([]));
}
