//! What a command has at hand: the settings, the streams, the store.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use surefoot::store::{MemoryStore, Mode, SqliteStore, Store};
use surefoot::{By, Engine};

use crate::arguments::{Global, Who};
use crate::config::{self, Settings};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::remote::RemoteStore;

/// What others read while this process holds a store.
pub const PROGRAM: &str = "surefoot";

pub struct Session {
    pub global: Global,
    pub settings: Settings,
    pub output: Output,
    pub variables: BTreeMap<String, String>,
}

impl Session {
    pub fn new(global: Global) -> Result<Session> {
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let settings = config::load(&global, &variables)?;
        let live = !global.no_progress;
        let Settings { format, time, colour, .. } = settings;
        let output = Output::new(format, time, colour, global.quiet, live);
        Ok(Session { global, settings, output, variables })
    }

    /// The file of the store; nothing for a store in memory.
    pub fn store_path(&self) -> Option<PathBuf> {
        let name = self.settings.store.trim_start_matches("sqlite:");
        (name != "memory:").then(|| PathBuf::from(name))
    }

    /// Opens the store to read it, whoever owns it: the file, or the server that is named.
    pub fn reader(&self) -> Result<Arc<dyn Store>> {
        if let Some(client) = self.client()? {
            return Ok(Arc::new(RemoteStore::new(client)));
        }
        let Some(path) = self.store_path() else { return Ok(Arc::new(MemoryStore::new())) };
        if !path.exists() {
            return Err(no_store(&path));
        }
        Ok(Arc::new(SqliteStore::open(&path, Mode::Client)?))
    }

    /// Returns the server that commands talk to, if one is named.
    pub fn client(&self) -> Result<Option<surefoot_client::Client>> {
        if self.settings.server_url.is_empty() {
            return Ok(None);
        }
        let token = self.variables.get("SUREFOOT_TOKEN").cloned();
        Ok(Some(surefoot_client::Client::new(&self.settings.server_url, token)?))
    }

    /// Opens an engine that owns the store.
    pub async fn engine(&self, dispatch: bool, large: bool) -> Result<Engine> {
        let builder = self.builder(large).dispatch(dispatch);
        Ok(builder.open().await?)
    }

    pub fn builder(&self, large: bool) -> surefoot::EngineBuilder {
        let mut config = self.settings.engine.clone();
        config.allow_large |= large;
        let url = match self.store_path() {
            Some(path) => format!("sqlite:{}", path.display()),
            None => "memory:".to_owned(),
        };
        Engine::builder().store(&url).program(PROGRAM).config(config)
    }

    /// Who acts, and why.
    pub fn by(&self, who: &Who) -> By {
        let actor = who.actor.clone().unwrap_or_else(|| self.settings.actor.clone());
        By { actor, reason: who.reason.clone() }
    }

    /// Asks before something that cannot be undone.
    pub fn confirm(&self, question: &str) -> Result<()> {
        use std::io::{BufRead as _, IsTerminal as _, Write as _};
        if self.global.yes || !std::io::stdin().is_terminal() {
            return Ok(());
        }
        let mut err = self.output.err();
        write!(err, "{question} [y/N] ")?;
        err.flush()?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
        Err(Failure::new(Exit::Cancelled, "SF5006", "nothing was done")
            .hint("Answer y, or give --yes."))
    }
}

/// Tells whether another process holds the store.
pub fn is_locked(failure: &Failure) -> bool {
    failure.code == "SF5011"
}

fn no_store(path: &Path) -> Failure {
    let message = format!("there is no store at {} yet", path.display());
    Failure::new(Exit::NotFound, "SF5010", message)
        .hint("Run a workflow first (`surefoot run FILE`), or name another store with --store.")
}

/// Runs a command that waits for the store. One thread is enough for it.
pub fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    runtime(tokio::runtime::Builder::new_current_thread())?.block_on(work)
}

/// Runs workflows: on every core.
pub fn wait_on_all_cores<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = runtime(tokio::runtime::Builder::new_multi_thread())?;
    let done = runtime.block_on(work);
    // A blocking handler that never returns must not keep the process.
    runtime.shutdown_background();
    done
}

fn runtime(mut builder: tokio::runtime::Builder) -> Result<tokio::runtime::Runtime> {
    builder.enable_all().build().map_err(|error| {
        Failure::new(Exit::Unreachable, "SF5007", format!("no thread can be started: {error}"))
            .hint("Check the limits of processes and files of this user (`ulimit -a`).")
    })
}
