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
-- Name: plumbline; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA plumbline;


--
-- Name: river_job_state; Type: TYPE; Schema: plumbline; Owner: -
--

CREATE TYPE plumbline.river_job_state AS ENUM (
    'available',
    'cancelled',
    'completed',
    'discarded',
    'pending',
    'retryable',
    'running',
    'scheduled'
);


--
-- Name: forget_objects_of_app(); Type: FUNCTION; Schema: plumbline; Owner: -
--

CREATE FUNCTION plumbline.forget_objects_of_app() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  DELETE FROM plumbline.provider_objects WHERE owner_user = '' AND owner_app = old.id;
  RETURN NULL;
END $$;


--
-- Name: forget_objects_of_user(); Type: FUNCTION; Schema: plumbline; Owner: -
--

CREATE FUNCTION plumbline.forget_objects_of_user() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  DELETE FROM plumbline.provider_objects WHERE owner_user = old.id;
  RETURN NULL;
END $$;


--
-- Name: river_job_state_in_bitmask(bit, plumbline.river_job_state); Type: FUNCTION; Schema: plumbline; Owner: -
--

CREATE FUNCTION plumbline.river_job_state_in_bitmask(bitmask bit, state plumbline.river_job_state) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE state
        WHEN 'available' THEN get_bit(bitmask, 7)
        WHEN 'cancelled' THEN get_bit(bitmask, 6)
        WHEN 'completed' THEN get_bit(bitmask, 5)
        WHEN 'discarded' THEN get_bit(bitmask, 4)
        WHEN 'pending'   THEN get_bit(bitmask, 3)
        WHEN 'retryable' THEN get_bit(bitmask, 2)
        WHEN 'running'   THEN get_bit(bitmask, 1)
        WHEN 'scheduled' THEN get_bit(bitmask, 0)
        ELSE 0
    END = 1;
$$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: app_keys; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.app_keys (
    id text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL COLLATE pg_catalog."C",
    "user" text COLLATE pg_catalog."C",
    hash bytea NOT NULL,
    hint text NOT NULL,
    created bigint NOT NULL,
    expires bigint NOT NULL,
    revoked bigint NOT NULL
);


--
-- Name: apps; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.apps (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    team text COLLATE pg_catalog."C",
    created bigint NOT NULL
);


--
-- Name: calibrations; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.calibrations (
    id text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    tasks text NOT NULL,
    created bigint NOT NULL,
    demoted bigint NOT NULL
);


--
-- Name: changes; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.changes (
    version bigint NOT NULL,
    "time" bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    object text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    writer text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    claimed bigint DEFAULT 0 NOT NULL,
    recorded boolean DEFAULT false NOT NULL
);


--
-- Name: feed; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.feed (
    single boolean DEFAULT true NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT feed_single_check CHECK (single)
);


--
-- Name: issued_tokens; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.issued_tokens (
    id text NOT NULL COLLATE pg_catalog."C",
    "user" text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL COLLATE pg_catalog."C",
    session text NOT NULL,
    created bigint NOT NULL,
    expires bigint NOT NULL
);


--
-- Name: labels; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.labels (
    exchange text NOT NULL COLLATE pg_catalog."C",
    drawn bigint NOT NULL,
    task text NOT NULL COLLATE pg_catalog."C",
    text text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    score double precision NOT NULL,
    place bigint NOT NULL,
    labeller text NOT NULL COLLATE pg_catalog."C",
    on_task boolean NOT NULL,
    labelled bigint NOT NULL,
    approved text NOT NULL COLLATE pg_catalog."C",
    proposal text NOT NULL COLLATE pg_catalog."C",
    judge text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C"
);


--
-- Name: lessons; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.lessons (
    exchange text NOT NULL COLLATE pg_catalog."C",
    drawn bigint NOT NULL,
    place bigint NOT NULL
);


--
-- Name: limits; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.limits (
    id text NOT NULL COLLATE pg_catalog."C",
    scope text NOT NULL,
    team text COLLATE pg_catalog."C",
    "user" text COLLATE pg_catalog."C",
    app text COLLATE pg_catalog."C",
    model text NOT NULL,
    dimension text NOT NULL,
    "window" text NOT NULL,
    value bigint NOT NULL,
    zone text NOT NULL,
    enforcement text NOT NULL,
    created bigint NOT NULL,
    unreachable text DEFAULT ''::text NOT NULL
);


