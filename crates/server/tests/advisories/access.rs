//! Who is let in.

use serde_json::{Value, json};
use surefoot::Engine;
use surefoot_server::{ListenError, Role, ServerConfig, Service};

use crate::support::sse::token;
use crate::support::{Answer, Server, answer};

pub async fn guarded() -> Server {
    let tokens = vec![
        token("admin", Role::Admin, None),
        token("clerk", Role::Deployer, Some(&["billing"])),
        token("till", Role::Worker, None),
        token("thief", Role::Worker, None),
    ];
    Server::with(ServerConfig { tokens, ..ServerConfig::default() }).await
}

pub async fn as_who(server: &Server, who: &str, method: &str, path: &str, body: Value) -> Answer {
    answer(server.request(method, path).bearer_auth(who).json(&body)).await
}

pub async fn listens_beyond_the_machine_only_with_tokens() {
    assert!(ServerConfig::default().listen.starts_with("127.0.0.1:"));
    let config = ServerConfig { listen: "0.0.0.0:0".to_owned(), ..ServerConfig::default() };
    let engine = Engine::builder().open().await.unwrap();
    let service = Service::open(engine, config).await.unwrap();
    assert!(matches!(service.bind().await, Err(ListenError::Open(_))));
}

pub async fn lets_nobody_in(requests: &[&str]) {
    let server = guarded().await;
    for request in requests {
        let (method, path) = request.split_once(' ').unwrap();
        for forged in [None, Some("sf_0"), Some("")] {
            // As it stands: a client would tidy the path up.
            let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
            if let Some(forged) = forged {
                head.push_str(&format!("authorization: Bearer {forged}\r\n"));
            }
            head.push_str("content-length: 0\r\nconnection: close\r\n\r\n");
            let status = raw(&server, &head).await;
            assert!(matches!(status, 400 | 401 | 404 | 405 | 429), "{request}: {status}");
        }
    }
}

/// Returns the status of the first answer.
pub async fn raw(server: &Server, text: &str) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
    socket.write_all(text.as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    socket.read_exact(&mut begin).await.unwrap();
    String::from_utf8_lossy(&begin[9..]).parse().unwrap()
}

pub async fn upgrades_go_around_nothing() {
    let server = guarded().await;
    for path in ["/v1/events?topics=runs:*", "/v1/runs", "/v1/audit"] {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        assert_eq!(raw(&server, &head).await, 401, "{path}");
    }
}

pub async fn nothing_of_one_server_is_known_to_another() {
    let (one, other) = (Server::open().await, Server::open().await);
    let make = |server: &Server| {
        answer(server.request("POST", "/v1/tokens").json(&json!({"name": "root", "role": "admin"})))
    };
    let (mine, theirs) = (make(&one).await, make(&other).await);
    let (mine, theirs) = (mine.body["token"].clone(), theirs.body["token"].clone());
    assert_ne!(mine, theirs);
    let foreign = as_who(&other, mine.as_str().unwrap(), "GET", "/v1/runs", Value::Null).await;
    assert_eq!(foreign.status, 401);
}

pub async fn a_revoked_token_is_refused_at_once() {
    let server = guarded().await;
    let asked = json!({"name": "temp", "role": "admin"});
    let made = as_who(&server, "admin", "POST", "/v1/tokens", asked).await;
    let temp = made.body["token"].as_str().unwrap().to_owned();
    assert_eq!(as_who(&server, &temp, "GET", "/v1/runs", Value::Null).await.status, 200);
    let gone = as_who(&server, "admin", "DELETE", "/v1/tokens/temp", Value::Null).await;
    assert_eq!(gone.status, 204);
    assert_eq!(as_who(&server, &temp, "GET", "/v1/runs", Value::Null).await.status, 401);
}

/// Without tokens, whoever is on this machine may do everything: their browser may not.
pub async fn a_page_of_others_changes_nothing(origin: &str, kind: &str) {
    let server = Server::open().await;
    let request = server.request("POST", "/v1/tokens").header("origin", origin);
    let request = request.header("content-type", kind).body(r#"{"name":"x","role":"admin"}"#);
    let told = answer(request).await;
    assert_eq!((told.status, told.code()), (403, "SF4011"), "{}", told.text);
    assert!(told.headers.get("access-control-allow-origin").is_none());
    let preflight = server.request("OPTIONS", "/v1/tokens").header("origin", origin);
    let told = answer(preflight.header("access-control-request-method", "POST")).await;
    assert!(told.headers.get("access-control-allow-origin").is_none(), "{:?}", told.headers);
    assert!(server.service.is_open(), "no token was made");
}
