//! `uses` and `with`: kinds that exist, parameters that they take.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::literal::{self, Subject, is_dynamic};
use super::outline::{Outline, Placed, Role};
use super::sql;
use super::{CheckContext, KnownWorkflow};
use crate::definition::{Definition, Spanned, Task, TemplateSource, Work};
use crate::kind_schema::with_schema;
use crate::plan::{BUILT_IN, takes_defaults};
use crate::source::{Content, Node, Problem, Severity, Span, nearest, oxford};
use crate::time::Duration;

const UNKNOWN_KIND: &str = "SF1106";
const WRONG_PARAMETER: &str = "SF1107";
const COMPENSATION: &str = "SF1113";
const UNKNOWN_WORKFLOW: &str = "SF1111";
const RECURSION: &str = "SF1112";
const SQL_PARAMETERS: &str = "SF1108";
const UNKNOWN_DATABASE: &str = "SF1109";

/// Parameters of built-in kinds that are durations.
const DURATIONS: [(&str, &str); 5] = [
    ("wait", "for"),
    ("signal", "timeout"),
    ("approval", "timeout"),
    ("http", "timeout"),
    ("sql", "timeout"),
];

pub(super) fn check(
    definition: &Definition,
    outline: &Outline<'_>,
    context: &CheckContext,
    problems: &mut Vec<Problem>,
) {
    let mut works = Works { definition, outline, context, problems };
    for placed in &outline.nodes {
        works.compensation(placed);
        if let Work::Uses { kind, with } = &placed.task.work {
            works.uses(placed, kind, with.as_ref());
        }
    }
}

struct Works<'a> {
    definition: &'a Definition,
    outline: &'a Outline<'a>,
    context: &'a CheckContext,
    problems: &'a mut Vec<Problem>,
}

