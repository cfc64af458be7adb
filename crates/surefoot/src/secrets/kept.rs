//! Secrets that are kept in the store, each sealed with a key that is not in it. The name of a
//! secret, and who set it when, are sealed in: a body that is moved under another name does not open.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use surefoot_core::time::Millis;
use surefoot_store::{Expect, Item, ItemWrite, Store};

use super::key::{KeyError, SecretsKey};
use crate::engine::Engine;

/// Where they are kept.
const COLLECTION: &str = "secrets";
/// Secrets of one store. All of them are written in one go when the key changes.
pub const SECRETS_MAX: usize = 500;
/// Bytes of one value.
pub const VALUE_BYTES_MAX: usize = 16 * 1024;
/// Letters of a name.
pub const NAME_LEN_MAX: usize = 128;

/// A kept secret, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSecret {
    pub name: String,
    pub set_at: Millis,
    pub set_by: String,
    /// The id of the key that it is sealed with.
    pub key: String,
}

/// Why a secret was not kept, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(
        "`{name}` cannot be the name of a secret: letters, digits and `_`, no digit first, at most {NAME_LEN_MAX}"
    )]
    Name { name: String },
    #[error("the value has {bytes} bytes; a secret has 1 to {VALUE_BYTES_MAX}")]
    Value { bytes: usize },
    #[error("there are {SECRETS_MAX} secrets already")]
    TooMany,
    #[error("there is no key to seal secrets with")]
    NoKey,
    /// Opening it needs a key that is not here.
    #[error("the secret `{name}` is sealed with the key {needed}, and {}", what_is_held(.held.as_deref()))]
    Locked { name: String, needed: String, held: Option<String> },
    #[error("the secret `{name}` does not open: it was damaged, or put there by somebody else")]
    Damaged { name: String },
    #[error("somebody else changed the secrets at the same time")]
    Conflict,
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] surefoot_store::Error),
}

fn what_is_held(key: Option<&str>) -> String {
    key.map_or_else(|| "no key is given".to_owned(), |it| format!("the key given is {it}"))
}

/// A secret as it is kept.
#[derive(Serialize, Deserialize)]
struct Sealed {
    key: String,
    sealed: String,
    set_at: Millis,
    set_by: String,
}

impl Sealed {
    fn new(key: &SecretsKey, name: &str, value: &str, set_at: Millis, set_by: &str) -> Sealed {
        let sealed = STANDARD.encode(key.seal(value, &about(name, set_at, set_by)));
        Sealed { key: key.id().to_owned(), sealed, set_at, set_by: set_by.to_owned() }
    }

    fn open(&self, name: &str, key: Option<&SecretsKey>) -> Result<String, SecretError> {
        let Some(key) = key.filter(|it| it.id() == self.key) else {
            let held = key.map(|it| it.id().to_owned());
            return Err(SecretError::Locked {
                name: name.to_owned(),
                needed: self.key.clone(),
                held,
            });
        };
        let bytes = STANDARD.decode(&self.sealed).ok();
        let value = bytes.and_then(|it| key.open(&it, &about(name, self.set_at, &self.set_by)));
        value.ok_or_else(|| SecretError::Damaged { name: name.to_owned() })
    }

    fn write(&self, name: &str, expect: Expect) -> ItemWrite {
        let body = serde_json::to_vec(self).expect("texts and numbers are always JSON");
        ItemWrite::put(COLLECTION, name, expect, body)
    }
}

fn about(name: &str, set_at: Millis, set_by: &str) -> String {
    format!("surefoot secret 1\n{name}\n{set_at}\n{set_by}")
}

async fn items(store: &dyn Store) -> Result<Vec<(Item, Sealed)>, SecretError> {
    let items = store.items(COLLECTION, None, SECRETS_MAX as u32).await?;
    let read = items.into_iter().map(|it| match serde_json::from_slice(&it.body) {
        Ok(sealed) => Ok((it, sealed)),
        Err(_) => Err(SecretError::Damaged { name: it.key }),
    });
    read.collect()
}

