//! Tasks, and the composites that they stand in.

use std::collections::HashMap;

use super::fields::{Field, Fields};
use super::id::Alphabet;
use super::{Parser, keys};
use crate::definition::{
    Composite, Effect, ForEach, Graph, Join, OnFailure, OnItemFailure, Spanned, Task,
    TemplateSource, Work,
};
use crate::limits::{LARGE_TASKS_MAX, TASKS_MAX};
use crate::source::{Content, Key, Node, Problem};

/// More than any machine can run at once.
const PARALLEL_MAX: u32 = 1_000_000;
const ITEM_NAME_DEFAULT: &str = "item";

impl Parser {
    /// Reads the graph or the machine that `fields` hold, if any.
    pub fn composite(&mut self, fields: &Fields<'_>, is_root: bool) -> Option<Composite> {
        let graph_only = ["max_parallel", "fail_fast"];
        match (fields.get("tasks"), fields.get("states")) {
            (Some(tasks), None) => {
                let machine_only: &[&str] =
                    if is_root { &["initial"] } else { &["initial", "vars"] };
                if let (Some(other), Some(key)) =
                    (fields.first_of(machine_only), fields.key("tasks"))
                {
                    self.exclusive(key, other, "this key belongs to `states`");
                }
                let each = fields.get("for_each").is_some();
                // Of a map over a graph, `max_parallel` bounds the items.
                let max_parallel = fields.get("max_parallel").filter(|_| !each);
                Some(Composite::Graph(Graph {
                    max_parallel: max_parallel.and_then(|it| self.small(it, 1..=PARALLEL_MAX)),
                    fail_fast: fields.get("fail_fast").and_then(|it| self.boolean(it)),
                    tasks: self.tasks(tasks)?,
                    span: tasks.node.span,
                }))
            }
            (None, Some(states)) => {
                let of_graph = fields.first_of(&graph_only[usize::from(!is_root)..]);
                if let (Some(other), Some(key)) = (of_graph, fields.key("states")) {
                    self.exclusive(
                        key,
                        other,
                        "a machine has one current state; this key belongs to `tasks`",
                    );
                }
                self.machine(fields, states, is_root).map(Composite::Machine)
            }
            (Some(_), Some(_)) => {
                if let (Some(one), Some(other)) = (fields.key("tasks"), fields.key("states")) {
                    self.exclusive(one, other, "nest one in a task or state of the other");
                }
                None
            }
            (None, None) => {
                if let Some(key) = fields.first_of(&["initial"]) {
                    self.missing(
                        key.span,
                        "`initial` has no `states` beside it".to_owned(),
                        "add `states:`",
                    );
                }
                None
            }
        }
    }

    /// Reads a mapping from ids to tasks.
    pub fn tasks(&mut self, field: Field<'_>) -> Option<Vec<Task>> {
        let Content::Map(entries) = &field.node.content else {
            self.wrong_type(field, "a mapping from task ids to tasks");
            return None;
        };
        if entries.is_empty() {
            self.empty(field, "tasks");
        }
        self.look_alike(entries);
        entries.iter().map(|(key, node)| self.task(key, node)).collect()
    }

    pub fn empty(&mut self, field: Field<'_>, what: &str) {
        let message = format!("`{}` has no {what}", field.name);
        self.report(Problem::error("SF1045", field.node.span, message).help("write at least one"));
    }

    /// Refuses ids that differ in case only: on some file systems, and to most readers, they are
    /// the same.
    pub fn look_alike(&mut self, entries: &[(Key, Node)]) {
        let mut seen: HashMap<String, &Key> = HashMap::with_capacity(entries.len());
        for (key, _) in entries {
            if let Some(first) = seen.insert(key.name.to_lowercase(), key) {
                let message = format!("`{}` and `{}` differ in case only", first.name, key.name);
                self.report(
                    Problem::error("SF1044", key.span, message)
                        .related(first.span, "the other is here")
                        .help("give one of them another name"),
                );
            }
        }
    }

    pub fn count_task(&mut self, key: &Key) {
        self.tasks += 1;
        let limit = if self.large { LARGE_TASKS_MAX } else { TASKS_MAX };
        // Reported once, at the first that is too many.
        if self.tasks == limit + 1 {
            let message = format!("more than {limit} tasks and states; the limit is {limit}");
            self.report(
                Problem::error("SF1042", key.span, message)
                    .help("use `for_each` for what repeats, or `uses: workflow` for parts"),
            );
        }
    }

