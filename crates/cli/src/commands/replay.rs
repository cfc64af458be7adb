//! `surefoot run --replay-counterexample`: an execution that a check found, made in the engine.

use std::path::Path;

use serde_json::{Value, json};
use surefoot::core::simulate::{Counterexample, Mismatch, Trace};
use surefoot::testkit::{self, ReplayError, Replayed};

use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::input;
use crate::output::style;
use crate::project::Source;
use crate::session::{Session, wait};

/// The file cannot be used, or is about something else.
const NO_COUNTEREXAMPLE: &str = "SF5049";

/// Executes the counterexample and says whether the expected thing happened.
pub fn replay(session: &Session, source: &Source, file: &Path) -> Result<Exit> {
    let read = Counterexample::read(&input::read(file)?);
    let counterexample = read.map_err(|error| useless(file, &error.to_string()))?;
    let mut refused = source.documents.iter().filter(|it| it.plan.is_none());
    if let Some(draft) =
        refused.find_map(|it| it.draft.as_ref().filter(|it| it.workflow == counterexample.workflow))
    {
        // No engine takes it, and that is what the counterexample is about.
        return match draft.replay(&counterexample) {
            Ok(trace) => tell(session, &counterexample, Some(&trace), Ok(())),
            Err(mismatch) => not_reproduced(session, file, &counterexample, &mismatch),
        };
    }
    super::graph::reject_errors(session, source)?;
    let replayed = wait(async { Ok(testkit::replay(&source.texts(), &counterexample).await) })?;
    match replayed {
        Ok(Replayed { trace, is_reproduced }) => {
            let outcome = if is_reproduced { Ok(()) } else { Err("it did not happen".to_owned()) };
            tell(session, &counterexample, Some(&trace), outcome)
        }
        Err(ReplayError::Mismatch(mismatch)) => {
            not_reproduced(session, file, &counterexample, &mismatch)
        }
        Err(error @ ReplayError::NotFollowed { .. }) => {
            tell(session, &counterexample, None, Err(error.to_string()))
        }
        Err(error @ (ReplayError::NoPlan(_) | ReplayError::Engine(_))) => {
            Err(useless(file, &error.to_string()))
        }
    }
}

fn not_reproduced(
    session: &Session,
    file: &Path,
    counterexample: &Counterexample,
    mismatch: &Mismatch,
) -> Result<Exit> {
    match mismatch {
        Mismatch::NotFollowed { trace, .. } | Mismatch::NotReproduced { trace, .. } => {
            tell(session, counterexample, Some(trace), Err(mismatch.to_string()))
        }
        Mismatch::Workflow { .. } | Mismatch::Definition { .. } | Mismatch::Input(_) => {
            Err(useless(file, &mismatch.to_string()))
        }
    }
}

fn useless(file: &Path, reason: &str) -> Failure {
    let message = format!("`{}` cannot be replayed: {reason}", file.display());
    Failure::new(Exit::Usage, NO_COUNTEREXAMPLE, message)
        .hint("Check the definition again: `surefoot check` writes a counterexample that fits it.")
}

/// Writes the story, and whether it ended as expected.
fn tell(
    session: &Session,
    counterexample: &Counterexample,
    trace: Option<&Trace>,
    outcome: std::result::Result<(), String>,
) -> Result<Exit> {
    let exit = if outcome.is_ok() { Exit::Ok } else { Exit::Failed };
    let Counterexample { code, property, expected, workflow, .. } = counterexample;
    if session.output.is_for_people() {
        session.output.text(&trace.map(ToString::to_string).unwrap_or_default())?;
        let property = format!("[{code}] \"{property}\"");
        session.output.say(match &outcome {
            Ok(()) => {
                let refuted = style::paint(style::ERROR, "refuted");
                format!("reproduced: {expected}\n{refuted} {property}")
            }
            Err(reason) => format!("not reproduced: {reason}\nnothing is said about {property}"),
        });
        return Ok(exit);
    }
    let steps: Vec<Value> = trace
        .iter()
        .flat_map(|it| &it.steps)
        .map(|it| json!({"task": it.path, "line": it.line, "at_ms": it.at_ms, "text": it.to_string(), "what": it.what}))
        .collect();
    let value = json!({
        "workflow": workflow,
        "code": code,
        "property": property,
        "expected": expected,
        "reproduced": outcome.is_ok(),
        "reason": outcome.err(),
        "status": trace.map(|it| it.status),
        "error": trace.and_then(|it| it.error.clone()),
        "steps": steps,
    });
    session.output.value(&value, code)?;
    Ok(exit)
}
