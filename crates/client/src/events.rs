//! What happens on the server, as it happens: a stream of server-sent events that goes on where it
//! broke off.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::Method;
use serde_json::Value;

use crate::client::Client;
use crate::error::Error;

/// Pause before a broken stream is opened again; doubles up to the maximum.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The server says something at least every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Bytes of one event.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerEvent {
    /// The position in the stream.
    pub id: String,
    /// `record`, `log`, or `reset` where the stream could not go on without a gap.
    pub event: String,
    pub data: Value,
}

/// A stream of events. See [`Client::events`].
pub struct Events {
    client: Client,
    path: String,
    last_id: Option<String>,
    body: Option<BoxStream<'static, reqwest::Result<bytes::Bytes>>>,
    buffer: Vec<u8>,
    pause: Duration,
}

impl Client {
    /// Follows what happens, such as `run:ID` or `runs:*`. Goes on by itself after a break.
    pub fn events(&self, topics: &[&str]) -> Events {
        Events::new(self.clone(), topics)
    }
}

impl Events {
    fn new(client: Client, topics: &[&str]) -> Events {
        let path = format!("/v1/events?topics={}", topics.join(","));
        Events { client, path, last_id: None, body: None, buffer: Vec::new(), pause: PAUSE }
    }

    /// Goes on after a position instead of at the end.
    pub fn after(self, id: &str) -> Events {
        Events { last_id: Some(id.to_owned()), ..self }
    }

    /// Returns the next event, however long that takes. Only what another try cannot mend is an
    /// error.
    pub async fn next(&mut self) -> Result<ServerEvent, Error> {
        loop {
            if let Some(event) = self.buffered() {
                self.pause = PAUSE;
                return Ok(event);
            }
            if self.body.is_none() {
                match self.open().await {
                    Ok(()) => {}
                    Err(error) if error.is_transient() => self.break_off().await,
                    Err(error) => return Err(error),
                }
                continue;
            }
            self.fill().await;
        }
    }

    async fn open(&mut self) -> Result<(), Error> {
        let mut request = self.client.request(Method::GET, &self.path);
        request = request.header("accept", "text/event-stream");
        if let Some(id) = &self.last_id {
            request = request.header("last-event-id", id);
        }
        let response = self.client.open(request).await?;
        self.buffer.clear();
        self.body = Some(response.bytes_stream().boxed());
        Ok(())
    }

    async fn fill(&mut self) {
        let Some(body) = &mut self.body else { return };
        match tokio::time::timeout(SILENCE_MAX, body.next()).await {
            Ok(Some(Ok(bytes))) if self.buffer.len() + bytes.len() <= EVENT_BYTES_MAX => {
                self.buffer.extend_from_slice(&bytes);
            }
            _ => self.break_off().await,
        }
    }

    async fn break_off(&mut self) {
        self.body = None;
        self.buffer.clear();
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// Takes the first whole event out of what has come.
    fn buffered(&mut self) -> Option<ServerEvent> {
        loop {
            let end = self.buffer.windows(2).position(|it| it == b"\n\n")?;
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            if let Some(event) = parse(&String::from_utf8_lossy(&block)) {
                if !event.id.is_empty() {
                    self.last_id = Some(event.id.clone());
                }
                return Some(event);
            }
        }
    }
}

/// Reads one block; a comment is no event.
fn parse(block: &str) -> Option<ServerEvent> {
    let (mut id, mut event, mut data) = (String::new(), "message".to_owned(), String::new());
    for line in block.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => value.clone_into(&mut id),
            "event" => value.clone_into(&mut event),
            "data" if data.is_empty() => value.clone_into(&mut data),
            "data" => data = format!("{data}\n{value}"),
            // Comments, `retry`, and what is not known yet.
            _ => {}
        }
    }
    if data.is_empty() {
        return None;
    }
    Some(ServerEvent {
        id,
        event,
        data: serde_json::from_str(&data).unwrap_or(Value::String(data)),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_are_events_and_comments_are_not() {
        let event = |id: &str, event: &str, data| {
            let (id, event) = (id.to_owned(), event.to_owned());
            Some(ServerEvent { id, event, data })
        };
        for (block, expected) in [
            (": still here\n\n", None),
            (
                "id: 7-3\nevent: record\ndata: {\"a\":1}\n\n",
                event("7-3", "record", json!({"a": 1})),
            ),
            ("data: [1,\ndata: 2]\n\n", event("", "message", json!([1, 2]))),
            ("data:plain\n\n", event("", "message", json!("plain"))),
        ] {
            assert_eq!(parse(block), expected, "{block:?}");
        }
    }
}
