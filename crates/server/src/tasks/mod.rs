//! What waits for people: the inbox, and its decisions.
//!
//! | file | holds |
//! |---|---|
//! | `claim` | who has taken a task on |
//! | `link` | links that decide one task once |

mod claim;
mod link;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use surefoot::core::run::{Approval, Run, TaskId};
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
        .route(Access::Operate, routes!(claim::claim))
        .route(Access::Operate, routes!(claim::release))
        .route(Access::Operate, routes!(claim::reassign))
        .route(Access::Operate, routes!(link::create))
        .route(Access::Public, routes!(link::show))
        .route(Access::Public, routes!(link::complete))
        .route(Access::Public, routes!(link::reject))
}

/// Lists what waits for people, the longest waiting first. `mine=true` leaves out what the caller
/// may not decide, and what somebody else has taken on.
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
        for (task, approval) in inspect::approvals(&run) {
            if mine && !may_decide(&principal, &run, approval) {
                continue;
            }
            let id = format!("{}:{}", run.id(), run.path(task));
            let claim = claim::read(&service, &id).await?;
            let is_held = claim
                .as_ref()
                .is_some_and(|(it, _)| it.holds(approval) && it.by != principal.actor);
            if !mine || !is_held {
                items.push(described(&run, task, approval, claim.as_ref()));
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
) -> Result<Response, Problem> {
    let open = find(&service, &principal, &id).await?;
    let tag = format!("\"{}\"", open.claim.as_ref().map_or(0, |(_, revision)| *revision));
    Ok(([(header::ETAG, tag)], Json(of_task(&open))).into_response())
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
    let open = find(service, principal, id).await?;
    open.must_be_free_for(principal)?;
    // Where nobody is authenticated, callers are believed to be who the task asks for.
    let groups = principal.groups.clone().unwrap_or_else(|| open.approval.groups.clone());
    let command = Command::Vote {
        task: Some(open.run.path(open.task)),
        approve,
        comment: body.comment,
        data: body.data.unwrap_or_default(),
        groups,
    };
    service.engine().command(open.run.id(), command, principal.by(None)).await?;
    claim::forget(service, &open.id).await?;
    let run = inspect::load(service.store(), open.run.id()).await?;
    Ok(Json(runs::of_run(&run)))
}

/// A task that waits for people, found by its id.
struct Open {
    id: String,
    run: Run,
    task: TaskId,
    approval: Approval,
    /// Who has taken it on, and the revision of that.
    claim: Option<(claim::Claim, u64)>,
}

/// Finds a task by `RUN:TASK`.
async fn find(service: &Service, principal: &Principal, id: &str) -> Result<Open, Problem> {
    let (run, path) = id.split_once(':').ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, "SF4009", format!("`{id}` is not the id of a task"))
            .hint("It is the id of the run and the task's path, joined by `:`.")
    })?;
    let run = runs::load(service, principal, run).await?;
    let task = run.find(path).ok_or_else(|| Problem::not_found("task", path))?;
    let approval =
        inspect::approvals(&run).into_iter().find(|(it, _)| *it == task).map(|(_, it)| it.clone());
    let approval = approval.ok_or_else(|| ended(&run, task))?;
    let id = format!("{}:{}", run.id(), run.path(task));
    let claim = claim::read(service, &id).await?;
    Ok(Open { id, run, task, approval, claim })
}

fn ended(run: &Run, task: TaskId) -> Problem {
    let title = format!("`{}` waits for nobody", run.path(task));
    Problem::new(StatusCode::CONFLICT, "SF4016", title)
        .hint("It was decided already, has not begun to wait, or its run has ended.")
}

fn may_decide(principal: &Principal, run: &Run, approval: &Approval) -> bool {
    let is_self = approval.deny_self && run.state().created.actor == principal.actor;
    let in_group = match &principal.groups {
        Some(groups) => groups.iter().any(|it| approval.groups.contains(it)),
        None => true,
    };
    !is_self && (approval.is_open() || in_group || approval.users.contains(&principal.actor))
}

fn of_task(open: &Open) -> HumanTask {
    described(&open.run, open.task, &open.approval, open.claim.as_ref())
}

fn described(
    run: &Run,
    task: TaskId,
    approval: &Approval,
    claim: Option<&(claim::Claim, u64)>,
) -> HumanTask {
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
        escalates_at: state.escalates_at().map(time::text),
        escalated_at: approval.escalated_at.map(time::text),
        claimed_by: claim.filter(|(it, _)| it.holds(approval)).map(|(it, _)| it.by.clone()),
        revision: claim.map_or(0, |(_, revision)| *revision),
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
