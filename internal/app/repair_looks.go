package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/drift"
	"github.com/plumbline/plumbline/internal/quota/guard"
	"github.com/plumbline/plumbline/internal/quota/redis"
)

// runningLedger is the ledger in the memory of the process that serves.
type runningLedger struct {
	repair *QuotaRepair
	book   string
}

// Look implements drift.Ledger: nothing is unsure, since the process has its ledger stand still for it.
func (l runningLedger) Look(ctx context.Context, subjects ...quota.Subject) (drift.Look, error) {
	var a lookAnswer
	if err := l.repair.admin.ask(ctx, lookPath, standingsQuestion{subjects}, &a); err != nil {
		return drift.Look{}, err
	}
	if l.repair.instance == "" {
		l.repair.instance = a.Instance
	}
	if l.repair.instance != a.Instance {
		return drift.Look{}, errors.New("Plumbline was started again meanwhile: ask again")
	}
	without := map[string]struct{}{}
	for _, id := range append(a.Out, a.Expired...) {
		without[id] = struct{}{}
	}
	look := drift.Look{At: a.At, Standings: a.Standings, Has: func(c *drift.Charge) drift.Presence {
		if _, out := without[c.ID]; out || c.Position > a.End {
			return drift.Absent
		}
		return drift.Present
	}}
	for _, id := range a.Expired {
		look.Expired = append(look.Expired, drift.Exchange{Book: l.book, ID: id})
	}
	return look, nil
}

// redisLedger is the ledger that replicas share, in one epoch.
type redisLedger struct {
	*redis.Ledger
	limits *quota.LimitSet
	epoch  string
}

// epochState reads the state of a ledger that counts.
func epochState(ctx context.Context, l *redis.Ledger) (redis.State, error) {
	s, err := l.State(ctx)
	if err != nil {
		return s, err
	}
	if s.Epoch == "" {
		return s, errors.New("the shared ledger is empty: a replica fills it from its records when it starts")
	}
	for _, mark := range s.Marks {
		s.Rebuilding = s.Rebuilding || mark < 0
	}
	if s.Rebuilding {
		return s, fmt.Errorf("the shared ledger is being filled from the records, for %s at most: ask again then", RebuildTime)
	}
	return s, nil
}

// Look implements drift.Ledger. The state before and after says what was settled for certain when the counters were read:
// admission is timed by the server's own clock, and what is held is listed.
func (l redisLedger) Look(ctx context.Context, subjects ...quota.Subject) (drift.Look, error) {
	before, err := epochState(ctx, l.Ledger)
	if err != nil {
		return drift.Look{}, err
	}
	look := drift.Look{At: before.Time}
	if look.Standings, err = quota.AskLedger(l.Ledger, l.limits, before.Time)(ctx, subjects...); err != nil {
		return drift.Look{}, err
	}
	after, err := epochState(ctx, l.Ledger)
	if err != nil {
		return drift.Look{}, err
	}
	if before.Epoch != l.epoch || after.Epoch != l.epoch {
		return drift.Look{}, errors.New("the shared ledger lost its memory meanwhile, and is filled from the records: ask again")
	}
	late := map[string]time.Time{}
	for book, text := range after.Coverages {
		if late[book], err = guard.LateBefore(text); err != nil {
			return drift.Look{}, err
		}
	}
	look.Has = func(c *drift.Charge) drift.Presence { return presence(&before, &after, late[c.Book], c) }
	for r := range before.Expired {
		look.Expired = append(look.Expired, drift.Exchange(r))
	}
	for r := range after.Expired {
		if _, known := before.Expired[r]; !known {
			look.Expired = append(look.Expired, drift.Exchange(r))
		}
	}
	return look, nil
}

// presence says whether counters that were read between two states had a charge. What was admitted before late and is behind
// its book's mark may count under some limits only, until the mark has passed it.
func presence(before, after *redis.State, late time.Time, c *drift.Charge) drift.Presence {
	r := redis.Reservation(c.Exchange)
	_, liveBefore := before.Live[r]
	_, live := after.Live[r]
	_, expiredBefore := before.Expired[r]
	_, expired := after.Expired[r]
	mark, joined := before.Marks[c.Book]
	switch {
	case live, expired && expiredBefore:
		return drift.Absent
	case liveBefore, expired, expiredBefore:
		return drift.Unsure
	case !joined, c.Position <= mark: // counted with its book, or settled
		return drift.Present
	case c.Charge.Admitted.Before(late):
		return drift.Unsure
	case c.Fallback && c.Position <= after.Marks[c.Book]:
		return drift.Unsure
	case c.Fallback:
		return drift.Absent
	case !c.Charge.Admitted.After(before.Time): // held by then, and no more
		return drift.Present
	case c.Charge.Admitted.After(after.Time):
		return drift.Absent
	default:
		return drift.Unsure
	}
}
