-- Whose the objects at the provider are. All callers share one provider account, so that only this table tells them apart.
-- It is not control data: what happens here is in no feed of changes, and does not move the version.

CREATE TABLE plumbline.provider_objects (
  kind       text COLLATE "C" NOT NULL,
  id         text COLLATE "C" NOT NULL,
  owner_user text COLLATE "C" NOT NULL, -- '' for what an app made in nobody's name
  owner_app  text COLLATE "C" NOT NULL, -- '' for what belongs to a user
  app        text NOT NULL, -- through which it was made
  team       text NOT NULL,
  endpoint   text NOT NULL,
  created    bigint NOT NULL, -- microseconds since 1970 UTC
  tokens     bigint NOT NULL, -- of the turns so far; 0 for not known
  model      text NOT NULL,   -- that they were counted for
  PRIMARY KEY (kind, id)
);

CREATE INDEX provider_objects_owner ON plumbline.provider_objects (owner_user, owner_app, kind, created);

-- An id that is given again to somebody else must not inherit what the one before had made.
CREATE FUNCTION plumbline.forget_objects_of_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM plumbline.provider_objects WHERE owner_user = old.id;
  RETURN NULL;
END $$;
CREATE FUNCTION plumbline.forget_objects_of_app() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM plumbline.provider_objects WHERE owner_user = '' AND owner_app = old.id;
  RETURN NULL;
END $$;
CREATE TRIGGER provider_objects_user AFTER DELETE ON plumbline.users
  FOR EACH ROW EXECUTE FUNCTION plumbline.forget_objects_of_user();
CREATE TRIGGER provider_objects_app AFTER DELETE ON plumbline.apps
  FOR EACH ROW EXECUTE FUNCTION plumbline.forget_objects_of_app();
