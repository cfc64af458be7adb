//! Handlers and outputs that misbehave, results that come late, and a process that is killed.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "seeds and counts belong into the output of a test")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use surefoot::{
    By, Command, Config, Context, Engine, EngineBuilder, RunOutcome, RunStatus, StartRequest,
    TaskError,
};

async fn run(builder: EngineBuilder, source: &str) -> RunOutcome {
    let engine = builder.open().await.unwrap();
    let deployed = engine.deploy(source).await.unwrap();
    let outcome = engine.execute(StartRequest::new(&deployed.workflow)).await.unwrap();
    engine.stop(Duration::ZERO).await.unwrap();
    outcome
}

fn error_kind(outcome: &RunOutcome) -> &str {
    &outcome.error.as_ref().unwrap().error.kind
}

const CALL: &str = "{id: a, tasks: {call: {uses: bad}}}";

#[tokio::test]
async fn a_handler_that_panics_fails_its_attempt_and_nothing_else() {
    let builder = Engine::builder().handler("bad", async |_: Context, _: Value| {
        if true {
            panic!("this panic is part of the test");
        }
        Ok::<Value, TaskError>(Value::Null)
    });
    let outcome = run(builder, CALL).await;
    assert_eq!(error_kind(&outcome), "panic");
    assert!(outcome.error.unwrap().error.message.contains("part of the test"));
    let builder = Engine::builder().blocking_handler("bad", |_: Context, _: Value| {
        if true {
            panic!("this panic is part of the test");
        }
        Ok(Value::Null)
    });
    assert_eq!(error_kind(&run(builder, CALL).await), "panic");
}

#[tokio::test]
async fn a_handler_that_never_returns_is_cut_off_by_its_time_out() {
    let builder = Engine::builder().handler("bad", async |_: Context, _: Value| {
        std::future::pending::<Result<Value, TaskError>>().await
    });
    let outcome = run(builder, "{id: a, tasks: {call: {uses: bad, timeout: 50ms}}}").await;
    assert_eq!(error_kind(&outcome), "timeout");
}

#[tokio::test]
async fn an_attempt_that_sends_no_heartbeat_is_cut_off() {
    let builder = Engine::builder().handler("bad", async |context: Context, _: Value| {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            context.heartbeat();
        }
        std::future::pending::<Result<Value, TaskError>>().await
    });
    let source = "{id: a, tasks: {call: {uses: bad, timeout: {heartbeat: 300ms}}}}";
    let outcome = run(builder, source).await;
    assert_eq!(error_kind(&outcome), "timeout");
    assert!(outcome.error.unwrap().error.message.contains("was not heard of"));
}

#[tokio::test]
async fn an_output_beyond_the_limit_fails_the_task_with_both_numbers() {
    let builder = Engine::builder()
        .handler("bad", async |_: Context, _: Value| Ok::<_, TaskError>("x".repeat(100_000_000)));
    let outcome = run(builder, CALL).await;
    assert_eq!(error_kind(&outcome), "payload_too_large");
    assert!(outcome.error.unwrap().error.message.contains("1048576"));
}

#[tokio::test]
async fn too_many_items_fail_the_task() {
    let config = Config {
        limits: surefoot::core::limits::Limits { fan_out: 3, ..Default::default() },
        ..Config::default()
    };
    let source = "{id: a, tasks: {call: {for_each: '${{ [1, 2, 3, 4] }}', uses: transform, with: {n: '${{ item }}'}}}}";
    let outcome = run(Engine::builder().config(config), source).await;
    assert_eq!(error_kind(&outcome), "limit_fan_out");
}

#[tokio::test]
async fn outputs_that_are_too_much_together_fail_the_task_that_is_too_much() {
    let limits = surefoot::core::limits::Limits { context_bytes: 2_500, ..Default::default() };
    let builder = Engine::builder()
        .config(Config { limits, ..Config::default() })
        .handler("bad", async |_: Context, _: Value| Ok::<_, TaskError>("x".repeat(1_000)));
    let source =
        "{id: a, tasks: {a: {uses: bad}, b: {needs: [a], uses: bad}, c: {needs: [b], uses: bad}}}";
    let outcome = run(builder, source).await;
    assert_eq!(error_kind(&outcome), "context_too_large");
    assert_eq!(outcome.error.unwrap().task.as_deref(), Some("c"));
}

