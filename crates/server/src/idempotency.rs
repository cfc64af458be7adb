//! `Idempotency-Key`: a request that is sent twice is carried out once.
//!
//! The answer is kept for a day, and given again to the same caller for the same request. Another
//! request under the key is refused, and so is one that comes while the first is under way.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use surefoot::core::time::Millis;
use surefoot::store::{Expect, ItemWrite};

use crate::auth::Principal;
use crate::body;
use crate::problem::Problem;
use crate::service::Service;

/// Where answers are kept.
const COLLECTION: &str = "answers";
const KEY_LEN_MAX: usize = 255;
/// Answers that are looked at for their age with each new one, so that old ones go.
const SWEPT: u32 = 16;
/// Bytes of an answer that is kept; larger ones are given once.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
pub(crate) const HEADER: &str = "idempotency-key";
const REPLAYED: &str = "idempotency-replayed";

/// Keys whose requests are under way.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashSet<String>>>);

/// An answer that is kept.
#[derive(Serialize, Deserialize)]
struct Answer {
    request: String,
    status: u16,
    kind: Option<String>,
    location: Option<String>,
    body: String,
    at: Millis,
}

/// A key that is taken until this is dropped.
struct Taken {
    keys: UnderWay,
    key: String,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.keys.0.lock().unwrap_or_else(|it| it.into_inner()).remove(&self.key);
    }
}

/// Answers a request that was answered before, or lets it through and keeps its answer.
pub(crate) async fn once(
    service: Service,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(given) = request.headers().get(HEADER) else { return Ok(next.run(request).await) };
    if request.method() != Method::POST {
        return Ok(next.run(request).await);
    }
    let key = check(given)?;
    let caller = request.extensions().get::<Principal>().map(|it| it.actor.clone());
    let key = blake3::hash(format!("{}\n{key}", caller.unwrap_or_default()).as_bytes());
    let key = key.to_hex().to_string();
    let (parts, content) = request.into_parts();
    let whole = Request::from_parts(parts.clone(), content);
    let bytes = body::read(whole, &service).await?;
    let mut hash = blake3::Hasher::new();
    hash.update(parts.uri.to_string().as_bytes()).update(b"\n").update(&bytes);
    let asked = hash.finalize().to_hex().to_string();
    let _taken = take(service.under_way(), &key)?;
    if let Some(item) = service.store().item(COLLECTION, &key).await? {
        let kept: Answer = serde_json::from_slice(&item.body).map_err(Problem::internal)?;
        if service.now() < kept.at + service.config().idempotency_seconds * 1000 {
            return if kept.request == asked { replay(kept) } else { Err(mismatch()) };
        }
    }
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    keep(&service, &key, asked, response).await
}

fn check(value: &HeaderValue) -> Result<String, Problem> {
    let text = value.to_str().ok().filter(|it| {
        (1..=KEY_LEN_MAX).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_graphic())
    });
    text.map(str::to_owned).ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, "SF4014", "the Idempotency-Key cannot be used")
            .hint(format!("It has 1 to {KEY_LEN_MAX} visible ASCII characters, such as a UUID."))
    })
}

fn take(keys: &UnderWay, key: &str) -> Result<Taken, Problem> {
    let is_free = keys.0.lock().unwrap_or_else(|it| it.into_inner()).insert(key.to_owned());
    if is_free {
        return Ok(Taken { keys: keys.clone(), key: key.to_owned() });
    }
    Err(Problem::new(StatusCode::CONFLICT, "SF4026", "the same request is under way")
        .hint("Send it again in a second, with the same key.")
        .retry_after(1))
}

fn mismatch() -> Problem {
    let title = "the Idempotency-Key was used for another request";
    Problem::new(StatusCode::CONFLICT, "SF4013", title)
        .hint("Send what was sent with it before, or choose another key.")
}

fn replay(kept: Answer) -> Result<Response, Problem> {
    let status = StatusCode::from_u16(kept.status).map_err(Problem::internal)?;
    let mut response = (status, kept.body).into_response();
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    headers.remove(header::CONTENT_TYPE);
    for (name, value) in [(header::CONTENT_TYPE, kept.kind), (header::LOCATION, kept.location)] {
        if let Some(value) = value.and_then(|it| HeaderValue::from_str(&it).ok()) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

/// Keeps what was answered. A failure of ours, or a wish to come back, is not: the next try may do
/// better.
async fn keep(
    service: &Service,
    key: &str,
    request: String,
    response: Response,
) -> Result<Response, Problem> {
    let status = response.status();
    let is_final = !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS;
    let (parts, content) = response.into_parts();
    let bytes: Bytes =
        axum::body::to_bytes(content, usize::MAX).await.map_err(Problem::internal)?;
    let text = String::from_utf8(bytes.to_vec()).ok().filter(|it| it.len() <= ANSWER_BYTES_MAX);
    if let Some(body) = text.filter(|_| is_final) {
        let header = |name| parts.headers.get(name).and_then(|it: &HeaderValue| it.to_str().ok());
        let answer = Answer {
            request,
            status: status.as_u16(),
            kind: header(header::CONTENT_TYPE).map(str::to_owned),
            location: header(header::LOCATION).map(str::to_owned),
            body,
            at: service.now(),
        };
        let body = serde_json::to_vec(&answer).map_err(Problem::internal)?;
        let mut writes = vec![ItemWrite::put(COLLECTION, key, Expect::Anything, body)];
        writes.extend(outdated(service, key).await?);
        // Expectations of anything always hold.
        let _ = service.store().write_items(writes).await?;
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

/// Removes a few answers that are too old. Keys are hashes, so looking after a new one looks at a
/// random place, and every old one is found in time.
async fn outdated(service: &Service, key: &str) -> Result<Vec<ItemWrite>, Problem> {
    let oldest = service.now().saturating_sub(service.config().idempotency_seconds * 1000);
    let items = service.store().items(COLLECTION, Some(key), SWEPT).await?;
    let old = items.into_iter().filter(|it| {
        serde_json::from_slice::<Answer>(&it.body).is_ok_and(|answer| answer.at < oldest)
    });
    Ok(old.map(|it| ItemWrite::remove(COLLECTION, &it.key, Expect::Anything)).collect())
}
