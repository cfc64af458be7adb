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
    let (strangers, items): (Vec<_>, Vec<_>) =
        items.into_iter().partition(|it| it["actor"] == "nobody");
    assert_eq!(strangers.len(), 1, "{strangers:?}");
    assert_eq!((items.len(), next), (3, Value::Null), "looks are not kept: {items:?}");
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

#[tokio::test]
async fn strangers_are_counted_by_address_and_minute() {
    const REQUESTS: usize = 25;
    let server = with_tokens().await;
    for number in 0..REQUESTS {
        let request = server.request("GET", &format!("/v1/runs/{number}"));
        let told = answer(request.bearer_auth("sf_wrong")).await;
        assert!(matches!(told.status, 401 | 429), "{}", told.text);
    }
    let (items, _) = entries(&server, "").await;
    let counted: usize = items
        .iter()
        .map(|it| {
            let words = (&it["actor"], &it["action"], &it["target"], &it["status"]);
            let expected =
                (&json!("nobody"), &json!("GET /v1/runs/{id}"), &json!("127.0.0.1"), &json!(401));
            assert_eq!(words, expected);
            let reason = it["reason"].as_str().unwrap();
            reason.split(' ').next().unwrap().parse::<usize>().unwrap()
        })
        .sum();
    assert_eq!(counted, REQUESTS);
    assert!(items.len() <= 2, "one entry, or two if a minute ended: {items:?}");
}

#[tokio::test]
async fn the_use_of_a_link_is_kept_but_not_the_link() {
    let server = with_tokens().await;
    let waits = "id: waits\nversion: 1.0.0\ntasks:\n  ask: {uses: approval, with: {prompt: go}}\n";
    server.engine.deploy(waits).await.unwrap();
    let run = server.engine.start(surefoot::StartRequest::new("waits")).await.unwrap().id();
    let asked = server.request("POST", &format!("/v1/tasks/{run}:ask/links"));
    let made = answer(asked.bearer_auth("ada").json(&json!({"actor": "boss@example.org"}))).await;
    let link = made.body["path"].as_str().unwrap().to_owned();
    for status in [204, 404] {
        let used = server.post(&format!("{link}/complete"), json!({})).await;
        assert_eq!(used.status, status, "{}", used.text);
    }
    let (items, _) = entries(&server, "").await;
    let told: Vec<_> =
        items.iter().map(|it| (it["actor"].as_str().unwrap(), &it["status"])).collect();
    let expected = [("nobody", json!(401)), ("boss@example.org", json!(204)), ("ada", json!(201))];
    let expected: Vec<_> = expected.iter().map(|it| (it.0, &it.1)).collect();
    assert_eq!(told, expected, "newest first");
    assert_eq!(items[1]["target"], format!("/v1/tasks/{run}:ask"));
    let secret = link.rsplit('/').next().unwrap();
    assert!(!items.iter().any(|it| it.to_string().contains(secret)), "{items:?}");
}

#[tokio::test]
async fn the_log_says_whether_it_is_as_it_was_written() {
    let server = with_tokens().await;
    for number in 0..3 {
        answer(server.request("POST", &format!("/v1/runs/{number}/pause")).bearer_auth("ada"))
            .await;
    }
    let check = || answer(server.request("GET", "/v1/audit/check").bearer_auth("admin"));
    let found = check().await;
    assert_eq!((&found.body["intact"], &found.body["entries"]), (&json!(true), &json!(3)));
    let newest = server.engine.store().items("audit", None, 1).await.unwrap().remove(0);
    assert!(newest.body.len() > 10);
    let mut forged: Value = serde_json::from_slice(&newest.body).unwrap();
    forged[0]["actor"] = json!("somebody else");
    let write = surefoot::store::ItemWrite::put(
        "audit",
        &newest.key,
        surefoot::store::Expect::Anything,
        serde_json::to_vec(&forged).unwrap(),
    );
    server.engine.store().write_items(vec![write]).await.unwrap().unwrap();
    let found = check().await;
    assert_eq!((&found.body["intact"], &found.body["broken_at"]), (&json!(false), &json!(2)));
    let operator = server.request("GET", "/v1/audit/check").bearer_auth("ada");
    assert_eq!(answer(operator).await.status, 403);
}
