package audit_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// A reader gives every charge that is durable and each once, while the log is written: those that are indexed, those that
// are not yet, and those that only the journal holds.
func TestReaderGivesEveryChargeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	log := openLog(t, audit.Options{Path: path})
	reader, err := audit.OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	const before = 5 // not asked for
	var want []core.Charge
	for n := range 700 {
		for _, rec := range []core.Record{intentRecord(n), outcomeRecord(n)} {
			if err := log.Append(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
		if n >= before {
			want = append(want, *outcomeRecord(n).Settled)
		}
		if n%100 != 99 && n > 10 {
			continue
		}
		if diff := cmp.Diff(want, readerCharges(t, reader, before)); diff != "" {
			t.Fatalf("charges after %d exchanges (-want +got):\n%s", n+1, diff)
		}
	}
	if err := log.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, readerCharges(t, reader, before)); diff != "" {
		t.Errorf("charges of a log that is closed (-want +got):\n%s", diff)
	}
	stop := errors.New("stop")
	if err := reader.Charges(t.Context(), audit.ChargesQuery{Since: start}, func(audit.Charged) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of fn: got %v", err)
	}
}

// readerCharges gives the charges from exchange first on, in the order of admission.
func readerCharges(t *testing.T, r *audit.Reader, first int) (charges []core.Charge) {
	t.Helper()
	err := r.Charges(t.Context(), audit.ChargesQuery{Since: intentRecord(first).Time}, func(charged audit.Charged) error {
		p, model, c := charged.By, charged.Model, charged.Charge
		if rec := outcomeRecord(int(c.Admitted.Sub(start).Milliseconds())); p.User != rec.Principal.User || p.Team != rec.Principal.Team ||
			p.App != rec.Principal.App || model != rec.Model {
			t.Errorf("charge of %+v, model %q", p, model)
		}
		charges = append(charges, c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(charges, func(a, b core.Charge) int { return a.Admitted.Compare(b.Admitted) })
	return charges
}
