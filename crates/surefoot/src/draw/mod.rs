//! Pictures of plans: text, Mermaid, DOT and SVG. Pure: a plan and perhaps the statuses of its
//! tasks go in, a text comes out. The command line prints it and the server sends it.
//!
//! | file | answers |
//! |---|---|
//! | `diagram` | what is drawn: boxes, boxes in boxes, arrows |
//! | `marks` | what the verifier found |
//! | `layers`, `order`, `place` | where it goes |
//! | `ascii` (with `canvas`, `channel`), `listing` | as text, and as text when there is no room |
//! | `mermaid`, `dot`, `svg` | as pictures |

mod ascii;
mod canvas;
mod channel;
mod diagram;
mod dot;
mod layers;
mod listing;
mod marks;
mod mermaid;
mod order;
mod place;
mod svg;

use std::collections::BTreeMap;

use surefoot_core::run::TaskStatus;

pub use ascii::{WIDTH_MIN, ascii};
pub use diagram::{Diagram, Edge, Level, Shape, Vertex};
pub use dot::dot;
pub use marks::{Clash, Mark};
pub use mermaid::mermaid;
pub use svg::svg;

/// Statuses by the path of the task; a task that is not named is drawn plainly.
pub type Statuses = BTreeMap<String, TaskStatus>;

/// Returns the sign that stands for a status in texts, never without the word nearby.
pub fn sign(status: TaskStatus) -> char {
    match status {
        TaskStatus::Pending => '·',
        TaskStatus::Ready => '○',
        TaskStatus::Running => '▶',
        TaskStatus::Retrying => '↻',
        TaskStatus::Waiting => '◔',
        TaskStatus::Completed => '✓',
        TaskStatus::Failed => '✗',
        TaskStatus::Skipped => '−',
        TaskStatus::Cancelled => '■',
        TaskStatus::Compensated => '↶',
    }
}

#[cfg(test)]
mod tests;
