//! Settings: the table `[server.oidc]` of `surefoot.toml`.

use std::net::IpAddr;
use std::path::PathBuf;

use axum::http::Uri;
use serde::{Deserialize, Serialize};

use super::jws::Algorithm;
use crate::auth::Role;

/// Whose tokens are believed, and whom they make their holders.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OidcConfig {
    /// The URL of the identity provider, exactly as `iss` of its tokens has it. What it publishes
    /// is found below `/.well-known/openid-configuration`.
    pub issuer: String,
    /// Names of this service at the provider: a token is taken if its `aud` has one of them.
    pub audience: Vec<String>,
    /// The claim that names who acts. A claim inside of another is written with a dot.
    pub actor_claim: String,
    /// What the history and the audit log put before that name, so that nobody at the provider can
    /// be called like a token of this server.
    pub actor_prefix: String,
    /// The claim whose values make roles.
    pub role_claim: String,
    /// Which values those are. Who has several gets the strongest; who has none is refused.
    pub roles: Vec<RoleOf>,
    /// The claim with the groups whose approvals they may decide.
    pub groups_claim: String,
    /// The claim with the namespaces that they see, `*` for all; without it they see all.
    pub namespaces_claim: Option<String>,
    /// Signatures that are taken. None of them can be made with what the provider publishes.
    pub algorithms: Vec<Algorithm>,
    /// Seconds by which the clocks of the provider and of this machine may differ.
    pub leeway_seconds: u64,
    /// Seconds after which the provider's keys are fetched again.
    pub refresh_seconds: u64,
    /// Seconds between two fetches, whatever tokens name keys that are not known.
    pub retry_seconds: u64,
    /// Seconds for which keys are used while the provider does not answer.
    pub stale_seconds: u64,
    /// Certificates (PEM) that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// A value of the claim, and the role that it makes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleOf {
    pub value: String,
    pub role: Role,
}

/// A day: longer leeways are mistakes.
const LEEWAY_SECONDS_MAX: u64 = 24 * 60 * 60;

impl Default for OidcConfig {
    fn default() -> OidcConfig {
        OidcConfig {
            issuer: String::new(),
            audience: Vec::new(),
            actor_claim: "sub".to_owned(),
            actor_prefix: "oidc:".to_owned(),
            role_claim: "roles".to_owned(),
            roles: Vec::new(),
            groups_claim: "groups".to_owned(),
            namespaces_claim: None,
            algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
            leeway_seconds: 60,
            refresh_seconds: 5 * 60,
            retry_seconds: 30,
            stale_seconds: 24 * 60 * 60,
            ca_file: None,
        }
    }
}

impl OidcConfig {
    /// Says what is wrong, before anything is served.
    pub(super) fn check(&self) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("server.oidc: {what}"));
        if !is_safe(&self.issuer) {
            return wrong("`issuer` must be an https URL (http only on this machine)");
        }
        if self.audience.is_empty() || self.audience.iter().any(String::is_empty) {
            return wrong("`audience` must name this service as the provider knows it");
        }
        if self.roles.is_empty() {
            return wrong("`roles` is empty: nobody would have a role");
        }
        if self.roles.iter().any(|it| it.role == Role::Worker) {
            return wrong("workers need tokens of `surefoot token create --role worker`");
        }
        if self.algorithms.is_empty() {
            return wrong("`algorithms` is empty: no token could be taken");
        }
        if self.leeway_seconds > LEEWAY_SECONDS_MAX {
            return wrong("`leeway_seconds` is more than a day");
        }
        Ok(())
    }
}

/// Whether nobody between here and a URL can change what it answers.
pub(super) fn is_safe(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here =
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => is_here,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_https_or_from_this_machine() {
        let table = [
            ("https://id.example", true),
            ("https://id.example/realms/a", true),
            ("http://127.0.0.1:8080/realms/a", true),
            ("http://[::1]:8080", true),
            ("http://localhost:8080", true),
            ("http://id.example", false),
            ("http://127.0.0.1.id.example", false),
            ("http://localhost.id.example", false),
            ("http://10.0.0.1", false),
            ("file:///etc/passwd", false),
            ("ftp://127.0.0.1", false),
            ("id.example", false),
            ("https://", false),
            ("", false),
        ];
        for (url, expected) in table {
            assert_eq!(is_safe(url), expected, "{url}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let good = OidcConfig {
            issuer: "https://id.example".to_owned(),
            audience: vec!["surefoot".to_owned()],
            roles: vec![RoleOf { value: "ops".to_owned(), role: Role::Operator }],
            ..OidcConfig::default()
        };
        assert_eq!(good.check(), Ok(()));
        let check = |change: &dyn Fn(&mut OidcConfig), expected: &str| {
            let mut config = good.clone();
            change(&mut config);
            let reason = config.check().expect_err(expected);
            assert!(reason.contains(expected), "{reason}");
        };
        check(&|it| it.issuer = "http://id.example".to_owned(), "`issuer`");
        check(&|it| it.audience = Vec::new(), "`audience`");
        check(&|it| it.audience = vec![String::new()], "`audience`");
        check(&|it| it.roles = Vec::new(), "`roles`");
        check(&|it| it.roles[0].role = Role::Worker, "workers need tokens");
        check(&|it| it.algorithms = Vec::new(), "`algorithms`");
        check(&|it| it.leeway_seconds = 86_401, "`leeway_seconds`");
        for name in ["none", "HS256", "HS512", "ES256K"] {
            let read =
                serde_json::from_value::<OidcConfig>(serde_json::json!({"algorithms": [name]}));
            assert!(
                read.is_err(),
                "{name} can be made by whoever knows the public key, or is unknown"
            );
        }
    }
}
