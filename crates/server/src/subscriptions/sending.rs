//! One attempt to tell a receiver something.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use surefoot::core::time::Millis;
use surefoot::kinds::HttpKind;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::notify::Email;
use crate::signature;

/// How long one attempt may take.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(20);
/// Letters of an error that are kept.
const REASON_LEN_MAX: usize = 500;

/// How a receiver is reached.
#[derive(Clone)]
pub(crate) enum Target {
    Webhook {
        url: String,
        secret: Option<String>,
    },
    /// A program and its arguments; the event comes on its standard input.
    Command(Vec<String>),
    Email(Email),
}

impl Target {
    /// Sends an event. Returns what was answered, or why it was not taken.
    pub async fn send(
        &self,
        http: &HttpKind,
        event: &Value,
        now: Millis,
    ) -> Result<String, String> {
        let attempt = async {
            match self {
                Target::Webhook { url, secret } => {
                    post(http, url, secret.as_deref(), event, now).await
                }
                Target::Command(line) => command(line, event).await,
                Target::Email(email) => email.send(event).await,
            }
        };
        let result = match tokio::time::timeout(ATTEMPT_TIME_MAX, attempt).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} s", ATTEMPT_TIME_MAX.as_secs())),
        };
        result.map_err(|it| it.chars().take(REASON_LEN_MAX).collect())
    }
}

async fn post(
    http: &HttpKind,
    url: &str,
    secret: Option<&str>,
    event: &Value,
    now: Millis,
) -> Result<String, String> {
    let body = event.to_string();
    let mut headers = BTreeMap::from([
        ("content-type", "application/cloudevents+json".to_owned()),
        ("webhook-id", event["id"].as_str().unwrap_or_default().to_owned()),
    ]);
    if let Some(secret) = secret {
        let timestamp = (now / 1_000).to_string();
        let signature = signature::sign(secret, &timestamp, body.as_bytes());
        headers.insert("webhook-timestamp", timestamp);
        headers.insert("webhook-signature", signature);
    }
    let status = http.post(url, &headers, body).await.map_err(|error| error.message)?;
    match status {
        200..=299 => Ok(status.to_string()),
        _ => Err(format!("it was answered {status}")),
    }
}

async fn command(line: &[String], event: &Value) -> Result<String, String> {
    let (program, arguments) = line.split_first().ok_or("the command is empty")?;
    let data = &event["data"];
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(
            std::env::vars().filter(|(name, _)| matches!(name.as_str(), "PATH" | "HOME" | "LANG")),
        )
        .env("SUREFOOT_EVENT", text(&event["type"]))
        .env("SUREFOOT_RUN", text(&data["run"]))
        .env("SUREFOOT_WORKFLOW", text(&data["workflow"]))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read it is fine.
        let _ = stdin.write_all(event.to_string().as_bytes()).await;
    }
    let status = child.wait().await.map_err(|error| error.to_string())?;
    if status.success() {
        Ok(status.to_string())
    } else {
        Err(format!("`{program}` ended: {status}"))
    }
}
