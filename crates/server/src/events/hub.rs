//! Follows the journal once for all clients. It is woken by the engine and reads the store by
//! position, so what it passes on is what is durable, each once and in order.
//!
//! It works only while there are clients. A client registers with the position up to which it has
//! read the store itself, and is told from where on the hub will pass things on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use surefoot::store::{self, JournalEntry, StoredLog};
use surefoot::{Engine, Update};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::fold::Folding;
use super::frame::Frame;
use super::position::Position;
use super::topic::Filter;

/// Frames that may wait for one client. A slower one goes back to reading the store.
const BUFFER_FRAMES: usize = 64;
/// Entries that are read in one go.
pub(crate) const PAGE: u32 = 256;
/// Lines are told before they are stored: so often, and after so long, the store is looked at again.
const LOG_LOOKS: u32 = 20;
const LOG_LOOK: Duration = Duration::from_millis(25);
/// Pause after the store could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// Cheap to clone; all clones are the same hub.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Shared>);

struct Shared {
    clients: Mutex<Clients>,
    /// Somebody has registered.
    arrived: Notify,
    clients_max: usize,
}

#[derive(Default)]
struct Clients {
    listening: BTreeMap<u64, Listener>,
    /// How many of them want records, and how many want log lines.
    wanting: Wanting,
    last_id: u64,
    /// Streams that are open, whether they listen or still read the store.
    open: usize,
    /// What is up to here was passed on.
    passed: Position,
}

#[derive(Clone, Copy, Default)]
struct Wanting {
    records: usize,
    logs: usize,
}

impl Wanting {
    fn add(&mut self, filter: &Filter) {
        self.records += usize::from(filter.wants_records());
        self.logs += usize::from(filter.wants_logs());
    }

    fn remove(&mut self, filter: &Filter) {
        self.records -= usize::from(filter.wants_records());
        self.logs -= usize::from(filter.wants_logs());
    }
}

struct Listener {
    filter: Filter,
    frames: mpsc::Sender<Arc<Frame>>,
}

/// The right to have a stream. Given back when it is dropped.
pub(crate) struct Seat(Hub);

/// A client's end. Dropping it ends the listening.
pub(crate) struct Listening {
    pub frames: mpsc::Receiver<Arc<Frame>>,
    /// Everything after this comes through `frames`.
    pub from: Position,
    hub: Hub,
    id: u64,
}

impl Hub {
    pub fn new(clients_max: usize) -> Hub {
        let (clients, arrived) = (Mutex::default(), Notify::new());
        Hub(Arc::new(Shared { clients, arrived, clients_max }))
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.0.clients.lock().unwrap_or_else(|it| it.into_inner())
    }

    /// Takes a client on if there is room.
    pub fn seat(&self) -> Option<Seat> {
        let mut clients = self.clients();
        if clients.open >= self.0.clients_max {
            return None;
        }
        clients.open += 1;
        Some(Seat(self.clone()))
    }

    /// Returns how many streams are open.
    pub fn open(&self) -> usize {
        self.clients().open
    }

    /// Begins to pass on what `filter` takes. The client has read the store up to `at`.
    pub fn listen(&self, filter: Filter, at: Position) -> Listening {
        let (sender, frames) = mpsc::channel(BUFFER_FRAMES);
        let mut clients = self.clients();
        // What nobody listened to was not followed: the hub begins where the client is. Never the
        // other way round, for the hub may be in the middle of a page; then the client reads on.
        if clients.wanting.records == 0 {
            clients.passed.journal = clients.passed.journal.max(at.journal);
        }
        if clients.wanting.logs == 0 {
            clients.passed.logs = clients.passed.logs.max(at.logs);
        }
        clients.last_id += 1;
        let (id, from) = (clients.last_id, clients.passed);
        clients.wanting.add(&filter);
        clients.listening.insert(id, Listener { filter, frames: sender });
        drop(clients);
        self.0.arrived.notify_one();
        Listening { frames, from, hub: self.clone(), id }
    }

    /// Follows the engine until it is told to stop.
    pub async fn run(self, engine: Engine, stop: CancellationToken) {
        stop.run_until_cancelled(async {
            let mut folding = Folding::default();
            loop {
                self.0.arrived.notified().await;
                let updates = engine.subscribe();
                self.follow(&engine, updates, &mut folding).await;
            }
        })
        .await;
    }

