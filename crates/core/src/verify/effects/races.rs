//! Tasks that may run at the same time and use the same thing, one of them writing (Bernstein's
//! conditions over the pairs that nothing orders).
//!
//! First the pairs that `needs`, `max_parallel` and shared limits leave unordered, found per thing
//! and per graph: as long as the writers of a thing form a chain, no pair need be looked at. What
//! is left is asked of `may_both_run`, and reported.

use std::collections::{BTreeMap, BTreeSet};

use super::Hooks;
use super::footprint::{self, Thing, Use};
use super::order;
use super::tables;
use crate::definition::Concurrency;
use crate::expr::Template;
use crate::plan::{CompositeId, CompositeKind, NodeId, Plan, ROOT};
use crate::source::{Content, Problem};
use crate::verify::{Answer, Finding, Proofs, Property, Subject};

/// Pairs that are looked at one by one, in the whole definition.
const PAIRS_MAX: usize = 20_000;
/// Findings of one thing; further pairs are counted.
const SHOWN_MAX: usize = 3;

/// A pair of uses that nothing orders.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// The graph in which the two lie side by side, or that a `for_each` repeats.
    pub place: CompositeId,
    pub one: Use,
    pub other: Use,
    /// The `for_each` whose items meet, if it is not two tasks that do.
    pub between_items_of: Option<NodeId>,
    /// Why it is known that they may meet, or not known.
    pub reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Certain,
    /// Of an SQL task that writes what was made of an earlier read, which is `.0`.
    StaleRead(NodeId),
    Unknown(String),
}

/// All pairs, or where there are too many of them.
pub(super) struct Candidates {
    pub pairs: Vec<Candidate>,
    /// Graphs in which not every pair was looked at.
    pub cut: BTreeSet<CompositeId>,
}

pub(super) fn verify(subject: &Subject<'_>, hooks: &Hooks<'_>, proofs: &mut Proofs) {
    report(subject, candidates(subject), hooks, proofs);
}

/// Finds the pairs of uses that conflict and that the definition puts into no order.
pub(super) fn candidates(subject: &Subject<'_>) -> Candidates {
    let uses = footprint::uses(subject);
    let mut search =
        Search { subject, uses: &uses, left: PAIRS_MAX, found: Vec::new(), cut: BTreeSet::new() };
    let mut levels: BTreeMap<CompositeId, Vec<Group>> = BTreeMap::new();
    for (_, users) in footprint::by_thing(&uses) {
        if users.iter().any(|it| uses[*it].writes) {
            lift(subject.plan, &uses, &users, &mut levels);
        }
    }
    for (composite, groups) in &levels {
        search.level(*composite, groups);
    }
    let Search { mut found, mut cut, .. } = search;
    found.extend(tables::stale_reads(subject, &mut cut));
    found.retain(|it| !exclude_each_other(subject, it) && !is_allowed(subject, it));
    Candidates { pairs: found, cut }
}

/// The uses of one thing in one composite, by child.
struct Group {
    children: BTreeMap<u32, Vec<usize>>,
}

/// Sorts the uses of a thing under each composite that they lie in, directly or deeper.
fn lift(
    plan: &Plan,
    uses: &[Use],
    users: &[usize],
    levels: &mut BTreeMap<CompositeId, Vec<Group>>,
) {
    let mut own: BTreeMap<CompositeId, BTreeMap<u32, Vec<usize>>> = BTreeMap::new();
    for user in users {
        for around in order::around(plan, uses[*user].node) {
            let composite = plan.node(around).composite;
            let child = around.0 - plan.composite(composite).first;
            own.entry(composite).or_default().entry(child).or_default().push(*user);
        }
    }
    for (composite, children) in own {
        levels.entry(composite).or_default().push(Group { children });
    }
}

struct Search<'s> {
    subject: &'s Subject<'s>,
    uses: &'s [Use],
    left: usize,
    found: Vec<Candidate>,
    cut: BTreeSet<CompositeId>,
}

