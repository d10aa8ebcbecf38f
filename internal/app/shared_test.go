package app

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/guard"
	"github.com/plumbline/plumbline/internal/telemetry"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
	"github.com/plumbline/plumbline/internal/wait"
)

// node is one replica's ledger with its records, without a gate.
type node struct {
	guard  *guard.Guard
	shared sharedLedger
	log    *audit.Log
	limits *quota.LimitSet
	wanted atomic.Pointer[quota.LimitSet] // those, but for tests that set others
	now    func() time.Time
	stop   context.CancelFunc
	done   chan error
}

var nodeLimits = []quota.Limit{
	{ID: "tokens", Scope: quota.ScopeEveryone, Dimension: quota.DimensionTokens, Window: quota.WindowMonth, Value: 1 << 40},
	{ID: "money", Scope: quota.ScopeUser, Dimension: quota.DimensionCost, Window: quota.WindowMonth, Value: 1 << 40},
	{ID: "calls", Scope: quota.ScopeUser, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 1000},
}

// nodeSetup says how a node differs from the ordinary one.
type nodeSetup struct {
	redis   config.Redis
	dir     string
	limits  []quota.Limit
	wrap    func(guard.Shared) guard.Shared // what the guard is given in place of the ledger
	metrics guard.Metrics
	now     func() time.Time
	// deadline is that of a decision, the ordinary one if zero.
	deadline time.Duration
}

// startNode opens the records in a directory, and closes what an earlier node left open there.
func startNode(t *testing.T, address, dir string) *node {
	t.Helper()
	c := config.Default().Redis
	c.Addresses = []string{address}
	return openNode(t, nodeSetup{redis: c, dir: dir})
}

