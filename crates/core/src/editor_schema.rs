//! The JSON Schema (draft 2020-12) of definitions, for completion, hover and red lines in editors.
//! It says what a schema can say; the parser and the checker say the rest. The file
//! `schema/surefoot.schema.json` is written from here.

use serde_json::{Map, Value, json};

use crate::kind_schema;
use crate::limits::{ATTEMPTS_MAX, ID_LEN_MAX, LABELS_MAX};

/// The identity of the schema, which is no place on the web: servers and packages carry copies.
const SCHEMA_ID: &str = "urn:surefoot:schema:workflow";

const WORD: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
const DOTTED: &str = "^[A-Za-z_][A-Za-z0-9_.-]*$";

/// Builds the schema.
pub fn editor_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Surefoot workflow",
        "description": "A workflow: a graph of tasks, or a machine of states.",
        "$ref": "#/$defs/workflow",
        "$defs": {
            "workflow": workflow(),
            "task": task(),
            "state": state(),
            "tasks": {"type": "object", "propertyNames": word(), "minProperties": 1, "additionalProperties": {"$ref": "#/$defs/task"}},
            "states": {"type": "object", "propertyNames": word(), "minProperties": 1, "additionalProperties": {"$ref": "#/$defs/state"}},
            "with_of_kind": with_of_kind(),
            "transitions": one_or_list(r("transition")),
            "transition": transition(),
            "compensate": compensate(),
            "retry": retry(),
            "timeout": timeout(),
            "concurrency": concurrency(),
            "trigger": trigger(),
            "notify": notify(),
            "retention": retention(),
            "priority": {"type": "integer", "minimum": -100, "maximum": 100, "description": "Higher goes first; 0 if not given."},
            "values": {"type": "object", "propertyNames": word(), "description": "Names and their values; values may hold `${{ }}`."},
            "names": one_or_list(json!({"type": "string", "minLength": 1})),
            "duration": {"type": "string", "pattern": "^([0-9]+(\\.[0-9]+)?(w|d|h|m|s|ms))+$|^[Pp]", "description": "Such as 500ms, 30s, 5m, 1h30m or 7d.", "examples": ["30s", "5m", "1h30m"]},
            "condition": {"type": ["string", "boolean"], "minLength": 1, "description": "A CEL expression, bare or in `${{ }}`.", "examples": ["input.total > 100.0"]},
            "template": {"type": "string", "pattern": "\\$\\{\\{", "description": "A text with an expression in `${{ }}`."},
        },
    })
}

/// Points to a definition of the schema.
fn r(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

fn described(name: &str, description: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}"), "description": description})
}

fn word() -> Value {
    json!({"pattern": WORD, "maxLength": ID_LEN_MAX})
}

