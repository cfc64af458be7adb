//! `surefoot secret`: secrets that the store keeps, sealed.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use surefoot::Engine;
use surefoot::secrets::{KeyError, SecretError, SecretsKey, VALUE_BYTES_MAX};
use surefoot_client::wire;

use super::authority::Authority;
use crate::arguments::{Secret, SecretAction};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{Table, style};
use crate::session::{Session, is_locked, wait};

pub fn secret(session: &Session, arguments: Secret) -> Result<Exit> {
    wait(async {
        match arguments.action {
            SecretAction::Set { name, file } => set(session, &name, file.as_deref()).await,
            SecretAction::List => list(session).await,
            SecretAction::Remove { name } => remove(session, &name).await,
            SecretAction::RotateKey { file } => rotate_key(session, &file).await,
        }
    })
}

/// Unlike commands about runs, these may be the first that a store hears of.
async fn authority(session: &Session) -> Result<Authority> {
    if let Some(client) = session.client()? {
        return Ok(Authority::Server(client));
    }
    match session.engine(false, true).await {
        Ok(engine) => Ok(Authority::Here(engine)),
        Err(failure) if is_locked(&failure) => Err(failure
            .hint("Ask the server that runs: --server http://127.0.0.1:7070, or SUREFOOT_SERVER.")),
        Err(failure) => Err(failure),
    }
}

async fn set(session: &Session, name: &str, file: Option<&Path>) -> Result<Exit> {
    let value = value(file)?;
    match authority(session).await? {
        Authority::Server(client) => {
            let body = json!(wire::PutSecret { value });
            client.call("PUT", &path(name), Some(&body)).await?;
        }
        Authority::Here(engine) => {
            let done = engine.set_secret(name, &value, &session.settings.actor).await;
            engine.stop(Duration::ZERO).await?;
            done?;
        }
        Authority::Elsewhere { owner } => return Err(elsewhere(owner)),
    }
    session.output.say(format!("secrets.{} is kept, sealed", name.to_lowercase()));
    Ok(Exit::Ok)
}

async fn list(session: &Session) -> Result<Exit> {
    let all = match authority(session).await? {
        Authority::Server(client) => {
            client.get::<wire::Page<wire::Secret>>("/v1/secrets").await?.items
        }
        Authority::Here(engine) => kept(&engine).await?,
        Authority::Elsewhere { owner } => return Err(elsewhere(owner)),
    };
    if !session.output.is_for_people() {
        let list: Vec<_> = all.iter().map(|it| (it.name.clone(), json!(it))).collect();
        session.output.list(&list)?;
        return Ok(Exit::Ok);
    }
    if all.is_empty() {
        session
            .output
            .say("no secrets are kept; those of the environment and the file are not listed");
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["NAME", "SET", "BY", "KEY"]);
    for it in all {
        table.row(style::NAME, vec![it.name, it.set_at, it.set_by, it.key]);
    }
    session.output.text(&table.print(None))?;
    Ok(Exit::Ok)
}

async fn kept(engine: &Engine) -> Result<Vec<wire::Secret>> {
    let all = engine.kept_secrets().await;
    engine.stop(Duration::ZERO).await?;
    let to_wire = |it: surefoot::secrets::KeptSecret| wire::Secret {
        name: it.name,
        set_at: crate::output::time::iso(it.set_at),
        set_by: it.set_by,
        key: it.key,
    };
    Ok(all?.into_iter().map(to_wire).collect())
}

async fn remove(session: &Session, name: &str) -> Result<Exit> {
    match authority(session).await? {
        Authority::Server(client) => client.delete(&path(name)).await?,
        Authority::Here(engine) => {
            let done = engine.remove_secret(name).await;
            engine.stop(Duration::ZERO).await?;
            if !done? {
                let message = format!("no secret `{name}` is kept");
                return Err(Failure::new(Exit::NotFound, "SF5103", message)
                    .hint("See what is with `surefoot secret list`. Those of the environment and the file are changed there."));
            }
        }
        Authority::Elsewhere { owner } => return Err(elsewhere(owner)),
    }
    session.output.say(format!("secrets.{} is forgotten", name.to_lowercase()));
    Ok(Exit::Ok)
}

