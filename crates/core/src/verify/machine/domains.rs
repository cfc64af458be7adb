//! What the paths that guards read can be: what schemas, kinds of work and the variables'
//! invariant say.

use serde_json::{Value as Json, json};

use super::condition::Environment;
use super::model::{Cause, List, Model};
use super::outputs::{Outputs, gives};
use super::values::Values;
use crate::check::{Seen, Site};
use crate::expr::Type;
use crate::plan::WorkPlan;
use crate::verify::Subject;
use crate::verify::guard::{Domain, Domains, Path};

/// The guards of one list, with the variables where it is tried.
pub(super) struct ListDomains<'e, 'a> {
    pub subject: &'e Subject<'a>,
    pub model: &'e Model<'a>,
    pub outputs: &'e Outputs<'e, 'a>,
    pub list: &'e List<'a>,
    pub env: &'e Environment,
}

impl Domains for ListDomains<'_, '_> {
    fn domain(&self, path: &Path) -> Domain {
        let segments = &path.segments[..];
        match path.root.as_str() {
            "vars" => self.variable(segments),
            "input" => match &self.subject.definition.input {
                Some(schema) => Domain::at(&schema.value, segments),
                None => undeclared(segments),
            },
            "output" => self.output(segments),
            "tasks" => task(segments),
            root => {
                self.type_of(root).map_or_else(Domain::any, |it| Domain::of_type(&it, segments))
            }
        }
    }
}

impl ListDomains<'_, '_> {
    /// Whether something says what a path can be. Data that nothing describes is taken to be as
    /// the guards expect it.
    pub fn is_declared(&self, path: &Path) -> bool {
        let declared = |schema: &Json| {
            let mut at = Some(schema);
            for segment in &path.segments {
                at = at.and_then(|it| it.get("properties")).and_then(|it| it.get(segment));
            }
            at.is_some_and(|it| it.get("type").is_some() || it.get("enum").is_some())
        };
        match path.root.as_str() {
            "vars" => {
                let place = path.segments.first().and_then(|it| self.model.variables.place(it));
                place.is_some_and(|at| self.env[at] != Values::Any)
            }
            "input" => self.subject.definition.input.as_ref().is_some_and(|it| declared(&it.value)),
            "output" => match &self.subject.plan.node(self.entry()).work {
                WorkPlan::Uses { kind, .. } => self.outputs.schema(kind).is_some_and(declared),
                WorkPlan::Nothing | WorkPlan::Composite(_) => false,
            },
            "error" => true,
            _ => false,
        }
    }

    fn entry(&self) -> crate::plan::NodeId {
        self.model.states[self.list.state as usize].id
    }

    fn variable(&self, segments: &[String]) -> Domain {
        let Some((name, below)) = segments.split_first() else {
            return undeclared(segments);
        };
        let Some(at) = self.model.variables.place(name) else {
            // A variable of a machine around this one, or a constant.
            let vars = self.type_of("vars");
            return vars.map_or_else(Domain::any, |it| Domain::of_type(&it, segments));
        };
        match &self.env[at] {
            Values::Known(values) if below.is_empty() => Domain::one_of(values.iter().cloned()),
            Values::Whole { min, max } if below.is_empty() => {
                let mut schema = json!({"type": "integer"});
                let bounds = [("minimum", min), ("maximum", max)];
                for (name, bound) in
                    bounds.into_iter().filter_map(|(name, it)| Some((name, (*it)?)))
                {
                    schema[name] = json!(bound);
                }
                Domain::at(&schema, below)
            }
            Values::Any if below.is_empty() => Domain::at(&json!({}), below),
            Values::Known(_) | Values::Whole { .. } | Values::Any => Domain::any(),
        }
    }

    fn output(&self, segments: &[String]) -> Domain {
        let state = self.list.state;
        if let Some(values) = self.outputs.known(state) {
            let at = |it: &Json| {
                let mut at = Some(it);
                for segment in segments {
                    at = at.and_then(|it| it.get(segment));
                }
                at.cloned()
            };
            let found: Vec<Option<Json>> = values.iter().map(at).collect();
            let is_missing = found.contains(&None);
            let domain = Domain::one_of(found.into_iter().flatten());
            return if is_missing { domain.optional() } else { domain };
        }
        match &self.subject.plan.node(self.entry()).work {
            WorkPlan::Uses { kind, with } if !self.outputs.is_list(state) => {
                if let [field] = segments
                    && matches!(field.as_str(), "approved" | "received")
                    && !gives(kind, with, &json!({field: false}))
                {
                    return Domain::one_of([json!(true)]);
                }
                self.outputs
                    .schema(kind)
                    .map_or_else(|| undeclared(segments), |it| Domain::at(it, segments))
            }
            _ => undeclared(segments),
        }
    }

    fn type_of(&self, root: &str) -> Option<Type> {
        let id = self.entry();
        let site = Site {
            level: self.model.composite,
            event: matches!(self.list.cause, Cause::Event(_)),
            error: self.list.cause == Cause::Failed,
            ..Site::top(Seen::Through(id))
        };
        self.subject.scopes.type_of(&site, root)
    }
}

/// Anything; the value of a root itself is always there.
fn undeclared(segments: &[String]) -> Domain {
    if segments.is_empty() { Domain::at(&json!({}), segments) } else { Domain::any() }
}

fn task(segments: &[String]) -> Domain {
    match segments {
        [] | [_] => Domain::at(&json!({"type": "object"}), &[] as &[&str]),
        [_, field] if field == "status" => Domain::at(&json!({"type": "string"}), &[] as &[&str]),
        [_, field] if field == "output" || field == "error" => {
            Domain::at(&json!({}), &[] as &[&str])
        }
        _ => Domain::any(),
    }
}
