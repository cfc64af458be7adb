//! Checks a proof that a net is sound and safe, and believes none of it.
//!
//! A proof is the log of the reduction and, unless a single place was left, every marking of what
//! was left with its distance from the end. The checker knows neither the reducer nor the search: it
//! plays the steps on a plain net of its own, tests each condition, and walks the markings.

use std::collections::{BTreeMap, BTreeSet};

use crate::net::PlaceId;
use crate::proof::{Certificate, Keeps, Step};
use crate::workflow_net::WorkflowNet;

type Ids = BTreeSet<u32>;

/// A net as the checker sees it: both directions of every arc.
struct Plain {
    /// Producers and consumers.
    places: BTreeMap<u32, [Ids; 2]>,
    /// Inputs and outputs.
    transitions: BTreeMap<u32, [Ids; 2]>,
    resets: BTreeMap<u32, Ids>,
    start: u32,
    ends: Ids,
    stops: Ids,
    next_id: u32,
}

/// Checks a proof. An error says which claim does not hold.
pub fn verify(workflow: &WorkflowNet<'_>, certificate: &Certificate) -> Result<(), String> {
    let mut plain = Plain::of(workflow);
    if !certificate.steps.is_empty() && !plain.resets.is_empty() {
        return Err("a net with resets was reduced".to_owned());
    }
    for (number, step) in certificate.steps.iter().enumerate() {
        plain.apply(step).map_err(|reason| format!("step {number}, {step:?}: {reason}"))?;
    }
    let is_single = plain.places.len() == 1 && plain.transitions.is_empty();
    if is_single && plain.ends.contains(&plain.start) {
        return Ok(());
    }
    plain.walk(&certificate.markings)
}

impl Plain {
    fn of(workflow: &WorkflowNet<'_>) -> Plain {
        let net = workflow.net;
        let ids = |places: &[PlaceId]| places.iter().map(|it| it.0).collect::<Ids>();
        let mut plain = Plain {
            places: net.places().map(|it| (it.0, Default::default())).collect(),
            transitions: BTreeMap::new(),
            resets: BTreeMap::new(),
            start: workflow.start.0,
            ends: ids(&workflow.ends),
            stops: ids(&workflow.stops),
            next_id: net.transitions().len() as u32,
        };
        for id in net.transitions() {
            let arcs = net.arcs(id);
            plain.add(id.0, [ids(&arcs.inputs), ids(&arcs.outputs)]);
            if !arcs.resets.is_empty() {
                plain.resets.insert(id.0, ids(&arcs.resets));
            }
        }
        plain
    }

    fn add(&mut self, id: u32, arcs: [Ids; 2]) {
        for (side, places) in [(1, &arcs[0]), (0, &arcs[1])] {
            for place in places {
                self.places.entry(*place).or_default()[side].insert(id);
            }
        }
        self.transitions.insert(id, arcs);
    }

