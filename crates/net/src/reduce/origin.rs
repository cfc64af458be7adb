//! What a transition of the reduced net stands for in the net that it came from.

use crate::proof::{Keeps, Step};

/// A run of the original net, shared rather than copied: a chain of ten thousand tasks ends as one
/// transition.
#[derive(Clone, Copy, Debug)]
enum Origin {
    Own(u32),
    /// The first, then the second.
    Both(u32, u32),
}

#[derive(Clone, Debug)]
pub struct Origins {
    nodes: Vec<Origin>,
    /// The node of each transition.
    of: Vec<u32>,
    /// What has happened before the reduced net starts.
    before: Vec<u32>,
}

impl Origins {
    pub fn of(transitions: usize) -> Origins {
        let ids = 0..transitions as u32;
        Origins { nodes: ids.clone().map(Origin::Own).collect(), of: ids.collect(), before: vec![] }
    }

    /// Makes room for a new transition.
    pub fn add(&mut self) {
        self.of.push(0);
    }

    pub fn join(&mut self, first: u32, second: u32, made: u32) {
        let (first, second) = (self.of[first as usize], self.of[second as usize]);
        self.nodes.push(Origin::Both(first, second));
        self.of[made as usize] = self.nodes.len() as u32 - 1;
    }

    /// The net starts after this transition from now on.
    pub fn begin_with(&mut self, transition: u32) {
        self.before.push(self.of[transition as usize]);
    }

    pub fn lift(&self, run: &[u32]) -> Vec<u32> {
        let mut lifted = Vec::new();
        let of_run = run.iter().map(|it| self.of[*it as usize]);
        for node in self.before.iter().copied().chain(of_run) {
            let mut left = vec![node];
            while let Some(node) = left.pop() {
                match self.nodes[node as usize] {
                    Origin::Own(transition) => lifted.push(transition),
                    Origin::Both(first, second) => left.extend([second, first]),
                }
            }
        }
        lifted
    }
}

/// Undoes the steps from the last to the first: each says what follows for what it took away.
pub fn lift_alive(steps: &[Step], alive: &[u32], transition_count: usize) -> Vec<bool> {
    let made: usize = steps.iter().map(Step::made_count).sum();
    let mut is_alive = vec![false; transition_count + made];
    alive.iter().for_each(|it| is_alive[*it as usize] = true);
    let mut next_made = transition_count + made;
    for step in steps.iter().rev() {
        match step {
            Step::DropPlace { .. } => {}
            Step::DropTransition { transition, twin } => {
                is_alive[*transition as usize] = is_alive[*twin as usize];
            }
            Step::DropLoop { transition, witnesses } => {
                is_alive[*transition as usize] =
                    witnesses.is_empty() || witnesses.iter().any(|it| is_alive[*it as usize]);
            }
            Step::Agglomerate { producers, consumers, keeps, is_start, .. } => {
                next_made -= step.made_count();
                match keeps {
                    Keeps::Producers => {
                        is_alive[consumers[0] as usize] =
                            *is_start || producers.iter().any(|it| is_alive[*it as usize]);
                    }
                    Keeps::Consumers => {
                        is_alive[producers[0] as usize] =
                            consumers.iter().any(|it| is_alive[*it as usize]);
                    }
                    Keeps::Neither => {
                        for (at, producer) in producers.iter().enumerate() {
                            for (with, consumer) in consumers.iter().enumerate() {
                                let pair = is_alive[next_made + at * consumers.len() + with];
                                is_alive[*producer as usize] |= pair;
                                is_alive[*consumer as usize] |= pair;
                            }
                        }
                    }
                }
            }
        }
    }
    is_alive.truncate(transition_count);
    is_alive
}
