//! Webhooks: `POST /hooks/NAME` starts the workflows that have a trigger of that name.
//!
//! A request proves itself by its signature, so it needs no token:
//!
//! | header | holds |
//! |---|---|
//! | `Webhook-Id` | the delivery's name; sent again, it starts nothing |
//! | `Webhook-Timestamp` | seconds since 1970, at most five minutes from now |
//! | `Webhook-Signature` | `sha256=` and the HMAC-SHA256 of `TIMESTAMP.BODY` in hexadecimal |

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use surefoot::core::ids::Digest;
use surefoot::triggers::{self, Delivery, DeliveryError, Trigger};
use surefoot_client::wire::{Received, StartedBy};
use utoipa_axum::routes;

use crate::api::{Access, Api};
use crate::problem::Problem;
use crate::service::Service;
use crate::signature::Signature;
use crate::{body, time};

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";
/// How far the sender's clock may be from ours.
const WINDOW_SECONDS: u64 = 300;
/// Letters of a delivery's id.
const ID_LEN_MAX: usize = 128;

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Public, routes!(receive))
}

/// Takes a webhook.
///
/// Starts each workflow that has a `webhook` trigger of this name, with what the trigger makes of
/// `event` (`event.data` is the body) as input. A delivery that has come before is answered with
/// the runs that it started then. The request is signed, so it needs no token.
#[utoipa::path(post, path = "/hooks/{name}", tag = "triggers",
    params(("name" = String, Path), ("Webhook-Id" = Option<String>, Header),
        ("Webhook-Timestamp" = Option<u64>, Header), ("Webhook-Signature" = Option<String>, Header)),
    request_body(content = Value, description = "Whatever the sender says"),
    responses((status = 200, description = "What it started, now or before", body = Received)))]
async fn receive(
    State(service): State<Service>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<Received>, Problem> {
    let triggers = service.triggers().hooks(&name);
    if triggers.is_empty() {
        return Err(Problem::not_found("webhook", &name)
            .hint("A deployed workflow has `triggers: {webhook: {path, secret}}`."));
    }
    let headers = request.headers().clone();
    let envelope = Envelope::read(&headers, &service)?;
    let content = body::read(request, &service).await?;
    let proved = prove(&service, triggers, &envelope, &content)?;
    let delivery = Delivery {
        id: format!("hook:{name}:{}", envelope.id),
        alias: envelope.signature.map(|it| format!("hook:{name}:signature:{it}")),
        digest: Digest::of(&content),
        event: json!({
            "id": envelope.id,
            "source": format!("/hooks/{name}"),
            "type": "webhook",
            "time": time::text(service.now()),
            "headers": told_headers(&headers),
            "data": data(&headers, &content, &service)?,
        }),
        actor: format!("webhook:{name}"),
        trace: crate::runs::trace_context(&headers),
    };
    let wanted = proved.into_iter().map(|it| (it, None)).collect();
    let received = service.triggers().receive(&delivery, wanted).await?;
    Ok(Json(to_wire(envelope.id, received)))
}

/// What the headers say of a delivery.
struct Envelope {
    id: String,
    timestamp: String,
    signature: Option<Signature>,
}

impl Envelope {
    fn read(headers: &HeaderMap, service: &Service) -> Result<Envelope, Problem> {
        let text = |name: &str| headers.get(name).map(|it| it.to_str().unwrap_or_default());
        let signature = match text(SIGNATURE) {
            Some(said) => Some(Signature::read(said).ok_or_else(unproved)?),
            None => None,
        };
        let Some(id) = text(ID) else {
            return Err(broken("the delivery has no Webhook-Id"));
        };
        let is_visible = |it: u8| it.is_ascii_graphic();
        if id.is_empty() || id.len() > ID_LEN_MAX || !id.bytes().all(is_visible) {
            return Err(broken("Webhook-Id is not 1 to 128 visible characters"));
        }
        let timestamp = text(TIMESTAMP).unwrap_or_default().to_owned();
        if signature.is_some() {
            let sent: u64 = timestamp
                .parse()
                .map_err(|_| broken("Webhook-Timestamp is not a number of seconds since 1970"))?;
            let now = service.now() / 1000;
            if sent.abs_diff(now) > WINDOW_SECONDS {
                return Err(unauthorized("SF4101", "the delivery is too old, or from the future")
                    .detail(format!("it says {sent}, and it is {now}"))
                    .hint(
                        "Send it within five minutes of signing it, and set the sender's clock.",
                    ));
            }
        }
        Ok(Envelope { id: id.to_owned(), timestamp, signature })
    }
}

/// Returns the triggers whose secret signed the delivery; at least one.
fn prove(
    service: &Service,
    triggers: Vec<Trigger>,
    envelope: &Envelope,
    content: &[u8],
) -> Result<Vec<Trigger>, Problem> {
    let mut proved = Vec::new();
    let mut unset = false;
    for trigger in triggers {
        let names = trigger.secrets();
        // While a secret is being replaced, the old and the new one are good.
        let secrets: Vec<_> = names.iter().filter_map(|it| service.engine().secret(it)).collect();
        if secrets.is_empty() && !names.is_empty() {
            let workflow = trigger.workflow();
            tracing::error!(workflow, secrets = ?names, "the secret of a webhook is not set");
            unset = true;
        }
        let is_by = |it: &Signature| {
            secrets.iter().any(|secret| it.is_by(secret, &envelope.timestamp, content))
        };
        // Without a secret there is nothing to prove; that is for one's own machine alone.
        let is_proved = match names.is_empty() {
            true => service.is_open(),
            false => envelope.signature.as_ref().is_some_and(is_by),
        };
        if is_proved {
            proved.push(trigger);
        }
    }
    match proved.is_empty() {
        false => Ok(proved),
        true if unset => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "SF4103",
            "the webhook's secret is not set on the server",
        )
        .hint(
            "Set it with `surefoot secret set NAME`, or in the environment or the file of secrets.",
        )
        .retry_after(60)),
        true => Err(unproved()),
    }
}

