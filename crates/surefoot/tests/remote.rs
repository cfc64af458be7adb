//! Workers in other processes, as the engine sees them: leases, fences, limits, and nothing lost.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use surefoot::store::{MemoryStore, Store};
use surefoot::{
    Beat, By, Command, Config, Engine, EngineBuilder, Event, KindLimit, Lease, LeaseError,
    RemoteConfig, RunHandle, RunId, RunStatus, StartRequest, TakeRequest, TaskError, VirtualClock,
    inspect,
};

const PAY: &str = "{id: shop, tasks: {pay: {uses: pay, with: {amount: 7}}}}";

fn builder() -> EngineBuilder {
    Engine::builder().remote_workers(RemoteConfig::default())
}

async fn open() -> Engine {
    builder().open().await.unwrap()
}

async fn open_with_lease(ms: u64) -> Engine {
    let lease = Duration::from_millis(ms);
    let remote = RemoteConfig { lease, ..RemoteConfig::default() };
    Engine::builder().remote_workers(remote).open().await.unwrap()
}

async fn start(engine: &Engine, source: &str) -> RunHandle {
    let deployed = engine.deploy(source).await.unwrap();
    engine.start(StartRequest::new(&deployed.workflow)).await.unwrap()
}

fn ask(worker: &str, capability: &str, slots: u32) -> TakeRequest {
    TakeRequest {
        worker: worker.to_owned(),
        capabilities: vec![capability.to_owned()],
        slots,
        wait: Duration::from_secs(20),
        holding: None,
        namespaces: None,
    }
}

async fn take(engine: &Engine, worker: &str, capability: &str, slots: u32) -> Vec<Lease> {
    engine.take(ask(worker, capability, slots)).await.unwrap().tasks
}

async fn take_one(engine: &Engine, worker: &str) -> Lease {
    take(engine, worker, "pay", 1).await.pop().expect("a task")
}

async fn events(engine: &Engine, run: RunId) -> Vec<Event> {
    let records = inspect::history(&**engine.store(), run).await.unwrap();
    records.into_iter().flat_map(|it| it.events).collect()
}

async fn dispatched(engine: &Engine, run: RunId) -> Vec<(u32, String)> {
    let worker = |it| match it {
        Event::Dispatched { attempt, worker, .. } => {
            Some((attempt, worker.map(|it| it.to_string()).unwrap_or_default()))
        }
        _ => None,
    };
    events(engine, run).await.into_iter().filter_map(worker).collect()
}

