package simulate

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

const (
	// A replica keeps what it spends of a counter in ahead.
	ahead = 500 * time.Millisecond
	// dryFor is how long a replica takes a home's word that there is no room.
	dryFor = 20 * time.Millisecond
	// A replica whose clock ran ahead of a home's into the next window asks again after tooEarly.
	tooEarly = time.Millisecond
)

// escrow spreads counters over shards. A user's limits are kept exactly, all on the user's shard. Those that users share
// have a home each, from which replicas lease slabs: a slab is a reservation of the replica at the home, made before
// anything is spent of it. What a home cannot lend is refused.
type escrow struct {
	*central
	shared []bool // rules that are leased
	desks  []*desk
	lend   func(e *escrow, r loanRequest) loan
	homes  map[string]*homeSlab // what homes have lent and not resolved, by id
	booked []int64              // by rule, what homes have posted
}

// desk is what one life of a replica has leased.
type desk struct {
	lines  map[lineKey]*line
	order  []*line
	stamps []stamp // by shard
	slabs  int     // names them
}

type lineKey struct {
	rule    int
	subject string
}

// line is all that a replica leases of one counter, window after window.
type line struct {
	lineKey
	home    *shard
	call    *call // one that counts here, for its subject
	current *lease
	closed  []*lease // of windows that are over, while their calls last
	taken   int64    // since the last tick
	demand  float64  // a second; 0 while unknown
}

// lease is a pool with its window.
type lease struct {
	pool
	line    *line
	window  int64
	end     time.Time // zero for none
	asking  bool
	waiting []func(loan)
	dry     time.Duration // until when the home is taken to have no room for dryWant
	dryWant int64
}

// take is what a call holds of a lease.
type take struct {
	lease  *lease
	amount int64
	at     time.Time // the home's time at which it counts
}

// stamp is a home's clock as a replica knows it: not later than the stamp and the time since its request was sent.
type stamp struct {
	home time.Time
	sent time.Duration
}

// homeSlab is a slab at its home.
type homeSlab struct {
	rule   int
	amount int64
	loans  map[string]loan // by request, so that a repeat gets the same
}

func newEscrow(s *sim) keeper {
	e := &escrow{central: newCentral(s), lend: lendAhead, homes: map[string]*homeSlab{}}
	var own []quota.Limit
	for _, r := range s.rules {
		shared := r.limit.Scope != quota.ScopeUser
		e.shared = append(e.shared, shared)
		if !shared {
			own = append(own, *r.limit)
		}
	}
	e.booked = make([]int64, len(s.rules))
	e.limits, _ = quota.Compile(own) // Validate has compiled them
	e.mine = func(rule int) bool { return !e.shared[rule] }
	e.shard = func(c *call) *shard { return s.shards[c.user%len(s.shards)] }
	for range s.replicas {
		e.desks = append(e.desks, e.newDesk())
	}
	return e
}

// newDesk opens a desk. A replica asks every shard for its time before it takes traffic.
func (e *escrow) newDesk() *desk {
	d := &desk{lines: map[lineKey]*line{}}
	for _, sh := range e.s.shards {
		e.s.count.messages++
		d.stamps = append(d.stamps, stamp{sh.today(), e.s.now - distance})
	}
	return d
}

// homeOf gives the shard of a counter.
func (e *escrow) homeOf(k lineKey) *shard {
	h := fnv.New32a()
	fmt.Fprint(h, k.rule, "|", k.subject)
	return e.s.shards[h.Sum32()%uint32(len(e.s.shards))]
}

// line gives what a replica leases of a call's counter under a rule; nil if the call does not count there.
func (e *escrow) line(c *call, rule int) *line {
	var buf [1]quota.Match
	m := e.s.rules[rule].set.AppendMatches(buf[:0], c.subject, change)
	if len(m) == 0 {
		return nil
	}
	d, key := e.desks[c.replica.index], lineKey{rule, m[0].Key.Subject}
	ln, ok := d.lines[key]
	if !ok {
		ln = &line{lineKey: key, home: e.homeOf(key), call: c}
		d.lines[key] = ln
		d.order = append(d.order, ln)
	}
	return ln
}

