//! A token: a text that only its holder and nobody's disk has.

use std::str::FromStr;

use surefoot::core::time::Millis;

use super::principal::Principal;
use crate::config::TokenConfig;

/// What is known of a token: whom it makes its holder.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    principal: Principal,
    expires_at: Option<Millis>,
}

impl Token {
    /// Reads a token of the configuration.
    pub fn of_config(config: &TokenConfig) -> Result<([u8; 32], Token), String> {
        let hex = config.hash.strip_prefix("blake3:").ok_or_else(|| {
            format!("server.tokens `{}`: the hash must begin with `blake3:`", config.name)
        })?;
        let hash = blake3::Hash::from_str(hex).map_err(|error| {
            format!(
                "server.tokens `{}`: the hash is not 64 hexadecimal digits: {error}",
                config.name
            )
        })?;
        let set = |it: &Option<Vec<String>>| it.as_ref().map(|it| it.iter().cloned().collect());
        let principal = Principal {
            actor: config.name.clone(),
            role: config.role,
            namespaces: set(&config.namespaces),
            groups: Some(config.groups.clone()),
            capabilities: set(&config.capabilities),
        };
        Ok((*hash.as_bytes(), Token { principal, expires_at: None }))
    }

    pub fn has_expired(&self, now: Millis) -> bool {
        self.expires_at.is_some_and(|it| it <= now)
    }

    pub fn principal(&self) -> Principal {
        self.principal.clone()
    }
}
