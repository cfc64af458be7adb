//! Makes the plan of a definition in which no error was found.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::Origin;
use super::outline::{Level, Outline, Placed, Role, Shape};
use crate::definition::{
    Concurrency, Definition, ForEach, Retry, Spanned, State, Task, TemplateSource, Timeouts,
    Transition, Trigger, TriggerPolicy, Work,
};
use crate::expr::Template;
use crate::plan::{
    CompositeKind, CompositePlan, ConcurrencyPlan, ForEachPlan, Plan, RetryPlan, StatePlan,
    TaskPlan, TransitionPlan, TriggerPlan, WorkPlan, takes_defaults,
};
use crate::retry;
use crate::schedule::{Policy, When};
use crate::schema::Schema;
use crate::source::{LineIndex, Span};

pub(super) fn plan(
    definition: &Definition,
    outline: &Outline<'_>,
    input: Option<Schema>,
    origin: &Origin<'_>,
) -> Plan {
    let builder = Builder::new(definition, outline, origin);
    let mut plan = Plan {
        workflow: definition.id.value.clone(),
        version: definition.version.value.clone(),
        hash: origin.hash(),
        description: definition.description.clone(),
        input,
        timeout: definition.timeout.as_ref().map(|it| it.value),
        concurrency: concurrency(definition.concurrency.as_ref()),
        priority: definition.priority.as_ref().map_or(0, |it| it.value),
        labels: definition.labels.clone(),
        retention: definition.retention.as_ref().map(|it| it.value),
        triggers: definition.triggers.iter().map(|it| trigger(&it.value)).collect(),
        output: template(definition.output.as_ref()),
        nodes: outline.nodes.iter().map(|it| builder.node(it)).collect(),
        composites: outline.levels.iter().map(|it| builder.composite(it)).collect(),
        on_failure: outline.on_failure,
        finally: outline.finally,
    };
    mirror_needs(&mut plan);
    plan
}

struct Builder<'a> {
    definition: &'a Definition,
    outline: &'a Outline<'a>,
    lines: LineIndex<'a>,
    default_retry: Option<&'a Retry>,
    /// Shared by all tasks that say nothing of their own.
    default_policy: Option<Arc<RetryPlan>>,
    kinds: HashMap<&'a str, Arc<str>>,
    nothing: Template,
}

