package guard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// maxPostings bounds one Post.
const maxPostings = 500

// sums adds charges up per window of a counter.
type sums struct {
	limits *quota.LimitSet
	now    time.Time
	byKey  map[sumKey]*quota.Posting
	match  []quota.Match // scratch
}

type sumKey struct {
	key    quota.CounterKey
	bucket int64
}

func newSums(limits *quota.LimitSet, now time.Time) *sums {
	return &sums{limits: limits, now: now, byKey: map[sumKey]*quota.Posting{}}
}

// add adds a charge in the windows that its admission pinned, but for those that are over.
func (s *sums) add(c Charged) { s.addTo(c, func(string) bool { return true }) }

// addTo does so under some limits only, by what they count.
func (s *sums) addTo(c Charged, some func(counts string) bool) {
	used := quota.ChargeAmounts(c.Charge)
	s.match = s.limits.AppendMatches(s.match[:0], c.Subject, c.Charge.Admitted)
	for _, m := range s.match {
		amount, bucket, end := used.In(m.Limit.Dimension), int64(0), m.End
		if m.Limit.Window == quota.WindowMinute {
			bucket = quota.Bucket(c.Charge.Admitted)
			end = quota.BucketLeaves(bucket)
		}
		if amount <= 0 || !end.After(s.now) || !some(m.Key.Limit) {
			continue
		}
		key := sumKey{m.Key, bucket}
		p := s.byKey[key]
		if p == nil {
			p = &quota.Posting{Key: m.Key, Window: m.Limit.Window, Bucket: bucket, End: m.End}
			s.byKey[key] = p
		}
		p.Amount = quota.SaturatingAdd(p.Amount, amount)
	}
}

// chunks gives the sums in pieces of at most maxPostings, at least one.
func (s *sums) chunks() [][]quota.Posting {
	chunks := [][]quota.Posting{nil}
	for _, p := range s.byKey {
		last := len(chunks) - 1
		if len(chunks[last]) == maxPostings {
			chunks, last = append(chunks, nil), last+1
		}
		chunks[last] = append(chunks[last], *p)
	}
	return chunks
}

// errInterrupted says that a process of this book ended, or lost its way, between the first and the last posting of its
// charges: what of them is in the epoch is not known.
var errInterrupted = errors.New("it is not known what of the book is in the counters: a new epoch is needed")

// join brings this replica's book into an epoch. While it does nothing goes to the shared ledger but what it sends itself.
func (g *Guard) join(ctx context.Context, e Epoch) error {
	g.mender.joined = ""
	g.o.Shared.Adopt(e)
	mark, known, err := g.mark(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("reading the book's mark: %w", err)
	case known && mark < 0:
		return g.beginAnew(ctx, e.ID)
	case !known:
		if err := g.bringBack(ctx); err != nil {
			return fmt.Errorf("bringing the records back: %w", err)
		}
	default:
		if err := g.readCoverage(ctx, e.ID); err != nil {
			return fmt.Errorf("reading which limits the book is under: %w", err)
		}
	}
	if err := g.within(ctx, g.o.Shared.BookDone); err != nil {
		return fmt.Errorf("saying that the records are back: %w", err)
	}
	g.mender.joined = e.ID
	g.owed.Store(true)
	g.setUnbooked() // by an earlier process, or while the epoch was away
	return nil
}

// beginAnew begins another epoch than the one that this book is in in part.
func (g *Guard) beginAnew(ctx context.Context, old string) error {
	g.o.Log.Warn("beginning a new epoch of the quota ledger", "cause", errInterrupted)
	if err := g.within(ctx, func(ctx context.Context) error {
		return g.o.Shared.BeginEpoch(ctx, old, g.mender.books...)
	}); err != nil {
		return fmt.Errorf("beginning an epoch: %w", err)
	}
	return errInterrupted
}

