//! Walks all expressions of a definition, each at its place.

use std::collections::HashSet;

use super::known::Known;
use super::machine::has_work;
use super::outline::{Outline, Placed, Role, Shape};
use super::reader::Reader;
use super::scope::Scopes;
use super::site::{Seen, Site};
use super::{CheckContext, order};
use crate::definition::{
    Definition, ExprSource, Machine, Spanned, State, TemplateSource, Transition, Trigger, Work,
};
use crate::expr::Type;
use crate::plan::{CompositeId, NodeId, ROOT, takes_defaults};
use crate::source::Problem;

const UNUSED_VARIABLE: &str = "SF1124";
const HIDDEN_ITEM: &str = "SF1114";

/// Returns what is seen at each level, for those who look further.
pub(super) fn check<'a>(
    definition: &'a Definition,
    outline: &'a Outline<'a>,
    context: &CheckContext,
    problems: &mut Vec<Problem>,
) -> Scopes<'a> {
    let known = Known::new(definition, outline, context);
    let reader = Reader::new(Scopes::new(outline, known));
    let mut walk = Walk { definition, outline, reader };
    // From the outside in, so that what is seen around a level is known.
    for (id, level) in outline.levels() {
        walk.variables(id);
        for index in 0..level.len {
            walk.node(outline.child(id, index));
        }
    }
    walk.top();
    let Reader { problems: found, reads, used, scopes } = walk.reader;
    problems.extend(found);
    order::check(outline, reads, problems);
    unused_variables(definition, outline, &used, problems);
    scopes
}

struct Walk<'a> {
    definition: &'a Definition,
    outline: &'a Outline<'a>,
    reader: Reader<'a>,
}

impl<'a> Walk<'a> {
    fn top(&mut self) {
        let definition = self.definition;
        let before = Site::top(Seen::None);
        for trigger in &definition.triggers {
            self.trigger(&trigger.value);
        }
        if let Some(limit) = &definition.concurrency {
            self.template(before, limit.value.key.as_ref());
        }
        let general = definition.defaults.retry.as_ref();
        self.condition(
            Site { error: true, ..before },
            general.and_then(|it| it.value.condition.as_ref()),
        );
        self.template(Site::top(Seen::All), definition.output.as_ref());
    }

    fn trigger(&mut self, trigger: &'a Trigger) {
        let event = Site { is_trigger: true, event: true, ..Site::top(Seen::None) };
        match trigger {
            Trigger::Cron { policy, .. }
            | Trigger::Every { policy, .. }
            | Trigger::At { policy, .. } => self.template(event, policy.input.as_ref()),
            Trigger::Webhook { input, .. } => self.template(event, input.as_ref()),
            Trigger::Event { condition, input, .. } => {
                self.condition(event, condition.as_ref());
                self.template(event, input.as_ref());
            }
        }
    }

    /// Opens a level with its own variables.
    fn variables(&mut self, id: CompositeId) {
        let level = self.outline.level(id);
        let (vars, site) = match (level.role, level.shape) {
            (Role::Body, _) => {
                (&self.definition.vars[..], Site { vars: false, ..Site::top(Seen::None) })
            }
            (Role::Work(owner), Shape::Machine(machine)) => {
                let around = self.outline.node(owner).level;
                (&machine.vars[..], Site::task(around, owner).with_item(owner))
            }
            (_, Shape::Graph(_) | Shape::Single(_) | Shape::Machine(_)) => {
                return self.reader.scopes.open(id, Vec::new());
            }
        };
        let written = match level.shape {
            Shape::Machine(machine) => written(machine),
            Shape::Graph(_) | Shape::Single(_) => HashSet::new(),
        };
        let mut types = Vec::with_capacity(vars.len());
        for (name, source) in vars {
            let ty = self.reader.template(&site, source);
            // What `set` writes may be of another type than the initial value.
            let ty = if written.contains(name.value.as_str()) { Type::Any } else { ty };
            types.push((name.value.clone(), ty));
        }
        self.reader.scopes.open(id, types);
    }

