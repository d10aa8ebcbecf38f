package quotatest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plumbline/plumbline/internal/quota"
)

// broad has a limit of each dimension, and nothing comes near to it.
func broad(t testing.TB) *quota.LimitSet {
	return compile(t,
		limit("requests", quota.DimensionRequests, quota.WindowMinute, 1e6),
		limit("input", quota.DimensionInputTokens, quota.WindowHour, 1e6),
		limit("output", quota.DimensionOutputTokens, quota.WindowDay, 1e6),
		limit("tokens", quota.DimensionTokens, quota.WindowWeek, 1e6),
		limit("cost", quota.DimensionCost, quota.WindowMonth, 1e6),
		limit("at once", quota.DimensionConcurrency, quota.WindowNone, 1e6))
}

var (
	held = quota.Amounts{Requests: 1, InputTokens: 10, OutputTokens: 100, Cost: 1000}
	some = quota.Amounts{Requests: 1, InputTokens: 9, OutputTokens: 20, Cost: 300}
	more = quota.Amounts{Requests: 2, InputTokens: 11, OutputTokens: 200, Cost: 5000}
	none quota.Amounts
)

func overrunIsBooked(t *testing.T, f *fixture) {
	hard := compile(t, limit("output", quota.DimensionOutputTokens, quota.WindowDay, 100))
	f.mustReserve(t, "a", hard, held)
	f.mustSettle(t, "a", more)
	f.wantUsed(t, hard, more.OutputTokens)
	if n := f.ledger.Overruns(); n != 1 {
		t.Errorf("%d overruns, want 1", n)
	}
	f.mustReserve(t, "b", broad(t), held)
	f.mustSettle(t, "b", held)
	if n := f.ledger.Overruns(); n != 1 {
		t.Errorf("%d overruns after a settlement at the reservation, want 1", n)
	}
}

func allOrNothing(t *testing.T, f *fixture) {
	values := map[quota.Dimension]int64{
		quota.DimensionRequests: 1, quota.DimensionInputTokens: 10, quota.DimensionOutputTokens: 100,
		quota.DimensionTokens: 110, quota.DimensionCost: 1000, quota.DimensionConcurrency: 1,
	}
	for d, value := range values {
		all := append([]quota.Limit(nil), broad(t).Limits()...)
		for i := range all {
			if all[i].Dimension == d {
				all[i].Value = value - 1
			}
		}
		limits := compile(t, all...)
		if _, err := f.reserve("a", limits, held); err == nil {
			t.Errorf("%s: admitted without room", d)
		}
		f.wantUsed(t, limits, 0, 0, 0, 0, 0, 0)
		if err := f.ledger.Void(context.Background(), "a"); !errors.Is(err, quota.ErrUnknown) {
			t.Errorf("%s: a refused call left a reservation: %v", d, err)
		}
	}
	limits := broad(t)
	f.mustReserve(t, "a", limits, held)
	f.wantUsed(t, limits, 1, 10, 100, 110, 1000, 1)
}

func refusedExtendChangesNothing(t *testing.T, f *fixture) {
	limits := compile(t,
		limit("tokens", quota.DimensionTokens, quota.WindowDay, 1000),
		limit("cost", quota.DimensionCost, quota.WindowDay, 1000))
	f.mustReserve(t, "a", limits, held)
	_, err := f.ledger.Extend(context.Background(), "a", held.Add(quota.Amounts{OutputTokens: 10, Cost: 1}))
	mustExhaust(t, err, "cost")
	f.wantUsed(t, limits, 110, 1000)
	r, err := f.ledger.Extend(context.Background(), "a", quota.Amounts{OutputTokens: held.OutputTokens + 1})
	if want := held.Add(quota.Amounts{OutputTokens: 1}); err != nil || r.Held != want {
		t.Errorf("Extend = %+v, %v, want %+v held", r, err, want)
	}
	if err := f.ledger.Void(context.Background(), "a"); err != nil {
		t.Error(err)
	}
	f.wantUsed(t, limits, 0, 0)
}

