package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/core"
	pg "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

var (
	texts = rapid.OneOf(rapid.String(), rapid.StringN(0, 40, -1), rapid.SampledFrom([]string{
		"", "\x00", "nul\x00within", "\xff\xfe", "half \xe2\x82", "\ufffd", "\u202e", strings.Repeat("x", 300), strings.Repeat("ä", 200), strings.Repeat("\x00", 70_000),
	}))
	numbers = rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{0, -1, math.MaxInt64, math.MinInt64, 1 << 53}))
	scores  = rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), -0.5, 1.5, math.MaxFloat64, math.SmallestNonzeroFloat64}))
	times   = rapid.SampledFrom([]time.Time{
		start,
		{},
		time.Unix(0, 0), time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 31, 23, 59, 59, 999_999_999, time.FixedZone("", -12*3600)),
	})
	facts = rapid.SampledFrom([]string{"", `{"v":1}`, `{"a":"\u0000"}`, "{\"a\":\"\xff\"}", `{"a":1,"a":2}`, `{"n":1e999}`, `[[[]]]`, `{`})
)

// hostile is a record of any content.
func hostile(t *rapid.T, exchange string) core.Record {
	text := func(name string) string { return texts.Draw(t, name) }
	number := func(name string) int64 { return numbers.Draw(t, name) }
	r := core.Record{
		Kind: rapid.SampledFrom([]core.RecordKind{core.RecordIntent, core.RecordOutcome, core.RecordDeny, core.RecordRefusals, core.RecordAdmin, "no\x00kind"}).Draw(t, "kind"),
		Time: times.Draw(t, "time"), Exchange: exchange + text("exchange"),
		Principal: core.Principal{User: text("user"), Team: text("team"), App: text("app"), Actor: text("actor")},
		Source:    text("source"), Model: text("model"), Reason: core.Reason(text("reason")), Status: int(number("status")),
		Intent:    &core.Intent{Label: text("label"), Confidence: scores.Draw(t, "confidence")},
		Deviation: &core.Deviation{Score: scores.Draw(t, "score"), Phrase: text("phrase"), N: int(number("n"))},
		Verdict:   &core.Verdict{Action: core.Action(text("action"))},
		Settled:   &core.Charge{Admitted: times.Draw(t, "admitted"), Requests: number("requests"), InputTokens: number("input"), OutputTokens: number("output"), Cost: core.MicroUSD(number("cost"))},
		Facts:     json.RawMessage(facts.Draw(t, "facts")),
	}
	if rapid.IntRange(0, 99).Draw(t, "huge") == 0 {
		r.Opaque = []string{strings.Repeat(text("opaque")+"y", 200)}
	}
	return r
}

// TestWhateverIsRecordedArrives records anything: what the log takes is stored or with the dead letters, byte for byte, and
// nothing waits for it.
func TestWhateverIsRecordedArrives(t *testing.T) {
	db := foundByBytes(t)
	pool := openPool(t, db.URL)
	store, log := postgres.New(pool), openLog(t, "")
	must(t, store.Prepare(t.Context(), start))
	s := newShipper(log, store)
	taken, round := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		for i := range rapid.IntRange(1, 20).Draw(rt, "records") {
			if log.Append(t.Context(), hostile(rt, fmt.Sprintf("%d-%d-", round, i))) == nil {
				taken++
			}
		}
		settled(t, log)
		waiting, err := log.Unshipped(t.Context(), 0, 1000)
		must(t, err)
		if err := s.Drain(t.Context()); err != nil {
			rt.Fatal(err)
		}
		arrived(rt, pool, waiting)
		if c := s.Counts(); c.Records != 0 || int(c.Shipped+c.DeadLetters-c.Conflicts) != taken {
			rt.Fatalf("%d were taken, and %+v", taken, c)
		}
	})
	if missing, err := store.Missing(t.Context()); missing != 0 || err != nil || taken == 0 {
		t.Errorf("%d missing of %d, %v", missing, taken, err)
	}
}

// foundByBytes is a database in which records and dead letters are found by their bytes: thousands of checks look for theirs.
func foundByBytes(t *testing.T) *pgproc.Database {
	t.Helper()
	db := pgproc.Shared(t).Database(t, records)
	db.Exec(t, "CREATE INDEX ON plumbline_audit.records USING hash (record)")
	db.Exec(t, "CREATE INDEX ON plumbline_audit.dead_letters USING hash (record)")
	return db
}

// arrived checks that the bytes of each entry are stored, or with the dead letters.
func arrived(rt *rapid.T, pool *pg.Pool, entries []audit.Shipment) {
	want := make([][]byte, len(entries))
	for i := range entries {
		want[i] = entries[i].Canonical
	}
	const query = `SELECT count(*) FROM unnest($1::bytea[]) AS w (bytes) WHERE NOT EXISTS (SELECT 1 FROM plumbline_audit.records WHERE record = bytes)
		AND NOT EXISTS (SELECT 1 FROM plumbline_audit.dead_letters WHERE record = bytes)`
	var lost int
	if err := pool.QueryRow(context.Background(), query, want).Scan(&lost); err != nil || lost != 0 {
		rt.Fatalf("%d of %d records did not arrive, %v", lost, len(entries), err)
	}
}

// changed is a spool that was changed by hand: names and numbers are what they cannot be.
type changed struct {
	entries []audit.Shipment
	at      audit.Position
}

func (c *changed) Unshipped(_ context.Context, after audit.Position, limit int) ([]audit.Shipment, error) {
	rest := c.entries[max(after, c.at):]
	return rest[:min(limit, len(rest))], nil
}

func (c *changed) Shipped(_ context.Context, upTo audit.Position) error { c.at = upTo; return nil }

func (c *changed) Release(context.Context, audit.Position, time.Time) (int64, error) { return 0, nil }

func (c *changed) Spool(context.Context) (audit.Spool, error) { return audit.Spool{}, nil }

// TestAChangedSpoolBlocksNothing ships entries with names and numbers at their bounds and beyond, and some with faults.
func TestAChangedSpoolBlocksNothing(t *testing.T) {
	db := foundByBytes(t)
	pool := openPool(t, db.URL)
	store, source := postgres.New(pool), new(changed)
	s := newShipper(source, store)
	seqs := rapid.SampledFrom([]uint64{0, 1, 2, math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64 + 1, math.MaxUint64})
	writers := rapid.OneOf(texts, rapid.SampledFrom([]string{"w", "v"}))
	rapid.Check(t, func(rt *rapid.T) {
		before := len(source.entries)
		for i := range rapid.IntRange(1, 12).Draw(rt, "entries") {
			e := audit.Shipment{Entry: audit.Entry{Position: audit.Position(before + i + 1), Writer: writers.Draw(rt, "writer"), Seq: seqs.Draw(rt, "seq")}}
			e.Record = core.Record{Kind: core.RecordDeny, Time: times.Draw(rt, "time"), Exchange: fmt.Sprint(i)}
			e.Canonical = []byte(texts.Draw(rt, "bytes"))
			e.Leaf = audit.LeafHash(e.Canonical, e.Writer, e.Seq)
			if rapid.IntRange(0, 3).Draw(rt, "fault") == 0 {
				e.Fault = texts.Draw(rt, "why") + "!"
			}
			source.entries = append(source.entries, e)
		}
		if err := s.Drain(t.Context()); err != nil {
			rt.Fatal(err)
		}
		arrived(rt, pool, source.entries[before:])
		if _, err := store.Missing(t.Context()); err != nil {
			rt.Fatal(err)
		}
	})
}
