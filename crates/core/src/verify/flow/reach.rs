//! Which tasks can run, and whether their joins and conditions can go either way.

use std::collections::HashMap;

use super::encode::is_graph;
use super::names::find;
use super::{End, Fact, Flow, Scenario};
use crate::definition::{ExprSource, Join};
use crate::plan::{NodeId, Plan, TaskPlan};
use crate::simulate::Expected;
use crate::source::{Problem, oxford};
use crate::verify::Subject;
use crate::verify::finding::{Answer, Finding, Proofs};
use crate::verify::property::Property;

/// Places that a finding adds to its own.
const RELATED_MAX: usize = 5;
/// Conditions before a task that are compared with its own.
const COMPARED_MAX: usize = 64;

/// What is known of a task that never runs: where the reason was reported.
type Dead = HashMap<NodeId, usize>;

pub(super) fn verify(subject: &Subject<'_>, flow: &Flow, proofs: &mut Proofs) {
    let mut search = Search { subject, flow, dead: HashMap::new() };
    for id in flow.order() {
        search.task(id, proofs);
    }
}

struct Search<'a> {
    subject: &'a Subject<'a>,
    flow: &'a Flow,
    dead: Dead,
}

/// Says what needs never do together.
fn together(join: Join) -> String {
    match join {
        Join::AllSuccess => "its needs never all complete",
        Join::NoneFailed | Join::AnySuccess => "none of its needs completes where it matters",
        Join::AnyFailed => "its needs never fail where it matters",
        Join::AllDone => "it is never its turn",
    }
    .to_owned()
}

