package redis

import (
	"fmt"
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
	at     time.Time // by the server's clock
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

// list reads a value that is a list of texts.
func (a *answer) list() []string {
	v, ok := a.next().([]any)
	a.short = a.short || !ok
	inner := answer{values: v}
	all := inner.texts()
	a.short = a.short || inner.short
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

// amounts reads what amounts come to in each dimension.
func (n *numbers) amounts() quota.Amounts {
	a := quota.Amounts{Requests: n.next(), InputTokens: n.next(), OutputTokens: n.next()}
	n.skip(1) // the sum of both
	a.Cost = core.MicroUSD(n.next())
	n.skip(1) // concurrency
	return a
}

func (a *answer) amounts() quota.Amounts {
	n := numbers{text: a.text()}
	amounts := n.amounts()
	a.short = a.short || n.short
	return amounts
}

// standings reads the accounts of a bill, all that is left, and gives how its limits stand, in their order.
func (a *answer) standings(b *bill, at time.Time) []quota.Standing {
	standings := make([]quota.Standing, len(b.lines))
	next := 0
	for _, count := range b.counts {
		held := account(a.text())
		for range count {
			ln := &b.lines[next]
			s, ok := held.standing(ln, at, 0)
			a.short = a.short || !ok
			standings[ln.place] = s
			next++
		}
	}
	return standings
}

// refusal reads which lines lack room, and the accounts, and gives the one that outlasts the others.
func (a *answer) refusal(b *bill, wanted func(*quota.Limit) int64) error {
	lacks, held := numbers{text: a.text()}, a.texts()
	if a.short || len(held) != len(b.accounts) {
		return errAnswer
	}
	var worst *quota.ExhaustedError
	for lacks.left() > 0 {
		i := lacks.next()
		if i < 1 || i > int64(len(b.lines)) {
			return errAnswer
		}
		ln := &b.lines[i-1]
		e := &quota.ExhaustedError{Wanted: wanted(ln.limit)}
		var ok bool
		if e.Standing, ok = account(held[b.accountOf(int(i-1))]).standing(ln, a.at, e.Wanted); !ok {
			return errAnswer
		}
		if e.Outlasts(worst) {
			worst = e
		}
	}
	if worst == nil {
		return errAnswer
	}
	return worst
}

// first reads what Reserve answered when it was asked first, behind the pins of a bill's minutes.
func (a *answer) first(id string, admitted time.Time, b *bill) quota.Reservation {
	n := numbers{text: a.text()}
	for i := range b.lines {
		if b.lines[i].limit.Window == quota.WindowMinute {
			n.skip(1)
		}
	}
	r := quota.Reservation{ID: id, Admitted: admitted, Held: n.amounts()}
	a.values = a.values[:0]
	for range b.accounts {
		one, rest, ok := cutAccount(n.text)
		a.short = a.short || !ok
		a.values, n.text = append(a.values, one), rest
	}
	r.Standings = a.standings(b, admitted)
	a.short = a.short || n.short || n.text != ""
	return r
}

// bill reads that of a reservation that was made elsewhere.
func (a *answer) bill() (*bill, error) {
	text := a.text()
	if a.short {
		return nil, errAnswer
	}
	b, err := readBill(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	return b, nil
}
