-- Whose the objects at the provider are. All callers share one provider account, so that only this table tells them apart.
-- It is not control data: what happens here is in no feed of changes, and does not move the version.

CREATE TABLE provider_objects (
  kind       TEXT NOT NULL,
  id         TEXT NOT NULL,
  owner_user TEXT NOT NULL, -- '' for what an app made in nobody's name
  owner_app  TEXT NOT NULL, -- '' for what belongs to a user
  app        TEXT NOT NULL, -- through which it was made
  team       TEXT NOT NULL,
  endpoint   TEXT NOT NULL,
  created    INTEGER NOT NULL, -- microseconds since 1970 UTC
  tokens     INTEGER NOT NULL, -- of the turns so far; 0 for not known
  model      TEXT NOT NULL,    -- that they were counted for
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX provider_objects_owner ON provider_objects (owner_user, owner_app, kind, created);

-- An id that is given again to somebody else must not inherit what the one before had made.
CREATE TRIGGER provider_objects_user AFTER DELETE ON users BEGIN
  DELETE FROM provider_objects WHERE owner_user = old.id;
END;
CREATE TRIGGER provider_objects_app AFTER DELETE ON apps BEGIN
  DELETE FROM provider_objects WHERE owner_user = '' AND owner_app = old.id;
END;
