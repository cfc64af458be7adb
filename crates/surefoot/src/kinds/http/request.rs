//! From the parameters of a task to a request that can be sent.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::Value;
use surefoot_core::task_error::TaskError;

use super::error;
use crate::kinds::Context;
use crate::kinds::parameters::{bad, present, scalar_text};

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const REDIRECTS_MAX_DEFAULT: u32 = 10;

/// `with` of an `http` task. Its schema is `surefoot_core::kind_schema::http`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct With {
    #[serde(default)]
    method: Option<String>,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    #[serde(default)]
    query: BTreeMap<String, Value>,
    #[serde(default, deserialize_with = "present")]
    json: Option<Value>,
    form: Option<BTreeMap<String, Value>>,
    body: Option<String>,
    body_base64: Option<String>,
    auth: Option<Auth>,
    pub(super) timeout: Option<String>,
    follow_redirects: Option<u32>,
    #[serde(default)]
    pub(super) expect: Expect,
    #[serde(default)]
    pub(super) response: ResponseOptions,
    #[serde(default)]
    tls: Tls,
    #[serde(default)]
    idempotency: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Auth {
    Basic { user: String, password: String },
    Bearer(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expect {
    pub(super) status: Option<Value>,
    pub(super) headers: BTreeMap<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ResponseOptions {
    pub(super) max_bytes: Option<usize>,
    #[serde(rename = "as")]
    pub(super) reading: Reading,
}

/// How a response body is given to the workflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reading {
    #[default]
    Auto,
    Json,
    Text,
    Base64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    pub(super) ca_file: Option<PathBuf>,
    pub(super) insecure: bool,
}

/// What is sent next; a redirect changes it.
pub(super) struct Exchange {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) tls: Tls,
    pub(super) redirects_max: u32,
}

impl Exchange {
    pub(super) fn new(with: With, context: &Context) -> Result<Exchange, TaskError> {
        let method = with.method.as_deref().unwrap_or("GET");
        let method: Method = method.parse().map_err(|_| bad("http: `method` is not a method"))?;
        let url = parse_url(&with.url, &with.query)?;
        let mut headers = HeaderMap::new();
        let body = body(&with, &mut headers)?;
        if method != Method::GET && with.idempotency != Some(false) {
            headers.insert(
                IDEMPOTENCY_KEY,
                header_value("Idempotency-Key", &context.idempotency_key)?,
            );
        }
        // A task that names its own place in a trace tells its own state as well.
        if !with.headers.keys().any(|it| it.eq_ignore_ascii_case(TRACEPARENT.as_str())) {
            for (name, value) in
                [(TRACEPARENT, &context.traceparent), (TRACESTATE, &context.tracestate)]
            {
                if !value.is_empty() {
                    let value = header_value(name.as_str(), value)?;
                    headers.insert(name, value);
                }
            }
        }
        if let Some(auth) = &with.auth {
            headers.insert(AUTHORIZATION, authorization(auth)?);
        }
        for (name, value) in &with.headers {
            let parsed = HeaderName::try_from(name.as_str());
            let parsed = parsed.map_err(|_| bad(format!("http: `{name}` is not a header name")))?;
            headers.insert(parsed, header_value(name, &scalar_text(value))?);
        }
        let redirects_max = with.follow_redirects.unwrap_or(REDIRECTS_MAX_DEFAULT);
        Ok(Exchange { method, url, headers, body, tls: with.tls, redirects_max })
    }
}

fn parse_url(text: &str, query: &BTreeMap<String, Value>) -> Result<Url, TaskError> {
    // The text may hold a secret, and what cannot be parsed cannot be stripped of it: not shown.
    let mut url =
        Url::parse(text).map_err(|it| error::bad_url(&format!("`url` is no URL: {it}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        let problem = format!("the scheme `{}` is not http or https", url.scheme());
        return Err(error::bad_url(&problem));
    }
    if !query.is_empty() {
        let mut pairs = url.query_pairs_mut();
        for (name, value) in query {
            match value {
                Value::Null => {}
                Value::Array(items) => {
                    pairs.extend_pairs(items.iter().map(|it| (name, scalar_text(it))));
                }
                one => {
                    pairs.append_pair(name, &scalar_text(one));
                }
            }
        }
    }
    Ok(url)
}

/// Returns the body and names its type.
fn body(with: &With, headers: &mut HeaderMap) -> Result<Vec<u8>, TaskError> {
    let forms =
        [with.json.is_some(), with.form.is_some(), with.body.is_some(), with.body_base64.is_some()];
    if forms.iter().filter(|it| **it).count() > 1 {
        return Err(bad("http: give one of `json`, `form`, `body` and `body_base64`, not several"));
    }
    if let Some(json) = &with.json {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Ok(json.to_string().into_bytes());
    }
    if let Some(form) = &with.form {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        return Ok(form_body(form));
    }
    if let Some(text) = &with.body_base64 {
        let bytes = STANDARD.decode(text);
        return bytes.map_err(|it| bad(format!("http: `body_base64` is not base64: {it}")));
    }
    Ok(with.body.clone().unwrap_or_default().into_bytes())
}

fn form_body(form: &BTreeMap<String, Value>) -> Vec<u8> {
    // A query is encoded the same way, and the URL type knows how.
    let mut carrier = Url::parse("http://form/").expect("a constant URL");
    let pairs = form.iter().map(|(name, value)| (name, scalar_text(value)));
    carrier.query_pairs_mut().extend_pairs(pairs);
    carrier.query().unwrap_or_default().as_bytes().to_vec()
}

fn authorization(auth: &Auth) -> Result<HeaderValue, TaskError> {
    let text = match auth {
        Auth::Basic { user, .. } if user.contains(':') => {
            return Err(bad("http: `auth.basic.user` must not contain a colon"));
        }
        Auth::Basic { user, password } => {
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        }
        Auth::Bearer(token) => format!("Bearer {token}"),
    };
    let mut value = header_value("Authorization", &text)?;
    value.set_sensitive(true);
    Ok(value)
}

fn header_value(name: &str, text: &str) -> Result<HeaderValue, TaskError> {
    HeaderValue::from_str(text).map_err(|_| {
        bad(format!("http: the value of header `{name}` holds a line break or control character"))
    })
}
