//! Every order in which things can happen, for plans that are small enough.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde_json::Value;

use super::Bounds;
use super::oracle::{Answer, Ask};
use super::trace::{End, Trace};
use super::world::World;
use crate::plan::Plan;

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Explored {
    /// Different states that were reached.
    pub states: usize,
    /// Executions that were told to the visitor. A state that was reached before is not gone on
    /// from again, so of executions that meet in a state only the first is told to its end.
    pub traces: usize,
    /// Why not everything was looked at; nothing if it was.
    pub cut_off: Option<CutOff>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutOff {
    /// There are more than `Bounds::states_max` states.
    States,
    /// An execution has more than `Bounds::steps_max` choices.
    Steps,
    /// The visitor had seen enough.
    Visitor,
}

/// Executes a plan in every order and with every combination of the given answers, and shows each
/// execution to `visit`. An execution that a bound cut off is not shown.
pub fn explore(
    plan: &Arc<Plan>,
    input: &Value,
    answers: &mut dyn FnMut(&Ask<'_>) -> Vec<Answer>,
    bounds: Bounds,
    visit: &mut dyn FnMut(&Trace) -> ControlFlow<()>,
) -> Explored {
    let mut explored = Explored::default();
    let mut seen = HashSet::new();
    let mut open = vec![(World::new(plan, input, bounds), 0)];
    while let Some((mut world, depth)) = open.pop() {
        if !seen.insert(world.fingerprint()) {
            continue;
        }
        explored.states += 1;
        if explored.states >= bounds.states_max {
            explored.cut_off = Some(CutOff::States);
            break;
        }
        let enabled = world.enabled(answers);
        if enabled.is_empty() {
            let end = if world.has_ended() { End::Ended } else { End::Stuck };
            explored.traces += 1;
            if visit(&world.into_trace(end)).is_break() {
                explored.cut_off = Some(CutOff::Visitor);
                break;
            }
            continue;
        }
        if depth == bounds.steps_max {
            explored.cut_off = Some(CutOff::Steps);
            continue;
        }
        // The first choice is gone on with first, so the last is put down first.
        for choice in enabled.iter().rev() {
            let mut next = world.fork();
            next.act(choice);
            open.push((next, depth + 1));
        }
    }
    explored
}
