//! Runs come into memory: at start-up, when their time has come, or when something is asked.

use std::sync::Arc;

use surefoot_core::ids::RunId;
use surefoot_core::run::{By, Command, Effect, RunStatus};
use surefoot_store::InboxRow;

use super::{Message, NewRun, SHARD, Shard, Waiter};
use crate::engine::commit::Reply;
use crate::engine::request::{CommandError, Inbox};
use crate::engine::resident::{Loaded, Resident};
use crate::engine::{OpenError, Shared};

/// Runs that are asked for in one go at start-up.
const RUNS_AT_ONCE: u32 = 1000;

impl Shard {
    /// Finds out what the owner before left: runs that were going on, keys that are held, and the
    /// next run whose time comes.
    pub(super) async fn restore(&mut self) -> Result<(), OpenError> {
        let store = self.shared.store.clone();
        for row in store.keyed(SHARD).await? {
            let Ok(plan) = self.shared.definitions.plan(row.definition, &row.workflow).await else {
                continue;
            };
            if let (Some(key), Some(limits)) = (&row.concurrency_key, &plan.concurrency) {
                let started = row.started_at.is_some();
                self.admission.restore(key, limits, row.id, row.priority, started);
            }
        }
        let mut after = None;
        loop {
            let some = store.active(SHARD, after, RUNS_AT_ONCE).await?;
            let Some(last) = some.last().copied() else { break };
            for run in some {
                // Loading a run recovers it.
                self.load_for(run, Command::Advance, By::engine(), Reply::Nobody);
            }
            after = Some(last);
        }
        self.stored_due = Some(0);
        let keys: Vec<String> =
            store.keyed(SHARD).await?.into_iter().filter_map(|it| it.concurrency_key).collect();
        for key in keys {
            self.admit_next(&key);
        }
        Ok(())
    }

    /// Loads a run, and asks it then.
    pub(super) fn load_for(&mut self, run: RunId, command: Command, by: By, reply: Reply) {
        let waiting = self.loading.entry(run).or_default();
        waiting.push((command, by, reply));
        if waiting.len() > 1 {
            return;
        }
        let (shared, messages) = (self.shared.clone(), self.messages.clone());
        tokio::spawn(async move {
            let loaded = shared.load(run).await.map(|(run, row)| (Box::new(run), Box::new(row)));
            let loaded = loaded.map_err(|error| Arc::new(CommandError::from(error)));
            if let Some(messages) = messages.upgrade() {
                let _ = messages.send(Message::Loaded { run, loaded }).await;
            }
        });
    }

    pub(super) fn load_for_waiter(&mut self, run: RunId, waiter: Waiter) {
        self.waiters.entry(run).or_default().push(waiter);
        self.load_for(run, Command::Advance, By::engine(), Reply::Nobody);
    }

    pub(super) fn loaded(&mut self, id: RunId, loaded: Loaded) {
        let waiting = self.loading.remove(&id).unwrap_or_default();
        let (run, row) = match loaded {
            Ok((run, row)) => (*run, *row),
            Err(error) => {
                // Dropping the waiters tells them to look for themselves.
                self.waiters.remove(&id);
                tracing::warn!(run = %id, %error, "a run cannot be loaded");
                if matches!(*error, CommandError::NotFound(_)) {
                    self.never_began(id);
                }
                for (_, _, reply) in waiting {
                    self.answer(reply, Err((*error).clone()));
                }
                return;
            }
        };
        let ended = run.state().status.is_terminal();
        let admitted = self.is_admitted(&run);
        let outstanding = run.outstanding();
        let mut resident = Resident::loaded(run, &row);
        resident.held = !admitted;
        resident.pinned = true;
        self.residents.insert(id, resident);
        if ended {
            self.waiters.remove(&id);
        }
        if self.shared.dispatches && !ended {
            self.take_up(id, outstanding);
        }
        for (command, by, reply) in waiting {
            self.command(id, command, by, reply);
        }
        if let Some(resident) = self.residents.get_mut(&id) {
            resident.pinned = false;
        }
        self.drop_if_waiting(id);
    }

    /// Goes on with a run where its journal ends. This is the same whatever ended the process
    /// before: what was under way is lost and tried again, the rest is asked of the state.
    fn take_up(&mut self, id: RunId, outstanding: Vec<Effect>) {
        let pending = self
            .residents
            .get(&id)
            .is_some_and(|it| it.run.state().status == RunStatus::Pending && !it.held);
        if pending {
            self.decide(id, Command::Admit, By::engine(), Reply::Nobody);
        }
        self.decide(id, Command::Recover, By::engine(), Reply::Nobody);
        self.decide(id, Command::Tick, By::engine(), Reply::Nobody);
        let waiting = outstanding.into_iter().filter(|it| match it {
            Effect::Queue { .. } | Effect::AwaitChild { .. } | Effect::CancelChild { .. } => true,
            // Recovery has dealt with attempts.
            Effect::Execute { .. } | Effect::Cancel { .. } => false,
        });
        self.perform(id, waiting.collect());
    }

    // The inbox of other processes.

    pub(super) fn take_inbox(&mut self, rows: Vec<InboxRow>) {
        for row in rows {
            self.inbox_seen = self.inbox_seen.max(row.id);
            match serde_json::from_slice(&row.command) {
                Ok(Inbox::Command { command, by }) => {
                    self.command(row.run, command, by, Reply::Inbox(row.id));
                }
                Ok(Inbox::Start { source, request }) => {
                    let (shared, messages) = (self.shared.clone(), self.messages.clone());
                    self.beside += 1;
                    tokio::spawn(async move {
                        let new = prepare_left(&shared, row.run, source, request).await;
                        if let Some(messages) = messages.upgrade() {
                            let message = Message::InboxStart { entry: row.id, new };
                            let _ = messages.send(message).await;
                        }
                    });
                }
                Err(error) => self.answer_inbox(row.id, format!("refused: {error}")),
            }
        }
    }

    pub(super) fn inbox_start(&mut self, entry: i64, new: Result<Box<NewRun>, String>) {
        self.beside = self.beside.saturating_sub(1);
        match new {
            Ok(new) => self.create(*new, Reply::Inbox(entry)),
            Err(reason) => self.answer_inbox(entry, format!("refused: {reason}")),
        }
    }

    pub(super) fn answer_inbox(&mut self, entry: i64, text: String) {
        let (shared, owner) = (self.shared.clone(), self.owner);
        tokio::spawn(async move {
            if let Err(error) = shared.store.answer(owner, vec![(entry, text)]).await {
                tracing::warn!(entry, %error, "a request of the inbox was not answered");
            }
        });
    }
}

async fn prepare_left(
    shared: &Shared,
    run: RunId,
    source: Option<String>,
    request: crate::engine::StartRequest,
) -> Result<Box<NewRun>, String> {
    let mut request = request;
    if let Some(source) = source {
        let deployed = shared.definitions.deploy(&source, shared.clock.now(), true).await;
        let deployed = deployed.map_err(|error| error.to_string())?;
        (request.workflow, request.version) = (deployed.workflow, Some(deployed.version));
    }
    let new = shared.prepare(run, request, None).await.map_err(|error| error.to_string())?;
    Ok(Box::new(new))
}