--
-- Name: policies; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.policies (
    number bigint NOT NULL,
    version text NOT NULL COLLATE pg_catalog."C",
    text text NOT NULL COLLATE pg_catalog."C",
    author text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    created bigint NOT NULL,
    restores bigint NOT NULL
);


--
-- Name: proposals; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.proposals (
    exchange text NOT NULL COLLATE pg_catalog."C",
    judge text NOT NULL COLLATE pg_catalog."C",
    verdict text NOT NULL COLLATE pg_catalog."C",
    rationale bytea NOT NULL,
    made bigint NOT NULL
);


--
-- Name: provider_objects; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.provider_objects (
    kind text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    owner_user text NOT NULL COLLATE pg_catalog."C",
    owner_app text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL,
    team text NOT NULL,
    endpoint text NOT NULL,
    created bigint NOT NULL,
    tokens bigint NOT NULL,
    model text NOT NULL
);


--
-- Name: revocations; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.revocations (
    id text NOT NULL COLLATE pg_catalog."C",
    token_id text NOT NULL,
    subject text NOT NULL,
    issued_before bigint NOT NULL,
    created bigint NOT NULL,
    expires bigint NOT NULL,
    session text DEFAULT ''::text NOT NULL
);


--
-- Name: river_job; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.river_job (
    id bigint NOT NULL,
    state plumbline.river_job_state DEFAULT 'available'::plumbline.river_job_state NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    max_attempts smallint DEFAULT 25 NOT NULL,
    attempted_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finalized_at timestamp with time zone,
    scheduled_at timestamp with time zone DEFAULT now() NOT NULL,
    priority smallint DEFAULT 1 NOT NULL,
    args jsonb NOT NULL,
    attempted_by text[],
    errors jsonb[],
    kind text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    queue text DEFAULT 'default'::text NOT NULL,
    tags character varying(255)[] DEFAULT '{}'::character varying[] NOT NULL,
    unique_key bytea,
    unique_states bit(8),
    CONSTRAINT finalized_or_finalized_at_null CHECK ((((finalized_at IS NULL) AND (state <> ALL (ARRAY['cancelled'::plumbline.river_job_state, 'completed'::plumbline.river_job_state, 'discarded'::plumbline.river_job_state]))) OR ((finalized_at IS NOT NULL) AND (state = ANY (ARRAY['cancelled'::plumbline.river_job_state, 'completed'::plumbline.river_job_state, 'discarded'::plumbline.river_job_state]))))),
    CONSTRAINT kind_length CHECK (((char_length(kind) > 0) AND (char_length(kind) < 128))),
    CONSTRAINT max_attempts_is_positive CHECK ((max_attempts > 0)),
    CONSTRAINT priority_in_range CHECK (((priority >= 1) AND (priority <= 4))),
    CONSTRAINT queue_length CHECK (((char_length(queue) > 0) AND (char_length(queue) < 128)))
);


--
-- Name: river_job_id_seq; Type: SEQUENCE; Schema: plumbline; Owner: -
--

CREATE SEQUENCE plumbline.river_job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: river_job_id_seq; Type: SEQUENCE OWNED BY; Schema: plumbline; Owner: -
--

ALTER SEQUENCE plumbline.river_job_id_seq OWNED BY plumbline.river_job.id;


--
-- Name: river_leader; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE UNLOGGED TABLE plumbline.river_leader (
    elected_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    leader_id text NOT NULL,
    name text DEFAULT 'default'::text NOT NULL,
    CONSTRAINT leader_id_length CHECK (((char_length(leader_id) > 0) AND (char_length(leader_id) < 128))),
    CONSTRAINT name_length CHECK ((name = 'default'::text))
);


--
-- Name: river_migration; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.river_migration (
    line text NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT line_length CHECK (((char_length(line) > 0) AND (char_length(line) < 128))),
    CONSTRAINT version_gte_1 CHECK ((version >= 1))
);


--
-- Name: river_notification; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.river_notification (
    id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    payload text NOT NULL,
    topic text NOT NULL,
    CONSTRAINT topic_length CHECK (((length(topic) > 0) AND (length(topic) < 128)))
);


--
-- Name: river_notification_id_seq; Type: SEQUENCE; Schema: plumbline; Owner: -
--

CREATE SEQUENCE plumbline.river_notification_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: river_notification_id_seq; Type: SEQUENCE OWNED BY; Schema: plumbline; Owner: -
--

ALTER SEQUENCE plumbline.river_notification_id_seq OWNED BY plumbline.river_notification.id;


