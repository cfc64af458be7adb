//! Makes a defect of a finding: replays its run on the original net, cuts it to what led to the
//! defect, and says who waits for what.

use std::collections::{BTreeSet, VecDeque};

use crate::marking::Tokens;
use crate::net::{PlaceId, TransitionId};
use crate::search::Finding;
use crate::soundness::replay;
use crate::verdict::{Defect, Run, Waiting};
use crate::workflow_net::WorkflowNet;

/// Markings that are looked at, after a place got its second token, for a run that repeats.
const GROWTH_MARKINGS_MAX: usize = 64;
/// Places of all those markings together.
const GROWTH_PLACES_MAX: usize = 2_000_000;

/// Returns what a finding by a run of the original net means. None if the run does not show it.
pub fn defect(workflow: &WorkflowNet<'_>, finding: &Finding) -> Option<Defect> {
    let transitions: Vec<TransitionId> = finding.run().iter().map(|it| TransitionId(*it)).collect();
    match finding {
        Finding::Unsafe { place, .. } => unsafe_place(workflow, transitions, PlaceId(*place)),
        Finding::Improper { .. } => {
            let run = cut_to_leftover(workflow, transitions);
            let (run, tokens) = replayed(workflow, run)?;
            if !has_end(workflow, &tokens) || is_ended(workflow, &tokens) {
                return None;
            }
            Some(Defect::ImproperCompletion { waiting: waiting(workflow, &tokens), run })
        }
        Finding::Stuck { .. } => {
            let (run, tokens) = replayed(workflow, transitions)?;
            let is_right = !is_ended(workflow, &tokens);
            is_right.then(|| Defect::Deadlock { waiting: waiting(workflow, &tokens), run })
        }
        Finding::Livelock { repeats_from, .. } => {
            let before = replay(workflow, &transitions[..*repeats_from])?;
            let (run, tokens) = replayed(workflow, transitions)?;
            (before == tokens).then_some(Defect::Livelock { run, repeats_from: *repeats_from })
        }
    }
}

fn replayed(workflow: &WorkflowNet<'_>, run: Vec<TransitionId>) -> Option<(Run, Tokens)> {
    let tokens = replay(workflow, &run)?;
    Some((Run { transitions: run, marked: tokens.marked().collect() }, tokens))
}

fn has_end(workflow: &WorkflowNet<'_>, tokens: &Tokens) -> bool {
    workflow.ends.iter().any(|it| tokens.count(*it) > 0)
}

fn is_ended(workflow: &WorkflowNet<'_>, tokens: &Tokens) -> bool {
    let is_last = |it| workflow.ends.binary_search(&it).is_ok();
    workflow.stops.iter().any(|it| tokens.count(*it) > 0)
        || (has_end(workflow, tokens) && tokens.marked().all(is_last))
}

/// The transitions that have some of their inputs.
fn waiting(workflow: &WorkflowNet<'_>, tokens: &Tokens) -> Vec<Waiting> {
    let net = workflow.net;
    let mut found = Vec::new();
    for transition in net.transitions() {
        let inputs = &net.arcs(transition).inputs;
        let (has, lacks): (Vec<PlaceId>, Vec<PlaceId>) =
            inputs.iter().partition(|it| tokens.count(**it) > 0);
        if !has.is_empty() && !lacks.is_empty() {
            found.push(Waiting { transition, has, lacks });
        }
    }
    found
}

fn unsafe_place(
    workflow: &WorkflowNet<'_>,
    run: Vec<TransitionId>,
    place: PlaceId,
) -> Option<Defect> {
    let cut = cut_to_causes(workflow, &run, |_| vec![(place, 2)]);
    let (run, tokens) = replayed(workflow, cut)?;
    if tokens.count(place) < 2 {
        return None;
    }
    match growth(workflow, &run.transitions) {
        Some((longer, repeats_from)) => {
            let (run, _) = replayed(workflow, longer)?;
            Some(Defect::Unbounded { run, repeats_from, place })
        }
        None => Some(Defect::LackOfSynchronisation { run, place }),
    }
}

