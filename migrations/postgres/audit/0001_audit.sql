-- The audit. Records are only ever added. A record's canonical bytes are the truth; the columns beside them are for
-- searching. Times are microseconds since 1970 UTC. Text is compared as bytes.

-- One for each start of a process. last minus records minus dead is what is missing.
CREATE TABLE plumbline_audit.writers (
  name    text COLLATE "C" PRIMARY KEY,
  records bigint NOT NULL, -- how many are in records
  dead    bigint NOT NULL, -- how many are in dead_letters alone
  last    bigint NOT NULL  -- the highest number of them
);

CREATE TABLE plumbline_audit.records (
  class       text COLLATE "C" NOT NULL, -- exchange or admin: each is kept for a time of its own
  recorded_at bigint NOT NULL,           -- the record's own time, so that sending it again gives the same key
  writer      text COLLATE "C" NOT NULL,
  seq         bigint NOT NULL,           -- 1, 2, 3, … per writer
  leaf        bytea NOT NULL,
  kind        text COLLATE "C" NOT NULL,
  exchange    text COLLATE "C" NOT NULL,
  "user"      text COLLATE "C" NOT NULL,
  team        text COLLATE "C" NOT NULL,
  app         text COLLATE "C" NOT NULL,
  action      text COLLATE "C" NOT NULL,
  reason      text COLLATE "C" NOT NULL,
  model       text COLLATE "C" NOT NULL,
  record      bytea NOT NULL,
  -- The time first: new records go to the end of the index, and it gives a search its order.
  PRIMARY KEY (recorded_at, writer, seq, class)
) PARTITION BY LIST (class);

CREATE TABLE plumbline_audit.records_exchange PARTITION OF plumbline_audit.records FOR VALUES IN ('exchange') PARTITION BY RANGE (recorded_at);
CREATE TABLE plumbline_audit.records_admin PARTITION OF plumbline_audit.records FOR VALUES IN ('admin') PARTITION BY RANGE (recorded_at);
-- What no month has a partition for, such as the records of a clock that was wrong.
CREATE TABLE plumbline_audit.records_exchange_rest PARTITION OF plumbline_audit.records_exchange DEFAULT;
CREATE TABLE plumbline_audit.records_admin_rest PARTITION OF plumbline_audit.records_admin DEFAULT;

CREATE INDEX records_exchange_key ON plumbline_audit.records (exchange) WHERE exchange <> '';
CREATE INDEX records_user_key ON plumbline_audit.records ("user", recorded_at) WHERE "user" <> '';
-- What is searched for is what is rare.
CREATE INDEX records_reason_key ON plumbline_audit.records (reason, recorded_at) WHERE reason <> '' AND reason <> 'none';
CREATE INDEX records_action_key ON plumbline_audit.records (action, recorded_at) WHERE action <> '' AND action <> 'allow';

-- Records that could not be stored, as they are, with why. Nothing is lost and nothing waits for them.
CREATE TABLE plumbline_audit.dead_letters (
  writer      text COLLATE "C" NOT NULL,
  seq         bigint NOT NULL,
  leaf        bytea NOT NULL,
  recorded_at bigint NOT NULL,
  reason      text NOT NULL,
  record      bytea NOT NULL,
  PRIMARY KEY (writer, seq, leaf)
);

-- Sums, written in the transaction that stores what they sum.
CREATE TABLE plumbline_audit.rollups (
  hour          bigint NOT NULL, -- when it begins
  "user"        text COLLATE "C" NOT NULL,
  team          text COLLATE "C" NOT NULL,
  app           text COLLATE "C" NOT NULL,
  model         text COLLATE "C" NOT NULL,
  intent        text COLLATE "C" NOT NULL,
  verdict       text COLLATE "C" NOT NULL,
  decided       bigint NOT NULL, -- calls admitted or denied in this hour
  ended         bigint NOT NULL, -- calls that ended in this hour, whose use follows
  requests      bigint NOT NULL,
  input_tokens  bigint NOT NULL,
  output_tokens bigint NOT NULL,
  cost          bigint NOT NULL, -- micro-USD
  latency       bigint[] NOT NULL, -- counts by the bounds of ship.LatencyBounds
  deviation     bigint[] NOT NULL, -- counts by tenths of the score
  PRIMARY KEY (hour, "user", team, app, model, intent, verdict)
);