--
-- Name: river_queue; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.river_queue (
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    paused_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);


--
-- Name: samples; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.samples (
    exchange text NOT NULL COLLATE pg_catalog."C",
    drawn bigint NOT NULL,
    task text NOT NULL COLLATE pg_catalog."C",
    text text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    score double precision NOT NULL,
    place bigint NOT NULL
);


--
-- Name: schema_version; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.schema_version (
    version bigint NOT NULL,
    name text NOT NULL,
    applied bigint NOT NULL
);


--
-- Name: signing_keys; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.signing_keys (
    id text NOT NULL COLLATE pg_catalog."C",
    alg text NOT NULL,
    public bytea NOT NULL,
    private bytea NOT NULL,
    created bigint NOT NULL,
    retired bigint NOT NULL
);


--
-- Name: subject_keys; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.subject_keys (
    id text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    master text NOT NULL,
    wrapped bytea NOT NULL,
    created bigint NOT NULL,
    erased bigint NOT NULL
);


--
-- Name: system_prompts; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.system_prompts (
    id text NOT NULL COLLATE pg_catalog."C",
    app text NOT NULL COLLATE pg_catalog."C",
    label text NOT NULL COLLATE pg_catalog."C",
    registered_by text NOT NULL COLLATE pg_catalog."C",
    pieces text NOT NULL,
    created bigint NOT NULL
);


--
-- Name: task_teams; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.task_teams (
    task text NOT NULL COLLATE pg_catalog."C",
    team text NOT NULL COLLATE pg_catalog."C"
);


--
-- Name: task_users; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.task_users (
    task text NOT NULL COLLATE pg_catalog."C",
    "user" text NOT NULL COLLATE pg_catalog."C"
);


--
-- Name: tasks; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.tasks (
    id text NOT NULL COLLATE pg_catalog."C",
    title text NOT NULL,
    description text NOT NULL,
    topics text NOT NULL,
    examples text NOT NULL,
    created bigint NOT NULL,
    out_of_scope text DEFAULT '[]'::text NOT NULL
);


--
-- Name: teams; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.teams (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    created bigint NOT NULL
);


--
-- Name: users; Type: TABLE; Schema: plumbline; Owner: -
--

CREATE TABLE plumbline.users (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    team text COLLATE pg_catalog."C",
    blocked boolean NOT NULL,
    created bigint NOT NULL
);


--
-- Name: river_job id; Type: DEFAULT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.river_job ALTER COLUMN id SET DEFAULT nextval('plumbline.river_job_id_seq'::regclass);


--
-- Name: river_notification id; Type: DEFAULT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.river_notification ALTER COLUMN id SET DEFAULT nextval('plumbline.river_notification_id_seq'::regclass);


--
-- Data for Name: app_keys; Type: TABLE DATA; Schema: plumbline; Owner: -
--

INSERT INTO plumbline.app_keys VALUES ('key-1', 'ide', 'ann', '\x01ff000000000000000000000000000000000000000000000000000000000000', 'wxyz', 1773190800123456, 1773190800123457, 0);


--
-- Data for Name: apps; Type: TABLE DATA; Schema: plumbline; Owner: -
--

INSERT INTO plumbline.apps VALUES ('ide', '', NULL, 1773190800123456);


--
-- Data for Name: calibrations; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: changes; Type: TABLE DATA; Schema: plumbline; Owner: -
--

INSERT INTO plumbline.changes VALUES (1, 1773190800123456, 'cli:root', 'put', 'team/support', '', '', 0, false);
INSERT INTO plumbline.changes VALUES (2, 1773190800123456, 'cli:root', 'put', 'user/ann', '', '', 0, false);


--
-- Data for Name: feed; Type: TABLE DATA; Schema: plumbline; Owner: -
--

INSERT INTO plumbline.feed VALUES (true, 2);


--
-- Data for Name: issued_tokens; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: labels; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: lessons; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: limits; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: policies; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: proposals; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: provider_objects; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: revocations; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: river_job; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: river_leader; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: river_migration; Type: TABLE DATA; Schema: plumbline; Owner: -
--

