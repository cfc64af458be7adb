//! What the structure of a definition shows by itself: that a graph ends, and that a machine can.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Invalid;
use crate::plan::{
    CompositeId, CompositeKind, CompositePlan, NodeId, Plan, ROOT, TaskPlan, WorkPlan,
};

/// The tasks of a graph, each behind all that it waits for: so none waits for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub tasks: Vec<String>,
}

/// From every state of a machine, transitions that lead to an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exits {
    /// By state, the next one on a way to an end.
    pub next: BTreeMap<String, String>,
    /// Final states, and those whose work always fails.
    pub ends: Vec<String>,
    /// The states that are never entered. That they are not is shown elsewhere.
    pub never: Vec<String>,
}

impl Order {
    pub(super) fn check(&self, plan: &Plan, subject: &str) -> Result<(), Invalid> {
        let graph = composite(plan, subject)
            .filter(|it| matches!(it.kind, CompositeKind::Graph { .. }))
            .ok_or_else(|| Invalid::NoComposite(subject.to_owned(), "graph"))?;
        let children = places(graph, self.tasks.iter())?;
        let mut is_before = vec![false; children.len()];
        for (child, name) in children.iter().zip(&self.tasks) {
            let mut needs = child_of(plan, graph, *child).needs.iter();
            if !needs.all(|it| is_before[*it as usize]) {
                return Err(Invalid::Order(name.clone()));
            }
            is_before[*child as usize] = true;
        }
        Ok(())
    }
}

impl Exits {
    pub(super) fn check(&self, plan: &Plan, subject: &str) -> Result<(), Invalid> {
        let found = composite(plan, subject);
        let Some((machine, initial)) = found.and_then(|it| match it.kind {
            CompositeKind::Machine { initial } => Some((it, initial)),
            CompositeKind::Graph { .. } => None,
        }) else {
            return Err(Invalid::NoComposite(subject.to_owned(), "machine"));
        };
        places(machine, self.next.keys().chain(&self.ends).chain(&self.never))?;
        let first = child_of(plan, machine, initial);
        if self.never.iter().any(|it| **it == *first.id) {
            return Err(Invalid::NotAll(first.id.to_string()));
        }
        for end in &self.ends {
            if !ends(child_of(plan, machine, machine.ids[&**end])) {
                return Err(Invalid::NoEnd(end.clone()));
            }
        }
        for (from, to) in &self.next {
            let target = machine.ids.get(&**to);
            if !target.is_some_and(|it| leads(child_of(plan, machine, machine.ids[&**from]), *it)) {
                return Err(Invalid::NoTransition(from.clone(), to.clone()));
            }
            self.follow(from)?;
        }
        Ok(())
    }

    fn follow(&self, from: &str) -> Result<(), Invalid> {
        let mut at = from;
        for _ in 0..=self.next.len() {
            match self.next.get(at) {
                Some(next) => at = next,
                None if self.ends.iter().any(|it| it == at) => return Ok(()),
                None => break,
            }
        }
        Err(Invalid::NoEnd(from.to_owned()))
    }
}

/// The children of a composite by their names, each exactly once.
fn places<'a>(
    composite: &CompositePlan,
    names: impl Iterator<Item = &'a String>,
) -> Result<Vec<u32>, Invalid> {
    let mut is_named = vec![false; composite.len as usize];
    let mut places = Vec::with_capacity(is_named.len());
    for name in names {
        match composite.ids.get(&**name) {
            Some(at) if !std::mem::replace(&mut is_named[*at as usize], true) => places.push(*at),
            _ => return Err(Invalid::NotAll(name.clone())),
        }
    }
    match is_named.iter().position(|it| !it) {
        Some(missing) => {
            let of = composite.ids.iter().find(|it| *it.1 as usize == missing);
            Err(Invalid::NotAll(of.map_or_else(String::new, |it| it.0.to_string())))
        }
        None => Ok(places),
    }
}

fn composite<'a>(plan: &'a Plan, subject: &str) -> Option<&'a CompositePlan> {
    let id: CompositeId = match subject {
        "" => ROOT,
        path => match plan.node(plan.find(path)?).work {
            WorkPlan::Composite(inner) => inner,
            WorkPlan::Nothing | WorkPlan::Uses { .. } => return None,
        },
    };
    Some(plan.composite(id))
}

