//! `surefoot start`: a run of what was deployed, executed by whoever owns the store.

use std::time::Duration;

use serde_json::json;
use surefoot::core::ids::RunId;
use surefoot::core::source::nearest;
use surefoot::{Inbox, StartRequest};
use surefoot_client::wire;

use super::authority::{self, Authority};
use crate::arguments::{Request, Start};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::input;
use crate::output::time::now;
use crate::session::{Session, wait};

pub fn start(session: &Session, arguments: &Start) -> Result<Exit> {
    let mut request = request(session, &arguments.workflow, &arguments.request)?;
    request.version = arguments.version.clone();
    wait(async {
        let (run, elsewhere) = match authority::authority(session).await? {
            Authority::Server(client) => {
                let asked = wire::StartRun {
                    input: Some(request.input),
                    key: request.key,
                    version: request.version,
                    at: None,
                    priority: request.priority,
                    labels: request.labels,
                };
                let started = client.start(&arguments.workflow, &asked).await?;
                (started.run.id.parse().map_err(|_| not_an_id(&started.run.id))?, true)
            }
            Authority::Here(engine) => {
                let started = engine.start(request).await;
                engine.stop(Duration::ZERO).await?;
                (started?.id(), false)
            }
            Authority::Elsewhere { owner } => {
                check_name(session, &arguments.workflow).await?;
                let run = new_id();
                let inbox = Inbox::Start { source: None, request };
                authority::ask(session, run, &inbox, &owner).await?;
                (run, true)
            }
        };
        if session.output.is_for_people() {
            session.output.text(&format!("{run}\n"))?;
            if !elsewhere {
                session.output.say("nothing executes it now; go on with `surefoot run --all`");
            }
        } else {
            session.output.value(&json!({"run": run}), &run.to_string())?;
        }
        Ok(Exit::Ok)
    })
}

fn not_an_id(text: &str) -> Failure {
    Failure::new(Exit::Unreachable, "SF5094", format!("the server called the run `{text}`"))
        .hint("Check the address and the version of the server.")
}

/// What a run is to be started with.
pub fn request(session: &Session, workflow: &str, arguments: &Request) -> Result<StartRequest> {
    let mut request = StartRequest::new(workflow)
        .input(input::of_request(arguments)?)
        .actor(&session.settings.actor);
    request.key = arguments.key.clone();
    request.priority = arguments.priority;
    for label in &arguments.label {
        let (name, value) = input::pair(label, "--label")?;
        request = request.label(name, value);
    }
    Ok(request)
}

/// The owner would refuse an unknown name as well, but cannot say it as kindly.
async fn check_name(session: &Session, workflow: &str) -> Result<()> {
    let store = session.reader()?;
    if !store.definitions(Some(workflow)).await?.is_empty() {
        return Ok(());
    }
    let known = store.definitions(None).await?;
    let near = nearest(workflow, known.iter().map(|it| it.workflow.as_str()));
    let hint = near.map_or_else(
        || "List them with `surefoot ls workflows`.".to_owned(),
        |it| format!("did you mean `{it}`?"),
    );
    let message = format!("there is no workflow `{workflow}`");
    Err(Failure::new(Exit::NotFound, "SF5041", message).hint(hint))
}

/// The id of a run that another process will make. Unique by time and process.
fn new_id() -> RunId {
    let mut seed = [0u8; 16];
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |it| it.as_nanos());
    seed.copy_from_slice(&nanos.to_le_bytes());
    let digest = surefoot::core::ids::Digest::of(
        &[&seed[..], &std::process::id().to_le_bytes()[..]].concat(),
    );
    let mut random = [0u8; 16];
    random.copy_from_slice(&digest.as_bytes()[..16]);
    RunId::new(now(), u128::from_le_bytes(random))
}
