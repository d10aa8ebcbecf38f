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

// texts reads all that is left.
func (a *answer) texts() []string {
	all := make([]string, 0, len(a.values))
	for len(a.values) > 0 {
		all = append(all, a.text())
	}
	return all
}

func (a *answer) time() time.Time { return time.UnixMicro(a.int()).UTC() }

// numbers reads a text of doubles.
func (a *answer) numbers() numbers { return numbers{text: a.text()} }

func (n *numbers) amounts() quota.Amounts {
	return quota.Amounts{
		Requests: n.next(), InputTokens: n.next(), OutputTokens: n.next(), Cost: core.MicroUSD(n.next()),
	}
}

// standings reads how each line stands, and gives them in the order of the limits.
func (n *numbers) standings(b *bill) []quota.Standing {
	standings := make([]quota.Standing, len(b.lines))
	for i := range b.lines {
		used, posted, leaves := n.next(), n.next(), n.next()
		standings[b.lines[i].place] = b.lines[i].standing(used, posted, leaves)
	}
	return standings
}

// reservation reads what is held and how the lines stand.
func (a *answer) reservation(id string, admitted time.Time, b *bill) quota.Reservation {
	n := a.numbers()
	r := quota.Reservation{ID: id, Admitted: admitted, Held: n.amounts(), Standings: n.standings(b)}
	a.short = a.short || n.short
	return r
}

// refusal reads which lines lack room and gives the one that outlasts the others.
func (a *answer) refusal(b *bill, wanted func(*quota.Limit) int64) error {
	var worst *quota.ExhaustedError
	for n := a.numbers(); n.left() > 0; {
		i, used, posted, leaves := n.next(), n.next(), n.next(), n.next()
		if n.short || i < 1 || i > int64(len(b.lines)) {
			return errAnswer
		}
		ln := &b.lines[i-1]
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

// bill reads the lines of a reservation that was made elsewhere.
func (a *answer) bill() (*bill, error) {
	names, lines := a.text(), a.text()
	if a.short {
		return nil, errAnswer
	}
	b, err := readBill(names, lines)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	return b, nil
}
