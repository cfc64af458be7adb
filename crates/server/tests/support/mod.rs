//! A real server on a free port, and a client that says what it was answered.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of it")]

pub mod issuer;
pub mod sse;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use surefoot::{Engine, RemoteConfig};
use surefoot_server::{Metrics, ServerConfig, Service, serve};
use tokio_util::sync::CancellationToken;

/// A server over a store in memory, stopped when it is dropped.
pub struct Server {
    pub engine: Engine,
    pub service: Service,
    pub address: SocketAddr,
    http: reqwest::Client,
    stop: CancellationToken,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// Returns the code of a problem.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }
}

impl Server {
    pub async fn open() -> Server {
        Server::with(ServerConfig::default()).await
    }

    pub async fn with(config: ServerConfig) -> Server {
        let builder = Engine::builder().remote_workers(RemoteConfig::default());
        Server::over(builder.open().await.unwrap(), config).await
    }

    pub async fn over(engine: Engine, config: ServerConfig) -> Server {
        Server::counting(engine, config, Default::default()).await
    }

    /// Serves an engine whose observer is `metrics`.
    pub async fn counting(engine: Engine, config: ServerConfig, metrics: Arc<Metrics>) -> Server {
        let config = ServerConfig { listen: "127.0.0.1:0".to_owned(), ..config };
        let service = Service::with_metrics(engine.clone(), config, metrics).await.unwrap();
        let listener = service.bind().await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve(service.clone(), listener, stop.clone().cancelled_owned()));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Server { engine, service, address, http, stop }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), self.url(path))
    }

    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request("GET", path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        answer(self.request("POST", path).json(&body)).await
    }

    pub async fn put(&self, path: &str, source: &str) -> Answer {
        let request = self.request("PUT", path).header("content-type", "application/yaml");
        answer(request.body(source.to_owned())).await
    }

    /// Deploys a source and starts a run of it.
    pub async fn started(&self, workflow: &str, source: &str, input: Value) -> String {
        let put = self.put(&format!("/v1/workflows/{workflow}"), source).await;
        assert!(matches!(put.status, 200 | 201), "{}", put.text);
        let started =
            self.post(&format!("/v1/workflows/{workflow}/runs"), json!({"input": input})).await;
        assert_eq!(started.status, 201, "{}", started.text);
        started.body["id"].as_str().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Sends a request and reads the whole answer.
pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status, headers, body, text }
}

/// Asks again until there is an answer.
pub async fn until<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(sse::PATIENCE, asking).await.expect("it comes in time")
}
