//! Conditions under names that mean the same everywhere.
//!
//! `tasks.pay` is one task here and another in a nested graph; `item` depends on the `for_each`
//! around. To compare conditions with each other, each path is written with what it refers to:
//! `tasks.t7.output.id` for the task with node id 7, `vars.c2_rounds` for a variable of composite
//! 2, `item.n5.price` for the item of node 5. Tasks that a reader sees before they have ended, or
//! whatever became of them, get a name of their own for it: `early.r9_t7`, `past.t7`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::encode::{is_graph, is_handler};
use super::reads::{may_be_early, sibling};
use crate::check::Site;
use crate::expr::{Budget, Expr, Reference, Shape, Type};
use crate::plan::{CompositeId, NodeId, Plan, ROOT, TaskPlan, WorkPlan};
use crate::verify::Subject;
use crate::verify::guard::{Domain, Domains, Path};

/// What a name of ours stands for.
#[derive(Clone, Debug)]
pub(super) struct Meaning {
    /// As the author wrote it.
    pub shown: Vec<String>,
    pub data: Data,
    /// The task that it is a part of.
    pub of: Option<NodeId>,
    /// What is known of the value.
    pub domain: Domain,
    /// Of an output or error: it may be `null` although it is there.
    pub may_be_null: bool,
    /// A type or schema describes it. What nobody describes is taken to be as expressions suppose.
    pub is_declared: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// Free: nothing in the circuit decides it.
    Outside,
    /// `tasks.ID.status`, of a task that has ended.
    Status(NodeId),
    /// `tasks.ID.output`: `null` unless the task completed.
    Output(NodeId),
    /// `tasks.ID.error`: `null` unless the task failed.
    Error(NodeId),
}

/// All names so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    meanings: BTreeMap<Path, Meaning>,
}

impl Domains for Names {
    fn domain(&self, path: &Path) -> Domain {
        match self.meanings.get(path) {
            Some(meaning) => meaning.domain.clone(),
            // A part of the way to a path: an object that is always there.
            None => Domain::of_type(&Type::map_of(Type::Any), &[] as &[&str]),
        }
    }
}

impl Names {
    pub fn meaning(&self, path: &Path) -> Option<&Meaning> {
        self.meanings.get(path)
    }

    /// Writes a text with the author's names in the place of ours.
    pub fn shown(&self, text: &str) -> String {
        // The longest first: one may begin with another.
        let mut all: Vec<(String, &Meaning)> =
            self.meanings.iter().map(|it| (it.0.to_string(), it.1)).collect();
        all.sort_by_key(|it| std::cmp::Reverse(it.0.len()));
        let written = |text: String, (ours, meaning): (String, &Meaning)| {
            text.replace(&ours, &meaning.shown.join("."))
        };
        all.into_iter().fold(text.to_owned(), written)
    }

    /// Returns conditions that tell apart what the circuit decides: how a task ended.
    pub fn distinctions(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (path, meaning) in &self.meanings {
            match meaning.data {
                Data::Status(_) => {
                    all.extend(["completed", "failed"].map(|it| format!("{path} == \"{it}\"")));
                }
                Data::Output(_) | Data::Error(_) => all.push(format!("{path} == null")),
                Data::Outside => {}
            }
        }
        all
    }

    /// Rewrites the condition of a task. None if it cannot be: it is beyond decision then.
    pub fn rewrite(&mut self, subject: &Subject<'_>, id: NodeId, expr: &Expr) -> Option<Expr> {
        let source = expr.source();
        let mut text = String::with_capacity(source.len());
        let mut end = 0;
        let mut references = expr.references();
        references.sort_by_key(|it| it.span.start);
        for reference in references {
            // Macros and indexes may nest references; such an expression stays as it is.
            if reference.span.start < end {
                return None;
            }
            let path = self.name(subject, id, &reference);
            text.push_str(&source[end..reference.span.start]);
            let written = &source[reference.span.clone()];
            match written.starts_with("has") && written.ends_with(')') {
                true => text.push_str(&format!("has({path})")),
                false => text.push_str(&path.to_string()),
            }
            end = reference.span.end;
        }
        text.push_str(&source[end..]);
        Expr::parse(&text).ok()
    }

    /// Returns our name of what a reference of a task's condition reads.
    fn name(&mut self, subject: &Subject<'_>, id: NodeId, reference: &Reference) -> Path {
        let segments: Vec<&str> = reference.segments.iter().map(String::as_str).collect();
        match (reference.root.as_str(), &segments[..]) {
            ("tasks", [task, rest @ ..]) => match find(subject.plan, id, task) {
                Some(target) => self.task(subject, id, target, task, rest),
                None => self.plain(subject, id, reference),
            },
            ("vars", [name, rest @ ..]) => match declaring(subject.plan, id, name) {
                Some(level) => {
                    let own = format!("c{}_{name}", level.0);
                    let path = below("vars", &own, rest);
                    self.note_vars(subject, id, level, &path, &segments);
                    path
                }
                None => self.plain(subject, id, reference),
            },
            ("input" | "run" | "vars" | "tasks" | "secrets" | "error", _) => {
                self.plain(subject, id, reference)
            }
            // The item or index of a `for_each` around.
            (root, rest) => {
                let owner = item_owner(subject.plan, id, root);
                let own = owner.map_or_else(|| "n".to_owned(), |it| format!("n{}", it.0));
                let path = below(root, &own, rest);
                let ty = type_at(subject, id, root);
                let shown: Vec<String> = rest.iter().map(|it| (*it).to_owned()).collect();
                let domain = Domain::of_type(&ty, &shown);
                let meaning = Meaning::outside(domain, is_declared(&ty, &shown));
                self.note(path.clone(), root, &shown, meaning);
                path
            }
        }
    }

