//! CloudEvents that come in (`POST /v1/ingest`): structured, binary or a batch. Each starts the
//! workflows that have an `event` trigger for it, once for its source and id.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use serde_json::{Map, Value};
use surefoot::core::ids::Digest;
use surefoot::core::trace::TraceContext;
use surefoot::triggers::Delivery;
use surefoot_client::wire::{Ingested, Received};
use utoipa_axum::routes;

use crate::api::{Access, Api};
use crate::auth::Principal;
use crate::problem::{Fault, Problem};
use crate::service::Service;
use crate::{body, hooks};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
/// Before the name of an attribute in a header.
const HEADER_PREFIX: &str = "ce-";
/// Events of one batch.
const BATCH_MAX: usize = 1_000;
/// Letters of an id, a source or a type.
const ATTRIBUTE_LEN_MAX: usize = 1_024;

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Operate, routes!(ingest))
}

/// Takes CloudEvents 1.0.
///
/// Structured (`application/cloudevents+json`), a batch (`application/cloudevents-batch+json`), or
/// binary: attributes in `ce-` headers, the data as the body. An event that has come before, by
/// its source and id, is answered with the runs that it started then.
#[utoipa::path(post, path = "/v1/ingest", tag = "triggers",
    request_body(content = Value, content_type = "application/cloudevents+json", description = "An event"),
    responses((status = 200, description = "What each event started", body = Ingested)))]
async fn ingest(
    State(service): State<Service>,
    principal: Principal,
    request: Request,
) -> Result<Json<Ingested>, Problem> {
    let headers = request.headers().clone();
    let content = body::read(request, &service).await?;
    let events = read(&headers, &content, &service)?;
    let from = crate::runs::trace_context(&headers);
    let mut answers = Vec::with_capacity(events.len());
    for event in events {
        answers.push(receive(&service, &principal, event, from.clone()).await?);
    }
    Ok(Json(Ingested { events: answers }))
}

async fn receive(
    service: &Service,
    principal: &Principal,
    event: Value,
    from: TraceContext,
) -> Result<Received, Problem> {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let (source, id) = (text("source"), text("id"));
    let name = format!("{source}#{id}");
    let mut wanted = service.triggers().of_event(&event);
    wanted.retain(|(trigger, _)| principal.sees(trigger.workflow()));
    if wanted.is_empty() {
        return Ok(Received { id: name, duplicate: false, runs: Vec::new() });
    }
    // Both parts may be long, and either may hold what separates them.
    let hash = Digest::of(format!("{}\n{source}\n{id}", source.len()).as_bytes());
    // The event's own (its extension for tracing) says who made it, the request's who passed it on.
    let own = TraceContext::read(event["traceparent"].as_str(), event["tracestate"].as_str());
    let trace = if own.traceparent.is_some() { own } else { from };
    let delivery = Delivery {
        trace,
        id: format!("event:{hash}"),
        alias: None,
        digest: digest(&event),
        event,
        actor: principal.actor.clone(),
    };
    let received = service.triggers().receive(&delivery, wanted).await?;
    Ok(hooks::to_wire(name, received))
}

/// Attributes that differ each time that an event is sent, and make it no other event.
const OF_SENDING: [&str; 3] = ["time", "traceparent", "tracestate"];

/// Returns the hash of what an event says, whoever sends it and how often.
fn digest(event: &Value) -> Digest {
    let mut said = event.clone();
    if let Some(attributes) = said.as_object_mut() {
        attributes.retain(|name, _| !OF_SENDING.contains(&name.as_str()));
    }
    Digest::of(said.to_string().as_bytes())
}

/// Reads the events of a request, and finds everything that is wrong with any of them.
fn read(headers: &HeaderMap, content: &[u8], service: &Service) -> Result<Vec<Value>, Problem> {
    let kind = body::kind(headers);
    let events = match kind.as_str() {
        STRUCTURED => vec![body::value(content, service)?],
        BATCH => match body::value(content, service)? {
            Value::Array(events) if events.len() > BATCH_MAX => {
                let title = format!("{} events in one batch; at most {BATCH_MAX}", events.len());
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "SF4106", title)
                    .hint("Send them in several batches."));
            }
            Value::Array(events) => events,
            _ => return Err(not_an_event(vec![fault("", "a batch is a list of events")])),
        },
        _ if headers.contains_key("ce-specversion") => vec![binary(headers, content, service)?],
        _ => {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "SF4003",
                "the body is of the wrong kind",
            )
            .detail(format!("the request says `{kind}` and has no ce-specversion"))
            .hint(format!("Send {STRUCTURED}, {BATCH}, or the attributes in ce- headers.")));
        }
    };
    let is_batch = kind == BATCH;
    let faults = events.iter().enumerate().flat_map(|(at, event)| {
        let place = if is_batch { format!("/{at}") } else { String::new() };
        faults(event).into_iter().map(move |it| fault(&format!("{place}{}", it.0), &it.1))
    });
    let faults: Vec<Fault> = faults.take(crate::problem::FAULTS_MAX).collect();
    if faults.is_empty() { Ok(events) } else { Err(not_an_event(faults)) }
}