INSERT INTO plumbline.river_migration VALUES ('main', 1, '2026-11-29 02:00:33.268007+00');
INSERT INTO plumbline.river_migration VALUES ('main', 2, '2026-11-29 02:00:33.268007+00');
INSERT INTO plumbline.river_migration VALUES ('main', 3, '2026-11-29 02:00:33.268007+00');
INSERT INTO plumbline.river_migration VALUES ('main', 4, '2026-11-29 02:00:33.268007+00');
INSERT INTO plumbline.river_migration VALUES ('main', 5, '2026-11-29 02:00:33.268007+00');
INSERT INTO plumbline.river_migration VALUES ('main', 6, '2026-11-29 02:00:33.268007+00');
INSERT INTO plumbline.river_migration VALUES ('main', 7, '2026-11-29 02:00:33.350091+00');
INSERT INTO plumbline.river_migration VALUES ('main', 8, '2026-11-29 02:00:33.350091+00');


--
-- Data for Name: river_notification; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: river_queue; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: samples; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: schema_version; Type: TABLE DATA; Schema: plumbline; Owner: -
--

INSERT INTO plumbline.schema_version VALUES (1, '0001_control.sql', 1795917633233687);
INSERT INTO plumbline.schema_version VALUES (2, '0002_provider_objects.sql', 1795917633246284);
INSERT INTO plumbline.schema_version VALUES (3, '0003_sessions.sql', 1795917633252264);
INSERT INTO plumbline.schema_version VALUES (4, '0004_unreachable.sql', 1795917633253829);
INSERT INTO plumbline.schema_version VALUES (5, '0005_subject_keys.sql', 1795917633263431);
INSERT INTO plumbline.schema_version VALUES (6, '0006_recorded_changes.sql', 1795917633265230);
INSERT INTO plumbline.schema_version VALUES (7, '0007_jobs.sql', 1795917633325302);
INSERT INTO plumbline.schema_version VALUES (8, '0008_calibration.sql', 1795917633334331);
INSERT INTO plumbline.schema_version VALUES (9, '0009_out_of_scope.sql', 1795917633336105);
INSERT INTO plumbline.schema_version VALUES (10, '0010_policies.sql', 1795917633339109);
INSERT INTO plumbline.schema_version VALUES (11, '0011_proposals.sql', 1795917633342163);
INSERT INTO plumbline.schema_version VALUES (12, '0012_system_prompts.sql', 1795917633345954);
INSERT INTO plumbline.schema_version VALUES (13, '0013_lessons.sql', 1795917633349812);
INSERT INTO plumbline.schema_version VALUES (14, '0014_jobs.sql', 1795917633358230);


--
-- Data for Name: signing_keys; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: subject_keys; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: system_prompts; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: task_teams; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: task_users; Type: TABLE DATA; Schema: plumbline; Owner: -
--

INSERT INTO plumbline.task_users VALUES ('refunds', 'ann');


--
-- Data for Name: tasks; Type: TABLE DATA; Schema: plumbline; Owner: -
--

