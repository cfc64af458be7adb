//! Which things outside each task uses: what `reads` and `writes` declare, the files that a `file`
//! task names, and the tables of SQL tasks whose writes are not one transaction.
//!
//! A file whose path holds an expression lies somewhere below the directories that are written out
//! before it, so such a use may meet another one, and is never certain to.

use std::collections::{HashMap, HashSet};

use super::act::statements;
use super::with::{With, has_expression, literal_text};
use crate::check::Outline;
use crate::definition::Task;
use crate::expr::Template;
use crate::plan::{NodeId, ROOT};
use crate::source::{Content, Span};
use crate::verify::Subject;

/// Directories of one path that are looked at; what lies deeper counts as being there.
const DEPTH_MAX: usize = 32;

/// One use of one thing.
#[derive(Clone, Debug)]
pub(super) struct Use {
    pub node: NodeId,
    pub thing: Thing,
    pub writes: bool,
    /// What the task does to it: `writes`, `appends to`.
    pub verb: &'static str,
    /// False if the thing may also be another one.
    pub is_certain: bool,
    /// Each item of the task's own `for_each` uses another one.
    pub is_per_item: bool,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Thing {
    /// A name of `reads` and `writes`.
    Named(String),
    /// `database.table`.
    Table(String),
    File {
        root: String,
        path: String,
    },
    /// A directory and all that is in it.
    Directory {
        root: String,
        path: String,
    },
}

impl Thing {
    /// The name that `allow_race` takes, and messages show.
    pub fn name(&self) -> &str {
        match self {
            Thing::Named(name) | Thing::Table(name) => name,
            Thing::File { path, .. } | Thing::Directory { path, .. } if path.is_empty() => ".",
            Thing::File { path, .. } | Thing::Directory { path, .. } => path,
        }
    }
}

/// Returns the uses of all tasks, in the order of the tasks.
pub(super) fn uses(subject: &Subject<'_>) -> Vec<Use> {
    let mut found = Vec::new();
    for at in 0..subject.outline.nodes.len() as u32 {
        let id = NodeId(at);
        let task = subject.outline.node(id).task;
        declared(id, task, &mut found);
        match With::of(task) {
            Some(with) if with.kind == "file" => files(subject, id, &with, &mut found),
            Some(with) if with.kind == "sql" => tables(id, task, &with, &mut found),
            _ => {}
        }
    }
    // Transactions are put in order by the database: tables matter only where one is not.
    let torn: HashSet<Thing> = (found.iter())
        .filter(|it| matches!(it.thing, Thing::Table(_)) && it.writes)
        .map(|it| it.thing.clone())
        .collect();
    found.retain(|it| !matches!(it.thing, Thing::Table(_)) || torn.contains(&it.thing));
    found
}

fn declared(node: NodeId, task: &Task, found: &mut Vec<Use>) {
    for (names, writes, verb) in [(&task.reads, false, "reads"), (&task.writes, true, "writes")] {
        found.extend(names.iter().map(|name| Use {
            node,
            thing: Thing::Named(name.value.clone()),
            writes,
            verb,
            is_certain: true,
            is_per_item: false,
            span: name.span,
        }));
    }
}

/// Several statements without a transaction may be seen half done: against these, whatever writes
/// the table counts as a reader of it.
fn tables(node: NodeId, task: &Task, with: &With<'_>, found: &mut Vec<Use>) {
    let Some(statements) = statements(with) else { return };
    let is_torn = with.says("transaction", false) && statements.len() > 1;
    let database = with.text("database").unwrap_or_default();
    let span = with.get("statements").map_or(task.id.span, |it| it.span);
    for table in statements.iter().flat_map(|it| &it.writes) {
        found.push(Use {
            node,
            thing: Thing::Table(format!("{database}.{table}")),
            writes: is_torn,
            verb: "writes",
            is_certain: true,
            is_per_item: false,
            span,
        });
    }
}

fn files(subject: &Subject<'_>, node: NodeId, with: &With<'_>, found: &mut Vec<Use>) {
    let root = with.text("root").unwrap_or_default();
    let target = with.text("to_root").unwrap_or(root);
    let mut add = |key: &str, root: &str, writes: bool, verb: &'static str, is_tree: bool| {
        if let Some(found_use) = file(subject, node, with, key, root) {
            found.push(Use { writes, verb, ..found_use.of_tree(is_tree) });
        }
    };
    match with.text("op") {
        Some("read" | "checksum" | "stat" | "exists") => add("path", root, false, "reads", false),
        Some("list" | "glob") => add("path", root, false, "lists", true),
        Some("write") => add("path", root, true, "writes", false),
        Some("append") => add("path", root, true, "appends to", false),
        Some("delete") => add("path", root, true, "deletes", false),
        Some("copy") => {
            add("path", root, false, "reads", false);
            add("to", target, true, "writes", false);
        }
        Some("move") => {
            add("path", root, true, "moves", false);
            add("to", target, true, "writes", false);
        }
        // A directory that is there already is as good.
        Some(_) | None => {}
    }
}

