//! The same test under every fault: crashes at each place of the journal, each task failing once,
//! each task running twice. Whatever happens on the way, the end must be the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use surefoot_core::run::{Run, RunState, RunStatus, TaskId, TaskStatus};
use surefoot_store::MemoryStore;
use surefoot_store::fault::{FAULTS, Fault, FaultStore};

use super::mock::Mocks;
use super::scenario::{Play, play};
use super::{TestError, TestKit, TestOutcome};

/// What was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultReport {
    /// Batches that the test makes durable: the places where it can be cut off.
    pub positions: u64,
    /// Whole runs of the test under a fault.
    pub plays: u64,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub fault: String,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.fault, self.what)
    }
}

impl TestKit {
    /// Cuts the test off at every decision that it makes durable, before and after; loses answers
    /// of the store; and sees that the run ends as without faults, that no finished task ran
    /// again, and that the journal folds to what the engine said.
    pub async fn crash_everywhere(&self) -> Result<FaultReport, TestError> {
        let (expected, positions) = self.baseline().await?;
        let mut report = FaultReport { positions, plays: 0 };
        let mut violations = Vec::new();
        for position in 1..=positions {
            for fault in FAULTS {
                report.plays += 1;
                let name = format!("{fault:?} at decision {position} of {positions}");
                let faults = vec![(position, fault)];
                violations.extend(self.play_with(&expected, &name, faults).await?);
            }
        }
        if violations.is_empty() { Ok(report) } else { Err(TestError::Violations(violations)) }
    }

    /// Crashes once at each decision and once more at each of the first decisions after it.
    pub async fn crash_twice(&self, second_max: u64) -> Result<FaultReport, TestError> {
        let (expected, positions) = self.baseline().await?;
        let mut report = FaultReport { positions, plays: 0 };
        let mut violations = Vec::new();
        for first in 1..=positions {
            for second in 1..=second_max {
                report.plays += 1;
                let name = format!("crashes at decision {first} and {second} decisions later");
                let faults = vec![(first, Fault::CrashAfter), (second, Fault::CrashBefore)];
                violations.extend(self.play_with(&expected, &name, faults).await?);
            }
        }
        if violations.is_empty() { Ok(report) } else { Err(TestError::Violations(violations)) }
    }

    /// Lets the first attempt of every task fail. Where the definition has no retry, the run may
    /// fail; it must come to an end all the same.
    pub async fn fail_each_task_once(&self) -> Result<TestOutcome, TestError> {
        let mocks = Mocks::new(self).failing_once();
        let outcome = play(self, Play::new(Arc::new(MemoryStore::new()), &mocks)).await?;
        let violations = journal_violations("every first attempt fails", &outcome);
        if violations.is_empty() { Ok(outcome) } else { Err(TestError::Violations(violations)) }
    }

    /// Lets every attempt do its work twice with the same idempotency key, as after a lost result.
    /// The run must end as if it had been done once; whether the outside sees one effect is for
    /// the mocks to say.
    pub async fn repeat_each_task(&self) -> Result<TestOutcome, TestError> {
        let (expected, _) = self.baseline().await?;
        let mocks = Mocks::new(self).repeating();
        let outcome = play(self, Play::new(Arc::new(MemoryStore::new()), &mocks)).await?;
        let mut violations = journal_violations("every task runs twice", &outcome);
        if (outcome.status, &outcome.output) != (expected.status, &expected.output) {
            let fault = "every task runs twice".to_owned();
            let what = format!("the run was {} with {}", outcome.status, outcome.output);
            violations.push(Violation { fault, what });
        }
        if violations.is_empty() { Ok(outcome) } else { Err(TestError::Violations(violations)) }
    }

    async fn baseline(&self) -> Result<(TestOutcome, u64), TestError> {
        let store = Arc::new(MemoryStore::new());
        let mocks = Mocks::new(self);
        let counter = Arc::new(FaultStore::new(store.clone()));
        let faults = VecDeque::from([counter.clone()]);
        let outcome = play(self, Play { faults, ..Play::new(store, &mocks) }).await?;
        Ok((outcome, counter.appends()))
    }

    async fn play_with(
        &self,
        expected: &TestOutcome,
        name: &str,
        faults: Vec<(u64, Fault)>,
    ) -> Result<Vec<Violation>, TestError> {
        let store = Arc::new(MemoryStore::new());
        let mocks = Mocks::new(self);
        let mut finished: BTreeMap<String, usize> = BTreeMap::new();
        let calls = mocks.calls.clone();
        let mut between = |run: &Run| {
            let made = calls.lock().expect("nobody panics while holding the lock").len();
            for (key, _) in finished_tasks(run) {
                finished.entry(key).or_insert(made);
            }
        };
        let faults = faults
            .into_iter()
            .map(|(at, fault)| Arc::new(FaultStore::new(store.clone()).at_append(at, fault)))
            .collect::<VecDeque<_>>();
        let stage = Play { store, mocks: &mocks, faults, between: Some(&mut between) };
        let outcome = play(self, stage).await?;
        let mut violations = journal_violations(name, &outcome);
        let mut broken = |what: String| violations.push(Violation { fault: name.to_owned(), what });
        if (outcome.status, &outcome.output) != (expected.status, &expected.output) {
            broken(format!(
                "the run was {} with {}, not {} with {}",
                outcome.status, outcome.output, expected.status, expected.output
            ));
        }
        for (key, made) in finished {
            if let Some(call) = outcome.calls[made..].iter().find(|it| it.idempotency_key == key) {
                broken(format!("`{}` had finished and ran again", call.task));
            }
        }
        let keys = |it: &TestOutcome| -> BTreeSet<String> {
            it.calls.iter().map(|it| it.task.clone()).collect()
        };
        if keys(&outcome) != keys(expected) {
            broken(format!("other tasks ran: {:?}, not {:?}", keys(&outcome), keys(expected)));
        }
        Ok(violations)
    }
}

/// Tasks whose completion is durable, by idempotency key.
fn finished_tasks(run: &Run) -> Vec<(String, String)> {
    let tasks = (0..run.state().tasks.len() as u32).map(TaskId);
    tasks
        .filter(|it| run.state().task(*it).status == TaskStatus::Completed)
        .map(|it| (run.idempotency_key(it), run.path(it)))
        .collect()
}

/// What must hold for every journal, whatever happened.
fn journal_violations(name: &str, outcome: &TestOutcome) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut broken = |what: String| violations.push(Violation { fault: name.to_owned(), what });
    let Some(run) = outcome.calls.first().map(|it| it.run) else { return violations };
    match RunState::fold(run, outcome.history.iter().cloned()) {
        Ok(state) if state.status != outcome.status => {
            broken(format!(
                "the journal folds to {}, the run was {}",
                state.status, outcome.status
            ));
        }
        Ok(_) => {}
        Err(error) => broken(error.to_string()),
    }
    if outcome.status != RunStatus::Completed
        && outcome.status.is_terminal()
        && outcome.error.is_none()
    {
        broken("the run failed without saying why".to_owned());
    }
    let mut attempts = BTreeSet::new();
    for call in &outcome.calls {
        if !attempts.insert((call.idempotency_key.clone(), call.attempt)) {
            broken(format!("attempt {} of `{}` was handed out twice", call.attempt, call.task));
        }
    }
    violations
}
