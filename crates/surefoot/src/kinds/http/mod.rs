//! The kind `http`: one exchange with a server, redirects included.
//!
//! Redirects are followed here and not in the client, so that each hop passes the address guard
//! and loses its credentials when it leaves the origin.

mod address;
mod egress;
mod error;
mod request;
mod response;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use reqwest::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, USER_AGENT,
};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use surefoot_core::task_error::TaskError;
use surefoot_core::time::Duration;

pub use self::address::Cidr;
use self::address::{Guard, GuardedResolver, Lookup, system_lookup};
pub use self::egress::{EgressConfig, EgressRule, HostPattern, Verdict};
use self::request::{Exchange, Tls, With};
use super::bounded::within;
use super::{Context, Kind, parameters, tls};

/// Clients that are kept. With more kinds of trust and ports, all are made anew.
const CLIENTS_MAX: usize = 64;
/// Connections that may lie idle for one host.
const IDLE_CONNECTIONS_MAX: usize = 32;

/// `[http]` in surefoot.toml.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Loopback and private networks may be dialled.
    pub allow_private: bool,
    /// Ranges that may be dialled whatever they are, link-local ones included.
    pub allow: Vec<Cidr>,
    /// Of one exchange, unless the task says otherwise. In milliseconds.
    pub timeout_ms: u64,
    pub connect_timeout_ms: u64,
    /// Bytes of a response body, unless the task says otherwise.
    pub max_response_bytes: usize,
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        HttpConfig {
            allow_private: false,
            allow: Vec::new(),
            timeout_ms: 60_000,
            connect_timeout_ms: 10_000,
            max_response_bytes: 1024 * 1024,
        }
    }
}

/// Sends HTTP requests. Clients are kept, so connections are reused between attempts.
pub struct HttpKind {
    config: HttpConfig,
    guard: Arc<Guard>,
    lookup: Lookup,
    /// Each dials one port alone: what may be dialled depends on it, and a resolver is not told.
    clients: Mutex<HashMap<(Trust, u16), Client>>,
}

/// Whom a client trusts. Each needs a client of its own, for a pooled connection was trusted once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Trust {
    /// Plain HTTP: never speaks TLS, so a machine without root certificates can use it.
    Nobody,
    System,
    File(PathBuf),
    Anybody,
}

#[async_trait]
impl Kind for HttpKind {
    async fn run(&self, context: &Context, with: Value) -> Result<Value, TaskError> {
        let with: With = parameters::parse("http", with)?;
        let timeout = parameters::duration("timeout", with.timeout.as_deref())?;
        let timeout = timeout.unwrap_or(Duration(self.config.timeout_ms));
        let expected = response::Expected::new(&with, self.config.max_response_bytes)?;
        let exchange = Exchange::new(with, context)?;
        let started = Instant::now();
        within(context, Some(timeout), async {
            let response = self.follow(exchange).await?;
            expected.read(response, started).await
        })
        .await
    }
}

impl HttpKind {
    pub fn new(config: HttpConfig) -> HttpKind {
        HttpKind::with_egress(config, EgressConfig::default())
    }

    /// As [`HttpKind::new`], with rules of where requests may go.
    pub fn with_egress(config: HttpConfig, egress: EgressConfig) -> HttpKind {
        tls::install_provider();
        let (allow_private, allow) = (config.allow_private, config.allow.clone());
        let guard = Arc::new(Guard { allow_private, allow, egress });
        HttpKind { config, guard, lookup: system_lookup(), clients: Mutex::default() }
    }

    /// Posts a body under the address guard and returns the status of the answer, whose body is not
    /// read. Follows no redirect.
    pub async fn post(
        &self,
        url: &str,
        headers: &BTreeMap<&str, String>,
        body: String,
    ) -> Result<u16, TaskError> {
        let url = self.allowed(url)?;
        let client = self.client(&url, &Tls::default())?;
        let mut request = client.post(url.clone()).body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send().await.map_err(|it| error::sending(&url, &it))?;
        Ok(answer.status().as_u16())
    }

    /// Gets a body of at most `bytes_max` bytes under the address guard. Follows no redirect, and
    /// takes no other status than 200. `ca_file` has certificates that are trusted besides the
    /// system's.
    pub async fn get(
        &self,
        url: &str,
        ca_file: Option<PathBuf>,
        bytes_max: usize,
    ) -> Result<Vec<u8>, TaskError> {
        let url = self.allowed(url)?;
        let client = self.client(&url, &Tls { ca_file, insecure: false })?;
        let mut answer =
            client.get(url.clone()).send().await.map_err(|it| error::sending(&url, &it))?;
        if answer.status() != StatusCode::OK {
            return Err(error::status(&answer, ""));
        }
        match response::read_body(&mut answer, bytes_max).await? {
            (body, true) => Ok(body),
            (_, false) => Err(error::too_large(&url, bytes_max)),
        }
    }