impl Search<'_> {
    fn level(&mut self, composite: CompositeId, groups: &[Group]) {
        let plan = self.subject.plan;
        for group in groups {
            for (child, users) in &group.children {
                let id = plan.child(composite, *child);
                if order::is_parallel_map(plan, id) {
                    self.items(id, users);
                }
            }
        }
        if !order::is_parallel(plan, composite) {
            return;
        }
        let several: Vec<&Group> = groups.iter().filter(|it| it.children.len() > 1).collect();
        let place = places(plan, composite);
        let chains: Vec<Vec<(u32, u32)>> =
            several.iter().map(|it| self.chain(it, &place)).collect();
        let answers = order::before(plan, composite, &chains.concat());
        let mut answers = &answers[..];
        for (group, chain) in several.into_iter().zip(&chains) {
            let (own, rest) = answers.split_at(chain.len());
            answers = rest;
            if own.iter().any(|it| !it) {
                self.pairs(composite, group);
            }
        }
    }

    /// Returns the pairs of children which, if all are in order, put every use of a thing in order
    /// with every write of it: the writers one after the other, and each reader between two.
    fn chain(&self, group: &Group, place: &[u32]) -> Vec<(u32, u32)> {
        let mut children: Vec<u32> = group.children.keys().copied().collect();
        children.sort_unstable_by_key(|it| place[*it as usize]);
        let writes = |child: &u32| group.children[child].iter().any(|it| self.uses[*it].writes);
        let (mut pairs, mut last, mut readers) = (Vec::new(), None, Vec::new());
        for child in children {
            if !writes(&child) {
                pairs.extend(last.map(|it| (it, child)));
                readers.push(child);
                continue;
            }
            pairs.extend(last.map(|it| (it, child)));
            pairs.extend(readers.drain(..).map(|it| (it, child)));
            last = Some(child);
        }
        pairs
    }

    /// Looks at every pair of children, one of which writes.
    fn pairs(&mut self, composite: CompositeId, group: &Group) {
        let plan = self.subject.plan;
        let children: Vec<u32> = group.children.keys().copied().collect();
        let writes = |child: &u32| group.children[child].iter().any(|it| self.uses[*it].writes);
        let mut pairs = Vec::new();
        for (at, one) in children.iter().enumerate() {
            for other in &children[at + 1..] {
                if writes(one) || writes(other) {
                    pairs.push((*one, *other));
                }
                if pairs.len() > self.left {
                    self.cut.insert(composite);
                    return;
                }
            }
        }
        self.left -= pairs.len();
        let both: Vec<(u32, u32)> = pairs.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]).collect();
        let answers = order::before(plan, composite, &both);
        for ((one, other), answer) in pairs.into_iter().zip(answers.chunks(2)) {
            if !answer[0] && !answer[1] {
                self.meet(composite, None, &group.children[&one], &group.children[&other]);
            }
        }
    }

    /// Items of a `for_each` meet themselves and each other.
    fn items(&mut self, id: NodeId, users: &[usize]) {
        let place = self.subject.plan.node(id).composite;
        for (at, one) in users.iter().enumerate() {
            if self.uses[*one].is_per_item && self.uses[*one].node == id {
                continue;
            }
            self.meet(place, Some(id), &[*one], &users[at..]);
        }
    }

    /// Adds the pairs of uses of which one writes.
    fn meet(
        &mut self,
        place: CompositeId,
        between_items_of: Option<NodeId>,
        ones: &[usize],
        others: &[usize],
    ) {
        for one in ones {
            for other in others {
                let (one, other) = (&self.uses[*one], &self.uses[*other]);
                if !one.writes && !other.writes {
                    continue;
                }
                if self.left == 0 {
                    self.cut.insert(place);
                    return;
                }
                self.left -= 1;
                let reason = match one.is_certain && other.is_certain {
                    true => Reason::Certain,
                    false => Reason::Unknown("a path is known only in the run".to_owned()),
                };
                let (one, other) = (one.clone(), other.clone());
                self.found.push(Candidate { place, one, other, between_items_of, reason });
            }
        }
    }
}

/// Returns the place of each child in an order in which needs come first.
fn places(plan: &Plan, composite: CompositeId) -> Vec<u32> {
    let order = order::topological(plan, composite);
    let mut place = vec![0; order.len()];
    order.iter().enumerate().for_each(|(at, it)| place[*it as usize] = at as u32);
    place
}