    /// Passes on until nobody listens.
    async fn follow(&self, engine: &Engine, mut updates: Receiver<Update>, folding: &mut Folding) {
        let mut looks = 0;
        while !self.clients().listening.is_empty() {
            if let Err(error) = self.pass_on(engine, folding).await {
                tracing::warn!(%error, "the journal cannot be followed; trying again");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            tokio::select! {
                update = updates.recv() => match update {
                    Ok(Update::Log(_)) | Err(RecvError::Lagged(_)) => looks = LOG_LOOKS,
                    Ok(Update::Record { .. }) => {}
                    Err(RecvError::Closed) => return,
                },
                () = self.0.arrived.notified() => {}
                () = tokio::time::sleep(LOG_LOOK), if looks > 0 => looks -= 1,
            }
            // What came meanwhile is read together.
            loop {
                match updates.try_recv() {
                    Ok(Update::Log(_)) => looks = LOG_LOOKS,
                    Ok(Update::Record { .. }) => {}
                    Err(_) => break,
                }
            }
        }
    }

    /// Passes on everything that the store has and that was not passed on.
    async fn pass_on(&self, engine: &Engine, folding: &mut Folding) -> Result<(), store::Error> {
        let store = &**engine.store();
        loop {
            let (passed, wanting) = {
                let clients = self.clients();
                (clients.passed, clients.wanting)
            };
            let entries = if wanting.records > 0 {
                store.journal(passed.journal, PAGE).await?
            } else {
                vec![]
            };
            for entry in &entries {
                self.pass_record(engine, folding, entry).await?;
            }
            let lines =
                if wanting.logs > 0 { store.all_logs(passed.logs, PAGE).await? } else { vec![] };
            for line in &lines {
                self.pass_line(line);
            }
            if entries.is_empty() && lines.is_empty() {
                return Ok(());
            }
        }
    }

    async fn pass_record(
        &self,
        engine: &Engine,
        folding: &mut Folding,
        entry: &JournalEntry,
    ) -> Result<(), store::Error> {
        let store = &**engine.store();
        let workflow = folding.workflow(store, entry).await?;
        let mut frame = None;
        loop {
            {
                let mut clients = self.clients();
                let takes = |it: &Filter| {
                    workflow.as_ref().is_some_and(|workflow| it.takes_record(entry.run, workflow))
                };
                // Somebody may have come while the frame was made; then it is made for them.
                if frame.is_some() || !clients.listening.values().any(|it| takes(&it.filter)) {
                    if let Some(Some(frame)) = &frame {
                        clients.send(frame, takes);
                    }
                    clients.passed.journal = entry.position;
                    return Ok(());
                }
            }
            let told = folding.after(store, entry).await?;
            let made =
                told.map(|(record, run)| (Arc::new(Frame::of_record(entry, &record, run)), record));
            if let Some((_, record)) = &made {
                folding.forget_ended(entry.run, record);
            }
            frame = Some(made.map(|(frame, _)| frame));
        }
    }

    fn pass_line(&self, line: &StoredLog) {
        let mut clients = self.clients();
        let takes = |it: &Filter| it.takes_line(line.line.run, &line.line.task);
        if clients.listening.values().any(|it| takes(&it.filter)) {
            clients.send(&Arc::new(Frame::of_line(line)), takes);
        }
        clients.passed.logs = line.position;
    }

    /// Returns what was passed on. Whoever finds no frame afterwards has seen everything up to it.
    pub fn passed(&self) -> Position {
        self.clients().passed
    }
}

impl Clients {
    /// Hands a frame to all who take it. Who is too slow is let go and reads the store instead.
    fn send(&mut self, frame: &Arc<Frame>, takes: impl Fn(&Filter) -> bool) {
        let wanting = &mut self.wanting;
        self.listening.retain(|_, it| {
            let is_kept = !takes(&it.filter) || it.frames.try_send(Arc::clone(frame)).is_ok();
            if !is_kept {
                wanting.remove(&it.filter);
            }
            is_kept
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.clients().open -= 1;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut clients = self.hub.clients();
        if let Some(gone) = clients.listening.remove(&self.id) {
            clients.wanting.remove(&gone.filter);
        }
    }
}
