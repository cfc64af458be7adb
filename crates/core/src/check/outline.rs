//! The tasks of a definition laid out in one list, the children of a composite side by side. The
//! plan uses the same numbers, so whatever a check finds out about a node holds for the plan.

use std::collections::{HashMap, HashSet};

use crate::definition::{Composite, Definition, Graph, Machine, State, Task, Work};
use crate::plan::{CompositeId, NodeId};

pub(crate) struct Outline<'a> {
    pub levels: Vec<Level<'a>>,
    pub nodes: Vec<Placed<'a>>,
    pub on_failure: Option<CompositeId>,
    pub finally: Option<CompositeId>,
}

/// A composite: what stands at one level of nesting.
pub(crate) struct Level<'a> {
    pub shape: Shape<'a>,
    pub role: Role,
    pub first: u32,
    pub len: u32,
    /// Child index by id. Of duplicates the first.
    pub ids: HashMap<&'a str, u32>,
    /// 1 for the top level.
    pub depth: usize,
}

#[derive(Clone, Copy)]
pub(crate) enum Shape<'a> {
    Graph(&'a Graph),
    Machine(&'a Machine),
    /// The one task that `compensate` describes.
    Single(&'a Task),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Body,
    /// The work of the task.
    Work(NodeId),
    /// What undoes the task.
    Undo(NodeId),
    OnFailure,
    Finally,
}

impl Role {
    /// Returns the id of a child. What undoes a task has no name of its own.
    pub fn id_of<'t>(&self, task: &'t Task) -> &'t str {
        match self {
            Role::Undo(_) => "compensate",
            Role::Body | Role::Work(_) | Role::OnFailure | Role::Finally => &task.id.value,
        }
    }
}

/// A task and its place.
pub(crate) struct Placed<'a> {
    pub task: &'a Task,
    pub state: Option<&'a State>,
    pub level: CompositeId,
    /// Child indices of the needs that exist.
    pub needs: Vec<u32>,
    pub work: Option<CompositeId>,
    pub undo: Option<CompositeId>,
}

impl<'a> Outline<'a> {
    /// Lays out `definition`; `finally` is its finally graph with the notifications in it.
    pub fn new(definition: &'a Definition, finally: Option<&'a Graph>) -> Outline<'a> {
        let mut outline =
            Outline { levels: vec![], nodes: vec![], on_failure: None, finally: None };
        outline.push(shape_of(&definition.body), Role::Body, 1);
        if let Some(graph) = &definition.on_failure {
            outline.on_failure = Some(outline.push(Shape::Graph(graph), Role::OnFailure, 1));
        }
        if let Some(graph) = finally {
            outline.finally = Some(outline.push(Shape::Graph(graph), Role::Finally, 1));
        }
        // The list grows while it is walked: breadth first, so children lie side by side.
        let mut next = 0;
        while next < outline.levels.len() {
            outline.open(next);
            next += 1;
        }
        outline
    }

    pub fn level(&self, id: CompositeId) -> &Level<'a> {
        &self.levels[id.0 as usize]
    }

    pub fn node(&self, id: NodeId) -> &Placed<'a> {
        &self.nodes[id.0 as usize]
    }

    pub fn children(&self, level: &Level<'a>) -> &[Placed<'a>] {
        &self.nodes[level.first as usize..(level.first + level.len) as usize]
    }

    pub fn child(&self, level: CompositeId, index: u32) -> NodeId {
        NodeId(self.level(level).first + index)
    }

    /// Returns the place of a node among its siblings.
    pub fn index(&self, id: NodeId) -> u32 {
        id.0 - self.level(self.node(id).level).first
    }

    pub fn levels(&self) -> impl Iterator<Item = (CompositeId, &Level<'a>)> {
        self.levels.iter().enumerate().map(|(at, level)| (CompositeId(at as u32), level))
    }

    fn push(&mut self, shape: Shape<'a>, role: Role, depth: usize) -> CompositeId {
        let id = CompositeId(self.levels.len() as u32);
        self.levels.push(Level { shape, role, first: 0, len: 0, ids: HashMap::new(), depth });
        id
    }

    /// Adds the children of a level, and the levels that they open.
    fn open(&mut self, at: usize) {
        let tasks = tasks_of(self.levels[at].shape);
        let mut ids = HashMap::with_capacity(tasks.len());
        for (index, (task, _)) in tasks.iter().enumerate() {
            ids.entry(self.levels[at].role.id_of(task)).or_insert(index as u32);
        }
        let first = self.nodes.len() as u32;
        let depth = self.levels[at].depth + 1;
        for (index, (task, state)) in tasks.iter().enumerate() {
            let id = NodeId(first + index as u32);
            let needs = resolved(task, &ids);
            let work = match &task.work {
                Work::Composite(inner) => Some(self.push(shape_of(inner), Role::Work(id), depth)),
                Work::Nothing | Work::Uses { .. } => None,
            };
            let undo = task
                .compensate
                .as_deref()
                .map(|undo| self.push(Shape::Single(undo), Role::Undo(id), depth));
            let level = CompositeId(at as u32);
            self.nodes.push(Placed { task, state: *state, level, needs, work, undo });
        }
        let level = &mut self.levels[at];
        (level.first, level.len, level.ids) = (first, tasks.len() as u32, ids);
    }
}

/// Returns the needs that exist, each once.
fn resolved(task: &Task, ids: &HashMap<&str, u32>) -> Vec<u32> {
    let mut seen = HashSet::new();
    let found = task.needs.iter().filter_map(|it| ids.get(it.value.as_str()).copied());
    found.filter(|it| seen.insert(*it)).collect()
}

fn shape_of(composite: &Composite) -> Shape<'_> {
    match composite {
        Composite::Graph(graph) => Shape::Graph(graph),
        Composite::Machine(machine) => Shape::Machine(machine),
    }
}

fn tasks_of(shape: Shape<'_>) -> Vec<(&Task, Option<&State>)> {
    match shape {
        Shape::Graph(graph) => graph.tasks.iter().map(|task| (task, None)).collect(),
        Shape::Machine(machine) => {
            machine.states.iter().map(|state| (&state.task, Some(state))).collect()
        }
        Shape::Single(task) => vec![(task, None)],
    }
}
