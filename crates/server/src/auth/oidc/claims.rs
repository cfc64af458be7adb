//! What a verified token says: whether it is for this service and for now, and whom it makes its
//! holder.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use surefoot::core::time::Millis;

use super::config::OidcConfig;
use crate::auth::principal::{Principal, Role};

pub(super) type Claims = Map<String, Value>;

/// Letters of the name of who acts.
const ACTOR_LEN_MAX: usize = 256;
/// What stands for every namespace.
const ALL: &str = "*";

/// Why a verified token is refused. Its holder may know: nobody else has one.
#[derive(Debug, PartialEq)]
pub(super) enum Refused {
    Token(&'static str),
    /// They are known, but have no role.
    NoRole(String),
}

/// Refuses a token that is another issuer's, for another service, or not for now.
pub(super) fn check(claims: &Claims, config: &OidcConfig, now: Millis) -> Result<(), Refused> {
    if claims.get("iss").and_then(Value::as_str) != Some(&config.issuer) {
        return Err(Refused::Token("the token is another issuer's"));
    }
    let audience = match claims.get("aud") {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one.as_str()],
        _ => Vec::new(),
    };
    if !config.audience.iter().any(|it| audience.contains(&it.as_str())) {
        return Err(Refused::Token("the token is not for this service"));
    }
    let now = now as f64 / 1_000.0;
    let leeway = config.leeway_seconds as f64;
    let instant = |name: &str| claims.get(name).map(|it| it.as_f64().unwrap_or(f64::NAN));
    // What is no number compares as false, and so is refused.
    if !instant("exp").is_some_and(|it| now < it + leeway) {
        return Err(Refused::Token("the token has expired"));
    }
    if !["nbf", "iat"].into_iter().filter_map(instant).all(|it| it <= now + leeway) {
        return Err(Refused::Token("the token is not valid yet"));
    }
    Ok(())
}

/// Returns whom the token makes its holder.
pub(super) fn principal(claims: &Claims, config: &OidcConfig) -> Result<Principal, Refused> {
    let actor = format!("{}{}", config.actor_prefix, actor(claims, &config.actor_claim)?);
    let values = words(claims, &config.role_claim);
    let roles = config.roles.iter().filter(|it| values.contains(&it.value.as_str()));
    let role: Role = match roles.map(|it| it.role).max() {
        Some(role) => role,
        None => return Err(Refused::NoRole(actor)),
    };
    let groups = words(claims, &config.groups_claim);
    let namespaces = config.namespaces_claim.as_deref().map(|it| words(claims, it));
    let namespaces = namespaces.filter(|it| !it.contains(&ALL));
    Ok(Principal {
        actor,
        role,
        namespaces: namespaces.map(|it| it.into_iter().map(str::to_owned).collect()),
        groups: Some(groups.into_iter().map(str::to_owned).collect()),
        // People are no workers.
        capabilities: Some(BTreeSet::new()),
        said: Default::default(),
    })
}

fn actor<'a>(claims: &'a Claims, claim: &str) -> Result<&'a str, Refused> {
    // Whoever may enter any address at the provider would be whoever they like.
    if claim == "email" && claims.get("email_verified") == Some(&Value::Bool(false)) {
        return Err(Refused::Token("the token's address is not verified"));
    }
    let name = find(claims, claim).and_then(Value::as_str).unwrap_or_default();
    let is_name = !name.is_empty()
        && name.chars().count() <= ACTOR_LEN_MAX
        && !name.chars().any(char::is_control);
    if is_name { Ok(name) } else { Err(Refused::Token("the token does not name its holder")) }
}

/// Returns the texts of a claim: a list of them, or one text of words as `scope` has them.
fn words<'a>(claims: &'a Claims, claim: &str) -> Vec<&'a str> {
    match find(claims, claim) {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(text)) => text.split_whitespace().collect(),
        _ => Vec::new(),
    }
}

