package quota

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

// Ask says how the limits stand that match each of some subjects, as Ledger.Standings does.
type Ask func(ctx context.Context, subjects ...Subject) ([][]Standing, error)

// AskLedger asks a ledger about the limits of a set at a time.
func AskLedger(l Ledger, limits *LimitSet, at time.Time) Ask {
	return func(ctx context.Context, subjects ...Subject) ([][]Standing, error) {
		all := make([][]Standing, len(subjects))
		for i, s := range subjects {
			var err error
			if all[i], err = l.Standings(ctx, s, limits, at); err != nil {
				return nil, err
			}
		}
		return all, nil
	}
}

// ErrChanged is returned when limits changed between two looks at them.
var ErrChanged = errors.New("quota: the limits changed meanwhile; ask again")

// CounterUse is how much of a limit one team, user or app has used, or all together.
type CounterUse struct {
	Limit Limit `json:"limit"`
	// For is the id of the team, user or app that is counted, empty for everyone.
	For string `json:"for,omitempty"`
	Use
}

// Witnesses gives, in their order, those of some subjects of whom each meets a counter that nobody before has met.
func Witnesses(limits *LimitSet, subjects []Subject, at time.Time) []Subject {
	seen := map[CounterKey]bool{}
	var witnesses []Subject
	for _, s := range subjects {
		news := false
		for _, m := range limits.AppendMatches(nil, s, at) {
			news = news || !seen[m.Key]
			seen[m.Key] = true
		}
		if news {
			witnesses = append(witnesses, s)
		}
	}
	return witnesses
}

// Counters gives the use of every counter that subjects count under and that is used at all: in the order of limits, under
// each the most used first. Subjects that meet the same counters are asked about once.
func Counters(ctx context.Context, ask Ask, limits *LimitSet, subjects []Subject, at time.Time) ([]CounterUse, error) {
	witnesses := Witnesses(limits, subjects, at)
	standings, err := ask(ctx, witnesses...)
	if err != nil {
		return nil, err
	}
	seen := map[CounterKey]bool{}
	var uses []CounterUse
	for i, s := range witnesses {
		matches := limits.AppendMatches(nil, s, at)
		if len(standings) != len(witnesses) || len(matches) != len(standings[i]) {
			return nil, ErrChanged
		}
		for j, m := range matches {
			st := &standings[i][j]
			if seen[m.Key] || st.Used == 0 {
				continue
			}
			seen[m.Key] = true
			uses = append(uses, CounterUse{Limit: *st.Limit, For: m.Key.Subject, Use: UseOf(st, at)})
		}
	}
	order := make(map[string]int, len(uses))
	for i := range limits.Limits() {
		order[limits.Limits()[i].ID] = i
	}
	slices.SortFunc(uses, func(a, b CounterUse) int {
		return cmp.Or(cmp.Compare(order[a.Limit.ID], order[b.Limit.ID]), cmp.Compare(b.Used, a.Used), cmp.Compare(a.For, b.For))
	})
	return uses, nil
}
