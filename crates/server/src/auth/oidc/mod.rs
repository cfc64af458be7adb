//! People whom an identity provider knows (OpenID Connect). What they send is a token that the
//! provider signed; what is asked of the provider itself is only its public keys.
//!
//! | file | holds |
//! |---|---|
//! | `config` | the table `[server.oidc]` |
//! | `jws` | the form of a token and its signature |
//! | `keys` | the provider's keys |
//! | `claims` | what a token says, and whom it makes its holder |

mod claims;
mod config;
mod jws;
mod keys;

use std::sync::Arc;

use axum::http::StatusCode;
use surefoot::core::time::Millis;

use self::claims::{Claims, Refused};
pub use self::config::{OidcConfig, RoleOf};
pub use self::jws::Algorithm;
use self::jws::Token;
use self::keys::{Keys, Unavailable};
use super::principal::Principal;
use crate::problem::Problem;

/// Seconds after which a caller asks again while the provider does not answer.
const RETRY_SECONDS: u64 = 5;

/// Knows people by their tokens.
pub(super) struct Oidc {
    config: Arc<OidcConfig>,
    keys: Keys,
}

/// Why a token names nobody.
pub(super) enum Unknown {
    /// It is wrong, and this may be said of it.
    Wrong(&'static str),
    /// It is good, or it cannot be known whether it is.
    Told(Problem),
}

impl Oidc {
    pub fn new(config: &OidcConfig) -> Result<Oidc, String> {
        config.check()?;
        let config = Arc::new(config.clone());
        Ok(Oidc { keys: Keys::new(config.clone()), config })
    }

    /// Whether a text could be a token of the provider.
    pub fn may_know(&self, text: &str) -> bool {
        jws::looks_like_one(text)
    }

    /// Finds out whom a token names.
    pub async fn find(&self, text: &str, now: Millis) -> Result<Principal, Unknown> {
        let claims = match self.verified(text, now).await? {
            Ok(claims) => claims,
            Err(reason) => {
                // Whoever made it up learns nothing from the answer.
                tracing::debug!(reason, "an identity token is refused");
                return Err(Unknown::Wrong("the token is not known"));
            }
        };
        let found = claims::check(&claims, &self.config, now);
        found.and_then(|()| claims::principal(&claims, &self.config)).map_err(|refused| {
            match refused {
                Refused::Token(reason) => Unknown::Wrong(reason),
                Refused::NoRole(actor) => Unknown::Told(no_role(&actor)),
            }
        })
    }

    /// Returns what a token says, if the provider signed it; else why not.
    async fn verified(
        &self,
        text: &str,
        now: Millis,
    ) -> Result<Result<Claims, &'static str>, Unknown> {
        let token = match Token::read(text) {
            Ok(token) if self.config.algorithms.contains(&token.algorithm) => token,
            Ok(_) => return Ok(Err("its algorithm is not taken")),
            Err(reason) => return Ok(Err(reason)),
        };
        let key = self.keys.find(&token.key_id, now).await;
        let key = key.map_err(|Unavailable| Unknown::Told(unreachable()))?;
        Ok(key.ok_or("its key is not the provider's").and_then(|it| token.verified(&it)))
    }
}

fn no_role(actor: &str) -> Problem {
    let title = format!("`{actor}` has no role here");
    Problem::new(StatusCode::FORBIDDEN, "SF4011", title)
        .hint("An admin names a group or role of yours under `roles` in [server.oidc].")
}

fn unreachable() -> Problem {
    let title = "the identity provider does not answer";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "SF4030", title)
        .hint("Send it again. Tokens of `surefoot token create` are known without the provider.")
        .retry_after(RETRY_SECONDS)
}
