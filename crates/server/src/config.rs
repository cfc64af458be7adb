//! Settings of the service: the table `[server]` of `surefoot.toml`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::auth::{OidcConfig, Role};
use crate::notify::{NotifyConfig, SmtpConfig};

/// Everything that the service can be told. Every field has a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Where it listens. Beyond loopback, tokens are needed.
    pub listen: String,
    /// Who may call; nothing means that everybody on this machine may do everything.
    pub tokens: Vec<TokenConfig>,
    /// People whom an identity provider knows; they and the tokens are beside each other.
    pub oidc: Option<OidcConfig>,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Requests that are worked on at once; more are told to come back.
    pub requests: usize,
    /// Connections that may be open, streams of events among them; more are closed at once.
    pub connections: usize,
    /// Seconds that a request's head may take to arrive, and that a connection may be idle.
    pub head_seconds: u64,
    /// Seconds that a request's body may take to arrive.
    pub body_seconds: u64,
    /// Seconds that a caller may ask to wait for a result.
    pub wait_seconds: u64,
    /// Seconds that attempts have to end when the server stops.
    pub drain_seconds: u64,
    /// Built-in kinds, such as `shell`, that workers execute instead of the server.
    pub worker_kinds: Vec<String>,
    /// Seconds for which the answer to an `Idempotency-Key` is kept.
    pub idempotency_seconds: u64,
    /// Days for which entries of the audit log are kept; for ever if nothing is said.
    pub audit_days: Option<u64>,
    /// Streams of live events that may be open; more are told to come back.
    pub event_clients: usize,
    /// Who is told when runs fail, wait or are late.
    pub notify: Vec<NotifyConfig>,
    /// How mails are sent.
    pub smtp: Option<SmtpConfig>,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            listen: "127.0.0.1:7070".to_owned(),
            tokens: Vec::new(),
            oidc: None,
            body_bytes: 4 * 1024 * 1024,
            requests: 4096,
            connections: 24_576,
            head_seconds: 30,
            body_seconds: 30,
            wait_seconds: 60,
            drain_seconds: 20,
            worker_kinds: Vec::new(),
            idempotency_seconds: 24 * 60 * 60,
            audit_days: None,
            event_clients: 16_384,
            notify: Vec::new(),
            smtp: None,
        }
    }
}

impl ServerConfig {
    /// Refuses values with which nobody could be served.
    pub fn check(&self) -> Result<(), String> {
        let at_least_one = [
            ("server.body_bytes", self.body_bytes as u64),
            ("server.requests", self.requests as u64),
            ("server.connections", self.connections as u64),
            ("server.head_seconds", self.head_seconds),
            ("server.body_seconds", self.body_seconds),
            ("server.audit_days", self.audit_days.unwrap_or(1)),
        ];
        match at_least_one.into_iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(format!("{key} is 0; it must be at least 1")),
            None => Ok(()),
        }
    }

    pub(crate) fn head_time(&self) -> Duration {
        Duration::from_secs(self.head_seconds)
    }

    pub(crate) fn audit_kept_ms(&self) -> Option<u64> {
        self.audit_days.map(|it| it.saturating_mul(24 * 60 * 60 * 1000))
    }

    pub(crate) fn body_time(&self) -> Duration {
        Duration::from_secs(self.body_seconds)
    }

    /// How long attempts have to end when the server stops.
    pub fn drain_time(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

/// A token that the configuration names. Only its hash is kept there: blake3 of the token's text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Who acts, as the history and the audit log name them.
    pub name: String,
    /// `blake3:` and 64 hexadecimal digits.
    pub hash: String,
    pub role: Role,
    /// Only workflows of these namespaces; of all if it is missing.
    #[serde(default)]
    pub namespaces: Option<Vec<String>>,
    /// Groups whose approvals the holder may decide.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Only for workers: the capabilities that they may offer; all if it is missing.
    #[serde(default)]
    pub capabilities: Option<Vec<String>>,
}
