//! What a proof consists of: the log of a reduction, and the markings of what it left. The reducer
//! and the search write it, `certificate.rs` checks it.

use std::collections::BTreeMap;

/// What a reduction step did. Ids are those of the original net; a step that makes transitions
/// numbers them on from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Took away a place with the same arcs as its twin.
    DropPlace { place: u32, twin: u32 },
    /// Took away a transition with the same arcs as its twin.
    DropTransition { transition: u32, twin: u32 },
    /// Took away a transition that gives back what it takes. If one of the witnesses can fire, so can
    /// it: each takes or makes all of that. There are none where the start alone is taken.
    DropLoop { transition: u32, witnesses: Vec<u32> },
    /// Took away a place, and joined each of its producers to each of its consumers. The token of a
    /// start goes where its only consumer puts it.
    Agglomerate {
        place: u32,
        producers: Vec<u32>,
        consumers: Vec<u32>,
        keeps: Keeps,
        is_start: bool,
    },
}

/// Which ids the joined transitions have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// There is one consumer: those of the producers.
    Producers,
    /// There is one producer: those of the consumers.
    Consumers,
    /// New ones, producer by producer.
    Neither,
}

impl Step {
    /// How many new ids the step takes.
    pub fn made_count(&self) -> usize {
        match self {
            Step::Agglomerate { producers, consumers, keeps: Keeps::Neither, .. } => {
                producers.len() * consumers.len()
            }
            Step::Agglomerate { .. }
            | Step::DropPlace { .. }
            | Step::DropTransition { .. }
            | Step::DropLoop { .. } => 0,
        }
    }
}

/// Why a net is sound and safe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    pub steps: Vec<Step>,
    /// All markings of what the steps left, as sorted places, each with the number of firings that
    /// it is away from the end. None if nothing was left.
    pub markings: BTreeMap<Vec<u32>, u32>,
}
