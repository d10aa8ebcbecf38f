-- What was drawn for calibration, what people say of it, and the versions that were made of that. No text of a prompt is
-- here: it lies sealed in the audit.

-- The queue of prompts to be labelled. A row goes when the time of its day is over.
CREATE TABLE plumbline.samples (
  exchange text COLLATE "C" PRIMARY KEY,
  drawn    bigint NOT NULL,           -- microseconds since 1970 UTC, like every time here
  task     text COLLATE "C" NOT NULL, -- the nearest; it may be gone by now
  text     text COLLATE "C" NOT NULL, -- the version of the task's text
  model    text COLLATE "C" NOT NULL, -- the version of the scorer
  score    double precision NOT NULL,
  place    bigint NOT NULL            -- in the queue, drawn at random
);
CREATE INDEX samples_place ON plumbline.samples (place);
CREATE INDEX samples_drawn ON plumbline.samples (drawn);

-- A label has what is known of its sample, which goes before it does.
CREATE TABLE plumbline.labels (
  exchange text COLLATE "C" NOT NULL,
  drawn    bigint NOT NULL,
  task     text COLLATE "C" NOT NULL,
  text     text COLLATE "C" NOT NULL,
  model    text COLLATE "C" NOT NULL,
  score    double precision NOT NULL,
  place    bigint NOT NULL,
  labeller text COLLATE "C" NOT NULL,
  on_task  boolean NOT NULL,
  labelled bigint NOT NULL,
  approved text COLLATE "C" NOT NULL, -- who answers for it; empty for nobody yet
  proposal text COLLATE "C" NOT NULL,
  PRIMARY KEY (exchange, labeller)
);
CREATE INDEX labels_day ON plumbline.labels (labeller, labelled);

CREATE TABLE plumbline.calibrations (
  id      text COLLATE "C" PRIMARY KEY,
  model   text COLLATE "C" NOT NULL,
  tasks   text NOT NULL,              -- JSON: of each task its text's version and the scores of what is on task
  created bigint NOT NULL,
  demoted bigint NOT NULL             -- 0 for not
);