/// Whether both tasks take the one slot of the same key. A limit counts for attempts of kinds that
/// act on the outside; without a key it is one of the task itself.
fn exclude_each_other(subject: &Subject<'_>, candidate: &Candidate) -> bool {
    let key = |id: NodeId| {
        let task = subject.outline.node(id).task;
        let limit: &Concurrency = &task.concurrency.as_ref()?.value;
        let one = limit.limit.as_ref().is_some_and(|it| it.value == 1);
        let key = match &limit.key {
            None => format!("{}/{}", subject.plan.workflow, task.id.value),
            // One text, of which every part is the same in the whole run.
            Some(key) => match &key.node.content {
                Content::String(text) if is_of_the_run(&key.template) => text.trim().to_owned(),
                _ => return None,
            },
        };
        (one && super::locks::takes_a_slot(task)).then_some(key)
    };
    let one = key(candidate.one.node);
    one.is_some() && one == key(candidate.other.node)
}

fn is_of_the_run(template: &Template) -> bool {
    template.references().iter().all(|(_, it)| matches!(it.root.as_str(), "input" | "run"))
}

/// Whether one of the two, or a task around it, allows the race.
fn is_allowed(subject: &Subject<'_>, candidate: &Candidate) -> bool {
    let names = [candidate.one.thing.name(), candidate.other.thing.name()];
    [candidate.one.node, candidate.other.node].into_iter().any(|id| {
        order::around(subject.plan, id).any(|it| {
            let allowed = &subject.outline.node(it).task.allow_race;
            allowed.iter().any(|it| names.contains(&it.value.as_str()))
        })
    })
}

/// Reports the pairs, and proves the graphs in which there are none.
pub(super) fn report(
    subject: &Subject<'_>,
    candidates: Candidates,
    hooks: &Hooks<'_>,
    proofs: &mut Proofs,
) {
    let mut open: BTreeMap<CompositeId, String> = BTreeMap::new();
    for composite in &candidates.cut {
        open.insert(
            *composite,
            format!("more than {PAIRS_MAX} pairs of tasks use the same things"),
        );
    }
    let mut shown: BTreeMap<Thing, usize> = BTreeMap::new();
    let mut refuted = BTreeSet::new();
    let mut told = BTreeSet::new();
    for candidate in &candidates.pairs {
        let (one, other) = (candidate.one.node, candidate.other.node);
        let pair = (one.min(other), one.max(other), candidate.one.thing.clone());
        if !told.insert(pair) {
            continue;
        }
        let both = match candidate.between_items_of {
            // In different items both can run, whatever excludes them within one.
            Some(_) => Answer::Yes(()),
            None => (hooks.may_both_run)(one, other),
        };
        match (&both, &candidate.reason) {
            (Answer::No, _) => {}
            (Answer::Unknown(reason), _) | (Answer::Yes(()), Reason::Unknown(reason)) => {
                open.entry(candidate.place).or_insert_with(|| {
                    let (one, other) = (subject.name(one), subject.name(other));
                    format!("`{one}` and `{other}` may use the same thing: {reason}")
                });
            }
            (Answer::Yes(()), Reason::Certain | Reason::StaleRead(_)) => {
                refuted.insert(candidate.place);
                let count = shown.entry(candidate.one.thing.clone()).or_default();
                *count += 1;
                if *count <= SHOWN_MAX {
                    let pair = format!("{} | {}", subject.name(one), subject.name(other));
                    let mut finding = finding(subject, candidate);
                    if candidate.between_items_of.is_none() {
                        finding.counterexample = (hooks.both_running)(one, other);
                    }
                    proofs.refute(pair, finding);
                }
            }
        }
    }
    for at in 0..subject.plan.composites.len() as u32 {
        let id = CompositeId(at);
        let composite = subject.plan.composite(id);
        let is_graph = matches!(composite.kind, CompositeKind::Graph { .. });
        // One task alone meets nobody but its own items.
        let has_pairs = composite.len > 1
            || id == ROOT
            || subject.plan.node(subject.plan.child(id, 0)).for_each.is_some();
        if !is_graph || !has_pairs || refuted.contains(&id) {
            continue;
        }
        let name = match composite.owner {
            Some(owner) => subject.name(owner),
            None if Some(id) == subject.plan.on_failure => "on_failure".to_owned(),
            None if Some(id) == subject.plan.finally => "finally".to_owned(),
            None => String::new(),
        };
        match open.remove(&id) {
            Some(reason) => proofs.leave_open(Property::Races, name, reason),
            None => {
                let assumed =
                    "tasks use no shared things but their declared ones, files and tables";
                proofs.prove_assuming(Property::Races, name, vec![assumed.to_owned()], None);
            }
        }
    }
}

