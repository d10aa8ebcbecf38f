package simulate

import (
	"context"
	"errors"
	"strconv"

	"github.com/plumbline/plumbline/internal/quota"
)

// loanRequest asks a counter's home for a slab.
type loanRequest struct {
	id      string // of the request
	slab    string // to be made, or to be added to in its window
	grow    bool
	line    *line
	window  int64
	want    int64 // what is needed at least
	ask     int64 // what would be good
	members int64 // replicas that may ask
}

// loan is what a home lent: nothing if it has no room for what is needed.
type loan struct {
	amount    int64
	elsewhere bool // the home's clock is in another window
}

// refill asks the home for more, unless that is under way, and calls back when the answer is there.
func (e *escrow) refill(r *replica, l *lease, want int64, then func(loan)) {
	if then != nil {
		l.waiting = append(l.waiting, then)
	}
	if l.asking {
		return
	}
	l.asking = true
	d := e.desks[r.index]
	d.slabs++
	req := loanRequest{
		line: l.line, window: l.window, want: want, ask: max(want, e.target(l.line, want)), members: int64(len(e.s.replicas)),
		id: strconv.Itoa(r.index) + "." + strconv.Itoa(r.life) + "." + strconv.Itoa(d.slabs),
	}
	req.slab = "slab." + req.id
	if l != l.line.current && len(l.slabs) > 0 {
		req.slab, req.grow = l.slabs[0].id, true
	}
	persist(e.s, r, l.line.home, 0, func() loan { return e.lend(e, req) }, func(a answer[loan]) {
		e.observe(r, l.line.home, stamp{a.stamp, a.sent})
		e.lent(r, l, req, a.value)
	})
}

// lent books a loan and lets those go on that waited for it.
func (e *escrow) lent(r *replica, l *lease, req loanRequest, got loan) {
	l.asking = false
	switch {
	case got.elsewhere:
	case got.amount == 0:
		l.dry, l.dryWant = e.s.now+dryFor, req.want
		e.giveBack(r, l.line.home, l.fold(0)) // too little here, but with what others give back enough for somebody
	case !req.grow:
		l.add(slab{req.slab, got.amount})
	case len(l.slabs) > 0 && l.slabs[0].id == req.slab:
		l.grow(got.amount)
	}
	waiting := l.waiting
	l.waiting = nil
	for _, then := range waiting {
		then(got)
	}
}

// lendAhead runs at the home. It reserves the slab before anything is spent of it, and reports it as used at once: if the
// replica dies, or does not come back before the lease ends, the whole slab is charged, so that the home need not know
// what was spent. It lends a part of what is left, for the others to find something too, but not less than is needed.
func lendAhead(e *escrow, r loanRequest) loan {
	home, rule := r.line.home, e.s.rules[r.line.rule]
	subject, dimension, at := r.line.call.subject, rule.limit.Dimension, home.clock()
	var lent int64
	if at, known := e.homes[r.slab]; known {
		if first, repeated := at.loans[r.id]; repeated {
			return first
		}
		lent = at.amount
	}
	var reserved quota.Reservation
	var err error
	if r.grow {
		reserved, err = home.ledger.Extend(context.Background(), r.slab, only(dimension, lent+r.want))
		r.ask = r.want
	} else {
		if window, _ := windowOf(rule, subject, at); window != r.window {
			return loan{elsewhere: true}
		}
		r.ask = e.share(r, rule, subject)
		reserved, err = home.ledger.Reserve(context.Background(), quota.Request{
			ID: r.slab, Subject: subject, Amounts: only(dimension, r.ask), Limits: rule.set, At: at,
		})
	}
	if !e.s.says(err) {
		return loan{}
	}
	e.s.check(home.ledger.Touch(context.Background(), quota.Progress{ID: r.slab, Used: reserved.Held}))
	of, known := e.homes[r.slab]
	if !known {
		of = &homeSlab{rule: r.line.rule, loans: map[string]loan{}}
		e.homes[r.slab] = of
	}
	of.amount += r.ask
	of.loans[r.id] = loan{amount: r.ask}
	return of.loans[r.id]
}

