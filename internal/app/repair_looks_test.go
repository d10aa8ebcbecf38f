package app

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/drift"
	"github.com/plumbline/plumbline/internal/quota/memory"
	"github.com/plumbline/plumbline/internal/quota/redis"
)

// TestPresence goes through what two states of the shared ledger say of a charge.
func TestPresence(t *testing.T) {
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	in := map[redis.Reservation]struct{}{{Book: "b", ID: "x"}: {}}
	type states = [2]redis.State
	early, late, between := at.Add(-time.Second), at.Add(2*time.Second), at.Add(500*time.Millisecond)
	for name, c := range map[string]struct {
		states   states
		admitted time.Time
		fallback bool
		position int64
		want     drift.Presence
	}{
		"settled before":                   {states{}, early, false, 20, drift.Present},
		"held after":                       {states{{Live: in}, {Live: in}}, early, false, 20, drift.Absent},
		"settled meanwhile":                {states{{Live: in}, {}}, early, false, 20, drift.Unsure},
		"admitted and settled meanwhile":   {states{}, between, false, 20, drift.Unsure},
		"admitted after":                   {states{}, late, false, 20, drift.Absent},
		"booked at its progress":           {states{{Expired: in}, {Expired: in}}, early, false, 20, drift.Absent},
		"its lease ended meanwhile":        {states{{Live: in}, {Expired: in}}, early, false, 20, drift.Unsure},
		"settled late, meanwhile":          {states{{Expired: in}, {}}, early, false, 20, drift.Unsure},
		"admitted apart, and booked":       {states{}, late, true, 10, drift.Present},
		"admitted apart, booked meanwhile": {states{}, early, true, 12, drift.Unsure},
		"admitted apart, not booked":       {states{}, early, true, 13, drift.Absent},
		"brought back and held again":      {states{{Live: in}, {Live: in}}, early, false, 5, drift.Absent},
	} {
		before, after := c.states[0], c.states[1]
		before.Time, after.Time = at, at.Add(time.Second)
		before.Marks, after.Marks = map[string]int64{"b": 10}, map[string]int64{"b": 12}
		charge := drift.Charge{
			Exchange: drift.Exchange{Book: "b", ID: "x"}, Position: c.position, Fallback: c.fallback, Charge: core.Charge{Admitted: c.admitted},
		}
		if got := presence(&before, &after, time.Time{}, &charge); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	state := redis.State{Time: at, Marks: map[string]int64{"b": 10}}
	for position, want := range map[int64]drift.Presence{10: drift.Present, 20: drift.Unsure} {
		charge := drift.Charge{Exchange: drift.Exchange{Book: "b", ID: "x"}, Position: position, Charge: core.Charge{Admitted: early}}
		if got := presence(&state, &state, at, &charge); got != want {
			t.Errorf("at %d, admitted before limits began: %v, want %v", position, got, want)
		}
	}
	charge := drift.Charge{Exchange: drift.Exchange{Book: "other", ID: "x"}, Charge: core.Charge{Admitted: late}}
	if got := presence(&redis.State{}, &redis.State{}, time.Time{}, &charge); got != drift.Present {
		t.Errorf("of a book that is not in the epoch: %v: it is missing there", got)
	}
}

// TestWhatComesWhileTheEndIsAskedForIsOut: its record can be before that end, and the ledger was read before it was settled.
func TestWhatComesWhileTheEndIsAskedForIsOut(t *testing.T) {
	a, _ := repairing(t)
	e := a.endings
	if err := exchange(t.Context(), e, e.Append, a.limits(), "before", 0); err != nil {
		t.Fatal(err)
	}
	read, err := e.still(func() error {
		if e.door.TryRLock() {
			t.Error("a settlement can come while the ledger is read")
		}
		return nil
	})
	if err != nil || len(read.Out) != 0 {
		t.Fatal(read, err)
	}
	if err := exchange(t.Context(), e, e.Append, a.limits(), "meanwhile", 0); err != nil {
		t.Fatal(err)
	}
	if _, out := e.began["meanwhile"]; !out || len(e.began) != 1 {
		t.Errorf("out: %v", e.began)
	}
	if p, err := e.look(t.Context(), func() error { return nil }); err != nil || len(p.Out) != 0 || p.End < 4 || e.began != nil || len(e.ending) != 0 {
		t.Errorf("%+v, %v; %v, %v", p, err, e.began, e.ending)
	}
}

// doorkeeper fails a test when what is posted can change while somebody reads it.
type doorkeeper struct {
	quota.Ledger
	t    *testing.T
	door *sync.RWMutex
}

func (d doorkeeper) within(op string) {
	if d.door.TryLock() {
		d.door.Unlock()
		d.t.Errorf("%s does not wait for who reads the ledger", op)
	}
}

func (d doorkeeper) Settle(ctx context.Context, id string, used quota.Amounts) (quota.Amounts, error) {
	d.within("settle")
	return d.Ledger.Settle(ctx, id, used)
}

func (d doorkeeper) Void(ctx context.Context, id string) error {
	d.within("void")
	return d.Ledger.Void(ctx, id)
}

func (d doorkeeper) Expire(ctx context.Context, now time.Time) ([]string, error) {
	d.within("expire")
	return d.Ledger.Expire(ctx, now)
}

func TestNothingIsPostedWhileTheLedgerIsRead(t *testing.T) {
	e := newEndings(nil, nil)
	e.Ledger = doorkeeper{memory.New(memory.Options{}), t, &e.door}
	if _, err := e.Settle(t.Context(), "x", quota.Amounts{}); !errors.Is(err, quota.ErrUnknown) {
		t.Error(err)
	}
	if err := e.Void(t.Context(), "x"); !errors.Is(err, quota.ErrUnknown) {
		t.Error(err)
	}
	if _, err := e.Expire(t.Context(), time.Now()); err != nil {
		t.Error(err)
	}
}
