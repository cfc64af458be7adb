//! `surefoot worker`: executes tasks of a server, and looks after those who do.

mod conformance;
mod handlers;

pub(crate) use handlers::command;

use serde_json::json;
use surefoot_client::{Client, WorkerError, wire};

use crate::arguments::{Worker, WorkerAction};
use crate::exit::Exit;
use crate::failure::{Failure, Result, suggestion};
use crate::input;
use crate::live::Signals;
use crate::output::{Table, style};
use crate::session::{Session, wait, wait_on_all_cores};

/// Where a server is, unless somebody says otherwise.
const URL: &str = "http://127.0.0.1:7070";

pub fn worker(session: &Session, arguments: Worker) -> Result<Exit> {
    match arguments.action {
        None => wait_on_all_cores(work(session, &arguments)),
        Some(WorkerAction::Ls) => wait(ls(session)),
        Some(WorkerAction::Drain { id }) => wait(drain(session, &id)),
        Some(WorkerAction::Conformance(it)) => wait(conformance::conformance(session, &it)),
    }
}

fn url(session: &Session) -> String {
    let url = &session.settings.server_url;
    if url.is_empty() { URL.to_owned() } else { url.clone() }
}

fn client(session: &Session, url: &str) -> Result<Client> {
    Ok(Client::new(url, session.variables.get("SUREFOOT_TOKEN").cloned())?)
}

async fn work(session: &Session, arguments: &Worker) -> Result<Exit> {
    let url = url(session);
    let mut worker = surefoot_client::Worker::new(&url).slots(arguments.slots);
    if let Some(token) = session.variables.get("SUREFOOT_TOKEN") {
        worker = worker.token(token);
    }
    if let Some(name) = &arguments.name {
        worker = worker.name(name);
    }
    for label in &arguments.label {
        let (name, value) = input::pair(label, "--label")?;
        worker = worker.label(name, value);
    }
    let mut names = Vec::new();
    for (name, handler) in handlers::of(session, arguments)? {
        worker = worker.raw_handler(&name, handler);
        names.push(name);
    }
    if names.is_empty() {
        return Err(Failure::new(Exit::Usage, "SF5095", "the worker can execute nothing")
            .hint("Give it a task to execute: --command NAME='PROGRAM ARGUMENT…'."));
    }
    let mut signals = Signals::new()?;
    session.output.say(format!(
        "executes {} for {url}, {} at once; Ctrl-C lets them end",
        names.join(", "),
        arguments.slots
    ));
    match worker.run_until(signals.next()).await {
        Ok(()) => Ok(Exit::Ok),
        Err(WorkerError::Client(error)) => Err(error.into()),
        Err(WorkerError::Refused(problem)) => {
            let exit = if problem.status == 403 { Exit::Auth } else { Exit::Usage };
            let detail = problem.detail.as_ref().unwrap_or(&problem.title);
            let failure = Failure::new(exit, "SF5095", format!("{}: {detail}", problem.title));
            Err(match problem.hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            })
        }
    }
}

async fn ls(session: &Session) -> Result<Exit> {
    let workers = client(session, &url(session))?.workers().await?.items;
    if !session.output.is_for_people() {
        let all: Vec<_> = workers.iter().map(|it| (it.id.clone(), json!(it))).collect();
        session.output.list(&all)?;
        return Ok(Exit::Ok);
    }
    if workers.is_empty() {
        session.output.say("no workers; start one with `surefoot worker --command NAME=PROGRAM`");
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["STATUS", "WORKER", "NAME", "SLOTS", "CAPABILITIES", "TASKS"]);
    for it in &workers {
        let colour = if it.status == "lost" { style::ERROR } else { style::NAME };
        table.row(
            colour,
            vec![
                it.status.clone(),
                it.id.clone(),
                it.name.clone(),
                format!("{}/{}", it.tasks.len(), it.slots),
                it.capabilities.join(", "),
                it.tasks.iter().map(task).collect::<Vec<_>>().join(", "),
            ],
        );
    }
    let width = (!session.output.is_wide()).then_some(session.output.width);
    session.output.text(&table.print(width))?;
    Ok(Exit::Ok)
}

fn task(task: &wire::WorkerTask) -> String {
    let progress = task.progress.map_or_else(String::new, |it| format!(" {:.0}%", it * 100.0));
    format!("{}/{}{progress}", task.workflow, task.task)
}

async fn drain(session: &Session, id: &str) -> Result<Exit> {
    let client = client(session, &url(session))?;
    let known: Vec<String> = client.workers().await?.items.into_iter().map(|it| it.id).collect();
    let matching: Vec<&String> = known.iter().filter(|it| it.contains(id)).collect();
    let [worker] = matching[..] else {
        let message = match matching.len() {
            0 => format!("no worker matches `{id}`"),
            count => format!("`{id}` matches {count} workers"),
        };
        let failure = Failure::new(Exit::NotFound, "SF4063", message);
        return Err(match suggestion(id, &known, "workers") {
            Some(hint) => failure.hint(hint),
            None => failure.hint("There are no workers."),
        });
    };
    client.drain(worker).await?;
    session.output.say(format!("{worker} gets no more tasks"));
    Ok(Exit::Ok)
}
