-- What exists once: `instance` names this store, so that a file put in its place is noticed.
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID, STRICT;

CREATE TABLE shards (shard INTEGER PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;

-- Append-only and never clustered by run: a journal clustered by run writes a page per step.
-- `checksum` covers run, seq and body.
CREATE TABLE journal (
    pos INTEGER PRIMARY KEY,
    run BLOB NOT NULL,
    seq INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- Finds records up to the position in `indexed`; the few after it are looked through. Written for
-- many records at once: an entry for each append would dirty a page of each run.
CREATE TABLE journal_index (
    run BLOB NOT NULL,
    seq INTEGER NOT NULL,
    pos INTEGER NOT NULL,
    PRIMARY KEY (run, seq)
) WITHOUT ROWID, STRICT;
CREATE TABLE indexed (pos INTEGER NOT NULL) STRICT;
INSERT INTO indexed VALUES (0);

-- Touched only when a row changes. `checksum` covers every column before it that is not NULL.
-- `activity` is 0 for active, 1 for idle, 2 for ended.
CREATE TABLE runs (
    id BLOB PRIMARY KEY,
    shard INTEGER NOT NULL,
    workflow TEXT NOT NULL,
    version TEXT NOT NULL,
    definition BLOB NOT NULL,
    key TEXT,
    key_body BLOB,
    status TEXT NOT NULL,
    activity INTEGER NOT NULL,
    wake_at INTEGER,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    priority INTEGER NOT NULL,
    actor TEXT NOT NULL,
    parent BLOB,
    concurrency_key TEXT,
    labels TEXT NOT NULL,
    summary TEXT,
    done INTEGER NOT NULL,
    total INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX runs_key ON runs (workflow, key) WHERE key IS NOT NULL;
CREATE INDEX runs_status ON runs (status, id);
CREATE INDEX runs_workflow ON runs (workflow, id);
CREATE INDEX runs_active ON runs (shard, id) WHERE activity = 0;
CREATE INDEX runs_wake ON runs (shard, wake_at, id) WHERE activity = 1 AND wake_at IS NOT NULL;
CREATE INDEX runs_keyed ON runs (shard, id) WHERE concurrency_key IS NOT NULL AND activity < 2;
CREATE INDEX runs_parent ON runs (parent, id) WHERE parent IS NOT NULL;
CREATE INDEX runs_ended ON runs (ended_at) WHERE activity = 2;

-- Finds runs by label; the labels themselves are in the row.
CREATE TABLE labels (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    run BLOB NOT NULL,
    PRIMARY KEY (name, value, run)
) WITHOUT ROWID, STRICT;
CREATE INDEX labels_run ON labels (run);

-- Large values, once by hash. A payload without a reference is free to go.
CREATE TABLE payloads (hash BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE payload_refs (run BLOB NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (run, hash)) WITHOUT ROWID, STRICT;
CREATE INDEX payload_refs_hash ON payload_refs (hash);

-- The newest of each run. Disposable: the journal is whole without it.
CREATE TABLE snapshots (
    run BLOB PRIMARY KEY,
    records INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE definitions (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    version TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    UNIQUE (workflow, version)
) STRICT;

CREATE TABLE logs (
    pos INTEGER PRIMARY KEY,
    run BLOB NOT NULL,
    task TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    stream TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX logs_run ON logs (run);

-- AUTOINCREMENT: the id of a removed entry never names another.
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run BLOB NOT NULL,
    command BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    answer TEXT
) STRICT;
CREATE INDEX inbox_open ON inbox (id) WHERE answer IS NULL;
CREATE INDEX inbox_run ON inbox (run);
