//! Follows a run by its journal: what is shown is what is durable.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use surefoot::core::ids::RunId;
use surefoot::core::run::{Event, Run};
use surefoot::store::Store;
use surefoot::{Engine, Record, RunStatus, TaskStatus, Update, inspect};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::tree;
use crate::failure::Result;
use crate::output::time::{clock, now};
use crate::output::{harmless, style};
use crate::session::Session;

/// How often a terminal is redrawn, and a pipe written to, at most.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);
const LINES_INTERVAL: Duration = Duration::from_millis(10);
/// Taking in changes may take one part in so many of the time.
const EFFORT_SHARE: u32 = 20;
/// A journal is looked at this often even if nobody said that it grew.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Why watching ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Ended(RunStatus),
    TimedOut,
    /// Only waits are left.
    Idle,
    Interrupted,
}

pub struct Watch<'a> {
    session: &'a Session,
    engine: &'a Engine,
    updates: Receiver<Update>,
    signals: Signals,
    run: Run,
    /// Rows that stand on the terminal and are drawn over next.
    drawn: usize,
    /// What was asked of people already, where nothing can be redrawn.
    asked: BTreeSet<String>,
    /// How long it took to take in the last changes.
    effort: Duration,
}

impl<'a> Watch<'a> {
    /// Follows a run from record number `from` on; what came before is not told again.
    pub async fn new(
        session: &'a Session,
        engine: &'a Engine,
        updates: Receiver<Update>,
        signals: Signals,
        id: RunId,
        from: u64,
    ) -> Result<Watch<'a>> {
        let store: &dyn Store = &**engine.store();
        let run = inspect::load(store, id).await?;
        let mut watch = Watch {
            session,
            engine,
            updates,
            signals,
            run,
            drawn: 0,
            asked: BTreeSet::new(),
            effort: Duration::ZERO,
        };
        let mut records = inspect::records(store, id, from).await?;
        records.truncate(watch.run.state().records.saturating_sub(from) as usize);
        watch.tell(&records)?;
        Ok(watch)
    }

    pub fn run(&self) -> &Run {
        &self.run
    }

    pub async fn until_end(
        &mut self,
        timeout: Option<Duration>,
        until_idle: bool,
    ) -> Result<Ending> {
        let deadline = timeout.map(|it| Instant::now() + it);
        let ending = loop {
            self.catch_up().await?;
            if self.run.state().status.is_terminal() {
                break Ending::Ended(self.run.state().status);
            }
            let left = deadline.map(|it| it.saturating_duration_since(Instant::now()));
            let pause = tokio::time::sleep(left.unwrap_or(LOOK_INTERVAL).min(LOOK_INTERVAL));
            tokio::select! {
                () = next(&mut self.updates, self.run.id()) => {
                    tokio::time::sleep(self.interval()).await;
                    drain(&mut self.updates);
                }
                () = pause => {
                    if left.is_some_and(|it| it <= LOOK_INTERVAL) {
                        break Ending::TimedOut;
                    }
                }
                () = self.signals.next() => break Ending::Interrupted,
                () = self.engine.idle(), if until_idle => {
                    self.catch_up().await?;
                    match self.run.state().status {
                        status if status.is_terminal() => break Ending::Ended(status),
                        _ => break Ending::Idle,
                    }
                }
            }
        };
        self.finish()?;
        Ok(ending)
    }

    /// Watching a large run must not take the time that the run needs.
    fn interval(&self) -> Duration {
        let least = if self.session.output.is_live { REDRAW_INTERVAL } else { LINES_INTERVAL };
        least.max(EFFORT_SHARE * self.effort)
    }

    /// Takes in what the journal has gained, and shows it.
    async fn catch_up(&mut self) -> Result<()> {
        let started = Instant::now();
        let store: &dyn Store = &**self.engine.store();
        let records = inspect::records(store, self.run.id(), self.run.state().records).await?;
        if !records.is_empty() {
            self.run.follow(&records);
        }
        if self.session.output.is_live {
            self.redraw()?
        } else {
            self.tell(&records)?
        }
        self.effort = started.elapsed();
        Ok(())
    }

    /// Writes a line for each change, where nothing can be redrawn.
    fn tell(&mut self, records: &[Record]) -> Result<()> {
        if self.session.output.quiet || self.session.output.is_live {
            return Ok(());
        }
        let mut err = self.session.output.err();
        for record in records {
            for event in record.events.iter().filter(|it| is_told(it)) {
                let (word, task, detail) = self.run.describe(event);
                let time = clock(record.at, self.session.output.time);
                let line = format!("{time} {word:<10} {task} {detail}");
                // Nothing can be done about a terminal that is gone.
                let _ = writeln!(err, "{}", harmless::line(line.trim_end()));
            }
        }
        drop(err);
        self.tell_questions(records)
    }

    /// In a pipe, what is asked of people is said once, with the command that answers it.
    fn tell_questions(&mut self, records: &[Record]) -> Result<()> {
        let asks = |it: &Event| matches!(it, Event::Waiting { .. } | Event::Moved { .. });
        if records.iter().flat_map(|it| &it.events).any(asks) {
            for line in tree::answers(&self.run).lines() {
                if self.asked.insert(line.to_owned()) {
                    self.session.output.say(line);
                }
            }
        }
        Ok(())
    }

    fn redraw(&mut self) -> Result<()> {
        let width = self.session.output.width.saturating_sub(1);
        let text = tree::live(&self.run, now(), width);
        let mut err = self.session.output.err();
        if self.drawn > 0 {
            write!(err, "\x1b[{}A\x1b[J", self.drawn)?;
        }
        err.write_all(text.as_bytes())?;
        err.flush()?;
        self.drawn = text.lines().map(|it| rows(it, self.session.output.width)).sum();
        Ok(())
    }

    /// Leaves the last picture standing.
    fn finish(&mut self) -> Result<()> {
        if self.session.output.is_live { self.redraw() } else { Ok(()) }
    }

    /// Says how many tasks ended how.
    pub fn counts(&self) -> String {
        let tasks = &self.run.state().tasks;
        let count = |status| tasks.iter().filter(|it| it.status == status).count();
        let parts = TaskStatus::ALL.into_iter().map(|it| (it, count(it))).filter(|it| it.1 > 0);
        let words: Vec<String> = parts.map(|(it, count)| format!("{count} {it}")).collect();
        style::paint(style::SOFT, words.join(", "))
    }
}

/// How many rows of the terminal a line takes: a long one goes on below.
fn rows(line: &str, width: usize) -> usize {
    let letters = anstream::adapter::strip_str(line).to_string().chars().count();
    letters.div_ceil(width).max(1)
}

/// What people want to see go by; the rest is in the history.
fn is_told(event: &Event) -> bool {
    !matches!(
        event,
        Event::Opened { .. }
            | Event::Queued { .. }
            | Event::Consumed { .. }
            | Event::ChildGone { .. }
            | Event::Concluded { .. }
    )
}

/// Returns when the run has changed, or when that cannot be told.
async fn next(updates: &mut Receiver<Update>, id: RunId) {
    loop {
        match updates.recv().await {
            Ok(Update::Record { run, .. }) if run == id => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return,
            // The engine is gone; the journal is still looked at from time to time.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn drain(updates: &mut Receiver<Update>) {
    while updates.try_recv().is_ok() {}
}

/// Ctrl-C, and what a supervisor sends. Listened for from before the first run starts: what comes
/// in between would end the process without a word.
pub struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    pub fn new() -> Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
