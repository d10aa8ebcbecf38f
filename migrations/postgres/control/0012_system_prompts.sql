-- System prompts that are apps' own: fingerprints by which they are known again. No text of one is here.
CREATE TABLE plumbline.system_prompts (
  id            text COLLATE "C" PRIMARY KEY,
  app           text COLLATE "C" NOT NULL REFERENCES plumbline.apps (id),
  label         text COLLATE "C" NOT NULL,
  registered_by text COLLATE "C" NOT NULL,
  pieces        text NOT NULL,  -- JSON: of each fixed piece its length, a short hash of its beginning and its SHA-256
  created       bigint NOT NULL -- microseconds since 1970 UTC
);
CREATE INDEX system_prompts_app ON plumbline.system_prompts (app);
