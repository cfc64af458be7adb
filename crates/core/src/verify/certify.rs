//! Writes the certificates of what was proved: contradictions as they were found, executions that
//! reach what can run, the order of graphs and the exits of machines.

use std::collections::BTreeSet;

use super::Subject;
use super::certificate::{Certificate, Evidence, Order};
use super::finding::{Proofs, Verdict};
use super::flow::{Fact, Flow};
use super::machine::Machines;
use super::property::Property;
use crate::plan::{CompositeId, CompositeKind, NodeId};
use crate::simulate::{Counterexample, Expected, replay};

/// Executions of one plan that are written.
const EXECUTIONS_MAX: usize = 100;

/// Returns what shows that the proofs of a plan hold.
pub(super) fn certificates(
    subject: &Subject<'_>,
    flow: &Flow,
    machines: &Machines<'_>,
    proofs: &Proofs,
) -> Vec<Certificate> {
    let mut all = flow.certificates();
    all.extend(composites(subject, machines, proofs));
    all.extend(executions(subject, flow, machines, proofs));
    all
}

/// That every graph ends, and every machine can.
fn composites(subject: &Subject<'_>, machines: &Machines<'_>, proofs: &Proofs) -> Vec<Certificate> {
    let property = Property::OptionToComplete;
    let mut all = Vec::new();
    for (at, composite) in subject.plan.composites.iter().enumerate() {
        let id = CompositeId(at as u32);
        let name = composite.owner.map_or_else(String::new, |it| subject.name(it));
        let is_root_or_work = match composite.owner {
            Some(owner) => subject.plan.node(owner).compensate != Some(id),
            None => at == 0,
        };
        let evidence = match composite.kind {
            CompositeKind::Graph { .. } => Some(Evidence::Order(order(subject, id))),
            CompositeKind::Machine { .. } if is_proved(proofs, property, &name) => {
                machines.exits(id).map(Evidence::Exits)
            }
            CompositeKind::Machine { .. } => None,
        };
        if let Some(evidence) = evidence.filter(|_| is_root_or_work) {
            all.push(Certificate { property, subject: name, evidence });
        }
    }
    all
}

fn is_proved(proofs: &Proofs, property: Property, subject: &str) -> bool {
    let about = proofs.of(property).filter(|it| it.subject == subject);
    about.map(|it| &it.verdict).all(|it| matches!(it, Verdict::Proved { .. }))
}

/// The tasks of a graph, each behind what it waits for.
fn order(subject: &Subject<'_>, graph: CompositeId) -> Order {
    let composite = subject.plan.composite(graph);
    let task = |child: u32| subject.plan.node(NodeId(composite.first + child));
    let mut waits_for: Vec<usize> = (0..composite.len).map(|it| task(it).needs.len()).collect();
    let mut ready: Vec<u32> =
        (0..composite.len).filter(|it| waits_for[*it as usize] == 0).collect();
    let mut tasks = Vec::with_capacity(waits_for.len());
    while let Some(child) = ready.pop() {
        tasks.push(task(child).id.to_string());
        for behind in &task(child).dependents {
            waits_for[*behind as usize] -= 1;
            if waits_for[*behind as usize] == 0 {
                ready.push(*behind);
            }
        }
    }
    Order { tasks }
}

/// Executions that together reach what is proved to run, the last tasks first: their executions
/// reach others on the way.
fn executions(
    subject: &Subject<'_>,
    flow: &Flow,
    machines: &Machines<'_>,
    proofs: &Proofs,
) -> Vec<Certificate> {
    let property = Property::Reachability;
    let proved = proofs.of(property).filter(|it| matches!(it.verdict, Verdict::Proved { .. }));
    let mut left: BTreeSet<String> = proved.map(|it| it.subject.clone()).collect();
    let shown = |example| {
        let evidence = Evidence::Execution(Box::new(example));
        Certificate { property, subject: String::new(), evidence }
    };
    let tried = flow.tried().iter().cloned();
    let mut all: Vec<Certificate> =
        tried.filter_map(|it| covering(subject, it, &mut left)).map(shown).collect();
    let nodes = (0..subject.plan.nodes.len() as u32).rev().map(NodeId);
    for id in nodes {
        let name = subject.name(id);
        if !left.contains(&name) || all.len() >= EXECUTIONS_MAX {
            continue;
        }
        let expected = Expected::Reached { tasks: vec![name] };
        let found = match subject.plan.node(id).state {
            Some(_) => machines.execution(subject, id, expected),
            None => flow.example(subject, property, &[Fact::Runs(id)], &[], expected).map(|it| *it),
        };
        all.extend(found.and_then(|it| covering(subject, it, &mut left)).map(shown));
    }
    all
}

/// Lets an execution show all that it reaches and that nothing before it did, if there is something.
fn covering(
    subject: &Subject<'_>,
    mut example: Counterexample,
    left: &mut BTreeSet<String>,
) -> Option<Counterexample> {
    let reached = replay(subject.plan, &example).ok()?.reached();
    let tasks: Vec<String> = reached.into_iter().filter(|it| left.remove(it)).collect();
    let is_news = !tasks.is_empty();
    example.expected = Expected::Reached { tasks };
    is_news.then_some(example)
}