INSERT INTO plumbline.tasks VALUES ('refunds', 'Refunds', 'Two
lines', '["late \"parcels\""]', '[]', 1773190800123456, '[]');


--
-- Data for Name: teams; Type: TABLE DATA; Schema: plumbline; Owner: -
--

INSERT INTO plumbline.teams VALUES ('support', 'Support ''quoted'' 漢字', 1773190800123456);


--
-- Data for Name: users; Type: TABLE DATA; Schema: plumbline; Owner: -
--

INSERT INTO plumbline.users VALUES ('ann', 'Ann', 'support', true, 1773190800123456);


--
-- Name: river_job_id_seq; Type: SEQUENCE SET; Schema: plumbline; Owner: -
--

SELECT pg_catalog.setval('plumbline.river_job_id_seq', 1, false);


--
-- Name: river_notification_id_seq; Type: SEQUENCE SET; Schema: plumbline; Owner: -
--

SELECT pg_catalog.setval('plumbline.river_notification_id_seq', 1, false);


--
-- Name: app_keys app_keys_hash_key; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.app_keys
    ADD CONSTRAINT app_keys_hash_key UNIQUE (hash);


--
-- Name: app_keys app_keys_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.app_keys
    ADD CONSTRAINT app_keys_pkey PRIMARY KEY (id);


--
-- Name: apps apps_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.apps
    ADD CONSTRAINT apps_pkey PRIMARY KEY (id);


--
-- Name: calibrations calibrations_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.calibrations
    ADD CONSTRAINT calibrations_pkey PRIMARY KEY (id);


--
-- Name: changes changes_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (version);


--
-- Name: feed feed_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.feed
    ADD CONSTRAINT feed_pkey PRIMARY KEY (single);


--
-- Name: issued_tokens issued_tokens_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.issued_tokens
    ADD CONSTRAINT issued_tokens_pkey PRIMARY KEY (id);


--
-- Name: labels labels_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.labels
    ADD CONSTRAINT labels_pkey PRIMARY KEY (exchange, labeller);


--
-- Name: lessons lessons_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.lessons
    ADD CONSTRAINT lessons_pkey PRIMARY KEY (exchange);


--
-- Name: limits limits_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.limits
    ADD CONSTRAINT limits_pkey PRIMARY KEY (id);


--
-- Name: policies policies_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.policies
    ADD CONSTRAINT policies_pkey PRIMARY KEY (number);


--
-- Name: proposals proposals_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.proposals
    ADD CONSTRAINT proposals_pkey PRIMARY KEY (exchange);


--
-- Name: provider_objects provider_objects_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.provider_objects
    ADD CONSTRAINT provider_objects_pkey PRIMARY KEY (kind, id);


--
-- Name: revocations revocations_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.revocations
    ADD CONSTRAINT revocations_pkey PRIMARY KEY (id);


--
-- Name: river_job river_job_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.river_job
    ADD CONSTRAINT river_job_pkey PRIMARY KEY (id);


--
-- Name: river_leader river_leader_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.river_leader
    ADD CONSTRAINT river_leader_pkey PRIMARY KEY (name);


--
-- Name: river_migration river_migration_pkey1; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.river_migration
    ADD CONSTRAINT river_migration_pkey1 PRIMARY KEY (line, version);


--
-- Name: river_notification river_notification_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.river_notification
    ADD CONSTRAINT river_notification_pkey PRIMARY KEY (id);


--
-- Name: river_queue river_queue_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.river_queue
    ADD CONSTRAINT river_queue_pkey PRIMARY KEY (name);


--
-- Name: samples samples_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.samples
    ADD CONSTRAINT samples_pkey PRIMARY KEY (exchange);


--
-- Name: schema_version schema_version_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (version);


--
-- Name: signing_keys signing_keys_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.signing_keys
    ADD CONSTRAINT signing_keys_pkey PRIMARY KEY (id);


--
-- Name: subject_keys subject_keys_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.subject_keys
    ADD CONSTRAINT subject_keys_pkey PRIMARY KEY (id);


--
-- Name: system_prompts system_prompts_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.system_prompts
    ADD CONSTRAINT system_prompts_pkey PRIMARY KEY (id);


--
-- Name: task_teams task_teams_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.task_teams
    ADD CONSTRAINT task_teams_pkey PRIMARY KEY (task, team);


--
-- Name: task_users task_users_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.task_users
    ADD CONSTRAINT task_users_pkey PRIMARY KEY (task, "user");


--
-- Name: tasks tasks_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);


--
-- Name: teams teams_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.teams
    ADD CONSTRAINT teams_pkey PRIMARY KEY (id);


--
-- Name: users users_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);


--
-- Name: changes_owed; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX changes_owed ON plumbline.changes USING btree (version) WHERE (NOT recorded);


--
-- Name: issued_tokens_expires; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX issued_tokens_expires ON plumbline.issued_tokens USING btree (expires);


--
-- Name: labels_day; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX labels_day ON plumbline.labels USING btree (labeller, labelled);


--
-- Name: lessons_drawn; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX lessons_drawn ON plumbline.lessons USING btree (drawn);


--
-- Name: lessons_place; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX lessons_place ON plumbline.lessons USING btree (place);


--
-- Name: provider_objects_owner; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX provider_objects_owner ON plumbline.provider_objects USING btree (owner_user, owner_app, kind, created);


--
-- Name: river_job_args_index; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX river_job_args_index ON plumbline.river_job USING gin (args);


--
-- Name: river_job_kind; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX river_job_kind ON plumbline.river_job USING btree (kind);


--
-- Name: river_job_metadata_index; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX river_job_metadata_index ON plumbline.river_job USING gin (metadata);


--
-- Name: river_job_prioritized_fetching_index; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX river_job_prioritized_fetching_index ON plumbline.river_job USING btree (state, queue, priority, scheduled_at, id);


--
-- Name: river_job_state_and_finalized_at_index; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX river_job_state_and_finalized_at_index ON plumbline.river_job USING btree (state, finalized_at) WHERE (finalized_at IS NOT NULL);


