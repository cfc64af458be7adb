//! The top level of a definition.

use std::collections::BTreeMap;

use super::fields::{Field, Fields};
use super::id::Alphabet;
use super::{Parser, keys};
use crate::definition::{Defaults, Definition, Graph, Notify, NotifyOn, Retention, Spanned};
use crate::limits::{ID_LEN_MAX, LABELS_MAX};
use crate::source::{Content, Node, Problem};
use crate::time::Duration;

/// The version of a definition that names none.
const VERSION_DEFAULT: &str = "1";

impl Parser {
    pub fn definition(&mut self, node: &Node) -> Option<Definition> {
        let root = Field { name: "definition", node };
        let fields = self.fields(root, keys::TOP, "a mapping with `id` and `tasks` or `states`")?;
        let id = self.workflow_id(&fields);
        let version = self.version(&fields, node);
        let vars =
            fields.get("vars").map(|it| self.named_templates(it, "a mapping of names to values"));
        let triggers = fields.get("triggers").map(|it| self.triggers(it));
        let timeout = fields.get("timeout").and_then(|it| self.duration(it, Duration(1)));
        let body = self.composite(&fields, true);
        if body.is_none() && fields.first_of(&["tasks", "states"]).is_none() {
            self.missing(
                id.as_ref().map_or(node.span, |it| it.span),
                "this workflow has neither `tasks` nor `states`".to_owned(),
                "write `tasks:` for a graph, or `initial:` and `states:` for a machine",
            );
        }
        Some(Definition {
            version,
            description: self.description(&fields),
            input: fields.get("input").and_then(|it| self.input_schema(it)),
            vars: vars.unwrap_or_default(),
            triggers: triggers.unwrap_or_default(),
            concurrency: fields.get("concurrency").and_then(|it| self.concurrency(it)),
            timeout,
            defaults: fields.get("defaults").map(|it| self.defaults(it)).unwrap_or_default(),
            output: fields.get("output").and_then(|it| self.template(it)),
            on_failure: fields.get("on_failure").and_then(|it| self.after_graph(it)),
            finally: fields.get("finally").and_then(|it| self.after_graph(it)),
            notify: fields.get("notify").map(|it| self.notify(it)).unwrap_or_default(),
            retention: fields.get("retention").and_then(|it| self.retention(it)),
            labels: fields.get("labels").map(|it| self.labels(it)).unwrap_or_default(),
            priority: fields.get("priority").and_then(|it| self.priority(it)),
            // Last, so that a definition without them has its other problems told.
            id: id?,
            body: body?,
        })
    }

    fn workflow_id(&mut self, fields: &Fields<'_>) -> Option<Spanned<String>> {
        let Some(field) = fields.get("id") else {
            self.missing(
                fields.span,
                "this workflow has no `id`".to_owned(),
                "add `id:` with the name under which it is started",
            );
            return None;
        };
        let id = self.string(field)?;
        self.check_id(&id.value, "workflow id", Alphabet::Dotted, id.span);
        Some(id)
    }

    fn version(&mut self, fields: &Fields<'_>, node: &Node) -> Spanned<String> {
        let written = fields.get("version").and_then(|it| self.name(it));
        let version =
            written.unwrap_or_else(|| Spanned::new(VERSION_DEFAULT.to_owned(), node.span));
        if version.value.len() > ID_LEN_MAX || version.value.contains(char::is_control) {
            let message = format!("`version` is not one line of at most {ID_LEN_MAX} bytes");
            self.report(
                Problem::error("SF1028", version.span, message)
                    .help("write a version such as `1.0.0`"),
            );
        }
        version
    }

    pub fn description(&mut self, fields: &Fields<'_>) -> Option<String> {
        fields.get("description").and_then(|it| self.string(it)).map(|it| it.value)
    }

    fn input_schema(&mut self, field: Field<'_>) -> Option<Spanned<serde_json::Value>> {
        if !matches!(field.node.content, Content::Map(_)) {
            self.wrong_type(field, "a JSON Schema such as `{type: object}`");
            return None;
        }
        Some(Spanned::new(field.node.to_value(), field.node.span))
    }

    /// Reads the tasks of `on_failure` and `finally`.
    fn after_graph(&mut self, field: Field<'_>) -> Option<Graph> {
        let tasks = self.tasks(field)?;
        Some(Graph { tasks, max_parallel: None, fail_fast: None, span: field.node.span })
    }

    fn defaults(&mut self, field: Field<'_>) -> Defaults {
        let expected = "a mapping with `retry`, `timeout` or `priority`";
        let Some(fields) = self.fields(field, keys::DEFAULTS, expected) else {
            return Defaults::default();
        };
        Defaults {
            retry: fields.get("retry").and_then(|it| self.retry(it)),
            timeout: fields.get("timeout").and_then(|it| self.timeouts(it)),
            priority: fields.get("priority").and_then(|it| self.priority(it)),
        }
    }

    fn notify(&mut self, field: Field<'_>) -> Vec<Spanned<Notify>> {
        let items = self.list_or_one(field);
        items.into_iter().filter_map(|it| self.notify_one(it)).collect()
    }

    fn notify_one(&mut self, field: Field<'_>) -> Option<Spanned<Notify>> {
        const OUTCOMES: [(&str, NotifyOn); 3] = [
            ("completed", NotifyOn::Completed),
            ("failed", NotifyOn::Failed),
            ("cancelled", NotifyOn::Cancelled),
        ];
        let fields = self.fields(field, keys::NOTIFY, "a mapping with `uses` and `with`")?;
        let mut on = Vec::new();
        if let Some(outcomes) = fields.get("on") {
            for it in self.list_or_one(outcomes) {
                on.extend(self.choice(it, &OUTCOMES));
            }
        }
        let (kind, with) = self.uses(&fields, "notification")?;
        Some(Spanned::new(Notify { on, kind, with }, field.node.span))
    }

    fn retention(&mut self, field: Field<'_>) -> Option<Spanned<Retention>> {
        if !matches!(field.node.content, Content::Map(_)) {
            let both = self.duration(field, Duration(1))?;
            let retention = Retention { completed: Some(both.value), failed: Some(both.value) };
            return Some(Spanned::new(retention, both.span));
        }
        let fields = self.fields(field, keys::RETENTION, "a duration")?;
        let mut read = |name| {
            fields.get(name).and_then(|it| self.duration(it, Duration(1))).map(|it| it.value)
        };
        let retention = Retention { completed: read("completed"), failed: read("failed") };
        Some(Spanned::new(retention, field.node.span))
    }

    fn labels(&mut self, field: Field<'_>) -> BTreeMap<String, String> {
        let entries = self.entries(field, "a mapping of names to texts");
        if entries.len() > LABELS_MAX {
            let message = format!("{} labels; the limit is {LABELS_MAX}", entries.len());
            self.report(
                Problem::error("SF1042", field.node.span, message)
                    .help("labels are for finding runs; keep other data in `vars`"),
            );
        }
        let mut labels = BTreeMap::new();
        for (key, node) in entries {
            let text = self.string(Field { name: &key.name, node });
            labels.extend(text.map(|it| (key.name.clone(), it.value)));
        }
        labels
    }
}
