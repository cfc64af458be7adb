//! Whether a net describes cases at all: it has one start, an end, and every node is on a way from
//! the one to the other. Only this makes a [`WorkflowNet`], and only that can be checked further.

use crate::lists::Lists;
use crate::net::{Net, PlaceId, TransitionId};

/// A net in which every node is on a way from the start to an end.
#[derive(Clone, Debug)]
pub struct WorkflowNet<'n> {
    pub net: &'n Net,
    pub start: PlaceId,
    /// Sorted, and never empty together with the stops.
    pub ends: Vec<PlaceId>,
    /// Sorted. See [`crate::net::Ends`].
    pub stops: Vec<PlaceId>,
}

/// Why a net is not a workflow net.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StructureDefect {
    /// Every place has an arc to it, so nothing ever starts.
    NoSource,
    SeveralSources(Vec<PlaceId>),
    /// Every place has an arc from it, so nothing ever ends.
    NoSink,
    SeveralSinks(Vec<PlaceId>),
    /// A place that must be first or last and is not.
    InTheWay(PlaceId),
    /// Nothing leads there from the start.
    Unreachable {
        places: Vec<PlaceId>,
        transitions: Vec<TransitionId>,
    },
    /// Nothing leads from there to an end: who gets there goes round for ever, or stays.
    NoWayOut {
        places: Vec<PlaceId>,
        transitions: Vec<TransitionId>,
    },
}

impl<'n> WorkflowNet<'n> {
    pub fn of(net: &'n Net) -> Result<WorkflowNet<'n>, StructureDefect> {
        let around = Around::of(net);
        let start = start(net, &around)?;
        let (mut ends, mut stops) = (net.ends().ends.clone(), net.ends().stops.clone());
        if ends.is_empty() && stops.is_empty() {
            ends.push(only_sink(net, &around)?);
        }
        ends.sort_unstable();
        ends.dedup();
        stops.sort_unstable();
        stops.dedup();
        let first_led_on = ends.iter().chain(&stops).find(|it| around.has_consumer(**it));
        if let Some(place) = first_led_on {
            return Err(StructureDefect::InTheWay(*place));
        }
        let found = WorkflowNet { net, start, ends, stops };
        found.every_node_on_the_way(&around)?;
        Ok(found)
    }

    fn every_node_on_the_way(&self, around: &Around) -> Result<(), StructureDefect> {
        let net = self.net;
        let after = reach(net, [self.start], &around.consumers, |it| &net.arcs(it).outputs);
        let last = self.ends.iter().chain(&self.stops).copied();
        let before = reach(net, last, &around.producers, |it| &net.arcs(it).inputs);
        let missing = |(seen_places, seen_transitions): &(Vec<bool>, Vec<bool>)| {
            let places = net.places().filter(|it| !seen_places[it.index()]);
            let transitions = net.transitions().filter(|it| !seen_transitions[it.index()]);
            (places.collect::<Vec<_>>(), transitions.collect::<Vec<_>>())
        };
        let (places, transitions) = missing(&after);
        if !places.is_empty() || !transitions.is_empty() {
            return Err(StructureDefect::Unreachable { places, transitions });
        }
        let (places, transitions) = missing(&before);
        if !places.is_empty() || !transitions.is_empty() {
            return Err(StructureDefect::NoWayOut { places, transitions });
        }
        Ok(())
    }
}

/// The transitions around each place.
struct Around {
    producers: Lists,
    consumers: Lists,
}

impl Around {
    fn of(net: &Net) -> Around {
        let made = net
            .transitions()
            .flat_map(|it| net.arcs(it).outputs.iter().map(move |place| (place.0, it.0)));
        let taken = net
            .transitions()
            .flat_map(|it| net.arcs(it).inputs.iter().map(move |place| (place.0, it.0)));
        let count = net.places().len();
        Around { producers: Lists::of(count, made), consumers: Lists::of(count, taken) }
    }

    fn has_producer(&self, place: PlaceId) -> bool {
        !self.producers.get(place.0).is_empty()
    }

    fn has_consumer(&self, place: PlaceId) -> bool {
        !self.consumers.get(place.0).is_empty()
    }
}

fn start(net: &Net, around: &Around) -> Result<PlaceId, StructureDefect> {
    let sources: Vec<PlaceId> = net.places().filter(|it| !around.has_producer(*it)).collect();
    match (net.ends().start, &*sources) {
        (Some(start), _) if around.has_producer(start) => Err(StructureDefect::InTheWay(start)),
        (Some(start), _) => Ok(start),
        (None, []) => Err(StructureDefect::NoSource),
        (None, [only]) => Ok(*only),
        (None, _) => Err(StructureDefect::SeveralSources(sources)),
    }
}

fn only_sink(net: &Net, around: &Around) -> Result<PlaceId, StructureDefect> {
    let sinks: Vec<PlaceId> = net.places().filter(|it| !around.has_consumer(*it)).collect();
    match &*sinks {
        [] => Err(StructureDefect::NoSink),
        [only] => Ok(*only),
        _ => Err(StructureDefect::SeveralSinks(sinks)),
    }
}

/// Marks the places and transitions that arcs lead to, in one direction.
fn reach<'n>(
    net: &Net,
    from: impl IntoIterator<Item = PlaceId>,
    next: &Lists,
    places_of: impl Fn(TransitionId) -> &'n Vec<PlaceId>,
) -> (Vec<bool>, Vec<bool>) {
    let mut places = vec![false; net.places().len()];
    let mut transitions = vec![false; net.transitions().len()];
    let mut left: Vec<PlaceId> = from.into_iter().collect();
    left.iter().for_each(|it| places[it.index()] = true);
    while let Some(place) = left.pop() {
        for transition in next.get(place.0).iter().map(|it| TransitionId(*it)) {
            if std::mem::replace(&mut transitions[transition.index()], true) {
                continue;
            }
            for place in places_of(transition) {
                if !std::mem::replace(&mut places[place.index()], true) {
                    left.push(*place);
                }
            }
        }
    }
    (places, transitions)
}
