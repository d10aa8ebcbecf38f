-- Signed checkpoints of the writers' trees (docs/explanation/audit.md): each fixes a writer's first records.
CREATE TABLE plumbline_audit.checkpoints (
  writer text COLLATE "C" NOT NULL,
  size   bigint NOT NULL, -- how many records it fixes
  note   bytea NOT NULL,  -- the signed text
  PRIMARY KEY (writer, size)
);

-- Records that declare the dropping of a month, as they are, after their own month was dropped.
CREATE TABLE plumbline_audit.drop_entries (
  writer text COLLATE "C" NOT NULL,
  seq    bigint NOT NULL,
  record bytea NOT NULL,
  PRIMARY KEY (writer, seq)
);

-- Drops a month's records of a class and keeps their hashes, and the records among them that declare a drop. Gives how many
-- there were.
CREATE OR REPLACE FUNCTION plumbline_audit.drop_partition(class text, month text) RETURNS bigint
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
  EXECUTE format('INSERT INTO plumbline_audit.drop_entries SELECT writer, seq, record FROM %s
    WHERE kind = ''admin'' AND exchange LIKE ''drop/%%'' ON CONFLICT DO NOTHING', partition);
  EXECUTE format('SELECT count(*) FROM %s', partition) INTO gone;
  EXECUTE format('DROP TABLE %s', partition);
  RETURN gone;
END $$;

-- Gives the roles their rights. It is called again after an administrator has made roles that were missing.
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
        GRANT INSERT ON plumbline_audit.records, plumbline_audit.dead_letters, plumbline_audit.checkpoints TO plumbline_writer;
        GRANT INSERT, UPDATE ON plumbline_audit.rollups, plumbline_audit.writers TO plumbline_writer;
        GRANT EXECUTE ON FUNCTION plumbline_audit.create_partitions(bigint, integer), plumbline_audit.add(bigint[], bigint[]) TO plumbline_writer;
      WHEN 'plumbline_retention' THEN
        GRANT EXECUTE ON FUNCTION plumbline_audit.drop_partition(text, text) TO plumbline_retention;
      ELSE
    END CASE;
  END LOOP;
END $$;
SELECT plumbline_audit.grant_roles();
