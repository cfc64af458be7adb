//! `surefoot run`: a workflow from file to end, in this process.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use surefoot::core::check::CheckContext;
use surefoot::core::ids::RunId;
use surefoot::core::plan::Plan;
use surefoot::core::run::Run as Folded;
use surefoot::{DeployError, Engine, RunStatus, inspect};

use super::mock::Mocks;
use super::{graph, replay, start};
use crate::arguments::{Picture, Run};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::live::{Ending, Signals, Watch, tree};
use crate::output::time::took;
use crate::output::{harmless, style};
use crate::project::{self, Source};
use crate::session::{Session, wait_on_all_cores};
use crate::spans::Spans;

/// What attempts in flight are given after the first Ctrl-C.
const GRACE: Duration = Duration::from_secs(10);

pub fn run(session: &Session, arguments: &Run) -> Result<Exit> {
    let timeout = arguments.timeout.as_deref().map(duration).transpose()?;
    if arguments.all {
        return wait_on_all_cores(all(session, arguments.large, timeout));
    }
    if let Some(run) = &arguments.resume {
        return wait_on_all_cores(resume(session, run, arguments, timeout));
    }
    let path = arguments.file.clone().map_or_else(project::the_only_one, Ok)?;
    let large = arguments.large || session.settings.engine.allow_large;
    let source = Source::read(&path, &CheckContext { large, ..CheckContext::default() })?;
    if let Some(file) = &arguments.replay_counterexample {
        return replay::replay(session, &source, file);
    }
    let plan = graph::plan_in(session, &source, arguments.workflow.as_deref())?;
    if arguments.dry_run {
        session
            .output
            .say(format!("{} {} would run, from top to bottom:", plan.workflow, plan.version));
        session.output.text(&graph::picture(session, &plan, Picture::Ascii))?;
        return Ok(Exit::Ok);
    }
    wait_on_all_cores(one(session, &source, &plan, arguments, timeout))
}

fn duration(text: &str) -> Result<Duration> {
    let read = text.parse::<surefoot::core::time::Duration>();
    read.map(|it| Duration::from_millis(it.as_millis())).map_err(|error| {
        Failure::new(Exit::Usage, "SF5004", format!("--timeout: {error}"))
            .hint("Example: --timeout 30s")
    })
}

async fn one(
    session: &Session,
    source: &Source,
    plan: &Arc<Plan>,
    arguments: &Run,
    timeout: Option<Duration>,
) -> Result<Exit> {
    let request = start::request(session, &plan.workflow, &arguments.request)?;
    let mocks = Mocks::read(&arguments.mock)?;
    let signals = Signals::new()?;
    let builder = session.builder(arguments.large);
    let engine = mocks.apply(plan, &session.settings.engine, builder)?.open().await?;
    let spans = Spans::begin(session, &engine).await;
    let updates = engine.subscribe();
    let started = async {
        deploy(&engine, source).await?;
        Ok(engine.start(request).await?.id())
    };
    let run = match started.await {
        Ok(run) => run,
        Err(failure) => {
            engine.stop(Duration::ZERO).await?;
            return Err(failure);
        }
    };
    let watch = Watch::new(session, &engine, updates, signals, run, 0).await?;
    follow(session, &engine, watch, spans, timeout, arguments.until_idle).await
}

async fn resume(
    session: &Session,
    run: &str,
    arguments: &Run,
    timeout: Option<Duration>,
) -> Result<Exit> {
    let id = inspect::resolve(&*session.reader()?, run).await?;
    let folded = inspect::load(&*session.reader()?, id).await?;
    if folded.state().status.is_terminal() {
        session.output.say(format!("run {id} has ended already"));
        return result(session, &folded);
    }
    let mocks = Mocks::read(&arguments.mock)?;
    let signals = Signals::new()?;
    let builder = session.builder(arguments.large);
    let engine = mocks.apply(folded.plan(), &session.settings.engine, builder)?.open().await?;
    let spans = Spans::begin(session, &engine).await;
    let updates = engine.subscribe();
    let told = folded.state().records;
    let watch = Watch::new(session, &engine, updates, signals, id, told).await?;
    follow(session, &engine, watch, spans, timeout, arguments.until_idle).await
}

/// Keeps what the file says: a sub-run may start any workflow of it.
async fn deploy(engine: &Engine, source: &Source) -> Result<()> {
    for text in source.texts() {
        engine.deploy_draft(&text).await.map_err(|error| match error {
            DeployError::Store(error) => error.into(),
            DeployError::Rejected(_)
            | DeployError::VersionExists { .. }
            | DeployError::Several(_) => Failure::new(Exit::Rejected, "SF5002", error.to_string())
                .hint("Run `surefoot check` for all problems, or change `version`."),
        })?;
    }
    Ok(())
}

