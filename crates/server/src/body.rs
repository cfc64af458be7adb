//! Reads the body of a request: its kind, its size, its time, and JSON that every store takes for
//! the same.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};
use surefoot::core::canonical::{JsonProblem, check_json};

use crate::problem::{Fault, Problem};
use crate::service::Service;

/// A JSON body. Unknown fields are refused by the types themselves.
pub(crate) struct Json<T>(pub T);

/// As [`Json`], and nothing at all stands for an empty object.
pub(crate) struct MaybeJson<T>(pub T);

/// Any JSON at all; nothing stands for null.
pub(crate) struct AnyJson(pub Value);

/// A body of text: the source of a definition.
pub(crate) struct Text(pub String);

impl<T: DeserializeOwned> FromRequest<Service> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &Service) -> Result<Json<T>, Problem> {
        let headers = request.headers().clone();
        let bytes = read(request, service).await?;
        if bytes.is_empty() {
            return Err(missing());
        }
        must_be_json(&headers)?;
        Ok(Json(typed(value(&bytes, service)?)?))
    }
}

impl<T: DeserializeOwned> FromRequest<Service> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &Service) -> Result<MaybeJson<T>, Problem> {
        let headers = request.headers().clone();
        let bytes = read(request, service).await?;
        if bytes.is_empty() {
            return Ok(MaybeJson(typed(Value::Object(Default::default()))?));
        }
        must_be_json(&headers)?;
        Ok(MaybeJson(typed(value(&bytes, service)?)?))
    }
}

impl FromRequest<Service> for AnyJson {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &Service) -> Result<AnyJson, Problem> {
        let headers = request.headers().clone();
        let bytes = read(request, service).await?;
        if bytes.is_empty() {
            return Ok(AnyJson(Value::Null));
        }
        must_be_json(&headers)?;
        value(&bytes, service).map(AnyJson)
    }
}

impl FromRequest<Service> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &Service) -> Result<Text, Problem> {
        const KINDS: [&str; 4] =
            ["application/yaml", "application/x-yaml", "text/yaml", "application/json"];
        let headers = request.headers().clone();
        let bytes = read(request, service).await?;
        if bytes.is_empty() {
            return Err(missing());
        }
        if !KINDS.contains(&kind(&headers).as_str()) {
            return Err(wrong_kind(&headers, "application/yaml or application/json"));
        }
        String::from_utf8(bytes).map(Text).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Problem::new(StatusCode::BAD_REQUEST, "SF4001", "the body is not text")
                .detail(format!("byte {at} is not valid UTF-8"))
                .hint("Send the source as UTF-8.")
        })
    }
}

/// Reads the bytes of a body, up to the limits on size and time.
pub(crate) async fn read(request: Request, service: &Service) -> Result<Vec<u8>, Problem> {
    let config = service.config();
    let limit = config.body_bytes;
    let said = request.headers().get(header::CONTENT_LENGTH);
    let said = said.and_then(|it| it.to_str().ok()).and_then(|it| it.parse::<usize>().ok());
    if said.is_some_and(|it| it > limit) {
        return Err(too_large(limit));
    }
    if let Some(coding) = request.headers().get(header::CONTENT_ENCODING) {
        let title = format!("the coding {} is not read", coding.to_str().unwrap_or("?"));
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "SF4003", title)
            .hint("Send the body as it is, without Content-Encoding."));
    }
    let body = axum::body::to_bytes(request.into_body(), limit);
    match tokio::time::timeout(config.body_time(), body).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) if is_limit(&error) => Err(too_large(limit)),
        Ok(Err(error)) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, "SF4001", "the body broke off")
                .detail(error.to_string())
                .hint("Send it again, whole."))
        }
        Err(_) => {
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "SF4024", "the body took too long")
                .hint(format!("It has {} seconds to arrive.", config.body_seconds)))
        }
    }
}

fn is_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        cause = error.source();
    }
    false
}

fn too_large(limit: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "SF4004", "the body is too large")
        .detail(format!("at most {limit} bytes are read"))
        .hint("Store large data outside, and pass on where it is.")
}

fn missing() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "SF4002", "the body is empty")
        .hint("GET /openapi.json has what this route takes.")
}

/// The media type without its parameters.
pub(crate) fn kind(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

fn must_be_json(headers: &HeaderMap) -> Result<(), Problem> {
    if is_json(headers) { Ok(()) } else { Err(wrong_kind(headers, "application/json")) }
}

pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let kind = kind(headers);
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

fn wrong_kind(headers: &HeaderMap, expected: &str) -> Problem {
    let kind = kind(headers);
    let detail = match kind.is_empty() {
        true => "the request says no Content-Type".to_owned(),
        false => format!("the request says `{kind}`"),
    };
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "SF4003", "the body is of the wrong kind")
        .detail(detail)
        .hint(format!("Send it as {expected}."))
}

/// Reads JSON, and refuses what databases would change.
pub(crate) fn value(bytes: &[u8], service: &Service) -> Result<Value, Problem> {
    check_json(bytes, service.config().body_bytes).map_err(|problem| not_json(problem, bytes))
}

fn not_json(problem: JsonProblem, bytes: &[u8]) -> Problem {
    let before = &bytes[..problem.offset.min(bytes.len())];
    let line = before.iter().filter(|it| **it == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|it| **it != b'\n').count() + 1;
    let is_syntax = matches!(problem.code, "SF1001" | "SF1005");
    let (status, code, title) = match is_syntax {
        true => (StatusCode::BAD_REQUEST, "SF4001", "the body is not JSON"),
        false => {
            (StatusCode::UNPROCESSABLE_ENTITY, "SF4023", "the body has JSON that cannot be kept")
        }
    };
    let fault = Fault { pointer: problem.pointer, message: problem.message.clone() };
    let told = Problem::new(status, code, title)
        .detail(format!("line {line}, column {column}: {}", problem.message))
        .errors(vec![fault]);
    told.hint(problem.hint.unwrap_or_else(|| "Check the body with a reader of JSON.".to_owned()))
}

/// Reads the fields of an object. A list would be taken for its fields in order.
fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    let unfit = |pointer: String, message: String| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4023", "the body does not fit")
            .detail(message.clone())
            .errors(vec![Fault { pointer, message }])
            .hint("GET /openapi.json has what this route takes.")
    };
    if !value.is_object() {
        return Err(unfit(String::new(), "the body is not an object".to_owned()));
    }
    serde_path_to_error::deserialize(value)
        .map_err(|error| unfit(pointer(error.path()), error.inner().to_string()))
}

/// Writes where a fault is as a JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let parts = path.iter().map(|it| match it {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        // A variant has no name of its own in JSON.
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    });
    parts.collect()
}
