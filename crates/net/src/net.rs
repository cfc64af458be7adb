//! Nets: places, transitions and arcs of weight one, each node with the name and the line that a
//! person knows it by. A net is only made by its builder, so an arc never leads nowhere.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Places and transitions that one net may have together.
pub const NODES_MAX: usize = 1_000_000;
/// Arcs that one net may have.
pub const ARCS_MAX: usize = 4_000_000;

/// A place, by its position in the net.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceId(pub u32);

/// A transition, by its position in the net.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransitionId(pub u32);

impl PlaceId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl TransitionId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a person knows a node by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Unique in its net.
    pub id: String,
    /// As it is told in a trace.
    pub name: String,
    /// From 1; 0 for a net that was not read from a file.
    pub line: u32,
}

impl Label {
    pub fn new(id: impl Into<String>, name: impl Into<String>, line: u32) -> Label {
        Label { id: id.into(), name: name.into(), line }
    }
}

/// The places around a transition, each list sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arcs {
    pub inputs: Vec<PlaceId>,
    pub outputs: Vec<PlaceId>,
    /// Emptied when the transition fires: after its inputs are taken, before its outputs are made.
    pub resets: Vec<PlaceId>,
}

/// Where a case starts and ends. A net that does not say is asked for its only source and sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    pub start: Option<PlaceId>,
    /// A case has ended once all its tokens are in these, and there is one.
    pub ends: Vec<PlaceId>,
    /// A case has ended as soon as one of these has a token, wherever the others are.
    pub stops: Vec<PlaceId>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Net {
    places: Vec<Label>,
    transitions: Vec<Label>,
    arcs: Vec<Arcs>,
    ends: Ends,
}

impl Net {
    pub fn builder() -> NetBuilder {
        NetBuilder::default()
    }

    pub fn places(&self) -> impl ExactSizeIterator<Item = PlaceId> + Clone + use<> {
        (0..self.places.len() as u32).map(PlaceId)
    }

    pub fn transitions(&self) -> impl ExactSizeIterator<Item = TransitionId> + Clone + use<> {
        (0..self.transitions.len() as u32).map(TransitionId)
    }

    pub fn place(&self, place: PlaceId) -> &Label {
        &self.places[place.index()]
    }

    pub fn transition(&self, transition: TransitionId) -> &Label {
        &self.transitions[transition.index()]
    }

    pub fn arcs(&self, transition: TransitionId) -> &Arcs {
        &self.arcs[transition.index()]
    }

    pub fn ends(&self) -> &Ends {
        &self.ends
    }

    pub fn has_resets(&self) -> bool {
        self.arcs.iter().any(|it| !it.resets.is_empty())
    }

    /// The number of places and transitions.
    pub fn node_count(&self) -> usize {
        self.places.len() + self.transitions.len()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Place(PlaceId),
    Transition(TransitionId),
}

/// Why a net cannot be built so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("the id `{0}` is taken already")]
    DuplicateId(String),
    #[error("nothing has the id `{0}`")]
    UnknownId(String),
    #[error("`{from}` and `{to}` are both places; an arc joins a place and a transition")]
    PlaceToPlace { from: String, to: String },
    #[error("`{from}` and `{to}` are both transitions; an arc joins a place and a transition")]
    TransitionToTransition { from: String, to: String },
    #[error("there are two arcs from `{from}` to `{to}`, which is one of weight two")]
    DuplicateArc { from: String, to: String },
    #[error("the net has more than {NODES_MAX} nodes or {ARCS_MAX} arcs")]
    TooLarge,
}

#[derive(Clone, Debug, Default)]
pub struct NetBuilder {
    net: Net,
    nodes: HashMap<String, Node>,
    arc_count: usize,
}

impl NetBuilder {
    pub fn place(&mut self, label: Label) -> Result<PlaceId, BuildError> {
        let id = PlaceId(self.net.places.len() as u32);
        self.claim(&label, Node::Place(id))?;
        self.net.places.push(label);
        Ok(id)
    }

    pub fn transition(&mut self, label: Label) -> Result<TransitionId, BuildError> {
        let id = TransitionId(self.net.transitions.len() as u32);
        self.claim(&label, Node::Transition(id))?;
        self.net.transitions.push(label);
        self.net.arcs.push(Arcs::default());
        Ok(id)
    }

    /// Draws an arc between two nodes by their ids.
    pub fn arc(&mut self, from: &str, to: &str) -> Result<(), BuildError> {
        match (self.find(from)?, self.find(to)?) {
            (Node::Place(from), Node::Transition(to)) => self.input(from, to),
            (Node::Transition(from), Node::Place(to)) => self.output(from, to),
            (Node::Place(_), Node::Place(_)) => {
                Err(BuildError::PlaceToPlace { from: from.to_owned(), to: to.to_owned() })
            }
            (Node::Transition(_), Node::Transition(_)) => {
                Err(BuildError::TransitionToTransition { from: from.to_owned(), to: to.to_owned() })
            }
        }
    }

