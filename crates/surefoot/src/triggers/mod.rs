//! Webhooks and events: runs that something elsewhere starts.
//!
//! A delivery has an id. Each trigger that wants it starts its run under a key made of that id, and
//! when all have, the delivery is noted as seen: sent again, it is answered with what it started
//! then. Whatever crashes in between, the delivery that is sent again finds its runs.

mod seen;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use surefoot_core::expr::Budget;
use surefoot_core::ids::{Digest, RunId};
use surefoot_core::plan::{Plan, TriggerPlan};
use surefoot_core::time::Millis;
use surefoot_core::trace::TraceContext;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, StartError, StartRequest, versions};

pub use seen::SEEN_MS;

/// The webhooks and events that deployed definitions ask for. Cheap to clone; all clones are the
/// same.
#[derive(Clone)]
pub struct Triggers(Arc<Inner>);

struct Inner {
    engine: Engine,
    /// By workflow, those of its newest version.
    known: Mutex<BTreeMap<String, Vec<Trigger>>>,
    /// One of these is held while a delivery is received: which, its alias says. A recording that is
    /// sent under another id at the same time waits until the first is noted.
    turns: [tokio::sync::Mutex<()>; TURNS],
}

/// Deliveries that are received at once, at most.
const TURNS: usize = 64;

/// A trigger of a deployed definition.
#[derive(Clone, Debug)]
pub struct Trigger {
    plan: Arc<Plan>,
    version: String,
    /// Its place among the triggers.
    place: usize,
}

/// Something that has arrived.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Names it: what has the same id and the same kind is the same delivery.
    pub id: String,
    /// Another name of it, under which it must not come either: its signature.
    pub alias: Option<String>,
    /// Hash of all that it says, so that another delivery under its id is told apart.
    pub digest: Digest,
    /// What expressions see as `event`; its `data` is the input where a trigger makes none.
    pub event: Value,
    pub actor: String,
    /// Where in a trace it comes from.
    pub trace: TraceContext,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// It had come before; nothing was started now.
    pub is_duplicate: bool,
    pub started: Vec<StartedBy>,
}

/// What one trigger did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartedBy {
    pub workflow: String,
    pub run: Option<RunId>,
    /// Why it started nothing, and never will.
    pub error: Option<String>,
}

/// Why a delivery was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeliveryError {
    #[error("delivery `{id}` has come before with other content")]
    Other { id: String },
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Store(#[from] surefoot_store::Error),
}

impl Trigger {
    pub fn workflow(&self) -> &str {
        &self.plan.workflow
    }

    /// Returns the names of the secrets of which any signs its webhooks.
    pub fn secrets(&self) -> &[String] {
        match self.plan.triggers.get(self.place) {
            Some(TriggerPlan::Webhook { secrets, .. }) => secrets,
            _ => &[],
        }
    }

    fn is_hook(&self, name: &str) -> bool {
        matches!(self.plan.triggers.get(self.place), Some(TriggerPlan::Webhook { path, .. }) if path == name)
    }

    /// Whether an event is one that the trigger waits for; the reason, if that cannot be told.
    fn wants(&self, event: &Value) -> Result<bool, String> {
        let Some(TriggerPlan::Event { kind, source, condition, .. }) =
            self.plan.triggers.get(self.place)
        else {
            return Ok(false);
        };
        let is_named =
            event["type"] == **kind && source.as_ref().is_none_or(|it| event["source"] == **it);
        match condition {
            Some(condition) if is_named => condition
                .eval_bool(&self.plan.trigger_scope(event.clone()), &Budget::default())
                .map_err(|error| format!("`{}`: {error}", condition.source())),
            _ => Ok(is_named),
        }
    }

    fn input(&self, event: &Value) -> Result<Value, String> {
        let template = match self.plan.triggers.get(self.place) {
            Some(TriggerPlan::Webhook { input, .. } | TriggerPlan::Event { input, .. }) => input,
            _ => &None,
        };
        match template {
            Some(template) => template
                .eval(&self.plan.trigger_scope(event.clone()), &Budget::default())
                .map_err(|error| format!("input{}: {error}", error.pointer)),
            None => Ok(event["data"].clone()),
        }
    }
}

impl Triggers {
    /// Finds out what deployed definitions ask for.
    pub async fn open(engine: &Engine) -> Result<Triggers, DeliveryError> {
        let (known, turns) =
            (Mutex::default(), [const { tokio::sync::Mutex::const_new(()) }; TURNS]);
        let triggers = Triggers(Arc::new(Inner { engine: engine.clone(), known, turns }));
        triggers.read_all().await?;
        Ok(triggers)
    }

