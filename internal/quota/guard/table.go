package guard

import (
	"context"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
)

// enter notes an exchange before anybody is asked for it, so that there is no moment at which something is held that
// nobody knows. ok says that it is held already, with the first result.
func (g *Guard) enter(r quota.Request) (first quota.Reservation, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.live[r.ID]
	if h == nil {
		h = &held{request: r, seen: g.o.Now()}
		g.live[r.ID] = h
	}
	return h.first, h.mode != modeAsking
}

// hold notes who holds an exchange.
func (g *Guard) hold(r quota.Request, first quota.Reservation, by mode, local *memory.Ledger) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := &held{request: r, first: first, amounts: first.Held, mode: by, local: local, seen: g.o.Now()}
	g.live[r.ID] = h
	switch by {
	case modeShared:
		h.shared = first.Held
		g.known.learn(r.Subject, first.Standings, g.o.Now())
	case modeApart:
		g.unbooked = true
	case modeAsking:
	}
}

func (g *Guard) find(id string) (held, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if h := g.live[id]; h != nil {
		return *h, true
	}
	return held{}, false
}

// grow notes how much an exchange holds, and by whom. It is never less than before: answers can come in another order.
func (g *Guard) grow(id string, amounts quota.Amounts, by mode) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := g.live[id]
	if h == nil {
		return
	}
	h.amounts = h.amounts.AtLeast(amounts)
	if by == modeShared {
		h.shared = h.shared.AtLeast(amounts)
	}
}

// leave forgets exchanges.
func (g *Guard) leave(ids ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range ids {
		delete(g.live, id)
	}
}

// let forgets an exchange that the shared ledger holds, and lets go of what it took more without it.
func (g *Guard) let(ctx context.Context, id string) {
	g.mu.Lock()
	h := g.live[id]
	delete(g.live, id)
	g.mu.Unlock()
	if h != nil && h.local != nil {
		_ = h.local.Void(ctx, id) // unknown when its lease ended
	}
}

// owe forgets an exchange whose end the shared ledger was not told.
func (g *Guard) owe(ctx context.Context, id string) {
	g.let(ctx, id)
	g.owed.Store(true)
}

// touched notes progress and says whom to tell of it.
func (g *Guard) touched(progress []quota.Progress) (shared []quota.Progress, local map[*memory.Ledger][]quota.Progress) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range progress {
		h := g.live[p.ID]
		if h == nil || h.mode != modeApart {
			shared = append(shared, p)
		}
		if h == nil {
			continue
		}
		h.progress, h.seen = p.Used, g.o.Now()
		if h.local != nil {
			if local == nil {
				local = map[*memory.Ledger][]quota.Progress{}
			}
			local[h.local] = append(local[h.local], p)
		}
	}
	return shared, local
}

// forgetAfter is how long an exchange is known that nobody touches. It is longer than any lease.
const forgetAfter = 2 * time.Minute

// expireLocal ends what is held here and was not touched, and forgets exchanges that nobody will close. One that is closed
// after all has its record, which is what is booked.
func (g *Guard) expireLocal(ctx context.Context, now time.Time) ([]string, error) {
	g.mu.Lock()
	ledgers := map[*memory.Ledger]struct{}{}
	for id, h := range g.live {
		if h.local != nil {
			ledgers[h.local] = struct{}{}
		}
		if now.Sub(h.seen) > forgetAfter {
			delete(g.live, id)
			g.owed.Store(true)
			g.unbooked = true
		}
	}
	g.mu.Unlock()
	var ids []string
	for ledger := range ledgers {
		expired, err := ledger.Expire(ctx, now)
		if err != nil {
			return ids, err
		}
		ids = append(ids, expired...)
	}
	return ids, nil
}

// Pending gives how many exchanges hold something through this replica.
func (g *Guard) Pending() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.live)
}

// ReservedTokens is how many tokens they hold.
func (g *Guard) ReservedTokens() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	var sum int64
	for _, h := range g.live {
		sum += h.amounts.InputTokens + h.amounts.OutputTokens
	}
	return sum
}

// Overruns gives how many exchanges were settled above what they held.
func (g *Guard) Overruns() uint64 { return g.overruns.Load() }
