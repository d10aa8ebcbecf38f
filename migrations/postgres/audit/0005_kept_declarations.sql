-- As before, but that the records which declare that a month's sums go are kept too when their own month is dropped: whoever
-- verifies holds the sums against the records, and must know which may be missing.
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
    WHERE kind = ''admin'' AND (exchange LIKE ''drop/%%'' OR exchange LIKE ''retention/rollups/%%'') ON CONFLICT DO NOTHING', partition);
  EXECUTE format('SELECT count(*) FROM %s', partition) INTO gone;
  EXECUTE format('DROP TABLE %s', partition);
  RETURN gone;
END $$;