/// Reads an event whose attributes are headers.
fn binary(headers: &HeaderMap, content: &[u8], service: &Service) -> Result<Value, Problem> {
    let mut event = Map::new();
    for (name, value) in headers {
        if let Some(name) = name.as_str().strip_prefix(HEADER_PREFIX) {
            let value = value.to_str().unwrap_or_default();
            event.insert(name.to_owned(), Value::from(percent_decoded(value)));
        }
    }
    let kind = body::kind(headers);
    if !kind.is_empty() {
        event.insert("datacontenttype".to_owned(), Value::from(kind));
    }
    if body::is_json(headers) && !content.is_empty() {
        event.insert("data".to_owned(), body::value(content, service)?);
    } else if let Ok(text) = std::str::from_utf8(content) {
        event.insert("data".to_owned(), Value::from(text));
    } else {
        let text = base64::prelude::BASE64_STANDARD.encode(content);
        event.insert("data_base64".to_owned(), Value::from(text));
    }
    Ok(Value::Object(event))
}

/// Header values have what is not ASCII as `%E2%82%AC`.
fn percent_decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let byte = digits
            .and_then(|it| std::str::from_utf8(it).ok())
            .and_then(|it| u8::from_str_radix(it, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Says what keeps a value from being a CloudEvent 1.0.
fn faults(event: &Value) -> Vec<(String, String)> {
    let Some(fields) = event.as_object() else {
        return vec![(String::new(), "an event is an object".to_owned())];
    };
    let mut faults = Vec::new();
    if event["specversion"] != "1.0" {
        faults.push(("/specversion".to_owned(), "it is not \"1.0\"".to_owned()));
    }
    for name in ["id", "source", "type"] {
        let length = event[name].as_str().map_or(0, str::len);
        if length == 0 || length > ATTRIBUTE_LEN_MAX {
            let message = format!("it is not a text of 1 to {ATTRIBUTE_LEN_MAX} letters");
            faults.push((format!("/{name}"), message));
        }
    }
    if event["time"].as_str().is_some_and(|it| it.parse::<jiff::Timestamp>().is_err()) {
        faults.push(("/time".to_owned(), "it is not an instant of RFC 3339".to_owned()));
    }
    if fields.contains_key("data") && fields.contains_key("data_base64") {
        faults.push(("/data_base64".to_owned(), "there is `data` already".to_owned()));
    }
    let is_name = |it: &str| it.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    let wrong = fields.keys().filter(|it| *it != "data_base64" && !is_name(it));
    faults.extend(
        wrong.map(|it| {
            (format!("/{it}"), "attributes have lower-case letters and digits".to_owned())
        }),
    );
    faults
}

fn fault(pointer: &str, message: &str) -> Fault {
    Fault { pointer: pointer.to_owned(), message: message.to_owned() }
}

fn not_an_event(errors: Vec<Fault>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4104", "this is not a CloudEvent")
        .errors(errors)
        .hint("Nothing was started. An event has `specversion`, `id`, `source` and `type`.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_an_event_is_told() {
        let good = json!({"specversion": "1.0", "id": "1", "source": "shop", "type": "order.paid"});
        assert_eq!(faults(&good), []);
        for (pointer, field, value) in [
            ("/specversion", "specversion", json!("0.3")),
            ("/id", "id", json!("")),
            ("/source", "source", json!(7)),
            ("/type", "type", json!("x".repeat(1025))),
            ("/time", "time", json!("yesterday")),
            ("/Upper", "Upper", json!("x")),
        ] {
            let mut event = good.clone();
            event[field] = value;
            let found = faults(&event);
            assert_eq!(found.len(), 1, "{field}");
            assert_eq!(found[0].0, pointer);
        }
        assert_eq!(faults(&json!([])).len(), 1);
    }

    #[test]
    fn headers_are_decoded() {
        assert_eq!(percent_decoded("a%20b%E2%82%AC"), "a b€");
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%zz%4"), "%zz%4");
    }
}
