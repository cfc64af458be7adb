//! A badge for a page: how the last run of a workflow ended.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use surefoot::RunStatus;
use surefoot::store::RunFilter;
use utoipa_axum::routes;

use crate::api::{Access, Api};
use crate::auth::Principal;
use crate::problem::Problem;
use crate::service::Service;
use crate::workflows;

/// What the name of every badge ends with.
const SUFFIX: &str = ".svg";
/// Runs that are looked through for one that has ended.
const RUNS_MAX: u32 = 100;
const HEIGHT: u32 = 20;
/// How wide a letter is on average, and the room left and right of a text.
const LETTER_WIDTH: u32 = 7;
const PADDING: u32 = 12;
/// Letters of a workflow's name that are shown.
const NAME_LEN_MAX: usize = 60;

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Read, routes!(badge))
}

/// How the last run of a workflow ended, as a picture for a page: `GET /badge/order.svg`. Where none
/// has ended it says what the newest is at.
#[utoipa::path(get, path = "/badge/{file}", tag = "service",
    params(("file" = String, Path, description = "The workflow, and `.svg`")),
    responses((status = 200, description = "The picture", body = String, content_type = "image/svg+xml")))]
async fn badge(
    State(service): State<Service>,
    principal: Principal,
    Path(file): Path<String>,
) -> Result<Response, Problem> {
    let workflow = file.strip_suffix(SUFFIX).ok_or_else(|| {
        Problem::not_found("badge", &file).hint("Name the workflow and .svg: /badge/order.svg.")
    })?;
    workflows::rows(&service, &principal, workflow).await?;
    let (word, colour) = match last(&service, workflow).await? {
        Some(status) => (status.name(), colour(status)),
        None => ("no runs", GREY),
    };
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        // A page that shows it asks again each time.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, draw(workflow, word, colour)).into_response())
}

/// Returns how the last run that has ended did, or else what the newest is at.
async fn last(service: &Service, workflow: &str) -> Result<Option<RunStatus>, Problem> {
    let filter =
        RunFilter { workflow: Some(workflow.to_owned()), limit: RUNS_MAX, ..RunFilter::default() };
    let rows = service.store().runs(&filter).await?;
    let chosen = rows.iter().find(|it| it.ended_at.is_some()).or(rows.first());
    let named = |name: &str| RunStatus::ALL.into_iter().find(|it| it.name() == name);
    Ok(chosen.and_then(|it| named(&it.status)))
}

const GREY: &str = "#6b7280";

fn colour(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Completed => "#0f7b4f",
        RunStatus::Failed => "#c0322b",
        RunStatus::Cancelled | RunStatus::Cancelling => GREY,
        RunStatus::Pending | RunStatus::Running | RunStatus::Paused => "#1f5fbf",
    }
}

fn draw(workflow: &str, word: &str, colour: &str) -> String {
    let name: String = workflow.chars().take(NAME_LEN_MAX).collect();
    let width = |text: &str| text.chars().count() as u32 * LETTER_WIDTH + PADDING;
    let (left, right) = (width(&name), width(word));
    let (whole, name) = (left + right, escaped(&name));
    let text = |x: u32, text: &str| {
        format!("<text x=\"{x}\" y=\"14\" text-anchor=\"middle\">{text}</text>")
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole}\" height=\"{HEIGHT}\" \
         role=\"img\" aria-label=\"{name}: {word}\"><title>{name}: {word}</title>\
         <clipPath id=\"r\"><rect width=\"{whole}\" height=\"{HEIGHT}\" rx=\"3\"/></clipPath>\
         <g clip-path=\"url(#r)\"><rect width=\"{left}\" height=\"{HEIGHT}\" fill=\"#374151\"/>\
         <rect x=\"{left}\" width=\"{right}\" height=\"{HEIGHT}\" fill=\"{colour}\"/></g>\
         <g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">{}{}</g></svg>\n",
        text(left / 2, &name),
        text(left + right / 2, word),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
