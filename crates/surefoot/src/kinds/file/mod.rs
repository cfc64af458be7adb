//! The kind `file`: reads and changes files inside configured roots, and nothing outside them.

mod beneath;
mod operations;
mod roots;
mod walk;
mod write;

use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use surefoot_core::task_error::TaskError;

use self::operations::With;
use self::roots::Roots;
use super::bounded::blocking;
use super::{Context, Kind, parameters};

/// `[files]` in surefoot.toml.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileConfig {
    /// Directories that tasks may use; the first one is where relative paths start. None: every
    /// file task is refused.
    pub roots: Vec<Root>,
    /// Bytes of a file that is read into an output, unless the task says otherwise.
    pub max_read_bytes: u64,
    /// Bytes of a file that is copied or summed.
    pub max_file_bytes: u64,
    /// Entries that `list` and `glob` give.
    pub max_entries: usize,
}

impl Default for FileConfig {
    fn default() -> FileConfig {
        FileConfig {
            roots: Vec::new(),
            max_read_bytes: 1024 * 1024,
            max_file_bytes: 1024 * 1024 * 1024,
            max_entries: 10_000,
        }
    }
}

/// A directory that file tasks may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// What `root` in a task says.
    #[serde(default)]
    pub name: Option<String>,
    pub path: PathBuf,
    #[serde(default)]
    pub read_only: bool,
}

pub struct FileKind {
    config: FileConfig,
}

impl FileKind {
    pub fn new(config: FileConfig) -> FileKind {
        FileKind { config }
    }
}

#[async_trait]
impl Kind for FileKind {
    async fn run(&self, context: &Context, with: Value) -> Result<Value, TaskError> {
        let with: With = parameters::parse("file", with)?;
        let config = self.config.clone();
        let attempt = write::Attempt {
            number: context.attempt,
            idempotency_key: context.idempotency_key.clone(),
        };
        blocking(context, None, move |abort| {
            let roots = Roots::new(&config.roots);
            operations::run(&config, &roots, with, &attempt, abort)
        })
        .await
    }
}
