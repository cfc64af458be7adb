//! What an expression of a task sees: `input`, `vars`, `tasks`, `item`, `index`, `event`, `error`,
//! `output`, `run` and `secrets`, resolved where they stand, without copying the run.

use serde_json::{Map, Value, json};

use super::Run;
use super::event::{ScopeId, TaskId};
use super::state::ScopeContent;
use super::status::TaskStatus;
use crate::expr::{Budget, EvalErrorKind, Expr, Lookup, Object, Scope, Template};
use crate::plan::{CompositeId, ROOT};
use crate::task_error::TaskError;

/// Values that must never be stored. Given to the evaluation of `with` when an attempt starts, and
/// to nothing else.
pub trait Secrets {
    fn get(&self, name: &str) -> Option<String>;
}

/// The place that an expression is evaluated at, and what is known only there.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub scope: ScopeId,
    pub task: Option<TaskId>,
    pub event: Option<&'a Value>,
    pub error: Option<&'a Value>,
    pub output: Option<&'a Value>,
    pub secrets: Option<&'a dyn Secrets>,
    /// Variables of a scope that is being opened.
    pub vars: Option<&'a Map<String, Value>>,
}

impl<'a> Seen<'a> {
    pub fn by(scope: ScopeId, task: TaskId) -> Seen<'a> {
        Seen { task: Some(task), ..Seen::of_scope(scope) }
    }

    pub fn of_scope(scope: ScopeId) -> Seen<'a> {
        Seen {
            scope,
            task: None,
            event: None,
            error: None,
            output: None,
            secrets: None,
            vars: None,
        }
    }

    pub fn with_vars(self, vars: &'a Map<String, Value>) -> Seen<'a> {
        Seen { vars: Some(vars), ..self }
    }
}

impl Run {
    pub(super) fn evaluate_bool(&self, expr: &Expr, seen: &Seen<'_>) -> Result<bool, TaskError> {
        let view = View { run: self, seen: *seen };
        expr.eval_bool(&view, &Budget::default())
            .map_err(|error| expression_error(error.kind, &format!("`{}`: {error}", expr.source())))
    }

    pub(super) fn evaluate(
        &self,
        template: &Template,
        seen: &Seen<'_>,
    ) -> Result<Value, TaskError> {
        let view = View { run: self, seen: *seen };
        template.eval(&view, &Budget::default()).map_err(|error| {
            let place = if error.pointer.is_empty() { "/" } else { &error.pointer };
            expression_error(error.error.kind, &format!("at {place}: {}", error.error))
        })
    }

    /// Returns what an attempt of the task is given: the evaluated `with` of a built-in kind; for
    /// a handler `with` over the run's input and the results of the task's needs, by id.
    pub fn attempt_input(&self, task: TaskId, secrets: &dyn Secrets) -> Result<Value, TaskError> {
        let node = self.node(task);
        let crate::plan::WorkPlan::Uses { kind, with } = &node.work else {
            return Ok(Value::Null);
        };
        let scope = self.state.task(task).scope;
        let seen = Seen { secrets: Some(secrets), ..Seen::by(scope, task) };
        let with = self.evaluate(with, &seen)?;
        if crate::plan::is_built_in(kind) {
            return Ok(with);
        }
        Ok(self.merged_input(task, with))
    }

    fn merged_input(&self, task: TaskId, with: Value) -> Value {
        let mut merged = match self.state.created.input.value().as_ref() {
            Value::Object(input) => input.clone(),
            Value::Null => Map::new(),
            other => Map::from_iter([("input".to_owned(), other.clone())]),
        };
        let holder = self.container(task);
        let scope = self.state.scope(self.state.task(holder).scope);
        for need in &self.node(task).needs {
            let need = TaskId(scope.first + need);
            if let Some(output) = self.state.task(need).output.as_deref() {
                merged.insert(self.node(need).id.to_string(), output.clone());
            }
        }
        if let Some((name, item)) = self.item_of(task) {
            merged.insert(name.to_owned(), item.clone());
        }
        match with {
            Value::Object(with) => merged.extend(with),
            Value::Null => {}
            other => {
                merged.insert("with".to_owned(), other);
            }
        }
        Value::Object(merged)
    }

    /// Returns the task itself, or the `for_each` that it is an item of.
    fn container(&self, task: TaskId) -> TaskId {
        let scope = self.state.scope(self.state.task(task).scope);
        match scope.content {
            ScopeContent::Map { .. } => scope.owner.unwrap_or(task),
            ScopeContent::Graph | ScopeContent::Machine { .. } => task,
        }
    }