    fn node(&mut self, id: NodeId) {
        let placed = self.outline.node(id);
        let task = placed.task;
        let site = self.site_of(placed, id);
        self.condition(site, task.condition.as_ref());
        if let Some(each) = &task.for_each {
            self.item_name(placed, &each.name);
            let item = self.reader.list(&site, &each.items);
            self.reader.scopes.add_item(id, &each.name.value, item);
        }
        let site = site.with_item(id);
        let retry = task.retry.as_ref().and_then(|it| it.value.condition.as_ref());
        self.condition(Site { error: true, ..site }, retry);
        if let Some(limit) = &task.concurrency {
            self.template(site, limit.value.key.as_ref());
        }
        if let Work::Uses { kind, with } = &task.work {
            let secrets = takes_defaults(Some(&kind.value));
            self.template(Site { secrets, ..site }, with.as_ref());
        }
        if let Some(state) = placed.state {
            self.state(placed.level, id, state);
        }
    }

    /// What undoes a task sees what the task saw, and its outcome.
    fn site_of(&self, placed: &Placed<'_>, id: NodeId) -> Site {
        match self.outline.level(placed.level).role {
            Role::Undo(owner) => {
                let level = self.outline.node(owner).level;
                Site { level, tasks: Seen::Through(owner), error: true, ..Site::top(Seen::None) }
            }
            Role::Body | Role::Work(_) | Role::OnFailure | Role::Finally => {
                Site::task(placed.level, id)
            }
        }
    }

    fn state(&mut self, level: CompositeId, id: NodeId, state: &'a State) {
        let site = Site { level, ..Site::top(Seen::Through(id)) };
        let output = has_work(state).then_some(id);
        for (event, list) in &state.on {
            let site = match event.value.as_str() {
                "done" => Site { output, ..site },
                "failed" => Site { error: true, ..site },
                _ => Site { event: true, ..site },
            };
            self.transitions(site, list);
        }
        for (_, list) in &state.after {
            self.transitions(site, list);
        }
        self.transitions(Site { output, ..site }, &state.next);
        self.template(Site { output, ..site }, state.output.as_ref());
    }

    fn transitions(&mut self, site: Site, list: &'a [Transition]) {
        for transition in list {
            self.condition(site, transition.condition.as_ref());
            for (_, value) in &transition.set {
                self.reader.template(&site, value);
            }
        }
    }

    fn condition(&mut self, site: Site, source: Option<&'a ExprSource>) {
        if let Some(source) = source {
            self.reader.condition(&site, source);
        }
    }

    fn template(&mut self, site: Site, source: Option<&'a TemplateSource>) {
        if let Some(source) = source {
            self.reader.template(&site, source);
        }
    }

    fn item_name(&mut self, placed: &Placed<'_>, name: &Spanned<String>) {
        if self.reader.scopes.is_item(placed.level, &name.value) {
            let id = &placed.task.id;
            let message = format!("the `{}` of `{}` hides an outer one", name.value, id.value);
            self.reader.problems.push(
                Problem::warning(HIDDEN_ITEM, id.span, message)
                    .label("a `for_each` within a `for_each`")
                    .help("give this one its own name, such as `as: line`"),
            );
        }
    }
}

/// Returns the variables that a machine's transitions write.
fn written(machine: &Machine) -> HashSet<&str> {
    let all = machine.states.iter().flat_map(super::machine::lists).flat_map(|(_, list)| list);
    all.flat_map(|it| &it.set).map(|(name, _)| name.value.as_str()).collect()
}

fn unused_variables(
    definition: &Definition,
    outline: &Outline<'_>,
    used: &HashSet<(CompositeId, String)>,
    problems: &mut Vec<Problem>,
) {
    for (id, level) in outline.levels() {
        let vars = match (id, level.shape) {
            (ROOT, _) => &definition.vars,
            (_, Shape::Machine(machine)) => &machine.vars,
            (_, Shape::Graph(_) | Shape::Single(_)) => continue,
        };
        for (name, _) in vars {
            if used.contains(&(id, name.value.clone())) {
                continue;
            }
            problems.push(
                Problem::warning(
                    UNUSED_VARIABLE,
                    name.span,
                    format!("nothing reads the variable `{}`", name.value),
                )
                .help(format!("read it as `${{{{ vars.{} }}}}`, or drop it", name.value)),
            );
        }
    }
}
