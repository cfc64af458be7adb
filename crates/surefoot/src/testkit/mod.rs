//! Tests of definitions: a virtual clock, mocked results, and faults at every place where one can
//! happen. Nothing is downloaded and nothing sleeps.
//!
//! ```
//! use serde_json::json;
//! use surefoot::testkit::{Mock, TestKit};
//! use surefoot::{RunStatus, TaskError};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let kit = TestKit::new("
//! id: charge
//! tasks:
//!   pay: {uses: http, with: {url: 'https://pay.example/charge', method: POST}, retry: {max_attempts: 3, delay: 1h}}
//!   wait: {needs: [pay], uses: wait, with: {for: 7d}}
//! output: '${{ tasks.pay.output.json.id }}'
//! ")
//! .mock("pay", Mock::sequence([
//!     Err(TaskError::new("http_status", "503")),
//!     Ok(json!({"status": 200, "json": {"id": "c-1"}})),
//! ]));
//! let outcome = kit.run().await.unwrap();
//! assert_eq!(outcome.status, RunStatus::Completed);
//! assert_eq!(outcome.output, json!("c-1"));
//! assert_eq!(outcome.tasks["pay"].attempts, 2);
//! kit.crash_everywhere().await.unwrap();
//! # });
//! ```

mod faults;
mod mock;
mod replay;
mod scenario;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use surefoot_core::run::{By, Command, Record, RunError, RunStatus, TaskStatus};
use surefoot_store::MemoryStore;

pub use faults::{FaultReport, Violation};
pub use mock::{Call, Mock};
pub use replay::{ReplayError, Replayed, replay};

use crate::config::Config;
use mock::Mocks;
use scenario::{Play, play};

/// One test of one definition.
#[derive(Clone)]
pub struct TestKit {
    source: String,
    input: Value,
    mocks: BTreeMap<String, Mock>,
    fallback: Option<Mock>,
    script: Vec<(Duration, Step)>,
    config: Config,
    actor: String,
    others: Vec<String>,
}

/// Something that somebody does while the run goes on.
#[derive(Clone, Debug)]
pub struct Step {
    pub command: Command,
    pub by: By,
}

/// How the run ended, and what happened on the way.
#[derive(Clone, Debug)]
pub struct TestOutcome {
    /// Not terminal if the run waits for something that the script does not bring.
    pub status: RunStatus,
    pub output: Value,
    pub error: Option<RunError>,
    /// By path.
    pub tasks: BTreeMap<String, TaskOutcome>,
    /// What was executed, in order.
    pub calls: Vec<Call>,
    /// Steps of the script that the run refused, and why.
    pub refused: Vec<String>,
    /// Virtual time from creation to end, in milliseconds.
    pub took_ms: u64,
    pub history: Vec<Record>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TaskOutcome {
    pub status: TaskStatus,
    pub attempts: u32,
    pub output: Value,
}

/// Why a test could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    #[error(transparent)]
    Deploy(#[from] crate::DeployError),
    #[error(transparent)]
    Start(#[from] crate::StartError),
    #[error(transparent)]
    Open(#[from] crate::OpenError),
    #[error(transparent)]
    Command(#[from] crate::CommandError),
    /// A promise was broken under faults.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Violations(Vec<Violation>),
}

impl TestKit {
    /// Prepares a test of a definition.
    pub fn new(source: &str) -> TestKit {
        TestKit {
            source: source.to_owned(),
            input: Value::Object(Default::default()),
            mocks: BTreeMap::new(),
            fallback: None,
            script: Vec::new(),
            config: Config { allow_unknown_handlers: true, allow_large: true, ..Config::default() },
            actor: "tester".to_owned(),
            others: Vec::new(),
        }
    }

    pub fn input(self, input: Value) -> TestKit {
        TestKit { input, ..self }
    }

    /// Who starts the run.
    pub fn actor(self, actor: &str) -> TestKit {
        TestKit { actor: actor.to_owned(), ..self }
    }

    /// Adds a definition that the tested one starts sub-runs of.
    pub fn with_workflow(mut self, source: &str) -> TestKit {
        self.others.push(source.to_owned());
        self
    }

    /// Says what a task does: by its path without item and visit (`reserve`, `group.check`), or by
    /// the name of its kind or handler. A task that needs an executor and has no mock fails.
    pub fn mock(mut self, task_or_kind: &str, mock: Mock) -> TestKit {
        self.mocks.insert(task_or_kind.to_owned(), mock);
        self
    }

    /// Says what every task does that has no mock of its own.
    pub fn mock_rest(self, mock: Mock) -> TestKit {
        TestKit { fallback: Some(mock), ..self }
    }

    /// Lets somebody do something, so long after the start (virtual time).
    pub fn at(mut self, after: Duration, actor: &str, command: Command) -> TestKit {
        self.script.push((after, Step { command, by: By::actor(actor) }));
        self.script.sort_by_key(|it| it.0);
        self
    }

    /// Sends a signal or a machine's event.
    pub fn signal(self, after: Duration, name: &str, data: Value) -> TestKit {
        self.at(after, "tester", Command::Signal { name: name.to_owned(), data })
    }

    /// Votes on the approval that is open, with the given groups.
    pub fn vote(self, after: Duration, actor: &str, groups: &[&str], approve: bool) -> TestKit {
        let groups = groups.iter().map(|it| (*it).to_owned()).collect();
        let data = Value::Null;
        let command = Command::Vote { task: None, approve, comment: None, data, groups };
        self.at(after, actor, command)
    }

    pub fn config(self, config: Config) -> TestKit {
        TestKit { config, ..self }
    }

    /// Runs the test once, without faults.
    pub async fn run(&self) -> Result<TestOutcome, TestError> {
        let mocks = Mocks::new(self);
        play(self, Play::new(Arc::new(MemoryStore::new()), &mocks)).await
    }
}