#[tokio::test]
async fn a_start_beyond_the_runs_that_fit_is_refused() {
    let limits = surefoot::core::limits::Limits { resident_runs: 1, ..Default::default() };
    let engine = Engine::builder()
        .config(Config { limits, ..Config::default() })
        .handler("bad", async |_: Context, _: Value| {
            std::future::pending::<Result<Value, TaskError>>().await
        })
        .open()
        .await
        .unwrap();
    engine.deploy(CALL).await.unwrap();
    engine.start(StartRequest::new("a")).await.unwrap();
    let refused = engine.start(StartRequest::new("a")).await.err().unwrap();
    assert!(refused.to_string().contains("limits.resident_runs"), "{refused}");
}

#[tokio::test]
async fn an_unknown_handler_is_refused_at_the_start_with_what_there_is() {
    let engine = Engine::builder()
        .handler("good", async |_: Context, _: Value| Ok::<_, TaskError>(Value::Null))
        .open()
        .await
        .unwrap();
    engine.deploy(CALL).await.unwrap();
    let refused = engine.start(StartRequest::new("a")).await.err().unwrap();
    assert_eq!(refused.to_string(), "nothing here can run `bad`");
}

#[tokio::test]
async fn an_input_that_breaks_its_schema_is_refused_with_every_path() {
    let engine = Engine::builder().open().await.unwrap();
    let source = "
id: a
input: {type: object, required: [n, name], properties: {n: {type: integer}, list: {type: array, items: {type: string}}}}
tasks: {t: {uses: transform, with: {n: '${{ input.n }}'}}}
";
    engine.deploy(source).await.unwrap();
    let request = StartRequest::new("a").input(json!({"n": "x", "list": ["a", 1]}));
    let text = engine.start(request).await.err().unwrap().to_string();
    for part in ["name", "/n: ", "/list/1: "] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[tokio::test]
async fn one_key_starts_one_run_and_another_body_is_a_conflict() {
    let engine = Engine::builder().open().await.unwrap();
    engine.deploy("{id: a, tasks: {t: {uses: transform, with: {n: 1}}}}").await.unwrap();
    let request = StartRequest::new("a").key("k").input(json!({"n": 1}));
    let first = engine.start(request.clone()).await.unwrap();
    let again = engine.start(request.clone()).await.unwrap();
    assert_eq!(first.id(), again.id());
    let other = engine.start(request.input(json!({"n": 2}))).await.err().unwrap();
    assert!(other.to_string().contains("was used for run"), "{other}");
}

#[tokio::test]
async fn commands_that_make_no_sense_are_refused_with_the_reason() {
    let engine = Engine::builder().open().await.unwrap();
    engine.deploy("{id: a, tasks: {t: {uses: wait, with: {for: 1h}}}}").await.unwrap();
    let run = engine.start(StartRequest::new("a")).await.unwrap();
    let by = || By::actor("ann");
    let refused = |answer: Result<(), surefoot::CommandError>| answer.unwrap_err().to_string();
    assert!(
        refused(run.command(Command::Retry, by()).await)
            .contains("cannot retry a run that is running")
    );
    run.command(Command::Pause, by()).await.unwrap();
    run.command(Command::Pause, by()).await.unwrap();
    run.command(Command::Resume, by()).await.unwrap();
    run.command(Command::Cancel, by()).await.unwrap();
    let outcome = run.wait().await.unwrap();
    assert_eq!(outcome.status, RunStatus::Cancelled);
    run.command(Command::Cancel, by()).await.unwrap();
    let signal = Command::Signal { name: "go".to_owned(), data: Value::Null };
    assert!(
        refused(run.command(signal, by()).await).contains("cannot signal a run that is cancelled")
    );
    let nobody = surefoot::RunId::new(1, 1);
    assert!(
        refused(engine.command(nobody, Command::Cancel, by()).await).contains("there is no run")
    );
}

#[tokio::test]
async fn secrets_reach_the_handler_and_nothing_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets");
    std::fs::write(&file, "token=s3cr3t-value\n").unwrap();
    let config = Config {
        secrets: surefoot::SecretsConfig { file: Some(file), ..Default::default() },
        ..Config::default()
    };
    let builder =
        Engine::builder().config(config).handler("bad", async |context: Context, input: Value| {
            assert_eq!(input["token"], "s3cr3t-value");
            context.log("info", "using s3cr3t-value");
            Ok::<_, TaskError>(
                json!({"echo": format!("Bearer {}", input["token"].as_str().unwrap())}),
            )
        });
    let engine = builder.open().await.unwrap();
    engine.deploy("{id: a, tasks: {call: {uses: bad, with: {token: '${{ secrets.token }}'}}}, output: '${{ tasks.call.output.echo }}'}").await.unwrap();
    let outcome = engine.execute(StartRequest::new("a")).await.unwrap();
    assert_eq!(outcome.output, json!("Bearer «secret»"));
    let history = surefoot::inspect::history(&**engine.store(), outcome.run).await.unwrap();
    assert!(!format!("{history:?}").contains("s3cr3t"));
    engine.idle().await;
    let logs = engine
        .store()
        .logs(outcome.run, &surefoot::store::LogFilter { limit: 10, ..Default::default() })
        .await
        .unwrap();
    assert!(!format!("{logs:?}").contains("s3cr3t"));
}

