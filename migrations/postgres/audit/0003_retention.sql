-- Retention. What is due is dropped by the month, by a role that can do nothing else, and only after the audit itself has
-- an admin record that declares it: of records its exchange begins with drop/, the class and the month, of sums it is
-- retention/rollups/ and the month.

-- Reports whether an admin record is here whose exchange begins with a text that ends in /.
CREATE FUNCTION plumbline_audit.is_declared(beginning text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  -- 0 is the character after /.
  SELECT EXISTS (SELECT FROM plumbline_audit.records
    WHERE exchange >= beginning AND exchange < rtrim(beginning, '/') || '0' AND exchange <> '' AND class = 'admin')
$$;

-- Gives when a month ends, or fails when it is none that may go: no month of the last 35 days may, whoever asks, since
-- limits are counted anew from the records of 33.
CREATE FUNCTION plumbline_audit.end_of_past_month(month text, before bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
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
END $$;

-- Drops a month's records of a class, all of which must be from before a time, and keeps their hashes. Gives how many there
-- were; 0 when the month is gone already; NULL, and drops nothing, before the drop is declared. It gives up after five
-- seconds of waiting for whoever reads the table, since whoever adds to it waits behind.
CREATE FUNCTION plumbline_audit.retire_partition(class text, month text, before bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
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

-- Deletes sums of a month, which must end before a time, some thousand at a time: it is called again until it gives 0. Gives
-- NULL, and deletes nothing, before that is declared.
CREATE FUNCTION plumbline_audit.retire_rollups(month text, before bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  ends bigint := plumbline_audit.end_of_past_month(month, before);
  gone bigint;
BEGIN
  IF NOT plumbline_audit.is_declared('retention/rollups/' || month || '/') THEN
    RETURN NULL;
  END IF;
  DELETE FROM plumbline_audit.rollups WHERE ctid = ANY (ARRAY(SELECT ctid FROM plumbline_audit.rollups
    WHERE hour >= (extract(epoch FROM to_date(month || '_01', 'YYYY_MM_DD')) * 1000000)::bigint AND hour < ends LIMIT 5000));
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$;

-- As before, but that retention drops through the functions above alone.
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
        REVOKE EXECUTE ON FUNCTION plumbline_audit.drop_partition(text, text) FROM plumbline_retention;
        GRANT EXECUTE ON FUNCTION plumbline_audit.retire_partition(text, text, bigint), plumbline_audit.retire_rollups(text, bigint) TO plumbline_retention;
      ELSE
    END CASE;
  END LOOP;
END $$;

REVOKE ALL ON FUNCTION plumbline_audit.is_declared(text), plumbline_audit.end_of_past_month(text, bigint),
  plumbline_audit.retire_partition(text, text, bigint), plumbline_audit.retire_rollups(text, bigint) FROM PUBLIC;
SELECT plumbline_audit.grant_roles();
