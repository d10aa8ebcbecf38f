package guard

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

// world is replicas on one server, all of them serving.
type world struct {
	*server
	limits   *quota.LimitSet
	replicas []*replica
}

func newWorld(t *testing.T, replicas int, limits ...quota.Limit) *world {
	t.Helper()
	w := &world{server: newServer(&clock{now: start}), limits: mustCompile(t, limits...)}
	for i := range replicas {
		w.replicas = append(w.replicas, newReplica(w.server, newBook(), fmt.Sprint("book", i), w.limits))
	}
	w.passes(t, 4)
	for i, r := range w.replicas {
		if !r.serving.Load() {
			t.Fatalf("replica %d does not serve: %v", i, r.mender.cause)
		}
	}
	return w
}

// passes has each replica watch the server some times, a second apart.
func (w *world) passes(t *testing.T, n int) {
	t.Helper()
	for range n {
		w.clock.add(time.Second)
		for _, r := range w.replicas {
			r.pass(t.Context())
		}
	}
}

func (w *world) away() { w.fault = func(string) fault { return refused } }
func (w *world) back() { w.fault = nil }

func (w *world) reserve(t *testing.T, i int, id string, tokens int64, cost core.MicroUSD) (quota.Reservation, error) {
	t.Helper()
	return w.replicas[i].Reserve(t.Context(), request(id, w.limits, w.clock.Now(), tokens, cost))
}

// admit reserves and records the intent.
func (w *world) admit(t *testing.T, i int, id string, tokens int64) quota.Reservation {
	t.Helper()
	r, err := w.reserve(t, i, id, tokens, 0)
	if err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	w.replicas[i].book.intent(r)
	return r
}

// finish records the outcome and settles.
func (w *world) finish(t *testing.T, i int, r quota.Reservation, tokens int64) {
	t.Helper()
	used := quota.Amounts{Requests: 1, OutputTokens: tokens}
	w.replicas[i].book.outcome(quota.Subject{User: "ann"}, r, used)
	if got, err := w.replicas[i].Settle(t.Context(), r.ID, used); err != nil || got != used {
		t.Fatalf("settled %v, %v", got, err)
	}
}

func (w *world) sum() (posted int64, pending int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.posted {
		posted += n
	}
	for _, h := range w.holds {
		if h.state == "live" {
			pending++
		}
	}
	return posted, pending
}

func (w *world) stands(t *testing.T, posted int64, pending int) {
	t.Helper()
	if p, n := w.sum(); p != posted || n != pending {
		t.Errorf("posted %d and %d pending, want %d and %d", p, n, posted, pending)
	}
}

func with(l quota.Limit, u quota.Unreachable) quota.Limit {
	l.Unreachable = u
	return l
}

func TestMoneyIsClosedWithoutTheLedger(t *testing.T) {
	w := newWorld(t, 1, limit("money", quota.DimensionCost, 1_000_000), limit("tokens", quota.DimensionTokens, 1000))
	w.away()
	_, err := w.reserve(t, 0, "x", 10, 5)
	refused := core.AsError(err)
	if refused.Reason != core.ReasonQuotaUnavailable || !strings.Contains(refused.Public, "limit on cost") || !errors.Is(err, ErrUnreachable) {
		t.Fatalf("got %v, %q", err, refused.Public)
	}
	if _, err := w.reserve(t, 0, "free", 10, 0); err != nil {
		t.Errorf("a call without a price: %v", err)
	}
	if got := w.replicas[0].counts.fellBack; got[quota.UnreachableClosed] != 1 || got[quota.UnreachableLocal] != 1 {
		t.Errorf("counted %v", got)
	}
	if n := w.replicas[0].Pending(); n != 1 {
		t.Errorf("%d pending", n)
	}
}

func TestOpenLimitsAdmit(t *testing.T) {
	w := newWorld(t, 1, with(limit("tokens", quota.DimensionTokens, 10), quota.UnreachableOpen))
	w.away()
	r, err := w.reserve(t, 0, "x", 1000, 0)
	if err != nil || r.Fallback != quota.UnreachableOpen {
		t.Fatalf("%v, %v", r.Fallback, err)
	}
}

