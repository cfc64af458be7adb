//! `surefoot graph`, and pictures for other commands.

use std::sync::Arc;

use surefoot::core::check::{CheckContext, CheckedDocument};
use surefoot::core::plan::Plan;
use surefoot::draw::{self, Diagram, Statuses};

use crate::arguments::{Graph, Picture};
use crate::exit::Exit;
use crate::failure::{Failure, Result, suggestion};
use crate::output::problem;
use crate::project::Source;
use crate::session::Session;

pub fn graph(session: &Session, arguments: &Graph) -> Result<Exit> {
    let context = CheckContext { large: arguments.large, ..CheckContext::default() };
    let source = Source::read(&arguments.file, &context)?;
    let plan = plan_in(session, &source, arguments.workflow.as_deref())?;
    session.output.text(&picture(session, &plan, arguments.format))?;
    Ok(Exit::Ok)
}

pub fn picture(session: &Session, plan: &Plan, format: Picture) -> String {
    painted(session, plan, &Statuses::new(), format)
}

pub fn painted(session: &Session, plan: &Plan, statuses: &Statuses, format: Picture) -> String {
    written(session, &Diagram::of(plan), statuses, format)
}

/// Draws what the verifier found as well. Nothing is drawn if errors left no plan to draw.
pub fn found(session: &Session, document: &CheckedDocument, format: Picture) -> String {
    let Some(plan) = &document.draft else { return String::new() };
    let mut diagram = Diagram::of(plan);
    if let Some(proofs) = &document.proofs {
        diagram.mark(proofs);
    }
    written(session, &diagram, &Statuses::new(), format)
}

fn written(session: &Session, diagram: &Diagram, statuses: &Statuses, format: Picture) -> String {
    match format {
        Picture::Ascii => draw::ascii(diagram, statuses, session.output.width),
        Picture::Mermaid => draw::mermaid(diagram, statuses),
        Picture::Dot => draw::dot(diagram, statuses),
        Picture::Svg => draw::svg(diagram, statuses),
    }
}

/// Returns the plan of a workflow in a file: of the named one, or of the only one.
pub fn plan_in(session: &Session, source: &Source, workflow: Option<&str>) -> Result<Arc<Plan>> {
    reject_errors(session, source)?;
    let plans: Vec<&Arc<Plan>> =
        source.documents.iter().filter_map(|it| it.plan.as_ref()).collect();
    let known: Vec<String> = plans.iter().map(|it| it.workflow.clone()).collect();
    let missing = |message: String, hint: Option<String>| {
        Failure::new(Exit::NotFound, "SF5041", message).hint(hint.unwrap_or_default())
    };
    match (workflow, &plans[..]) {
        (None, [plan]) => Ok((*plan).clone()),
        (None, _) => {
            let message = format!("`{}` has {} workflows", source.name(), plans.len());
            Err(missing(message, Some(format!("Name one of them: {}.", known.join(", ")))))
        }
        (Some(name), _) => {
            plans.iter().find(|it| it.workflow == name).map(|it| (*it).clone()).ok_or_else(|| {
                let message = format!("`{}` has no workflow `{name}`", source.name());
                missing(message, suggestion(name, &known, "there are"))
            })
        }
    }
}

/// Says what is wrong with a definition that is to be used.
pub fn reject_errors(session: &Session, source: &Source) -> Result<()> {
    let errors = source.problems().filter(|it| it.0.is_error()).count();
    if errors == 0 {
        return Ok(());
    }
    session.output.say(problem::draw(source, session.output.width).trim_end());
    Err(Failure::new(
        Exit::Rejected,
        "SF5002",
        format!("`{}` is rejected: {errors} error(s)", source.name()),
    )
    .hint("Explain a code with `surefoot help CODE`."))
}
