//! What a caller is told when something is not done: `application/problem+json` (RFC 9457) with a
//! code that has a page, and what to do.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use surefoot::core::run::Refusal;
use surefoot::core::source::{self, Suggestion, oxford};
use surefoot::inspect::InspectError;
use surefoot::{CommandError, StartError, store};
use surefoot_client::wire;
pub use surefoot_client::wire::Fault;

/// Why a request was not carried out. Boxed, because every handler may answer with it.
#[derive(Clone, Debug)]
pub struct Problem(Box<Told>);

#[derive(Clone, Debug)]
struct Told {
    status: StatusCode,
    code: &'static str,
    title: String,
    detail: Option<String>,
    hint: Option<String>,
    errors: Vec<Fault>,
    retry_after_seconds: Option<u64>,
    supported: Vec<u32>,
}

/// Faults of one body that are listed.
pub(crate) const FAULTS_MAX: usize = 20;

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, title: impl Into<String>) -> Problem {
        Problem(Box::new(Told {
            status,
            code,
            title: title.into(),
            detail: None,
            hint: None,
            errors: Vec::new(),
            retry_after_seconds: None,
            supported: Vec::new(),
        }))
    }

    /// What exactly happened here.
    pub fn detail(mut self, detail: impl Into<String>) -> Problem {
        self.0.detail = Some(detail.into());
        self
    }

    /// How to mend it.
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.0.hint = Some(hint.into());
        self
    }

    pub fn errors(mut self, errors: Vec<Fault>) -> Problem {
        self.0.errors = errors;
        self
    }

    /// Says when to try again.
    pub fn retry_after(mut self, seconds: u64) -> Problem {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// Names the versions of the worker protocol that are spoken.
    pub fn supported(mut self, supported: Vec<u32>) -> Problem {
        self.0.supported = supported;
        self
    }

    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// There is no such thing, or the caller may not know of it.
    pub fn not_found(what: &str, name: impl std::fmt::Display) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "SF4012", format!("there is no {what} `{name}`"))
            .hint("Check the name. With a token of some namespaces nothing else is found.")
    }

    /// A fault of ours. The cause goes to the log, not to the caller.
    pub fn internal(cause: impl std::fmt::Display) -> Problem {
        tracing::error!(%cause, "a request failed for a reason of our own");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "SF4020", "the server made a mistake")
            .hint("The server's log has the cause. Nothing that was answered before is lost.")
    }

    /// What to do where nothing better is known.
    fn page(&self) -> String {
        format!("GET /errors/{} says what it means and how to mend it.", self.0.code)
    }

    /// Returns the body.
    pub fn to_wire(&self) -> wire::Problem {
        wire::Problem {
            kind: format!("/errors/{}", self.0.code),
            title: self.0.title.clone(),
            status: self.0.status.as_u16(),
            code: self.0.code.to_owned(),
            detail: self.0.detail.clone(),
            hint: Some(self.0.hint.clone().unwrap_or_else(|| self.page())),
            errors: self.0.errors.clone(),
            supported: self.0.supported.clone(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.to_wire()).unwrap_or_default();
        let mut response = (self.0.status, body).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.0.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Says "did you mean", or lists what there is.
pub(crate) fn suggestion(name: &str, known: &[String], what: &str) -> String {
    match source::suggestion(name, known) {
        Suggestion::Near(near) => format!("Did you mean `{near}`?"),
        Suggestion::Listed(names) => format!("There are these {what}: {names}."),
        Suggestion::Nothing => format!("There are no {what} yet."),
    }
}

fn conflict(code: &'static str, title: impl Into<String>) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, title)
}

fn unprocessable(code: &'static str, title: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, title)
}

fn stopping() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "SF4019", "the server is stopping")
        .hint("Send it again: another node, or this one once it is back, will take it.")
        .retry_after(1)
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Problem {
        tracing::error!(%error, "the store did not do what was asked");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "SF4019", "the store is not available")
            .hint("Send it again. The server's log says what is wrong.")
            .retry_after(1)
    }
}