func TestSoftLimitsNeverRefuse(t *testing.T) {
	soft := with(limit("money", quota.DimensionCost, 1), quota.UnreachableClosed)
	soft.Enforcement = quota.EnforceSoft
	watch := limit("tokens", quota.DimensionTokens, 1)
	watch.Enforcement = quota.EnforceObserve
	w := newWorld(t, 3, soft, watch)
	w.away()
	if r, err := w.reserve(t, 0, "x", 1000, 1000); err != nil || r.Fallback != quota.UnreachableLocal {
		t.Fatalf("%v, %v", r.Fallback, err)
	}
}

// TestReplicasShareWhatWasLeft: three replicas together admit no more than the limit, of which a part was used.
func TestReplicasShareWhatWasLeft(t *testing.T) {
	w := newWorld(t, 3, limit("tokens", quota.DimensionTokens, 900))
	for i := range w.replicas { // each learns how the counter stands
		w.finish(t, i, w.admit(t, i, fmt.Sprint("before", i), 100), 100)
	}
	w.finish(t, 2, w.admit(t, 2, "one more", 1), 1) // which each counts as one of its own
	w.admit(t, 0, "learns", 0)
	w.admit(t, 1, "learns too", 0)
	w.away()
	admitted := int64(0)
	for i := range w.replicas {
		for n := range 900 {
			if r, err := w.reserve(t, i, fmt.Sprint(i, "-", n), 1, 0); err == nil {
				admitted++
				if r.Fallback != quota.UnreachableLocal {
					t.Fatalf("fallback %q", r.Fallback)
				}
			}
		}
	}
	if admitted != 597 {
		t.Errorf("admitted %d more of 900 of which 301 are used", admitted)
	}
}

// TestMoreInFlightThanTheShare: all that is in flight counts, also where it is more than this replica may have on its own.
func TestMoreInFlightThanTheShare(t *testing.T) {
	w := newWorld(t, 4, limit("calls", quota.DimensionConcurrency, 8))
	var all []quota.Reservation
	for n := range 8 {
		all = append(all, w.admit(t, 0, fmt.Sprint("in flight ", n), 1))
	}
	w.away()
	for n, r := range all {
		_, err := w.reserve(t, 0, fmt.Sprint("new ", n), 1, 0)
		if room := len(all)-n < 2; (err == nil) != room {
			t.Fatalf("%d in flight of a share of 2: %v", len(all)-n, err)
		}
		w.finish(t, 0, r, 1)
	}
}

func TestWhatIsInFlightCountsAmongRequestsInFlight(t *testing.T) {
	w := newWorld(t, 1, limit("calls", quota.DimensionConcurrency, 2))
	first := w.admit(t, 0, "first", 1)
	w.away()
	if _, err := w.reserve(t, 0, "second", 1, 0); err != nil {
		t.Fatal(err)
	}
	var exhausted *quota.ExhaustedError
	if _, err := w.reserve(t, 0, "third", 1, 0); !errors.As(err, &exhausted) {
		t.Fatalf("a third of two: %v", err)
	}
	w.finish(t, 0, first, 1)
	if _, err := w.reserve(t, 0, "fourth", 1, 0); err != nil {
		t.Errorf("after one ended: %v", err)
	}
}

// TestLedgerThatComesAndGoesFindsItsShareUsed: a flapping ledger must not give its share anew each time.
func TestLedgerThatComesAndGoesFindsItsShareUsed(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 100))
	w.away()
	if _, err := w.reserve(t, 0, "x", 80, 0); err != nil {
		t.Fatal(err)
	}
	w.back()
	w.passes(t, 1)
	w.away()
	var exhausted *quota.ExhaustedError
	if _, err := w.reserve(t, 0, "y", 80, 0); !errors.As(err, &exhausted) {
		t.Errorf("160 of 100: %v", err)
	}
}

