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

-- What is derived from the entries is added in bulk, for many of them at a time: kept with each commit it would double the
-- bytes that a commit writes. state.indexed says up to which entry these tables go; those after it are few, and are read
-- one by one.

-- Each step of an exchange is recorded once, whatever was tried again.
CREATE TABLE by_exchange (
    exchange TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    entry    INTEGER NOT NULL,       -- entries.id
    PRIMARY KEY (exchange, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE by_user (
    user  TEXT    NOT NULL,
    entry INTEGER NOT NULL,          -- entries.id
    PRIMARY KEY (user, entry)
) STRICT, WITHOUT ROWID;

-- Runs of entries, with the bounds of their times: a search within a time leaves out the runs that cannot match.
CREATE TABLE spans (
    last     INTEGER PRIMARY KEY,    -- entries.id of the last one of the run
    first    INTEGER NOT NULL,
    earliest INTEGER NOT NULL,
    latest   INTEGER NOT NULL
) STRICT;

-- All that the ledger is rebuilt from, so that a start reads no records.
CREATE TABLE charges (
    admitted      INTEGER NOT NULL,
    entry         INTEGER NOT NULL,  -- entries.id of the outcome
    user          TEXT    NOT NULL,
    team          TEXT    NOT NULL,
    app           TEXT    NOT NULL,
    model         TEXT    NOT NULL,
    requests      INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost          INTEGER NOT NULL,
    PRIMARY KEY (admitted, entry)
) STRICT, WITHOUT ROWID;

-- What the log remembers about itself. indexed: see above. recovered: every intent up to this entry has its outcome.
-- probe: counts the attempts to write after a failure.
CREATE TABLE state (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO state VALUES ('indexed', 0), ('recovered', 0), ('probe', 0);