    fn plain(&mut self, subject: &Subject<'_>, id: NodeId, reference: &Reference) -> Path {
        let path = Path { root: reference.root.clone(), segments: reference.segments.clone() };
        let ty = type_at(subject, id, &path.root);
        let schema = subject.definition.input.as_ref().filter(|_| path.root == "input");
        // What lies above decides whether the path is there at all.
        for len in 0..=path.segments.len() {
            let segments = &path.segments[..len];
            let above = Path { root: path.root.clone(), segments: segments.to_vec() };
            let is_declared = is_declared(&ty, segments);
            let domain = match schema.filter(|_| is_declared) {
                Some(schema) => Domain::at(&schema.value, segments),
                None => Domain::of_type(&ty, segments),
            };
            self.note(above, &path.root, segments, Meaning::outside(domain, is_declared));
        }
        path
    }

    fn task(
        &mut self,
        subject: &Subject<'_>,
        reader: NodeId,
        target: NodeId,
        written: &str,
        rest: &[&str],
    ) -> Path {
        let plan = subject.plan;
        let level = plan.node(target).composite;
        let is_past = is_handler(plan, plan.node(reader).composite) && !is_handler(plan, level);
        let is_early = sibling(plan, reader, level).is_none_or(|it| may_be_early(plan, it, target));
        let is_state = plan.node(target).state.is_some();
        let (root, own) = match () {
            () if is_past || is_state => ("past", format!("t{}", target.0)),
            () if is_early => ("early", format!("r{}_t{}", reader.0, target.0)),
            () => ("tasks", format!("t{}", target.0)),
        };
        let ty = subject.scopes.known.task(subject.outline.node(target));
        for len in 1..=rest.len() {
            let part = &rest[..len];
            let data = match (root, part) {
                ("tasks", ["status"]) => Data::Status(target),
                ("tasks", ["output"]) => Data::Output(target),
                ("tasks", ["error"]) => Data::Error(target),
                _ => Data::Outside,
            };
            let (domain, is_declared) = task_domain(&ty, root, part);
            let may_be_null = Domain::of_type(&at(&ty, part), &[] as &[&str]).allows(&Value::Null);
            let made = made(plan.node(target), part);
            let (domain, is_declared, may_be_null) =
                made.unwrap_or((domain, is_declared, may_be_null));
            let shown: Vec<String> = [written].iter().chain(part).map(|it| (*it).into()).collect();
            let meaning = Meaning {
                data,
                of: Some(target),
                may_be_null,
                ..Meaning::outside(domain, is_declared)
            };
            self.note(below(root, &own, part), "tasks", &shown, meaning);
        }
        below(root, &own, rest)
    }

    fn note_vars(
        &mut self,
        subject: &Subject<'_>,
        id: NodeId,
        level: CompositeId,
        path: &Path,
        shown: &[&str],
    ) {
        let ty = type_at(subject, id, "vars");
        let constant = constant(subject.plan, level, shown[0]);
        for len in 1..=path.segments.len() {
            let shown: Vec<String> = shown[..len].iter().map(|it| (*it).to_owned()).collect();
            let domain = match &constant {
                Some(value) if len == 1 => Domain::one_of([value.clone()]),
                _ => Domain::of_type(&ty, &shown),
            };
            let is_declared = is_declared(&ty, &shown);
            let above = Path { root: path.root.clone(), segments: path.segments[..len].to_vec() };
            self.note(above, "vars", &shown, Meaning::outside(domain, is_declared));
        }
    }

    fn note(&mut self, path: Path, root: &str, segments: &[String], meaning: Meaning) {
        self.meanings.entry(path).or_insert_with(|| {
            let mut shown = vec![root.to_owned()];
            shown.extend_from_slice(segments);
            Meaning { shown, ..meaning }
        });
    }
}

impl Meaning {
    fn outside(domain: Domain, is_declared: bool) -> Meaning {
        Meaning {
            shown: Vec::new(),
            data: Data::Outside,
            of: None,
            domain,
            may_be_null: true,
            is_declared,
        }
    }
}

/// Returns the type of a name as the condition of a task sees it; anything where it is not seen.
fn type_at(subject: &Subject<'_>, id: NodeId, name: &str) -> Type {
    let site = Site::task(subject.plan.node(id).composite, id);
    subject.scopes.type_of(&site, name).unwrap_or(Type::Any)
}