// share gives how much a home lends of what is asked.
func (e *escrow) share(r loanRequest, rule rule, subject quota.Subject) int64 {
	home := r.line.home
	standings, err := home.ledger.Standings(context.Background(), subject, rule.set, home.clock())
	e.s.check(err)
	if !rule.limit.Hard() {
		return min(r.ask, quota.MaxAmount)
	}
	room := rule.limit.Value - standings[0].Used
	return min(quota.MaxAmount, max(r.want, min(r.ask, room/(2*r.members))))
}

// tick settles what was spent, gives back what is not needed, renews the rest and reports the progress of calls: two
// messages to each shard at most. It reports whether nothing is left.
func (e *escrow) tick(r *replica, draining bool) bool {
	d := e.desks[r.index]
	progress := e.progress(r)
	folded := map[*shard][]settlement{}
	idle := true
	for _, ln := range d.order {
		ln.demand = (ln.demand + float64(ln.taken)/tick.Seconds()) / 2
		ln.taken = 0
		if l := ln.current; l != nil && (draining || !l.end.IsZero() && !e.latest(r, ln.home).Before(l.end)) {
			ln.closed, ln.current = append(ln.closed, l), nil
		}
		open := ln.closed[:0]
		for _, l := range ln.closed {
			folded[ln.home] = append(folded[ln.home], l.fold(0)...)
			if l.held > 0 || l.asking || len(l.slabs) > 0 {
				open = append(open, l)
			}
		}
		clear(ln.closed[len(open):])
		ln.closed = open
		if l := ln.current; l != nil {
			folded[ln.home] = append(folded[ln.home], l.fold(e.target(ln, 0))...)
			open = append(open[:len(open):len(open)], l)
		}
		idle = idle && len(open) == 0
		for _, l := range open {
			for _, s := range l.slabs {
				progress[ln.home] = append(progress[ln.home], quota.Progress{ID: s.id, Used: only(ln.limit(e).Dimension, s.amount)})
			}
		}
	}
	e.report(r, progress)
	for _, sh := range e.s.shards { // in their order, not in the map's
		e.giveBack(r, sh, folded[sh])
	}
	return idle
}

// giveBack settles slabs at their home.
func (e *escrow) giveBack(r *replica, home *shard, of []settlement) {
	if len(of) > 0 {
		persist(e.s, r, home, len(of), func() bool { return e.settleSlabs(home, of) }, func(answer[bool]) {})
	}
}

// settleSlabs runs at the home.
func (e *escrow) settleSlabs(home *shard, of []settlement) bool {
	for _, st := range of {
		known, ok := e.homes[st.slab.id]
		if !ok {
			continue // a repeat, or charged in full when its lease had passed
		}
		_, err := home.ledger.Settle(context.Background(), st.slab.id, only(e.s.rules[known.rule].limit.Dimension, st.used))
		if errors.Is(err, quota.ErrUnknown) {
			continue
		}
		e.s.check(err)
		e.booked[known.rule] += st.used
		delete(e.homes, st.slab.id)
	}
	return true
}

// expired books what homes charged for slabs that nobody renewed: all of them.
func (e *escrow) expired(sh *shard, ids []string) {
	e.central.expired(sh, ids)
	for _, id := range ids {
		if of, ok := e.homes[id]; ok {
			e.booked[of.rule] += of.amount
			delete(e.homes, id)
		}
	}
}

// stranded gives the largest share of what a shared limit's home has posted that nobody has used.
func (e *escrow) stranded() float64 {
	var worst float64
	for i, booked := range e.booked {
		if booked > 0 {
			worst = max(worst, float64(booked-e.s.truth.used[i])/float64(booked))
		}
	}
	return worst
}
