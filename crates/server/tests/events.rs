//! Live events over a real connection: resumed, restarted, filtered, crowded, too slow.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod support;

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::sse::{Events, Sent, TICK, client, start_run, ticking, token};
use surefoot::Engine;
use surefoot_server::{Role, ServerConfig};

fn config() -> ServerConfig {
    ServerConfig::default()
}

/// Names a record: its run and its number.
fn name(sent: &Sent) -> (String, u64) {
    (sent.data["run"].as_str().unwrap().to_owned(), sent.data["seq"].as_u64().unwrap())
}

fn is_end(sent: &Sent) -> bool {
    sent.event == "record" && sent.data["status"] == "completed"
}

/// Every record of a store, in its order.
async fn journal(store: &dyn surefoot::store::Store) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    let mut after = 0;
    loop {
        let page = store.journal(after, 1_000).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = last.position;
        all.extend(page.iter().map(|it| (it.run.to_string(), it.seq)));
    }
}

#[tokio::test]
async fn a_record_says_what_has_happened() {
    let server = ticking(None, config()).await;
    let mut events = Events::open(&server.url(""), "runs:*", None).await;
    let run = start_run(&server.url(""), "tick").await;
    let first = events.next().await.unwrap();
    assert_eq!((first.event.as_str(), &first.data["run"]), ("record", &run.clone().into()));
    assert_eq!(first.data["workflow"], "tick");
    assert_eq!(first.data["status"], "running");
    assert_eq!(first.data["events"][0]["type"], "created");
    let mut tasks = HashSet::new();
    loop {
        let sent = events.next().await.unwrap();
        for event in sent.data["events"].as_array().unwrap() {
            tasks.insert(event["task"].as_str().unwrap().to_owned());
        }
        if is_end(&sent) {
            break;
        }
    }
    assert!(tasks.contains("rest") && tasks.contains("sum"), "{tasks:?}");
}

/// A client that breaks off after every few events, while runs go on.
#[tokio::test]
async fn a_stream_goes_on_where_it_broke_off() {
    const RUNS: usize = 60;
    let server = ticking(None, config()).await;
    let mut events = Events::open(&server.url(""), "runs:*", None).await;
    let starting = tokio::spawn({
        let url = server.url("");
        async move {
            for _ in 0..RUNS {
                start_run(&url, "tick").await;
            }
        }
    });
    let (mut seen, mut ended) = (Vec::new(), 0);
    while ended < RUNS {
        let sent = events.next().await.unwrap();
        ended += usize::from(is_end(&sent));
        seen.push(name(&sent));
        if seen.len() % 7 == 0 {
            events = Events::open(&server.url(""), "runs:*", Some(&sent.id)).await;
        }
    }
    starting.await.unwrap();
    server.service.engine().idle().await;
    assert_eq!(seen, journal(&**server.service.engine().store()).await);
}

/// Nobody reads for a while: more than its buffer comes, and still nothing is lost.
#[tokio::test]
async fn a_slow_client_misses_nothing() {
    const RUNS: usize = 800;
    let server = ticking(None, config()).await;
    let mut events = Events::open(&server.url(""), "runs:*", None).await;
    let first = start_run(&server.url(""), "tick").await;
    assert_eq!(name(&events.next().await.unwrap()), (first, 0), "it listens");
    for _ in 0..RUNS {
        let request = surefoot::StartRequest::new("tick");
        server.service.engine().execute(request).await.unwrap();
    }
    let all = journal(&**server.service.engine().store()).await;
    for expected in &all[1..] {
        assert_eq!(name(&events.next().await.unwrap()), *expected);
    }
}

#[tokio::test]
async fn a_position_that_never_was_begins_at_the_end() {
    let server = ticking(None, config()).await;
    start_run(&server.url(""), "tick").await;
    server.service.engine().idle().await;
    let store = server.service.engine().store();
    for logs in [0, 999] {
        let end = store.journal_end().await.unwrap();
        let future = format!("{}-{logs}", if logs == 0 { end + 1 } else { 0 });
        let mut events = Events::open(&server.url(""), "runs:*", Some(&future)).await;
        let reset = events.next().await.unwrap();
        assert_eq!(reset.event, "reset");
        assert!(reset.id.starts_with(&format!("{end}-")), "{}", reset.id);
        let run = start_run(&server.url(""), "tick").await;
        assert_eq!(name(&events.next().await.unwrap()), (run, 0), "it goes on from the end");
        server.service.engine().idle().await;
    }
    let refused = Events::ask(&server.url(""), "runs:*", Some("soon"), None).await;
    assert_eq!(refused.status(), 400);
}