fn one_or_list(item: Value) -> Value {
    json!({"anyOf": [item.clone(), {"type": "array", "items": item}]})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn choice(words: &[&str], description: &str) -> Value {
    json!({"enum": words, "description": description})
}

/// A mapping that has these keys and no others.
fn closed(properties: Value) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn merged(base: Value, more: Value) -> Value {
    let (Value::Object(mut base), Value::Object(more)) = (base, more) else {
        unreachable!("both are written as objects in this file")
    };
    base.extend(more);
    Value::Object(base)
}

fn workflow() -> Value {
    let properties = json!({
        "id": {"type": "string", "pattern": DOTTED, "maxLength": ID_LEN_MAX, "description": "The name under which the workflow is started."},
        "version": {"type": "string", "minLength": 1, "maxLength": ID_LEN_MAX, "description": "In quotes if it looks like a number; `1` if not given.", "examples": ["1.0.0"]},
        "description": text("What the workflow is for."),
        "input": {"type": "object", "description": "JSON Schema (draft 2020-12) of the input, checked at start."},
        "vars": described("values", "Constants, or the initial values of a machine's variables."),
        "triggers": one_or_list(r("trigger")),
        "concurrency": described("concurrency", "How many runs go on at once."),
        "max_parallel": {"type": "integer", "minimum": 1, "description": "Tasks that run at once; 1 runs the graph in sequence."},
        "fail_fast": {"type": "boolean", "description": "Whether a failure cancels what is running; true if not given."},
        "timeout": described("duration", "Longest time from start to end of the run."),
        "defaults": merged(
            closed(json!({"retry": r("retry"), "timeout": r("timeout"), "priority": r("priority")})),
            json!({"description": "What holds for tasks that do not say otherwise."}),
        ),
        "tasks": described("tasks", "A graph: tasks run as soon as their `needs` are met."),
        "initial": text("The state in which the machine starts."),
        "states": described("states", "A machine: one current state, changed by events, timers and finished work."),
        "output": {"description": "The result of the run."},
        "on_failure": described("tasks", "Tasks that run when the run has failed, after compensation."),
        "finally": described("tasks", "Tasks that run at the end, whatever the outcome."),
        "notify": one_or_list(r("notify")),
        "retention": described("retention", "How long ended runs are kept."),
        "labels": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": LABELS_MAX, "description": "Names and texts to find runs by."},
        "priority": r("priority"),
    });
    merged(
        closed(properties),
        json!({
            "required": ["id"],
            "oneOf": [
                {"required": ["tasks"], "properties": {"states": false, "initial": false}},
                {"required": ["states", "initial"], "properties": {"tasks": false, "max_parallel": false, "fail_fast": false}},
            ],
        }),
    )
}

/// What tasks and states have in common.
fn work() -> Value {
    json!({
        "description": text("What it is for."),
        "uses": {"type": "string", "pattern": DOTTED, "description": "A built-in kind, or the name of a handler.", "examples": kind_schema::BUILT_IN},
        "with": {"description": "What the kind or handler takes; `${{ }}` holds expressions."},
        "tasks": described("tasks", "A graph inside of this."),
        "initial": text("The state in which the machine inside of this starts."),
        "states": described("states", "A machine inside of this."),
        "vars": described("values", "Variables of the machine inside of this."),
        "fail_fast": {"type": "boolean", "description": "Whether a failure cancels what is running."},
        "for_each": {"anyOf": [r("template"), {"type": "array"}], "description": "Runs once for each item of a list.", "examples": ["${{ input.items }}"]},
        "as": {"type": "string", "pattern": WORD, "maxLength": ID_LEN_MAX, "description": "The name of the item; `item` if not given."},
        "max_parallel": {"type": "integer", "minimum": 1, "description": "Items, or tasks inside of this, that run at once."},
        "on_item_failure": choice(&["fail", "fail_at_end", "continue"], "What a failed item does to the others."),
        "retry": r("retry"),
        "timeout": r("timeout"),
        "priority": r("priority"),
        "concurrency": described("concurrency", "How many of these run at once, over all runs."),
        "compensate": r("compensate"),
        "effect": choice(&["none", "idempotent", "keyed", "unsafe"], "What happens outside when it runs."),
        "reads": described("names", "Outside resources that it reads."),
        "writes": described("names", "Outside resources that it changes."),
        "allow_race": described("names", "Tasks or resources that it may conflict with."),
    })
}

fn task() -> Value {
    let own = json!({
        "needs": described("names", "Tasks that go before."),
        "join": choice(&["all_success", "none_failed", "any_success", "any_failed", "all_done"], "Which outcomes of `needs` let it run; all_success if not given."),
        "if": described("condition", "Skipped unless this is true."),
        "on_failure": choice(&["fail", "continue"], "Whether its failure fails the run; fail if not given."),
    });
    with_rules(
        merged(work(), own),
        json!([{"anyOf": [
            {"required": ["uses"]}, {"required": ["tasks"]}, {"required": ["states"]},
            {"required": ["needs", "join"]},
        ]}]),
    )
}

fn state() -> Value {
    let own = json!({
        "on": {"type": "object", "propertyNames": {"pattern": DOTTED}, "additionalProperties": r("transitions"), "description": "Transitions by event."},
        "after": {"type": "object", "propertyNames": r("duration"), "additionalProperties": r("transitions"), "description": "Transitions by time since entry."},
        "next": described("transitions", "Transitions taken when the work of the state is done; the first whose `if` is true wins."),
        "final": {"type": "boolean", "description": "The machine ends here."},
        "output": {"description": "The result of the machine when it ends here."},
    });
    let end = json!([{
        "if": {"properties": {"final": {"const": true}}, "required": ["final"]},
        "then": {"properties": {"on": false, "after": false, "next": false}},
        "else": {"properties": {"output": false}},
    }]);
    with_rules(merged(work(), own), end)
}

/// Adds what keys go together, and the type of `with` for each built-in kind.
fn with_rules(properties: Value, more: Value) -> Value {
    let mut rules = vec![
        json!({"if": {"required": ["uses"]}, "then": {"properties": {"tasks": false, "states": false}}, "else": {"properties": {"with": false}}}),
        json!({"if": {"required": ["states"]}, "then": {"required": ["initial"], "properties": {"tasks": false, "fail_fast": false}}, "else": {"properties": {"initial": false, "vars": false}}}),
        json!({"if": {"properties": {"for_each": false}}, "then": {"properties": {"as": false, "on_item_failure": false}}}),
    ];
    rules.push(r("with_of_kind"));
    rules.extend(more.as_array().cloned().unwrap_or_default());
    merged(closed(properties), json!({"allOf": rules}))
}

/// Types `with` by `uses`, for the built-in kinds.
fn with_of_kind() -> Value {
    let rule = |kind: &&str| {
        let with = templated(kind_schema::with_schema(kind)?);
        Some(json!({
            "if": {"properties": {"uses": {"const": kind}}, "required": ["uses"]},
            "then": {"properties": {"with": with}},
        }))
    };
    json!({"allOf": kind_schema::BUILT_IN.iter().filter_map(rule).collect::<Vec<_>>()})
}

/// Lets a template stand wherever the schema of a kind wants a value.
fn templated(schema: &Value) -> Value {
    let Value::Object(source) = schema else { return schema.clone() };
    let mut inner = Map::new();
    for (key, value) in source {
        let value = match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                properties.iter().map(|(name, it)| (name.clone(), templated(it))).collect()
            }
            ("items" | "additionalProperties", Value::Object(_)) => templated(value),
            _ => value.clone(),
        };
        inner.insert(key.clone(), value);
    }
    let takes_any_text = inner.keys().all(|it| it == "description")
        || (inner.get("type") == Some(&json!("string"))
            && inner.keys().all(|it| matches!(it.as_str(), "type" | "description" | "minLength")));
    if takes_any_text {
        return Value::Object(inner);
    }
    let description = inner.remove("description");
    let mut either = json!({"anyOf": [inner, r("template")]});
    if let (Some(description), Some(either)) = (description, either.as_object_mut()) {
        either.insert("description".to_owned(), description);
    }
    either
}

