-- The audit log. Rows are only ever added. The record's canonical bytes are the truth; the columns beside them are what
-- searching and rebuilding the ledger need, and `plumbline audit verify` compares them with the record.

CREATE TABLE writers (
    id      INTEGER PRIMARY KEY,
    name    TEXT    NOT NULL UNIQUE, -- random, one for each start of a process
    started INTEGER NOT NULL         -- microseconds since 1970, like every time here
) STRICT;

CREATE TABLE entries (
    id       INTEGER PRIMARY KEY,    -- the order in which records became durable
    writer   INTEGER NOT NULL,       -- writers.id; no foreign key, which would be checked for each record
    seq      INTEGER NOT NULL,       -- 1, 2, 3, … per writer
    leaf     BLOB    NOT NULL,
    time     INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    exchange TEXT    NOT NULL,
    user     TEXT    NOT NULL,
    team     TEXT    NOT NULL,
    app      TEXT    NOT NULL,
    action   TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    model    TEXT    NOT NULL,
    -- The settlement of an outcome, for the ledger; all NULL elsewhere.
    admitted      INTEGER,
    requests      INTEGER,
    input_tokens  INTEGER,
    output_tokens INTEGER,
    cost          INTEGER,
    record   BLOB    NOT NULL        -- last, so that reading a column never reads the record's overflow pages
) STRICT;

-- Each step of an exchange is recorded once, whatever was tried again.
CREATE UNIQUE INDEX entries_step ON entries (exchange, kind) WHERE exchange <> '';
CREATE INDEX entries_time ON entries (time);
CREATE INDEX entries_user ON entries (user, time) WHERE user <> '';
-- Holds all that the ledger is rebuilt from, so that a start reads no records.
CREATE INDEX entries_charges ON entries
    (admitted, user, team, app, model, requests, input_tokens, output_tokens, cost) WHERE admitted IS NOT NULL;

-- What the log remembers about itself. recovered: every intent up to this entry has its outcome. probe: counts the
-- attempts to write after a failure.
CREATE TABLE state (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO state VALUES ('recovered', 0), ('probe', 0);
