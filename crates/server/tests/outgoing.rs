//! What is sent out: CloudEvents to subscribers, and notifications by webhook, command and mail.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use support::sse::{TICK, token};
use support::{Server, answer, until};
use surefoot::kinds::HttpConfig;
use surefoot::{Config, Engine, StartRequest};
use surefoot_server::{NotifyConfig, NotifyOn, Role, ServerConfig, SmtpConfig};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

const FAILS: &str =
    "id: fails\nversion: 1.0.0\ntasks:\n  stop: {uses: fail, with: {message: no stock}}\n";
const ASKS: &str =
    "id: asks\nversion: 1.0.0\ntasks:\n  ask: {uses: approval, with: {prompt: Release it?}}\n";

/// Takes what is posted, and answers what it is told.
#[derive(Clone, Default)]
struct Sink {
    taken: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    /// So many are refused first.
    refuse: Arc<AtomicU32>,
}

impl Sink {
    async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let sink = self.clone();
        let take = move |headers: HeaderMap, body: String| async move {
            let refuse = sink
                .refuse
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |it| it.checked_sub(1));
            if refuse.is_ok() {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            sink.taken.lock().unwrap().push((headers, body));
            StatusCode::NO_CONTENT
        };
        let router = axum::Router::new().route("/in", axum::routing::post(take));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    fn events(&self) -> Vec<Value> {
        let taken = self.taken.lock().unwrap();
        taken.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }

    async fn has(&self, count: usize) -> Vec<Value> {
        until(|| async { (self.events().len() >= count).then(|| self.events()) }).await
    }
}

/// Serves with private addresses open to what is sent out.
async fn serving(path: Option<&Path>, config: ServerConfig) -> Server {
    let http = HttpConfig { allow_private: true, ..HttpConfig::default() };
    let store = path.map_or("memory:".to_owned(), |it| format!("sqlite:{}", it.display()));
    let builder = Engine::builder().store(&store).config(Config { http, ..Config::default() });
    let engine = builder.open().await.unwrap();
    for source in [TICK, FAILS, ASKS] {
        engine.deploy(source).await.unwrap();
    }
    Server::over(engine, config).await
}

async fn subscribe(server: &Server, id: &str, body: Value) -> Value {
    let request = server.request("PUT", &format!("/v1/subscriptions/{id}"));
    let made = answer(request.json(&body)).await;
    assert!(matches!(made.status, 200 | 201), "{}", made.text);
    made.body
}

fn types(events: &[Value]) -> Vec<String> {
    let short = |it: &Value| {
        let kind = it["type"].as_str().unwrap();
        kind.trim_start_matches("dev.surefoot.").trim_end_matches(".v1").to_owned()
    };
    events.iter().map(short).collect()
}

#[tokio::test]
async fn a_subscriber_is_told_of_a_run_signed() {
    let server = serving(None, ServerConfig::default()).await;
    let sink = Sink::default();
    let url = sink.listen().await;
    let made =
        subscribe(&server, "shop", json!({"url": url, "types": ["run.*", "task.completed"]})).await;
    let secret = made["secret"].as_str().unwrap();
    let run = server.engine.execute(StartRequest::new("tick")).await.unwrap().run;
    let mut events = sink.has(5).await;
    events.sort_by_key(|it| it["sequence"].as_str().unwrap().to_owned());
    assert_eq!(
        types(&events),
        ["run.started", "task.completed", "task.completed", "task.completed", "run.completed"]
    );
    for event in &events {
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["source"], "/workflows/tick");
        assert_eq!((&event["subject"], &event["partitionkey"]), (&json!(run), &json!(run)));
        assert_eq!(event["data"]["workflow"], "tick");
    }
    assert_eq!(events[1]["data"]["task"], "note");
    let (headers, body) = sink.taken.lock().unwrap()[0].clone();
    let text = |name: &str| headers.get(name).unwrap().to_str().unwrap();
    assert_eq!(text("content-type"), "application/cloudevents+json");
    let mut hmac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    hmac.update(format!("{}.{body}", text("webhook-timestamp")).as_bytes());
    let digits: String =
        hmac.finalize().into_bytes().iter().map(|it| format!("{it:02x}")).collect();
    assert_eq!(text("webhook-signature"), format!("sha256={digits}"));
    let shown = server.get("/v1/subscriptions/shop").await;
    assert_eq!(shown.body["url"], json!(url));
    assert!(!shown.text.contains(secret), "a secret is shown once");
}

