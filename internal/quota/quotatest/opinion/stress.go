package opinion

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/quotatest"
)

const (
	workers  = 16
	perGroup = 150 // calls of each worker
	rounds   = 5
)

// Run runs all of the second opinion on ledgers that open makes.
func Run(t *testing.T, open quotatest.Open) {
	t.Run("sequences", func(t *testing.T) { Sequences(t, open) })
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprint("stress ", seed), func(t *testing.T) { stress(t, open, seed) })
	}
}

// stressed are limits that run out several times while the goroutines run; each counts over a change of the hour.
var stressed = []quota.Limit{
	{ID: "all", Scope: quota.ScopeEveryone, Dimension: quota.DimensionTokens, Window: quota.WindowHour, Value: 9000},
	{ID: "team", Scope: quota.ScopeTeam, Dimension: quota.DimensionCost, Window: quota.WindowHour, Value: 4000},
	{ID: "rate", Scope: quota.ScopeTeam, Dimension: quota.DimensionRequests, Window: quota.WindowMinute, Value: 500},
	{ID: "at once", Scope: quota.ScopeUser, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 5},
	{ID: "soft", Scope: quota.ScopeUser, Dimension: quota.DimensionOutputTokens, Window: quota.WindowHour, Value: 50, Enforcement: quota.EnforceSoft},
}

// storm is one run of many goroutines against one ledger.
type storm struct {
	t       *testing.T
	ledger  quotatest.Ledger
	set     *quota.LimitSet
	nanos   atomic.Int64
	mu      sync.Mutex
	calls   map[string]*stormCall
	answers map[string][]quota.Amounts // of Settle, by id
}

type stormCall struct {
	subject  quota.Subject
	admitted time.Time
}

func (s *storm) now() time.Time { return time.Unix(0, s.nanos.Load()).UTC() }

// stress lets goroutines reserve, extend, report, settle, void and expire the same calls at once, watched by a reader,
// while the hour changes; then it lets leases pass and takes stock.
func stress(t *testing.T, open quotatest.Open, seed uint64) {
	set, err := quota.Compile(stressed)
	if err != nil {
		t.Fatal(err)
	}
	s := &storm{t: t, set: set, calls: map[string]*stormCall{}, answers: map[string][]quota.Amounts{}}
	s.nanos.Store(time.Date(2026, 3, 11, 12, 59, 55, 0, time.UTC).UnixNano())
	s.ledger = open(t, s.now)

	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		s.watch(stop)
	}()
	var all sync.WaitGroup
	for w := range workers {
		rng := rand.New(rand.NewPCG(seed, uint64(w))) //nolint:gosec // a failure must be found again by its seed
		all.Go(func() { s.work(rng, w) })
	}
	all.Wait()
	close(stop)
	<-watched
	if !t.Failed() {
		s.takeStock()
	}
}

// work makes calls, and now and then meddles with those of others.
func (s *storm) work(rng *rand.Rand, worker int) {
	ctx := context.Background()
	for i := range perGroup {
		id := fmt.Sprint(worker, "-", i)
		subject := quota.Subject{User: fmt.Sprint("u", rng.IntN(4)), Team: fmt.Sprint("t", rng.IntN(2)), App: "ide", Model: "m"}
		held := quota.Amounts{Requests: 1, InputTokens: rng.Int64N(10), OutputTokens: rng.Int64N(20), Cost: core.MicroUSD(rng.Int64N(15))}
		res, err := s.ledger.Reserve(ctx, quota.Request{ID: id, Subject: subject, Amounts: held, Limits: s.set, At: s.now()})
		s.nanos.Add(int64(5 * time.Millisecond))
		if !s.fine(err) {
			continue
		}
		s.mu.Lock()
		s.calls[id] = &stormCall{subject, res.Admitted}
		s.mu.Unlock()
		if rng.IntN(2) == 0 {
			more := quota.Amounts{OutputTokens: rng.Int64N(20), Cost: core.MicroUSD(rng.Int64N(9))}
			if _, err := s.ledger.Extend(ctx, id, held.Add(more)); s.fine(err) {
				held = held.Add(more)
			}
		}
		used := quota.Amounts{Requests: 1, InputTokens: held.InputTokens, OutputTokens: rng.Int64N(held.OutputTokens + 1), Cost: core.MicroUSD(rng.Int64N(int64(held.Cost) + 1))}
		s.end(rng, id, used)
		if other := fmt.Sprint(rng.IntN(workers), "-", i); rng.IntN(3) == 0 { // a call of another's, perhaps just now
			s.end(rng, other, quota.Amounts{})
		}
	}
}

// end ends a call in one of the ways there are, or leaves it to its lease.
func (s *storm) end(rng *rand.Rand, id string, used quota.Amounts) {
	ctx := context.Background()
	switch rng.IntN(8) {
	case 0:
		s.fine(s.ledger.Void(ctx, id))
	case 1:
		s.fine(s.ledger.Touch(ctx, quota.Progress{ID: id, Used: used}))
	case 2:
		_, err := s.ledger.Expire(ctx, s.now())
		s.fine(err)
	default:
		got, err := s.ledger.Settle(ctx, id, used)
		if s.fine(err) {
			s.mu.Lock()
			s.answers[id] = append(s.answers[id], got)
			s.mu.Unlock()
		}
	}
}

