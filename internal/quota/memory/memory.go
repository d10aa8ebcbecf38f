// Package memory keeps the quota ledger of one process.
//
// One mutex guards it; it starts no goroutine and keeps nothing on disk. After a start it is empty and is filled from the
// audit's records by Replay. What it remembers is bounded: counters go when their window has passed, the results of
// resolved reservations ten minutes after they were made. It must not import anything of Plumbline but quota and core.
package memory

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

const (
	defaultLease    = 30 * time.Second
	defaultRemember = 10 * time.Minute
)

// Options of a Ledger. The zero value is ready to use.
type Options struct {
	// Now is the clock of leases and of the sliding minute; it must agree with the times in requests. time.Now if nil.
	Now func() time.Time
	// Lease is how long a reservation lives without Extend or Touch, 30 s if zero.
	Lease time.Duration
	// Remember is how long the result of a resolved reservation is given to repeats, 10 min if zero.
	Remember time.Duration
}

// Ledger implements quota.Ledger for a single process. Its methods do not wait for anything and ignore their context.
type Ledger struct {
	now             func() time.Time
	lease, remember time.Duration

	mu       sync.Mutex
	entries  entries
	counters counters
	pages    pages
	overruns uint64
	matches  []quota.Match // scratch of one operation
}

var _ quota.Ledger = (*Ledger)(nil)

// New makes an empty ledger.
func New(o Options) *Ledger {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Ledger{
		now:      o.Now,
		lease:    cmp.Or(o.Lease, defaultLease),
		remember: cmp.Or(o.Remember, defaultRemember),
		entries:  entries{byID: map[string]*entry{}},
		counters: counters{byKey: map[quota.CounterKey]*counter{}},
	}
}

