package redis_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/quota/quotatest"
	"github.com/plumbline/plumbline/internal/quota/quotatest/opinion"
	"github.com/plumbline/plumbline/internal/quota/redis"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

func TestMain(m *testing.M) {
	// A client that found its server away looks for it once a second, and sees that it was closed when it wakes up.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

func TestConformance(t *testing.T) {
	server := redisproc.Start(t)
	conform(t, redis.Options{Addrs: []string{server.Addr}}, func() { server.Do(t, "flushall") })
}

func TestConformanceOnACluster(t *testing.T) {
	cluster := redisproc.StartCluster(t, 3)
	conform(t, redis.Options{Addrs: cluster.Addrs(), Cluster: true}, func() {
		for _, node := range cluster.Nodes {
			node.Do(t, "flushall")
		}
	})
}

// The whole of the combinations takes some ten thousand ledgers, so the short run leaves them to the one in memory.
func TestCombinations(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	quotatest.Combinations(t, opener(t))
}

func TestLimitsThatChangeInFlight(t *testing.T) { quotatest.Changes(t, opener(t)) }

func TestSecondOpinion(t *testing.T) { opinion.Run(t, opener(t)) }

// opener opens ledgers of one server.
func opener(t *testing.T) quotatest.Open {
	server := redisproc.Start(t)
	return openOn(t, redis.Options{Addrs: []string{server.Addr}}, func() { server.Do(t, "flushall") })
}

// conform runs the suite on ledgers of one server.
func conform(t *testing.T, o redis.Options, flush func()) {
	quotatest.Run(t, openOn(t, o, flush))
}

// openOn opens ledgers of one server, which is emptied before each.
func openOn(t *testing.T, o redis.Options, flush func()) quotatest.Open {
	var last *redis.Ledger
	closeLast := func() {
		if last != nil {
			_ = last.Close()
		}
	}
	t.Cleanup(closeLast)
	return func(tb testing.TB, now func() time.Time) quotatest.Ledger {
		closeLast()
		flush()
		o.Now, o.Lease = now, quotatest.Lease
		l, err := redis.New(o)
		if err != nil {
			tb.Fatal(err)
		}
		last = l
		if _, err := l.Bind(context.Background()); err != nil {
			tb.Fatal(err)
		}
		return l
	}
}
