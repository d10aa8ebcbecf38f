package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

const (
	// attempts bounds how often an operation is asked again with the server's time or with the keys it named.
	attempts = 4
	// maxLines bounds the limits that one call counts under.
	maxLines = 1000
)

var errAttempts = fmt.Errorf("%w: its clock is not steady, or its keys change under it", ErrUnreachable)

// Reserve implements quota.Ledger. The time of admission is the server's; that of the request is not read.
func (l *Ledger) Reserve(ctx context.Context, r quota.Request) (quota.Reservation, error) {
	if err := r.Amounts.Validate(); err != nil {
		return quota.Reservation{}, err
	}
	for range attempts {
		b := billOf(r.Limits.AppendMatches(nil, r.Subject, l.clock.now()))
		from, to := b.within()
		a, err := l.hold(ctx, &r, b, packInts(make([]byte, 0, 32), l.lease.Microseconds(), from, to, 0))
		if err != nil {
			return quota.Reservation{}, err
		}
		switch a.status {
		case statusWrongTime:
			continue // the clock is set now
		case statusOK:
			first := quota.Reservation{ID: r.ID, Admitted: a.time(), Held: r.Amounts}
			first.Standings = a.standings(b, a.at)
			l.holds.put(r.ID, &hold{first: first, bill: b})
			return first, a.err()
		case statusRepeated:
			return l.reserved(r, &a)
		case statusResolved:
			return quota.Reservation{}, quota.ErrResolved
		case statusLacks:
			return quota.Reservation{}, a.refusal(b, func(l *quota.Limit) int64 { return l.Wanted(r.Amounts) })
		case statusAmount:
			return quota.Reservation{}, fmt.Errorf("%w: a counter has no room for it", quota.ErrAmount)
		default:
			return quota.Reservation{}, errAnswer
		}
	}
	return quota.Reservation{}, errAttempts
}

// hold sends a reservation.
func (l *Ledger) hold(ctx context.Context, r *quota.Request, b *bill, request []byte) (answer, error) {
	if len(b.lines) > maxLines {
		return answer{}, fmt.Errorf("quota/redis: a call counts under %d limits, more than %d", len(b.lines), maxLines)
	}
	n := l.within.Load()
	keys, args := l.reserveCall(n, r, b, request, r.Amounts, quota.Amounts{})
	return l.run(ctx, &l.scripts.reserve, keys, args...)
}

// reserveCall gives the keys and arguments of one.
func (l *Ledger) reserveCall(n *namespace, r *quota.Request, b *bill, request []byte, held, used quota.Amounts) ([]string, []any) {
	member := l.book + "/" + r.ID
	return l.keys(n, b, n.reservations+r.ID, n.live),
		[]any{n.epoch.ID, l.clock.argument(), request, b.pack(l.clock.now(), held, used, member), member}
}

// reserved gives the first result of a reservation that is live. Where it was made elsewhere, or its answer was lost, the
// limits are those of the repeated request.
func (l *Ledger) reserved(r quota.Request, a *answer) (quota.Reservation, error) {
	if h := l.holds.get(r.ID); h != nil {
		return h.first, nil
	}
	admitted := a.time()
	b, err := a.bill()
	if err != nil {
		return quota.Reservation{}, err
	}
	b.know(billOf(r.Limits.AppendMatches(nil, r.Subject, admitted)))
	h := &hold{first: a.first(r.ID, admitted, b), bill: b}
	if err := a.err(); err != nil {
		return quota.Reservation{}, err
	}
	l.holds.put(r.ID, h)
	return h.first, nil
}

// Extend implements quota.Ledger.
func (l *Ledger) Extend(ctx context.Context, id string, to quota.Amounts) (quota.Reservation, error) {
	if err := to.Validate(); err != nil {
		return quota.Reservation{}, err
	}
	request := packAmounts(packInts(make([]byte, 0, 56), l.lease.Microseconds()), to, 0)
	a, b, err := l.withKeys(id, func(n *namespace, b *bill) (answer, error) {
		return l.run(ctx, &l.scripts.extend, l.keys(n, b, n.reservations+id, n.live), n.epoch.ID, l.clock.argument(), request)
	})
	if err != nil {
		return quota.Reservation{}, err
	}
	switch a.status {
	case statusOK:
		r := quota.Reservation{ID: id, Admitted: a.time(), Held: a.amounts()}
		r.Standings = a.standings(b, a.at)
		return r, a.err()
	case statusLacks:
		more := a.amounts()
		return quota.Reservation{}, a.refusal(b, func(l *quota.Limit) int64 { return more.In(l.Dimension) })
	case statusUnknown:
		return quota.Reservation{}, quota.ErrUnknown
	case statusAmount:
		return quota.Reservation{}, fmt.Errorf("%w: a counter has no room for it", quota.ErrAmount)
	default:
		return quota.Reservation{}, errAnswer
	}
}

