//! Schedules over HTTP: made, changed, moved by hand, and refused.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use serde_json::{Value, json};
use support::{Answer, Server, answer};

const REPORT: &str = "{id: report, tasks: {t: {uses: transform, with: {value: 1}}}}";
const TICK: &str = "{id: tick, triggers: {every: 100ms, overlap: allow}, \
     tasks: {t: {uses: transform, with: {value: 1}}}}";

async fn server() -> Server {
    let server = Server::open().await;
    assert_eq!(server.put("/v1/workflows/report", REPORT).await.status, 201);
    server
}

async fn put(server: &Server, id: &str, body: Value) -> Answer {
    answer(server.request("PUT", &format!("/v1/schedules/{id}")).json(&body)).await
}

#[tokio::test]
async fn a_schedule_is_made_shown_changed_and_removed() {
    let server = server().await;
    let asked = json!({"workflow": "report", "cron": "0 2 * * *", "timezone": "Europe/London"});
    let made = put(&server, "nightly", asked.clone()).await;
    assert_eq!((made.status, made.header("etag")), (201, "\"1\""), "{}", made.text);
    for (field, expected) in [
        ("catch_up", json!("latest")),
        ("overlap", json!("skip")),
        ("paused", json!(false)),
        ("origin", json!("request")),
        ("timezone", json!("Europe/London")),
        ("actor", json!("local")),
    ] {
        assert_eq!(made.body[field], expected, "{field}");
    }
    let changed = answer(
        server
            .request("PUT", "/v1/schedules/nightly")
            .header("if-match", "\"1\"")
            .json(&json!({"workflow": "report", "every": "1h", "jitter": "30s"})),
    )
    .await;
    assert_eq!((changed.status, changed.header("etag")), (200, "\"2\""), "{}", changed.text);
    for (name, value) in [("if-match", "\"1\""), ("if-match", "\"x\""), ("if-none-match", "*")] {
        let request = server.request("PUT", "/v1/schedules/nightly").header(name, value);
        let stale = answer(request.json(&asked)).await;
        assert_eq!((stale.status, stale.code()), (412, "SF4015"), "{name}: {}", stale.text);
    }
    let listed = server.get("/v1/schedules?workflow=report").await;
    assert_eq!(listed.body["items"][0]["every"], "1h");
    let next = server.get("/v1/schedules/nightly/next?n=3").await;
    assert_eq!(next.body["items"].as_array().unwrap().len(), 3, "{}", next.text);
    let request = server.request("DELETE", "/v1/schedules/nightly").header("if-match", "\"1\"");
    assert_eq!(answer(request).await.status, 412);
    let request = server.request("DELETE", "/v1/schedules/nightly").header("if-match", "\"2\"");
    assert_eq!(answer(request).await.status, 204);
    assert_eq!(server.get("/v1/schedules/nightly").await.status, 404);
}

#[tokio::test]
async fn what_is_wrong_with_a_schedule_is_told() {
    let server = server().await;
    let table = [
        (json!({"workflow": "report", "cron": "0 0 30 2 *"}), 422, "SF4090", "some day matches"),
        (json!({"workflow": "report", "cron": "99 * * * *"}), 422, "SF4090", "Five fields"),
        (json!({"workflow": "report", "at": "2020-01-01T00:00:00Z"}), 422, "SF4090", "ahead"),
        (
            json!({"workflow": "report", "cron": "0 0 * * *", "timezone": "Europe/Londn"}),
            422,
            "SF4091",
            "Did you mean `Europe/London`?",
        ),
        (json!({"workflow": "report", "every": "50ms"}), 422, "SF4092", "a loop"),
        (json!({"workflow": "report"}), 422, "SF4096", "Say one of"),
        (
            json!({"workflow": "report", "every": "1h", "at": "2099-01-01T00:00:00Z"}),
            422,
            "SF4096",
            "Say one of",
        ),
        (
            json!({"workflow": "report", "every": "1h", "timezone": "UTC"}),
            422,
            "SF4096",
            "Say one of",
        ),
        (json!({"workflow": "reprot", "every": "1h"}), 404, "SF4012", "Did you mean `report`?"),
        (json!({"workflow": "report", "every": "1h", "overlap": "skp"}), 422, "SF4023", ""),
        (json!({"workflow": "report", "every": "soon"}), 422, "SF4023", ""),
        (json!({"workflow": "report", "every": "1h", "colour": "red"}), 422, "SF4023", ""),
        (
            json!({"workflow": "report", "every": "1h", "input": {"a": "${{ event. }}"}}),
            422,
            "SF4098",
            "event.slot",
        ),
    ];
    for (body, status, code, hint) in table {
        let found = put(&server, "x", body.clone()).await;
        assert_eq!((found.status, found.code()), (status, code), "{body}: {}", found.text);
        let told = found.body["hint"].as_str().unwrap_or_default();
        assert!(!told.is_empty() && told.contains(hint), "{hint}: {}", found.text);
    }
    let asked = json!({"workflow": "report", "cron": "* * * * *"});
    let found = put(&server, "a%20b", asked.clone()).await;
    assert_eq!((found.status, found.code()), (400, "SF4095"));
    assert_eq!(server.get("/v1/schedules/x").await.status, 404);
    put(&server, "x", asked).await;
    let backfill = "/v1/schedules/x/backfill";
    let ten_years = json!({"from": "2015-12-31T00:00:00Z", "to": "2025-12-31T00:00:00Z"});
    let found = server.post(backfill, ten_years).await;
    assert_eq!((found.status, found.code()), (422, "SF4093"));
    assert_eq!(found.body["title"], "a backfill of 5260320 slots; at most 1000");
    assert!(found.body["hint"].as_str().is_some_and(|it| !it.is_empty()), "{}", found.text);
    for (from, to) in [("2025-01-02", "2025-01-01"), ("2025-01-01", "2099-01-01")] {
        let range = json!({"from": format!("{from}T00:00:00Z"), "to": format!("{to}T00:00:00Z")});
        let found = server.post(backfill, range).await;
        assert_eq!((found.status, found.code()), (422, "SF4097"), "{}", found.text);
    }
}

