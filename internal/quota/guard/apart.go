package guard

import (
	"context"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
)

// apart is what this replica counts on its own from the moment at which the shared ledger was left until it serves again: a
// ledger at the scale of one replica among so many. Values and what was known to be used are divided by their number, so
// that all replicas together admit no more than was left. It is guarded by Guard.mu; its ledger guards itself.
type apart struct {
	ledger   *memory.Ledger
	replicas int64
	scaled   map[*quota.LimitSet]*scaled
	seeded   map[standingKey]struct{}
	left     time.Time // when the shared ledger began to serve again, zero while it does not
}

// scaled is a set of limits as one replica counts them on its own.
type scaled struct {
	// local are those that refuse by this replica's share, and those that never refuse.
	local *quota.LimitSet
	// adopted are the same for exchanges that the shared ledger holds: they count where requests in flight are counted, and are
	// not refused there.
	adopted *quota.LimitSet
	// single has each limit of local in a set of its own.
	single map[string]*quota.LimitSet
}

// fall begins to count apart, if that is not done already, under the limits of a call. What is in flight counts among the
// requests in flight.
func (g *Guard) fall(ctx context.Context, limits *quota.LimitSet) (*apart, *scaled) {
	a := g.apart
	if a != nil && a.left.IsZero() {
		return a, a.scale(limits)
	}
	// One that was left a moment ago goes on, as used as it was, but not with a larger share than this replica has by now.
	if a == nil || g.o.Now().Sub(a.left) > steady || a.replicas < g.replicas {
		a = &apart{
			ledger:   memory.New(memory.Options{Now: g.o.Now, Lease: g.o.Lease}),
			replicas: max(g.replicas, 1),
			scaled:   map[*quota.LimitSet]*scaled{}, seeded: map[standingKey]struct{}{},
		}
		g.apart = a
	}
	a.left = time.Time{}
	for _, h := range g.live {
		if h.mode == modeShared && h.local != a.ledger {
			g.adopt(ctx, h)
		}
	}
	return a, a.scale(limits)
}

// adopt counts an exchange that the shared ledger holds, with nothing but itself.
func (g *Guard) adopt(ctx context.Context, h *held) {
	r := h.request
	r.Amounts, r.Limits = quota.Amounts{}, g.apart.scale(h.request.Limits).adopted
	if _, err := g.apart.ledger.Reserve(ctx, r); err == nil { // it cannot lack room
		h.local, h.base = g.apart.ledger, h.shared
	}
}

// maxScaled bounds how many sets of limits are kept at scale: those of calls in flight.
const maxScaled = 8

// scale gives the limits at this replica's scale.
func (a *apart) scale(limits *quota.LimitSet) *scaled {
	if s := a.scaled[limits]; s != nil {
		return s
	}
	if len(a.scaled) >= maxScaled {
		clear(a.scaled) // limits that were in force
	}
	s := &scaled{single: map[string]*quota.LimitSet{}}
	var local, adopted []quota.Limit
	for _, l := range limits.Limits() {
		if l.Hard() && l.WhenUnreachable() != quota.UnreachableLocal {
			continue
		}
		l.Value /= a.replicas
		local = append(local, l)
		s.single[l.ID] = compiled(l)
		if l.Dimension == quota.DimensionConcurrency {
			l.Value = quota.MaxValue
		}
		adopted = append(adopted, l)
	}
	s.local, s.adopted = compiled(local...), compiled(adopted...)
	a.scaled[limits] = s
	return s
}

// compiled makes a set of limits that were valid before their values were divided, and so are now.
func compiled(limits ...quota.Limit) *quota.LimitSet {
	set, err := quota.Compile(limits)
	if err != nil {
		return nil
	}
	return set
}

