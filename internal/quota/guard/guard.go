// Package guard keeps limits true while the ledger that replicas share is slow, away, restarted or failed over.
//
// A Guard is a quota.Ledger in front of a Shared one. It asks the shared ledger within a deadline; the first operation
// that gets no answer opens its breaker, and until the ledger has proven itself again each limit does what it says it
// does without one: refuse, count locally, or admit. What the shared ledger was not told meanwhile is not kept in
// memory: the records have it, and the guard books it from them, each charge once (docs/decisions/0025). Run does that,
// and brings the records of this replica back when the shared ledger has lost its own (0026).
//
// It must not import an implementation of the shared ledger, nor the audit: both are handed in.
package guard

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
)

// defaultDeadline bounds one operation on a request's way.
const defaultDeadline = 25 * time.Millisecond

// spare is the part of the deadline that the shared ledger is not given: after it, what the limits say without the ledger
// has still to be found and said in time, and a timer is late by a part of a millisecond.
const spare = 16

// Options of a Guard. Shared, Records, Limits and Metrics are required.
type Options struct {
	Shared  Shared
	Records Records
	// Limits gives those that are to be in force. Changed, if set, tells that they may be others.
	Limits  func() *quota.LimitSet
	Changed <-chan struct{}
	Metrics Metrics
	// Deadline bounds a decision on a request's way, 25 ms if zero. The shared ledger is given a sixteenth less.
	Deadline time.Duration
	// Lease is how long what is held without the shared ledger lives without Touch, that of quota/memory if zero.
	Lease time.Duration
	Now   func() time.Time // time.Now if nil
	Log   *slog.Logger     // discards if nil
}

// Guard implements quota.Ledger.
type Guard struct {
	o Options

	// serving says that operations go to the shared ledger. calls is held for reading by each of them from that question to
	// its end, so that whoever stops the service can wait until none is on its way.
	serving atomic.Bool
	calls   sync.RWMutex

	mu    sync.Mutex
	live  map[string]*held
	known standings
	apart *apart // nil unless something was admitted since the shared ledger was left
	// replicas is how many shared the ledger when it was last asked.
	replicas int64
	// unbooked says that something was admitted on its own that may not be booked yet.
	unbooked bool

	limits   quota.InForce // of the shared ledger
	overruns atomic.Uint64
	owed     atomic.Bool // the shared ledger was not told how something ended
	mender   mender      // of Run alone
	wake     chan struct{}
	ready    chan struct{} // closed when it first served
}

var _ quota.Ledger = (*Guard)(nil)

// held is an exchange from its Reserve to its Settle or Void.
type held struct {
	request  quota.Request
	first    quota.Reservation // as Reserve gave it
	amounts  quota.Amounts     // in all
	shared   quota.Amounts     // what of them the shared ledger is known to hold
	progress quota.Amounts
	mode     mode
	seen     time.Time // when it was last reserved or touched
	// local holds all of it when the mode is modeApart, and when it is modeShared what is beyond base: what the shared ledger
	// was known to hold when local began to count it. It is nil for nothing.
	local *memory.Ledger
	base  quota.Amounts
}

// mode says who holds an exchange.
type mode int

const (
	modeAsking mode = iota // Reserve is on its way
	modeShared
	modeApart
)

// New makes a Guard that serves without the shared ledger until Run has found it.
func New(o Options) *Guard {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Deadline = cmp.Or(o.Deadline, defaultDeadline)
	g := &Guard{
		o: o, live: map[string]*held{}, known: standings{}, replicas: 1,
		mender: mender{delay: minDelay, cause: errors.New("it was not asked yet")},
		wake:   make(chan struct{}, 1), ready: make(chan struct{}),
	}
	o.Metrics.LedgerBreaker(BreakerOpen)
	return g
}

// Reserve implements quota.Ledger.
func (g *Guard) Reserve(ctx context.Context, r quota.Request) (quota.Reservation, error) {
	if err := r.Amounts.Validate(); err != nil {
		return quota.Reservation{}, err
	}
	first, ok := g.enter(r)
	if ok {
		return first, nil
	}
	var reservation quota.Reservation
	err := g.ask(ctx, func(ctx context.Context) error {
		return g.limits.Admit(func(limits *quota.LimitSet) (err error) {
			if !g.serving.Load() { // the limits could not be changed, and whether the ledger knows of it is not known
				return ErrUnreachable
			}
			r := r
			r.Limits = limits
			if reservation, err = g.o.Shared.Reserve(ctx, r); err == nil {
				r.At = reservation.Admitted
				g.hold(r, reservation, modeShared, nil)
			}
			return err
		})
	})
	var exhausted *quota.ExhaustedError
	switch {
	case err == nil:
		return reservation, nil
	case errors.As(err, &exhausted):
		g.learn(r.Subject, exhausted.Standing)
	case away(err):
		if reservation, err = g.reserveApart(ctx, r); err == nil {
			return reservation, nil
		}
	}
	g.leave(r.ID)
	return quota.Reservation{}, err
}

// Extend implements quota.Ledger.
func (g *Guard) Extend(ctx context.Context, id string, to quota.Amounts) (quota.Reservation, error) {
	if err := to.Validate(); err != nil {
		return quota.Reservation{}, err
	}
	h, known := g.find(id)
	if known && h.mode == modeApart {
		return g.extendApart(ctx, h, to)
	}
	var reservation quota.Reservation
	err := g.ask(ctx, func(ctx context.Context) (err error) {
		if reservation, err = g.o.Shared.Extend(ctx, id, to); err == nil {
			g.grow(id, reservation.Held, modeShared)
		}
		return err
	})
	if away(err) && known {
		return g.extendApart(ctx, h, to)
	}
	return reservation, err
}

