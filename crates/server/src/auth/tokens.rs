//! Making, listing and revoking tokens.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use surefoot::core::time::Millis;
use surefoot_client::wire::{self, Page};
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

/// Lists the tokens, without their texts.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens", responses((status = 200, description = "Tokens", body = Page<wire::Token>)))]
async fn list(State(service): State<Service>, principal: Principal) -> Json<Page<wire::Token>> {
    let mut items = service.tokens();
    items.retain(|it| reaches(&principal, it.namespaces.as_deref()));
    Json(Page { items, next_cursor: None })
}

/// Whether somebody may give, see and take away what a token of these namespaces gives: an admin of
/// some namespaces is none of all.
fn reaches(principal: &Principal, namespaces: Option<&[String]>) -> bool {
    match (&principal.namespaces, namespaces) {
        (None, _) => true,
        (Some(own), Some(its)) => its.iter().all(|it| own.contains(it)),
        (Some(_), None) => false,
    }
}

/// Makes a token. Its text is in this answer and nowhere else. The first one closes the door:
/// from then on nobody calls without a token.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = wire::NewToken,
    responses((status = 201, description = "The token", body = wire::MadeToken)))]
async fn create(
    State(service): State<Service>,
    principal: Principal,
    Body(asked): Body<wire::NewToken>,
) -> Result<(StatusCode, Json<wire::MadeToken>), Problem> {
    if !reaches(&principal, asked.namespaces.as_deref()) {
        return Err(principal
            .forbidden("the token would see more namespaces than yours")
            .hint("Name some of your own under `namespaces`."));
    }
    let made = service.make_token(asked, &principal.actor).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

impl Service {
    /// Makes a token; its text is in the answer and nowhere else.
    pub async fn make_token(
        &self,
        asked: wire::NewToken,
        actor: &str,
    ) -> Result<wire::MadeToken, Problem> {
        let wire::NewToken { name, role, namespaces, groups, capabilities, expires_at } = asked;
        check_name(&name)?;
        let expires_at = expires_at.as_deref().map(instant).transpose()?;
        if self.is_open() && role != Role::Admin {
            let title = "the first token must be an admin's";
            return Err(Problem::new(StatusCode::CONFLICT, "SF4016", title)
                .hint("Otherwise nobody could make another: role `admin` first."));
        }
        let token = Token::new_text();
        let hash = Token::hash_of(&token);
        let (created_at, created_by) = (self.now(), actor.to_owned());
        let kept = Token {
            name: name.clone(),
            hash,
            role,
            namespaces,
            groups,
            capabilities,
            created_at,
            created_by,
            expires_at,
        };
        if !self.auth().add(self.store(), kept).await? {
            let title = format!("there is a token `{name}` already");
            return Err(Problem::new(StatusCode::CONFLICT, "SF4016", title)
                .hint("Revoke it first, or choose another name."));
        }
        Ok(wire::MadeToken { token, name, role })
    }

    /// Returns all tokens, without their texts.
    pub fn tokens(&self) -> Vec<wire::Token> {
        let all = self.auth().all().into_iter().map(|it| wire::Token {
            name: it.name,
            role: it.role,
            namespaces: it.namespaces,
            groups: it.groups,
            capabilities: it.capabilities,
            created_at: time::text(it.created_at),
            created_by: it.created_by,
            expires_at: it.expires_at.map(time::text),
        });
        all.collect()
    }

    /// Forgets a token: from now on it is refused.
    pub async fn revoke_token(&self, name: &str) -> Result<(), Problem> {
        match self.auth().revoke(self.store(), name).await? {
            true => Ok(()),
            false => Err(Problem::not_found("token that is kept here", name)
                .hint("Tokens of surefoot.toml are removed there.")),
        }
    }
}

fn check_name(name: &str) -> Result<(), Problem> {
    let is_name = !name.is_empty()
        && name.len() <= NAME_LEN_MAX
        && name.chars().all(|it| it.is_alphanumeric() || "._-@ ".contains(it));
    if is_name {
        return Ok(());
    }
    let title = format!("`{name}` cannot be the name of a token");
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4023", title)
        .hint(format!("Use letters, digits and ._-@ and spaces, at most {NAME_LEN_MAX} of them.")))
}

fn instant(text: &str) -> Result<Millis, Problem> {
    time::read(text).ok_or_else(|| {
        let title = format!("`{text}` is not an instant");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4023", title)
            .hint("Write it like 2027-01-01T00:00:00Z.")
    })
}

/// Forgets a token: from now on it is refused.
#[utoipa::path(delete, path = "/v1/tokens/{name}", tag = "tokens", params(("name" = String, Path)),
    responses((status = 204, description = "Forgotten")))]
async fn revoke(
    State(service): State<Service>,
    principal: Principal,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let found = service.tokens().into_iter().find(|it| it.name == name);
    if found.is_some_and(|it| !reaches(&principal, it.namespaces.as_deref())) {
        return Err(Problem::not_found("token that is kept here", name)
            .hint("Tokens of surefoot.toml are removed there."));
    }
    service.revoke_token(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
