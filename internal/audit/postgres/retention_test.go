package postgres_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/audittest"
	"github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/core"
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

	for _, class := range []string{audit.ClassExchange, audit.ClassAdmin, audit.ClassRollups} {
		if got := months(t, retention, class, april.Add(-time.Microsecond)); got != nil {
			t.Errorf("%s: %v is past before March has ended", class, got)
		}
		if got := months(t, retention, class, april); len(got) != 1 || got[0] != "2026_03" {
			t.Errorf("%s: %v is past when March has ended", class, got)
		}
	}
	for _, class := range []string{audit.ClassExchange, audit.ClassRollups} {
		march := audit.Month{Class: class, Begin: start}
		if _, err := retention.Retire(t.Context(), march, april); !errors.Is(err, audit.ErrUndeclared) {
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
		if n, err := retention.Retire(t.Context(), march, april); err != nil || n < 1 || class == audit.ClassExchange && n != 40 {
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

// TestRetentionAsEverywhere runs the suite that every store passes, as the two roles.
func TestRetentionAsEverywhere(t *testing.T) {
	audittest.RunRetention(t, func(t testing.TB) *audittest.Retained {
		s := newSigned(t)
		retention := openStore(t, s.db.Role(t, "GRANT plumbline_retention TO %s"))
		s.store = openStore(t, s.db.Role(t, "GRANT plumbline_writer TO %s"))
		log := openLog(t, "")
		n := s.notary(log)
		return &audittest.Retained{
			Retainer: retention, Now: time.Now().UTC(), Reader: s.store,
			Record: func(all ...core.Record) error { s.write(log, nil, all...); return nil },
			Fix:    func() error { return n.Finish(t.Context()) },
			Verify: func() (audittest.Kept, error) {
				report, err := s.verify()
				return audittest.Kept{Records: report.Records, Dropped: report.Dropped, Fixed: int64(report.FixedOutside)}, err
			},
		}
	})
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

// drop has a month of calls declared and dropped, as the job does, or gives why not.
func (s *signed) drop(log *audit.Log, m audit.Month) error {
	s.t.Helper()
	declaration, err := s.store.Declaration(s.t.Context(), m, "system", april.AddDate(3, 0, 0))
	if err != nil {
		return err
	}
	s.write(log, s.notary(log), declaration)
	_, err = s.store.Retire(s.t.Context(), m, april)
	return err
}

// TestOnlyRecordsOfAMonthGoWithIt: who owns the database has no way to have retention drop, under its own good name, what is
// still to be kept. Afterwards nothing would show it.
func TestOnlyRecordsOfAMonthGoWithIt(t *testing.T) {
	for what, tampering := range map[string]string{
		"another month":   "UPDATE plumbline_audit.records SET recorded_at = 1772366400000001 WHERE seq = 4",
		"its bytes, too":  "UPDATE plumbline_audit.records SET recorded_at = 1772366400000001, record = replace(convert_from(record, 'UTF8'), '2026-05-', '2026-03-')::bytea WHERE seq = 4",
		"another class":   "UPDATE plumbline_audit.records SET class = 'exchange' WHERE seq = 3",
		"its kind, too":   "UPDATE plumbline_audit.records SET class = 'exchange', kind = 'deny' WHERE seq = 3",
		"another's place": "UPDATE plumbline_audit.records SET recorded_at = 1772366400000001, kind = 'intent\",\"time\":\"2026-03-' WHERE seq = 4",
	} {
		t.Run(what, func(t *testing.T) {
			s := newSigned(t)
			log := openLog(t, "")
			late := intent(2)
			late.Time = april.AddDate(0, 1, 0)
			admin := core.Record{Kind: core.RecordAdmin, Time: start, Exchange: "change-1", Admin: &core.Change{Actor: "root", Action: "put", Object: "user/ada"}}
			s.write(log, s.notary(log), intent(1), outcome(1), admin, late)
			if _, err := s.verify(); err != nil {
				t.Fatal(err)
			}
			s.db.Exec(t, tampering)
			err := s.drop(log, audit.Month{Class: audit.ClassExchange, Begin: start})
			var bad *audit.BadEntryError
			if !errors.As(err, &bad) {
				_, found := s.verify()
				t.Fatalf("dropped with %v; verifying afterwards finds %v", err, found)
			}
			if _, err := s.verify(); err == nil {
				t.Error("verifying finds nothing")
			}
		})
	}
}

// TestAMonthIsDroppedOnce: a clock that was wrong has the partition of a month made that was dropped. What is recorded in it is
// kept: with the hashes of both drops in one place, neither declaration would be that of what is there.
func TestAMonthIsDroppedOnce(t *testing.T) {
	s := newSigned(t)
	log := openLog(t, "")
	s.write(log, s.notary(log), intent(1), outcome(1))
	march := audit.Month{Class: audit.ClassExchange, Begin: start}
	must(t, s.drop(log, march))
	must(t, s.store.Prepare(t.Context(), start))
	other := openLog(t, "")
	s.write(other, s.notary(other), intent(2), outcome(2))
	if got := months(t, s.store, audit.ClassExchange, april); got != nil {
		must(t, s.drop(other, march))
		t.Errorf("%v is to be dropped again", got)
	}
	if report, err := s.verify(); err != nil || report.Dropped != 2 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestAClockThatWasSetBackLosesNothing: a process that starts years before makes no months of then, and what it records is not
// dropped as if it were old.
func TestAClockThatWasSetBackLosesNothing(t *testing.T) {
	s := newSigned(t)
	years := start.AddDate(-6, 0, 0)
	must(t, s.store.Prepare(t.Context(), years))
	log := openLog(t, "")
	rec := intent(1)
	rec.Time = years
	s.write(log, s.notary(log), rec)
	if got := months(t, s.store, audit.ClassExchange, start); got != nil {
		t.Errorf("%v is to be dropped", got)
	}
	if stray, err := s.store.Stray(t.Context()); err != nil || stray != 1 {
		t.Errorf("%d records in no month, %v", stray, err)
	}
	must(t, s.store.Prepare(t.Context(), april.AddDate(0, 6, 0)))
	if !pgproc.One[bool](t, s.db, "SELECT to_regclass('plumbline_audit.records_exchange_2026_10') IS NOT NULL") {
		t.Error("a later month has no partition")
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
