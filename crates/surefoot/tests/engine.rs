//! The engine as its users call it: definitions in, outcomes out.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use surefoot::core::run::Wait;
use surefoot::{
    By, Command, Context, Engine, EngineBuilder, RunId, RunOutcome, RunStatus, StartRequest,
    TaskError, VirtualClock,
};

fn builder() -> EngineBuilder {
    Engine::builder()
        .store("memory:")
        .clock(Arc::new(VirtualClock::at("2027-01-01T00:00:00Z")))
        .handler("echo", async |_: Context, input: Value| Ok::<_, TaskError>(input))
        .handler("boom", async |_: Context, _: Value| {
            Err::<Value, _>(TaskError::new("boom", "it went wrong"))
        })
}

async fn run(source: &str, input: Value) -> RunOutcome {
    run_with(builder(), source, input).await
}

async fn run_with(builder: EngineBuilder, source: &str, input: Value) -> RunOutcome {
    let engine = builder.open().await.unwrap();
    let deployed = engine.deploy(source).await.unwrap();
    let outcome = engine.execute(StartRequest::new(&deployed.workflow).input(input)).await.unwrap();
    engine.stop(Duration::from_secs(1)).await.unwrap();
    outcome
}

#[tokio::test]
async fn a_graph_passes_results_on() {
    let outcome = run(
        "
id: sum
tasks:
  one: {uses: transform, with: {value: '${{ input.n + 1 }}'}}
  two: {needs: [one], uses: echo, with: {n: '${{ tasks.one.output.value * 2 }}'}}
  three: {needs: [one, two], uses: transform, with: '${{ tasks.two.output.n + tasks.one.output.value }}'}
output: {total: '${{ tasks.three.output }}'}
",
        json!({"n": 4}),
    )
    .await;
    assert_eq!(outcome.status, RunStatus::Completed, "{outcome:?}");
    assert_eq!(outcome.output, json!({"total": 15}));
}

#[tokio::test]
async fn a_condition_skips_and_a_join_decides() {
    let source = "
id: choose
tasks:
  a: {uses: transform, with: {n: 1}}
  b: {needs: [a], if: input.yes, uses: transform, with: {n: 2}}
  c: {needs: [a, b], join: none_failed, uses: transform, with: '${{ tasks.b.status }}'}
  d: {needs: [b], uses: transform, with: {n: 3}}
output: ['${{ tasks.c.output }}', '${{ tasks.d.status }}']
";
    assert_eq!(run(source, json!({"yes": true})).await.output, json!(["completed", "completed"]));
    assert_eq!(run(source, json!({"yes": false})).await.output, json!(["skipped", "skipped"]));
}

#[tokio::test]
async fn a_failed_attempt_is_tried_again_after_its_delay() {
    let calls = Arc::new(AtomicU32::new(0));
    let seen = calls.clone();
    let builder = builder().handler("flaky", move |context: Context, _: Value| {
        let seen = seen.clone();
        async move {
            assert_eq!(context.attempt, seen.fetch_add(1, Ordering::SeqCst) + 1);
            match context.attempt {
                3 => Ok(json!({"key": context.idempotency_key})),
                _ => Err(TaskError::new("busy", "try later")),
            }
        }
    });
    let source = "
id: again
tasks:
  call: {uses: flaky, retry: {max_attempts: 5, backoff: fixed, delay: 1h}}
";
    let outcome = run_with(builder, source, json!({})).await;
    assert_eq!((outcome.status, calls.load(Ordering::SeqCst)), (RunStatus::Completed, 3));
    assert_eq!(outcome.took_ms, 2 * 3_600_000, "two delays of virtual time");
}

