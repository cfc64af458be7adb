//! What the guards of each list decide together: gaps, overlaps, guards that are never true where
//! they stand, and guards that fail.

use super::domains::ListDomains;
use super::invariant::Invariant;
use super::model::{Cause, Closed, List, Model};
use super::outputs::Outputs;
use super::{Analysis, NAMES_MAX};
use crate::definition::ExprSource;
use crate::expr::Expr;
use crate::source::Problem;
use crate::verify::Subject;
use crate::verify::finding::{Finding, Proofs};
use crate::verify::guard::{
    Cause as Fault, ChoiceReport, Exceeded, Limits, Path, Regions, Witness,
};
use crate::verify::property::Property;

/// Cells and steps for the guards of one list.
const LIMITS: Limits =
    Limits { cells: 20_000, steps: 500_000, paths: 64, regions: 256, nodes: 500 };
/// Guards of one list that are asked together.
const GUARDS_MAX: usize = 100;
/// Lists that may be given up before no more are asked.
const GIVEN_UP_MAX: usize = 16;
/// Overlaps of one list that are told.
const OVERLAPS_MAX: usize = 3;

/// What is known of the guards of a list.
#[derive(Default)]
pub(super) struct Answer {
    /// Nothing is open with this data; nothing if something always is.
    pub gap: Option<Witness>,
    /// Why it could not be told.
    pub unknown: Option<String>,
    overlaps: Vec<(usize, usize, Witness)>,
    /// Guards, by their place, that are never true where they stand, and whether others before
    /// them are true instead.
    dead: Vec<(usize, bool)>,
    errors: Vec<(usize, String)>,
}

impl Answer {
    pub fn closes_ways(&self) -> bool {
        !self.dead.is_empty()
    }

    /// Whether some guard is certainly true.
    pub fn is_total(&self) -> bool {
        self.gap.is_none() && self.unknown.is_none()
    }
}

/// Asks the guards of each list that may be tried, and closes the ways that are never taken.
pub(super) fn ask(
    subject: &Subject<'_>,
    model: &mut Model<'_>,
    invariant: &Invariant,
    outputs_of: &dyn Fn(crate::plan::NodeId) -> Option<super::Interface>,
) -> Vec<Option<Answer>> {
    let mut answers = Vec::with_capacity(model.lists.len());
    let mut given_up = 0;
    for list in &model.lists {
        let has_guard = model.ways_of(list).iter().any(|it| it.guard.is_some());
        let happens = model.ways_of(list).first().is_some_and(|it| it.closed != Some(Closed::Work));
        let env = invariant[list.state as usize].as_ref().filter(|_| has_guard && happens);
        let Some(env) = env else {
            answers.push(None);
            continue;
        };
        let outputs = Outputs { subject, model, inside: outputs_of };
        let domains = ListDomains { subject, model, outputs: &outputs, list, env };
        let answer = if given_up > GIVEN_UP_MAX {
            Answer {
                unknown: Some("too many guards were not settled before".to_owned()),
                ..Answer::default()
            }
        } else {
            one(&domains).unwrap_or_else(|exceeded| {
                given_up += 1;
                Answer { unknown: Some(exceeded.to_string()), ..Answer::default() }
            })
        };
        answers.push(Some(answer));
    }
    for (at, answer) in answers.iter().enumerate() {
        let first = model.lists[at].ways.start;
        for (way, _) in answer.iter().flat_map(|it| &it.dead) {
            model.ways[first + way].closed.get_or_insert(Closed::Guard);
        }
    }
    answers
}

fn one(domains: &ListDomains<'_, '_>) -> Result<Answer, Exceeded> {
    let ways = domains.model.ways_of(domains.list);
    let expressions: Vec<&Expr> =
        ways.iter().filter_map(|it| it.guard.as_ref()).map(|it| it.expr).collect();
    if expressions.len() > GUARDS_MAX {
        let reason = format!("more than {GUARDS_MAX} guards in one list");
        return Ok(Answer { unknown: Some(reason), ..Answer::default() });
    }
    let regions = Regions::split(&expressions, domains, &LIMITS);
    let mut numbers = 0..;
    let guards: Vec<Option<usize>> =
        ways.iter().map(|it| it.guard.as_ref().and_then(|_| numbers.next())).collect();
    let ChoiceReport { gap, overlaps, dead, errors, unknown, .. } = regions.choice(&guards)?;
    let mut answer = Answer { gap, ..Answer::default() };
    if answer.gap.as_ref().is_some_and(|it| !it.is_certain()) {
        answer.unknown = unknown.first().map(ToString::to_string);
    }
    for overlap in overlaps {
        let (Some(first), Some(second)) = (guards[overlap.first], guards[overlap.second]) else {
            continue;
        };
        let (one, other) = (&ways[overlap.first], &ways[overlap.second]);
        if one.to == other.to && one.set.is_empty() && other.set.is_empty() {
            continue;
        }
        // What is a special case of another stands before it on purpose.
        let is_special = regions.counterexample(first, second)?.is_none();
        let is_covered = regions.counterexample(second, first)?.is_none();
        if overlap.witness.is_certain() && !is_special && !is_covered {
            answer.overlaps.push((overlap.first, overlap.second, overlap.witness));
        }
    }
    answer.dead = dead
        .into_iter()
        .filter(|it| guards[it.guard].is_some())
        .map(|it| (it.guard, !it.covered_by.is_empty()))
        .collect();
    for error in errors {
        let cause = error.cause.filter(|_| error.witness.is_certain());
        if let Some(cause) =
            cause.filter(|it| path_of(it).is_some_and(|it| domains.is_declared(it)))
        {
            answer.errors.push((error.guard, cause.to_string()));
        }
    }
    Ok(answer)
}

