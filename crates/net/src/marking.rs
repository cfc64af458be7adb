//! Which places have a token. A search stops at the first place with two, so a bit each is enough;
//! [`Tokens`] counts, for what happens from there on.

use crate::net::{Arcs, PlaceId};

/// Bits of a word.
const WORD_BITS: usize = u64::BITS as usize;

/// A set of places with one token each, as a slice of words.
pub type Marking = [u64];

/// Returns how many words a marking of so many places takes.
pub fn words(places: usize) -> usize {
    places.div_ceil(WORD_BITS).max(1)
}

pub fn has(marking: &Marking, place: u32) -> bool {
    marking[place as usize / WORD_BITS] & bit(place) != 0
}

pub fn put(marking: &mut Marking, place: u32) {
    marking[place as usize / WORD_BITS] |= bit(place);
}

pub fn take(marking: &mut Marking, place: u32) {
    marking[place as usize / WORD_BITS] &= !bit(place);
}

/// Returns the marked places in order.
pub fn marked(marking: &Marking) -> impl Iterator<Item = u32> + '_ {
    marking.iter().enumerate().flat_map(|(at, word)| {
        let mut left = *word;
        std::iter::from_fn(move || {
            (left != 0).then(|| {
                let place = (at * WORD_BITS) as u32 + left.trailing_zeros();
                left &= left - 1;
                place
            })
        })
    })
}

fn bit(place: u32) -> u64 {
    1 << (place as usize % WORD_BITS)
}

/// The markings that a search has seen, numbered in the order in which they were found. Equality is
/// decided by the markings themselves, never by their hashes alone.
#[derive(Clone, Debug)]
pub struct States {
    words_each: usize,
    words: Vec<u64>,
    /// Open addressing: the number of a state plus one, 0 for none.
    slots: Vec<u32>,
}

const SLOTS_MIN: usize = 64;

impl States {
    pub fn new(places: usize) -> States {
        States { words_each: words(places), words: Vec::new(), slots: vec![0; SLOTS_MIN] }
    }

    pub fn len(&self) -> usize {
        self.words.len() / self.words_each
    }

    pub fn get(&self, state: u32) -> &Marking {
        let start = state as usize * self.words_each;
        &self.words[start..start + self.words_each]
    }

    /// Returns the number of a marking, and whether it is new.
    pub fn insert(&mut self, marking: &Marking) -> (u32, bool) {
        if (self.len() + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let mut slot = self.slot_of(marking);
        loop {
            match self.slots[slot] {
                0 => {
                    let state = self.len() as u32;
                    self.slots[slot] = state + 1;
                    self.words.extend_from_slice(marking);
                    return (state, true);
                }
                taken if self.get(taken - 1) == marking => return (taken - 1, false),
                _ => slot = (slot + 1) % self.slots.len(),
            }
        }
    }

    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        for state in 0..self.len() as u32 {
            let mut slot = self.slot_of(self.get(state));
            while self.slots[slot] != 0 {
                slot = (slot + 1) % self.slots.len();
            }
            self.slots[slot] = state + 1;
        }
    }

    fn slot_of(&self, marking: &Marking) -> usize {
        let hash = marking.iter().fold(0, |hash, word| spread(hash ^ *word));
        hash as usize % self.slots.len()
    }
}

/// Spreads the bits of a number over all of its word (the finish of SplitMix64).
pub fn spread(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// How many tokens each place has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tokens(Vec<u32>);

impl Tokens {
    pub fn of_start(places: usize, start: PlaceId) -> Tokens {
        let mut counts = vec![0; places];
        counts[start.index()] = 1;
        Tokens(counts)
    }

    pub fn count(&self, place: PlaceId) -> u32 {
        self.0[place.index()]
    }

    /// Returns the places that have a token.
    pub fn marked(&self) -> impl Iterator<Item = PlaceId> + '_ {
        self.0.iter().enumerate().filter(|(_, it)| **it > 0).map(|(at, _)| PlaceId(at as u32))
    }

    pub fn enables(&self, arcs: &Arcs) -> bool {
        arcs.inputs.iter().all(|it| self.count(*it) > 0)
    }

    /// Fires a transition that is enabled.
    pub fn fire(&mut self, arcs: &Arcs) {
        debug_assert!(self.enables(arcs), "only an enabled transition fires");
        arcs.inputs.iter().for_each(|it| self.0[it.index()] -= 1);
        arcs.resets.iter().for_each(|it| self.0[it.index()] = 0);
        arcs.outputs.iter().for_each(|it| self.0[it.index()] += 1);
    }

    /// Whether this has all the tokens of the other one, and more.
    pub fn exceeds(&self, other: &Tokens) -> bool {
        self != other && self.0.iter().zip(&other.0).all(|(one, other)| one >= other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_numbered_in_order_and_found_again() {
        let mut states = States::new(100);
        for number in 0..1000u64 {
            assert_eq!(states.insert(&[number, number / 7]), (number as u32, true));
        }
        for number in 0..1000u64 {
            assert_eq!(states.insert(&[number, number / 7]), (number as u32, false));
        }
    }

    #[test]
    fn marked_places_are_walked_in_order() {
        let mut marking = vec![0; words(130)];
        for place in [129, 0, 63, 64] {
            put(&mut marking, place);
        }
        take(&mut marking, 63);
        assert_eq!(marked(&marking).collect::<Vec<_>>(), [0, 64, 129]);
        assert!(has(&marking, 64) && !has(&marking, 63));
    }
}
