// Package drift compares what a quota ledger has posted with what the records charge, to the last unit, while calls go on.
//
// A ledger is told of a charge after the records have it. So a difference is no drift as long as it is of exchanges whose
// end the ledger may not have been told when it was read: a Look says of each charge whether it has it. Counters for which
// it cannot say are read again. It knows no ledger and no records of its own: both are handed in.
package drift

import (
	"context"
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/wait"
)

// Exchange names an exchange in the records of one replica.
type Exchange struct{ Book, ID string }

// Charge is a settled exchange as the records have it.
type Charge struct {
	Exchange
	Position int64 // in the book
	Subject  quota.Subject
	Charge   core.Charge
	Fallback bool // it was admitted without the ledger
}

// Presence says whether a ledger had a charge when it was read.
type Presence int

// The presences.
const (
	Absent Presence = iota
	Present
	Unsure // it came while the ledger was read
)

// Look is one reading of a ledger.
type Look struct {
	At time.Time
	// Standings are those of each subject that was asked for, in the order of the limits that match it at At.
	Standings [][]quota.Standing
	// Has says whether the ledger had a charge.
	Has func(*Charge) Presence
	// Expired are the exchanges that ended with their lease and are booked at their last progress, until their owner says
	// what they used. Has must not give Present for their charges.
	Expired []Exchange
}

// Ledger is what is compared.
type Ledger interface {
	// Look must read under the limits that are compared, or return quota.ErrChanged.
	Look(ctx context.Context, subjects ...quota.Subject) (Look, error)
}

// Marks are positions in books.
type Marks map[string]int64

// Records are what it is compared with.
type Records interface {
	// Charges must call fn for each charge that was admitted at or after since and recorded after the mark of its book, in
	// the order of the book, and must give every charge that was recorded before the call.
	Charges(ctx context.Context, since time.Time, after Marks, fn func(*Charge) error) error
	// Reserved gives what an exchange held, as its intent says; false if there is none.
	Reserved(ctx context.Context, e Exchange) (Charge, bool, error)
}

// Options of Compare. All but Subjects, Patience and AtOnce are required.
type Options struct {
	Ledger  Ledger
	Records Records
	Limits  *quota.LimitSet
	// Subjects are asked about beside those of the records.
	Subjects []quota.Subject
	Now      func() time.Time
	// Patience bounds how long counters are read again, 10 s if zero.
	Patience time.Duration
	// AtOnce bounds the subjects of one Look, 100 if zero.
	AtOnce int
}

const (
	defaultPatience = 10 * time.Second
	defaultAtOnce   = 100
	// minPause and maxPause bound the time between two readings of a counter.
	minPause = 20 * time.Millisecond
	maxPause = 500 * time.Millisecond
)

// Compare compares every counter of the windows that are in force.
func Compare(ctx context.Context, o Options) (*Report, error) {
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	if o.AtOnce == 0 {
		o.AtOnce = defaultAtOnce
	}
	began := o.Now()
	c := &comparison{
		Options: o, since: earliest(o.Limits, began), marks: Marks{},
		counters: map[quota.CounterKey]*counter{}, reserved: map[Exchange]*Charge{},
	}
	witnesses, err := c.witnesses(ctx, began)
	if err != nil {
		return nil, err
	}
	for pause := minPause; len(witnesses) > 0; pause = min(2*pause, maxPause) {
		if err := c.read(ctx, witnesses); err != nil {
			return nil, err
		}
		if witnesses = c.unsure(); len(witnesses) == 0 || o.Now().Sub(began) > o.Patience {
			break
		}
		if err := wait.For(ctx, pause); err != nil {
			return nil, err
		}
	}
	return c.report(began), nil
}

// earliest gives the time before which no charge counts: the first start of a window that is in force.
func earliest(limits *quota.LimitSet, now time.Time) time.Time {
	first := now.Add(-2 * time.Minute) // for the sliding minute
	for i := range limits.Limits() {
		l := &limits.Limits()[i]
		if start, _ := quota.Bounds(l.Window, limits.Zone(l.ID), now); !start.IsZero() && start.Before(first) {
			first = start
		}
	}
	return first
}

// comparison is one run of Compare.
type comparison struct {
	Options
	since    time.Time
	marks    Marks // up to where charges were read
	counters map[quota.CounterKey]*counter
	reserved map[Exchange]*Charge // what expired exchanges held, nil where nobody knows
	strays   int
	matches  []quota.Match // scratch
}

