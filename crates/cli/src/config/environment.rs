//! SUREFOOT_* variables: `SUREFOOT_STORE`, `SUREFOOT_LIMITS_SLOTS`.

use std::collections::BTreeMap;

use super::Origin;
use crate::input::parse_or_text;

const PREFIX: &str = "SUREFOOT_";

/// Takes the variables that name a known key. Others belong to somebody else, such as the secrets
/// of tasks.
pub fn layer(variables: &BTreeMap<String, String>, known: &[String]) -> BTreeMap<String, Origin> {
    let mut values = BTreeMap::new();
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