/// Finds a claim by its name, which may have dots (`https://example.com/roles`), or by its path
/// (`realm_access.roles`).
fn find<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let mut parts = name.split('.');
    let first = claims.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::super::config::RoleOf;
    use super::*;

    const NOW: Millis = 1_795_312_800_000;

    fn config() -> OidcConfig {
        let role = |value: &str, role| RoleOf { value: value.to_owned(), role };
        OidcConfig {
            issuer: "https://id.example".to_owned(),
            audience: vec!["surefoot".to_owned()],
            roles: vec![role("ops", Role::Operator), role("root", Role::Admin)],
            ..OidcConfig::default()
        }
    }

    /// Changes a good set of claims; null removes one.
    fn claims(changes: Value) -> Claims {
        let now = NOW / 1_000;
        let mut claims = json!({"iss": "https://id.example", "aud": "surefoot", "sub": "ada",
            "exp": now + 300, "iat": now, "roles": ["ops"]});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object().unwrap().clone().into_iter().filter(|it| !it.1.is_null()).collect()
    }

    #[test]
    fn a_token_is_for_this_service_and_for_now() {
        let now = NOW / 1_000;
        let table = [
            (json!({}), None),
            (json!({"aud": ["other", "surefoot"]}), None),
            (json!({"exp": now - 59}), None),
            (json!({"exp": now as f64 + 0.5}), None),
            (json!({"nbf": now + 60}), None),
            (json!({"iss": "https://id.example/"}), Some("another issuer")),
            (json!({"iss": ["https://id.example"]}), Some("another issuer")),
            (json!({"iss": null}), Some("another issuer")),
            (json!({"aud": "other"}), Some("not for this service")),
            (json!({"aud": []}), Some("not for this service")),
            (json!({"aud": null}), Some("not for this service")),
            (json!({"aud": {"surefoot": true}}), Some("not for this service")),
            (json!({"exp": now - 60}), Some("expired")),
            (json!({"exp": null}), Some("expired")),
            (json!({"exp": "never"}), Some("expired")),
            (json!({"exp": -1}), Some("expired")),
            (json!({"nbf": now + 61}), Some("not valid yet")),
            (json!({"nbf": "later"}), Some("not valid yet")),
            (json!({"iat": now + 61}), Some("not valid yet")),
        ];
        for (changes, expected) in table {
            let found = check(&claims(changes.clone()), &config(), NOW);
            match (expected, found) {
                (None, Ok(())) => {}
                (Some(expected), Err(Refused::Token(reason))) if reason.contains(expected) => {}
                (_, found) => panic!("{changes}: {found:?}"),
            }
        }
    }

    #[test]
    fn claims_make_a_principal() {
        let nested = OidcConfig {
            actor_claim: "email".to_owned(),
            role_claim: "realm_access.roles".to_owned(),
            groups_claim: "https://example.com/groups".to_owned(),
            namespaces_claim: Some("tenants".to_owned()),
            ..config()
        };
        let changes = json!({"email": "ada@example.com", "realm_access": {"roles": ["ops", "root"]},
            "https://example.com/groups": "finance board", "tenants": ["billing"]});
        let found = principal(&claims(changes.clone()), &nested).unwrap();
        assert_eq!(found.actor, "oidc:ada@example.com");
        assert_eq!(found.role, Role::Admin, "the strongest");
        assert_eq!(found.groups, Some(vec!["finance".to_owned(), "board".to_owned()]));
        assert!(found.sees("billing.invoice") && !found.sees("shop.order"));
        let with = |name: &str, value: Value| {
            let mut changes = changes.clone();
            changes[name] = value;
            principal(&claims(changes), &nested)
        };
        assert!(with("tenants", json!("*")).unwrap().sees("shop.order"));
        let blind = with("tenants", Value::Null).unwrap();
        assert!(!blind.sees("billing.invoice"), "who is given no namespace sees none");
        for (name, value) in [
            ("email", json!("")),
            ("email", json!(["ada"])),
            ("email", json!("ada\nroot")),
            ("email", json!("a".repeat(257))),
            ("email_verified", json!(false)),
        ] {
            assert!(matches!(with(name, value), Err(Refused::Token(_))), "{name}");
        }
        let nobody = with("realm_access", json!({"roles": ["guest", 7]})).unwrap_err();
        assert_eq!(nobody, Refused::NoRole("oidc:ada@example.com".to_owned()));
        assert!(principal(&claims(json!({})), &config()).unwrap().sees("anything"));
    }
}
