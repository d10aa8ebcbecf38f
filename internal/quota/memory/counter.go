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

// cell is what one bucket counts.
type cell struct{ posted, pending int64 }

// counter counts under one limit for one subject in one window: in a ring of buckets for the sliding minute, in a single
// one for other windows. The ring holds the buckets up to newest; those before have left it.
type counter struct {
	key    quota.CounterKey
	cells  []cell
	newest int64
	end    time.Time // of the calendar window, zero for others
	holds  int       // reservations that are live, or whose owner may still settle
	due    time.Time // when to see whether it can go
}

func (c *counter) at(bucket int64) *cell {
	n := int64(len(c.cells))
	return &c.cells[(bucket%n+n)%n]
}

// cell gives a bucket of the ring, nil when it has left.
func (c *counter) cell(bucket int64) *cell {
	if bucket > c.newest || !c.reaches(bucket) {
		return nil
	}
	return c.at(bucket)
}

// reaches reports whether a bucket is in the ring or newer.
func (c *counter) reaches(bucket int64) bool { return bucket > c.newest-int64(len(c.cells)) }

// advance makes room for a bucket if it is newer than all, and gives the newest.
func (c *counter) advance(bucket int64) int64 {
	for b := max(c.newest+1, bucket-int64(len(c.cells))+1); b <= bucket; b++ {
		*c.at(b) = cell{}
	}
	c.newest = max(c.newest, bucket)
	return c.newest
}

// oldest gives the first bucket that is in the window when now is the bucket in progress.
func (c *counter) oldest(now int64) int64 { return max(c.newest, now) - int64(len(c.cells)) + 1 }

// counts reports whether what is held in a bucket is still in the window.
func (c *counter) counts(bucket, now int64) bool { return bucket >= c.oldest(now) }

// used gives posted plus pending in the window.
func (c *counter) used(now int64) int64 {
	var sum int64
	for b := c.oldest(now); b <= c.newest; b++ {
		sum = quota.SaturatingAdd(sum, quota.SaturatingAdd(c.at(b).posted, c.at(b).pending))
	}
	return sum
}

// posted gives what of used was settled.
func (c *counter) posted(now int64) int64 {
	var sum int64
	for b := c.oldest(now); b <= c.newest; b++ {
		sum = quota.SaturatingAdd(sum, c.at(b).posted)
	}
	return sum
}

// letsGo gives the bucket with which at least need of what is used will have left the window; false if nothing is used.
func (c *counter) letsGo(now, need int64) (bucket int64, ok bool) {
	var sum int64
	for b := c.oldest(now); b <= c.newest && sum < need; b++ {
		if n := quota.SaturatingAdd(c.at(b).posted, c.at(b).pending); n > 0 {
			sum, bucket, ok = quota.SaturatingAdd(sum, n), b, true
		}
	}
	return bucket, ok
}

// counters holds all counters. Each is looked at when its window has passed, and goes when nothing counts in it.
type counters struct {
	byKey map[quota.CounterKey]*counter
	queue dueQueue
}

// get gives the counter of a match, a new one if there is none. When the clock was set back by more than a minute, the
// sliding minute begins anew rather than refuse until the clock has caught up.
func (cs *counters) get(m quota.Match, at time.Time) *counter {
	bucket := bucketOf(m.Limit, at)
	if c, ok := cs.byKey[m.Key]; ok && c.reaches(bucket) {
		return c
	}
	c := &counter{key: m.Key, newest: bucket, end: m.End, due: at.Add(linger)}
	switch m.Limit.Window {
	case quota.WindowMinute:
		c.cells = make([]cell, quota.Buckets)
		c.due = quota.BucketLeaves(bucket).Add(linger)
	case quota.WindowNone:
		c.cells = make([]cell, 1)
	default:
		c.cells = make([]cell, 1)
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
		if c.holds > 0 || len(c.cells) > 1 && c.used(quota.Bucket(now)) > 0 {
			c.due = now.Add(linger)
			heap.Fix(&cs.queue, 0)
			continue
		}
		heap.Pop(&cs.queue)
		if cs.byKey[c.key] == c {
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
