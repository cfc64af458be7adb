//! The kinds `http` and `emit` against real servers on the loopback.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use support::http_server::{Answer, HttpServer, Request, answer, read_request};
use support::{context, failed, self_signed};
use surefoot::kinds::{EmitConfig, EmitKind, HttpConfig, HttpKind, Kind, TaskError};
use tokio::net::TcpListener;

const JSON: &str = "application/json";

fn local() -> HttpKind {
    HttpKind::new(HttpConfig { allow_private: true, ..HttpConfig::default() })
}

async fn run(with: Value) -> Result<Value, TaskError> {
    local().run(&context("call"), with).await
}

fn see_other(status: &str, to: &str) -> Answer {
    answer(status, "text/plain", &format!("location: {to}\r\n"), "")
}

async fn server() -> HttpServer {
    HttpServer::start(|request: &Request| match request.target.split('?').next().unwrap() {
        "/json" => answer(
            "200 OK",
            JSON,
            "x-kind: a7\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n",
            r#"{"a":[1]}"#,
        ),
        "/problem" => {
            answer("404 Not Found", "application/problem+json", "", r#"{"title":"none"}"#)
        }
        "/text" => answer("200 OK", "text/plain", "", "héllo"),
        "/empty" => answer("204 No Content", JSON, "", ""),
        "/broken-json" => answer("200 OK", JSON, "", "{\"a\":"),
        "/busy" => answer("429 Too Many Requests", "text/plain", "retry-after: 7\r\n", "later"),
        "/busy-date" => {
            answer("503 Busy", "text/plain", "retry-after: Fri, 31 Dec 2190 23:59:59 GMT\r\n", "")
        }
        "/busy-past" => {
            answer("503 Busy", "text/plain", "retry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n", "")
        }
        "/error" => answer("500 Oops", "text/plain", "", &"e".repeat(10_000)),
        "/refused" => answer("400 Bad Request", "text/plain", "", "no"),
        "/hop" => see_other("302 Found", "/json"),
        "/seen" => see_other("303 See Other", "/json"),
        "/kept" => see_other("307 Temporary Redirect", "/json"),
        "/loop" => see_other("302 Found", "/loop"),
        "/to-file" => see_other("302 Found", "file:///etc/passwd"),
        "/to-metadata" => see_other("302 Found", "http://[::ffff:169.254.169.254]/latest"),
        "/cut" => Answer::Raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nfew".to_owned()),
        "/reset" => Answer::Reset,
        "/hang" => Answer::Hang,
        "/endless" => Answer::Endless { length: None },
        "/huge" => Answer::Endless { length: Some(5 * 1024 * 1024 * 1024) },
        _ => answer("200 OK", "text/plain", "", "ok"),
    })
    .await
}

#[tokio::test]
async fn a_body_is_read_by_its_type() {
    let server = server().await;
    let output = run(json!({"url": server.url("/json?x=1")})).await.unwrap();
    assert_eq!(output["json"], json!({"a": [1]}));
    assert_eq!(output["status"], 200);
    assert_eq!(output["headers"]["set-cookie"], "a=1, b=2");
    assert_eq!(output["url"], server.url("/json?x=1"));
    assert!(output["duration_ms"].is_u64());

    let read = async |path: &str, reading: &str| {
        run(json!({"url": server.url(path), "response": {"as": reading}})).await.unwrap()
    };
    assert_eq!(read("/text", "auto").await["text"], "héllo");
    assert_eq!(read("/text", "base64").await["base64"], "aMOpbGxv");
    assert_eq!(read("/json", "text").await["text"], r#"{"a":[1]}"#);
    assert_eq!(read("/empty", "auto").await["json"], Value::Null);
    let head =
        run(json!({"method": "HEAD", "url": server.url("/json"), "response": {"max_bytes": 1}}));
    assert_eq!(head.await.unwrap()["status"], 200);
}

#[tokio::test]
async fn a_request_carries_what_the_task_says() {
    let server = server().await;
    let sent = async |more: Value| {
        let mut with = json!({"url": server.url("/any"), "method": "POST"});
        with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        run(with).await.unwrap();
        server.last()
    };
    let request = sent(json!({"json": null})).await;
    assert_eq!((request.body.as_str(), request.header("content-type")), ("null", Some(JSON)));
    assert_eq!(request.header("idempotency-key"), Some("key-of-call"));
    assert_eq!(sent(json!({"form": {"a b": "c&d", "n": 1}})).await.body, "a+b=c%26d&n=1");
    assert_eq!(sent(json!({"body": "plain"})).await.body, "plain");
    assert_eq!(sent(json!({"body_base64": "aGk="})).await.body, "hi");
    let request = sent(json!({"query": {"q": ["a", "b&"], "none": null, "n": 5}})).await;
    assert_eq!(request.target, "/any?n=5&q=a&q=b%26");
    let request = sent(json!({"auth": {"basic": {"user": "u", "password": "p"}}})).await;
    assert_eq!(request.header("authorization"), Some("Basic dTpw"));
    let request = sent(json!({"auth": {"bearer": "t"}, "headers": {"X-A": 5}})).await;
    assert_eq!(request.header("authorization"), Some("Bearer t"));
    assert_eq!(request.header("x-a"), Some("5"));
    let request = sent(json!({"headers": {"idempotency-key": "mine"}})).await;
    assert_eq!(request.header("idempotency-key"), Some("mine"));
    assert_eq!(sent(json!({"idempotency": false})).await.header("idempotency-key"), None);
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let request = sent(json!({"method": method})).await;
        assert_eq!(request.method, method);
        assert_eq!(request.header("idempotency-key").is_some(), method != "GET", "{method}");
    }
}

#[tokio::test]
async fn redirects_change_the_request_as_browsers_do() {
    let server = server().await;
    for (path, method, body) in [("/hop", "GET", ""), ("/seen", "GET", ""), ("/kept", "POST", "b")]
    {
        let with = json!({"url": server.url(path), "method": "POST", "body": "b"});
        let output = run(with).await.unwrap();
        assert_eq!(output["url"], server.url("/json"), "{path}");
        let last = server.last();
        assert_eq!((last.method.as_str(), last.body.as_str()), (method, body), "{path}");
        assert_eq!(last.header("idempotency-key").is_some(), method == "POST", "{path}");
    }
    let with =
        json!({"url": server.url("/hop"), "follow_redirects": 0, "expect": {"status": "300-399"}});
    assert_eq!(run(with).await.unwrap()["status"], 302);
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let other = server().await;
    let target = other.url("/json");
    let server = HttpServer::start(move |_| see_other("307 Temporary Redirect", &target)).await;
    let with = json!({
        "url": server.url("/"), "method": "POST", "body": "b", "auth": {"bearer": "secret"},
        "headers": {"X-Api-Key": "secret", "Cookie": "secret", "Accept": "text/html"},
    });
    run(with).await.unwrap();
    let last = other.last();
    for name in ["authorization", "x-api-key", "cookie"] {
        assert!(server.last().header(name).is_some(), "{name}");
        assert_eq!(last.header(name), None, "{name}");
    }
    assert_eq!((last.header("accept"), last.body.as_str()), (Some("text/html"), "b"));
}

#[tokio::test]
async fn every_failure_has_its_name() {
    let server = server().await;
    let at = |path: &str| json!({"url": server.url(path), "timeout": "30s"});
    let with = |path: &str, more: Value| {
        let mut with = at(path);
        with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        with
    };
    let refused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (with, kind, retryable) in [
        (at("/error"), "http_status", true),
        (at("/busy"), "http_status", true),
        (at("/refused"), "http_status", false),
        (at("/problem"), "http_status", false),
        (with("/json", json!({"expect": {"status": [201, "300-399"]}})), "http_status", false),
        (with("/json", json!({"expect": {"headers": {"x-kind": "b"}}})), "http_header", true),
        (
            with("/json", json!({"expect": {"headers": {"x-none": {"matches": "."}}}})),
            "http_header",
            true,
        ),
        (at("/broken-json"), "invalid_json", true),
        (with("/text", json!({"response": {"as": "json"}})), "invalid_json", true),
        (at("/loop"), "redirect_loop", false),
        (at("/to-file"), "bad_url", false),
        (at("/to-metadata"), "blocked_address", false),
        (at("/cut"), "connection_lost", true),
        (at("/reset"), "connection_lost", true),
        (with("/hang", json!({"timeout": "50ms"})), "timeout", true),
        (at("/endless"), "response_too_large", false),
        (at("/huge"), "response_too_large", false),
        (with("/text", json!({"response": {"max_bytes": 5}})), "response_too_large", false),
        (json!({"url": format!("http://{refused}/")}), "connect", true),
        (json!({"url": "http://no-such-host.invalid/"}), "dns", true),
        (json!({"url": "not a url"}), "bad_url", false),
        (json!({"url": "file:///etc/passwd"}), "bad_url", false),
        (json!({"url": "gopher://x/"}), "bad_url", false),
        (json!({"url": "http://[fe80::1%25eth0]/"}), "bad_url", false),
        (with("/any", json!({"headers": {"a": "b\r\nc: d"}})), "bad_parameters", false),
        (with("/any", json!({"headers": {"a b": "c"}})), "bad_parameters", false),
        (with("/any", json!({"method": "FOO BAR"})), "bad_parameters", false),
        (with("/any", json!({"json": 1, "body": "x"})), "bad_parameters", false),
        (with("/any", json!({"body_base64": "%"})), "bad_parameters", false),
        (with("/any", json!({"timeout": "5"})), "bad_parameters", false),
        (with("/any", json!({"expect": {"status": "2xx"}})), "bad_parameters", false),
    ] {
        failed(run(with).await, kind, retryable);
    }
    let exact = with("/json", json!({"expect": {"headers": {"X-Kind": {"matches": "^a[0-9]$"}}}}));
    run(exact).await.unwrap();
}

#[tokio::test]
async fn a_refused_status_says_what_conditions_need() {
    let server = server().await;
    let error = failed(run(json!({"url": server.url("/error")})).await, "http_status", true);
    assert_eq!(error.status, Some(500));
    assert_eq!(error.details["body"], "e".repeat(4096));
    let error = failed(run(json!({"url": server.url("/busy")})).await, "http_status", true);
    assert_eq!((error.status, error.retry_after_ms), (Some(429), Some(7000)));
    let error = failed(run(json!({"url": server.url("/busy-date")})).await, "http_status", true);
    assert!(error.retry_after_ms > Some(1_000_000_000_000), "{error:?}");
    let error = failed(run(json!({"url": server.url("/busy-past")})).await, "http_status", true);
    assert_eq!(error.retry_after_ms, Some(0));
}

#[tokio::test]
async fn addresses_are_guarded_in_every_spelling() {
    let server = server().await;
    let port = server.base.rsplit(':').next().unwrap().to_owned();
    let strict = HttpKind::new(HttpConfig::default());
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "１２７.0.0.1",
        "0",
        "[::]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "10.0.0.1",
        "[fd00::1]",
        "169.254.169.254",
        "[::ffff:a9fe:a9fe]",
        "[fe80::1]",
    ] {
        let with = json!({"url": format!("http://{host}:{port}/text"), "timeout": "30s"});
        failed(strict.run(&context("call"), with).await, "blocked_address", false);
    }
    assert!(server.seen.lock().unwrap().is_empty(), "nothing was dialled");
    let listed =
        HttpConfig { allow: vec!["127.0.0.0/8".parse().unwrap()], ..HttpConfig::default() };
    let with = json!({"url": server.url("/text")});
    HttpKind::new(listed).run(&context("call"), with).await.unwrap();
}

