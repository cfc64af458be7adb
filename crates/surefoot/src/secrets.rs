//! Secrets: read once when the engine opens, handed to attempts, and blotted out of whatever
//! attempts give back.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::Value;
use surefoot_core::run::Secrets;

use crate::config::SecretsConfig;
use crate::kinds::TaskError;

/// What stands where a secret stood.
const BLOT: &str = "«secret»";
/// Shorter values are not blotted out: they would blot out half of every log.
const BLOTTED_LEN_MIN: usize = 4;

/// The known secrets.
#[derive(Default)]
pub(crate) struct Vault(BTreeMap<String, String>);

impl Vault {
    /// Reads the environment and the file.
    pub fn read(config: &SecretsConfig) -> std::io::Result<Vault> {
        let mut known = BTreeMap::new();
        for (name, value) in std::env::vars() {
            if let Some(name) = name.strip_prefix(&config.env_prefix) {
                known.insert(name.to_lowercase(), value);
            }
        }
        if let Some(path) = &config.file {
            let text = std::fs::read_to_string(path)?;
            let lines = text.lines().filter(|it| !it.trim_start().starts_with('#'));
            known.extend(lines.filter_map(|it| {
                let (name, value) = it.split_once('=')?;
                Some((name.trim().to_lowercase(), value.trim().to_owned()))
            }));
        }
        Ok(Vault(known))
    }

    /// Opens the vault for one attempt, which remembers what it took.
    pub fn lend(&self) -> Lent<'_> {
        Lent { vault: self, taken: Mutex::default() }
    }
}

/// The vault, seen by one attempt.
pub(crate) struct Lent<'a> {
    vault: &'a Vault,
    taken: Mutex<Vec<String>>,
}

impl Secrets for Lent<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let value = self.vault.0.get(&name.to_lowercase())?.clone();
        self.taken.lock().expect("nobody panics while holding the lock").push(value.clone());
        Some(value)
    }
}

impl Lent<'_> {
    /// Returns what blots out everything that was taken.
    pub fn blotter(self) -> Blotter {
        let mut taken = self.taken.into_inner().expect("nobody panics while holding the lock");
        taken.retain(|it| it.len() >= BLOTTED_LEN_MIN);
        // Longer ones first, in case one contains another.
        taken.sort_by_key(|it| std::cmp::Reverse(it.len()));
        Blotter(taken)
    }
}

/// Blots the secrets of one attempt out of texts and values.
#[derive(Clone, Default)]
pub(crate) struct Blotter(Vec<String>);

impl Blotter {
    pub fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), BLOT))
    }

    pub fn value(&self, value: Value) -> Value {
        if self.0.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|it| self.value(it)).collect(),
            Value::Object(entries) => Value::Object(
                entries.into_iter().map(|(key, it)| (self.text(&key), self.value(it))).collect(),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }

    pub fn error(&self, error: TaskError) -> TaskError {
        if self.0.is_empty() {
            return error;
        }
        let details = self.value(error.details);
        TaskError { message: self.text(&error.message), details, ..error }
    }
}
