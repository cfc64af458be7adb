//! What is drawn: the boxes and arrows of each composite of a plan, boxes within boxes.

use surefoot_core::definition::Join;
use surefoot_core::plan::{
    CompositeId, CompositeKind, NodeId, Plan, ROOT, StatePlan, TaskPlan, TransitionPlan, WorkPlan,
};

use super::marks::{Clash, Mark};

/// The picture of a whole plan, before anything has a place.
#[derive(Clone, Debug)]
pub struct Diagram {
    pub title: String,
    /// The body, and then what runs at the end. The name of the body is empty.
    pub sections: Vec<(&'static str, Level)>,
    /// What must not run side by side, and may.
    pub clashes: Vec<Clash>,
}

/// One composite: a graph or a machine.
#[derive(Clone, Debug, Default)]
pub struct Level {
    pub is_machine: bool,
    pub vertices: Vec<Vertex>,
    pub edges: Vec<Edge>,
}

#[derive(Clone, Debug)]
pub struct Vertex {
    /// As [`Plan::path`] has it.
    pub path: String,
    pub label: String,
    /// What is done there and how: `http`, `approval · if …`.
    pub detail: String,
    pub shape: Shape,
    pub mark: Mark,
    pub inner: Option<Level>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Task,
    /// A task that waits for a person.
    Human,
    State,
    InitialState,
    FinalState,
}

/// An arrow between two vertices of one level, by their places in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    pub from: u32,
    pub to: u32,
    pub label: String,
}

/// Characters of a condition that a label shows.
const CONDITION_LEN_MAX: usize = 40;

impl Diagram {
    pub fn of(plan: &Plan) -> Diagram {
        let handlers = [("on_failure", plan.on_failure), ("finally", plan.finally)];
        let handlers = handlers.into_iter().filter_map(|(name, id)| Some((name, id?)));
        let sections = std::iter::once(("", ROOT)).chain(handlers);
        Diagram {
            title: format!("{} {}", plan.workflow, plan.version),
            sections: sections.map(|(name, id)| (name, level(plan, id))).collect(),
            clashes: Vec::new(),
        }
    }

    /// Returns how many boxes there are, those inside of others included.
    pub fn len(&self) -> usize {
        self.sections.iter().map(|(_, level)| level.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Level {
    pub fn len(&self) -> usize {
        let inner = self.vertices.iter().filter_map(|it| it.inner.as_ref());
        self.vertices.len() + inner.map(Level::len).sum::<usize>()
    }

    pub fn is_empty(&self) -> bool {
        self.vertices.is_empty()
    }

    /// Returns the arrows as pairs.
    pub fn pairs(&self) -> Vec<(u32, u32)> {
        self.edges.iter().map(|it| (it.from, it.to)).collect()
    }
}

fn level(plan: &Plan, id: CompositeId) -> Level {
    let composite = plan.composite(id);
    let children = || (0..composite.len).map(|it| (it, plan.child(id, it)));
    let initial = match composite.kind {
        CompositeKind::Machine { initial } => Some(initial),
        CompositeKind::Graph { .. } => None,
    };
    let vertices = children().map(|(at, node)| vertex(plan, node, initial == Some(at))).collect();
    let mut edges = Vec::new();
    for (at, node) in children() {
        let task = plan.node(node);
        edges.extend(task.needs.iter().map(|need| edge(*need, at, String::new())));
        if let Some(state) = &task.state {
            edges.extend(transitions(at, task, state));
        }
    }
    Level { is_machine: initial.is_some(), vertices, edges }
}

fn vertex(plan: &Plan, id: NodeId, is_initial: bool) -> Vertex {
    let task = plan.node(id);
    let is_final = task.state.as_ref().is_some_and(|it| it.is_final);
    let shape = match (&task.state, &task.work) {
        (Some(_), _) if is_final => Shape::FinalState,
        (Some(_), _) if is_initial => Shape::InitialState,
        (Some(_), _) => Shape::State,
        (None, WorkPlan::Uses { kind, .. }) if &**kind == "approval" => Shape::Human,
        (None, _) => Shape::Task,
    };
    let inner = match &task.work {
        WorkPlan::Composite(inner) => Some(level(plan, *inner)),
        WorkPlan::Nothing | WorkPlan::Uses { .. } => None,
    };
    let (path, label, detail) = (plan.path(id), task.id.to_string(), detail(task));
    Vertex { path, label, detail, shape, mark: Mark::default(), inner }
}

fn detail(task: &TaskPlan) -> String {
    let mut parts = Vec::new();
    match &task.work {
        WorkPlan::Uses { kind, .. } => parts.push(kind.to_string()),
        WorkPlan::Nothing | WorkPlan::Composite(_) => {}
    }
    if task.for_each.is_some() {
        parts.push("for each".to_owned());
    }
    if let Some(join) = join_name(task.join) {
        parts.push(join.to_owned());
    }
    if let Some(condition) = &task.condition {
        parts.push(format!("if {}", shortened(condition.source())));
    }
    if task.compensate.is_some() {
        parts.push("can be undone".to_owned());
    }
    parts.join(" · ")
}

/// The usual join needs no word.
fn join_name(join: Join) -> Option<&'static str> {
    match join {
        Join::AllSuccess => None,
        Join::NoneFailed => Some("none_failed"),
        Join::AnySuccess => Some("any_success"),
        Join::AnyFailed => Some("any_failed"),
        Join::AllDone => Some("all_done"),
    }
}

fn transitions(from: u32, task: &TaskPlan, state: &StatePlan) -> Vec<Edge> {
    let way = |on: &str, it: &TransitionPlan| {
        let guard = it.condition.as_ref().map(|it| format!("[{}]", shortened(it.source())));
        let parts: Vec<&str> =
            [on, guard.as_deref().unwrap_or("")].into_iter().filter(|it| !it.is_empty()).collect();
        edge(from, it.to, parts.join(" "))
    };
    // A state without work is done at once: the word would say nothing.
    let done = if matches!(task.work, WorkPlan::Nothing) { "" } else { "done" };
    let on = state.on.iter().flat_map(|(name, all)| all.iter().map(|it| way(name, it)));
    let after = state.after.iter().flat_map(|(delay, all)| {
        all.iter().map(move |it| way(&format!("after {delay}"), it)).collect::<Vec<_>>()
    });
    on.chain(after).chain(state.next.iter().map(|it| way(done, it))).collect()
}

fn edge(from: u32, to: u32, label: String) -> Edge {
    Edge { from, to, label }
}

fn shortened(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(CONDITION_LEN_MAX) {
        line.truncate(end);
        line.push('…');
    }
    line
}
