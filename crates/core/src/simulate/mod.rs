//! Runs a plan without an engine: the deciders are the real ones, the clock is virtual, and an
//! [`Oracle`] answers for the outside. What a verifier proves is tried here against random
//! answers and orders; what it refutes is replayed here, step by step.
//!
//! | file | answers |
//! |---|---|
//! | `oracle`, `answer` | what the outside is asked, what it answers, what may happen next |
//! | `world` | how a run is moved by one act |
//! | `trace`, `steps` | what happened, in words |
//! | `explore` | what happens in every order, for small plans |
//! | `counterexample` | one execution as a file: written by a check, replayed by a run |
//! | `script` | an oracle that follows such a file |

mod answer;
mod counterexample;
mod explore;
mod oracle;
mod script;
mod steps;
mod trace;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

pub use answer::time_limit;
pub use counterexample::{
    COUNTEREXAMPLE_FORMAT, Counterexample, Expected, InvalidCounterexample, Mismatch, replay,
};
pub use explore::{CutOff, Explored, explore};
pub use oracle::{Answer, Ask, Asked, Choice, Oracle, Turn};
pub use script::Scripted;
pub use trace::{End, ExpressionError, Step, Trace, Tries, What};
pub use world::{BEGIN, World};

use crate::plan::Plan;
use crate::run::TaskId;

/// How far a simulation goes, and in which kind of world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Choices of one execution.
    pub steps_max: usize,
    /// Different states that [`explore`] looks at.
    pub states_max: usize,
    /// Attempts under way at once; 1 runs everything in sequence.
    pub slots: u32,
    pub clock: Clock,
}

/// When the virtual clock goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Once the outside owes nothing more: everything is quicker than the next timer.
    Patient,
    /// Whenever it is chosen: anything may be slower than the next timer.
    Eager,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { steps_max: 10_000, states_max: 100_000, slots: u32::MAX, clock: Clock::Patient }
    }
}

/// Executes a plan once, as the oracle says.
pub fn simulate(plan: &Arc<Plan>, input: &Value, oracle: &mut dyn Oracle, bounds: Bounds) -> Trace {
    let mut world = World::new(plan, input, bounds);
    let mut known: BTreeMap<(TaskId, u32), Answer> = BTreeMap::new();
    for step in 0..bounds.steps_max {
        if let Some(command) = oracle.intervene(step) {
            world.act(&Choice::Ask(command));
        }
        if world.has_ended() {
            return world.into_trace(End::Ended);
        }
        let enabled = world.enabled(&mut |ask| match ask.what {
            Asked::Event(_) => oracle.events(ask).into_iter().map(Answer::Complete).collect(),
            Asked::Work(_) | Asked::SubRun | Asked::Approval | Asked::Signal(_) => {
                let place = (ask.task, ask.attempt);
                vec![known.entry(place).or_insert_with(|| oracle.answer(ask)).clone()]
            }
        });
        if enabled.is_empty() {
            return world.into_trace(End::Stuck);
        }
        let chosen = oracle.choose(&enabled).and_then(|it| enabled.get(it));
        let Some(chosen) = chosen else { return world.into_trace(End::Halted) };
        world.act(chosen);
    }
    let end = if world.has_ended() { End::Ended } else { End::CutOff };
    world.into_trace(end)
}
