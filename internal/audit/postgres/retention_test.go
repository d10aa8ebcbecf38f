package postgres_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// april is after all that appendExchanges records, and so are its days until the end.
var april = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

// months are the names of what Past gives.
func months(t *testing.T, s *postgres.Store, class string, before time.Time) (names []string) {
	t.Helper()
	found, err := s.Past(t.Context(), class, before)
	must(t, err)
	for _, m := range found {
		names = append(names, m.Name())
	}
	return names
}

// TestRetention: a month goes when all of it is older, after its declaration is stored, by the one role, with its hashes
// kept; what is gone can be dropped again, and what was shipped from it can be shipped again.
func TestRetention(t *testing.T) {
	s := newSigned(t)
	db := s.db
	writer, retention := openStore(t, db.Role(t, "GRANT plumbline_writer TO %s")), openStore(t, db.Role(t, "GRANT plumbline_retention TO %s"))
	log := openLog(t, "")
	signer := s.notary(log)
	must(t, writer.Prepare(t.Context(), start))
	appendExchanges(t, log, 0, 20)
	must(t, newShipper(log, writer).Drain(t.Context()))

	for _, class := range []string{postgres.ClassExchange, postgres.ClassAdmin, postgres.ClassRollups} {
		if got := months(t, retention, class, april.Add(-time.Microsecond)); got != nil {
			t.Errorf("%s: %v is past before March has ended", class, got)
		}
		if got := months(t, retention, class, april); len(got) != 1 || got[0] != "2026_03" {
			t.Errorf("%s: %v is past when March has ended", class, got)
		}
	}
	for _, class := range []string{postgres.ClassExchange, postgres.ClassRollups} {
		march := postgres.Month{Class: class, Begin: start}
		if _, err := retention.Retire(t.Context(), march, april); !errors.Is(err, postgres.ErrUndeclared) {
			t.Fatalf("%s: not declared: %v", class, err)
		}
		declaration, err := retention.Declaration(t.Context(), march, "system", april.AddDate(3, 0, 0))
		must(t, err)
		must(t, log.Append(t.Context(), declaration))
		settled(t, log)
		must(t, newShipper(log, writer).Drain(t.Context()))
		must(t, signer.Finish(t.Context()))
		if _, err := retention.Retire(t.Context(), march, april.Add(-time.Microsecond)); err == nil || !strings.Contains(err.Error(), "are to be kept") {
			t.Errorf("%s: dropped before all of it is older: %v", class, err)
		}
		if _, err := writer.Retire(t.Context(), march, april); err == nil || !strings.Contains(err.Error(), "lacks a right") {
			t.Errorf("%s: the writer may drop: %v", class, err)
		}
		if n, err := retention.Retire(t.Context(), march, april); err != nil || n < 1 || class == postgres.ClassExchange && n != 40 {
			t.Errorf("%s: %d dropped, %v", class, n, err)
		}
		if n, err := retention.Retire(t.Context(), march, april); err != nil || n != 0 {
			t.Errorf("%s: %d dropped again, %v", class, n, err)
		}
		if got := months(t, retention, class, april); got != nil {
			t.Errorf("%s: %v is left", class, got)
		}
	}
	for what, query := range map[string]string{
		"hashes":  "SELECT 40 - coalesce(sum(records), 0)::bigint FROM plumbline_audit.dropped",
		"records": "SELECT count(*) FROM plumbline_audit.records WHERE class = 'exchange'",
		"sums":    "SELECT count(*) FROM plumbline_audit.rollups",
		"changes": "SELECT 2 - count(*) FROM plumbline_audit.records WHERE class = 'admin'",
		"missing": "SELECT sum(last - records - dead)::bigint FROM plumbline_audit.writers",
	} {
		if n := pgproc.One[int64](t, db, query); n != 0 {
			t.Errorf("%s: %d too many or too few", what, n)
		}
	}
	if stray, err := writer.Stray(t.Context()); err != nil || stray != 2 {
		t.Errorf("%d records in no month, %v: want the two declarations, of a month without a partition", stray, err)
	}
}

