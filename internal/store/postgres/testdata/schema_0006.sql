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
    created bigint NOT NULL
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
-- Data for Name: app_keys; Type: TABLE DATA; Schema: plumbline; Owner: -
--

INSERT INTO plumbline.app_keys VALUES ('key-1', 'ide', 'ann', '\x01ff000000000000000000000000000000000000000000000000000000000000', 'wxyz', 1773190800123456, 1773190800123457, 0);


--
-- Data for Name: apps; Type: TABLE DATA; Schema: plumbline; Owner: -
--

INSERT INTO plumbline.apps VALUES ('ide', '', NULL, 1773190800123456);


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
-- Data for Name: limits; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: provider_objects; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: revocations; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: schema_version; Type: TABLE DATA; Schema: plumbline; Owner: -
--

INSERT INTO plumbline.schema_version VALUES (1, '0001_control.sql', 1795862962406108);
INSERT INTO plumbline.schema_version VALUES (2, '0002_provider_objects.sql', 1795862962419662);
INSERT INTO plumbline.schema_version VALUES (3, '0003_sessions.sql', 1795862962430859);
INSERT INTO plumbline.schema_version VALUES (4, '0004_unreachable.sql', 1795862962433468);
INSERT INTO plumbline.schema_version VALUES (5, '0005_subject_keys.sql', 1795862962446298);
INSERT INTO plumbline.schema_version VALUES (6, '0006_recorded_changes.sql', 1795862962451682);


--
-- Data for Name: signing_keys; Type: TABLE DATA; Schema: plumbline; Owner: -
--



--
-- Data for Name: subject_keys; Type: TABLE DATA; Schema: plumbline; Owner: -
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
lines', '["late \"parcels\""]', '[]', 1773190800123456);


--
-- Data for Name: teams; Type: TABLE DATA; Schema: plumbline; Owner: -
--

INSERT INTO plumbline.teams VALUES ('support', 'Support ''quoted'' 漢字', 1773190800123456);


--
-- Data for Name: users; Type: TABLE DATA; Schema: plumbline; Owner: -
--

INSERT INTO plumbline.users VALUES ('ann', 'Ann', 'support', true, 1773190800123456);


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
-- Name: limits limits_pkey; Type: CONSTRAINT; Schema: plumbline; Owner: -
--

ALTER TABLE ONLY plumbline.limits
    ADD CONSTRAINT limits_pkey PRIMARY KEY (id);


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
-- Name: provider_objects_owner; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX provider_objects_owner ON plumbline.provider_objects USING btree (owner_user, owner_app, kind, created);


--
-- Name: subject_keys_live; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE UNIQUE INDEX subject_keys_live ON plumbline.subject_keys USING btree (subject) WHERE (erased = 0);


--
-- Name: subject_keys_subject; Type: INDEX; Schema: plumbline; Owner: -
--

CREATE INDEX subject_keys_subject ON plumbline.subject_keys USING btree (subject);


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


