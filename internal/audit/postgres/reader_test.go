package postgres_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// varied is one of a mix in which every filter finds some and leaves some. Several share a time, and times go back.
func varied(i int) core.Record {
	rec := intent(i)
	switch i % 4 {
	case 1:
		rec = outcome(i)
	case 2:
		rec.Kind, rec.Reserved = core.RecordDeny, nil
		rec.Verdict.Action, rec.Reason = core.ActionBlock, core.ReasonOffTask
	case 3:
		rec = core.Record{Kind: core.RecordAdmin, Admin: &core.Change{Actor: "root", Action: "put", Object: "user/ada"}}
	}
	rec.Time = start.Add(time.Duration(i/50+i*7%10) * time.Second)
	if i%10 == 9 {
		rec.Time = rec.Time.AddDate(0, 1, 0) // the next partition
	}
	rec.Principal = core.Principal{User: []string{"", "ada", "bob"}[i%3], Team: []string{"red", "blue"}[i%2], App: []string{"ide", "chat"}[i/2%2]}
	rec.Model = []string{"gpt-4o", "gpt-4o-mini", ""}[i/3%3]
	return rec
}

// filled is a store with records of two writers, and those records newest first.
func filled(t *testing.T, each int) (*postgres.Store, *pgproc.Database, []audit.Shipment) {
	t.Helper()
	db := pgproc.Shared(t).Database(t, records)
	store := openStore(t, db.URL)
	must(t, store.Prepare(t.Context(), start))
	var all []audit.Shipment
	for writer := range 2 {
		log := openLog(t, "")
		for i := range each {
			must(t, log.Append(t.Context(), varied(writer*each+i)))
		}
		settled(t, log)
		entries, err := log.Unshipped(t.Context(), 0, each)
		must(t, err)
		all = append(all, entries...)
		must(t, newShipper(log, store).Drain(t.Context()))
	}
	slices.SortFunc(all, func(a, b audit.Shipment) int {
		return -cmp.Or(a.Record.Time.Compare(b.Record.Time), strings.Compare(a.Writer, b.Writer), cmp.Compare(a.Seq, b.Seq))
	})
	return store, db, all
}

// TestVerifyNamesTheBadRecord tampers with the records in each way that their own hashes and numbers can show.
func TestVerifyNamesTheBadRecord(t *testing.T) {
	store, db, all := filled(t, 60)
	victim := all[20]
	at := func(seq uint64) string { return fmt.Sprintf(" WHERE writer = '%s' AND seq = %d", victim.Writer, seq) }
	if seen, err := store.Verify(t.Context()); err != nil || seen.Records != 120 || seen.Writers != 2 {
		t.Fatalf("before: %+v, %v", seen, err)
	}
	for _, c := range []struct {
		name, statement string
		seq             uint64
		want            string
	}{
		{"record changed", "SET record = record || '\\x20'", victim.Seq, "its hash"},
		{"hash changed", "SET leaf = '\\x00'", victim.Seq, "its hash"},
		{"person changed", `SET "user" = 'mallory'`, victim.Seq, "its columns"},
		{"time changed", "SET recorded_at = recorded_at + 1", victim.Seq, "its columns"},
		{"number changed", "SET seq = 1000", 1000, "its hash"},
		{"removed", "", victim.Seq, "it is missing"},
		{"the last removed", "", 60, "it is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			seq := victim.Seq
			if strings.HasPrefix(c.name, "the last") {
				seq = 60
			}
			db.Exec(t, "CREATE TABLE public.saved AS SELECT * FROM plumbline_audit.records")
			if c.statement == "" {
				db.Exec(t, "DELETE FROM plumbline_audit.records"+at(seq))
			} else {
				db.Exec(t, "UPDATE plumbline_audit.records "+c.statement+at(seq))
			}
			_, err := store.Verify(t.Context())
			var bad *audit.BadEntryError
			if !errors.As(err, &bad) || bad.Writer != victim.Writer || bad.Seq != c.seq || !strings.Contains(bad.Problem, c.want) {
				t.Errorf("got %v, want number %d and %q", err, c.seq, c.want)
			}
			db.Exec(t, "DELETE FROM plumbline_audit.records")
			db.Exec(t, "INSERT INTO plumbline_audit.records SELECT * FROM public.saved")
			db.Exec(t, "DROP TABLE public.saved")
		})
	}
	db.Exec(t, "SELECT plumbline_audit.drop_partition('exchange', '2026_04')")
	if _, err := store.Verify(t.Context()); err != nil {
		t.Errorf("after a month was dropped: %v", err)
	}
}
