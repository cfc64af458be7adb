//! Where runs of an older version could go on with a newer one.
//!
//! A run keeps the version that it started with; going on with another one means a fork. This says
//! for each task and each state of the old version whether a run that stands there finds in the new
//! version what it needs: the place itself, the outputs and variables that are read from there on,
//! an input that is still valid.

mod input;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use super::finding::{Finding, Proofs};
use super::property::Property;
use crate::definition::{Composite, Definition};
use crate::expr::{Expr, Template};
use crate::plan::{CompositeId, CompositeKind, NodeId, Plan, ROOT, StatePlan, TaskPlan, WorkPlan};
use crate::source::{Problem, Severity, Span};

/// What differs between two versions of a workflow, and what that means for running runs.
#[derive(Clone, Debug)]
pub struct Upgrade {
    pub workflow: String,
    pub from: String,
    pub to: String,
    /// By path, of both versions.
    pub tasks: BTreeMap<String, Change>,
    /// By path: the tasks and states of the old version at which a run can stand.
    pub places: BTreeMap<String, Stand>,
}

/// What became of a task or state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Unchanged,
    /// These parts of it differ.
    Changed(Vec<&'static str>),
    /// It does something else, so what it gave before is nothing that the new version expects.
    Replaced(String),
    Removed,
    Added,
}

/// A run that stands at a task (it is the next one, or under way) or in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand {
    Follows,
    /// It can go on, and something is different from then on.
    Differs(Vec<String>),
    /// It cannot go on.
    Stuck(Vec<String>),
}

/// Compares two versions.
pub fn compare(old: &Plan, new: &Plan) -> Upgrade {
    let tasks = changes(old, new);
    let mut places = BTreeMap::new();
    let comparison = Comparison::new(old, new, &tasks);
    for at in 0..old.nodes.len() as u32 {
        let id = NodeId(at);
        if is_main(old, id) {
            places.insert(old.path(id), comparison.stand(id));
        }
    }
    let (from, to) = (old.version.clone(), new.version.clone());
    Upgrade { workflow: new.workflow.clone(), from, to, tasks, places }
}

impl Upgrade {
    /// Reports the places at which runs cannot go on, at the places of the new source.
    pub fn proofs(&self, new: &Definition) -> Proofs {
        let mut spans = HashMap::new();
        collect_spans(&new.body, "", &mut spans);
        let mut proofs = Proofs::default();
        for (path, stand) in &self.places {
            let (reasons, severity) = match stand {
                Stand::Follows => {
                    let assumed = "handlers take and give what they did".to_owned();
                    proofs.prove_assuming(Property::Upgrade, path, vec![assumed], None);
                    continue;
                }
                Stand::Differs(reasons) => (reasons, Severity::Note),
                Stand::Stuck(reasons) => (reasons, Severity::Warning),
            };
            let what = match severity {
                Severity::Note => "go on with it, but not as before",
                Severity::Error | Severity::Warning => "not go on with it",
            };
            let span = spans.get(path).copied().unwrap_or(new.id.span);
            let message = format!("runs of version {} that are at `{path}` can {what}", self.from);
            let mut problem = Problem::warning(Property::Upgrade.code(), span, message)
                .label(reasons.first().cloned().unwrap_or_default())
                .help("let them end with their own version, or fork them one by one");
            problem.severity = severity;
            let finding =
                Finding { trace: reasons.clone(), ..Finding::at(Property::Upgrade, problem) };
            proofs.refute(path, finding);
        }
        proofs
    }
}

