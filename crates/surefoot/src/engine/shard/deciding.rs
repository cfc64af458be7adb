//! From messages to records: starts, commands, results, and what the store says to them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use surefoot_core::ids::{Digest, RunId};
use surefoot_core::run::{
    Activity, By, Command, Decision, Effect, Env, Refusal, Run, RunStatus, TaskId, TaskStatus,
};
use surefoot_store::{Append, LogLine, Outcome, RowChange, RunRow};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::slots::{granter, keep_slots, leave_queue};
use super::{NewRun, SHARD, Shard, Waiter};
use crate::engine::admission::Verdict;
use crate::engine::commit::{Batch, Begun, Committing, Follower, Reply};
use crate::engine::observe::{self, Observation};
use crate::engine::remote::LeaseError;
use crate::engine::request::{CommandError, RunView, StartError, Update};
use crate::engine::resident::{Resident, fairness};
use crate::kinds::TaskError;

/// Pause before a store that cannot write is asked again; doubles up to the maximum.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

impl Shard {
    pub(super) fn start(
        &mut self,
        new: NewRun,
        reply: oneshot::Sender<Result<Begun, StartError>>,
        waiter: Option<Waiter>,
    ) {
        if self.is_stopping() {
            // The callers see their channel close, which says the same.
            return;
        }
        let (actual, limit) = (self.residents.len() + 1, self.limits.resident_runs);
        if actual > limit {
            let what = "the number of runs in memory (limits.resident_runs)".to_owned();
            let _ = reply.send(Err(StartError::Limit { what, actual, limit }));
            return;
        }
        if let Some(waiter) = waiter {
            self.waiters.entry(new.id).or_default().push(waiter);
        }
        let (key, body) = (new.created.key.clone(), new.body);
        self.create(new, Reply::Start { reply, key, body });
    }

    /// Creates a run, and starts it within the same record if it may start.
    pub(super) fn create(&mut self, new: NewRun, reply: Reply) {
        let NewRun { id, plan, created, body } = new;
        let now = self.now();
        let verdict = match (&created.concurrency_key, &plan.concurrency) {
            (Some(key), Some(limits)) => self.admission.ask(key, limits, id, created.priority, now),
            _ => Verdict::Start,
        };
        let starts = verdict == Verdict::Start && self.shared.dispatches;
        let limits = self.limits.clone();
        let mut slots = Vec::new();
        let (run, decision) = {
            let fairness = 0;
            let dispatches = self.shared.dispatches;
            let mut grant =
                granter(&self.shared, &mut self.queue, &mut slots, fairness, now, dispatches);
            let mut env = Env { now, draw: rand::random(), grant: &mut grant };
            let env = starts.then_some(&mut env);
            Run::create(id, plan, created, limits, now, env)
        };
        let held = !matches!(verdict, Verdict::Start);
        let mut resident = Resident::new(run, held);
        keep_slots(&mut resident, slots);
        let row = Some(resident.first_row(body));
        self.residents.insert(id, resident);
        self.shared.count(|it| &it.runs_started, 1);
        self.absorb(id, decision, row, reply);
        match verdict {
            Verdict::Start | Verdict::Wait => {}
            Verdict::CancelNew => self.cancel_for_limit(id),
            Verdict::CancelHolder(holder) => self.cancel_for_limit(holder),
        }
    }

    fn cancel_for_limit(&mut self, run: RunId) {
        let reason = Some("concurrency limit reached".to_owned());
        let by = By { actor: "surefoot".to_owned(), reason };
        self.command(run, Command::Cancel, by, Reply::Nobody);
    }

    /// Decides a command, or loads the run first.
    pub(super) fn command(&mut self, run: RunId, command: Command, by: By, reply: Reply) {
        if self.residents.contains_key(&run) {
            self.decide(run, command, by, reply);
        } else {
            self.load_for(run, command, by, reply);
        }
    }

