-- People, teams, apps, tasks, limits, credentials and the feed of their changes: tables and columns of the SQLite
-- migration with this number. Times are microseconds since 1970 UTC; 0 stands for none. Text is compared as bytes.

CREATE TABLE plumbline.teams (
  id      text COLLATE "C" PRIMARY KEY,
  name    text NOT NULL,
  created bigint NOT NULL
);

CREATE TABLE plumbline.users (
  id      text COLLATE "C" PRIMARY KEY,
  name    text NOT NULL,
  team    text COLLATE "C" REFERENCES plumbline.teams (id),
  blocked boolean NOT NULL,
  created bigint NOT NULL
);

CREATE TABLE plumbline.apps (
  id      text COLLATE "C" PRIMARY KEY,
  name    text NOT NULL,
  team    text COLLATE "C" REFERENCES plumbline.teams (id),
  created bigint NOT NULL
);

CREATE TABLE plumbline.tasks (
  id          text COLLATE "C" PRIMARY KEY,
  title       text NOT NULL,
  description text NOT NULL,
  topics      text NOT NULL, -- JSON list of strings, as are examples
  examples    text NOT NULL,
  created     bigint NOT NULL
);

CREATE TABLE plumbline.task_users (
  task   text COLLATE "C" NOT NULL REFERENCES plumbline.tasks (id) ON DELETE CASCADE,
  "user" text COLLATE "C" NOT NULL REFERENCES plumbline.users (id),
  PRIMARY KEY (task, "user")
);

CREATE TABLE plumbline.task_teams (
  task text COLLATE "C" NOT NULL REFERENCES plumbline.tasks (id) ON DELETE CASCADE,
  team text COLLATE "C" NOT NULL REFERENCES plumbline.teams (id),
  PRIMARY KEY (task, team)
);

CREATE TABLE plumbline.limits (
  id          text COLLATE "C" PRIMARY KEY,
  scope       text NOT NULL,
  team        text COLLATE "C" REFERENCES plumbline.teams (id), -- the subject, in the column of its kind
  "user"      text COLLATE "C" REFERENCES plumbline.users (id),
  app         text COLLATE "C" REFERENCES plumbline.apps (id),
  model       text NOT NULL,
  dimension   text NOT NULL,
  "window"    text NOT NULL,
  value       bigint NOT NULL,
  zone        text NOT NULL,
  enforcement text NOT NULL,
  created     bigint NOT NULL
);

CREATE TABLE plumbline.app_keys (
  id      text COLLATE "C" PRIMARY KEY,
  app     text COLLATE "C" NOT NULL REFERENCES plumbline.apps (id),
  "user"  text COLLATE "C" REFERENCES plumbline.users (id),
  hash    bytea NOT NULL UNIQUE, -- SHA-256 of the key
  hint    text NOT NULL,
  created bigint NOT NULL,
  expires bigint NOT NULL,
  revoked bigint NOT NULL
);

CREATE TABLE plumbline.revocations (
  id            text COLLATE "C" PRIMARY KEY,
  token_id      text NOT NULL,
  subject       text NOT NULL,
  issued_before bigint NOT NULL,
  created       bigint NOT NULL,
  expires       bigint NOT NULL
);

CREATE TABLE plumbline.signing_keys (
  id      text COLLATE "C" PRIMARY KEY,
  alg     text NOT NULL,
  public  bytea NOT NULL,
  private bytea NOT NULL,
  created bigint NOT NULL,
  retired bigint NOT NULL
);

-- The change feed. Its versions are given by feed, below.
CREATE TABLE plumbline.changes (
  version bigint PRIMARY KEY,
  time    bigint NOT NULL,
  actor   text NOT NULL,
  action  text NOT NULL,
  object  text NOT NULL -- kind/id
);

-- The store's version: one row, which each change locks from its beginning to its commit. So versions become visible in
-- the order in which they were given, and none is given twice. A sequence would do neither.
CREATE TABLE plumbline.feed (
  single  boolean PRIMARY KEY DEFAULT true CHECK (single),
  version bigint NOT NULL
);
INSERT INTO plumbline.feed (version) VALUES (0);

CREATE INDEX task_users_user ON plumbline.task_users ("user");
CREATE INDEX task_teams_team ON plumbline.task_teams (team);
