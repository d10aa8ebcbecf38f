package simulate

import (
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// truth knows what every model must not: what was used and is held by all replicas together, at once. It counts on its
// own, so that a defect of a ledger or of a protocol shows.
type truth struct {
	s        *sim
	accounts map[quota.CounterKey]*account
	used     []int64 // by rule
	matches  []quota.Match
}

// account is what truly counts under one limit for one subject in one window.
type account struct {
	limit *quota.Limit
	cells []cell // by bucket of the sliding minute; other windows have the one bucket 0
	over  int64  // the most that was used above the value
	held  int64  // the most that was used and held above the value
}

// cell is one bucket. dead is what is charged that nobody uses: slabs of replicas that died.
type cell struct{ bucket, used, live, dead int64 }

// mark is where a call counts.
type mark struct {
	account *account
	rule    int
	bucket  int64
	live    int64
	left    bool // it was extended after its bucket had left the minute; that counts nowhere
	ended   bool
}

func newTruth(s *sim) *truth {
	return &truth{s: s, accounts: map[quota.CounterKey]*account{}, used: make([]int64, len(s.rules))}
}

// begin counts a call with what it holds, under the rules that the function picks.
func (t *truth) begin(c *call, under func(rule int) bool) {
	for i := range t.s.rules {
		if !under(i) {
			continue
		}
		at := t.s.keeper.admittedAt(c, i)
		t.matches = t.s.rules[i].set.AppendMatches(t.matches[:0], c.subject, at)
		for _, m := range t.matches {
			k := mark{account: t.account(m), rule: i, bucket: bucket(m.Limit, at)}
			k.add(m.Limit.Wanted(c.held))
			c.marks = append(c.marks, k)
		}
	}
}

func bucket(l *quota.Limit, at time.Time) int64 {
	if l.Window == quota.WindowMinute {
		return quota.Bucket(at)
	}
	return 0
}

func (t *truth) account(m quota.Match) *account {
	a, ok := t.accounts[m.Key]
	if !ok {
		a = &account{limit: m.Limit}
		t.accounts[m.Key] = a
	}
	return a
}

// extend counts what a call holds more, under the rules that the function picks.
func (t *truth) extend(c *call, more quota.Amounts, under func(rule int) bool) {
	for i := range c.marks {
		k := &c.marks[i]
		if k.ended || !under(k.rule) {
			continue
		}
		if k.bucket <= bucket(k.account.limit, t.s.keeper.admittedAt(c, k.rule))-quota.Buckets {
			k.left = true
			continue
		}
		k.add(more.In(k.account.limit.Dimension))
	}
}

// end replaces what a call holds by what it used, under the rules that the function picks.
func (t *truth) end(c *call, used quota.Amounts, under func(rule int) bool) {
	for i := range c.marks {
		if k := &c.marks[i]; !k.ended && under(k.rule) {
			n := used.In(k.account.limit.Dimension)
			k.end(n)
			t.used[k.rule] += n
		}
	}
}

// strand counts what a dead replica had leased and nobody uses.
func (t *truth) strand(r rule, subject quota.Subject, window, amount int64) {
	at, bucket := time.Unix(window, 0), int64(0)
	if r.limit.Window == quota.WindowMinute {
		at, bucket = quota.BucketLeaves(window-quota.Buckets), window
	}
	t.matches = r.set.AppendMatches(t.matches[:0], subject, at)
	for _, m := range t.matches {
		t.account(m).cell(bucket).dead += amount
	}
}

func (k *mark) add(more int64) {
	k.live += more
	k.account.cell(k.bucket).live += more
	k.account.check(k.bucket)
}

func (k *mark) end(used int64) {
	if k.left {
		used = min(used, k.live)
	}
	k.ended = true
	at := k.account.cell(k.bucket)
	at.live -= k.live
	at.used += used
	k.account.check(k.bucket)
}

// cell gives a bucket's, and forgets those that no call can meet any more.
func (a *account) cell(bucket int64) *cell {
	i, found := slices.BinarySearchFunc(a.cells, bucket, func(c cell, b int64) int { return int(c.bucket - b) })
	if !found {
		a.cells = slices.Insert(a.cells, i, cell{bucket: bucket})
		if old := &a.cells[0]; old.bucket < bucket-6*quota.Buckets && old.live == 0 {
			a.cells = slices.Delete(a.cells, 0, 1)
			i--
		}
	}
	return &a.cells[i]
}

// sum gives what is used, held and lost with replicas that died, in the window that ends with a bucket.
func (a *account) sum(last int64) (used, live, dead int64) {
	for _, c := range a.cells {
		if c.bucket > last-quota.Buckets && c.bucket <= last {
			used, live, dead = used+c.used, live+c.live, dead+c.dead
		}
	}
	return used, live, dead
}

// check notes by how much the windows that contain a bucket are above the limit.
func (a *account) check(bucket int64) {
	if !a.limit.Hard() {
		return
	}
	last := bucket
	if a.limit.Window == quota.WindowMinute {
		last += quota.Buckets - 1
	}
	for b := bucket; b <= last; b++ {
		used, live, _ := a.sum(b)
		if a.limit.Dimension != quota.DimensionConcurrency {
			a.over = max(a.over, used-a.limit.Value)
		} else {
			a.over = max(a.over, live-a.limit.Value)
		}
		a.held = max(a.held, used+live-a.limit.Value)
	}
}

// room reports whether a refused call would have found room under all hard limits, had everybody known everything.
func (t *truth) room(c *call) bool {
	wants := c.wants()
	for i := range t.s.rules {
		at := t.s.keeper.admittedAt(c, i)
		t.matches = t.s.rules[i].set.AppendMatches(t.matches[:0], c.subject, at)
		for _, m := range t.matches {
			a, ok := t.accounts[m.Key]
			if !ok || !m.Limit.Hard() {
				continue
			}
			used, live, dead := a.sum(bucket(m.Limit, at))
			if w := m.Limit.Wanted(wants); w > 0 && used+live+dead+w > m.Limit.Value {
				return false
			}
		}
	}
	return true
}

// overshoot gives by how much limits were passed: of how many counters, and at most, as a share of the limit's value.
func (t *truth) overshoot() (counters int, worst float64, held int64) {
	for _, a := range t.accounts {
		if a.over > 0 {
			counters++
			worst = max(worst, float64(a.over)/float64(max(a.limit.Value, 1)))
		}
		held = max(held, a.held)
	}
	return counters, worst, held
}