impl fmt::Display for Upgrade {
    /// What `deploy` says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |is: fn(&Change) -> bool| self.tasks.values().filter(|it| is(it)).count();
        let same = count(|it| *it == Change::Unchanged);
        let changed = count(|it| matches!(it, Change::Changed(_) | Change::Replaced(_)));
        let (added, removed) =
            (count(|it| *it == Change::Added), count(|it| *it == Change::Removed));
        writeln!(
            f,
            "{} {} to {}: {same} the same, {changed} changed, {added} added, {removed} removed",
            self.workflow, self.from, self.to
        )?;
        let stuck = |it: &&Stand| matches!(it, Stand::Stuck(_));
        let left = self.places.values().filter(stuck).count();
        let all = self.places.len();
        writeln!(f, "runs of {} can go on from {} of {all} places", self.from, all - left)?;
        for (path, stand) in &self.places {
            let (word, reasons) = match stand {
                Stand::Follows => continue,
                Stand::Differs(reasons) => ("differs", reasons),
                Stand::Stuck(reasons) => ("cannot go on", reasons),
            };
            writeln!(f, "  {path}: {word}: {}", reasons.join("; "))?;
        }
        Ok(())
    }
}

fn changes(old: &Plan, new: &Plan) -> BTreeMap<String, Change> {
    let is_same = old.hash == new.hash;
    let mut changes = BTreeMap::new();
    for (at, path) in old.paths().into_iter().enumerate() {
        let change = match new.find(&path) {
            _ if is_same => Change::Unchanged,
            None => Change::Removed,
            Some(there) => change(old, &old.nodes[at], new, new.node(there)),
        };
        changes.insert(path, change);
    }
    for path in new.paths() {
        changes.entry(path).or_insert(Change::Added);
    }
    changes
}

fn change(old: &Plan, before: &TaskPlan, new: &Plan, after: &TaskPlan) -> Change {
    let (was, is) = (work_name(old, &before.work), work_name(new, &after.work));
    if was != is {
        return Change::Replaced(format!("it was {was} and is {is}"));
    }
    if before.for_each.is_some() != after.for_each.is_some() {
        let is = if after.for_each.is_some() { "now runs for each item" } else { "runs once now" };
        return Change::Replaced(format!("it {is}"));
    }
    let names = |plan: &Plan, node: &TaskPlan| -> BTreeSet<String> {
        let composite = plan.composite(node.composite);
        let name = |it: &u32| plan.node(NodeId(composite.first + it)).id.to_string();
        node.needs.iter().map(name).collect()
    };
    let items = |node: &TaskPlan| node.for_each.as_ref().map(|it| it.items.clone());
    let parts = [
        ("needs", names(old, before) == names(new, after) && before.join == after.join),
        ("if", same_expr(before.condition.as_ref(), after.condition.as_ref())),
        ("with", same_template(with(before).as_ref(), with(after).as_ref())),
        ("for_each", same_template(items(before).as_ref(), items(after).as_ref())),
        ("retry", format!("{:?}", retry(before)) == format!("{:?}", retry(after))),
        ("timeout", before.timeout == after.timeout),
        ("on_failure", before.on_failure == after.on_failure),
        ("compensate", before.compensate.is_some() == after.compensate.is_some()),
        ("transitions", same_state(old, before, new, after)),
    ];
    let changed: Vec<&str> = parts.iter().filter(|it| !it.1).map(|it| it.0).collect();
    if changed.is_empty() { Change::Unchanged } else { Change::Changed(changed) }
}

fn work_name(plan: &Plan, work: &WorkPlan) -> String {
    match work {
        WorkPlan::Nothing => "without work".to_owned(),
        WorkPlan::Uses { kind, .. } => format!("`{kind}`"),
        WorkPlan::Composite(inner) => match plan.composite(*inner).kind {
            CompositeKind::Graph { .. } => "a graph".to_owned(),
            CompositeKind::Machine { .. } => "a machine".to_owned(),
        },
    }
}

fn with(node: &TaskPlan) -> Option<Template> {
    match &node.work {
        WorkPlan::Uses { with, .. } => Some(with.clone()),
        WorkPlan::Nothing | WorkPlan::Composite(_) => None,
    }
}

/// The numbers of a policy, and its condition as it is written.
fn retry(node: &TaskPlan) -> Option<impl fmt::Debug> {
    let it = node.retry.as_ref()?;
    let condition = it.condition.as_ref().map(|it| it.source().to_owned());
    let delays = (it.backoff, it.delay, it.max_delay, it.multiplier, it.jitter, it.max_elapsed);
    Some((it.max_attempts, delays, condition))
}

