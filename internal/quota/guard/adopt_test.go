package guard

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/quota"
)

// TestLimitsThatComeAndGoCountEveryCharge sets, changes and deletes limits at any moment among all that a ledger meets, and
// lets replicas hear of it at different times. In the end each limit that is in force has counted every charge of the
// records, once.
func TestLimitsThatComeAndGoCountEveryCharge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"reserve": m.reserve, "reserve again": m.reserve, "and again": m.reserve, "extend": m.extend,
			"settle": m.settle, "settle again": m.settle, "void": m.void, "pass": m.pass, "pass again": m.pass, "all pass": m.allPass,
			"set": m.set, "see": m.see, "all see": m.allSee, "expire": m.expire, "faults": m.faults, "no faults": m.noFaults,
			"flush": m.flush, "die": m.die, "arrive": func(*rapid.T) { m.server.arrive() }, "time": m.time,
		})
		m.check(t)
	})
}

// set puts other limits in the control data.
func (m *model) set(t *rapid.T) {
	var limits []quota.Limit
	for _, id := range []string{"a", "b", "c"} {
		some := []quota.Limit{
			limit(id, quota.DimensionTokens, 4000), limit(id, quota.DimensionTokens, 9000), limit(id, quota.DimensionRequests, 50),
			{ID: id, Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: quota.WindowMonth, Value: 5000},
			{ID: id, Scope: quota.ScopeUser, Dimension: quota.DimensionCost, Window: quota.WindowMonth, Value: 5000},
			{ID: id, Scope: quota.ScopeUser, Subject: "ann", Dimension: quota.DimensionTokens, Window: quota.WindowMonth, Value: 5000},
			limit(id, quota.DimensionConcurrency, 9),
		}
		if i := rapid.IntRange(-2, len(some)-1).Draw(t, "limit "+id); i >= 0 {
			limits = append(limits, some[i])
		}
	}
	m.limits = mustCompileIn(t, limits)
}