    /// Decides a command of a run in memory, and says whether it was accepted.
    pub(super) fn decide(&mut self, id: RunId, command: Command, by: By, reply: Reply) -> bool {
        let now = self.now();
        let dispatches = self.dispatches();
        let Some(resident) = self.residents.get_mut(&id) else { return false };
        if matches!(command, Command::ChildEnded { .. })
            && let Some(count) = self.owed.get_mut(&id)
        {
            *count -= 1;
            if *count == 0 {
                self.owed.remove(&id);
            }
        }
        resident.owed = self.owed.contains_key(&id);
        let mut slots = Vec::new();
        let decision = {
            let fairness = fairness(&resident.run);
            let mut grant =
                granter(&self.shared, &mut self.queue, &mut slots, fairness, now, dispatches);
            let mut env = Env { now, draw: rand::random(), grant: &mut grant };
            resident.run.decide(command, by, &mut env)
        };
        match decision {
            Ok(decision) => {
                keep_slots(resident, slots);
                let row = resident.row_change();
                self.absorb(id, decision, row, reply);
                true
            }
            Err(refusal) => {
                slots.into_iter().for_each(|(_, slot)| self.queue.release(slot));
                self.refuse(id, refusal, reply);
                false
            }
        }
    }

    fn refuse(&mut self, id: RunId, refusal: Refusal, reply: Reply) {
        if matches!(refusal, Refusal::Stale { .. }) {
            self.shared.count(|it| &it.results_refused, 1);
            tracing::debug!(run = %id, %refusal, "a late result was refused");
        }
        self.answer(reply, Err(CommandError::Refused(refusal)));
        self.drop_if_waiting(id);
    }

    /// Takes a decision into the batch.
    fn absorb(&mut self, id: RunId, decision: Decision, row: Option<RowChange>, reply: Reply) {
        let Some(resident) = self.residents.get_mut(&id) else { return };
        let now = self.shared.clock.now();
        let logs = decision.logs.into_iter().map(|it| LogLine {
            run: id,
            task: it.task,
            attempt: it.attempt,
            at: now,
            stream: it.level,
            text: it.text,
        });
        let logs: Vec<LogLine> = logs.collect();
        for line in &logs {
            let _ = self.shared.updates.send(Update::Log(line.clone()));
        }
        if resident.run.has_more_to_do() && !self.unfinished.contains(&id) {
            self.unfinished.push_back(id);
        }
        let mut touched = decision.touched;
        touched.sort_unstable();
        touched.dedup();
        let effects: Vec<Effect> =
            touched.iter().flat_map(|it| resident.run.effects(*it)).collect();
        for task in touched {
            end_superseded(resident, task);
            leave_queue(&mut self.queue, resident, task);
        }
        self.set_timer(id);
        let Some(mut record) = decision.record else {
            self.batch.logs.extend(logs);
            self.perform(id, effects);
            self.batch.confirmations.push(reply);
            self.drop_if_waiting(id);
            return;
        };
        let Some(resident) = self.residents.get_mut(&id) else { return };
        resident.unflushed += 1;
        let state = resident.run.state();
        let (status, expected) = (state.status, state.records - 1);
        let ended_child = state.created.parent.as_ref().filter(|_| status.is_terminal());
        let wake = ended_child.filter(|it| it.awaited).map(|it| it.run);
        if let Some(parent) = wake {
            *self.owed.entry(parent).or_default() += 1;
        }
        let snapshot = resident.snapshot();
        let answered = match &reply {
            Reply::Inbox(entry) => vec![*entry],
            _ => Vec::new(),
        };
        let (bytes, payloads) = record.encode();
        let record = Arc::new(record);
        let append = Append {
            row,
            wake,
            logs,
            snapshot,
            payloads,
            answered,
            ..Append::record(id, expected, bytes)
        };
        self.batch.appends.push(append);
        self.batch.followers.push(Follower { run: id, effects, record, status, reply });
    }

    /// An attempt has ended: its slot is free, and its result is decided. Says whether the result
    /// was accepted.
    pub(super) fn attempted(
        &mut self,
        run: RunId,
        task: TaskId,
        attempt: u32,
        result: Result<Value, TaskError>,
        reply: Reply,
    ) -> bool {
        self.attempt_over(run, task, attempt);
        if !self.residents.contains_key(&run) {
            self.shared.count(|it| &it.results_refused, 1);
            self.answer(reply, Err(CommandError::NotFound(run)));
            return false;
        }
        let command = match result {
            Ok(output) => Command::Complete { task, attempt, output },
            Err(error) => Command::Fail { task, attempt, error },
        };
        self.decide(run, command, By::engine(), reply)
    }