#[tokio::test]
async fn deliveries_are_tried_again_and_visible_and_sent_again() {
    let server = serving(None, ServerConfig::default()).await;
    let sink = Sink::default();
    sink.refuse.store(2, Ordering::SeqCst);
    let url = sink.listen().await;
    subscribe(&server, "shop", json!({"url": url, "types": ["run.failed"]})).await;
    server.engine.execute(StartRequest::new("fails")).await.unwrap();
    server.engine.execute(StartRequest::new("tick")).await.unwrap();
    let delivered = until(|| async {
        let listed = server.get("/v1/subscriptions/shop/deliveries").await.body;
        let items = listed["items"].as_array().unwrap().clone();
        items.first().is_some_and(|it| it["status"] == "delivered").then_some(items)
    })
    .await;
    assert_eq!(delivered.len(), 1, "only what was subscribed to");
    assert_eq!(
        (&delivered[0]["attempts"], &delivered[0]["last_answer"]),
        (&json!(3), &json!("204"))
    );
    assert_eq!(delivered[0]["event"]["data"]["error"]["message"], "no stock");
    let id = delivered[0]["id"].as_str().unwrap();
    let again =
        server.post(&format!("/v1/subscriptions/shop/deliveries/{id}/resend"), json!({})).await;
    assert_eq!(again.status, 202, "{}", again.text);
    let events = sink.has(2).await;
    assert_eq!(events[0], events[1], "the same event under the same id");
    let missing = server.post("/v1/subscriptions/shop/deliveries/x/resend", json!({})).await;
    assert_eq!(missing.code(), "SF4012");
    assert_eq!(answer(server.request("DELETE", "/v1/subscriptions/shop")).await.status, 204);
    assert_eq!(server.get("/v1/subscriptions/shop/deliveries").await.status, 404);
    assert!(server.engine.store().items("deliveries", None, 10).await.unwrap().is_empty());
}

/// The receiver is away, the server is stopped and started again: everything is told, once.
#[tokio::test]
async fn a_restart_loses_no_delivery() {
    const RUNS: usize = 20;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let sink = Sink::default();
    sink.refuse.store(u32::MAX, Ordering::SeqCst);
    let url = sink.listen().await;
    let server = serving(Some(&path), ServerConfig::default()).await;
    subscribe(&server, "shop", json!({"url": url, "types": ["run.completed"]})).await;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(server.engine.execute(StartRequest::new("tick")).await.unwrap().run.to_string());
    }
    server.service.begin_to_stop();
    server.engine.stop(Duration::from_secs(5)).await.unwrap();
    drop(server);
    sink.refuse.store(0, Ordering::SeqCst);
    let server = serving(Some(&path), ServerConfig::default()).await;
    let events = sink.has(RUNS).await;
    let mut told: Vec<_> =
        events.iter().map(|it| it["subject"].as_str().unwrap().to_owned()).collect();
    told.sort();
    runs.sort();
    assert_eq!(told, runs);
    server.engine.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn inner_addresses_are_not_dialled_unless_they_are_allowed() {
    let server = support::sse::ticking(None, ServerConfig::default()).await;
    let sink = Sink::default();
    let url = sink.listen().await;
    subscribe(&server, "shop", json!({"url": url})).await;
    server.engine.execute(StartRequest::new("tick")).await.unwrap();
    let answer = until(|| async {
        let listed = server.get("/v1/subscriptions/shop/deliveries?limit=1").await.body;
        listed["items"][0]["last_answer"].as_str().map(str::to_owned)
    })
    .await;
    assert!(answer.contains("a loopback or private address"), "{answer}");
    assert!(sink.events().is_empty());
}

#[tokio::test]
async fn what_cannot_be_subscribed_to_is_refused() {
    let tokens =
        vec![token("admin", Role::Admin, None), token("mine", Role::Deployer, Some(&["shop"]))];
    let server = serving(None, ServerConfig { tokens, ..ServerConfig::default() }).await;
    let put = |token: &'static str, id: &str, body: Value| {
        let request = server.request("PUT", &format!("/v1/subscriptions/{id}"));
        answer(request.bearer_auth(token).json(&body))
    };
    let url = "http://127.0.0.1:1/in";
    for (id, body, code) in [
        ("a.b", json!({"url": url}), "SF4043"),
        ("a", json!({"url": "ftp://x"}), "SF4043"),
        ("a", json!({"url": url, "types": ["run.fialed"]}), "SF4043"),
        ("a", json!({"url": url, "secret": "short"}), "SF4043"),
        ("a", json!({"url": url, "typos": []}), "SF4023"),
        ("a", json!({}), "SF4023"),
    ] {
        let refused = put("admin", id, body).await;
        assert_eq!((refused.status, refused.code()), (422, code), "{}", refused.text);
    }
    assert_eq!(put("admin", "all", json!({"url": url})).await.status, 201);
    assert_eq!(put("mine", "own", json!({"url": url})).await.status, 201);
    assert_eq!(put("mine", "all", json!({"url": url})).await.status, 404, "a foreign one");
    let listed = answer(server.request("GET", "/v1/subscriptions").bearer_auth("mine")).await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    let foreign = server.request("GET", "/v1/subscriptions/all/deliveries").bearer_auth("mine");
    assert_eq!(answer(foreign).await.status, 404);
}

