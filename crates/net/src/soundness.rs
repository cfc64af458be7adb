//! Decides whether every case can end properly: reductions first, then a search of what they left.

use std::collections::BTreeMap;

use crate::marking::{self, Tokens};
use crate::net::{Net, TransitionId};
use crate::proof::Certificate;
use crate::reduce::{Reduced, reduce};
use crate::run;
use crate::search::{self, Compiled, Exploration, Finding, Limits, explore};
use crate::verdict::{Defect, Unknown, Verdict};
use crate::workflow_net::WorkflowNet;

/// Checks a net.
pub fn check(net: &Net, limits: &Limits) -> Verdict {
    match WorkflowNet::of(net) {
        Ok(workflow) => check_workflow(&workflow, limits),
        Err(defect) => Verdict::Unsound(vec![Defect::Structure(defect)]),
    }
}

/// Checks a net whose structure is in order.
pub fn check_workflow(workflow: &WorkflowNet<'_>, limits: &Limits) -> Verdict {
    let reduced = reduce(workflow);
    if reduced.residue.is_trivial() {
        let Reduced { steps, .. } = reduced;
        return Verdict::Sound(Certificate { steps, markings: BTreeMap::new() });
    }
    let compiled = Compiled::of_residue(&reduced.residue);
    let compiled = if workflow.net.has_resets() { Compiled::of(workflow) } else { compiled };
    let glance = explore(&compiled, &limits.glance());
    if glance.is_complete || !glance.findings.is_empty() {
        return Case { workflow, limits, reduced, compiled }.decide(glance);
    }
    let case = Case { workflow, limits, reduced, compiled };
    if !workflow.net.has_resets()
        && let (Some(finding), _) = search::hunt(&case.compiled, &limits.glance())
    {
        return case.refute(&[finding], None);
    }
    let whole = explore(&case.compiled, limits);
    case.decide(whole)
}

struct Case<'n> {
    workflow: &'n WorkflowNet<'n>,
    limits: &'n Limits,
    reduced: Reduced,
    /// The residue.
    compiled: Compiled,
}

impl Case<'_> {
    fn decide(self, seen: Exploration) -> Verdict {
        let dead = seen.is_complete.then(|| self.dead(&seen.fired));
        let has_dead = dead.as_ref().is_some_and(|it| !it.is_empty());
        if !seen.findings.is_empty() || has_dead {
            return self.refute(&seen.findings, dead);
        }
        if !seen.is_complete {
            return Verdict::Unknown(Unknown::Budget { states: seen.states.len() });
        }
        Verdict::Sound(self.certificate(&seen))
    }

    /// The transitions of the original net that never fire.
    fn dead(&self, fired: &[bool]) -> Vec<TransitionId> {
        let alive: Vec<u32> =
            (0..fired.len()).filter(|it| fired[*it]).map(|it| self.id(it)).collect();
        let transitions = self.workflow.net.transitions();
        let is_alive = self.reduced.lift_alive(&alive, transitions.len());
        transitions.filter(|it| !is_alive[it.index()]).collect()
    }

    fn id(&self, transition: usize) -> u32 {
        self.compiled.transitions[transition]
    }

    fn certificate(self, seen: &Exploration) -> Certificate {
        let original = |state: u32| {
            let marked = marking::marked(seen.states.get(state));
            marked.map(|it| self.compiled.places[it as usize]).collect::<Vec<u32>>()
        };
        let states = 0..seen.states.len() as u32;
        let markings = states.map(|it| (original(it), seen.distances[it as usize])).collect();
        Certificate { markings, steps: self.reduced.steps }
    }

    /// Tells the findings by runs of the original net: those of a short search there if it comes
    /// upon any, which are the shortest, or else those of the residue.
    fn refute(&self, findings: &[Finding], dead: Option<Vec<TransitionId>>) -> Verdict {
        let original = Compiled::of(self.workflow);
        let direct = explore(&original, &self.limits.shorten());
        let lifted: Vec<Finding> = findings.iter().map(|it| self.lift(it)).collect();
        let mut findings = if direct.findings.is_empty() { lifted } else { direct.findings };
        findings.sort_by_key(|it| it.run().len());
        let mut defects = Vec::new();
        for finding in &findings {
            match run::defect(self.workflow, finding) {
                Some(defect) => defects.push(defect),
                None => {
                    let transitions = finding.run().iter().map(|it| TransitionId(*it)).collect();
                    return Verdict::Unknown(Unknown::NotReplayed { transitions });
                }
            }
        }
        defects.extend(dead.filter(|it| !it.is_empty()).map(Defect::DeadTransitions));
        Verdict::Unsound(defects)
    }

    fn lift(&self, finding: &Finding) -> Finding {
        let ids = |run: &[u32]| run.iter().map(|it| self.id(*it as usize)).collect::<Vec<u32>>();
        let full = |run: &[u32]| self.reduced.lift(&ids(run));
        match finding {
            Finding::Unsafe { run, place } => {
                let place = self.compiled.places[*place as usize];
                Finding::Unsafe { run: full(run), place }
            }
            Finding::Improper { run } => Finding::Improper { run: full(run) },
            Finding::Stuck { run } => Finding::Stuck { run: full(run) },
            Finding::Livelock { run, repeats_from } => {
                let before = full(&run[..*repeats_from]).len();
                Finding::Livelock { run: full(run), repeats_from: before }
            }
        }
    }
}

/// Replays a run on a net. None if a transition of it is not enabled when its turn comes.
pub fn replay(workflow: &WorkflowNet<'_>, run: &[TransitionId]) -> Option<Tokens> {
    let net = workflow.net;
    let mut tokens = Tokens::of_start(net.places().len(), workflow.start);
    for transition in run {
        let arcs = net.arcs(*transition);
        let is_stopped = workflow.stops.iter().any(|it| tokens.count(*it) > 0);
        if is_stopped || !tokens.enables(arcs) {
            return None;
        }
        tokens.fire(arcs);
    }
    Some(tokens)
}

impl Finding {
    pub(crate) fn run(&self) -> &[u32] {
        match self {
            Finding::Unsafe { run, .. }
            | Finding::Improper { run }
            | Finding::Stuck { run }
            | Finding::Livelock { run, .. } => run,
        }
    }
}
