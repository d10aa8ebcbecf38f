PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE schema_version
		(version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied INTEGER NOT NULL) STRICT;
INSERT INTO schema_version VALUES(1,'0001_control.sql',1795403810684349);
INSERT INTO schema_version VALUES(2,'0002_provider_objects.sql',1795823253346469);
INSERT INTO schema_version VALUES(3,'0003_sessions.sql',1795404000000000);
INSERT INTO schema_version VALUES(4,'0004_unreachable.sql',1795833870000000);
INSERT INTO schema_version VALUES(5,'0005_subject_keys.sql',1795833870000001);
INSERT INTO schema_version VALUES(6,'0006_recorded_changes.sql',1795833870000006);
INSERT INTO schema_version VALUES(7,'0007_jobs.sql',1795833870000007);
INSERT INTO schema_version VALUES(8,'0008_calibration.sql',1795833870000008);
INSERT INTO schema_version VALUES(9,'0009_out_of_scope.sql',1795833870000009);
INSERT INTO schema_version VALUES(10,'0010_policies.sql',1795833870000010);
INSERT INTO schema_version VALUES(11,'0011_proposals.sql',1795833870000011);
INSERT INTO schema_version VALUES(12,'0012_system_prompts.sql',1795833870000012);
INSERT INTO schema_version VALUES(13,'0013_lessons.sql',1795833870000013);
INSERT INTO schema_version VALUES(14,'0014_jobs.sql',1795917615721870);
CREATE TABLE teams (
  id      TEXT PRIMARY KEY,
  name    TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO teams VALUES('sales','Sales & co ''quoted'' 漢字',1773190800123456);
INSERT INTO teams VALUES('support','',1773194400123456);
CREATE TABLE users (
  id      TEXT PRIMARY KEY,
  name    TEXT NOT NULL,
  team    TEXT REFERENCES teams (id),
  blocked INTEGER NOT NULL,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO users VALUES('ann@example.com','Ann','support',0,1773198000123456);
INSERT INTO users VALUES('ben','',NULL,1,1773201600123456);
CREATE TABLE apps (
  id      TEXT PRIMARY KEY,
  name    TEXT NOT NULL,
  team    TEXT REFERENCES teams (id),
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO apps VALUES('helpdesk','Helpdesk','support',1773205200123456);
INSERT INTO apps VALUES('ide','',NULL,1773205200123456);
CREATE TABLE tasks (
  id          TEXT PRIMARY KEY,
  title       TEXT NOT NULL,
  description TEXT NOT NULL,
  topics      TEXT NOT NULL, -- JSON list of strings, as are examples
  examples    TEXT NOT NULL,
  created     INTEGER NOT NULL
, out_of_scope TEXT NOT NULL DEFAULT '[]') STRICT, WITHOUT ROWID;
INSERT INTO tasks VALUES('refunds','Refunds',replace('Answer refund requests.\nBe kind.','\n',char(10)),'["refunds","late parcels"]','["How do I say \"no\" \u003cpolitely\u003e?"]',1773208800123456,'[]');
CREATE TABLE task_users (
  task TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
  user TEXT NOT NULL REFERENCES users (id),
  PRIMARY KEY (task, user)
) STRICT, WITHOUT ROWID;
INSERT INTO task_users VALUES('refunds','ann@example.com');
INSERT INTO task_users VALUES('refunds','ben');
CREATE TABLE task_teams (
  task TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
  team TEXT NOT NULL REFERENCES teams (id),
  PRIMARY KEY (task, team)
) STRICT, WITHOUT ROWID;
INSERT INTO task_teams VALUES('refunds','sales');
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
, unreachable TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;
INSERT INTO limits VALUES('ann-day','user',NULL,'ann@example.com',NULL,'gpt-*','tokens','day',100000,'Europe/Berlin','soft',1773212400123456,'');
INSERT INTO limits VALUES('everyone','everyone',NULL,NULL,NULL,'','concurrency','none',16,'','hard',1773212400123456,'');
INSERT INTO limits VALUES('helpdesk','app',NULL,NULL,'helpdesk','','cost','month',5000000,'','',1773212400123456,'');
INSERT INTO limits VALUES('support','team','support',NULL,NULL,'','requests','minute',60,'','',1773212400123456,'');
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
INSERT INTO app_keys VALUES('key-1','helpdesk','ben',X'010203ff00000000000000000000000000000000000000000000000000000000','wxyz',1773216000123456,1773219600123456,0);
INSERT INTO app_keys VALUES('key-2','ide',NULL,X'0400000000000000000000000000000000000000000000000000000000000000','abcd',1773216000123456,1773219600123456,1773216000123456);
CREATE TABLE revocations (
  id            TEXT PRIMARY KEY,
  token_id      TEXT NOT NULL,
  subject       TEXT NOT NULL,
  issued_before INTEGER NOT NULL,
  created       INTEGER NOT NULL,
  expires       INTEGER NOT NULL
, session TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;
INSERT INTO revocations VALUES('rev-1','jti-1','',0,1773223200123456,1773226800123456,'');
INSERT INTO revocations VALUES('rev-2','','ben',1773223200123456,1773223200123456,1773226800123456,'');
CREATE TABLE signing_keys (
  id      TEXT PRIMARY KEY,
  alg     TEXT NOT NULL,
  public  BLOB NOT NULL,
  private BLOB NOT NULL,
  created INTEGER NOT NULL,
  retired INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO signing_keys VALUES('kid-1','EdDSA',X'7075626c69632c206e6f742061206b6579',X'707269766174652c206e6f742061206b6579',1773230400123456,1773234000123456);
CREATE TABLE changes (
  version INTEGER PRIMARY KEY AUTOINCREMENT,
  time    INTEGER NOT NULL,
  actor   TEXT NOT NULL,
  action  TEXT NOT NULL,
  object  TEXT NOT NULL -- kind/id
, reason TEXT NOT NULL DEFAULT '', writer TEXT NOT NULL DEFAULT '', claimed INTEGER NOT NULL DEFAULT 0, recorded INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO changes VALUES(1,1795403810687722,'cli:root','put','team/sales','','',0,0);
INSERT INTO changes VALUES(2,1795403810687781,'cli:root','put','team/support','','',0,0);
INSERT INTO changes VALUES(3,1795403810687944,'cli:root','put','user/ann@example.com','','',0,0);
INSERT INTO changes VALUES(4,1795403810688098,'cli:root','put','user/ben','','',0,0);
INSERT INTO changes VALUES(5,1795403810688183,'cli:root','put','app/helpdesk','','',0,0);
INSERT INTO changes VALUES(6,1795403810688260,'cli:root','put','app/ide','','',0,0);
INSERT INTO changes VALUES(7,1795403810688683,'cli:root','put','task/refunds','','',0,0);
INSERT INTO changes VALUES(8,1795403810688904,'cli:root','put','limit/ann-day','','',0,0);
INSERT INTO changes VALUES(9,1795403810690161,'cli:root','put','limit/everyone','','',0,0);
INSERT INTO changes VALUES(10,1795403810690388,'cli:root','put','limit/helpdesk','','',0,0);
INSERT INTO changes VALUES(11,1795403810690667,'cli:root','put','limit/support','','',0,0);
INSERT INTO changes VALUES(12,1795403810690763,'cli:root','issue','key/key-1','','',0,0);
INSERT INTO changes VALUES(13,1795403810690901,'cli:root','revoke','key/key-2','','',0,0);
INSERT INTO changes VALUES(14,1795403810690972,'cli:root','revoke','revocation/rev-1','','',0,0);
INSERT INTO changes VALUES(15,1795403810691028,'cli:root','revoke','revocation/rev-2','','',0,0);
INSERT INTO changes VALUES(16,1795403810691083,'cli:root','retire','signing-key/kid-1','','',0,0);
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
INSERT INTO provider_objects VALUES('file','file-abc123','','ide','ide','','files.create',1773241200123456,0,'');
INSERT INTO provider_objects VALUES('response','resp_67ccd2bed1ec8190','ann@example.com','','helpdesk','support','responses',1773237600123456,1234,'gpt-4o-mini');
CREATE TABLE issued_tokens (
  id      TEXT PRIMARY KEY, -- the token's jti
  user    TEXT NOT NULL,    -- may be deleted while its tokens are listed, as may the app
  app     TEXT NOT NULL,
  session TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO issued_tokens VALUES('JTI2','ben','ide','sid-1',1773241200123456,1773244800123456);
CREATE TABLE subject_keys (
  id      TEXT PRIMARY KEY,
  subject TEXT NOT NULL,    -- user/…, app/… or sample/…
  master  TEXT NOT NULL,    -- the id of the master key; empty when erased
  wrapped BLOB NOT NULL,    -- empty when erased
  created INTEGER NOT NULL, -- microseconds since 1970 UTC
  erased  INTEGER NOT NULL  -- 0 for not
) STRICT, WITHOUT ROWID;
INSERT INTO subject_keys VALUES('k0','user/ben','',X'',1773241200123456,1773244800123456);
INSERT INTO subject_keys VALUES('k1','user/ann@example.com','m1',X'00ff7761',1773241200123456,0);
CREATE TABLE river_leader (
    elected_at timestamp NOT NULL,
    expires_at timestamp NOT NULL,
    leader_id text NOT NULL,
    name text PRIMARY KEY NOT NULL DEFAULT 'default' CHECK (name = 'default'),
    CONSTRAINT name_length CHECK (length(name) > 0 AND length(name) < 128),
    CONSTRAINT leader_id_length CHECK (length(leader_id) > 0 AND length(leader_id) < 128)
);
CREATE TABLE river_migration (
    line text NOT NULL,
    version integer NOT NULL,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT line_length CHECK (length(line) > 0 AND length(line) < 128),
    CONSTRAINT version_gte_1 CHECK (version >= 1),
    PRIMARY KEY (line, version)
);
INSERT INTO river_migration VALUES('main',1,'2026-11-28 10:49:34');
INSERT INTO river_migration VALUES('main',2,'2026-11-28 10:49:34');
INSERT INTO river_migration VALUES('main',3,'2026-11-28 10:49:34');
INSERT INTO river_migration VALUES('main',4,'2026-11-28 10:49:34');
INSERT INTO river_migration VALUES('main',5,'2026-11-28 10:49:34');
INSERT INTO river_migration VALUES('main',6,'2026-11-28 10:49:34');
INSERT INTO river_migration VALUES('main',7,'2026-11-29 02:00:15');
INSERT INTO river_migration VALUES('main',8,'2026-11-29 02:00:15');
CREATE TABLE samples (
  exchange TEXT PRIMARY KEY,
  drawn    INTEGER NOT NULL, -- microseconds since 1970 UTC, like every time here
  task     TEXT NOT NULL,    -- the nearest; it may be gone by now
  text     TEXT NOT NULL,    -- the version of the task's text
  model    TEXT NOT NULL,    -- the version of the scorer
  score    REAL NOT NULL,
  place    INTEGER NOT NULL  -- in the queue, drawn at random
) STRICT, WITHOUT ROWID;
CREATE TABLE labels (
  exchange TEXT NOT NULL,
  drawn    INTEGER NOT NULL,
  task     TEXT NOT NULL,
  text     TEXT NOT NULL,
  model    TEXT NOT NULL,
  score    REAL NOT NULL,
  place    INTEGER NOT NULL,
  labeller TEXT NOT NULL,
  on_task  INTEGER NOT NULL,
  labelled INTEGER NOT NULL,
  approved TEXT NOT NULL,    -- who answers for it; empty for nobody yet
  proposal TEXT NOT NULL, judge TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (exchange, labeller)
) STRICT, WITHOUT ROWID;
CREATE TABLE calibrations (
  id      TEXT PRIMARY KEY,
  model   TEXT NOT NULL,
  tasks   TEXT NOT NULL,     -- JSON: of each task its text's version and the scores of what is on task
  created INTEGER NOT NULL,
  demoted INTEGER NOT NULL   -- 0 for not
) STRICT, WITHOUT ROWID;
CREATE TABLE policies (
  number   INTEGER PRIMARY KEY,
  version  TEXT NOT NULL,    -- what records call it
  text     TEXT NOT NULL,
  author   TEXT NOT NULL,
  reason   TEXT NOT NULL,
  created  INTEGER NOT NULL, -- microseconds since 1970 UTC
  restores INTEGER NOT NULL  -- the number of the one that it brings back, 0 for none
) STRICT;
CREATE TABLE proposals (
  exchange  TEXT PRIMARY KEY,
  judge     TEXT NOT NULL,
  verdict   TEXT NOT NULL,    -- empty where it proposes nothing
  rationale BLOB NOT NULL,    -- sealed as the sample is; empty for none
  made      INTEGER NOT NULL  -- microseconds since 1970 UTC
) STRICT, WITHOUT ROWID;
CREATE TABLE system_prompts (
  id            TEXT PRIMARY KEY,
  app           TEXT NOT NULL REFERENCES apps (id),
  label         TEXT NOT NULL,
  registered_by TEXT NOT NULL,
  pieces        TEXT NOT NULL,   -- JSON: of each fixed piece its length, a short hash of its beginning and its SHA-256
  created       INTEGER NOT NULL -- microseconds since 1970 UTC
) STRICT, WITHOUT ROWID;
CREATE TABLE lessons (
  exchange TEXT PRIMARY KEY,
  drawn    INTEGER NOT NULL, -- microseconds since 1970 UTC; a row goes when the time of its day is over
  place    INTEGER NOT NULL  -- drawn at random: they are learnt from in this order
) STRICT, WITHOUT ROWID;
CREATE TABLE river_notification (
    id integer PRIMARY KEY AUTOINCREMENT,
    created_at timestamp NOT NULL DEFAULT (datetime('now', 'subsec')),
    payload text NOT NULL,
    topic text NOT NULL,
    CONSTRAINT topic_length CHECK (length(topic) > 0 AND length(topic) < 128)
);
CREATE TABLE river_queue (
    name text PRIMARY KEY NOT NULL,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    metadata blob NOT NULL DEFAULT (jsonb('{}')),
    paused_at timestamp,
    updated_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE river_job (
    id integer PRIMARY KEY AUTOINCREMENT,
    args blob NOT NULL DEFAULT (jsonb('{}')),
    attempt integer NOT NULL DEFAULT 0,
    attempted_at timestamp,
    attempted_by blob, -- json
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    errors blob, -- json
    finalized_at timestamp,
    kind text NOT NULL,
    max_attempts integer NOT NULL DEFAULT 25,
    metadata blob NOT NULL DEFAULT (jsonb('{}')),
    priority integer NOT NULL DEFAULT 1,
    queue text NOT NULL DEFAULT 'default',
    state text NOT NULL DEFAULT 'available',
    scheduled_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    tags blob NOT NULL DEFAULT (jsonb('[]')),
    unique_key blob,
    unique_states integer,
    CONSTRAINT finalized_or_finalized_at_null CHECK (
        (finalized_at IS NULL AND state NOT IN ('cancelled', 'completed', 'discarded')) OR
        (finalized_at IS NOT NULL AND state IN ('cancelled', 'completed', 'discarded'))
    ),
    CONSTRAINT priority_in_range CHECK (priority >= 1 AND priority <= 4),
    CONSTRAINT queue_length CHECK (length(queue) > 0 AND length(queue) < 128),
    CONSTRAINT kind_length CHECK (length(kind) > 0 AND length(kind) < 128),
    CONSTRAINT state_valid CHECK (state IN ('available', 'cancelled', 'completed', 'discarded', 'pending', 'retryable', 'running', 'scheduled'))
);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('changes',16);
INSERT INTO sqlite_sequence VALUES('river_job',0);
CREATE INDEX task_users_user ON task_users (user);
CREATE INDEX task_teams_team ON task_teams (team);
CREATE INDEX provider_objects_owner ON provider_objects (owner_user, owner_app, kind, created);
CREATE TRIGGER provider_objects_user AFTER DELETE ON users BEGIN
  DELETE FROM provider_objects WHERE owner_user = old.id;
END;
CREATE TRIGGER provider_objects_app AFTER DELETE ON apps BEGIN
  DELETE FROM provider_objects WHERE owner_user = '' AND owner_app = old.id;
END;
CREATE INDEX issued_tokens_expires ON issued_tokens (expires);
CREATE UNIQUE INDEX subject_keys_live ON subject_keys (subject) WHERE erased = 0;
CREATE INDEX subject_keys_subject ON subject_keys (subject);
CREATE INDEX changes_owed ON changes (version) WHERE recorded = 0;
CREATE INDEX samples_place ON samples (place);
CREATE INDEX samples_drawn ON samples (drawn);
CREATE INDEX labels_day ON labels (labeller, labelled);
CREATE INDEX system_prompts_app ON system_prompts (app);
CREATE INDEX lessons_place ON lessons (place);
CREATE INDEX lessons_drawn ON lessons (drawn);
CREATE INDEX river_notification_created_at_idx ON river_notification (created_at);
CREATE INDEX river_notification_topic_id_idx ON river_notification (topic, id);
CREATE INDEX river_job_kind ON river_job (kind);
CREATE INDEX river_job_state_and_finalized_at_index ON river_job (state, finalized_at) WHERE finalized_at IS NOT NULL;
CREATE INDEX river_job_prioritized_fetching_index ON river_job (state, queue, priority, scheduled_at, id);
CREATE UNIQUE INDEX river_job_unique_idx ON river_job (unique_key)
    WHERE unique_key IS NOT NULL
        AND unique_states IS NOT NULL
        AND CASE state
            WHEN 'available' THEN unique_states & (1 << 0)
            WHEN 'cancelled' THEN unique_states & (1 << 1)
            WHEN 'completed' THEN unique_states & (1 << 2)
            WHEN 'discarded' THEN unique_states & (1 << 3)
            WHEN 'pending'   THEN unique_states & (1 << 4)
            WHEN 'retryable' THEN unique_states & (1 << 5)
            WHEN 'running'   THEN unique_states & (1 << 6)
            WHEN 'scheduled' THEN unique_states & (1 << 7)
            ELSE 0
        END >= 1;
COMMIT;
