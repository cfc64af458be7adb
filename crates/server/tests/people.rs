//! Tasks that wait for people: who sees them, takes them on, decides them.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use serde_json::{Value, json};
use support::{Answer, Server, answer};

const EXPENSE: &str = "{id: expense, version: 1.0.0, tasks: {ok: {uses: approval, with: {prompt: 'Pay it?', groups: [finance], deny_self: true, form: {type: object, required: [account], properties: {account: {type: string}}}, timeout: 1h, on_timeout: reject}}}, output: '${{ tasks.ok.output }}'}";

/// A server with one task that waits for finance, and tokens of some people.
struct Office {
    server: Server,
    root: String,
    task: String,
}

impl Office {
    async fn open() -> Office {
        let server = Server::open().await;
        let made = server.post("/v1/tokens", json!({"name": "root", "role": "admin"})).await;
        let root = made.body["token"].as_str().unwrap().to_owned();
        let put = server.request("PUT", "/v1/workflows/expense").bearer_auth(&root);
        let put = answer(put.header("content-type", "application/yaml").body(EXPENSE)).await;
        assert_eq!(put.status, 201, "{}", put.text);
        let mut office = Office { server, root, task: String::new() };
        let ada = office.person("ada", &[]).await;
        let run = office.post(&ada, "/v1/workflows/expense/runs", json!({})).await;
        assert_eq!(run.status, 201, "{}", run.text);
        office.task = format!("{}:ok", run.body["id"].as_str().unwrap());
        office
    }

    async fn person(&self, name: &str, groups: &[&str]) -> String {
        let asked = json!({"name": name, "role": "operator", "groups": groups});
        let made = self.post(&self.root, "/v1/tokens", asked).await;
        made.body["token"].as_str().unwrap().to_owned()
    }

    async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        answer(self.server.request("POST", path).bearer_auth(token).json(&body)).await
    }

    async fn get(&self, token: &str, path: &str) -> Answer {
        answer(self.server.request("GET", path).bearer_auth(token)).await
    }

    async fn act(&self, token: &str, verb: &str, body: Value) -> Answer {
        self.post(token, &format!("/v1/tasks/{}/{verb}", self.task), body).await
    }
}

#[tokio::test]
async fn only_who_may_decide_decides_and_only_with_what_is_asked_for() {
    let office = Office::open().await;
    let (bob, eve) = (office.person("bob", &["finance"]).await, office.person("eve", &[]).await);
    let mine = office.get(&eve, "/v1/tasks?mine=true").await;
    assert_eq!(mine.body["items"], json!([]), "eve is in no group");
    let mine = office.get(&bob, "/v1/tasks?mine=true").await;
    assert_eq!(mine.body["items"][0]["prompt"], "Pay it?");
    let data = json!({"data": {"account": "7"}});
    assert_eq!(office.act(&eve, "complete", data.clone()).await.status, 403);
    let unfit = office.act(&bob, "complete", json!({"data": {}})).await;
    assert_eq!((unfit.status, unfit.code()), (422, "SF4023"), "{}", unfit.text);
    let done = office.act(&bob, "complete", data.clone()).await;
    assert_eq!((done.status, &done.body["status"]), (200, &json!("completed")), "{}", done.text);
    let again = office.act(&bob, "complete", data).await;
    assert_eq!((again.status, again.code()), (409, "SF4016"), "{}", again.text);
}

#[tokio::test]
async fn who_starts_a_run_does_not_approve_it() {
    let office = Office::open().await;
    let cleo = office.person("cleo", &["finance"]).await;
    let run = office.post(&cleo, "/v1/workflows/expense/runs", json!({})).await;
    let own = format!("/v1/tasks/{}:ok/complete", run.body["id"].as_str().unwrap());
    let told = office.post(&cleo, &own, json!({"data": {"account": "7"}})).await;
    assert_eq!(told.status, 403, "{}", told.text);
    assert_eq!(office.act(&cleo, "complete", json!({"data": {"account": "7"}})).await.status, 200);
}

