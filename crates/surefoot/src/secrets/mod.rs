//! Secrets: read when the engine opens, handed to attempts, and blotted out of whatever attempts
//! give back. What the machine says (a file, then the environment) goes before what is kept in the
//! store.
//!
//! | file | holds |
//! |---|---|
//! | `kept` | secrets in the store, sealed |
//! | `key` | what they are sealed with |
//! | `blotter` | what takes them out of outputs, errors and logs |

mod blotter;
mod kept;
mod key;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, RwLock};

use surefoot_core::run::Secrets;
use surefoot_store::Store;

pub(crate) use self::blotter::Blotter;
pub use self::kept::{KeptSecret, NAME_LEN_MAX, SECRETS_MAX, SecretError, VALUE_BYTES_MAX};
pub use self::key::{KeyError, SecretsKey};
use crate::config::SecretsConfig;

/// The known secrets, by name in small letters.
#[derive(Default)]
pub(crate) struct Vault {
    /// Of the environment and the file.
    given: BTreeMap<String, String>,
    /// Of the store.
    kept: RwLock<BTreeMap<String, String>>,
    key: Option<SecretsKey>,
}

/// Why the secrets cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("the secrets file {} cannot be read: {cause}", path.display())]
    File { path: std::path::PathBuf, cause: std::io::Error },
    #[error(transparent)]
    Kept(#[from] SecretError),
}

impl Vault {
    /// Reads the environment, the file and the key.
    pub fn read(config: &SecretsConfig) -> Result<Vault, VaultError> {
        let mut given = BTreeMap::new();
        for (name, value) in std::env::vars() {
            if let Some(name) = name.strip_prefix(&config.env_prefix) {
                given.insert(name.to_lowercase(), value);
            }
        }
        if let Some(path) = &config.file {
            given.extend(read_file(path)?);
        }
        let key = SecretsKey::of_environment(config.key_file.as_deref());
        let key = key.map_err(SecretError::Key)?;
        Ok(Vault { given, kept: RwLock::default(), key })
    }

    /// Opens what the store keeps. One that cannot be opened is an error now, and not when a task
    /// needs it at night.
    pub async fn open_kept(&self, store: &dyn Store) -> Result<(), VaultError> {
        for (name, value) in kept::open_all(store, self.key.as_ref()).await? {
            self.keep(&name, &value);
        }
        Ok(())
    }

    fn key(&self) -> Option<&SecretsKey> {
        self.key.as_ref()
    }

    fn keep(&self, name: &str, value: &str) {
        self.kept
            .write()
            .unwrap_or_else(|it| it.into_inner())
            .insert(name.to_owned(), value.to_owned());
    }

    fn forget(&self, name: &str) {
        self.kept.write().unwrap_or_else(|it| it.into_inner()).remove(name);
    }

    fn get(&self, name: &str) -> Option<String> {
        let name = name.to_lowercase();
        let kept = || self.kept.read().unwrap_or_else(|it| it.into_inner()).get(&name).cloned();
        self.given.get(&name).cloned().or_else(kept)
    }

    /// Opens the vault for one attempt, which remembers what it took.
    pub fn lend(&self) -> Lent<'_> {
        Lent { vault: self, taken: Mutex::default() }
    }
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>, VaultError> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| VaultError::File { path: path.to_owned(), cause })?;
    let lines = text.lines().filter(|it| !it.trim_start().starts_with('#'));
    let pairs = lines.filter_map(|it| {
        let (name, value) = it.split_once('=')?;
        Some((name.trim().to_lowercase(), value.trim().to_owned()))
    });
    Ok(pairs.collect())
}

/// The vault, seen by one attempt.
pub(crate) struct Lent<'a> {
    vault: &'a Vault,
    taken: Mutex<Vec<String>>,
}

impl Secrets for Lent<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let value = self.vault.get(name)?;
        self.taken.lock().expect("nobody panics while holding the lock").push(value.clone());
        Some(value)
    }
}

impl Lent<'_> {
    /// Returns what blots out everything that was taken.
    pub fn blotter(self) -> Blotter {
        let taken = self.taken.into_inner().expect("nobody panics while holding the lock");
        Blotter::new(&taken)
    }
}
