-- What was drawn for calibration, what people say of it, and the versions that were made of that. No text of a prompt is
-- here: it lies sealed in the audit.

-- The queue of prompts to be labelled. A row goes when the time of its day is over.
CREATE TABLE samples (
  exchange TEXT PRIMARY KEY,
  drawn    INTEGER NOT NULL, -- microseconds since 1970 UTC, like every time here
  task     TEXT NOT NULL,    -- the nearest; it may be gone by now
  text     TEXT NOT NULL,    -- the version of the task's text
  model    TEXT NOT NULL,    -- the version of the scorer
  score    REAL NOT NULL,
  place    INTEGER NOT NULL  -- in the queue, drawn at random
) STRICT, WITHOUT ROWID;
CREATE INDEX samples_place ON samples (place);
CREATE INDEX samples_drawn ON samples (drawn);

-- A label has what is known of its sample, which goes before it does.
CREATE TABLE labels (
  exchange TEXT NOT NULL,
  drawn    INTEGER NOT NULL,
  task     TEXT NOT NULL,
  text     TEXT NOT NULL,
  model    TEXT NOT NULL,
  score    REAL NOT NULL,
  place    INTEGER NOT NULL,
  labeller TEXT NOT NULL,
  on_task  INTEGER NOT NULL,
  labelled INTEGER NOT NULL,
  approved TEXT NOT NULL,    -- who answers for it; empty for nobody yet
  proposal TEXT NOT NULL,
  PRIMARY KEY (exchange, labeller)
) STRICT, WITHOUT ROWID;
CREATE INDEX labels_day ON labels (labeller, labelled);

CREATE TABLE calibrations (
  id      TEXT PRIMARY KEY,
  model   TEXT NOT NULL,
  tasks   TEXT NOT NULL,     -- JSON: of each task its text's version and the scores of what is on task
  created INTEGER NOT NULL,
  demoted INTEGER NOT NULL   -- 0 for not
) STRICT, WITHOUT ROWID;
