//! Random definitions: the check never panics, and the plans that it makes are whole.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use surefoot_core::check::{CheckContext, check_source};
use surefoot_core::plan::{CompositeKind, NodeId, Plan, WorkPlan};
use surefoot_core::source::Problem;

const JOINS: [&str; 5] = ["all_success", "none_failed", "any_success", "any_failed", "all_done"];

/// A task before it has a name. Its needs are picked from the tasks that it may need.
#[derive(Clone, Debug)]
struct Sketch {
    needs: Vec<prop::sample::Index>,
    join: usize,
    is_undone: bool,
    group: Vec<Sketch>,
}

fn sketches() -> impl Strategy<Value = Vec<Sketch>> {
    fn sketch(group: impl Strategy<Value = Vec<Sketch>>) -> impl Strategy<Value = Sketch> {
        let needs = vec(any::<prop::sample::Index>(), 0..4);
        (needs, 0..JOINS.len(), any::<bool>(), group)
            .prop_map(|(needs, join, is_undone, group)| Sketch { needs, join, is_undone, group })
    }
    let leaf = sketch(Just(Vec::new())).boxed();
    let nested = leaf.prop_recursive(3, 40, 6, |inner| sketch(vec(inner, 0..6)));
    vec(nested, 1..8)
}

/// Names the tasks and draws their needs: from the earlier ones only if `is_acyclic`.
fn graph(sketches: &[Sketch], prefix: &str, is_acyclic: bool) -> Value {
    let name = |at: usize| format!("{prefix}{at}");
    let mut tasks = Map::new();
    for (at, sketch) in sketches.iter().enumerate() {
        let candidates = if is_acyclic { at } else { sketches.len() };
        let mut task = Map::new();
        if candidates > 0 && !sketch.needs.is_empty() {
            let needs: Vec<_> = sketch.needs.iter().map(|it| name(it.index(candidates))).collect();
            task.insert("if".into(), json!(format!("tasks.{}.status != \"\"", needs[0])));
            task.insert("needs".into(), json!(needs));
            task.insert("join".into(), json!(JOINS[sketch.join]));
        }
        if sketch.group.is_empty() {
            task.insert("uses".into(), json!("probe"));
        } else {
            let inner = graph(&sketch.group, &format!("{}_", name(at)), is_acyclic);
            task.insert("tasks".into(), inner);
        }
        if sketch.is_undone {
            task.insert("compensate".into(), json!({"uses": "undo"}));
        }
        tasks.insert(name(at), Value::Object(task));
    }
    Value::Object(tasks)
}

fn check_is_whole(plan: &Plan) {
    for (at, composite) in plan.composites.iter().enumerate() {
        assert_eq!(composite.ids.len(), composite.len as usize);
        for index in 0..composite.len {
            let id = NodeId(composite.first + index);
            let node = plan.node(id);
            assert_eq!(node.composite.0 as usize, at);
            assert_eq!(composite.ids.get(&node.id), Some(&index));
            assert_eq!(plan.find(&plan.path(id)), Some(id));
            for need in &node.needs {
                let other = plan.node(plan.child(node.composite, *need));
                assert!(other.dependents.contains(&index), "a need knows who waits for it");
            }
            for dependent in &node.dependents {
                let other = plan.node(plan.child(node.composite, *dependent));
                assert!(other.needs.contains(&index), "who waits knows its need");
            }
            if let WorkPlan::Composite(inner) = &node.work {
                assert_eq!(plan.composite(*inner).owner, Some(id));
            }
        }
        if let CompositeKind::Graph { roots, .. } = &composite.kind {
            let is_root = |it: &u32| plan.nodes[(composite.first + it) as usize].needs.is_empty();
            assert!((0..composite.len).filter(is_root).eq(roots.iter().copied()));
        }
    }
    let children: u32 = plan.composites.iter().map(|it| it.len).sum();
    assert_eq!(children as usize, plan.nodes.len(), "each node is the child of one composite");
}

proptest! {
    #[test]
    fn an_acyclic_graph_has_a_whole_plan(sketches in sketches()) {
        let source = json!({"id": "random", "tasks": graph(&sketches, "t", true)}).to_string();
        let found = check_source(source.as_bytes(), &CheckContext::default()).remove(0);
        let errors: Vec<_> = found.problems.iter().filter(|it| it.is_error()).collect();
        prop_assert!(errors.is_empty(), "{errors:?} in {source}");
        check_is_whole(&found.plan.unwrap());
    }

    #[test]
    fn there_is_a_plan_exactly_if_there_is_no_error(sketches in sketches()) {
        let source = json!({"id": "random", "tasks": graph(&sketches, "t", false)}).to_string();
        let found = check_source(source.as_bytes(), &CheckContext::default()).remove(0);
        prop_assert_eq!(found.plan.is_none(), found.problems.iter().any(Problem::is_error));
        if let Some(plan) = &found.plan {
            check_is_whole(plan);
        }
    }

    #[test]
    fn a_random_machine_never_panics(
        targets in vec(vec(0..9usize, 0..4), 1..8),
        initial in 0..9usize,
        finals in vec(any::<bool>(), 8),
    ) {
        let name = |it: usize| format!("s{it}");
        let mut states = Map::new();
        for (at, targets) in targets.iter().enumerate() {
            let next: Vec<Value> = targets.iter().map(|it| match it % 3 {
                0 => json!({"to": name(*it)}),
                1 => json!({"to": name(*it), "if": "vars.n > 1", "set": {"n": 1}}),
                _ => json!({"to": name(*it), "if": format!("tasks.{}.output.x", name(*it))}),
            }).collect();
            let is_final = finals[at] && next.is_empty();
            states.insert(name(at), match (is_final, next.is_empty()) {
                (true, _) => json!({"final": true}),
                (false, true) => json!({"uses": "probe"}),
                (false, false) if at % 2 == 0 => json!({"next": next}),
                (false, false) => json!({"on": {"go": next}}),
            });
        }
        let definition = json!({
            "id": "random", "vars": {"n": 0}, "initial": name(initial), "states": states,
        });
        let source = definition.to_string();
        let found = check_source(source.as_bytes(), &CheckContext::default()).remove(0);
        prop_assert_eq!(found.plan.is_none(), found.problems.iter().any(Problem::is_error));
        if let Some(plan) = &found.plan {
            check_is_whole(plan);
        }
    }

    #[test]
    fn random_text_never_panics(source in ".{0,200}") {
        prop_assert!(!check_source(source.as_bytes(), &CheckContext::default()).is_empty());
    }
}
