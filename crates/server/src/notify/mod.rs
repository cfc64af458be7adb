//! Notifications: people are told when runs fail, wait for somebody, or have not ended in time. Which
//! and how is in the configuration; the sending is that of subscriptions, so that nothing is lost
//! over a restart and nothing is told twice.
//!
//! A definition's own `notify:` is something else: tasks of the run, which `finally` runs.

mod email;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

pub(crate) use self::email::Email;
use crate::subscriptions::{Receiver, Target};

/// Whom to tell of what: a table `[[server.notify]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyConfig {
    /// Its deliveries are at `/v1/subscriptions/notify.NAME/deliveries`.
    pub name: String,
    pub on: Vec<NotifyOn>,
    /// Ids of workflows; all if it is missing.
    #[serde(default)]
    pub workflows: Vec<String>,
    /// For `late`: seconds after which a run should have ended.
    #[serde(default)]
    pub late_after_seconds: Option<u64>,
    /// Where a CloudEvent is posted.
    #[serde(default)]
    pub webhook: Option<String>,
    /// The name of the secret that signs what is posted.
    #[serde(default)]
    pub secret: Option<String>,
    /// A program and its arguments. The event comes on its standard input.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// Addresses that a mail goes to.
    #[serde(default)]
    pub email: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotifyOn {
    Completed,
    Failed,
    Cancelled,
    /// A task waits for a person or a signal.
    Waiting,
    /// A run has not ended in time.
    Late,
}

/// How mails are sent: the table `[server.smtp]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    /// `smtps://HOST`, `smtp://HOST:587?tls=required`, or `smtp://HOST` without TLS.
    pub url: String,
    /// Such as `Surefoot <surefoot@example.com>`.
    pub from: String,
    #[serde(default)]
    pub user: Option<String>,
    /// The name of the secret that is the password.
    #[serde(default)]
    pub password: Option<String>,
}

/// Looks a secret up by its name.
pub(crate) type Secrets<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads the configuration. What is wrong with it is said before anything is served.
pub(crate) fn receivers(
    notify: &[NotifyConfig],
    smtp: Option<&SmtpConfig>,
    secrets: Secrets<'_>,
) -> Result<Vec<Receiver>, String> {
    let mut names = HashSet::new();
    notify
        .iter()
        .map(|it| {
            if !names.insert(&it.name) {
                return Err(format!("server.notify `{}`: there are two of this name", it.name));
            }
            receiver(it, smtp, secrets)
                .map_err(|reason| format!("server.notify `{}`: {reason}", it.name))
        })
        .collect()
}

fn receiver(
    config: &NotifyConfig,
    smtp: Option<&SmtpConfig>,
    secrets: Secrets<'_>,
) -> Result<Receiver, String> {
    let is_name = !config.name.is_empty()
        && config.name.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'));
    if !is_name {
        return Err("the name has letters, digits, `_` and `-`".to_owned());
    }
    let is_late = config.on.contains(&NotifyOn::Late);
    if is_late != config.late_after_seconds.is_some() {
        return Err("`late` and `late_after_seconds` belong together".to_owned());
    }
    let types = config.on.iter().flat_map(|it| match it {
        NotifyOn::Completed => &["run.completed"][..],
        NotifyOn::Failed => &["run.failed"],
        NotifyOn::Cancelled => &["run.cancelled"],
        NotifyOn::Waiting => &["task.waiting", "task.escalated"],
        // Told by the clock and not by an event; the pattern keeps the list from meaning all.
        NotifyOn::Late => &["run.late"],
    });
    let types: Vec<String> = types.map(|it| (*it).to_owned()).collect();
    if types.is_empty() {
        return Err("`on` is empty: name failed, waiting, late, completed or cancelled".to_owned());
    }
    Ok(Receiver {
        id: format!("notify.{}", config.name),
        types,
        workflows: config.workflows.clone(),
        namespaces: None,
        target: target(config, smtp, secrets)?,
        late_after: config.late_after_seconds.map(|it| it.saturating_mul(1_000)),
    })
}

fn target(
    config: &NotifyConfig,
    smtp: Option<&SmtpConfig>,
    secrets: Secrets<'_>,
) -> Result<Target, String> {
    match (&config.webhook, &config.command, &config.email) {
        (Some(url), None, None) => {
            let secret = config.secret.as_deref().map(|it| secret(it, secrets)).transpose()?;
            Ok(Target::Webhook { url: url.clone(), secret })
        }
        (None, Some(line), None) if !line.is_empty() => Ok(Target::Command(line.clone())),
        (None, None, Some(to)) => {
            let smtp = smtp.ok_or("mails need the table [server.smtp]")?;
            Ok(Target::Email(Box::new(Email::new(smtp, to, secrets)?)))
        }
        _ => Err("give one of `webhook`, `command` and `email`".to_owned()),
    }
}

fn secret(name: &str, secrets: Secrets<'_>) -> Result<String, String> {
    secrets(name).ok_or_else(|| format!("there is no secret `{name}`"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn check(text: &str, expected: &str) {
        let config: NotifyConfig = serde_json::from_str(text).unwrap();
        let smtp = SmtpConfig {
            url: "smtp://127.0.0.1:25".to_owned(),
            from: "a@example.com".to_owned(),
            user: None,
            password: None,
        };
        let result =
            receivers(&[config], Some(&smtp), &|_| None).map(|it| format!("{:?}", it[0].types));
        let answer = result.unwrap_or_else(|reason| reason);
        assert!(answer.contains(expected), "{text}: {answer}");
    }

    #[test]
    fn what_cannot_work_is_refused() {
        check(r#"{"name": "a", "on": ["failed"], "webhook": "http://x"}"#, "run.failed");
        check(r#"{"name": "a", "on": ["failed"], "email": ["b@example.com"]}"#, "run.failed");
        check(
            r#"{"name": "a", "on": ["late"], "late_after_seconds": 5, "command": ["x"]}"#,
            "late",
        );
        check(r#"{"name": "a b", "on": ["failed"], "webhook": "http://x"}"#, "the name has");
        check(r#"{"name": "a", "on": [], "webhook": "http://x"}"#, "`on` is empty");
        check(r#"{"name": "a", "on": ["failed"]}"#, "give one of");
        check(r#"{"name": "a", "on": ["failed"], "command": []}"#, "give one of");
        check(r#"{"name": "a", "on": ["late"], "webhook": "http://x"}"#, "belong together");
        check(r#"{"name": "a", "on": ["failed"], "email": ["nobody"]}"#, "is not an address");
        check(
            r#"{"name": "a", "on": ["failed"], "webhook": "http://x", "secret": "none"}"#,
            "there is no secret `none`",
        );
    }
}
