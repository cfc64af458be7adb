//! Workflows of other systems, written as definitions. A conversion says in notes what it changed,
//! and refuses what it would have to invent.

mod graph;
mod wfcommons;

pub use wfcommons::wfcommons;

/// What the tasks of a converted graph do: the source says when they ran, seldom what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConvertKind {
    /// Waits as long as the task ran, times the scale.
    #[default]
    Wait,
    /// Does nothing, at once.
    Transform,
}

#[derive(Clone, Copy, Debug)]
pub struct ConvertOptions {
    /// 0.001 makes a second of a millisecond.
    pub time_scale: f64,
    pub kind: ConvertKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// YAML; of large graphs JSON, which is YAML too and read several times faster.
    pub definition_yaml: String,
    /// What was changed, a sentence each.
    pub notes: Vec<String>,
}

/// Something that cannot be converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConvertProblem {
    /// JSON pointer (RFC 6901) into the source.
    pub pointer: String,
    pub message: String,
    pub help: Option<String>,
}
