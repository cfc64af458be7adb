//! Which setting holds: flag, SUREFOOT_* variable, ./surefoot.toml, the user's configuration,
//! default. Read once, here; everything else sees [`Settings`].

mod environment;
mod file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::arguments::{Colour, Format, Global, TimeStyle};
use crate::exit::Exit;
use crate::failure::{Failure, Result, suggestion};

/// The keys of the command itself; the others belong to the engine and the service.
const OWN: [&str; 6] = ["store", "output", "color", "time", "actor", "server_url"];
/// The table of the service.
const SERVER: &str = "server";
const FILE_NAME: &str = "surefoot.toml";

/// What holds.
#[derive(Debug)]
pub struct Settings {
    /// A path, or `memory:`.
    pub store: String,
    pub format: Format,
    pub colour: Colour,
    pub time: TimeStyle,
    /// Who acts, for the audit.
    pub actor: String,
    /// The server that commands talk to; empty for the store itself.
    pub server_url: String,
    pub engine: surefoot::Config,
    pub server: surefoot_server::ServerConfig,
    pub origins: Origins,
    pub project: PathBuf,
}

/// For each key its values, the one that holds first.
pub type Origins = BTreeMap<String, Vec<Origin>>;

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    pub source: String,
    pub value: Value,
}

/// Reads everything. `variables` is the environment.
pub fn load(global: &Global, variables: &BTreeMap<String, String>) -> Result<Settings> {
    let here = std::env::current_dir().map_err(|error| {
        Failure::new(Exit::Usage, "SF5003", format!("the current directory is gone: {error}"))
            .hint("Change to a directory that exists.")
    })?;
    let project_file = find_upwards(&here);
    let project = project_file.as_deref().and_then(Path::parent).unwrap_or(&here).to_owned();
    let own = environment::layer(variables, &known_keys());
    let mut layers = vec![flags(global), own, environment::telemetry(variables)];
    let profile = global.profile.clone().or_else(|| variables.get("SUREFOOT_PROFILE").cloned());
    let files = project_file.into_iter().chain(user_file(variables).filter(|it| it.is_file()));
    let files: Vec<file::File> = files.map(|it| file::read(&it)).collect::<Result<_>>()?;
    if let Some(profile) = &profile {
        layers.push(chosen_profile(profile, &files)?);
    }
    layers.extend(files.into_iter().map(|it| it.values));
    layers.push(defaults(&project, variables));
    settle(layers, project)
}

fn settle(layers: Vec<BTreeMap<String, Origin>>, project: PathBuf) -> Result<Settings> {
    let mut origins = Origins::new();
    for (key, origin) in layers.into_iter().flatten() {
        origins.entry(key).or_default().push(origin);
    }
    let text = |key: &str| {
        let value = origins.get(key).and_then(|it| it.first()).map(|it| &it.value);
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    Ok(Settings {
        store: store(text("store"))?,
        format: choice(&origins, "output")?,
        colour: choice(&origins, "color")?,
        time: choice(&origins, "time")?,
        actor: text("actor"),
        server_url: text("server_url"),
        engine: together(&origins, |key| !OWN.contains(&key) && !is_of_server(key))?,
        server: server(&origins)?,
        project,
        origins,
    })
}

/// A URL of another kind of store is not taken for the name of a file. It may hold a password, so
/// only its kind is told.
fn store(text: String) -> Result<String> {
    match text.split_once("://") {
        None | Some(("sqlite", _)) => Ok(text),
        Some((kind, _)) => {
            let message = format!("`store` cannot be a URL of `{kind}`");
            Err(Failure::new(Exit::Usage, "SF5022", message)
                .hint("Write sqlite:PATH, the path alone, or memory:."))
        }
    }
}

/// Reads a value that is one of a few words.
fn choice<T: clap::ValueEnum>(origins: &Origins, key: &str) -> Result<T> {
    let origin = origins.get(key).and_then(|it| it.first()).ok_or_else(|| unknown_key(key))?;
    let text = origin.value.as_str().unwrap_or_default();
    T::from_str(text, true).map_err(|_| {
        let words: Vec<String> = T::value_variants()
            .iter()
            .filter_map(|it| Some(it.to_possible_value()?.get_name().to_owned()))
            .collect();
        let message = format!("{}: `{key}` cannot be {}", origin.source, origin.value);
        Failure::new(Exit::Usage, "SF5022", message)
            .hint(suggestion(text, &words, "it may be").unwrap_or_default())
    })
}

fn is_of_server(key: &str) -> bool {
    key.split('.').next() == Some(SERVER)
}

fn server(origins: &Origins) -> Result<surefoot_server::ServerConfig> {
    #[derive(serde::Deserialize)]
    struct Table {
        server: surefoot_server::ServerConfig,
    }
    together::<Table>(origins, is_of_server).map(|it| it.server)
}

/// Puts the values of keys together that hold over the others.
fn together<T: serde::de::DeserializeOwned>(
    origins: &Origins,
    wanted: impl Fn(&str) -> bool,
) -> Result<T> {
    let mut table = Value::Object(Map::new());
    let keys = origins.iter().filter(|(key, _)| wanted(key));
    for (key, origin) in keys.filter_map(|(key, all)| Some((key, all.first()?))) {
        if !origin.value.is_null() {
            set(&mut table, key, origin.value.clone());
        }
    }
    T::deserialize(table).map_err(|error| {
        Failure::new(Exit::Usage, "SF5022", format!("the configuration is not valid: {error}"))
            .hint("See where each value comes from with `surefoot config show`.")
    })
}

fn set(target: &mut Value, path: &str, value: Value) {
    let mut at = target;
    for name in path.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(entries) = at else { return };
        at = entries.entry(name).or_insert(Value::Null);
    }
    *at = value;
}

