package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
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
		all := lines(r.Limits.AppendMatches(nil, r.Subject, l.clock.now()))
		from, to := within(all)
		a, err := l.hold(ctx, r.ID, all, packInts(append([]int64{l.lease.Microseconds(), from, to}, four(r.Amounts)...)...))
		if err != nil {
			return quota.Reservation{}, err
		}
		switch a.status {
		case statusWrongTime:
			continue // the clock is set now
		case statusOK:
			first := a.reservation(r.ID, a.time(), all)
			l.holds.put(r.ID, &hold{first: first, lines: all})
			return first, a.err()
		case statusRepeated:
			return l.reserved(r, &a)
		case statusResolved:
			return quota.Reservation{}, quota.ErrResolved
		case statusLacks:
			return quota.Reservation{}, a.refusal(all, func(l *quota.Limit) int64 { return l.Wanted(r.Amounts) })
		case statusAmount:
			return quota.Reservation{}, fmt.Errorf("%w: a counter has no room for it", quota.ErrAmount)
		default:
			return quota.Reservation{}, errAnswer
		}
	}
	return quota.Reservation{}, errAttempts
}

// hold sends a reservation.
func (l *Ledger) hold(ctx context.Context, id string, all []line, request []byte) (answer, error) {
	if len(all) > maxLines {
		return answer{}, fmt.Errorf("quota/redis: a call counts under %d limits, more than %d", len(all), maxLines)
	}
	n := l.within.Load()
	return l.run(ctx, &l.scripts.reserve, l.keys(n, all, n.reservations+id, n.live),
		n.epoch.ID, l.clock.argument(), request, packLines(nil, all), packNames(all), l.book, id)
}

// reserved gives the first result of a reservation that is live. Where it was made elsewhere, or its answer was lost, the
// limits are those of the repeated request.
func (l *Ledger) reserved(r quota.Request, a *answer) (quota.Reservation, error) {
	admitted := a.time()
	names, err := readNames(a.text())
	if err != nil || a.short {
		return quota.Reservation{}, errAnswer
	}
	if h := l.holds.get(r.ID); h != nil {
		return h.first, nil
	}
	known := map[string]line{}
	for _, ln := range lines(r.Limits.AppendMatches(nil, r.Subject, admitted)) {
		known[ln.counter] = ln
	}
	all := make([]line, len(names))
	for i, n := range names {
		all[i] = line{counter: n.counter, limit: &quota.Limit{ID: n.limit}}
		if ln, ok := known[n.counter]; ok {
			all[i] = ln
		}
	}
	h := &hold{first: a.reservation(r.ID, admitted, all), lines: all}
	if err := a.err(); err != nil {
		return quota.Reservation{}, err
	}
	l.holds.put(r.ID, h)
	return h.first, nil
}

// Extend implements quota.Ledger.
func (l *Ledger) Extend(ctx context.Context, id string, more quota.Amounts) (quota.Reservation, error) {
	if err := more.Validate(); err != nil {
		return quota.Reservation{}, err
	}
	request := append([]int64{l.lease.Microseconds(), rand.Int64N(quota.MaxValue)}, four(more)...) //nolint:gosec // no secret
	packed := packInts(append(request, quota.MaxAmount)...)
	a, all, err := l.withKeys(id, func(n *namespace, all []line) (answer, error) {
		return l.run(ctx, &l.scripts.extend, l.keys(n, all, n.reservations+id, n.live), n.epoch.ID, l.clock.argument(), packed, id)
	})
	if err != nil {
		return quota.Reservation{}, err
	}
	switch a.status {
	case statusOK:
		r := a.reservation(id, a.time(), all)
		return r, a.err()
	case statusLacks:
		return quota.Reservation{}, a.refusal(all, func(l *quota.Limit) int64 { return more.In(l.Dimension) })
	case statusUnknown:
		return quota.Reservation{}, quota.ErrUnknown
	case statusAmount:
		return quota.Reservation{}, fmt.Errorf("%w: more than a call can hold in all", quota.ErrAmount)
	default:
		return quota.Reservation{}, errAnswer
	}
}

// withKeys calls do with the lines of a reservation, and again with those that the server names if they are others.
func (l *Ledger) withKeys(id string, do func(*namespace, []line) (answer, error)) (answer, []line, error) {
	var all []line
	if h := l.holds.get(id); h != nil {
		all = h.lines
	}
	for range attempts {
		a, err := do(l.within.Load(), all)
		if err != nil || a.status != statusWrongKeys {
			return a, all, err
		}
		names, err := readNames(a.text())
		if err != nil {
			return answer{}, nil, err
		}
		var ok bool
		if all, ok = linesFrom(names, a.ints()); !ok || a.short {
			return answer{}, nil, errAnswer
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
		keys := l.keys(n, nil, n.live)
		args := []any{n.epoch.ID, l.clock.argument(), l.lease.Microseconds()}
		for _, p := range some {
			l.holds.get(p.ID) // still in use
			keys = append(keys, n.reservations+p.ID)
			args = append(args, p.ID, packInts(four(p.Used)...))
		}
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

// Who ended a reservation. A sweep has a name of its own that begins with byExpire.
const (
	bySettle = "s"
	byVoid   = "v"
	byExpire = "e"
)

func (l *Ledger) resolve(ctx context.Context, id, by string, used quota.Amounts) (quota.Amounts, error) {
	packed := packInts(four(used)...)
	a, _, err := l.withKeys(id, func(n *namespace, all []line) (answer, error) {
		return l.run(ctx, &l.scripts.resolve, l.keys(n, all, n.reservations+id, n.live, n.expired),
			n.epoch.ID, l.clock.argument(), by, packed, l.remember.Milliseconds(), id)
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
	ended, over, result := a.text(), a.int(), a.amounts()
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
	all := lines(limits.AppendMatches(nil, s, at))
	if len(all) > maxLines {
		return nil, fmt.Errorf("quota/redis: %d limits at once, more than %d", len(all), maxLines)
	}
	windows := packArray(nil, len(all))
	for i := range all {
		windows = packInt(windows, windowCode(all[i].limit.Window))
	}
	n := l.within.Load()
	a, err := l.run(ctx, &l.scripts.look, l.keys(n, all), n.epoch.ID, l.clock.argument(), windows, at.UnixMicro())
	if err != nil {
		return nil, err
	}
	return a.standings(all), a.err()
}

// Pending gives how many reservations are live, of all replicas.
func (l *Ledger) Pending(ctx context.Context) (int, error) {
	n, err := l.client.ZCard(ctx, l.within.Load().live).Result()
	if err != nil {
		return 0, l.explain(err)
	}
	return int(n), nil
}

func four(a quota.Amounts) []int64 {
	return []int64{a.Requests, a.InputTokens, a.OutputTokens, int64(a.Cost)}
}
