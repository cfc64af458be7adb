//! What one part of a guard comes to, for all states of its variables: asked of the evaluator
//! itself, once for each combination.

use serde_json::{Map, Value as Json};

use super::path::Path;
use super::search::Outcome;
use super::variables::Variables;
use crate::expr::ast::Node;
use crate::expr::value::Value;
use crate::expr::{Budget, Expr, Meter};

/// The outcomes of a part, for each combination of the states of its variables; the last variable
/// varies fastest.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub variables: Vec<usize>,
    pub sizes: Vec<usize>,
    /// None where the states contradict each other.
    pub outcomes: Vec<Option<Outcome>>,
}

impl Table {
    /// Asks the evaluator. The number of combinations is the caller's to limit.
    pub fn fill(part: &Node, numbers: &[usize], variables: &Variables) -> Table {
        let sizes: Vec<usize> = numbers.iter().map(|it| variables.all[*it].states.len()).collect();
        let mut states = vec![0; numbers.len()];
        let mut outcomes = Vec::with_capacity(sizes.iter().product());
        for _ in 0..sizes.iter().product() {
            outcomes.push(scope(numbers, &states, variables).map(|it| evaluate(part, &it)));
            advance(&mut states, &sizes);
        }
        Table { variables: numbers.to_vec(), sizes, outcomes }
    }

    /// Returns where the outcome is, given the state of the variable at each place.
    pub fn index(&self, state: impl Fn(usize) -> usize) -> usize {
        self.sizes.iter().enumerate().fold(0, |index, (at, size)| index * size + state(at))
    }

    /// Appends what the part comes to where a variable has this state, for telling states apart.
    pub fn signature(&self, variable: usize, state: usize, signature: &mut Vec<u32>) {
        let Some(at) = self.variables.iter().position(|it| *it == variable) else { return };
        let inner: usize = self.sizes[at + 1..].iter().product();
        for block in self.outcomes.chunks_exact(inner * self.sizes[at]) {
            let chosen = &block[state * inner..(state + 1) * inner];
            // Where the path above is no object, the other paths below it have one state. Which one
            // is another for each state above; what the part comes to is all that counts.
            signature.extend(chosen.iter().flatten().map(|it| *it as u32));
        }
    }
}

/// Counts on, the last digit first.
pub(super) fn advance(digits: &mut [usize], sizes: &[usize]) {
    for (digit, size) in digits.iter_mut().zip(sizes).rev() {
        *digit += 1;
        if *digit < *size {
            return;
        }
        *digit = 0;
    }
}

/// Builds the data of a combination of states, or None if they contradict each other.
fn scope(numbers: &[usize], states: &[usize], variables: &Variables) -> Option<Map<String, Json>> {
    let mut implied: Vec<(usize, usize)> = Vec::new();
    for (variable, state) in numbers.iter().zip(states) {
        for (variable, state) in variables.implied(*variable, *state) {
            match implied.iter().find(|(known, _)| *known == variable) {
                Some((_, known)) if *known != state => return None,
                Some(_) => {}
                None => implied.push((variable, state)),
            }
        }
    }
    // From the top down, since what is above comes first.
    implied.sort_unstable();
    let mut scope = Map::new();
    for (variable, state) in implied {
        let variable = &variables.all[variable];
        if let Some(candidate) = variable.states.own.get(state) {
            place(&mut scope, &variable.path, candidate.value.as_ref());
        }
    }
    Some(scope)
}

/// Puts a value where a path says, making the objects above it.
pub(super) fn place(scope: &mut Map<String, Json>, path: &Path, value: Option<&Json>) {
    let mut names = std::iter::once(&path.root).chain(&path.segments).peekable();
    let mut fields = scope;
    while let Some(name) = names.next() {
        if names.peek().is_none() {
            if let Some(value) = value {
                fields.insert(name.clone(), value.clone());
            }
            return;
        }
        let below = fields.entry(name.as_str()).or_insert_with(|| Json::Object(Map::new()));
        // What is above is an object in every state in which this one has a state of its own.
        let Json::Object(below) = below else { return };
        fields = below;
    }
}

fn evaluate(part: &Node, scope: &Map<String, Json>) -> Outcome {
    let meter = Meter::new(&Budget::default());
    match Expr::evaluate_node(part, scope, &meter) {
        Ok(Value::Bool(true)) => Outcome::True,
        Ok(Value::Bool(false)) => Outcome::False,
        Ok(_) | Err(_) => Outcome::Error,
    }
}