/// Of a `transform`, returns what its parameters say about a part of its output: the domain, that it
/// is known, and whether it may be `null`.
fn made(node: &TaskPlan, part: &[&str]) -> Option<(Domain, bool, bool)> {
    let WorkPlan::Uses { kind, with } = &node.work else { return None };
    let ["output", rest @ ..] = part else { return None };
    if &**kind != "transform" || node.for_each.is_some() {
        return None;
    }
    let domain = match with.shape(rest) {
        Shape::OneOf(values) => Domain::one_of(values),
        Shape::Object => Domain::of_type(&Type::map_of(Type::Any), &[] as &[&str]),
        Shape::Text => Domain::of_type(&Type::String, &[] as &[&str]),
        Shape::Any | Shape::Missing => return None,
    };
    let may_be_null = domain.allows(&Value::Null);
    // Where the task did not complete there is `null`.
    let domain = if rest.is_empty() { domain.or_null() } else { domain };
    Some((domain, true, may_be_null))
}

/// Returns the value of a variable of a graph, which is a constant, if it is a literal.
fn constant(plan: &Plan, level: CompositeId, name: &str) -> Option<Value> {
    let composite = plan.composite(level);
    let template = composite.vars.iter().find(|it| it.0 == name).map(|it| &it.1)?;
    let is_constant = is_graph(&composite.kind) && template.is_literal();
    let nothing = serde_json::Map::new();
    template.eval(&nothing, &Budget::default()).ok().filter(|_| is_constant)
}

/// Returns what a part of `tasks.ID` may be, and whether anything describes it. A task that did not
/// complete has `null` for its output, one that did not fail `null` for its error.
fn task_domain(ty: &Type, root: &str, part: &[&str]) -> (Domain, bool) {
    const ENDED: [&str; 3] = ["completed", "failed", "skipped"];
    const OTHER: [&str; 7] =
        ["pending", "ready", "running", "retrying", "waiting", "cancelled", "compensated"];
    match part {
        ["status"] if root == "tasks" => (Domain::one_of(ENDED.map(Into::into)), true),
        ["status"] => (Domain::one_of(ENDED.into_iter().chain(OTHER).map(Into::into)), true),
        ["output" | "error"] => {
            let ty = Type::union([Type::Null, at(ty, part)]);
            (Domain::of_type(&ty, &[] as &[&str]), ty != Type::Any)
        }
        _ => (Domain::of_type(ty, part), is_declared(ty, part)),
    }
}

/// Whether a type or schema says what a field is.
fn is_declared(ty: &Type, segments: &[impl AsRef<str>]) -> bool {
    at(ty, segments) != Type::Any
}

/// Returns the type of a field, as far as it can be told.
fn at(ty: &Type, segments: &[impl AsRef<str>]) -> Type {
    let Some((first, rest)) = segments.split_first() else { return ty.clone() };
    match ty {
        Type::Map(map) => match map.fields.get(first.as_ref()) {
            Some(field) => at(&field.ty, rest),
            None => map.rest.as_ref().map_or(Type::Null, |it| at(it, rest)),
        },
        _ => Type::Any,
    }
}

fn below(root: &str, own: &str, rest: &[&str]) -> Path {
    let mut segments = vec![own];
    segments.extend(rest);
    Path::new(root, &segments)
}

/// Finds a task by id as expressions do: from the inside out.
pub(super) fn find(plan: &Plan, reader: NodeId, id: &str) -> Option<NodeId> {
    find_from(plan, plan.node(reader).composite, id)
}

pub(super) fn find_from(plan: &Plan, mut level: CompositeId, id: &str) -> Option<NodeId> {
    loop {
        if let Some(local) = plan.composite(level).ids.get(id) {
            return Some(plan.child(level, *local));
        }
        level = around(plan, level)?;
    }
}

/// Returns the composite around a composite; around a handler of the run lies its main part.
fn around(plan: &Plan, level: CompositeId) -> Option<CompositeId> {
    match plan.composite(level).owner {
        Some(owner) => Some(plan.node(owner).composite),
        None => (level != ROOT).then_some(ROOT),
    }
}

pub(super) fn declaring(plan: &Plan, reader: NodeId, name: &str) -> Option<CompositeId> {
    let mut level = plan.node(reader).composite;
    loop {
        if plan.composite(level).vars.iter().any(|it| it.0 == name) {
            return Some(level);
        }
        level = around(plan, level)?;
    }
}

/// Returns the task around another whose `for_each` has this name for its item.
pub(super) fn item_owner(plan: &Plan, reader: NodeId, name: &str) -> Option<NodeId> {
    let mut level = plan.node(reader).composite;
    loop {
        let owner = plan.composite(level).owner?;
        let each = plan.node(owner).for_each.as_ref();
        if each.is_some_and(|it| &*it.name == name || name == "index") {
            return Some(owner);
        }
        level = plan.node(owner).composite;
    }
}
