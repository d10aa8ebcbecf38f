package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
)

const (
	// adoptEvery is how often what ended since is looked for, and what failed is tried again. A change wakes the adopter.
	adoptEvery = time.Second
	// pauseAtMost bounds how long admission waits while limits take each other's place.
	pauseAtMost = 2 * time.Second
	// settleAtMost bounds how long a command waits until limits that changed are in force.
	settleAtMost = 20 * time.Second
)

// adopter is the ledger in memory under the limits in force. When others are wanted of which some count something new, what
// the records have of their windows is booked first, so that they begin with what was used, and then all take the place of
// those before. Whatever is in flight at that moment was not reserved under the new ones: its charge is booked under them
// when it is recorded. So each charge counts once, by its reservation or from the records, and nothing has to be kept for a
// start, which books all records anew.
type adopter struct {
	*memory.Ledger
	inForce quota.InForce
	wanted  func() *quota.LimitSet
	// book books the charges of the records, and gives the position of the last.
	book  func(context.Context, *quota.LimitSet) (int64, error)
	audit *audit.Log
	wake  <-chan struct{}
	log   *slog.Logger

	mu   sync.Mutex // one pass at a time
	late []*latecomers
}

// latecomers are the exchanges that were in flight when limits began, and that do not count under these by themselves.
type latecomers struct {
	limits *quota.LimitSet
	ids    map[string]struct{} // those whose charges are not among the records up to after
	ended  []audit.Charged     // those whose charges are, and that the ledger has not settled yet
	after  int64
}

func newAdopter(
	ledger *memory.Ledger, inForce *quota.LimitSet, r *roller, wanted func() *quota.LimitSet, wake <-chan struct{},
) *adopter {
	a := &adopter{
		Ledger: ledger, wanted: wanted, audit: r.audit, wake: wake, log: r.log,
		book: func(ctx context.Context, limits *quota.LimitSet) (int64, error) { return r.book(ctx, ledger, limits) },
	}
	a.inForce.Put(inForce)
	return a
}

// Reserve implements quota.Ledger, under the limits in force whatever those are that the request was made with.
func (a *adopter) Reserve(ctx context.Context, r quota.Request) (reservation quota.Reservation, err error) {
	err = a.inForce.Admit(func(limits *quota.LimitSet) error {
		r.Limits = limits
		reservation, err = a.Ledger.Reserve(ctx, r)
		return err
	})
	return reservation, err
}

// run puts limits in force as they are wanted, until ctx ends.
func (a *adopter) run(ctx context.Context) error {
	tick := time.NewTicker(adoptEvery)
	defer tick.Stop()
	for {
		if err := a.pass(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("limits that changed are not yet in force, since what was used under them could not be read; it is tried again",
				"error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-a.wake:
		case <-tick.C:
		}
	}
}

// pass puts in force what is wanted, and books what has come late for it.
func (a *adopter) pass(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.followUp(ctx); err != nil {
		return err
	}
	from, want := a.inForce.Limits(), a.wanted()
	if from == want {
		return nil
	}
	counted := from.Counting()
	interim := quota.Interim(from, want, counted)
	a.inForce.Put(interim)
	if interim == want {
		return nil
	}
	return a.adopt(ctx, want.Only(func(counts string) bool { return !counted(counts) }), want)
}

// adopt books what was used under fresh limits and puts a set with them in force. Where that fails the limits before stay,
// and it is begun anew.
func (a *adopter) adopt(ctx context.Context, fresh, want *quota.LimitSet) error {
	isFresh := fresh.Counting()
	for _, l := range a.late { // they were in force before: what is late for them is late again
		l.limits = l.limits.Only(func(counts string) bool { return !isFresh(counts) })
	}
	a.Forget(fresh)
	began := time.Now()
	upTo, err := a.book(ctx, fresh)
	if err != nil {
		return err
	}
	late := &latecomers{limits: fresh, after: upTo}
	err = a.inForce.Change(func() (*quota.LimitSet, error) {
		ctx, cancel := context.WithTimeout(ctx, pauseAtMost)
		defer cancel()
		late.ids = a.Outstanding() // first: whoever ends while the records are read is not among these
		err := late.book(ctx, a, func(exchange string) bool {
			delete(late.ids, exchange)
			return true
		})
		return want, err
	})
	if err != nil {
		return err
	}
	inFlight := len(late.ids) + len(late.ended)
	if inFlight > 0 {
		a.late = append(a.late, late)
	}
	a.log.Info("new limits are in force, with what was used under them before",
		"limits", len(fresh.Limits()), "in_flight", inFlight, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// book books charges that were recorded since, of some exchanges: at once, or when the ledger has settled them under the limits
// that they were reserved with. So it has each charge under all limits or under none.
func (l *latecomers) book(ctx context.Context, a *adopter, some func(exchange string) bool) error {
	q := audit.ChargesQuery{Since: time.Now().Add(-quota.LongestWindow), After: l.after}
	err := a.audit.Charges(ctx, q, func(c audit.Charged) error {
		if some(c.Exchange) {
			l.ended = append(l.ended, c)
		}
		l.after = c.Position
		return nil
	})
	return errors.Join(err, l.settle(a))
}

// settle books the charges of exchanges that the ledger has settled.
func (l *latecomers) settle(a *adopter) error {
	waiting := l.ended
	l.ended = nil
	for i, c := range waiting {
		if a.Owed(c.Exchange) {
			l.ended = append(l.ended, c)
			continue
		}
		if err := a.Replay(c.Charge, subjectOf(c), l.limits); err != nil {
			l.ended = append(l.ended, waiting[i:]...)
			return err
		}
	}
	return nil
}

// followUp books what was in flight when limits began and has ended since. An exchange that the ledger was settled with before
// the records were read has its charge among them or has none.
func (a *adopter) followUp(ctx context.Context) error {
	var rest []*latecomers
	for i, l := range a.late {
		var settled []string
		for id := range l.ids {
			if !a.Owed(id) {
				settled = append(settled, id)
			}
		}
		err := l.book(ctx, a, func(exchange string) bool {
			_, late := l.ids[exchange]
			delete(l.ids, exchange)
			return late
		})
		if err != nil {
			a.late = append(rest, a.late[i:]...)
			return err
		}
		for _, id := range settled {
			delete(l.ids, id)
		}
		if len(l.ids)+len(l.ended) > 0 {
			rest = append(rest, l)
		}
	}
	a.late = rest
	return nil
}

// steady calls read when everything that the ledger has settled counts under all limits in force, and none change meanwhile.
func (a *adopter) steady(ctx context.Context, read func(*quota.LimitSet) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.followUp(ctx); err != nil {
		return err
	}
	return read(a.inForce.Limits())
}

// limitsLoaded is called with each new view of the control data.
func (a *App) limitsLoaded() {
	select {
	case a.limitsChanged <- struct{}{}:
	default:
	}
}

// wantedLimits are those of the control data.
func (a *App) wantedLimits() *quota.LimitSet { return a.people.current.Load().Limits() }

// limits are those in force.
func (a *App) limits() *quota.LimitSet {
	if a.guard != nil {
		return a.guard.Limits()
	}
	return a.adopter.inForce.Limits()
}

// awaitLimits waits until those are in force that are wanted.
func (a *App) awaitLimits(ctx context.Context) error {
	if a.guard == nil {
		return a.adopter.pass(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, settleAtMost)
	defer cancel()
	err := a.guard.AwaitLimits(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("limits have changed, and what was used under them is still being counted: ask again")
	}
	return err
}
