//! Whose things are whose.

use serde_json::{Value, json};

use crate::access::{as_who, guarded};
use crate::support::{Server, answer};

pub const WAITS: &str = "tasks: {ask: {uses: approval, with: {prompt: go}}}";

/// Deploys and starts a workflow as the admin, and returns the run.
pub async fn waiting(server: &Server, workflow: &str) -> String {
    let put = server.request("PUT", &format!("/v1/workflows/{workflow}")).bearer_auth("admin");
    let put = put.header("content-type", "application/yaml");
    let put = answer(put.body(format!("{{id: {workflow}, version: 1.0.0, {WAITS}}}"))).await;
    assert!(matches!(put.status, 200 | 201), "{}", put.text);
    let path = format!("/v1/workflows/{workflow}/runs");
    let run = as_who(server, "admin", "POST", &path, json!({})).await;
    run.body["id"].as_str().unwrap().to_owned()
}

pub async fn a_bulk_job_leaves_others_alone() {
    let server = guarded().await;
    let (own, foreign) = (waiting(&server, "billing.a").await, waiting(&server, "shop.a").await);
    let filter = json!({"status": ["running"]});
    let asked = json!({"action": "cancel", "filter": filter, "reason": "x", "dry_run": true});
    let preview = as_who(&server, "clerk", "POST", "/v1/bulk", asked.clone()).await;
    assert!(!preview.text.contains(&foreign), "{}", preview.text);
    let asked = json!({"action": "cancel", "filter": filter, "reason": "x"});
    let begun = as_who(&server, "clerk", "POST", "/v1/bulk", asked).await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    let job = begun.header("location").to_owned();
    while as_who(&server, "clerk", "GET", &job, Value::Null).await.body["status"] == "running" {
        tokio::task::yield_now().await;
    }
    let status = async |run: &str| {
        let path = format!("/v1/runs/{run}");
        as_who(&server, "admin", "GET", &path, Value::Null).await.body["status"].clone()
    };
    assert_eq!(
        (status(&own).await, status(&foreign).await),
        (json!("cancelled"), json!("running"))
    );
}

pub async fn a_sub_object_of_others_is_not_found() {
    let server = guarded().await;
    let run = waiting(&server, "shop.a").await;
    for (method, path) in [
        ("GET", format!("/v1/runs/{run}")),
        ("GET", format!("/v1/runs/{run}/history")),
        ("GET", format!("/v1/runs/{run}/records")),
        ("GET", format!("/v1/runs/{run}/tasks/ask")),
        ("GET", format!("/v1/runs/{run}/tasks/ask/logs")),
        ("GET", format!("/v1/runs/{run}/result")),
        ("POST", format!("/v1/runs/{run}/cancel")),
        ("POST", format!("/v1/runs/{run}/signals/go")),
        ("GET", format!("/v1/tasks/{run}:ask")),
        ("POST", format!("/v1/tasks/{run}:ask/complete")),
        ("POST", format!("/v1/tasks/{run}:ask/links")),
    ] {
        let body = if path.ends_with("links") { json!({"actor": "x"}) } else { json!({}) };
        let told = as_who(&server, "clerk", method, &path, body).await;
        assert_eq!(told.status, 404, "{method} {path}: {}", told.text);
    }
    let left = as_who(&server, "admin", "GET", &format!("/v1/runs/{run}"), Value::Null).await;
    assert_eq!(left.body["status"], "running");
}

