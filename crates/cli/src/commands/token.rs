//! `surefoot token`: who may call a server.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use surefoot_client::wire;
use surefoot_server::{Problem, Service};

use super::authority::{Authority, authority, authority_making};
use crate::arguments::{Token, TokenAction};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{Table, style};
use crate::session::{Session, wait};

pub fn token(session: &Session, arguments: Token) -> Result<Exit> {
    wait(async {
        match arguments.action {
            TokenAction::Create { name, role, namespace, group, capability, expires_at } => {
                let role = serde_json::from_value(Value::from(role.clone())).map_err(|_| {
                    Failure::new(
                        Exit::Usage,
                        "SF5004",
                        format!("--role: there is no role `{role}`"),
                    )
                    .hint("Roles are viewer, operator, deployer, admin and worker.")
                })?;
                let some = |all: Vec<String>| Some(all).filter(|it| !it.is_empty());
                let (namespaces, capabilities) = (some(namespace), some(capability));
                let asked = wire::NewToken {
                    name,
                    role,
                    namespaces,
                    groups: group,
                    capabilities,
                    expires_at,
                };
                create(session, asked).await
            }
            TokenAction::Ls => list(session).await,
            TokenAction::Revoke { name } => revoke(session, &name).await,
        }
    })
}

async fn create(session: &Session, asked: wire::NewToken) -> Result<Exit> {
    // Who may call is often settled before anything was run.
    let made: wire::MadeToken = match authority_making(session, false).await? {
        Authority::Server(client) => client.post("/v1/tokens", &asked).await?,
        here => {
            let (service, actor) = (service(here).await?, session.settings.actor.clone());
            let made = service.make_token(asked, &actor).await;
            service.engine().stop(Duration::ZERO).await?;
            made.map_err(told)?
        }
    };
    if session.output.is_for_people() {
        session.output.text(&format!("{}\n", made.token))?;
        session.output.say("Keep it: it is not shown again. Commands take it from SUREFOOT_TOKEN.");
        return Ok(Exit::Ok);
    }
    session.output.value(&json!(made), &made.token)?;
    Ok(Exit::Ok)
}

async fn list(session: &Session) -> Result<Exit> {
    let all = match authority(session).await? {
        Authority::Server(client) => {
            client.get::<wire::Page<wire::Token>>("/v1/tokens").await?.items
        }
        here => {
            let service = service(here).await?;
            let all = service.tokens();
            service.engine().stop(Duration::ZERO).await?;
            all
        }
    };
    if !session.output.is_for_people() {
        let list: Vec<_> = all.iter().map(|it| (it.name.clone(), json!(it))).collect();
        session.output.list(&list)?;
        return Ok(Exit::Ok);
    }
    if all.is_empty() {
        session.output.say("no tokens: whoever reaches the server may do everything");
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["NAME", "ROLE", "NAMESPACES", "GROUPS", "EXPIRES", "MADE BY"]);
    for it in all {
        let role = json!(it.role).as_str().unwrap_or_default().to_owned();
        let namespaces = it.namespaces.map_or_else(|| "all".to_owned(), |it| it.join(", "));
        let expires = it.expires_at.unwrap_or_else(|| "never".to_owned());
        let groups = it.groups.join(", ");
        table.row(style::NAME, vec![it.name, role, namespaces, groups, expires, it.created_by]);
    }
    session.output.text(&table.print(None))?;
    Ok(Exit::Ok)
}

async fn revoke(session: &Session, name: &str) -> Result<Exit> {
    match authority(session).await? {
        Authority::Server(client) => {
            let path = format!("/v1/tokens/{}", surefoot_client::segment(name));
            client.delete(&path).await?;
        }
        here => {
            let service = service(here).await?;
            let done = service.revoke_token(name).await;
            service.engine().stop(Duration::ZERO).await?;
            done.map_err(told)?;
        }
    }
    session.output.say(format!("the token of {name} is refused from now on"));
    Ok(Exit::Ok)
}

/// The service over this project's store, to be asked without a socket.
pub async fn service(authority: Authority) -> Result<Service> {
    let Authority::Here(engine) = authority else {
        return Err(Failure::new(Exit::Conflict, "SF5011", "another process owns the store")
            .hint("Ask it: --server http://127.0.0.1:7070, or SUREFOOT_SERVER."));
    };
    let opened = Service::open(engine, Default::default()).await;
    opened.map_err(|error| Failure::new(Exit::Unreachable, "SF5013", error.to_string()))
}

/// Reads what a service answered to [`Service::ask`].
pub fn answered<T: DeserializeOwned>(is_success: bool, body: &[u8]) -> Result<T> {
    let garbled = |error: serde_json::Error| {
        Failure::new(Exit::Bug, "SF5094", format!("an answer cannot be read: {error}"))
    };
    if is_success {
        return serde_json::from_slice(body).map_err(garbled);
    }
    let problem: wire::Problem = serde_json::from_slice(body).map_err(garbled)?;
    Err(surefoot_client::Error::Refused(Box::new(problem)).into())
}

/// Tells a problem of the service as one of a server.
pub fn told(problem: Problem) -> Failure {
    surefoot_client::Error::Refused(Box::new(problem.to_wire())).into()
}