    /// Nobody executes an attempt any longer: what it took is free.
    pub(super) fn attempt_over(&mut self, run: RunId, task: TaskId, attempt: u32) {
        self.attempts_in_flight -= 1;
        self.shared.counters.attempts_in_flight.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        let Some(resident) = self.residents.get_mut(&run) else { return };
        if resident.attempts.get(&task).is_some_and(|it| it.attempt == attempt) {
            resident.attempts.remove(&task);
        }
        if let Some(slot) = resident.slots.remove(&(task, attempt)) {
            self.queue.release(slot);
        }
    }

    /// Hands the batch to the store, unless one is on its way.
    pub(super) fn submit(&mut self) {
        if self.committing.is_some() || self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        if !batch.logs.is_empty() {
            // Log lines are ordered with the batches; that they are kept is not waited for.
            let kept = self.shared.store.append_logs(self.owner, batch.logs.clone());
            drop(kept);
        }
        if batch.appends.is_empty() {
            // Nothing is on its way, so whatever was decided before is durable.
            return self.confirm(batch.confirmations);
        }
        let Batch { appends, followers, confirmations, .. } = batch;
        let appends: Arc<[Append]> = appends.into();
        let outcome = self.shared.store.append(self.owner, appends.clone());
        let (tries, since) = (0, Instant::now());
        self.committing =
            Some(Committing { appends, followers, confirmations, outcome, tries, since });
    }

    /// The store has answered.
    pub(super) async fn committed(&mut self, outcome: surefoot_store::Result<Vec<Outcome>>) {
        let Some(committing) = self.committing.take() else { return };
        match outcome {
            Ok(outcomes) => {
                self.shared.count(|it| &it.records, outcomes.len() as u64);
                let (records, took) = (outcomes.len(), committing.since.elapsed());
                self.shared.observe(Observation::Appended { records, took });
                let Committing { appends, followers, confirmations, .. } = committing;
                let decided = followers.into_iter().zip(&*appends).zip(outcomes);
                for ((follower, append), outcome) in decided {
                    self.follow(follower, append.row.as_ref(), outcome);
                }
                self.confirm(confirmations);
            }
            Err(surefoot_store::Error::Unavailable { location, reason, hint })
                if !self.is_stopping() =>
            {
                self.ask_again(committing, &location, &reason, &hint).await;
            }
            Err(error) => self.give_up(committing, &error),
        }
    }

    fn confirm(&mut self, replies: Vec<Reply>) {
        replies.into_iter().for_each(|reply| self.answer(reply, Ok(())));
    }

    /// Nothing was written: the same batch is handed over again after a pause. Meanwhile the loop
    /// stands still, which is what a full disk deserves.
    async fn ask_again(
        &mut self,
        committing: Committing,
        location: &str,
        reason: &str,
        hint: &str,
    ) {
        let tries = committing.tries;
        if tries == 0 {
            tracing::error!(%location, %reason, %hint, "the store cannot write; waiting for it");
        }
        let pause = RETRY_PAUSE.saturating_mul(1 << tries.min(10)).min(RETRY_PAUSE_MAX);
        let due = self.now() + pause.as_millis() as u64;
        if self.shared.clock.skip_to(due) {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(pause).await;
        }
        let outcome = self.shared.store.append(self.owner, committing.appends.clone());
        self.committing = Some(Committing { outcome, tries: tries + 1, ..committing });
    }

    /// Nobody knows what was written: the runs are dropped, and read and decided again.
    fn give_up(&mut self, given: Committing, error: &surefoot_store::Error) {
        tracing::error!(%error, runs = given.followers.len(), "runs are read again from the store");
        let also = std::mem::take(&mut self.batch);
        // What is read again is asked again.
        self.owed.clear();
        let followers = given.followers.into_iter().chain(also.followers);
        let mut runs = Vec::new();
        for follower in followers {
            runs.push(follower.run);
            self.answer(follower.reply, Err(CommandError::Store(error.clone())));
        }
        for reply in given.confirmations.into_iter().chain(also.confirmations) {
            self.answer(reply, Err(CommandError::Store(error.clone())));
        }
        runs.sort_unstable();
        runs.dedup();
        for run in runs {
            self.disown(run);
            self.forget(run);
            if !self.is_stopping() {
                self.load_for(run, Command::Advance, By::engine(), Reply::Nobody);
            }
        }
    }

