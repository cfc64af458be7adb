//! The kinds that reach outside.

use serde_json::{Value, json};

use super::KindSchema;
use super::control::duration;

pub fn http() -> KindSchema {
    let text = json!({"type": "string"});
    let text_map = json!({"type": "object", "additionalProperties": scalar()});
    let with = json!({
        "type": "object",
        "properties": {
            "method": {"enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], "description": "`GET` if not given"},
            "url": {"type": "string", "minLength": 1, "description": "http or https"},
            "headers": text_map,
            "query": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null", "array"], "items": scalar()}, "description": "added to the URL; a list repeats the key, null leaves it out"},
            "json": {"description": "sent as application/json"},
            "form": {"type": "object", "additionalProperties": scalar(), "description": "sent as application/x-www-form-urlencoded"},
            "body": {"type": "string", "description": "sent as it is"},
            "body_base64": {"type": "string", "description": "bytes"},
            "auth": {
                "type": "object",
                "properties": {
                    "basic": {"type": "object", "properties": {"user": text, "password": text}, "required": ["user", "password"], "additionalProperties": false},
                    "bearer": {"type": "string", "minLength": 1},
                },
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": false,
            },
            "timeout": duration("of the whole exchange, redirects and body included"),
            "follow_redirects": {"type": "integer", "minimum": 0, "maximum": 50, "description": "how many redirects to follow; 10 if not given"},
            "expect": {
                "type": "object",
                "properties": {
                    "status": {"type": ["integer", "string", "array"], "items": {"type": ["integer", "string"]}, "description": "a status, a range such as 200-299, or a list of them; 200-299 if not given"},
                    "headers": {"type": "object", "additionalProperties": {"type": ["string", "object"], "properties": {"matches": text}, "required": ["matches"], "additionalProperties": false}, "description": "an exact value, or {matches: regular expression}"},
                },
                "additionalProperties": false,
            },
            "response": {
                "type": "object",
                "properties": {
                    "max_bytes": {"type": "integer", "minimum": 1},
                    "as": {"enum": ["auto", "json", "text", "base64"]},
                },
                "additionalProperties": false,
            },
            "tls": {
                "type": "object",
                "properties": {"ca_file": text, "insecure": {"type": "boolean"}},
                "additionalProperties": false,
            },
            "idempotency": {"type": "boolean", "description": "false sends no Idempotency-Key"},
        },
        "required": ["url"],
        "not": {"anyOf": pairs(&["json", "form", "body", "body_base64"])},
        "additionalProperties": false,
    });
    let output = json!({
        "type": "object",
        "properties": {
            "status": {"type": "integer"},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}, "description": "names in lower case; repeated ones joined by a comma"},
            "json": {"description": "the body, if it is JSON"},
            "text": {"type": "string", "description": "the body, if it is text but not JSON"},
            "base64": {"type": "string", "description": "the body, if it is neither"},
            "url": {"type": "string", "description": "where the last redirect led"},
            "duration_ms": {"type": "integer"},
        },
        "required": ["status", "headers", "url", "duration_ms"],
        "additionalProperties": false,
    });
    KindSchema { with, output }
}

pub fn sql() -> KindSchema {
    let params = json!({"type": ["object", "array"], "description": "values for `:name` marks (object) or for `?` and `$1` marks (list)"});
    let with = json!({
        "type": "object",
        "properties": {
            "database": {"type": "string", "minLength": 1, "description": "a name under [databases] in surefoot.toml"},
            "query": {"type": "string", "minLength": 1, "description": "one statement; values go into `params`"},
            "statements": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": ["string", "object"],
                    "properties": {"query": {"type": "string", "minLength": 1}, "params": params},
                    "required": ["query"],
                    "additionalProperties": false,
                },
            },
            "params": params,
            "transaction": {"type": "boolean", "description": "all statements or none; true if not given"},
            "exactly_once": {"type": "boolean", "description": "keeps the output under the idempotency key in the same transaction; a repeated attempt returns it"},
            "max_rows": {"type": "integer", "minimum": 0, "description": "rows that are kept of each result; 1000 if not given"},
            "timeout": duration("of all statements together"),
        },
        "required": ["database"],
        "oneOf": [{"required": ["query"]}, {"required": ["statements"]}],
        "additionalProperties": false,
    });
    // `statements` gives a list of results, so no more can be said of the whole.
    let result = json!({
        "type": "object",
        "properties": {
            "rows": {"type": "array", "items": {"type": "object"}},
            "columns": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}, "type": {"type": "string"}}, "required": ["name", "type"], "additionalProperties": false}},
            "rows_affected": {"type": "integer"},
            "truncated": {"type": "boolean", "description": "there were more rows than `max_rows`"},
        },
        "required": ["rows", "columns", "rows_affected", "truncated"],
        "additionalProperties": false,
    });
    let output = json!({"anyOf": [result, {"type": "array", "items": result}]});
    KindSchema { with, output }
}

