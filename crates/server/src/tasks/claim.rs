//! Who has taken a task on. A claim keeps others from deciding; it is not needed to decide.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use surefoot::core::run::Approval;
use surefoot::core::time::Millis;
use surefoot::store::{Expect, ItemWrite};
use surefoot_client::wire::{HumanTask, Reassign};

use super::{Open, find, of_task};
use crate::auth::{Principal, Role};
use crate::body::Json as Body;
use crate::problem::Problem;
use crate::service::Service;

/// Where claims are kept, by the task's id.
const COLLECTION: &str = "claims";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Claim {
    pub by: String,
    at: Millis,
    /// What was said when it was handed over.
    comment: Option<String>,
}

impl Claim {
    /// Whether it keeps others from deciding: not those who were asked because nobody did.
    pub fn holds(&self, approval: &Approval) -> bool {
        approval.escalated_at.is_none_or(|it| self.at >= it)
    }
}

/// Returns who has taken a task on, and the revision of that.
pub(super) async fn read(service: &Service, id: &str) -> Result<Option<(Claim, u64)>, Problem> {
    let Some(item) = service.store().item(COLLECTION, id).await? else { return Ok(None) };
    let claim = serde_json::from_slice(&item.body).map_err(Problem::internal)?;
    Ok(Some((claim, item.revision)))
}

/// Takes a task on: from now on others may not decide it.
#[utoipa::path(post, path = "/v1/tasks/{id}/claim", tag = "tasks", params(("id" = String, Path, description = "RUN:TASK")),
    responses((status = 200, description = "Taken on", body = HumanTask)))]
pub(super) async fn claim(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<HumanTask>, Problem> {
    let open = find(&service, &principal, &id).await?;
    open.must_be_for(&principal)?;
    let by = principal.actor.clone();
    if let Some((claim, _)) = &open.claim
        && claim.by != by
        && claim.holds(&open.approval)
    {
        return Err(taken(&claim.by));
    }
    write(&service, &headers, open, Some(Claim { by, at: service.now(), comment: None })).await
}

/// Gives a task back, so that others may take it on. Only who has it may, or an admin.
#[utoipa::path(post, path = "/v1/tasks/{id}/release", tag = "tasks", params(("id" = String, Path, description = "RUN:TASK")),
    responses((status = 200, description = "Given back", body = HumanTask)))]
pub(super) async fn release(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<HumanTask>, Problem> {
    let open = find(&service, &principal, &id).await?;
    open.must_be_free_for(&principal)?;
    write(&service, &headers, open, None).await
}

/// Hands a task to somebody. Who has it may, and so may an admin.
#[utoipa::path(post, path = "/v1/tasks/{id}/reassign", tag = "tasks", params(("id" = String, Path, description = "RUN:TASK")), request_body = Reassign,
    responses((status = 200, description = "Handed over", body = HumanTask)))]
pub(super) async fn reassign(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(body): Body<Reassign>,
) -> Result<Json<HumanTask>, Problem> {
    let open = find(&service, &principal, &id).await?;
    open.must_be_free_for(&principal)?;
    if body.to.trim().is_empty() {
        let title = "`to` names nobody";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4023", title)
            .hint("Name who is to decide, as their token does."));
    }
    let claim = Claim { by: body.to, at: service.now(), comment: body.comment };
    write(&service, &headers, open, Some(claim)).await
}

impl Open {
    /// Refuses who may not decide the task at all.
    fn must_be_for(&self, principal: &Principal) -> Result<(), Problem> {
        if principal.role == Role::Admin || super::may_decide(principal, &self.run, &self.approval)
        {
            return Ok(());
        }
        let title = format!("`{}` may not decide this task", principal.actor);
        Err(Problem::new(StatusCode::FORBIDDEN, "SF4011", title)
            .hint("The task says who may: its `users` and `groups`."))
    }

    /// Refuses a task that somebody else has taken on.
    pub(super) fn must_be_free_for(&self, principal: &Principal) -> Result<(), Problem> {
        match &self.claim {
            Some((claim, _))
                if claim.by != principal.actor
                    && principal.role != Role::Admin
                    && claim.holds(&self.approval) =>
            {
                Err(taken(&claim.by))
            }
            _ => Ok(()),
        }
    }
}

fn taken(by: &str) -> Problem {
    let title = format!("`{by}` has taken this task on");
    Problem::new(StatusCode::CONFLICT, "SF4016", title)
        .hint("They can give it back (`release`) or hand it over (`reassign`); so can an admin.")
}

/// Keeps who has a task, if nobody was faster.
async fn write(
    service: &Service,
    headers: &HeaderMap,
    open: Open,
    claim: Option<Claim>,
) -> Result<Json<HumanTask>, Problem> {
    let revision = open.claim.as_ref().map(|(_, revision)| *revision);
    if let Some(wanted) = headers.get(header::IF_MATCH) {
        let current = format!("\"{}\"", revision.unwrap_or(0));
        if wanted.as_bytes() != current.as_bytes() && wanted.as_bytes() != b"*" {
            return Err(changed());
        }
    }
    let expect = revision.map_or(Expect::Absent, Expect::Revision);
    let body = claim.as_ref().map(serde_json::to_vec).transpose().map_err(Problem::internal)?;
    let write = match (body, revision) {
        (Some(body), _) => ItemWrite::put(COLLECTION, &open.id, expect, body),
        (None, Some(_)) => ItemWrite::remove(COLLECTION, &open.id, expect),
        (None, None) => return Ok(Json(of_task(&open))),
    };
    let Ok(revisions) = service.store().write_items(vec![write]).await? else {
        return Err(changed());
    };
    let claim = claim.zip(revisions.first().copied());
    Ok(Json(of_task(&Open { claim, ..open })))
}

fn changed() -> Problem {
    let title = "somebody took the task on, or gave it back, in the meantime";
    Problem::new(StatusCode::PRECONDITION_FAILED, "SF4015", title)
        .hint("Read the task again; its `revision` is the ETag.")
}

/// Forgets who had a task that was decided.
pub(super) async fn forget(service: &Service, id: &str) -> Result<(), Problem> {
    let write = ItemWrite::remove(COLLECTION, id, Expect::Anything);
    // An expectation of anything always holds.
    let _ = service.store().write_items(vec![write]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_from_before_an_escalation_holds_up_nobody() {
        let claim = Claim { by: "ada".to_owned(), at: 100, comment: None };
        for (escalated_at, holds) in [(None, true), (Some(100), true), (Some(101), false)] {
            let approval = json!({"prompt": "", "quorum": 1, "deny_self": false, "on_timeout": "fail", "reject_completes": false, "escalated_at": escalated_at});
            let approval: Approval =
                serde_json::from_value(approval).expect("an approval as the journal has it");
            assert_eq!(claim.holds(&approval), holds, "{escalated_at:?}");
        }
    }
}