// TestShareSurvivesAJumpOfTheClock: a replica whose own clock jumps while the ledger is away, in the window or out of it and
// back, does not find its share anew.
func TestShareSurvivesAJumpOfTheClock(t *testing.T) {
	for _, d := range []time.Duration{24 * time.Hour, -24 * time.Hour, time.Minute, -time.Minute} {
		t.Run(d.String(), func(t *testing.T) {
			w := newWorld(t, 2, limit("tokens", quota.DimensionTokens, 200), limit("calls", quota.DimensionConcurrency, 4))
			w.away()
			if _, err := w.reserve(t, 0, "x", 80, 0); err != nil {
				t.Fatal(err)
			}
			for _, step := range []time.Duration{d, -d} {
				w.clock.add(step)
				var exhausted *quota.ExhaustedError
				if _, err := w.reserve(t, 0, "above"+step.String(), 30, 0); !errors.As(err, &exhausted) || exhausted.Standing.Used != 80 {
					t.Errorf("110 of a share of 100: %v", err)
				}
			}
			if _, err := w.reserve(t, 0, "the rest", 20, 0); err != nil {
				t.Error(err)
			}
			var exhausted *quota.ExhaustedError
			if _, err := w.reserve(t, 0, "third", 0, 0); !errors.As(err, &exhausted) {
				t.Errorf("a third of two at once: %v", err)
			}
			w.back()
			w.passes(t, 3)
			w.away()
			if _, err := w.reserve(t, 0, "soon", 10, 0); !errors.As(err, &exhausted) {
				t.Errorf("a ledger that came and went: %v", err)
			}
		})
	}
}

// TestShareLastsAsLongAsTheLedgerIsAway: what was used of it is not forgotten while the ledger stays away after a short return,
// and is told anew by the ledger once that has been back for longer.
func TestShareLastsAsLongAsTheLedgerIsAway(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 100))
	w.away()
	x := w.admit(t, 0, "x", 80)
	w.back()
	w.passes(t, 1)
	w.away()
	var exhausted *quota.ExhaustedError
	for n := range 3 {
		if _, err := w.reserve(t, 0, fmt.Sprint("above", n), 30, 0); !errors.As(err, &exhausted) {
			t.Errorf("110 of 100, %d s after it left again: %v", 10*n, err)
		}
		w.clock.add(10 * time.Second)
	}
	w.finish(t, 0, x, 80)
	w.back()
	w.passes(t, 8)
	w.finish(t, 0, w.admit(t, 0, "y", 15), 15) // by the ledger
	w.admit(t, 0, "learns", 0)
	w.away()
	if _, err := w.reserve(t, 0, "z", 10, 0); !errors.As(err, &exhausted) {
		t.Errorf("105 of 100: %v", err)
	}
}

func TestStreamGoesOnWithoutTheLedger(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 100))
	r := w.admit(t, 0, "x", 50)
	w.away()
	more, err := w.replicas[0].Extend(t.Context(), "x", quota.Amounts{OutputTokens: 80})
	if err != nil || more.Held.OutputTokens != 80 || more.Fallback != "" || !more.Admitted.Equal(r.Admitted) {
		t.Fatalf("%+v, %v", more, err)
	}
	var exhausted *quota.ExhaustedError
	if _, err := w.replicas[0].Extend(t.Context(), "x", quota.Amounts{OutputTokens: 110}); !errors.As(err, &exhausted) {
		t.Errorf("110 of 100: %v", err)
	}
	w.finish(t, 0, r, 80)
	w.back()
	w.passes(t, 3)
	w.stands(t, 80, 0)
}

// TestStreamIsHeldInFullAgain: what a stream took without the ledger is held there when it takes more, and an extension that
// is repeated holds once, there and here.
func TestStreamIsHeldInFullAgain(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 100))
	r := w.admit(t, 0, "x", 50)
	extend := func(to int64) error {
		got, err := w.replicas[0].Extend(t.Context(), "x", quota.Amounts{OutputTokens: to})
		if err == nil && got.Held.OutputTokens != to {
			t.Errorf("%d are held, want %d", got.Held.OutputTokens, to)
		}
		return err
	}
	w.fault = func(op string) fault {
		if op == "extend" {
			return unheard
		}
		return none
	}
	for range 3 { // the first is done by the ledger too, whose answer is lost
		if err := extend(70); err != nil {
			t.Fatal(err)
		}
	}
	w.away()
	if err := extend(80); err != nil {
		t.Fatal(err)
	}
	w.back()
	w.passes(t, 2)
	if err := extend(90); err != nil || w.holds["x"].held.OutputTokens != 90 {
		t.Errorf("%v; the ledger holds %d of 90", err, w.holds["x"].held.OutputTokens)
	}
	w.away()
	if err := extend(100); err != nil {
		t.Errorf("up to the limit: %v", err)
	}
	var exhausted *quota.ExhaustedError
	if err := extend(101); !errors.As(err, &exhausted) {
		t.Errorf("101 of 100: %v", err)
	}
	w.finish(t, 0, r, 100)
	if n := w.replicas[0].Overruns(); n != 0 {
		t.Errorf("%d overruns", n)
	}
	w.back()
	w.passes(t, 3)
	w.stands(t, 100, 0)
}

