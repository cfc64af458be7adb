//! What the work of a state can give: as much as its kind says.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::interface::{Interface, constant};
use super::model::{Entry, Model};
use crate::definition::Work;
use crate::expr::{Budget, Template};
use crate::kind_schema::output_schema;
use crate::plan::{NodeId, WorkPlan, is_built_in};
use crate::schema::Schema;
use crate::verify::Subject;
use crate::verify::wanted::{Wanted, overlaid, smallest};

pub(super) struct Outputs<'e, 'a> {
    pub subject: &'e Subject<'a>,
    pub model: &'e Model<'a>,
    /// How a composite that is the work of a node can end.
    pub inside: &'e dyn Fn(NodeId) -> Option<Interface>,
}

impl Outputs<'_, '_> {
    /// Outputs of a state to try, all of which its work may give.
    pub fn samples(
        &self,
        state: u32,
        wanted: &Wanted,
        hint: Option<&Json>,
        names: &BTreeMap<String, Json>,
    ) -> Vec<Json> {
        let entry = &self.model.states[state as usize];
        let nothing = Json::Object(Map::new());
        if self.is_list(state) {
            return wanted.samples(&json!([]));
        }
        match &self.subject.plan.node(entry.id).work {
            WorkPlan::Nothing => vec![Json::Null],
            WorkPlan::Composite(_) => {
                self.of_machine(entry.id).unwrap_or_else(|| wanted.samples(&nothing))
            }
            WorkPlan::Uses { kind, with } => match &**kind {
                "log" | "wait" => vec![Json::Null],
                "transform" => with.eval(names, &Budget::default()).into_iter().collect(),
                kind => self.of_kind(kind, with, wanted, hint),
            },
        }
    }

    fn of_kind(
        &self,
        kind: &str,
        with: &Template,
        wanted: &Wanted,
        hint: Option<&Json>,
    ) -> Vec<Json> {
        let schema = self.schema(kind);
        let base = schema.map_or_else(|| Json::Object(Map::new()), smallest);
        let hinted = hint.map(|it| overlaid(&base, it));
        let samples = hinted.into_iter().chain(wanted.samples(&base));
        match schema.map(Schema::compile) {
            Some(Ok(schema)) => {
                let is_valid = |it: &Json| schema.check(it).is_ok() && gives(kind, with, it);
                samples.filter(is_valid).collect()
            }
            Some(Err(_)) | None => samples.collect(),
        }
    }

    /// The schema of a kind's output, if one is declared.
    pub fn schema(&self, kind: &str) -> Option<&Json> {
        if is_built_in(kind) {
            return output_schema(kind);
        }
        let handlers = self.subject.context.handlers.iter().flatten();
        handlers.filter(|it| it.name == kind).find_map(|it| it.output.as_ref())
    }

    /// All that a state can give, where that is known.
    pub fn known(&self, state: u32) -> Option<Vec<Json>> {
        let entry = &self.model.states[state as usize];
        if self.is_list(state) {
            return None;
        }
        match &self.subject.plan.node(entry.id).work {
            WorkPlan::Nothing => Some(vec![Json::Null]),
            WorkPlan::Composite(_) => self.of_machine(entry.id),
            WorkPlan::Uses { kind, with } => match &**kind {
                "log" | "wait" => Some(vec![Json::Null]),
                "transform" if with.is_literal() => constant(with).map(|it| vec![it]),
                _ => None,
            },
        }
    }

    /// Whether the work of a state is done once for each item of a list.
    pub fn is_list(&self, state: u32) -> bool {
        self.model.states[state as usize].source.task.for_each.is_some()
    }

    /// What a machine gives, if only its final state matters.
    fn of_machine(&self, id: NodeId) -> Option<Vec<Json>> {
        let ends = (self.inside)(id)?.ends;
        let output = |end: &NodeId| {
            let node = self.subject.plan.node(*end);
            match node.state.as_ref()?.output.as_ref() {
                Some(output) => output.is_literal().then(|| constant(output)).flatten(),
                None if !matches!(node.work, WorkPlan::Nothing) => None,
                None => Some(json!({"state": &*node.id, "output": null})),
            }
        };
        let found: Vec<Json> = ends.iter().map(output).collect::<Option<_>>()?;
        (!found.is_empty()).then_some(found)
    }

    /// Whether the outputs to try are such that a run may see: what a graph gives depends on what
    /// happens inside of it.
    pub fn are_real(&self, state: u32) -> bool {
        let entry = &self.model.states[state as usize];
        let is_list = self.is_list(state);
        match &entry.source.task.work {
            Work::Composite(_) => !is_list && self.of_machine(entry.id).is_some(),
            Work::Nothing | Work::Uses { .. } => !is_list,
        }
    }

    /// Whether the work certainly may fail: a handler with any error, other kinds with some.
    pub fn may_fail(&self, id: NodeId, with_any_error: bool) -> bool {
        match &self.subject.plan.node(id).work {
            WorkPlan::Uses { kind, .. } => match &**kind {
                "transform" | "log" | "wait" => false,
                kind => !(with_any_error && is_built_in(kind)),
            },
            WorkPlan::Nothing | WorkPlan::Composite(_) => false,
        }
    }
}

/// Whether a kind with these parameters completes with this output; where it does not, it fails.
pub(super) fn gives(kind: &str, with: &Template, output: &Json) -> bool {
    let with = constant(with);
    let text = |name: &str| with.as_ref().and_then(|it| it.get(name)).and_then(Json::as_str);
    let is = |name: &str| output.get(name).and_then(Json::as_bool) == Some(true);
    match kind {
        "approval" => is("approved") || text("on_reject") == Some("continue"),
        "signal" => is("received") || text("on_timeout") == Some("continue"),
        "http" => {
            let expects = with.as_ref().is_none_or(|it| it.get("expect").is_some());
            let status = output.get("status").and_then(Json::as_u64);
            expects || status.is_some_and(|it| (200..300).contains(&it))
        }
        _ => true,
    }
}

/// What the output of a state is computed from, if its work does nothing else.
pub(super) fn computed<'a>(entry: &Entry<'a>) -> Option<&'a Template> {
    match &entry.source.task.work {
        Work::Uses { kind, with } if kind.value == "transform" => {
            with.as_ref().map(|it| &it.template)
        }
        Work::Uses { .. } | Work::Nothing | Work::Composite(_) => None,
    }
}
