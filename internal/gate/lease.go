package gate

import (
	"sync"
	"sync/atomic"

	"github.com/plumbline/plumbline/internal/quota"
)

// lease is what others than its front end see of an exchange that holds something.
type lease struct {
	ended     <-chan struct{} // of the context that the exchange was opened with
	input     int64           // tokens held for the input, set before forwarded is
	forwarded atomic.Bool
	delivered atomic.Int64 // tokens of the output, by the cheap bound
}

// leases are the exchanges that hold something and are not closed.
type leases struct {
	mu   sync.Mutex
	live map[*Exchange]struct{}
}

func (l *leases) add(x *Exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live[x] = struct{}{}
}

func (l *leases) remove(x *Exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.live, x)
}

// current drops the exchanges whose context has ended, and gives the others.
func (l *leases) current() []*Exchange {
	l.mu.Lock()
	defer l.mu.Unlock()
	current := make([]*Exchange, 0, len(l.live))
	for x := range l.live {
		select {
		case <-x.hold.lease.ended:
			delete(l.live, x)
		default:
			current = append(current, x)
		}
	}
	return current
}

// Live says what each exchange that may hold something has used so far, for whoever renews the leases of its reservations.
// An exchange is left out once it is closed, or once the context that it was opened with has ended: Close is then due
// within CloseTimeout, or will never come.
func (g *Gate) Live() []quota.Progress {
	exchanges := g.leases.current()
	live := make([]quota.Progress, len(exchanges))
	for i, x := range exchanges {
		live[i] = x.progress()
	}
	return live
}

// progress is nothing before the request is forwarded; then its input, and as much output as was delivered. It is never
// more than what is held.
func (x *Exchange) progress() quota.Progress {
	p := quota.Progress{ID: x.id}
	if l := &x.hold.lease; l.forwarded.Load() {
		output := l.delivered.Load()
		p.Used = quota.Amounts{Requests: 1, InputTokens: l.input, OutputTokens: output, Cost: x.cost(l.input, output)}
	}
	return p
}