func mustCompileIn(t *rapid.T, limits []quota.Limit) *quota.LimitSet {
	set, err := quota.Compile(limits)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func (m *model) see(t *rapid.T) { m.seen[m.some(t)] = m.limits }

func (m *model) allSee(t *rapid.T) {
	for i := range m.seen {
		m.seen[i] = m.limits
	}
	m.allPass(t)
}

func (m *model) allPass(*rapid.T) {
	for _, r := range m.replicas {
		r.pass(context.Background())
	}
}

func (m *model) noFaults(*rapid.T) { m.server.fault = nil }

// under gives a world of one replica whose limits the test can set.
func under(t *testing.T, limits ...quota.Limit) (*world, func(...quota.Limit)) {
	t.Helper()
	w := &world{server: newServer(&clock{now: start}), limits: mustCompile(t, limits...)}
	w.replicas = []*replica{newReplicaUnder(w.server, newBook(), "book0", func() *quota.LimitSet { return w.limits })}
	w.passes(t, 3)
	return w, func(limits ...quota.Limit) { w.limits = mustCompile(t, limits...) }
}

// postedUnder is what is posted under a limit.
func (w *world) postedUnder(id string) (n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for counts, l := range w.limits.Named() {
		for k, v := range w.posted {
			if l.ID == id && k.key.Limit == counts {
				n += v
			}
		}
	}
	return n
}

// TestANewLimitBeginsWithWhatWasUsed: it refuses by it from its first call on, and what was in flight joins it at its end.
func TestANewLimitBeginsWithWhatWasUsed(t *testing.T) {
	old, fresh := limit("old", quota.DimensionTokens, 10_000), limit("fresh", quota.DimensionTokens, 100)
	w, set := under(t, old)
	w.finish(t, 0, w.admit(t, 0, "before", 80), 80)
	flying := w.admit(t, 0, "flying", 50)
	set(old, fresh)
	w.passes(t, 1)
	if _, err := w.reserve(t, 0, "too much", 30, 0); err == nil {
		t.Error("30 were admitted where 80 of 100 are used")
	}
	w.finish(t, 0, w.admit(t, 0, "fits", 20), 15)
	w.finish(t, 0, flying, 40)
	w.passes(t, 2)
	if got := w.postedUnder("fresh"); got != 135 {
		t.Errorf("posted %d, want 80 + 15 + 40", got)
	}
	w.passes(t, 3)
	if late := w.replicas[0].mender.covered.late(); !late.IsZero() {
		t.Errorf("something may still be late: %v", late)
	}
}

// TestALimitIsInForceWhenAllIsPosted: until then the limits before are, other changes among them.
func TestALimitIsInForceWhenAllIsPosted(t *testing.T) {
	old := limit("old", quota.DimensionTokens, 10_000)
	w, set := under(t, old)
	w.finish(t, 0, w.admit(t, 0, "before", 80), 80)
	old.Value = 100
	set(old, limit("fresh", quota.DimensionTokens, 90))
	w.replicas[0].book.fail = errBroken
	w.passes(t, 2)
	if _, err := w.reserve(t, 0, "lowered", 30, 0); err == nil {
		t.Error("the lowered limit is not in force")
	}
	w.finish(t, 0, w.admit(t, 0, "not yet", 15), 15)
	w.replicas[0].book.fail = nil
	w.passes(t, 1)
	if _, err := w.reserve(t, 0, "full", 1, 0); err == nil {
		t.Error("1 was admitted where 95 of 90 are used")
	}
}

// TestManyCountersArePostedInPieces: a process that dies between two of them leaves what another knows by, and counts anew.
func TestManyCountersArePostedInPieces(t *testing.T) {
	each := limit("each", quota.DimensionTokens, 10_000)
	each.Scope = quota.ScopeUser
	for name, test := range map[string]struct{ pieces, epochs int }{"all are posted": {3, 1}, "the second is not": {1, 2}} {
		t.Run(name, func(t *testing.T) {
			w, set := under(t)
			for i := range 2*maxPostings + 1 {
				r := quota.Reservation{ID: fmt.Sprint("x", i), Admitted: start}
				w.replicas[0].book.outcome(quota.Subject{User: fmt.Sprint("u", i)}, r, quota.Amounts{OutputTokens: 3})
			}
			w.passes(t, tidyPasses)
			set(each)
			sent := 0
			w.fault = func(op string) fault {
				if op == "cover" {
					if sent++; sent > test.pieces+1 { // the first is of the limits of which there are none
						return refused
					}
				}
				return none
			}
			w.replicas[0].pass(t.Context())
			w.fault = nil
			w.replicas[0] = newReplicaUnder(w.server, w.replicas[0].book, "book0", func() *quota.LimitSet { return w.limits })
			w.passes(t, 4)
			if got, want := w.postedUnder("each"), int64(3*(2*maxPostings+1)); got != want {
				t.Errorf("posted %d, want %d", got, want)
			}
			if w.number-1 != test.epochs {
				t.Errorf("%d epochs, want %d", w.number-1, test.epochs)
			}
		})
	}
}

// tidyPasses is after how many passes the mark is at the end of the records.
const tidyPasses = int(tidyEvery/beat) + 1

// TestABookOfAnEarlierVersionIsCountedAnew: nothing stands beside its mark.
func TestABookOfAnEarlierVersionIsCountedAnew(t *testing.T) {
	w, set := under(t, limit("old", quota.DimensionTokens, 10_000))
	w.finish(t, 0, w.admit(t, 0, "before", 80), 80)
	clear(w.texts)
	set(append(w.limits.Limits(), limit("fresh", quota.DimensionRequests, 50))...)
	w.replicas[0] = newReplicaUnder(w.server, w.replicas[0].book, "book0", func() *quota.LimitSet { return w.limits })
	w.passes(t, 4)
	if old, fresh := w.postedUnder("old"), w.postedUnder("fresh"); old != 80 || fresh != 1 || w.number != 3 {
		t.Errorf("posted %d and %d in epoch %d, want 80 tokens and a request in the next", old, fresh, w.number)
	}
}

// TestACallThatMeetsAChangeThatWasNotHeardOfIsNotReserved: whether the ledger takes it to be under the limits before or after
// is not known.
func TestACallThatMeetsAChangeThatWasNotHeardOfIsNotReserved(t *testing.T) {
	w, set := under(t, limit("old", quota.DimensionTokens, 10_000))
	set(append(w.limits.Limits(), limit("fresh", quota.DimensionRequests, 50))...)
	g, reserved := w.replicas[0].Guard, make(chan quota.Reservation)
	covers, heard := 0, false
	w.fault = func(op string) fault {
		if op == "heartbeat" {
			heard = true
		}
		if op != "cover" || !heard || g.limits.Limits() == w.limits {
			return none
		}
		if covers++; covers == 1 { // what was posted before
			return none
		}
		go func() {
			r, _ := w.reserve(t, 0, "meets", 10, 0)
			reserved <- r
		}()
		for g.Pending() == 0 { // it waits for the change
			runtime.Gosched()
		}
		return unheard
	}
	g.pass(t.Context())
	w.fault = nil
	if r := <-reserved; r.Fallback == "" {
		t.Errorf("%+v was reserved", r)
	}
}