// wantResolved tries everything on the resolved reservation a and checks that it changes nothing.
func (f *fixture) wantResolved(t *testing.T, settled quota.Amounts) {
	t.Helper()
	const id = "a"
	ctx := context.Background()
	limits := broad(t)
	before, err := f.ledger.Standings(ctx, ann, limits, f.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	overruns := f.ledger.Overruns()
	for _, used := range []quota.Amounts{settled, none, more} {
		if got, err := f.ledger.Settle(ctx, id, used); err != nil || got != settled {
			t.Errorf("Settle(%+v) again = %+v, %v, want %+v", used, got, err, settled)
		}
	}
	if err := f.ledger.Void(ctx, id); err != nil {
		t.Errorf("Void: %v", err)
	}
	if _, err := f.ledger.Extend(ctx, id, held); !errors.Is(err, quota.ErrUnknown) {
		t.Errorf("Extend: %v, want ErrUnknown", err)
	}
	if err := f.ledger.Touch(ctx, quota.Progress{ID: id, Used: more}); err != nil {
		t.Errorf("Touch: %v", err)
	}
	if ids, err := f.ledger.Expire(ctx, f.clock.now()); err != nil || len(ids) != 0 {
		t.Errorf("Expire = %v, %v", ids, err)
	}
	if _, err := f.reserve(id, limits, held); !errors.Is(err, quota.ErrResolved) {
		t.Errorf("Reserve: %v, want ErrResolved", err)
	}
	after, err := f.ledger.Standings(ctx, ann, limits, f.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("repeats changed standings (-before +after):\n%s", diff)
	}
	if n := f.ledger.Overruns(); n != overruns {
		t.Errorf("repeats counted %d overruns", n-overruns)
	}
}

func settleRepeats(t *testing.T, f *fixture) {
	limits := broad(t)
	f.mustReserve(t, "a", limits, held)
	f.mustSettle(t, "a", some)
	f.wantUsed(t, limits, 1, 9, 20, 29, 300, 0)
	f.wantResolved(t, some)
	f.clock.advance(9 * time.Minute)
	f.wantResolved(t, some)
}

func voidRepeats(t *testing.T, f *fixture) {
	limits := broad(t)
	f.mustReserve(t, "a", limits, held)
	if err := f.ledger.Void(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	f.wantUsed(t, limits, 0, 0, 0, 0, 0, 0)
	f.wantResolved(t, none)
}

// expired makes the reservation a and lets its lease end at a progress.
func (f *fixture) expired(t *testing.T, limits *quota.LimitSet, progress quota.Amounts) {
	t.Helper()
	f.mustReserve(t, "a", limits, held)
	if err := f.ledger.Touch(context.Background(), quota.Progress{ID: "a", Used: progress}); err != nil {
		t.Fatal(err)
	}
	if ids := f.expireAll(t); !cmp.Equal(ids, []string{"a"}) {
		t.Fatalf("Expire = %v", ids)
	}
}

// An expired reservation stays resolved for everybody but its owner, whose settlement the next tests make.
func expireRepeats(t *testing.T, f *fixture) {
	ctx := context.Background()
	limits := broad(t)
	f.expired(t, limits, some)
	f.wantUsed(t, limits, 1, 9, 20, 29, 300, 0)
	if _, err := f.ledger.Extend(ctx, "a", held); !errors.Is(err, quota.ErrUnknown) {
		t.Errorf("Extend: %v, want ErrUnknown", err)
	}
	if err := f.ledger.Touch(ctx, quota.Progress{ID: "a", Used: more}); err != nil {
		t.Errorf("Touch: %v", err)
	}
	if ids, err := f.ledger.Expire(ctx, f.clock.now()); err != nil || len(ids) != 0 {
		t.Errorf("Expire = %v, %v", ids, err)
	}
	if _, err := f.reserve("a", limits, held); !errors.Is(err, quota.ErrResolved) {
		t.Errorf("Reserve: %v, want ErrResolved", err)
	}
	f.wantUsed(t, limits, 1, 9, 20, 29, 300, 0)
	f.mustSettle(t, "a", held) // in place of what was booked, whatever was reported since
	f.wantUsed(t, limits, 1, 10, 100, 110, 1000, 0)
}

// progressOfEach is reported for several at once.
func progressOfEach(t *testing.T, f *fixture) {
	limits := broad(t)
	for _, id := range []string{"a", "b", "c"} {
		f.mustReserve(t, id, limits, held)
	}
	if err := f.ledger.Touch(context.Background(), quota.Progress{ID: "a", Used: some}, quota.Progress{ID: "b", Used: held}); err != nil {
		t.Fatal(err)
	}
	if ids := f.expireAll(t); len(ids) != 3 {
		t.Errorf("expired %v", ids)
	}
	f.wantUsed(t, limits, 2, 19, 120, 139, 1300, 0)
}

func lateSettlement(t *testing.T, f *fixture) {
	limits := broad(t)
	f.expired(t, limits, some)
	late := quota.Amounts{Requests: 1, InputTokens: 8, OutputTokens: 50, Cost: 700} // less and more than some
	f.mustSettle(t, "a", late)
	f.wantUsed(t, limits, 1, 8, 50, 58, 700, 0)
	f.wantResolved(t, late)
	f.clock.advance(9 * time.Minute)
	f.wantResolved(t, late)
}

func lateVoid(t *testing.T, f *fixture) {
	limits := broad(t)
	f.expired(t, limits, some)
	if err := f.ledger.Void(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	f.wantUsed(t, limits, 0, 0, 0, 0, 0, 0)
	f.wantResolved(t, none)
}

func lateOverrun(t *testing.T, f *fixture) {
	limits := broad(t)
	f.expired(t, limits, more) // a progress above the hold
	f.mustSettle(t, "a", more)
	f.wantUsed(t, limits, 2, 11, 200, 211, 5000, 0)
	if n := f.ledger.Overruns(); n != 1 {
		t.Errorf("%d overruns of one reservation, want 1", n)
	}
	f.wantResolved(t, more)
}

func reserveRepeats(t *testing.T, f *fixture) {
	limits := broad(t)
	first := f.mustReserve(t, "a", limits, held)
	f.clock.advance(time.Second)
	if diff := cmp.Diff(first, f.mustReserve(t, "a", limits, more)); diff != "" {
		t.Errorf("second Reserve (-first +second):\n%s", diff)
	}
	if _, err := f.ledger.Extend(context.Background(), "a", more); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, f.mustReserve(t, "a", nil, held)); diff != "" {
		t.Errorf("Reserve after Extend (-first +second):\n%s", diff)
	}
	f.wantUsed(t, limits, 2, 11, 200, 211, 5000, 1)
}

func unknownReservations(t *testing.T, f *fixture) {
	ctx := context.Background()
	_, settle := f.ledger.Settle(ctx, "nobody", some)
	_, extend := f.ledger.Extend(ctx, "nobody", some)
	for name, err := range map[string]error{"Settle": settle, "Extend": extend, "Void": f.ledger.Void(ctx, "nobody")} {
		if !errors.Is(err, quota.ErrUnknown) {
			t.Errorf("%s: %v, want ErrUnknown", name, err)
		}
	}
	if err := f.ledger.Touch(ctx, quota.Progress{ID: "nobody", Used: some}); err != nil {
		t.Errorf("Touch: %v", err)
	}
	f.wantUsed(t, broad(t), 0, 0, 0, 0, 0, 0)
}

func leasesPass(t *testing.T, f *fixture) {
	ctx := context.Background()
	limits := broad(t)
	expire := func(want ...string) {
		t.Helper()
		ids, err := f.ledger.Expire(ctx, f.clock.now())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, ids, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("expired (-want +got):\n%s", diff)
		}
	}
	for _, id := range []string{"left", "touched", "extended"} {
		f.mustReserve(t, id, limits, held)
	}
	f.clock.advance(Lease)
	if err := f.ledger.Touch(ctx, quota.Progress{ID: "touched", Used: more}, quota.Progress{ID: "touched", Used: some}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ledger.Extend(ctx, "extended", held.Add(some)); err != nil {
		t.Fatal(err)
	}
	expire()
	f.clock.advance(tick)
	expire("left")
	f.wantUsed(t, limits, 3, 29, 220, 249, 2300, 2)
	f.clock.advance(Lease)
	ids, err := f.ledger.Expire(ctx, f.clock.now())
	if err != nil || len(ids) != 2 {
		t.Errorf("Expire = %v, %v, want the two others", ids, err)
	}
	// Pending is 0: what is left is the last progress of the one.
	f.wantUsed(t, limits, 1, 9, 20, 29, 300, 0)
	expire()
}

func postedIsWhatWasSettled(t *testing.T, f *fixture) {
	limits := broad(t)
	var sum quota.Amounts
	for i := range int64(50) {
		id := string(rune('A' + i))
		f.mustReserve(t, id, limits, held)
		if i%5 == 0 {
			if err := f.ledger.Void(context.Background(), id); err != nil {
				t.Fatal(err)
			}
			continue
		}
		used := quota.Amounts{Requests: 1, InputTokens: i, OutputTokens: 2 * i, Cost: 0}
		sum = sum.Add(used)
		f.mustSettle(t, id, used)
	}
	f.wantUsed(t, limits, sum.Requests, sum.InputTokens, sum.OutputTokens, sum.InputTokens+sum.OutputTokens, 0, 0)
}

func amountsOutOfRange(t *testing.T, f *fixture) {
	ctx := context.Background()
	limits := broad(t)
	f.mustReserve(t, "a", limits, held)
	for _, bad := range []quota.Amounts{
		{Requests: -1}, {InputTokens: -1}, {OutputTokens: -1}, {Cost: -1}, {OutputTokens: quota.MaxAmount + 1}, {InputTokens: -1 << 63},
	} {
		_, reserve := f.reserve("b", limits, bad)
		_, extend := f.ledger.Extend(ctx, "a", bad)
		_, settle := f.ledger.Settle(ctx, "a", bad)
		touch := f.ledger.Touch(ctx, quota.Progress{ID: "a", Used: some}, quota.Progress{ID: "a", Used: bad})
		for op, err := range map[string]error{"Reserve": reserve, "Extend": extend, "Settle": settle, "Touch": touch} {
			if !errors.Is(err, quota.ErrAmount) {
				t.Errorf("%s(%+v): %v, want ErrAmount", op, bad, err)
			}
		}
	}
	f.wantUsed(t, limits, 1, 10, 100, 110, 1000, 1)
	f.expireAll(t)
	f.wantUsed(t, limits, 0, 0, 0, 0, 0, 0)
}
