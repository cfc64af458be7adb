//! Requests and answers as they are on the wire: JSON in snake case, times in RFC 3339 (UTC).

mod audit;
mod bulk;
mod event;
mod overview;
mod problem;
mod run;
mod schedule;
mod secret;
mod subscription;
mod task;
mod token;
mod worker;
mod workflow;

pub use audit::*;
pub use bulk::*;
pub use event::*;
pub use overview::*;
pub use problem::{Fault, Problem};
pub use run::*;
pub use schedule::*;
pub use secret::*;
pub use subscription::*;
pub use task::*;
pub use token::*;
pub use worker::*;
pub use workflow::*;

use serde::{Deserialize, Serialize};

/// A part of a list. The next part starts at `next_cursor`; without one, this is the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}
