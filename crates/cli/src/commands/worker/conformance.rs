//! `surefoot worker conformance`: holds a worker in any language to the protocol, through a server.
//! What each check wants of the worker is in docs/worker-conformance.md.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use surefoot_client::wire::{self, StartRun};
use surefoot_client::{Client, Error};

use crate::arguments::Conformance;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::session::Session;

/// The handlers that the worker under test has to have.
const HANDLERS: [&str; 5] = [
    "conformance.echo",
    "conformance.fail",
    "conformance.fatal",
    "conformance.sleep",
    "conformance.progress",
];
/// How often something is looked at that is waited for.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How long any other check may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Within a heartbeat of three seconds, with one to spare for the worker and one for the look.
const CANCEL_SEEN: Duration = Duration::from_secs(5);
/// How long a drained worker has to go.
const DRAIN_TIME: Duration = Duration::from_secs(30);

/// The definitions that are deployed. Each has one task, and gives back what the task gave.
const DEFINITIONS: [(&str, &str); 5] = [
    ("conformance_echo", "uses: conformance.echo, with: {value: '${{ input.value }}'}"),
    (
        "conformance_fail",
        "uses: conformance.fail, with: {until: 3}, retry: {max_attempts: 3, delay: 10ms}",
    ),
    ("conformance_fatal", "uses: conformance.fatal, retry: {max_attempts: 3, delay: 10ms}"),
    ("conformance_sleep", "uses: conformance.sleep, with: {seconds: '${{ input.seconds }}'}"),
    ("conformance_progress", "uses: conformance.progress, with: {steps: 4}"),
];

/// What is wrong, in a sentence.
type Verdict = std::result::Result<(), String>;

struct Checks<'a> {
    session: &'a Session,
    client: Client,
    failed: u32,
}

pub(super) async fn conformance(session: &Session, arguments: &Conformance) -> Result<Exit> {
    let url = arguments.url.clone().unwrap_or_else(|| super::url(session));
    let client = super::client(session, &url)?;
    let worker = find(&client, Duration::from_secs(arguments.wait)).await?;
    session.output.say(format!("checks `{}` ({}) on {url}", worker.name, worker.sdk));
    for (workflow, task) in DEFINITIONS {
        client.deploy(workflow, &definition(workflow, task), false, true).await?;
    }
    let mut checks = Checks { session, client: client.clone(), failed: 0 };
    // The long task runs beside the others.
    let long = checks.start("conformance_sleep", json!({"seconds": arguments.long})).await?;
    for (name, value) in echoes() {
        let verdict = checks.echo(value).await?;
        checks.tell(&format!("echo: {name}"), verdict)?;
    }
    let verdict = checks.retries().await?;
    checks.tell("a retryable error is tried again, with the same idempotency key", verdict)?;
    let verdict = checks.fatal().await?;
    checks.tell("a fatal error ends the task at its first attempt", verdict)?;
    let verdict = checks.progress(&worker.id).await?;
    checks.tell("progress and log lines are seen while the task runs", verdict)?;
    let verdict = checks.cancellation(&worker.id).await?;
    checks.tell("a cancelled task ends within a heartbeat", verdict)?;
    let verdict = checks.long(&long, arguments.long).await?;
    checks.tell("a long task keeps its lease", verdict)?;
    if !arguments.no_drain {
        let verdict = checks.drain(&worker.id).await?;
        checks.tell("a drained worker takes nothing more, and goes", verdict)?;
    }
    if checks.failed == 0 {
        return Ok(Exit::Ok);
    }
    let message = format!("`{}` fails {} of the checks", worker.name, checks.failed);
    Err(Failure::new(Exit::Failed, "SF5096", message)
        .hint("docs/worker-conformance.md says what each check wants."))
}

fn definition(workflow: &str, task: &str) -> String {
    format!("{{id: {workflow}, tasks: {{t: {{{task}}}}}, output: '${{{{ tasks.t.output }}}}'}}\n")
}