fn notify(name: &str, on: &[NotifyOn]) -> NotifyConfig {
    NotifyConfig {
        name: name.to_owned(),
        on: on.to_vec(),
        workflows: Vec::new(),
        late_after_seconds: on.contains(&NotifyOn::Late).then_some(0),
        webhook: None,
        secret: None,
        command: None,
        email: None,
    }
}

/// A mail server that keeps what it is sent.
async fn mailbox() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let mails = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&mails);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let (reader, mut writer) = stream.into_split();
                let mut lines = BufReader::new(reader).lines();
                writer.write_all(b"220 sink\r\n").await.unwrap();
                let (mut mail, mut in_data) = (String::new(), false);
                while let Ok(Some(line)) = lines.next_line().await {
                    mail += &format!("{line}\n");
                    let answer = match (in_data, line.as_str()) {
                        (true, ".") => {
                            in_data = false;
                            kept.lock().unwrap().push(std::mem::take(&mut mail));
                            "250 kept"
                        }
                        (true, _) => continue,
                        (false, "DATA") => {
                            in_data = true;
                            "354 go on"
                        }
                        (false, "QUIT") => "221 bye",
                        (false, _) => "250 ok",
                    };
                    if writer.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, mails)
}

#[tokio::test]
async fn people_are_told_by_mail_webhook_and_command() {
    let directory = tempfile::tempdir().unwrap();
    let told = directory.path().join("told");
    let sink = Sink::default();
    let (smtp, mails) = mailbox().await;
    let script = format!("cat >> {0}; echo \" $SUREFOOT_EVENT\" >> {0}", told.display());
    let config = ServerConfig {
        notify: vec![
            NotifyConfig {
                email: Some(vec!["Ops <ops@example.com>".to_owned()]),
                ..notify("mail", &[NotifyOn::Failed])
            },
            NotifyConfig {
                webhook: Some(sink.listen().await),
                ..notify("page", &[NotifyOn::Waiting, NotifyOn::Late])
            },
            NotifyConfig {
                command: Some(["sh", "-c", &script].map(str::to_owned).to_vec()),
                workflows: vec!["tick".to_owned()],
                ..notify("run", &[NotifyOn::Completed, NotifyOn::Failed])
            },
        ],
        smtp: Some(SmtpConfig {
            url: smtp,
            from: "Surefoot <surefoot@example.com>".to_owned(),
            user: None,
            password: None,
        }),
        ..ServerConfig::default()
    };
    let server = serving(None, config).await;
    let waits = server.engine.start(StartRequest::new("asks")).await.unwrap().id().to_string();
    server.engine.execute(StartRequest::new("fails")).await.unwrap();
    let done = server.engine.execute(StartRequest::new("tick")).await.unwrap().run.to_string();

    let mail = until(|| async { mails.lock().unwrap().first().cloned() }).await;
    for part in [
        "To: Ops <ops@example.com>",
        "Subject: fails: failed",
        "Error: no stock",
        "MAIL FROM:<surefoot@example.com>",
    ] {
        assert!(mail.contains(part), "{part} is not in {mail}");
    }
    let told =
        until(|| async { std::fs::read_to_string(&told).ok().filter(|it| it.ends_with("v1\n")) })
            .await;
    assert!(told.contains(&done) && told.ends_with(" dev.surefoot.run.completed.v1\n"), "{told}");
    let mut counts = BTreeMap::new();
    until(|| async {
        let events = sink.events();
        let about = events.iter().filter(|it| it["subject"] == json!(waits)).count();
        (about >= 2).then_some(())
    })
    .await;
    // Whatever happens afterwards, nobody is told twice.
    server.engine.execute(StartRequest::new("tick")).await.unwrap();
    for event in sink.events() {
        *counts.entry(event["id"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    assert!(counts.values().all(|it| *it == 1), "{counts:?}");
    let mut of_run = types(
        &sink.events().into_iter().filter(|it| it["subject"] == json!(waits)).collect::<Vec<_>>(),
    );
    of_run.sort();
    assert_eq!(of_run, ["run.late", "task.waiting"]);
    assert_eq!(mails.lock().unwrap().len(), 1);
    let listed = server.get("/v1/subscriptions/notify.mail/deliveries").await;
    assert_eq!(listed.body["items"][0]["status"], "delivered", "{}", listed.text);
}
