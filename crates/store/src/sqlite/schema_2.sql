-- What is small and kept beside runs. `checksum` covers the other columns.
CREATE TABLE items (
    collection TEXT NOT NULL,
    key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (collection, key)
) STRICT;

-- Positions of log lines up to this one are never given again, although the lines may be gone.
CREATE TABLE logs_floor (pos INTEGER NOT NULL) STRICT;
INSERT INTO logs_floor SELECT coalesce(max(pos), 0) FROM logs;
