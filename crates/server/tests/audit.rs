//! The audit log: who did what, whether it was carried out or refused.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use serde_json::{Value, json};
use support::sse::{ticking, token};
use support::{Server, answer};
use surefoot_server::{Role, ServerConfig};

async fn with_tokens() -> Server {
    let tokens = vec![
        token("admin", Role::Admin, None),
        token("ada", Role::Operator, None),
        token("vera", Role::Viewer, None),
    ];
    ticking(None, ServerConfig { tokens, ..ServerConfig::default() }).await
}

async fn entries(server: &Server, query: &str) -> (Vec<Value>, Value) {
    let request = server.request("GET", &format!("/v1/audit{query}")).bearer_auth("admin");
    let listed = answer(request).await;
    assert_eq!(listed.status, 200, "{}", listed.text);
    (listed.body["items"].as_array().unwrap().clone(), listed.body["next_cursor"].clone())
}

#[tokio::test]
async fn what_was_done_and_what_was_refused_is_kept() {
    let server = with_tokens().await;
    let waits = "id: waits\nversion: 1.0.0\ntasks:\n  ask: {uses: approval, with: {prompt: go}}\n";
    server.engine.deploy(waits).await.unwrap();
    let run = server.engine.start(surefoot::StartRequest::new("waits")).await.unwrap().id();
    let cancel = format!("/v1/runs/{run}/cancel");
    let request = server.request("POST", &cancel).header("x-request-id", "req-7");
    let refused = answer(request.bearer_auth("vera").json(&json!({"reason": "no"}))).await;
    assert_eq!((refused.status, refused.header("x-request-id")), (403, "req-7"));
    let request = server.request("POST", &cancel).bearer_auth("ada");
    let done = answer(request.json(&json!({"reason": "a typing mistake"}))).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let made_up = done.header("x-request-id").to_owned();
    assert_eq!(made_up.len(), 32);
    let missing = "/v1/runs/01JD8X3M7QK4S6T8V0W2Y4Z6B8/pause";
    assert_eq!(answer(server.request("POST", missing).bearer_auth("ada")).await.status, 404);
    assert_eq!(answer(server.request("POST", &cancel)).await.status, 401, "a stranger");
    answer(server.request("GET", "/v1/runs").bearer_auth("ada")).await;

    let (items, next) = entries(&server, "").await;
    assert_eq!(
        (items.len(), next),
        (3, Value::Null),
        "strangers and looks are not kept: {items:?}"
    );
    let fields = |it: &Value| {
        ["actor", "action", "target", "reason", "outcome", "status"].map(|name| it[name].clone())
    };
    let action = json!("POST /v1/runs/{id}/cancel");
    let expected = [
        [
            json!("ada"),
            json!("POST /v1/runs/{id}/pause"),
            json!(missing),
            Value::Null,
            json!("refused"),
            json!(404),
        ],
        [
            json!("ada"),
            action.clone(),
            json!(cancel),
            json!("a typing mistake"),
            json!("accepted"),
            json!(200),
        ],
        [json!("vera"), action, json!(cancel), Value::Null, json!("refused"), json!(403)],
    ];
    assert_eq!(items.iter().map(fields).collect::<Vec<_>>(), expected, "newest first");
    assert_eq!(items[1]["request_id"], json!(made_up));
    assert_eq!(items[2]["request_id"], "req-7");
}

#[tokio::test]
async fn the_log_is_paged_and_chained_and_for_admins() {
    const ACTS: usize = 7;
    let server = with_tokens().await;
    for number in 0..ACTS {
        let request = server.request("POST", &format!("/v1/runs/{number}/pause"));
        assert_eq!(answer(request.bearer_auth("ada")).await.status, 400);
    }
    let (mut all, mut query) = (Vec::new(), "?limit=3".to_owned());
    loop {
        let (items, next) = entries(&server, &query).await;
        all.extend(items);
        let Some(next) = next.as_str() else { break };
        query = format!("?limit=3&cursor={next}");
    }
    let targets: Vec<_> = all.iter().map(|it| it["target"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<_> = (0..ACTS).rev().map(|it| format!("/v1/runs/{it}/pause")).collect();
    assert_eq!(targets, expected);
    // Each hash covers the entry with the hash before it in its place.
    all.reverse();
    let mut before = String::new();
    for entry in &all {
        let mut entry: surefoot_client::wire::AuditEntry =
            serde_json::from_value(entry.clone()).unwrap();
        let chain = std::mem::replace(&mut entry.chain, before);
        let text = serde_json::to_vec(&entry).unwrap();
        assert_eq!(blake3::hash(&text).to_hex().to_string(), chain);
        before = chain;
    }
    let foreign = server.request("GET", "/v1/audit?cursor=x").bearer_auth("admin");
    assert_eq!(answer(foreign).await.code(), "SF4008");
    let operator = server.request("GET", "/v1/audit").bearer_auth("ada");
    assert_eq!(answer(operator).await.status, 403);
}
