//! What waits for people: the inbox, and its decisions.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use surefoot::core::run::{Approval, Run, TaskId, Wait};
use surefoot::store::{RunFilter, RunRow};
use surefoot::{Command, inspect};
use surefoot_client::wire::{Decision, HumanTask, Page, Vote};
use utoipa_axum::routes;

use crate::api::{Access, Api};
use crate::auth::Principal;
use crate::body::MaybeJson;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::service::Service;
use crate::{runs, time};

/// Runs that are looked through for waiting tasks.
const RUNS_MAX: u32 = 1000;

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Read, routes!(list))
        .route(Access::Read, routes!(show))
        .route(Access::Operate, routes!(complete))
        .route(Access::Operate, routes!(reject))
}

/// Lists what waits for people, the longest waiting first. `mine=true` leaves out what the caller
/// may not decide.
#[utoipa::path(get, path = "/v1/tasks", tag = "tasks",
    params(("mine" = Option<bool>, Query), ("workflow" = Option<String>, Query)),
    responses((status = 200, description = "The inbox", body = Page<HumanTask>)))]
async fn list(
    State(service): State<Service>,
    principal: Principal,
    mut parameters: Parameters,
) -> Result<Json<Page<HumanTask>>, Problem> {
    let mine: bool = parameters.parsed("mine", "true or false")?.unwrap_or(false);
    let workflow = parameters.text("workflow");
    parameters.finish()?;
    let statuses = ["running", "paused", "cancelling"].map(str::to_owned).to_vec();
    let filter = RunFilter { statuses, workflow, limit: RUNS_MAX, ..RunFilter::default() };
    let mut items = Vec::new();
    for row in service.store().runs(&filter).await? {
        if !principal.sees(&row.workflow) || !may_wait(&row) {
            continue;
        }
        let run = inspect::load(service.store(), row.id).await?;
        for (task, approval) in open(&run) {
            if !mine || may_decide(&principal, &run, approval) {
                items.push(of_task(&run, task, approval));
            }
        }
    }
    items.sort_by(|one, other| one.since.cmp(&other.since));
    Ok(Json(Page { items, next_cursor: None }))
}

/// A run that only waits says so in its row.
fn may_wait(row: &RunRow) -> bool {
    row.ended_at.is_none()
}

/// One task that waits for people.
#[utoipa::path(get, path = "/v1/tasks/{id}", tag = "tasks", params(("id" = String, Path, description = "RUN:TASK")),
    responses((status = 200, description = "The task", body = HumanTask)))]
async fn show(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<HumanTask>, Problem> {
    let (run, task) = find(&service, &principal, &id).await?;
    let approval = open(&run).into_iter().find(|(it, _)| *it == task);
    let (task, approval) = approval.ok_or_else(|| ended(&id))?;
    Ok(Json(of_task(&run, task, approval)))
}

/// Approves: with the data that the form asks for.
#[utoipa::path(post, path = "/v1/tasks/{id}/complete", tag = "tasks", params(("id" = String, Path, description = "RUN:TASK")),
    request_body = Option<Decision>, responses((status = 200, description = "Counted", body = surefoot_client::wire::Run)))]
async fn complete(
    service: State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    MaybeJson(body): MaybeJson<Decision>,
) -> Result<Json<surefoot_client::wire::Run>, Problem> {
    decide(&service, &principal, &id, body, true).await
}

/// Refuses.
#[utoipa::path(post, path = "/v1/tasks/{id}/reject", tag = "tasks", params(("id" = String, Path, description = "RUN:TASK")),
    request_body = Option<Decision>, responses((status = 200, description = "Counted", body = surefoot_client::wire::Run)))]
async fn reject(
    service: State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    MaybeJson(body): MaybeJson<Decision>,
) -> Result<Json<surefoot_client::wire::Run>, Problem> {
    decide(&service, &principal, &id, body, false).await
}

async fn decide(
    service: &Service,
    principal: &Principal,
    id: &str,
    body: Decision,
    approve: bool,
) -> Result<Json<surefoot_client::wire::Run>, Problem> {
    let (run, task) = find(service, principal, id).await?;
    let approval = open(&run).into_iter().find(|(it, _)| *it == task).map(|(_, it)| it.clone());
    // Where nobody is authenticated, callers are believed to be who the task asks for.
    let groups = match (&principal.groups, &approval) {
        (Some(groups), _) => groups.clone(),
        (None, Some(approval)) => approval.groups.clone(),
        (None, None) => Vec::new(),
    };
    let command = Command::Vote {
        task: Some(run.path(task)),
        approve,
        comment: body.comment,
        data: body.data.unwrap_or_default(),
        groups,
    };
    service.engine().command(run.id(), command, principal.by(None)).await?;
    let run = inspect::load(service.store(), run.id()).await?;
    Ok(Json(runs::of_run(&run)))
}

/// Finds a task by `RUN:TASK`.
async fn find(
    service: &Service,
    principal: &Principal,
    id: &str,
) -> Result<(Run, TaskId), Problem> {
    let (run, path) = id.split_once(':').ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, "SF4009", format!("`{id}` is not the id of a task"))
            .hint("It is the id of the run and the task's path, joined by `:`.")
    })?;
    let run = runs::load(service, principal, run).await?;
    let task = run.find(path).ok_or_else(|| Problem::not_found("task", path))?;
    Ok((run, task))
}

fn ended(id: &str) -> Problem {
    Problem::not_found("waiting task", id).hint("It was decided already, or its run has ended.")
}

/// Returns the approvals of a run that are open.
fn open(run: &Run) -> Vec<(TaskId, &Approval)> {
    let tasks = run.state().tasks.iter().enumerate();
    let open = tasks.filter_map(|(at, task)| match task.wait() {
        Some(Wait::Approval(approval)) if !task.status.is_ended() => {
            Some((TaskId(at as u32), &**approval))
        }
        _ => None,
    });
    open.collect()
}

fn may_decide(principal: &Principal, run: &Run, approval: &Approval) -> bool {
    let is_self = approval.deny_self && run.state().created.actor == principal.actor;
    let is_for_all = approval.users.is_empty() && approval.groups.is_empty();
    let in_group = match &principal.groups {
        Some(groups) => groups.iter().any(|it| approval.groups.contains(it)),
        None => true,
    };
    !is_self && (is_for_all || in_group || approval.users.contains(&principal.actor))
}

fn of_task(run: &Run, task: TaskId, approval: &Approval) -> HumanTask {
    let state = run.state().task(task);
    let votes = state.more.as_ref().map_or(&[][..], |it| &it.votes);
    let path = run.path(task);
    HumanTask {
        id: format!("{}:{path}", run.id()),
        run: run.id().to_string(),
        workflow: run.state().created.workflow.clone(),
        task: path,
        prompt: approval.prompt.clone(),
        users: approval.users.clone(),
        groups: approval.groups.clone(),
        quorum: approval.quorum,
        form: approval.form.clone(),
        votes: votes.iter().map(of_vote).collect(),
        since: time::text(state.since),
        due: state.due.map(time::text),
        claimed_by: None,
        revision: 0,
    }
}

fn of_vote(vote: &surefoot::core::run::Vote) -> Vote {
    Vote {
        actor: vote.actor.clone(),
        approve: vote.approve,
        comment: vote.comment.clone(),
        at: time::text(vote.at),
    }
}
