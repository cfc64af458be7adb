//! What configurations need to keep apart.

use std::collections::BTreeSet;

use super::super::model::Model;
use super::super::outputs::computed;
use super::super::reads::of_template;
use crate::definition::Work;
use crate::expr::Reference;
use crate::verify::Subject;

/// Outputs that are followed.
const SOURCES_MAX: usize = 64;

/// Finds the states whose outputs the parameters of others take fields of, as many as can be
/// followed, and which of them each state needs.
pub(super) fn needs(subject: &Subject<'_>, model: &Model<'_>) -> (Vec<u32>, Vec<u64>) {
    let ids = &subject.outline.level(model.composite).ids;
    let mut sources: Vec<u32> = Vec::new();
    let needed = model.states.iter().map(|entry| {
        let mut reads = Vec::new();
        if let Work::Uses { with: Some(with), .. } = &entry.source.task.work {
            of_template(with, &mut reads);
        }
        let mut set = 0;
        for read in reads.iter().filter(|it| it.is_field) {
            let Some(state) = ids.get(read.task.as_str()) else { continue };
            let known = sources.iter().position(|it| it == state);
            let bit = known.unwrap_or(sources.len());
            if bit < SOURCES_MAX {
                sources.extend(known.is_none().then_some(*state));
                set |= 1 << bit;
            }
        }
        set
    });
    let needed = needed.collect();
    (sources, needed)
}

/// The variables that some guard reads, and those that these are made from.
pub(super) fn relevant<'a>(model: &Model<'a>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<Reference> = model
        .ways
        .iter()
        .filter_map(|it| it.guard.as_ref())
        .flat_map(|it| it.references.clone())
        .collect();
    open.extend(
        model
            .states
            .iter()
            .filter_map(|it| computed(it))
            .flat_map(|it| it.references().into_iter().map(|it| it.1)),
    );
    while let Some(reference) = open.pop() {
        let name = reference.segments.first().filter(|_| reference.root == "vars");
        let Some(at) = name.and_then(|it| model.variables.place(it)) else { continue };
        let name = model.variables.names[at];
        if found.insert(name) {
            let set = model.ways.iter().flat_map(|it| it.set).filter(|it| it.0 == name);
            open.extend(set.flat_map(|it| it.1.references()).map(|it| it.1));
        }
    }
    found
}