    fn task(&mut self, key: &Key, node: &Node) -> Option<Task> {
        self.count_task(key);
        self.check_id(&key.name, "task id", Alphabet::Word, key.span);
        let field = Field { name: &key.name, node };
        let Some(fields) = self.fields(field, keys::TASK, "a mapping with `uses`") else {
            return Some(blank(key));
        };
        let join = fields.get("join").and_then(|it| self.choice(it, &JOINS));
        let mut task = self.work_of(key, &fields);
        let only_joins = join.is_some() && fields.get("needs").is_some();
        if !says_work(&fields) && !only_joins {
            let message = format!("the task `{}` has no `uses`", key.name);
            self.report(Problem::error("SF1043", key.span, message).help(
                "say what it does, such as `uses: http`; a task that only joins others has `needs` and `join`",
            ));
        }
        task.needs = fields.get("needs").map(|it| self.names(it)).unwrap_or_default();
        task.join = join;
        task.condition = fields.get("if").and_then(|it| self.condition(it));
        task.on_failure = fields.get("on_failure").and_then(|it| self.choice(it, &ON_FAILURES));
        Some(task)
    }

    /// Reads what tasks and states have in common.
    pub fn work_of(&mut self, key: &Key, fields: &Fields<'_>) -> Task {
        let names = |parser: &mut Parser, name: &str| {
            fields.get(name).map(|it| parser.names(it)).unwrap_or_default()
        };
        Task {
            description: self.description(fields),
            work: self.work(fields),
            for_each: self.for_each(fields),
            retry: fields.get("retry").and_then(|it| self.retry(it)),
            timeout: fields.get("timeout").and_then(|it| self.timeouts(it)),
            priority: fields.get("priority").and_then(|it| self.priority(it)),
            concurrency: fields.get("concurrency").and_then(|it| self.concurrency(it)),
            compensate: fields.get("compensate").and_then(|it| self.compensate(key, it)),
            effect: fields.get("effect").and_then(|it| self.choice(it, &EFFECTS)),
            reads: names(self, "reads"),
            writes: names(self, "writes"),
            allow_race: names(self, "allow_race"),
            span: fields.span,
            ..blank(key)
        }
    }

    fn work(&mut self, fields: &Fields<'_>) -> Work {
        let composite = self.composite(fields, false);
        if let (Some(one), Some(other)) =
            (fields.key("uses"), fields.first_of(&["tasks", "states"]))
        {
            self.exclusive(
                one,
                other,
                "a task either uses a kind or holds tasks or states of its own",
            );
        }
        if let Some(composite) = composite {
            if let (Some(with), None) = (fields.key("with"), fields.key("uses")) {
                self.lonely_with(with);
            }
            return Work::Composite(composite);
        }
        match (fields.key("uses"), fields.key("with")) {
            (Some(_), _) => match self.uses(fields, "task") {
                Some((kind, with)) => Work::Uses { kind, with },
                None => Work::Nothing,
            },
            (None, Some(with)) => {
                self.lonely_with(with);
                Work::Nothing
            }
            (None, None) => Work::Nothing,
        }
    }

    fn lonely_with(&mut self, with: &Key) {
        self.report(
            Problem::error("SF1023", with.span, "`with` has no `uses` beside it")
                .help("add `uses:` with the kind of task that takes this"),
        );
    }

    /// Reads `uses` and `with`.
    pub fn uses(
        &mut self,
        fields: &Fields<'_>,
        what: &str,
    ) -> Option<(Spanned<String>, Option<TemplateSource>)> {
        let Some(field) = fields.get("uses") else {
            let message = format!("this {what} has no `uses`");
            self.report(
                Problem::error("SF1043", fields.span, message)
                    .help("say what it does, such as `uses: http`"),
            );
            return None;
        };
        let kind = self.name(field)?;
        self.check_id(&kind.value, "kind of task", Alphabet::Dotted, kind.span);
        let with = fields.get("with");
        if let (Some(with), "sql") = (with, kind.value.as_str()) {
            self.check_sql(with.node);
        }
        let with = with.and_then(|it| match it.node.content {
            Content::Map(_) | Content::String(_) => self.template(it),
            // The output of a `transform` is its `with`, so it may be any value.
            _ if kind.value == "transform" => self.template(it),
            _ => {
                self.wrong_type(it, "a mapping");
                None
            }
        });
        Some((kind, with))
    }

