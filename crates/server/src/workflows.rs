//! Definitions: checked, deployed, shown. `versions` holds what is done with older ones.

mod versions;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use surefoot::core::check::{CheckContext, CheckedDocument, check_source};
use surefoot::core::source::{LineIndex, Problem as Found, Severity};
use surefoot::core::verify::Verdict;
use surefoot::core::verify::upgrade::{self, Change, Upgrade};
use surefoot::store::{DefinitionRow, RunFilter};
use surefoot::{DeployError, draw};
use surefoot_client::wire::*;
use utoipa_axum::routes;

use crate::api::{Access, Api};
use crate::auth::Principal;
use crate::body::Text;
use crate::parameters::Parameters;
use crate::problem::{Fault, Problem};
use crate::service::Service;
use crate::{runs, time};

/// Ended runs that statistics are made of.
const SAMPLE: u32 = 1000;

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Read, routes!(check))
        .route(Access::Read, routes!(list))
        .route(Access::Read, routes!(show))
        .route(Access::Deploy, routes!(put))
        .route(Access::Read, routes!(definition))
        .route(Access::Read, routes!(versions))
        .route(Access::Read, routes!(version))
        .route(Access::Read, routes!(graph))
        .route(Access::Read, routes!(stats))
        .route(Access::Read, routes!(versions::diff))
        .route(Access::Deploy, routes!(versions::activate))
}

/// Checks a source without keeping it: findings, proofs, graph.
#[utoipa::path(post, path = "/v1/check", tag = "workflows",
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, description = "What the check says", body = Vec<Checked>)))]
async fn check(Text(source): Text) -> Result<Json<Vec<Checked>>, Problem> {
    let documents = tokio::task::spawn_blocking(move || {
        let documents = check_source(source.as_bytes(), &CheckContext::default());
        documents.iter().map(|it| checked(it, &source)).collect()
    });
    Ok(Json(documents.await.map_err(Problem::internal)?))
}

fn checked(document: &CheckedDocument, source: &str) -> Checked {
    let proofs = document.proofs.iter().flat_map(|it| &it.proofs).map(|it| Proof {
        code: it.property.code().to_owned(),
        property: it.property.title().to_owned(),
        subject: it.subject.clone(),
        verdict: match it.verdict {
            Verdict::Proved { .. } => "proved",
            Verdict::Refuted { .. } => "refuted",
            Verdict::Unknown { .. } => "unknown",
        }
        .to_owned(),
    });
    Checked {
        accepted: document.plan.is_some(),
        workflow: document.plan.as_ref().map(|it| it.workflow.clone()),
        version: document.plan.as_ref().map(|it| it.version.clone()),
        hash: document.hash.map(|it| it.to_string()),
        findings: findings(&document.problems, source),
        proofs: proofs.collect(),
        graph: document
            .plan
            .as_ref()
            .map(|it| draw::mermaid(&draw::Diagram::of(it), &draw::Statuses::new())),
    }
}

fn findings(problems: &[Found], source: &str) -> Vec<Finding> {
    let lines = LineIndex::new(source.as_bytes());
    let findings = problems.iter().map(|it| {
        let (line, column) = lines.position(it.label.span.start);
        Finding {
            severity: match it.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            }
            .to_owned(),
            code: it.code.to_owned(),
            message: it.message.clone(),
            help: it.help.clone(),
            line,
            column,
            trace: Vec::new(),
        }
    });
    findings.collect()
}

/// Lists the active version of every workflow.
#[utoipa::path(get, path = "/v1/workflows", tag = "workflows", responses((status = 200, description = "Workflows", body = Page<Workflow>)))]
async fn list(
    State(service): State<Service>,
    principal: Principal,
) -> Result<Json<Page<Workflow>>, Problem> {
    let rows = surefoot::versions(service.store(), None).await?;
    let mut items: Vec<Workflow> = Vec::new();
    // Newest first within a workflow, so the first of each is the active one.
    for row in rows.iter().filter(|it| principal.sees(&it.workflow)) {
        if !items.iter().any(|it| it.workflow == row.workflow) {
            items.push(of_row(row, true));
        }
    }
    Ok(Json(Page { items, next_cursor: None }))
}

