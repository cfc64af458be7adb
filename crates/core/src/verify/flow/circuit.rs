//! A boolean circuit: what follows from the choices that a run's environment makes.
//!
//! Every assignment of the inputs is one scenario, and gates only look back, so any scenario can be
//! computed in one pass; 64 of them at once, one in each bit of a word.

use std::collections::HashMap;
use std::ops::Not;

/// A gate, or its negation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Lit(u32);

impl Lit {
    pub const TRUE: Lit = Lit(0);
    pub const FALSE: Lit = Lit(1);

    pub fn gate(self) -> usize {
        (self.0 >> 1) as usize
    }

    pub fn is_negated(self) -> bool {
        self.0 & 1 == 1
    }

    pub fn of(gate: usize) -> Lit {
        Lit((gate as u32) << 1)
    }
}

impl Not for Lit {
    type Output = Lit;

    fn not(self) -> Lit {
        Lit(self.0 ^ 1)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Gate {
    True,
    /// Chosen by the environment. `rare` inputs are mostly false in the scenarios that are tried.
    Input {
        rare: bool,
    },
    /// An empty list would be true; the constant stands for it.
    And(Box<[Lit]>),
}

/// Gates in the order of their dependencies. Equal gates are one.
#[derive(Debug)]
pub(super) struct Circuit {
    gates: Vec<Gate>,
    known: HashMap<Box<[Lit]>, Lit>,
}

impl Circuit {
    pub fn new() -> Circuit {
        Circuit { gates: vec![Gate::True], known: HashMap::new() }
    }

    pub fn gates(&self) -> &[Gate] {
        &self.gates
    }

    /// Adds a choice of the environment.
    pub fn input(&mut self, rare: bool) -> Lit {
        self.gates.push(Gate::Input { rare });
        Lit::of(self.gates.len() - 1)
    }

    pub fn and(&mut self, operands: impl IntoIterator<Item = Lit>) -> Lit {
        let mut operands: Vec<Lit> = operands.into_iter().filter(|it| *it != Lit::TRUE).collect();
        operands.sort_unstable();
        operands.dedup();
        // A literal and its negation are neighbours.
        let is_false =
            operands.contains(&Lit::FALSE) || operands.windows(2).any(|pair| pair[0] == !pair[1]);
        match operands[..] {
            _ if is_false => Lit::FALSE,
            [] => Lit::TRUE,
            [only] => only,
            _ => self.intern(operands.into_boxed_slice()),
        }
    }

    pub fn or(&mut self, operands: impl IntoIterator<Item = Lit>) -> Lit {
        let negated: Vec<Lit> = operands.into_iter().map(Lit::not).collect();
        !self.and(negated)
    }

    /// Adds a choice between `count` things: exactly one of the literals is true in every scenario.
    pub fn choice(&mut self, count: usize) -> Vec<Lit> {
        self.choice_of(&vec![false; count])
    }

    /// Adds a choice between things of which some are rare: whether it is a rare one, and then by
    /// halvings, so that each is chosen in about as many of the scenarios that are tried.
    pub fn choice_of(&mut self, rare: &[bool]) -> Vec<Lit> {
        let of = |wanted: bool| (0..rare.len()).filter(|it| rare[*it] == wanted).collect();
        let (seldom, often): (Vec<usize>, Vec<usize>) = (of(true), of(false));
        let is_seldom = match (seldom.is_empty(), often.is_empty()) {
            (true, _) => Lit::FALSE,
            (false, true) => Lit::TRUE,
            (false, false) => self.input(true),
        };
        let mut chosen = vec![Lit::FALSE; rare.len()];
        self.halve(&seldom, is_seldom, &mut chosen);
        self.halve(&often, !is_seldom, &mut chosen);
        chosen
    }

    /// Chooses one of some things if `above` holds.
    fn halve(&mut self, things: &[usize], above: Lit, chosen: &mut [Lit]) {
        match things {
            [] => {}
            [only] => chosen[*only] = above,
            _ => {
                let (first, second) = things.split_at(things.len() / 2);
                let is_first = self.input(false);
                let (left, right) = (self.and([above, is_first]), self.and([above, !is_first]));
                self.halve(first, left, chosen);
                self.halve(second, right, chosen);
            }
        }
    }

    fn intern(&mut self, operands: Box<[Lit]>) -> Lit {
        if let Some(known) = self.known.get(&operands) {
            return *known;
        }
        let lit = Lit::of(self.gates.len());
        self.gates.push(Gate::And(operands.clone()));
        self.known.insert(operands, lit);
        lit
    }
}

/// The values of all gates in many scenarios.
pub(super) struct Scenarios {
    words_per_gate: usize,
    words: Vec<u64>,
}

/// Words of all scenarios together: 32 MiB.
const SCENARIO_WORDS_MAX: usize = 1 << 22;
/// 64 scenarios a word.
const WORDS_PER_GATE_MAX: usize = 16;

impl Scenarios {
    /// Computes scenarios that cover common choices: in some nothing rare happens, the others mix.
    /// The same circuit always gives the same ones.
    pub fn new(circuit: &Circuit) -> Scenarios {
        let gates = circuit.gates();
        let per_gate = (SCENARIO_WORDS_MAX / gates.len().max(1)).clamp(1, WORDS_PER_GATE_MAX);
        let mut scenarios =
            Scenarios { words_per_gate: per_gate, words: vec![0; gates.len() * per_gate] };
        let mut pattern = Pattern(0x9E37_79B9_7F4A_7C15);
        for (at, gate) in gates.iter().enumerate() {
            for word in 0..per_gate {
                let value = match gate {
                    Gate::True => u64::MAX,
                    Gate::Input { rare } => pattern.input(*rare, word),
                    Gate::And(operands) => operands
                        .iter()
                        .fold(u64::MAX, |value, it| value & scenarios.word(*it, word)),
                };
                scenarios.words[at * per_gate + word] = value;
            }
        }
        scenarios
    }

    fn word(&self, lit: Lit, word: usize) -> u64 {
        let value = self.words[lit.gate() * self.words_per_gate + word];
        if lit.is_negated() { !value } else { value }
    }

    /// Returns a scenario in which all of these hold.
    pub fn find(&self, all: &[Lit]) -> Option<usize> {
        (0..self.words_per_gate).find_map(|word| {
            let both = all.iter().fold(u64::MAX, |value, it| value & self.word(*it, word));
            (both != 0).then(|| word * 64 + both.trailing_zeros() as usize)
        })
    }

    pub fn value(&self, scenario: usize, lit: Lit) -> bool {
        self.word(lit, scenario / 64) >> (scenario % 64) & 1 == 1
    }
}

/// A fixed sequence of bits that looks random (SplitMix64, Steele, Lea and Flood, OOPSLA 2014).
struct Pattern(u64);

impl Pattern {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The words differ in how often rare things happen: never in every fourth, so that something is
    /// tried of what comes at the end of a long row, and ever more seldom in the others.
    fn input(&mut self, rare: bool, word: usize) -> u64 {
        match (rare, word % 4) {
            (false, _) => self.next(),
            (true, 0) => 0,
            (true, _) => (0..word).fold(u64::MAX, |value, _| value & self.next()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_simplified() {
        let mut circuit = Circuit::new();
        let (a, b) = (circuit.input(false), circuit.input(false));
        assert_eq!(circuit.and([]), Lit::TRUE);
        assert_eq!(circuit.and([a, Lit::TRUE, a]), a);
        assert_eq!(circuit.and([a, b, !a]), Lit::FALSE);
        assert_eq!(circuit.or([a, !a]), Lit::TRUE);
        assert_eq!(circuit.and([a, b]), circuit.and([b, a]));
        let both = circuit.and([a, b]);
        assert_eq!(circuit.or([!a, !b]), !both);
    }

    #[test]
    fn a_choice_is_one_of_its_literals_in_every_scenario() {
        for count in 1..6 {
            let mut circuit = Circuit::new();
            let chosen = circuit.choice(count);
            let scenarios = Scenarios::new(&circuit);
            for scenario in 0..WORDS_PER_GATE_MAX * 64 {
                let true_ones = chosen.iter().filter(|it| scenarios.value(scenario, **it)).count();
                assert_eq!(true_ones, 1);
            }
            for lit in &chosen {
                assert!(scenarios.find(&[*lit]).is_some());
            }
        }
    }
}
