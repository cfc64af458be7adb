//! Making, listing and revoking tokens.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use surefoot_client::wire::Page;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::principal::{Principal, Role};
use super::token::Token;
use crate::api::{Access, Api};
use crate::body::Json as Body;
use crate::problem::Problem;
use crate::service::Service;
use crate::time;

/// Letters of a token's name.
const NAME_LEN_MAX: usize = 128;

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Admin, routes!(list, create)).route(Access::Admin, routes!(revoke))
}

/// Asks for a token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// Who acts, as the history and the audit log name them.
    name: String,
    role: Role,
    /// Only workflows of these namespaces; of all if it is missing.
    #[serde(default)]
    namespaces: Option<Vec<String>>,
    /// Groups whose approvals the holder may decide.
    #[serde(default)]
    groups: Vec<String>,
    /// Only for workers: the capabilities that they may offer; all if it is missing.
    #[serde(default)]
    capabilities: Option<Vec<String>>,
    /// An instant in RFC 3339; never if it is missing.
    #[serde(default)]
    expires_at: Option<String>,
}

/// A token as it is listed: never its text.
#[derive(Debug, Serialize, ToSchema)]
struct Listed {
    name: String,
    role: Role,
    namespaces: Option<Vec<String>>,
    groups: Vec<String>,
    capabilities: Option<Vec<String>>,
    created_at: String,
    created_by: String,
    expires_at: Option<String>,
}

/// A token that was just made.
#[derive(Debug, Serialize, ToSchema)]
struct Made {
    /// Shown this once.
    token: String,
    name: String,
    role: Role,
}

/// Lists the tokens, without their texts.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens", responses((status = 200, description = "Tokens", body = Page<Listed>)))]
async fn list(State(service): State<Service>) -> Json<Page<Listed>> {
    let items = service.auth().all().into_iter().map(|it| Listed {
        name: it.name,
        role: it.role,
        namespaces: it.namespaces,
        groups: it.groups,
        capabilities: it.capabilities,
        created_at: time::text(it.created_at),
        created_by: it.created_by,
        expires_at: it.expires_at.map(time::text),
    });
    Json(Page { items: items.collect(), next_cursor: None })
}

/// Makes a token. Its text is in this answer and nowhere else. The first one closes the door:
/// from then on nobody calls without a token.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = NewToken,
    responses((status = 201, description = "The token", body = Made)))]
async fn create(
    State(service): State<Service>,
    principal: Principal,
    Body(asked): Body<NewToken>,
) -> Result<(StatusCode, Json<Made>), Problem> {
    let is_name = !asked.name.is_empty()
        && asked.name.len() <= NAME_LEN_MAX
        && asked.name.chars().all(|it| it.is_alphanumeric() || "._-@ ".contains(it));
    if !is_name {
        let title = format!("`{}` cannot be the name of a token", asked.name);
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4023", title).hint(format!(
            "Use letters, digits and ._-@ and spaces, at most {NAME_LEN_MAX} of them."
        )));
    }
    let expires_at = match &asked.expires_at {
        None => None,
        Some(text) => Some(time::read(text).ok_or_else(|| {
            let title = format!("`{text}` is not an instant");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4023", title)
                .hint("Write it like 2027-01-01T00:00:00Z.")
        })?),
    };
    if service.is_open() && asked.role != Role::Admin {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "SF4016",
            "the first token must be an admin's",
        )
        .hint("Otherwise nobody could make another: role `admin` first."));
    }
    let text = Token::new_text();
    let token = Token {
        hash: Token::hash_of(&text),
        name: asked.name.clone(),
        role: asked.role,
        namespaces: asked.namespaces,
        groups: asked.groups,
        capabilities: asked.capabilities,
        created_at: service.now(),
        created_by: principal.actor,
        expires_at,
    };
    if !service.auth().add(service.store(), token).await? {
        let title = format!("there is a token `{}` already", asked.name);
        return Err(Problem::new(StatusCode::CONFLICT, "SF4016", title)
            .hint("Revoke it first, or choose another name."));
    }
    Ok((StatusCode::CREATED, Json(Made { token: text, name: asked.name, role: asked.role })))
}

/// Forgets a token: from now on it is refused.
#[utoipa::path(delete, path = "/v1/tokens/{name}", tag = "tokens", params(("name" = String, Path)),
    responses((status = 204, description = "Forgotten")))]
async fn revoke(
    State(service): State<Service>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    match service.auth().revoke(service.store(), &name).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("token that is kept here", name)
            .hint("Tokens of surefoot.toml are removed there.")),
    }
}
