//! The one loop. It owns every run in memory; nothing else changes a run.
//!
//! A turn takes whatever messages there are, decides them, hands the records to the store, and
//! when these are durable begins what follows from them. While one batch is on its way, the next
//! one fills: that is the whole group commit.

mod deciding;
mod effects;
mod loading;
mod remote;
mod slots;
mod timing;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use surefoot_core::definition::Rate;
use surefoot_core::ids::{Digest, RunId};
use surefoot_core::limits::Limits;
use surefoot_core::plan::Plan;
use surefoot_core::queue::{Limit, Queue};
use surefoot_core::run::{By, Command, Created, TaskId};
use surefoot_core::time::Millis;
use surefoot_store::{InboxRow, LogLine, Owner, Shard as ShardNumber};
use tokio::sync::{mpsc, oneshot};

use super::admission::Admission;
use super::builder::OpenError;
use super::commit::{Batch, Begun, Committing, Reply};
use super::remote::{Capability, LeaseError, Settled, TakeRequest, Taken};
use super::request::{CommandError, RunView, StartError};
use super::resident::{Loaded, Resident};
use super::{Config, Shared};
use crate::kinds::TaskError;
use remote::Remote;

/// Messages that may wait for the loop. Callers beyond that wait.
pub(super) const MESSAGES_MAX: usize = 16 * 1024;
/// Messages that one turn takes.
const MESSAGES_PER_TURN: usize = 512;
/// Records that one batch holds.
const BATCH_MAX: usize = 2048;
/// The only shard of an embedded store.
pub(crate) const SHARD: ShardNumber = 0;
/// The loop looks around at least this often, so that a clock that was moved is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Is told of the end of a run.
pub(super) type Waiter = oneshot::Sender<Box<RunView>>;

/// What the loop is told.
pub(super) enum Message {
    Start {
        new: Box<NewRun>,
        reply: oneshot::Sender<Result<Begun, StartError>>,
        waiter: Option<Waiter>,
    },
    Command {
        run: RunId,
        command: Command,
        by: By,
        reply: Option<oneshot::Sender<Result<(), CommandError>>>,
    },
    /// An attempt has ended.
    Attempted {
        run: RunId,
        task: TaskId,
        attempt: u32,
        result: Result<Value, TaskError>,
    },
    Beat {
        run: RunId,
        task: TaskId,
        attempt: u32,
    },
    /// A worker asks for tasks.
    Take {
        request: TakeRequest,
        reply: oneshot::Sender<Taken>,
    },
    /// What a worker asks for is answered with nothing; if it leaves, it loses what it holds.
    Dismiss {
        worker: String,
        leaves: bool,
    },
    /// A worker says how an attempt ended.
    Settle {
        token: String,
        worker: Option<String>,
        digest: Digest,
        result: Result<Value, TaskError>,
        reply: oneshot::Sender<Result<Settled, LeaseError>>,
    },
    Capabilities {
        /// Counts only the workers that may have tasks of this one.
        namespace: Option<String>,
        reply: oneshot::Sender<Vec<Capability>>,
    },
    Log(LogLine),
    Loaded {
        run: RunId,
        loaded: Loaded,
    },
    /// Runs whose time has come, and when the next one does.
    Due {
        runs: Vec<RunId>,
        next: Option<Millis>,
    },
    /// A sub-run was prepared for a `workflow` task.
    Child {
        parent: RunId,
        task: TaskId,
        attempt: u32,
        awaited: bool,
        child: Result<Box<NewRun>, TaskError>,
    },
    /// Whether a sub-run that is waited for has ended already.
    ChildLooked {
        parent: RunId,
        ended: Option<Command>,
    },
    Inbox(Vec<InboxRow>),
    /// A request of the inbox was prepared, or cannot be.
    InboxStart {
        entry: i64,
        new: Result<Box<NewRun>, String>,
    },
    Wait {
        run: RunId,
        waiter: Waiter,
    },
    Idle {
        reply: oneshot::Sender<()>,
    },
    Stop {
        grace: Duration,
        reply: oneshot::Sender<Result<(), surefoot_store::Error>>,
    },
}

