package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

const (
	// beat is how often the shared ledger is asked how it stands.
	beat = time.Second
	// tidyEvery is how often what is owed is looked for without a cause.
	tidyEvery = 10 * time.Second
	// minDelay and maxDelay bound the time between two probes of a ledger that does not answer. A ledger that leaves again
	// within steady of its return is probed no more often than before.
	minDelay = 50 * time.Millisecond
	maxDelay = time.Second
	steady   = 5 * time.Second
	// probeTimeout leaves the first probe time to connect. mendTimeout bounds each other operation that no request waits for.
	probeTimeout = time.Second
	mendTimeout  = 5 * time.Second
	// atOnce bounds the reservations of one operation, and the records' answers for them.
	atOnce = 200
)

// errNotBack is why the breaker stays half open: the epoch waits for a book.
var errNotBack = errors.New("the epoch waits for the records of another replica")

// mender is the state of Run.
type mender struct {
	joined string // id of the epoch that this replica's book is in
	books  []string
	delay  time.Duration
	served time.Time // when it last began to serve
	tidied time.Time
	// strays are reservations that the records did not know when they were last looked for.
	strays map[string]struct{}
	cause  error // why it does not serve, as it was last logged
	// open is how many reservations of this book, not in flight, could not be resolved when that was last tried.
	open    int
	covered covered
}