    /// A decision is durable (or was refused by the store).
    fn follow(&mut self, follower: Follower, row: Option<&RowChange>, outcome: Outcome) {
        let Follower { run, effects, record, status, reply } = follower;
        match outcome {
            Outcome::Applied => {}
            Outcome::Duplicate { run: existing, body } => {
                return self.was_started_before(run, existing, body, reply);
            }
            Outcome::Conflict { actual } => {
                // The run exists already (a sub-run that was started before a crash), or somebody
                // else has written it. What the store has is the truth.
                tracing::debug!(%run, actual, "the store has another journal; reading it");
                self.disown(run);
                self.forget(run);
                self.answer(reply, Ok(()));
                return self.load_for(run, Command::Advance, By::engine(), Reply::Nobody);
            }
        }
        if let Some(resident) = self.residents.get_mut(&run) {
            resident.unflushed -= 1;
            if let Some(observer) = &self.shared.observer {
                observe::tell(&**observer, &resident.run, &record);
            }
        }
        if self.shared.updates.receiver_count() > 0 {
            let _ = self.shared.updates.send(Update::Record { run, record, status });
        }
        match reply {
            Reply::Start { reply, .. } => {
                let begun = match (row, self.residents.get(&run)) {
                    (Some(RowChange::Insert(row)), Some(resident)) => {
                        let view = RunView::of(resident.run.state(), RunRow::clone(row));
                        Begun::New(Box::new(view.after_first_record(status)))
                    }
                    _ => Begun::Before(run),
                };
                // Who asked may have gone.
                let _ = reply.send(Ok(begun));
            }
            // Answered in the same transaction.
            Reply::Inbox(_) | Reply::Nobody => {}
            Reply::Command(reply) => {
                let _ = reply.send(Ok(()));
            }
            Reply::Settled { reply, settled } => {
                let _ = reply.send(Ok(settled));
            }
        }
        self.perform(run, effects);
        if status.is_terminal() {
            self.ended(run);
        }
        self.drop_if_waiting(run);
    }

    fn was_started_before(
        &mut self,
        run: RunId,
        existing: RunId,
        body: Option<Digest>,
        reply: Reply,
    ) {
        self.forget(run);
        self.waiters.remove(&run);
        self.never_began(run);
        let same = |asked: Option<Digest>| asked == body;
        match reply {
            Reply::Start { reply, body: asked, .. } if same(asked) => {
                let _ = reply.send(Ok(Begun::Before(existing)));
            }
            Reply::Start { reply, key, .. } => {
                let key = key.unwrap_or_default();
                let _ = reply.send(Err(StartError::KeyConflict { key, run: existing }));
            }
            Reply::Inbox(entry) => {
                self.answer_inbox(entry, format!("started before as {existing}"))
            }
            Reply::Command(_) | Reply::Settled { .. } | Reply::Nobody => {}
        }
    }

    /// The end of a run is durable.
    fn ended(&mut self, run: RunId) {
        let Some(resident) = self.residents.get_mut(&run) else { return };
        let state = resident.run.state();
        // A retry may have reopened it since.
        if !state.status.is_terminal() {
            return;
        }
        let (status, output, error) = (state.status, state.output.clone(), state.error.clone());
        let created = &state.created;
        let (key, parent) = (created.concurrency_key.clone(), created.parent.clone());
        let mut waiters = self.waiters.remove(&run).unwrap_or_default();
        waiters.retain(|it| !it.is_closed());
        if !waiters.is_empty() {
            let row = resident.whole_row();
            let view = Box::new(RunView::of(resident.run.state(), row));
            waiters.into_iter().for_each(|it| drop(it.send(view.clone())));
        }
        resident.attempts.values().for_each(|it| it.cancel.cancel());
        for (task, place) in resident.queued.drain() {
            self.queue.remove(resident.run.kind(task).unwrap_or_default(), place);
        }
        self.shared.count(|it| &it.runs_ended, 1);
        if let Some(key) = key {
            self.admission.leave(&key, run);
            self.admit_next(&key);
        }
        if let Some(parent) = parent.filter(|it| it.awaited) {
            let error = error.map(|it| it.error.clone());
            let output = output.as_deref().cloned().unwrap_or_default();
            let command = Command::ChildEnded { task: parent.task, run, status, output, error };
            self.command(parent.run, command, By::engine(), Reply::Nobody);
        }
    }

