//! `surefoot task`: what waits for people.

use serde_json::{Value, json};
use surefoot::core::run::{Approval, Run, TaskId};
use surefoot::store::{RunFilter, Store};
use surefoot::{Command, inspect};

use super::authority::{self, carry_out, report};
use crate::arguments::{Task, TaskAction, Vote};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::time::{iso, now};
use crate::output::{Table, style};
use crate::session::{Session, wait};

/// Runs that are looked through for waiting tasks.
const RUNS_MAX: u32 = 1000;

pub fn task(session: &Session, arguments: Task) -> Result<Exit> {
    match arguments.action {
        TaskAction::Ls => wait(list(session)),
        TaskAction::Show { run, task } => wait(show(session, &run, task.as_deref())),
        TaskAction::Approve(vote) => cast(session, vote, true),
        TaskAction::Reject(vote) => cast(session, vote, false),
    }
}

fn cast(session: &Session, vote: Vote, approve: bool) -> Result<Exit> {
    let data = authority::data(vote.data.as_deref())?;
    let by = session.by(&vote.who);
    let command =
        Command::Vote { task: vote.task, approve, comment: vote.comment, data, groups: vote.group };
    wait(async {
        let done = carry_out(session, &vote.run, command, by).await?;
        let status = authority::status(session, done.run).await?;
        report(session, &done, if approve { "approved" } else { "rejected" }, status)?;
        Ok(Exit::Ok)
    })
}

pub async fn list(session: &Session) -> Result<Exit> {
    let store = session.reader()?;
    let statuses = ["running", "paused", "cancelling"].map(str::to_owned).to_vec();
    let filter = RunFilter { statuses, limit: RUNS_MAX, ..RunFilter::default() };
    let mut table = Table::new(&["STATUS", "RUN", "WORKFLOW", "TASK", "ASKED", "SINCE", "WHO"]);
    let mut values = Vec::new();
    for row in store.runs(&filter).await? {
        let run = inspect::load(&*store, row.id).await?;
        for (task, approval) in inspect::approvals(&run) {
            let value = describe(&run, task, approval);
            let since = session.output.time.instant(run.state().task(task).since, now());
            table.row(
                style::task(surefoot::TaskStatus::Waiting),
                vec![
                    "waiting".to_owned(),
                    row.id.to_string(),
                    row.workflow.clone(),
                    run.path(task),
                    approval.prompt.clone(),
                    since,
                    who(approval),
                ],
            );
            values.push((format!("{} {}", row.id, run.path(task)), value));
        }
    }
    if !session.output.is_for_people() {
        session.output.list(&values)?;
    } else if values.is_empty() {
        session.output.say("nothing waits for people");
    } else {
        session.output.text(&table.print(None))?;
    }
    Ok(Exit::Ok)
}

async fn show(session: &Session, run: &str, task: Option<&str>) -> Result<Exit> {
    let store: &dyn Store = &*session.reader()?;
    let run = inspect::load(store, inspect::resolve(store, run).await?).await?;
    let wanted = task.map(|it| authority::task_named(&run, it)).transpose()?;
    let all = inspect::approvals(&run);
    let found = all.iter().find(|(it, _)| wanted.is_none_or(|wanted| wanted == *it));
    let Some((task, approval)) = found else {
        let message = format!("nothing of run {} waits for a person", run.id());
        return Err(Failure::new(Exit::NotFound, "SF5036", message)
            .hint("List what waits with `surefoot task ls`."));
    };
    let value = describe(&run, *task, approval);
    session.output.value(&value, &run.path(*task))?;
    Ok(Exit::Ok)
}

fn describe(run: &Run, task: TaskId, approval: &Approval) -> Value {
    let state = run.state().task(task);
    let votes = state.more.as_ref().map_or(&[][..], |it| &it.votes);
    json!({
        "run": run.id(), "workflow": run.state().created.workflow, "task": run.path(task),
        "prompt": approval.prompt, "groups": approval.groups, "users": approval.users,
        "quorum": approval.quorum, "form": approval.form, "votes": votes,
        "since": iso(state.since), "due": state.due.map(iso),
    })
}

fn who(approval: &Approval) -> String {
    let names = [&approval.users[..], &approval.groups[..]].concat();
    if names.is_empty() { "anybody".to_owned() } else { names.join(", ") }
}
