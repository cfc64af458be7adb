//! Graphs: every task of a graph is decided exactly once, and how does not depend on the order in
//! which others end (docs/semantics.md, determinacy). So a graph has no state space: it is a
//! boolean circuit over what the outside does, and a question about it is one about that circuit.
//!
//! A question is first put to many scenarios at once, then to the gates nearby, then to scenarios
//! made for it, and at last to a SAT solver, on the part that matters.
//!
//! | file | answers |
//! |---|---|
//! | `circuit` | gates, and many scenarios at once |
//! | `encode`, `ends`, `conditions` | a plan as a circuit |
//! | `near`, `aim`, `solve` | can these hold together: what is excluded nearby, a scenario made for it, a solver |
//! | `doubts`, `computed`, `tries` | what of a yes is not certain, and executions that show that it is |
//! | `reach`, `reads`, `failures` | the properties |

mod aim;
mod circuit;
mod computed;
mod conditions;
mod doubts;
mod encode;
mod ends;
mod example;
mod failures;
mod names;
mod near;
mod reach;
mod reads;
mod solve;
mod trace;
mod tries;

use std::cell::{Cell, OnceCell, RefCell};

use super::Subject;
use super::certificate::{Certificate, Contradiction, Evidence};
use super::confirm::{confirm, replays_max};
use super::finding::{Answer, Finding, Proofs, Verdict};
use super::property::Property;
use crate::plan::{NodeId, ROOT};
use crate::simulate::{Counterexample, Expected, replay};
use aim::{Aimed, Users, aim};
use circuit::{Circuit, Lit, Scenarios};
use conditions::{Conditions, Guard, PathValue};
use encode::{Encoded, Outcomes};
use example::Fields;
use near::Near;
use solve::{Model, Numbers, Solved};
use tries::Tries;

/// Gates that all questions about a plan may involve together, each counted with this many at most:
/// few look further than nearby.
const WORK_MAX: usize = 20_000_000;
const QUESTION_WORK: usize = 1_000;
/// Something that may be true of a task in an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// Its work starts.
    Runs(NodeId),
    Completes(NodeId),
    Fails(NodeId),
    /// It was decided in another way than by completing.
    NotCompleted(NodeId),
    /// It fails its graph.
    Fatal(NodeId),
}

impl Fact {
    pub fn node(self) -> NodeId {
        match self {
            Fact::Runs(id)
            | Fact::Completes(id)
            | Fact::Fails(id)
            | Fact::NotCompleted(id)
            | Fact::Fatal(id) => id,
        }
    }
}

/// Where to look for an execution that was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// In the scenarios that are tried first.
    Tried(usize),
    Aimed(Aimed),
    Solved(Model),
    /// All that matters is how one task ends.
    Ends(NodeId, End),
}

/// What happens in one execution, as far as it matters to what was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scenario {
    /// How tasks end, in an order in which they can.
    pub ends: Vec<(NodeId, End)>,
    /// Values of paths that decide conditions, such as `input.total` is 0.
    pub values: Vec<PathValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    Failed,
    /// Its condition cannot be evaluated.
    Broken,
    Skipped,
    /// It has not ended when that matters.
    Open,
}

/// Asks the properties of graphs.
pub(super) fn verify(subject: &Subject<'_>, flow: &Flow, proofs: &mut Proofs) {
    for property in [Property::ProperCompletion, Property::OnceOnly] {
        proofs.prove_assuming(property, "", assumptions(), None);
    }
    reach::verify(subject, flow, proofs);
    reads::verify(subject, flow, proofs);
    failures::verify(subject, flow, proofs);
}

/// Says whether every run can end. Of a machine its own part has said so; a graph can end if the
/// machines inside of it can.
pub(super) fn completion(subject: &Subject<'_>, proofs: &mut Proofs) {
    if !encode::is_graph(&subject.plan.composite(ROOT).kind) {
        return;
    }
    let property = Property::OptionToComplete;
    let inside: Vec<Verdict> = proofs.of(property).map(|it| it.verdict.clone()).collect();
    let rank = |it: &&Verdict| match it {
        Verdict::Proved { .. } => 0,
        Verdict::Unknown { .. } => 1,
        Verdict::Refuted { .. } => 2,
    };
    match inside.iter().max_by_key(rank) {
        Some(Verdict::Refuted { finding }) => proofs.refute_as_well(property, "", *finding),
        Some(Verdict::Unknown { reason }) => proofs.leave_open(property, "", reason.clone()),
        Some(Verdict::Proved { .. }) | None => {
            proofs.prove_assuming(property, "", assumptions(), None);
        }
    }
}

fn assumptions() -> Vec<String> {
    vec![
        "handlers return, or have a time-out".to_owned(),
        "what is waited for comes, or has a time-out".to_owned(),
    ]
}

