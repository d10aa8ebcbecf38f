package redis

import (
	"context"
	"errors"
	"fmt"
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
		return State{}, l.explain(err)
	}
	l.Adopt(Epoch{ID: id})
	source, err := sources.ReadFile("lua/state.lua")
	if err != nil {
		return State{}, err
	}
	n := l.within.Load()
	keys := []string{l.epochKey(), l.stateKey(), l.booksKey(), n.live, n.expired, n.marks}
	values, err := redis.NewScript(string(source)).Run(ctx, l.client, keys, id).Slice()
	if err != nil {
		return State{}, l.explain(err)
	}
	return readState(id, values)
}

func readState(epoch string, values []any) (State, error) {
	const fields = 6
	if len(values) != fields {
		return State{}, errAnswer
	}
	micros, ok := values[0].(int64)
	opened, ok2 := values[1].(int64)
	var lists [fields - 2][]string
	for i := range lists {
		all, isList := values[2+i].([]any)
		if !isList {
			return State{}, errAnswer
		}
		for _, v := range all {
			text, isText := v.(string)
			if !isText {
				return State{}, errAnswer
			}
			lists[i] = append(lists[i], text)
		}
	}
	s := State{
		Time: time.UnixMicro(micros).UTC(), Epoch: epoch, Rebuilding: opened == 0, Books: lists[0],
		Live: members(lists[1]), Expired: members(lists[2]), Marks: map[string]int64{},
		Coverages: map[string]string{},
	}
	for i := 0; i+1 < len(lists[3]); i += 2 {
		if book, ok := strings.CutSuffix(lists[3][i], coverageSuffix); ok {
			s.Coverages[book] = lists[3][i+1]
			continue
		}
		var mark int64
		if _, err := fmt.Sscan(lists[3][i+1], &mark); err != nil {
			return State{}, errAnswer
		}
		s.Marks[lists[3][i]] = mark
	}
	if !ok || !ok2 {
		return State{}, errAnswer
	}
	return s, nil
}

func members(texts []string) map[Reservation]struct{} {
	all := make(map[Reservation]struct{}, len(texts))
	for _, text := range texts {
		book, id, _ := strings.Cut(text, "/")
		all[Reservation{book, id}] = struct{}{}
	}
	return all
}