fn path_of(fault: &Fault) -> Option<&Path> {
    match fault {
        Fault::Missing(path) | Fault::Null(path) | Fault::WrongType(path) => Some(path),
        Fault::Part(_) => None,
    }
}

/// Reports what was found of the guards of a machine.
pub(super) fn report(subject: &Subject<'_>, machine: &Analysis<'_>, proofs: &mut Proofs) {
    let model = &machine.model;
    for (list, answer) in model.lists.iter().zip(&machine.guards) {
        let Some(answer) = answer.as_ref().filter(|_| machine.is_reached(list.state)) else {
            continue;
        };
        let name = subject.name(model.states[list.state as usize].id);
        let questions = [
            dead(machine, list, answer),
            overlaps(machine, list, answer),
            errors(machine, list, answer),
        ];
        for (property, findings) in [Property::Constant, Property::Overlap, Property::GuardErrors]
            .into_iter()
            .zip(questions)
        {
            match (&findings[..], &answer.unknown) {
                ([], None) => proofs.prove(property, &name),
                ([], Some(reason)) => proofs.leave_open(property, &name, reason),
                _ => findings.into_iter().for_each(|it| proofs.refute(&name, it)),
            }
        }
    }
}

fn source<'a>(machine: &Analysis<'a>, list: &List<'a>, way: usize) -> Option<&'a ExprSource> {
    machine.model.ways_of(list)[way].source.condition.as_ref()
}

fn dead(machine: &Analysis<'_>, list: &List<'_>, answer: &Answer) -> Vec<Finding> {
    let mut found = Vec::new();
    for (way, is_covered) in &answer.dead {
        let Some(condition) = source(machine, list, *way) else { continue };
        // What is never entered because of it is reported, and says so.
        let is_told = !machine.is_reached(machine.model.ways_of(list)[*way].to);
        let after_default = machine.model.ways_of(list)[..*way].iter().any(|it| it.guard.is_none());
        if is_told || after_default || !machine.ending[list.state as usize] {
            continue;
        }
        let text = condition.expr.source();
        let what = if *is_covered {
            "is never true where those before it are false"
        } else {
            "is never true here"
        };
        let message = format!("`{text}` {what}");
        let problem = Problem::warning(Property::Constant.code(), condition.span, message)
            .label("so this transition is never taken")
            .help("mend the guard, or drop the transition");
        found.push(Finding::at(Property::Constant, problem));
    }
    found
}

fn overlaps(machine: &Analysis<'_>, list: &List<'_>, answer: &Answer) -> Vec<Finding> {
    let mut found = Vec::new();
    for (first, second, witness) in answer.overlaps.iter().take(OVERLAPS_MAX) {
        let (Some(first), Some(second)) =
            (source(machine, list, *first), source(machine, list, *second))
        else {
            continue;
        };
        let message = format!("two guards are true at once, such as with `{witness}`");
        let problem = Problem::note(Property::Overlap.code(), second.span, message)
            .label("the one before it wins")
            .related(first.span, "this one is taken")
            .help("say in the guards which of the two is meant, or leave it to their order");
        found.push(Finding::at(Property::Overlap, problem));
    }
    found
}

fn errors(machine: &Analysis<'_>, list: &List<'_>, answer: &Answer) -> Vec<Finding> {
    let mut found = Vec::new();
    for (way, cause) in answer.errors.iter().take(NAMES_MAX) {
        let Some(condition) = source(machine, list, *way) else { continue };
        let then = match list.cause {
            Cause::Event(_) => "the event is then refused",
            Cause::Done | Cause::Failed | Cause::After(_) => "the machine then fails",
        };
        let message = format!("this guard fails if {cause}");
        let problem = Problem::warning(Property::GuardErrors.code(), condition.span, message)
            .label(then)
            .help("ask `has(…)` first, or write `default(…, …)`");
        found.push(Finding::at(Property::GuardErrors, problem));
    }
    found
}