fn child_of<'a>(plan: &'a Plan, composite: &CompositePlan, child: u32) -> &'a TaskPlan {
    plan.node(NodeId(composite.first + child))
}

fn leads(state: &TaskPlan, to: u32) -> bool {
    state.state.as_ref().is_some_and(|it| {
        let on = it.on.iter().flat_map(|it| &it.1);
        let after = it.after.iter().flat_map(|it| &it.1);
        on.chain(after).chain(&it.next).any(|it| it.to == to)
    })
}

/// Whether a machine ends in a state, in success or by the failure of its work.
fn ends(state: &TaskPlan) -> bool {
    let always_fails = matches!(&state.work, WorkPlan::Uses { kind, .. } if &**kind == "fail");
    always_fails || state.state.as_ref().is_some_and(|it| it.is_final)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{CheckContext, check_source};

    const GRAPH: &str = "id: g\ntasks: {a: {uses: x}, b: {uses: x, needs: [a]}, c: {uses: x}}\n";
    const MACHINE: &str = "
id: m
initial: open
states:
  open: {on: {submit: review, cancel: gone}}
  review: {on: {reject: open, accept: done}}
  done: {final: true}
  gone: {final: true}
";

    fn plan(source: &str) -> std::sync::Arc<Plan> {
        let mut documents = check_source(source.as_bytes(), &CheckContext::default());
        documents.remove(0).plan.expect("it is accepted")
    }

    #[track_caller]
    fn check_order(tasks: &[&str], expected: Result<(), Invalid>) {
        let order = Order { tasks: tasks.iter().map(|it| (*it).to_owned()).collect() };
        assert_eq!(order.check(&plan(GRAPH), ""), expected, "{tasks:?}");
    }

    #[test]
    fn an_order_names_every_task_behind_its_needs() {
        check_order(&["a", "b", "c"], Ok(()));
        check_order(&["c", "a", "b"], Ok(()));
        check_order(&["b", "a", "c"], Err(Invalid::Order("b".to_owned())));
        check_order(&["a", "b"], Err(Invalid::NotAll("c".to_owned())));
        check_order(&["a", "a", "b", "c"], Err(Invalid::NotAll("a".to_owned())));
        check_order(&["a", "b", "c", "d"], Err(Invalid::NotAll("d".to_owned())));
    }

    #[track_caller]
    fn check_exits(
        next: &[(&str, &str)],
        ends: &[&str],
        never: &[&str],
        expected: Result<(), Invalid>,
    ) {
        let own = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
        let next = next.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect();
        let exits = Exits { next, ends: own(ends), never: own(never) };
        assert_eq!(exits.check(&plan(MACHINE), ""), expected, "{exits:?}");
    }

    #[test]
    fn exits_lead_from_every_state_to_an_end() {
        let ends = &["done", "gone"];
        let transition = |from: &str, to: &str| Invalid::NoTransition(from.into(), to.into());
        check_exits(&[("open", "gone"), ("review", "done")], ends, &[], Ok(()));
        check_exits(&[("open", "review"), ("review", "done")], ends, &[], Ok(()));
        let round = &[("open", "review"), ("review", "open")];
        check_exits(round, ends, &[], Err(Invalid::NoEnd("open".to_owned())));
        let jump = &[("open", "done"), ("review", "done")];
        check_exits(jump, ends, &[], Err(transition("open", "done")));
        check_exits(&[("open", "gone")], ends, &[], Err(Invalid::NotAll("review".to_owned())));
        let early = Err(Invalid::NoEnd("review".to_owned()));
        check_exits(&[("open", "review")], &["review", "done", "gone"], &[], early);
        let none = Err(Invalid::NotAll("open".to_owned()));
        check_exits(&[("review", "done")], ends, &["open"], none);
    }

    #[test]
    fn only_composites_have_a_structure() {
        let order = Order { tasks: Vec::new() };
        let of = |subject: &str| order.check(&plan(GRAPH), subject);
        assert_eq!(of("a"), Err(Invalid::NoComposite("a".to_owned(), "graph")));
        assert_eq!(of("x"), Err(Invalid::NoComposite("x".to_owned(), "graph")));
        let machine = order.check(&plan(MACHINE), "");
        assert_eq!(machine, Err(Invalid::NoComposite(String::new(), "graph")));
    }
}