func TestStreamUnderAClosedLimitIsCut(t *testing.T) {
	w := newWorld(t, 1, limit("money", quota.DimensionCost, 100))
	if _, err := w.reserve(t, 0, "x", 1, 10); err != nil {
		t.Fatal(err)
	}
	w.away()
	_, err := w.replicas[0].Extend(t.Context(), "x", quota.Amounts{OutputTokens: 2, Cost: 11})
	if core.AsError(err).Reason != core.ReasonQuotaUnavailable {
		t.Errorf("got %v", err)
	}
}

// TestBreaker counts what is asked of a ledger that is away: the first operation asks it, later ones do not, and one probe at
// a time finds it again.
func TestBreaker(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 1_000_000))
	w.away()
	before := w.asked["reserve"]
	for n := range 1000 {
		if _, err := w.reserve(t, 0, fmt.Sprint(n), 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.asked["reserve"] - before; n != 1 {
		t.Errorf("1000 calls asked %d times", n)
	}
	beats := w.asked["heartbeat"]
	w.passes(t, 1)
	if n := w.asked["heartbeat"] - beats; n != 1 {
		t.Errorf("a pass probed %d times", n)
	}
	w.back()
	w.passes(t, 1)
	if _, err := w.reserve(t, 0, "again", 1, 0); err != nil || w.asked["reserve"]-before != 2 {
		t.Errorf("%v after the return, asked %d times", err, w.asked["reserve"]-before)
	}
	want := []Breaker{BreakerOpen, BreakerHalfOpen, BreakerClosed, BreakerOpen, BreakerHalfOpen, BreakerClosed}
	if got := w.replicas[0].counts.breaker; !slices.Equal(got, want) {
		t.Errorf("the breaker was %v, want %v", got, want)
	}
}

// slow is a server that answers after a while, or when the caller's time is up.
type slow struct {
	*client
	takes atomic.Int64 // a duration
	mute  atomic.Int64 // it answers nothing before this, in nanoseconds since 1970
}

func (s *slow) wait(ctx context.Context) error {
	takes := max(time.Duration(s.takes.Load()), time.Until(time.Unix(0, s.mute.Load())))
	if takes <= 0 {
		return nil
	}
	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	}
}

func (s *slow) Reserve(ctx context.Context, r quota.Request) (quota.Reservation, error) {
	if err := s.wait(ctx); err != nil {
		return quota.Reservation{}, err
	}
	return s.client.Reserve(ctx, r)
}

func (s *slow) Heartbeat(ctx context.Context) (Pulse, error) {
	if err := s.wait(ctx); err != nil {
		return Pulse{}, err
	}
	return s.client.Heartbeat(ctx)
}

// slowly runs a test with a server whose speed changes, on the clock of a bubble, with Run running.
func slowly(t *testing.T, test func(t *testing.T, w *world, s *slow)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 1_000_000))
		r := w.replicas[0]
		s := &slow{client: r.client}
		r.o.Shared, r.o.Now = s, time.Now
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		test(t, w, s)
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	})
}

// TestFirstDecisionIsInTime: 25 ms for the first one, nothing for those after it, and no flapping.
func TestFirstDecisionIsInTime(t *testing.T) {
	slowly(t, func(t *testing.T, w *world, s *slow) {
		s.takes.Store(int64(5 * time.Second))
		for n, most := range []time.Duration{25 * time.Millisecond, 0, 0} {
			begun := time.Now()
			if _, err := w.reserve(t, 0, fmt.Sprint(n), 1, 0); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took > most {
				t.Errorf("decision %d took %v, more than %v", n, took, most)
			}
		}
		// It answers, but not in the time that requests have.
		s.takes.Store(int64(100 * time.Millisecond))
		time.Sleep(time.Minute) //nolint:forbidigo // the clock of the bubble
		if w.replicas[0].serving.Load() {
			t.Error("a ledger that takes 100 ms serves")
		}
		s.takes.Store(int64(time.Millisecond))
		time.Sleep(2 * time.Second) //nolint:forbidigo // the clock of the bubble
		if !w.replicas[0].serving.Load() {
			t.Error("the ledger does not serve again")
		}
	})
}

