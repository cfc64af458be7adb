//! Spans of runs without a server.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

use serde_json::Value;
use support::{Done, HELLO, Project};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Answers every request with `status`, and tells what was posted.
fn collector(status: &'static str) -> (String, mpsc::Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut lines = stream.by_ref().lines().map(Result::unwrap);
            let Some(asked) = lines.next() else { continue };
            let headers: Vec<String> = lines.take_while(|it| !it.is_empty()).collect();
            let length = headers.iter().find_map(|it| {
                let (name, value) = it.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
            });
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).unwrap();
            // Told before it is answered, so that who has the answer does not look too early.
            if sender.send((asked, serde_json::from_slice(&body).unwrap())).is_err() {
                return;
            }
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, receiver)
}

/// The names of the spans that were posted by now, in order.
fn names(posted: &mpsc::Receiver<(String, Value)>) -> Vec<String> {
    let mut names = Vec::new();
    for (asked, body) in posted.try_iter() {
        assert!(asked.starts_with("POST /v1/traces "), "{asked}");
        let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        let told = spans.as_array().unwrap().iter();
        names.extend(told.map(|it| it["name"].as_str().unwrap().to_owned()));
    }
    names
}

fn run(project: &Project, arguments: &[&str], endpoint: &str) -> Done {
    let output = project.command(arguments).env(ENDPOINT, endpoint).output().unwrap();
    Done {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

const RUN: [&str; 2] = ["run", "hello.surefoot.yaml"];

#[test]
fn a_run_without_a_server_sends_its_spans_before_it_is_over() {
    let project = Project::new(&[("hello.surefoot.yaml", HELLO)]);
    let (url, posted) = collector("200 OK");
    let done = run(&project, &RUN, &url);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(names(&posted), ["compose", "say", "hello"]);
    assert!(!done.err.contains("spans"), "{}", done.err);
    // Without a collector nothing is said of spans.
    let done = project.run(&RUN);
    assert!(done.code == 0 && !done.err.contains("spans"), "{}", done.err);
}

#[test]
fn a_collector_that_is_away_costs_a_warning_and_the_next_run_sends() {
    let project = Project::new(&[("hello.surefoot.yaml", HELLO)]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (busy, refused) = collector("503 Service Unavailable");
    for away in [&nobody, &busy] {
        let done = run(&project, &RUN, away);
        assert_eq!(done.code, 0, "{}", done.err);
        assert!(done.err.contains("warning: spans were not sent"), "{}", done.err);
        assert!(done.out.contains("Hello, world!"), "{}", done.out);
    }
    assert!(refused.try_recv().is_ok());
    let (url, posted) = collector("200 OK");
    assert_eq!(run(&project, &RUN, &url).code, 0);
    let mut all = names(&posted);
    all.sort_unstable();
    assert_eq!(
        all,
        ["compose", "compose", "compose", "hello", "hello", "hello", "say", "say", "say"]
    );
}

#[test]
fn a_wrong_endpoint_and_a_failed_run_keep_their_exit_codes() {
    let project =
        Project::new(&[("hello.surefoot.yaml", HELLO), ("f.surefoot.yaml", support::FAILS)]);
    let done = run(&project, &RUN, "collector:4317");
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.err.contains("warning: no spans are sent: traces.endpoint"), "{}", done.err);
    let (url, posted) = collector("200 OK");
    let done = run(&project, &["run", "f.surefoot.yaml"], &url);
    assert_eq!(done.code, 1, "{}", done.err);
    assert_eq!(names(&posted), ["good", "bad", "fails"]);
}
