//! Lists of runs.

use axum::Json;
use axum::extract::State;
use surefoot::core::source::nearest;
use surefoot::store::RunFilter;
use surefoot::{RunId, RunStatus};
use surefoot_client::wire::{Page, Run};

use crate::auth::Principal;
use crate::parameters::{Parameters, bad, run_id};
use crate::problem::Problem;
use crate::service::Service;
use crate::{cursor, time};

/// Runs of one part of a list.
const LIMIT: u64 = 50;
const LIMIT_MAX: u64 = 500;
/// Rows that one request looks through for those that the caller may see.
const LOOKED_THROUGH_MAX: usize = 10_000;

/// Lists runs, newest first.
#[utoipa::path(get, path = "/v1/runs", tag = "runs",
    params(("workflow" = Option<String>, Query), ("status" = Option<String>, Query, description = "One, or several with commas"),
        ("key" = Option<String>, Query), ("id" = Option<String>, Query, description = "An id, or how it begins"), ("parent" = Option<String>, Query),
        ("since" = Option<String>, Query, description = "An instant in RFC 3339"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 500), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "A part of the list", body = Page<Run>)))]
pub(super) async fn list(
    State(service): State<Service>,
    principal: Principal,
    mut parameters: Parameters,
) -> Result<Json<Page<Run>>, Problem> {
    let limit = parameters.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT) as usize;
    let given = parameters.text("cursor");
    let mut filter = filter(&mut parameters)?;
    parameters.finish()?;
    let list = format!("runs {filter:?} {:?}", principal.namespaces);
    filter.before = given.map(|it| cursor::read(&list, &it)).transpose()?;
    filter.limit = limit as u32 + 1;
    let (mut seen, mut looked_through) = (Vec::new(), 0);
    // A caller with few namespaces may see few of many runs.
    while seen.len() <= limit && looked_through < LOOKED_THROUGH_MAX {
        let rows = service.store().runs(&filter).await?;
        let is_last = rows.len() < filter.limit as usize;
        looked_through += rows.len();
        filter.before = rows.last().map(|it| it.id).or(filter.before);
        seen.extend(rows.into_iter().filter(|it| principal.sees(&it.workflow)));
        if is_last {
            filter.before = None;
            break;
        }
    }
    let mut next = filter.before;
    if seen.len() > limit {
        seen.truncate(limit);
        next = seen.last().map(|it| it.id);
    }
    let items = seen.iter().map(super::of_row).collect();
    Ok(Json(Page { items, next_cursor: next.map(|it| cursor::write(&list, it)) }))
}

fn filter(parameters: &mut Parameters) -> Result<RunFilter, Problem> {
    let statuses = parameters.text("status").unwrap_or_default();
    let statuses: Vec<String> =
        statuses.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect();
    for status in &statuses {
        let known = RunStatus::ALL.map(|it| it.name());
        if !known.contains(&status.as_str()) {
            let problem = bad("there is no such status", status.clone());
            return Err(match nearest(status, known) {
                Some(near) => problem.hint(format!("Did you mean `{near}`?")),
                None => problem.hint(format!("Statuses are {}.", known.join(", "))),
            });
        }
    }
    let since = parameters.text("since").map(|it| {
        time::read(&it).ok_or_else(|| {
            bad("`since` is not an instant", it).hint("Write it like 2027-01-01T00:00:00Z.")
        })
    });
    let ids = parameters
        .text("id")
        .map(|it| RunId::prefix_range(&it).ok_or_else(|| bad("`id` is not how an id begins", it)));
    Ok(RunFilter {
        ids: ids.transpose()?,
        workflow: parameters.text("workflow"),
        statuses,
        key: parameters.text("key"),
        parent: parameters.text("parent").map(|it| run_id(&it)).transpose()?,
        labels: parameters.prefixed("label."),
        since: since.transpose()?,
        ..RunFilter::default()
    })
}
