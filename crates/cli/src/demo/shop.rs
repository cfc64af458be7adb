//! The built-in shop: a service that takes payments and sends notes. It answers slowly enough to
//! be watched, and takes each idempotency key once.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::http::{self, Request};
use super::ledger::{Entry, Ledger};

/// Between what the shop has done and its answer.
const ANSWER_DELAY: Duration = Duration::from_millis(300);

pub const CHARGES: &str = "/charges";
pub const REFUNDS: &str = "/refunds";
pub const NOTIFICATIONS: &str = "/notifications";

pub struct Shop {
    ledger: Mutex<Ledger>,
}

impl Shop {
    /// Starts the shop on a free port of this machine, and returns its URL. It is open until the
    /// runtime ends.
    pub async fn open(ledger: &Path) -> io::Result<String> {
        let shop = Arc::new(Shop { ledger: Mutex::new(Ledger::open(ledger)?) });
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(http::serve(listener, shop));
        Ok(url)
    }

    pub async fn answer(&self, request: Request) -> (u16, Value) {
        if ![CHARGES, REFUNDS, NOTIFICATIONS].contains(&request.path.as_str()) {
            return (404, json!({"error": "the shop has no such counter"}));
        }
        let answer = self.act(request);
        tokio::time::sleep(ANSWER_DELAY).await;
        match answer {
            Ok(reply) => (200, reply),
            Err(error) => (500, json!({"error": error.to_string()})),
        }
    }

    /// Does what is asked, unless it was done for this key before.
    fn act(&self, Request { path, key, body }: Request) -> io::Result<Value> {
        let mut ledger = self.ledger.lock().expect("nobody panics while holding the lock");
        ledger.record(Entry::Asked { path: path.clone(), key: key.clone() })?;
        let known = ledger.entries().iter().find_map(|it| match it {
            Entry::Done { key: taken, reply, .. } if *taken == key => Some(reply.clone()),
            Entry::Done { .. } | Entry::Asked { .. } => None,
        });
        if let Some(reply) = known {
            return Ok(reply);
        }
        let count = super::ledger::done(ledger.entries(), &path).len() + 1;
        let reply = match path.as_str() {
            CHARGES => {
                json!({"id": format!("ch_{count}"), "order": body["order"], "amount": body["amount"]})
            }
            _ => body,
        };
        ledger.record(Entry::Done { path, key, reply: reply.clone() })?;
        Ok(reply)
    }
}