// Reserve implements quota.Ledger.
func (l *Ledger) Reserve(_ context.Context, r quota.Request) (quota.Reservation, error) {
	if err := r.Amounts.Validate(); err != nil {
		return quota.Reservation{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.entries.byID[r.ID]; ok {
		if e.live() {
			return e.first(), nil
		}
		return quota.Reservation{}, quota.ErrResolved
	}

	l.counters.tidy(r.At)
	bucket := quota.Bucket(r.At)
	h := l.entries.hold(l.page(r.Limits, r.Subject, r.At).lines, bucket)
	if refused := h.lack(bucket, func(l *quota.Limit) int64 { return l.Wanted(r.Amounts) }); refused != nil {
		l.entries.discard(h)
		return quota.Reservation{}, refused
	}
	for i, ln := range h.lines {
		h.buckets[i] = ln.counter.advance(bucket) // a call that comes late counts with the newest
		ln.counter.holds++
		ln.counter.add(h.buckets[i], 0, ln.limit.Wanted(r.Amounts))
	}
	h.admitted, h.reserved, h.held, h.until = r.At, r.Amounts, r.Amounts, l.now().Add(l.lease)
	h.standings = standings(h.lines, bucket)
	return l.entries.open(r.ID, h).first(), nil
}

// Extend implements quota.Ledger.
func (l *Ledger) Extend(_ context.Context, id string, to quota.Amounts) (quota.Reservation, error) {
	if err := to.Validate(); err != nil {
		return quota.Reservation{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.entries.byID[id]
	if !ok || !e.live() {
		return quota.Reservation{}, quota.ErrUnknown
	}
	h := e.hold
	more := to.Above(h.held)
	now := l.now()
	bucket := quota.Bucket(now)
	if refused := h.lack(bucket, func(l *quota.Limit) int64 { return more.In(l.Dimension) }); refused != nil {
		return quota.Reservation{}, refused
	}
	for i, ln := range h.lines {
		ln.counter.add(h.buckets[i], 0, more.In(ln.limit.Dimension))
	}
	h.held, h.until = h.held.Add(more), now.Add(l.lease)
	return quota.Reservation{ID: id, Admitted: h.admitted, Held: h.held, Standings: standings(h.lines, bucket)}, nil
}

// Touch implements quota.Ledger.
func (l *Ledger) Touch(_ context.Context, progress ...quota.Progress) error {
	for _, p := range progress {
		if err := p.Used.Validate(); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	until := l.now().Add(l.lease)
	for _, p := range progress {
		if e, ok := l.entries.byID[p.ID]; ok && e.live() {
			e.hold.progress, e.hold.until = p.Used, until
		}
	}
	return nil
}

// Settle implements quota.Ledger.
func (l *Ledger) Settle(_ context.Context, id string, used quota.Amounts) (quota.Amounts, error) {
	if err := used.Validate(); err != nil {
		return quota.Amounts{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settle(id, used)
}

// settle resolves a reservation unless its owner has done so before, and gives what is booked.
func (l *Ledger) settle(id string, used quota.Amounts) (quota.Amounts, error) {
	e, ok := l.entries.byID[id]
	switch {
	case !ok:
		return quota.Amounts{}, quota.ErrUnknown
	case e.hold == nil:
		return e.booked, nil
	case e.live():
		l.resolve(e, used)
	default:
		l.correct(e, used)
	}
	l.entries.letGo(e)
	return used, nil
}

// Void implements quota.Ledger.
func (l *Ledger) Void(_ context.Context, id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.settle(id, quota.Amounts{})
	return err
}

// Expire implements quota.Ledger. The ids come in order of their text.
func (l *Ledger) Expire(_ context.Context, now time.Time) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for _, e := range slices.Clone(l.entries.live) {
		if e.hold.until.Before(now) {
			ids = append(ids, e.id)
			l.resolve(e, e.hold.progress)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// Standings implements quota.Ledger.
func (l *Ledger) Standings(
	_ context.Context, s quota.Subject, limits *quota.LimitSet, at time.Time,
) ([]quota.Standing, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.matches = limits.AppendMatches(l.matches[:0], s, at)
	all := make([]quota.Standing, len(l.matches))
	for i, m := range l.matches {
		c, ok := l.counters.byKey[m.Key]
		if !ok {
			c = newCounter(m)
		}
		ln := line{limit: m.Limit, counter: c}
		ln.standing(&all[i], quota.Bucket(at), 1)
	}
	return all, nil
}

// Replay books a charge from the records, as Settle would have done: in full, in the windows that its admission pinned.
// Windows that are over are passed over. It is for a ledger that does not serve yet, and books a repeat twice.
func (l *Ledger) Replay(charge core.Charge, s quota.Subject, limits *quota.LimitSet) error {
	used := quota.ChargeAmounts(charge)
	if err := used.Validate(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now, bucket := l.now(), quota.Bucket(charge.Admitted)
	l.matches = limits.AppendMatches(l.matches[:0], s, charge.Admitted)
	for _, m := range l.matches {
		amount, end := used.In(m.Limit.Dimension), m.End
		if m.Limit.Window == quota.WindowMinute {
			end = quota.BucketLeaves(bucket)
		}
		if amount == 0 || !end.After(now) {
			continue
		}
		c := l.counters.get(m, charge.Admitted)
		c.advance(bucket)
		c.add(bucket, amount, 0)
	}
	return nil
}

// Pending gives how many reservations are live.
func (l *Ledger) Pending() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries.live)
}

// Overruns gives how many reservations were settled above what they held.
func (l *Ledger) Overruns() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.overruns
}

// resolve posts what was used, releases what was held and remembers the result. The hold stays until it is let go.
func (l *Ledger) resolve(e *entry, used quota.Amounts) {
	h := e.hold
	for i, ln := range h.lines {
		ln.counter.add(h.buckets[i], used.In(ln.limit.Dimension), -ln.limit.Wanted(h.held))
	}
	l.noteOverrun(h, used)
	now := l.now()
	l.entries.close(e, used, now.Add(l.remember))
	l.entries.tidy(now)
}

// correct posts what the owner of an expired reservation says was used, in place of what its lease booked.
func (l *Ledger) correct(e *entry, used quota.Amounts) {
	for i, ln := range e.hold.lines {
		ln.counter.add(e.hold.buckets[i], used.In(ln.limit.Dimension)-e.booked.In(ln.limit.Dimension), 0)
	}
	l.noteOverrun(e.hold, used)
	e.booked = used
}

// noteOverrun counts a reservation that used more than it held, once.
func (l *Ledger) noteOverrun(h *hold, used quota.Amounts) {
	if used.Exceeds(h.held) && !h.overran {
		h.overran = true
		l.overruns++
	}
}