fn finding(subject: &Subject<'_>, candidate: &Candidate) -> Finding {
    // The writer goes first.
    let (one, other) = match candidate.one.writes || !candidate.other.writes {
        true => (&candidate.one, &candidate.other),
        false => (&candidate.other, &candidate.one),
    };
    let line = |it: &Use| {
        format!("`{}` (line {})", subject.name(it.node), subject.plan.node(it.node).line)
    };
    let thing = one.thing.name();
    let mut trace = Vec::new();
    let message = match (&candidate.reason, candidate.between_items_of) {
        (Reason::StaleRead(reader), _) => {
            trace.push(format!("{} reads `{thing}`", line(&Use { node: *reader, ..one.clone() })));
            trace.push(format!("{} {} it meanwhile", line(other), other.verb));
            trace.push(format!("{} writes what was made of the old rows", line(one)));
            format!(
                "`{}` overwrites what `{}` writes to `{thing}`",
                subject.name(one.node),
                subject.name(other.node)
            )
        }
        (_, Some(owner)) if one.node == other.node => {
            trace.push(format!("an item of {} {} `{thing}`", line(one), one.verb));
            trace.push("another item does so at the same time".to_owned());
            format!(
                "items of `{}` use `{thing}` at the same time, and write it",
                subject.name(owner)
            )
        }
        (_, owner) => {
            let same_item = if owner.is_some() { ", in another item," } else { "" };
            trace.push(format!("{} {} `{thing}`", line(one), one.verb));
            let also = match other.thing == one.thing {
                true => "it".to_owned(),
                false => format!("`{}`", other.thing.name()),
            };
            trace.push(format!(
                "{}{same_item} {} {also} at the same time",
                line(other),
                other.verb
            ));
            format!(
                "`{}` {} `{thing}` while `{}` {} {}",
                subject.name(one.node),
                one.verb,
                subject.name(other.node),
                other.verb,
                also
            )
        }
    };
    let mut problem = Problem::error(Property::Races.code(), one.span, message).label(format!(
        "`{}` {} it here",
        subject.name(one.node),
        one.verb
    ));
    if one.node != other.node {
        problem = problem
            .related(other.span, format!("`{}` {} it here", subject.name(other.node), other.verb));
    }
    super::finding(Property::Races, problem.help(help(subject, candidate)), trace)
}

fn help(subject: &Subject<'_>, candidate: &Candidate) -> String {
    let thing = candidate.one.thing.name();
    let id = |it: NodeId| subject.outline.node(it).task.id.value.as_str();
    let (one, other) = (id(candidate.one.node), id(candidate.other.node));
    let allow = format!("say `allow_race: [{thing}]` if it does no harm");
    match (&candidate.reason, candidate.between_items_of) {
        (Reason::StaleRead(_), _) => {
            format!("compute the new value in the `UPDATE` itself, or order the two, or {allow}")
        }
        (_, Some(owner)) => format!("add `max_parallel: 1` to `{}`, or {allow}", id(owner)),
        (_, None) => {
            let order =
                match order::side_by_side(subject.plan, candidate.one.node, candidate.other.node) {
                    Some((_, a, b))
                        if subject.plan.node(candidate.one.node).composite == candidate.place
                            && subject.plan.node(candidate.other.node).composite
                                == candidate.place
                            && a != b =>
                    {
                        format!("let one wait for the other (`needs: [{one}]` in `{other}`)")
                    }
                    _ => "let one wait for the other with `needs`".to_owned(),
                };
            let other_way = match candidate.one.thing {
                Thing::Table(_) => "drop `transaction: false`",
                _ => "give both the same `concurrency: {key: …, limit: 1}`",
            };
            format!("{order}, {other_way}, or {allow}")
        }
    }
}
