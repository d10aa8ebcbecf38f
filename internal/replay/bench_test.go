package replay_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/replay"
)

// BenchmarkRun replays a log as a gate writes it, an intent and an outcome for each call, of 5,000 people.
func BenchmarkRun(b *testing.B) {
	const calls = 50_000
	s, next := policy.Default(), parsed(b, strictPolicy)
	path := filepath.Join(b.TempDir(), "audit.db")
	fill(b, path, calls, func(i int) []core.Record { return call(s, i) })
	r, err := audit.OpenReader(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.ReportAllocs()
	for b.Loop() {
		if report := run(b, r, replay.Options{Policy: next}); report.Records.Read != 2*calls || report.Replayed != calls {
			b.Fatalf("%+v", report.Records)
		}
	}
	b.ReportMetric(float64(b.N)*2*calls/b.Elapsed().Seconds(), "records/s")
}

// call is the intent and the outcome of a call as a gate records them.
func call(s *policy.Snapshot, i int) []core.Record {
	rec := decided(s, i, func(f *policy.Facts) {
		f.Principal.User, f.Principal.Team, f.Principal.Credential = fmt.Sprintf("user-%d", i%5000), fmt.Sprintf("team-%d", i%100), "key-0195"
		f.Tasks = []string{"billing-tickets", "monthly-report"}
		f.Intent.Top = []core.LabelScore{{Label: "coding", P: 0.9134512345}, {Label: "debugging", P: 0.0523}, {Label: "writing", P: 0.0123}}
		f.Intent.Confidence, f.Intent.Model, f.Deviation.Model = 0.9134512345, "intent-2026-02-01", "deviation-2026-02-01"
		f.Deviation.Score, f.Deviation.Task, f.Deviation.Phrase = float64(i%1000)/1000, "billing-tickets", "summarise open billing tickets"
	})
	rec.Exchange = fmt.Sprintf("0195%08x-7000-8000-000000000000", i)
	rec.Trace, rec.Source = "4bf92f3577b34da6a3ce929d0e0e4736", "192.0.2.7"
	rec.Reserved = &core.Charge{Admitted: rec.Time, Requests: 1, InputTokens: 500, OutputTokens: 256, Cost: 228}
	outcome := core.Record{
		Kind: core.RecordOutcome, Time: rec.Time.Add(time.Second), Exchange: rec.Exchange, Trace: rec.Trace, Principal: rec.Principal,
		Source: rec.Source, Endpoint: rec.Endpoint, Model: rec.Model, ServedModel: "gpt-4o-mini-2024-07-18", Status: 200,
		PriceVersion: rec.PriceVersion, Finish: core.FinishComplete, Reason: core.ReasonNone,
		Usage: &core.Usage{InputTokens: 480, OutputTokens: 100}, Settled: rec.Reserved,
		StageMicros: map[string]int64{"identity": 12, "wire": 40, "intent": 80, "deviation": 60, "policy": 4, "ledger": 5, "audit": 90},
	}
	return []core.Record{rec, outcome}
}

// fill writes the records of n calls into a log.
func fill(tb testing.TB, path string, n int, records func(i int) []core.Record) {
	tb.Helper()
	log, err := audit.Open(tb.Context(), audit.Options{Path: path, Durability: audit.CrashSafe})
	if err != nil {
		tb.Fatal(err)
	}
	const writers = 64
	var wait sync.WaitGroup
	for w := range writers {
		wait.Go(func() {
			for i := w; i < n; i += writers {
				for _, rec := range records(i) {
					if err := log.Append(context.Background(), rec); err != nil {
						tb.Error(err)
						return
					}
				}
			}
		})
	}
	wait.Wait()
	if err := log.Close(context.Background()); err != nil {
		tb.Fatal(err)
	}
}