// latest gives the latest that a home's clock can show.
func (e *escrow) latest(r *replica, home *shard) time.Time {
	st := e.desks[r.index].stamps[slices.Index(e.s.shards, home)]
	return st.home.Add(e.s.now - st.sent)
}

// observe keeps the word about a home's clock that bounds it best.
func (e *escrow) observe(r *replica, home *shard, st stamp) {
	known := &e.desks[r.index].stamps[slices.Index(e.s.shards, home)]
	if st.home.Add(-st.sent).Before(known.home.Add(-known.sent)) {
		*known = st
	}
}

// leaseNow gives the lease of the window in progress. The replica takes a window to be over when its home's clock can have
// passed its end, so that nothing is spent in it that counts in the next.
func (e *escrow) leaseNow(c *call, ln *line) *lease {
	at := e.latest(c.replica, ln.home)
	if l := ln.current; l != nil && (l.end.IsZero() || at.Before(l.end)) {
		return l
	}
	if ln.current != nil {
		ln.closed = append(ln.closed, ln.current)
	}
	window, end := windowOf(e.s.rules[ln.rule], c.subject, at)
	ln.current = &lease{line: ln, window: window, end: end}
	return ln.current
}

// windowOf names the window of a rule that contains a time, and gives its end.
func windowOf(r rule, subject quota.Subject, at time.Time) (int64, time.Time) {
	if r.limit.Window == quota.WindowMinute {
		b := quota.Bucket(at)
		return b, quota.BucketLeaves(b - quota.Buckets + 1)
	}
	var buf [1]quota.Match
	m := r.set.AppendMatches(buf[:0], subject, at)
	return m[0].Key.Start, m[0].End
}

func (e *escrow) admit(c *call, decide func(verdict)) {
	decided := false
	once := func(v verdict) {
		if !decided {
			decided = true
			decide(v)
		}
	}
	e.s.after(deadline, func() {
		if !c.gone() {
			once(unanswered)
		}
	})
	e.acquire(c, &decided, func(ok bool) {
		if !ok {
			c.hadRoom = e.s.truth.room(c)
			once(refused)
			return
		}
		e.central.admit(c, func(v verdict) {
			if v != admitted || decided {
				e.s.truth.end(c, quota.Amounts{}, e.isShared)
				e.settle(c, quota.Amounts{})
			}
			once(v)
		})
	})
}

// acquire takes what a call wants of every lease, all or nothing, and waits for loans where there is too little.
func (e *escrow) acquire(c *call, over *bool, decide func(bool)) {
	if *over || c.gone() {
		return
	}
	wants := c.wants()
	var takes []take
	var lacking *lease
	for i := range e.s.rules {
		if !e.shared[i] {
			continue
		}
		ln := e.line(c, i)
		if ln == nil {
			continue
		}
		want := ln.limit(e).Wanted(wants)
		l := e.leaseNow(c, ln)
		takes = append(takes, take{l, want, ln.home.today()})
		if want <= l.free() {
			continue
		}
		if l.isDry(want, e.s.now) {
			decide(false)
			return
		}
		if lacking == nil {
			lacking = l
			e.refill(c.replica, l, want, func(got loan) {
				switch {
				case got.elsewhere:
					e.s.after(tooEarly, func() { e.acquire(c, over, decide) })
				case got.amount == 0 && want > l.free():
					decide(false)
				default:
					e.acquire(c, over, decide)
				}
			})
		} else {
			e.refill(c.replica, l, want, nil)
		}
	}
	if lacking != nil {
		return
	}
	e.take(c, takes)
	decide(true)
}

func (ln *line) limit(e *escrow) *quota.Limit { return e.s.rules[ln.rule].limit }