// bringBack posts all charges of the book that still count, and holds again what is in flight. A mark below zero says that
// it has begun and not ended; each posting moves it, so that one that was not answered is not posted twice.
//
// What is held again is ended by Settle or Void like everything that is held, and so is left out of the charges, although it
// may have ended meanwhile and be among the records: nothing is told of it before the book is back.
func (g *Guard) bringBack(ctx context.Context) error {
	limits, live := g.o.Limits(), g.heldByShared()
	left := make(map[string]bool, len(live))
	for _, l := range live {
		left[l.Request.ID] = true
	}
	all, charges := newSums(limits, g.o.Now()), 0
	end, err := g.o.Records.Charges(ctx, g.o.Now().Add(-quota.LongestWindow), 0, func(c Charged) error {
		if !left[c.Exchange] {
			all.add(c)
			charges++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := g.post(ctx, 0, -1, nil); err != nil {
		return err
	}
	for i := range live {
		live[i].Request.Limits = limits
	}
	if err := g.reassert(ctx, live); err != nil {
		return err
	}
	if err := g.coverAll(ctx, limits); err != nil {
		return err
	}
	chunks, mark := all.chunks(), int64(-1)
	for i, chunk := range chunks {
		next := mark - 1
		if i == len(chunks)-1 {
			next = max(end, 1) // no charge is the first record of a book
		}
		if err := g.post(ctx, mark, next, chunk); err != nil {
			return err
		}
		mark = next
	}
	g.o.Metrics.LedgerBooked(0, charges)
	g.o.Log.Info("this replica's records are back in the quota ledger", "charges", charges, "in_flight", len(live))
	return nil
}

// postTries bounds how often a posting is sent whose answer does not come.
const postTries = 3

// post posts once, whatever becomes of the answer: the mark says whether it was done.
func (g *Guard) post(ctx context.Context, from, to int64, postings []quota.Posting) error {
	return postOnce(from, to,
		func() error {
			return g.within(ctx, func(ctx context.Context) error { return g.o.Shared.Post(ctx, from, to, postings...) })
		},
		func() (int64, error) {
			mark, _, err := g.mark(ctx)
			return mark, err
		})
}

// postOnce moves a mark with what is posted: whatever becomes of an answer, where the mark is tells whether it was done.
func postOnce[M comparable](from, to M, post func() error, mark func() (M, error)) error {
	var err error
	for range postTries {
		if err = post(); err == nil || !errors.Is(err, ErrUnreachable) && !errors.Is(err, ErrMark) {
			return err
		}
		at, failed := mark()
		switch {
		case failed != nil:
			return errors.Join(err, failed)
		case at == to:
			return nil
		case at != from:
			return fmt.Errorf("%w: it is not where it was left", ErrMark)
		}
	}
	return err
}

func (g *Guard) mark(ctx context.Context) (mark int64, known bool, err error) {
	err = g.within(ctx, func(ctx context.Context) (err error) {
		mark, known, err = g.o.Shared.Mark(ctx)
		return err
	})
	return mark, known, err
}

func (g *Guard) heldByShared() []quota.Live {
	g.mu.Lock()
	defer g.mu.Unlock()
	var live []quota.Live
	for _, h := range g.live {
		if h.mode == modeShared {
			live = append(live, quota.Live{Request: h.request, Held: h.amounts, Used: h.progress})
		}
	}
	return live
}

func (g *Guard) reassert(ctx context.Context, live []quota.Live) error {
	for len(live) > 0 {
		n := min(len(live), atOnce)
		if err := g.within(ctx, func(ctx context.Context) error { return g.o.Shared.Reassert(ctx, live[:n]...) }); err != nil {
			return err
		}
		for _, l := range live[:n] {
			g.grow(l.Request.ID, l.Held, modeShared)
		}
		live = live[n:]
	}
	return nil
}

func (g *Guard) setUnbooked() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unbooked = true
}

// bookFallback posts the charges of what was admitted without the shared ledger, and of what was reserved before a limit began
// under that limit, up to the end of the records, and moves the book's mark there. The mark stands in the ledger itself, so that each charge is posted once whoever dies when.
func (g *Guard) bookFallback(ctx context.Context) error {
	end, err := g.o.Records.End(ctx)
	if err != nil {
		return err
	}
	mark, _, err := g.mark(ctx)
	if err != nil {
		return err
	}
	// What is admitted apart from here on is in records after end. What is in flight and ends meanwhile is looked for again.
	if !g.takeUnbooked() && g.mender.covered.late().IsZero() {
		if end <= mark {
			return nil
		}
		return g.post(ctx, mark, end, nil)
	}
	if err := g.bookAfter(ctx, mark); err != nil {
		g.setUnbooked()
		return err
	}
	return nil
}

// takeUnbooked reports whether something may have to be booked. It stays so while something admitted apart is in flight.
func (g *Guard) takeUnbooked() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.unbooked
	g.unbooked = false
	for _, h := range g.live {
		if h.mode == modeApart {
			g.unbooked = true
		}
	}
	return was
}

// bookAfter posts charges in pieces that end with a record each.
func (g *Guard) bookAfter(ctx context.Context, mark int64) error {
	limits := g.limits.Limits()
	some, charges, last := newSums(limits, g.o.Now()), 0, mark
	flush := func(to int64) error {
		chunks := some.chunks()
		if len(chunks) > 1 {
			return fmt.Errorf("more than %d counters count one charge", maxPostings)
		}
		if err := g.post(ctx, mark, to, chunks[0]); err != nil {
			return err
		}
		mark = to
		g.o.Metrics.LedgerBooked(0, charges)
		some, charges = newSums(limits, g.o.Now()), 0
		return nil
	}
	end, err := g.unposted(ctx, mark, func(c Charged, under func(string) bool) error {
		if len(some.byKey)+len(limits.Limits()) > maxPostings && charges > 0 {
			if err := flush(last); err != nil {
				return err
			}
		}
		some.addTo(c, under)
		charges++
		last = c.Position
		return nil
	})
	if err != nil || end <= mark {
		return err
	}
	return flush(end)
}