impl Works<'_> {
    fn uses(&mut self, placed: &Placed<'_>, kind: &Spanned<String>, with: Option<&TemplateSource>) {
        let empty =
            Node { content: Content::Map(Vec::new()), span: Span::default(), text_start: None };
        let node = with.map_or(&empty, |it| &it.node);
        if let Some(schema) = with_schema(&kind.value) {
            self.parameters(kind, true, schema, node);
            self.durations(kind, node);
            match kind.value.as_str() {
                "sql" => self.sql(node),
                "workflow" => self.workflow(placed, node),
                _ => {}
            }
            return;
        }
        match &self.context.handlers {
            None => self.perhaps_a_handler(kind),
            Some(handlers) => match handlers.iter().find(|it| it.name == kind.value) {
                None => self.unknown_handler(kind, handlers.iter().map(|it| it.name.as_str())),
                // A handler gets `with` over the input and the results of its needs, so keys
                // that miss here may come from there.
                Some(handler) => {
                    if let Some(schema) = &handler.input {
                        self.parameters(kind, false, schema, node);
                    }
                }
            },
        }
    }

    fn parameters(&mut self, kind: &Spanned<String>, closed: bool, schema: &Value, node: &Node) {
        let subject = Subject { kind: &kind.value, closed, fallback: kind.span };
        literal::check(&subject, schema, node, self.problems);
    }

    fn perhaps_a_handler(&mut self, kind: &Spanned<String>) {
        let Some(near) = nearest(&kind.value, BUILT_IN) else { return };
        self.problems.push(
            Problem::warning(
                UNKNOWN_KIND,
                kind.span,
                format!("`{}` is not a built-in kind, so it is taken as a handler", kind.value),
            )
            .label(format!("did you mean `{near}`?"))
            .help(format!("write `uses: {near}`, or rename the handler")),
        );
    }

    fn unknown_handler<'h>(
        &mut self,
        kind: &Spanned<String>,
        handlers: impl Iterator<Item = &'h str>,
    ) {
        let mut known: Vec<&str> = handlers.chain(BUILT_IN).collect();
        known.sort_unstable();
        let help = match nearest(&kind.value, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", oxford(&known, "and")),
        };
        let message = format!("`{}` is neither a built-in kind nor a known handler", kind.value);
        self.problems.push(Problem::error(UNKNOWN_KIND, kind.span, message).help(help));
    }

    fn durations(&mut self, kind: &Spanned<String>, node: &Node) {
        let own = DURATIONS.iter().filter(|(it, _)| *it == kind.value);
        let own = own.filter_map(|(_, key)| Some((*key, node.get(key)?)));
        let steps = match node.get("escalate").map(|it| &it.content) {
            Some(Content::List(steps)) if kind.value == "approval" => &steps[..],
            _ => &[],
        };
        let steps = steps.iter().filter_map(|it| Some(("escalate.after", it.get("after")?)));
        for (key, value) in own.chain(steps).filter(|(_, it)| !is_dynamic(it)) {
            let Content::String(text) = &value.content else { continue };
            if let Err(error) = text.parse::<Duration>() {
                let message = format!("`{key}` of `{}`: {error}", kind.value);
                self.problems.push(
                    Problem::error(WRONG_PARAMETER, value.span, message)
                        .help("write a number and a unit, such as `30s`, `5m` or `1h30m`"),
                );
            }
        }
    }

    fn sql(&mut self, node: &Node) {
        if let (Some(known), Some(database)) = (&self.context.databases, node.get("database"))
            && let Content::String(name) = &database.content
            && !is_dynamic(database)
            && !known.contains(name)
        {
            let help = match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add it to surefoot.toml: `[databases.{name}]`"),
            };
            let message = format!("the database `{name}` is not configured");
            self.problems.push(Problem::error(UNKNOWN_DATABASE, database.span, message).help(help));
        }
        self.sql_parameters(node, node.get("params"));
        if let Some(Node { content: Content::List(statements), .. }) = node.get("statements") {
            for statement in statements {
                // A bare text takes the common parameters, of which it may use a part.
                if matches!(statement.content, Content::Map(_)) {
                    self.sql_parameters(statement, statement.get("params"));
                }
            }
        }
    }

    /// Compares the marks of a literal query with literal parameters.
    fn sql_parameters(&mut self, node: &Node, params: Option<&Node>) {
        let Some(query) = node.get("query").filter(|it| !is_dynamic(it)) else { return };
        let Content::String(text) = &query.content else { return };
        let marks = sql::marks(text);
        let mut problem = |message: String, help: String| {
            self.problems.push(Problem::error(SQL_PARAMETERS, query.span, message).help(help));
        };
        match params.map(|it| (&it.content, is_dynamic(it))) {
            Some((_, true)) => {}
            Some((Content::Map(entries), _)) => {
                for name in &marks.named {
                    if entries.iter().all(|(key, _)| key.name != *name) {
                        problem(
                            format!("the query needs a value for `:{name}`"),
                            format!("add it: `params: {{{name}: …}}`"),
                        );
                    }
                }
                for (key, _) in entries.iter().filter(|(it, _)| !marks.named.contains(&*it.name)) {
                    problem(
                        format!("the query has no mark `:{}`", key.name),
                        format!("use `:{}` in the query, or drop the parameter", key.name),
                    );
                }
            }
            Some((Content::List(items), _)) if items.len() != marks.positions => problem(
                format!("the query has {} marks and {} values", marks.positions, items.len()),
                "give one value for each `?`, or for each `$1`, `$2` and so on".to_owned(),
            ),
            None if marks.positions + marks.named.len() > 0 => problem(
                format!(
                    "the query has {} marks and no values",
                    marks.positions + marks.named.len()
                ),
                "add `params` with a value for each mark".to_owned(),
            ),
            Some(_) | None => {}
        }
    }

    fn workflow(&mut self, placed: &Placed<'_>, node: &Node) {
        let literal = |key: &str| match node.get(key) {
            Some(it @ Node { content: Content::String(text), .. }) if !is_dynamic(it) => {
                Some((text.as_str(), it.span))
            }
            _ => None,
        };
        let Some((id, span)) = literal("id") else { return };
        let nothing = Vec::new();
        let known = self.context.workflows.as_ref();
        if let Some(cycle) = recursion(&self.definition.id.value, id, known.unwrap_or(&nothing)) {
            // What may end, the verifier reports.
            if !self.guarded(placed) {
                let message = format!("this workflow starts itself: {}", cycle.join(" → "));
                self.problems.push(
                    Problem::error(RECURSION, span, message).label("leads back here").help(
                        "give the task an `if` that ends the recursion; sub-runs nest 16 deep at \
                         most",
                    ),
                );
            }
            return;
        }
        let Some(known) = known else { return };
        let versions: Vec<&KnownWorkflow> = known.iter().filter(|it| it.id == id).collect();
        if versions.is_empty() {
            let help = match nearest(id, known.iter().map(|it| it.id.as_str())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("deploy `{id}` first"),
            };
            let message = format!("there is no workflow `{id}`");
            self.problems.push(Problem::error(UNKNOWN_WORKFLOW, span, message).help(help));
        } else if let Some((version, span)) = literal("version")
            && versions.iter().all(|it| it.version != version)
        {
            let names: Vec<&str> = versions.iter().map(|it| it.version.as_str()).collect();
            let message = format!("the workflow `{id}` has no version `{version}`");
            let help = format!("known are {}", oxford(&names, "and"));
            self.problems.push(Problem::error(UNKNOWN_WORKFLOW, span, message).help(help));
        }
    }

    /// Says whether the task or one around it runs only on a condition.
    fn guarded(&self, placed: &Placed<'_>) -> bool {
        let mut at = placed;
        loop {
            if at.task.condition.is_some() || at.state.is_some() {
                return true;
            }
            at = match self.outline.level(at.level).role {
                Role::Work(owner) => self.outline.node(owner),
                // What undoes a task or handles the end is not always run.
                Role::Undo(_) | Role::OnFailure => return true,
                Role::Body | Role::Finally => return false,
            };
        }
    }

    fn compensation(&mut self, placed: &Placed<'_>) {
        let Some(undo) = &placed.task.compensate else { return };
        let id = &placed.task.id.value;
        if !acts(placed.task) {
            let mut problem = Problem::warning(
                COMPENSATION,
                undo.span,
                format!("`{id}` has no effect that its `compensate` could undo"),
            )
            .help("drop `compensate`, or move it to the task that has the effect");
            problem.severity = Severity::Note;
            self.problems.push(problem);
        }
    }
}

