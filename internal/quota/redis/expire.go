package redis

import (
	"context"
	"fmt"
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
	before := any("")
	if !now.IsZero() {
		before = now.UnixMicro()
	}
	s := sweep{Ledger: l, by: fmt.Sprint(byExpire, rand.Uint64())} //nolint:gosec // no secret
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
			before = l.clock.now().UnixMicro()
		}
		ended := len(s.ids)
		if err := s.expire(ctx, n, due, before); err != nil {
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
	by  string
	ids []string // what it resolved
}

// expire ends reservations. The lines come from the server: most were made by others.
func (s *sweep) expire(ctx context.Context, n *namespace, members []string, before any) error {
	lines := make([][]line, len(members))
	// First without the counters' names, which the server gives, then with them.
	for range 2 {
		pipe := s.client.Pipeline()
		commands := make([]*redis.SliceCmd, len(members))
		for i, member := range members {
			_, id, _ := strings.Cut(member, "/")
			commands[i] = s.scripts.resolve.command(ctx, s.keys(n, lines[i], n.reservations+id, n.live, n.expired),
				n.epoch.ID, s.clock.argument(), s.by, "", s.remember.Milliseconds(), id, member, before)
			_ = pipe.Process(ctx, commands[i]) // only adds it
		}
		_, _ = pipe.Exec(ctx) // each command has its error
		var again []string
		var named [][]line
		for i, cmd := range commands {
			a, err := s.answerOf(ctx, &s.scripts.resolve, cmd)
			if err != nil {
				return err
			}
			switch a.status {
			case statusOK:
				s.ended(members[i], &a)
			case statusWrongKeys:
				names, err := readNames(a.text())
				all, ok := linesFrom(names, a.ints())
				if err != nil || !ok || a.short {
					return errAnswer
				}
				again, named = append(again, members[i]), append(named, all)
			}
		}
		members, lines = again, named
		if len(members) == 0 {
			return nil
		}
	}
	return nil
}

func (s *sweep) ended(member string, a *answer) {
	_, id, _ := strings.Cut(member, "/")
	_, over := a.text(), a.int()
	if over == 1 {
		s.overruns.Add(1)
	}
	s.ids = append(s.ids, id)
}