    fn remove(&mut self, id: u32) -> Result<[Ids; 2], &'static str> {
        let arcs = self.transitions.remove(&id).ok_or("a transition is missing")?;
        for (side, places) in [(1, &arcs[0]), (0, &arcs[1])] {
            for place in places {
                self.places.entry(*place).and_modify(|it| _ = it[side].remove(&id));
            }
        }
        Ok(arcs)
    }

    fn apply(&mut self, step: &Step) -> Result<(), &'static str> {
        match step {
            Step::DropPlace { place, twin } => self.drop_place(*place, *twin),
            Step::DropTransition { transition, twin } => {
                let (one, other) = (self.transitions.get(transition), self.transitions.get(twin));
                claim(transition != twin && one.is_some() && one == other, "they differ")?;
                self.remove(*transition).map(|_| ())
            }
            Step::DropLoop { transition, witnesses } => self.drop_loop(*transition, witnesses),
            Step::Agglomerate { place, producers, consumers, keeps, is_start } => {
                claim(*is_start == (*place == self.start), "the start is elsewhere")?;
                self.agglomerate(*place, producers, consumers, *keeps)
            }
        }
    }

    fn drop_place(&mut self, place: u32, twin: u32) -> Result<(), &'static str> {
        let (one, other) = (self.places.get(&place), self.places.get(&twin));
        claim(place != twin && one.is_some() && one == other, "they differ")?;
        claim(place != self.start && twin != self.start, "one has the first token")?;
        let last = |it| (self.ends.contains(it), self.stops.contains(it));
        claim(last(&place) == last(&twin), "only one of them is last")?;
        let [producers, consumers] = self.places.remove(&place).ok_or("there is no such place")?;
        for (side, around) in [(1, producers), (0, consumers)] {
            for id in around {
                self.transitions.entry(id).and_modify(|it| _ = it[side].remove(&place));
            }
        }
        self.ends.remove(&place);
        self.stops.remove(&place);
        Ok(())
    }

    fn drop_loop(&mut self, transition: u32, witnesses: &[u32]) -> Result<(), &'static str> {
        let [inputs, outputs] = self.remove(transition)?;
        claim(inputs == outputs, "it does not give back what it takes")?;
        let Some(witness) = witnesses.first() else {
            return claim(inputs == Ids::from([self.start]), "nothing shows that it can fire");
        };
        let [taken, made] = self.transitions.get(witness).ok_or("there is no such witness")?;
        claim(inputs.is_subset(taken) || inputs.is_subset(made), "the witness shows nothing")
    }

    fn agglomerate(
        &mut self,
        place: u32,
        producers: &[u32],
        consumers: &[u32],
        keeps: Keeps,
    ) -> Result<(), &'static str> {
        let around = self.places.get(&place).ok_or("there is no such place")?;
        let is_all = |side: usize, ids: &[u32]| around[side].iter().eq(ids);
        claim(is_all(0, producers) && is_all(1, consumers), "others are around it")?;
        claim(!self.ends.contains(&place) && !self.stops.contains(&place), "it is last")?;
        claim(!consumers.is_empty(), "nothing takes from it")?;
        match keeps {
            Keeps::Producers => claim(consumers.len() == 1, "several consumers take one id")?,
            Keeps::Consumers => claim(producers.len() == 1, "several producers take one id")?,
            Keeps::Neither => {}
        }
        let mut removed: BTreeMap<u32, [Ids; 2]> = BTreeMap::new();
        for id in producers.iter().chain(consumers) {
            let arcs = self.remove(*id)?;
            claim(arcs[1].is_disjoint(&self.stops), "one of them stops the case")?;
            removed.insert(*id, arcs);
        }
        for id in consumers {
            let [taken, made] = &removed[id];
            claim(*taken == Ids::from([place]) && !made.is_empty(), "a consumer takes more")?;
        }
        self.places.remove(&place);
        for (producer, consumer) in
            producers.iter().flat_map(|one| consumers.iter().map(move |other| (one, other)))
        {
            let ([taken, made], [_, made_next]) = (&removed[producer], &removed[consumer]);
            claim(made.is_disjoint(made_next), "a place would get two tokens")?;
            let mut outputs: Ids = made | made_next;
            outputs.remove(&place);
            let id = match keeps {
                Keeps::Producers => *producer,
                Keeps::Consumers => *consumer,
                Keeps::Neither => self.next_id,
            };
            self.next_id += u32::from(keeps == Keeps::Neither);
            self.add(id, [taken.clone(), outputs]);
        }
        if place == self.start {
            let [_, made] = &removed[&consumers[0]];
            claim(keeps == Keeps::Producers && made.len() == 1, "the start would be several")?;
            self.start = *made.first().ok_or("the start would be nowhere")?;
        } else {
            claim(!producers.is_empty(), "nothing leads to it")?;
        }
        Ok(())
    }

    /// Whether the markings are closed under firing, safe, lead to the end, and fire everything.
    fn walk(&self, markings: &BTreeMap<Vec<u32>, u32>) -> Result<(), String> {
        let has = |marking: &Vec<u32>| markings.get(marking).copied();
        has(&vec![self.start]).ok_or("the first marking is missing")?;
        let mut fired = Ids::new();
        for (marking, distance) in markings {
            let marked: Ids = marking.iter().copied().collect();
            let is_stopped = !marked.is_disjoint(&self.stops);
            let is_ended = is_stopped || (!marked.is_empty() && marked.is_subset(&self.ends));
            let mut is_closer = is_ended;
            let has_one_end = self.ends.len() == 1 && self.stops.is_empty();
            if !is_ended && has_one_end && !marked.is_disjoint(&self.ends) {
                return Err(format!("{marking:?} has ended, and something is left"));
            }
            for (id, arcs) in self.transitions.iter().filter(|_| !is_stopped) {
                if !arcs[0].is_subset(&marked) {
                    continue;
                }
                fired.insert(*id);
                let mut left = &marked - &arcs[0];
                left.retain(|it| self.resets.get(id).is_none_or(|reset| !reset.contains(it)));
                if !left.is_disjoint(&arcs[1]) {
                    return Err(format!("transition {id} gives a second token after {marking:?}"));
                }
                let next: Vec<u32> = (&left | &arcs[1]).into_iter().collect();
                let next = has(&next).ok_or_else(|| format!("{next:?} is missing"))?;
                is_closer |= next < *distance;
            }
            if !is_closer {
                return Err(format!("nothing leads from {marking:?} towards the end"));
            }
        }
        match self.transitions.keys().find(|it| !fired.contains(it)) {
            None => Ok(()),
            Some(id) => Err(format!("transition {id} never fires")),
        }
    }
}

fn claim(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}