async fn follow(
    session: &Session,
    engine: &Engine,
    mut watch: Watch<'_>,
    spans: Option<Spans>,
    timeout: Option<Duration>,
    until_idle: bool,
) -> Result<Exit> {
    let ending = watch.until_end(timeout, until_idle).await?;
    if !session.output.is_live {
        session.output.say(watch.counts());
    }
    let id = watch.run().id();
    let grace = if ending == Ending::Interrupted {
        session.output.say("stopping: attempts in flight may end (Ctrl-C again stops at once)");
        GRACE
    } else {
        Duration::ZERO
    };
    stop(engine, spans, session, grace).await?;
    let go_on = format!("go on with `surefoot run --resume {id}`");
    match ending {
        Ending::Ended(_) => result(session, watch.run()),
        Ending::TimedOut => Err(still(format!("run {id} is still going on"), &go_on)),
        Ending::Idle => {
            session.output.say(tree::answers(watch.run()).trim_end());
            Err(still(format!("run {id} waits"), &go_on))
        }
        Ending::Interrupted => {
            session.output.say(format!("run {id} is kept; {go_on}"));
            Ok(Exit::Interrupted)
        }
    }
}

fn still(message: String, hint: &str) -> Failure {
    Failure::new(Exit::StillRunning, "SF5047", message).hint(hint)
}

/// Sends what is left for a collector, and stops the engine; a second signal does not wait for it.
async fn stop(
    engine: &Engine,
    spans: Option<Spans>,
    session: &Session,
    grace: Duration,
) -> Result<()> {
    let mut signals = Signals::new()?;
    let stopped = async {
        // They are read from the store, which ends with the engine.
        if let Some(spans) = spans {
            spans.finish(session).await;
        }
        engine.stop(grace).await
    };
    tokio::select! {
        stopped = stopped => Ok(stopped?),
        () = signals.next() => Err(Failure::told(Exit::Interrupted)),
    }
}

/// Says how a run ended: a line for people, the outcome for machines.
fn result(session: &Session, run: &Folded) -> Result<Exit> {
    let state = run.state();
    let exit = Exit::of_run(state.status);
    let ms = state.ended_at.unwrap_or(state.last_at).saturating_sub(state.created_at);
    if !session.output.is_for_people() {
        let value = json!({"run": state.id, "workflow": state.created.workflow,
            "status": state.status, "output": state.output, "error": state.error, "took_ms": ms});
        session.output.value(&value, &state.id.to_string())?;
        return Ok(exit);
    }
    let status = style::paint(style::run(state.status), state.status);
    session.output.say(format!(
        "{} {} {status} after {}",
        state.created.workflow,
        state.id,
        took(ms)
    ));
    if let Some(error) = &state.error {
        session.output.say(tree::error_line(error));
    }
    if state.status == RunStatus::Failed {
        let task = state.error.as_ref().and_then(|it| it.task.clone()).unwrap_or_default();
        let id = state.id;
        session.output.say(format!("  try: surefoot logs {id} {task}    surefoot retry {id}"));
    }
    if state.status == RunStatus::Completed
        && let Some(output) = state.output.as_deref().filter(|it| !it.is_null())
    {
        let output = format!("{output:#}\n");
        session.output.text(&harmless::json(&output))?;
    }
    Ok(exit)
}

/// Executes everything that can go on, until only waits are left.
async fn all(session: &Session, large: bool, timeout: Option<Duration>) -> Result<Exit> {
    session.reader()?;
    let mut signals = Signals::new()?;
    let engine = session.engine(true, large).await?;
    let spans = Spans::begin(session, &engine).await;
    let limit = timeout.unwrap_or(Duration::MAX);
    let ending = tokio::select! {
        () = engine.idle() => Exit::Ok,
        () = tokio::time::sleep(limit) => Exit::StillRunning,
        () = signals.next() => Exit::Interrupted,
    };
    let grace = if ending == Exit::Interrupted { GRACE } else { Duration::ZERO };
    stop(&engine, spans, session, grace).await?;
    let counts = engine.statistics();
    session.output.say(format!(
        "{} runs ended, {} attempts made",
        counts.runs_ended, counts.attempts_started
    ));
    let waiting = unended(session).await?;
    if !waiting.is_empty() {
        session
            .output
            .say(format!("{} still wait; see `surefoot ls` and `surefoot task ls`", waiting.len()));
    }
    Ok(ending)
}

async fn unended(session: &Session) -> Result<Vec<RunId>> {
    const COUNTED_MAX: u32 = 1000;
    let open = RunStatus::ALL.into_iter().filter(|it| !it.is_terminal());
    let statuses = open.map(|it| it.name().to_owned()).collect();
    let filter = surefoot::store::RunFilter { statuses, limit: COUNTED_MAX, ..Default::default() };
    Ok(session.reader()?.runs(&filter).await?.into_iter().map(|it| it.id).collect())
}
