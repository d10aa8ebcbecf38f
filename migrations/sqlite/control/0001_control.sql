-- People, teams, apps, tasks, limits, credentials and the feed of their changes.
-- Times are microseconds since 1970 UTC; 0 stands for none.

CREATE TABLE teams (
  id      TEXT PRIMARY KEY,
  name    TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
  id      TEXT PRIMARY KEY,
  name    TEXT NOT NULL,
  team    TEXT REFERENCES teams (id),
  blocked INTEGER NOT NULL,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE apps (
  id      TEXT PRIMARY KEY,
  name    TEXT NOT NULL,
  team    TEXT REFERENCES teams (id),
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tasks (
  id          TEXT PRIMARY KEY,
  title       TEXT NOT NULL,
  description TEXT NOT NULL,
  topics      TEXT NOT NULL, -- JSON list of strings, as are examples
  examples    TEXT NOT NULL,
  created     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE task_users (
  task TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
  user TEXT NOT NULL REFERENCES users (id),
  PRIMARY KEY (task, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE task_teams (
  task TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
  team TEXT NOT NULL REFERENCES teams (id),
  PRIMARY KEY (task, team)
) STRICT, WITHOUT ROWID;

CREATE TABLE limits (
  id          TEXT PRIMARY KEY,
  scope       TEXT NOT NULL,
  team        TEXT REFERENCES teams (id), -- the subject, in the column of its kind
  user        TEXT REFERENCES users (id),
  app         TEXT REFERENCES apps (id),
  model       TEXT NOT NULL,
  dimension   TEXT NOT NULL,
  window      TEXT NOT NULL,
  value       INTEGER NOT NULL,
  zone        TEXT NOT NULL,
  enforcement TEXT NOT NULL,
  created     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE app_keys (
  id      TEXT PRIMARY KEY,
  app     TEXT NOT NULL REFERENCES apps (id),
  user    TEXT REFERENCES users (id),
  hash    BLOB NOT NULL UNIQUE, -- SHA-256 of the key
  hint    TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  revoked INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE revocations (
  id            TEXT PRIMARY KEY,
  token_id      TEXT NOT NULL,
  subject       TEXT NOT NULL,
  issued_before INTEGER NOT NULL,
  created       INTEGER NOT NULL,
  expires       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE signing_keys (
  id      TEXT PRIMARY KEY,
  alg     TEXT NOT NULL,
  public  BLOB NOT NULL,
  private BLOB NOT NULL,
  created INTEGER NOT NULL,
  retired INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The change feed. Its highest version is that of the store; AUTOINCREMENT never gives a number twice.
CREATE TABLE changes (
  version INTEGER PRIMARY KEY AUTOINCREMENT,
  time    INTEGER NOT NULL,
  actor   TEXT NOT NULL,
  action  TEXT NOT NULL,
  object  TEXT NOT NULL -- kind/id
) STRICT;

CREATE INDEX task_users_user ON task_users (user);
CREATE INDEX task_teams_team ON task_teams (team);
