//! What people do to runs: signal, cancel, kill, pause, resume, retry, skip, set-result.

use std::time::Duration;

use surefoot::core::run::Wait;
use surefoot::inspect;
use surefoot::{Command, ForkRequest};

use super::authority::{self, Authority, carry_out, report};
use crate::arguments::{Retry, SetResult, Signal, Skip, Verb};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::input;
use crate::output::time::now;
use crate::session::{Session, wait};

/// Carries out a command that has no data of its own.
pub fn verb(session: &Session, arguments: &Verb, command: Command) -> Result<Exit> {
    let did = match command {
        Command::Cancel => "cancelled",
        Command::Pause => "paused",
        Command::Resume => "resumed",
        _ => "told",
    };
    let by = session.by(&arguments.who);
    carry_out_and_report(session, &arguments.run, command, by, did)
}

pub fn kill(session: &Session, arguments: &Verb) -> Result<Exit> {
    session.confirm(&format!("Kill {} without compensation and finally?", arguments.run))?;
    let by = session.by(&arguments.who);
    carry_out_and_report(session, &arguments.run, Command::Kill, by, "killed")
}

pub fn skip(session: &Session, arguments: Skip) -> Result<Exit> {
    let by = session.by(&arguments.who);
    let did = format!("skipped `{}` of", arguments.task);
    let command = Command::Skip { task: arguments.task };
    carry_out_and_report(session, &arguments.run, command, by, &did)
}

pub fn set_result(session: &Session, arguments: SetResult) -> Result<Exit> {
    let by = session.by(&arguments.who);
    let did = format!("set the result of `{}` of", arguments.task);
    let output = input::json(&arguments.output)?;
    let command = Command::SetResult { task: arguments.task, output };
    carry_out_and_report(session, &arguments.run, command, by, &did)
}

fn carry_out_and_report(
    session: &Session,
    run: &str,
    command: Command,
    by: surefoot::By,
    did: &str,
) -> Result<Exit> {
    wait(async {
        let done = carry_out(session, run, command, by).await?;
        let status = authority::status(session, done.run).await?;
        report(session, &done, did, status)?;
        Ok(Exit::Ok)
    })
}

pub fn signal(session: &Session, arguments: &Signal) -> Result<Exit> {
    let Some(name) = &arguments.name else {
        return wait(available(session, &arguments.run));
    };
    let data = authority::data(arguments.data.as_deref())?;
    let command = Command::Signal { name: name.clone(), data };
    let by = session.by(&arguments.who);
    carry_out_and_report(session, &arguments.run, command, by, &format!("sent `{name}` to"))
}

/// Lists what a run waits for.
async fn available(session: &Session, run: &str) -> Result<Exit> {
    let store = session.reader()?;
    let run = inspect::load(&*store, inspect::resolve(&*store, run).await?).await?;
    let mut rows = Vec::new();
    for task in &run.state().tasks {
        if let Some(Wait::Signal { name, .. }) = task.wait() {
            rows.push((name.clone(), "a task waits for it".to_owned(), true));
        }
    }
    for way in run.transitions(now()) {
        let is_event = !way.on.starts_with("after ") && way.on != "done" && way.on != "failed";
        if is_event {
            rows.push((
                way.on.clone(),
                format!("{} → {}: {}", way.from, way.to, way.why),
                way.open,
            ));
        }
    }
    if !session.output.is_for_people() {
        let list: Vec<_> = rows
            .iter()
            .map(|(name, why, open)| {
                (name.clone(), serde_json::json!({"name": name, "open": open, "why": why}))
            })
            .collect();
        session.output.list(&list)?;
        return Ok(Exit::Ok);
    }
    if rows.is_empty() {
        session.output.say(format!(
            "run {} ({}) waits for no signal",
            run.id(),
            run.state().status
        ));
    }
    for (name, why, open) in rows {
        let mark = if open { "available" } else { "closed   " };
        session.output.text(&format!("{mark}  {name}  ({why})\n"))?;
    }
    Ok(Exit::Ok)
}

/// Retries in place, rewinds, or forks.
pub fn retry(session: &Session, arguments: &Retry) -> Result<Exit> {
    let by = session.by(&arguments.who);
    let Some(input) = &arguments.with_input else {
        let (command, did) = match &arguments.to {
            Some(to) => (Command::Rewind { to: to.clone() }, format!("rewound to `{to}`")),
            None => (Command::Retry, "retried".to_owned()),
        };
        return carry_out_and_report(session, &arguments.run, command, by, &did);
    };
    let input = input::json(input)?;
    wait(async {
        let Authority::Here(engine) = authority::authority(session).await? else {
            return Err(Failure::new(
                Exit::Conflict,
                "SF5011",
                "a fork needs the store for itself",
            )
            .hint("Stop the process that owns it, or start a run with `surefoot start`."));
        };
        let old = inspect::resolve(&**engine.store(), &arguments.run).await?;
        let request = ForkRequest {
            from: arguments.to.clone(),
            input: Some(input),
            version: None,
            actor: by.actor,
        };
        let forked = engine.fork(old, request).await;
        engine.stop(Duration::ZERO).await?;
        let run = forked?.id();
        let done = authority::Done { run, elsewhere: false };
        let status = authority::status(session, run).await?;
        report(session, &done, &format!("forked {old} as"), status)?;
        Ok(Exit::Ok)
    })
}
