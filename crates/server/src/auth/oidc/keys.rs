//! The provider's keys: fetched when a token needs them, kept while they are fresh, and used a while
//! longer if the provider does not answer.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use surefoot::core::time::Millis;
use surefoot::kinds::{HttpConfig, HttpKind};
use tokio::sync::{Mutex, MutexGuard};

use super::config::{OidcConfig, is_safe};
use super::jws::Key;

/// How long the provider may take to answer.
const FETCH_TIME_MAX: Duration = Duration::from_secs(5);
/// Bytes of what it answers.
const ANSWER_BYTES_MAX: usize = 512 * 1024;
/// Keys that are kept.
const KEYS_MAX: usize = 64;
/// Where a provider describes itself (OpenID Connect Discovery).
const DISCOVERY: &str = "/.well-known/openid-configuration";

pub(super) struct Keys {
    http: HttpKind,
    config: Arc<OidcConfig>,
    known: RwLock<Option<Arc<Known>>>,
    /// When a fetch began last. Whoever holds it is fetching.
    fetching: Mutex<Option<Millis>>,
}

struct Known {
    keys: Vec<Key>,
    fetched_at: Millis,
}

/// There are no keys that may be used, and the provider does not give any.
#[derive(Debug, PartialEq)]
pub(super) struct Unavailable;

/// What a provider says of itself.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

impl Keys {
    pub fn new(config: Arc<OidcConfig>) -> Keys {
        // The operator names the provider, who may well be in a private network; what link-local
        // and metadata addresses answer is never a key.
        let http = HttpKind::new(HttpConfig { allow_private: true, ..HttpConfig::default() });
        Keys { http, config, known: RwLock::default(), fetching: Mutex::default() }
    }

    /// Returns the key of an id; nothing if the provider has none of it.
    pub async fn find(&self, id: &str, now: Millis) -> Result<Option<Key>, Unavailable> {
        if let Some(key) = self.younger(self.config.refresh_seconds, now).and_then(|it| it.key(id))
        {
            return Ok(Some(key));
        }
        let usable = self.younger(self.config.stale_seconds, now);
        if usable.is_some_and(|it| it.key(id).is_some()) {
            // It is still good: nobody waits here for a fetch that somebody else makes.
            if let Ok(turn) = self.fetching.try_lock() {
                self.refresh(turn, now).await;
            }
        } else {
            self.refresh(self.fetching.lock().await, now).await;
        }
        let known = self.younger(self.config.stale_seconds, now).ok_or(Unavailable)?;
        Ok(known.key(id))
    }

    /// Fetches the keys, unless that was tried a moment ago.
    async fn refresh(&self, mut last: MutexGuard<'_, Option<Millis>>, now: Millis) {
        let pause = self.config.retry_seconds.saturating_mul(1_000);
        if last.is_some_and(|it| now.saturating_sub(it) < pause) {
            return;
        }
        *last = Some(now);
        let fetched = tokio::time::timeout(FETCH_TIME_MAX, self.fetch()).await;
        match fetched.unwrap_or_else(|_| Err("it does not answer in time".to_owned())) {
            Ok(keys) => {
                let known = Arc::new(Known { keys, fetched_at: now });
                *self.known.write().unwrap_or_else(|it| it.into_inner()) = Some(known);
            }
            Err(reason) => {
                tracing::warn!(
                    issuer = self.config.issuer,
                    reason,
                    "no keys from the identity provider"
                );
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<Key>, String> {
        let issuer = &self.config.issuer;
        let discovery: Discovery =
            self.get(&format!("{}{DISCOVERY}", issuer.trim_end_matches('/'))).await?;
        if discovery.issuer != *issuer {
            return Err("it calls itself otherwise than server.oidc.issuer does".to_owned());
        }
        if !is_safe(&discovery.jwks_uri) {
            return Err("its `jwks_uri` is not https".to_owned());
        }
        let set: KeySet = self.get(&discovery.jwks_uri).await?;
        // Keys for other ends, or of kinds that nobody takes, may be among them.
        let keys: Vec<Key> = set.keys.iter().filter_map(Key::read).take(KEYS_MAX).collect();
        match keys.is_empty() {
            true => Err("it publishes no key for signatures that has an id".to_owned()),
            false => Ok(keys),
        }
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, String> {
        let ca_file = self.config.ca_file.clone();
        let body = self.http.get(url, ca_file, ANSWER_BYTES_MAX).await.map_err(|it| it.message)?;
        serde_json::from_slice(&body).map_err(|error| format!("what {url} has is not it: {error}"))
    }

    /// Returns the keys that are known, if they were fetched in the last `seconds`.
    fn younger(&self, seconds: u64, now: Millis) -> Option<Arc<Known>> {
        let known = self.known.read().unwrap_or_else(|it| it.into_inner()).clone()?;
        let end = known.fetched_at.saturating_add(seconds.saturating_mul(1_000));
        Some(known).filter(|_| now < end)
    }
}

impl Known {
    fn key(&self, id: &str) -> Option<Key> {
        self.keys.iter().find(|it| it.id == id).cloned()
    }
}
