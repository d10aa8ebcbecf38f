package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// holds checks that the store has so many records, each once, no letters, no gaps, and sums that equal a recount.
func holds(t *testing.T, db *pgproc.Database, want int) {
	t.Helper()
	for _, c := range []struct {
		what, query string
		want        int64
	}{
		{"records", "SELECT count(*) FROM plumbline_audit.records", int64(want)},
		{"different ones", "SELECT count(DISTINCT (writer, seq)) FROM plumbline_audit.records", int64(want)},
		{"dead letters", "SELECT count(*) FROM plumbline_audit.dead_letters", 0},
		{"gaps", "SELECT coalesce(sum(last - records - dead), 0)::bigint FROM plumbline_audit.writers", 0},
		{"numbers without gaps", "SELECT coalesce(sum(n), 0)::bigint FROM (SELECT max(seq) AS n FROM plumbline_audit.records GROUP BY writer) AS w", int64(want)},
		{"wrong sums", wrongSums, 0},
	} {
		if got := pgproc.One[int64](t, db, c.query); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
}

// wrongSums counts sums that differ from a recount over the records, in SQL and apart from the code that sums.
const wrongSums = `WITH r AS (
		SELECT *, convert_from(record, 'UTF8')::json AS j FROM plumbline_audit.records WHERE kind IN ('intent', 'outcome', 'deny')
	), joined AS (
		SELECT r.*, coalesce(o.j, r.j) AS opening FROM r LEFT JOIN r AS o ON r.kind = 'outcome' AND o.kind = 'intent' AND o.exchange = r.exchange
	), recount AS (
		SELECT recorded_at / 3600000000 * 3600000000 AS hour, "user", team, app, model,
			coalesce(opening #>> '{intent,label}', '') AS intent, coalesce(opening #>> '{verdict,action}', '') AS verdict,
			count(*) FILTER (WHERE kind <> 'outcome') AS decided, count(*) FILTER (WHERE kind = 'outcome') AS ended,
			coalesce(sum((j #>> '{settled,requests}')::bigint), 0) AS requests,
			coalesce(sum((j #>> '{settled,input_tokens}')::bigint), 0) AS input_tokens,
			coalesce(sum((j #>> '{settled,output_tokens}')::bigint), 0) AS output_tokens,
			coalesce(sum((j #>> '{settled,cost_micro_usd}')::bigint), 0) AS cost,
			count(*) FILTER (WHERE j #>> '{settled,admitted}' IS NOT NULL) AS latencies,
			count(*) FILTER (WHERE j -> 'deviation' IS NOT NULL) AS deviations
		FROM joined GROUP BY 1, 2, 3, 4, 5, 6, 7
	), kept AS (
		SELECT hour, "user", team, app, model, intent, verdict, decided, ended, requests, input_tokens, output_tokens, cost,
			(SELECT sum(n) FROM unnest(latency) AS n) AS latencies, (SELECT sum(n) FROM unnest(deviation) AS n) AS deviations
		FROM plumbline_audit.rollups
	)
	SELECT count(*) FROM ((SELECT * FROM recount EXCEPT SELECT * FROM kept) UNION ALL (SELECT * FROM kept EXCEPT SELECT * FROM recount)) AS wrong`

func TestShipsEverythingOnce(t *testing.T) {
	db := pgproc.Shared(t).Database(t, records)
	store, log := openStore(t, db.URL), openLog(t, "")
	appendExchanges(t, log, 0, 1500)
	must(t, log.Append(t.Context(), core.Record{Kind: core.RecordAdmin, Time: start, Exchange: "change-1", Admin: &core.Change{Actor: "root", Action: "put", Object: "user/ada"}}))
	settled(t, log)
	s := newShipper(log, store)
	must(t, s.Drain(t.Context()))
	holds(t, db, 3001)
	if got := pgproc.One[int](t, db, "SELECT count(*) FROM plumbline_audit.records_admin"); got != 1 {
		t.Errorf("%d records of class admin", got)
	}
	if c := s.Counts(); c.Shipped != 3001 || c.Records != 0 || c.DeadLetters != 0 || c.Missing != 0 {
		t.Errorf("%+v", c)
	}
}

// TestSendingAgainChangesNothing stores overlapping parts of a log, in any order.
func TestSendingAgainChangesNothing(t *testing.T) {
	db := pgproc.Shared(t).Database(t, records)
	store, log := openStore(t, db.URL), openLog(t, "")
	appendExchanges(t, log, 0, 100)
	all, err := log.Unshipped(t.Context(), 0, 1000)
	must(t, err)
	for _, part := range [][]audit.Shipment{all[50:120], all[:60], all[100:], all, all} {
		_, err := store.Store(t.Context(), part)
		must(t, err)
	}
	holds(t, db, 200)
}

// TestAnotherRecordUnderTheSameKeyIsKept: neither is lost, and the one that was there stays.
func TestAnotherRecordUnderTheSameKeyIsKept(t *testing.T) {
	db := pgproc.Shared(t).Database(t, records)
	store, log := openStore(t, db.URL), openLog(t, "")
	appendExchanges(t, log, 0, 3)
	all, err := log.Unshipped(t.Context(), 0, 1000)
	must(t, err)
	changed := all[2]
	changed.Record.Status = 500
	changed.Canonical, err = audit.Canonical(changed.Record)
	must(t, err)
	changed.Leaf = audit.LeafHash(changed.Canonical, changed.Writer, changed.Seq)
	_, err = store.Store(t.Context(), []audit.Shipment{changed})
	must(t, err)

	got, err := store.Store(t.Context(), all)
	if err != nil || got.New != 5 || got.Known != 0 || got.Conflicts != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if letter := pgproc.One[[]byte](t, db, "SELECT record FROM plumbline_audit.dead_letters"); string(letter) != string(all[2].Canonical) {
		t.Errorf("the letter is %s", letter)
	}
	if n, err := store.Missing(t.Context()); n != 0 || err != nil {
		t.Errorf("%d missing, %v", n, err)
	}
}

func TestMissingRecordsAreCounted(t *testing.T) {
	db := pgproc.Shared(t).Database(t, records)
	store, log := openStore(t, db.URL), openLog(t, "")
	appendExchanges(t, log, 0, 10)
	all, err := log.Unshipped(t.Context(), 0, 1000)
	must(t, err)
	_, err = store.Store(t.Context(), append(all[:3:3], all[7:]...))
	must(t, err)
	if n, err := store.Missing(t.Context()); n != 4 || err != nil {
		t.Errorf("%d missing, %v", n, err)
	}
	must(t, store.Bury(t.Context(), all[4], "as a test"))
	must(t, store.Bury(t.Context(), all[4], "as a test"))
	if n, err := store.Missing(t.Context()); n != 3 || err != nil {
		t.Errorf("%d missing with a letter, %v", n, err)
	}
}

// TestPoisonBlocksNothing mixes records that hold what Postgres' text cannot, and some that a rule of the database
// refuses, with sound ones.
func TestPoisonBlocksNothing(t *testing.T) {
	db := pgproc.Shared(t).Database(t, records)
	db.Exec(t, `ALTER TABLE plumbline_audit.records ADD CONSTRAINT no_refused CHECK (model <> 'refused')`)
	store, log := openStore(t, db.URL), openLog(t, "")
	const n = 1000
	for i := range n {
		r := intent(i)
		switch {
		case i%100 == 13:
			r.Model = "refused"
		case i%100 == 27:
			r.Model = "nul\x00and\xff\xfe"
		case i%100 == 54:
			r.Principal.User = string(make([]byte, 100_000))
		case i == 77:
			r.Opaque = []string{string(make([]byte, 600_000))}
		}
		must(t, log.Append(t.Context(), r))
	}
	settled(t, log)
	s := newShipper(log, store)
	must(t, s.Drain(t.Context()))
	stored := pgproc.One[int](t, db, "SELECT count(*) FROM plumbline_audit.records")
	letters := pgproc.One[int](t, db, "SELECT count(*) FROM plumbline_audit.dead_letters WHERE reason LIKE '%23514, no_refused%'")
	if stored != n-10 || letters != 10 {
		t.Errorf("%d records and %d letters", stored, letters)
	}
	if c := s.Counts(); c.DeadLetters != 10 || c.Missing != 0 || c.Records != 0 {
		t.Errorf("%+v", c)
	}
	if missing, err := store.Missing(t.Context()); missing != 0 || err != nil {
		t.Errorf("%d missing, %v", missing, err)
	}
	listed, err := store.Letters(t.Context(), 4)
	if err != nil || len(listed) != 4 || listed[0].Seq != 14 || !listed[0].Time.Equal(intent(13).Time) || !strings.Contains(string(listed[0].Record), `"refused"`) {
		t.Errorf("%v, %v", listed, err)
	}
}

// TestCommitsAreOnTheDisk: a server that is set not to wait for its disk is told to for what the spool will let go of.
func TestCommitsAreOnTheDisk(t *testing.T) {
	db := pgproc.Shared(t).Database(t, records)
	db.Exec(t, `ALTER DATABASE "`+db.Name+`" SET synchronous_commit = off;
		CREATE TABLE public.seen (setting text);
		CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
		CREATE TRIGGER see AFTER INSERT ON plumbline_audit.writers FOR EACH STATEMENT EXECUTE FUNCTION public.see()`)
	store, log := openStore(t, db.URL), openLog(t, "")
	appendExchanges(t, log, 0, 2)
	all, err := log.Unshipped(t.Context(), 0, 10)
	must(t, err)
	_, err = store.Store(t.Context(), all[1:])
	must(t, err)
	must(t, store.Bury(t.Context(), all[0], "as a test"))
	if got := pgproc.One[[]string](t, db, "SELECT array_agg(setting) FROM public.seen"); !slices.Equal(got, []string{"on", "on"}) {
		t.Errorf("%v", got)
	}
}

// TestRolesMayOnlyAdd: who writes cannot change or remove, who removes does so by whole months.
func TestRolesMayOnlyAdd(t *testing.T) {
	db := pgproc.Shared(t).Database(t, records)
	writer := db.Role(t, "GRANT plumbline_writer TO %s")
	store, log := openStore(t, writer), openLog(t, "")
	appendExchanges(t, log, 0, 10)
	must(t, store.Prepare(t.Context(), start))
	must(t, newShipper(log, store).Drain(t.Context()))
	holds(t, db, 20)
	for _, statement := range []string{
		"UPDATE plumbline_audit.records SET model = ''", "DELETE FROM plumbline_audit.records", "TRUNCATE plumbline_audit.records",
		"DELETE FROM plumbline_audit.dead_letters", "SELECT plumbline_audit.drop_partition('exchange', '2026_03')",
		"DROP TABLE plumbline_audit.records",
	} {
		if refusedAs(t, writer, statement) == nil {
			t.Errorf("the writer may %s", statement)
		}
	}
	retention := db.Role(t, "GRANT plumbline_retention TO %s")
	if refusedAs(t, retention, "DELETE FROM plumbline_audit.records") == nil {
		t.Error("retention may delete records")
	}
	if refusedAs(t, retention, "SELECT plumbline_audit.drop_partition('exchange', '2026_03')") == nil {
		t.Error("retention may drop what is not declared")
	}
}
