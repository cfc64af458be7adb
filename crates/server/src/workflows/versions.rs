//! Versions of a workflow beside each other: what differs, and which one new runs take.

use axum::Json;
use axum::extract::{Path, State};
use surefoot::core::verify::upgrade::{self, Stand};
use surefoot_client::wire::{VersionDiff, Workflow};

use super::{changes, named, of_row, rows};
use crate::auth::Principal;
use crate::parameters::{Parameters, bad};
use crate::problem::Problem;
use crate::service::Service;

/// What differs between two versions: `from` (the one deployed before `to`, if it is not named) and
/// `to` (the active one).
#[utoipa::path(get, path = "/v1/workflows/{id}/diff", tag = "workflows",
    params(("id" = String, Path), ("from" = Option<String>, Query, description = "A version"), ("to" = Option<String>, Query, description = "A version")),
    responses((status = 200, description = "What differs", body = VersionDiff)))]
pub(super) async fn diff(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    mut parameters: Parameters,
) -> Result<Json<VersionDiff>, Problem> {
    let (from, to) = (parameters.text("from"), parameters.text("to"));
    parameters.finish()?;
    let rows = rows(&service, &principal, &id).await?;
    let to = match to {
        Some(to) => named(&rows, &to)?,
        None => &rows[0],
    };
    let from = match from {
        Some(from) => named(&rows, &from)?,
        None => {
            let older = rows.iter().filter(|it| it.created_at <= to.created_at);
            older.filter(|it| it.hash != to.hash).max_by_key(|it| it.created_at).ok_or_else(
                || {
                    bad("there is no version before it", to.version.clone())
                        .hint("Name one as `from`.")
                },
            )?
        }
    };
    let old = service.engine().plan(&from.workflow, Some(&from.version)).await?;
    let new = service.engine().plan(&to.workflow, Some(&to.version)).await?;
    let upgrade = upgrade::compare(&old, &new);
    let stuck = upgrade.places.iter().filter_map(|(path, stand)| match stand {
        Stand::Stuck(reasons) => Some((path.clone(), reasons.clone())),
        Stand::Follows | Stand::Differs(_) => None,
    });
    Ok(Json(VersionDiff {
        workflow: to.workflow.clone(),
        from: from.version.clone(),
        to: to.version.clone(),
        stuck: stuck.collect(),
        changes: changes(&upgrade),
    }))
}

/// Makes a version the one that new runs take, triggers and schedules included. Runs that go on
/// keep theirs. Deploying a version, new or again, activates it too.
#[utoipa::path(post, path = "/v1/workflows/{id}/versions/{version}/activate", tag = "workflows",
    params(("id" = String, Path), ("version" = String, Path)),
    responses((status = 200, description = "It is active", body = Workflow)))]
pub(super) async fn activate(
    State(service): State<Service>,
    principal: Principal,
    Path((id, version)): Path<(String, String)>,
) -> Result<Json<Workflow>, Problem> {
    let rows = rows(&service, &principal, &id).await?;
    let row = named(&rows, &version)?;
    service.engine().activate(&row.workflow, &row.version).await?;
    service.triggers().deployed(&row.workflow).await?;
    service.schedules().deployed(&row.workflow).await?;
    Ok(Json(of_row(row, true)))
}