#[tokio::test]
async fn a_failed_run_undoes_what_was_done_in_reverse() {
    let undone = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = undone.clone();
    let builder = builder().handler("undo", move |_: Context, input: Value| {
        seen.lock().unwrap().push(input["what"].clone());
        async { Ok::<_, TaskError>(Value::Null) }
    });
    let source = "
id: saga
tasks:
  pay: {uses: echo, with: {id: p1}, compensate: {uses: undo, with: {what: '${{ tasks.pay.output.id }}'}}}
  ship: {needs: [pay], uses: echo, with: {id: s1}, compensate: {uses: undo, with: {what: '${{ tasks.ship.output.id }}'}}}
  bad: {needs: [ship], uses: boom}
on_failure:
  tell: {uses: undo, with: {what: '${{ error.message }}'}}
finally:
  always: {uses: undo, with: {what: '${{ run.outcome }}'}}
";
    let outcome = run_with(builder, source, json!({})).await;
    assert_eq!(outcome.status, RunStatus::Failed);
    let error = outcome.error.unwrap();
    assert_eq!((error.task.as_deref(), error.error.kind.as_str()), (Some("bad"), "boom"));
    assert_eq!(*undone.lock().unwrap(), ["s1", "p1", "it went wrong", "failed"]);
}

#[tokio::test]
async fn items_run_in_order_of_the_list_and_come_back_in_it() {
    let source = "
id: each
tasks:
  work: {for_each: '${{ input.items }}', max_parallel: 3, uses: echo, with: {n: '${{ item }}', at: '${{ index }}'}}
  sum: {needs: [work], uses: transform, with: '${{ tasks.work.output.map(o, o.n) }}'}
output: '${{ tasks.sum.output }}'
";
    let items: Vec<u32> = (0..250).collect();
    let outcome = run(source, json!({"items": items})).await;
    assert_eq!(outcome.output, json!(items), "{:?}", outcome.error);
    assert_eq!(run(source, json!({"items": []})).await.output, json!([]));
}

const REVIEW: &str = "
id: review
vars: {rounds: 0}
initial: draft
states:
  draft: {on: {submit: [{if: event.ready, to: prepare}]}}
  prepare: {uses: echo, with: {n: '${{ vars.rounds }}'}, next: [{to: review}]}
  review:
    on:
      approve: {to: approved}
      reject: [{if: 'vars.rounds < 1', to: draft, set: {rounds: '${{ vars.rounds + 1 }}'}}, {to: rejected}]
    after: {72h: {to: late}}
  approved: {final: true}
  rejected: {final: true, output: {rounds: '${{ vars.rounds }}'}}
  late: {final: true}
";

#[tokio::test]
async fn a_machine_moves_on_events_and_guards() {
    let engine = builder().clock(Arc::new(surefoot::SystemClock::new())).open().await.unwrap();
    engine.deploy(REVIEW).await.unwrap();
    let run = engine.start(StartRequest::new("review")).await.unwrap();
    let refused = run.signal("submit", json!({"ready": false})).await.unwrap_err();
    assert!(refused.to_string().contains("no guard of it is true in state `draft`"), "{refused}");
    let refused = run.signal("approve", json!({})).await.unwrap_err();
    assert!(refused.to_string().contains("nothing in the run waits for it"), "{refused}");
    for _ in 0..2 {
        run.signal("submit", json!({"ready": true})).await.unwrap();
        engine.idle().await;
        run.signal("reject", json!({})).await.unwrap();
    }
    let outcome = run.wait().await.unwrap();
    assert_eq!(outcome.status, RunStatus::Completed, "{outcome:?}");
    assert_eq!(outcome.output, json!({"rounds": 1}));
}

#[tokio::test]
async fn a_machine_moves_when_its_time_has_come() {
    let source = REVIEW.replace("initial: draft", "initial: review");
    let outcome = run(&source, json!({})).await;
    assert_eq!(outcome.output["state"], "late", "{outcome:?}");
    assert_eq!(outcome.took_ms, 72 * 3_600_000);
}