/// Waits for a worker with all handlers.
async fn find(client: &Client, patience: Duration) -> Result<wire::Worker> {
    let end = Instant::now() + patience;
    loop {
        let workers = client.workers().await?.items;
        let has_all = |it: &wire::Worker| {
            it.status == "connected"
                && HANDLERS.iter().all(|name| it.capabilities.iter().any(|have| have == name))
        };
        if let Some(worker) = workers.into_iter().find(has_all) {
            return Ok(worker);
        }
        if Instant::now() >= end {
            let message = "no worker with the handlers of the conformance run is connected";
            return Err(Failure::new(Exit::Failed, "SF5096", message)
                .hint(format!("Start one that has {}.", HANDLERS.join(", "))));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Values of JSON that languages are known to change on the way.
fn echoes() -> Vec<(&'static str, Value)> {
    let nested = (0..20).fold(json!("deep"), |inner, _| json!({"in": [inner]}));
    let many: Vec<u32> = (0..5_000).collect();
    vec![
        ("null", json!(null)),
        ("true and false", json!([true, false])),
        ("integers", json!([0, -1, 2_147_483_648_u64, 9_007_199_254_740_991_i64])),
        ("fractions", json!([0.1, -2.5, 1e-7, 123_456_789.123])),
        ("an empty text, an empty list, an empty object", json!(["", [], {}])),
        ("unicode", json!("Grüße, 世界, مرحبا, 👩‍👩‍👧, e\u{301}, \u{2028}\u{feff}")),
        ("what is escaped", json!("\"\\/\u{8}\u{c}\n\r\t\u{1}\u{7f}")),
        ("names of fields", json!({"": 1, "a.b": 2, "ключ": 3, "__proto__": 4, "constructor": 5})),
        ("nesting", nested),
        ("a long list", json!(many)),
        ("a long text", json!("x".repeat(200_000))),
    ]
}

impl Checks<'_> {
    fn tell(&mut self, name: &str, verdict: Verdict) -> Result<()> {
        match verdict {
            Ok(()) => self.session.output.text(&format!("ok    {name}\n")),
            Err(why) => {
                self.failed += 1;
                self.session.output.text(&format!("FAIL  {name}: {why}\n"))
            }
        }
    }

    async fn start(&self, workflow: &str, input: Value) -> Result<String> {
        let request = StartRun { input: Some(input), ..StartRun::default() };
        Ok(self.client.start(workflow, &request).await?.run.id)
    }

    /// Waits for the end of a run; nothing if it takes too long.
    async fn end(&self, run: &str, patience: Duration) -> Result<Option<wire::RunResult>> {
        let end = Instant::now() + patience;
        loop {
            if let Some(result) = self.client.result(run, 1).await? {
                return Ok(Some(result));
            }
            if Instant::now() >= end {
                return Ok(None);
            }
        }
    }

    /// Runs a workflow to its end, which has to be the one that is expected.
    async fn execute(
        &self,
        workflow: &str,
        input: Value,
        expected: &str,
    ) -> Result<std::result::Result<wire::RunResult, String>> {
        let run = self.start(workflow, input).await?;
        Ok(match self.end(&run, PATIENCE).await? {
            Some(result) if result.status == expected => Ok(result),
            Some(result) => {
                let error = result.error.unwrap_or_default();
                Err(format!("run {run} is {}, not {expected}: {error}", result.status))
            }
            None => Err(format!("run {run} has not ended within {} s", PATIENCE.as_secs())),
        })
    }

    async fn echo(&self, value: Value) -> Result<Verdict> {
        let sent = json!({"value": value});
        let result = self.execute("conformance_echo", sent.clone(), "completed").await?;
        Ok(result.and_then(|it| match alike(&it.output, &sent) {
            true => Ok(()),
            false => Err(format!("sent {}, got {}", shown(&sent), shown(&it.output))),
        }))
    }

    async fn retries(&self) -> Result<Verdict> {
        let result = match self.execute("conformance_fail", json!({}), "completed").await? {
            Ok(result) => result,
            Err(why) => return Ok(Err(why)),
        };
        let key = result.output["idempotency_key"].as_str().unwrap_or_default().to_owned();
        if result.output["attempt"] != 3 || key.is_empty() {
            return Ok(Err(format!("the third attempt gave {}", shown(&result.output))));
        }
        let path = format!("/v1/runs/{}/history?limit=100", result.run);
        let history: wire::HistoryPage = self.client.get(&path).await?;
        let events = history.items.iter().flat_map(|it| &it.events);
        let retries: Vec<_> = events.filter(|it| it.kind == "retrying").collect();
        Ok(match retries.len() {
            2 if retries.iter().all(|it| it.detail.contains(&key)) => Ok(()),
            2 => Err(format!("the attempts had other keys than {key}: {retries:?}")),
            count => Err(format!("{count} attempts failed, not 2")),
        })
    }

    async fn fatal(&self) -> Result<Verdict> {
        let result = match self.execute("conformance_fatal", json!({}), "failed").await? {
            Ok(result) => result,
            Err(why) => return Ok(Err(why)),
        };
        let task: wire::RunTask =
            self.client.get(&format!("/v1/runs/{}/tasks/t", result.run)).await?;
        let kind = task.error.as_ref().and_then(|it| it["type"].as_str()).unwrap_or_default();
        Ok(match (task.attempt, kind) {
            (1, "conformance_fatal") => Ok(()),
            (1, other) => Err(format!("the error's type is `{other}`, not `conformance_fatal`")),
            (count, _) => Err(format!("it was tried {count} times")),
        })
    }

    async fn progress(&self, worker: &str) -> Result<Verdict> {
        let run = self.start("conformance_progress", json!({})).await?;
        let end = Instant::now() + PATIENCE;
        let mut is_seen = false;
        while !is_seen && Instant::now() < end && self.client.result(&run, 0).await?.is_none() {
            let task = self.held(worker, &run).await?;
            is_seen = task.is_some_and(|it| it.progress.is_some() && it.message.is_some());
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        if !is_seen {
            return Ok(Err("the worker was never seen with progress and a message".to_owned()));
        }
        if self.end(&run, PATIENCE).await?.is_none_or(|it| it.status != "completed") {
            return Ok(Err(format!("run {run} has not completed")));
        }
        let lines: wire::Page<wire::LogLine> =
            self.client.get(&format!("/v1/runs/{run}/tasks/t/logs")).await?;
        let has = |text: &str| lines.items.iter().any(|it| it.text.trim_end() == text);
        Ok(match (1..=4).all(|step| has(&format!("step {step}"))) {
            true => Ok(()),
            false => Err("not every line `step N` is in the log of the task".to_owned()),
        })
    }

    async fn held(&self, worker: &str, run: &str) -> Result<Option<wire::WorkerTask>> {
        match self.client.worker(worker).await {
            Ok(worker) => Ok(worker.tasks.into_iter().find(|it| it.run == run)),
            Err(error) if error.problem().is_some_and(|it| it.status == 404) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn cancellation(&self, worker: &str) -> Result<Verdict> {
        let run = self.start("conformance_sleep", json!({"seconds": 60})).await?;
        let end = Instant::now() + PATIENCE;
        while self.held(worker, &run).await?.is_none() {
            if Instant::now() >= end {
                return Ok(Err("the worker did not take the task".to_owned()));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        self.client.control(&run, "cancel", &wire::Control::default()).await?;
        let asked = Instant::now();
        while self.held(worker, &run).await?.is_some() {
            if asked.elapsed() > CANCEL_SEEN {
                let seconds = CANCEL_SEEN.as_secs();
                return Ok(Err(format!("the task went on for {seconds} s after it was cancelled")));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        let status = self.end(&run, PATIENCE).await?.map(|it| it.status).unwrap_or_default();
        Ok(match &*status {
            "cancelled" => Ok(()),
            other => Err(format!("run {run} is `{other}`, not cancelled")),
        })
    }

    async fn long(&self, run: &str, seconds: u64) -> Result<Verdict> {
        let patience = Duration::from_secs(seconds) + PATIENCE;
        let Some(result) = self.end(run, patience).await? else {
            return Ok(Err(format!("run {run} has not ended")));
        };
        let task: wire::RunTask = self.client.get(&format!("/v1/runs/{run}/tasks/t")).await?;
        Ok(match (&*result.status, task.attempt) {
            ("completed", 1) => Ok(()),
            (status, 1) => Err(format!("the run is {status}")),
            (_, count) => Err(format!("it took {count} attempts: a lease was lost")),
        })
    }

    async fn drain(&self, worker: &str) -> Result<Verdict> {
        self.client.drain(worker).await?;
        let run = self.start("conformance_echo", json!({"value": "after the drain"})).await?;
        let end = Instant::now() + DRAIN_TIME;
        let verdict = loop {
            match self.client.worker(worker).await {
                Ok(it) if it.tasks.iter().any(|it| it.run == run) => {
                    break Err("the worker took a task after it was drained".to_owned());
                }
                Ok(it) if it.status == "lost" => break Ok(()),
                Err(Error::Refused(problem)) if problem.status == 404 => break Ok(()),
                Ok(_) if Instant::now() >= end => {
                    break Err(format!("it is still there after {} s", DRAIN_TIME.as_secs()));
                }
                Ok(_) => tokio::time::sleep(LOOK_INTERVAL).await,
                Err(error) => return Err(error.into()),
            }
        };
        // Where no other worker has done it meanwhile, nobody will.
        match self.client.control(&run, "cancel", &wire::Control::default()).await {
            Ok(_) | Err(Error::Refused(_)) => Ok(verdict),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether two values are the same JSON: 1.0 and 1 are one number.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, it)| other.get(key).is_some_and(|other| alike(it, other)))
        }
        _ => one == other,
    }
}

fn shown(value: &Value) -> String {
    const SHOWN_LEN_MAX: usize = 120;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_LEN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
