package redis

import (
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

// status is the first number of an answer; lua/prelude.lua names them too.
type status int64

const (
	statusOK status = iota
	statusRepeated
	statusResolved
	statusLacks
	statusUnknown
	statusWrongTime
	statusWrongKeys
	statusAmount
	statusEarly
)

// answer reads the values of a script's answer one by one.
type answer struct {
	status status
	values []any
	short  bool // a value was missing or of another type
}

// err returns errAnswer if a value was missing.
func (a *answer) err() error {
	if a.short {
		return errAnswer
	}
	return nil
}

func (a *answer) next() any {
	if len(a.values) == 0 {
		a.short = true
		return nil
	}
	v := a.values[0]
	a.values = a.values[1:]
	return v
}

func (a *answer) int() int64 {
	v, ok := a.next().(int64)
	a.short = a.short || !ok
	return v
}

func (a *answer) text() string {
	v, ok := a.next().(string)
	a.short = a.short || !ok
	return v
}

// ints reads an array of integers.
func (a *answer) ints() []int64 {
	values, ok := a.next().([]any)
	a.short = a.short || !ok
	all := make([]int64, len(values))
	for i := range values {
		if all[i], ok = values[i].(int64); !ok {
			a.short = true
		}
	}
	return all
}

// texts reads all that is left.
func (a *answer) texts() []string {
	all := make([]string, 0, len(a.values))
	for len(a.values) > 0 {
		all = append(all, a.text())
	}
	return all
}

func (a *answer) time() time.Time { return time.UnixMicro(a.int()).UTC() }

func (a *answer) amounts() quota.Amounts {
	return quota.Amounts{
		Requests: a.int(), InputTokens: a.int(), OutputTokens: a.int(), Cost: core.MicroUSD(a.int()),
	}
}

// standings reads how each line stands.
func (a *answer) standings(all []line) []quota.Standing {
	standings := make([]quota.Standing, len(all))
	for i := range all {
		used, posted, leaves := a.int(), a.int(), a.int()
		standings[i] = all[i].standing(used, posted, leaves)
	}
	return standings
}

// reservation reads what is held and how the lines stand.
func (a *answer) reservation(id string, admitted time.Time, all []line) quota.Reservation {
	return quota.Reservation{ID: id, Admitted: admitted, Held: a.amounts(), Standings: a.standings(all)}
}

// refusal reads which lines lack room and gives the one that outlasts the others.
func (a *answer) refusal(all []line, wanted func(*quota.Limit) int64) error {
	var worst *quota.ExhaustedError
	for len(a.values) > 0 {
		i, used, posted, leaves := a.int(), a.int(), a.int(), a.int()
		if a.short || i < 1 || i > int64(len(all)) {
			return errAnswer
		}
		ln := &all[i-1]
		e := &quota.ExhaustedError{Standing: ln.standing(used, posted, leaves), Wanted: wanted(ln.limit)}
		if e.Outlasts(worst) {
			worst = e
		}
	}
	if worst == nil {
		return errAnswer
	}
	return worst
}
