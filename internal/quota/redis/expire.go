package redis

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Expire implements quota.Ledger. A time after the server's, or none, is taken as the server's. Any replica may call it
// for all: each reservation is resolved by one of them.
func (l *Ledger) Expire(ctx context.Context, now time.Time) ([]string, error) {
	l.holds.tidy()
	before := any("") // the server's time
	if !now.IsZero() {
		before = now.UnixMicro()
	}
	s := sweep{Ledger: l, by: firstSweep + rand.Int64N(most-firstSweep)} //nolint:gosec // no secret
	for {
		n := l.within.Load()
		a, err := l.run(ctx, &l.scripts.due, l.keys(n, nil, n.live), n.epoch.ID, l.clock.argument(), before, maxBatch)
		if err != nil {
			return s.ids, err
		}
		due := a.texts()
		if err := a.err(); err != nil {
			return s.ids, err
		}
		if now.IsZero() {
			now = l.clock.now()
			before = now.UnixMicro()
		}
		ended := len(s.ids)
		if err := s.expire(ctx, n, due, now); err != nil {
			return s.ids, err
		}
		// Where nothing could be ended, others are at it.
		if len(due) < maxBatch || len(s.ids) == ended {
			slices.Sort(s.ids)
			return s.ids, nil
		}
	}
}

// sweep is one call of Expire.
type sweep struct {
	*Ledger
	by  int64
	ids []string // what it resolved
}

// expire ends reservations whose leases ended before a time. The bills come from the server: most were made by others.
func (s *sweep) expire(ctx context.Context, n *namespace, members []string, before time.Time) error {
	bills := make([]*bill, len(members))
	request := packInts(nil, s.by, s.remember.Milliseconds(), before.UnixMicro())
	// First without the names of accounts, which the server gives, then with them.
	for range 2 {
		commands := make([]*redis.SliceCmd, len(members))
		for i, member := range members {
			_, id, _ := strings.Cut(member, "/")
			commands[i] = s.scripts.resolve.command(ctx, s.keys(n, bills[i], n.reservations+id, n.live, n.expired),
				n.epoch.ID, s.clock.argument(), request, member)
		}
		inOneWrite(ctx, s.client, commands)
		var again []string
		var named []*bill
		for i, cmd := range commands {
			a, err := s.answerOf(ctx, cmd)
			if err != nil {
				return err
			}
			switch a.status {
			case statusOK:
				s.ended(members[i], &a)
			case statusWrongKeys:
				b, err := a.bill()
				if err != nil {
					return err
				}
				again, named = append(again, members[i]), append(named, b)
			default: // touched, ended by another, or gone
			}
		}
		members, bills = again, named
		if len(members) == 0 {
			return nil
		}
	}
	return nil
}

func (s *sweep) ended(member string, a *answer) {
	_, id, _ := strings.Cut(member, "/")
	_, over := a.int(), a.int()
	if over == 1 {
		s.overruns.Add(1)
	}
	s.ids = append(s.ids, id)
}
