//! Every key of the language, by the mapping that it may stand in. The parser and the published
//! JSON Schema are held to these lists.

pub const TOP: &[&str] = &[
    "id",
    "version",
    "description",
    "input",
    "vars",
    "triggers",
    "concurrency",
    "max_parallel",
    "fail_fast",
    "timeout",
    "defaults",
    "tasks",
    "initial",
    "states",
    "output",
    "on_failure",
    "finally",
    "notify",
    "retention",
    "labels",
    "priority",
];

pub const TASK: &[&str] = &[
    "description",
    "needs",
    "join",
    "if",
    "uses",
    "with",
    "tasks",
    "initial",
    "states",
    "vars",
    "fail_fast",
    "for_each",
    "as",
    "max_parallel",
    "on_item_failure",
    "retry",
    "timeout",
    "priority",
    "concurrency",
    "on_failure",
    "compensate",
    "effect",
    "reads",
    "writes",
    "allow_race",
];

pub const STATE: &[&str] = &[
    "description",
    "uses",
    "with",
    "tasks",
    "initial",
    "states",
    "vars",
    "fail_fast",
    "for_each",
    "as",
    "max_parallel",
    "on_item_failure",
    "retry",
    "timeout",
    "priority",
    "concurrency",
    "compensate",
    "effect",
    "reads",
    "writes",
    "allow_race",
    "on",
    "after",
    "next",
    "final",
    "output",
];

pub const TRANSITION: &[&str] = &["if", "to", "set"];

pub const COMPENSATE: &[&str] = &["uses", "with", "retry", "timeout"];

pub const DEFAULTS: &[&str] = &["retry", "timeout", "priority"];

pub const RETRY: &[&str] =
    &["max_attempts", "backoff", "delay", "max_delay", "multiplier", "jitter", "max_elapsed", "if"];

pub const TIMEOUT: &[&str] = &["queue", "run", "total", "heartbeat"];

pub const CONCURRENCY: &[&str] = &["key", "limit", "rate", "on_limit"];

pub const RETENTION: &[&str] = &["completed", "failed"];

pub const NOTIFY: &[&str] = &["on", "uses", "with"];

/// The keys that say what kind a trigger is; exactly one of them is there.
pub const TRIGGER_KINDS: &[&str] = &["cron", "every", "at", "webhook", "event"];

/// The keys that say how times are handled; only for the first three kinds.
pub const TRIGGER_POLICY: &[&str] = &["catch_up", "overlap", "window", "jitter"];

pub const TRIGGER: &[&str] = &[
    "cron", "every", "at", "webhook", "event", "timezone", "catch_up", "overlap", "window",
    "jitter", "input",
];

pub const WEBHOOK: &[&str] = &["path", "secret"];

pub const EVENT: &[&str] = &["type", "source", "if"];

/// What other engines call a thing, and what it is called here.
pub const ELSEWHERE: &[(&str, &str)] = &[
    ("steps", "tasks"),
    ("jobs", "tasks"),
    ("activities", "tasks"),
    ("name", "id"),
    ("depends_on", "needs"),
    ("dependsOn", "needs"),
    ("depends", "needs"),
    ("dependencies", "needs"),
    ("after", "needs"),
    ("upstream", "needs"),
    ("trigger_rule", "join"),
    ("when", "if"),
    ("condition", "if"),
    ("guard", "if"),
    ("type", "uses"),
    ("kind", "uses"),
    ("run", "uses"),
    ("action", "uses"),
    ("task", "uses"),
    ("handler", "uses"),
    ("params", "with"),
    ("parameters", "with"),
    ("args", "with"),
    ("inputs", "input"),
    ("foreach", "for_each"),
    ("map", "for_each"),
    ("with_items", "for_each"),
    ("loop", "for_each"),
    ("retries", "retry"),
    ("max_retries", "retry"),
    ("attempts", "retry"),
    ("on_error", "on_failure"),
    ("continue_on_error", "on_failure"),
    ("schedule", "triggers"),
    ("schedules", "triggers"),
    ("variables", "vars"),
    ("env", "vars"),
    ("parallelism", "max_parallel"),
    ("rollback", "compensate"),
    ("undo", "compensate"),
    ("transitions", "on"),
    ("events", "on"),
    ("target", "to"),
    ("goto", "to"),
    ("start", "initial"),
    ("outputs", "output"),
    ("max", "max_attempts"),
    ("interval", "delay"),
    ("factor", "multiplier"),
    ("tz", "timezone"),
    ("catchup", "catch_up"),
    ("always", "finally"),
    ("onExit", "finally"),
];
