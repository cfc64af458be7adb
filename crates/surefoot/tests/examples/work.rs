//! `fan_out`, `capability_routing` and `embedding`: work that functions of this process do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use surefoot::{
    By, Command, Context, Engine, EngineBuilder, RunStatus, StartError, StartRequest, TaskError,
};

use crate::GRACE;
use crate::support::examples::{all_examples, source};

/// Grades in parallel and counts: those at work now, the most at once, and all calls.
#[derive(Default)]
struct Graders {
    now: AtomicUsize,
    most: AtomicUsize,
    calls: AtomicUsize,
}

impl Graders {
    async fn grade(&self, value: f64) -> Result<Value, TaskError> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.calls.fetch_add(1, Ordering::SeqCst);
        // The others get a chance to be at work at the same time.
        tokio::task::yield_now().await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        match value {
            bad if bad < 0.0 => Err(TaskError::fatal("bad_reading", "a reading is not negative")),
            high if high >= 900.0 => Ok(json!({"grade": "high"})),
            _ => Ok(json!({"grade": "normal"})),
        }
    }
}

fn grading(graders: &Arc<Graders>) -> EngineBuilder {
    let graders = graders.clone();
    Engine::builder().store("memory:").handler("grade_reading", move |_: Context, it: Value| {
        let graders = graders.clone();
        async move { graders.grade(it["value"].as_f64().unwrap_or(-1.0)).await }
    })
}

#[tokio::test]
async fn a_thousand_readings_are_graded_sixteen_at_a_time() {
    let graders = Arc::new(Graders::default());
    let engine = grading(&graders).open().await.unwrap();
    engine.deploy(&source("fan_out")).await.unwrap();
    let readings: Vec<f64> =
        (0..1000).map(|it| if it % 100 == 7 { -1.0 } else { f64::from(it) }).collect();
    let request = StartRequest::new("fan_out").input(json!({"readings": readings}));
    let outcome = engine.execute(request).await.unwrap();
    assert_eq!(outcome.status, RunStatus::Completed, "{outcome:?}");
    assert_eq!(outcome.output, json!({"readings": 1000, "graded": 990, "high": 99}));
    assert_eq!(graders.calls.load(Ordering::SeqCst), 1000);
    let most = graders.most.load(Ordering::SeqCst);
    assert!((2..=16).contains(&most), "{most} at once");
    engine.stop(GRACE).await.unwrap();
}

#[tokio::test]
async fn a_paused_run_starts_nothing_until_it_is_resumed() {
    let graders = Arc::new(Graders::default());
    let engine = grading(&graders).open().await.unwrap();
    engine.deploy(&source("fan_out")).await.unwrap();
    let readings: Vec<u32> = (0..500).collect();
    let request = StartRequest::new("fan_out").input(json!({"readings": readings}));
    let run = engine.start(request).await.unwrap();
    run.command(Command::Pause, By::actor("ann")).await.unwrap();
    engine.idle().await;
    let before = graders.calls.load(Ordering::SeqCst);
    assert!(before < 500, "{before} readings were graded before the pause");
    run.command(Command::Resume, By::actor("ann")).await.unwrap();
    let outcome = run.wait().await.unwrap();
    assert_eq!(outcome.output["graded"], 500, "{outcome:?}");
    assert_eq!(graders.calls.load(Ordering::SeqCst), 500, "none was graded twice");
    engine.stop(GRACE).await.unwrap();
}

#[tokio::test]
async fn each_file_goes_to_who_can_process_it() {
    let calls: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut builder = Engine::builder().store("memory:");
    for capability in ["image_resize", "speech_to_text", "search_index"] {
        let calls = calls.clone();
        builder = builder.handler(capability, move |_: Context, it: Value| {
            let name = it["name"].as_str().unwrap_or_default();
            calls.lock().unwrap().push(format!("{capability} {name}"));
            async { Ok::<_, TaskError>(Value::Null) }
        });
    }
    let engine = builder.open().await.unwrap();
    engine.deploy(&source("capability_routing")).await.unwrap();
    let media = json!([{"name": "a.png", "kind": "image"}, {"name": "b.ogg", "kind": "audio"}]);
    let request = StartRequest::new("capability_routing").input(json!({"media": media}));
    let outcome = engine.execute(request).await.unwrap();
    assert_eq!(outcome.status, RunStatus::Completed, "{outcome:?}");
    let mut calls = calls.lock().unwrap().clone();
    calls.sort();
    let expected =
        ["image_resize a.png", "search_index a.png", "search_index b.ogg", "speech_to_text b.ogg"];
    assert_eq!(calls, expected);
    engine.stop(GRACE).await.unwrap();
}

#[tokio::test]
async fn what_nobody_can_do_is_refused_at_the_start() {
    let examples = all_examples();
    for example in examples.iter().filter(|it| !it.handlers.is_empty()) {
        let engine = Engine::builder().store("memory:").open().await.unwrap();
        let workflow = engine.deploy(&example.source).await.unwrap().workflow;
        let request = StartRequest::new(&workflow).input(example.input.clone());
        let Err(StartError::MissingHandlers { names, .. }) = engine.start(request).await else {
            panic!("{} starts without its handlers", example.name);
        };
        let mut expected = example.handlers.clone();
        expected.sort_unstable();
        assert_eq!(names, expected, "{}", example.name);
    }
}

#[path = "../../examples/embedding.rs"]
#[expect(dead_code, reason = "its `main` is for its users")]
mod embedding;

#[tokio::test]
async fn the_embedded_order_is_charged_once_however_often_it_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("orders.db").display());
    let first = embedding::run(&store, "o-1").await.unwrap();
    assert_eq!(first.status, RunStatus::Completed, "{first:?}");
    assert_eq!(first.output["parcel"], "parcel-o-1");
    assert_eq!(embedding::run(&store, "o-1").await.unwrap(), first, "the same run is found");
    let other = embedding::run(&store, "o-2").await.unwrap();
    assert_ne!(other.output["charge"], first.output["charge"]);
}