#[tokio::test]
async fn a_position_after_which_gc_removed_something_starts_anew() {
    let server = ticking(None, config()).await;
    let url = server.url("");
    let mut events = Events::open(&url, "runs:*", None).await;
    start_run(&url, "tick").await;
    let seen = events.next().await.unwrap().id;
    server.service.engine().idle().await;
    let kept = start_run(&url, "tick").await;
    let store = server.service.engine().store().clone();
    let gone = surefoot::store::Retention::before(u64::MAX, 1);
    assert_eq!(store.gc(&gone).await.unwrap().runs, 1);
    let mut wide = Events::open(&url, "runs:*", Some(&seen)).await;
    assert_eq!(wide.next().await.unwrap().event, "reset");
    for (topics, after) in [(format!("run:{kept}"), &*seen), ("runs:*".to_owned(), "0-0")] {
        let mut events = Events::open(&url, &topics, Some(after)).await;
        let first = events.next().await.unwrap();
        assert_eq!(name(&first), (kept.clone(), 0), "{topics}");
    }
    server.service.engine().idle().await;
}

#[tokio::test]
async fn topics_choose() {
    let server = ticking(None, config()).await;
    let other = TICK.replace("id: tick", "id: tock");
    server.service.engine().deploy(&other).await.unwrap();
    let tick = start_run(&server.url(""), "tick").await;
    let tock = start_run(&server.url(""), "tock").await;
    server.service.engine().idle().await;
    for (topics, records, lines) in [
        (format!("run:{tick}"), vec![&tick], vec![]),
        ("runs:workflow=tock".to_owned(), vec![&tock], vec![]),
        (format!("run:{tick},runs:workflow=tock"), vec![&tick, &tock], vec![]),
        (format!("logs:{tick}/note"), vec![], vec![&tick]),
        (format!("logs:{tock}/*,run:{tick}"), vec![&tick], vec![&tock]),
        (format!("logs:{tick}/sum"), vec![], vec![]),
    ] {
        let mut events = Events::open(&server.url(""), &topics, Some("0-0")).await;
        let (mut runs, mut logged) = (HashSet::new(), HashSet::new());
        let wanted: HashSet<String> = records.into_iter().cloned().collect();
        let lines: HashSet<String> = lines.into_iter().cloned().collect();
        let mut ended = 0;
        while ended < wanted.len() || logged != lines {
            let sent = events.next().await.unwrap();
            let run = sent.data["run"].as_str().unwrap().to_owned();
            match sent.event.as_str() {
                "record" => runs.insert(run),
                "log" => {
                    assert_eq!(sent.data["text"], "hello");
                    logged.insert(run)
                }
                other => panic!("{other}"),
            };
            ended += usize::from(is_end(&sent));
        }
        assert_eq!((runs, logged), (wanted, lines), "{topics}");
    }
    let problem = server.get("/v1/events?topics=rns:*").await;
    assert_eq!((problem.status, problem.code()), (400, "SF4040"));
    assert!(problem.text.contains("`runs:*`"), "{}", problem.text);
}

/// Lines are told as they come, also without a record after them.
#[tokio::test]
async fn log_lines_come_live() {
    let server = ticking(None, config()).await;
    let waits = "id: waits\nversion: 1.0.0\ntasks:\n  hold: {uses: wait, with: {for: 1s}}\n  note: {needs: [hold], uses: log, with: {message: late}}\n";
    server.service.engine().deploy(waits).await.unwrap();
    let run = start_run(&server.url(""), "waits").await;
    let mut events = Events::open(&server.url(""), &format!("logs:{run}/note"), None).await;
    let sent = events.next().await.unwrap();
    assert_eq!((sent.event.as_str(), &sent.data["text"]), ("log", &"late".into()));
}

