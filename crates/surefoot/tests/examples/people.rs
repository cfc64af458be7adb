//! `document_approval` and `loan_process`: people decide, on a clock that tests turn.

use std::sync::Arc;

use serde_json::{Value, json};
use surefoot::kinds::HttpConfig;
use surefoot::{
    By, Command, Config, Context, Engine, RunHandle, RunStatus, StartRequest, TaskError,
    TaskStatus, VirtualClock,
};

use crate::GRACE;
use crate::support::examples::source;
use crate::support::http_server::{HttpServer, answer};
use crate::support::status_of;

/// Opens an engine whose documents are prepared into a folder.
async fn documents(folder: &tempfile::TempDir, clock: Option<VirtualClock>) -> Engine {
    let path = folder.path().join("prepared.txt");
    let mut builder = Engine::builder().store("memory:").blocking_handler(
        "prepare_document",
        move |_: Context, _: Value| {
            let earlier = std::fs::read_to_string(&path).unwrap_or_default();
            std::fs::write(&path, format!("{earlier}prepared\n"))
                .map_err(|error| TaskError::new("disk", error.to_string()))?;
            Ok(Value::Null)
        },
    );
    if let Some(clock) = clock {
        builder = builder.clock(Arc::new(clock));
    }
    let engine = builder.open().await.unwrap();
    engine.deploy(&source("document_approval")).await.unwrap();
    engine
}

async fn say(run: &RunHandle, name: &str, data: Value) {
    run.engine().idle().await;
    run.signal(name, data).await.unwrap();
}

#[tokio::test]
async fn a_document_goes_round_until_it_is_approved_or_given_up() {
    let (ready, nothing) = (json!({"data_ready": true}), json!({}));
    // How often it is rejected, whether it is approved then, and what comes out.
    let cases = [
        (0, true, json!({"approved": true, "rounds": 0})),
        (3, true, json!({"approved": true, "rounds": 3})),
        (4, false, json!({"approved": false, "rounds": 3})),
    ];
    for (rejections, approved, output) in cases {
        let folder = tempfile::tempdir().unwrap();
        let engine = documents(&folder, None).await;
        let run = engine.start(StartRequest::new("document_approval")).await.unwrap();
        run.signal("submit", json!({"data_ready": false})).await.unwrap_err();
        for _ in 0..rejections {
            say(&run, "submit", ready.clone()).await;
            say(&run, "reject", nothing.clone()).await;
        }
        if approved {
            say(&run, "submit", ready.clone()).await;
            say(&run, "approve", nothing.clone()).await;
        }
        let outcome = run.wait().await.unwrap();
        assert_eq!((outcome.status, &outcome.output), (RunStatus::Completed, &output));
        let prepared = std::fs::read_to_string(folder.path().join("prepared.txt")).unwrap();
        assert_eq!(prepared.lines().count(), rejections + usize::from(approved));
        engine.stop(GRACE).await.unwrap();
    }
}

#[tokio::test]
async fn a_slow_review_goes_to_the_board() {
    let folder = tempfile::tempdir().unwrap();
    let engine = documents(&folder, Some(VirtualClock::at("2027-01-01T00:00:00Z"))).await;
    let run = engine.start(StartRequest::new("document_approval")).await.unwrap();
    run.signal("submit", json!({"data_ready": true})).await.unwrap();
    // The clock skips to the next timer as soon as nothing else goes on.
    let mut updates = engine.subscribe();
    while status_of(&engine, run.id(), "escalated").await != TaskStatus::Waiting {
        updates.recv().await.unwrap();
    }
    run.command(vote("board", true), By::actor("dora")).await.unwrap();
    let outcome = run.wait().await.unwrap();
    assert_eq!(outcome.output, json!({"approved": true, "rounds": 0}));
    assert_eq!(outcome.took_ms, 72 * 3_600_000);
    engine.stop(GRACE).await.unwrap();
}

fn vote(group: &str, approve: bool) -> Command {
    let groups = vec![group.to_owned()];
    Command::Vote { task: None, approve, comment: None, data: Value::Null, groups }
}

/// A bank that knows two scores and keeps what it is told.
async fn bank() -> HttpServer {
    HttpServer::start(|request| {
        let score = match request.target.as_str() {
            "/scores?applicant=ada" => 720,
            "/scores?applicant=bob" => 550,
            _ => 300,
        };
        answer("200 OK", "application/json", "", &json!({"score": score}).to_string())
    })
    .await
}

#[tokio::test]
async fn a_loan_is_decided_by_rule_or_by_two_people() {
    // Who applies, what the committee votes, and whether the loan is granted.
    let cases: [(&str, &[bool], bool); 4] = [
        ("ada", &[], true),
        ("bob", &[true, true], true),
        ("bob", &[true, false], false),
        ("carl", &[], false),
    ];
    for (applicant, votes, granted) in cases {
        let bank = bank().await;
        let http = HttpConfig { allow_private: true, ..HttpConfig::default() };
        let config = Config { http, ..Config::default() };
        let engine = Engine::builder().store("memory:").config(config).open().await.unwrap();
        engine.deploy(&source("loan_process")).await.unwrap();
        let input = json!({"applicant": applicant, "income": 50_000.0, "amount": 9_000.0,
            "bank_url": bank.base});
        let request = StartRequest::new("loan_process").input(input).actor(applicant);
        let run = engine.start(request).await.unwrap();
        if !votes.is_empty() {
            engine.idle().await;
            run.command(vote("credit", true), By::actor(applicant)).await.unwrap_err();
        }
        for (voter, approve) in ["eve", "finn"].iter().zip(votes) {
            run.command(vote("credit", *approve), By::actor(voter)).await.unwrap();
        }
        let outcome = run.wait().await.unwrap();
        assert_eq!(outcome.output, json!({"granted": granted}), "{applicant}: {outcome:?}");
        let paid = bank.seen.lock().unwrap().iter().any(|it| it.target == "/payments");
        assert_eq!(paid, granted, "{applicant}");
        let letter: Value = serde_json::from_str(&bank.last().body).unwrap();
        assert_eq!(letter, json!({"to": applicant, "granted": granted}));
        engine.stop(GRACE).await.unwrap();
    }
}