// openNode is startNode with more to say.
func openNode(t testing.TB, s nodeSetup) *node {
	t.Helper()
	if s.limits == nil {
		s.limits = nodeLimits
	}
	if s.metrics == nil {
		s.metrics = guardMetrics{telemetry.New(prometheus.NewRegistry(), telemetry.Build{}, nil)}
	}
	limits, err := quota.Compile(s.limits)
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(t.Context(), audit.Options{Path: filepath.Join(s.dir, "audit.db"), Durability: audit.CrashSafe, Journal: 4 << 20, Ballast: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	book, err := log.Name(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := OpenRedis(s.redis, book)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{shared: sharedLedger{ledger}, log: log, limits: limits, now: s.now, done: make(chan error, 1)}
	if n.now == nil {
		n.now = time.Now
	}
	n.wanted.Store(limits)
	shared := guard.Shared(n.shared)
	if s.wrap != nil {
		shared = s.wrap(shared)
	}
	n.guard = guard.New(guard.Options{
		Shared: shared, Records: bookOf{log}, Limits: n.wanted.Load, Metrics: s.metrics,
		Deadline: s.deadline, Now: n.now, Log: slog.New(slog.DiscardHandler),
	})
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	go func() { n.done <- n.guard.Run(ctx) }()
	t.Cleanup(n.end)
	return n
}

// end stops the node as a kill does: what it held stays held, what it owed stays owed.
func (n *node) end() {
	if n.stop == nil {
		return
	}
	n.stop()
	<-n.done
	n.stop = nil
	_ = n.shared.Close()
	_ = n.log.Close(context.Background())
}

// exchange runs one exchange to its end; with abandoned it stops after the intent. What costs nothing is admitted without
// the shared ledger too.
func (n *node) exchange(ctx context.Context, id string, cost core.MicroUSD, abandoned bool) error {
	r, err := n.begin(ctx, "ann", id, cost)
	if err != nil || abandoned {
		return err
	}
	return n.finish(ctx, "ann", r, cost)
}

// begin admits an exchange of a user and records its intent.
func (n *node) begin(ctx context.Context, user, id string, cost core.MicroUSD) (quota.Reservation, error) {
	s := quota.Subject{User: user, Model: "m"}
	r, err := n.guard.Reserve(ctx, quota.Request{
		ID: id, Subject: s, Limits: n.limits, At: n.now(), Amounts: quota.Amounts{Requests: 1, OutputTokens: 100, Cost: 2 * cost},
	})
	if err != nil {
		return quota.Reservation{}, err
	}
	held := r.Held.Charge(r.Admitted)
	rec := n.record(user, r)
	rec.Kind, rec.Reserved = core.RecordIntent, &held
	return r, n.log.Append(ctx, rec)
}

// finish records what an exchange used, and settles.
func (n *node) finish(ctx context.Context, user string, r quota.Reservation, cost core.MicroUSD) error {
	used := quota.Amounts{Requests: 1, OutputTokens: 40, Cost: cost}
	charge := used.Charge(r.Admitted)
	rec := n.record(user, r)
	rec.Kind, rec.Settled = core.RecordOutcome, &charge
	if err := n.log.Append(ctx, rec); err != nil {
		return err
	}
	_, err := n.guard.Settle(ctx, r.ID, used)
	return err
}

func (n *node) record(user string, r quota.Reservation) core.Record {
	return core.Record{
		Time: n.now(), Exchange: r.ID, Principal: core.Principal{User: user}, Model: "m", Fallback: string(r.Fallback),
	}
}

// TestSharedLedgerSurvives runs three replicas on one real Redis under load and does something to it, or to one of them. When
// all is well again nothing is pending, and what is posted is the sum of the records.
func TestSharedLedgerSurvives(t *testing.T) {
	for name, fault := range map[string]func(*testing.T, *redisproc.Server, func(after int)){
		"a pause": func(_ *testing.T, s *redisproc.Server, progress func(int)) {
			s.Pause()
			progress(300)
			s.Resume()
		},
		"a restart that loses everything": func(t *testing.T, s *redisproc.Server, progress func(int)) {
			s.Kill()
			progress(300)
			s.Restart(t)
		},
		"FLUSHALL": func(t *testing.T, s *redisproc.Server, progress func(int)) {
			progress(100)
			s.Do(t, "FLUSHALL")
			progress(300)
			s.Do(t, "FLUSHALL")
		},
		"cut connections": func(t *testing.T, s *redisproc.Server, progress func(int)) {
			for range 5 {
				s.Do(t, "CLIENT", "KILL", "TYPE", "normal")
				progress(100)
			}
		},
		"a demotion to a read-only replica, and a promotion": func(t *testing.T, s *redisproc.Server, progress func(int)) {
			s.Do(t, "REPLICAOF", "127.0.0.1", "1") // of nobody
			progress(300)
			s.Do(t, "REPLICAOF", "NO", "ONE") // with another master_replid
		},
		"no memory": func(t *testing.T, s *redisproc.Server, progress func(int)) {
			s.Do(t, "CONFIG", "SET", "maxmemory", "1mb")
			progress(300)
			s.Do(t, "CONFIG", "SET", "maxmemory", "0")
		},
		"a foreign key in place of the epoch": func(t *testing.T, s *redisproc.Server, progress func(int)) {
			replaced(t, s, "{plumbline}:3:epoch", progress)
		},
		"a foreign key in place of the books": func(t *testing.T, s *redisproc.Server, progress func(int)) {
			replaced(t, s, "{plumbline}:3:books", progress)
		},
		"another password": func(t *testing.T, s *redisproc.Server, progress func(int)) {
			client := s.Client()
			defer client.Close()
			conn := client.Conn() // which stays let in
			defer conn.Close()
			for _, command := range [][]any{
				{"CONFIG", "SET", "requirepass", "other"}, {"CLIENT", "KILL", "TYPE", "normal"}, nil, {"CONFIG", "SET", "requirepass", ""},
			} {
				if command == nil {
					progress(300)
				} else if err := conn.Do(t.Context(), command...).Err(); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := redisproc.Start(t)
			dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
			var nodes []*node
			for _, dir := range dirs {
				nodes = append(nodes, startNode(t, server.Addr, dir))
			}
			for _, n := range nodes {
				awaitNode(t, n)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var ended, admitted atomic.Int64
			moved := make(chan struct{}, 1)
			var load sync.WaitGroup
			for i, n := range nodes {
				for w := range 2 {
					load.Go(func() {
						for k := 0; ctx.Err() == nil; k++ {
							if err := n.exchange(context.Background(), fmt.Sprintf("%d-%d-%d", i, w, k), core.MicroUSD(w*4), k%50 == 49); err == nil {
								admitted.Add(1)
							}
							ended.Add(1)
							select {
							case moved <- struct{}{}:
							default:
							}
						}
					})
				}
			}
			progress := func(more int) {
				for until := ended.Load() + int64(more); ended.Load() < until; {
					<-moved
				}
			}
			progress(100)
			fault(t, server, progress)
			for _, n := range nodes {
				awaitServing(t, n)
			}
			progress(100)
			stop()
			load.Wait()
			// The first one dies, and comes back on its records.
			nodes[0].end()
			nodes[0] = startNode(t, server.Addr, dirs[0])
			for _, n := range nodes[1:] { // what they abandoned ends like that of a dead process
				n.end()
			}
			for i := range nodes[1:] {
				nodes[i+1] = startNode(t, server.Addr, dirs[i+1])
			}
			agree(t, nodes)
			t.Logf("%d exchanges, %d of them admitted", ended.Load(), admitted.Load())
		})
	}
}

// replaced has somebody else's list stand where a key of Plumbline's was, for a while.
func replaced(t *testing.T, s *redisproc.Server, key string, progress func(int)) {
	t.Helper()
	s.Do(t, "EVAL", "redis.call('DEL', KEYS[1]) redis.call('RPUSH', KEYS[1], 'theirs')", 1, key)
	progress(300)
	if got := s.Do(t, "LRANGE", key, 0, -1); fmt.Sprint(got) != "[theirs]" {
		t.Errorf("the foreign key holds %v", got)
	}
	s.Do(t, "DEL", key)
}

// awaitNode waits until a node first serves with the shared ledger.
func awaitNode(t *testing.T, n *node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	if err := n.guard.Await(ctx); err != nil {
		t.Fatal("the shared ledger was not found")
	}
}

// awaitServing waits until money, which is closed without the ledger, is admitted.
func awaitServing(t *testing.T, n *node) {
	t.Helper()
	eventually(t, "money is still closed", func() bool {
		id := fmt.Sprint("probe-", time.Now().UnixNano())
		return n.exchange(t.Context(), id, 4, false) == nil
	})
}

// eventually asks again until it is so: a real server has no clock of a test's.
func eventually(t *testing.T, otherwise string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatal(otherwise)
		}
		if wait.For(t.Context(), 20*time.Millisecond) != nil {
			t.Fatal(otherwise)
		}
	}
}

// agree waits until nothing is pending, and compares what is posted with the records.
func agree(t *testing.T, nodes []*node) {
	t.Helper()
	var posted, want [2]int64
	same := func() bool {
		want = [2]int64{}
		for _, n := range nodes {
			err := n.log.Charges(t.Context(), audit.ChargesQuery{}, func(c audit.Charged) error {
				want[0] += c.Charge.InputTokens + c.Charge.OutputTokens
				want[1] += int64(c.Charge.Cost)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		pending, err := nodes[0].shared.Pending(t.Context())
		if err != nil || pending != 0 {
			return false
		}
		s, err := nodes[0].shared.Standings(t.Context(), quota.Subject{User: "ann", Model: "m"}, nodes[0].limits, time.Time{})
		if err != nil {
			return false
		}
		posted = [2]int64{s[0].Posted, s[1].Posted}
		return posted == want
	}
	for deadline := time.Now().Add(45 * time.Second); !same(); {
		if time.Now().After(deadline) {
			pending, err := nodes[0].shared.Pending(t.Context())
			t.Fatalf("posted %v, the records say %v; %d pending, %v", posted, want, pending, err)
		}
		if err := wait.For(t.Context(), 50*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}
