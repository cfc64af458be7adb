//! The format of `*.surefoot-test.yaml`.
//!
//! ```yaml
//! workflow: order.surefoot.yaml
//! cases:
//!   - name: pays after two refusals
//!     input: {order_id: o-1}
//!     mocks:
//!       pay: {sequence: [{error: {message: busy}}, {output: {id: c-1}}]}
//!     signals: [{at: 30s, name: paid, data: {n: 1}}]
//!     votes: [{at: 1h, task: approve, actor: ada, groups: [finance], approve: true}]
//!     expect: {status: completed, output: {id: c-1}, tasks: {pay: completed}, attempts: {pay: 2}}
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use surefoot::{Command, TaskError};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestFile {
    /// The definition, beside the test file. The first workflow in it is tested.
    pub workflow: String,
    pub cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub input: Option<Value>,
    /// What tasks do instead of their work, by path or by the name of a kind or handler.
    #[serde(default)]
    pub mocks: BTreeMap<String, Answers>,
    #[serde(default)]
    pub signals: Vec<Signal>,
    #[serde(default)]
    pub votes: Vec<Vote>,
    pub expect: Expect,
}

/// One of the three is given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    #[serde(default, deserialize_with = "given")]
    output: Option<Value>,
    error: Option<MockError>,
    /// One after the other, attempt by attempt; the last one repeats.
    sequence: Option<Vec<Answers>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MockError {
    #[serde(rename = "type", default = "mocked")]
    kind: String,
    message: String,
    status: Option<i64>,
    #[serde(default = "yes")]
    retryable: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// How long after the start, in virtual time. In order of the list if not given.
    at: Option<String>,
    name: String,
    #[serde(default)]
    data: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    at: Option<String>,
    task: Option<String>,
    #[serde(default = "mocked")]
    actor: String,
    #[serde(default)]
    groups: Vec<String>,
    approve: bool,
    #[serde(default)]
    data: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub status: Option<String>,
    /// Everything named here must be there; there may be more.
    pub output: Option<Value>,
    #[serde(default)]
    pub tasks: BTreeMap<String, String>,
    #[serde(default)]
    pub attempts: BTreeMap<String, u32>,
    /// A signal or vote may be refused.
    #[serde(default)]
    pub refused: bool,
}

/// What people do in a case, and when.
pub struct Steps {
    pub signals: Vec<(Duration, String, Value)>,
    pub votes: Vec<(Duration, String, Command)>,
}

impl Case {
    pub fn steps(&self) -> Result<Steps, String> {
        let mut signals = Vec::new();
        for (place, it) in self.signals.iter().enumerate() {
            signals.push((after(it.at.as_deref(), place)?, it.name.clone(), it.data.clone()));
        }
        let mut votes = Vec::new();
        for (place, it) in self.votes.iter().enumerate() {
            let command = Command::Vote {
                task: it.task.clone(),
                approve: it.approve,
                comment: None,
                data: it.data.clone(),
                groups: it.groups.clone(),
            };
            votes.push((after(it.at.as_deref(), place)?, it.actor.clone(), command));
        }
        Ok(Steps { signals, votes })
    }
}

impl Answers {
    pub fn answers(&self) -> Result<Vec<Result<Value, TaskError>>, String> {
        match (&self.output, &self.error, &self.sequence) {
            (Some(output), None, None) => Ok(vec![Ok(output.clone())]),
            (None, Some(error), None) => Ok(vec![Err(error.to_error())]),
            (None, None, Some(all)) if !all.is_empty() => {
                let lists: Result<Vec<_>, String> = all.iter().map(Answers::answers).collect();
                Ok(lists?.into_iter().flatten().collect())
            }
            _ => Err("needs one of `output`, `error` and `sequence`".to_owned()),
        }
    }
}

impl MockError {
    fn to_error(&self) -> TaskError {
        let error = TaskError::new(&self.kind, &self.message);
        TaskError { status: self.status, retryable: self.retryable, ..error }
    }
}

/// Steps without a time are a second apart.
fn after(at: Option<&str>, place: usize) -> Result<Duration, String> {
    let Some(text) = at else { return Ok(Duration::from_secs(place as u64 + 1)) };
    let read = text.parse::<surefoot::core::time::Duration>().map_err(|error| error.to_string())?;
    Ok(Duration::from_millis(read.as_millis()))
}

/// Tells `output: null` from no output.
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

fn mocked() -> String {
    "mocked".to_owned()
}

fn yes() -> bool {
    true
}