/// Waits until a heartbeat is answered as the test wants it.
async fn beat_until(engine: &Engine, token: &str, is_right: impl Fn(&str) -> bool) {
    loop {
        let answer = engine.beat(token, None, Beat::default()).await;
        let word = match &answer {
            Ok(alive) if alive.cancel => "cancel",
            Ok(_) => "go on",
            Err(LeaseError::Lost { .. }) => "lost",
            Err(_) => "else",
        };
        if is_right(word) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_task_waits_until_a_worker_asks_and_goes_on_with_its_result() {
    let engine = open().await;
    let run = start(&engine, PAY).await;
    assert!(dispatched(&engine, run.id()).await.is_empty(), "nobody has asked");
    let lease = take_one(&engine, "w1").await;
    assert_eq!(dispatched(&engine, run.id()).await, [(1, "w1".to_owned())], "durable before it");
    assert_eq!((&*lease.task, &*lease.kind, lease.attempt), ("pay", "pay", 1));
    assert_eq!(lease.input, json!({"amount": 7}));
    assert_eq!((&*lease.workflow, &*lease.actor), ("shop", "program"));
    assert_eq!(lease.expires_in, Duration::from_secs(10));
    let settled = engine.settle(&lease.token, Some("w1"), Ok(json!({"ok": 1}))).await.unwrap();
    assert_eq!((settled.run, &*settled.task, settled.attempt), (run.id(), "pay", 1));
    assert_eq!(run.wait().await.unwrap().status, RunStatus::Completed);

    let records = events(&engine, run.id()).await.len();
    let again = engine.settle(&lease.token, None, Ok(json!({"ok": 1}))).await;
    assert_eq!(again.unwrap(), settled, "the same result again");
    let other = engine.settle(&lease.token, None, Ok(json!({"ok": 2}))).await;
    assert!(matches!(other, Err(LeaseError::Done(_))), "{other:?}");
    let beat = engine.beat(&lease.token, None, Beat::default()).await;
    assert!(matches!(beat, Err(LeaseError::Done(_))), "{beat:?}");
    assert_eq!(events(&engine, run.id()).await.len(), records);
}

#[tokio::test]
async fn errors_of_a_worker_are_retried_or_not_as_they_say() {
    let engine = open().await;
    let source = "{id: shop, tasks: {pay: {uses: pay, retry: {max_attempts: 3, delay: 1ms}}}}";
    let run = start(&engine, source).await;
    let mut keys = BTreeSet::new();
    for attempt in 1..=2 {
        let lease = take_one(&engine, "w1").await;
        assert_eq!(lease.attempt, attempt);
        keys.insert(lease.idempotency_key);
        let error = if attempt == 1 {
            TaskError::new("busy", "later")
        } else {
            TaskError::fatal("declined", "no")
        };
        engine.settle(&lease.token, None, Err(error)).await.unwrap();
    }
    let outcome = run.wait().await.unwrap();
    assert_eq!(
        (outcome.status, outcome.error.unwrap().error.kind),
        (RunStatus::Failed, "declined".to_owned())
    );
    assert_eq!(keys.len(), 1, "every attempt has the same key");
}

#[tokio::test]
async fn a_worker_that_dies_loses_its_task_within_one_lease() {
    let engine = open_with_lease(300).await;
    let run = start(&engine, PAY).await;
    let lost = take_one(&engine, "dead").await;
    let lease = take_one(&engine, "alive").await;
    assert_eq!((lease.attempt, lease.idempotency_key.clone()), (2, lost.idempotency_key));
    let records = events(&engine, run.id()).await.len();
    let late = engine.settle(&lost.token, None, Ok(json!(1))).await;
    assert!(matches!(late, Err(LeaseError::Lost { .. })), "{late:?}");
    assert_eq!(events(&engine, run.id()).await.len(), records, "the journal does not change");
    let statistics = engine.statistics();
    assert_eq!((statistics.results_refused, statistics.leases_expired), (1, 1));
    engine.settle(&lease.token, None, Ok(json!(2))).await.unwrap();
    assert_eq!(run.wait().await.unwrap().status, RunStatus::Completed);
}

#[tokio::test]
async fn a_worker_that_is_heard_of_keeps_its_task() {
    let engine = open_with_lease(1000).await;
    let run = start(&engine, PAY).await;
    let lease = take_one(&engine, "w1").await;
    let log = ("info".to_owned(), "half way".to_owned());
    for beat in 0..10 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let beat = Beat {
            progress: Some(f64::from(beat) / 10.0),
            message: Some("charging".to_owned()),
            logs: vec![log.clone()],
        };
        assert!(!engine.beat(&lease.token, Some("w1"), beat).await.unwrap().cancel);
    }
    let info = engine.leases(Some("w1")).remove(0);
    assert_eq!((info.progress, info.message.as_deref()), (Some(0.9), Some("charging")));
    // A poll without slots is a sign of life too, for what the worker says it holds.
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let holding = Some(vec![lease.token.clone()]);
        let heard = TakeRequest { holding, ..ask("w1", "pay", 0) };
        assert!(engine.take(heard).await.unwrap().tasks.is_empty());
    }
    engine.settle(&lease.token, None, Ok(json!(1))).await.unwrap();
    assert_eq!(run.wait().await.unwrap().status, RunStatus::Completed);
    assert_eq!(dispatched(&engine, run.id()).await.len(), 1);
}