// seed books this replica's share of what was last known to be used under the limits of a call.
func (g *Guard) seed(s quota.Subject, sc *scaled) {
	a := g.apart
	for _, l := range sc.local.Limits() {
		if l.Dimension == quota.DimensionConcurrency || !l.Matches(s) { // those in flight are known one by one
			continue
		}
		key := keyOf(&l, s)
		if _, done := a.seeded[key]; done {
			continue
		}
		a.seeded[key] = struct{}{}
		known, ok := g.known[key]
		if !ok {
			continue
		}
		for rest := (known.used + a.replicas - 1) / a.replicas; rest > 0; rest -= quota.MaxAmount {
			// The amounts are in range, and what has left its window is passed over.
			_ = a.ledger.Replay(chargeOf(l.Dimension, min(rest, quota.MaxAmount), known.at), s, sc.single[l.ID])
		}
	}
}

// chargeOf is a charge of so much in one dimension.
func chargeOf(d quota.Dimension, n int64, at time.Time) core.Charge {
	c := core.Charge{Admitted: at}
	switch d {
	case quota.DimensionRequests:
		c.Requests = n
	case quota.DimensionInputTokens, quota.DimensionTokens:
		c.InputTokens = n
	case quota.DimensionOutputTokens:
		c.OutputTokens = n
	case quota.DimensionCost:
		c.Cost = core.MicroUSD(n)
	case quota.DimensionConcurrency:
	}
	return c
}

// verdict says what the limits of a call do without the shared ledger: the one that refuses, if one does, and whether one
// that is open lets it pass uncounted.
func verdict(limits *quota.LimitSet, s quota.Subject, at time.Time, wanted func(*quota.Limit) int64) (closed *quota.Limit, open bool) {
	for _, m := range limits.AppendMatches(nil, s, at) {
		if !m.Limit.Hard() || wanted(m.Limit) == 0 {
			continue
		}
		switch m.Limit.WhenUnreachable() {
		case quota.UnreachableClosed:
			return m.Limit, false
		case quota.UnreachableOpen:
			open = true
		case quota.UnreachableLocal:
		}
	}
	return nil, open
}

// reserveApart admits a call without the shared ledger, or refuses it.
func (g *Guard) reserveApart(ctx context.Context, r quota.Request) (quota.Reservation, error) {
	closed, open := verdict(r.Limits, r.Subject, r.At, func(l *quota.Limit) int64 { return l.Wanted(r.Amounts) })
	if closed != nil {
		g.o.Metrics.LedgerFellBack(quota.UnreachableClosed)
		return quota.Reservation{}, refusal(closed)
	}
	g.mu.Lock()
	a, sc := g.fall(ctx, r.Limits)
	g.seed(r.Subject, sc)
	g.mu.Unlock()

	scaledRequest := r
	scaledRequest.Limits = sc.local
	reservation, err := a.ledger.Reserve(ctx, scaledRequest)
	if err != nil {
		return quota.Reservation{}, err
	}
	reservation.Fallback = quota.UnreachableLocal
	if open {
		reservation.Fallback = quota.UnreachableOpen
	}
	g.hold(r, reservation, modeApart, a.ledger)
	g.o.Metrics.LedgerFellBack(reservation.Fallback)
	return reservation, nil
}

// extendApart has a reservation hold so much without the shared ledger, or refuses to.
func (g *Guard) extendApart(ctx context.Context, h held, to quota.Amounts) (quota.Reservation, error) {
	r, more := h.request, to.Above(h.amounts)
	closed, open := verdict(r.Limits, r.Subject, r.At, func(l *quota.Limit) int64 { return more.In(l.Dimension) })
	switch {
	case closed != nil:
		g.o.Metrics.LedgerFellBack(quota.UnreachableClosed)
		return quota.Reservation{}, refusal(closed)
	case h.mode == modeApart:
		return g.extendLocal(ctx, h, to)
	default:
		return g.extendShared(ctx, h, to, open)
	}
}