    /// Starts runs that waited for a concurrency key.
    pub(super) fn admit_next(&mut self, key: &str) {
        if !self.shared.dispatches {
            return;
        }
        for run in self.admission.next(key, self.shared.clock.now()) {
            self.command(run, Command::Admit, By::engine(), Reply::Nobody);
        }
    }

    /// A run turned out not to exist: what it would have kept others from is theirs.
    pub(super) fn never_began(&mut self, run: RunId) {
        for key in self.admission.leave_all(run) {
            self.admit_next(&key);
        }
    }

    pub(super) fn answer(&mut self, reply: Reply, answer: Result<(), CommandError>) {
        match reply {
            Reply::Nobody => {}
            Reply::Command(reply) => {
                let _ = reply.send(answer);
            }
            Reply::Start { reply, .. } => {
                let answer = answer.map_err(|error| match error {
                    CommandError::Store(error) => StartError::Store(error),
                    _ => StartError::Stopping,
                });
                if let Err(error) = answer {
                    let _ = reply.send(Err(error));
                }
            }
            Reply::Settled { reply, settled } => {
                let _ = reply.send(answer.map(|()| settled).map_err(LeaseError::from));
            }
            Reply::Inbox(entry) => {
                let text = match answer {
                    Ok(()) => surefoot_store::APPLIED.to_owned(),
                    Err(error) => format!("refused: {error}"),
                };
                self.answer_inbox(entry, text);
            }
        }
    }

    /// Takes a run out of memory, with everything that it holds.
    pub(super) fn forget(&mut self, run: RunId) {
        let Some(resident) = self.residents.remove(&run) else { return };
        resident.attempts.values().for_each(|it| it.cancel.cancel());
        resident.slots.into_values().for_each(|it| self.queue.release(it));
        for (task, place) in resident.queued {
            self.queue.remove(resident.run.kind(task).unwrap_or_default(), place);
        }
        if let Some(due) = resident.due {
            self.timers.remove(&(due, run));
        }
        self.hand_nothing(run);
    }

    /// Drops a run that only waits: waiting costs nothing. Its row says when to load it again.
    pub(super) fn drop_if_waiting(&mut self, id: RunId) {
        let Some(resident) = self.residents.get_mut(&id) else { return };
        if !resident.may_be_dropped() || self.unfinished.contains(&id) {
            return;
        }
        if let Activity::Idle(Some(due)) = resident.run.activity() {
            self.stored_due = Some(self.stored_due.map_or(due, |it| it.min(due)));
        }
        self.forget(id);
    }

    /// Goes on with runs that a decision left something to do for.
    pub(super) fn go_on(&mut self) {
        let count = self.unfinished.len();
        for run in self.unfinished.drain(..count).collect::<Vec<_>>() {
            self.decide(run, Command::Advance, By::engine(), Reply::Nobody);
        }
    }

    pub(super) fn is_admitted(&self, run: &Run) -> bool {
        let state = run.state();
        let key = state.created.concurrency_key.as_ref();
        state.status != RunStatus::Pending
            || key.is_none_or(|it| self.admission.holds(it, state.id))
    }
}

/// Ends an attempt that no longer holds its task: it timed out, or the task went another way.
fn end_superseded(resident: &mut Resident, task: TaskId) {
    let Some(in_flight) = resident.attempts.get(&task) else { return };
    let state = resident.run.state().task(task);
    let holds = state.status == TaskStatus::Running
        && state.attempt == in_flight.attempt
        && !state.is_cancelling();
    if !holds {
        in_flight.cancel.cancel();
    }
}

const _: () = assert!(SHARD == 0, "an embedded store has one shard");
