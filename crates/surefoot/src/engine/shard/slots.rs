//! Slots of this process: asked for within a decision, or given to tasks that wait in line.

use surefoot_core::ids::RunId;
use surefoot_core::queue::{Queue, Slot};
use surefoot_core::run::{By, Command, TaskId, TaskStatus, Want};

use super::Shard;
use crate::engine::Shared;
use crate::engine::commit::Reply;
use crate::engine::resident::{Resident, request};

impl Shard {
    /// Gives slots that have become free to tasks that wait for them.
    pub(super) fn fill_slots(&mut self) {
        if !self.dispatches() {
            return;
        }
        let now = self.now();
        while let Some(((run, task), slot)) = self.queue.pop(now).map(|(it, slot)| (it.item, slot))
        {
            let Some(resident) = self.residents.get_mut(&run) else {
                self.queue.release(slot);
                continue;
            };
            resident.queued.remove(&task);
            let attempt = resident.run.state().task(task).attempt + 1;
            resident.slots.insert((task, attempt), slot);
            let command = Command::Dispatch { task, worker: None };
            self.decide(run, command, By::engine(), Reply::Nobody);
            // A task that no longer wants it gives it back.
            if let Some(resident) = self.residents.get_mut(&run)
                && (resident.run.state().task(task).attempt != attempt
                    || resident.run.state().task(task).status != TaskStatus::Running)
                && let Some(slot) = resident.slots.remove(&(task, attempt))
            {
                self.queue.release(slot);
            }
        }
    }
}

/// Makes the function through which a decision asks for slots.
pub(super) fn granter<'a>(
    shared: &'a Shared,
    queue: &'a mut Queue<(RunId, TaskId)>,
    slots: &'a mut Vec<(TaskId, Slot)>,
    fairness: u64,
    now: u64,
    dispatches: bool,
) -> impl FnMut(&Want<'_>) -> bool + 'a {
    move |want| {
        if !dispatches {
            return false;
        }
        let remote = shared.is_remote(want.kind);
        let slot = queue.try_take(&request(want, fairness, remote), now);
        let granted = slot.is_some();
        slots.extend(slot.map(|it| (want.task, it)));
        granted
    }
}

pub(super) fn keep_slots(resident: &mut Resident, slots: Vec<(TaskId, Slot)>) {
    for (task, slot) in slots {
        let attempt = resident.run.state().task(task).attempt;
        resident.slots.insert((task, attempt), slot);
    }
}

/// Takes a task that no longer wants a slot out of the queue.
pub(super) fn leave_queue(
    queue: &mut Queue<(RunId, TaskId)>,
    resident: &mut Resident,
    task: TaskId,
) {
    if resident.run.state().task(task).status == TaskStatus::Ready {
        return;
    }
    if let Some(place) = resident.queued.remove(&task) {
        queue.remove(resident.run.kind(task).unwrap_or_default(), place);
    }
}