#[tokio::test]
async fn a_task_that_its_worker_was_never_told_of_is_not_kept_by_its_polls() {
    let engine = open_with_lease(300).await;
    start(&engine, PAY).await;
    take_one(&engine, "deaf").await;
    let poll = async {
        loop {
            let heard = TakeRequest { holding: Some(Vec::new()), ..ask("deaf", "pay", 0) };
            engine.take(heard).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = poll => {}
        lease = take_one(&engine, "w2") => assert_eq!(lease.attempt, 2),
    }
}

#[tokio::test]
async fn cancellation_reaches_the_worker_and_its_report_ends_the_run() {
    let engine = open().await;
    let run = start(&engine, PAY).await;
    let lease = take_one(&engine, "w1").await;
    run.command(Command::Cancel, By::actor("ann")).await.unwrap();
    beat_until(&engine, &lease.token, |it| it == "cancel").await;
    let taken = engine.take(ask("w1", "pay", 0)).await.unwrap();
    assert_eq!(taken.cancelled, std::slice::from_ref(&lease.token));
    let error = TaskError::new("cancelled", "stopped as asked");
    engine.settle(&lease.token, None, Err(error)).await.unwrap();
    assert_eq!(run.wait().await.unwrap().status, RunStatus::Cancelled);
    assert_eq!(engine.statistics().attempts_in_flight, 0);
}

#[tokio::test]
async fn a_killed_run_leaves_neither_lease_nor_line() {
    let engine = open().await;
    let both = "{id: both, tasks: {one: {uses: pay}, two: {uses: pay}}}";
    let run = start(&engine, both).await;
    let lease = take_one(&engine, "w1").await;
    run.command(Command::Kill, By::actor("ann")).await.unwrap();
    let late = engine.settle(&lease.token, None, Ok(json!(1))).await;
    assert!(matches!(late, Err(LeaseError::Lost { .. })), "{late:?}");
    let waiting: usize = engine.capabilities().await.iter().map(|it| it.waiting).sum();
    assert_eq!((waiting, engine.leases(None).len()), (0, 0));
}

#[tokio::test]
async fn a_run_time_out_takes_the_task_from_its_worker() {
    let engine = open().await;
    let run = start(&engine, "{id: shop, tasks: {pay: {uses: pay, timeout: {run: 20ms}}}}").await;
    let lease = take_one(&engine, "w1").await;
    assert_eq!(run.wait().await.unwrap().status, RunStatus::Failed);
    beat_until(&engine, &lease.token, |it| it == "cancel").await;
    let late = engine.settle(&lease.token, None, Ok(json!(1))).await;
    assert!(matches!(late, Err(LeaseError::Lost { .. })), "{late:?}");
}

#[tokio::test]
async fn only_the_queue_time_out_runs_while_nobody_asks() {
    let clock = Arc::new(VirtualClock::at("2027-01-01T00:00:00Z"));
    let engine = builder().clock(clock).open().await.unwrap();
    let source = "{id: shop, tasks: {pay: {uses: pay, timeout: {queue: 1h, run: 1s}}}}";
    let outcome = start(&engine, source).await.wait().await.unwrap();
    let error = outcome.error.unwrap().error;
    assert_eq!(error.details, json!({"timeout": "queue"}), "{error:?}");
    assert_eq!(outcome.took_ms, 3_600_000);
}

#[tokio::test]
async fn a_restart_loses_attempts_and_their_tokens() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let engine = builder().store_with(store.clone()).open().await.unwrap();
    let run = start(&engine, PAY).await.id();
    let old = take_one(&engine, "w1").await;
    engine.stop(Duration::ZERO).await.unwrap();
    let engine = builder().store_with(store).open().await.unwrap();
    let lease = take_one(&engine, "w1").await;
    assert_eq!((lease.run, lease.attempt), (run, 2));
    let late = engine.settle(&old.token, None, Ok(json!(1))).await;
    assert!(matches!(late, Err(LeaseError::Lost { .. })), "{late:?}");
    engine.settle(&lease.token, None, Ok(json!(2))).await.unwrap();
    assert_eq!(engine.run(run).wait().await.unwrap().status, RunStatus::Completed);
}

#[tokio::test]
async fn a_worker_that_leaves_gives_its_tasks_back_at_once() {
    let engine = open().await;
    let run = start(&engine, PAY).await;
    let old = take_one(&engine, "w1").await;
    engine.leave("w1").await;
    let lease = take_one(&engine, "w2").await;
    assert_eq!(lease.attempt, 2);
    let late = engine.settle(&old.token, None, Ok(json!(1))).await;
    assert!(matches!(late, Err(LeaseError::Lost { .. })), "{late:?}");
    assert_eq!(dispatched(&engine, run.id()).await.len(), 2);
}