#[tokio::test]
async fn a_secret_never_shows_in_an_error() {
    let server = server().await;
    let host = server.base.trim_start_matches("http://");
    for path in ["/error", "/loop", "/broken-json", "/reset", "/huge", "/to-metadata"] {
        let with = json!({
            "url": format!("http://user:hunter2@{host}{path}?key=hunter2"),
            "headers": {"X-Api-Key": "hunter2"},
        });
        let error = run(with).await.unwrap_err();
        assert!(!serde_json::to_string(&error).unwrap().contains("hunter2"), "{error:?}");
    }
    let with = json!({"url": format!("http://user:hunter2@{host}/text")});
    let output = run(with).await.unwrap();
    assert!(!output.to_string().contains("hunter2"), "{output}");
    assert_eq!(server.last().header("authorization"), Some("Basic dXNlcjpodW50ZXIy"));
}

#[tokio::test]
async fn cancelling_ends_a_request_that_hangs() {
    let server = server().await;
    let context = context("call");
    let attempt = context.clone();
    let with = json!({"url": server.url("/hang")});
    let call = tokio::spawn(async move { local().run(&attempt, with).await });
    while server.seen.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    context.cancel_for_test();
    failed(call.await.unwrap(), "cancelled", true);
}

#[tokio::test]
async fn tls_is_verified() {
    let directory = tempfile::tempdir().unwrap();
    let Some(base) = tls_server(directory.path()).await else { return };
    let ca_file = directory.path().join("cert.pem");
    failed(run(json!({"url": base})).await, "tls", true);
    let output = run(json!({"url": base, "tls": {"ca_file": ca_file}})).await.unwrap();
    assert_eq!(output["text"], "secure");
    run(json!({"url": base, "tls": {"insecure": true}})).await.unwrap();
    let elsewhere = base.replace("localhost", "127.0.0.1");
    failed(run(json!({"url": elsewhere, "tls": {"ca_file": ca_file}})).await, "tls", true);
    failed(run(json!({"url": base, "tls": {"ca_file": "/no/such/file"}})).await, "tls", false);
}