impl Search<'_> {
    fn task(&mut self, id: NodeId, proofs: &mut Proofs) {
        let name = self.subject.name(id);
        if self.constant(id, &name, proofs) {
            return;
        }
        self.flow.ask_about(Property::Reachability, &name);
        match self.flow.can(&[Fact::Runs(id)]) {
            Answer::Yes(_) => match self.flow.doubt(self.subject, id) {
                None => proofs.prove(Property::Reachability, name),
                Some(reason) => proofs.leave_open(Property::Reachability, name, reason),
            },
            Answer::No => self.never_runs(id, &name, proofs),
            Answer::Unknown(reason) => proofs.leave_open(Property::Reachability, name, reason),
        }
    }

    /// Looks at a task's condition alone, and says whether it is never true.
    fn constant(&mut self, id: NodeId, name: &str, proofs: &mut Proofs) -> bool {
        let Some(source) = &self.subject.outline.node(id).task.condition else { return false };
        self.flow.ask_about(Property::Constant, name);
        let guard = self.flow.guard(id);
        let (yes, no) = (self.flow.solve(&[guard.yes]), self.flow.solve(&[!guard.yes]));
        let text = source.expr.source();
        let problem = |what: &str| {
            Problem::warning(Property::Constant.code(), source.span, format!("`{text}` {what}"))
        };
        match (yes, no) {
            (Answer::No, _) => {
                let problem = problem("is never true")
                    .label(format!("so `{name}` never runs"))
                    .help("mend the condition, or drop the task");
                let cause = proofs.findings.len();
                self.dead.insert(id, cause);
                proofs.refute(name, Finding::at(Property::Constant, problem));
                proofs.refute_as_well(Property::Reachability, name, cause);
                return true;
            }
            (_, Answer::No) if text.trim() != "true" => {
                let problem = problem("is always true").help("drop the condition, or mend it");
                proofs.refute(name, Finding::at(Property::Constant, problem));
            }
            (Answer::Yes(_), _) => match self.flow.doubt_about_condition(self.subject, id) {
                None => proofs.prove(Property::Constant, name),
                Some(reason) => proofs.leave_open(Property::Constant, name, reason),
            },
            (Answer::Unknown(reason), _) => proofs.leave_open(Property::Constant, name, reason),
        }
        self.errors(id, name, proofs);
        false
    }

    /// Looks whether a task's condition can fail on data that its schemas allow.
    fn errors(&self, id: NodeId, name: &str, proofs: &mut Proofs) {
        let Some(source) = &self.subject.outline.node(id).task.condition else { return };
        let outcomes = self.flow.outcomes(id);
        self.flow.ask_about(Property::GuardErrors, name);
        let lits = [outcomes.alive, outcomes.joined, self.flow.guard(id).surely_error];
        let scenario = match self.flow.solve(&lits) {
            Answer::Yes(found) => self.flow.scenario(&found, id),
            Answer::No => {
                return match self.flow.conditions().inexact(id) {
                    None => proofs.prove(Property::GuardErrors, name),
                    Some(reason) => proofs.leave_open(Property::GuardErrors, name, reason),
                };
            }
            Answer::Unknown(reason) => {
                return proofs.leave_open(Property::GuardErrors, name, reason);
            }
        };
        let unread = self.unread(source, id, &scenario);
        let property = if unread.is_some() { Property::Assigned } else { Property::GuardErrors };
        let values: Vec<String> = scenario.values.iter().map(|it| it.to_string()).collect();
        let when = match (&unread, values.is_empty()) {
            (Some(target), _) => {
                format!(": {}", self.flow.why(self.subject, *target, &scenario))
            }
            (None, false) => format!(" where {}", values.join(", ")),
            (None, true) => " for some data".to_owned(),
        };
        let message = format!("`{}` cannot be evaluated{when}", source.expr.source());
        let problem = match property {
            Property::Assigned => Problem::error(property.code(), source.span, message),
            _ => Problem::warning(property.code(), source.span, message),
        };
        let problem = problem
            .label(format!("then `{name}` fails"))
            .help("ask first: `has(x.y) && …`, or `default(x.y, …)`");
        let finding = Finding::at(property, problem);
        let expected = Expected::TaskFailed {
            task: name.to_owned(),
            error_type: Some("expression".to_owned()),
        };
        let finding = self.flow.confirm(self.subject, finding, &scenario, expected);
        proofs.refute(name, finding);
    }

    /// Returns the task whose output a condition reads though it did not complete.
    fn unread(&self, source: &ExprSource, id: NodeId, scenario: &Scenario) -> Option<NodeId> {
        let references = source.expr.references();
        let mut read = references
            .iter()
            .filter(|it| it.root == "tasks" && it.segments.get(1).is_some_and(|it| it == "output"))
            .filter_map(|it| find(self.subject.plan, id, &it.segments[0]));
        read.find(|it| scenario.ends.iter().any(|(at, end)| at == it && *end != End::Completed))
    }

    fn never_runs(&mut self, id: NodeId, name: &str, proofs: &mut Proofs) {
        let node = self.subject.plan.node(id);
        if let Some(cause) = self.cause_before(node) {
            return self.follow(id, name, cause, proofs);
        }
        let outcomes = *self.flow.outcomes(id);
        let (property, problem) = match self.flow.solve(&[outcomes.alive, outcomes.joined]) {
            Answer::No => (Property::Joins, self.dead_join(id, name)),
            Answer::Yes(_) | Answer::Unknown(_) => {
                (Property::Reachability, self.contradiction(id, name))
            }
        };
        let cause = proofs.findings.len();
        self.dead.insert(id, cause);
        proofs.refute(name, Finding::at(property, problem));
        if property != Property::Reachability {
            proofs.refute_as_well(Property::Reachability, name, cause);
        }
    }

    /// Returns the finding about a task before this one, or around it, that explains it.
    fn cause_before(&self, node: &TaskPlan) -> Option<usize> {
        let plan = self.subject.plan;
        let composite = plan.composite(node.composite);
        if let Some(cause) = composite.owner.and_then(|it| self.dead.get(&it)) {
            return Some(*cause);
        }
        let needs = node.needs.iter().map(|it| NodeId(composite.first + it));
        let mut dead = needs.clone().filter_map(|it| self.dead.get(&it));
        let is_cause = match node.join {
            Join::AllSuccess => dead.clone().next().is_some(),
            Join::NoneFailed | Join::AnySuccess | Join::AnyFailed | Join::AllDone => {
                needs.count() == dead.clone().count()
            }
        };
        dead.next().copied().filter(|_| is_cause)
    }

    /// Adds a task to the finding about the one that keeps it from running.
    fn follow(&mut self, id: NodeId, name: &str, cause: usize, proofs: &mut Proofs) {
        self.dead.insert(id, cause);
        let finding = &mut proofs.findings[cause];
        if finding.problem.related.len() < RELATED_MAX {
            let text = format!("so `{name}` never runs either");
            finding.problem = finding.problem.clone().related(self.subject.span(id), text);
        }
        proofs.refute_as_well(Property::Reachability, name, cause);
    }

    fn dead_join(&self, id: NodeId, name: &str) -> Problem {
        let node = self.subject.plan.node(id);
        let task = self.subject.outline.node(id).task;
        let first = self.subject.plan.composite(node.composite).first;
        let needs: Vec<NodeId> = node.needs.iter().map(|it| NodeId(first + it)).collect();
        let never = |fact: fn(NodeId) -> Fact| -> Vec<NodeId> {
            let is_never = |it: &&NodeId| self.flow.can(&[fact(**it)]).is_no();
            needs.iter().filter(is_never).copied().collect()
        };
        let span = task.join.as_ref().map_or(task.id.span, |it| it.span);
        let names = |ids: &[NodeId]| {
            let names: Vec<String> = ids.iter().map(|it| self.subject.name(*it)).collect();
            oxford(&names.iter().map(String::as_str).collect::<Vec<_>>(), "and")
        };
        let (reason, culprits) = match node.join {
            Join::AnyFailed => {
                let all = never(Fact::Fails);
                (format!("{} never fails", names(&all)), all)
            }
            Join::AllSuccess | Join::NoneFailed | Join::AnySuccess | Join::AllDone => {
                let all = never(Fact::Completes);
                match all.is_empty() {
                    true => (together(node.join), needs.clone()),
                    false => (format!("{} never completes", names(&all)), all),
                }
            }
        };
        let message = format!("`{name}` never runs: {reason}");
        let problem = Problem::warning(Property::Joins.code(), span, message)
            .label("this join is never satisfied")
            .help("change `join` or `needs`, or drop the task");
        culprits.iter().take(RELATED_MAX).fold(problem, |problem, it| {
            problem.related(self.subject.span(*it), format!("`{}`", self.subject.name(*it)))
        })
    }

    /// The join and the condition can both hold, but not together.
    fn contradiction(&self, id: NodeId, name: &str) -> Problem {
        let outline = self.subject.outline;
        let task = outline.node(id).task;
        let own = self.flow.guard(id);
        let before = before(self.subject.plan, id);
        let against = before.into_iter().take(COMPARED_MAX).find(|it| {
            outline.node(*it).task.condition.is_some()
                && self.flow.solve(&[own.yes, self.flow.guard(*it).yes]).is_no()
        });
        let span = task.condition.as_ref().map_or(task.id.span, |it| it.span);
        let problem = |message: String| {
            Problem::warning(Property::Reachability.code(), span, message)
                .label("never true where the needs let it run")
                .help("mend one of the conditions, or drop the task")
        };
        match against.and_then(|it| Some((it, outline.node(it).task.condition.as_ref()?))) {
            Some((other, source)) => {
                let other = self.subject.name(other);
                problem(format!("`{name}` never runs: its condition excludes that of `{other}`"))
                    .related(source.span, format!("what `{other}` runs on"))
            }
            None => problem(format!(
                "`{name}` never runs: its condition contradicts what must have happened before"
            )),
        }
    }
}

/// Returns the tasks of graphs before one and around it, the nearest first.
fn before(plan: &Plan, id: NodeId) -> Vec<NodeId> {
    let mut all = vec![id];
    let mut seen: std::collections::HashSet<NodeId> = [id].into();
    let mut at = 0;
    while at < all.len() {
        let node = plan.node(all[at]);
        let composite = plan.composite(node.composite);
        let needs = node.needs.iter().map(|it| NodeId(composite.first + it));
        let owner =
            composite.owner.filter(|it| is_graph(&plan.composite(plan.node(*it).composite).kind));
        all.extend(needs.chain(owner).filter(|it| seen.insert(*it)));
        at += 1;
    }
    all.remove(0);
    all
}
