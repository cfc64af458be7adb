//! What can go wrong in an exchange. URLs are shown without credentials and without their query,
//! where keys often hide.

use std::error::Error;
use std::io;
use std::path::Path;

use reqwest::header::RETRY_AFTER;
use reqwest::{Certificate, Response, Url};
use serde_json::json;
use surefoot_core::task_error::TaskError;

use super::address::Blocked;

pub(super) fn bad_url(problem: &str) -> TaskError {
    TaskError::fatal("bad_url", problem)
}

pub(super) fn bad_location(from: &Url, problem: &str) -> TaskError {
    TaskError::fatal("bad_url", format!("{} redirects to a bad URL: {problem}", shown(from)))
}

pub(super) fn blocked(url: &Url, cause: &Blocked) -> TaskError {
    let message = format!("{} is not allowed: {cause}", shown(url));
    match cause {
        Blocked::Address { .. } => TaskError::fatal("blocked_address", message),
        Blocked::Rule(denied) => TaskError {
            details: json!({"rule": denied.rule}),
            ..TaskError::fatal("egress_denied", message)
        },
    }
}

pub(super) fn redirect_loop(last: &Url, redirects_max: u32) -> TaskError {
    TaskError::fatal(
        "redirect_loop",
        format!(
            "{} redirects after {redirects_max} redirects; raise `follow_redirects` if there is an end",
            shown(last)
        ),
    )
}

pub(super) fn too_large(url: &Url, bytes_max: usize) -> TaskError {
    TaskError::fatal(
        "response_too_large",
        format!(
            "the body from {} has more than {bytes_max} bytes; raise `response.max_bytes`",
            shown(url)
        ),
    )
}

pub(super) fn invalid_json(url: &Url, cause: &serde_json::Error) -> TaskError {
    TaskError::new("invalid_json", format!("the body from {} is not JSON: {cause}", shown(url)))
}

pub(super) fn header(url: &Url, name: &str, is_present: bool) -> TaskError {
    let problem = if is_present { "has another value than expected" } else { "is missing" };
    TaskError::new(
        "http_header",
        format!("the response header `{name}` from {} {problem}", shown(url)),
    )
}

/// A status that was not expected.
pub(super) fn status(response: &Response, body: &str) -> TaskError {
    let code = response.status().as_u16();
    TaskError {
        retryable: matches!(code, 408 | 425 | 429 | 500..),
        status: Some(i64::from(code)),
        retry_after_ms: retry_after_ms(response, jiff::Timestamp::now()),
        details: json!({"body": body}),
        ..TaskError::new(
            "http_status",
            format!("{} answered {}", shown(response.url()), response.status()),
        )
    }
}

/// Names why a request or the reading of its response failed.
pub(super) fn sending(url: &Url, error: &reqwest::Error) -> TaskError {
    let at = shown(url);
    if let Some(cause) = cause::<Blocked>(error) {
        return blocked(url, cause);
    }
    if let Some(cause) = cause::<rustls::Error>(error) {
        return TaskError::new("tls", format!("no secure connection to {at}: {cause}"));
    }
    if error.is_dns() {
        return TaskError::new("dns", format!("the host of {at} has no address"));
    }
    if error.is_timeout() {
        return TaskError::new("timeout", format!("{at} did not answer in time"));
    }
    let cause = cause::<io::Error>(error).map_or_else(|| innermost(error), ToString::to_string);
    if error.is_connect() {
        return TaskError::new("connect", format!("no connection to {at}: {cause}"));
    }
    TaskError::new("connection_lost", format!("the connection to {at} broke: {cause}"))
}

pub(super) fn tls_setup(error: &reqwest::Error) -> TaskError {
    TaskError::fatal(
        "tls",
        format!("TLS cannot be set up: {}; name a `tls.ca_file`", innermost(error)),
    )
}

/// Reads the certificates of `tls.ca_file`.
pub(super) fn certificates(path: &Path) -> Result<Vec<Certificate>, TaskError> {
    let problem =
        |it: String| TaskError::fatal("tls", format!("`tls.ca_file` {}: {it}", path.display()));
    let text = std::fs::read(path).map_err(|it| problem(it.to_string()))?;
    let found = Certificate::from_pem_bundle(&text).map_err(|it| problem(innermost(&it)))?;
    if found.is_empty() { Err(problem("has no certificate".to_owned())) } else { Ok(found) }
}

/// Reads `Retry-After`: seconds, or the date of RFC 9110 §5.6.7.
fn retry_after_ms(response: &Response, now: jiff::Timestamp) -> Option<u64> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1000));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(u64::try_from(at.as_millisecond() - now.as_millisecond()).unwrap_or(0))
}

fn shown(url: &Url) -> String {
    let port = url.port().map(|it| format!(":{it}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// Finds an error of one type in the chain of causes, also inside `io::Error`, whose own chain
/// leaves out what it wraps.
fn cause<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(this) = next {
        if let Some(found) = this.downcast_ref::<T>() {
            return Some(found);
        }
        let inside = this.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inside.and_then(|it| cause::<T>(it as &(dyn Error + 'static))) {
            return Some(found);
        }
        next = this.source();
    }
    None
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}
