//! When the engine kills itself: at the worst moments that there are.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use surefoot::core::run::TaskId;
use surefoot::{Event, RunId, Update};
use tokio::sync::broadcast::Receiver;

use super::{ledger, shop};

/// How often the ledger is looked at while a payment is on its way.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// A task of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Task {
    Validate,
    Pay,
    Reserve,
    Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The task's completion has become durable.
    After(Task),
    /// The shop has charged the customer, and the engine does not know it.
    During,
}

impl Task {
    pub fn name(self) -> &'static str {
        match self {
            Task::Validate => "validate",
            Task::Pay => "pay",
            Task::Reserve => "reserve",
            Task::Notify => "notify",
        }
    }
}

impl Moment {
    pub fn task(self) -> &'static str {
        match self {
            Moment::After(task) => task.name(),
            Moment::During => Task::Pay.name(),
        }
    }

    /// Waits for the moment, and ends the process as a power cut would.
    pub async fn strike(
        self,
        run: RunId,
        task: TaskId,
        updates: Receiver<Update>,
        ledger: PathBuf,
    ) {
        match self {
            Moment::After(_) => completed(updates, run, task).await,
            Moment::During => charged(ledger).await,
        }
        // SAFETY: both calls only take and give numbers.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::After(task) => write!(f, "once `{}` was durable", task.name()),
            Moment::During => f.write_str("while it waited for the answer to the payment"),
        }
    }
}

/// Returns when the store has the completion of a task.
async fn completed(mut updates: Receiver<Update>, wanted: RunId, task: TaskId) {
    let is_it = |it: &Event| matches!(it, Event::Completed { task: done, .. } if *done == task);
    loop {
        match updates.recv().await {
            Ok(Update::Record { run, record, .. }) if run == wanted => {
                if record.events.iter().any(is_it) {
                    return;
                }
            }
            Ok(_) => {}
            // Whoever missed the moment must not strike at another one.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Returns when the ledger has a charge.
async fn charged(path: PathBuf) {
    loop {
        let entries = ledger::read(&path).unwrap_or_default();
        if !ledger::done(&entries, shop::CHARGES).is_empty() {
            return;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
