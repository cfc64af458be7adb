//! Who carries a command out: a server that was named; else this process, if nobody owns the store;
//! else the owner, by its inbox.

use std::time::Duration;

use serde_json::{Value, json};
use surefoot::core::ids::RunId;
use surefoot::core::source::nearest;
use surefoot::inspect;
use surefoot::{By, Command, Engine, Inbox, RunStatus};
use surefoot_client::{Client, wire};

use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::time::now;
use crate::session::{Session, is_locked};

/// How long the owner of the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nothing is executed here, so nothing has to be waited for.
const GRACE: Duration = Duration::ZERO;

/// Either the right to decide, or the way to whoever has it.
pub enum Authority {
    /// A server that was named.
    Server(Client),
    Here(Engine),
    Elsewhere {
        owner: String,
    },
}

pub async fn authority(session: &Session) -> Result<Authority> {
    if let Some(client) = session.client()? {
        return Ok(Authority::Server(client));
    }
    // A command about a run must not make an empty store.
    session.reader()?;
    match session.engine(false, true).await {
        Ok(engine) => Ok(Authority::Here(engine)),
        Err(failure) if is_locked(&failure) => Ok(Authority::Elsewhere { owner: failure.message }),
        Err(failure) => Err(failure),
    }
}

/// As [`authority`], for what may be the first thing that a store is asked for: it is made then.
pub async fn authority_making(session: &Session, large: bool) -> Result<Authority> {
    match authority(session).await {
        Err(failure) if failure.code == "SF5010" => {
            Ok(Authority::Here(session.engine(false, large).await?))
        }
        known => known,
    }
}

/// What became of a command.
pub struct Done {
    pub run: RunId,
    /// Whether another process carried it out, and goes on with the run.
    pub elsewhere: bool,
}

/// Finds the run and has the command carried out.
pub async fn carry_out(session: &Session, run: &str, command: Command, by: By) -> Result<Done> {
    let authority = authority(session).await?;
    let run = inspect::resolve(&*session.reader()?, run).await?;
    match authority {
        Authority::Server(client) => {
            call(&client, run, command, by.reason).await?;
            Ok(Done { run, elsewhere: true })
        }
        Authority::Here(engine) => {
            let done = engine.command(run, command, by).await;
            engine.stop(GRACE).await?;
            done?;
            Ok(Done { run, elsewhere: false })
        }
        Authority::Elsewhere { owner } => {
            let request = Inbox::Command { command, by };
            ask(session, run, &request, &owner).await?;
            Ok(Done { run, elsewhere: true })
        }
    }
}

/// Sends a command to a server. Who acts is who its token names.
async fn call(client: &Client, run: RunId, command: Command, reason: Option<String>) -> Result<()> {
    let run = run.to_string();
    let verb = command.verb();
    match command {
        Command::Signal { name, data } => client.signal(&run, &name, &data).await?,
        Command::Rewind { to } => client.control(&run, verb, &wire::Rewind { to, reason }).await?,
        Command::Skip { task } => client.control(&run, verb, &wire::Skip { task, reason }).await?,
        Command::SetResult { task, output } => {
            client.control(&run, verb, &wire::SetResult { task, output, reason }).await?
        }
        Command::Vote { task, approve, comment, data, .. } => {
            let task = match task {
                Some(task) => task,
                None => waiting(client, &run).await?,
            };
            let verb = if approve { "complete" } else { "reject" };
            let id = surefoot_client::segment(&format!("{run}:{task}"));
            let decision = wire::Decision { comment, data: Some(data).filter(|it| !it.is_null()) };
            client.post(&format!("/v1/tasks/{id}/{verb}"), &decision).await?
        }
        _ => client.control(&run, verb, &wire::Control { reason }).await?,
    };
    Ok(())
}

/// Returns the only task of a run that waits for people.
async fn waiting(client: &Client, run: &str) -> Result<String> {
    let inbox: wire::Page<wire::HumanTask> = client.get("/v1/tasks").await?;
    let mut tasks = inbox.items.into_iter().filter(|it| it.run == run);
    match (tasks.next(), tasks.next()) {
        (Some(task), None) => Ok(task.task),
        (Some(_), Some(_)) => {
            Err(Failure::new(Exit::Usage, "SF5036", format!("several tasks of run {run} wait"))
                .hint("Name one: `surefoot task ls` lists them."))
        }
        (None, _) => {
            let message = format!("nothing of run {run} waits for a person");
            Err(Failure::new(Exit::NotFound, "SF5036", message)
                .hint("List what waits with `surefoot task ls`."))
        }
    }
}

/// Leaves a request for the owner and takes its answer.
pub async fn ask(session: &Session, run: RunId, request: &Inbox, owner: &str) -> Result<()> {
    let store = session.reader()?;
    let answer = inspect::remote(&*store, run, request, now(), PATIENCE).await?;
    match answer.as_deref() {
        Some(surefoot::store::APPLIED) => Ok(()),
        Some(refusal) => {
            let reason = refusal.strip_prefix("refused: ").unwrap_or(refusal);
            Err(Failure::new(Exit::Conflict, "SF5034", reason)
                .hint(format!("See why with `surefoot show {run} --why`.")))
        }
        None => Err(Failure::new(
            Exit::Unreachable,
            "SF5017",
            format!("the owner of the store has not answered in {} s: {owner}", PATIENCE.as_secs()),
        )
        .hint("The request is kept and may still be carried out; look with `surefoot show`.")),
    }
}

/// What is done to a run that has failed changes nothing until it is retried.
const TAKES_EFFECT_ON_RETRY: &[&str] = &["set the result", "skipped"];

/// Tells what was done, and how the run goes on.
pub fn report(session: &Session, done: &Done, did: &str, status: RunStatus) -> Result<()> {
    if !session.output.is_for_people() {
        let value = json!({"run": done.run, "done": did, "status": status});
        return session.output.value(&value, &done.run.to_string());
    }
    session.output.text(&format!("{did} {}: now {status}\n", done.run))?;
    if status == RunStatus::Failed && TAKES_EFFECT_ON_RETRY.iter().any(|it| did.starts_with(it)) {
        session.output.say(format!("take it in with `surefoot retry {}`", done.run));
    }
    if !done.elsewhere && !status.is_terminal() {
        session.output.say(format!(
            "nothing executes it now; go on with `surefoot run --resume {}`",
            done.run
        ));
    }
    Ok(())
}

/// Reads what the run's row says.
pub async fn status(session: &Session, run: RunId) -> Result<RunStatus> {
    let loaded = inspect::load(&*session.reader()?, run).await?;
    Ok(loaded.state().status)
}

/// Finds a task of a run by its path, or says which was meant.
pub fn task_named(
    run: &surefoot::core::run::Run,
    path: &str,
) -> Result<surefoot::core::run::TaskId> {
    inspect::task_named(run, path).map_err(|unknown| {
        let failure = Failure::new(Exit::NotFound, "SF5035", unknown.to_string());
        match nearest(path, unknown.known.iter().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint(format!("See its tasks with `surefoot show {}`.", run.id())),
        }
    })
}

/// The value that a flag brings, or null.
pub fn data(text: Option<&str>) -> Result<Value> {
    text.map_or(Ok(Value::Null), crate::input::json)
}