// fine reports whether an operation was done, and fails the test at an error that the contract does not know.
func (s *storm) fine(err error) bool {
	var refused *quota.ExhaustedError
	switch {
	case err == nil:
		return true
	case errors.As(err, &refused):
		if l := refused.Standing.Limit; refused.Standing.Used+refused.Wanted <= l.Value {
			s.t.Errorf("I7: %v, which is room enough", err)
		}
	case !errors.Is(err, quota.ErrUnknown):
		s.t.Errorf("unexpected error: %v", err)
	}
	return false
}

// everyone are the subjects that meet every counter.
func everyone() []quota.Subject {
	var all []quota.Subject
	for u := range 4 {
		for team := range 2 {
			all = append(all, quota.Subject{User: fmt.Sprint("u", u), Team: fmt.Sprint("t", team), App: "ide", Model: "m"})
		}
	}
	return all
}

// watch looks on: no hard limit is ever passed (I1), nothing is ever negative (I6).
func (s *storm) watch(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		for _, subject := range everyone() {
			for _, st := range s.standings(subject) {
				if st.Posted < 0 || st.Used < st.Posted {
					s.t.Errorf("I6: %+v", st)
				}
				if st.Limit.Hard() && st.Used > st.Limit.Value {
					s.t.Errorf("I1: %+v", st)
				}
			}
		}
	}
}

func (s *storm) standings(subject quota.Subject) []quota.Standing {
	all, err := s.ledger.Standings(context.Background(), subject, s.set, s.now())
	if err != nil {
		s.t.Errorf("Standings: %v", err)
	}
	return all
}

// takeStock checks what is left when all is quiet.
func (s *storm) takeStock() {
	ctx, t := context.Background(), s.t
	s.nanos.Add(int64(lease + time.Second))
	if _, err := s.ledger.Expire(ctx, s.now()); err != nil {
		t.Fatal(err)
	}
	booked := map[string]quota.Amounts{}
	for id, answers := range s.answers {
		for _, a := range answers {
			if a != answers[0] {
				t.Errorf("I3: Settle of %s gave %+v and %+v", id, answers[0], a)
			}
		}
	}
	for id := range s.calls {
		if _, err := s.ledger.Extend(ctx, id, quota.Amounts{OutputTokens: 1}); !errors.Is(err, quota.ErrUnknown) {
			t.Errorf("I4: Extend of %s gave %v after its lease", id, err)
		}
		// Whatever ended it, a settlement that comes now says what is booked, also where it replaces what expiry booked.
		got, err := s.ledger.Settle(ctx, id, quota.Amounts{})
		if err != nil {
			t.Fatalf("I3: Settle of %s gave %v", id, err)
		}
		if answers := s.answers[id]; len(answers) > 0 && answers[0] != got {
			t.Errorf("I3: Settle of %s gave %+v first and %+v last", id, answers[0], got)
		}
		booked[id] = got
	}
	for _, subject := range everyone() {
		for _, st := range s.standings(subject) {
			if st.Used != st.Posted {
				t.Errorf("I4: %s has %d pending", st.Limit.ID, st.Used-st.Posted)
			}
			if want := s.sum(booked, st.Limit, subject); st.Posted != want {
				t.Errorf("I5: %s has posted %d, the settlements sum to %d", st.Limit.ID, st.Posted, want)
			}
		}
	}
	s.fillUp()
}

// sum adds up what was booked for calls that count under a limit for a subject now.
func (s *storm) sum(booked map[string]quota.Amounts, l *quota.Limit, subject quota.Subject) int64 {
	var sum int64
	who, _ := about(l, subject)
	for id, c := range s.calls {
		if w, _ := about(l, c.subject); w == who && within(l, c.admitted, s.now()) {
			sum += amount(l.Dimension, booked[id])
		}
	}
	return sum
}

// fillUp takes exactly what is left: one more is refused by the limit that is full (I7), the rest admitted (I8).
func (s *storm) fillUp() {
	subject := everyone()[0]
	all := s.standings(subject)
	room := all[0].Limit.Value - all[0].Used
	ask := func(id string, n int64) error {
		_, err := s.ledger.Reserve(context.Background(), quota.Request{
			ID: id, Subject: subject, Amounts: quota.Amounts{InputTokens: n}, Limits: s.set, At: s.now(),
		})
		return err
	}
	var refused *quota.ExhaustedError
	if err := ask("one too many", room+1); !errors.As(err, &refused) || refused.Standing.Limit.ID != "all" {
		s.t.Errorf("I1, I7: a call of one more than the room gave %v", err)
	}
	if err := ask("the rest", room); err != nil {
		s.t.Errorf("I8: a call of all the room gave %v", err)
	}
}