// take takes what is there, and asks for more before it is needed.
func (e *escrow) take(c *call, takes []take) {
	c.takes, c.held = takes, c.wants()
	for _, t := range takes {
		e.hold(c.replica, t.lease, t.amount)
	}
	e.s.truth.begin(c, e.isShared)
}

func (e *escrow) isShared(rule int) bool { return e.shared[rule] }

func (e *escrow) hold(r *replica, l *lease, amount int64) {
	if !l.take(amount) {
		e.s.check(errors.New("a lease has less than it said"))
	}
	l.line.taken += amount
	if target := e.target(l.line, amount); amount > 0 && l.free() < target/2 && !l.isDry(target, e.s.now) {
		e.refill(r, l, amount, nil)
	}
}

// target gives what a replica wants to have free: what it spends in some time, at first some calls like this one.
func (e *escrow) target(ln *line, want int64) int64 {
	if ln.demand == 0 {
		return want * int64(e.s.o.Slab)
	}
	return max(want, int64(ln.demand*ahead.Seconds()))
}

func (l *lease) isDry(want int64, now time.Duration) bool { return now < l.dry && want >= l.dryWant }

// extend takes more of every lease, and then on the user's shard.
func (e *escrow) extend(c *call, more quota.Amounts, decide func(bool)) {
	for i := range c.takes {
		t := &c.takes[i]
		if want := more.In(t.lease.line.limit(e).Dimension); want > t.lease.free() {
			if t.lease.isDry(want, e.s.now) {
				decide(false)
				return
			}
			e.refill(c.replica, t.lease, want, func(got loan) {
				if got.amount == 0 && want > t.lease.free() {
					decide(false)
				} else {
					e.extend(c, more, decide)
				}
			})
			return
		}
	}
	for i := range c.takes {
		t := &c.takes[i]
		want := more.In(t.lease.line.limit(e).Dimension)
		e.hold(c.replica, t.lease, want)
		t.amount += want
	}
	e.central.extend(c, more, func(ok bool) {
		if ok {
			e.s.truth.extend(c, more, e.isShared)
		} else {
			for i := range c.takes {
				t := &c.takes[i]
				want := more.In(t.lease.line.limit(e).Dimension)
				t.lease.giveBack(want, 0)
				t.amount -= want
			}
		}
		decide(ok)
	})
}

func (e *escrow) end(c *call, used quota.Amounts) {
	e.s.truth.end(c, used, e.isShared)
	e.settle(c, used)
	e.central.end(c, used)
}

// settle gives back what a call holds of its replica's leases.
func (e *escrow) settle(c *call, used quota.Amounts) {
	for _, t := range c.takes {
		t.lease.giveBack(t.amount, used.In(t.lease.line.limit(e).Dimension))
	}
	c.takes = nil
}

func (e *escrow) crash(r *replica) {
	for _, c := range r.calls {
		e.s.truth.end(c, c.last, e.isShared)
		e.settle(c, c.last)
	}
	for _, ln := range e.desks[r.index].order {
		for _, l := range append(ln.closed, ln.current) {
			if l != nil {
				e.s.truth.strand(e.s.rules[ln.rule], ln.call.subject, l.window, l.free())
			}
		}
	}
	e.desks[r.index] = e.newDesk()
}

func (e *escrow) admittedAt(c *call, rule int) time.Time {
	if !e.shared[rule] {
		return e.central.admittedAt(c, rule)
	}
	for _, t := range c.takes {
		if t.lease.line.rule == rule {
			return t.at
		}
	}
	ln := e.line(c, rule)
	if ln == nil {
		return change
	}
	return ln.home.today()
}

// only gives an amount in one dimension.
func only(d quota.Dimension, n int64) quota.Amounts {
	switch d {
	case quota.DimensionRequests:
		return quota.Amounts{Requests: n}
	case quota.DimensionOutputTokens:
		return quota.Amounts{OutputTokens: n}
	case quota.DimensionCost:
		return quota.Amounts{Cost: core.MicroUSD(n)}
	default:
		return quota.Amounts{InputTokens: n}
	}
}
