package memory

import (
	"container/heap"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

const (
	// linger is how long a counter is kept after its window, for calls that come late.
	linger = time.Minute
	// tidyStep bounds what one operation forgets, so that the end of a day does not stop the ledger.
	tidyStep = 64
)

// cell counts, in one bucket or in a whole window.
type cell struct{ posted, pending int64 }

// add counts more, or less.
func (c *cell) add(posted, pending int64) {
	if posted < 0 {
		c.posted += posted
	} else {
		c.posted = quota.SaturatingAdd(c.posted, posted)
	}
	c.pending += pending
}

// used gives posted plus pending.
func (c cell) used() int64 { return quota.SaturatingAdd(c.posted, c.pending) }

// ring counts the sliding minute by its buckets: newest and those before that are still in the window with it.
type ring struct {
	cells  [quota.Buckets]cell
	newest int64
}

func (r *ring) at(bucket int64) *cell {
	return &r.cells[(bucket%quota.Buckets+quota.Buckets)%quota.Buckets]
}

// oldest gives the first bucket that is in the window when now is the bucket in progress.
func (r *ring) oldest(now int64) int64 { return max(r.newest, now) - quota.Buckets + 1 }

// sum gives what is counted in the window.
func (r *ring) sum(now int64) cell {
	var sum cell
	for b := r.oldest(now); b <= r.newest; b++ {
		into := r.at(b)
		sum.add(into.posted, into.pending)
	}
	return sum
}

// counter counts under one limit for one subject in one window. Of the methods' buckets only the sliding minute makes use.
type counter struct {
	total cell      // what is counted in the window; of a sliding minute, in that of its newest bucket
	ring  *ring     // of a sliding minute, nil for other windows
	since time.Time // the start of the calendar window, zero for others
	end   time.Time // its end
	holds int       // reservations that are live, or whose owner may still settle
	gone  bool      // no longer among the counters
	key   quota.CounterKey
	due   time.Time // when to see whether it can go
}

// add counts in a bucket, unless that has left the window.
func (c *counter) add(bucket, posted, pending int64) {
	if c.ring != nil {
		if !c.reaches(bucket) {
			return
		}
		c.ring.at(bucket).add(posted, pending)
	}
	c.total.add(posted, pending)
}

// reaches reports whether a bucket is in the window or newer.
func (c *counter) reaches(bucket int64) bool {
	return c.ring == nil || bucket >= c.ring.oldest(c.ring.newest)
}

// advance makes room for a bucket if it is newer than all, and gives the newest.
func (c *counter) advance(bucket int64) int64 {
	r := c.ring
	if r == nil {
		return bucket
	}
	if bucket > r.newest {
		for b := max(r.newest, bucket-quota.Buckets) + 1; b <= bucket; b++ {
			*r.at(b) = cell{}
		}
		r.newest = bucket
		c.total = r.sum(bucket)
	}
	return r.newest
}

// counts reports whether what is held in a bucket is still in the window when now is the bucket in progress.
func (c *counter) counts(bucket, now int64) bool {
	return c.ring == nil || bucket >= c.ring.oldest(now)
}

// sum gives what is counted in the window when now is the bucket in progress.
func (c *counter) sum(now int64) cell {
	if c.ring == nil || now <= c.ring.newest {
		return c.total
	}
	return c.ring.sum(now)
}

// letsGo gives the bucket with which at least need of what is used will have left the sliding minute; false if nothing is
// used, or for other windows.
func (c *counter) letsGo(now, need int64) (bucket int64, ok bool) {
	if c.ring == nil {
		return 0, false
	}
	var sum int64
	for b := c.ring.oldest(now); b <= c.ring.newest && sum < need; b++ {
		if n := c.ring.at(b).used(); n > 0 {
			sum, bucket, ok = quota.SaturatingAdd(sum, n), b, true
		}
	}
	return bucket, ok
}

// newCounter gives a counter that has counted nothing.
func newCounter(m quota.Match) *counter {
	c := &counter{key: m.Key, end: m.End}
	if !m.End.IsZero() {
		c.since = time.Unix(m.Key.Start, 0).UTC()
	}
	return c
}

// counters holds all counters. Each is looked at when its window has passed, and goes when nothing counts in it.
type counters struct {
	byKey map[quota.CounterKey]*counter
	queue dueQueue
}

// get gives the counter of a match, a new one if there is none. When the clock was set back by more than a minute, the
// sliding minute begins anew rather than refuse until the clock has caught up.
func (cs *counters) get(m quota.Match, at time.Time) *counter {
	bucket := quota.Bucket(at)
	old, ok := cs.byKey[m.Key]
	if ok && old.reaches(bucket) {
		return old
	}
	if ok {
		old.gone = true
	}
	c := newCounter(m)
	switch m.Limit.Window {
	case quota.WindowMinute:
		c.ring = &ring{newest: bucket}
		c.due = quota.BucketLeaves(bucket).Add(linger)
	case quota.WindowNone:
		c.due = at.Add(linger)
	default:
		c.due = m.End.Add(linger)
	}
	cs.byKey[m.Key] = c
	heap.Push(&cs.queue, c)
	return c
}

// tidy drops counters whose time has come.
func (cs *counters) tidy(now time.Time) {
	for range tidyStep {
		if len(cs.queue) == 0 || cs.queue[0].due.After(now) {
			return
		}
		c := cs.queue[0]
		if c.holds > 0 || c.ring != nil && c.sum(quota.Bucket(now)).used() > 0 {
			c.due = now.Add(linger)
			heap.Fix(&cs.queue, 0)
			continue
		}
		heap.Pop(&cs.queue)
		if !c.gone {
			c.gone = true
			delete(cs.byKey, c.key)
		}
	}
}

// dueQueue is a heap of counters, the first due on top.
type dueQueue []*counter

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q dueQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *dueQueue) Push(c any)        { *q = append(*q, c.(*counter)) }

func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	c := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return c
}
