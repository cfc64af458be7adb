//! What comes through a socket before a handler can look at it: heads, lengths, silence, crowds.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use serde_json::json;
use support::Server;
use surefoot_server::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The begin of a request whose body is a source.
const CHECK: &str =
    "POST /v1/check HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/yaml\r\n";

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address).await.unwrap()
}

/// Sends bytes, and reads until the server closes.
async fn said(server: &Server, bytes: impl AsRef<[u8]>) -> String {
    let mut socket = connect(server).await;
    // The server may close before it has read everything.
    let _ = socket.write_all(bytes.as_ref()).await;
    rest(&mut socket).await
}

async fn rest(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is reset has ended too.
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<u16> {
    let heads = answer.match_indices("HTTP/1.1 ");
    heads.map(|(at, _)| answer[at + 9..at + 12].parse().unwrap()).collect()
}

fn quick() -> ServerConfig {
    ServerConfig { head_seconds: 1, body_seconds: 1, ..ServerConfig::default() }
}

#[tokio::test]
async fn a_body_whose_end_is_in_doubt_is_refused_and_nothing_behind_it_is_read() {
    let server = Server::open().await;
    let smuggled = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let chunked = format!("0\r\n\r\n{smuggled}");
    let table = [
        ("two lengths", "content-length: 1\r\ncontent-length: 2\r\n", "ab", 400),
        ("two lengths in one", "content-length: 1, 2\r\n", "ab", 400),
        (
            "a length and a coding",
            "content-length: 3\r\ntransfer-encoding: chunked\r\n",
            &chunked,
            400,
        ),
        ("a coding that does not end", "transfer-encoding: chunked, gzip\r\n", "0\r\n\r\n", 400),
        ("a coding nobody knows", "transfer-encoding: xchunked\r\n", "0\r\n\r\n", 400),
        ("a folded header", "x: a\r\n content-length: 3\r\n", "", 400),
        ("a space before the colon", "content-length : 3\r\n", "abc", 400),
        ("a negative length", "content-length: -1\r\n", "", 400),
        ("a signed length", "content-length: +3\r\n", "abc", 400),
        ("a length beyond 64 bits", "content-length: 99999999999999999999\r\n", "", 400),
        ("a length beyond the limit", "content-length: 9223372036854775807\r\n", "", 413),
        ("a chunk that is no number", "transfer-encoding: chunked\r\n", "zz\r\nab\r\n", 400),
        ("a chunk beyond 64 bits", "transfer-encoding: chunked\r\n", "fffffffffffffffff\r\n", 400),
        ("a zero byte", "x: \0\r\n", "", 400),
    ];
    for (what, headers, body, status) in table {
        let answer = said(&server, format!("{CHECK}{headers}\r\n{body}")).await;
        assert_eq!(statuses(&answer), [status], "{what}: {answer}");
    }
    // The coding alone counts where the length comes after it, and the connection ends with it.
    let both = "transfer-encoding: chunked\r\ncontent-length: 3\r\n";
    let answer = said(&server, format!("{CHECK}{both}\r\n0\r\n\r\n{smuggled}")).await;
    assert_eq!(statuses(&answer), [400], "the body is empty, and no second answer: {answer}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = Server::open().await;
    let get = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n";
    for bytes in [64 << 10, 1 << 20] {
        let answer = said(&server, format!("{get}x: {}\r\n\r\n", "y".repeat(bytes))).await;
        assert_eq!(statuses(&answer), [431], "{bytes} bytes");
    }
    let many: String = (0..200).map(|at| format!("x{at}: y\r\n")).collect();
    assert_eq!(statuses(&said(&server, format!("{get}{many}\r\n")).await), [431]);
    let long = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "y".repeat(70_000));
    let status = statuses(&said(&server, long).await);
    assert!(matches!(status[..], [414 | 431]), "{status:?}");
    let few: String = (0..90).map(|at| format!("x{at}: y\r\n")).collect();
    let answer = said(&server, format!("{get}connection: close\r\n{few}\r\n")).await;
    assert_eq!(statuses(&answer), [200]);
}

#[tokio::test]
async fn a_head_or_a_body_that_does_not_come_ends_its_connection() {
    let server = Server::with(quick()).await;
    for begin in ["", "G", "GET /healthz HTTP/1.1\r\nhost: loc"] {
        let answer = said(&server, begin).await;
        assert!(matches!(statuses(&answer)[..], [] | [408]), "{begin:?}: {answer}");
    }
    let answer = said(&server, format!("{CHECK}content-length: 10\r\n\r\nabc")).await;
    assert_eq!(statuses(&answer), [408], "{answer}");
    assert!(answer.contains("\"code\":\"SF4024\"") && answer.contains("1 seconds"), "{answer}");
    let answer =
        said(&server, format!("{CHECK}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")).await;
    assert_eq!(statuses(&answer), [408], "{answer}");
    // A connection that was used and then falls silent is closed as well.
    let answer = said(&server, "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(statuses(&answer), [200], "{answer}");
}

#[tokio::test]
async fn a_chunked_body_without_end_is_cut_off_at_the_limit() {
    let server = Server::open().await;
    let mut socket = connect(&server).await;
    let head = format!("{CHECK}transfer-encoding: chunked\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    // It is written until the server has had enough.
    let mut sent = 0;
    while socket.write_all(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
        assert!(sent < 1 << 30, "the server reads without end");
        let mut begin = [0; 1];
        if socket.try_read(&mut begin).is_ok() {
            break;
        }
    }
    assert_eq!(server.get("/healthz").await.status, 200);
    assert_eq!(server.get("/v1/workflows").await.body["items"], json!([]));
}

#[tokio::test]
async fn a_thousand_silent_connections_keep_nobody_out() {
    const CROWD: usize = 1_000;
    let server = Server::open().await;
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        let mut socket = connect(&server).await;
        let begin = ["", "G", "GET /v1/runs HTTP/1.1\r\n", CHECK][number % 4];
        socket.write_all(begin.as_bytes()).await.unwrap();
        crowd.push(socket);
    }
    for _ in 0..10 {
        assert_eq!(server.get("/healthz").await.status, 200);
        assert_eq!(server.get("/v1/runs").await.status, 200);
    }
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed_and_room_is_found_again() {
    let server = Server::with(ServerConfig { connections: 2, ..ServerConfig::default() }).await;
    let ask = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let (mut one, mut two) = (connect(&server).await, connect(&server).await);
    for socket in [&mut one, &mut two] {
        socket.write_all(ask.as_bytes()).await.unwrap();
        let mut begin = [0; 12];
        socket.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
    }
    assert_eq!(said(&server, ask).await, "", "closed unanswered");
    drop(one);
    let close = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    loop {
        // The server has to notice that the first one went.
        if statuses(&said(&server, close).await) == [200] {
            break;
        }
        tokio::task::yield_now().await;
    }
}

/// Floods of resets, continuations and streams need HTTP/2: its preface is no request here.
#[tokio::test]
async fn http_2_is_not_spoken() {
    let server = Server::with(quick()).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let answer = said(&server, preface).await;
    assert!(matches!(statuses(&answer)[..], [] | [400 | 404 | 405 | 505]), "{answer}");
    let upgrade = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n";
    assert_eq!(statuses(&said(&server, upgrade).await), [200], "the upgrade is passed over");
}