/// Opens every kept secret, by name.
pub(super) async fn open_all(
    store: &dyn Store,
    key: Option<&SecretsKey>,
) -> Result<Vec<(String, String)>, SecretError> {
    let all = items(store).await?;
    let opened = all.into_iter().map(|(it, sealed)| {
        let value = sealed.open(&it.key, key)?;
        Ok((it.key, value))
    });
    opened.collect()
}

/// Names are not case sensitive.
fn name_of(text: &str) -> Result<String, SecretError> {
    let is_first = |it: u8| it.is_ascii_alphabetic() || it == b'_';
    let is_name = text.len() <= NAME_LEN_MAX
        && text.bytes().next().is_some_and(is_first)
        && text.bytes().all(|it| is_first(it) || it.is_ascii_digit());
    match is_name {
        true => Ok(text.to_lowercase()),
        false => Err(SecretError::Name { name: text.chars().take(NAME_LEN_MAX).collect() }),
    }
}

impl Engine {
    /// Keeps a secret, sealed, in place of what it was before. Attempts that start from now on get
    /// the new value.
    pub async fn set_secret(
        &self,
        name: &str,
        value: &str,
        actor: &str,
    ) -> Result<KeptSecret, SecretError> {
        let name = name_of(name)?;
        if !(1..=VALUE_BYTES_MAX).contains(&value.len()) {
            return Err(SecretError::Value { bytes: value.len() });
        }
        let key = self.vault().key().ok_or(SecretError::NoKey)?;
        let all = self.kept_secrets().await?;
        if all.len() >= SECRETS_MAX && all.iter().all(|it| it.name != name) {
            return Err(SecretError::TooMany);
        }
        let sealed = Sealed::new(key, &name, value, self.now(), actor);
        // An expectation of anything always holds.
        let _ = self.store().write_items(vec![sealed.write(&name, Expect::Anything)]).await?;
        self.vault().keep(&name, value);
        Ok(KeptSecret { name, set_at: sealed.set_at, set_by: sealed.set_by, key: sealed.key })
    }

    /// Forgets a secret; false if none of this name is kept. Needs no key.
    pub async fn remove_secret(&self, name: &str) -> Result<bool, SecretError> {
        let name = name_of(name)?;
        if self.store().item(COLLECTION, &name).await?.is_none() {
            return Ok(false);
        }
        let write = ItemWrite::remove(COLLECTION, &name, Expect::Anything);
        // An expectation of anything always holds.
        let _ = self.store().write_items(vec![write]).await?;
        self.vault().forget(&name);
        Ok(true)
    }

    /// Returns the secrets that are kept, by name, without their values. Needs no key.
    pub async fn kept_secrets(&self) -> Result<Vec<KeptSecret>, SecretError> {
        let all = items(&**self.store()).await?.into_iter().map(|(item, sealed)| KeptSecret {
            name: item.key,
            set_at: sealed.set_at,
            set_by: sealed.set_by,
            key: sealed.key,
        });
        Ok(all.collect())
    }

    /// Seals every secret with another key: all of them or none. The engine goes on with the old
    /// one; the new one is for the next start. Returns how many there are.
    pub async fn reseal_secrets(&self, new: &SecretsKey) -> Result<usize, SecretError> {
        let all = items(&**self.store()).await?;
        let mut writes = Vec::new();
        for (item, sealed) in &all {
            // Those that a rotation before this one sealed already.
            if sealed.key == new.id() {
                continue;
            }
            let value = sealed.open(&item.key, self.vault().key())?;
            let sealed = Sealed::new(new, &item.key, &value, sealed.set_at, &sealed.set_by);
            writes.push(sealed.write(&item.key, Expect::Revision(item.revision)));
        }
        if !writes.is_empty() && self.store().write_items(writes).await?.is_err() {
            return Err(SecretError::Conflict);
        }
        Ok(all.len())
    }
}