/// Serves TLS for `localhost` with a certificate of its own; nothing without openssl.
async fn tls_server(directory: &std::path::Path) -> Option<String> {
    let (key, cert) = (directory.join("key.pem"), directory.join("cert.pem"));
    self_signed(&key, &cert)?;
    use rustls::pki_types::pem::PemObject;
    let chain = vec![rustls::pki_types::CertificateDer::from_pem_file(&cert).unwrap()];
    let key = rustls::pki_types::PrivateKeyDer::from_pem_file(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            if read_request(&mut stream).await.is_some() {
                use tokio::io::AsyncWriteExt;
                let text =
                    "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecure";
                stream.write_all(text.as_bytes()).await.unwrap();
                let _ = stream.shutdown().await;
            }
        }
    });
    Some(format!("https://localhost:{port}/"))
}

#[tokio::test]
async fn an_event_is_a_cloud_event() {
    let server = server().await;
    let config = EmitConfig { sink: Some(server.url("/events")), source: None };
    let emit = EmitKind::new(config, Arc::new(local()));
    let with = json!({"type": "order.paid", "subject": "o-1", "data": {"total": 5}});
    let output = emit.run(&context("tell"), with).await.unwrap();
    assert_eq!(output, json!({"id": "key-of-tell", "status": 200, "url": server.url("/events")}));
    let request = server.last();
    assert_eq!(request.header("content-type"), Some("application/cloudevents+json"));
    assert_eq!(request.header("idempotency-key"), Some("key-of-tell"));
    let mut event: Value = serde_json::from_str(&request.body).unwrap();
    event["time"].take().as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let expected = json!({
        "specversion": "1.0", "id": "key-of-tell", "source": "/surefoot/test", "time": null,
        "type": "order.paid", "subject": "o-1", "datacontenttype": "application/json",
        "data": {"total": 5},
    });
    assert_eq!(event, expected);
    let elsewhere = json!({"type": "a", "to": server.url("/other"), "source": "/mine"});
    emit.run(&context("tell"), elsewhere).await.unwrap();
    assert_eq!(server.last().target, "/other");
}

