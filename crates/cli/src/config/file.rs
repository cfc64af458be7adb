//! One file of settings. Everything that is wrong with it is told with file and line.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize as _;
use serde_json::Value;
use toml::Spanned;
use toml::de::DeTable;

use super::{OWN, Origin, SERVER, flatten};
use crate::exit::Exit;
use crate::failure::{Failure, Result, suggestion};

/// Bytes of a file of settings.
const FILE_BYTES_MAX: usize = 1024 * 1024;

pub struct File {
    pub values: BTreeMap<String, Origin>,
    pub profiles: BTreeMap<String, BTreeMap<String, Origin>>,
}

pub fn read(path: &Path) -> Result<File> {
    let bytes = crate::input::read(path)?;
    let place = Place { path, text: text(path, &bytes)? };
    let root = DeTable::parse(place.text).map_err(|error| place.wrong(&error))?;
    let mut engine = root.clone();
    for key in OWN.iter().chain(&["profile"]) {
        engine.get_mut().remove(*key);
    }
    if let Some(server) = engine.get_mut().remove(SERVER) {
        let deserializer = toml::de::ValueDeserializer::from(server);
        surefoot_server::ServerConfig::deserialize(deserializer)
            .map_err(|error| place.wrong(&error))?;
    }
    let deserializer = toml::Deserializer::from(engine);
    surefoot::Config::deserialize(deserializer).map_err(|error| place.wrong(&error))?;
    check_own(root.get_ref(), &place, &[])?;
    let tree: toml::Table = place.text.parse().map_err(|error| place.wrong(&error))?;
    let mut tree = serde_json::to_value(tree).unwrap_or_default();
    let profiles = tree.as_object_mut().and_then(|it| it.remove("profile")).unwrap_or_default();
    let values = place.origins(&tree, "");
    let profiles = profiles.as_object().into_iter().flatten();
    let profiles = profiles
        .map(|(name, table)| (name.clone(), place.origins(table, &format!(" [profile.{name}]"))))
        .collect();
    Ok(File { values, profiles })
}

/// Keys of the command are texts; profiles hold nothing else.
fn check_own(table: &DeTable<'_>, place: &Place<'_>, inside: &[&str]) -> Result<()> {
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        if inside.is_empty() && name == "profile" {
            let profiles = value.get_ref().as_table().into_iter().flatten();
            for (profile, table) in profiles {
                let Some(table) = table.get_ref().as_table() else {
                    return Err(place.mistake(
                        profile,
                        format!("`profile.{}` must be a table", profile.get_ref()),
                    ));
                };
                check_own(table, place, &["profile", profile.get_ref()])?;
            }
        } else if OWN.contains(&name) {
            if value.get_ref().as_str().is_none() {
                return Err(place.mistake(key, format!("`{name}` must be a text")));
            }
        } else if !inside.is_empty() {
            let known: Vec<String> = OWN.iter().map(|it| (*it).to_owned()).collect();
            let failure = place.mistake(key, format!("a profile has no setting `{name}`"));
            return Err(failure.hint(suggestion(name, &known, "there are").unwrap_or_default()));
        }
    }
    Ok(())
}

fn text<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    let wrong = |what: &str| {
        Failure::new(Exit::Usage, "SF5022", format!("{}: {what}", path.display()))
            .hint("Write it as a TOML file.")
    };
    if bytes.len() > FILE_BYTES_MAX {
        return Err(wrong("the file has more than 1 MiB"));
    }
    std::str::from_utf8(bytes).map_err(|_| wrong("the file is not UTF-8 text"))
}

struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    fn origins(&self, tree: &Value, note: &str) -> BTreeMap<String, Origin> {
        let mut values = BTreeMap::new();
        flatten("", tree, &mut values);
        let source = format!("{}{note}", self.path.display());
        let origin = |value| Origin { source: source.clone(), value };
        values.into_iter().map(|(key, value)| (key, origin(value))).collect()
    }

    fn line(&self, at: usize) -> usize {
        self.text.as_bytes().iter().take(at).filter(|it| **it == b'\n').count() + 1
    }

    fn mistake<T>(&self, at: &Spanned<T>, message: String) -> Failure {
        let line = self.line(at.span().start);
        Failure::new(Exit::Usage, "SF5022", format!("{}:{line}: {message}", self.path.display()))
    }

    /// serde names the key and those that there are; the nearest of them is what was meant.
    fn wrong(&self, error: &toml::de::Error) -> Failure {
        let line = error.span().map_or(1, |it| self.line(it.start));
        let message = error.message().lines().collect::<Vec<_>>().join(" ");
        let mut names = message.split('`').skip(1).step_by(2).map(str::to_owned);
        let place = format!("{}:{line}", self.path.display());
        if !message.starts_with("unknown field") {
            return Failure::new(Exit::Usage, "SF5022", format!("{place}: {message}"))
                .hint("`surefoot config show` prints every setting with its type of value.");
        }
        let name = names.next().unwrap_or_default();
        let mut known: Vec<String> = names.collect();
        if known.iter().any(|it| it == "limits") {
            known.extend(OWN.iter().chain(&[SERVER]).map(|it| (*it).to_owned()));
        }
        Failure::new(Exit::Usage, "SF5021", format!("{place}: there is no setting `{name}`"))
            .hint(suggestion(&name, &known, "there are").unwrap_or_default())
    }
}
