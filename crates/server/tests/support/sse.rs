//! A client that reads server-sent events, and a server that has something to tell.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use surefoot::Engine;
use surefoot_server::{Role, ServerConfig, TokenConfig};

use super::Server;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A workflow of three tasks, one of which logs, in a few records.
pub const TICK: &str = "id: tick
version: 1.0.0
tasks:
  note: {uses: log, with: {message: hello}}
  rest: {needs: [note], uses: wait, with: {for: 1ms}}
  sum: {needs: [rest], uses: transform, with: {value: 3}}
";

/// Serves the store at a path, or one in memory, with the workflow `tick`.
pub async fn ticking(path: Option<&Path>, config: ServerConfig) -> Server {
    let store = path.map_or("memory:".to_owned(), |it| format!("sqlite:{}", it.display()));
    let engine = Engine::builder().store(&store).open().await.unwrap();
    engine.deploy(TICK).await.unwrap();
    Server::over(engine, config).await
}

pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

pub async fn start_run(url: &str, workflow: &str) -> String {
    let url = format!("{url}/v1/workflows/{workflow}/runs");
    let response = client().post(url).json(&serde_json::json!({})).send().await.unwrap();
    assert_eq!(response.status(), 201);
    let run: Value = response.json().await.unwrap();
    run["id"].as_str().unwrap().to_owned()
}

pub fn token(name: &str, role: Role, namespaces: Option<&[&str]>) -> TokenConfig {
    TokenConfig {
        name: name.to_owned(),
        hash: format!("blake3:{}", blake3::hash(name.as_bytes()).to_hex()),
        role,
        namespaces: namespaces.map(|it| it.iter().map(|it| (*it).to_owned()).collect()),
        groups: Vec::new(),
        capabilities: None,
    }
}

/// One server-sent event.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    pub id: String,
    pub event: String,
    pub data: Value,
}

/// Reads server-sent events as the HTML standard has it.
pub struct Events {
    response: reqwest::Response,
    buffer: String,
    pub last_id: String,
}

impl Events {
    pub async fn open(url: &str, topics: &str, last_id: Option<&str>) -> Events {
        let response = Events::ask(url, topics, last_id, None).await;
        assert_eq!(response.status(), 200);
        Events { response, buffer: String::new(), last_id: last_id.unwrap_or_default().to_owned() }
    }

    pub async fn ask(
        url: &str,
        topics: &str,
        last_id: Option<&str>,
        token: Option<&str>,
    ) -> reqwest::Response {
        let mut request = client().get(format!("{url}/v1/events?topics={topics}"));
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap()
    }

    /// Returns the next event; nothing once the server has ended the stream.
    pub async fn next(&mut self) -> Option<Sent> {
        tokio::time::timeout(PATIENCE, self.read()).await.expect("an event comes in time")
    }

    async fn read(&mut self) -> Option<Sent> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                let mut sent = Sent::default();
                for line in block.lines() {
                    match line.split_once(": ") {
                        Some(("id", id)) => self.last_id = id.to_owned(),
                        Some(("event", event)) => sent.event = event.to_owned(),
                        Some(("data", data)) => sent.data = serde_json::from_str(data).unwrap(),
                        _ => {}
                    }
                }
                sent.id = self.last_id.clone();
                if sent.event.is_empty() {
                    continue;
                }
                return Some(sent);
            }
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.buffer += std::str::from_utf8(&bytes).unwrap(),
                Ok(None) | Err(_) => return None,
            }
        }
    }
}
