-- Searching by task, intent and the text of the reason, each filter by an index in the order of time, and sums by the day.

-- The texts that explain verdicts (audit.Explanation), in lower case, each once. Tasks, rules and reasons make them, not
-- callers: there are few. reason is the code that the text begins with, so that its public words can be searched too.
CREATE TABLE plumbline_audit.explanations (
  id     bigint PRIMARY KEY, -- a hash of the text; two texts of one id are told apart by the records themselves
  reason text COLLATE "C" NOT NULL,
  text   text COLLATE "C" NOT NULL
);

ALTER TABLE plumbline_audit.records
  ADD COLUMN task text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN intent text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN explanation bigint NOT NULL DEFAULT 0; -- explanations.id, 0 for none

-- Records of before: what the columns would be. One that is no JSON any more keeps the empty values.
CREATE FUNCTION plumbline_audit.member(record bytea, VARIADIC path text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN left(coalesce(convert_from(record, 'UTF8')::json #>> path, ''), 64);
EXCEPTION WHEN data_exception THEN
  RETURN '';
END $$;
CREATE TEMPORARY TABLE plumbline_explained ON COMMIT DROP AS
  SELECT recorded_at, writer, seq, class, reason,
    plumbline_audit.member(record, 'deviation', 'task') AS task,
    plumbline_audit.member(record, 'intent', 'label') AS intent,
    lower(concat_ws(E'\n',
      nullif(nullif(reason, ''), 'none'),
      nullif(plumbline_audit.member(record, 'verdict', 'rule'), ''),
      nullif(plumbline_audit.member(record, 'deviation', 'task'), ''),
      nullif(plumbline_audit.member(record, 'deviation', 'phrase'), ''),
      nullif(plumbline_audit.member(record, 'intent', 'unscored'), ''),
      nullif(plumbline_audit.member(record, 'deviation', 'unscored'), ''),
      nullif(plumbline_audit.member(record, 'admin', 'action'), ''),
      nullif(split_part(plumbline_audit.member(record, 'admin', 'object'), '/', 1), ''))) AS text
  FROM plumbline_audit.records;
INSERT INTO plumbline_audit.explanations
  SELECT hashtextextended(text, 0), min(CASE reason WHEN 'none' THEN '' ELSE reason END), text
  FROM plumbline_explained WHERE text <> '' GROUP BY text ON CONFLICT DO NOTHING;
UPDATE plumbline_audit.records AS r
  SET task = e.task, intent = e.intent, explanation = CASE e.text WHEN '' THEN 0 ELSE hashtextextended(e.text, 0) END
  FROM plumbline_explained AS e
  WHERE (r.recorded_at, r.writer, r.seq, r.class) = (e.recorded_at, e.writer, e.seq, e.class)
    AND (e.task <> '' OR e.intent <> '' OR e.text <> '');
DROP FUNCTION plumbline_audit.member(bytea, text[]);

-- Equality in front, the time behind: whatever a search asks for, the sparsest of its filters leads it.
CREATE INDEX records_team_key ON plumbline_audit.records (team, recorded_at) WHERE team <> '';
CREATE INDEX records_app_key ON plumbline_audit.records (app, recorded_at) WHERE app <> '';
CREATE INDEX records_model_key ON plumbline_audit.records (model, recorded_at) WHERE model <> '';
CREATE INDEX records_task_key ON plumbline_audit.records (task, recorded_at) WHERE task <> '';
CREATE INDEX records_intent_key ON plumbline_audit.records (intent, recorded_at) WHERE intent <> '';
CREATE INDEX records_explanation_key ON plumbline_audit.records (explanation, recorded_at) WHERE explanation <> 0;
CREATE INDEX records_kind_key ON plumbline_audit.records (kind, recorded_at) WHERE kind <> 'intent' AND kind <> 'outcome';

-- The sums of rollups by the day (hour is when it begins, UTC), without people, and of people without what they asked for:
-- what goes over weeks is answered from these, and from rollups at its ends.
CREATE TABLE plumbline_audit.rollups_day (LIKE plumbline_audit.rollups INCLUDING ALL);
CREATE TABLE plumbline_audit.rollups_day_user (LIKE plumbline_audit.rollups INCLUDING ALL);
CREATE INDEX rollups_user_key ON plumbline_audit.rollups ("user", hour);
CREATE AGGREGATE plumbline_audit.total(bigint[]) (SFUNC = plumbline_audit.add, STYPE = bigint[]);
INSERT INTO plumbline_audit.rollups_day
  SELECT hour - ((hour % 86400000000) + 86400000000) % 86400000000, '', team, app, model, intent, verdict, sum(decided), sum(ended),
    sum(requests), sum(input_tokens), sum(output_tokens), sum(cost), plumbline_audit.total(latency), plumbline_audit.total(deviation)
  FROM plumbline_audit.rollups GROUP BY 1, 2, 3, 4, 5, 6, 7;
INSERT INTO plumbline_audit.rollups_day_user
  SELECT hour - ((hour % 86400000000) + 86400000000) % 86400000000, "user", team, '', '', '', verdict, sum(decided), sum(ended),
    sum(requests), sum(input_tokens), sum(output_tokens), sum(cost), plumbline_audit.total(latency), plumbline_audit.total(deviation)
  FROM plumbline_audit.rollups GROUP BY 1, 2, 3, 4, 5, 6, 7;
DROP AGGREGATE plumbline_audit.total(bigint[]);

-- Deletes sums of a month, as before, and those by the day with them.
CREATE OR REPLACE FUNCTION plumbline_audit.retire_rollups(month text, before bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  ends bigint := plumbline_audit.end_of_past_month(month, before);
  begins bigint := (extract(epoch FROM to_date(month || '_01', 'YYYY_MM_DD')) * 1000000)::bigint;
  gone bigint := 0;
  part bigint;
  sums text;
BEGIN
  IF NOT plumbline_audit.is_declared('retention/rollups/' || month || '/') THEN
    RETURN NULL;
  END IF;
  FOREACH sums IN ARRAY ARRAY['rollups', 'rollups_day', 'rollups_day_user'] LOOP
    EXECUTE format('DELETE FROM plumbline_audit.%1$I WHERE ctid = ANY (ARRAY(SELECT ctid FROM plumbline_audit.%1$I
      WHERE hour >= $1 AND hour < $2 LIMIT 5000))', sums) USING begins, ends;
    GET DIAGNOSTICS part = ROW_COUNT;
    gone := gone + part;
  END LOOP;
  RETURN gone;
END $$;

-- The rights of before, and those on the new tables.
CREATE OR REPLACE FUNCTION plumbline_audit.grant_roles() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['plumbline_writer', 'plumbline_retention', 'plumbline_reader'] LOOP
    CONTINUE WHEN NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role);
    EXECUTE format('GRANT USAGE ON SCHEMA plumbline_audit TO %I', role);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA plumbline_audit TO %I', role);
    CASE role
      WHEN 'plumbline_writer' THEN
        GRANT INSERT ON plumbline_audit.records, plumbline_audit.dead_letters, plumbline_audit.checkpoints, plumbline_audit.explanations TO plumbline_writer;
        GRANT INSERT, UPDATE ON plumbline_audit.rollups, plumbline_audit.rollups_day, plumbline_audit.rollups_day_user, plumbline_audit.writers TO plumbline_writer;
        GRANT EXECUTE ON FUNCTION plumbline_audit.create_partitions(bigint, integer), plumbline_audit.add(bigint[], bigint[]) TO plumbline_writer;
      WHEN 'plumbline_retention' THEN
        GRANT EXECUTE ON FUNCTION plumbline_audit.retire_partition(text, text, bigint), plumbline_audit.retire_rollups(text, bigint) TO plumbline_retention;
      ELSE
    END CASE;
  END LOOP;
END $$;
SELECT plumbline_audit.grant_roles();