/// The active version of a workflow, with its source. `ETag` is the hash of the source.
#[utoipa::path(get, path = "/v1/workflows/{id}", tag = "workflows", params(("id" = String, Path)),
    responses((status = 200, description = "The workflow", body = Workflow), (status = 304, description = "As the caller knows it")))]
async fn show(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let rows = rows(&service, &principal, &id).await?;
    answer(&service, &rows[0], true, &headers).await
}

/// One version, with its source.
#[utoipa::path(get, path = "/v1/workflows/{id}/versions/{version}", tag = "workflows", params(("id" = String, Path), ("version" = String, Path)),
    responses((status = 200, description = "The version", body = Workflow), (status = 304, description = "As the caller knows it")))]
async fn version(
    State(service): State<Service>,
    principal: Principal,
    Path((id, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let rows = rows(&service, &principal, &id).await?;
    let row = named(&rows, &version)?;
    answer(&service, row, row.hash == rows[0].hash, &headers).await
}

/// The definition with a hash, whatever it is called.
#[utoipa::path(get, path = "/v1/definitions/{hash}", tag = "workflows", params(("hash" = String, Path)),
    responses((status = 200, description = "The version", body = Workflow)))]
async fn definition(
    State(service): State<Service>,
    principal: Principal,
    Path(hash): Path<String>,
) -> Result<Json<Workflow>, Problem> {
    let digest = hash.parse().map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "SF4009", format!("`{hash}` is not a hash"))
            .hint("A hash has 64 hexadecimal digits; runs name theirs as `definition`.")
    })?;
    let row = service.store().definition(digest).await?;
    let row = row.filter(|it| principal.sees(&it.workflow));
    let row = row.ok_or_else(|| Problem::not_found("definition", &hash))?;
    Ok(Json(with_source(&row)))
}

/// Writes a version of which it does not matter whether it is active.
pub(crate) fn with_source(row: &DefinitionRow) -> Workflow {
    Workflow { source: Some(row.source.clone()), ..of_row(row, false) }
}

async fn answer(
    service: &Service,
    row: &DefinitionRow,
    active: bool,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let tag = format!("\"{}\"", row.hash);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|it| it.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let plan = service.engine().plan(&row.workflow, Some(&row.version)).await?;
    let workflow = Workflow {
        source: Some(row.source.clone()),
        input: plan.input.as_ref().map(|it| it.source().clone()),
        ..of_row(row, active)
    };
    Ok(([(header::ETAG, tag)], Json(workflow)).into_response())
}

/// Every version, newest first.
#[utoipa::path(get, path = "/v1/workflows/{id}/versions", tag = "workflows", params(("id" = String, Path)),
    responses((status = 200, description = "Versions", body = Page<Workflow>)))]
async fn versions(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<Page<Workflow>>, Problem> {
    let rows = rows(&service, &principal, &id).await?;
    let items = rows.iter().map(|it| of_row(it, it.hash == rows[0].hash)).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

/// The graph of a version.
#[utoipa::path(get, path = "/v1/workflows/{id}/versions/{version}/graph", tag = "workflows",
    params(("id" = String, Path), ("version" = String, Path), ("format" = Option<String>, Query, description = "`svg` (default), `mermaid` or `dot`")),
    responses((status = 200, description = "The picture", body = String, content_type = "image/svg+xml")))]
async fn graph(
    State(service): State<Service>,
    principal: Principal,
    Path((id, version)): Path<(String, String)>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let format = parameters.text("format");
    parameters.finish()?;
    let rows = rows(&service, &principal, &id).await?;
    let row = named(&rows, &version)?;
    let plan = service.engine().plan(&row.workflow, Some(&row.version)).await?;
    runs::show::picture(&plan, &draw::Statuses::new(), format.as_deref())
}

/// Counts of the runs of a workflow, and how long they take.
#[utoipa::path(get, path = "/v1/workflows/{id}/stats", tag = "workflows", params(("id" = String, Path)),
    responses((status = 200, description = "Counts", body = WorkflowStatistics)))]
