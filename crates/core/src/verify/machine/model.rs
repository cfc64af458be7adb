//! A machine as the verifier sees it: lists of ways out of each state, in the order in which the
//! engine tries them, and why some of them can never be taken.

use std::collections::VecDeque;
use std::ops::Range;

use super::condition::{Condition, Variables};
use super::interface::Abilities;
use crate::check::Shape;
use crate::definition::{State, Transition, Work};
use crate::expr::Template;
use crate::plan::{CompositeId, CompositeKind, NodeId, ROOT, StatePlan, TransitionPlan};
use crate::time::Duration;
use crate::verify::Subject;

pub(crate) struct Model<'a> {
    pub composite: CompositeId,
    pub initial: u32,
    pub variables: Variables<'a>,
    /// The initial value of each variable.
    pub values: Vec<&'a Template>,
    pub states: Vec<Entry<'a>>,
    pub lists: Vec<List<'a>>,
    pub ways: Vec<Way<'a>>,
}

pub(super) struct Entry<'a> {
    pub id: NodeId,
    pub source: &'a State,
    pub rest: Rest,
    pub abilities: Abilities,
    /// Its lists, in the order `on`, `after`, `next`.
    pub lists: Range<usize>,
}

/// What a machine does in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// It ends there.
    Final,
    /// There is no work, and it waits for events and times.
    Waits,
    /// It goes on at once: no work, or work that takes no time.
    Instant,
    Works,
}

/// What comes after the work of a state is done, when no transition is open then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// The machine fails.
    Never,
    /// It waits for an event, or for a time that is certain to move it on.
    Waits,
    /// It waits for times whose guards may all be false.
    UntilTimes,
}

/// Transitions of which the first that is open is taken.
pub(super) struct List<'a> {
    /// Its place among all lists.
    pub at: usize,
    pub state: u32,
    pub cause: Cause<'a>,
    pub ways: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause<'a> {
    /// The work of the state is done.
    Done,
    Failed,
    Event(&'a str),
    After(Duration),
}

pub(super) struct Way<'a> {
    pub from: u32,
    pub to: u32,
    pub list: usize,
    pub guard: Option<Condition<'a>>,
    pub set: &'a [(String, Template)],
    pub source: &'a Transition,
    pub closed: Option<Closed>,
}

/// Why a way is never taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// The work of the state never ends in this way.
    Work,
    /// One before it is always taken.
    Before,
    /// Its guard is never true where it stands.
    Guard,
    /// A machine inside of the state always takes the event.
    Inside,
}

