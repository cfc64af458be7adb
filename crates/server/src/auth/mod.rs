//! Who asks, and what they may.
//!
//! | file | holds |
//! |---|---|
//! | `principal` | a caller who is known, and their role |
//! | `token` | what is kept of a token |
//! | `tokens` | the routes that make, list and revoke them |
//! | `oidc` | people whom an identity provider knows |
//! | `local` | who is let in where there are no tokens: this machine, but not the pages that it shows |
//! | `guesses` | slows down who tries tokens |

mod guesses;
mod local;
mod oidc;
mod principal;
mod token;
mod tokens;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::RwLock;

use axum::http::{HeaderMap, StatusCode, header};
use surefoot::core::time::Millis;
use surefoot::store::{Expect, ItemWrite, Store};

use guesses::Guesses;
pub use oidc::{Algorithm, OidcConfig, RoleOf};
use oidc::{Oidc, Unknown};
pub(crate) use principal::namespace;
pub use principal::{Principal, Role};
pub(crate) use token::Token;
pub use token::hash_for_config;
pub(crate) use tokens::routes;

use crate::config::ServerConfig;
use crate::problem::Problem;

/// Where tokens are kept.
const COLLECTION: &str = "tokens";
/// Tokens that are read in one go.
const TOKENS_AT_ONCE: u32 = 1000;

/// Knows everybody who may call.
pub(crate) struct Auth {
    /// By hash. Looking a hash up leaks nothing of the text through time, because nobody can choose
    /// texts whose hashes begin alike.
    tokens: RwLock<HashMap<[u8; 32], Token>>,
    oidc: Option<Oidc>,
    guesses: Guesses,
}

impl Auth {
    /// Reads the tokens of the configuration and of the store.
    pub async fn open(config: &ServerConfig, store: &dyn Store) -> Result<Auth, AuthError> {
        let oidc = config.oidc.as_ref().map(Oidc::new).transpose().map_err(AuthError::Config)?;
        let mut tokens = HashMap::new();
        for config in &config.tokens {
            let token = Token::of_config(config).map_err(AuthError::Config)?;
            tokens.insert(token.hash, token);
        }
        let mut after: Option<String> = None;
        loop {
            let items = store.items(COLLECTION, after.as_deref(), TOKENS_AT_ONCE).await?;
            let is_last = items.len() < TOKENS_AT_ONCE as usize;
            after = items.last().map(|it| it.key.clone());
            for item in items {
                let token: Token = serde_json::from_slice(&item.body)
                    .map_err(|error| AuthError::Config(format!("token `{}`: {error}", item.key)))?;
                tokens.insert(token.hash, token);
            }
            if is_last {
                return Ok(Auth { tokens: tokens.into(), oidc, guesses: Guesses::default() });
            }
        }
    }

    /// Whether callers without a token may do everything: there are no tokens at all, and no
    /// identity provider.
    pub fn is_open(&self) -> bool {
        self.oidc.is_none() && self.read(HashMap::is_empty)
    }

    /// Finds out who sent a request. `from` is the address that it came from, if that is known.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        from: Option<IpAddr>,
        now: Millis,
    ) -> Result<Principal, Problem> {
        if self.is_open() {
            // There is nothing that a token could add.
            return local::check(headers).map(|()| Principal::local());
        }
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Err(unknown("no token was sent"));
        };
        let text = value.to_str().unwrap_or_default();
        let token =
            text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, token)) = token else {
            return Err(unknown("the Authorization header is not `Bearer TOKEN`"));
        };
        let token = token.trim();
        let hash = Token::hash_of(token);
        let found = self.read(|all| all.get(&hash).map(|it| (it.has_expired(now), it.principal())));
        let wrong = match (found, &self.oidc) {
            (Some((false, principal)), _) => return Ok(principal),
            (Some((true, _)), _) => "the token has expired",
            (None, Some(oidc)) if oidc.may_know(token) => match oidc.find(token, now).await {
                Ok(principal) => return Ok(principal),
                Err(Unknown::Told(problem)) => return Err(problem),
                Err(Unknown::Wrong(reason)) => reason,
            },
            (None, _) => "the token is not known",
        };
        // Who has a good token is never held up by others behind the same address.
        self.guesses.note(from, now)?;
        Err(unknown(wrong))
    }

    fn read<T>(&self, look: impl FnOnce(&HashMap<[u8; 32], Token>) -> T) -> T {
        look(&self.tokens.read().unwrap_or_else(|it| it.into_inner()))
    }

    fn write<T>(&self, change: impl FnOnce(&mut HashMap<[u8; 32], Token>) -> T) -> T {
        change(&mut self.tokens.write().unwrap_or_else(|it| it.into_inner()))
    }

    /// Keeps a new token; nothing if the name is taken.
    pub async fn add(&self, store: &dyn Store, token: Token) -> Result<bool, Problem> {
        let body = serde_json::to_vec(&token).map_err(Problem::internal)?;
        let write = ItemWrite::put(COLLECTION, &token.name, Expect::Absent, body);
        let is_taken = self.read(|all| all.values().any(|it| it.name == token.name));
        if is_taken || store.write_items(vec![write]).await?.is_err() {
            return Ok(false);
        }
        self.write(|all| all.insert(token.hash, token));
        Ok(true)
    }

    /// Forgets a token; false if none that is kept has this name.
    pub async fn revoke(&self, store: &dyn Store, name: &str) -> Result<bool, Problem> {
        if store.item(COLLECTION, name).await?.is_none() {
            return Ok(false);
        }
        let write = ItemWrite::remove(COLLECTION, name, Expect::Anything);
        // An expectation of anything always holds.
        let _ = store.write_items(vec![write]).await?;
        self.write(|all| all.retain(|_, it| it.name != name));
        Ok(true)
    }

    /// Returns all tokens by name.
    pub fn all(&self) -> Vec<Token> {
        let mut all: Vec<Token> = self.read(|all| all.values().cloned().collect());
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }
}

/// Why the tokens cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("{0}")]
    Config(String),
    #[error(transparent)]
    Store(#[from] surefoot::store::Error),
}

fn unknown(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "SF4010", "you are not known here").detail(detail).hint(
        "Send `Authorization: Bearer TOKEN`: one of `surefoot token create`, or of the identity provider.",
    )
}
