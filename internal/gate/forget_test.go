package gate

import "testing"

// An exchange that nobody closes is not kept in memory for good.
func TestWhoIsGoneIsForgotten(t *testing.T) {
	g := &Gate{leases: leases{live: map[*Exchange]struct{}{}}}
	x, ended := new(Exchange), make(chan struct{})
	x.hold.lease.ended = ended
	g.leases.add(x)
	if n := len(g.Live()); n != 1 {
		t.Errorf("%d live, want 1", n)
	}
	close(ended)
	if n := len(g.Live()); n != 0 || len(g.leases.live) != 0 {
		t.Errorf("%d live and %d kept, want none", n, len(g.leases.live))
	}
}
