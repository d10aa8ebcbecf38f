-- What a judge that is a model proposes of prompts that were drawn for calibration.

-- A row goes with its sample. That one is there says that the judge was asked, whatever it said.
CREATE TABLE proposals (
  exchange  TEXT PRIMARY KEY,
  judge     TEXT NOT NULL,
  verdict   TEXT NOT NULL,    -- empty where it proposes nothing
  rationale BLOB NOT NULL,    -- sealed as the sample is; empty for none
  made      INTEGER NOT NULL  -- microseconds since 1970 UTC
) STRICT, WITHOUT ROWID;

-- Whose proposal the person saw who labelled.
ALTER TABLE labels ADD COLUMN judge TEXT NOT NULL DEFAULT '';
