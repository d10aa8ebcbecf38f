-- Retention. What is due goes by the month and class (exchange or admin), and only after the audit itself has an admin record
-- that declares it. The numbers and hashes of its records stay.

-- What is kept of them: of each writer in parts, as in Postgres but for how many numbers a part spans. Of a month that is not
-- in drops it is being made, and counts for nothing.
CREATE TABLE dropped (
    class   TEXT    NOT NULL,
    month   TEXT    NOT NULL, -- such as 2026_03
    writer  INTEGER NOT NULL, -- writers.id
    part    INTEGER NOT NULL, -- the number divided by 4096
    records INTEGER NOT NULL,
    leaves  BLOB    NOT NULL, -- the numbers, eight bytes each, and hashes, 32 bytes each
    PRIMARY KEY (class, month, writer, part)
) STRICT;
CREATE INDEX dropped_numbers ON dropped (writer, part);

-- The months that were dropped. Their records are deleted step by step after that.
CREATE TABLE drops (
    class TEXT    NOT NULL,
    month TEXT    NOT NULL,
    last  INTEGER NOT NULL, -- entries.id of the last of its records: later ones of the same month stay
    done  INTEGER NOT NULL, -- 1 when none of them is left
    PRIMARY KEY (class, month)
) STRICT, WITHOUT ROWID;

-- The records that declare a drop and were dropped with a month themselves.
CREATE TABLE drop_entries (
    writer INTEGER NOT NULL, -- writers.id
    seq    INTEGER NOT NULL,
    record BLOB    NOT NULL,
    PRIMARY KEY (writer, seq)
) STRICT;

-- The sums of the calls of dropped months, by the hour. Of a month that is not in drops they are being made.
CREATE TABLE sums (
    hour INTEGER PRIMARY KEY, -- when it begins
    body BLOB NOT NULL        -- JSON, of package ship
) STRICT;

-- Changes are few among all records, and are kept for a time of their own.
CREATE INDEX entries_admin ON entries (time) WHERE kind = 'admin';