#[tokio::test]
async fn an_ask_is_answered_with_nothing_when_it_is_dismissed() {
    let engine = open().await;
    let asked = tokio::spawn({
        let engine = engine.clone();
        async move { take(&engine, "w1", "pay", 1).await }
    });
    while engine.capabilities().await.iter().all(|it| it.asked == 0) {
        tokio::task::yield_now().await;
    }
    engine.dismiss("w1").await;
    assert_eq!(asked.await.unwrap(), []);
}

#[tokio::test]
async fn tokens_of_others_are_unknown() {
    let engine = open().await;
    start(&engine, PAY).await;
    let lease = take_one(&engine, "w1").await;
    let other = engine.settle(&lease.token, Some("w2"), Ok(json!(1))).await;
    assert!(matches!(other, Err(LeaseError::Unknown)), "{other:?}");
    let other = engine.beat(&lease.token, Some("w2"), Beat::default()).await;
    assert!(matches!(other, Err(LeaseError::Unknown)), "{other:?}");
    assert_eq!(engine.lease_holder(&lease.token).unwrap(), "w1");
}

#[tokio::test]
async fn why_says_what_is_missing() {
    let engine = open().await;
    let run =
        start(&engine, "{id: many, tasks: {a: {uses: gpu}, b: {uses: gpu}, c: {uses: gpu}}}").await;
    let why = async |task: &str| run.why(task).await.unwrap().unwrap().why;
    assert_eq!(why("a").await, "no worker with capability `gpu` is connected");
    assert_eq!(take(&engine, "w1", "gpu", 1).await.len(), 1);
    assert_eq!(why("c").await, "the only worker with capability `gpu` is busy");
    assert_eq!(take(&engine, "w2", "gpu", 1).await.len(), 1);
    assert_eq!(why("c").await, "all 2 workers with capability `gpu` are busy");
    assert!(why("a").await.starts_with("attempt 1 is running"));
    assert_eq!(run.why("zebra").await.unwrap(), None);
    let gpu = engine.capabilities().await.remove(0);
    assert_eq!((gpu.waiting, gpu.running, gpu.workers, gpu.asked), (1, 2, 2, 0), "{gpu:?}");
}

#[tokio::test]
async fn why_counts_only_the_workers_that_may_have_the_task() {
    let engine = open().await;
    let run = start(&engine, "{id: billing.many, tasks: {a: {uses: gpu}, b: {uses: gpu}}}").await;
    let why = async || run.why("b").await.unwrap().unwrap().why;
    let of = |worker: &str, namespace: &str| TakeRequest {
        wait: Duration::ZERO,
        namespaces: Some(BTreeSet::from([namespace.to_owned()])),
        ..ask(worker, "gpu", 1)
    };
    assert!(engine.take(of("w1", "shipping")).await.unwrap().tasks.is_empty());
    assert_eq!(
        why().await,
        "no worker with capability `gpu` that may have tasks of the namespace `billing` is connected"
    );
    assert_eq!(engine.take(of("w2", "billing")).await.unwrap().tasks.len(), 1);
    assert_eq!(why().await, "the only worker with capability `gpu` is busy");
    let gpu = engine.capabilities().await.remove(0);
    assert_eq!(gpu.workers, 2, "all are counted where nobody asks for a namespace");
}

#[tokio::test]
async fn without_leave_a_missing_handler_is_still_refused() {
    let engine = Engine::builder().open().await.unwrap();
    engine.deploy(PAY).await.unwrap();
    assert!(engine.start(StartRequest::new("shop")).await.is_err());
    assert!(engine.take(ask("w1", "pay", 1)).await.is_err());
}

#[tokio::test]
async fn a_built_in_kind_may_be_left_to_workers() {
    let kinds = vec!["shell".to_owned()];
    let remote = RemoteConfig { kinds, ..RemoteConfig::default() };
    let engine = Engine::builder().remote_workers(remote).open().await.unwrap();
    start(&engine, "{id: sh, tasks: {list: {uses: shell, with: {argv: [ls]}}}}").await;
    let lease = take(&engine, "w1", "shell", 1).await.remove(0);
    assert_eq!(lease.input, json!({"argv": ["ls"]}));
}

