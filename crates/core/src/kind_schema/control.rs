//! The kinds that the engine decides itself, without an effect on the outside.

use serde_json::{Value, json};

use super::KindSchema;

pub fn transform() -> KindSchema {
    KindSchema {
        with: json!({"description": "any value; it is the output of the task"}),
        output: json!({"description": "the value of `with`"}),
    }
}

pub fn wait() -> KindSchema {
    KindSchema {
        with: json!({
            "type": "object",
            "properties": {
                "for": duration("how long to wait"),
                "until": {"type": "string", "format": "date-time", "description": "an instant, RFC 3339"},
                "while_paused": {"enum": ["run", "stop"], "description": "whether the clock runs while the run is paused; `stop` if not given"},
            },
            "oneOf": [{"required": ["for"]}, {"required": ["until"]}],
            "additionalProperties": false,
        }),
        output: json!({"type": "null"}),
    }
}

pub fn signal() -> KindSchema {
    KindSchema {
        with: json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1, "description": "the signal to wait for"},
                "timeout": duration("how long to wait for it"),
                "on_timeout": {"enum": ["fail", "continue"], "description": "what a time-out does; `fail` if not given"},
            },
            "required": ["name"],
            "additionalProperties": false,
        }),
        output: json!({
            "type": "object",
            "properties": {
                "received": {"type": "boolean", "description": "false after a time-out with `on_timeout: continue`"},
                "data": {"description": "the payload of the signal"},
                "actor": {"type": ["string", "null"], "description": "who sent it"},
            },
            "required": ["received", "data", "actor"],
            "additionalProperties": false,
        }),
    }
}

pub fn approval() -> KindSchema {
    let names = json!({"type": "array", "items": {"type": "string", "minLength": 1}});
    KindSchema {
        with: json!({
            "type": "object",
            "properties": {
                "prompt": {"type": "string", "description": "the question that people see"},
                "groups": names,
                "users": names,
                "quorum": {"type": "integer", "minimum": 1, "description": "approvals that are needed; 1 if not given"},
                "deny_self": {"type": "boolean", "description": "who started the run may not approve it"},
                "form": {"type": ["object", "boolean"], "description": "a JSON Schema of the data that an approver fills in"},
                "escalate": {
                    "type": "array",
                    "description": "who may decide as well if nobody has in time",
                    "items": {
                        "type": "object",
                        "properties": {
                            "after": duration("how long nobody has decided"),
                            "groups": names,
                            "users": names,
                        },
                        "required": ["after"],
                        "anyOf": [{"required": ["groups"]}, {"required": ["users"]}],
                        "additionalProperties": false,
                    },
                    "minItems": 1,
                    "maxItems": 10,
                },
                "timeout": duration("how long to wait for the decision"),
                "on_timeout": {"enum": ["reject", "approve", "fail"]},
                "on_reject": {"enum": ["fail", "continue"], "description": "`continue` completes the task with `approved: false`; `fail` if not given"},
            },
            "dependentRequired": {"timeout": ["on_timeout"]},
            "additionalProperties": false,
        }),
        output: json!({
            "type": "object",
            "properties": {
                "approved": {"type": "boolean"},
                "votes": {"type": "array", "items": vote()},
                "data": {"description": "what the deciding vote filled into the form"},
            },
            "required": ["approved", "votes", "data"],
            "additionalProperties": false,
        }),
    }
}

pub fn workflow() -> KindSchema {
    KindSchema {
        with: json!({
            "type": "object",
            "properties": {
                "id": {"type": "string", "minLength": 1, "description": "the workflow to run"},
                "version": {"type": "string", "description": "the active version if not given"},
                "input": {"description": "the input of the sub-run"},
                "wait": {"type": "boolean", "description": "false starts it and goes on; true if not given"},
            },
            "required": ["id"],
            "additionalProperties": false,
        }),
        output: json!({
            "type": "object",
            "properties": {
                "run": {"type": "string", "description": "the id of the sub-run"},
                "output": {"description": "what the sub-run gave; not there with `wait: false`"},
            },
            "required": ["run"],
            "additionalProperties": false,
        }),
    }
}

pub fn log() -> KindSchema {
    KindSchema {
        with: json!({
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "level": {"enum": ["debug", "info", "warn", "error"], "description": "`info` if not given"},
                "data": {"description": "kept beside the message"},
            },
            "required": ["message"],
            "additionalProperties": false,
        }),
        output: json!({"type": "null"}),
    }
}

pub fn fail() -> KindSchema {
    KindSchema {
        with: json!({
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string", "minLength": 1, "description": "what conditions see as `error.type`; `failed` if not given"},
                "retryable": {"type": "boolean", "description": "false if not given"},
                "details": {"description": "what conditions see as `error.details`"},
            },
            "required": ["message"],
            "additionalProperties": false,
        }),
        output: json!({"not": {}, "description": "the task never completes"}),
    }
}

fn vote() -> Value {
    json!({
        "type": "object",
        "properties": {
            "actor": {"type": "string"},
            "approve": {"type": "boolean", "description": "false refuses"},
            "comment": {"type": ["string", "null"]},
            "data": {},
            "at": {"type": "string", "format": "date-time"},
        },
        "required": ["actor", "approve", "comment", "data", "at"],
        "additionalProperties": false,
    })
}

pub(super) fn duration(description: &str) -> Value {
    json!({"type": "string", "minLength": 2, "description": format!("{description}, such as 30s or 1h30m")})
}
