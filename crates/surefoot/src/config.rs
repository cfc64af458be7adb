//! Settings of an engine: the tables of `surefoot.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use surefoot_core::limits::Limits;

use crate::kinds::{EgressConfig, EmitConfig, FileConfig, HttpConfig, ShellConfig, SqlConfig};
use crate::traces::TracesConfig;

/// Everything that an engine can be told. Every field has a default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub limits: Limits,
    /// Limits by kind of task, such as `[kinds.http] limit = 20`.
    pub kinds: BTreeMap<String, KindLimit>,
    pub secrets: SecretsConfig,
    pub http: HttpConfig,
    /// Where `http` and `emit` tasks and webhooks may go.
    pub egress: EgressConfig,
    /// By the name that `sql` tasks use.
    pub databases: SqlConfig,
    pub files: FileConfig,
    pub shell: ShellConfig,
    pub emit: EmitConfig,
    pub traces: TracesConfig,
    /// Allows definitions of generated size (100,000 tasks, 64 MiB).
    pub allow_large: bool,
    /// Starts runs whose handlers this process does not have.
    pub allow_unknown_handlers: bool,
}

/// How much of one kind of task may go on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KindLimit {
    /// At once.
    pub limit: Option<u32>,
    /// Starts per period, such as `10/s`.
    pub rate: Option<String>,
}

/// Where `secrets.NAME` comes from. The file wins over the environment, and the environment over
/// what is kept in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsConfig {
    /// Environment variables with this prefix are secrets.
    pub env_prefix: String,
    /// A file of `NAME=value` lines, readable by its owner alone.
    pub file: Option<PathBuf>,
    /// The key of secrets that are kept in the store; the variable `SUREFOOT_SECRETS_KEY` wins over
    /// it.
    pub key_file: Option<PathBuf>,
}

impl Default for SecretsConfig {
    fn default() -> SecretsConfig {
        SecretsConfig { env_prefix: "SUREFOOT_SECRET_".to_owned(), file: None, key_file: None }
    }
}