impl Use {
    fn of_tree(mut self, is_tree: bool) -> Use {
        self.thing = match self.thing {
            Thing::File { root, path } if is_tree => Thing::Directory { root, path },
            other => other,
        };
        self
    }
}

/// Reads one path of a `file` task.
fn file(
    subject: &Subject<'_>,
    node: NodeId,
    with: &With<'_>,
    key: &str,
    root: &str,
) -> Option<Use> {
    let at = with.get(key)?;
    let Content::String(text) = &at.content else { return None };
    let root = root.to_owned();
    let fixed = literal_text(at).is_some() || is_fixed(subject, node, text);
    let is_per_item = !fixed && is_numbered(text);
    let thing = if fixed || is_per_item {
        Thing::File { root, path: normal(text) }
    } else {
        let prefix = text.split("${{").next().unwrap_or_default();
        let end = prefix.rfind('/').unwrap_or(0);
        Thing::Directory { root, path: normal(&prefix[..end]) }
    };
    Some(Use {
        node,
        is_certain: fixed || is_per_item,
        thing,
        writes: false,
        verb: "",
        is_per_item,
        span: at.span,
    })
}

/// Whether the expressions of a text have one value in the whole run: then the same text is the
/// same file.
fn is_fixed(subject: &Subject<'_>, node: NodeId, text: &str) -> bool {
    let Ok(template) = Template::parse(&serde_json::Value::String(text.to_owned())) else {
        return false;
    };
    let level = subject.outline.node(node).level;
    template.references().iter().all(|(_, it)| match it.root.as_str() {
        "input" | "run" => true,
        "vars" => it.segments.first().is_some_and(|name| {
            is_constant(subject.outline) && subject.scopes.declared(level).get(name) == Some(&ROOT)
        }),
        _ => false,
    })
}

/// The variables of a graph at the top level never change.
fn is_constant(outline: &Outline<'_>) -> bool {
    matches!(outline.level(ROOT).shape, crate::check::Shape::Graph(_))
}

/// Whether the number of the item, and nothing else, tells the files of a text apart.
fn is_numbered(text: &str) -> bool {
    let mut holes = text.split("${{").skip(1).map(|it| it.split("}}").next().unwrap_or_default());
    has_expression(text) && holes.all(|it| it.trim() == "index")
}

/// Takes `./`, `//` and the slashes at both ends out of a path.
fn normal(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|it| !it.is_empty() && *it != ".").collect();
    parts.join("/")
}

/// The uses of each thing. A use of a file also counts as one of the directories around it that
/// somebody uses as a whole.
pub(super) fn by_thing(uses: &[Use]) -> Vec<(&Thing, Vec<usize>)> {
    let mut groups: HashMap<&Thing, Vec<usize>> = HashMap::new();
    uses.iter().enumerate().for_each(|(at, it)| groups.entry(&it.thing).or_default().push(at));
    let is_used_whole = |it: &&Use| matches!(it.thing, Thing::Directory { .. });
    let directories: HashMap<(&str, &str), &Thing> =
        uses.iter().filter(is_used_whole).map(|it| (place(&it.thing), &it.thing)).collect();
    for (at, it) in uses.iter().enumerate().filter(|_| !directories.is_empty()) {
        let (root, path) = match &it.thing {
            Thing::File { root, path } | Thing::Directory { root, path } => (root, path),
            Thing::Named(_) | Thing::Table(_) => continue,
        };
        for above in above(path).take(DEPTH_MAX) {
            if let Some(thing) = directories.get(&(root.as_str(), above)) {
                groups.entry(thing).or_default().push(at);
            }
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by(|a, b| a.0.cmp(b.0));
    groups
}

fn place(thing: &Thing) -> (&str, &str) {
    match thing {
        Thing::File { root, path } | Thing::Directory { root, path } => (root, path),
        Thing::Named(name) | Thing::Table(name) => ("", name),
    }
}

/// Returns the directories around a path, innermost first; the last one is the root.
fn above(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(path).filter(|it| !it.is_empty());
    std::iter::from_fn(move || {
        let here = rest?;
        let parent = here.rfind('/').map_or("", |it| &here[..it]);
        rest = Some(parent).filter(|it| !it.is_empty());
        Some(parent)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_around_a_path() {
        assert_eq!(above("a/b/c").collect::<Vec<_>>(), ["a/b", "a", ""]);
        assert_eq!(above("a").collect::<Vec<_>>(), [""]);
        assert_eq!(above("").count(), 0);
        assert_eq!(normal("./a//b/"), "a/b");
    }

    #[test]
    fn only_the_number_of_the_item_tells_files_apart() {
        assert!(is_numbered("out/${{ index }}.json"));
        assert!(!is_numbered("out/${{ index }}-${{ item }}.json"));
        assert!(!is_numbered("out.json"));
    }
}
