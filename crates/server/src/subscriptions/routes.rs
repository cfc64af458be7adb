//! What callers ask: to subscribe, to see what was delivered, to send it again.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use surefoot::core::source::nearest;
use surefoot::store::{Expect, ItemWrite};
use surefoot_client::wire::{Delivery as Sent, Page, PutSubscription, Subscription};
use utoipa_axum::routes;

use super::lifecycle::KINDS;
use super::outbox::{Delivery, Outbox, Status};
use super::{COLLECTION, Kept, Receiver, SUBSCRIPTIONS_MAX, all};
use crate::api::{Access, Api};
use crate::auth::Principal;
use crate::body::Json as Body;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::service::Service;
use crate::{cursor, time};

/// Deliveries of one part of the list.
const LIMIT: u64 = 50;
const LIMIT_MAX: u64 = 500;
/// Letters of an id.
const ID_LEN_MAX: usize = 64;
/// Letters of a URL, and of a secret.
const URL_LEN_MAX: usize = 2_048;
const SECRET_LEN: std::ops::RangeInclusive<usize> = 16..=256;
/// Patterns and workflows of one subscription.
const PATTERNS_MAX: usize = 100;

pub(crate) fn routes(api: Api) -> Api {
    api.route(Access::Read, routes!(list))
        .route(Access::Read, routes!(show))
        .route(Access::Deploy, routes!(put))
        .route(Access::Deploy, routes!(remove))
        .route(Access::Read, routes!(deliveries))
        .route(Access::Deploy, routes!(resend))
}

/// Every subscription that the caller may see.
#[utoipa::path(get, path = "/v1/subscriptions", tag = "subscriptions",
    responses((status = 200, description = "Subscriptions", body = Page<Subscription>)))]
async fn list(
    State(service): State<Service>,
    principal: Principal,
) -> Result<Json<Page<Subscription>>, Problem> {
    let kept = all(service.store()).await?;
    let seen = kept.iter().filter(|(_, it)| may_see(&principal, it));
    let items = seen.map(|(id, it)| of_kept(id, it)).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

/// One subscription.
#[utoipa::path(get, path = "/v1/subscriptions/{id}", tag = "subscriptions", params(("id" = String, Path)),
    responses((status = 200, description = "The subscription", body = Subscription)))]
async fn show(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<Subscription>, Problem> {
    let (_, kept) = find(&service, &principal, &id).await?;
    Ok(Json(of_kept(&id, &kept)))
}

/// Sends lifecycle events to a URL from now on, as CloudEvents, signed.
#[utoipa::path(put, path = "/v1/subscriptions/{id}", tag = "subscriptions", params(("id" = String, Path)),
    request_body = PutSubscription,
    responses((status = 201, description = "Made", body = Subscription), (status = 200, description = "Changed", body = Subscription)))]
async fn put(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    Body(body): Body<PutSubscription>,
) -> Result<(StatusCode, Json<Subscription>), Problem> {
    check(&id, &body)?;
    let store = service.store();
    let item = store.item(COLLECTION, &id).await?;
    let (expect, before) = match item {
        Some(item) => {
            let kept: Kept = serde_json::from_slice(&item.body).map_err(Problem::internal)?;
            if !may_see(&principal, &kept) {
                return Err(Problem::not_found("subscription", id));
            }
            (Expect::Revision(item.revision), Some(kept))
        }
        None if all(store).await?.len() >= SUBSCRIPTIONS_MAX => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "SF4042",
                "there are too many subscriptions",
            )
            .hint(format!(
                "There may be {SUBSCRIPTIONS_MAX}; remove one, or let one receiver take more types."
            )));
        }
        None => (Expect::Absent, None),
    };
    let is_new = before.is_none();
    let made_up = (is_new && body.secret.is_none()).then(new_secret);
    let before_secret = before.as_ref().map(|it| it.secret.clone());
    let kept = Kept {
        url: body.url,
        types: body.types,
        workflows: body.workflows,
        secret: body.secret.or(before_secret).or(made_up.clone()).unwrap_or_default(),
        namespaces: principal.namespaces.clone(),
        created_at: before.as_ref().map_or_else(|| service.now(), |it| it.created_at),
        created_by: before.map_or(principal.actor, |it| it.created_by),
    };
    let bytes = serde_json::to_vec(&kept).map_err(Problem::internal)?;
    let write = ItemWrite::put(COLLECTION, &id, expect, bytes);
    if store.write_items(vec![write]).await?.is_err() {
        return Err(Problem::new(StatusCode::CONFLICT, "SF4015", "somebody has just changed it")
            .hint("Read it and send it again."));
    }
    // What happens from here on is sent, whenever the courier begins.
    Outbox::of(&id).cursor(store).await?;
    service.couriers().put(Receiver::of_kept(&id, &kept));
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(Subscription { secret: made_up, ..of_kept(&id, &kept) })))
}

/// Sends nothing more, and forgets what was sent.
#[utoipa::path(delete, path = "/v1/subscriptions/{id}", tag = "subscriptions", params(("id" = String, Path)),
    responses((status = 204, description = "Removed")))]
async fn remove(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    find(&service, &principal, &id).await?;
    service.couriers().remove(&id);
    let write = ItemWrite::remove(COLLECTION, &id, Expect::Anything);
    let _ = service.store().write_items(vec![write]).await?;
    Outbox::of(&id).clear(service.store()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What was sent and what waits, oldest first. `notify.NAME` shows what the configuration's
/// notifications have sent.
#[utoipa::path(get, path = "/v1/subscriptions/{id}/deliveries", tag = "subscriptions",
    params(("id" = String, Path), ("limit" = Option<u64>, Query, minimum = 1, maximum = 500), ("cursor" = Option<String>, Query)),
    responses((status = 200, description = "Deliveries", body = Page<Sent>)))]