#[tokio::test]
async fn a_backfill_says_what_it_would_do_and_then_does_it_once() {
    let server = server().await;
    put(&server, "x", json!({"workflow": "report", "cron": "0 * * * *"})).await;
    let range = |dry: bool| json!({"from": "2025-01-01T00:00:00Z", "to": "2025-01-01T03:00:00Z", "dry_run": dry});
    let dry = server.post("/v1/schedules/x/backfill", range(true)).await;
    assert_eq!(dry.body["items"].as_array().unwrap().len(), 3, "{}", dry.text);
    assert_eq!(dry.body["items"][0]["run"], Value::Null);
    let done = server.post("/v1/schedules/x/backfill", range(false)).await;
    let again = server.post("/v1/schedules/x/backfill", range(false)).await;
    assert_eq!(done.body, again.body);
    let runs = server.get("/v1/runs?label.schedule=x").await;
    assert_eq!(runs.body["items"].as_array().unwrap().len(), 3, "{}", runs.text);
}

#[tokio::test]
async fn triggers_of_a_definition_fire_and_cannot_be_changed_from_outside() {
    let server = server().await;
    assert_eq!(server.put("/v1/workflows/tick", TICK).await.status, 201);
    loop {
        let found = server.get("/v1/schedules/tick:1").await;
        if found.status == 200 && found.body["statistics"]["started"].as_u64() >= Some(3) {
            assert_eq!(found.body["origin"], "definition");
            break;
        }
        tokio::task::yield_now().await;
    }
    let found = put(&server, "tick:1", json!({"workflow": "tick", "every": "1h"})).await;
    assert_eq!((found.status, found.code()), (400, "SF4095"), "{}", found.text);
    let found = answer(server.request("DELETE", "/v1/schedules/tick:1")).await;
    assert_eq!((found.status, found.code()), (409, "SF4094"), "{}", found.text);
    let paused = server.post("/v1/schedules/tick:1/pause", json!({})).await;
    assert_eq!((paused.status, &paused.body["paused"]), (200, &json!(true)), "{}", paused.text);
    assert_eq!(paused.body["next"], Value::Null);
    let by_hand = server.post("/v1/schedules/tick:1/trigger", json!({})).await;
    assert_eq!((by_hand.status, &by_hand.body["workflow"]), (201, &json!("tick")));
    let resumed = server.post("/v1/schedules/tick:1/resume", json!({})).await;
    assert_eq!((resumed.status, &resumed.body["paused"]), (200, &json!(false)));
}

#[tokio::test]
async fn a_run_may_start_later_and_be_called_off() {
    let server = server().await;
    let later = json!({"at": "2099-01-01T00:00:00Z", "key": "k"});
    let path = "/v1/workflows/report/runs";
    let made = server.post(path, later.clone()).await;
    assert_eq!((made.status, &made.body["origin"]), (202, &json!("once")), "{}", made.text);
    let location = made.header("location").to_owned();
    assert_eq!(server.post(path, later).await.header("location"), location);
    let shown = server.get(&location).await;
    assert_eq!(shown.body["next"], "2099-01-01T00:00:00.000Z", "{}", shown.text);
    assert_eq!(answer(server.request("DELETE", &location)).await.status, 204);
    // One whose time has come starts at once.
    let now = server.post(path, json!({"at": "2020-01-01T00:00:00Z", "key": "now"})).await;
    assert_eq!(now.status, 202, "{}", now.text);
    loop {
        let runs = server.get("/v1/runs?key=now").await;
        if !runs.body["items"].as_array().unwrap().is_empty() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let found = server.post(path, json!({"at": "tomorrow"})).await;
    assert_eq!((found.status, found.code()), (422, "SF4023"), "{}", found.text);
}

#[tokio::test]
async fn a_list_comes_in_parts() {
    let server = server().await;
    for id in ["a", "b", "c", "d", "e"] {
        put(&server, id, json!({"workflow": "report", "every": "1h"})).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/schedules?limit=2".to_owned());
    loop {
        let part = server.get(&path).await;
        let ids = part.body["items"].as_array().unwrap().iter();
        seen.extend(ids.map(|it| it["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = part.body["next_cursor"].as_str() else { break };
        path = format!("/v1/schedules?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    let found = server.get("/v1/schedules?cursor=made-up").await;
    assert_eq!((found.status, found.code()), (400, "SF4008"));
}