    fn allowed(&self, url: &str) -> Result<Url, TaskError> {
        let url: Url = url.parse().map_err(|_| error::bad_url("it is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(error::bad_url("only http and https are sent to"));
        }
        self.check_address(&url)?;
        Ok(url)
    }

    /// Sends the request and follows redirects up to the limit.
    async fn follow(&self, mut exchange: Exchange) -> Result<Response, TaskError> {
        let mut left = exchange.redirects_max;
        loop {
            self.check_address(&exchange.url)?;
            let response = self.send(&exchange).await?;
            let Some(target) = redirect_target(&exchange.url, &response)? else {
                return Ok(response);
            };
            if exchange.redirects_max == 0 {
                return Ok(response);
            }
            if left == 0 {
                return Err(error::redirect_loop(&exchange.url, exchange.redirects_max));
            }
            left -= 1;
            redirect(&mut exchange, target, response.status());
        }
    }

    async fn send(&self, exchange: &Exchange) -> Result<Response, TaskError> {
        let client = self.client(&exchange.url, &exchange.tls)?;
        let request = client
            .request(exchange.method.clone(), exchange.url.clone())
            .headers(exchange.headers.clone())
            .body(exchange.body.clone());
        request.send().await.map_err(|it| error::sending(&exchange.url, &it))
    }

    /// Refuses an address in the URL; names are checked by the resolver once more, with theirs.
    fn check_address(&self, url: &Url) -> Result<(), TaskError> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let checked = match host.parse() {
            Ok(address) => self.guard.check(host, port(url), address),
            Err(_) => self.guard.check_name(host, port(url)),
        };
        checked.map_err(|it| error::blocked(url, &it))
    }

    fn client(&self, url: &Url, tls: &Tls) -> Result<Client, TaskError> {
        let trust = match (url.scheme(), &tls.ca_file) {
            ("http", _) => Trust::Nobody,
            _ if tls.insecure => Trust::Anybody,
            (_, Some(file)) => Trust::File(file.clone()),
            (_, None) => Trust::System,
        };
        let port = port(url);
        let mut clients = self.clients.lock().expect("nobody panics while holding the lock");
        if let Some(client) = clients.get(&(trust.clone(), port)) {
            return Ok(client.clone());
        }
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        let client = self.build(&trust, port)?;
        clients.insert((trust, port), client.clone());
        Ok(client)
    }

    fn build(&self, trust: &Trust, port: u16) -> Result<Client, TaskError> {
        let milliseconds = std::time::Duration::from_millis;
        let (guard, lookup) = (Arc::clone(&self.guard), self.lookup.clone());
        let builder = Client::builder()
            .dns_resolver(GuardedResolver { guard, lookup, port })
            // A proxy would dial on our behalf, out of the guard's sight.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("surefoot/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(milliseconds(self.config.connect_timeout_ms))
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX);
        let builder = match trust {
            Trust::Nobody => builder.tls_certs_only([]),
            Trust::System => builder,
            Trust::File(path) => builder.tls_certs_merge(error::certificates(path)?),
            Trust::Anybody => builder.tls_certs_only([]).tls_danger_accept_invalid_certs(true),
        };
        builder.build().map_err(|it| error::tls_setup(&it))
    }
}

/// Returns the port that a URL is dialled at.
fn port(url: &Url) -> u16 {
    url.port_or_known_default().unwrap_or_default()
}

/// Returns where a redirect leads; nothing if the response is none.
fn redirect_target(from: &Url, response: &Response) -> Result<Option<Url>, TaskError> {
    let moved = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = response.headers().get(LOCATION).filter(|_| moved) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(location.as_bytes());
    let target = from.join(&text).map_err(|it| error::bad_location(from, &it.to_string()))?;
    if !matches!(target.scheme(), "http" | "https") {
        let problem = format!("the scheme `{}` is not http or https", target.scheme());
        return Err(error::bad_location(from, &problem));
    }
    Ok(Some(target))
}

/// Changes the exchange the way RFC 9110 §15.4 and browsers do.
fn redirect(exchange: &mut Exchange, target: Url, status: StatusCode) {
    let becomes_get = match status.as_u16() {
        301 | 302 => exchange.method == Method::POST,
        303 => exchange.method != Method::HEAD,
        _ => false,
    };
    if becomes_get {
        exchange.method = Method::GET;
        exchange.body = Vec::new();
        for name in [CONTENT_TYPE, CONTENT_LENGTH, request::IDEMPOTENCY_KEY] {
            exchange.headers.remove(name);
        }
    }
    if target.origin() != exchange.url.origin() {
        // Any other header may be a credential (`X-Api-Key`), and this is another server.
        let harmless = [
            ACCEPT,
            ACCEPT_LANGUAGE,
            CONTENT_TYPE,
            USER_AGENT,
            request::IDEMPOTENCY_KEY,
            request::TRACEPARENT,
            request::TRACESTATE,
        ];
        let kept = harmless
            .into_iter()
            .filter_map(|name| exchange.headers.remove(&name).map(|value| (name, value)));
        exchange.headers = kept.collect();
    }
    exchange.url = target;
}