/// Says whether a task may change something outside.
fn acts(task: &Task) -> bool {
    match &task.work {
        Work::Composite(_) => true,
        Work::Uses { kind, .. } => kind.value == "workflow" || takes_defaults(Some(&kind.value)),
        Work::Nothing => false,
    }
}

/// Returns the way from `own` over `first` back to `own`, if there is one.
pub(crate) fn recursion(own: &str, first: &str, known: &[KnownWorkflow]) -> Option<Vec<String>> {
    let mut starts: HashMap<&str, Vec<&str>> = HashMap::new();
    for workflow in known {
        let list = workflow.starts.iter().map(String::as_str);
        starts.entry(&workflow.id).or_default().extend(list);
    }
    let mut seen = HashSet::from([first]);
    let mut ways = vec![vec![own, first]];
    while let Some(way) = ways.pop() {
        let last = way[way.len() - 1];
        if last == own {
            return Some(way.iter().map(|it| (*it).to_owned()).collect());
        }
        for next in starts.get(last).into_iter().flatten() {
            if *next == own || seen.insert(next) {
                ways.push([way.as_slice(), &[next]].concat());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_kind_has_a_schema() {
        for kind in BUILT_IN {
            assert!(with_schema(kind).is_some(), "{kind}");
        }
    }
}
