//! Why a call was not answered as hoped.

use crate::wire::Problem;

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers there, or the connection broke.
    #[error("cannot reach {url}: {reason}")]
    Unreachable { url: String, reason: String },
    /// The server refused; the problem says why and what to do.
    #[error("{}", said(.0))]
    Refused(Box<Problem>),
    /// Something answered that is not this service, or another version of it.
    #[error("{url} answered something else: {reason}")]
    Unexpected { url: String, reason: String },
    #[error("`{0}` is not the URL of a server: write it like http://127.0.0.1:7070")]
    Url(String),
}

impl Error {
    /// Returns the problem that the server told of.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Error::Refused(problem) => Some(problem),
            Error::Unreachable { .. } | Error::Unexpected { .. } | Error::Url(_) => None,
        }
    }

    /// Whether the same call may do better in a while.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Unreachable { .. } => true,
            Error::Refused(problem) => matches!(problem.status, 408 | 429 | 502 | 503 | 504),
            Error::Unexpected { .. } | Error::Url(_) => false,
        }
    }
}

fn said(problem: &Problem) -> String {
    match &problem.detail {
        Some(detail) => format!("{}: {detail}", problem.title),
        None => problem.title.clone(),
    }
}