// Touch implements quota.Ledger.
func (g *Guard) Touch(ctx context.Context, progress ...quota.Progress) error {
	for _, p := range progress {
		if err := p.Used.Validate(); err != nil {
			return err
		}
	}
	shared, local := g.touched(progress)
	for ledger, list := range local {
		if err := ledger.Touch(ctx, list...); err != nil {
			return err
		}
	}
	if len(shared) == 0 {
		return nil
	}
	return g.askAtLeisure(ctx, func(ctx context.Context) error { return g.o.Shared.Touch(ctx, shared...) })
}

// Settle implements quota.Ledger. What the shared ledger cannot be told is told later: used is then given as it is, and the
// exchange's record must be in the records already.
func (g *Guard) Settle(ctx context.Context, id string, used quota.Amounts) (quota.Amounts, error) {
	if err := used.Validate(); err != nil {
		return quota.Amounts{}, err
	}
	h, known := g.find(id)
	if known && used.Exceeds(h.amounts) {
		g.overruns.Add(1)
	}
	if known && h.mode == modeApart {
		defer g.leave(id)
		return h.local.Settle(ctx, id, used)
	}
	var settled quota.Amounts
	err := g.ask(ctx, func(ctx context.Context) (err error) {
		settled, err = g.o.Shared.Settle(ctx, id, used)
		if !away(err) {
			g.let(ctx, id)
		}
		return err
	})
	if away(err) && known {
		g.owe(ctx, id)
		return used, nil
	}
	return settled, err
}

// Void implements quota.Ledger. See Settle. What this replica does not hold is unknown to it while the shared ledger is away;
// should that hold it, Run lets it go.
func (g *Guard) Void(ctx context.Context, id string) error {
	h, known := g.find(id)
	if known && h.mode == modeApart {
		defer g.leave(id)
		return h.local.Void(ctx, id)
	}
	err := g.ask(ctx, func(ctx context.Context) error {
		err := g.o.Shared.Void(ctx, id)
		if !away(err) {
			g.let(ctx, id)
		}
		return err
	})
	switch {
	case !away(err):
		return err
	case !known: // a call that failed, whose hold, if there is one, nobody waits for
		g.owed.Store(true)
		return quota.ErrUnknown
	}
	g.owe(ctx, id)
	return nil
}

// Expire implements quota.Ledger. Without the shared ledger only what is held here expires. Whoever comes back after all is
// known still: an epoch that begins meanwhile holds it again, and Settle and Void find it.
func (g *Guard) Expire(ctx context.Context, now time.Time) ([]string, error) {
	ids, err := g.expireLocal(ctx, now)
	if err != nil || !g.serving.Load() {
		return ids, err
	}
	err = g.askAtLeisure(ctx, func(ctx context.Context) error {
		shared, err := g.o.Shared.Expire(ctx, now)
		ids = append(ids, shared...)
		return err
	})
	return ids, err
}

// Standings implements quota.Ledger. Without the shared ledger it gives the limits that count locally, each with this
// replica's share of it.
func (g *Guard) Standings(
	ctx context.Context, s quota.Subject, limits *quota.LimitSet, at time.Time,
) ([]quota.Standing, error) {
	var all []quota.Standing
	err := g.ask(ctx, func(ctx context.Context) (err error) {
		all, err = g.o.Shared.Standings(ctx, s, limits, at)
		return err
	})
	if away(err) {
		return g.standingsApart(ctx, s, limits, at)
	}
	return all, err
}

// ask runs one operation of the shared ledger within the deadline. Callers who leave do not end it: what it holds must be
// known.
func (g *Guard) ask(ctx context.Context, op func(context.Context) error) error {
	return g.askWithin(ctx, g.patience(), op)
}

// patience is how long a request waits for the shared ledger.
func (g *Guard) patience() time.Duration { return g.o.Deadline - g.o.Deadline/spare }

// leisure bounds operations that no request waits for.
const leisure = 2 * time.Second

func (g *Guard) askAtLeisure(ctx context.Context, op func(context.Context) error) error {
	return g.askWithin(ctx, leisure, op)
}

func (g *Guard) askWithin(ctx context.Context, deadline time.Duration, op func(context.Context) error) error {
	if !g.serving.Load() {
		return ErrUnreachable
	}
	g.calls.RLock()
	defer g.calls.RUnlock()
	if !g.serving.Load() {
		return ErrUnreachable
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadline)
	defer cancel()
	err := op(ctx)
	if away(err) {
		g.down(err)
	}
	return err
}

// away reports whether the shared ledger could not be asked, or asked us to join it again.
func away(err error) bool { return errors.Is(err, ErrUnreachable) || errors.Is(err, ErrEpoch) }

// down opens the breaker.
func (g *Guard) down(cause error) {
	if !g.serving.CompareAndSwap(true, false) {
		return
	}
	g.o.Metrics.LedgerBreaker(BreakerOpen)
	g.o.Log.Error("the quota ledger cannot be asked: each limit does what it is set to do without it", "error", cause)
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// refusal is what a caller is told by a limit that is closed without the ledger.
func refusal(l *quota.Limit) *core.Error {
	return &core.Error{
		Reason: core.ReasonQuotaUnavailable, Dimension: string(l.Dimension),
		Public: "The ledger that counts quota cannot be reached, and your limit on " + words(l.Dimension) +
			" lets nothing pass without it. Nothing was sent to the provider. Try again in a moment.",
		Cause: ErrUnreachable,
	}
}

func words(d quota.Dimension) string {
	switch d {
	case quota.DimensionInputTokens:
		return "input tokens"
	case quota.DimensionOutputTokens:
		return "output tokens"
	case quota.DimensionConcurrency:
		return "requests in flight"
	default:
		return string(d)
	}
}
