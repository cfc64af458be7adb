//! From a response to the output of a task: what was expected, and no more bytes than allowed.

use std::collections::BTreeMap;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Map, Value, json};
use surefoot_core::task_error::TaskError;

use super::error;
use super::request::{Reading, With};
use crate::kinds::parameters::bad;

/// Bytes of the body of a refused response that the error keeps.
const ERROR_BODY_BYTES_MAX: usize = 4 * 1024;

/// What the task says of the response.
pub(super) struct Expected {
    statuses: Vec<(u16, u16)>,
    headers: Vec<(String, Match)>,
    bytes_max: usize,
    reading: Reading,
}

enum Match {
    Exact(String),
    Pattern(Regex),
}

impl Expected {
    pub(super) fn new(with: &With, bytes_max: usize) -> Result<Expected, TaskError> {
        let statuses = match &with.expect.status {
            None => vec![(200, 299)],
            Some(Value::Array(ranges)) => ranges.iter().map(range).collect::<Result<_, _>>()?,
            Some(one) => vec![range(one)?],
        };
        let headers = with.expect.headers.iter().map(|(name, value)| {
            let wanted = match value.get("matches").and_then(Value::as_str) {
                Some(text) => Match::Pattern(Regex::new(text).map_err(|it| {
                    bad(format!(
                        "http: `expect.headers.{name}.matches` is not a regular expression: {it}"
                    ))
                })?),
                None => Match::Exact(value.as_str().unwrap_or_default().to_owned()),
            };
            Ok((name.clone(), wanted))
        });
        Ok(Expected {
            statuses,
            headers: headers.collect::<Result<_, TaskError>>()?,
            bytes_max: with.response.max_bytes.unwrap_or(bytes_max),
            reading: with.response.reading,
        })
    }

    /// Reads the response into the output of the task.
    pub(super) async fn read(
        self,
        mut response: Response,
        started: Instant,
    ) -> Result<Value, TaskError> {
        let status = response.status();
        if !self.statuses.iter().any(|(low, high)| (*low..=*high).contains(&status.as_u16())) {
            let (body, _) =
                read_body(&mut response, ERROR_BODY_BYTES_MAX).await.unwrap_or_default();
            return Err(error::status(&response, &String::from_utf8_lossy(&body)));
        }
        self.check_headers(&response)?;
        if response.content_length().is_some_and(|it| it > self.bytes_max as u64) {
            return Err(error::too_large(response.url(), self.bytes_max));
        }
        let (body, whole) = read_body(&mut response, self.bytes_max).await?;
        if !whole {
            return Err(error::too_large(response.url(), self.bytes_max));
        }
        let mut output = Map::new();
        output.insert("status".to_owned(), status.as_u16().into());
        output.insert("headers".to_owned(), json!(header_texts(response.headers())));
        output.insert("url".to_owned(), without_credentials(&response).into());
        let (key, value) = self.body_value(&response, body)?;
        output.insert(key.to_owned(), value);
        output.insert("duration_ms".to_owned(), (started.elapsed().as_millis() as u64).into());
        Ok(Value::Object(output))
    }

    fn check_headers(&self, response: &Response) -> Result<(), TaskError> {
        let found = header_texts(response.headers());
        for (name, wanted) in &self.headers {
            let text = found.get(&name.to_lowercase());
            let fits = match wanted {
                Match::Exact(exact) => text == Some(exact),
                Match::Pattern(pattern) => text.is_some_and(|it| pattern.is_match(it)),
            };
            if !fits {
                return Err(error::header(response.url(), name, text.is_some()));
            }
        }
        Ok(())
    }

    fn body_value(
        &self,
        response: &Response,
        body: Vec<u8>,
    ) -> Result<(&'static str, Value), TaskError> {
        let invalid = |it: serde_json::Error| error::invalid_json(response.url(), &it);
        let reading = match self.reading {
            Reading::Auto if is_json(response.headers()) && body.is_empty() => {
                return Ok(("json", Value::Null));
            }
            Reading::Auto if is_json(response.headers()) => Reading::Json,
            Reading::Auto if std::str::from_utf8(&body).is_ok() => Reading::Text,
            Reading::Auto => Reading::Base64,
            asked => asked,
        };
        Ok(match reading {
            Reading::Json => ("json", serde_json::from_slice(&body).map_err(invalid)?),
            Reading::Base64 => ("base64", STANDARD.encode(&body).into()),
            Reading::Text | Reading::Auto => ("text", String::from_utf8_lossy(&body).into()),
        })
    }
}

/// Reads at most `bytes_max` bytes, and says whether that was all.
pub(super) async fn read_body(
    response: &mut Response,
    bytes_max: usize,
) -> Result<(Vec<u8>, bool), TaskError> {
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        let Some(chunk) = chunk.map_err(|it| error::sending(response.url(), &it))? else {
            return Ok((body, true));
        };
        let room = bytes_max - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((body, false));
        }
    }
}

/// Reads `200` or `"200-299"`.
fn range(value: &Value) -> Result<(u16, u16), TaskError> {
    let one = |it: &str| it.trim().parse::<u16>().ok().filter(|it| (100..=599).contains(it));
    let text = crate::kinds::parameters::scalar_text(value);
    let (low, high) = text.split_once('-').unwrap_or((&text, &text));
    match (one(low), one(high)) {
        (Some(low), Some(high)) if low <= high => Ok((low, high)),
        _ => Err(bad(
            "http: `expect.status` has an entry that is no status and no range such as 200-299",
        )),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

fn header_texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes());
        texts
            .entry(name.as_str().to_owned())
            .and_modify(|it| *it = format!("{it}, {text}"))
            .or_insert_with(|| text.into_owned());
    }
    texts
}

fn without_credentials(response: &Response) -> String {
    let mut url = response.url().clone();
    // Both fail only for URLs without a host, which no response has.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}
