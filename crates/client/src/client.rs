//! Calls to a server, each with its types.

use std::fmt::Write as _;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Error;
use crate::wire::*;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server. Cheap to clone; clones share their connections.
///
/// ```no_run
/// # async fn example() -> Result<(), surefoot_client::Error> {
/// use surefoot_client::{Client, wire::StartRun};
/// let client = Client::new("http://127.0.0.1:7070", None)?;
/// let input = Some(serde_json::json!({"order_id": "o-1"}));
/// let started = client.start("order", &StartRun { input, ..StartRun::default() }).await?;
/// let ended = client.result(&started.run.id, 30).await?;
/// # let _ = ended;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
}

/// A run that was started now, or before with the same key.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    pub run: Run,
    pub is_new: bool,
}

impl Client {
    /// Makes a client of the server at a URL. Nothing is sent yet.
    pub fn new(url: &str, token: Option<String>) -> Result<Client, Error> {
        let base = url.trim_end_matches('/').to_owned();
        let parsed = reqwest::Url::parse(&base).ok();
        if !parsed.is_some_and(|it| matches!(it.scheme(), "http" | "https") && it.has_host()) {
            return Err(Error::Url(url.to_owned()));
        }
        // Already there when a program has chosen one: then theirs is kept.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("surefoot-client/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| Error::Unreachable { url: base.clone(), reason: reason(&error) })?;
        Ok(Client { base, token, http })
    }

    pub fn url(&self) -> &str {
        &self.base
    }

    /// Starts a run.
    pub async fn start(&self, workflow: &str, request: &StartRun) -> Result<Started, Error> {
        let path = format!("/v1/workflows/{}/runs", segment(workflow));
        let (status, run) = self.send(self.request(Method::POST, &path).json(request)).await?;
        Ok(Started { run, is_new: status == StatusCode::CREATED })
    }

    /// Returns a run with its data.
    pub async fn run(&self, id: &str) -> Result<Run, Error> {
        self.get(&format!("/v1/runs/{}", segment(id))).await
    }

    /// Returns how a run ended, waiting so many seconds for it; nothing if it still runs.
    pub async fn result(&self, id: &str, wait_seconds: u64) -> Result<Option<RunResult>, Error> {
        let path = format!("/v1/runs/{}/result?wait={wait_seconds}", segment(id));
        let (status, value): (_, Value) = self.send(self.request(Method::GET, &path)).await?;
        match status {
            StatusCode::OK => Ok(Some(self.typed(value)?)),
            _ => Ok(None),
        }
    }

    /// Sends a signal, or the event of a machine.
    pub async fn signal(&self, run: &str, name: &str, data: &Value) -> Result<Run, Error> {
        let path = format!("/v1/runs/{}/signals/{}", segment(run), segment(name));
        self.post(&path, data).await
    }

    /// Carries out `pause`, `resume`, `cancel`, `kill`, `retry`, `rewind`, `skip` or `set-result`.
    pub async fn control(
        &self,
        run: &str,
        verb: &str,
        body: &impl Serialize,
    ) -> Result<Run, Error> {
        self.post(&format!("/v1/runs/{}/{verb}", segment(run)), body).await
    }

    /// Sends the source of a definition.
    pub async fn deploy(
        &self,
        workflow: &str,
        source: &str,
        dry_run: bool,
        draft: bool,
    ) -> Result<Deployed, Error> {
        let path = format!("/v1/workflows/{}?dry_run={dry_run}&draft={draft}", segment(workflow));
        let request = self.request(Method::PUT, &path).header(CONTENT_TYPE, "application/yaml");
        Ok(self.send(request.body(source.to_owned())).await?.1)
    }

    /// Gets something whose path (with its query) is known.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        Ok(self.send(self.request(Method::GET, path)).await?.1)
    }

    /// Posts something to a path.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<T, Error> {
        Ok(self.send(self.request(Method::POST, path).json(body)).await?.1)
    }

    /// Sends JSON to a path, or nothing, and returns what is answered; null for nothing.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let method = Method::from_bytes(method.as_bytes());
        let method = method.map_err(|error| self.unexpected(error.to_string()))?;
        let request = self.request(method, path);
        let request = body.into_iter().fold(request, |request, body| request.json(body));
        Ok(self.send(request).await?.1)
    }

    /// Deletes what is at a path.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        let (_, _): (_, Value) = self.send(self.request(Method::DELETE, path)).await?;
        Ok(())
    }

    /// Begins a request to a path of the server.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    /// Sends a request and reads its answer.
    pub async fn send<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<(StatusCode, T), Error> {
        let response = self.open(request).await?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        // No content stands for null.
        let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        let value = serde_json::from_slice(text);
        Ok((status, value.map_err(|error| self.unexpected(error.to_string()))?))
    }

    /// Sends a request whose answer is read by the caller, if it is a success.
    pub(crate) async fn open(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        Err(match serde_json::from_slice(&bytes) {
            Ok(problem) => Error::Refused(Box::new(problem)),
            Err(_) => self.unexpected(format!("status {status}")),
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        Error::Unreachable { url: self.base.clone(), reason: reason(error) }
    }

    fn typed<T: DeserializeOwned>(&self, value: Value) -> Result<T, Error> {
        serde_json::from_value(value).map_err(|error| self.unexpected(error.to_string()))
    }

    fn unexpected(&self, reason: String) -> Error {
        Error::Unexpected { url: self.base.clone(), reason }
    }
}

/// Says what is at the bottom of a broken call, without the layers above it.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

/// Writes a name as a part of a path.
pub fn segment(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                text.push(char::from(byte));
            }
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment() {
        assert_eq!(segment("reserve[3]"), "reserve%5B3%5D");
        assert_eq!(segment("a/b?c é"), "a%2Fb%3Fc%20%C3%A9");
    }

    #[test]
    fn what_is_no_url_is_refused_at_once() {
        for url in ["", "localhost:7070", "ftp://x", "http://"] {
            assert!(matches!(Client::new(url, None), Err(Error::Url(_))), "{url}");
        }
        let client = Client::new("http://127.0.0.1:1/", None).expect("it is a URL");
        assert_eq!(client.url(), "http://127.0.0.1:1");
    }
}
