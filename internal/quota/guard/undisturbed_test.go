package guard

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// booked is what the mender had to do.
func (r *replica) booked() (resolved, charges int) {
	r.counts.mu.Lock()
	defer r.counts.mu.Unlock()
	return r.counts.resolved, r.counts.charges
}

// TestNothingIsMendedWhereNothingBroke: on a day without faults the mender finds nothing to do, so that what it does is a sign
// that something was not told.
func TestNothingIsMendedWhereNothingBroke(t *testing.T) {
	w := newWorld(t, 2, limit("tokens", quota.DimensionTokens, 10_000))
	for n := range 40 {
		i := n % 2
		r := w.admit(t, i, fmt.Sprint("x", n), 50)
		if n%4 == 3 {
			if err := w.replicas[i].Void(t.Context(), r.ID); err != nil {
				t.Fatal(err)
			}
			w.replicas[i].book.outcome(quota.Subject{User: "ann"}, r, quota.Amounts{})
			continue
		}
		if _, err := w.replicas[i].Extend(t.Context(), r.ID, quota.Amounts{OutputTokens: 60}); err != nil {
			t.Fatal(err)
		}
		w.finish(t, i, r, 20)
		w.passes(t, 1)
	}
	w.passes(t, 25) // two rounds of looking for what is owed
	w.stands(t, 30*20, 0)
	for i, r := range w.replicas {
		if resolved, charges := r.booked(); resolved != 0 || charges != 0 {
			t.Errorf("replica %d resolved %d reservations and booked %d charges that nobody owed", i, resolved, charges)
		}
	}
	if w.asked["begin"] != 1 || w.asked["settle"] != 30 || w.asked["void"] != 10 {
		t.Errorf("asked %v: an epoch, 30 settlements and 10 voids were needed", w.asked)
	}
}

// TestWhatIsOwedIsToldAtTheNextBeat: the end of an exchange that was not heard, while Run was quicker to find the ledger well
// again than Settle was to say so, is told within a second and not with the next round of looking for what is owed.
func TestWhatIsOwedIsToldAtTheNextBeat(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 100))
	r := w.replicas[0]
	x := w.admit(t, 0, "x", 50)
	w.fault = func(op string) fault {
		if op == "settle" {
			return refused
		}
		return none
	}
	r.o.Metrics = &onOpen{Metrics: r.counts, do: func() { w.back(); r.pass(t.Context()) }}
	w.finish(t, 0, x, 20)
	if !r.serving.Load() {
		t.Fatal("Run was not first")
	}
	w.stands(t, 0, 1)
	w.passes(t, 1)
	w.stands(t, 20, 0)
	if resolved, _ := r.booked(); resolved != 1 {
		t.Errorf("%d reservations were resolved late", resolved)
	}
}

// onOpen does something once, at the moment at which the breaker opens.
type onOpen struct {
	Metrics
	do func()
}

func (o *onOpen) LedgerBreaker(b Breaker) {
	if do := o.do; do != nil && b == BreakerOpen {
		o.do = nil
		do()
	}
	o.Metrics.LedgerBreaker(b)
}

// TestPostingThatWasNotHeardCostsNoTime: the mark says that it was done, so that the replica serves after one pass, without
// another epoch and without having sent anything twice.
func TestPostingThatWasNotHeardCostsNoTime(t *testing.T) {
	for _, tt := range []struct {
		name   string
		met    fault
		posted int // times
	}{{"done", unheard, 2}, {"not done", refused, 3}} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 1000))
			w.finish(t, 0, w.admit(t, 0, "a", 100), 100)
			w.flush()
			before, posts := w.asked["post"], 0
			w.fault = func(op string) fault {
				if op == "post" {
					if posts++; posts == 2 {
						return tt.met
					}
				}
				return none
			}
			w.passes(t, 1)
			if !w.replicas[0].serving.Load() {
				t.Errorf("it does not serve: %v", w.replicas[0].mender.cause)
			}
			w.stands(t, 100, 0)
			if n := w.asked["post"] - before; n != tt.posted {
				t.Errorf("posted %d times, want %d", n, tt.posted)
			}
		})
	}
}

// TestFallbackThatWasNotHeardIsBookedOnce: the piece of charges is not sent again where the mark says that it was done.
func TestFallbackThatWasNotHeardIsBookedOnce(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 1000))
	w.away()
	for n := range 3 {
		w.finish(t, 0, w.admit(t, 0, fmt.Sprint("apart", n), 10), 10)
	}
	before := w.asked["post"]
	w.fault = func(op string) fault {
		if op == "post" && w.asked["post"] == before+1 {
			return unheard
		}
		return none
	}
	w.passes(t, 1)
	if resolved, charges := w.replicas[0].booked(); resolved != 0 || charges != 3 {
		t.Errorf("resolved %d and booked %d, want 3 charges", resolved, charges)
	}
	if n := w.asked["post"] - before; n != 1 {
		t.Errorf("posted %d times", n)
	}
	w.stands(t, 30, 0)
}

// TestLedgerIsGivenLessThanTheDeadline, so that what is left is enough to decide without it.
func TestLedgerIsGivenLessThanTheDeadline(t *testing.T) {
	g := New(Options{Metrics: &counts{}, Deadline: 32 * time.Millisecond})
	if got := g.patience(); got != 30*time.Millisecond {
		t.Errorf("the ledger is given %v of 32 ms", got)
	}
	g = New(Options{Metrics: &counts{}})
	if got := g.patience(); got >= defaultDeadline-time.Millisecond || got < 20*time.Millisecond {
		t.Errorf("the ledger is given %v of %v", got, defaultDeadline)
	}
}

// TestShareShrinksWithReplicasThatCame: a ledger that comes and goes finds the share that this replica has by now, not that of
// when it first went.
func TestShareShrinksWithReplicasThatCame(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 100))
	w.away()
	if _, err := w.reserve(t, 0, "alone", 10, 0); err != nil {
		t.Fatal(err)
	}
	w.back()
	w.replicas = append(w.replicas, newReplica(w.server, newBook(), "another", w.limits))
	w.passes(t, 2)
	if !w.replicas[0].serving.Load() {
		t.Fatal(w.replicas[0].mender.cause)
	}
	w.away()
	var exhausted *quota.ExhaustedError
	if _, err := w.reserve(t, 0, "above", 60, 0); !errors.As(err, &exhausted) {
		t.Errorf("60 of a share of 50: %v", err)
	}
}