/// The graphs of a plan as one circuit, to be asked.
pub(crate) struct Flow {
    encoded: Encoded,
    scenarios: Scenarios,
    /// Made once a scenario is to be changed.
    users: OnceCell<Users>,
    /// What matters to each task, by node.
    before: Vec<Vec<NodeId>>,
    /// Of each task the condition that makes answers about it doubtful; found out once needed.
    doubts: OnceCell<Vec<Option<NodeId>>>,
    /// Of each task a condition before it that reads what the workflow computes.
    computed: OnceCell<Vec<Option<NodeId>>>,
    /// What happened in executions that were tried; made once it is needed.
    tries: OnceCell<Tries>,
    work_left: Cell<usize>,
    replays_left: Cell<usize>,
    near: RefCell<Near>,
    numbers: RefCell<Numbers>,
    conflicts_left: Cell<u64>,
    /// What shows each answer that something cannot be.
    certificates: Option<RefCell<Vec<Certificate>>>,
    /// What is being asked, for the certificates.
    about: RefCell<(Property, String)>,
    /// The fields of outputs that anything reads, by task; found out once they are needed.
    fields: OnceCell<Fields>,
}

impl Flow {
    pub fn new(subject: &Subject<'_>) -> Flow {
        let encoded = encode::encode(subject);
        let scenarios = Scenarios::new(&encoded.circuit);
        let before = trace::before(subject.plan);
        let (work_left, replays_left) = (Cell::new(WORK_MAX), Cell::new(replays_max(subject)));
        let near = RefCell::new(Near::new(&encoded.circuit));
        let numbers = RefCell::new(Numbers::new(&encoded.circuit));
        let certificates = subject.context.certify.then(RefCell::default);
        let about = RefCell::new((Property::Reachability, String::new()));
        Flow {
            encoded,
            scenarios,
            users: OnceCell::new(),
            before,
            doubts: OnceCell::new(),
            computed: OnceCell::new(),
            tries: OnceCell::new(),
            work_left,
            replays_left,
            near,
            numbers,
            conflicts_left: Cell::new(solve::ALL_CONFLICTS_MAX),
            fields: OnceCell::new(),
            certificates,
            about,
        }
    }

    /// Asks whether facts can all be true in one execution. Only tasks of graphs can be asked
    /// about; a graph inside of a machine is taken to be entered.
    pub fn can(&self, facts: &[Fact]) -> Answer<Found> {
        let all: Vec<Lit> = facts.iter().flat_map(|it| self.lits(*it)).collect();
        self.solve(&all)
    }

    /// Says what the next questions are about.
    pub fn ask_about(&self, property: Property, subject: &str) {
        if self.certificates.is_some() {
            *self.about.borrow_mut() = (property, subject.to_owned());
        }
    }

    /// Hands out what shows the answers so far.
    pub fn certificates(&self) -> Vec<Certificate> {
        self.certificates.as_ref().map(|it| it.take()).unwrap_or_default()
    }

    fn conditions(&self) -> &Conditions {
        &self.encoded.conditions
    }

    /// Replays a scenario, while there are few enough findings for that.
    fn confirm(
        &self,
        subject: &Subject<'_>,
        mut finding: Finding,
        scenario: &Scenario,
        expected: Expected,
    ) -> Finding {
        finding.trace = self.trace(subject, scenario);
        let Some(left) = self.replays_left.get().checked_sub(1) else { return finding };
        self.replays_left.set(left);
        let fields = self.fields.get_or_init(|| example::fields(subject));
        let example = example::example(subject, fields, finding.property, scenario, expected);
        confirm(subject, finding, example)
    }

    /// Makes an execution in which facts are true, if one can be replayed. The work of `open` tasks
    /// does not end in it.
    pub fn example(
        &self,
        subject: &Subject<'_>,
        property: Property,
        facts: &[Fact],
        open: &[NodeId],
        expected: Expected,
    ) -> Option<Box<Counterexample>> {
        self.replays_left.set(self.replays_left.get().checked_sub(1)?);
        let Answer::Yes(found) = self.can(facts) else { return None };
        let about: Vec<NodeId> = facts.iter().map(|it| it.node()).collect();
        let mut scenario = self.scenario_of(&found, &about);
        for (_, end) in scenario.ends.iter_mut().filter(|it| open.contains(&it.0)) {
            *end = End::Open;
        }
        let fields = self.fields.get_or_init(|| example::fields(subject));
        let example = example::example(subject, fields, property, &scenario, expected);
        replay(subject.plan, &example).is_ok().then(|| Box::new(example))
    }

    fn circuit(&self) -> &Circuit {
        &self.encoded.circuit
    }

