//! Lost updates in a database: a task reads a table, another one writes what was made of it, and a
//! third one writes the table in between.
//!
//! Single statements and transactions are put in order by the database, so two of them that write
//! the same table are no race. What it cannot see is that a later write stands on an earlier read.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::act::statements;
use super::footprint::{Thing, Use};
use super::order;
use super::races::{Candidate, Reason};
use super::with::With;
use crate::plan::{CompositeId, NodeId, WorkPlan};
use crate::verify::Subject;

/// Tasks that are followed from a write back to the reads that it stands on.
const TRACED_MAX: usize = 64;
/// Combinations of a read, a write that stands on it, and another write.
const COMBINATIONS_MAX: usize = 10_000;

#[derive(Default)]
struct Table {
    readers: BTreeSet<NodeId>,
    writers: BTreeSet<NodeId>,
}

/// Finds the writes that may overwrite what another task has written since the read. Adds the
/// graphs in which there are too many of them to look at all.
pub(super) fn stale_reads(
    subject: &Subject<'_>,
    cut: &mut BTreeSet<CompositeId>,
) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut asked: BTreeMap<CompositeId, Vec<Question>> = BTreeMap::new();
    let mut left = COMBINATIONS_MAX;
    for (name, table) in tables(subject).into_iter().filter(|(_, it)| !it.readers.is_empty()) {
        for writer in &table.writers {
            for reader in sources(subject, *writer, &table.readers) {
                found.extend(between_items(subject, &name, reader, *writer));
                for other in table.writers.iter().filter(|it| *it != writer && **it != reader) {
                    if left == 0 {
                        cut.insert(subject.plan.node(*writer).composite);
                        break;
                    }
                    left -= 1;
                    ask(subject, &name, reader, *writer, *other, &mut asked);
                }
            }
        }
    }
    for (place, questions) in asked {
        found.extend(answered(subject, place, questions));
    }
    found
}

/// Whether another write may fall between a read and the write that stands on it.
struct Question {
    /// The other write, and the read or the write, as children of one graph.
    pair: (u32, u32),
    candidate: Candidate,
}

/// Notes the graphs in which the other task may meet the reader or the writer.
fn ask(
    subject: &Subject<'_>,
    table: &str,
    reader: NodeId,
    writer: NodeId,
    other: NodeId,
    asked: &mut BTreeMap<CompositeId, Vec<Question>>,
) {
    for it in [reader, writer] {
        let Some((place, a, b)) = order::side_by_side(subject.plan, it, other) else { continue };
        if order::is_parallel(subject.plan, place) {
            let (one, other) = (write(subject, table, writer), write(subject, table, other));
            let reason = Reason::StaleRead(reader);
            let candidate = Candidate { place, one, other, between_items_of: None, reason };
            asked.entry(place).or_default().push(Question { pair: (a, b), candidate });
        }
    }
}

fn answered(subject: &Subject<'_>, place: CompositeId, questions: Vec<Question>) -> Vec<Candidate> {
    let pairs: Vec<(u32, u32)> =
        questions.iter().flat_map(|it| [it.pair, (it.pair.1, it.pair.0)]).collect();
    let answers = order::before(subject.plan, place, &pairs);
    let open = answers.chunks(2).map(|it| !it[0] && !it[1]);
    questions.into_iter().zip(open).filter(|(_, open)| *open).map(|(it, _)| it.candidate).collect()
}

fn tables(subject: &Subject<'_>) -> BTreeMap<String, Table> {
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for at in 0..subject.outline.nodes.len() as u32 {
        let Some(with) = With::of(subject.outline.node(NodeId(at)).task) else { continue };
        if with.kind != "sql" {
            continue;
        }
        let database = with.text("database").unwrap_or_default();
        for statement in statements(&with).into_iter().flatten() {
            for table in &statement.reads {
                let entry = tables.entry(format!("{database}.{table}")).or_default();
                entry.readers.insert(NodeId(at));
            }
            for table in &statement.writes {
                let entry = tables.entry(format!("{database}.{table}")).or_default();
                entry.writers.insert(NodeId(at));
            }
        }
    }
    tables
}

/// Follows the data of a write back to the readers that it came from, within one composite.
fn sources(subject: &Subject<'_>, writer: NodeId, readers: &BTreeSet<NodeId>) -> Vec<NodeId> {
    let composite = subject.plan.node(writer).composite;
    let (mut seen, mut todo, mut found) = (HashSet::from([writer]), vec![writer], Vec::new());
    while let Some(id) = todo.pop() {
        for read in reads(subject, composite, id) {
            if seen.len() > TRACED_MAX {
                return found;
            }
            if seen.insert(read) {
                todo.push(read);
                found.extend(readers.contains(&read).then_some(read));
            }
        }
    }
    found
}

/// Returns the tasks beside it whose outcome the `with` of a task reads.
fn reads(subject: &Subject<'_>, composite: CompositeId, id: NodeId) -> Vec<NodeId> {
    let WorkPlan::Uses { with, .. } = &subject.plan.node(id).work else { return Vec::new() };
    let ids = &subject.plan.composite(composite).ids;
    let references = with.references();
    let tasks = references.iter().filter(|(_, it)| it.root == "tasks");
    tasks
        .filter_map(|(_, it)| ids.get(it.segments.first()?.as_str()))
        .map(|it| subject.plan.child(composite, *it))
        .collect()
}

/// Items that read and then write may work on different rows, which a statement does not tell.
fn between_items(
    subject: &Subject<'_>,
    table: &str,
    reader: NodeId,
    writer: NodeId,
) -> Option<Candidate> {
    let mut around = order::around(subject.plan, writer).skip(1);
    let owner = around.find(|it| order::is_parallel_map(subject.plan, *it))?;
    let name = subject.name(reader);
    let reason = Reason::Unknown(format!("items that read `{table}` in `{name}` may share rows"));
    let one = write(subject, table, writer);
    let place = subject.plan.node(owner).composite;
    Some(Candidate { place, other: one.clone(), one, between_items_of: Some(owner), reason })
}

fn write(subject: &Subject<'_>, table: &str, node: NodeId) -> Use {
    let with = With::of(subject.outline.node(node).task);
    let query = with.and_then(|it| it.get("query").or(it.get("statements")));
    Use {
        node,
        thing: Thing::Table(table.to_owned()),
        writes: true,
        verb: "writes",
        is_certain: true,
        is_per_item: false,
        span: query.map_or_else(|| subject.span(node), |it| it.span),
    }
}
