-- The keys under which what derives from people's prompts is sealed, each wrapped by a master key that is not kept here.
-- An erased one leaves a row without the key: what was sealed under it is known to be unreadable, and not just unknown.

CREATE TABLE plumbline.subject_keys (
  id      text COLLATE "C" PRIMARY KEY,
  subject text COLLATE "C" NOT NULL, -- user/…, app/… or sample/…
  master  text NOT NULL,             -- the id of the master key; empty when erased
  wrapped bytea NOT NULL,            -- empty when erased
  created bigint NOT NULL,           -- microseconds since 1970 UTC
  erased  bigint NOT NULL            -- 0 for not
);

-- Replicas that see somebody for the first time at once agree on one key.
CREATE UNIQUE INDEX subject_keys_live ON plumbline.subject_keys (subject) WHERE erased = 0;
CREATE INDEX subject_keys_subject ON plumbline.subject_keys (subject);

-- Why somebody looked at content or erased it.
ALTER TABLE plumbline.changes ADD COLUMN reason text NOT NULL DEFAULT '';