/// A run that was checked and may be created.
pub(crate) struct NewRun {
    pub id: RunId,
    pub plan: Arc<Plan>,
    pub created: Created,
    /// Hash of the request, where it has a key.
    pub body: Option<Digest>,
}

pub(super) struct Shard {
    shared: Arc<Shared>,
    owner: Owner,
    limits: Arc<Limits>,
    inbox: mpsc::Receiver<Message>,
    /// For attempts and loads to report to. Weak, so that the loop ends with the last engine.
    messages: mpsc::WeakSender<Message>,
    residents: HashMap<RunId, Resident>,
    /// Runs that are being loaded, and what is to be asked of them then.
    loading: HashMap<RunId, Vec<(Command, By, Reply)>>,
    queue: Queue<(RunId, TaskId)>,
    remote: Remote,
    admission: Admission,
    timers: BTreeSet<(Millis, RunId)>,
    /// The earliest time at which a run that is not in memory comes due.
    stored_due: Option<Millis>,
    /// Runs that a decision left something to do for.
    unfinished: VecDeque<RunId>,
    waiters: HashMap<RunId, Vec<Waiter>>,
    /// How many ended sub-runs each run has not been told of.
    owed: HashMap<RunId, u32>,
    idlers: Vec<oneshot::Sender<()>>,
    batch: Batch,
    committing: Option<Committing>,
    /// Attempts that were begun and have not reported.
    attempts_in_flight: u64,
    /// Loads and preparations that run beside the loop.
    beside: u32,
    inbox_seen: i64,
    inbox_at: Option<tokio::time::Instant>,
    retention_at: Option<tokio::time::Instant>,
    stopping: Option<Stopping>,
}

struct Stopping {
    deadline: tokio::time::Instant,
    reply: oneshot::Sender<Result<(), surefoot_store::Error>>,
}

impl Shard {
    /// Takes the shard over, and finds out what is to be gone on with.
    pub async fn open(
        shared: Arc<Shared>,
        messages: mpsc::WeakSender<Message>,
        inbox: mpsc::Receiver<Message>,
    ) -> Result<Shard, OpenError> {
        let owner = shared.store.claim(SHARD).await?;
        let slots = u32::try_from(shared.config.limits.slots).unwrap_or(u32::MAX);
        let kinds = kind_limits(&shared.config)?;
        let mut shard = Shard {
            owner,
            limits: Arc::new(shared.config.limits.clone()),
            inbox,
            messages,
            residents: HashMap::new(),
            loading: HashMap::new(),
            queue: Queue::new(slots, kinds),
            remote: Remote::default(),
            admission: Admission::default(),
            timers: BTreeSet::new(),
            stored_due: None,
            unfinished: VecDeque::new(),
            waiters: HashMap::new(),
            owed: HashMap::new(),
            idlers: Vec::new(),
            batch: Batch::default(),
            committing: None,
            attempts_in_flight: 0,
            beside: 0,
            inbox_seen: 0,
            inbox_at: None,
            retention_at: None,
            stopping: None,
            shared,
        };
        if shard.shared.dispatches {
            shard.restore().await?;
        }
        Ok(shard)
    }