fn unproved() -> Problem {
    unauthorized("SF4100", "the delivery is not signed with the webhook's secret")
        .hint("Webhook-Signature is `sha256=` and the HMAC-SHA256 of `TIMESTAMP.BODY`.")
}

/// Reads a body: JSON as JSON, other text as text.
fn data(headers: &HeaderMap, content: &[u8], service: &Service) -> Result<Value, Problem> {
    if content.is_empty() {
        return Ok(Value::Null);
    }
    if body::is_json(headers) {
        return body::value(content, service);
    }
    match std::str::from_utf8(content) {
        Ok(text) if !text.contains('\0') => Ok(Value::from(text)),
        _ => {
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "SF4003", "the body is not text")
                .hint("Send JSON as application/json, or other text."))
        }
    }
}

/// What senders say of themselves in headers; whatever proves something is left out.
fn told_headers(headers: &HeaderMap) -> Value {
    const LEFT_OUT: [&str; 4] = ["authorization", "cookie", "proxy-authorization", SIGNATURE];
    let told = headers.iter().filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()));
    let told = told.filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), Value::from(value.to_str().ok()?)))
    });
    Value::Object(told.collect::<Map<_, _>>())
}

pub(crate) fn to_wire(id: String, received: triggers::Received) -> Received {
    let runs = received.started.into_iter().map(|it| StartedBy {
        workflow: it.workflow,
        run: it.run.map(|it| it.to_string()),
        error: it.error,
    });
    Received { id, duplicate: received.is_duplicate, runs: runs.collect() }
}

fn broken(title: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "SF4102", title)
        .hint("Send Webhook-Id, Webhook-Timestamp and Webhook-Signature.")
}

fn unauthorized(code: &'static str, title: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, code, title)
}

impl From<DeliveryError> for Problem {
    fn from(error: DeliveryError) -> Problem {
        match error {
            DeliveryError::Other { .. } => {
                Problem::new(StatusCode::CONFLICT, "SF4105", error.to_string())
                    .hint("Give each delivery an id of its own, and send the same one unchanged.")
            }
            DeliveryError::Start(error) => error.into(),
            DeliveryError::Store(error) => error.into(),
        }
    }
}
