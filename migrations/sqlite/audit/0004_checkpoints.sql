-- Signed checkpoints of the writers' trees (docs/explanation/audit.md), in the order in which they were signed.
CREATE TABLE checkpoints (
    id     INTEGER PRIMARY KEY,
    writer INTEGER NOT NULL, -- writers.id
    size   INTEGER NOT NULL, -- how many records it fixes
    note   BLOB    NOT NULL  -- the signed text
) STRICT;

-- Of each writer the tree that its last checkpoint has, so that it is gone on with without reading what it holds.
CREATE TABLE trees (
    writer   INTEGER PRIMARY KEY, -- writers.id
    size     INTEGER NOT NULL,
    subtrees BLOB    NOT NULL     -- the roots of the complete subtrees, 32 bytes each, the largest first
) STRICT, WITHOUT ROWID;

-- fixed: every entry up to this one is fixed by a checkpoint, or was let go of before there were any. sent: Postgres has
-- the checkpoints up to this one, and published: the second place has.
INSERT INTO state SELECT 'fixed', value FROM state WHERE name = 'released';
INSERT INTO state VALUES ('sent', 0), ('published', 0);