--
-- Name: river_job_unique_idx; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE UNIQUE INDEX river_job_unique_idx ON plumbline.river_job USING btree (unique_key) WHERE ((unique_key IS NOT NULL) AND (unique_states IS NOT NULL) AND plumbline.river_job_state_in_bitmask(unique_states, state));


--
-- Name: river_notification_created_at_idx; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX river_notification_created_at_idx ON plumbline.river_notification USING btree (created_at);


--
-- Name: river_notification_topic_id_idx; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX river_notification_topic_id_idx ON plumbline.river_notification USING btree (topic, id);


--
-- Name: samples_drawn; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX samples_drawn ON plumbline.samples USING btree (drawn);


--
-- Name: samples_place; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX samples_place ON plumbline.samples USING btree (place);


--
-- Name: subject_keys_live; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE UNIQUE INDEX subject_keys_live ON plumbline.subject_keys USING btree (subject) WHERE (erased = 0);


--
-- Name: subject_keys_subject; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX subject_keys_subject ON plumbline.subject_keys USING btree (subject);


--
-- Name: system_prompts_app; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX system_prompts_app ON plumbline.system_prompts USING btree (app);


--
-- Name: task_teams_team; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX task_teams_team ON plumbline.task_teams USING btree (team);


--
-- Name: task_users_user; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX task_users_user ON plumbline.task_users USING btree ("user");


--
-- Name: apps provider_objects_app; Type: TRIGGER; Schema: plumbline; Owner: -
--

CREATE TRIGGER provider_objects_app AFTER DELETE ON plumbline.apps FOR EACH ROW EXECUTE FUNCTION plumbline.forget_objects_of_app();


--
-- Name: users provider_objects_user; Type: TRIGGER; Schema: plumbline; Owner: -
--

CREATE TRIGGER provider_objects_user AFTER DELETE ON plumbline.users FOR EACH ROW EXECUTE FUNCTION plumbline.forget_objects_of_user();


--
-- Name: app_keys app_keys_app_fkey; Type: FK CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.app_keys
    ADD CONSTRAINT app_keys_app_fkey FOREIGN KEY (app) REFERENCES plumbline.apps(id);


--
-- Name: app_keys app_keys_user_fkey; Type: FK CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.app_keys
    ADD CONSTRAINT app_keys_user_fkey FOREIGN KEY ("user") REFERENCES plumbline.users(id);


--
-- Name: apps apps_team_fkey; Type: FK CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.apps
    ADD CONSTRAINT apps_team_fkey FOREIGN KEY (team) REFERENCES plumbline.teams(id);


--
-- Name: limits limits_app_fkey; Type: FK CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.limits
    ADD CONSTRAINT limits_app_fkey FOREIGN KEY (app) REFERENCES plumbline.apps(id);


--
-- Name: limits limits_team_fkey; Type: FK CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.limits
    ADD CONSTRAINT limits_team_fkey FOREIGN KEY (team) REFERENCES plumbline.teams(id);


--
-- Name: limits limits_user_fkey; Type: FK CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.limits
    ADD CONSTRAINT limits_user_fkey FOREIGN KEY ("user") REFERENCES plumbline.users(id);


--
-- Name: system_prompts system_prompts_app_fkey; Type: FK CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.system_prompts
    ADD CONSTRAINT system_prompts_app_fkey FOREIGN KEY (app) REFERENCES plumbline.apps(id);


--
-- Name: task_teams task_teams_task_fkey; Type: FK CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.task_teams
    ADD CONSTRAINT task_teams_task_fkey FOREIGN KEY (task) REFERENCES plumbline.tasks(id) ON DELETE CASCADE;


--
-- Name: task_teams task_teams_team_fkey; Type: FK CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.task_teams
    ADD CONSTRAINT task_teams_team_fkey FOREIGN KEY (team) REFERENCES plumbline.teams(id);


--
-- Name: task_users task_users_task_fkey; Type: FK CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.task_users
    ADD CONSTRAINT task_users_task_fkey FOREIGN KEY (task) REFERENCES plumbline.tasks(id) ON DELETE CASCADE;


--
-- Name: task_users task_users_user_fkey; Type: FK CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.task_users
    ADD CONSTRAINT task_users_user_fkey FOREIGN KEY ("user") REFERENCES plumbline.users(id);


--
-- Name: users users_team_fkey; Type: FK CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.users
    ADD CONSTRAINT users_team_fkey FOREIGN KEY (team) REFERENCES plumbline.teams(id);


--
-- PostgreSQL database dump complete
--


