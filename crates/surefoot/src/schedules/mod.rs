//! Schedules: runs that the clock starts.
//!
//! What is to be started when is decided by `surefoot_core::schedule`; here it is remembered and
//! carried out. A slot is started with the idempotency key `schedule:ID:SLOT`, and only then the
//! cursor goes on: whatever crashes between the two, the start is repeated and finds its run.
//! Memory holds a time for each schedule and no more; the store has the rest.
//!
//! | file | holds |
//! |---|---|
//! | `record` | a schedule as it is kept: what was asked, and where it stands |
//! | `timers` | which schedule is to be looked at when |
//! | `pace` | how fast what was missed is caught up |
//! | `firing` | one look at one schedule: overlap, starts |
//! | `keeper` | looks at those whose time has come, in batches |
//! | `edit` | what people ask of a schedule |
//! | `deployed` | schedules that definitions ask for |

mod deployed;
mod edit;
mod firing;
mod keeper;
mod pace;
mod record;
mod timers;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use surefoot_core::schedule::{CalendarMistake, TooManySlots};
use surefoot_core::schema::Violation;
use surefoot_core::time::Millis;
use tokio::sync::Notify;

use crate::engine::{Engine, StartError};
use pace::Pace;
use timers::Timers;

pub use edit::{Backfill, Backfilled, NewSchedule, Upcoming};
pub use pace::{CATCH_UP_BURST, CATCH_UP_PER_SECOND};
pub use record::{LastStart, Moved, Origin, Position, Schedule, ScheduleSpec};

/// Letters of a schedule's id.
pub const ID_LEN_MAX: usize = 128;

/// The schedules of an engine. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Schedules(Arc<Inner>);

struct Inner {
    engine: Engine,
    timers: Mutex<Timers>,
    /// Told when a timer was set, so that the keeper does not sleep past it.
    changed: Notify,
    /// How fast missed slots are started.
    pace: Mutex<Pace>,
    /// Slots that were dropped since the schedules were opened.
    missed: AtomicU64,
}

/// Why something about a schedule was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ScheduleError {
    #[error("there is no schedule `{id}`")]
    NotFound { id: String },
    #[error("`{id}` is not an id of a schedule")]
    Id { id: String },
    #[error(transparent)]
    Calendar(#[from] CalendarMistake),
    #[error("the schedule never fires: {at} has passed")]
    Past { at: String },
    #[error("`input` has a broken expression: {reason}")]
    Input { pointer: String, reason: String },
    #[error("the input does not fit `{workflow}`")]
    InvalidInput { workflow: String, violations: Vec<Violation> },
    #[error("schedule `{id}` belongs to the definition of `{workflow}`")]
    OfDefinition { id: String, workflow: String },
    #[error("schedule `{id}` is at revision {actual}")]
    Changed { id: String, actual: u64 },
    #[error("a backfill of {0}")]
    TooMany(TooManySlots),
    #[error("`to` lies in the future")]
    Future,
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Store(#[from] surefoot_store::Error),
    #[error("schedule `{id}` cannot be read: {reason}")]
    Unreadable { id: String, reason: String },
}

type Result<T> = std::result::Result<T, ScheduleError>;

impl Schedules {
    /// Finds out which schedules there are, and takes over those that definitions ask for.
    pub async fn open(engine: &Engine) -> Result<Schedules> {
        let inner = Inner {
            engine: engine.clone(),
            timers: Mutex::default(),
            changed: Notify::new(),
            pace: Mutex::default(),
            missed: AtomicU64::new(0),
        };
        let schedules = Schedules(Arc::new(inner));
        schedules.load().await?;
        schedules.take_over_definitions().await?;
        Ok(schedules)
    }

    /// Returns how many slots were missed and not caught up since the schedules were opened.
    pub fn missed(&self) -> u64 {
        self.0.missed.load(Ordering::Relaxed)
    }

    fn engine(&self) -> &Engine {
        &self.0.engine
    }

    fn store(&self) -> &dyn surefoot_store::Store {
        &**self.0.engine.store()
    }

    fn now(&self) -> Millis {
        self.0.engine.now()
    }

    fn timers(&self) -> std::sync::MutexGuard<'_, Timers> {
        self.0.timers.lock().expect("nobody panics while holding the lock")
    }

    /// Has a schedule looked at when its time comes; never again, if there is none.
    fn set_timer(&self, id: &str, at: Option<Millis>) {
        self.timers().set(id, at);
        self.0.changed.notify_one();
    }
}
