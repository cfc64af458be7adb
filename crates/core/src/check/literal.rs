//! Checks what is written out in `with` against a JSON Schema. Values that hold an expression are
//! known only in the run, so they are passed over.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::kind_schema::with_schema;
use crate::plan::BUILT_IN;
use crate::schema::Schema;
use crate::source::{Content, Key, Node, Problem, Span, nearest, oxford};

/// The code of everything that is reported here.
const WRONG_PARAMETER: &str = "SF1107";
/// A name with more alternatives than this is told to look at the schema.
const ALTERNATIVES_MAX: usize = 16;

/// What is being checked, for the messages.
pub(super) struct Subject<'a> {
    /// Such as `http`.
    pub kind: &'a str,
    /// A built-in kind: keys that are not in the schema and keys that miss are reported.
    pub closed: bool,
    /// Where `with` would stand if it is missing.
    pub fallback: Span,
}

/// Adds what is wrong with `node`, the whole of `with`.
pub(super) fn check(
    subject: &Subject<'_>,
    schema: &Value,
    node: &Node,
    problems: &mut Vec<Problem>,
) {
    let before = problems.len();
    Walk { subject, problems }.value("with", schema, node);
    // What the walk does not know (lengths, ranges, formats), the library does.
    if problems.len() == before && subject.closed {
        rest(subject, node, problems);
    }
}

/// Says whether a value is only known in the run.
pub(super) fn is_dynamic(node: &Node) -> bool {
    matches!(&node.content, Content::String(text) if text.contains("${{"))
}

struct Walk<'a> {
    subject: &'a Subject<'a>,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn value(&mut self, name: &str, schema: &Value, node: &Node) {
        let Some(schema) = schema.as_object().filter(|_| !is_dynamic(node)) else { return };
        if let Some(expected) = wrong_type(schema, node) {
            let found = type_name(node);
            self.push(node.span, format!("`{name}` is {found}, expected {expected}")).help =
                Some(format!("write {expected}, or an expression that gives one"));
            return;
        }
        self.alternatives(name, schema, node);
        match &node.content {
            Content::Map(entries) => self.map(name, schema, node, entries),
            Content::List(items) => {
                if let Some(schema) = schema.get("items") {
                    items.iter().for_each(|it| self.value(name, schema, it));
                }
            }
            Content::Null | Content::Bool(_) | Content::Number(_) | Content::String(_) => {}
        }
    }

    fn alternatives(&mut self, name: &str, schema: &Map<String, Value>, node: &Node) {
        let Some(allowed) = schema.get("enum").and_then(Value::as_array) else { return };
        let value = node.to_value();
        if allowed.contains(&value) {
            return;
        }
        let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let near = nearest(&text, names.iter().copied());
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("write {}", oxford(&names, "or")),
        };
        let problem = self.push(node.span, format!("`{name}` cannot be `{text}`"));
        problem.label.text = "not one of the known values".to_owned();
        problem.help = Some(help);
    }

    fn map(
        &mut self,
        name: &str,
        schema: &Map<String, Value>,
        node: &Node,
        entries: &[(Key, Node)],
    ) {
        let nothing = Map::new();
        let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&nothing);
        for (key, value) in entries {
            match (known.get(&key.name), schema.get("additionalProperties")) {
                (Some(schema), _) => self.value(&key.name, schema, value),
                (None, Some(Value::Bool(false))) if self.subject.closed => {
                    self.unknown_key(name, key, known);
                }
                (None, Some(schema)) => self.value(&key.name, schema, value),
                (None, None) => {}
            }
        }
        if self.subject.closed {
            self.missing(name, schema, node, entries);
            self.exclusive(name, schema, node, entries);
        }
    }

    fn unknown_key(&mut self, name: &str, key: &Key, known: &Map<String, Value>) {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        let help = match nearest(&key.name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.len() <= ALTERNATIVES_MAX => {
                format!("known are {}", oxford(&names, "and"))
            }
            None => format!("see the parameters of `{}`", self.subject.kind),
        };
        let inside = if name == "with" { String::new() } else { format!(" in `{name}`") };
        let message = format!("`{}` has no parameter `{}`{inside}", self.subject.kind, key.name);
        let problem = self.push(key.span, message);
        problem.label.text = "unknown".to_owned();
        problem.help = Some(help);
    }

    fn missing(
        &mut self,
        name: &str,
        schema: &Map<String, Value>,
        node: &Node,
        entries: &[(Key, Node)],
    ) {
        let present = |wanted: &str| entries.iter().any(|(key, _)| key.name == wanted);
        let kind = self.subject.kind;
        for wanted in texts(schema.get("required")).filter(|it| !present(it)) {
            let inside = if name == "with" { String::new() } else { format!(" in `{name}`") };
            self.push(self.place(node), format!("`{kind}` needs `{wanted}`{inside}")).help =
                Some(format!("add `{wanted}: …`"));
        }
        let dependent = schema.get("dependentRequired").and_then(Value::as_object);
        for (given, wanted) in dependent.into_iter().flatten() {
            let Some((key, _)) = entries.iter().find(|(key, _)| key.name == *given) else {
                continue;
            };
            for wanted in texts(Some(wanted)).filter(|it| !present(it)) {
                self.push(key.span, format!("`{kind}` with `{given}` needs `{wanted}` too")).help =
                    Some(format!("say what then happens: `{wanted}: …`"));
            }
        }
    }

    /// `oneOf` and `not: {anyOf}` over nothing but `required`: which keys go together.
    fn exclusive(
        &mut self,
        name: &str,
        schema: &Map<String, Value>,
        node: &Node,
        entries: &[(Key, Node)],
    ) {
        let given =
            |set: &&Vec<&str>| set.iter().all(|it| entries.iter().any(|(key, _)| key.name == *it));
        let subject = if name == "with" { self.subject.kind } else { name };
        let one_of = required_sets(schema.get("oneOf"));
        let choice: Vec<&str> = one_of.iter().flatten().copied().collect();
        let count = one_of.iter().filter(given).count();
        let choices = oxford(&choice, "or");
        if !one_of.is_empty() && count == 0 {
            self.push(self.place(node), format!("`{subject}` needs {choices}")).help =
                Some("add one of them".to_owned());
        } else if count > 1 {
            self.push(node.span, format!("`{subject}` takes only one of {choices}")).help =
                Some("keep one of them".to_owned());
        }
        let never = required_sets(schema.get("not").and_then(|it| it.get("anyOf")));
        if let Some(pair) = never.iter().find(given) {
            let message = format!("`{subject}` cannot take {} together", oxford(pair, "and"));
            self.push(node.span, message).help = Some("keep one of them".to_owned());
        }
    }

    fn place(&self, node: &Node) -> Span {
        if node.span == Span::default() { self.subject.fallback } else { node.span }
    }

    fn push(&mut self, span: Span, message: String) -> &mut Problem {
        let at = self.problems.len();
        self.problems.push(Problem::error(WRONG_PARAMETER, span, message));
        &mut self.problems[at]
    }
}