// TestRecentMonthsStay: whoever asks, with whatever bound.
func TestRecentMonthsStay(t *testing.T) {
	db := pgproc.Shared(t).Database(t, records)
	store := openStore(t, db.URL)
	now := time.Now().UTC()
	must(t, store.Prepare(t.Context(), now))
	for _, class := range []string{postgres.ClassExchange, postgres.ClassAdmin, postgres.ClassRollups} {
		recent := postgres.Month{Class: class, Begin: now.AddDate(0, 0, -34)}
		if _, err := store.Retire(t.Context(), recent, now.AddDate(10, 0, 0)); err == nil || !strings.Contains(err.Error(), "are to be kept") {
			t.Errorf("%s of %s: %v", class, recent.Name(), err)
		}
	}
}

// TestRecount: the sums equal a recount, a changed record or sum shows, and nothing is mended.
func TestRecount(t *testing.T) {
	db := pgproc.Shared(t).Database(t, records)
	store, log := openStore(t, db.URL), openLog(t, "")
	must(t, store.Prepare(t.Context(), start))
	appendExchanges(t, log, 0, 3700) // more than an hour, and than a page
	must(t, newShipper(log, store).Drain(t.Context()))
	var all int64
	for _, hour := range []time.Time{start, start.Add(time.Hour), start.Add(-time.Hour)} {
		r, err := store.Recount(t.Context(), hour.Add(time.Minute))
		if err != nil || r.Wrong != 0 || (r.Sums == 0) != (r.Records == 0) {
			t.Errorf("%s: %+v, %v", hour, r, err)
		}
		all += r.Records
	}
	if all != 7400 {
		t.Errorf("%d records were counted, want 7400", all)
	}
	for what, tampering := range map[string]string{
		"a sum":    "UPDATE plumbline_audit.rollups SET cost = cost - 1 WHERE hour = $1::bigint AND \"user\" = 'user-1'",
		"a count":  "UPDATE plumbline_audit.rollups SET deviation[3] = deviation[3] + 1 WHERE hour = $1::bigint AND \"user\" = 'user-2'",
		"a record": "DELETE FROM plumbline_audit.records WHERE kind = 'outcome' AND seq = 100 AND recorded_at >= $1::bigint",
	} {
		before, err := store.Recount(t.Context(), start)
		must(t, err)
		db.Exec(t, tampering, start.UnixMicro())
		if after, err := store.Recount(t.Context(), start); err != nil || after.Wrong <= before.Wrong {
			t.Errorf("%s: %+v, %v", what, after, err)
		}
		if again, err := store.Recount(t.Context(), start); err != nil || again.Wrong == 0 {
			t.Errorf("%s: %+v, %v: it was mended", what, again, err)
		}
	}
}

// TestRecountOfADay: with the last hour of a day, its sums by the day are held against those by the hour.
func TestRecountOfADay(t *testing.T) {
	db := pgproc.Shared(t).Database(t, records)
	store, log := openStore(t, db.URL), openLog(t, "")
	must(t, store.Prepare(t.Context(), start))
	appendExchanges(t, log, 0, 40)
	must(t, newShipper(log, store).Drain(t.Context()))
	last := start.Truncate(24 * time.Hour).Add(23 * time.Hour)
	if r, err := store.Recount(t.Context(), last); err != nil || r.Wrong != 0 || r.Sums < 10 {
		t.Fatalf("untouched: %+v, %v", r, err)
	}
	for _, table := range []string{"rollups_day", "rollups_day_user"} {
		for _, change := range append([]string{"hour = hour + 1"}, columnsOfSums[1:]...) {
			old := "plumbline_audit." + table
			db.Exec(t, "CREATE TABLE kept AS SELECT * FROM "+old)
			db.Exec(t, "UPDATE "+old+" SET "+change+" WHERE ctid = (SELECT min(ctid) FROM "+old+")")
			if r, err := store.Recount(t.Context(), last); err != nil || r.Wrong == 0 {
				t.Errorf("%s, %s: %+v, %v", table, change, r, err)
			}
			db.Exec(t, "DELETE FROM "+old)
			if r, err := store.Recount(t.Context(), last); err != nil || r.Wrong == 0 {
				t.Errorf("%s is empty: %+v, %v", table, r, err)
			}
			db.Exec(t, "INSERT INTO "+old+" SELECT * FROM kept")
			db.Exec(t, "DROP TABLE kept")
		}
	}
	if r, err := store.Recount(t.Context(), last); err != nil || r.Wrong != 0 {
		t.Errorf("put back: %+v, %v", r, err)
	}
}
