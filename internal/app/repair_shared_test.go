package app

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/drift"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

// TestSharedLedgerIsComparedWithAllRecords runs two replicas on a real Redis under load.
func TestSharedLedgerIsComparedWithAllRecords(t *testing.T) {
	server := redisproc.Start(t)
	dirs := []string{t.TempDir(), t.TempDir()}
	nodes := []*node{startNode(t, server.Addr, dirs[0]), startNode(t, server.Addr, dirs[1])}
	for _, n := range nodes {
		awaitNode(t, n)
		awaitServing(t, n)
	}
	cfg := config.Default()
	cfg.DataDir, cfg.Quota.Ledger, cfg.Redis.Addresses = dirs[0], config.LedgerRedis, []string{server.Addr}
	q := &QuotaRepair{cfg: cfg, limits: nodes[0].limits, subjects: []quota.Subject{{User: "nobody"}}, actor: "cli:test"}
	load := startLoad(t, 4, func(id string, n int) error {
		err := nodes[n%2].exchange(t.Context(), id, core.MicroUSD(n%2*4), false)
		if refused := (*core.Error)(nil); errors.As(err, &refused) {
			return nil // Redis was slow, and money is closed without it
		}
		return err
	})
	for range 8 {
		load.grant(200)
		d := compared(t, q, dirs[1])
		if d.Drift != 0 || d.InFlight != 0 || d.Partial || len(d.Books) != 2 {
			t.Fatalf("after %d exchanges: %+v", load.ended.Load(), d)
		}
	}

	// Posted behind the records' back, and recorded behind the ledger's.
	behind := quota.Request{
		ID: "behind", Subject: quota.Subject{User: "ben", Model: "m"}, Limits: nodes[0].limits, At: time.Now(), Amounts: quota.Amounts{Requests: 1, OutputTokens: 70, Cost: 7},
	}
	if _, err := nodes[1].shared.Reserve(t.Context(), behind); err != nil {
		t.Fatal(err)
	}
	if _, err := nodes[1].shared.Settle(t.Context(), "behind", behind.Amounts); err != nil {
		t.Fatal(err)
	}
	charge := core.Charge{Admitted: time.Now().UTC().Add(-time.Second), Requests: 1, OutputTokens: 11, Cost: 5}
	err := nodes[0].log.Append(t.Context(), core.Record{
		Kind: core.RecordOutcome, Time: time.Now().UTC(), Exchange: "recorded", Model: "m", Principal: core.Principal{User: "cem"}, Settled: &charge,
	})
	if err != nil {
		t.Fatal(err)
	}
	q.subjects = append(q.subjects, quota.Subject{User: "ben"})
	load.grant(200)
	d := compared(t, q, dirs[1])
	for _, want := range []struct {
		limit, of string
		by        int64
	}{{"tokens", "", 70 - 11}, {"money", "ben", 7}, {"money", "cem", -5}, {"money", "ann", 0}} {
		if r := row(t, d, want.limit, want.of); r.Difference != want.by {
			t.Errorf("%s of %q: %+v, want %+d", want.limit, want.of, r, want.by)
		}
	}
	if d = compared(t, q); !d.Partial || len(d.Missing()) != 1 {
		t.Errorf("without the records of a replica: %+v", d.Books)
	}
	if _, err := q.Compare(t.Context(), dirs[:1]); err == nil {
		t.Error("records were counted twice")
	}

	var admin []core.Record
	r := repairer{shared: nodes[0].shared.Ledger, now: time.Now, record: recordTo(&admin)}
	if a, err := r.beginEpoch(t.Context(), epochQuestion{"cli:test"}); err != nil || a.Mended != 2 || len(admin) != 1 {
		t.Fatalf("%+v, %v, %v", a, err, admin)
	}
	load.stop()
	var last *QuotaDrift
	eventually(t, "the records are not back", func() bool {
		last, err = q.Compare(t.Context(), dirs[1:])
		return err == nil && last.Drift == 0 && last.InFlight == 0
	})
	if r := row(t, last, "money", "cem"); r.Ledger != 5 || r.State != drift.StateAgrees {
		t.Errorf("%+v", r)
	}
	t.Logf("%d exchanges", load.ended.Load())
	if _, err := openBooks(t.Context(), []string{dirs[0], t.TempDir()}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
