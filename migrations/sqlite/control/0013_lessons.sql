-- Prompts that were drawn at random and set aside to learn from. None of them is in the queue of samples, and nobody can label
-- it: what trains never calibrates. No text of a prompt is here.
CREATE TABLE lessons (
  exchange TEXT PRIMARY KEY,
  drawn    INTEGER NOT NULL, -- microseconds since 1970 UTC; a row goes when the time of its day is over
  place    INTEGER NOT NULL  -- drawn at random: they are learnt from in this order
) STRICT, WITHOUT ROWID;
CREATE INDEX lessons_place ON lessons (place);
CREATE INDEX lessons_drawn ON lessons (drawn);