// withKeys calls do with the bill of a reservation, nil if it is not known here, and again with the one that the server
// gives if it is another.
func (l *Ledger) withKeys(id string, do func(*namespace, *bill) (answer, error)) (answer, *bill, error) {
	b := &bill{}
	if h := l.holds.get(id); h != nil {
		b = h.bill
	}
	for range attempts {
		a, err := do(l.within.Load(), b)
		if err != nil || a.status != statusWrongKeys {
			return a, b, err
		}
		if b, err = a.bill(); err != nil {
			return answer{}, nil, err
		}
	}
	return answer{}, nil, errAttempts
}

// Touch implements quota.Ledger.
func (l *Ledger) Touch(ctx context.Context, progress ...quota.Progress) error {
	for _, p := range progress {
		if err := p.Used.Validate(); err != nil {
			return err
		}
	}
	for len(progress) > 0 {
		some := progress[:min(len(progress), maxBatch)]
		progress = progress[len(some):]
		n := l.within.Load()
		keys, used := l.keys(n, nil, n.live), make([]byte, 0, 48*len(some))
		for _, p := range some {
			l.holds.get(p.ID) // still in use
			keys, used = append(keys, n.reservations+p.ID), packAmounts(used, p.Used, 0)
		}
		args := []any{n.epoch.ID, l.clock.argument(), l.lease.Microseconds(), used}
		if _, err := l.run(ctx, &l.scripts.touch, keys, args...); err != nil {
			return err
		}
	}
	return nil
}

// maxBatch bounds how many reservations one script sees to, so that others do not wait for long.
const maxBatch = 128

// Settle implements quota.Ledger.
func (l *Ledger) Settle(ctx context.Context, id string, used quota.Amounts) (quota.Amounts, error) {
	if err := used.Validate(); err != nil {
		return quota.Amounts{}, err
	}
	return l.resolve(ctx, id, bySettle, used)
}

// Void implements quota.Ledger.
func (l *Ledger) Void(ctx context.Context, id string) error {
	_, err := l.resolve(ctx, id, byVoid, quota.Amounts{})
	return err
}

// Who ended a reservation. A sweep has a number of its own from firstSweep on.
const (
	bySettle = iota
	byVoid
	firstSweep
)

func (l *Ledger) resolve(ctx context.Context, id string, by int64, used quota.Amounts) (quota.Amounts, error) {
	request := packAmounts(packInts(make([]byte, 0, 64), by, l.remember.Milliseconds()), used, 0)
	a, _, err := l.withKeys(id, func(n *namespace, b *bill) (answer, error) {
		return l.run(ctx, &l.scripts.resolve, l.keys(n, b, n.reservations+id, n.live, n.expired),
			n.epoch.ID, l.clock.argument(), request)
	})
	if err != nil {
		return quota.Amounts{}, err
	}
	if a.status == statusUnknown {
		l.holds.drop(id)
		return quota.Amounts{}, quota.ErrUnknown
	}
	if a.status != statusOK && a.status != statusRepeated {
		return quota.Amounts{}, errAnswer
	}
	ended, over, result := a.int(), a.int(), a.amounts()
	if err := a.err(); err != nil {
		return quota.Amounts{}, err
	}
	// A repeat counts where it stands for an answer that was lost: what this replica knows of the call is dropped once.
	if known := l.holds.drop(id); over == 1 && (a.status == statusOK || known && ended == bySettle) {
		l.overruns.Add(1)
	}
	return result, nil
}

// Standings implements quota.Ledger. A zero time is the server's.
func (l *Ledger) Standings(
	ctx context.Context, s quota.Subject, limits *quota.LimitSet, at time.Time,
) ([]quota.Standing, error) {
	if at.IsZero() {
		at = l.clock.now()
	}
	b := billOf(limits.AppendMatches(nil, s, at))
	if len(b.lines) > maxLines {
		return nil, fmt.Errorf("quota/redis: %d limits at once, more than %d", len(b.lines), maxLines)
	}
	n := l.within.Load()
	a, err := l.run(ctx, &l.scripts.look, l.keys(n, b), n.epoch.ID, l.clock.argument())
	if err != nil {
		return nil, err
	}
	return a.standings(b, at), a.err()
}

// Pending gives how many reservations are live, of all replicas.
func (l *Ledger) Pending(ctx context.Context) (int, error) {
	n, err := l.client.ZCard(ctx, l.within.Load().live).Result()
	if err != nil {
		return 0, explain(err)
	}
	return int(n), nil
}
