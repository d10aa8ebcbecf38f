--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: plumbline_audit; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA plumbline_audit;


--
-- Name: add(bigint[], bigint[]); Type: FUNCTION; Schema: plumbline_audit; Owner: -
--

CREATE FUNCTION plumbline_audit.add(a bigint[], b bigint[]) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  SELECT pg_catalog.array_agg(coalesce(x, 0) OPERATOR(pg_catalog.+) coalesce(y, 0) ORDER BY n)
  FROM ROWS FROM (pg_catalog.unnest(a), pg_catalog.unnest(b)) WITH ORDINALITY AS c (x, y, n)
$$;


--
-- Name: create_partitions(bigint, integer); Type: FUNCTION; Schema: plumbline_audit; Owner: -
--

CREATE FUNCTION plumbline_audit.create_partitions(at bigint, ahead integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
END $_$;


--
-- Name: drop_partition(text, text); Type: FUNCTION; Schema: plumbline_audit; Owner: -
--

CREATE FUNCTION plumbline_audit.drop_partition(class text, month text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
  EXECUTE format('INSERT INTO plumbline_audit.drop_entries SELECT writer, seq, record FROM %s
    WHERE kind = ''admin'' AND (exchange LIKE ''drop/%%'' OR exchange LIKE ''retention/rollups/%%'') ON CONFLICT DO NOTHING', partition);
  EXECUTE format('SELECT count(*) FROM %s', partition) INTO gone;
  EXECUTE format('DROP TABLE %s', partition);
  RETURN gone;
END $_$;


--
-- Name: end_of_past_month(text, bigint); Type: FUNCTION; Schema: plumbline_audit; Owner: -
--

CREATE FUNCTION plumbline_audit.end_of_past_month(month text, before bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
  ends bigint;
BEGIN
  IF month !~ '^[0-9]{4}_(0[1-9]|1[0-2])$' THEN
    RAISE EXCEPTION 'plumbline: % is no month', month USING ERRCODE = 'invalid_parameter_value';
  END IF;
  ends := (extract(epoch FROM to_date(month || '_01', 'YYYY_MM_DD') + interval '1 month') * 1000000)::bigint;
  IF ends > before OR ends > ((extract(epoch FROM clock_timestamp()) - 35 * 86400) * 1000000)::bigint THEN
    RAISE EXCEPTION 'plumbline: % has records that are to be kept', month USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN ends;
END $_$;


--
-- Name: grant_roles(); Type: FUNCTION; Schema: plumbline_audit; Owner: -
--

CREATE FUNCTION plumbline_audit.grant_roles() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


--
-- Name: is_declared(text); Type: FUNCTION; Schema: plumbline_audit; Owner: -
--

CREATE FUNCTION plumbline_audit.is_declared(beginning text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  -- 0 is the character after /.
  SELECT EXISTS (SELECT FROM plumbline_audit.records
    WHERE exchange >= beginning AND exchange < rtrim(beginning, '/') || '0' AND exchange <> '' AND class = 'admin')
$$;


--
-- Name: retire_partition(text, text, bigint); Type: FUNCTION; Schema: plumbline_audit; Owner: -
--

CREATE FUNCTION plumbline_audit.retire_partition(class text, month text, before bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '5s'
    AS $$
BEGIN
  IF class NOT IN ('exchange', 'admin') THEN
    RAISE EXCEPTION 'plumbline: there is no class %', class USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM plumbline_audit.end_of_past_month(month, before);
  PERFORM pg_advisory_xact_lock(hashtextextended('plumbline/audit/partitions', 0));
  IF to_regclass(format('plumbline_audit.records_%s_%s', class, month)) IS NULL THEN
    RETURN 0;
  END IF;
  IF NOT plumbline_audit.is_declared(format('drop/%s/%s/', class, month)) THEN
    RETURN NULL;
  END IF;
  RETURN plumbline_audit.drop_partition(class, month);
END $$;


--
-- Name: retire_rollups(text, bigint); Type: FUNCTION; Schema: plumbline_audit; Owner: -
--

CREATE FUNCTION plumbline_audit.retire_rollups(month text, before bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
END $_$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: checkpoints; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.checkpoints (
    writer text NOT NULL COLLATE pg_catalog."C",
    size bigint NOT NULL,
    note bytea NOT NULL
);


--
-- Name: dead_letters; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.dead_letters (
    writer text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    leaf bytea NOT NULL,
    recorded_at bigint NOT NULL,
    reason text NOT NULL,
    record bytea NOT NULL
);


--
-- Name: drop_entries; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.drop_entries (
    writer text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    record bytea NOT NULL
);


--
-- Name: dropped; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.dropped (
    class text NOT NULL COLLATE pg_catalog."C",
    month text NOT NULL COLLATE pg_catalog."C",
    writer text NOT NULL COLLATE pg_catalog."C",
    part bigint NOT NULL,
    records bigint NOT NULL,
    leaves bytea NOT NULL
);


--
-- Name: explanations; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.explanations (
    id bigint NOT NULL,
    reason text NOT NULL COLLATE pg_catalog."C",
    text text NOT NULL COLLATE pg_catalog."C"
);


--
-- Name: records; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.records (
    class text NOT NULL COLLATE pg_catalog."C",
    recorded_at bigint NOT NULL,
    writer text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    leaf bytea NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    exchange text NOT NULL COLLATE pg_catalog."C",
    "user" text NOT NULL COLLATE pg_catalog."C",
    team text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    record bytea NOT NULL,
    task text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    intent text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    explanation bigint DEFAULT 0 NOT NULL
)
PARTITION BY LIST (class);


--
-- Name: records_admin; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.records_admin (
    class text NOT NULL COLLATE pg_catalog."C",
    recorded_at bigint NOT NULL,
    writer text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    leaf bytea NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    exchange text NOT NULL COLLATE pg_catalog."C",
    "user" text NOT NULL COLLATE pg_catalog."C",
    team text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    record bytea NOT NULL,
    task text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    intent text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    explanation bigint DEFAULT 0 NOT NULL
)
PARTITION BY RANGE (recorded_at);


--
-- Name: records_admin_2026_03; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.records_admin_2026_03 (
    class text NOT NULL COLLATE pg_catalog."C",
    recorded_at bigint NOT NULL,
    writer text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    leaf bytea NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    exchange text NOT NULL COLLATE pg_catalog."C",
    "user" text NOT NULL COLLATE pg_catalog."C",
    team text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    record bytea NOT NULL,
    task text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    intent text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    explanation bigint DEFAULT 0 NOT NULL
);


--
-- Name: records_admin_2026_04; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.records_admin_2026_04 (
    class text NOT NULL COLLATE pg_catalog."C",
    recorded_at bigint NOT NULL,
    writer text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    leaf bytea NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    exchange text NOT NULL COLLATE pg_catalog."C",
    "user" text NOT NULL COLLATE pg_catalog."C",
    team text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    record bytea NOT NULL,
    task text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    intent text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    explanation bigint DEFAULT 0 NOT NULL
);


--
-- Name: records_admin_rest; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.records_admin_rest (
    class text NOT NULL COLLATE pg_catalog."C",
    recorded_at bigint NOT NULL,
    writer text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    leaf bytea NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    exchange text NOT NULL COLLATE pg_catalog."C",
    "user" text NOT NULL COLLATE pg_catalog."C",
    team text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    record bytea NOT NULL,
    task text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    intent text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    explanation bigint DEFAULT 0 NOT NULL
);


--
-- Name: records_exchange; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.records_exchange (
    class text NOT NULL COLLATE pg_catalog."C",
    recorded_at bigint NOT NULL,
    writer text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    leaf bytea NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    exchange text NOT NULL COLLATE pg_catalog."C",
    "user" text NOT NULL COLLATE pg_catalog."C",
    team text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    record bytea NOT NULL,
    task text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    intent text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    explanation bigint DEFAULT 0 NOT NULL
)
PARTITION BY RANGE (recorded_at);


--
-- Name: records_exchange_2026_03; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.records_exchange_2026_03 (
    class text NOT NULL COLLATE pg_catalog."C",
    recorded_at bigint NOT NULL,
    writer text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    leaf bytea NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    exchange text NOT NULL COLLATE pg_catalog."C",
    "user" text NOT NULL COLLATE pg_catalog."C",
    team text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    record bytea NOT NULL,
    task text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    intent text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    explanation bigint DEFAULT 0 NOT NULL
);


--
-- Name: records_exchange_2026_04; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.records_exchange_2026_04 (
    class text NOT NULL COLLATE pg_catalog."C",
    recorded_at bigint NOT NULL,
    writer text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    leaf bytea NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    exchange text NOT NULL COLLATE pg_catalog."C",
    "user" text NOT NULL COLLATE pg_catalog."C",
    team text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    record bytea NOT NULL,
    task text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    intent text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    explanation bigint DEFAULT 0 NOT NULL
);


--
-- Name: records_exchange_rest; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.records_exchange_rest (
    class text NOT NULL COLLATE pg_catalog."C",
    recorded_at bigint NOT NULL,
    writer text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    leaf bytea NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    exchange text NOT NULL COLLATE pg_catalog."C",
    "user" text NOT NULL COLLATE pg_catalog."C",
    team text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    record bytea NOT NULL,
    task text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    intent text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    explanation bigint DEFAULT 0 NOT NULL
);


--
-- Name: rollups; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.rollups (
    hour bigint NOT NULL,
    "user" text NOT NULL COLLATE pg_catalog."C",
    team text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    intent text NOT NULL COLLATE pg_catalog."C",
    verdict text NOT NULL COLLATE pg_catalog."C",
    decided bigint NOT NULL,
    ended bigint NOT NULL,
    requests bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cost bigint NOT NULL,
    latency bigint[] NOT NULL,
    deviation bigint[] NOT NULL
);


--
-- Name: rollups_day; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.rollups_day (
    hour bigint NOT NULL,
    "user" text NOT NULL COLLATE pg_catalog."C",
    team text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    intent text NOT NULL COLLATE pg_catalog."C",
    verdict text NOT NULL COLLATE pg_catalog."C",
    decided bigint NOT NULL,
    ended bigint NOT NULL,
    requests bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cost bigint NOT NULL,
    latency bigint[] NOT NULL,
    deviation bigint[] NOT NULL
);


--
-- Name: rollups_day_user; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.rollups_day_user (
    hour bigint NOT NULL,
    "user" text NOT NULL COLLATE pg_catalog."C",
    team text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    intent text NOT NULL COLLATE pg_catalog."C",
    verdict text NOT NULL COLLATE pg_catalog."C",
    decided bigint NOT NULL,
    ended bigint NOT NULL,
    requests bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cost bigint NOT NULL,
    latency bigint[] NOT NULL,
    deviation bigint[] NOT NULL
);


--
-- Name: schema_version; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.schema_version (
    version bigint NOT NULL,
    name text NOT NULL,
    applied bigint NOT NULL
);


--
-- Name: writers; Type: TABLE; Schema: plumbline_audit; Owner: -
--

CREATE TABLE plumbline_audit.writers (
    name text NOT NULL COLLATE pg_catalog."C",
    records bigint NOT NULL,
    dead bigint NOT NULL,
    last bigint NOT NULL
);


--
-- Name: records_admin; Type: TABLE ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records ATTACH PARTITION plumbline_audit.records_admin FOR VALUES IN ('admin');


--
-- Name: records_admin_2026_03; Type: TABLE ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records_admin ATTACH PARTITION plumbline_audit.records_admin_2026_03 FOR VALUES FROM ('1772323200000000') TO ('1775001600000000');


--
-- Name: records_admin_2026_04; Type: TABLE ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records_admin ATTACH PARTITION plumbline_audit.records_admin_2026_04 FOR VALUES FROM ('1775001600000000') TO ('1777593600000000');


--
-- Name: records_admin_rest; Type: TABLE ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records_admin ATTACH PARTITION plumbline_audit.records_admin_rest DEFAULT;


--
-- Name: records_exchange; Type: TABLE ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records ATTACH PARTITION plumbline_audit.records_exchange FOR VALUES IN ('exchange');


--
-- Name: records_exchange_2026_03; Type: TABLE ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records_exchange ATTACH PARTITION plumbline_audit.records_exchange_2026_03 FOR VALUES FROM ('1772323200000000') TO ('1775001600000000');


--
-- Name: records_exchange_2026_04; Type: TABLE ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records_exchange ATTACH PARTITION plumbline_audit.records_exchange_2026_04 FOR VALUES FROM ('1775001600000000') TO ('1777593600000000');


--
-- Name: records_exchange_rest; Type: TABLE ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records_exchange ATTACH PARTITION plumbline_audit.records_exchange_rest DEFAULT;


--
-- Data for Name: checkpoints; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--



--
-- Data for Name: dead_letters; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--



--
-- Data for Name: drop_entries; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--



--
-- Data for Name: dropped; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--



--
-- Data for Name: explanations; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--

INSERT INTO plumbline_audit.explanations VALUES (7736010102475198170, 'off_task', 'off_task
deviation.block
refunds
late parcels');
INSERT INTO plumbline_audit.explanations VALUES (7761742456132818278, '', 'put
user');


--
-- Data for Name: records_admin_2026_03; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--

INSERT INTO plumbline_audit.records_admin_2026_03 VALUES ('admin', 1775000400000000, 'w1', 2, '\x2e8dfefdda8fd5be322783b075cfe00492378b9c4d00c4c9e97425e6687033d6', 'admin', '', '', '', '', '', '', '', '\x7b226b696e64223a2261646d696e222c2274696d65223a22323032362d30332d33315432333a34303a30305a222c227072696e636970616c223a7b226d6574686f64223a22227d2c2261646d696e223a7b226163746f72223a22636c693a726f6f74222c22616374696f6e223a22707574222c226f626a656374223a22757365722f616e6e227d7d', '', '', 7761742456132818278);


--
-- Data for Name: records_admin_2026_04; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--



--
-- Data for Name: records_admin_rest; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--



--
-- Data for Name: records_exchange_2026_03; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--

INSERT INTO plumbline_audit.records_exchange_2026_03 VALUES ('exchange', 1774999800000000, 'w1', 1, '\xf0e651278c3dcbc6e8c92269464a455463bf44b78d97b849d186e7a6ca1577c7', 'deny', '0195-1', 'ann', 'support', 'ide', 'block', 'off_task', 'gpt-4o', '\x7b226b696e64223a2264656e79222c2274696d65223a22323032362d30332d33315432333a33303a30305a222c2265786368616e6765223a22303139352d31222c227072696e636970616c223a7b2275736572223a22616e6e222c227465616d223a22737570706f7274222c22617070223a22696465222c226d6574686f64223a226170705f6b6579227d2c226d6f64656c223a226770742d346f222c22696e74656e74223a7b226c6162656c223a2262616e6b696e67222c22636f6e666964656e6365223a302e392c226d6f64656c223a226d227d2c22646576696174696f6e223a7b2273636f7265223a302e382c226e223a302c2263616c69627261746564223a66616c73652c227461736b223a22726566756e6473222c22706872617365223a224c6174652070617263656c73222c226d6f64656c223a226d227d2c2276657264696374223a7b22616374696f6e223a22626c6f636b222c2264656369646564223a22626c6f636b222c22726561736f6e223a226f66665f7461736b222c2272756c65223a22646576696174696f6e2e626c6f636b227d2c22726561736f6e223a226f66665f7461736b227d', 'refunds', 'banking', 7736010102475198170);


--
-- Data for Name: records_exchange_2026_04; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--

INSERT INTO plumbline_audit.records_exchange_2026_04 VALUES ('exchange', 1775002200000000, 'w1', 3, '\xe0a04c309f41c0a119b2d1f3a0d2d0b4d4742e7b9d16478778af5ebe79749522', 'intent', '0195-2', 'a�b', '', '', '', 'none', '', '\x7b226b696e64223a22696e74656e74222c2274696d65223a22323032362d30342d30315430303a31303a30305a222c2265786368616e6765223a22303139352d32222c227072696e636970616c223a7b2275736572223a22615c753030303062222c226d6574686f64223a22227d2c22726561736f6e223a226e6f6e65227d', '', '', 0);


--
-- Data for Name: records_exchange_rest; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--



--
-- Data for Name: rollups; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--

INSERT INTO plumbline_audit.rollups VALUES (1774998000000000, 'ann', 'support', 'ide', 'gpt-4o', 'banking', 'block', 1, 2, 3, 4, 5, 6, '{1,0,0,0,0,0,0,0,0,0,0,2}', '{0,0,0,0,0,0,0,0,1,0}');
INSERT INTO plumbline_audit.rollups VALUES (1774994400000000, 'ann', 'support', 'ide', 'gpt-4o', 'banking', 'allow', 1, 2, 3, 4, 5, 6, '{1,0,0,0,0,0,0,0,0,0,0,2}', '{0,0,0,0,0,0,0,0,1,0}');


--
-- Data for Name: rollups_day; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--

INSERT INTO plumbline_audit.rollups_day VALUES (1774915200000000, '', 'support', 'ide', 'gpt-4o', 'banking', 'block', 1, 2, 3, 4, 5, 6, '{1,0,0,0,0,0,0,0,0,0,0,2}', '{0,0,0,0,0,0,0,0,1,0}');
INSERT INTO plumbline_audit.rollups_day VALUES (1774915200000000, '', 'support', 'ide', 'gpt-4o', 'banking', 'allow', 1, 2, 3, 4, 5, 6, '{1,0,0,0,0,0,0,0,0,0,0,2}', '{0,0,0,0,0,0,0,0,1,0}');


--
-- Data for Name: rollups_day_user; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--

INSERT INTO plumbline_audit.rollups_day_user VALUES (1774915200000000, 'ann', 'support', '', '', '', 'block', 1, 2, 3, 4, 5, 6, '{1,0,0,0,0,0,0,0,0,0,0,2}', '{0,0,0,0,0,0,0,0,1,0}');
INSERT INTO plumbline_audit.rollups_day_user VALUES (1774915200000000, 'ann', 'support', '', '', '', 'allow', 1, 2, 3, 4, 5, 6, '{1,0,0,0,0,0,0,0,0,0,0,2}', '{0,0,0,0,0,0,0,0,1,0}');


--
-- Data for Name: schema_version; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--

INSERT INTO plumbline_audit.schema_version VALUES (1, '0001_audit.sql', 1795873131352227);
INSERT INTO plumbline_audit.schema_version VALUES (2, '0002_checkpoints.sql', 1795873131445794);
INSERT INTO plumbline_audit.schema_version VALUES (3, '0003_retention.sql', 1795873131466600);
INSERT INTO plumbline_audit.schema_version VALUES (4, '0004_search.sql', 1795873131862779);
INSERT INTO plumbline_audit.schema_version VALUES (5, '0005_kept_declarations.sql', 1795873131960311);


--
-- Data for Name: writers; Type: TABLE DATA; Schema: plumbline_audit; Owner: -
--

INSERT INTO plumbline_audit.writers VALUES ('w1', 3, 0, 3);


--
-- Name: checkpoints checkpoints_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (writer, size);


--
-- Name: dead_letters dead_letters_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (writer, seq, leaf);


--
-- Name: drop_entries drop_entries_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.drop_entries
    ADD CONSTRAINT drop_entries_pkey PRIMARY KEY (writer, seq);


--
-- Name: dropped dropped_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.dropped
    ADD CONSTRAINT dropped_pkey PRIMARY KEY (class, month, writer, part);


--
-- Name: explanations explanations_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.explanations
    ADD CONSTRAINT explanations_pkey PRIMARY KEY (id);


--
-- Name: records records_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records
    ADD CONSTRAINT records_pkey PRIMARY KEY (recorded_at, writer, seq, class);


--
-- Name: records_admin records_admin_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records_admin
    ADD CONSTRAINT records_admin_pkey PRIMARY KEY (recorded_at, writer, seq, class);


--
-- Name: records_admin_2026_03 records_admin_2026_03_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records_admin_2026_03
    ADD CONSTRAINT records_admin_2026_03_pkey PRIMARY KEY (recorded_at, writer, seq, class);


--
-- Name: records_admin_2026_04 records_admin_2026_04_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records_admin_2026_04
    ADD CONSTRAINT records_admin_2026_04_pkey PRIMARY KEY (recorded_at, writer, seq, class);


--
-- Name: records_admin_rest records_admin_rest_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records_admin_rest
    ADD CONSTRAINT records_admin_rest_pkey PRIMARY KEY (recorded_at, writer, seq, class);


--
-- Name: records_exchange records_exchange_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records_exchange
    ADD CONSTRAINT records_exchange_pkey PRIMARY KEY (recorded_at, writer, seq, class);


--
-- Name: records_exchange_2026_03 records_exchange_2026_03_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records_exchange_2026_03
    ADD CONSTRAINT records_exchange_2026_03_pkey PRIMARY KEY (recorded_at, writer, seq, class);


--
-- Name: records_exchange_2026_04 records_exchange_2026_04_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records_exchange_2026_04
    ADD CONSTRAINT records_exchange_2026_04_pkey PRIMARY KEY (recorded_at, writer, seq, class);


--
-- Name: records_exchange_rest records_exchange_rest_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.records_exchange_rest
    ADD CONSTRAINT records_exchange_rest_pkey PRIMARY KEY (recorded_at, writer, seq, class);


--
-- Name: rollups_day rollups_day_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.rollups_day
    ADD CONSTRAINT rollups_day_pkey PRIMARY KEY (hour, "user", team, app, model, intent, verdict);


--
-- Name: rollups_day_user rollups_day_user_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.rollups_day_user
    ADD CONSTRAINT rollups_day_user_pkey PRIMARY KEY (hour, "user", team, app, model, intent, verdict);


--
-- Name: rollups rollups_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.rollups
    ADD CONSTRAINT rollups_pkey PRIMARY KEY (hour, "user", team, app, model, intent, verdict);


--
-- Name: schema_version schema_version_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (version);


--
-- Name: writers writers_pkey; Type: CONSTRAINT; Schema: plumbline_audit; Owner: -
--

ALTER TABLE ONLY plumbline_audit.writers
    ADD CONSTRAINT writers_pkey PRIMARY KEY (name);


--
-- Name: records_action_key; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_action_key ON ONLY plumbline_audit.records USING btree (action, recorded_at) WHERE ((action <> ''::text) AND (action <> 'allow'::text));


--
-- Name: records_admin_action_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_action_recorded_at_idx ON ONLY plumbline_audit.records_admin USING btree (action, recorded_at) WHERE ((action <> ''::text) AND (action <> 'allow'::text));


--
-- Name: records_admin_2026_03_action_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_03_action_recorded_at_idx ON plumbline_audit.records_admin_2026_03 USING btree (action, recorded_at) WHERE ((action <> ''::text) AND (action <> 'allow'::text));


--
-- Name: records_app_key; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_app_key ON ONLY plumbline_audit.records USING btree (app, recorded_at) WHERE (app <> ''::text);


--
-- Name: records_admin_app_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_app_recorded_at_idx ON ONLY plumbline_audit.records_admin USING btree (app, recorded_at) WHERE (app <> ''::text);


--
-- Name: records_admin_2026_03_app_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_03_app_recorded_at_idx ON plumbline_audit.records_admin_2026_03 USING btree (app, recorded_at) WHERE (app <> ''::text);


--
-- Name: records_exchange_key; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_key ON ONLY plumbline_audit.records USING btree (exchange) WHERE (exchange <> ''::text);


--
-- Name: records_admin_exchange_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_exchange_idx ON ONLY plumbline_audit.records_admin USING btree (exchange) WHERE (exchange <> ''::text);


--
-- Name: records_admin_2026_03_exchange_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_03_exchange_idx ON plumbline_audit.records_admin_2026_03 USING btree (exchange) WHERE (exchange <> ''::text);


--
-- Name: records_explanation_key; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_explanation_key ON ONLY plumbline_audit.records USING btree (explanation, recorded_at) WHERE (explanation <> 0);


--
-- Name: records_admin_explanation_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_explanation_recorded_at_idx ON ONLY plumbline_audit.records_admin USING btree (explanation, recorded_at) WHERE (explanation <> 0);


--
-- Name: records_admin_2026_03_explanation_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_03_explanation_recorded_at_idx ON plumbline_audit.records_admin_2026_03 USING btree (explanation, recorded_at) WHERE (explanation <> 0);


--
-- Name: records_intent_key; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_intent_key ON ONLY plumbline_audit.records USING btree (intent, recorded_at) WHERE (intent <> ''::text);


--
-- Name: records_admin_intent_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_intent_recorded_at_idx ON ONLY plumbline_audit.records_admin USING btree (intent, recorded_at) WHERE (intent <> ''::text);


--
-- Name: records_admin_2026_03_intent_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_03_intent_recorded_at_idx ON plumbline_audit.records_admin_2026_03 USING btree (intent, recorded_at) WHERE (intent <> ''::text);


--
-- Name: records_kind_key; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_kind_key ON ONLY plumbline_audit.records USING btree (kind, recorded_at) WHERE ((kind <> 'intent'::text) AND (kind <> 'outcome'::text));


--
-- Name: records_admin_kind_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_kind_recorded_at_idx ON ONLY plumbline_audit.records_admin USING btree (kind, recorded_at) WHERE ((kind <> 'intent'::text) AND (kind <> 'outcome'::text));


--
-- Name: records_admin_2026_03_kind_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_03_kind_recorded_at_idx ON plumbline_audit.records_admin_2026_03 USING btree (kind, recorded_at) WHERE ((kind <> 'intent'::text) AND (kind <> 'outcome'::text));


--
-- Name: records_model_key; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_model_key ON ONLY plumbline_audit.records USING btree (model, recorded_at) WHERE (model <> ''::text);


--
-- Name: records_admin_model_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_model_recorded_at_idx ON ONLY plumbline_audit.records_admin USING btree (model, recorded_at) WHERE (model <> ''::text);


--
-- Name: records_admin_2026_03_model_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_03_model_recorded_at_idx ON plumbline_audit.records_admin_2026_03 USING btree (model, recorded_at) WHERE (model <> ''::text);


--
-- Name: records_reason_key; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_reason_key ON ONLY plumbline_audit.records USING btree (reason, recorded_at) WHERE ((reason <> ''::text) AND (reason <> 'none'::text));


--
-- Name: records_admin_reason_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_reason_recorded_at_idx ON ONLY plumbline_audit.records_admin USING btree (reason, recorded_at) WHERE ((reason <> ''::text) AND (reason <> 'none'::text));


--
-- Name: records_admin_2026_03_reason_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_03_reason_recorded_at_idx ON plumbline_audit.records_admin_2026_03 USING btree (reason, recorded_at) WHERE ((reason <> ''::text) AND (reason <> 'none'::text));


--
-- Name: records_task_key; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_task_key ON ONLY plumbline_audit.records USING btree (task, recorded_at) WHERE (task <> ''::text);


--
-- Name: records_admin_task_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_task_recorded_at_idx ON ONLY plumbline_audit.records_admin USING btree (task, recorded_at) WHERE (task <> ''::text);


--
-- Name: records_admin_2026_03_task_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_03_task_recorded_at_idx ON plumbline_audit.records_admin_2026_03 USING btree (task, recorded_at) WHERE (task <> ''::text);


--
-- Name: records_team_key; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_team_key ON ONLY plumbline_audit.records USING btree (team, recorded_at) WHERE (team <> ''::text);


--
-- Name: records_admin_team_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_team_recorded_at_idx ON ONLY plumbline_audit.records_admin USING btree (team, recorded_at) WHERE (team <> ''::text);


--
-- Name: records_admin_2026_03_team_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_03_team_recorded_at_idx ON plumbline_audit.records_admin_2026_03 USING btree (team, recorded_at) WHERE (team <> ''::text);


--
-- Name: records_user_key; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_user_key ON ONLY plumbline_audit.records USING btree ("user", recorded_at) WHERE ("user" <> ''::text);


--
-- Name: records_admin_user_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_user_recorded_at_idx ON ONLY plumbline_audit.records_admin USING btree ("user", recorded_at) WHERE ("user" <> ''::text);


--
-- Name: records_admin_2026_03_user_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_03_user_recorded_at_idx ON plumbline_audit.records_admin_2026_03 USING btree ("user", recorded_at) WHERE ("user" <> ''::text);


--
-- Name: records_admin_2026_04_action_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_04_action_recorded_at_idx ON plumbline_audit.records_admin_2026_04 USING btree (action, recorded_at) WHERE ((action <> ''::text) AND (action <> 'allow'::text));


--
-- Name: records_admin_2026_04_app_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_04_app_recorded_at_idx ON plumbline_audit.records_admin_2026_04 USING btree (app, recorded_at) WHERE (app <> ''::text);


--
-- Name: records_admin_2026_04_exchange_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_04_exchange_idx ON plumbline_audit.records_admin_2026_04 USING btree (exchange) WHERE (exchange <> ''::text);


--
-- Name: records_admin_2026_04_explanation_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_04_explanation_recorded_at_idx ON plumbline_audit.records_admin_2026_04 USING btree (explanation, recorded_at) WHERE (explanation <> 0);


--
-- Name: records_admin_2026_04_intent_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_04_intent_recorded_at_idx ON plumbline_audit.records_admin_2026_04 USING btree (intent, recorded_at) WHERE (intent <> ''::text);


--
-- Name: records_admin_2026_04_kind_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_04_kind_recorded_at_idx ON plumbline_audit.records_admin_2026_04 USING btree (kind, recorded_at) WHERE ((kind <> 'intent'::text) AND (kind <> 'outcome'::text));


--
-- Name: records_admin_2026_04_model_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_04_model_recorded_at_idx ON plumbline_audit.records_admin_2026_04 USING btree (model, recorded_at) WHERE (model <> ''::text);


--
-- Name: records_admin_2026_04_reason_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_04_reason_recorded_at_idx ON plumbline_audit.records_admin_2026_04 USING btree (reason, recorded_at) WHERE ((reason <> ''::text) AND (reason <> 'none'::text));


--
-- Name: records_admin_2026_04_task_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_04_task_recorded_at_idx ON plumbline_audit.records_admin_2026_04 USING btree (task, recorded_at) WHERE (task <> ''::text);


--
-- Name: records_admin_2026_04_team_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_04_team_recorded_at_idx ON plumbline_audit.records_admin_2026_04 USING btree (team, recorded_at) WHERE (team <> ''::text);


--
-- Name: records_admin_2026_04_user_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_2026_04_user_recorded_at_idx ON plumbline_audit.records_admin_2026_04 USING btree ("user", recorded_at) WHERE ("user" <> ''::text);


--
-- Name: records_admin_rest_action_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_rest_action_recorded_at_idx ON plumbline_audit.records_admin_rest USING btree (action, recorded_at) WHERE ((action <> ''::text) AND (action <> 'allow'::text));


--
-- Name: records_admin_rest_app_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_rest_app_recorded_at_idx ON plumbline_audit.records_admin_rest USING btree (app, recorded_at) WHERE (app <> ''::text);


--
-- Name: records_admin_rest_exchange_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_rest_exchange_idx ON plumbline_audit.records_admin_rest USING btree (exchange) WHERE (exchange <> ''::text);


--
-- Name: records_admin_rest_explanation_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_rest_explanation_recorded_at_idx ON plumbline_audit.records_admin_rest USING btree (explanation, recorded_at) WHERE (explanation <> 0);


--
-- Name: records_admin_rest_intent_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_rest_intent_recorded_at_idx ON plumbline_audit.records_admin_rest USING btree (intent, recorded_at) WHERE (intent <> ''::text);


--
-- Name: records_admin_rest_kind_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_rest_kind_recorded_at_idx ON plumbline_audit.records_admin_rest USING btree (kind, recorded_at) WHERE ((kind <> 'intent'::text) AND (kind <> 'outcome'::text));


--
-- Name: records_admin_rest_model_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_rest_model_recorded_at_idx ON plumbline_audit.records_admin_rest USING btree (model, recorded_at) WHERE (model <> ''::text);


--
-- Name: records_admin_rest_reason_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_rest_reason_recorded_at_idx ON plumbline_audit.records_admin_rest USING btree (reason, recorded_at) WHERE ((reason <> ''::text) AND (reason <> 'none'::text));


--
-- Name: records_admin_rest_task_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_rest_task_recorded_at_idx ON plumbline_audit.records_admin_rest USING btree (task, recorded_at) WHERE (task <> ''::text);


--
-- Name: records_admin_rest_team_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_rest_team_recorded_at_idx ON plumbline_audit.records_admin_rest USING btree (team, recorded_at) WHERE (team <> ''::text);


--
-- Name: records_admin_rest_user_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_admin_rest_user_recorded_at_idx ON plumbline_audit.records_admin_rest USING btree ("user", recorded_at) WHERE ("user" <> ''::text);


--
-- Name: records_exchange_action_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_action_recorded_at_idx ON ONLY plumbline_audit.records_exchange USING btree (action, recorded_at) WHERE ((action <> ''::text) AND (action <> 'allow'::text));


--
-- Name: records_exchange_2026_03_action_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_03_action_recorded_at_idx ON plumbline_audit.records_exchange_2026_03 USING btree (action, recorded_at) WHERE ((action <> ''::text) AND (action <> 'allow'::text));


--
-- Name: records_exchange_app_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_app_recorded_at_idx ON ONLY plumbline_audit.records_exchange USING btree (app, recorded_at) WHERE (app <> ''::text);


--
-- Name: records_exchange_2026_03_app_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_03_app_recorded_at_idx ON plumbline_audit.records_exchange_2026_03 USING btree (app, recorded_at) WHERE (app <> ''::text);


--
-- Name: records_exchange_exchange_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_exchange_idx ON ONLY plumbline_audit.records_exchange USING btree (exchange) WHERE (exchange <> ''::text);


--
-- Name: records_exchange_2026_03_exchange_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_03_exchange_idx ON plumbline_audit.records_exchange_2026_03 USING btree (exchange) WHERE (exchange <> ''::text);


--
-- Name: records_exchange_explanation_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_explanation_recorded_at_idx ON ONLY plumbline_audit.records_exchange USING btree (explanation, recorded_at) WHERE (explanation <> 0);


--
-- Name: records_exchange_2026_03_explanation_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_03_explanation_recorded_at_idx ON plumbline_audit.records_exchange_2026_03 USING btree (explanation, recorded_at) WHERE (explanation <> 0);


--
-- Name: records_exchange_intent_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_intent_recorded_at_idx ON ONLY plumbline_audit.records_exchange USING btree (intent, recorded_at) WHERE (intent <> ''::text);


--
-- Name: records_exchange_2026_03_intent_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_03_intent_recorded_at_idx ON plumbline_audit.records_exchange_2026_03 USING btree (intent, recorded_at) WHERE (intent <> ''::text);


--
-- Name: records_exchange_kind_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_kind_recorded_at_idx ON ONLY plumbline_audit.records_exchange USING btree (kind, recorded_at) WHERE ((kind <> 'intent'::text) AND (kind <> 'outcome'::text));


--
-- Name: records_exchange_2026_03_kind_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_03_kind_recorded_at_idx ON plumbline_audit.records_exchange_2026_03 USING btree (kind, recorded_at) WHERE ((kind <> 'intent'::text) AND (kind <> 'outcome'::text));


--
-- Name: records_exchange_model_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_model_recorded_at_idx ON ONLY plumbline_audit.records_exchange USING btree (model, recorded_at) WHERE (model <> ''::text);


--
-- Name: records_exchange_2026_03_model_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_03_model_recorded_at_idx ON plumbline_audit.records_exchange_2026_03 USING btree (model, recorded_at) WHERE (model <> ''::text);


--
-- Name: records_exchange_reason_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_reason_recorded_at_idx ON ONLY plumbline_audit.records_exchange USING btree (reason, recorded_at) WHERE ((reason <> ''::text) AND (reason <> 'none'::text));


--
-- Name: records_exchange_2026_03_reason_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_03_reason_recorded_at_idx ON plumbline_audit.records_exchange_2026_03 USING btree (reason, recorded_at) WHERE ((reason <> ''::text) AND (reason <> 'none'::text));


--
-- Name: records_exchange_task_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_task_recorded_at_idx ON ONLY plumbline_audit.records_exchange USING btree (task, recorded_at) WHERE (task <> ''::text);


--
-- Name: records_exchange_2026_03_task_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_03_task_recorded_at_idx ON plumbline_audit.records_exchange_2026_03 USING btree (task, recorded_at) WHERE (task <> ''::text);


--
-- Name: records_exchange_team_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_team_recorded_at_idx ON ONLY plumbline_audit.records_exchange USING btree (team, recorded_at) WHERE (team <> ''::text);


--
-- Name: records_exchange_2026_03_team_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_03_team_recorded_at_idx ON plumbline_audit.records_exchange_2026_03 USING btree (team, recorded_at) WHERE (team <> ''::text);


--
-- Name: records_exchange_user_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_user_recorded_at_idx ON ONLY plumbline_audit.records_exchange USING btree ("user", recorded_at) WHERE ("user" <> ''::text);


--
-- Name: records_exchange_2026_03_user_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_03_user_recorded_at_idx ON plumbline_audit.records_exchange_2026_03 USING btree ("user", recorded_at) WHERE ("user" <> ''::text);


--
-- Name: records_exchange_2026_04_action_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_04_action_recorded_at_idx ON plumbline_audit.records_exchange_2026_04 USING btree (action, recorded_at) WHERE ((action <> ''::text) AND (action <> 'allow'::text));


--
-- Name: records_exchange_2026_04_app_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_04_app_recorded_at_idx ON plumbline_audit.records_exchange_2026_04 USING btree (app, recorded_at) WHERE (app <> ''::text);


--
-- Name: records_exchange_2026_04_exchange_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_04_exchange_idx ON plumbline_audit.records_exchange_2026_04 USING btree (exchange) WHERE (exchange <> ''::text);


--
-- Name: records_exchange_2026_04_explanation_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_04_explanation_recorded_at_idx ON plumbline_audit.records_exchange_2026_04 USING btree (explanation, recorded_at) WHERE (explanation <> 0);


--
-- Name: records_exchange_2026_04_intent_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_04_intent_recorded_at_idx ON plumbline_audit.records_exchange_2026_04 USING btree (intent, recorded_at) WHERE (intent <> ''::text);


--
-- Name: records_exchange_2026_04_kind_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_04_kind_recorded_at_idx ON plumbline_audit.records_exchange_2026_04 USING btree (kind, recorded_at) WHERE ((kind <> 'intent'::text) AND (kind <> 'outcome'::text));


--
-- Name: records_exchange_2026_04_model_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_04_model_recorded_at_idx ON plumbline_audit.records_exchange_2026_04 USING btree (model, recorded_at) WHERE (model <> ''::text);


--
-- Name: records_exchange_2026_04_reason_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_04_reason_recorded_at_idx ON plumbline_audit.records_exchange_2026_04 USING btree (reason, recorded_at) WHERE ((reason <> ''::text) AND (reason <> 'none'::text));


--
-- Name: records_exchange_2026_04_task_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_04_task_recorded_at_idx ON plumbline_audit.records_exchange_2026_04 USING btree (task, recorded_at) WHERE (task <> ''::text);


--
-- Name: records_exchange_2026_04_team_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_04_team_recorded_at_idx ON plumbline_audit.records_exchange_2026_04 USING btree (team, recorded_at) WHERE (team <> ''::text);


--
-- Name: records_exchange_2026_04_user_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_2026_04_user_recorded_at_idx ON plumbline_audit.records_exchange_2026_04 USING btree ("user", recorded_at) WHERE ("user" <> ''::text);


--
-- Name: records_exchange_rest_action_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_rest_action_recorded_at_idx ON plumbline_audit.records_exchange_rest USING btree (action, recorded_at) WHERE ((action <> ''::text) AND (action <> 'allow'::text));


--
-- Name: records_exchange_rest_app_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_rest_app_recorded_at_idx ON plumbline_audit.records_exchange_rest USING btree (app, recorded_at) WHERE (app <> ''::text);


--
-- Name: records_exchange_rest_exchange_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_rest_exchange_idx ON plumbline_audit.records_exchange_rest USING btree (exchange) WHERE (exchange <> ''::text);


--
-- Name: records_exchange_rest_explanation_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_rest_explanation_recorded_at_idx ON plumbline_audit.records_exchange_rest USING btree (explanation, recorded_at) WHERE (explanation <> 0);


--
-- Name: records_exchange_rest_intent_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_rest_intent_recorded_at_idx ON plumbline_audit.records_exchange_rest USING btree (intent, recorded_at) WHERE (intent <> ''::text);


--
-- Name: records_exchange_rest_kind_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_rest_kind_recorded_at_idx ON plumbline_audit.records_exchange_rest USING btree (kind, recorded_at) WHERE ((kind <> 'intent'::text) AND (kind <> 'outcome'::text));


--
-- Name: records_exchange_rest_model_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_rest_model_recorded_at_idx ON plumbline_audit.records_exchange_rest USING btree (model, recorded_at) WHERE (model <> ''::text);


--
-- Name: records_exchange_rest_reason_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_rest_reason_recorded_at_idx ON plumbline_audit.records_exchange_rest USING btree (reason, recorded_at) WHERE ((reason <> ''::text) AND (reason <> 'none'::text));


--
-- Name: records_exchange_rest_task_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_rest_task_recorded_at_idx ON plumbline_audit.records_exchange_rest USING btree (task, recorded_at) WHERE (task <> ''::text);


--
-- Name: records_exchange_rest_team_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_rest_team_recorded_at_idx ON plumbline_audit.records_exchange_rest USING btree (team, recorded_at) WHERE (team <> ''::text);


--
-- Name: records_exchange_rest_user_recorded_at_idx; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX records_exchange_rest_user_recorded_at_idx ON plumbline_audit.records_exchange_rest USING btree ("user", recorded_at) WHERE ("user" <> ''::text);


--
-- Name: rollups_user_key; Type: INDEX; Schema: plumbline_audit; Owner: -
--

CREATE INDEX rollups_user_key ON plumbline_audit.rollups USING btree ("user", hour);


--
-- Name: records_admin_2026_03_action_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_action_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_03_action_recorded_at_idx;


--
-- Name: records_admin_2026_03_app_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_app_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_03_app_recorded_at_idx;


--
-- Name: records_admin_2026_03_exchange_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_exchange_idx ATTACH PARTITION plumbline_audit.records_admin_2026_03_exchange_idx;


--
-- Name: records_admin_2026_03_explanation_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_explanation_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_03_explanation_recorded_at_idx;


--
-- Name: records_admin_2026_03_intent_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_intent_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_03_intent_recorded_at_idx;


--
-- Name: records_admin_2026_03_kind_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_kind_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_03_kind_recorded_at_idx;


--
-- Name: records_admin_2026_03_model_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_model_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_03_model_recorded_at_idx;


--
-- Name: records_admin_2026_03_pkey; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_pkey ATTACH PARTITION plumbline_audit.records_admin_2026_03_pkey;


--
-- Name: records_admin_2026_03_reason_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_reason_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_03_reason_recorded_at_idx;


--
-- Name: records_admin_2026_03_task_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_task_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_03_task_recorded_at_idx;


--
-- Name: records_admin_2026_03_team_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_team_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_03_team_recorded_at_idx;


--
-- Name: records_admin_2026_03_user_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_user_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_03_user_recorded_at_idx;


--
-- Name: records_admin_2026_04_action_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_action_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_04_action_recorded_at_idx;


--
-- Name: records_admin_2026_04_app_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_app_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_04_app_recorded_at_idx;


--
-- Name: records_admin_2026_04_exchange_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_exchange_idx ATTACH PARTITION plumbline_audit.records_admin_2026_04_exchange_idx;


--
-- Name: records_admin_2026_04_explanation_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_explanation_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_04_explanation_recorded_at_idx;


--
-- Name: records_admin_2026_04_intent_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_intent_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_04_intent_recorded_at_idx;


--
-- Name: records_admin_2026_04_kind_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_kind_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_04_kind_recorded_at_idx;


--
-- Name: records_admin_2026_04_model_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_model_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_04_model_recorded_at_idx;


--
-- Name: records_admin_2026_04_pkey; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_pkey ATTACH PARTITION plumbline_audit.records_admin_2026_04_pkey;


--
-- Name: records_admin_2026_04_reason_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_reason_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_04_reason_recorded_at_idx;


--
-- Name: records_admin_2026_04_task_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_task_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_04_task_recorded_at_idx;


--
-- Name: records_admin_2026_04_team_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_team_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_04_team_recorded_at_idx;


--
-- Name: records_admin_2026_04_user_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_user_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_2026_04_user_recorded_at_idx;


--
-- Name: records_admin_action_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_action_key ATTACH PARTITION plumbline_audit.records_admin_action_recorded_at_idx;


--
-- Name: records_admin_app_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_app_key ATTACH PARTITION plumbline_audit.records_admin_app_recorded_at_idx;


--
-- Name: records_admin_exchange_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_key ATTACH PARTITION plumbline_audit.records_admin_exchange_idx;


--
-- Name: records_admin_explanation_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_explanation_key ATTACH PARTITION plumbline_audit.records_admin_explanation_recorded_at_idx;


--
-- Name: records_admin_intent_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_intent_key ATTACH PARTITION plumbline_audit.records_admin_intent_recorded_at_idx;


--
-- Name: records_admin_kind_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_kind_key ATTACH PARTITION plumbline_audit.records_admin_kind_recorded_at_idx;


--
-- Name: records_admin_model_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_model_key ATTACH PARTITION plumbline_audit.records_admin_model_recorded_at_idx;


--
-- Name: records_admin_pkey; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_pkey ATTACH PARTITION plumbline_audit.records_admin_pkey;


--
-- Name: records_admin_reason_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_reason_key ATTACH PARTITION plumbline_audit.records_admin_reason_recorded_at_idx;


--
-- Name: records_admin_rest_action_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_action_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_rest_action_recorded_at_idx;


--
-- Name: records_admin_rest_app_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_app_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_rest_app_recorded_at_idx;


--
-- Name: records_admin_rest_exchange_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_exchange_idx ATTACH PARTITION plumbline_audit.records_admin_rest_exchange_idx;


--
-- Name: records_admin_rest_explanation_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_explanation_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_rest_explanation_recorded_at_idx;


--
-- Name: records_admin_rest_intent_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_intent_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_rest_intent_recorded_at_idx;


--
-- Name: records_admin_rest_kind_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_kind_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_rest_kind_recorded_at_idx;


--
-- Name: records_admin_rest_model_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_model_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_rest_model_recorded_at_idx;


--
-- Name: records_admin_rest_pkey; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_pkey ATTACH PARTITION plumbline_audit.records_admin_rest_pkey;


--
-- Name: records_admin_rest_reason_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_reason_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_rest_reason_recorded_at_idx;


--
-- Name: records_admin_rest_task_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_task_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_rest_task_recorded_at_idx;


--
-- Name: records_admin_rest_team_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_team_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_rest_team_recorded_at_idx;


--
-- Name: records_admin_rest_user_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_admin_user_recorded_at_idx ATTACH PARTITION plumbline_audit.records_admin_rest_user_recorded_at_idx;


--
-- Name: records_admin_task_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_task_key ATTACH PARTITION plumbline_audit.records_admin_task_recorded_at_idx;


--
-- Name: records_admin_team_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_team_key ATTACH PARTITION plumbline_audit.records_admin_team_recorded_at_idx;


--
-- Name: records_admin_user_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_user_key ATTACH PARTITION plumbline_audit.records_admin_user_recorded_at_idx;


--
-- Name: records_exchange_2026_03_action_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_action_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_03_action_recorded_at_idx;


--
-- Name: records_exchange_2026_03_app_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_app_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_03_app_recorded_at_idx;


--
-- Name: records_exchange_2026_03_exchange_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_exchange_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_03_exchange_idx;


--
-- Name: records_exchange_2026_03_explanation_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_explanation_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_03_explanation_recorded_at_idx;


--
-- Name: records_exchange_2026_03_intent_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_intent_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_03_intent_recorded_at_idx;


--
-- Name: records_exchange_2026_03_kind_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_kind_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_03_kind_recorded_at_idx;


--
-- Name: records_exchange_2026_03_model_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_model_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_03_model_recorded_at_idx;


--
-- Name: records_exchange_2026_03_pkey; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_pkey ATTACH PARTITION plumbline_audit.records_exchange_2026_03_pkey;


--
-- Name: records_exchange_2026_03_reason_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_reason_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_03_reason_recorded_at_idx;


--
-- Name: records_exchange_2026_03_task_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_task_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_03_task_recorded_at_idx;


--
-- Name: records_exchange_2026_03_team_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_team_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_03_team_recorded_at_idx;


--
-- Name: records_exchange_2026_03_user_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_user_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_03_user_recorded_at_idx;


--
-- Name: records_exchange_2026_04_action_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_action_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_04_action_recorded_at_idx;


--
-- Name: records_exchange_2026_04_app_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_app_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_04_app_recorded_at_idx;


--
-- Name: records_exchange_2026_04_exchange_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_exchange_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_04_exchange_idx;


--
-- Name: records_exchange_2026_04_explanation_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_explanation_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_04_explanation_recorded_at_idx;


--
-- Name: records_exchange_2026_04_intent_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_intent_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_04_intent_recorded_at_idx;


--
-- Name: records_exchange_2026_04_kind_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_kind_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_04_kind_recorded_at_idx;


--
-- Name: records_exchange_2026_04_model_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_model_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_04_model_recorded_at_idx;


--
-- Name: records_exchange_2026_04_pkey; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_pkey ATTACH PARTITION plumbline_audit.records_exchange_2026_04_pkey;


--
-- Name: records_exchange_2026_04_reason_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_reason_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_04_reason_recorded_at_idx;


--
-- Name: records_exchange_2026_04_task_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_task_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_04_task_recorded_at_idx;


--
-- Name: records_exchange_2026_04_team_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_team_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_04_team_recorded_at_idx;


--
-- Name: records_exchange_2026_04_user_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_user_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_2026_04_user_recorded_at_idx;


--
-- Name: records_exchange_action_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_action_key ATTACH PARTITION plumbline_audit.records_exchange_action_recorded_at_idx;


--
-- Name: records_exchange_app_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_app_key ATTACH PARTITION plumbline_audit.records_exchange_app_recorded_at_idx;


--
-- Name: records_exchange_exchange_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_key ATTACH PARTITION plumbline_audit.records_exchange_exchange_idx;


--
-- Name: records_exchange_explanation_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_explanation_key ATTACH PARTITION plumbline_audit.records_exchange_explanation_recorded_at_idx;


--
-- Name: records_exchange_intent_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_intent_key ATTACH PARTITION plumbline_audit.records_exchange_intent_recorded_at_idx;


--
-- Name: records_exchange_kind_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_kind_key ATTACH PARTITION plumbline_audit.records_exchange_kind_recorded_at_idx;


--
-- Name: records_exchange_model_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_model_key ATTACH PARTITION plumbline_audit.records_exchange_model_recorded_at_idx;


--
-- Name: records_exchange_pkey; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_pkey ATTACH PARTITION plumbline_audit.records_exchange_pkey;


--
-- Name: records_exchange_reason_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_reason_key ATTACH PARTITION plumbline_audit.records_exchange_reason_recorded_at_idx;


--
-- Name: records_exchange_rest_action_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_action_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_rest_action_recorded_at_idx;


--
-- Name: records_exchange_rest_app_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_app_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_rest_app_recorded_at_idx;


--
-- Name: records_exchange_rest_exchange_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_exchange_idx ATTACH PARTITION plumbline_audit.records_exchange_rest_exchange_idx;


--
-- Name: records_exchange_rest_explanation_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_explanation_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_rest_explanation_recorded_at_idx;


--
-- Name: records_exchange_rest_intent_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_intent_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_rest_intent_recorded_at_idx;


--
-- Name: records_exchange_rest_kind_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_kind_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_rest_kind_recorded_at_idx;


--
-- Name: records_exchange_rest_model_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_model_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_rest_model_recorded_at_idx;


--
-- Name: records_exchange_rest_pkey; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_pkey ATTACH PARTITION plumbline_audit.records_exchange_rest_pkey;


--
-- Name: records_exchange_rest_reason_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_reason_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_rest_reason_recorded_at_idx;


--
-- Name: records_exchange_rest_task_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_task_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_rest_task_recorded_at_idx;


--
-- Name: records_exchange_rest_team_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_team_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_rest_team_recorded_at_idx;


--
-- Name: records_exchange_rest_user_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_exchange_user_recorded_at_idx ATTACH PARTITION plumbline_audit.records_exchange_rest_user_recorded_at_idx;


--
-- Name: records_exchange_task_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_task_key ATTACH PARTITION plumbline_audit.records_exchange_task_recorded_at_idx;


--
-- Name: records_exchange_team_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_team_key ATTACH PARTITION plumbline_audit.records_exchange_team_recorded_at_idx;


--
-- Name: records_exchange_user_recorded_at_idx; Type: INDEX ATTACH; Schema: plumbline_audit; Owner: -
--

ALTER INDEX plumbline_audit.records_user_key ATTACH PARTITION plumbline_audit.records_exchange_user_recorded_at_idx;


--
-- PostgreSQL database dump complete
--