    fn outcomes(&self, id: NodeId) -> &Outcomes {
        &self.encoded.outcomes[id.0 as usize]
    }

    fn lits(&self, fact: Fact) -> Vec<Lit> {
        let of = |id: NodeId| self.outcomes(id);
        match fact {
            Fact::Runs(id) => vec![of(id).alive, of(id).runs],
            Fact::Completes(id) => vec![of(id).alive, of(id).completes],
            Fact::Fails(id) => vec![of(id).alive, of(id).fails],
            Fact::NotCompleted(id) => vec![!of(id).completes],
            Fact::Fatal(id) => vec![of(id).alive, of(id).fatal],
        }
    }

    /// Asks whether the main part can complete without a task having done so.
    fn can_end_without(&self, id: NodeId) -> Answer<Found> {
        let broken = self.encoded.broken.get(&ROOT).copied().unwrap_or(Lit::FALSE);
        self.solve(&[!broken, !self.outcomes(id).completes])
    }

    /// Asks whether the main part can complete though a task failed.
    fn can_hide(&self, id: NodeId) -> Answer<Found> {
        let broken = self.encoded.broken.get(&ROOT).copied().unwrap_or(Lit::FALSE);
        let outcomes = self.outcomes(id);
        self.solve(&[!broken, outcomes.alive, outcomes.fails])
    }

    /// Returns all tasks of graphs, each after what it needs.
    fn order(&self) -> impl Iterator<Item = NodeId> {
        self.encoded.order.iter().copied()
    }

    fn guard(&self, id: NodeId) -> Guard {
        self.encoded.conditions.get(id)
    }

    /// Asks whether literals can all be true in one scenario.
    fn solve(&self, all: &[Lit]) -> Answer<Found> {
        if let Some(at) = self.scenarios.find(all) {
            return Answer::Yes(Found::Tried(at));
        }
        if self.is_excluded_nearby(all) {
            return Answer::No;
        }
        let users = self.users.get_or_init(|| Users::new(self.circuit()));
        if let Some(aimed) = aim(self.circuit(), &self.scenarios, users, all) {
            return Answer::Yes(Found::Aimed(aimed));
        }
        match self.ask_solver(all) {
            Solved::Can(model) => Answer::Yes(Found::Solved(model)),
            Solved::Cannot { clauses, steps } => {
                self.certify(clauses, steps);
                Answer::No
            }
            Solved::Open(reason) => Answer::Unknown(reason),
        }
    }

    fn is_excluded_nearby(&self, all: &[Lit]) -> bool {
        let mut near = self.near.borrow_mut();
        let is_excluded = near.excludes(self.circuit(), all);
        if is_excluded && self.certificates.is_some() {
            let shown = near.shown(self.circuit(), all);
            self.certify(shown.clauses, shown.steps);
        }
        is_excluded
    }

    /// Tells what becomes in a scenario of a task and of those that matter to it.
    fn scenario(&self, found: &Found, id: NodeId) -> Scenario {
        self.scenario_of(found, &[id])
    }

    fn scenario_of(&self, found: &Found, about: &[NodeId]) -> Scenario {
        match found {
            Found::Tried(at) => self.told(about, |lit| self.scenarios.value(*at, lit)),
            Found::Aimed(aimed) => self.told(about, |lit| aimed.value(&self.scenarios, lit)),
            Found::Solved(model) => self.told(about, |lit| value(model, lit)),
            Found::Ends(id, end) => Scenario { ends: vec![(*id, *end)], values: Vec::new() },
        }
    }

    /// Keeps what shows that something cannot be, if that is wanted.
    fn certify(&self, clauses: Vec<Vec<i32>>, steps: Vec<Vec<i32>>) {
        let Some(certificates) = &self.certificates else { return };
        let (property, subject) = self.about.borrow().clone();
        let evidence = Evidence::Contradiction(Contradiction { clauses, steps });
        certificates.borrow_mut().push(Certificate { property, subject, evidence });
    }

    fn ask_solver(&self, all: &[Lit]) -> Solved {
        let Some(left) =
            self.work_left.get().checked_sub(self.circuit().gates().len().min(QUESTION_WORK))
        else {
            return Solved::Open("the definition raises too many hard questions".to_owned());
        };
        self.work_left.set(left);
        let certify = self.certificates.is_some();
        let numbers = &mut self.numbers.borrow_mut();
        solve::solve(self.circuit(), all, certify, numbers, &self.conflicts_left)
    }
}

fn value(model: &Model, lit: Lit) -> bool {
    match lit {
        Lit::TRUE => true,
        Lit::FALSE => false,
        _ => model.get(&lit.gate()).is_some_and(|it| *it != lit.is_negated()),
    }
}