#[tokio::test]
async fn a_sub_run_is_waited_for_and_its_failure_is_the_tasks() {
    let engine = builder().open().await.unwrap();
    engine.deploy("{id: inner, tasks: {a: {uses: echo, with: {n: '${{ input.n }}'}}}, output: '${{ tasks.a.output.n }}'}").await.unwrap();
    engine.deploy("{id: broken, tasks: {a: {uses: boom}}}").await.unwrap();
    let good = "{id: outer, tasks: {call: {uses: workflow, with: {id: inner, input: {n: 7}}}}, output: '${{ tasks.call.output.output }}'}";
    engine.deploy(good).await.unwrap();
    engine.deploy("{id: sad, tasks: {call: {uses: workflow, with: {id: broken}}}}").await.unwrap();
    let outcome = engine.execute(StartRequest::new("outer")).await.unwrap();
    assert_eq!(outcome.output, json!(7), "{outcome:?}");
    let outcome = engine.execute(StartRequest::new("sad")).await.unwrap();
    assert_eq!(outcome.error.unwrap().error.kind, "boom");
}

/// The sub-run that had failed, or had ended before the rewind, was taken for the new one.
#[tokio::test]
async fn a_sub_run_that_is_wanted_again_is_another_run() {
    let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = calls.clone();
    let builder =
        builder().handler("third", move |_: Context, _: Value| {
            let call = seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
            async move {
                if call == 1 { Err(TaskError::fatal("no", "not yet")) } else { Ok(json!(call)) }
            }
        });
    let engine = builder.open().await.unwrap();
    engine
        .deploy("{id: inner, tasks: {a: {uses: third}}, output: '${{ tasks.a.output }}'}")
        .await
        .unwrap();
    engine.deploy("{id: outer, tasks: {call: {uses: workflow, with: {id: inner}}}, output: '${{ tasks.call.output.output }}'}").await.unwrap();
    let run = engine.start(StartRequest::new("outer")).await.unwrap();
    assert_eq!(run.wait().await.unwrap().status, RunStatus::Failed);
    let rewind = Command::Rewind { to: "call".to_owned() };
    for (command, output) in [(Command::Retry, 2), (rewind, 3)] {
        run.command(command, By::actor("t")).await.unwrap();
        assert_eq!(run.wait().await.unwrap().output, json!(output));
    }
}