async fn deliveries(
    State(service): State<Service>,
    principal: Principal,
    Path(id): Path<String>,
    mut parameters: Parameters,
) -> Result<Json<Page<Sent>>, Problem> {
    let limit = parameters.number("limit", 1, LIMIT_MAX)?.unwrap_or(LIMIT) as u32;
    let cursor = parameters.text("cursor");
    parameters.finish()?;
    let list = format!("deliveries {id}");
    let cursor = cursor.map(|it| cursor::read_text(&list, &it)).transpose()?;
    must_know(&service, &principal, &id).await?;
    let page = Outbox::of(&id).page(service.store(), cursor.as_deref(), limit).await?;
    let last = page.last().filter(|_| page.len() as u32 == limit);
    let next_cursor = last.map(|it| cursor::write_text(&list, &it.0));
    let items = page.iter().map(|(id, it)| it.to_wire(id)).collect();
    Ok(Json(Page { items, next_cursor }))
}

/// Sends one again, whatever became of it.
#[utoipa::path(post, path = "/v1/subscriptions/{id}/deliveries/{delivery}/resend", tag = "subscriptions",
    params(("id" = String, Path), ("delivery" = String, Path)),
    responses((status = 202, description = "It will be sent", body = Sent)))]
async fn resend(
    State(service): State<Service>,
    principal: Principal,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Sent>), Problem> {
    must_know(&service, &principal, &id).await?;
    let outbox = Outbox::of(&id);
    let found = match is_delivery(&delivery) {
        true => outbox.get(service.store(), &delivery).await?,
        false => None,
    };
    let found = found.ok_or_else(|| Problem::not_found("delivery", &delivery))?;
    let again = Delivery {
        status: Status::Pending,
        attempts: 0,
        due: service.now(),
        delivered_at: None,
        ..found
    };
    let answer = again.to_wire(&delivery);
    outbox.update(service.store(), &[(delivery, again)], Vec::new()).await?;
    service.couriers().changed(&id);
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

async fn find(service: &Service, principal: &Principal, id: &str) -> Result<(u64, Kept), Problem> {
    let unknown = || Problem::not_found("subscription", id);
    let item = service.store().item(COLLECTION, id).await?.ok_or_else(unknown)?;
    let kept: Kept = serde_json::from_slice(&item.body).map_err(Problem::internal)?;
    if may_see(principal, &kept) { Ok((item.revision, kept)) } else { Err(unknown()) }
}

/// A subscription, or a notification of the configuration, which is for who sees everything.
async fn must_know(service: &Service, principal: &Principal, id: &str) -> Result<(), Problem> {
    if principal.namespaces.is_none() && service.couriers().knows(id) {
        return Ok(());
    }
    find(service, principal, id).await.map(drop)
}

/// Its deliveries hold what the subscriber may see.
fn may_see(principal: &Principal, kept: &Kept) -> bool {
    match (&principal.namespaces, &kept.namespaces) {
        (None, _) => true,
        (Some(own), Some(its)) => its.is_subset(own),
        (Some(_), None) => false,
    }
}

fn of_kept(id: &str, kept: &Kept) -> Subscription {
    Subscription {
        id: id.to_owned(),
        url: kept.url.clone(),
        types: kept.types.clone(),
        workflows: kept.workflows.clone(),
        created_at: time::text(kept.created_at),
        created_by: kept.created_by.clone(),
        secret: None,
    }
}

fn is_delivery(id: &str) -> bool {
    (1..=ID_LEN_MAX).contains(&id.len())
        && id.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'.')
}

fn new_secret() -> String {
    format!("sfs_{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}

fn check(id: &str, body: &PutSubscription) -> Result<(), Problem> {
    let is_id = (1..=ID_LEN_MAX).contains(&id.len())
        && id.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'));
    if !is_id {
        return Err(refused(format!("`{id}` is not an id of a subscription"))
            .hint(format!("It has 1 to {ID_LEN_MAX} letters, digits, `_` or `-`.")));
    }
    let is_url = ["http://", "https://"].iter().any(|it| body.url.starts_with(it));
    if !is_url || body.url.len() > URL_LEN_MAX {
        return Err(refused("the URL cannot be used".to_owned()).hint(format!(
            "It begins with http:// or https:// and has at most {URL_LEN_MAX} letters."
        )));
    }
    if body.secret.as_ref().is_some_and(|it| !SECRET_LEN.contains(&it.len())) {
        let (least, most) = (SECRET_LEN.start(), SECRET_LEN.end());
        return Err(refused("the secret has the wrong length".to_owned())
            .hint(format!("It has {least} to {most} letters; leave it out to have one made up.")));
    }
    if body.types.len() > PATTERNS_MAX || body.workflows.len() > PATTERNS_MAX {
        return Err(refused("too many types or workflows".to_owned())
            .hint(format!("There may be {PATTERNS_MAX} of each; none of them means all.")));
    }
    for pattern in &body.types {
        let fits = |kind: &&str| match pattern.strip_suffix('*') {
            Some(prefix) => kind.starts_with(prefix),
            None => kind == pattern,
        };
        if !KINDS.iter().any(fits) {
            let problem = refused(format!("no event is called `{pattern}`"));
            return Err(match nearest(pattern, KINDS) {
                Some(near) => problem.hint(format!("Did you mean `{near}`?")),
                None => problem
                    .hint(format!("Events are {}; `run.*` takes all of runs.", KINDS.join(", "))),
            });
        }
    }
    Ok(())
}

fn refused(title: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "SF4043", title)
}
