-- System prompts that are apps' own: fingerprints by which they are known again. No text of one is here.
CREATE TABLE system_prompts (
  id            TEXT PRIMARY KEY,
  app           TEXT NOT NULL REFERENCES apps (id),
  label         TEXT NOT NULL,
  registered_by TEXT NOT NULL,
  pieces        TEXT NOT NULL,   -- JSON: of each fixed piece its length, a short hash of its beginning and its SHA-256
  created       INTEGER NOT NULL -- microseconds since 1970 UTC
) STRICT, WITHOUT ROWID;
CREATE INDEX system_prompts_app ON system_prompts (app);
