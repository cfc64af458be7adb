//! Rules of the operator: where requests may go, by host, network and port. The first rule that
//! fits decides. Rules narrow what the address guard lets through; they never open what it closes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::address::Cidr;

/// `[egress]` in surefoot.toml.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressConfig {
    /// What happens to a request that no rule fits.
    pub default: Verdict,
    pub rules: Vec<EgressRule>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    #[default]
    Allow,
    Deny,
}

/// A rule fits a request that fits each of its lists; an empty list fits everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressRule {
    /// As errors name it.
    pub name: String,
    pub action: Verdict,
    #[serde(default)]
    pub hosts: Vec<HostPattern>,
    /// Networks of the address that is really dialled.
    #[serde(default)]
    pub networks: Vec<Cidr>,
    #[serde(default)]
    pub ports: Vec<u16>,
}

/// A name, or `*.` and a name for everything below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    is_below: bool,
    name: String,
}

/// A text that is not a pattern of hosts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a host: write api.example.com or *.example.com; addresses go under `networks`"
)]
pub struct InvalidHost(String);

/// A request that a rule refuses; or the default, if no rule fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denied {
    pub rule: Option<String>,
}

impl EgressConfig {
    /// Decides about a request to an address.
    pub(super) fn check(&self, host: &str, port: u16, address: IpAddr) -> Result<(), Denied> {
        self.decide(|rule| Some(rule.fits_place(host, port) && rule.fits_address(address)))
    }

    /// Refuses what needs no address to be refused, so that nobody is even asked for the name.
    pub(super) fn check_name(&self, host: &str, port: u16) -> Result<(), Denied> {
        self.decide(|rule| match rule.fits_place(host, port) {
            true if !rule.networks.is_empty() => None,
            fits => Some(fits),
        })
    }

    /// Finds the first rule that fits. Where it cannot be known yet whether one does, nothing is
    /// refused yet.
    fn decide(&self, fits: impl Fn(&EgressRule) -> Option<bool>) -> Result<(), Denied> {
        for rule in &self.rules {
            match (fits(rule), rule.action) {
                (Some(false), _) => {}
                (Some(true), Verdict::Allow) | (None, _) => return Ok(()),
                (Some(true), Verdict::Deny) => {
                    return Err(Denied { rule: Some(rule.name.clone()) });
                }
            }
        }
        match self.default {
            Verdict::Allow => Ok(()),
            Verdict::Deny => Err(Denied { rule: None }),
        }
    }
}

impl EgressRule {
    fn fits_place(&self, host: &str, port: u16) -> bool {
        (self.hosts.is_empty() || self.hosts.iter().any(|it| it.fits(host)))
            && (self.ports.is_empty() || self.ports.contains(&port))
    }

    fn fits_address(&self, address: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|it| it.contains(address))
    }
}

impl HostPattern {
    /// `host` is as a URL has it: in small letters, in ASCII.
    fn fits(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        match (self.is_below, host.strip_suffix(&self.name)) {
            (false, Some(rest)) => rest.is_empty(),
            (true, Some(rest)) => rest.len() > 1 && rest.ends_with('.'),
            (_, None) => false,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Some(rule) => write!(f, "the rule `{rule}` of [egress] denies it"),
            None => write!(f, "no rule of [egress] allows it"),
        }
    }
}

impl FromStr for HostPattern {
    type Err = InvalidHost;

    /// Brings a name into the form that URLs have it in.
    fn from_str(text: &str) -> Result<HostPattern, InvalidHost> {
        let invalid = || InvalidHost(text.to_owned());
        let (is_below, name) = text.strip_prefix("*.").map_or((false, text), |it| (true, it));
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() || name.contains(['*', '/', ':', '@', '?', '#', '\\', '%']) {
            return Err(invalid());
        }
        let url = Url::parse(&format!("http://{name}/")).map_err(|_| invalid())?;
        match url.domain() {
            Some(name) => Ok(HostPattern { is_below, name: name.to_owned() }),
            None => Err(invalid()),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_below { "*." } else { "" }, self.name)
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HostPattern, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    #[test]
    fn hosts_fit_by_name_and_below_a_name() {
        let table = [
            ("api.example.com", "api.example.com", true),
            ("api.example.com", "api.example.com.", true),
            ("API.Example.com", "api.example.com", true),
            ("api.example.com", "xapi.example.com", false),
            ("api.example.com", "a.api.example.com", false),
            ("api.example.com", "api.example.com.evil", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "badexample.com", false),
            ("*.example.com", "example.com.evil", false),
            ("bücher.example", "xn--bcher-kva.example", true),
        ];
        for (pattern, host, expected) in table {
            let pattern: HostPattern = pattern.parse().unwrap();
            assert_eq!(pattern.fits(host), expected, "{pattern} {host}");
        }
        for text in
            ["", "*", "*.", "*.*", "a.*", "http://a", "a:80", "10.0.0.1", "[::1]", "a/b", "0x7f.1"]
        {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let config: EgressConfig = serde_json::from_value(json!({"default": "deny", "rules": [
            {"name": "no-mail", "action": "deny", "ports": [25, 587]},
            {"name": "not-there", "action": "deny", "hosts": ["*.example.com"], "networks": ["203.0.113.0/24"]},
            {"name": "partner", "action": "allow", "hosts": ["example.com", "*.example.com"], "ports": [443]},
            {"name": "office", "action": "allow", "networks": ["198.51.100.0/24"]},
        ]}))
        .unwrap();
        let check = |host: &str, port, address: &str, expected: Option<Option<&str>>| {
            let found = config.check(host, port, address.parse().unwrap());
            let found = found.err().map(|it| it.rule);
            assert_eq!(found, expected.map(|it| it.map(str::to_owned)), "{host}:{port} {address}");
        };
        check("a.example.com", 443, "192.0.2.1", None);
        check("a.example.com", 25, "192.0.2.1", Some(Some("no-mail")));
        check("a.example.com", 443, "203.0.113.9", Some(Some("not-there")));
        check("example.com", 443, "203.0.113.9", None);
        check("example.com", 80, "192.0.2.1", Some(None));
        check("anything.test", 8080, "198.51.100.7", None);
        check("anything.test", 587, "198.51.100.7", Some(Some("no-mail")));
        check("anything.test", 443, "2001:db8::1", Some(None));
        // Before the name is resolved only what is certain is refused.
        assert_eq!(config.check_name("a.example.com", 443), Ok(()));
        assert_eq!(config.check_name("anything.test", 443), Ok(()), "it may be in the office");
        let mail = Denied { rule: Some("no-mail".to_owned()) };
        assert_eq!(config.check_name("anything.test", 25), Err(mail));
        assert_eq!(EgressConfig::default().check("a", 1, "192.0.2.1".parse().unwrap()), Ok(()));
    }
}
