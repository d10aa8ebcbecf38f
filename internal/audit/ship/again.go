package ship

import (
	"context"
	"time"

	"github.com/plumbline/plumbline/internal/wait"
)

const (
	// firstPause and longestPause bound the wait after a failure of a store that answers, which doubles from one to the other.
	firstPause, longestPause = 250 * time.Millisecond, 15 * time.Second
	// longestAsk is the same between two questions whether a store is back that does not answer. A question is cheaper than a
	// batch by far, and a server that is down refuses it at once: a hundred processes ask it some seventy times a second.
	longestAsk = 2 * time.Second
	// longestAwaited bounds both where calls wait for what is shipped.
	longestAwaited = time.Second
	// askLimit bounds one question: a server whose host is gone does not even refuse.
	askLimit = 5 * time.Second
)

// pauseAfter gives the pause that a step's result calls for, none if it was done, and tells when that begins and ends.
func (s *Shipper) pauseAfter(err error, last time.Duration) time.Duration {
	switch {
	case err != nil && last == 0:
		s.o.Log.Warn("the audit is not shipped now; it is kept here and tried again", "error", err)
	case err == nil && last > 0:
		s.o.Log.Info("the audit is shipped again")
	}
	if err == nil {
		return 0
	}
	return min(max(2*last, firstPause), s.longest(longestPause))
}

// again waits after a failure until it is worth trying again. Of a store that answers the pause is waited for: it has taken
// the question and will not take the batch. One that is away is asked until it is back, and then gets the batch at once, so
// that a spool does not go on filling meanwhile. Nothing wakes it: the store is not to be asked more often.
//
// Many processes lose one server at the same moment. They ask at random, and so come back one after the other.
func (s *Shipper) again(ctx context.Context, pause time.Duration) error {
	if s.answers(ctx) {
		return wait.For(ctx, wait.Jitter(pause))
	}
	for ask := firstPause; ; ask = min(2*ask, s.longest(longestAsk)) {
		if err := wait.For(ctx, wait.Jitter(ask)); err != nil {
			return err
		}
		if s.answers(ctx) {
			return nil
		}
	}
}

// answers reports whether the store is there, and would take a batch.
func (s *Shipper) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	return s.o.Destination.Usable(ctx) == nil
}

// longest is a bound of waiting, or the smaller one where calls wait for what is shipped.
func (s *Shipper) longest(d time.Duration) time.Duration {
	if s.o.Told != nil {
		return min(d, longestAwaited)
	}
	return d
}