// TestCallerWhoLeavesDoesNotOpenTheBreaker: the operation goes on without its caller.
func TestCallerWhoLeavesDoesNotOpenTheBreaker(t *testing.T) {
	slowly(t, func(t *testing.T, w *world, s *slow) {
		s.takes.Store(int64(10 * time.Millisecond))
		ctx, leave := context.WithCancel(t.Context())
		leave()
		r, err := w.replicas[0].Reserve(ctx, request("x", w.limits, w.clock.Now(), 1, 0))
		if err != nil || r.Fallback != "" || !w.replicas[0].serving.Load() {
			t.Errorf("%q, %v", r.Fallback, err)
		}
	})
}

// heldUp is a server whose Reserve says that it has begun, and then waits.
type heldUp struct {
	*client
	begun, goOn chan struct{}
}

func (h *heldUp) Reserve(ctx context.Context, r quota.Request) (quota.Reservation, error) {
	close(h.begun)
	<-h.goOn
	return h.client.Reserve(ctx, r)
}

// TestEpochWaitsForOperationsOnTheirWay: what was asked of the old epoch has its answer before the book is brought back.
func TestEpochWaitsForOperationsOnTheirWay(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 100))
	r := w.replicas[0]
	h := &heldUp{r.client, make(chan struct{}), make(chan struct{})}
	r.o.Shared = h
	reserved, stopped := make(chan error, 1), make(chan struct{})
	go func() {
		_, err := w.reserve(t, 0, "x", 1, 0)
		reserved <- err
	}()
	<-h.begun
	go func() {
		defer close(stopped)
		r.stop("a test")
	}()
	for r.serving.Load() { // until it stops the service, before it waits
		runtime.Gosched()
	}
	select {
	case <-stopped:
		t.Error("it did not wait")
	default:
	}
	close(h.goOn)
	if err := <-reserved; err != nil {
		t.Error(err)
	}
	<-stopped
	if got, ok := r.find("x"); !ok || got.mode != modeShared {
		t.Errorf("mode %v", got.mode)
	}
}

// TestExchangesNobodyClosesAreForgotten, here and in the ledger.
func TestExchangesNobodyClosesAreForgotten(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 100))
	w.admit(t, 0, "x", 5)
	w.away()
	w.admit(t, 0, "y", 5)
	w.clock.add(forgetAfter + time.Second)
	if _, err := w.replicas[0].Expire(t.Context(), w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if n := w.replicas[0].Pending(); n != 0 {
		t.Errorf("%d pending", n)
	}
}

func TestRepeatedReserveGivesTheFirst(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 100))
	first := w.admit(t, 0, "x", 5)
	w.away()
	again, err := w.reserve(t, 0, "x", 50, 0)
	if err != nil || again.Held != first.Held {
		t.Errorf("%+v, %v", again, err)
	}
	apart := w.admit(t, 0, "y", 5)
	w.back()
	w.passes(t, 2)
	again, err = w.reserve(t, 0, "y", 50, 0)
	if err != nil || again.Held != apart.Held || again.Fallback != quota.UnreachableLocal {
		t.Errorf("%+v, %v", again, err)
	}
}

// BenchmarkWithoutTheLedger is a decision while the ledger is away: 1 ms is what it may take.
func BenchmarkWithoutTheLedger(b *testing.B) {
	var limits []quota.Limit
	for i := range 8 {
		limits = append(limits, limit(fmt.Sprint("l", i), quota.DimensionTokens, quota.MaxValue))
	}
	set := mustCompile(b, limits...)
	r := newReplica(newServer(&clock{now: start}), newBook(), "book", set)
	ctx, n := b.Context(), 0
	for b.Loop() {
		n++
		id := fmt.Sprint(n)
		if _, err := r.Reserve(ctx, request(id, set, start, 1, 0)); err != nil {
			b.Fatal(err)
		}
		if _, err := r.Settle(ctx, id, quota.Amounts{OutputTokens: 1}); err != nil {
			b.Fatal(err)
		}
	}
}
