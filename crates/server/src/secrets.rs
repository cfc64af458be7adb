//! Secrets that the store keeps, sealed: they are set, listed by name and removed. No route says
//! what is in one.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use surefoot::secrets::{KeptSecret, SecretError};
use surefoot_client::wire::{Page, PutSecret, Secret};
use utoipa_axum::routes;

use crate::api::{Access, Api};
use crate::auth::Principal;
use crate::body::Json as Body;
use crate::problem::Problem;
use crate::service::Service;
use crate::time;

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Admin, routes!(list)).route(Access::Admin, routes!(put, remove))
}

/// Lists the secrets that are kept here, without their values. Those of the server's environment
/// and file are not among them.
#[utoipa::path(get, path = "/v1/secrets", tag = "secrets", responses((status = 200, description = "Secrets", body = Page<Secret>)))]
async fn list(
    State(service): State<Service>,
    principal: Principal,
) -> Result<Json<Page<Secret>>, Problem> {
    must_see_all(&principal)?;
    let all = service.engine().kept_secrets().await?;
    Ok(Json(Page { items: all.into_iter().map(to_wire).collect(), next_cursor: None }))
}

/// Keeps a secret, sealed, in place of what it was before. Attempts that start from now on get it.
#[utoipa::path(put, path = "/v1/secrets/{name}", tag = "secrets", params(("name" = String, Path)),
    request_body = PutSecret, responses((status = 200, description = "The secret, without its value", body = Secret)))]
async fn put(
    State(service): State<Service>,
    principal: Principal,
    Path(name): Path<String>,
    Body(body): Body<PutSecret>,
) -> Result<Json<Secret>, Problem> {
    must_see_all(&principal)?;
    let kept = service.engine().set_secret(&name, &body.value, &principal.actor).await?;
    Ok(Json(to_wire(kept)))
}

/// Forgets a secret. Attempts that start from now on do not have it.
#[utoipa::path(delete, path = "/v1/secrets/{name}", tag = "secrets", params(("name" = String, Path)),
    responses((status = 204, description = "Forgotten")))]
async fn remove(
    State(service): State<Service>,
    principal: Principal,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    must_see_all(&principal)?;
    match service.engine().remove_secret(&name).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("secret that is kept here", name).hint(
            "GET /v1/secrets lists them. Those of the environment and the file are changed there.",
        )),
    }
}

/// Every workflow may use every secret, so who changes one sees all of them.
fn must_see_all(principal: &Principal) -> Result<(), Problem> {
    let why = "secrets are for the workflows of every namespace, and yours are some of them";
    match principal.namespaces {
        None => Ok(()),
        Some(_) => Err(principal.forbidden(why)),
    }
}

fn to_wire(kept: KeptSecret) -> Secret {
    let KeptSecret { name, set_at, set_by, key } = kept;
    Secret { name, set_at: time::text(set_at), set_by, key }
}

impl From<SecretError> for Problem {
    fn from(error: SecretError) -> Problem {
        let title = error.to_string();
        let unusable = |title| Problem::new(StatusCode::CONFLICT, "SF4031", title);
        match error {
            SecretError::Name { .. } | SecretError::Value { .. } => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4023", title)
                    .hint("A secret is named as definitions have it, `secrets.NAME`, and is a text.")
            }
            SecretError::TooMany => unusable(title).hint("Remove those that nobody uses."),
            SecretError::Conflict => unusable(title).hint("Send it again."),
            SecretError::NoKey => unusable(title).hint(
                "The server's SUREFOOT_SECRETS_KEY, or `key_file` in [secrets], holds it; `surefoot secret rotate-key FILE` makes one.",
            ),
            SecretError::Locked { .. } | SecretError::Damaged { .. } => {
                unusable(title).hint("Give the server the key that it names, or set the secret again.")
            }
            SecretError::Key(_) => Problem::internal(title),
            SecretError::Store(error) => error.into(),
        }
    }
}
