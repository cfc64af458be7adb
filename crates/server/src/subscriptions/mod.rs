//! What is sent out: lifecycle events as CloudEvents, to receivers that subscribed and to those that
//! the configuration notifies.
//!
//! | module | holds |
//! |---|---|
//! | `lifecycle` | a record as CloudEvents |
//! | `outbox` | deliveries as they are kept: nothing is sent that is not durable first |
//! | `courier` | one receiver: follows the journal, sends, tries again |
//! | `sending` | one attempt, signed |
//! | `routes` | what callers ask |

mod courier;
mod lifecycle;
mod outbox;
mod routes;
mod sending;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use surefoot::Engine;
use surefoot::core::time::Millis;
use surefoot::kinds::HttpKind;
use surefoot::store;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::courier::Courier;
use self::outbox::Outbox;
pub(crate) use self::routes::routes;
pub(crate) use self::sending::Target;

pub(crate) const COLLECTION: &str = "subscriptions";
/// Subscriptions of one server: each has a task that follows the journal.
const SUBSCRIPTIONS_MAX: usize = 100;
/// Items that are read in one go.
const PAGE: u32 = 256;

/// A subscription as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    url: String,
    types: Vec<String>,
    workflows: Vec<String>,
    secret: String,
    /// What the subscriber may see; everything, if nothing is said.
    namespaces: Option<BTreeSet<String>>,
    created_at: Millis,
    created_by: String,
}

/// Whom to tell of what.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub id: String,
    /// Patterns over the types of events; all if it is empty.
    pub types: Vec<String>,
    pub workflows: Vec<String>,
    pub namespaces: Option<BTreeSet<String>>,
    pub target: Target,
    /// Tells of runs that have not ended so long after their start.
    pub late_after: Option<Millis>,
}

impl Receiver {
    fn of_kept(id: &str, kept: &Kept) -> Receiver {
        let target = Target::Webhook { url: kept.url.clone(), secret: Some(kept.secret.clone()) };
        Receiver {
            id: id.to_owned(),
            types: kept.types.clone(),
            workflows: kept.workflows.clone(),
            namespaces: kept.namespaces.clone(),
            target,
            late_after: None,
        }
    }

    fn takes_workflow(&self, workflow: &str) -> bool {
        let namespace = crate::auth::namespace(workflow);
        (self.workflows.is_empty() || self.workflows.iter().any(|it| it == workflow))
            && self.namespaces.as_ref().is_none_or(|it| it.contains(namespace))
    }

    fn takes_type(&self, kind: &str) -> bool {
        self.types.is_empty()
            || self.types.iter().any(|it| match it.strip_suffix('*') {
                Some(prefix) => kind.starts_with(prefix),
                None => it == kind,
            })
    }
}

/// Looks after the couriers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Couriers(Arc<Office>);

struct Office {
    engine: Engine,
    http: HttpKind,
    at_work: Mutex<HashMap<String, AtWork>>,
}

/// A courier at work. Dropping it ends the work; whatever is on its way is sent again.
struct AtWork {
    /// Deliveries were changed by somebody else.
    changed: Arc<Notify>,
    _stop: DropGuard,
}

impl Couriers {
    /// Sends out for every kept subscription and for those that the configuration names.
    pub async fn open(
        engine: &Engine,
        configured: Vec<Receiver>,
    ) -> Result<Couriers, store::Error> {
        let config = engine.config();
        let http = HttpKind::with_egress(config.http.clone(), config.egress.clone());
        let couriers =
            Couriers(Arc::new(Office { engine: engine.clone(), http, at_work: Mutex::default() }));
        for (id, kept) in all(&**engine.store()).await? {
            couriers.put(Receiver::of_kept(&id, &kept));
        }
        for receiver in configured {
            // What happens from here on is told, whenever the courier begins.
            Outbox::of(&receiver.id).cursor(&**engine.store()).await?;
            couriers.put(receiver);
        }
        Ok(couriers)
    }

    /// Sends out for a receiver from now on, in place of what was sent to it before.
    fn put(&self, receiver: Receiver) {
        let (stop, changed) = (CancellationToken::new(), Arc::new(Notify::new()));
        let id = receiver.id.clone();
        let courier = Courier::new(Arc::clone(&self.0), receiver, Arc::clone(&changed));
        let before = {
            let at_work = AtWork { changed, _stop: stop.clone().drop_guard() };
            self.at_work().insert(id, at_work)
        };
        drop(before);
        tokio::spawn(async move { stop.run_until_cancelled(courier.run()).await });
    }

    fn remove(&self, id: &str) {
        self.at_work().remove(id);
    }

    /// Tells a courier that its deliveries were changed. Returns whether there is one.
    fn changed(&self, id: &str) -> bool {
        let at_work = self.at_work();
        at_work.get(id).map(|it| it.changed.notify_one()).is_some()
    }

    fn knows(&self, id: &str) -> bool {
        self.at_work().contains_key(id)
    }

    fn at_work(&self) -> std::sync::MutexGuard<'_, HashMap<String, AtWork>> {
        self.0.at_work.lock().unwrap_or_else(|it| it.into_inner())
    }

    /// Ends all work.
    pub fn stop(&self) {
        self.at_work().clear();
    }
}

/// Every kept subscription. One that cannot be read is left out.
async fn all(store: &dyn store::Store) -> Result<Vec<(String, Kept)>, store::Error> {
    let items = store.items(COLLECTION, None, SUBSCRIPTIONS_MAX as u32).await?;
    let read = items.into_iter().filter_map(|it| match serde_json::from_slice(&it.body) {
        Ok(kept) => Some((it.key, kept)),
        Err(error) => {
            tracing::error!(id = it.key, %error, "a subscription cannot be read");
            None
        }
    });
    Ok(read.collect())
}