    fn item_of(&self, task: TaskId) -> Option<(&str, &Value)> {
        let scope = self.state.scope(self.state.task(task).scope);
        let ScopeContent::Map { items } = &scope.content else { return None };
        let name = self.node(task).for_each.as_ref().map(|it| &*it.name)?;
        Some((name, items.get(self.local(task) as usize)?))
    }
}

fn expression_error(kind: EvalErrorKind, message: &str) -> TaskError {
    let name = match kind {
        EvalErrorKind::BudgetExceeded { .. } => "expression_limit",
        // Every other mistake is one of the expression or its data.
        _ => "expression",
    };
    TaskError::fatal(name, message)
}

/// Returns the `name` of a `signal` task if it is a literal.
pub(super) fn literal_name(with: &Template) -> Option<String> {
    let nothing = Map::new();
    let whole = with.eval(&nothing, &Budget::default()).ok()?;
    whole.get("name").and_then(Value::as_str).map(str::to_owned)
}

struct View<'a> {
    run: &'a Run,
    seen: Seen<'a>,
}

impl Scope for View<'_> {
    fn lookup(&self, name: &str) -> Option<Lookup<'_>> {
        let (run, seen) = (self.run, self.seen);
        match name {
            "input" => Some(Lookup::Value(run.state.created.input.value())),
            "vars" => Some(Lookup::object(VarsView { run, seen })),
            "tasks" => Some(Lookup::object(TasksView { run, scope: seen.scope })),
            "event" => seen.event.map(Lookup::Value),
            "error" => match seen.error {
                Some(error) => Some(Lookup::Value(error)),
                None => run.state.error.as_ref().and_then(|it| json_of(&it.error)),
            },
            "output" => match seen.output {
                Some(output) => Some(Lookup::Value(output)),
                None => run.state.output.as_deref().map(Lookup::Value),
            },
            "run" => Some(Lookup::object(RunView { run })),
            "secrets" => {
                let secrets = seen.secrets?;
                Some(Lookup::object(SecretsView { secrets }))
            }
            _ => self.item(name),
        }
    }
}

impl View<'_> {
    /// Looks outwards for the `for_each` that has this name for its item.
    fn item(&self, name: &str) -> Option<Lookup<'_>> {
        let run = self.run;
        let mut task = self.seen.task;
        while let Some(here) = task {
            if let Some((item_name, item)) = run.item_of(here) {
                if item_name == name {
                    return Some(Lookup::Value(item));
                }
                if name == "index" {
                    return Some(Lookup::Owned(json!(run.local(here))));
                }
            }
            task = run.state.scope(run.state.task(here).scope).owner;
        }
        None
    }
}

fn json_of<'a>(value: &impl serde::Serialize) -> Option<Lookup<'a>> {
    serde_json::to_value(value).ok().map(Lookup::Owned)
}

struct VarsView<'a> {
    run: &'a Run,
    seen: Seen<'a>,
}

impl<'a> VarsView<'a> {
    /// Calls `found` with the variables of each scope, the nearest first.
    fn scopes(&self) -> impl Iterator<Item = &'a Map<String, Value>> {
        let run = self.run;
        let mut scope = Some(self.seen.scope).filter(|it| (it.0 as usize) < run.state.scopes.len());
        let outer = std::iter::from_fn(move || {
            let here = run.state.scope(scope?);
            scope = outer_scope(run, scope?);
            Some(&here.vars)
        });
        self.seen.vars.into_iter().chain(outer)
    }
}

impl<'a> Object<'a> for VarsView<'a> {
    fn field(&self, name: &str) -> Option<Lookup<'a>> {
        self.scopes().find_map(|vars| vars.get(name)).map(Lookup::Value)
    }

    fn to_json(&self) -> Value {
        let mut all = Map::new();
        for vars in self.scopes() {
            for (name, value) in vars {
                all.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        Value::Object(all)
    }
}

/// Returns the scope around a scope; around a handler of the run lies its main part.
fn outer_scope(run: &Run, id: ScopeId) -> Option<ScopeId> {
    let scope = run.state.scope(id);
    match scope.owner {
        Some(owner) => Some(run.state.task(owner).scope),
        None => (id != ScopeId(0) && scope.composite != ROOT.0).then_some(ScopeId(0)),
    }
}

struct TasksView<'a> {
    run: &'a Run,
    scope: ScopeId,
}