#[tokio::test]
async fn secrets_go_out_and_do_not_come_back() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "card=4111-1111\n").unwrap();
    let mut config = Config::default();
    config.secrets.file = Some(file.path().to_owned());
    let engine = builder().config(config).open().await.unwrap();
    let source = "{id: shop, tasks: {pay: {uses: pay, with: {card: '${{ secrets.card }}'}}}}";
    let run = start(&engine, source).await;
    let lease = take_one(&engine, "w1").await;
    assert_eq!(lease.input, json!({"card": "4111-1111"}));
    let said = Beat { message: Some("charging 4111-1111".to_owned()), ..Beat::default() };
    engine.beat(&lease.token, None, said).await.unwrap();
    let message = engine.leases(None).remove(0).message.unwrap();
    engine.settle(&lease.token, None, Ok(json!({"used": "4111-1111"}))).await.unwrap();
    run.wait().await.unwrap();
    let journal = format!("{message} {:?}", events(&engine, run.id()).await);
    assert!(!journal.contains("4111-1111"), "{journal}");
}

#[tokio::test]
async fn priority_age_and_limits_hold_over_workers() {
    let mut config = Config::default();
    config.kinds.insert("pay".to_owned(), KindLimit { limit: Some(2), rate: None });
    let engine = builder().config(config).open().await.unwrap();
    engine.deploy(PAY).await.unwrap();
    let mut runs = Vec::new();
    for priority in [0, 0, 5, 1] {
        let request = StartRequest::new("shop").priority(priority);
        runs.push(engine.start(request).await.unwrap().id());
    }
    let first = take(&engine, "w1", "pay", 10).await;
    let order: Vec<RunId> = first.iter().map(|it| it.run).collect();
    assert_eq!(order, [runs[2], runs[3]], "the limit of the kind, and the higher priorities");
    let asked = engine.take(TakeRequest { wait: Duration::ZERO, ..ask("w2", "pay", 10) });
    assert_eq!(asked.await.unwrap().tasks, [], "the limit counts over workers");
    engine.settle(&first[0].token, None, Ok(json!(1))).await.unwrap();
    let next = take(&engine, "w2", "pay", 10).await;
    assert_eq!(next.iter().map(|it| it.run).collect::<Vec<_>>(), [runs[0]]);
}

/// One worker: takes, sometimes hangs up while it waits, sometimes dies with what it holds.
async fn work(engine: Engine, number: usize, done: Arc<std::sync::Mutex<BTreeMap<i64, u32>>>) {
    for round in 0.. {
        let name = format!("w{number}");
        let ask = engine.take(ask(&name, "pay", 1 + (round + number) as u32 % 7));
        let impatient = Duration::from_micros(if round % 3 == 0 { 300 } else { 5_000_000 });
        let Ok(taken) = tokio::time::timeout(impatient, ask).await else { continue };
        let Ok(taken) = taken else { return };
        if number == 0 && !taken.tasks.is_empty() {
            // It dies: whatever it holds comes to others.
            return;
        }
        for lease in taken.tasks {
            let n = lease.input["n"].as_i64().unwrap();
            if engine.settle(&lease.token, Some(&name), Ok(json!(n))).await.is_ok() {
                *done.lock().unwrap().entry(n).or_default() += 1;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tasks_over_eight_workers_are_each_done_once() {
    let engine = open_with_lease(2000).await;
    let source = "
id: many
tasks:
  pay: {uses: pay, for_each: '${{ input.items }}', with: {n: '${{ item }}'}}
output: ${{ tasks.pay.output }}
";
    engine.deploy(source).await.unwrap();
    let items: Vec<i64> = (0..1000).collect();
    let input = json!({"items": items});
    let run = engine.start(StartRequest::new("many").input(input)).await.unwrap();
    let done = Arc::default();
    let workers: Vec<_> =
        (0..8).map(|it| tokio::spawn(work(engine.clone(), it, Arc::clone(&done)))).collect();
    let outcome = run.wait().await.unwrap();
    assert_eq!(outcome.status, RunStatus::Completed, "{:?}", outcome.error);
    assert_eq!(outcome.output, Value::from(items));
    engine.stop(Duration::ZERO).await.unwrap();
    for worker in workers {
        worker.await.unwrap();
    }
    let done = done.lock().unwrap();
    assert_eq!((done.len(), done.values().max()), (1000, Some(&1)));
}