impl From<InspectError> for Problem {
    fn from(error: InspectError) -> Problem {
        match error {
            InspectError::NotFound(run) => Problem::not_found("run", run),
            InspectError::Store(error) => error.into(),
            InspectError::Unreadable { .. } => Problem::internal(error),
        }
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Problem {
        let title = error.to_string();
        match error {
            StartError::UnknownWorkflow { name, known } => {
                let hint = suggestion(&name, &known, "workflows");
                Problem::not_found("workflow", name).hint(hint)
            }
            StartError::UnknownVersion { workflow, version, known } => {
                let hint = suggestion(&version, &known, "versions");
                Problem::not_found(&format!("version of `{workflow}`"), version).hint(hint)
            }
            StartError::InvalidInput { violations, .. } => {
                let faults = violations.iter().take(FAULTS_MAX).map(|it| Fault {
                    pointer: format!("/input{}", it.pointer),
                    message: it.message.clone(),
                });
                unprocessable("SF4017", "the input does not fit the workflow")
                    .errors(faults.collect())
                    .hint("The workflow's `input` schema is in GET /v1/workflows/{id}.")
            }
            StartError::MissingHandlers { names, .. } => unprocessable("SF4025", title).hint(
                format!("Connect a worker with the capability {}, or register the function in the program.", oxford(&names.iter().map(String::as_str).collect::<Vec<_>>(), "and")),
            ),
            StartError::KeyConflict { .. } => conflict("SF4013", title)
                .hint("Send what was sent with this key before, or choose another key."),
            StartError::Limit { .. } if title.contains("resident_runs") => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "SF4018", title)
                    .hint("Wait until some runs have ended, or raise limits.resident_runs.")
                    .retry_after(1)
            }
            StartError::Limit { .. } => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "SF4004", title)
                .hint("Store large data outside, and pass on where it is."),
            StartError::ConcurrencyKey { .. } => unprocessable("SF4017", title)
                .hint("The workflow's `concurrency.key` reads the input; send what it reads."),
            StartError::Fork { .. } => conflict("SF4016", title),
            StartError::Definition { .. } => unprocessable("SF4022", title)
                .hint("Deploy the workflow again; this version of the engine refuses it."),
            StartError::Store(error) => error.into(),
            StartError::Stopping => stopping(),
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Problem {
        match error {
            CommandError::NotFound(run) => Problem::not_found("run", run),
            CommandError::Refused(refusal) => refusal.into(),
            CommandError::Unreadable { .. } => Problem::internal(error),
            CommandError::Store(error) => error.into(),
            CommandError::Stopping => stopping(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let title = refusal.to_string();
        match refusal {
            Refusal::Run { hint, .. } | Refusal::Task { hint, .. } => {
                conflict("SF4016", title).hint(hint)
            }
            Refusal::Stale { .. } => conflict("SF4016", title),
            Refusal::NoTask { hint, .. } => {
                Problem::new(StatusCode::NOT_FOUND, "SF4012", title).hint(hint)
            }
            Refusal::NotAvailable { available, .. } => {
                let names: Vec<&str> = available.iter().map(String::as_str).collect();
                let hint = match names.is_empty() {
                    true => "Nothing is waited for now.".to_owned(),
                    false => format!("Available now: {}.", oxford(&names, "and")),
                };
                conflict("SF4016", title).hint(hint)
            }
            Refusal::Forbidden { .. } => Problem::new(StatusCode::FORBIDDEN, "SF4011", title)
                .hint("The task says who may decide it: GET /v1/tasks."),
            Refusal::Invalid { pointer, message, .. } => unprocessable("SF4023", title)
                .errors(vec![Fault { pointer, message }])
                .hint("The task says what it takes: GET /v1/tasks."),
            Refusal::Limit { .. } => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "SF4004", title)
                .hint("Store large data outside, and pass on where it is."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What went wrong inside is for the log: a caller is told no path, no statement, no type.
    #[test]
    fn causes_of_our_own_are_not_told() {
        let (location, reason) = ("/var/lib/secret.db".to_owned(), "SELECT * FROM runs".to_owned());
        let hint = "panicked at src/lib.rs".to_owned();
        let damaged =
            || store::Error::Damaged { location: location.clone(), reason: reason.clone() };
        let unavailable = store::Error::Unavailable {
            location: location.clone(),
            reason: reason.clone(),
            hint: hint.clone(),
        };
        let told: [Problem; 5] = [
            unavailable.into(),
            damaged().into(),
            InspectError::Store(damaged()).into(),
            StartError::Store(damaged()).into(),
            Problem::internal(format!("{location} {reason} {hint}")),
        ];
        for problem in told {
            let text = serde_json::to_string(&problem.to_wire()).unwrap_or_default();
            assert!(problem.status().is_server_error(), "{text}");
            for secret in [&location, &reason, &hint] {
                assert!(!text.contains(secret.as_str()), "{text}");
            }
            assert!(text.contains("\"hint\":\""), "{text}");
        }
    }
}
