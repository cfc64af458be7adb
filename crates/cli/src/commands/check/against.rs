//! `--against VERSION|FILE`: where runs of an older version could go on with this one.

use std::path::Path;
use std::sync::Arc;

use surefoot::core::check::{CheckContext, CheckedDocument, Draft, check_source};
use surefoot::core::verify::upgrade::{self, Upgrade};

use crate::exit::Exit;
use crate::failure::{Failure, Result, suggestion};
use crate::project::Source;
use crate::session::{Session, wait};

/// Compares each workflow of a file with its older version, and adds what was found to its
/// problems and proofs.
pub fn compare(session: &Session, older: &str, source: &mut Source) -> Result<Vec<Upgrade>> {
    let mut upgrades = Vec::new();
    for document in &mut source.documents {
        let (Some(definition), Some(new)) = (&document.definition, &document.draft) else {
            continue;
        };
        let old = older_version(session, older, &new.workflow)?;
        let upgrade = upgrade::compare(&old, new);
        let found = upgrade.proofs(definition);
        document.problems.extend(found.findings.iter().map(|it| it.problem.clone()));
        let mut proofs = document.proofs.take().map(|it| (*it).clone()).unwrap_or_default();
        proofs.extend(found);
        document.proofs = Some(Arc::new(proofs));
        upgrades.push(upgrade);
    }
    Ok(upgrades)
}

/// Takes what is a file for a file, and anything else for a version in the project's store.
fn older_version(session: &Session, older: &str, workflow: &str) -> Result<Draft> {
    // What was kept or published once is not held to what is asked of a definition today.
    let context = CheckContext { large: true, proved_before: true, ..CheckContext::default() };
    let path = Path::new(older);
    let documents = if path.is_file() {
        Source::read(path, &context)?.documents
    } else {
        check_source(stored(session, older, workflow)?.as_bytes(), &context)
    };
    let draft = |it: CheckedDocument| it.draft.filter(|it| it.workflow == workflow);
    documents.into_iter().find_map(draft).ok_or_else(|| {
        let message = format!("`{older}` has no workflow `{workflow}` that passes the checks");
        Failure::new(Exit::NotFound, "SF5041", message)
            .hint("Name a file with an older version of the same workflow.")
    })
}

fn stored(session: &Session, version: &str, workflow: &str) -> Result<String> {
    let reader = session.reader()?;
    let rows = wait(async { Ok(reader.definitions(Some(workflow)).await?) })?;
    let known: Vec<String> = rows.iter().map(|it| it.version.clone()).collect();
    let found = rows.into_iter().find(|it| it.version == version);
    found.map(|it| it.source).ok_or_else(|| {
        let message = format!("there is no file `{version}`, and no such version of `{workflow}`");
        let hint = suggestion(version, &known, "the store has");
        Failure::new(Exit::NotFound, "SF5041", message).hint(hint.unwrap_or_default())
    })
}