/// The sub-run that the task had waited for went on for ever.
#[tokio::test]
async fn a_sub_run_that_was_rewound_over_is_cancelled() {
    let engine = builder().open().await.unwrap();
    engine.deploy("{id: inner, tasks: {a: {uses: signal, with: {name: go}}}, output: '${{ tasks.a.output.data }}'}").await.unwrap();
    engine.deploy("{id: outer, tasks: {call: {uses: workflow, with: {id: inner}}}, output: '${{ tasks.call.output }}'}").await.unwrap();
    let outer = engine.start(StartRequest::new("outer")).await.unwrap();
    // Returns the sub-run that is waited for, once it is not `other`.
    let waited_for = async |other: Option<RunId>| loop {
        let run = engine.load(outer.id()).await.unwrap();
        let call = run.find("call").map(|it| run.state().task(it));
        match call.and_then(|it| it.wait()) {
            Some(Wait::Child { run }) if Some(*run) != other => return *run,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let old = waited_for(None).await;
    let rewind = Command::Rewind { to: "call".to_owned() };
    outer.command(rewind, By::actor("t")).await.unwrap();
    assert_eq!(engine.run(old).wait().await.unwrap().status, RunStatus::Cancelled);
    let new = waited_for(Some(old)).await;
    engine.run(new).signal("go", json!(7)).await.unwrap();
    let outcome = outer.wait().await.unwrap();
    assert_eq!(outcome.output, json!({"run": new, "output": 7}), "{outcome:?}");
}

#[tokio::test]
async fn an_approval_needs_its_quorum_and_not_its_author() {
    let source = "
id: release
tasks:
  ask: {uses: approval, with: {prompt: go, groups: [finance], quorum: 2, deny_self: true}}
output: '${{ tasks.ask.output.approved }}'
";
    let engine = builder().open().await.unwrap();
    engine.deploy(source).await.unwrap();
    let run = engine.start(StartRequest::new("release").actor("ann")).await.unwrap();
    let vote = |approve| Command::Vote {
        task: None,
        approve,
        comment: None,
        data: Value::Null,
        groups: vec!["finance".to_owned()],
    };
    let refused = run.command(vote(true), By::actor("ann")).await.unwrap_err();
    assert!(refused.to_string().contains("deny_self"), "{refused}");
    run.command(vote(true), By::actor("ben")).await.unwrap();
    run.command(vote(true), By::actor("ben")).await.unwrap();
    assert_eq!(engine.run(run.id()).engine().statistics().runs_ended, 0, "one voter, one vote");
    run.command(vote(true), By::actor("cleo")).await.unwrap();
    assert_eq!(run.wait().await.unwrap().output, json!(true));
    let refused = run.command(vote(true), By::actor("dora")).await.unwrap_err();
    assert!(refused.to_string().contains("cannot approve a run that is completed"), "{refused}");
}

#[tokio::test]
async fn a_failed_run_is_retried_from_what_failed() {
    let calls = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = calls.clone();
    let builder = builder().handler("note", move |context: Context, input: Value| {
        let mut seen = seen.lock().unwrap();
        seen.push(context.task.clone());
        let first = seen.iter().filter(|it| **it == context.task).count() == 1;
        let fails = input["fail_first"] == json!(true) && first;
        async move {
            if fails {
                Err(TaskError::fatal("no", "not yet"))
            } else {
                Ok(json!({"task": context.task}))
            }
        }
    });
    let source = "
id: again
tasks:
  a: {uses: note}
  b: {needs: [a], uses: note, with: {fail_first: true}}
  c: {needs: [b], uses: note}
output: '${{ tasks.c.output.task }}'
";
    let engine = builder.open().await.unwrap();
    engine.deploy(source).await.unwrap();
    let run = engine.start(StartRequest::new("again")).await.unwrap();
    assert_eq!(run.wait().await.unwrap().status, RunStatus::Failed);
    run.command(Command::Retry, By::actor("t")).await.unwrap();
    let outcome = run.wait().await.unwrap();
    assert_eq!((outcome.status, outcome.output), (RunStatus::Completed, json!("c")));
    assert_eq!(*calls.lock().unwrap(), ["a", "b", "b", "c"]);
    run.command(Command::Rewind { to: "b".to_owned() }, By::actor("t")).await.unwrap();
    assert_eq!(run.wait().await.unwrap().status, RunStatus::Completed);
    assert_eq!(*calls.lock().unwrap(), ["a", "b", "b", "c", "b", "c"]);
}

#[tokio::test]
async fn an_ended_run_is_kept_as_long_as_its_definition_says() {
    let store: Arc<dyn surefoot::store::Store> = Arc::new(surefoot::store::MemoryStore::new());
    let open = async |at: &str| {
        let clock = Arc::new(VirtualClock::at(at));
        builder().store_with(store.clone()).clock(clock).open().await.unwrap()
    };
    let source = "{id: old, retention: {completed: 7d, failed: 30d}, tasks: {a: {uses: transform, with: {n: 1}}}}";
    let engine = open("2027-01-01T00:00:00Z").await;
    engine.deploy(source).await.unwrap();
    let run = engine.execute(StartRequest::new("old")).await.unwrap().run;
    engine.stop(Duration::ZERO).await.unwrap();
    let engine = open("2027-01-07T00:00:00Z").await;
    engine.idle().await;
    assert!(store.run(run).await.unwrap().is_some(), "six days are fewer than seven");
    engine.stop(Duration::ZERO).await.unwrap();
    let _engine = open("2027-01-09T00:00:00Z").await;
    while store.run(run).await.unwrap().is_some() {
        tokio::task::yield_now().await;
    }
}
