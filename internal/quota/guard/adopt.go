package guard

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// Limits that begin to count something new while replicas serve begin with what the records have of their windows. Each
// replica sees to its own book, in the goroutine of Run, so that the book's mark stays where it is meanwhile:
//
//  1. While the limits before are in force, it posts the charges up to the mark under the new limits.
//  2. It lets nobody reserve, asks the ledger for the time T, notes it beside the mark, and puts the new limits in force.
//  3. Charges behind the mark count by themselves if they were admitted from T on, since their reservation was made under the
//     new limits. Those admitted before are posted with the charges that were admitted without the ledger.
//
// What is noted moves in the same script as what is posted, so each charge is posted once, whoever dies when.

// Limits are those in force. Without the shared ledger they are those that are wanted.
func (g *Guard) Limits() *quota.LimitSet {
	if set := g.limits.Limits(); set != nil && g.serving.Load() {
		return set
	}
	return g.o.Limits()
}

// AwaitLimits waits until the wanted limits are in force, or ctx ends. Without the shared ledger they are.
func (g *Guard) AwaitLimits(ctx context.Context) error {
	if !g.serving.Load() {
		return nil
	}
	return g.limits.Await(ctx, g.o.Limits)
}

// adoptLimits puts the wanted limits in force.
func (g *Guard) adoptLimits(ctx context.Context) error {
	want, c := g.o.Limits(), &g.mender.covered
	if c.unknown {
		if err := g.readCoverage(ctx, g.mender.joined); err != nil {
			return err
		}
	}
	if g.limits.Limits() == want {
		return nil
	}
	mark, _, err := g.mark(ctx)
	if err != nil {
		return err
	}
	if interim := quota.Interim(g.limits.Limits(), want, c.counts); interim != want {
		if err := g.turn(ctx, interim, mark); err != nil {
			return err
		}
		if err := g.postBefore(ctx, want.Only(func(counts string) bool { return !c.counts(counts) }), mark); err != nil {
			return err
		}
	}
	return g.turn(ctx, want, mark)
}

// readCoverage reads what stands beside the mark in an epoch. Where that does not tell what of the book is in which counters,
// a new epoch begins: a process died between two postings, or was of a version that noted nothing.
func (g *Guard) readCoverage(ctx context.Context, epoch string) error {
	text, known, err := g.coverage(ctx)
	switch {
	case err != nil:
		return err
	case !known || strings.HasPrefix(text, inPart):
		return g.beginAnew(ctx, epoch)
	}
	unsure := g.mender.covered.unknown
	c, err := readCovered(text)
	if err != nil {
		return err
	}
	g.mender.covered = c
	if unsure { // what was not answered may still be on its way: it must find another text than it was sent for
		return g.note(ctx, c.limits)
	}
	return nil
}

func (g *Guard) coverage(ctx context.Context) (text string, known bool, err error) {
	err = g.within(ctx, func(ctx context.Context) error {
		text, known, err = g.o.Shared.Coverage(ctx)
		return err
	})
	return text, known, err
}

// coverAll notes that the whole book is, and all that is held was made, under a set of limits, and puts it in force.
func (g *Guard) coverAll(ctx context.Context, set *quota.LimitSet) error {
	limits := map[string]cover{}
	for counts := range set.Named() {
		limits[nameOf(counts)] = cover{On: true}
	}
	g.mender.covered = covered{} // of an epoch that is begun nothing is known
	if err := g.note(ctx, limits); err != nil {
		return err
	}
	g.limits.Put(set)
	return nil
}

// turn puts a set in force of which all limits are posted up to the mark. Where other limits begin or end with it, the moment
// is noted while nobody can reserve; if that is not answered, the ledger serves nobody until it is known.
func (g *Guard) turn(ctx context.Context, set *quota.LimitSet, mark int64) error {
	c := &g.mender.covered
	if !c.changes(set) {
		g.limits.Put(set)
		return nil
	}
	err := g.limits.Change(func() (*quota.LimitSet, error) {
		ctx, cancel := context.WithTimeout(ctx, 2*g.o.Deadline)
		defer cancel()
		pulse, err := g.o.Shared.Heartbeat(ctx)
		if err != nil {
			return nil, err
		}
		// A microsecond after the last of those that were made before, and no round trip before the first of those to come.
		at := pulse.Time.Truncate(time.Microsecond).Add(time.Microsecond)
		limits := c.turned(set, at, mark)
		next, err := c.next(limits)
		if err != nil {
			return nil, err
		}
		if err := g.o.Shared.PostCovering(ctx, c.text, next); err != nil {
			c.unknown = true
			g.down(err)
			return nil, err
		}
		c.noted(next, limits)
		return set, nil
	})
	if err == nil {
		g.owed.Store(true)
		g.o.Log.Info("limits that count something new, or no more, are in force", "limits", len(set.Limits()))
	}
	return err
}

