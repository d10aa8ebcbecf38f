-- Charges in the order in which they became durable, with their exchange: what is rebuilt from them goes on where it
-- stopped, and can tell what it has already.
ALTER TABLE charges RENAME TO charges_by_admission;
CREATE TABLE charges (
    entry         INTEGER PRIMARY KEY, -- entries.id of the outcome
    admitted      INTEGER NOT NULL,
    exchange      TEXT    NOT NULL,
    user          TEXT    NOT NULL,
    team          TEXT    NOT NULL,
    app           TEXT    NOT NULL,
    model         TEXT    NOT NULL,
    requests      INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost          INTEGER NOT NULL
) STRICT;
INSERT INTO charges
    SELECT c.entry, c.admitted, e.exchange, c.user, c.team, c.app, c.model, c.requests, c.input_tokens, c.output_tokens, c.cost
    FROM charges_by_admission AS c JOIN entries AS e ON e.id = c.entry ORDER BY c.entry;
DROP TABLE charges_by_admission;

-- The latest admission among a run's charges, NULL where it has none: what is asked for since a time skips the runs before.
ALTER TABLE spans ADD COLUMN admitted INTEGER;
UPDATE spans SET admitted = (SELECT max(admitted) FROM charges WHERE entry BETWEEN spans.first AND spans.last);
