//! What the verifier looks at: a plan, the source that it was made from, and the types of its data.

use std::sync::Arc;

use crate::check::{CheckContext, Outline, Scopes};
use crate::definition::Definition;
use crate::plan::{NodeId, Plan};
use crate::source::Span;

/// A plan and its source. The outline has the same node and composite ids as the plan.
pub(crate) struct Subject<'a> {
    pub definition: &'a Definition,
    pub outline: &'a Outline<'a>,
    pub plan: &'a Arc<Plan>,
    pub scopes: &'a Scopes<'a>,
    pub context: &'a CheckContext,
}

impl Subject<'_> {
    /// Where the id of a task or state stands.
    pub fn span(&self, id: NodeId) -> Span {
        self.outline.node(id).task.id.span
    }

    /// The name of a task for messages: its path.
    pub fn name(&self, id: NodeId) -> String {
        self.plan.path(id)
    }
}