    /// Follows deployments, and forgets deliveries that came long ago, until it is told to stop.
    pub async fn keep(&self, stop: CancellationToken) {
        let mut deployments = self.0.engine.deployments();
        let mut done = self.read_all().await;
        loop {
            if let Err(error) = done {
                tracing::error!(%error, "the triggers of a deployment were not taken over");
            }
            done = tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(seen::SWEEP_INTERVAL) => self.forget_old().await,
                deployed = deployments.recv() => match deployed {
                    Ok(workflow) => self.deployed(&workflow).await,
                    Err(RecvError::Lagged(_)) => self.read_all().await,
                    Err(RecvError::Closed) => return,
                },
            };
        }
    }

    /// Returns the triggers that wait for a webhook.
    pub fn hooks(&self, name: &str) -> Vec<Trigger> {
        let known = self.known();
        known.values().flatten().filter(|it| it.is_hook(name)).cloned().collect()
    }

    /// Returns the triggers that want an event, and those of which it cannot be told, with the
    /// reason.
    pub fn of_event(&self, event: &Value) -> Vec<(Trigger, Option<String>)> {
        let known = self.known();
        let asked = known.values().flatten().map(|it| (it, it.wants(event)));
        let wanted = asked.filter_map(|(trigger, wants)| match wants {
            Ok(true) => Some((trigger.clone(), None)),
            Ok(false) => None,
            Err(reason) => Some((trigger.clone(), Some(reason))),
        });
        wanted.collect()
    }

    /// Starts what a delivery starts, once. A trigger with a reason against it starts nothing.
    pub async fn receive(
        &self,
        delivery: &Delivery,
        triggers: Vec<(Trigger, Option<String>)>,
    ) -> Result<Received, DeliveryError> {
        // The alias is what a recording cannot change.
        let name = delivery.alias.as_ref().unwrap_or(&delivery.id);
        let place = usize::from(Digest::of(name.as_bytes()).as_bytes()[0]) % TURNS;
        let _turn = self.0.turns[place].lock().await;
        if let Some(received) = self.seen(delivery).await? {
            return Ok(received);
        }
        let mut started = Vec::new();
        for (trigger, reason) in triggers {
            let outcome = match reason {
                Some(reason) => Err(reason),
                None => self.start(&trigger, delivery).await?,
            };
            let workflow = trigger.workflow().to_owned();
            let (run, error) = (outcome.as_ref().ok().copied(), outcome.err());
            started.push(StartedBy { workflow, run, error });
        }
        self.remember(delivery, started).await
    }

    /// Starts the run of a trigger. The inner error is one that comes again.
    async fn start(
        &self,
        trigger: &Trigger,
        delivery: &Delivery,
    ) -> Result<Result<RunId, String>, DeliveryError> {
        let input = match trigger.input(&delivery.event) {
            Ok(input) => input,
            Err(reason) => return Ok(Err(reason)),
        };
        let request = StartRequest::new(trigger.workflow())
            .version(&trigger.version)
            .input(input)
            .key(&format!("{}:{}", delivery.id, trigger.place))
            .actor(&delivery.actor)
            .traceparent(delivery.trace.traceparent.as_deref())
            .tracestate(delivery.trace.tracestate.as_deref());
        match self.0.engine.start(request).await {
            Ok(run) => Ok(Ok(run.id())),
            // The delivery's run was started, before the definition was changed.
            Err(StartError::KeyConflict { run, .. }) => Ok(Ok(run)),
            Err(error) if error.may_pass() => Err(error.into()),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    async fn read_all(&self) -> Result<(), DeliveryError> {
        let rows = self.0.engine.store().definitions(None).await?;
        let mut workflows: Vec<String> = rows
            .into_iter()
            .filter(|it| it.source.contains("triggers"))
            .map(|it| it.workflow)
            .collect();
        workflows.sort_unstable();
        workflows.dedup();
        for workflow in workflows {
            self.deployed(&workflow).await?;
        }
        Ok(())
    }

    /// Takes over the triggers of a workflow's newest version.
    pub async fn deployed(&self, workflow: &str) -> Result<(), DeliveryError> {
        let rows = versions(&**self.0.engine.store(), Some(workflow)).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let plan = self.0.engine.plan(workflow, Some(&row.version)).await?;
        let version = row.version.clone();
        let places = plan.triggers.iter().enumerate().filter(|(_, it)| is_from_elsewhere(it));
        let triggers = places.map(|(place, _)| {
            let (plan, version) = (plan.clone(), version.clone());
            Trigger { plan, version, place }
        });
        let triggers: Vec<Trigger> = triggers.collect();
        match triggers.is_empty() {
            true => self.known().remove(workflow),
            false => self.known().insert(workflow.to_owned(), triggers),
        };
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<Trigger>>> {
        self.0.known.lock().expect("nobody panics while holding the lock")
    }

    fn now(&self) -> Millis {
        self.0.engine.now()
    }
}

fn is_from_elsewhere(trigger: &TriggerPlan) -> bool {
    match trigger {
        TriggerPlan::Webhook { .. } | TriggerPlan::Event { .. } => true,
        TriggerPlan::Schedule { .. } => false,
    }
}