#[tokio::test]
async fn an_event_and_a_request_carry_the_trace_on() {
    const PLACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let server = server().await;
    let config = EmitConfig { sink: Some(server.url("/events")), source: None };
    let emit = EmitKind::new(config, Arc::new(local()));
    for (place, state) in [("", ""), (PLACE, ""), (PLACE, "a=1,b=2")] {
        let context = context("tell").with_traceparent(place).with_tracestate(state);
        emit.run(&context, json!({"type": "order.paid"})).await.unwrap();
        let request = server.last();
        let event: Value = serde_json::from_str(&request.body).unwrap();
        for (name, told) in [("traceparent", place), ("tracestate", state)] {
            let told = Some(told).filter(|it| !it.is_empty());
            assert_eq!(event.get(name).and_then(Value::as_str), told, "{name}");
            assert_eq!(request.header(name), told, "{name}");
        }
    }
    let context = context("own").with_traceparent(PLACE).with_tracestate("a=1");
    let with = json!({"url": server.url("/x"), "headers": {"Traceparent": "mine"}});
    local().run(&context, with).await.unwrap();
    let request = server.last();
    assert_eq!((request.header("traceparent"), request.header("tracestate")), (Some("mine"), None));
}

#[tokio::test]
async fn an_event_without_a_sink_says_what_to_configure() {
    let emit = EmitKind::new(EmitConfig::default(), Arc::new(local()));
    let found = emit.run(&context("tell"), json!({"type": "a"})).await;
    let error = failed(found, "no_sink", false);
    assert!(error.message.contains("[emit]"), "{}", error.message);
    failed(emit.run(&context("tell"), json!({"data": 1})).await, "bad_parameters", false);
}
