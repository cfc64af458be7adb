//! The definitions that are run. The same for every engine they were tried on, so that figures can
//! be compared.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

/// Layers of the layered graphs.
const LAYERS: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// One step.
    W1,
    /// Ten steps in sequence.
    W2,
    /// A hundred steps in parallel and one that joins them.
    W3,
    /// A thousand steps in ten layers; each needs two of the layer before.
    W4,
    /// One run of a graph of 1,000, 10,000 and 100,000 tasks, layered as in W4.
    W5,
    /// A million runs that wait for a signal.
    W6,
    /// As W1 to W3, asked of a server in another process.
    H1,
    H2,
    H3,
    /// Starts of one-step runs, asked of a server in another process.
    H4,
    /// Many who listen to the events of a server.
    H5,
    /// A server that nobody asks.
    H6,
    /// As H1 to H3, with the steps executed by a worker in a third process.
    R1,
    R2,
    R3,
    /// Many schedules that come due in the same second.
    S1,
    /// The check of definitions of 100 to 100,000 tasks.
    V1,
}

impl Workload {
    #[rustfmt::skip]
    pub const ALL: [Workload; 17] = [
        Workload::W1, Workload::W2, Workload::W3, Workload::W4, Workload::W5, Workload::W6,
        Workload::H1, Workload::H2, Workload::H3, Workload::H4, Workload::H5, Workload::H6,
        Workload::R1, Workload::R2, Workload::R3, Workload::S1, Workload::V1,
    ];

    /// Returns the definition, and how many steps a run of it has.
    pub(crate) fn definition(self) -> (String, usize) {
        match self {
            Workload::W2 | Workload::H2 | Workload::R2 => layered(10, 10),
            Workload::W3 | Workload::H3 | Workload::R3 => joined(100),
            Workload::W4 => layered(1_000, LAYERS),
            Workload::W5 => Workload::large(1_000),
            Workload::W6 => (waiting(), 1),
            Workload::W1
            | Workload::H1
            | Workload::H4
            | Workload::H5
            | Workload::H6
            | Workload::R1
            | Workload::S1 => layered(1, 1),
            Workload::V1 => (crate::checking::definition(1_000, 100), 1_000),
        }
    }

    pub(crate) fn large(tasks: usize) -> (String, usize) {
        layered(tasks, LAYERS)
    }
}

/// Tasks in layers of equal width; each needs the one above it and that one's neighbour.
fn layered(tasks: usize, layers: usize) -> (String, usize) {
    let width = tasks / layers;
    let mut all = Map::new();
    for task in 0..width * layers {
        let (layer, place) = (task / width, task % width);
        let mut needs = Vec::new();
        if layer > 0 {
            let above = (layer - 1) * width;
            needs.push(name(above + place));
            if width > 1 {
                needs.push(name(above + (place + 1) % width));
            }
        }
        all.insert(name(task), json!({"needs": needs, "uses": "step"}));
    }
    (definition(all), width * layers)
}

fn joined(width: usize) -> (String, usize) {
    let names: Vec<String> = (0..width).map(name).collect();
    let mut all: Map<String, Value> =
        names.iter().map(|it| (it.clone(), json!({"uses": "step"}))).collect();
    all.insert("join".to_owned(), json!({"needs": names, "uses": "step"}));
    (definition(all), width + 1)
}

fn waiting() -> String {
    json!({"id": "bench", "tasks": {"wait": {"uses": "signal", "with": {"name": "go"}}}})
        .to_string()
}

fn definition(tasks: Map<String, Value>) -> String {
    json!({"id": "bench", "tasks": tasks}).to_string()
}

fn name(task: usize) -> String {
    format!("t{task}")
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Workload, String> {
        let found = Workload::ALL.into_iter().find(|it| it.to_string().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            format!(
                "there is no workload `{text}`: there are W1 to W6, H1 to H6, R1 to R3, S1 and V1"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn each_layer_needs_two_of_the_layer_before() {
        let (text, steps) = Workload::W4.definition();
        let tasks: Value = serde_json::from_str(&text).unwrap();
        let tasks = tasks["tasks"].as_object().unwrap();
        assert_eq!((tasks.len(), steps), (1_000, 1_000));
        assert_eq!(tasks["t99"]["needs"], json!([]));
        assert_eq!(tasks["t199"]["needs"], json!(["t99", "t0"]));
    }

    #[test]
    fn a_workload_is_read_in_either_case() {
        assert_eq!("w3".parse(), Ok(Workload::W3));
        assert!("W7".parse::<Workload>().is_err());
    }
}