-- Adds counts one by one.
CREATE FUNCTION plumbline_audit.add(a bigint[], b bigint[]) RETURNS bigint[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT pg_catalog.array_agg(coalesce(x, 0) OPERATOR(pg_catalog.+) coalesce(y, 0) ORDER BY n)
  FROM ROWS FROM (pg_catalog.unnest(a), pg_catalog.unnest(b)) WITH ORDINALITY AS c (x, y, n)
$$;

-- Makes the partitions of the month that holds a time and of so many after it, and says how many were new. A month that
-- the rest holds records of already stays there.
CREATE FUNCTION plumbline_audit.create_partitions(at bigint, ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  this date := date_trunc('month', to_timestamp(at / 1000000.0) AT TIME ZONE 'UTC');
  month date;
  class text;
  made integer := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('plumbline/audit/partitions', 0));
  FOR i IN 0 .. least(ahead, 24) LOOP
    month := this + make_interval(months => i);
    FOREACH class IN ARRAY ARRAY['exchange', 'admin'] LOOP
      CONTINUE WHEN to_regclass(format('plumbline_audit.records_%s_%s', class, to_char(month, 'YYYY_MM'))) IS NOT NULL;
      BEGIN
        EXECUTE format('CREATE TABLE plumbline_audit.records_%1$s_%2$s PARTITION OF plumbline_audit.records_%1$s FOR VALUES FROM (%3$s) TO (%4$s)',
          class, to_char(month, 'YYYY_MM'),
          (extract(epoch FROM month) * 1000000)::bigint, (extract(epoch FROM month + interval '1 month') * 1000000)::bigint);
        made := made + 1;
      EXCEPTION WHEN check_violation THEN
        RAISE WARNING 'plumbline: records of % lie in records_%_rest already and stay there', to_char(month, 'YYYY-MM'), class;
      END;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;

-- What is left of partitions that were dropped: the numbers and hashes of each writer's records, in order.
CREATE TABLE plumbline_audit.dropped (
  class   text COLLATE "C" NOT NULL,
  month   text COLLATE "C" NOT NULL, -- such as 2026_03
  writer  text COLLATE "C" NOT NULL,
  part    bigint NOT NULL, -- number divided by 100,000
  records bigint NOT NULL,
  leaves  bytea NOT NULL,  -- eight bytes of number, 32 of hash, for each
  PRIMARY KEY (class, month, writer, part)
);

-- Drops a month's records of a class and keeps their hashes. Gives how many there were.
CREATE FUNCTION plumbline_audit.drop_partition(class text, month text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  partition text := format('plumbline_audit.records_%s_%s', class, month);
  gone bigint;
BEGIN
  IF class NOT IN ('exchange', 'admin') OR month !~ '^[0-9]{4}_[0-9]{2}$' OR to_regclass(partition) IS NULL THEN
    RAISE EXCEPTION 'plumbline: there is no partition of class % and month %', class, month;
  END IF;
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', partition);
  EXECUTE format('INSERT INTO plumbline_audit.dropped SELECT %L, %L, writer, seq / 100000, count(*),
    string_agg(int8send(seq) || leaf, '''' ORDER BY seq) FROM %s GROUP BY writer, seq / 100000', class, month, partition);
  EXECUTE format('SELECT count(*) FROM %s', partition) INTO gone;
  EXECUTE format('DROP TABLE %s', partition);
  RETURN gone;
END $$;

-- Gives the roles their rights. It is called again after an administrator has made roles that were missing.
CREATE FUNCTION plumbline_audit.grant_roles() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['plumbline_writer', 'plumbline_retention', 'plumbline_reader'] LOOP
    CONTINUE WHEN NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role);
    EXECUTE format('GRANT USAGE ON SCHEMA plumbline_audit TO %I', role);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA plumbline_audit TO %I', role);
    CASE role
      WHEN 'plumbline_writer' THEN
        GRANT INSERT ON plumbline_audit.records, plumbline_audit.dead_letters TO plumbline_writer;
        GRANT INSERT, UPDATE ON plumbline_audit.rollups, plumbline_audit.writers TO plumbline_writer;
        GRANT EXECUTE ON FUNCTION plumbline_audit.create_partitions(bigint, integer), plumbline_audit.add(bigint[], bigint[]) TO plumbline_writer;
      WHEN 'plumbline_retention' THEN
        GRANT EXECUTE ON FUNCTION plumbline_audit.drop_partition(text, text) TO plumbline_retention;
      ELSE
    END CASE;
  END LOOP;
END $$;

REVOKE ALL ON FUNCTION plumbline_audit.create_partitions(bigint, integer), plumbline_audit.drop_partition(text, text), plumbline_audit.grant_roles() FROM PUBLIC;

-- Roles are the server's, not the database's: they may be there already, and the user may not be allowed to make them.
DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['plumbline_writer', 'plumbline_retention', 'plumbline_reader'] LOOP
    CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role);
    BEGIN
      EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', role);
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL; -- made by another migration at this moment
      WHEN insufficient_privilege THEN
        RAISE WARNING 'plumbline: % may not make the role %: have an administrator run CREATE ROLE % NOLOGIN, then SELECT plumbline_audit.grant_roles()', current_user, role, role;
    END;
  END LOOP;
END $$;
SELECT plumbline_audit.grant_roles();
