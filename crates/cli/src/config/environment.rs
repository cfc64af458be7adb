//! SUREFOOT_* variables: `SUREFOOT_STORE`, `SUREFOOT_LIMITS_SLOTS`.

use std::collections::BTreeMap;

use super::Origin;
use crate::input::parse_or_text;

const PREFIX: &str = "SUREFOOT_";
/// Every program that talks to a server reads this one; `server` itself is a table here.
const SERVER: &str = "SUREFOOT_SERVER";

/// Takes the variables that name a known key. Others belong to somebody else, such as the secrets
/// of tasks.
pub fn layer(variables: &BTreeMap<String, String>, known: &[String]) -> BTreeMap<String, Origin> {
    let mut values = BTreeMap::new();
    if let Some(url) = variables.get(SERVER) {
        let source = format!("the variable {SERVER}");
        values.insert("server_url".to_owned(), Origin { source, value: url.as_str().into() });
    }
    for key in known {
        let name = format!("{PREFIX}{}", key.replace('.', "_").to_uppercase());
        if let Some(text) = variables.get(&name) {
            let own = super::OWN.contains(&key.as_str());
            let value = if own { text.as_str().into() } else { parse_or_text(text) };
            values.insert(key.clone(), Origin { source: format!("the variable {name}"), value });
        }
    }
    values
}
