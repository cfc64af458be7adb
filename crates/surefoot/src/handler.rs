//! Functions as task kinds: what `uses: my_function` calls.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::kinds::{Context, Kind, TaskError};

/// An async function from a typed input to a typed output.
pub(crate) struct AsyncHandler<F, I> {
    function: F,
    input: PhantomData<fn(I)>,
}

impl<F, I> AsyncHandler<F, I> {
    pub fn new(function: F) -> AsyncHandler<F, I> {
        AsyncHandler { function, input: PhantomData }
    }
}

#[async_trait]
impl<F, Fut, I, O> Kind for AsyncHandler<F, I>
where
    F: Fn(Context, I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, TaskError>> + Send + 'static,
    I: DeserializeOwned + Send + 'static,
    O: Serialize + 'static,
{
    async fn run(&self, context: &Context, with: Value) -> Result<Value, TaskError> {
        let input = read_input(&context.task, with)?;
        let output = (self.function)(context.clone(), input).await?;
        write_output(&output)
    }
}

/// A blocking function. It gets a thread of its own while it runs.
pub(crate) struct BlockingHandler<F, I> {
    function: Arc<F>,
    input: PhantomData<fn(I)>,
}

impl<F, I> BlockingHandler<F, I> {
    pub fn new(function: F) -> BlockingHandler<F, I> {
        BlockingHandler { function: Arc::new(function), input: PhantomData }
    }
}

#[async_trait]
impl<F, I, O> Kind for BlockingHandler<F, I>
where
    F: Fn(Context, I) -> Result<O, TaskError> + Send + Sync + 'static,
    I: DeserializeOwned + Send + 'static,
    O: Serialize + 'static,
{
    async fn run(&self, context: &Context, with: Value) -> Result<Value, TaskError> {
        let input = read_input(&context.task, with)?;
        let (function, context) = (self.function.clone(), context.clone());
        let thread = tokio::task::spawn_blocking(move || {
            function(context, input).and_then(|it| write_output(&it))
        });
        match thread.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(TaskError::new("stopped", "the process is stopping")),
        }
    }
}

fn read_input<I: DeserializeOwned>(task: &str, with: Value) -> Result<I, TaskError> {
    serde_json::from_value(with).map_err(|error| {
        TaskError::fatal(
            "bad_parameters",
            format!("the handler of `{task}` cannot take its input: {error}"),
        )
    })
}

fn write_output<O: Serialize>(output: &O) -> Result<Value, TaskError> {
    serde_json::to_value(output).map_err(|error| {
        TaskError::fatal("bad_output", format!("the result cannot be written as JSON: {error}"))
    })
}