impl<'a> Model<'a> {
    /// Lays out a machine; nothing for a graph. `abilities` are those of its states, in order.
    pub fn new(
        subject: &Subject<'a>,
        composite: CompositeId,
        abilities: &[Abilities],
    ) -> Option<Model<'a>> {
        let plan = subject.plan;
        let content = plan.composite(composite);
        let level = subject.outline.level(composite);
        let (CompositeKind::Machine { initial }, Shape::Machine(machine)) =
            (&content.kind, level.shape)
        else {
            return None;
        };
        let vars = if composite == ROOT { &subject.definition.vars } else { &machine.vars };
        let mut model = Model {
            composite,
            initial: *initial,
            variables: Variables::new(vars.iter().map(|(name, _)| name.value.as_str())),
            values: vars.iter().map(|(_, it)| &it.template).collect(),
            states: Vec::with_capacity(machine.states.len()),
            lists: Vec::new(),
            ways: Vec::new(),
        };
        for (index, source) in machine.states.iter().enumerate() {
            let id = plan.child(composite, index as u32);
            let placed = plan.node(id);
            let abilities = abilities[index];
            let rest = rest(source);
            let first = model.lists.len();
            if let Some(state) = &placed.state {
                model.add_lists(index as u32, source, state);
            }
            let lists = first..model.lists.len();
            model.states.push(Entry { id, source, rest, abilities, lists });
            model.close_by_work(index);
        }
        Some(model)
    }

    fn add_lists(&mut self, state: u32, source: &'a State, plan: &'a StatePlan) {
        let (mut done, mut done_sources): (Vec<_>, Vec<_>) =
            (plan.next.iter().collect(), source.next.iter().collect());
        for ((event, list), (_, sources)) in plan.on.iter().zip(&source.on) {
            let cause = match &**event {
                // Tried after `next`.
                "done" => {
                    done.extend(list);
                    done_sources.extend(sources);
                    continue;
                }
                "failed" => Cause::Failed,
                event => Cause::Event(event),
            };
            self.add_list(state, cause, &list.iter().collect::<Vec<_>>(), sources);
        }
        for ((delay, list), (_, sources)) in plan.after.iter().zip(&source.after) {
            self.add_list(state, Cause::After(*delay), &list.iter().collect::<Vec<_>>(), sources);
        }
        self.add_list(state, Cause::Done, &done, done_sources);
    }

    fn add_list(
        &mut self,
        state: u32,
        cause: Cause<'a>,
        plans: &[&'a TransitionPlan],
        sources: impl IntoIterator<Item = &'a Transition>,
    ) {
        let (list, first) = (self.lists.len(), self.ways.len());
        let mut is_decided = false;
        for (plan, source) in plans.iter().zip(sources) {
            let guard = plan.condition.as_ref().map(|it| self.variables.condition(it));
            let closed = is_decided.then_some(Closed::Before);
            is_decided |= guard.is_none();
            let (to, set) = (plan.to, &plan.set[..]);
            self.ways.push(Way { from: state, to, list, guard, set, source, closed });
        }
        self.lists.push(List { at: list, state, cause, ways: first..self.ways.len() });
    }

    /// Closes what can never happen because the work never ends so.
    fn close_by_work(&mut self, state: usize) {
        let entry = &self.states[state];
        let (abilities, rest) = (entry.abilities, entry.rest);
        for list in &self.lists[entry.lists.clone()] {
            let happens = match list.cause {
                Cause::Done => abilities.can_complete && rest != Rest::Waits,
                Cause::Failed => abilities.can_fail,
                Cause::Event(_) | Cause::After(_) => true,
            };
            if !happens {
                self.ways[list.ways.clone()]
                    .iter_mut()
                    .for_each(|it| it.closed = Some(Closed::Work));
            }
        }
    }

    /// The lists of a state.
    pub fn lists_of(&self, state: u32) -> &[List<'a>] {
        &self.lists[self.states[state as usize].lists.clone()]
    }

    pub fn list_of(&self, state: u32, cause: Cause<'_>) -> Option<&List<'a>> {
        self.lists_of(state).iter().find(|it| it.cause == cause)
    }

    pub fn ways_of(&self, list: &List<'a>) -> &[Way<'a>] {
        &self.ways[list.ways.clone()]
    }

    /// The ways out of a state that may be taken.
    pub fn open_ways(&self, state: u32) -> impl Iterator<Item = &Way<'a>> {
        let lists = self.lists_of(state).iter().flat_map(|it| self.ways_of(it));
        lists.filter(|it| it.closed.is_none())
    }

    pub fn cause(&self, way: &Way<'a>) -> Cause<'a> {
        self.lists[way.list].cause
    }

    pub fn name(&self, state: u32) -> &'a str {
        &self.states[state as usize].source.task.id.value
    }

    /// Whether the machine stays in a state whose work is done and that no transition leaves.
    pub fn stays(&self, state: u32) -> Stay {
        let lists = self.lists_of(state);
        let is_left = |it: &List<'_>| self.ways_of(it).iter().any(|it| it.guard.is_none());
        let is_timed = |it: &&List<'_>| matches!(it.cause, Cause::After(_));
        if lists.iter().any(|it| matches!(it.cause, Cause::Event(_))) {
            return Stay::Waits;
        }
        match lists.iter().filter(is_timed).map(is_left).reduce(|one, other| one || other) {
            None => Stay::Never,
            Some(true) => Stay::Waits,
            Some(false) => Stay::UntilTimes,
        }
    }

    /// Follows `edges` from some states, and says which states are met.
    pub fn spread(
        &self,
        from: impl IntoIterator<Item = u32>,
        edges: impl Fn(u32) -> Vec<u32>,
    ) -> Vec<bool> {
        let mut seen = vec![false; self.states.len()];
        let mut todo: VecDeque<u32> = from.into_iter().collect();
        todo.iter().for_each(|it| seen[*it as usize] = true);
        while let Some(at) = todo.pop_front() {
            for next in edges(at) {
                if !std::mem::replace(&mut seen[next as usize], true) {
                    todo.push_back(next);
                }
            }
        }
        seen
    }
}

fn rest(state: &State) -> Rest {
    match &state.task.work {
        _ if state.is_final => Rest::Final,
        Work::Nothing if state.next.is_empty() => Rest::Waits,
        Work::Nothing => Rest::Instant,
        Work::Uses { kind, .. } if matches!(kind.value.as_str(), "transform" | "log") => {
            if state.task.for_each.is_none() { Rest::Instant } else { Rest::Works }
        }
        Work::Uses { .. } | Work::Composite(_) => Rest::Works,
    }
}

impl std::fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cause::Done => f.write_str("done"),
            Cause::Failed => f.write_str("failed"),
            Cause::Event(name) => write!(f, "{name}"),
            Cause::After(delay) => write!(f, "after {delay}"),
        }
    }
}
