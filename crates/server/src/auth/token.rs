//! A token: a text that only its holder has. What is kept is its hash, and whom it makes them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use surefoot::core::time::Millis;

use super::principal::{Principal, Role};
use crate::config::TokenConfig;

/// What every token begins with, so that a leaked one is recognised.
const PREFIX: &str = "sf_";
/// How a hash begins in the configuration.
const HASH_PREFIX: &str = "blake3:";

/// What is known of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    /// Who acts; unique among the tokens that are kept.
    pub name: String,
    /// Of the token's text.
    #[serde(with = "hex")]
    pub hash: [u8; 32],
    pub role: Role,
    pub namespaces: Option<Vec<String>>,
    pub groups: Vec<String>,
    pub capabilities: Option<Vec<String>>,
    pub created_at: Millis,
    pub created_by: String,
    pub expires_at: Option<Millis>,
}

impl Token {
    /// Makes the text of a new token: 256 random bits.
    pub fn new_text() -> String {
        let bits: [u8; 32] = rand::random();
        format!("{PREFIX}{}", blake3::Hash::from_bytes(bits).to_hex())
    }

    /// The text has 256 random bits, so a fast hash is as good as a slow one.
    pub fn hash_of(text: &str) -> [u8; 32] {
        *blake3::hash(text.as_bytes()).as_bytes()
    }

    /// Reads a token of the configuration.
    pub fn of_config(config: &TokenConfig) -> Result<Token, String> {
        let wrong = |what: &str| format!("server.tokens `{}`: {what}", config.name);
        let hex = config.hash.strip_prefix(HASH_PREFIX);
        let hex = hex.ok_or_else(|| wrong("the hash must begin with `blake3:`"))?;
        let hash = blake3::Hash::from_str(hex)
            .map_err(|_| wrong("the hash is not `blake3:` and 64 hexadecimal digits"))?;
        Ok(Token {
            name: config.name.clone(),
            hash: *hash.as_bytes(),
            role: config.role,
            namespaces: config.namespaces.clone(),
            groups: config.groups.clone(),
            capabilities: config.capabilities.clone(),
            created_at: 0,
            created_by: "the configuration".to_owned(),
            expires_at: None,
        })
    }

    pub fn has_expired(&self, now: Millis) -> bool {
        self.expires_at.is_some_and(|it| it <= now)
    }

    /// Returns whom the token makes its holder.
    pub fn principal(&self) -> Principal {
        let set = |it: &Option<Vec<String>>| it.as_ref().map(|it| it.iter().cloned().collect());
        Principal {
            actor: self.name.clone(),
            role: self.role,
            namespaces: set(&self.namespaces),
            groups: Some(self.groups.clone()),
            capabilities: set(&self.capabilities),
            said: Default::default(),
        }
    }
}

/// Writes a hash for the configuration.
pub fn hash_for_config(text: &str) -> String {
    format!("{HASH_PREFIX}{}", blake3::hash(text.as_bytes()).to_hex())
}

/// A hash as 64 digits.
mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(hash: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&blake3::Hash::from_bytes(*hash).to_hex())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        let hash: blake3::Hash = text.parse().map_err(D::Error::custom)?;
        Ok(*hash.as_bytes())
    }
}