// postBefore posts the charges up to the mark under limits that are not on.
func (g *Guard) postBefore(ctx context.Context, fresh *quota.LimitSet, mark int64) error {
	c := &g.mender.covered
	next, first, again := map[string]cover{}, mark, false
	for name, one := range c.limits {
		next[name] = one
	}
	before := map[string]cover{} // by what they count
	for counts := range fresh.Named() {
		one := c.limits[nameOf(counts)]
		before[counts] = one
		first, again = min(first, one.UpTo), again || len(one.Eras) > 0
		one.UpTo = mark
		next[nameOf(counts)] = one
	}
	some, charges, err := g.sumBetween(ctx, fresh, first, mark, again, func(counts string, position int64) (cover, bool) {
		return before[counts], position > before[counts].UpTo
	})
	if err != nil {
		return err
	}
	if err := g.note(ctx, next, some.chunks()...); err != nil {
		return err
	}
	g.o.Metrics.LedgerBooked(0, charges)
	return nil
}

// sumBetween sums the charges after a position and up to another, under each limit that they did not count under by
// themselves. Where none was ever in force there is no need to know who was admitted without the ledger.
func (g *Guard) sumBetween(
	ctx context.Context, limits *quota.LimitSet, after, upTo int64, again bool, of func(counts string, position int64) (cover, bool),
) (*sums, int, error) {
	apart := map[int64]bool{}
	if again {
		if _, err := g.o.Records.FallbackCharges(ctx, after, func(c Charged) error {
			apart[c.Position] = true
			return nil
		}); err != nil {
			return nil, 0, err
		}
	}
	all, charges, beaten := newSums(limits, g.o.Now()), 0, g.o.Now()
	_, err := g.o.Records.Charges(ctx, all.now.Add(-quota.LongestWindow), after, func(c Charged) error {
		if c.Position > upTo {
			return nil
		}
		charges++
		all.addTo(c, func(counts string) bool {
			before, wanted := of(counts, c.Position)
			return wanted && (apart[c.Position] || !before.carries(c.Charge.Admitted))
		})
		if now := g.o.Now(); now.Sub(beaten) > beatWhileReading {
			beaten = now
			return g.within(ctx, func(ctx context.Context) error {
				_, err := g.o.Shared.Heartbeat(ctx)
				return err
			})
		}
		return nil
	})
	return all, charges, err
}

// beatWhileReading is how often the lease of the book is renewed while many charges are read.
const beatWhileReading = 5 * time.Second

// note puts another text beside the mark and posts what goes with it. In several pieces, the text says meanwhile that it is
// in part: whoever finds that begins a new epoch.
func (g *Guard) note(ctx context.Context, limits map[string]cover, chunks ...[]quota.Posting) error {
	c := &g.mender.covered
	text, err := c.next(limits)
	if err != nil {
		return err
	}
	if len(chunks) == 0 {
		chunks = [][]quota.Posting{nil}
	}
	c.unknown = true
	from := c.text
	for i, chunk := range chunks {
		to := text
		if i < len(chunks)-1 {
			to = fmt.Sprint(inPart, i+1)
		}
		err := postOnce(from, to,
			func() error {
				return g.within(ctx, func(ctx context.Context) error { return g.o.Shared.PostCovering(ctx, from, to, chunk...) })
			},
			func() (string, error) {
				at, _, err := g.coverage(ctx)
				return at, err
			})
		if err != nil {
			return err
		}
		from = to
	}
	c.noted(text, limits)
	return nil
}

// unposted calls fn for each charge after the mark that is in some counters not by itself, and with a test for which, by what
// is counted. It gives the position up to which it read.
func (g *Guard) unposted(ctx context.Context, mark int64, fn func(c Charged, under func(string) bool) error) (int64, error) {
	everything := func(string) bool { return true }
	m := &g.mender
	late := m.covered.late()
	if late.IsZero() {
		return g.o.Records.FallbackCharges(ctx, mark, func(c Charged) error { return fn(c, everything) })
	}
	apart := map[int64]bool{}
	end, err := g.o.Records.FallbackCharges(ctx, mark, func(c Charged) error {
		apart[c.Position] = true
		return nil
	})
	if err != nil {
		return 0, err
	}
	_, err = g.o.Records.Charges(ctx, g.o.Now().Add(-quota.LongestWindow), mark, func(c Charged) error {
		switch {
		case c.Position > end:
			return nil
		case apart[c.Position]:
			return fn(c, everything)
		case c.Charge.Admitted.Before(late):
			return fn(c, func(counts string) bool { return !m.covered.limits[nameOf(counts)].carries(c.Charge.Admitted) })
		default:
			return nil
		}
	})
	return end, err
}

// holdsBefore reports whether something is in flight that the shared ledger admitted before a time.
func (g *Guard) holdsBefore(late time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, h := range g.live {
		if h.mode == modeShared && h.first.Admitted.Before(late) {
			return true
		}
	}
	return false
}

// nothingLate notes that all that was reserved before limits began has ended and is posted under them.
func (g *Guard) nothingLate(ctx context.Context) error {
	limits := map[string]cover{}
	for name, one := range g.mender.covered.limits {
		if one.On {
			one.Eras = nil
		}
		limits[name] = one
	}
	return g.note(ctx, limits)
}
