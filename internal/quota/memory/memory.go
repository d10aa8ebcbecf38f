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
	live     map[string]*hold
	resolved map[string]*result
	first    *result // the results in order of time, first and last
	last     *result
	counters counters
	overruns uint64
	matches  []quota.Match // scratch of one operation
}

var _ quota.Ledger = (*Ledger)(nil)

// hold is a live reservation.
type hold struct {
	first    quota.Reservation // as Reserve returned it
	held     quota.Amounts
	progress quota.Amounts
	lines    []line
	until    time.Time // end of the lease
	overran  bool
}

// result is what remains of a resolved reservation.
type result struct {
	id      string
	settled quota.Amounts
	until   time.Time // when it is forgotten
	expired *hold     // what its owner may still settle; nil otherwise
	next    *result
}

// New makes an empty ledger.
func New(o Options) *Ledger {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Ledger{
		now:      o.Now,
		lease:    cmp.Or(o.Lease, defaultLease),
		remember: cmp.Or(o.Remember, defaultRemember),
		live:     map[string]*hold{},
		resolved: map[string]*result{},
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
	if h, ok := l.live[r.ID]; ok {
		return h.first, nil
	}
	if _, ok := l.resolved[r.ID]; ok {
		return quota.Reservation{}, quota.ErrResolved
	}

	l.counters.tidy(r.At)
	lines := l.lines(r.Limits, r.Subject, r.At)
	if refused := lack(lines, r.At, func(l *quota.Limit) int64 { return l.Wanted(r.Amounts) }); refused != nil {
		return quota.Reservation{}, refused
	}
	h := &hold{held: r.Amounts, lines: lines, until: l.now().Add(l.lease)}
	for i := range lines {
		ln := &lines[i]
		ln.bucket = ln.counter.advance(ln.bucket) // a call that comes late counts with the newest
		ln.counter.holds++
		ln.counter.cell(ln.bucket).pending += ln.limit.Wanted(r.Amounts)
	}
	h.first = quota.Reservation{ID: r.ID, Admitted: r.At, Held: r.Amounts, Standings: standings(lines, r.At)}
	l.live[r.ID] = h
	return h.first, nil
}

// Extend implements quota.Ledger.
func (l *Ledger) Extend(_ context.Context, id string, more quota.Amounts) (quota.Reservation, error) {
	if err := more.Validate(); err != nil {
		return quota.Reservation{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	h, ok := l.live[id]
	if !ok {
		return quota.Reservation{}, quota.ErrUnknown
	}
	held := h.held.Add(more)
	if err := held.Validate(); err != nil {
		return quota.Reservation{}, err
	}
	now := l.now()
	if refused := lack(h.lines, now, func(l *quota.Limit) int64 { return more.In(l.Dimension) }); refused != nil {
		return quota.Reservation{}, refused
	}
	for _, ln := range h.lines {
		if c := ln.counter.cell(ln.bucket); c != nil {
			c.pending += more.In(ln.limit.Dimension)
		}
	}
	h.held, h.until = held, now.Add(l.lease)
	return quota.Reservation{ID: id, Admitted: h.first.Admitted, Held: held, Standings: standings(h.lines, now)}, nil
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
		if h, ok := l.live[p.ID]; ok {
			h.progress, h.until = p.Used, until
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
	if r, ok := l.resolved[id]; ok {
		if r.expired != nil {
			l.correct(r, used)
		}
		return r.settled, nil
	}
	h, ok := l.live[id]
	if !ok {
		return quota.Amounts{}, quota.ErrUnknown
	}
	l.resolve(h, used)
	h.letGo()
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
	for id, h := range l.live {
		if h.until.Before(now) {
			ids = append(ids, id)
			l.resolve(h, h.progress).expired = h
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
			c = &counter{key: m.Key, end: m.End} // unused
		}
		ln := line{limit: m.Limit, counter: c}
		all[i] = ln.standing(at, 1)
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
	now := l.now()
	l.matches = limits.AppendMatches(l.matches[:0], s, charge.Admitted)
	for _, m := range l.matches {
		amount, bucket, end := used.In(m.Limit.Dimension), bucketOf(m.Limit, charge.Admitted), m.End
		if m.Limit.Window == quota.WindowMinute {
			end = quota.BucketLeaves(bucket)
		}
		if amount == 0 || !end.After(now) {
			continue
		}
		c := l.counters.get(m, charge.Admitted)
		c.advance(bucket)
		if into := c.cell(bucket); into != nil {
			into.posted = quota.SaturatingAdd(into.posted, amount)
		}
	}
	return nil
}

// Pending gives how many reservations are live.
func (l *Ledger) Pending() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.live)
}

// Overruns gives how many reservations were settled above what they held.
func (l *Ledger) Overruns() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.overruns
}

// lines gives what a call admitted at a time counts under.
func (l *Ledger) lines(limits *quota.LimitSet, s quota.Subject, at time.Time) []line {
	l.matches = limits.AppendMatches(l.matches[:0], s, at)
	lines := make([]line, len(l.matches))
	for i, m := range l.matches {
		lines[i] = line{limit: m.Limit, counter: l.counters.get(m, at), bucket: bucketOf(m.Limit, at)}
	}
	return lines
}

// resolve posts what was used, releases what was held and remembers the result. The hold's counters stay until letGo.
func (l *Ledger) resolve(h *hold, used quota.Amounts) *result {
	for _, ln := range h.lines {
		if c := ln.counter.cell(ln.bucket); c != nil {
			c.pending -= ln.limit.Wanted(h.held)
			c.posted = quota.SaturatingAdd(c.posted, used.In(ln.limit.Dimension))
		}
	}
	l.noteOverrun(h, used)
	delete(l.live, h.first.ID)
	return l.keep(h.first.ID, used)
}

// correct posts what the owner of an expired reservation says was used, in place of what its lease booked.
func (l *Ledger) correct(r *result, used quota.Amounts) {
	h := r.expired
	for _, ln := range h.lines {
		if c := ln.counter.cell(ln.bucket); c != nil {
			c.posted = quota.SaturatingAdd(c.posted-r.settled.In(ln.limit.Dimension), used.In(ln.limit.Dimension))
		}
	}
	l.noteOverrun(h, used)
	h.letGo()
	r.settled, r.expired = used, nil
}

// noteOverrun counts a reservation that used more than it held, once.
func (l *Ledger) noteOverrun(h *hold, used quota.Amounts) {
	if used.Exceeds(h.held) && !h.overran {
		h.overran = true
		l.overruns++
	}
}

// letGo lets the counters be forgotten.
func (h *hold) letGo() {
	for _, ln := range h.lines {
		ln.counter.holds--
	}
}

// keep remembers a result for repeats and lets go of those that have been kept for long enough.
func (l *Ledger) keep(id string, settled quota.Amounts) *result {
	now := l.now()
	r := &result{id: id, settled: settled, until: now.Add(l.remember)}
	l.resolved[id] = r
	if l.last != nil {
		l.last.next = r
	} else {
		l.first = r
	}
	l.last = r
	for range tidyStep {
		if l.first == r || l.first.until.After(now) {
			break
		}
		if late := l.first.expired; late != nil {
			late.letGo()
		}
		delete(l.resolved, l.first.id)
		l.first = l.first.next
	}
	return r
}