// witnesses gives subjects that between them meet every counter.
func (c *comparison) witnesses(ctx context.Context, now time.Time) ([]quota.Subject, error) {
	all := slices.Clone(c.Subjects)
	seen := map[quota.Subject]bool{}
	err := c.Records.Charges(ctx, c.since, nil, func(charge *Charge) error {
		if !seen[charge.Subject] {
			seen[charge.Subject] = true
			all = append(all, charge.Subject)
		}
		return nil
	})
	return quota.Witnesses(c.Limits, all, now), err
}

// read looks at the counters of some subjects, and then reads what was recorded since it did so before.
func (c *comparison) read(ctx context.Context, witnesses []quota.Subject) error {
	first := len(c.counters) == 0
	for _, counter := range c.counters {
		counter.look = nil
	}
	for some := range slices.Chunk(witnesses, c.AtOnce) {
		look, err := c.Ledger.Look(ctx, some...)
		if err != nil {
			return err
		}
		if len(look.Standings) != len(some) {
			return quota.ErrChanged
		}
		expired, err := c.expired(ctx, look.Expired)
		if err != nil {
			return err
		}
		seen := &reading{Look: look, expired: expired}
		for i, s := range some {
			if err := c.note(s, seen, look.Standings[i], first); err != nil {
				return err
			}
		}
	}
	after := c.marks
	c.marks = Marks{}
	for book, position := range after {
		c.marks[book] = position
	}
	return c.Records.Charges(ctx, c.since, after, func(charge *Charge) error {
		c.marks[charge.Book] = max(c.marks[charge.Book], charge.Position)
		c.add(charge)
		return nil
	})
}

// note takes down what a look says of the counters that a subject meets. Later looks bring no counters: one of a window that
// began meanwhile has none of the charges before.
func (c *comparison) note(s quota.Subject, r *reading, standings []quota.Standing, first bool) error {
	c.matches = c.Limits.AppendMatches(c.matches[:0], s, r.At)
	if len(c.matches) != len(standings) {
		return quota.ErrChanged
	}
	for i, m := range c.matches {
		if m.Limit.Window == quota.WindowNone {
			continue // nothing is ever posted
		}
		if standings[i].Limit == nil || standings[i].Limit.ID != m.Limit.ID {
			return quota.ErrChanged
		}
		k := c.counters[m.Key]
		if k == nil && first {
			k = &counter{match: m, witness: s}
			c.counters[m.Key] = k
		}
		if k != nil && !k.done && k.look == nil {
			k.look, k.ledger = r, standings[i].Posted
		}
	}
	return nil
}

// add books a charge with the counters that it counts under.
func (c *comparison) add(charge *Charge) {
	used := quota.ChargeAmounts(charge.Charge)
	c.matches = c.Limits.AppendMatches(c.matches[:0], charge.Subject, charge.Charge.Admitted)
	var kept *Charge
	for _, m := range c.matches {
		k := c.counters[m.Key]
		amount := used.In(m.Limit.Dimension)
		if k == nil || k.done || k.look == nil || amount == 0 {
			continue
		}
		if _, maybe := k.window(charge.Charge.Admitted); !maybe {
			continue
		}
		if m.Limit.Window != quota.WindowMinute && k.look.Has(charge) == Present {
			k.sure.add(amount, &charge.Charge, m.Limit)
			continue
		}
		if kept == nil {
			kept = new(*charge)
		}
		k.open = append(k.open, open{kept, amount})
	}
}

// expired gives what some exchanges that ended with their lease held.
func (c *comparison) expired(ctx context.Context, ids []Exchange) (map[quota.CounterKey]int64, error) {
	var held map[quota.CounterKey]int64
	for _, id := range ids {
		charge, known := c.reserved[id]
		if !known {
			found, ok, err := c.Records.Reserved(ctx, id)
			if err != nil {
				return nil, err
			}
			if ok {
				charge = &found
			} else {
				c.strays++
			}
			c.reserved[id] = charge
		}
		if charge == nil {
			continue
		}
		used := quota.ChargeAmounts(charge.Charge)
		for _, m := range c.Limits.AppendMatches(nil, charge.Subject, charge.Charge.Admitted) {
			if held == nil {
				held = map[quota.CounterKey]int64{}
			}
			held[m.Key] += used.In(m.Limit.Dimension)
		}
	}
	return held, nil
}

// unsure settles what can be said, and gives the subjects of counters that have to be read again.
func (c *comparison) unsure() []quota.Subject {
	var again []quota.Subject
	for key, k := range c.counters {
		switch {
		case k.done:
		case k.look == nil: // its window is over
			delete(c.counters, key)
		default:
			if k.judge(); !k.done {
				again = append(again, k.witness)
			}
		}
	}
	return quota.Witnesses(c.Limits, again, c.Now())
}
