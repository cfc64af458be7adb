//! What tasks do in a test.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::Value;
use surefoot_core::ids::RunId;
use surefoot_core::run::bare_path;

use super::TestKit;
use crate::kinds::{Context, Kind, TaskError};

type Answer = Result<Value, TaskError>;
type Function = dyn Fn(&Context, &Value) -> Answer + Send + Sync;

/// What a task does instead of its work.
#[derive(Clone)]
pub struct Mock(Behaviour);

#[derive(Clone)]
enum Behaviour {
    /// By attempt of the same task; the last one repeats.
    Sequence(Arc<[Answer]>),
    Function(Arc<Function>),
}

impl Mock {
    /// Completes with this output.
    pub fn output(value: Value) -> Mock {
        Mock::sequence([Ok(value)])
    }

    /// Fails with this error, every time.
    pub fn error(error: TaskError) -> Mock {
        Mock::sequence([Err(error)])
    }

    /// Does one thing after the other, attempt by attempt; the last one repeats.
    ///
    /// # Panics
    /// If the sequence is empty.
    pub fn sequence(answers: impl IntoIterator<Item = Answer>) -> Mock {
        let answers: Arc<[Answer]> = answers.into_iter().collect();
        assert!(!answers.is_empty(), "a mock needs at least one answer");
        Mock(Behaviour::Sequence(answers))
    }

    /// Computes the answer from the attempt and its input.
    pub fn function(function: impl Fn(&Context, &Value) -> Answer + Send + Sync + 'static) -> Mock {
        Mock(Behaviour::Function(Arc::new(function)))
    }

    fn answer(&self, context: &Context, input: &Value, earlier: usize) -> Answer {
        match &self.0 {
            Behaviour::Sequence(answers) => answers[earlier.min(answers.len() - 1)].clone(),
            Behaviour::Function(function) => function(context, input),
        }
    }
}

/// One execution of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub run: RunId,
    /// The task's path.
    pub task: String,
    pub kind: String,
    pub attempt: u32,
    pub idempotency_key: String,
    pub input: Value,
}

/// All mocks of a test, and what was called.
#[derive(Clone)]
pub(super) struct Mocks {
    by_name: Arc<BTreeMap<String, Mock>>,
    fallback: Option<Mock>,
    pub calls: Arc<Mutex<Vec<Call>>>,
    /// Fail the first call of each of these paths, or of all.
    fail_once: Option<Arc<Mutex<HashSet<String>>>>,
    /// Make every call twice, as after a lost result.
    repeat: bool,
}

impl Mocks {
    pub fn new(kit: &TestKit) -> Mocks {
        Mocks {
            by_name: Arc::new(kit.mocks.clone()),
            fallback: kit.fallback.clone(),
            calls: Arc::default(),
            fail_once: None,
            repeat: false,
        }
    }

    /// Lets the first attempt of every task fail.
    pub fn failing_once(self) -> Mocks {
        Mocks { fail_once: Some(Arc::default()), ..self }
    }

    /// Lets every attempt do its work twice.
    pub fn repeating(self) -> Mocks {
        Mocks { repeat: true, ..self }
    }

    pub fn kind(&self, name: &str) -> Arc<dyn Kind> {
        Arc::new(MockKind { name: name.to_owned(), mocks: self.clone() })
    }

    pub fn taken(&self) -> Vec<Call> {
        self.calls.lock().expect("nobody panics while holding the lock").clone()
    }
}

struct MockKind {
    name: String,
    mocks: Mocks,
}

#[async_trait]
impl Kind for MockKind {
    async fn run(&self, context: &Context, with: Value) -> Answer {
        let earlier = self.note(context, &with);
        if let Some(failed) = &self.mocks.fail_once {
            let mut failed = failed.lock().expect("nobody panics while holding the lock");
            if failed.insert(context.idempotency_key.clone()) {
                return Err(TaskError::new("injected", "the first attempt fails on purpose"));
            }
        }
        let bare = bare_path(&context.task);
        let named = self.mocks.by_name.get(&bare).or_else(|| self.mocks.by_name.get(&self.name));
        match named.or(self.mocks.fallback.as_ref()) {
            Some(mock) => {
                if self.mocks.repeat {
                    // The first result is lost; the outside has seen the call all the same.
                    drop(mock.answer(context, &with, earlier));
                }
                mock.answer(context, &with, earlier)
            }
            None => {
                let message = format!("the test has no mock for task `{bare}` ({})", self.name);
                Err(TaskError::fatal("no_mock", message))
            }
        }
    }
}

impl MockKind {
    /// Notes the call and returns how many there were of the same task before.
    fn note(&self, context: &Context, with: &Value) -> usize {
        let mut calls = self.mocks.calls.lock().expect("nobody panics while holding the lock");
        let key = &context.idempotency_key;
        let earlier = calls.iter().filter(|it| it.idempotency_key == *key).count();
        calls.push(Call {
            run: context.run,
            task: context.task.clone(),
            kind: self.name.clone(),
            attempt: context.attempt,
            idempotency_key: key.clone(),
            input: with.clone(),
        });
        earlier
    }
}
