-- The keys under which what derives from people's prompts is sealed, each wrapped by a master key that is not kept here.
-- An erased one leaves a row without the key: what was sealed under it is known to be unreadable, and not just unknown.

CREATE TABLE subject_keys (
  id      TEXT PRIMARY KEY,
  subject TEXT NOT NULL,    -- user/…, app/… or sample/…
  master  TEXT NOT NULL,    -- the id of the master key; empty when erased
  wrapped BLOB NOT NULL,    -- empty when erased
  created INTEGER NOT NULL, -- microseconds since 1970 UTC
  erased  INTEGER NOT NULL  -- 0 for not
) STRICT, WITHOUT ROWID;

-- Replicas that see somebody for the first time at once agree on one key.
CREATE UNIQUE INDEX subject_keys_live ON subject_keys (subject) WHERE erased = 0;
CREATE INDEX subject_keys_subject ON subject_keys (subject);

-- Why somebody looked at content or erased it.
ALTER TABLE changes ADD COLUMN reason TEXT NOT NULL DEFAULT '';