    /// Runs until the engine is stopped or dropped.
    pub async fn run(mut self) {
        let mut messages = Vec::with_capacity(MESSAGES_PER_TURN);
        loop {
            let nap = self.nap();
            tokio::select! {
                biased;
                outcome = committed(&mut self.committing), if self.committing.is_some() => {
                    self.committed(outcome).await;
                    // A store that cannot write, and nobody left to wait for it.
                    if self.is_failing() && self.inbox.is_closed() {
                        break;
                    }
                }
                count = self.inbox.recv_many(&mut messages, MESSAGES_PER_TURN) => {
                    if count == 0 {
                        break;
                    }
                }
                () = tokio::time::sleep(nap) => {}
            }
            for message in messages.drain(..) {
                self.handle(message);
            }
            // What has piled up meanwhile belongs into the same batch.
            while self.batch.appends.len() < BATCH_MAX
                && let Ok(message) = self.inbox.try_recv()
            {
                self.handle(message);
            }
            self.look_at_timers();
            self.go_on();
            self.fill_slots();
            self.serve_takers();
            self.submit();
            self.tell_idlers();
            if self.is_done_stopping() {
                break;
            }
        }
        self.finish().await;
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Start { new, reply, waiter } => self.start(*new, reply, waiter),
            Message::Command { run, command, by, reply } => {
                let reply = reply.map_or(Reply::Nobody, Reply::Command);
                self.command(run, command, by, reply);
            }
            Message::Attempted { run, task, attempt, result } => {
                self.attempted(run, task, attempt, result, Reply::Nobody);
            }
            Message::Beat { run, task, attempt } => self.beat(run, task, attempt),
            Message::Take { request, reply } => self.take(request, reply),
            Message::Dismiss { worker, leaves } => self.dismiss(&worker, leaves),
            Message::Settle { token, worker, digest, result, reply } => {
                self.settle(&token, worker.as_deref(), digest, result, reply);
            }
            Message::Capabilities { namespace, reply } => {
                // Who asked may have gone.
                let _ = reply.send(self.capabilities(namespace.as_deref()));
            }
            Message::Log(line) => self.batch.logs.push(line),
            Message::Loaded { run, loaded } => self.loaded(run, loaded),
            Message::Due { runs, next } => self.due(runs, next),
            Message::Child { parent, task, attempt, awaited, child } => {
                self.child_prepared(parent, task, attempt, awaited, child);
            }
            Message::ChildLooked { parent, ended } => self.child_looked(parent, ended),
            Message::Inbox(rows) => self.take_inbox(rows),
            Message::InboxStart { entry, new } => self.inbox_start(entry, new),
            Message::Wait { run, waiter } => {
                let known = self.residents.contains_key(&run) || self.loading.contains_key(&run);
                if known {
                    self.waiters.entry(run).or_default().push(waiter);
                } else {
                    self.load_for_waiter(run, waiter);
                }
            }
            Message::Idle { reply } => self.idlers.push(reply),
            Message::Stop { grace, reply } => self.stop(grace, reply),
        }
    }

    fn stop(&mut self, grace: Duration, reply: oneshot::Sender<Result<(), surefoot_store::Error>>) {
        let deadline = tokio::time::Instant::now() + grace;
        match &mut self.stopping {
            // Asked a second time, it stops at once.
            Some(stopping) => stopping.deadline = stopping.deadline.min(deadline),
            None => self.stopping = Some(Stopping { deadline, reply }),
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    fn is_done_stopping(&self) -> bool {
        let Some(stopping) = &self.stopping else { return false };
        let late = tokio::time::Instant::now() >= stopping.deadline;
        (self.attempts_in_flight == 0 || late) && self.committing.is_none() && self.batch.is_empty()
    }

    /// Lets go of everything: attempts that did not end in time run again after the next start.
    async fn finish(mut self) {
        for resident in self.residents.values() {
            resident.attempts.values().for_each(|it| it.cancel.cancel());
        }
        self.waiters.clear();
        self.idlers.clear();
        let closed = self.shared.store.close().await;
        if let Some(stopping) = self.stopping.take() {
            // Who asked may have gone.
            let _ = stopping.reply.send(closed);
        }
    }

    fn is_failing(&self) -> bool {
        self.committing.as_ref().is_some_and(|it| it.tries > 0)
    }

    fn now(&self) -> Millis {
        self.shared.clock.now()
    }

    /// Whether new attempts may be made.
    fn dispatches(&self) -> bool {
        self.shared.dispatches && !self.is_stopping()
    }
}

async fn committed(
    committing: &mut Option<Committing>,
) -> surefoot_store::Result<Vec<surefoot_store::Outcome>> {
    match committing {
        Some(committing) => (&mut committing.outcome).await,
        None => std::future::pending().await,
    }
}

fn kind_limits(config: &Config) -> Result<Vec<(String, Limit)>, OpenError> {
    let limit = |(kind, limit): (&String, &crate::config::KindLimit)| {
        let rate = limit.rate.as_deref().map(|rate| {
            rate.parse::<Rate>()
                .map_err(|_| OpenError::Rate { kind: kind.clone(), rate: rate.to_owned() })
        });
        Ok((kind.clone(), Limit { at_once: limit.limit, rate: rate.transpose()? }))
    };
    config.kinds.iter().map(limit).collect()
}
