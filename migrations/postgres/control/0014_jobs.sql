-- What River's versions since bring to the tables of background jobs. Up to the last statement this is the text of its own
-- migrations 7 and 8, with the schema filled in: Copyright River's authors, Mozilla Public License 2.0,
-- https://github.com/riverqueue/river. A test of internal/jobs compares it with the module in use, as 0007.

--
-- Notification outbox.
--

CREATE TABLE plumbline.river_notification (
    id bigserial PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    payload text NOT NULL,
    topic text NOT NULL,
    CONSTRAINT topic_length CHECK (length(topic) > 0 AND length(topic) < 128)
);

CREATE INDEX river_notification_created_at_idx ON plumbline.river_notification (created_at);
CREATE INDEX river_notification_topic_id_idx ON plumbline.river_notification (topic, id);

--
-- SQLite JSONB conversion.
--
-- No-op. Postgres already stores River JSON columns as jsonb.

--
-- SQL cleanup.
--

--
-- Drop unused tables `river_client` and `river_client_queue`.
--

DROP TABLE plumbline.river_client_queue;
DROP TABLE plumbline.river_client;

--
-- Adds `DEFAULT 25` to `river_job.max_attempts`.
--

ALTER TABLE plumbline.river_job
    ALTER COLUMN max_attempts SET DEFAULT 25;

--
-- Changes `river_queue.updated_at` to have a default of `CURRENT_TIMESTAMP`.
--

ALTER TABLE plumbline.river_queue
    ALTER COLUMN updated_at SET DEFAULT CURRENT_TIMESTAMP;

-- No-op. Postgres sequences already prevent automatically generated job IDs
-- from being reused.
SELECT 1;

-- What River's own tools read of it.
INSERT INTO plumbline.river_migration (line, version) VALUES ('main', 7), ('main', 8);