// A process that is killed.

const VICTIM: &str = "SUREFOOT_TEST_VICTIM";
const ROUNDS: u32 = 12;
const CHAIN: &str = "
id: chain
tasks:
  a: {uses: note}
  b: {needs: [a], uses: note}
  c: {for_each: '${{ [1, 2, 3, 4, 5] }}', needs: [b], uses: note}
  d: {needs: [c], uses: note}
";

/// Not a test of its own: the process that the next test kills.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Ok(folder) = std::env::var(VICTIM) else { return };
    let effects = Arc::new(std::path::PathBuf::from(&folder).join("effects"));
    let engine = Engine::builder()
        .store(&format!("sqlite:{folder}/store.db"))
        .handler("note", move |context: Context, _: Value| {
            let effects = effects.clone();
            async move {
                // The outside world keeps what it was told, with the key that tells repeats.
                append(&effects, &context);
                Ok::<_, TaskError>(json!({"done": context.task}))
            }
        })
        .open()
        .await
        .unwrap();
    engine.deploy(CHAIN).await.unwrap();
    for number in 0..1_000_000 {
        let run = engine
            .start(StartRequest::new("chain").key(&format!("{}-{number}", std::process::id())))
            .await
            .unwrap();
        println!("acked {}", run.id());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_nothing_that_it_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let seed: u64 = std::env::var("SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(7);
    println!("seed {seed}");
    let mut draw = seed;
    let mut acked = Vec::new();
    for _ in 0..ROUNDS {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        acked.extend(kill_after(folder.path(), 1 + (draw >> 33) % 60));
    }
    assert!(!acked.is_empty());

    let store = format!("sqlite:{}", folder.path().join("store.db").display());
    let effects = folder.path().join("effects");
    let appended = effects.clone();
    let engine = Engine::builder()
        .store(&store)
        .handler("note", move |context: Context, _: Value| {
            append(&appended, &context);
            async move { Ok::<_, TaskError>(json!({"done": context.task})) }
        })
        .open()
        .await
        .unwrap();
    for id in &acked {
        let outcome = engine.run(*id).wait().await.unwrap();
        assert_eq!(outcome.status, RunStatus::Completed, "seed {seed}: {outcome:?}");
    }
    assert_eq!(engine.store().verify().await.unwrap(), [], "seed {seed}");
    engine.stop(Duration::from_secs(5)).await.unwrap();

    // Every task of every confirmed run has had its effect; repeats carry the same key.
    let text = std::fs::read_to_string(effects).unwrap();
    let keys: std::collections::BTreeSet<&str> =
        text.lines().filter_map(|it| it.split(' ').next()).collect();
    assert!(keys.len() >= acked.len() * 8, "{} keys for {} runs", keys.len(), acked.len());
    println!(
        "{} runs confirmed over {ROUNDS} kills, {} effects, {} of them repeats",
        acked.len(),
        text.lines().count(),
        text.lines().count() - keys.len()
    );
}

/// Tells the outside world. One write, so that lines of tasks that run at once stay whole.
fn append(effects: &std::path::Path, context: &Context) {
    let line = format!("{} {}\n", context.idempotency_key, context.task);
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(effects).unwrap();
    file.write_all(line.as_bytes()).unwrap();
    file.sync_all().unwrap();
}

/// Starts the victim, reads so many confirmations, kills it, and returns what it confirmed.
fn kill_after(folder: &std::path::Path, confirmations: u64) -> Vec<surefoot::RunId> {
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args(["victim", "--exact", "--nocapture"])
        .env(VICTIM, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut acked = Vec::new();
    for line in lines {
        let Some(id) = line.rsplit("acked ").next().and_then(|it| it.trim().parse().ok()) else {
            continue;
        };
        acked.push(id);
        if acked.len() as u64 == confirmations {
            child.kill().unwrap();
        }
    }
    assert_eq!(child.wait().unwrap().signal(), Some(9), "the victim was to be killed");
    acked
}
