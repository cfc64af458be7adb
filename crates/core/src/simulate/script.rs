//! An oracle that follows a counterexample.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::counterexample::Counterexample;
use super::oracle::{Answer, Ask, Asked, Choice, Oracle, Turn};
use crate::run::{Command, bare_path};

/// Gives the answers of a [`Counterexample`] in its order.
///
/// The turns of the order happen one after the other, each as soon as it can. What no turn names
/// happens by itself while the next turn waits for it; events come only with their turn, and the
/// clock goes on only if nothing else is left.
pub struct Scripted<'a> {
    answers: &'a BTreeMap<String, Vec<Answer>>,
    otherwise: &'a Answer,
    order: VecDeque<&'a Turn>,
    asked: BTreeMap<String, usize>,
}

impl<'a> Scripted<'a> {
    pub fn new(counterexample: &'a Counterexample) -> Scripted<'a> {
        Scripted {
            answers: &counterexample.answers,
            otherwise: &counterexample.otherwise,
            order: counterexample.order.iter().collect(),
            asked: BTreeMap::new(),
        }
    }

    /// Returns the turn that could not happen, if the order was not followed to its end.
    pub fn waits_for(&self) -> Option<&'a Turn> {
        self.order.front().copied()
    }
}

impl Oracle for Scripted<'_> {
    fn answer(&mut self, ask: &Ask<'_>) -> Answer {
        let asked = self.asked.entry(ask.path.to_owned()).or_default();
        *asked += 1;
        let answers = self.answers.get(ask.path).or_else(|| self.answers.get(&bare_path(ask.path)));
        let answer = answers.and_then(|it| it.get(*asked - 1).or_else(|| it.last()));
        answer.unwrap_or(self.otherwise).clone()
    }

    fn events(&mut self, ask: &Ask<'_>) -> Vec<Value> {
        let data = self.order.iter().find_map(|turn| match turn {
            Turn::Event { name, data } if ask.what == Asked::Event(name) => Some(data.clone()),
            _ => None,
        });
        data.into_iter().collect()
    }

    fn choose(&mut self, enabled: &[Choice]) -> Option<usize> {
        let next = self.order.front();
        if let Some(place) = next.and_then(|next| enabled.iter().position(|it| is_at(next, it))) {
            self.order.pop_front();
            return Some(place);
        }
        enabled.iter().position(|it| {
            !matches!(it, Choice::Event { .. }) && !self.order.iter().any(|turn| is_at(turn, it))
        })
    }

    fn intervene(&mut self, _step: usize) -> Option<Command> {
        let Some(Turn::Ask(command)) = self.order.front() else { return None };
        let command = command.clone();
        self.order.pop_front();
        Some(command)
    }
}

/// Whether the choice is what the turn names. A turn may leave out items and visits.
fn is_at(turn: &Turn, choice: &Choice) -> bool {
    let is_named = |name: &str, path: &str| name == path || name == bare_path(path);
    match (turn, choice) {
        (Turn::Start(name), Choice::Start { path, .. })
        | (Turn::Answer(name), Choice::Answer { path, .. })
        | (Turn::GiveUp(name), Choice::GiveUp { path, .. }) => is_named(name, path),
        (Turn::Event { name, data }, Choice::Event { name: other, data: given }) => {
            (name, data) == (other, given)
        }
        (Turn::Timer, Choice::Timer) => true,
        // Whoever asks something does so at once, and is no choice.
        _ => false,
    }
}
