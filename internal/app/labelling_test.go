package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/store"
)

// TestUnreadableSamples: a sample that cannot be read is told with its reason and holds up no other, whatever is wrong with it. What
// is wrong with the store, or the audit, ends the labelling.
func TestUnreadableSamples(t *testing.T) {
	d := newDrawn(t)
	d.drawSpoiled("ann", "One", func(r *core.Record) { r.Sealed.Sample[len(r.Sealed.Sample)-1] ^= 1 })
	d.drawSpoiled("ann", "Two", func(r *core.Record) { r.Sealed.Key = "sbk-none" })
	d.drawSpoiled("ann", "Three", func(r *core.Record) { r.Sealed.SampleKey = "sbk-none" })
	lost := seal.NewMasterKeys().Make("user/ben", time.Now().UTC().Truncate(time.Microsecond))
	if _, err := d.store.SubjectKeys().Ensure(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	d.drawSpoiled("ann", "Four", func(r *core.Record) { r.Sealed.Key = lost.ID })
	d.draw("ann", "Five")
	d.draw("ann", "Six")
	d.draw("ann", "Seven")
	note := core.Proposal{Exchange: "x6", Judge: "judge:m", Verdict: core.ProposedOff, Rationale: []byte("junk"), At: time.Now().UTC().Truncate(time.Microsecond)}
	if err := d.store.Labels().Propose(t.Context(), note); err != nil {
		t.Fatal(err)
	}
	l := d.labelling("cli:eve")
	read, away := l.records, errors.New("the disk is gone")
	l.records = func(ctx context.Context, exchange string) ([]core.Record, error) {
		switch exchange {
		case "x5":
			_, err := audit.Decode([]byte("{"))
			return nil, fmt.Errorf("entry 5: %w", err)
		case "x7":
			return nil, away
		}
		return read(ctx, exchange)
	}
	ctx := store.WithReason(store.WithActor(t.Context(), "cli:eve"), "weekly labels")
	q, passed, err := l.Next(ctx)
	if err != nil || q == nil || q.Exchange != "x6" || q.Proposal != core.ProposedOff || q.Rationale != "its reason cannot be read" {
		t.Fatalf("%+v, %v", q, err)
	}
	whys := []string{"sample: ", "sbk-none", "sbk-none", seal.ErrUnknownMaster.Error(), "decoding a record"}
	for i, p := range passed {
		if i < len(whys) && (p.Exchange != fmt.Sprint("x", i+1) || !strings.Contains(p.Why.Error(), whys[i])) {
			t.Errorf("%s is passed over: %v, want %q", p.Exchange, p.Why, whys[i])
		}
	}
	if len(passed) != len(whys) {
		t.Errorf("%d samples are passed over, want %d: %v", len(passed), len(whys), passed)
	}
	if q, passed, err := l.Next(ctx); q != nil || len(passed) > 0 || !errors.Is(err, away) {
		t.Errorf("with an audit that cannot be read: %+v, %v, %v", q, passed, err)
	}
	d.recordedLooks("cli:eve", "reveal exchange/x1", "reveal exchange/x2", "reveal exchange/x3", "reveal exchange/x4", "reveal exchange/x6")
}

// TestManyUnreadableSamples: with the wrong master keys nobody looks at the whole queue in vain, since each look is recorded.
func TestManyUnreadableSamples(t *testing.T) {
	d := newDrawn(t)
	for range mostUnreadable - 1 {
		d.drawSpoiled("ann", "One", func(r *core.Record) { r.Sealed.Key = "sbk-none" })
	}
	d.draw("ann", "Two")
	ctx := store.WithReason(store.WithActor(t.Context(), "cli:eve"), "weekly labels")
	if q, passed, err := d.labelling("cli:eve").Next(ctx); err != nil || q == nil || len(passed) != mostUnreadable-1 {
		t.Errorf("one fewer than too many: %+v, %d passed over, %v", q, len(passed), err)
	}
	d.masters = seal.NewMasterKeys()
	q, passed, err := d.labelling("cli:ben").Next(ctx)
	if q != nil || err == nil || !strings.Contains(err.Error(), "audit.master_key_file") || !slices.ContainsFunc(passed, func(u Unreadable) bool { return errors.Is(u.Why, seal.ErrUnknownMaster) }) {
		t.Errorf("too many: %+v, %d passed over, %v", q, len(passed), err)
	}
}
