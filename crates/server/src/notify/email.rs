//! Mails: a CloudEvent in words, over SMTP.

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use serde_json::Value;

use super::{Secrets, SmtpConfig};

/// Addresses of one mail.
const ADDRESSES_MAX: usize = 50;

/// A sender and those who get its mails.
#[derive(Clone)]
pub(crate) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Email {
    pub fn new(config: &SmtpConfig, to: &[String], secrets: Secrets<'_>) -> Result<Email, String> {
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(&config.url)
            .map_err(|error| format!("server.smtp.url: {error}"))?;
        if let Some(user) = &config.user {
            let password = config.password.as_deref();
            let password = password.ok_or("server.smtp: `user` needs `password`")?;
            let password = super::secret(password, secrets)?;
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        if to.is_empty() || to.len() > ADDRESSES_MAX {
            return Err(format!("a mail goes to 1 to {ADDRESSES_MAX} addresses"));
        }
        let address = |it: &String| it.parse().map_err(|_| format!("`{it}` is not an address"));
        let to = to.iter().map(address).collect::<Result<_, _>>()?;
        Ok(Email { transport: builder.build(), from: address(&config.from)?, to })
    }

    /// Sends an event. The message's id is that of the event, so that a mailbox drops a second copy.
    pub async fn send(&self, event: &Value) -> Result<String, String> {
        let data = &event["data"];
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let (workflow, run, status) =
            (text(&data["workflow"]), text(&data["run"]), text(&data["status"]));
        let kind = text(&event["type"]);
        let what = match kind.as_str() {
            it if it.contains(".waiting.") => "waits for somebody".to_owned(),
            it if it.contains(".late.") => "is late".to_owned(),
            _ => status.clone(),
        };
        let mut body = format!("Run {run} of {workflow}: {what}.\n\n");
        for (name, value) in [
            ("Status", status),
            ("Task", text(&data["task"])),
            ("What", text(&data["detail"])),
            ("Error", text(&data["error"]["message"])),
            ("Started by", text(&data["actor"])),
            ("At", text(&event["time"])),
        ] {
            if !value.is_empty() {
                body += &format!("{name}: {value}\n");
            }
        }
        body += &format!("\nsurefoot show {run}\n");
        let id: String = text(&event["id"]).replace('/', ".");
        let mut message = Message::builder()
            .from(self.from.clone())
            .message_id(Some(format!("<{id}@surefoot>")))
            .subject(format!("{workflow}: {what}"))
            .header(ContentType::TEXT_PLAIN);
        for address in &self.to {
            message = message.to(address.clone());
        }
        let message = message.body(body).map_err(|error| error.to_string())?;
        let answer = self.transport.send(message).await.map_err(|error| error.to_string())?;
        Ok(answer.code().to_string())
    }
}
