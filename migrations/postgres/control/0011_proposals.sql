-- What a judge that is a model proposes of prompts that were drawn for calibration.

-- A row goes with its sample. That one is there says that the judge was asked, whatever it said.
CREATE TABLE plumbline.proposals (
  exchange  text COLLATE "C" PRIMARY KEY,
  judge     text COLLATE "C" NOT NULL,
  verdict   text COLLATE "C" NOT NULL, -- empty where it proposes nothing
  rationale bytea NOT NULL,            -- sealed as the sample is; empty for none
  made      bigint NOT NULL            -- microseconds since 1970 UTC
);

-- Whose proposal the person saw who labelled.
ALTER TABLE plumbline.labels ADD COLUMN judge text COLLATE "C" NOT NULL DEFAULT '';