#[tokio::test]
async fn a_task_that_was_taken_on_waits_for_one_person() {
    let office = Office::open().await;
    let bob = office.person("bob", &["finance"]).await;
    let cleo = office.person("cleo", &["finance"]).await;
    let eve = office.person("eve", &[]).await;
    assert_eq!(office.act(&eve, "claim", json!({})).await.status, 403);
    let claimed = office.act(&bob, "claim", json!({})).await;
    assert_eq!((claimed.status, &claimed.body["claimed_by"]), (200, &json!("bob")));
    assert_eq!(office.act(&bob, "claim", json!({})).await.status, 200, "it is idempotent");
    for verb in ["claim", "release", "reject"] {
        let told = office.act(&cleo, verb, json!({})).await;
        assert_eq!((told.status, told.code()), (409, "SF4016"), "{verb}: {}", told.text);
    }
    assert_eq!(office.get(&cleo, "/v1/tasks?mine=true").await.body["items"], json!([]));
    let handed = office.act(&bob, "reassign", json!({"to": "cleo", "comment": "on leave"})).await;
    assert_eq!(handed.body["claimed_by"], "cleo", "{}", handed.text);
    assert_eq!(office.act(&bob, "complete", json!({})).await.status, 409);
    let path = format!("/v1/tasks/{}/release", office.task);
    let stale = office.server.request("POST", &path).bearer_auth(&cleo).header("if-match", "\"1\"");
    assert_eq!(answer(stale).await.status, 412);
    let done = office
        .act(&cleo, "reject", json!({"comment": "no receipt", "data": {"account": ""}}))
        .await;
    assert_eq!((done.status, &done.body["status"]), (200, &json!("failed")), "{}", done.text);
}

#[tokio::test]
async fn a_link_decides_once() {
    let office = Office::open().await;
    let made = office.act(&office.root, "links", json!({"actor": "boss@example.org"})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let path = made.body["path"].as_str().unwrap().to_owned();
    let shown = office.server.get(&path).await;
    assert_eq!(shown.body["prompt"], "Pay it?", "{}", shown.text);
    let complete = format!("{path}/complete");
    let unfit = office.server.post(&complete, json!({"data": {}})).await;
    assert_eq!(unfit.status, 422, "a wrong form does not use it up: {}", unfit.text);
    let filled = json!({"data": {"account": "9"}, "comment": "fine"});
    // Two uses at once: one decides.
    let uses = (0..8).map(|_| office.server.post(&complete, filled.clone()));
    let mut statuses: Vec<u16> =
        futures_util::future::join_all(uses).await.iter().map(|it| it.status).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[1]), (204, 404), "{statuses:?}");
    assert_eq!(office.server.get(&path).await.status, 404);
    let run = office.task.split(':').next().unwrap();
    let history = office.get(&office.root, &format!("/v1/runs/{run}/history")).await;
    assert!(history.text.contains("boss@example.org"), "{}", history.text);
    let late = json!({"actor": "x", "expires_at": "2020-01-01T00:00:00Z"});
    assert!(matches!(office.act(&office.root, "links", late).await.status, 409 | 422));
}

#[tokio::test]
async fn a_task_that_nobody_decides_is_shown_to_others() {
    let office = Office::open().await;
    let cleo = office.person("cleo", &["plant"]).await;
    let source = "{id: urgent, version: 1.0.0, tasks: {ok: {uses: approval, with: {prompt: Restart?, groups: [shift], escalate: [{after: 20ms, groups: [plant]}, {after: 900h, users: [zoe]}], timeout: 999h, on_timeout: reject}}}}";
    office.server.engine.deploy(source).await.unwrap();
    let run = office.post(&office.root, "/v1/workflows/urgent/runs", json!({})).await;
    let run = run.body["id"].as_str().unwrap();
    let task = loop {
        let mine = office.get(&cleo, "/v1/tasks?mine=true").await;
        if let Some(task) = mine.body["items"].get(0) {
            break task.clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(task["groups"], json!(["shift", "plant"]));
    assert!(task["escalated_at"].is_string() && task["escalates_at"].is_string(), "{task}");
    let history = office.get(&office.root, &format!("/v1/runs/{run}/history")).await;
    assert!(history.text.contains("escalated"), "{}", history.text);
    let done = office.post(&cleo, &format!("/v1/tasks/{run}:ok/complete"), json!({})).await;
    assert_eq!((done.status, &done.body["status"]), (200, &json!("completed")), "{}", done.text);
}
