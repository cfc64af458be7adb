//! Links that decide one task once: for people who have no token, such as in an e-mail. A link has
//! 256 random bits, of which only the hash is kept, and it is gone once it was used.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use surefoot::core::time::Millis;
use surefoot::store::{Expect, ItemWrite};
use surefoot_client::wire;

use super::{decide, find, of_task};
use crate::audit::Act;
use crate::auth::{Principal, Role, Token};
use crate::body::{Json as Body, MaybeJson};
use crate::problem::Problem;
use crate::service::Service;
use crate::time;

/// Where links are kept, by their hash.
const COLLECTION: &str = "links";
/// How long a link is good for if nothing is said.
const DEFAULT_MS: Millis = 7 * 24 * 60 * 60 * 1000;

#[derive(Serialize, Deserialize)]
struct Kept {
    task: String,
    actor: String,
    expires_at: Millis,
}

/// Makes a link that decides a task once.
#[utoipa::path(post, path = "/v1/tasks/{id}/links", tag = "tasks", params(("id" = String, Path, description = "RUN:TASK")), request_body = wire::NewLink,
    responses((status = 201, description = "The link, shown this once", body = wire::Link)))]
pub(super) async fn create(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    Body(asked): Body<wire::NewLink>,
) -> Result<(StatusCode, Json<wire::Link>), Problem> {
    let open = find(&service, &principal, &id).await?;
    open.must_be_free_for(&principal)?;
    let expires_at = match &asked.expires_at {
        None => service.now() + DEFAULT_MS,
        Some(text) => time::read(text).filter(|it| *it > service.now()).ok_or_else(|| {
            let title = format!("`{text}` is not an instant that is still to come");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4023", title)
                .hint("Write it like 2027-01-01T00:00:00Z.")
        })?,
    };
    if asked.actor.trim().is_empty() {
        let title = "`actor` names nobody";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4023", title)
            .hint("The history has to name who decided."));
    }
    let text = Token::new_text();
    let kept = Kept { task: open.id.clone(), actor: asked.actor.clone(), expires_at };
    let body = serde_json::to_vec(&kept).map_err(Problem::internal)?;
    let write = ItemWrite::put(COLLECTION, &hash(&text), Expect::Absent, body);
    if service.store().write_items(vec![write]).await?.is_err() {
        return Err(Problem::internal("a link of 256 random bits was there before"));
    }
    let (path, expires_at) = (format!("/v1/links/{text}"), time::text(expires_at));
    Ok((StatusCode::CREATED, Json(wire::Link { path, actor: asked.actor, expires_at })))
}

/// What a link decides.
#[utoipa::path(get, path = "/v1/links/{link}", tag = "tasks", params(("link" = String, Path)),
    responses((status = 200, description = "The task", body = wire::HumanTask)))]
pub(super) async fn show(
    State(service): State<Service>,
    Path(link): Path<String>,
) -> Result<Json<wire::HumanTask>, Problem> {
    let (kept, holder, _) = look(&service, &link).await?;
    Ok(Json(of_task(&find(&service, &holder, &kept.task).await?)))
}

/// Approves with a link.
#[utoipa::path(post, path = "/v1/links/{link}/complete", tag = "tasks", params(("link" = String, Path)), request_body = Option<wire::Decision>,
    responses((status = 204, description = "Counted")))]
pub(super) async fn complete(
    State(service): State<Service>,
    Path(link): Path<String>,
    from: From,
    MaybeJson(body): MaybeJson<wire::Decision>,
) -> Response {
    answer(&service, &link, body, from, true).await
}

/// Refuses with a link.
#[utoipa::path(post, path = "/v1/links/{link}/reject", tag = "tasks", params(("link" = String, Path)), request_body = Option<wire::Decision>,
    responses((status = 204, description = "Counted")))]
pub(super) async fn reject(
    State(service): State<Service>,
    Path(link): Path<String>,
    from: From,
    MaybeJson(body): MaybeJson<wire::Decision>,
) -> Response {
    answer(&service, &link, body, from, false).await
}

/// The address that a request came from, if it came through a socket.
type From = Option<Extension<ConnectInfo<SocketAddr>>>;

/// Uses a link, and keeps that it was used: the audit log names its holder, not the link.
async fn answer(
    service: &Service,
    link: &str,
    body: wire::Decision,
    from: From,
    approve: bool,
) -> Response {
    let verb = if approve { "complete" } else { "reject" };
    let action = format!("POST /v1/links/{{link}}/{verb}");
    let (kept, holder, revision) = match look(service, link).await {
        Ok(found) => found,
        Err(problem) => {
            let from = from.map(|it| it.0.0.ip());
            service.audit().note_stranger(from, &action, service.now());
            return problem.into_response();
        }
    };
    let act = Act::by_link(&holder, action, &kept.task);
    let used = use_up(service, link, body, approve, (&kept, &holder, revision)).await;
    service.audit().keep(act, used.into_response(), service.now()).await
}

async fn use_up(
    service: &Service,
    link: &str,
    body: wire::Decision,
    approve: bool,
    (kept, holder, revision): (&Kept, &Principal, u64),
) -> Result<StatusCode, Problem> {
    // Used up first: of two uses at once, one decides.
    let write = ItemWrite::remove(COLLECTION, &hash(link), Expect::Revision(revision));
    if service.store().write_items(vec![write]).await?.is_err() {
        return Err(used());
    }
    if let Err(problem) = decide(service, holder, &kept.task, body, approve).await {
        // A form that was filled in wrongly may be sent again.
        let text = serde_json::to_vec(kept).map_err(Problem::internal)?;
        let back = ItemWrite::put(COLLECTION, &hash(link), Expect::Absent, text);
        let _ = service.store().write_items(vec![back]).await?;
        return Err(problem);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Finds a link, and whom it makes its holder: somebody who may decide this one task.
async fn look(service: &Service, link: &str) -> Result<(Kept, Principal, u64), Problem> {
    let item = service.store().item(COLLECTION, &hash(link)).await?.ok_or_else(used)?;
    let kept: Kept = serde_json::from_slice(&item.body).map_err(Problem::internal)?;
    if kept.expires_at <= service.now() {
        return Err(used());
    }
    let holder = Principal {
        actor: kept.actor.clone(),
        role: Role::Operator,
        namespaces: None,
        groups: None,
        capabilities: None,
        said: Default::default(),
    };
    Ok((kept, holder, item.revision))
}

fn hash(link: &str) -> String {
    blake3::hash(link.as_bytes()).to_hex().to_string()
}

fn used() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "SF4012", "there is no such link")
        .hint("It was used already, or its time is over: ask for another.")
}