pub fn file() -> KindSchema {
    let path = json!({"type": "string", "minLength": 1});
    let with = json!({
        "type": "object",
        "properties": {
            "op": {"enum": ["read", "write", "append", "copy", "move", "delete", "list", "glob", "checksum", "stat", "exists", "mkdir"]},
            "path": path,
            "root": {"type": "string", "description": "the name of a root under [files]; the first one if not given"},
            "to": {"type": "string", "minLength": 1, "description": "copy, move: the destination"},
            "to_root": {"type": "string", "description": "copy, move: the root of the destination; `root` if not given"},
            "as": {"enum": ["text", "json", "base64", "lines"], "description": "read: how to give the content; `text` if not given"},
            "max_bytes": {"type": "integer", "minimum": 1, "description": "read: the largest file that is read"},
            "text": {"type": "string", "description": "write, append: the content"},
            "json": {"description": "write, append: the content, as JSON; append ends it with a new line"},
            "base64": {"type": "string", "description": "write, append: the content, as bytes"},
            "mode": {"enum": ["create", "overwrite", "fail_if_exists"], "description": "write, copy, move: what to do with a file that is there; `overwrite` if not given, `create` leaves it"},
            "make_dirs": {"type": "boolean", "description": "write, append, copy, move: make missing directories"},
            "missing_ok": {"type": "boolean", "description": "delete: a missing file is no error"},
            "pattern": {"type": "string", "minLength": 1, "description": "glob: such as **/*.csv, below `path`"},
            "algorithm": {"enum": ["sha256", "blake3"], "description": "checksum: `sha256` if not given"},
        },
        "required": ["op"],
        "additionalProperties": false,
    });
    // One entry per operation would be a union that expressions cannot see through.
    let output = json!({
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "bytes": {"type": "integer"},
            "text": {"type": "string"},
            "json": {},
            "base64": {"type": "string"},
            "lines": {"type": "array", "items": {"type": "string"}},
            "written": {"type": "boolean", "description": "false if `mode: create` found a file"},
            "deleted": {"type": "boolean"},
            "created": {"type": "boolean"},
            "exists": {"type": "boolean"},
            "kind": {"enum": ["file", "directory", "symlink", "other"]},
            "size": {"type": "integer"},
            "modified": {"type": "string", "format": "date-time"},
            "entries": {"type": "array", "items": {"type": "object"}},
            "paths": {"type": "array", "items": {"type": "string"}},
            "checksum": {"type": "string"},
            "algorithm": {"type": "string"},
        },
        "required": ["path"],
        "additionalProperties": false,
    });
    KindSchema { with, output }
}

pub fn shell() -> KindSchema {
    let with = json!({
        "type": "object",
        "properties": {
            "argv": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "a program and its arguments; no shell reads them"},
            "script": {"type": "string", "minLength": 1, "description": "run by /bin/sh -e -u; data goes through `env`"},
            "env": {"type": "object", "additionalProperties": scalar()},
            "cwd": {"type": "string", "minLength": 1},
            "stdin": {"description": "text as it is, anything else as JSON"},
            "ok_exit_codes": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}, "minItems": 1},
            "output": {
                "type": "object",
                "properties": {"parse": {"enum": ["text", "json", "lines"]}},
                "additionalProperties": false,
            },
            "max_output_bytes": {"type": "integer", "minimum": 1, "description": "kept of stdout and of stderr each"},
        },
        "oneOf": [{"required": ["argv"]}, {"required": ["script"]}],
        "additionalProperties": false,
    });
    let output = json!({
        "type": "object",
        "properties": {
            "exit_code": {"type": "integer"},
            "stdout": {"type": "string"},
            "stderr": {"type": "string"},
            "stdout_truncated": {"type": "boolean"},
            "stderr_truncated": {"type": "boolean"},
            "json": {"description": "stdout, with `parse: json`"},
            "lines": {"type": "array", "items": {"type": "string"}, "description": "stdout, with `parse: lines`"},
        },
        "required": ["exit_code", "stdout", "stderr", "stdout_truncated", "stderr_truncated"],
        "additionalProperties": false,
    });
    KindSchema { with, output }
}

pub fn emit() -> KindSchema {
    let text = json!({"type": "string", "minLength": 1});
    KindSchema {
        with: json!({
            "type": "object",
            "properties": {
                "type": {"type": "string", "minLength": 1, "description": "the CloudEvents type, such as order.paid"},
                "source": text,
                "subject": text,
                "data": {"description": "the payload"},
                "to": {"type": "string", "minLength": 1, "description": "a URL; the sink of the configuration if not given"},
            },
            "required": ["type"],
            "additionalProperties": false,
        }),
        output: json!({
            "type": "object",
            "properties": {"id": {"type": "string"}, "status": {"type": "integer"}, "url": {"type": "string"}},
            "required": ["id", "status", "url"],
            "additionalProperties": false,
        }),
    }
}

/// Any two of `keys` together.
fn pairs(keys: &[&str]) -> Value {
    let both = |at: usize| keys[at + 1..].iter().map(move |it| json!({"required": [keys[at], it]}));
    (0..keys.len()).flat_map(both).collect()
}

fn scalar() -> Value {
    json!({"type": ["string", "number", "boolean"]})
}
