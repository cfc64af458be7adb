//! `--save-certificates DIR` and `--verify-certificate FILE`: what shows the proofs, for whoever
//! does not trust the verifier.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use surefoot::core::ids::Digest;
use surefoot::core::plan::Plan;
use surefoot::core::verify::{CertificateFile, Invalid};

use crate::arguments::{Check, Report};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::input;
use crate::project::{self, Source};
use crate::session::Session;

/// The file is no certificate, or does not show what it claims.
const PROVES_NOTHING: &str = "SF5050";

/// Writes `WORKFLOW.CODE.N.json` for each certificate of a definition that is accepted.
pub fn save(session: &Session, directory: &Path, source: &Source) -> Result<()> {
    let mut numbers: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for document in &source.documents {
        let (Some(plan), Some(proofs)) = (&document.plan, &document.proofs) else { continue };
        for certificate in &proofs.certificates {
            let code = certificate.property.code();
            let number = numbers.entry((&plan.workflow, code)).or_default();
            *number += 1;
            let name = format!("{}.{code}.{number}.json", plan.workflow);
            let file = CertificateFile::new(plan, certificate.clone());
            super::keep(directory, &name, &file.write())?;
        }
    }
    let count: usize = numbers.values().sum();
    let shown = directory.display();
    session.output.say(format!("{}: {count} certificates in {shown}", source.name()));
    Ok(())
}

/// Checks files against the definitions that they are about, and says of each what it shows. The
/// first that shows nothing is an error.
pub fn verify(session: &Session, arguments: &Check, report: Report) -> Result<Exit> {
    let plans = plans(session, arguments)?;
    let mut lines = String::new();
    let mut values: Vec<Value> = Vec::new();
    for path in &arguments.verify_certificate {
        let useless = |reason: &str| {
            let message = format!("`{}` proves nothing: {reason}", path.display());
            Failure::new(Exit::Rejected, PROVES_NOTHING, message)
        };
        let again = "Write it anew: `surefoot check --save-certificates DIR`.";
        let read = CertificateFile::read(&input::read(path)?);
        let file = read.map_err(|error| useless(&error.to_string()).hint(again))?;
        let plan = plans.get(&(file.workflow.clone(), file.definition));
        file.check(plan).map_err(|error| match error {
            Invalid::NoDefinition => useless(&format!(
                "no definition here is `{}` with the hash {}",
                file.workflow, file.definition
            ))
            .hint("Name the file of the definition that it was made for, before --verify-certificate."),
            error => useless(&error.to_string()).hint(again),
        })?;
        lines.push_str(&line(path, &file));
        values.push(value(path, &file));
    }
    match report {
        Report::Json => session.output.value(&json!({ "valid": values }), "")?,
        Report::Human | Report::Sarif | Report::Github => session.output.text(&lines)?,
    }
    Ok(Exit::Ok)
}

/// The plans of the named definitions, or of all below here.
fn plans(session: &Session, arguments: &Check) -> Result<HashMap<(String, Digest), Arc<Plan>>> {
    let context = super::context(session, arguments);
    let files = match &arguments.files[..] {
        [] => project::find(Path::new("."))?,
        named => named.to_vec(),
    };
    let mut plans = HashMap::new();
    for file in &files {
        let read = Source::read(file, &context);
        // One that was only found need not be readable.
        let source = if arguments.files.is_empty() { read.ok() } else { Some(read?) };
        let documents = source.into_iter().flat_map(|it| it.documents);
        for plan in documents.filter_map(|it| it.plan) {
            plans.insert((plan.workflow.clone(), plan.hash), plan);
        }
    }
    Ok(plans)
}

fn line(path: &Path, file: &CertificateFile) -> String {
    let CertificateFile { workflow, certificate, .. } = file;
    let about = match &*certificate.subject {
        "" => format!("`{workflow}`"),
        subject => format!("`{subject}` of `{workflow}`"),
    };
    let (code, shown) = (certificate.property.code(), certificate.evidence.describe());
    format!("{}: valid, {code} of {about}: {shown}\n", path.display())
}

fn value(path: &Path, file: &CertificateFile) -> Value {
    let CertificateFile { workflow, definition, certificate, .. } = file;
    json!({
        "file": path, "workflow": workflow, "definition": definition,
        "code": certificate.property.code(), "subject": certificate.subject,
        "evidence": certificate.evidence.describe(),
    })
}
