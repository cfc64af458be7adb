//! `surefoot show`: one run, from the side that was asked for.

use std::path::Path;

use serde_json::{Value, json};
use surefoot::core::run::{Run, TaskId};
use surefoot::draw::{Statuses, sign};
use surefoot::store::Store;
use surefoot::{Record, inspect, traces};
use surefoot_client::wire;

use super::authority::task_named;
use super::graph;
use crate::arguments::Show;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::live::tree;
use crate::output::table::bar;
use crate::output::time::{clock, iso, now, took};
use crate::output::{Table, harmless, style};
use crate::session::{Session, wait};

const BAR_WIDTH: u32 = 20;

pub fn show(session: &Session, arguments: &Show) -> Result<Exit> {
    wait(async {
        let store = session.reader()?;
        let id = inspect::resolve(&*store, &arguments.run).await?;
        let run = inspect::load(&*store, id).await?;
        if arguments.history {
            history(session, &*store, &run).await?;
        } else if arguments.timeline {
            let records = inspect::history(&*store, id).await?;
            session.output.text(&super::timeline::draw(
                &run,
                &records,
                session.output.width,
                now(),
            ))?;
        } else if let Some(picture) = arguments.graph {
            let text = graph::painted(session, run.plan(), &statuses(&run), picture);
            session.output.text(&text)?;
        } else if let Some(file) = &arguments.trace {
            let (run, spans) = traces::of_run(&*store, id).await?;
            write_trace(session, file, &traces::chrome(run.state(), &spans, now()))?;
        } else if arguments.input {
            session.output.value(run.state().created.input.value(), "")?;
        } else if arguments.output {
            session.output.value(run.state().output.as_deref().unwrap_or(&Value::Null), "")?;
        } else if arguments.errors {
            errors(session, &run)?;
        } else if let Some(task) = &arguments.why {
            why(session, &run, task.as_deref()).await?;
        } else if arguments.transitions {
            transitions(session, &run)?;
        } else {
            summary(session, &run)?;
        }
        Ok(Exit::Ok)
    })
}

/// Writes a trace to a file, or to standard output.
fn write_trace(session: &Session, file: &Path, trace: &Value) -> Result<()> {
    let text = format!("{trace}\n");
    if file.as_os_str() == "-" {
        return session.output.text(&text);
    }
    std::fs::write(file, text).map_err(|error| {
        let message = format!("`{}` cannot be written: {error}", file.display());
        Failure::new(Exit::Usage, "SF5053", message).hint("Check the directory.")
    })?;
    session.output.say(format!("open {} at ui.perfetto.dev", file.display()));
    Ok(())
}

/// Statuses by the names of the plan: of a state that was entered often, the last.
fn statuses(run: &Run) -> Statuses {
    let tasks = (0..run.state().tasks.len() as u32).map(TaskId).filter(|it| !run.is_item(*it));
    tasks.map(|it| (run.plan().path(run.node_id(it)), run.state().task(it).status)).collect()
}

fn summary(session: &Session, run: &Run) -> Result<()> {
    if !session.output.is_for_people() {
        return session.output.value(&json_of(run), &run.id().to_string());
    }
    let state = run.state();
    let (done, total) = state.progress();
    let status = style::paint(style::run(state.status), state.status);
    let end = state.ended_at.unwrap_or_else(now);
    let mut text = format!(
        "{status}  {}@{}  {}  {}  {}\n",
        state.created.workflow,
        state.created.version,
        run.id(),
        bar(done, total, BAR_WIDTH),
        took(end.saturating_sub(state.started_at.unwrap_or(state.created_at))),
    );
    let soft = |name: &str, value: &str| {
        let value = harmless::line(value);
        format!("  {} {value}\n", style::paint(style::SOFT, format!("{name:<8}")))
    };
    let started = session.output.time.instant(state.created_at, now());
    text.push_str(&soft("started", &format!("{started} by {}", state.created.actor)));
    if let Some(key) = &state.created.key {
        text.push_str(&soft("key", key));
    }
    for (name, value) in &state.created.labels {
        text.push_str(&soft("label", &format!("{name}={value}")));
    }
    text.push('\n');
    text.push_str(&tree::whole(run, now(), session.output.width));
    if let Some(error) = &state.error {
        text.push_str(&format!("\n{}\n", tree::error_line(error)));
    }
    if state.status == surefoot::RunStatus::Completed
        && let Some(output) = &state.output
        && !output.is_null()
    {
        text.push_str(&format!("\noutput {}\n", harmless::line(&output.to_string())));
    }
    text.push_str(&tree::answers(run));
    session.output.text(&text)
}

fn json_of(run: &Run) -> Value {
    let state = run.state();
    let tasks: Vec<Value> = (0..state.tasks.len() as u32)
        .map(TaskId)
        .map(|id| {
            let task = state.task(id);
            json!({
                "task": run.path(id), "kind": run.kind(id), "status": task.status,
                "attempt": task.attempt, "since": iso(task.since),
                "started_at": task.started_at.map(iso), "due": task.due.map(iso),
                "error": task.error(), "output": task.output, "line": run.node(id).line,
            })
        })
        .collect();
    let (done, total) = state.progress();
    json!({
        "id": state.id, "workflow": state.created.workflow, "version": state.created.version,
        "status": state.status, "input": state.created.input.value(), "output": state.output,
        "error": state.error, "key": state.created.key, "labels": state.created.labels,
        "actor": state.created.actor, "created_at": iso(state.created_at),
        "started_at": state.started_at.map(iso), "ended_at": state.ended_at.map(iso),
        "done": done, "total": total, "records": state.records, "tasks": tasks,
        "transitions": run.transitions(now()),
    })
}