/// Seals everything with the key of a file, which is made if there is none.
async fn rotate_key(session: &Session, file: &Path) -> Result<Exit> {
    let engine = match authority(session).await? {
        Authority::Here(engine) => engine,
        Authority::Server(_) => {
            let message = "a server's key is changed where its store is";
            return Err(Failure::new(Exit::Usage, "SF5103", message)
                .hint("Stop the server, and run this beside its store, without --server."));
        }
        Authority::Elsewhere { owner } => return Err(elsewhere(owner)),
    };
    let done = async {
        // The key is safe on the disk before anything is sealed with it.
        let new = match file.exists() {
            true => SecretsKey::read(file),
            false => SecretsKey::write_new(file),
        };
        let new = new.map_err(SecretError::Key)?;
        Ok::<_, SecretError>((engine.reseal_secrets(&new).await?, new))
    };
    let done = done.await;
    engine.stop(Duration::ZERO).await?;
    let (count, new) = done?;
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    session.output.say(format!("{count} secrets are sealed with the key {}", new.id()));
    session.output.say(format!("from now on: secrets.key_file = \"{}\"", file.display()));
    session
        .output
        .say("Keep a copy of it apart from backups of the store: without it nothing opens them.");
    Ok(Exit::Ok)
}

fn path(name: &str) -> String {
    format!("/v1/secrets/{}", surefoot_client::segment(name))
}

/// Reads a value from a file or from standard input, never from the arguments, which every user of
/// the machine can see. One line break at the end is the editor's, or `echo`'s.
fn value(file: Option<&Path>) -> Result<String> {
    let bytes = match file {
        Some(file) => crate::input::read(file)?,
        None => {
            let mut bytes = Vec::new();
            std::io::stdin().lock().take(VALUE_BYTES_MAX as u64 + 2).read_to_end(&mut bytes)?;
            bytes
        }
    };
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::new(Exit::Usage, "SF5103", "the value is not UTF-8 text")
            .hint("Encode it, for example with base64.")
    })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    Ok(text.to_owned())
}

fn elsewhere(owner: String) -> Failure {
    Failure::new(Exit::Conflict, "SF5011", owner)
        .hint("Ask the server that runs: --server http://127.0.0.1:7070, or SUREFOOT_SERVER.")
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Failure {
        let message = error.to_string();
        match error {
            SecretError::NoKey => Failure::new(Exit::Usage, "SF5101", message).hint(
                "Make one with `surefoot secret rotate-key FILE`, then name it: SUREFOOT_SECRETS_KEY_FILE, or secrets.key_file in surefoot.toml.",
            ),
            SecretError::Locked { .. } => Failure::new(Exit::Unreachable, "SF5101", message).hint(
                "Give that key (SUREFOOT_SECRETS_KEY, SUREFOOT_SECRETS_KEY_FILE or secrets.key_file). If it is lost, `surefoot secret remove` the secret and set it again with a new key.",
            ),
            SecretError::Damaged { .. } => Failure::new(Exit::Unreachable, "SF5101", message)
                .hint("`surefoot secret remove` it and set it again, or restore a backup."),
            SecretError::Key(KeyError::Form { .. }) => Failure::new(Exit::Usage, "SF5102", message)
                .hint("`surefoot secret rotate-key FILE` makes a key; `openssl rand -hex 32` does too."),
            SecretError::Key(_) => Failure::new(Exit::Usage, "SF5102", message)
                .hint("Check the path and its permissions."),
            SecretError::Name { .. } | SecretError::Value { .. } => {
                Failure::new(Exit::Usage, "SF5103", message)
                    .hint("A secret is named as definitions have it, `secrets.NAME`.")
            }
            SecretError::TooMany | SecretError::Conflict => {
                Failure::new(Exit::Conflict, "SF5103", message)
                    .hint("See what is kept with `surefoot secret list`.")
            }
            SecretError::Store(error) => error.into(),
        }
    }
}
