//! What a worker of the command line executes: programs, built-in kinds, and the handlers of the
//! conformance run.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use surefoot::kinds::{ShellConfig, ShellKind, built_in};
use surefoot::{Context, Kind, TaskError};
use surefoot_client::{Handler, TaskContext, TaskFailure};

use crate::arguments::Worker;
use crate::exit::Exit;
use crate::failure::{Failure, Result, suggestion};
use crate::input;
use crate::session::Session;

/// A command that ends with this code says that no other attempt can help (EX_DATAERR of BSD).
const EXIT_FINAL: i64 = 65;

/// Makes the handlers that the arguments ask for, by name.
pub(super) fn of(session: &Session, arguments: &Worker) -> Result<Vec<(String, Handler)>> {
    let mut all = Vec::new();
    for given in &arguments.command {
        let (name, argv) = command(given, "--command")?;
        all.push((name, program(argv)));
    }
    let config = &session.settings.engine;
    let kinds = built_in(config);
    for wanted in &arguments.capabilities {
        let Some((_, kind)) = kinds.iter().find(|(name, _)| name == wanted) else {
            let known: Vec<String> = kinds.iter().map(|(name, _)| (*name).to_owned()).collect();
            let message = format!("`{wanted}` is no built-in kind");
            let failure = Failure::new(Exit::Usage, "SF5004", message);
            return Err(match suggestion(wanted, &known, "kinds") {
                Some(hint) => failure.hint(hint),
                None => failure,
            });
        };
        all.push((wanted.clone(), of_kind(kind.clone(), |input| input, |output| output)));
    }
    if arguments.conformance {
        all.extend(conformance());
    }
    Ok(all)
}

/// Reads `NAME=ARGV`, as an option has it.
pub(crate) fn command(given: &str, option: &str) -> Result<(String, Vec<String>)> {
    let (name, line) = input::pair(given, option)?;
    let argv = words(line).filter(|it| !it.is_empty()).ok_or_else(|| {
        Failure::new(Exit::Usage, "SF5004", format!("{option} {name}: `{line}` is no command"))
            .hint("Write a program and its arguments, and close every quote.")
    })?;
    Ok((name.to_owned(), argv))
}

/// A program runs as a `shell` task does: in a process group that does not outlive its attempt.
fn program(argv: Vec<String>) -> Handler {
    let config = ShellConfig { enabled: true, ..ShellConfig::default() };
    let kind = Arc::new(ShellKind::new(config));
    let with = move |input: Value| json!({"argv": argv, "stdin": input.to_string(), "output": {"parse": "json"}});
    of_kind(kind, with, |mut output| output["json"].take())
}

/// Executes a kind of the library here instead of in the server.
fn of_kind(
    kind: Arc<dyn Kind>,
    with: impl Fn(Value) -> Value + Send + Sync + 'static,
    result: impl Fn(Value) -> Value + Send + Sync + Copy + 'static,
) -> Handler {
    Arc::new(move |task: TaskContext, input: Value| {
        let (kind, with) = (kind.clone(), with(input));
        Box::pin(async move {
            let context = context(&task)?;
            let cancelled = async {
                task.cancelled().await;
                context.cancel();
                std::future::pending::<()>().await;
            };
            let done = tokio::select! {
                done = kind.run(&context, with) => done,
                () = cancelled => return Err(TaskFailure::new("cancelled", "it was cancelled")),
            };
            done.map(result).map_err(failure)
        })
    })
}

fn context(task: &TaskContext) -> std::result::Result<Context, TaskFailure> {
    let bad = |_| TaskFailure::fatal("bad_run", format!("`{}` is not the id of a run", task.run));
    let log = task.clone();
    let context = Context::of_worker(
        task.run.parse().map_err(bad)?,
        &task.workflow,
        &task.task,
        task.attempt,
        &task.idempotency_key,
        &task.actor,
        move |level, text| log.log(level, text),
    );
    Ok(context
        .with_traceparent(task.traceparent.as_deref().unwrap_or_default())
        .with_tracestate(task.tracestate.as_deref().unwrap_or_default()))
}

fn failure(error: TaskError) -> TaskFailure {
    TaskFailure {
        retryable: error.retryable && error.status != Some(EXIT_FINAL),
        kind: error.kind,
        message: error.message,
        retry_after_ms: error.retry_after_ms,
        details: error.details,
    }
}

/// The handlers that docs/worker-conformance.md asks of every SDK.
fn conformance() -> Vec<(String, Handler)> {
    let worker = surefoot_client::Worker::new("http://127.0.0.1")
        .handler("conformance.echo", async |_: TaskContext, input: Value| Ok(input))
        .handler("conformance.fail", async |task: TaskContext, input: Value| {
            let until = input["until"].as_u64().unwrap_or(1);
            if u64::from(task.attempt) < until {
                return Err(TaskFailure::new("conformance", task.idempotency_key.clone()));
            }
            Ok(json!({"attempt": task.attempt, "idempotency_key": task.idempotency_key}))
        })
        .handler("conformance.fatal", async |_: TaskContext, _: Value| {
            Err::<Value, _>(TaskFailure::fatal("conformance_fatal", "as asked"))
        })
        .handler("conformance.sleep", async |task: TaskContext, input: Value| {
            let seconds = input["seconds"].as_f64().unwrap_or(0.0);
            let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(time) => Ok(json!({"slept": seconds})),
                () = task.cancelled() => Err(TaskFailure::fatal("cancelled", "as asked")),
            }
        })
        .handler("conformance.progress", async |task: TaskContext, input: Value| {
            let steps = input["steps"].as_u64().unwrap_or(1).clamp(1, 100);
            for step in 1..=steps {
                task.progress(step as f64 / steps as f64, &format!("step {step}"));
                task.log("info", &format!("step {step}"));
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Ok::<_, TaskFailure>(json!({"steps": steps}))
        });
    worker.into_handlers().into_iter().collect()
}

/// Splits a line into words, as a shell does with quotes, and does nothing else with it. Nothing
/// if a quote is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), it) if it == open => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().push(letters.next()?),
            (Some(_), it) => word.get_or_insert_default().push(it),
            (None, it @ ('"' | '\'')) => {
                word.get_or_insert_default();
                quote = Some(it);
            }
            (None, it) if it.is_whitespace() => words.extend(word.take()),
            (None, it) => word.get_or_insert_default().push(it),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_words_and_no_shell() {
        for (line, expected) in [
            ("python3 pay.py", Some(vec!["python3", "pay.py"])),
            ("sh -c 'echo \"$HOME\"; x'", Some(vec!["sh", "-c", "echo \"$HOME\"; x"])),
            (r#"a "b \" c" d\ e"#, Some(vec!["a", "b \" c", "d e"])),
            ("a '' b", Some(vec!["a", "", "b"])),
            ("  ", Some(vec![])),
            ("a; rm -rf $(x)", Some(vec!["a;", "rm", "-rf", "$(x)"])),
            ("a 'b", None),
            ("a \\", None),
        ] {
            let expected = expected.map(|it| it.into_iter().map(str::to_owned).collect());
            assert_eq!(words(line), expected, "{line}");
        }
    }
}
