//! Who asks, and what they may.

mod principal;
mod token;

use std::collections::HashMap;

use axum::http::{HeaderMap, StatusCode, header};
use surefoot::core::time::Millis;

pub use principal::{Principal, Role};
pub(crate) use token::Token;

use crate::config::TokenConfig;
use crate::problem::Problem;

/// Knows everybody who may call.
pub(crate) struct Auth {
    /// By the hash of the token's text. A token is 256 random bits, so its hash tells nothing of it
    /// and looking it up by hash leaks nothing through time.
    tokens: std::sync::RwLock<HashMap<[u8; 32], Token>>,
    /// Whether callers without a token may do everything.
    is_open: bool,
}

impl Auth {
    /// Reads the tokens of the configuration; without any, the service is open.
    pub fn new(tokens: &[TokenConfig]) -> Result<Auth, String> {
        let mut known = HashMap::new();
        for config in tokens {
            let (hash, token) = Token::of_config(config)?;
            known.insert(hash, token);
        }
        Ok(Auth { is_open: known.is_empty(), tokens: known.into() })
    }

    /// Whether callers without a token may do everything.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Finds out who sent a request.
    pub fn authenticate(&self, headers: &HeaderMap, now: Millis) -> Result<Principal, Problem> {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            if self.is_open {
                return Ok(Principal::local());
            }
            return Err(unauthenticated("no token was sent"));
        };
        let text = value.to_str().unwrap_or_default();
        let token =
            text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, token)) = token else {
            return Err(unauthenticated("the Authorization header is not `Bearer TOKEN`"));
        };
        let hash = *blake3::hash(token.trim().as_bytes()).as_bytes();
        let tokens = self.tokens.read().unwrap_or_else(|it| it.into_inner());
        match tokens.get(&hash) {
            Some(token) if token.has_expired(now) => Err(unauthenticated("the token has expired")),
            Some(token) => Ok(token.principal()),
            None => Err(unauthenticated("the token is not known")),
        }
    }
}

fn unauthenticated(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "SF4010", "you are not known here").detail(detail).hint(
        "Send `Authorization: Bearer TOKEN`; an admin makes tokens with `surefoot token create`.",
    )
}
