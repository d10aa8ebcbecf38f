package postgres_test

import (
	"slices"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// TestCopiedAndInsertedAreAlike stores one batch in two databases. In one it is new and so copied in; in the other a record of
// it is there already, so that the rest is inserted.
func TestCopiedAndInsertedAreAlike(t *testing.T) {
	log := openLog(t, "")
	appendExchanges(t, log, 0, 40)
	for i, r := range []core.Record{
		{Kind: core.RecordAdmin, Exchange: "change-1", Admin: &core.Change{Actor: "root", Action: "put", Object: "user/ada"}},
		{
			Kind: core.RecordDeny, Exchange: exchangeID(90), Model: "nul\x00 and \xff\xfe", Principal: core.Principal{User: "ü, \"'\\\n\t{}"}, Reason: core.ReasonOffTask,
			Verdict: &core.Verdict{Action: core.ActionBlock, Rule: "rules[1]"},
		},
		{Kind: core.RecordDeny, Exchange: exchangeID(91), Opaque: []string{string(make([]byte, 300_000))}}, // longer than what is sent at a time
	} {
		r.Time = start.AddDate(0, i-1, 0) // in several partitions, and in that of what fits none
		must(t, log.Append(t.Context(), r))
	}
	settled(t, log)
	all, err := log.Unshipped(t.Context(), 0, 1000)
	must(t, err)

	kept := func(already int) (rows []string) {
		db := pgproc.Shared(t).Database(t, records)
		store := openStore(t, db.URL)
		must(t, store.Prepare(t.Context(), start))
		if already > 0 {
			_, err := store.Store(t.Context(), all[:already])
			must(t, err)
		}
		stored, err := store.Store(t.Context(), all)
		if err != nil || stored.New != len(all)-already || stored.Known != already || stored.Conflicts != 0 {
			t.Fatalf("%+v, %v", stored, err)
		}
		for _, table := range []string{"records", "rollups", "rollups_day", "rollups_day_user", "writers", "explanations"} {
			rows = append(rows, db.Lines(t, "SELECT '"+table+" ' || r::text FROM plumbline_audit."+table+` AS r ORDER BY r::text COLLATE "C"`)...)
		}
		return rows
	}
	copied, inserted := kept(0), kept(1)
	if len(copied) < len(all) || !slices.Equal(copied, inserted) {
		t.Errorf("copied:\n%q\ninserted:\n%q", copied, inserted)
	}
}

// TestSumsWithOtherCounts: sums that a version with more ranges wrote, or with fewer, are added to and lose nothing.
func TestSumsWithOtherCounts(t *testing.T) {
	db := pgproc.Shared(t).Database(t, records)
	store, log := openStore(t, db.URL), openLog(t, "")
	appendExchanges(t, log, 0, 100)
	all, err := log.Unshipped(t.Context(), 0, 1000)
	must(t, err)
	_, err = store.Store(t.Context(), all[:100])
	must(t, err)
	before := pgproc.One[int64](t, db, "SELECT sum(n)::bigint FROM plumbline_audit.rollups, unnest(deviation[1:3]) AS n")
	db.Exec(t, "UPDATE plumbline_audit.rollups SET latency = latency || 7::bigint, deviation = deviation[1:3]")
	_, err = store.Store(t.Context(), all[100:])
	must(t, err)
	sums := func(column string) int64 {
		return pgproc.One[int64](t, db, "SELECT sum(n)::bigint FROM plumbline_audit.rollups, unnest("+column+") AS n")
	}
	rows := pgproc.One[int64](t, db, "SELECT count(*) FROM plumbline_audit.rollups WHERE latency[13] = 7")
	if got, want := sums("latency"), 100+7*rows; got != want || rows != 50 {
		t.Errorf("%d latencies in %d rows, want %d in 50", got, rows, want)
	}
	if got, want := sums("deviation"), before+50; got != want {
		t.Errorf("%d deviations, want %d", got, want)
	}
}
