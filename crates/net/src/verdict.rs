//! What a check answers: proved, refuted with a run that shows it, or not known and why.

use crate::net::{Net, PlaceId, TransitionId};
use crate::problem::code;
use crate::proof::Certificate;
use crate::workflow_net::StructureDefect;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every case can end, ends properly, no place ever has two tokens, every transition can fire.
    Sound(Certificate),
    /// At least one defect; of each kind the one with the shortest run that was found.
    Unsound(Vec<Defect>),
    Unknown(Unknown),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    Structure(StructureDefect),
    /// Nothing can happen any more, and the case has not ended.
    Deadlock {
        run: Run,
        waiting: Vec<Waiting>,
    },
    /// The end can no longer be reached, though things happen for ever: those of the run from
    /// `repeats_from` on.
    Livelock {
        run: Run,
        repeats_from: usize,
    },
    /// An end is reached while something is left.
    ImproperCompletion {
        run: Run,
        waiting: Vec<Waiting>,
    },
    /// A place gets a second token: something runs twice where once was meant.
    LackOfSynchronisation {
        run: Run,
        place: PlaceId,
    },
    /// As before, and the part of the run from `repeats_from` on can be repeated, each time with
    /// more tokens.
    Unbounded {
        run: Run,
        repeats_from: usize,
        place: PlaceId,
    },
    /// Never fire, whatever happens.
    DeadTransitions(Vec<TransitionId>),
}

/// A run from the start, and the places that have tokens after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub transitions: Vec<TransitionId>,
    pub marked: Vec<PlaceId>,
}

/// A transition that has some of its inputs and not the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub transition: TransitionId,
    pub has: Vec<PlaceId>,
    pub lacks: Vec<PlaceId>,
}

/// Why no verdict was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The search was cut at a limit after so many markings.
    Budget { states: usize },
    /// A run that should show a defect does not; a mistake of the verifier, and said to be one.
    NotReplayed { transitions: Vec<TransitionId> },
}

impl Unknown {
    /// Such as `SF1314`; the code has a page.
    pub fn code(&self) -> &'static str {
        code::CUT_OFF
    }
}

impl Defect {
    /// Such as `SF2101`; each code has a page.
    pub fn code(&self) -> &'static str {
        match self {
            Defect::Structure(_) => "SF2100",
            Defect::Deadlock { .. } | Defect::Livelock { .. } => "SF2101",
            Defect::ImproperCompletion { .. } => "SF2102",
            Defect::LackOfSynchronisation { .. } | Defect::Unbounded { .. } => "SF2103",
            Defect::DeadTransitions(_) => "SF2104",
        }
    }

    /// Such as `deadlock`.
    pub fn kind(&self) -> &'static str {
        match self {
            Defect::Structure(_) => "not_a_workflow_net",
            Defect::Deadlock { .. } => "deadlock",
            Defect::Livelock { .. } => "livelock",
            Defect::ImproperCompletion { .. } => "improper_completion",
            Defect::LackOfSynchronisation { .. } => "lack_of_synchronisation",
            Defect::Unbounded { .. } => "unbounded",
            Defect::DeadTransitions(_) => "dead_transitions",
        }
    }

    /// The run that shows it; none for what no run shows.
    pub fn run(&self) -> Option<&Run> {
        match self {
            Defect::Deadlock { run, .. }
            | Defect::Livelock { run, .. }
            | Defect::ImproperCompletion { run, .. }
            | Defect::LackOfSynchronisation { run, .. }
            | Defect::Unbounded { run, .. } => Some(run),
            Defect::Structure(_) | Defect::DeadTransitions(_) => None,
        }
    }

    /// Says in a sentence what is wrong, by the names of the net.
    pub fn message(&self, net: &Net) -> String {
        match self {
            Defect::Structure(defect) => defect.message(net),
            Defect::Deadlock { waiting, .. } => {
                format!("a case can get stuck{}", waits(waiting, net))
            }
            Defect::Livelock { run, repeats_from } => {
                let names = names(net, run.transitions[*repeats_from..].iter().copied());
                format!("a case can go round for ever without reaching the end: {names}")
            }
            Defect::ImproperCompletion { waiting, run } => {
                let left = match &**waiting {
                    [] => format!(": {} still has a token", places(net, &run.marked)),
                    _ => waits(waiting, net),
                };
                format!("an end is reached while something is left{left}")
            }
            Defect::LackOfSynchronisation { place, .. } => {
                format!("`{}` is reached twice at once in one case", net.place(*place).name)
            }
            Defect::Unbounded { place, .. } => {
                format!("`{}` is reached again and again, without a bound", net.place(*place).name)
            }
            Defect::DeadTransitions(dead) => {
                format!("this can never happen: {}", names(net, dead.iter().copied()))
            }
        }
    }
}

impl StructureDefect {
    fn message(&self, net: &Net) -> String {
        match self {
            StructureDefect::NoSource => "nothing starts: every place has an arc to it".to_owned(),
            StructureDefect::NoSink => "nothing ends: every place has an arc from it".to_owned(),
            StructureDefect::SeveralSources(found) => {
                format!("there are several starts: {}", places(net, found))
            }
            StructureDefect::SeveralSinks(found) => {
                format!("there are several ends: {}", places(net, found))
            }
            StructureDefect::InTheWay(place) => {
                format!("`{}` must be first or last and is not", net.place(*place).name)
            }
            StructureDefect::Unreachable { places: found, transitions } => {
                format!("nothing leads from the start to {}", nodes(net, found, transitions))
            }
            StructureDefect::NoWayOut { places: found, transitions } => {
                format!("nothing leads to an end from {}", nodes(net, found, transitions))
            }
        }
    }
}

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unknown::Budget { states } => {
                write!(f, "the search was cut off after {states} markings, without a defect so far")
            }
            Unknown::NotReplayed { .. } => f.write_str(
                "a defect was found that cannot be replayed, which is a bug of the verifier",
            ),
        }
    }
}

/// Names beyond which a message counts.
const NAMES_MAX: usize = 5;

fn waits(waiting: &[Waiting], net: &Net) -> String {
    let Some(first) = waiting.first() else { return String::new() };
    let name = &net.transition(first.transition).name;
    format!(
        ": `{name}` has {} and waits for {}",
        places(net, &first.has),
        places(net, &first.lacks)
    )
}

fn places(net: &Net, places: &[PlaceId]) -> String {
    list(places.iter().map(|it| net.place(*it).name.as_str()))
}

fn nodes(net: &Net, found: &[PlaceId], transitions: &[TransitionId]) -> String {
    if found.is_empty() {
        return names(net, transitions.iter().copied());
    }
    places(net, found)
}

fn names(net: &Net, transitions: impl Iterator<Item = TransitionId>) -> String {
    list(transitions.map(|it| net.transition(it).name.as_str()))
}

/// Lists names, each once.
fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut all: Vec<String> = Vec::new();
    for name in names.map(|it| format!("`{it}`")) {
        if !all.contains(&name) {
            all.push(name);
        }
        if all.len() > NAMES_MAX {
            all[NAMES_MAX] = "…".to_owned();
            break;
        }
    }
    all.join(", ")
}
