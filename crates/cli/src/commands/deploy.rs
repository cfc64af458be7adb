//! `surefoot deploy`: definitions, checked and brought to the store or server.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use surefoot::core::check::CheckContext;
use surefoot_client::segment;
use surefoot_client::wire::{Deployed, Workflow};

use super::authority::{Authority, authority, authority_making};
use super::token;
use crate::arguments::Deploy;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{problem, style};
use crate::project::{self, Source};
use crate::session::{Session, wait};

pub fn deploy(session: &Session, arguments: &Deploy) -> Result<Exit> {
    if let Some(name) = &arguments.activate {
        return wait(activate(session, name));
    }
    let mut sources = Vec::new();
    for path in files(&arguments.paths)? {
        let source = Source::read(&path, &CheckContext::default())?;
        if source.documents.iter().any(|it| it.plan.is_none()) {
            session.output.say(problem::draw(&source, session.output.width).trim_end());
            let message = format!("{} is rejected; nothing was deployed", path.display());
            return Err(
                Failure::new(Exit::Rejected, "SF5002", message).hint("Mend it, and deploy again.")
            );
        }
        sources.push(source);
    }
    wait(async {
        let mut values = Vec::new();
        for source in &sources {
            for (text, document) in source.texts().iter().zip(&source.documents) {
                let Some(plan) = &document.plan else { continue };
                let done = one(session, arguments, &plan.workflow, text).await?;
                tell(session, arguments.dry_run, &done);
                values.push((done.workflow.clone(), json!(done)));
            }
        }
        if !session.output.is_for_people() {
            session.output.list(&values)?;
        }
        Ok(Exit::Ok)
    })
}

/// Makes an older version the one that new runs take.
async fn activate(session: &Session, name: &str) -> Result<Exit> {
    let (workflow, version) = name.split_once('@').ok_or_else(|| {
        Failure::new(Exit::Usage, "SF5004", format!("--activate: `{name}` names no version"))
            .hint("Example: surefoot deploy --activate order@1.0.0")
    })?;
    let (workflow, version) = (segment(workflow), segment(version));
    let path = format!("/v1/workflows/{workflow}/versions/{version}/activate");
    let active: Workflow = match authority(session).await? {
        Authority::Server(client) => client.post(&path, &json!(null)).await?,
        here => {
            let service = token::service(here).await?;
            let (status, body) = service.ask(&session.settings.actor, "POST", &path, None).await;
            service.engine().stop(Duration::ZERO).await?;
            token::answered(status.is_success(), &body)?
        }
    };
    if session.output.is_for_people() {
        let name = style::paint(style::NAME, format!("{} {}", active.workflow, active.version));
        session.output.say(format!("{name} is active"));
    } else {
        session.output.value(&json!(active), &active.workflow)?;
    }
    Ok(Exit::Ok)
}

fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => files.extend(project::find(path)?),
            false => files.push(path.clone()),
        }
    }
    Ok(files)
}

async fn one(
    session: &Session,
    arguments: &Deploy,
    workflow: &str,
    text: &str,
) -> Result<Deployed> {
    if let Some(client) = session.client()? {
        return Ok(client.deploy(workflow, text, arguments.dry_run, arguments.draft).await?);
    }
    // The first deployment makes the store.
    let authority = match arguments.dry_run {
        true => authority(session).await?,
        false => authority_making(session, true).await?,
    };
    let service = token::service(authority).await?;
    let done = service.deploy(workflow, text, arguments.dry_run, arguments.draft).await;
    service.engine().stop(Duration::ZERO).await?;
    done.map_err(token::told)
}

fn tell(session: &Session, dry_run: bool, done: &Deployed) {
    let name = style::paint(style::NAME, format!("{} {}", done.workflow, done.version));
    let verb = match (dry_run, done.unchanged) {
        (_, true) => "is there already",
        (true, false) => "would be deployed",
        (false, false) => "deployed",
    };
    session.output.say(format!("{name} {verb}"));
    for change in done.changes.iter().filter(|_| !done.unchanged) {
        session.output.say(format!("  {change}"));
    }
    let warnings = done.findings.iter().filter(|it| it.severity == "warning").count();
    session.output.say(format!("  check: no error, {warnings} warnings"));
    for staying in &done.staying {
        session.output.say(format!("  {} runs stay on {}", staying.runs, staying.version));
    }
}
