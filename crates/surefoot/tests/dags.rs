//! Graphs of real workflows, converted and run to their end on a real database file; the journal
//! is read back and checked.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "seeds and counts belong into the output of a test")]

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use surefoot::core::convert::{ConvertKind, ConvertOptions, wfcommons};
use surefoot::core::run::{RunState, TaskId};
use surefoot::{Config, Engine, Event, RunStatus, StartRequest, TaskStatus};

/// Tasks do nothing, so that what is measured is the graph.
const OPTIONS: ConvertOptions = ConvertOptions { time_scale: 0.0, kind: ConvertKind::Transform };

/// Every graph of the folder, and one of 50,000 tasks made from copies of a real one.
fn graphs() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/dags");
    let mut graphs: Vec<(String, Value)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .filter(|it| it.extension().is_some_and(|it| it == "json"))
        .map(|it| {
            let name = it.file_name().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_slice(&std::fs::read(&it).unwrap()).unwrap())
        })
        .collect();
    graphs.sort_by(|a, b| a.0.cmp(&b.0));
    graphs
}

/// Copies of a graph, each behind the one before it, until there are `tasks` tasks.
fn chained(graph: &Value, tasks: usize) -> Value {
    let original = graph["tasks"].as_array().unwrap();
    let mut all: Vec<Value> = Vec::new();
    for copy in 0..tasks.div_ceil(original.len()) {
        for task in original {
            let id = |id: &Value, copy: usize| json!(format!("{}_{copy}", id.as_str().unwrap()));
            let mut deps: Vec<Value> =
                task["deps"].as_array().unwrap().iter().map(|it| id(it, copy)).collect();
            if deps.is_empty() && copy > 0 {
                deps.push(id(&original[original.len() - 1]["id"], copy - 1));
            }
            all.push(json!({"id": id(&task["id"], copy), "deps": deps}));
        }
    }
    json!({"name": "chained", "tasks": all})
}

#[tokio::test(flavor = "multi_thread")]
async fn real_graphs_run_to_their_end() {
    let mut ran = 0;
    for (name, graph) in graphs().into_iter().filter(|it| !it.0.starts_with("cyclic__")) {
        ran += run(&name, &graph).await;
    }
    println!("{ran} tasks of real graphs");
    assert!(ran > 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_of_50_000_tasks_runs_to_its_end() {
    let graphs = graphs();
    let (_, graph) = graphs.iter().find(|it| it.0.contains("CyberShake_100")).unwrap();
    assert!(run("50,000 tasks", &chained(graph, 50_000)).await >= 50_000);
}

#[test]
fn a_cyclic_graph_is_refused_with_its_cycle() {
    let cyclic: Vec<_> = graphs().into_iter().filter(|it| it.0.starts_with("cyclic__")).collect();
    assert!(cyclic.len() >= 2);
    for (name, graph) in cyclic {
        let problems = wfcommons(&graph, &OPTIONS).unwrap_err();
        let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(text.contains('→'), "{name}: {text}");
    }
}

/// Runs a graph and checks its journal. Returns how many tasks it has.
async fn run(name: &str, graph: &Value) -> usize {
    let converted = wfcommons(graph, &OPTIONS).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("store.db").display());
    let config = Config { allow_large: true, ..Config::default() };
    let engine = Engine::builder().store(&store).config(config).open().await.unwrap();
    let deployed = engine.deploy(&converted.definition_yaml).await.unwrap();
    let outcome = engine.execute(StartRequest::new(&deployed.workflow)).await.unwrap();
    assert_eq!(outcome.status, RunStatus::Completed, "{name}: {:?}", outcome.error);
    let records = surefoot::inspect::history(&**engine.store(), outcome.run).await.unwrap();
    engine.stop(Duration::from_secs(5)).await.unwrap();

    let state = RunState::fold(outcome.run, records.iter().cloned()).unwrap();
    assert!(state.tasks.iter().all(|it| it.status == TaskStatus::Completed), "{name}");
    let mut ended: HashMap<TaskId, usize> = HashMap::new();
    let mut place = 0;
    for event in records.iter().flat_map(|it| &it.events) {
        place += 1;
        if let Event::Completed { task, .. } = event {
            assert_eq!(ended.insert(*task, place), None, "{name}: a task completed twice");
            for need in &deployed.plan.nodes[task.0 as usize].needs {
                assert!(ended.contains_key(&TaskId(*need)), "{name}: a task ran before its need");
            }
        }
    }
    assert_eq!(ended.len(), graph["tasks"].as_array().unwrap().len(), "{name}");
    ended.len()
}