fn same_expr(one: Option<&Expr>, other: Option<&Expr>) -> bool {
    one.map(Expr::source) == other.map(Expr::source)
}

fn same_template(one: Option<&Template>, other: Option<&Template>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.is_same(other),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Whether a state is left in the same ways.
fn same_state(old: &Plan, before: &TaskPlan, new: &Plan, after: &TaskPlan) -> bool {
    match (&before.state, &after.state) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            ways(old, before, one) == ways(new, after, other)
                && same_template(one.output.as_ref(), other.output.as_ref())
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// The transitions of a state as text.
fn ways(plan: &Plan, node: &TaskPlan, state: &StatePlan) -> Vec<String> {
    let on = state.on.iter().map(|(event, list)| (event.to_string(), list));
    let after = state.after.iter().map(|(time, list)| (format!("after {time}"), list));
    let next = std::iter::once(("next".to_owned(), &state.next));
    let mut found = vec![format!("final: {}", state.is_final)];
    for (cause, list) in on.chain(after).chain(next) {
        for it in list {
            let to = &plan.node(plan.child(node.composite, it.to)).id;
            let guard = it.condition.as_ref().map_or("", Expr::source);
            let set: Vec<String> = it
                .set
                .iter()
                .map(|(name, value)| {
                    let sources =
                        value.expressions().map(|it| it.expr.source()).collect::<Vec<_>>();
                    format!("{name}={}", sources.join(","))
                })
                .collect();
            found.push(format!("{cause} if {guard} to {to} set {}", set.join(" ")));
        }
    }
    found
}

/// Whether a node belongs to the main part, where a run can stand for long.
fn is_main(plan: &Plan, id: NodeId) -> bool {
    let mut at = id;
    loop {
        let composite = plan.node(at).composite;
        match plan.composite(composite).owner {
            None => return composite == ROOT,
            Some(owner) if plan.node(owner).compensate == Some(composite) => return false,
            Some(owner) => at = owner,
        }
    }
}

/// What stands in the way at each node of the new version, those around it apart.
struct Comparison<'p> {
    old: &'p Plan,
    new: &'p Plan,
    tasks: &'p BTreeMap<String, Change>,
    /// For all places.
    everywhere: Vec<String>,
    obstacles: HashMap<NodeId, Vec<String>>,
    remarks: HashMap<NodeId, Vec<String>>,
}

impl<'p> Comparison<'p> {
    fn new(old: &'p Plan, new: &'p Plan, tasks: &'p BTreeMap<String, Change>) -> Comparison<'p> {
        let mut comparison = Comparison {
            old,
            new,
            tasks,
            everywhere: input::narrowed(
                old.input.as_ref().map(|it| it.source()),
                new.input.as_ref().map(|it| it.source()),
            ),
            obstacles: HashMap::new(),
            remarks: HashMap::new(),
        };
        if old.hash != new.hash {
            for at in 0..new.composites.len() as u32 {
                comparison.composite(CompositeId(at));
            }
        }
        comparison
    }

    fn stand(&self, id: NodeId) -> Stand {
        let path = self.old.path(id);
        let Some(there) = self.new.find(&path) else {
            return Stand::Stuck(vec![format!("`{path}` is not there any more")]);
        };
        let mut obstacles = self.everywhere.clone();
        let mut remarks = Vec::new();
        let mut around = Some(there);
        while let Some(at) = around {
            obstacles.extend(self.obstacles.get(&at).into_iter().flatten().cloned());
            remarks.extend(self.remarks.get(&at).into_iter().flatten().cloned());
            around = self.new.composite(self.new.node(at).composite).owner;
        }
        match &self.tasks[&path] {
            Change::Replaced(how) => obstacles.push(format!("`{path}` is another task: {how}")),
            Change::Changed(parts) => remarks.push(format!("{} of `{path}`", parts.join(", "))),
            Change::Unchanged | Change::Removed | Change::Added => {}
        }
        let states = (&self.old.node(id).state, &self.new.node(there).state);
        if let (Some(before), Some(after)) = states {
            for event in events(before).difference(&events(after)) {
                remarks.push(format!("`{path}` no longer takes `{event}`"));
            }
        }
        match (obstacles.is_empty(), remarks.is_empty()) {
            (false, _) => Stand::Stuck(obstacles),
            (true, false) => Stand::Differs(remarks),
            (true, true) => Stand::Follows,
        }
    }

    /// Finds what is in the way within one composite of the new version.
    fn composite(&mut self, id: CompositeId) {
        let new = self.new;
        let composite = new.composite(id);
        let after = Successors::new(new, id);
        for index in 0..composite.len {
            let here = new.child(id, index);
            let path = new.path(here);
            match &self.tasks[&path] {
                Change::Added if matches!(composite.kind, CompositeKind::Graph { .. }) => {
                    let reason = format!("`{path}` comes before it now, and has not run");
                    for behind in after.behind(index).into_iter().filter(|it| *it != index) {
                        self.block(new.child(id, behind), &reason);
                    }
                }
                Change::Replaced(_) => self.stale_output(id, index, &after),
                Change::Changed(parts) if parts.contains(&"compensate") => {
                    self.lost_undo(id, index, &path, &after);
                }
                Change::Added | Change::Changed(_) | Change::Unchanged | Change::Removed => {}
            }
        }
        self.new_variables(id, &after);
    }

    /// What a replaced task gave is read by what is still to run.
    fn stale_output(&mut self, id: CompositeId, index: u32, after: &Successors) {
        let name = &*self.new.node(self.new.child(id, index)).id;
        let readers = after.readers(self.new, id, |it| {
            it.root == "tasks" && it.segments.first().is_some_and(|it| it == name)
        });
        let to_run = after.leading_to(&readers);
        let reason =
            format!("from there on `tasks.{name}` is read, and it was another task when it ran");
        for behind in after.behind(index) {
            if behind != index && to_run.contains(&behind) {
                self.block(self.new.child(id, behind), &reason);
            }
        }
    }

    fn lost_undo(&mut self, id: CompositeId, index: u32, path: &str, after: &Successors) {
        if self.new.node(self.new.child(id, index)).compensate.is_some() {
            return;
        }
        for behind in after.behind(index) {
            let reason = format!("nothing undoes `{path}` any more");
            self.remarks.entry(self.new.child(id, behind)).or_default().push(reason);
        }
    }

    /// Variables are made when a composite is entered: a running run lacks the new ones.
    fn new_variables(&mut self, id: CompositeId, after: &Successors) {
        let new = self.new;
        let there = match new.composite(id).owner {
            None => Some(id).filter(|it| *it == ROOT),
            Some(owner) => {
                match self.old.find(&new.path(owner)).map(|it| &self.old.node(it).work) {
                    Some(WorkPlan::Composite(inner)) => Some(*inner),
                    Some(WorkPlan::Nothing | WorkPlan::Uses { .. }) | None => None,
                }
            }
        };
        let Some(there) = there else { return };
        let known = &self.old.composite(there).vars;
        for (name, _) in &new.composite(id).vars {
            if known.iter().any(|(it, _)| it == name) {
                continue;
            }
            let readers = after.readers(new, id, |it| {
                it.root == "vars" && it.segments.first().is_some_and(|it| it == name)
            });
            let reason = format!(
                "from there on the variable `{name}` is read, which running runs do not have"
            );
            for index in after.leading_to(&readers) {
                self.block(new.child(id, index), &reason);
            }
        }
    }

    fn block(&mut self, at: NodeId, reason: &str) {
        let reasons = self.obstacles.entry(at).or_default();
        if !reasons.iter().any(|it| it == reason) {
            reasons.push(reason.to_owned());
        }
    }
}

fn events(state: &StatePlan) -> BTreeSet<&str> {
    state.on.iter().map(|(event, _)| &**event).collect()
}

/// Which children of a composite come after which.
struct Successors {
    next: Vec<Vec<u32>>,
}

impl Successors {
    fn new(plan: &Plan, id: CompositeId) -> Successors {
        let len = plan.composite(id).len;
        let next = (0..len).map(|it| plan.node(plan.child(id, it))).map(|it| match &it.state {
            None => it.dependents.to_vec(),
            Some(state) => {
                let timed = state.after.iter().flat_map(|(_, list)| list);
                let all = state.on.iter().flat_map(|(_, list)| list).chain(timed);
                all.chain(&state.next).map(|it| it.to).collect()
            }
        });
        Successors { next: next.collect() }
    }

    /// Returns a child and all that may come after it.
    fn behind(&self, index: u32) -> BTreeSet<u32> {
        spread(&self.next, [index])
    }

    /// Returns the given children and all from which one of them may be reached.
    fn leading_to(&self, targets: &[u32]) -> BTreeSet<u32> {
        let mut before = vec![Vec::new(); self.next.len()];
        for (from, next) in self.next.iter().enumerate() {
            next.iter().for_each(|to| before[*to as usize].push(from as u32));
        }
        spread(&before, targets.iter().copied())
    }

    /// Returns the children that read something, themselves or deep inside.
    fn readers(
        &self,
        plan: &Plan,
        id: CompositeId,
        is_read: impl Fn(&crate::expr::Reference) -> bool,
    ) -> Vec<u32> {
        let reads = |index: &u32| {
            let mut todo = vec![plan.child(id, *index)];
            while let Some(at) = todo.pop() {
                let node = plan.node(at);
                if references(node).iter().any(&is_read) {
                    return true;
                }
                let inner = match node.work {
                    WorkPlan::Composite(inner) => Some(inner),
                    WorkPlan::Nothing | WorkPlan::Uses { .. } => None,
                };
                for inside in inner.into_iter().chain(node.compensate) {
                    let composite = plan.composite(inside);
                    todo.extend((0..composite.len).map(|it| plan.child(inside, it)));
                }
            }
            false
        };
        (0..self.next.len() as u32).filter(reads).collect()
    }
}

fn spread(edges: &[Vec<u32>], from: impl IntoIterator<Item = u32>) -> BTreeSet<u32> {
    let mut seen: BTreeSet<u32> = from.into_iter().collect();
    let mut todo: Vec<u32> = seen.iter().copied().collect();
    while let Some(at) = todo.pop() {
        todo.extend(edges[at as usize].iter().copied().filter(|it| seen.insert(*it)));
    }
    seen
}

/// Returns all that the expressions of a node read.
fn references(node: &TaskPlan) -> Vec<crate::expr::Reference> {
    let mut found = Vec::new();
    let mut template = |it: &Template| {
        found.extend(it.references().into_iter().map(|(_, it)| it));
    };
    with(node).iter().for_each(&mut template);
    node.for_each.iter().for_each(|it| template(&it.items));
    let state = node.state.iter();
    state.clone().flat_map(|it| &it.output).for_each(&mut template);
    let lists = state.flat_map(|it| {
        let on = it.on.iter().map(|(_, list)| list);
        on.chain(it.after.iter().map(|(_, list)| list)).chain([&it.next])
    });
    let mut conditions: Vec<&Expr> = node.condition.iter().collect();
    for transition in lists.flatten() {
        transition.set.iter().for_each(|(_, it)| template(it));
        conditions.extend(&transition.condition);
    }
    found.extend(conditions.into_iter().flat_map(Expr::references));
    found
}

/// Notes where the tasks and states of a composite stand, by path.
fn collect_spans(composite: &Composite, prefix: &str, spans: &mut HashMap<String, Span>) {
    let tasks: Vec<&crate::definition::Task> = match composite {
        Composite::Graph(graph) => graph.tasks.iter().collect(),
        Composite::Machine(machine) => machine.states.iter().map(|it| &it.task).collect(),
    };
    for task in tasks {
        let path = format!("{prefix}{}", task.id.value);
        if let crate::definition::Work::Composite(inner) = &task.work {
            collect_spans(inner, &format!("{path}."), spans);
        }
        spans.insert(path, task.id.span);
    }
}