/// Returns what was expected if no allowed type fits.
fn wrong_type(schema: &Map<String, Value>, node: &Node) -> Option<String> {
    let allowed: Vec<&str> = match schema.get("type")? {
        Value::String(one) => vec![one],
        several => texts(Some(several)).collect(),
    };
    let fits = |name: &&str| match (&node.content, *name) {
        (Content::Null, "null") => true,
        (Content::Bool(_), "boolean") => true,
        (Content::Number(_), "number") => true,
        (Content::Number(it), "integer") => it.is_i64() || it.is_u64(),
        (Content::String(_), "string") => true,
        (Content::List(_), "array") => true,
        (Content::Map(_), "object") => true,
        _ => false,
    };
    if allowed.iter().any(fits) {
        return None;
    }
    let words: Vec<&str> = allowed.iter().map(|it| type_word(it)).collect();
    Some(words.join(" or "))
}

fn type_word(name: &str) -> &str {
    match name {
        "boolean" => "true or false",
        "number" => "a number",
        "integer" => "a whole number",
        "string" => "a text",
        "array" => "a list",
        "object" => "a map",
        other => other,
    }
}

fn type_name(node: &Node) -> &'static str {
    match node.content {
        Content::Null => "null",
        Content::Bool(_) => "true or false",
        Content::Number(_) => "a number",
        Content::String(_) => "a text",
        Content::List(_) => "a list",
        Content::Map(_) => "a map",
    }
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn required_sets(list: Option<&Value>) -> Vec<Vec<&str>> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.map(|it| texts(it.get("required")).collect::<Vec<_>>())
        .filter(|it| !it.is_empty())
        .collect()
}

/// The schemas of the built-in kinds, compiled once: that takes longer than checking a task.
static COMPILED: LazyLock<Vec<(&str, Schema)>> = LazyLock::new(|| {
    let compiled = |kind: &'static str| Some((kind, Schema::compile(with_schema(kind)?).ok()?));
    BUILT_IN.into_iter().filter_map(compiled).collect()
});

fn rest(subject: &Subject<'_>, node: &Node, problems: &mut Vec<Problem>) {
    let Some((_, schema)) = COMPILED.iter().find(|it| it.0 == subject.kind) else { return };
    let Err(violations) = schema.check(&node.to_value()) else { return };
    for violation in violations {
        let Some(at) = node.pointer(&violation.pointer) else { continue };
        if !is_dynamic(at) {
            let name = violation.pointer.rsplit('/').next().unwrap_or("with");
            let message = format!("`{name}` of `{}`: {}", subject.kind, violation.message);
            problems.push(Problem::error(WRONG_PARAMETER, at.span, message));
        }
    }
}