/// Leaves of a run that reaches the only end what leads to that and to one token that is left.
fn cut_to_leftover(workflow: &WorkflowNet<'_>, run: Vec<TransitionId>) -> Vec<TransitionId> {
    let ([end], []) = (&*workflow.ends, &*workflow.stops) else { return run };
    let end = *end;
    cut_to_causes(workflow, &run, |tokens| {
        let left = tokens.marked().find(|it| *it != end);
        std::iter::once((end, 1)).chain(left.map(|it| (it, 1))).collect()
    })
}

/// Leaves of a run what the wanted tokens came from: so many of each place, as it is at the end.
/// What is left is a run, for each token in it was made by what is left too.
fn cut_to_causes(
    workflow: &WorkflowNet<'_>,
    run: &[TransitionId],
    wanted: impl Fn(&Tokens) -> Vec<(PlaceId, usize)>,
) -> Vec<TransitionId> {
    let net = workflow.net;
    let Some(last) = replay(workflow, run).filter(|_| !net.has_resets()) else {
        return run.to_vec();
    };
    // Who made each token; the first one nobody did.
    let mut makers: Vec<VecDeque<Option<usize>>> = vec![VecDeque::new(); net.places().len()];
    makers[workflow.start.index()].push_back(None);
    let mut causes: Vec<Vec<usize>> = Vec::with_capacity(run.len());
    for (at, transition) in run.iter().enumerate() {
        let arcs = net.arcs(*transition);
        let taken = arcs.inputs.iter().filter_map(|it| makers[it.index()].pop_front().flatten());
        causes.push(taken.collect());
        arcs.outputs.iter().for_each(|it| makers[it.index()].push_back(Some(at)));
    }
    let mut kept = BTreeSet::new();
    let mut left: Vec<usize> = wanted(&last)
        .iter()
        .flat_map(|(place, count)| makers[place.index()].iter().take(*count).copied().flatten())
        .collect();
    while let Some(at) = left.pop() {
        if kept.insert(at) {
            left.extend(&causes[at]);
        }
    }
    kept.into_iter().map(|at| run[at]).collect()
}

/// A marking on the way, with the one before it and the transition between them.
struct Point {
    tokens: Tokens,
    before: Option<(usize, TransitionId)>,
}

/// Goes on from a run until a marking has all the tokens of one before it, and more: what lies
/// between the two can be repeated for ever. Returns the whole run and where that begins.
fn growth(workflow: &WorkflowNet<'_>, run: &[TransitionId]) -> Option<(Vec<TransitionId>, usize)> {
    let net = workflow.net;
    let points_max = GROWTH_PLACES_MAX / net.places().len().max(1);
    if net.has_resets() || run.len() >= points_max {
        return None;
    }
    let mut tokens = Tokens::of_start(net.places().len(), workflow.start);
    let mut points = vec![Point { tokens: tokens.clone(), before: None }];
    for transition in run {
        tokens.fire(net.arcs(*transition));
        let before = Some((points.len() - 1, *transition));
        points.push(Point { tokens: tokens.clone(), before });
    }
    let mut seen: BTreeSet<Tokens> = points.iter().map(|it| it.tokens.clone()).collect();
    let mut at = points.len() - 1;
    let most = (points.len() + GROWTH_MARKINGS_MAX).min(points_max);
    while at < points.len() {
        if let Some(length) = repeats_from(&points, at) {
            return Some((path(&points, at), length));
        }
        let is_stopped = workflow.stops.iter().any(|it| points[at].tokens.count(*it) > 0);
        for transition in net.transitions().filter(|_| !is_stopped) {
            let arcs = net.arcs(transition);
            if points.len() < most && points[at].tokens.enables(arcs) {
                let mut tokens = points[at].tokens.clone();
                tokens.fire(arcs);
                if seen.insert(tokens.clone()) {
                    points.push(Point { tokens, before: Some((at, transition)) });
                }
            }
        }
        at += 1;
    }
    None
}

/// Returns the length of the run to the latest marking on the way that this one exceeds.
fn repeats_from(points: &[Point], at: usize) -> Option<usize> {
    let mut before = points[at].before;
    while let Some((point, _)) = before {
        if points[at].tokens.exceeds(&points[point].tokens) {
            return Some(path(points, point).len());
        }
        before = points[point].before;
    }
    None
}

fn path(points: &[Point], at: usize) -> Vec<TransitionId> {
    let mut path = Vec::new();
    let mut before = points[at].before;
    while let Some((point, transition)) = before {
        path.push(transition);
        before = points[point].before;
    }
    path.reverse();
    path
}