// extendLocal adds to what this replica holds on its own. An open limit has nothing to say here.
func (g *Guard) extendLocal(ctx context.Context, h held, to quota.Amounts) (quota.Reservation, error) {
	reservation, err := h.local.Extend(ctx, h.request.ID, to)
	if err != nil {
		return quota.Reservation{}, err
	}
	reservation.Fallback = h.first.Fallback
	g.grow(h.request.ID, reservation.Held, modeApart)
	return reservation, nil
}

// extendShared adds to a reservation that the shared ledger holds and cannot be asked for: what is beyond what that held is
// held here, until the exchange ends and is settled there in full. It is open where a limit lets it pass uncounted.
func (g *Guard) extendShared(ctx context.Context, h held, to quota.Amounts, open bool) (quota.Reservation, error) {
	id := h.request.ID
	g.mu.Lock()
	_, sc := g.fall(ctx, h.request.Limits)
	g.seed(h.request.Subject, sc)
	now := g.live[id]
	if now == nil {
		g.mu.Unlock()
		return quota.Reservation{}, quota.ErrUnknown
	}
	if now.local == nil {
		g.adopt(ctx, now)
	}
	local, total := now.local, now.amounts.AtLeast(to)
	beyond := total.Above(now.base)
	g.mu.Unlock()

	reservation, err := local.Extend(ctx, id, beyond)
	if err != nil {
		return quota.Reservation{}, err
	}
	g.grow(id, total, modeApart)
	fallback := quota.UnreachableLocal
	if open {
		fallback = quota.UnreachableOpen
	}
	g.o.Metrics.LedgerFellBack(fallback)
	// Fallback stays empty: the shared ledger holds the exchange, and is told how it ended.
	return quota.Reservation{ID: id, Admitted: h.first.Admitted, Held: total, Standings: reservation.Standings}, nil
}

// standingsApart gives the limits that count here, as they stand here.
func (g *Guard) standingsApart(
	ctx context.Context, s quota.Subject, limits *quota.LimitSet, at time.Time,
) ([]quota.Standing, error) {
	g.mu.Lock()
	a, sc := g.fall(ctx, limits)
	g.seed(s, sc)
	g.mu.Unlock()
	return a.ledger.Standings(ctx, s, sc.local, at)
}

// rejoin ends counting apart. What is held there stays there until it ends, and a ledger that leaves again at once finds its
// share as used as it was.
func (g *Guard) rejoin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.apart != nil {
		g.apart.left = g.o.Now()
	}
}

// maxStandings bounds what is remembered of counters.
const maxStandings = 200_000

// standings is how counters stood when the shared ledger last told of them.
type standings map[standingKey]known

type standingKey struct{ limit, subject string }

type known struct {
	used  int64
	at    time.Time
	until time.Time // the window's end; zero where it has none
}

func keyOf(l *quota.Limit, s quota.Subject) standingKey {
	k := standingKey{limit: l.ID}
	switch l.Scope {
	case quota.ScopeTeam:
		k.subject = s.Team
	case quota.ScopeUser:
		k.subject = s.User
	case quota.ScopeApp:
		k.subject = s.App
	case quota.ScopeEveryone:
	}
	return k
}

func (all standings) learn(s quota.Subject, list []quota.Standing, now time.Time) {
	for i := range list {
		l := list[i].Limit
		if l.Dimension == quota.DimensionConcurrency || l.WhenUnreachable() != quota.UnreachableLocal {
			continue
		}
		key := keyOf(l, s)
		if _, ok := all[key]; !ok && len(all) >= maxStandings {
			for some := range all { // any one: they are all equally unlikely to be needed
				delete(all, some)
				break
			}
		}
		all[key] = known{list[i].Used, now, list[i].Reset}
	}
}

func (g *Guard) learn(s quota.Subject, one quota.Standing) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known.learn(s, []quota.Standing{one}, g.o.Now())
}

// tidy forgets counters whose window has passed.
func (all standings) tidy(now time.Time) {
	for key, k := range all {
		if !k.until.IsZero() && now.After(k.until.Add(time.Minute)) {
			delete(all, key)
		}
	}
}
