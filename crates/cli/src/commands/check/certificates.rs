//! `--save-certificates DIR` and `--verify-certificate FILE`: what shows that something never
//! happens, for whoever does not trust the verifier.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use surefoot::core::verify::CertificateFile;

use crate::arguments::Report;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::input;
use crate::project::Source;
use crate::session::Session;

/// The file is no certificate, or its steps do not show what it claims.
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

/// Checks files, and says of each what it shows. The first that shows nothing is an error.
pub fn verify(session: &Session, files: &[PathBuf], report: Report) -> Result<Exit> {
    let mut lines = String::new();
    let mut values: Vec<Value> = Vec::new();
    for path in files {
        let shown = path.display();
        let useless = |reason: &str| {
            let message = format!("`{shown}` proves nothing: {reason}");
            Failure::new(Exit::Rejected, PROVES_NOTHING, message)
                .hint("Write it anew: `surefoot check --save-certificates DIR`.")
        };
        let read = CertificateFile::read(&input::read(path)?);
        let file = read.map_err(|error| useless(&error.to_string()))?;
        let certificate = &file.certificate;
        certificate.check().map_err(|error| useless(&error.to_string()))?;
        let (code, workflow) = (certificate.property.code(), &file.workflow);
        let (clauses, steps) = (certificate.clauses.len(), certificate.steps.len());
        let about = match &*certificate.subject {
            "" => format!("`{workflow}`"),
            subject => format!("`{subject}` of `{workflow}`"),
        };
        lines.push_str(&format!(
            "{shown}: valid, {code} of {about}: {clauses} clauses contradict each other, shown in {steps} steps\n"
        ));
        values.push(json!({
            "file": path, "workflow": workflow, "definition": file.definition, "code": code,
            "subject": certificate.subject, "clauses": clauses, "steps": steps,
        }));
    }
    match report {
        Report::Json => session.output.value(&json!({ "valid": values }), "")?,
        Report::Human | Report::Sarif | Report::Github => session.output.text(&lines)?,
    }
    Ok(Exit::Ok)
}
