package redis_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/quota/quotatest"
	"github.com/plumbline/plumbline/internal/quota/redis"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

// conform runs the suite on ledgers of one server, which is emptied before each.
func conform(t *testing.T, o redis.Options, flush func()) {
	var last *redis.Ledger
	closeLast := func() {
		if last != nil {
			_ = last.Close()
		}
	}
	t.Cleanup(closeLast)
	quotatest.Run(t, func(tb testing.TB, now func() time.Time) quotatest.Ledger {
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
	})
}