fn flags(global: &Global) -> BTreeMap<String, Origin> {
    let word = |it: Option<clap::builder::PossibleValue>| it.map(|it| it.get_name().to_owned());
    use clap::ValueEnum as _;
    let given = [
        ("store", "--store", global.store.clone()),
        ("server_url", "--server", global.server.clone()),
        ("output", "-o", global.format.and_then(|it| word(it.to_possible_value()))),
        ("color", "--color", global.color.and_then(|it| word(it.to_possible_value()))),
        ("time", "--time", global.time.and_then(|it| word(it.to_possible_value()))),
    ];
    given
        .into_iter()
        .filter_map(|(key, flag, value)| {
            let source = format!("the flag {flag}");
            Some((key.to_owned(), Origin { source, value: Value::from(value?) }))
        })
        .collect()
}

fn defaults(project: &Path, variables: &BTreeMap<String, String>) -> BTreeMap<String, Origin> {
    let engine = serde_json::to_value(surefoot::Config::default()).unwrap_or_default();
    let mut values = BTreeMap::new();
    flatten("", &engine, &mut values);
    let server = surefoot_server::ServerConfig::default();
    flatten(SERVER, &serde_json::to_value(server).unwrap_or_default(), &mut values);
    values.insert("server_url".to_owned(), Value::from(""));
    let store = project.join(".surefoot").join("store.db");
    let user = variables.get("USER").or_else(|| variables.get("LOGNAME"));
    values.insert("store".to_owned(), Value::from(store.display().to_string()));
    values.insert("actor".to_owned(), Value::from(user.map_or("cli", String::as_str)));
    for (key, word) in [("output", "table"), ("color", "auto"), ("time", "relative")] {
        values.insert(key.to_owned(), Value::from(word));
    }
    let origin = |value| Origin { source: "default".to_owned(), value };
    values.into_iter().map(|(key, value)| (key, origin(value))).collect()
}

/// Writes the leaves of a tree under dotted names.
fn flatten(prefix: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&key, value, into);
            }
        }
        leaf => {
            into.insert(prefix.to_owned(), leaf.clone());
        }
    }
}

/// Every key that can be named without knowing the names of databases and the like.
pub fn known_keys() -> Vec<String> {
    defaults(Path::new("."), &BTreeMap::new()).into_keys().collect()
}

pub fn unknown_key(key: &str) -> Failure {
    let failure = Failure::new(Exit::NotFound, "SF5021", format!("there is no setting `{key}`"));
    match suggestion(key, &known_keys(), "there are") {
        Some(hint) => failure.hint(hint),
        None => failure.hint("List them with `surefoot config show`."),
    }
}

fn chosen_profile(name: &str, files: &[file::File]) -> Result<BTreeMap<String, Origin>> {
    if let Some(found) = files.iter().find_map(|it| it.profiles.get(name)) {
        return Ok(found.clone());
    }
    let known: Vec<String> = files.iter().flat_map(|it| it.profiles.keys().cloned()).collect();
    let message = format!("there is no profile `{name}`");
    Err(Failure::new(Exit::Usage, "SF5023", message).hint(
        suggestion(name, &known, "there are")
            .unwrap_or_else(|| format!("Add a table [profile.{name}] to {FILE_NAME}.")),
    ))
}

/// Looks for the project's file here and above, as far as the root of a repository.
fn find_upwards(here: &Path) -> Option<PathBuf> {
    for directory in here.ancestors() {
        let file = directory.join(FILE_NAME);
        if file.is_file() {
            return Some(file);
        }
        if directory.join(".git").exists() {
            break;
        }
    }
    None
}

/// Where `config set` writes.
pub fn file_to_set(
    project: &Path,
    user: bool,
    variables: &BTreeMap<String, String>,
) -> Option<PathBuf> {
    if user { user_file(variables) } else { Some(project.join(FILE_NAME)) }
}

fn user_file(variables: &BTreeMap<String, String>) -> Option<PathBuf> {
    let named = |name: &str| variables.get(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    let folder = named("XDG_CONFIG_HOME").or_else(|| Some(named("HOME")?.join(".config")))?;
    Some(folder.join("surefoot").join("config.toml"))
}

/// Hides what is secret in a value that is shown.
pub fn masked(key: &str, value: &Value) -> Value {
    const HIDDEN: &str = "********";
    let last = key.rsplit('.').next().unwrap_or(key);
    let is_secret =
        ["password", "token", "secret"].contains(&last) || key.starts_with("traces.headers.");
    match value {
        Value::String(_) if is_secret => Value::from(HIDDEN),
        Value::String(text) => Value::from(without_password(text)),
        other => other.clone(),
    }
}

/// Hides the password of a URL such as `postgres://user:password@host/name`.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split('/').next().unwrap_or(rest);
    let Some((user, host)) = authority.rsplit_once('@') else { return text.to_owned() };
    let name = user.split(':').next().unwrap_or(user);
    let tail = &rest[authority.len()..];
    format!("{scheme}://{name}:********@{host}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden() {
        let shown = |key: &str, value: &str| masked(key, &Value::from(value));
        assert_eq!(shown("databases.shop.password", "hunter2"), "********");
        assert_eq!(
            shown("databases.shop.url", "postgres://ada:p@ss@db:5432/shop"),
            "postgres://ada:********@db:5432/shop"
        );
        assert_eq!(shown("traces.headers.x-api-key", "k1"), "********");
        assert_eq!(shown("store", "/tmp/a.db"), "/tmp/a.db");
    }
}