#[tokio::test]
async fn foreign_namespaces_are_not_heard_of() {
    let tokens = vec![
        token("all", Role::Admin, None),
        token("mine", Role::Operator, Some(&["default"])),
        token("worker", Role::Worker, None),
    ];
    let server = ticking(None, ServerConfig { tokens, ..config() }).await;
    let foreign = TICK.replace("id: tick", "id: billing.tick");
    server.service.engine().deploy(&foreign).await.unwrap();
    let start = |workflow: &str| surefoot::StartRequest::new(workflow);
    let hidden = server.service.engine().execute(start("billing.tick")).await.unwrap().run;
    let seen = server.service.engine().execute(start("tick")).await.unwrap().run;
    for (token, topics, status) in [
        (None, "runs:*".to_owned(), 401),
        (Some("nobody"), "runs:*".to_owned(), 401),
        (Some("worker"), "runs:*".to_owned(), 403),
        (Some("mine"), format!("run:{hidden}"), 404),
        (Some("mine"), format!("logs:{hidden}/*"), 404),
        (Some("mine"), format!("run:{seen}"), 200),
        (Some("all"), format!("run:{hidden}"), 200),
    ] {
        let answer = Events::ask(&server.url(""), &topics, None, token).await;
        assert_eq!(answer.status(), status, "{token:?} {topics}");
    }
    let mut answer = Events::ask(&server.url(""), "runs:*", Some("0-0"), Some("mine")).await;
    let mut text = String::new();
    while !text.contains("completed") {
        text += std::str::from_utf8(&answer.chunk().await.unwrap().unwrap()).unwrap();
    }
    assert!(text.contains(&seen.to_string()) && !text.contains(&hidden.to_string()));
    drop(answer);
}

#[tokio::test]
async fn a_crowd_is_told_to_come_back() {
    let server = ticking(None, ServerConfig { event_clients: 1, ..config() }).await;
    let first = Events::open(&server.url(""), "runs:*", None).await;
    let second = Events::ask(&server.url(""), "runs:*", None, None).await;
    assert_eq!(second.status(), 503);
    assert!(second.headers().contains_key("retry-after"));
    assert!(second.text().await.unwrap().contains("SF4041"));
    drop(first);
    // The server notices that it is gone when it next has something to say.
    while server.service.event_clients() > 0 {
        start_run(&server.url(""), "tick").await;
    }
    Events::open(&server.url(""), "runs:*", None).await;
}

const CHILD: &str = "SUREFOOT_TEST_EVENTS_PATH";

/// Does nothing unless it is told a path: then it is the server that is killed.
#[tokio::test]
async fn child_serves_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let server = ticking(Some(Path::new(&path)), config()).await;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "\nserving {}", server.url("")).unwrap();
    stdout.flush().unwrap();
    std::future::pending::<()>().await;
}

fn serve_in_a_child(path: &Path) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_serves_until_it_is_killed", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines
        .map_while(Result::ok)
        .find_map(|it| it.strip_prefix("serving ").map(str::to_owned))
        .expect("the child serves");
    (child, url)
}

#[cfg(unix)]
#[tokio::test]
async fn a_killed_server_loses_and_doubles_no_event() {
    const ROUNDS: usize = 4;
    const EVENTS: usize = 40;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let (mut seen, mut last) = (Vec::new(), "0-0".to_owned());
    for round in 0..ROUNDS {
        let (mut child, url) = serve_in_a_child(&path);
        let mut events = Events::open(&url, "runs:*", Some(&last)).await;
        let starting = tokio::spawn(async move {
            let client = client();
            // Until the server is gone.
            let start = format!("{url}/v1/workflows/tick/runs");
            while client.post(&start).json(&serde_json::json!({})).send().await.is_ok() {}
        });
        for _ in 0..EVENTS + round {
            let sent = events.next().await.unwrap();
            assert_eq!(sent.event, "record");
            seen.push(name(&sent));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What was on its way when the server was killed may still arrive, whole or in part.
        while let Some(sent) = events.next().await {
            seen.push(name(&sent));
        }
        last = events.last_id;
        starting.await.unwrap();
    }
    let engine =
        Engine::builder().store(&format!("sqlite:{}", path.display())).open().await.unwrap();
    engine.idle().await;
    let all = journal(&**engine.store()).await;
    println!("{} events of {} records were seen", seen.len(), all.len());
    assert_eq!(seen, all[..seen.len()]);
    engine.stop(std::time::Duration::from_secs(5)).await.unwrap();
}