    /// Draws an arc from a place to a transition, which takes the token.
    pub fn input(&mut self, from: PlaceId, to: TransitionId) -> Result<(), BuildError> {
        self.count_arc()?;
        self.net.arcs[to.index()].inputs.push(from);
        Ok(())
    }

    /// Draws an arc from a transition to a place, which gets a token.
    pub fn output(&mut self, from: TransitionId, to: PlaceId) -> Result<(), BuildError> {
        self.count_arc()?;
        self.net.arcs[from.index()].outputs.push(to);
        Ok(())
    }

    /// Returns the transition with an id.
    pub fn find_transition(&self, id: &str) -> Result<TransitionId, BuildError> {
        match self.find(id)? {
            Node::Transition(transition) => Ok(transition),
            Node::Place(_) => {
                Err(BuildError::PlaceToPlace { from: id.to_owned(), to: id.to_owned() })
            }
        }
    }

    /// Lets a transition empty a place.
    pub fn reset(&mut self, transition: TransitionId, place: PlaceId) -> Result<(), BuildError> {
        self.count_arc()?;
        self.net.arcs[transition.index()].resets.push(place);
        Ok(())
    }

    /// Says where a case starts. The last word counts.
    pub fn start(&mut self, place: PlaceId) {
        self.net.ends.start = Some(place);
    }

    /// Says that a case may end here.
    pub fn end(&mut self, place: PlaceId) {
        self.net.ends.ends.push(place);
    }

    /// Says that a token here ends the case at once.
    pub fn stop(&mut self, place: PlaceId) {
        self.net.ends.stops.push(place);
    }

    /// Returns the net, its arcs sorted.
    pub fn finish(mut self) -> Result<Net, BuildError> {
        for at in 0..self.net.arcs.len() {
            let arcs = &mut self.net.arcs[at];
            arcs.inputs.sort_unstable();
            arcs.outputs.sort_unstable();
            arcs.resets.sort_unstable();
            arcs.resets.dedup();
            let transition = &self.net.transitions[at].id;
            if let Some(place) = repeated(&arcs.inputs) {
                let from = self.net.places[place.index()].id.clone();
                return Err(BuildError::DuplicateArc { from, to: transition.clone() });
            }
            if let Some(place) = repeated(&arcs.outputs) {
                let to = self.net.places[place.index()].id.clone();
                return Err(BuildError::DuplicateArc { from: transition.clone(), to });
            }
        }
        Ok(self.net)
    }

    fn claim(&mut self, label: &Label, node: Node) -> Result<(), BuildError> {
        if self.nodes.len() >= NODES_MAX {
            return Err(BuildError::TooLarge);
        }
        match self.nodes.entry(label.id.clone()) {
            Entry::Vacant(free) => {
                free.insert(node);
                Ok(())
            }
            Entry::Occupied(taken) => Err(BuildError::DuplicateId(taken.key().clone())),
        }
    }

    fn find(&self, id: &str) -> Result<Node, BuildError> {
        self.nodes.get(id).copied().ok_or_else(|| BuildError::UnknownId(id.to_owned()))
    }

    fn count_arc(&mut self) -> Result<(), BuildError> {
        self.arc_count += 1;
        if self.arc_count > ARCS_MAX { Err(BuildError::TooLarge) } else { Ok(()) }
    }
}

fn repeated(sorted: &[PlaceId]) -> Option<PlaceId> {
    sorted.windows(2).find(|it| it[0] == it[1]).map(|it| it[0])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn bad_ids_are_told() {
        let mut net = Net::builder();
        net.place(Label::new("p", "p", 1)).unwrap();
        net.place(Label::new("q", "q", 2)).unwrap();
        net.transition(Label::new("t", "t", 3)).unwrap();
        net.transition(Label::new("u", "u", 4)).unwrap();
        let taken = net.transition(Label::new("p", "p", 5));
        assert_eq!(taken, Err(BuildError::DuplicateId("p".to_owned())));
        assert_eq!(net.arc("p", "x"), Err(BuildError::UnknownId("x".to_owned())));
        assert!(matches!(net.arc("p", "q"), Err(BuildError::PlaceToPlace { .. })));
        assert!(matches!(net.arc("t", "u"), Err(BuildError::TransitionToTransition { .. })));
        net.arc("p", "t").unwrap();
        net.arc("p", "t").unwrap();
        assert!(matches!(net.finish(), Err(BuildError::DuplicateArc { .. })));
    }
}