pub async fn a_lease_of_others_is_not_found() {
    let server = guarded().await;
    let source = "{id: job, version: 1.0.0, tasks: {pay: {uses: pay}}}";
    server.engine.deploy(source).await.unwrap();
    server.engine.start(surefoot::StartRequest::new("job")).await.unwrap();
    let said = json!({"name": "a", "capabilities": ["pay"], "slots": 1, "protocol": 1, "sdk": "t"});
    let worker = as_who(&server, "till", "POST", "/v1/workers", said).await;
    let poll = format!("/v1/workers/{}/poll", worker.body["worker"].as_str().unwrap());
    let polled =
        as_who(&server, "till", "POST", &poll, json!({"slots": 1, "wait_seconds": 20})).await;
    let lease = polled.body["tasks"][0]["lease"].as_str().unwrap().to_owned();
    for (path, body) in [
        (poll.clone(), json!({"slots": 1})),
        (format!("/v1/leases/{lease}/heartbeat"), json!({})),
        (format!("/v1/leases/{lease}/complete"), json!({"output": "forged"})),
    ] {
        assert_eq!(as_who(&server, "thief", "POST", &path, body).await.status, 404, "{path}");
    }
    let path = format!("/v1/leases/{lease}/complete");
    assert_eq!(as_who(&server, "till", "POST", &path, json!({"output": 1})).await.status, 200);
}

pub async fn the_namespace_is_not_asked_for() {
    let server = guarded().await;
    waiting(&server, "shop.a").await;
    for path in ["/v1/runs?namespace=shop", "/v1/workflows?namespace=shop"] {
        assert_eq!(as_who(&server, "clerk", "GET", path, Value::Null).await.status, 400, "{path}");
    }
    let body = json!({"input": {}, "namespace": "shop"});
    let told = as_who(&server, "clerk", "POST", "/v1/workflows/shop.a/runs", body.clone()).await;
    assert!(matches!(told.status, 404 | 422), "{}", told.text);
    let told = as_who(&server, "admin", "POST", "/v1/workflows/shop.a/runs", body).await;
    assert_eq!((told.status, told.code()), (422, "SF4023"));
    let request = server.request("GET", "/v1/runs").bearer_auth("clerk");
    let listed = answer(request.header("x-namespace", "shop")).await;
    assert_eq!(listed.body["items"], json!([]));
}

pub async fn lists_leave_out_what_is_of_others() {
    let server = guarded().await;
    let run = waiting(&server, "shop.a").await;
    let made = json!({"workflow": "shop.a", "every": "1h"});
    assert_eq!(as_who(&server, "admin", "PUT", "/v1/schedules/s", made).await.status, 201);
    for list in
        ["/v1/runs", "/v1/workflows", "/v1/tasks", "/v1/schedules", "/v1/bulk", "/v1/subscriptions"]
    {
        let listed = as_who(&server, "clerk", "GET", list, Value::Null).await;
        assert!(matches!(listed.status, 200 | 405), "{list}: {}", listed.text);
        assert!(!listed.text.contains("shop.a") && !listed.text.contains(&run), "{list}");
    }
    assert_eq!(as_who(&server, "clerk", "GET", "/v1/schedules/s", Value::Null).await.status, 404);
}

pub async fn a_definition_of_others_is_not_found() {
    let server = guarded().await;
    waiting(&server, "shop.a").await;
    for path in [
        "/v1/workflows/shop.a",
        "/v1/workflows/shop.a/versions",
        "/v1/workflows/shop.a/versions/1.0.0",
        "/v1/workflows/shop.a/versions/1.0.0/graph",
    ] {
        let told = as_who(&server, "clerk", "GET", path, Value::Null).await;
        assert_eq!(told.status, 404, "{path}: {}", told.text);
    }
}

pub async fn a_cursor_of_others_shows_nothing() {
    let server = guarded().await;
    for _ in 0..3 {
        waiting(&server, "shop.a").await;
    }
    let page = as_who(&server, "admin", "GET", "/v1/runs?limit=1", Value::Null).await;
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let path = format!("/v1/runs?limit=1&cursor={cursor}");
    let told = as_who(&server, "clerk", "GET", &path, Value::Null).await;
    assert!(!told.text.contains("shop.a"), "{}", told.text);
    let path = format!("/v1/runs?limit=1&cursor={}x", &cursor[..cursor.len() - 1]);
    let told = as_who(&server, "admin", "GET", &path, Value::Null).await;
    assert!(told.status == 400 || told.body["items"].is_array(), "{}", told.text);
}
