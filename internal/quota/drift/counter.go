package drift

import (
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

// inForce is how much later than it was stored a limit may count its first call, or earlier than its time says.
const inForce = 3 * time.Second

// reading is a look with what the exchanges held that ended with their lease.
type reading struct {
	Look
	expired map[quota.CounterKey]int64
}

// counter is one window of a counter.
type counter struct {
	match   quota.Match
	witness quota.Subject
	look    *reading
	ledger  int64 // posted, as the look found it
	sure    sum   // of the charges that the ledger had when it was first looked at
	open    []open
	done    bool // nothing was on its way to it when it was looked at

	records    int64 // what the ledger should have posted: of all that is possible what is nearest to what it has
	uncertain  int64 // how much of it may be or not be
	difference int64
	younger    bool // the limit did not count before it was made
}

// open is a charge that has to be looked at again.
type open struct {
	charge *Charge
	amount int64
}

// sum is what charges come to.
type sum struct {
	all int64
	// before is the part that was admitted before the limit was made, at the earliest and at the latest. A ledger that was
	// there before the limit did not count it; one that was filled since did.
	before, maybeBefore int64
}

func (s *sum) add(amount int64, c *core.Charge, l *quota.Limit) {
	s.all = quota.SaturatingAdd(s.all, amount)
	if c.Admitted.Before(l.Created.Add(-inForce)) {
		s.before += amount
	}
	if c.Admitted.Before(l.Created.Add(inForce)) {
		s.maybeBefore += amount
	}
}

// between is an inclusive range.
type between struct{ least, most int64 }

func (b between) nearest(n int64) int64 { return min(max(n, b.least), b.most) }

// judge compares the ledger with the records, as far as the look allows.
func (k *counter) judge() {
	least, most := k.sure, k.sure
	unsure := k.look.expired[k.match.Key] > 0
	most.all = quota.SaturatingAdd(most.all, k.look.expired[k.match.Key])
	for _, o := range k.open {
		has := k.look.Has(o.charge)
		if has == Absent {
			continue
		}
		in, maybe := k.window(o.charge.Charge.Admitted)
		if !maybe {
			continue
		}
		most.add(o.amount, &o.charge.Charge, k.match.Limit)
		if has == Present && in {
			least.add(o.amount, &o.charge.Charge, k.match.Limit)
		}
		unsure = unsure || has == Unsure
	}
	k.done = !unsure
	all := between{least.all, most.all}
	k.records, k.uncertain, k.younger = all.nearest(k.ledger), all.most-all.least, false
	since := between{least.all - least.maybeBefore, most.all - most.before}
	if k.records != k.ledger && most.maybeBefore > 0 && since.nearest(k.ledger) == k.ledger {
		k.records, k.uncertain, k.younger = k.ledger, since.most-since.least, true
	}
	k.difference = k.ledger - k.records
}

// window reports whether what was admitted at a time counts, or may count: at the end of the sliding minute a call that came
// late counts for five seconds more, and with a call that has just come the oldest five seconds may have left it.
func (k *counter) window(admitted time.Time) (in, maybe bool) {
	if k.match.Limit.Window != quota.WindowMinute {
		return true, true
	}
	age := quota.Bucket(k.look.At) - quota.Bucket(admitted)
	return age < quota.Buckets-1, age <= quota.Buckets
}
