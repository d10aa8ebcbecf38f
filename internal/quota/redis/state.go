package redis

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// State is what of the epoch is not in its counters for good, and whose records are, at one moment.
type State struct {
	Time       time.Time // the server's clock
	Epoch      string    // id of the one in force, empty for none
	Rebuilding bool
	// Live and Expired are reservations of all replicas: those that are held, and those that ended with their lease and were
	// not settled since.
	Live, Expired map[Reservation]struct{}
	// Marks are how far each book is in the counters. One below zero is on its way there.
	Marks map[string]int64
	// Coverages are the texts beside the marks, by book.
	Coverages map[string]string
	Books     []string // of the replicas that have, or had of late, a lease
}

// Reservation names one of some replica.
type Reservation struct{ Book, ID string }

// State reads it for a command that compares counters with records, and changes nothing. It adopts the epoch in force.
func (l *Ledger) State(ctx context.Context) (State, error) {
	id, err := l.client.Get(ctx, l.epochKey()).Result()
	if errors.Is(err, redis.Nil) {
		return State{}, nil
	}
	if err != nil {
		return State{}, explain(err)
	}
	l.Adopt(Epoch{ID: id})
	n := l.within.Load()
	a, err := l.run(ctx, &l.scripts.state, []string{l.epochKey(), l.stateKey(), l.booksKey(), n.live, n.expired, n.marks},
		id, l.clock.argument())
	if err != nil {
		return State{}, err
	}
	return readState(id, &a)
}

func readState(epoch string, a *answer) (State, error) {
	s := State{
		Time: a.at, Epoch: epoch, Rebuilding: a.int() == 0, Books: a.list(),
		Live: members(a.list()), Expired: members(a.list()), Marks: map[string]int64{}, Coverages: map[string]string{},
	}
	for marks := range slices.Chunk(a.list(), 2) {
		if len(marks) != 2 {
			return State{}, errAnswer
		}
		if book, ok := strings.CutSuffix(marks[0], coverageSuffix); ok {
			s.Coverages[book] = marks[1]
			continue
		}
		mark, err := strconv.ParseInt(marks[1], 10, 64)
		if err != nil {
			return State{}, errAnswer
		}
		s.Marks[marks[0]] = mark
	}
	return s, a.err()
}

func members(texts []string) map[Reservation]struct{} {
	all := make(map[Reservation]struct{}, len(texts))
	for _, text := range texts {
		book, id, _ := strings.Cut(text, "/")
		all[Reservation{book, id}] = struct{}{}
	}
	return all
}