fn transition() -> Value {
    let long = merged(
        closed(json!({
            "if": described("condition", "Taken only if this is true."),
            "to": text("The state to go to."),
            "set": described("values", "New values of the machine's variables."),
        })),
        json!({"required": ["to"]}),
    );
    json!({"anyOf": [text("The state to go to."), long]})
}

fn compensate() -> Value {
    merged(
        closed(json!({
            "uses": {"type": "string", "pattern": DOTTED, "description": "A built-in kind, or the name of a handler."},
            "with": {"description": "What it takes."},
            "retry": r("retry"),
            "timeout": r("timeout"),
        })),
        json!({"required": ["uses"], "description": "Undoes this task when the run fails after it.", "allOf": [r("with_of_kind")]}),
    )
}

fn retry() -> Value {
    let attempts = json!({"type": "integer", "minimum": 1, "maximum": ATTEMPTS_MAX, "description": "Tries in all, the first included."});
    let long = closed(json!({
        "max_attempts": attempts,
        "backoff": choice(&["fixed", "linear", "exponential"], "How the delay grows; exponential if not given."),
        "delay": described("duration", "Before the second attempt; 1s if not given."),
        "max_delay": described("duration", "The longest delay; 100 times `delay` if not given."),
        "multiplier": {"type": "number", "minimum": 1, "maximum": 1000, "description": "Factor of exponential growth; 2 if not given."},
        "jitter": choice(&["none", "full", "equal"], "How chance spreads the delays; none if not given."),
        "max_elapsed": described("duration", "No attempt starts later than this after the first."),
        "if": described("condition", "Only errors for which this is true are retried."),
    }));
    json!({"anyOf": [attempts, long], "description": "How often and when a failed attempt is followed by another."})
}

fn timeout() -> Value {
    let long = closed(json!({
        "queue": described("duration", "From ready to started."),
        "run": described("duration", "Of one attempt."),
        "total": described("duration", "From first ready to the end, retries included."),
        "heartbeat": described("duration", "Between two heartbeats of a worker."),
    }));
    json!({"anyOf": [r("duration"), long], "description": "The time of one attempt, or all four times."})
}

