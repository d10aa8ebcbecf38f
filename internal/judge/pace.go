package judge

import (
	"context"
	"sync"
	"time"

	"github.com/plumbline/plumbline/internal/wait"
)

// pace spreads requests evenly: no two begin within gap.
type pace struct {
	gap  time.Duration
	mu   sync.Mutex
	next time.Time
}

// wait waits for the next turn. A turn that ctx did not wait for is lost.
func (p *pace) wait(ctx context.Context) error {
	p.mu.Lock()
	now := time.Now()
	at := now
	if p.next.After(now) {
		at = p.next
	}
	if end, ok := ctx.Deadline(); ok && at.After(end) { // a turn that would not come in time is left to others
		p.mu.Unlock()
		return context.DeadlineExceeded
	}
	p.next = at.Add(p.gap)
	p.mu.Unlock()
	return wait.For(ctx, at.Sub(now))
}