    fn for_each(&mut self, fields: &Fields<'_>) -> Option<ForEach> {
        let Some(field) = fields.get("for_each") else {
            let mut of_items: Vec<&str> = vec!["as", "on_item_failure"];
            // A nested graph has a `max_parallel` of its own.
            if fields.key("tasks").is_none() {
                of_items.push("max_parallel");
            }
            if let Some(key) = fields.first_of(&of_items) {
                let message = format!("`{}` has no `for_each` beside it", key.name);
                self.report(
                    Problem::error("SF1023", key.span, message)
                        .help("add `for_each:` with the items"),
                );
            }
            return None;
        };
        let is_template = matches!(&field.node.content, Content::String(it) if it.contains("${{"));
        if !is_template && !matches!(field.node.content, Content::List(_)) {
            self.wrong_type(field, "a list, or an expression such as `${{ input.items }}`");
            return None;
        }
        let name = fields.get("as").and_then(|it| self.name(it));
        if let Some(name) = &name {
            self.check_item_name(&name.value, name.span);
        }
        let on_item_failure =
            fields.get("on_item_failure").and_then(|it| self.choice(it, &ON_ITEM_FAILURES));
        Some(ForEach {
            items: self.template(field)?,
            name: name
                .unwrap_or_else(|| Spanned::new(ITEM_NAME_DEFAULT.to_owned(), field.node.span)),
            max_parallel: fields
                .get("max_parallel")
                .and_then(|it| self.small(it, 1..=PARALLEL_MAX)),
            on_item_failure: on_item_failure.map(|it| it.value).unwrap_or_default(),
        })
    }

    fn compensate(&mut self, key: &Key, field: Field<'_>) -> Option<Box<Task>> {
        let fields = self.fields(field, keys::COMPENSATE, "a mapping with `uses`")?;
        let (kind, with) = self.uses(&fields, "compensation")?;
        Some(Box::new(Task {
            work: Work::Uses { kind, with },
            retry: fields.get("retry").and_then(|it| self.retry(it)),
            timeout: fields.get("timeout").and_then(|it| self.timeouts(it)),
            span: fields.span,
            ..blank(key)
        }))
    }
}

const JOINS: [(&str, Join); 5] = [
    ("all_success", Join::AllSuccess),
    ("none_failed", Join::NoneFailed),
    ("any_success", Join::AnySuccess),
    ("any_failed", Join::AnyFailed),
    ("all_done", Join::AllDone),
];

const ON_FAILURES: [(&str, OnFailure); 2] =
    [("fail", OnFailure::Fail), ("continue", OnFailure::Continue)];

const ON_ITEM_FAILURES: [(&str, OnItemFailure); 3] = [
    ("fail", OnItemFailure::Fail),
    ("fail_at_end", OnItemFailure::FailAtEnd),
    ("continue", OnItemFailure::Continue),
];

const EFFECTS: [(&str, Effect); 4] = [
    ("none", Effect::None),
    ("idempotent", Effect::Idempotent),
    ("keyed", Effect::Keyed),
    ("unsafe", Effect::Unsafe),
];

/// A lonely `with` is reported on its own.
fn says_work(fields: &Fields<'_>) -> bool {
    fields.first_of(&["uses", "tasks", "states", "with"]).is_some()
}

/// A task of which nothing but the id is known.
pub(super) fn blank(key: &Key) -> Task {
    Task {
        id: Spanned::new(key.name.clone(), key.span),
        description: None,
        needs: Vec::new(),
        join: None,
        condition: None,
        work: Work::Nothing,
        for_each: None,
        retry: None,
        timeout: None,
        priority: None,
        concurrency: None,
        on_failure: None,
        compensate: None,
        effect: None,
        reads: Vec::new(),
        writes: Vec::new(),
        allow_race: Vec::new(),
        span: key.span,
    }
}