impl<'a> Builder<'a> {
    fn new(
        definition: &'a Definition,
        outline: &'a Outline<'a>,
        origin: &Origin<'a>,
    ) -> Builder<'a> {
        let default_retry = definition.defaults.retry.as_ref().map(|it| &it.value);
        let mut kinds = HashMap::new();
        for placed in &outline.nodes {
            if let Work::Uses { kind, .. } = &placed.task.work {
                kinds.entry(kind.value.as_str()).or_insert_with(|| Arc::from(kind.value.as_str()));
            }
        }
        Builder {
            definition,
            outline,
            lines: LineIndex::new(origin.source),
            default_retry,
            default_policy: retry::policy(None, default_retry).map(Arc::new),
            kinds,
            nothing: Template::literal(Value::Object(serde_json::Map::new())),
        }
    }

    fn composite(&self, level: &Level<'_>) -> CompositePlan {
        let children = self.outline.children(level);
        let kind = match level.shape {
            Shape::Machine(machine) => {
                let initial = machine.initial.as_ref().map_or("", |it| it.value.as_str());
                CompositeKind::Machine { initial: index_of(level, initial) }
            }
            Shape::Graph(graph) => CompositeKind::Graph {
                max_parallel: graph.max_parallel.as_ref().map(|it| it.value),
                fail_fast: graph.fail_fast.as_ref().is_none_or(|it| it.value),
                roots: roots(children),
            },
            Shape::Single(_) => {
                CompositeKind::Graph { max_parallel: None, fail_fast: true, roots: roots(children) }
            }
        };
        let vars = match (level.role, level.shape) {
            (Role::Body, _) => &self.definition.vars[..],
            (_, Shape::Machine(machine)) => &machine.vars[..],
            (_, Shape::Graph(_) | Shape::Single(_)) => &[],
        };
        CompositePlan {
            kind,
            first: level.first,
            len: level.len,
            owner: match level.role {
                Role::Work(owner) | Role::Undo(owner) => Some(owner),
                Role::Body | Role::OnFailure | Role::Finally => None,
            },
            ids: level.ids.iter().map(|(id, index)| (Arc::from(*id), *index)).collect(),
            vars: assignments(vars),
        }
    }

    fn node(&self, placed: &Placed<'_>) -> TaskPlan {
        let task = placed.task;
        let level = self.outline.level(placed.level);
        let defaults = takes_defaults(task_kind(task));
        TaskPlan {
            id: Arc::from(level.role.id_of(task)),
            composite: placed.level,
            needs: placed.needs.iter().copied().collect(),
            dependents: Box::default(),
            join: task.join.as_ref().map(|it| it.value).unwrap_or_default(),
            condition: task.condition.as_ref().map(|it| it.expr.clone()),
            work: self.work(placed),
            for_each: task.for_each.as_ref().map(for_each),
            retry: self.retry(task, defaults),
            timeout: self.timeout(task, defaults),
            priority: task
                .priority
                .as_ref()
                .or(self.definition.defaults.priority.as_ref())
                .map_or(0, |it| it.value),
            concurrency: concurrency(task.concurrency.as_ref()),
            on_failure: task.on_failure.as_ref().map(|it| it.value).unwrap_or_default(),
            compensate: placed.undo,
            effect: task.effect.as_ref().map(|it| it.value),
            state: placed.state.map(|it| Box::new(state(level, it))),
            line: self.line(task.id.span),
        }
    }

    fn work(&self, placed: &Placed<'_>) -> WorkPlan {
        match (&placed.task.work, placed.work) {
            (Work::Uses { kind, with }, _) => WorkPlan::Uses {
                kind: self.kinds[kind.value.as_str()].clone(),
                with: template(with.as_ref()).unwrap_or_else(|| self.nothing.clone()),
            },
            (_, Some(inner)) => WorkPlan::Composite(inner),
            (_, None) => WorkPlan::Nothing,
        }
    }

    /// Returns the line of a place, from 1; 0 where there is no source.
    fn line(&self, span: Span) -> u32 {
        if span == Span::default() { 0 } else { self.lines.position(span.start).0 }
    }

    fn retry(&self, task: &Task, defaults: bool) -> Option<Arc<RetryPlan>> {
        let default_retry = self.default_retry.filter(|_| defaults);
        match &task.retry {
            Some(own) => retry::policy(Some(&own.value), default_retry).map(Arc::new),
            None => self.default_policy.clone().filter(|_| defaults),
        }
    }

    fn timeout(&self, task: &Task, defaults: bool) -> Timeouts {
        let own = task.timeout.as_ref().map(|it| it.value).unwrap_or_default();
        let general = self.definition.defaults.timeout.as_ref().filter(|_| defaults);
        let general = general.map(|it| it.value).unwrap_or_default();
        Timeouts {
            queue: own.queue.or(general.queue),
            run: own.run.or(general.run),
            total: own.total.or(general.total),
            heartbeat: own.heartbeat.or(general.heartbeat),
        }
    }
}

/// Fills `dependents` from `needs`: within a composite they are each other's mirror image.
fn mirror_needs(plan: &mut Plan) {
    let mut dependents: Vec<Vec<u32>> = vec![Vec::new(); plan.nodes.len()];
    for (at, node) in plan.nodes.iter().enumerate() {
        let first = plan.composite(node.composite).first;
        for need in &node.needs {
            dependents[(first + need) as usize].push(at as u32 - first);
        }
    }
    for (node, dependents) in plan.nodes.iter_mut().zip(dependents) {
        node.dependents = dependents.into_boxed_slice();
    }
}