async fn history(session: &Session, store: &dyn Store, run: &Run) -> Result<()> {
    let records: Vec<Record> = inspect::history(store, run.id()).await?;
    let mut table = Table::new(&["#", "TIME", "EVENT", "TASK", "DETAIL", "BY"]);
    let mut values = Vec::new();
    for (at, record) in records.iter().enumerate() {
        for event in &record.events {
            let (kind, task, detail) = run.describe(event);
            let by = match &record.by.reason {
                Some(reason) => format!("{} ({reason})", record.by.actor),
                None => record.by.actor.clone(),
            };
            let time = clock(record.at, session.output.time);
            values.push((
                at.to_string(),
                json!({"record": at, "at": iso(record.at), "event": kind, "task": task,
                    "detail": detail, "actor": record.by.actor, "reason": record.by.reason}),
            ));
            table.row(style::SOFT, vec![at.to_string(), time, kind.to_owned(), task, detail, by]);
        }
    }
    if !session.output.is_for_people() {
        return session.output.list(&values);
    }
    session.output.text(&table.print((!session.output.is_wide()).then_some(session.output.width)))
}

fn errors(session: &Session, run: &Run) -> Result<()> {
    let state = run.state();
    let failed: Vec<(String, Value)> = (0..state.tasks.len() as u32)
        .map(TaskId)
        .filter_map(|it| {
            let error = state.task(it).error()?;
            let (path, task) = (run.path(it), state.task(it));
            Some((path.clone(), json!({"task": path, "status": task.status, "attempt": task.attempt, "error": error})))
        })
        .collect();
    if !session.output.is_for_people() {
        return session.output.list(&failed);
    }
    if failed.is_empty() {
        session.output.say("no task has an error");
    }
    for (path, value) in &failed {
        let (status, error) = (&value["status"], &value["error"]);
        let name = style::paint(style::NAME, harmless::line(path));
        let said = |name: &str| harmless::line(error[name].as_str().unwrap_or("")).into_owned();
        let (kind, message) = (said("type"), said("message"));
        let attempt = &value["attempt"];
        let status = status.as_str().unwrap_or("");
        session
            .output
            .text(&format!("{status} {name} at attempt {attempt}: {kind}: {message}\n"))?;
        if !error["details"].is_null() {
            let details = error["details"].to_string();
            session.output.text(&format!("  {}\n", harmless::line(&details)))?;
        }
    }
    Ok(())
}

/// Says why one task is where it is, or each that has not ended.
async fn why(session: &Session, run: &Run, task: Option<&str>) -> Result<()> {
    let tasks: Vec<TaskId> = match task {
        Some(task) => vec![task_named(run, task)?],
        None => (0..run.state().tasks.len() as u32)
            .map(TaskId)
            .filter(|it| !run.state().task(*it).status.is_ended())
            .collect(),
    };
    let mut all: Vec<_> = tasks.into_iter().map(|it| run.why(it, now())).collect();
    if let Some(client) = session.client()? {
        // The journal cannot tell which workers there are; the server can.
        for why in &mut all {
            let task = surefoot_client::segment(&why.task);
            let path = format!("/v1/runs/{}/tasks/{task}/why", run.id());
            why.why = client.get::<wire::Why>(&path).await?.why;
        }
    }
    if !session.output.is_for_people() {
        let list: Vec<_> = all.iter().map(|it| (it.task.clone(), json!(it))).collect();
        return session.output.list(&list);
    }
    if all.is_empty() {
        session.output.say(format!("every task has ended; the run is {}", run.state().status));
    }
    for why in all {
        let mark =
            style::paint(style::task(why.status), format!("{} {}", sign(why.status), why.status));
        session.output.text(&format!(
            "{mark} {}: {}\n",
            style::paint(style::NAME, harmless::line(&why.task)),
            harmless::line(&why.why)
        ))?;
    }
    Ok(())
}

fn transitions(session: &Session, run: &Run) -> Result<()> {
    let all = run.transitions(now());
    if !session.output.is_for_people() {
        let list: Vec<_> = all.iter().map(|it| (it.on.clone(), json!(it))).collect();
        return session.output.list(&list);
    }
    if all.is_empty() {
        session.output.say("no machine of this run is in a state with ways out");
        return Ok(());
    }
    let mut table = Table::new(&["OPEN", "MACHINE", "FROM", "ON", "TO", "WHY"]);
    for way in all {
        let machine = if way.machine.is_empty() { "(run)".to_owned() } else { way.machine };
        let open = if way.open { "yes" } else { "no" };
        table.row(style::NAME, vec![open.to_owned(), machine, way.from, way.on, way.to, way.why]);
    }
    session.output.text(&table.print(Some(session.output.width)))
}
