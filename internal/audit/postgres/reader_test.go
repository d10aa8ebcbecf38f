package postgres_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

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

// TestSearchAgreesWithAFilter goes through searches of all kinds page by page.
func TestSearchAgreesWithAFilter(t *testing.T) {
	const each = 400
	store, _, all := filled(t, each)
	rapid.Check(t, func(rt *rapid.T) {
		or := func(label string, values ...string) string {
			return rapid.SampledFrom(append(values, "", "", "")).Draw(rt, label)
		}
		q := audit.Query{
			User: or("user", "ada", "bob", "eve"), Team: or("team", "red", "blue"), App: or("app", "ide", "chat"),
			Model: or("model", "gpt-4o", "gpt-4o-mini"), Kind: core.RecordKind(or("kind", "intent", "outcome", "deny", "admin")),
			Action: core.Action(or("action", "allow", "block")), Reason: core.Reason(or("reason", "none", "off_task")),
			Limit: rapid.SampledFrom([]int{0, 7, 100, 1000}).Draw(rt, "limit"),
		}
		if rapid.IntRange(0, 9).Draw(rt, "one exchange") == 0 {
			q.Exchange = exchangeID(rapid.IntRange(0, 2*each).Draw(rt, "exchange"))
		}
		if rapid.Bool().Draw(rt, "since?") {
			q.Since = start.Add(time.Duration(rapid.IntRange(-1, 30).Draw(rt, "since")) * time.Second)
		}
		if rapid.Bool().Draw(rt, "until?") {
			q.Until = start.Add(time.Duration(rapid.IntRange(-1, 30).Draw(rt, "until")) * time.Second)
		}
		var want, got []string
		for _, s := range all {
			if matches(q, s.Record) {
				want = append(want, fmt.Sprint(s.Writer, s.Seq))
			}
		}
		for page := q; ; {
			found, next, err := store.Search(context.Background(), page)
			if err != nil {
				rt.Fatal(err)
			}
			if q.Limit > 0 && len(found) > q.Limit {
				rt.Errorf("%d found, limit %d", len(found), q.Limit)
			}
			for _, e := range found {
				got = append(got, fmt.Sprint(e.Writer, e.Seq))
			}
			if next == "" {
				break
			}
			page.After = next
		}
		if !slices.Equal(want, got) {
			rt.Errorf("%+v\nwant %v\ngot  %v", q, want, got)
		}
	})
	for _, cursor := range []string{"nonsense", "1/w", "1/w/x", "x/w/1", "1/\x00/1", "1/w/1/1"} {
		if _, _, err := store.Search(t.Context(), audit.Query{After: cursor}); !errors.Is(err, audit.ErrCursor) {
			t.Errorf("the cursor %q: %v", cursor, err)
		}
	}
}

func matches(q audit.Query, r core.Record) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	var action core.Action
	if r.Verdict != nil {
		action = r.Verdict.Action
	}
	return is(q.Exchange, r.Exchange) && is(q.User, r.Principal.User) && is(q.Team, r.Principal.Team) && is(q.App, r.Principal.App) &&
		is(q.Model, r.Model) && is(string(q.Kind), string(r.Kind)) && is(string(q.Action), string(action)) &&
		is(string(q.Reason), string(r.Reason)) && !r.Time.Before(q.Since) && (q.Until.IsZero() || r.Time.Before(q.Until))
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