impl<'a> TasksView<'a> {
    /// Finds a task by id, in the scope and outwards.
    fn find(&self, name: &str) -> Option<TaskId> {
        let run = self.run;
        let mut scope = Some(self.scope).filter(|it| (it.0 as usize) < run.state.scopes.len());
        while let Some(id) = scope {
            let here = run.state.scope(id);
            let is_map = matches!(here.content, ScopeContent::Map { .. });
            let ids = &run.plan.composite(CompositeId(here.composite)).ids;
            if let Some(local) = ids.get(name).filter(|_| !is_map) {
                return Some(TaskId(here.first + local));
            }
            scope = outer_scope(run, id);
        }
        None
    }
}

impl<'a> Object<'a> for TasksView<'a> {
    fn field(&self, name: &str) -> Option<Lookup<'a>> {
        let task = self.find(name)?;
        Some(Lookup::object(TaskView { run: self.run, task }))
    }

    fn to_json(&self) -> Value {
        let run = self.run;
        if run.state.scopes.is_empty() {
            return json!({});
        }
        let children = run.state.children(self.scope);
        let pairs =
            children.map(|it| (run.node(it).id.to_string(), TaskView { run, task: it }.to_json()));
        Value::Object(pairs.collect())
    }
}

struct TaskView<'a> {
    run: &'a Run,
    task: TaskId,
}

impl<'a> Object<'a> for TaskView<'a> {
    fn field(&self, name: &str) -> Option<Lookup<'a>> {
        let state = self.run.state.task(self.task);
        match name {
            "output" => match state.status {
                TaskStatus::Completed | TaskStatus::Compensated => {
                    Some(state.output.as_deref().map_or(Lookup::Owned(Value::Null), Lookup::Value))
                }
                // A state that is being visited again shows what its last visit gave.
                _ => Some(match state.output.as_deref() {
                    Some(output) => Lookup::Value(output),
                    None => Lookup::Owned(Value::Null),
                }),
            },
            "status" => Some(Lookup::Owned(json!(state.status))),
            "error" => Some(match state.error() {
                Some(error) => Lookup::Owned(serde_json::to_value(error).unwrap_or_default()),
                None => Lookup::Owned(Value::Null),
            }),
            "attempts" => Some(Lookup::Owned(json!(state.attempt))),
            "visits" => Some(Lookup::Owned(json!(state.visit))),
            _ => None,
        }
    }

    fn to_json(&self) -> Value {
        let state = self.run.state.task(self.task);
        let output = state.output.as_deref().cloned().unwrap_or_default();
        json!({"status": state.status, "output": output, "error": state.error()})
    }
}

struct RunView<'a> {
    run: &'a Run,
}

impl<'a> Object<'a> for RunView<'a> {
    fn field(&self, name: &str) -> Option<Lookup<'a>> {
        let state = &self.run.state;
        let created = &state.created;
        let value = match name {
            "id" => json!(state.id),
            "workflow" => json!(created.workflow),
            "version" => json!(created.version),
            "actor" => json!(created.actor),
            "key" => json!(created.key),
            "labels" => json!(created.labels),
            "priority" => json!(created.priority),
            "status" => json!(state.status),
            "outcome" => json!(state.outcome),
            "created_at" => instant(state.created_at),
            "started_at" => state.started_at.map_or(Value::Null, instant),
            _ => return None,
        };
        Some(Lookup::Owned(value))
    }

    fn to_json(&self) -> Value {
        let names = ["id", "workflow", "version", "actor", "key", "labels", "status", "outcome"];
        let pairs = names.into_iter().filter_map(|name| match self.field(name) {
            Some(Lookup::Owned(value)) => Some((name.to_owned(), value)),
            _ => None,
        });
        Value::Object(pairs.collect())
    }
}

/// Writes an instant as expressions and outputs have it, in RFC 3339.
pub(super) fn instant(at: crate::time::Millis) -> Value {
    let instant = jiff::Timestamp::from_millisecond(at as i64);
    instant.map_or(Value::Null, |it| json!(it.to_string()))
}

struct SecretsView<'a> {
    secrets: &'a dyn Secrets,
}

impl<'a> Object<'a> for SecretsView<'a> {
    fn field(&self, name: &str) -> Option<Lookup<'a>> {
        self.secrets.get(name).map(|it| Lookup::Owned(Value::String(it)))
    }

    /// All secrets at once are nobody's business.
    fn to_json(&self) -> Value {
        Value::Null
    }
}