// Run watches the shared ledger until ctx ends: it alone probes a ledger that was left, and lets requests go to it again. It
// delivers what is owed.
func (g *Guard) Run(ctx context.Context) error {
	for {
		timer := time.NewTimer(g.pass(ctx))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-g.wake:
		case <-g.o.Changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Await waits until the shared ledger serves for the first time, or ctx ends. Requests need not wait: they are served
// without it until then.
func (g *Guard) Await(ctx context.Context) error {
	select {
	case <-g.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pass asks how the shared ledger stands, does what is due, and says when to come again.
func (g *Guard) pass(ctx context.Context) time.Duration {
	m := &g.mender
	err := g.mend(ctx)
	if err == nil {
		return beat
	}
	if away(err) {
		g.down(err)
	}
	if ctx.Err() == nil && (m.cause == nil || m.cause.Error() != err.Error()) {
		g.o.Log.Warn("the quota ledger does not serve", "cause", err)
		m.cause = err
	}
	if !m.served.IsZero() && g.o.Now().Sub(m.served) > steady {
		m.delay, m.served = minDelay, time.Time{}
	}
	wait := m.delay
	if !errors.Is(err, errNotBack) {
		m.delay = min(2*m.delay, maxDelay)
	}
	return wait
}

// mend brings this replica into the epoch in force, lets requests go to the shared ledger, and tells it what it is owed.
func (g *Guard) mend(ctx context.Context) error {
	pulse, err := g.probe(ctx)
	if err != nil {
		return err
	}
	m := &g.mender
	if pulse.Lost {
		g.stop("the ledger may have lost what it counted")
		if err := g.within(ctx, func(ctx context.Context) error {
			return g.o.Shared.BeginEpoch(ctx, pulse.Epoch.ID, m.books...)
		}); err != nil {
			return fmt.Errorf("beginning an epoch: %w", err)
		}
		if pulse, err = g.probe(ctx); err != nil {
			return err
		}
	}
	if pulse.Epoch.ID != m.joined {
		g.stop("another epoch began")
		if err := g.join(ctx, pulse.Epoch); err != nil {
			return err
		}
		if pulse, err = g.probe(ctx); err != nil { // which says who is not back now
			return err
		}
	}
	if pulse.Epoch.ID != m.joined {
		return ErrEpoch
	}
	if pulse.Epoch.Rebuilding {
		g.stop("another epoch began")
		return errNotBack
	}
	m.books = pulse.Books
	g.mu.Lock()
	g.replicas = int64(max(len(pulse.Books), 1))
	g.known.tidy(g.o.Now())
	g.mu.Unlock()
	if err := g.adoptLimits(ctx); err != nil {
		return fmt.Errorf("putting limits in force: %w", err)
	}
	g.serve()
	return g.deliver(ctx)
}

// probe asks how the shared ledger stands. One that was left has to answer in the time that requests have, once it is
// connected.
func (g *Guard) probe(ctx context.Context) (Pulse, error) {
	var pulse Pulse
	ask := func(ctx context.Context) (err error) {
		pulse, err = g.o.Shared.Heartbeat(ctx)
		return err
	}
	first, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if err := ask(first); err != nil {
		return Pulse{}, err
	}
	if g.serving.Load() {
		return pulse, nil
	}
	g.o.Metrics.LedgerBreaker(BreakerHalfOpen)
	within, cancel := context.WithTimeout(ctx, g.patience())
	defer cancel()
	if err := ask(within); err != nil {
		g.o.Metrics.LedgerBreaker(BreakerOpen)
		return Pulse{}, err
	}
	return pulse, nil
}

func (g *Guard) within(ctx context.Context, op func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, mendTimeout)
	defer cancel()
	return op(ctx)
}

// stop lets no request go to the shared ledger any more, and waits for those that are on their way.
func (g *Guard) stop(why string) {
	g.down(errors.New(why))
	g.calls.Lock()
	defer g.calls.Unlock() // the wait is the purpose
}

// serve lets requests go to the shared ledger.
func (g *Guard) serve() {
	if g.serving.Load() {
		return
	}
	m := &g.mender
	m.served, m.cause = g.o.Now(), nil
	m.tidied = time.Time{}
	g.serving.Store(true)
	g.rejoin()
	g.o.Metrics.LedgerBreaker(BreakerClosed)
	g.o.Log.Info("the quota ledger serves", "epoch", m.joined)
	select {
	case <-g.ready:
	default:
		close(g.ready)
	}
}

// deliver tells the shared ledger what it was not told: from time to time, since an answer that never came may have been an
// operation that came late, and at once when something is known to be owed.
func (g *Guard) deliver(ctx context.Context) error {
	m := &g.mender
	owed := g.owed.Swap(false)
	late := m.covered.late()
	if !owed && late.IsZero() && g.o.Now().Sub(m.tidied) < tidyEvery {
		return nil
	}
	flying := g.holdsBefore(late)
	if err := g.resolveOwned(ctx); err != nil {
		g.owed.Store(true)
		return fmt.Errorf("resolving what is owed: %w", err)
	}
	if err := g.bookFallback(ctx); err != nil {
		g.owed.Store(true)
		return fmt.Errorf("booking from the records: %w", err)
	}
	if !late.IsZero() && !flying && m.open == 0 {
		if err := g.nothingLate(ctx); err != nil {
			return fmt.Errorf("noting that limits are counted in full: %w", err)
		}
	}
	m.tidied = g.o.Now()
	return nil
}

// resolveOwned ends the reservations that the shared ledger still has of this book and that are not in flight, as the
// records say: an earlier process held them, or their end, or their beginning, was not heard.
func (g *Guard) resolveOwned(ctx context.Context) error {
	var ids []string
	err := g.within(ctx, func(ctx context.Context) (err error) {
		ids, err = g.o.Shared.Owned(ctx)
		return err
	})
	if err != nil {
		return err
	}
	ids = slices.DeleteFunc(ids, g.inFlight)
	strays, open := map[string]struct{}{}, 0
	defer func() { g.mender.strays, g.mender.open = strays, open+len(strays) }()
	for chunk := range slices.Chunk(ids, atOnce) {
		// It was asked for after they were found not to be in flight: whatever ended is in the records by now.
		endings, err := g.o.Records.Endings(ctx, chunk)
		if err != nil {
			return err
		}
		for _, id := range chunk {
			end, recorded := endings[id]
			if _, again := g.mender.strays[id]; !recorded && !again {
				strays[id] = struct{}{} // it may be asked for again: not before the next pass
				continue
			}
			if end.Open {
				open++
			}
			if err := g.resolve(ctx, id, end); err != nil {
				return err
			}
		}
	}
	return nil
}

// inFlight reports whether the shared ledger rightly holds an exchange, or whether that is not known yet.
func (g *Guard) inFlight(id string) bool {
	h, known := g.find(id)
	return known && h.mode != modeApart
}

// resolve ends a reservation. Where the records do not know it nothing was forwarded on it, and where it was admitted
// without the ledger what was forwarded is booked as that.
func (g *Guard) resolve(ctx context.Context, id string, end Ending) error {
	if end.Open && !end.Fallback {
		return nil // its end could not be recorded: it is when this replica starts again
	}
	err := g.within(ctx, func(ctx context.Context) error {
		if end.Fallback || end.Charge == (core.Charge{}) {
			return g.o.Shared.Void(ctx, id)
		}
		_, err := g.o.Shared.Settle(ctx, id, quota.ChargeAmounts(end.Charge))
		return err
	})
	if errors.Is(err, quota.ErrUnknown) {
		return nil // another pass, or its own answer, was first, long ago
	}
	if err == nil {
		g.o.Metrics.LedgerBooked(1, 0)
	}
	return err
}