async fn stats(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<WorkflowStatistics>, Problem> {
    let rows = rows(&service, &principal, &id).await?;
    let workflow = rows[0].workflow.clone();
    let filter =
        RunFilter { workflow: Some(workflow.clone()), limit: SAMPLE, ..RunFilter::default() };
    let mut by_status = std::collections::BTreeMap::new();
    let mut took = Vec::new();
    for row in service.store().runs(&filter).await? {
        *by_status.entry(row.status).or_insert(0) += 1;
        if let (Some(started), Some(ended)) = (row.started_at, row.ended_at) {
            took.push(ended.saturating_sub(started));
        }
    }
    took.sort_unstable();
    let quantile = |share: f64| {
        let last = took.len().checked_sub(1)?;
        took.get((last as f64 * share).round() as usize).copied()
    };
    let (took_ms_p50, took_ms_p95) = (quantile(0.5), quantile(0.95));
    let sample = took.len() as u64;
    Ok(Json(WorkflowStatistics { workflow, by_status, took_ms_p50, took_ms_p95, sample }))
}

/// Deploys a version: the source is checked, and kept if it passes. The same content again is the
/// same version; other content under a version that exists is refused. With `If-Match`, only if
/// the active version is the one that the caller knows.
#[utoipa::path(put, path = "/v1/workflows/{id}", tag = "workflows",
    params(("id" = String, Path), ("dry_run" = Option<bool>, Query, description = "Only says what would happen"),
        ("draft" = Option<bool>, Query, description = "Other content under an existing version gets a suffix instead of a refusal")),
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 201, description = "A new version", body = Deployed), (status = 200, description = "It was there", body = Deployed)))]
async fn put(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
    Text(source): Text,
) -> Result<(StatusCode, Json<Deployed>), Problem> {
    let dry_run: bool = parameters.parsed("dry_run", "true or false")?.unwrap_or(false);
    let draft: bool = parameters.parsed("draft", "true or false")?.unwrap_or(false);
    parameters.finish()?;
    principal.must_see(&id)?;
    if let Some(wanted) = headers.get(header::IF_MATCH) {
        let before = surefoot::versions(service.store(), Some(&id)).await?;
        let current = before.first().map(|it| format!("\"{}\"", it.hash)).unwrap_or_default();
        if wanted.as_bytes() != current.as_bytes() && wanted.as_bytes() != b"*" {
            return Err(stale(&current));
        }
    }
    let deployed = service.deploy(&id, &source, dry_run, draft).await?;
    let is_new = !deployed.unchanged && !dry_run;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(deployed)))
}

impl Service {
    /// Checks a source and, unless it is a dry run, keeps it. Says what differs from the active
    /// version, and which runs stay on theirs.
    pub async fn deploy(
        &self,
        id: &str,
        source: &str,
        dry_run: bool,
        draft: bool,
    ) -> Result<Deployed, Problem> {
        let before = surefoot::versions(self.store(), Some(id)).await?;
        let text = source.to_owned();
        let documents = tokio::task::spawn_blocking(move || {
            check_source(text.as_bytes(), &CheckContext::default())
        });
        let documents = documents.await.map_err(Problem::internal)?;
        let [document] = &documents[..] else {
            let title = format!("the source has {} definitions", documents.len());
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4022", title)
                .hint("Deploy them one by one."));
        };
        let Some(plan) = &document.plan else { return Err(rejected(&document.problems, source)) };
        if plan.workflow != id {
            let title = format!("the source defines `{}`, not `{id}`", plan.workflow);
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4022", title)
                .hint(format!("PUT it to /v1/workflows/{}.", plan.workflow)));
        }
        let mut deployed = Deployed {
            workflow: id.to_owned(),
            version: plan.version.clone(),
            hash: document.hash.map(|it| it.to_string()).unwrap_or_default(),
            unchanged: before.iter().any(|it| Some(it.hash) == document.hash),
            findings: findings(&document.problems, source),
            changes: Vec::new(),
            staying: staying(self, id, document.hash).await?,
        };
        if let Some(row) = before.first() {
            let old = self.engine().plan(id, Some(&row.version)).await?;
            deployed.changes = changes(&upgrade::compare(&old, plan));
        }
        if !dry_run {
            let done = match draft {
                true => self.engine().deploy_draft(source).await,
                false => self.engine().deploy(source).await,
            };
            deployed.version = done.map_err(|error| refused(error, source))?.version;
            // Others hear of it in a moment; who deployed sees it at once.
            self.triggers().deployed(id).await?;
            self.schedules().deployed(id).await?;
        }
        Ok(deployed)
    }
}

