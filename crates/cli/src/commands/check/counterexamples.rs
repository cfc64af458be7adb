//! `--save-counterexamples DIR`: each execution that refutes something as a file to be replayed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::failure::Result;
use crate::project::Source;
use crate::session::Session;

/// Writes `WORKFLOW.CODE.N.json` for each finding that can be replayed, and says how.
pub fn save(session: &Session, directory: &Path, source: &Source) -> Result<()> {
    let mut numbers: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let findings = source.documents.iter().filter_map(|it| it.proofs.as_ref());
    for finding in findings.flat_map(|it| &it.findings) {
        let Some(example) = &finding.counterexample else { continue };
        let number = numbers.entry((&example.workflow, finding.problem.code)).or_default();
        *number += 1;
        let name = format!("{}.{}.{number}.json", example.workflow, finding.problem.code);
        let path = super::keep(directory, &name, &example.write())?;
        session.output.say(format!(
            "surefoot run {} --replay-counterexample {}",
            source.name(),
            path.display()
        ));
    }
    Ok(())
}
