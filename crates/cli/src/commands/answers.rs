//! Who answers: the server that is named, or this process over the store.

use std::time::Duration;

use serde_json::Value;
use surefoot::Engine;
use surefoot_client::{Client, Error};
use surefoot_server::Service;

use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::session::{Session, is_locked};

pub(super) enum Server {
    There(Client),
    Here { engine: Engine, service: Service, actor: String },
}

impl Server {
    pub async fn open(session: &Session) -> Result<Server> {
        if let Some(client) = session.client()? {
            return Ok(Server::There(client));
        }
        // Looking must not make an empty store.
        session.reader()?;
        let engine = session.engine(false, true).await.map_err(elsewhere)?;
        let service = Service::open(engine.clone(), Default::default());
        let service = service
            .await
            .map_err(|error| Failure::new(Exit::Unreachable, "SF5013", error.to_string()))?;
        Ok(Server::Here { engine, service, actor: session.settings.actor.clone() })
    }

    pub async fn close(self) -> Result<()> {
        if let Server::Here { engine, .. } = self {
            engine.stop(Duration::ZERO).await?;
        }
        Ok(())
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        self.send("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.send("POST", path, Some(&body)).await
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        match self {
            Server::There(client) => Ok(client.call(method, path, body).await?),
            Server::Here { service, actor, .. } => {
                let (status, content) = service.ask(actor, method, path, body).await;
                if status.is_success() {
                    return Ok(serde_json::from_slice(&content).unwrap_or_default());
                }
                let problem = serde_json::from_slice(&content).map_err(|error| {
                    Failure::new(Exit::Bug, "SF5094", format!("{path} answered {status}: {error}"))
                })?;
                Err(Error::Refused(Box::new(problem)).into())
            }
        }
    }
}

fn elsewhere(failure: Failure) -> Failure {
    match is_locked(&failure) {
        true => Failure::new(Exit::Conflict, "SF5011", "another process owns the store")
            .hint("Ask it: --server http://127.0.0.1:7070, or SUREFOOT_SERVER."),
        false => failure,
    }
}
