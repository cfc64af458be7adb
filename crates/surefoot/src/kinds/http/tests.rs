//! Names that lead astray: what the DNS answers is chosen here, and a real server counts who comes.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A server that redirects to `/evil`'s target, and counts connections.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers every request with this head.
    async fn open(head: impl Fn(u16) -> String + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut request = [0; 4096];
                let _ = socket.read(&mut request).await;
                let answer =
                    format!("{}content-length: 0\r\nconnection: close\r\n\r\n", head(port));
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        Server { port, connections }
    }

    async fn ok() -> Server {
        Server::open(|_| "HTTP/1.1 200 OK\r\n".to_owned()).await
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Makes a kind whose names have the addresses that `answer` says, given the name and how often
/// names were asked for before.
fn kind(
    config: HttpConfig,
    egress: Value,
    answer: impl Fn(&str, usize) -> Vec<&'static str> + Send + Sync + 'static,
) -> (HttpKind, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let lookup: Lookup = Arc::new(move |name| {
        let answers = answer(&name, count.fetch_add(1, Ordering::SeqCst));
        let found: Vec<IpAddr> = answers.into_iter().map(|it| it.parse().unwrap()).collect();
        Box::pin(async move { Ok(found) })
    });
    let egress = serde_json::from_value(egress).unwrap();
    (HttpKind { lookup, ..HttpKind::with_egress(config, egress) }, asked)
}

/// Loopback stands for the public internet here; everything else keeps its class.
fn loopback_is_public() -> HttpConfig {
    HttpConfig { allow: vec!["127.0.0.1".parse().unwrap()], ..HttpConfig::default() }
}

async fn error(kind: &HttpKind, url: &str) -> TaskError {
    let context = Context::for_test("call", |_, _| ());
    let found = kind.run(&context, json!({"url": url, "timeout": "10s"})).await;
    found.expect_err(url)
}

async fn succeeds(kind: &HttpKind, url: &str) {
    let context = Context::for_test("call", |_, _| ());
    kind.run(&context, json!({"url": url, "timeout": "10s"})).await.expect(url);
}

#[tokio::test]
async fn names_of_closed_addresses_are_refused() {
    for address in [
        "127.0.0.1",
        "169.254.169.254",
        "10.0.0.1",
        "0.0.0.0",
        "::1",
        "::ffff:169.254.169.254",
        "fd00::1",
        "fe80::1",
        "100.100.100.200",
        "64:ff9b::a9fe:a9fe",
    ] {
        let (kind, _) = kind(HttpConfig::default(), json!({}), move |_, _| vec![address]);
        for url in
            ["http://127.0.0.1.nip.example/", "http://rebind.example:8080/", "http://localhost./"]
        {
            assert_eq!(error(&kind, url).await.kind, "blocked_address", "{url} {address}");
        }
    }
    // One closed address among open ones closes the name.
    let (kind, _) = kind(HttpConfig::default(), json!({}), |_, _| vec!["192.0.2.1", "127.0.0.1"]);
    assert_eq!(error(&kind, "http://mixed.example/").await.kind, "blocked_address");
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_dialled() {
    let server = Server::ok().await;
    // The name is asked for once for each connection: a second, other answer has no hearer.
    let (kind, asked) = kind(loopback_is_public(), json!({}), |_, before| match before {
        0 => vec!["127.0.0.1"],
        _ => vec!["169.254.169.254"],
    });
    let url = format!("http://rebind.example:{}/", server.port);
    succeeds(&kind, &url).await;
    assert_eq!((asked.load(Ordering::SeqCst), server.connections()), (1, 1));
    assert_eq!(error(&kind, &url).await.kind, "blocked_address", "the next answer is checked too");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn redirects_lead_nowhere_that_is_closed() {
    let inside = Server::ok().await;
    let port = inside.port;
    for target in [
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("http://inside.example:{port}/"),
        "http://[::ffff:a9fe:a9fe]/".to_owned(),
        "http://2852039166/".to_owned(),
        "http://0xa9.0xfe.0xa9.0xfe/".to_owned(),
    ] {
        let head = format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\n");
        let outside = Server::open(move |_| head.clone()).await;
        let (kind, _) = kind(loopback_is_public(), json!({}), |name, _| match name {
            "inside.example" => vec!["127.0.0.2"],
            _ => vec!["127.0.0.1"],
        });
        let found = error(&kind, &format!("http://outside.example:{}/", outside.port)).await;
        assert_eq!(found.kind, "blocked_address", "{target}: {found:?}");
    }
    assert_eq!(inside.connections(), 0);
    for target in ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/"] {
        let head = format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\n");
        let outside = Server::open(move |_| head.clone()).await;
        let (kind, _) = kind(loopback_is_public(), json!({}), |_, _| vec!["127.0.0.1"]);
        let found = error(&kind, &format!("http://outside.example:{}/", outside.port)).await;
        assert_eq!(found.kind, "bad_url", "{target}: {found:?}");
    }
}

#[tokio::test]
async fn rules_are_named_by_what_they_refuse() {
    let server = Server::ok().await;
    let egress = json!({"default": "deny", "rules": [
        {"name": "no-dev", "action": "deny", "hosts": ["*.dev.example"]},
        {"name": "not-two", "action": "deny", "networks": ["127.0.0.2"]},
        {"name": "partner", "action": "allow", "hosts": ["*.example"], "ports": [server.port]},
    ]});
    let config = HttpConfig { allow_private: true, ..HttpConfig::default() };
    let (kind, asked) = kind(config, egress, |name, _| match name {
        "two.example" => vec!["127.0.0.2"],
        _ => vec!["127.0.0.1"],
    });
    let at = |host: &str| format!("http://{host}:{}/", server.port);
    succeeds(&kind, &at("api.example")).await;
    let asked_once = asked.load(Ordering::SeqCst);
    for (url, rule) in [
        (at("a.dev.example"), json!("no-dev")),
        (at("A.DEV.Example."), json!("no-dev")),
        (at("two.example"), json!("not-two")),
        (at("127.0.0.2"), json!("not-two")),
        (at("[::ffff:127.0.0.2]"), json!("not-two")),
        (at("elsewhere.test"), Value::Null),
        (at("127.0.0.1"), Value::Null),
        ("http://api.example:1/".to_owned(), Value::Null),
        ("https://api.example/".to_owned(), Value::Null),
    ] {
        let found = error(&kind, &url).await;
        assert_eq!(
            (found.kind.as_str(), found.retryable),
            ("egress_denied", false),
            "{url}: {found:?}"
        );
        assert_eq!(found.details["rule"], rule, "{url}");
        assert!(rule.as_str().is_none_or(|it| found.message.contains(it)), "{}", found.message);
    }
    assert_eq!(server.connections(), 1);
    assert!(asked.load(Ordering::SeqCst) > asked_once, "a rule of networks needs the address");
}

#[tokio::test]
async fn a_name_that_a_rule_refuses_is_not_even_asked_for() {
    let egress = json!({"rules": [{"name": "no", "action": "deny", "hosts": ["*.leak.example"]}]});
    let (kind, asked) = kind(HttpConfig::default(), egress, |_, _| vec!["192.0.2.1"]);
    assert_eq!(error(&kind, "http://secret.leak.example/").await.kind, "egress_denied");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn rules_hold_after_redirects_and_open_nothing() {
    let open = json!({"rules": [{"name": "all", "action": "allow"}]});
    let (strict, _) = kind(HttpConfig::default(), open, |_, _| vec!["127.0.0.1"]);
    assert_eq!(error(&strict, "http://a.example/").await.kind, "blocked_address");
    let outside = Server::open(|port| {
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://b.example:{port}/\r\n")
    })
    .await;
    let egress = json!({"rules": [{"name": "no-b", "action": "deny", "hosts": ["b.example"]}]});
    let (kind, _) = kind(loopback_is_public(), egress, |_, _| vec!["127.0.0.1"]);
    let found = error(&kind, &format!("http://a.example:{}/", outside.port)).await;
    assert_eq!(found.details["rule"], "no-b", "{found:?}");
    assert_eq!(outside.connections(), 1);
}
