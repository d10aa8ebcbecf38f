package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/redis"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

// pair is a primary and its replica, with a proxy between them and one in front.
type pair struct {
	primary, replica *redisproc.Server
	link, front      *redisproc.Proxy
	nodes            []*node
}

// startPair starts both, and two nodes that count in the primary.
func startPair(t *testing.T, args ...string) *pair {
	t.Helper()
	p := &pair{primary: redisproc.StartTCP(t, args...)}
	p.link = redisproc.NewProxy(t, p.primary.Addr)
	host, port, _ := net.SplitHostPort(p.link.Addr)
	p.replica = redisproc.StartTCP(t, "--replicaof", host, port, "--repl-diskless-sync-delay", "0")
	p.front = redisproc.NewProxy(t, p.primary.Addr)
	eventually(t, "the replica does not follow", func() bool {
		return p.said(t, p.replica, "master_link_status:up") && p.said(t, p.primary, "state=online")
	})
	for range 2 {
		c := config.Default().Redis
		c.Addresses = []string{p.front.Addr}
		n := openNode(t, nodeSetup{redis: c, dir: t.TempDir(), limits: outageLimits})
		p.nodes = append(p.nodes, n)
	}
	for _, n := range p.nodes {
		awaitNode(t, n)
	}
	return p
}

// said reports whether a server says so of its replication.
func (p *pair) said(t *testing.T, s *redisproc.Server, what string) bool {
	t.Helper()
	return strings.Contains(fmt.Sprint(s.Do(t, "info", "replication")), what)
}

// failOver kills the primary with what its replica was not sent, and makes that the primary.
func (p *pair) failOver(t *testing.T) {
	t.Helper()
	p.primary.Kill()
	p.link.Cut() // with what it holds
	p.replica.Do(t, "replicaof", "no", "one")
	p.front.To(p.replica.Addr)
	p.front.Cut()
}

// spend runs exchanges to their end on both nodes and gives how many were admitted.
func (p *pair) spend(t *testing.T, name string, n int) (admitted int) {
	t.Helper()
	for i := range n {
		if err := p.nodes[i%len(p.nodes)].exchange(t.Context(), fmt.Sprint(name, "-", i), 4, false); err == nil {
			admitted++
		}
	}
	return admitted
}

// postedIn gives what ann was charged in an epoch, as a server has it.
func postedIn(t *testing.T, s *redisproc.Server, epoch redis.Epoch, limits *quota.LimitSet) int64 {
	t.Helper()
	posted, err := readPosted(s, epoch, limits)
	if err != nil {
		t.Fatal(err)
	}
	return posted
}

// readPosted fails on a replica that was not sent the functions yet: it takes none from anybody else.
func readPosted(s *redisproc.Server, epoch redis.Epoch, limits *quota.LimitSet) (int64, error) {
	l, err := redis.New(redis.Options{Addrs: []string{s.Addr}, Book: "a-reader"})
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	l.Adopt(epoch)
	all, err := l.Standings(context.Background(), quota.Subject{User: "ann", Model: "m"}, limits, time.Time{})
	if err != nil {
		return 0, err
	}
	return all[0].Posted, nil
}

// wantRebuilt checks that another epoch than before is in force, which began on the new primary, and that nothing drifts.
func (p *pair) wantRebuilt(t *testing.T, before redis.Epoch) {
	t.Helper()
	for _, n := range p.nodes {
		awaitServing(t, n)
	}
	wantNoDrift(t, p.nodes...)
	pulse, err := p.nodes[0].shared.Ledger.Heartbeat(t.Context())
	if err != nil || pulse.Lost() || pulse.Epoch.ID == before.ID || pulse.Epoch.ReplID == before.ReplID {
		t.Errorf("in force is %+v after %+v, %v", pulse, before, err)
	}
}

// TestFailoverThatLosesWrites has a replica take over that was not sent the last writes: the counters lack them, a new epoch
// begins because master_replid is another one, and the records bring all of them back.
func TestFailoverThatLosesWrites(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	const each = 4
	kept := p.spend(t, "replicated", 20)
	old := p.nodes[0].shared.Epoch()
	eventually(t, "the replica has not all of it", func() bool {
		posted, err := readPosted(p.replica, old, p.nodes[0].limits)
		return err == nil && posted == int64(kept*each)
	})
	p.link.Hold()
	lost := p.spend(t, "lost", 30)
	open, err := p.nodes[0].begin(t.Context(), "ann", "in flight", 4)
	if err != nil {
		t.Fatal(err)
	}
	if posted := postedIn(t, p.primary, old, p.nodes[0].limits); posted != int64((kept+lost)*each) {
		t.Fatalf("the primary has %d, want %d", posted, (kept+lost)*each)
	}
	p.failOver(t)
	if posted := postedIn(t, p.replica, old, p.nodes[0].limits); posted != int64(kept*each) || lost != 30 {
		t.Fatalf("the new primary has %d, want %d: no write was lost, and nothing is proven", posted, kept*each)
	}
	eventually(t, "money is still closed", func() bool {
		return p.nodes[0].exchange(t.Context(), fmt.Sprint("back-", time.Now().UnixNano()), 4, false) == nil
	})
	// Until the failover is seen the new primary is asked in the old epoch, in which it lacks the hold. The record has the charge.
	if err := p.nodes[0].finish(t.Context(), "ann", open, 4); err != nil && !errors.Is(err, quota.ErrUnknown) {
		t.Error(err)
	}
	p.wantRebuilt(t, old)
}

// TestFailoverWithReplicasInStep has a primary that takes writes only while its replica is in step: once that is not, money is
// refused, and what the failover loses is what was admitted until then. The records bring it back all the same.
func TestFailoverWithReplicasInStep(t *testing.T) {
	t.Parallel()
	p := startPair(t, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "1")
	p.spend(t, "in step", 20)
	old := p.nodes[0].shared.Epoch()
	p.link.Hold()
	eventually(t, "the primary still takes writes", func() bool { return p.said(t, p.primary, "min_slaves_good_slaves:0") })
	for _, n := range p.nodes {
		var err error
		eventually(t, "money is not closed", func() bool {
			err = n.exchange(t.Context(), fmt.Sprint("out of step-", time.Now().UnixNano()), 4, false)
			return err != nil
		})
		if core.AsError(err).Reason != core.ReasonQuotaUnavailable {
			t.Errorf("got %v", err)
		}
	}
	_, err := p.nodes[0].shared.Ledger.Reserve(t.Context(), quota.Request{
		ID: "asked past the guard", Subject: quota.Subject{User: "ann"}, Limits: p.nodes[0].limits, Amounts: quota.Amounts{Cost: 1},
	})
	if err == nil || !strings.Contains(err.Error(), "min-replicas-to-write") {
		t.Errorf("Reserve = %v, want an error that says what to see to", err)
	}
	admitted := p.spend(t, "refused", 20)
	if admitted != 0 {
		t.Errorf("%d of 20 calls under a money limit were admitted", admitted)
	}
	p.failOver(t)
	p.replica.Do(t, "config", "set", "min-replicas-to-write", "0") // it has none
	p.wantRebuilt(t, old)
}
