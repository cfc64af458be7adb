//! Whether the service is well, and what it is.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use utoipa::openapi::OpenApi;
use utoipa_axum::routes;

use crate::api::{Access, Api};
use crate::problem::Problem;
use crate::service::Service;

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Public, routes!(healthz))
        .route(Access::Public, routes!(readyz))
        .route(Access::Read, routes!(openapi))
        .route(Access::Public, routes!(workflow_schema))
        .route(Access::Public, routes!(error_page))
        .route(Access::Read, routes!(statistics))
}

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200, description = "It lives")))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether requests can be served, and if not, why.
#[utoipa::path(get, path = "/readyz", tag = "service", responses(
    (status = 200, description = "Ready", body = Value),
    (status = 503, description = "Not ready; the reasons", body = Value)))]
async fn readyz(State(service): State<Service>) -> Response {
    let mut reasons = Vec::new();
    if service.stopping().is_cancelled() {
        reasons.push("the server is stopping".to_owned());
    }
    if let Err(error) = service.store().next_wake(0, 0).await {
        // Where the store is, and what is wrong with it, is nothing for everybody.
        tracing::error!(%error, "the store cannot be read");
        reasons.push("the store cannot be read; the server's log says why".to_owned());
    }
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({"ready": reasons.is_empty(), "reasons": reasons}))).into_response()
}

/// This interface, as OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "service", responses((status = 200, description = "The document", body = Value)))]
async fn openapi(Extension(document): Extension<Arc<OpenApi>>) -> Result<Response, Problem> {
    let text = document.to_json().map_err(Problem::internal)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// The JSON Schema of definitions, for editors.
#[utoipa::path(get, path = "/schema/workflow.json", tag = "service", responses((status = 200, description = "The schema", body = Value)))]
async fn workflow_schema() -> axum::Json<Value> {
    axum::Json(surefoot::core::editor_schema::editor_schema())
}

/// The page of an error code, as Markdown.
#[utoipa::path(get, path = "/errors/{code}", tag = "service", params(("code" = String, Path, description = "Such as SF4012")),
    responses((status = 200, description = "The page", body = String, content_type = "text/markdown")))]
async fn error_page(
    axum::extract::Path(code): axum::extract::Path<String>,
) -> Result<Response, Problem> {
    let page = surefoot::core::source::codes::page(&code)
        .ok_or_else(|| Problem::not_found("error code", &code))?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], page).into_response())
}

/// What the engine has done since it was opened, and what it holds.
#[utoipa::path(get, path = "/v1/stats", tag = "service", responses((status = 200, description = "Counts", body = Value)))]
async fn statistics(State(service): State<Service>) -> axum::Json<Value> {
    axum::Json(json!(service.engine().statistics()))
}