/// Says what differs, a line for each task.
fn changes(upgrade: &Upgrade) -> Vec<String> {
    let lines = upgrade.tasks.iter().filter_map(|(path, change)| match change {
        Change::Unchanged => None,
        Change::Changed(parts) => Some(format!("~ {path}: {}", parts.join(", "))),
        Change::Replaced(what) => Some(format!("! {path}: {what}")),
        Change::Removed => Some(format!("- {path}")),
        Change::Added => Some(format!("+ {path}")),
    });
    lines.collect()
}

/// Counts the runs that have not ended, by version.
async fn staying(
    service: &Service,
    id: &str,
    new: Option<surefoot::core::ids::Digest>,
) -> Result<Vec<Staying>, Problem> {
    let statuses = ["pending", "running", "paused", "cancelling"].map(str::to_owned).to_vec();
    let filter = RunFilter {
        workflow: Some(id.to_owned()),
        statuses,
        limit: SAMPLE,
        ..RunFilter::default()
    };
    let mut staying: Vec<Staying> = Vec::new();
    for row in service.store().runs(&filter).await? {
        if Some(row.definition) == new {
            continue;
        }
        match staying.iter_mut().find(|it| it.version == row.version) {
            Some(it) => it.runs += 1,
            None => staying.push(Staying { version: row.version, runs: 1 }),
        }
    }
    Ok(staying)
}

fn refused(error: DeployError, source: &str) -> Problem {
    let title = error.to_string();
    match error {
        DeployError::Rejected(problems) => rejected(&problems, source),
        DeployError::Several(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4022", title),
        DeployError::VersionExists { .. } => Problem::new(StatusCode::CONFLICT, "SF4021", title)
            .hint("Give it another `version`; versions that were deployed never change."),
        DeployError::Store(error) => error.into(),
    }
}

fn rejected(problems: &[Found], source: &str) -> Problem {
    let errors = problems.iter().filter(|it| it.is_error());
    let lines = LineIndex::new(source.as_bytes());
    let faults = errors.take(crate::problem::FAULTS_MAX).map(|it| {
        let (line, column) = lines.position(it.label.span.start);
        let help = it.help.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
        let message = format!("line {line}, column {column}: [{}] {}{help}", it.code, it.message);
        Fault { pointer: String::new(), message }
    });
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4022", "the definition is rejected")
        .errors(faults.collect())
        .hint("Nothing was kept. `surefoot check FILE` shows the places.")
}

fn stale(current: &str) -> Problem {
    let detail = match current.is_empty() {
        true => "there is no such workflow yet".to_owned(),
        false => format!("the current ETag is {current}"),
    };
    Problem::new(StatusCode::PRECONDITION_FAILED, "SF4015", "it has changed since you read it")
        .detail(detail)
        .hint("Read it again, and decide anew.")
}

/// Every version of a workflow that the caller may know of; at least one.
pub(crate) async fn rows(
    service: &Service,
    principal: &Principal,
    id: &str,
) -> Result<Vec<DefinitionRow>, Problem> {
    principal.must_see(id)?;
    let rows = surefoot::versions(service.store(), Some(id)).await?;
    if !rows.is_empty() {
        return Ok(rows);
    }
    let known = surefoot::versions(service.store(), None).await?;
    let mut known: Vec<String> = known.into_iter().map(|it| it.workflow).collect();
    known.retain(|it| principal.sees(it));
    known.dedup();
    let hint = crate::problem::suggestion(id, &known, "workflows");
    Err(Problem::not_found("workflow", id).hint(hint))
}

fn named<'a>(rows: &'a [DefinitionRow], version: &str) -> Result<&'a DefinitionRow, Problem> {
    rows.iter().find(|it| it.version == version).ok_or_else(|| {
        let known: Vec<String> = rows.iter().map(|it| it.version.clone()).collect();
        let hint = crate::problem::suggestion(version, &known, "versions");
        Problem::not_found("version", version).hint(hint)
    })
}

fn of_row(row: &DefinitionRow, active: bool) -> Workflow {
    Workflow {
        workflow: row.workflow.clone(),
        version: row.version.clone(),
        hash: row.hash.to_string(),
        created_at: time::text(row.created_at),
        actor: row.actor.clone(),
        active,
        source: None,
        input: None,
    }
}