fn task_kind(task: &Task) -> Option<&str> {
    match &task.work {
        Work::Uses { kind, .. } => Some(&kind.value),
        Work::Nothing | Work::Composite(_) => None,
    }
}

fn roots(children: &[Placed<'_>]) -> Box<[u32]> {
    let without_needs = children.iter().enumerate().filter(|(_, it)| it.needs.is_empty());
    without_needs.map(|(at, _)| at as u32).collect()
}

fn for_each(source: &ForEach) -> ForEachPlan {
    ForEachPlan {
        items: source.items.template.clone(),
        name: Arc::from(source.name.value.as_str()),
        max_parallel: source.max_parallel.as_ref().map(|it| it.value),
        on_item_failure: source.on_item_failure,
    }
}

fn state(level: &Level<'_>, source: &State) -> StatePlan {
    let plans =
        |list: &[Transition]| list.iter().map(|it| transition(level, it)).collect::<Vec<_>>();
    StatePlan {
        on: source.on.iter().map(|(it, to)| (Arc::from(it.value.as_str()), plans(to))).collect(),
        after: source.after.iter().map(|(it, to)| (it.value, plans(to))).collect(),
        next: plans(&source.next),
        is_final: source.is_final,
        output: template(source.output.as_ref()),
    }
}

fn transition(level: &Level<'_>, source: &Transition) -> TransitionPlan {
    TransitionPlan {
        condition: source.condition.as_ref().map(|it| it.expr.clone()),
        to: index_of(level, &source.to.value),
        set: assignments(&source.set),
    }
}

/// A name that does not exist was reported, so that no plan is made.
fn index_of(level: &Level<'_>, id: &str) -> u32 {
    debug_assert!(level.ids.contains_key(id), "`{id}` was not checked");
    level.ids.get(id).copied().unwrap_or(0)
}

fn trigger(trigger: &Trigger) -> TriggerPlan {
    let text = |it: &Spanned<String>| it.value.clone();
    let schedule = |when: When, policy: &TriggerPolicy| TriggerPlan::Schedule {
        when,
        policy: Policy {
            catch_up: policy.catch_up,
            overlap: policy.overlap,
            window: policy.window,
            jitter: policy.jitter,
        },
        input: template(policy.input.as_ref()),
    };
    match trigger {
        Trigger::Cron { expression, timezone, policy } => {
            let timezone = timezone.as_ref().map_or_else(|| "UTC".to_owned(), text);
            schedule(When::Cron { expression: text(expression), timezone }, policy)
        }
        Trigger::Every { period, policy } => schedule(When::Every(period.value), policy),
        Trigger::At { instant, policy } => schedule(When::At(instant.value), policy),
        Trigger::Webhook { path, secrets, input } => TriggerPlan::Webhook {
            path: text(path),
            secrets: secrets.iter().map(text).collect(),
            input: template(input.as_ref()),
        },
        Trigger::Event { kind, source, condition, input } => TriggerPlan::Event {
            kind: text(kind),
            source: source.as_ref().map(text),
            condition: condition.as_ref().map(|it| it.expr.clone()),
            input: template(input.as_ref()),
        },
    }
}

fn concurrency(source: Option<&Spanned<Concurrency>>) -> Option<ConcurrencyPlan> {
    source.map(|Spanned { value, .. }| ConcurrencyPlan {
        key: template(value.key.as_ref()),
        limit: value.limit.as_ref().map(|it| it.value),
        rate: value.rate.as_ref().map(|it| it.value),
        on_limit: value.on_limit.as_ref().map(|it| it.value).unwrap_or_default(),
    })
}

fn assignments(source: &[(Spanned<String>, TemplateSource)]) -> Vec<(String, Template)> {
    source.iter().map(|(name, it)| (name.value.clone(), it.template.clone())).collect()
}

fn template(source: Option<&TemplateSource>) -> Option<Template> {
    source.map(|it| it.template.clone())
}