fn concurrency() -> Value {
    let limit = json!({"type": "integer", "minimum": 1, "maximum": 1_000_000, "description": "At most so many at once."});
    let long = merged(
        closed(json!({
            "key": text("An expression; each of its values has a limit of its own."),
            "limit": limit,
            "rate": {"type": "string", "pattern": "^\\s*[0-9]+\\s*/\\s*[0-9a-z.]+\\s*$", "description": "Starts in a period.", "examples": ["10/s", "100/m", "5/10s"]},
            "on_limit": choice(&["queue", "cancel_new", "cancel_running"], "What happens beyond the limit; queue if not given."),
        })),
        json!({"anyOf": [{"required": ["limit"]}, {"required": ["rate"]}]}),
    );
    json!({"anyOf": [limit, long]})
}

fn trigger() -> Value {
    let secret = json!({
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2}],
        "description": "The name of the secret that signs, or of the new one and of the one that it replaces.",
    });
    let webhook = merged(
        closed(json!({"path": text("The last part of the address."), "secret": secret})),
        json!({"required": ["path"]}),
    );
    let event = merged(
        closed(
            json!({"type": text("Type of the CloudEvent."), "source": text("Its source."), "if": described("condition", "Ignored unless this is true.")}),
        ),
        json!({"required": ["type"]}),
    );
    let kinds = ["cron", "every", "at", "webhook", "event"];
    let exactly_one: Vec<Value> = kinds.iter().map(|kind| json!({"required": [kind]})).collect();
    merged(
        closed(json!({
            "cron": {"type": "string", "description": "Minute, hour, day of month, month, day of week.", "examples": ["0 9 * * MON-FRI", "@daily"]},
            "every": described("duration", "At least 100ms."),
            "at": {"type": "string", "description": "RFC 3339, or a local time with `timezone`.", "examples": ["2027-01-01T00:00:00Z"]},
            "webhook": {"anyOf": [text("The last part of the address."), webhook]},
            "event": {"anyOf": [text("Type of the CloudEvent."), event]},
            "timezone": {"type": "string", "description": "A name of the IANA database; UTC if not given.", "examples": ["Europe/London"]},
            "catch_up": choice(&["none", "latest", "all"], "Which missed times are made up for; latest if not given."),
            "overlap": choice(&["skip", "queue", "cancel_running", "allow"], "What happens while a run goes on; skip if not given."),
            "window": described("duration", "Missed times older than this are not made up for."),
            "jitter": described("duration", "Spreads starts by chance over this time."),
            "input": {"description": "The input of the run; `event` holds what triggered it."},
        })),
        json!({"oneOf": exactly_one}),
    )
}

fn notify() -> Value {
    merged(
        closed(json!({
            "on": one_or_list(choice(&["completed", "failed", "cancelled"], "The outcomes that are told; all if not given.")),
            "uses": {"type": "string", "pattern": DOTTED, "description": "A built-in kind, or the name of a handler."},
            "with": {"description": "What it takes."},
        })),
        json!({"required": ["uses"], "allOf": [r("with_of_kind")]}),
    )
}

fn retention() -> Value {
    json!({"anyOf": [r("duration"), closed(json!({"completed": r("duration"), "failed": r("duration")}))]})
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::collections::BTreeSet;

    use super::*;
    use crate::parse::keys;

    fn check(pointer: &str, known: &[&str]) {
        let schema = editor_schema();
        let properties = schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}"));
        let found: BTreeSet<&str> =
            properties["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(found, known.iter().copied().collect(), "{pointer}");
    }

    #[test]
    fn the_schema_knows_the_keys_of_the_parser() {
        check("/$defs/workflow", keys::TOP);
        check("/$defs/task", keys::TASK);
        check("/$defs/state", keys::STATE);
        check("/$defs/transition/anyOf/1", keys::TRANSITION);
        check("/$defs/compensate", keys::COMPENSATE);
        check("/$defs/workflow/properties/defaults", keys::DEFAULTS);
        check("/$defs/retry/anyOf/1", keys::RETRY);
        check("/$defs/timeout/anyOf/1", keys::TIMEOUT);
        check("/$defs/concurrency/anyOf/1", keys::CONCURRENCY);
        check("/$defs/retention/anyOf/1", keys::RETENTION);
        check("/$defs/notify", keys::NOTIFY);
        check("/$defs/trigger", keys::TRIGGER);
        check("/$defs/trigger/properties/webhook/anyOf/1", keys::WEBHOOK);
        check("/$defs/trigger/properties/event/anyOf/1", keys::EVENT);
    }
}
