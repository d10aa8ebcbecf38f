package redis_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/redis"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

// eight gives eight limits that all match, as the memory ledger's benchmark has them.
func eight(t testing.TB) *quota.LimitSet {
	var limits []quota.Limit
	for _, w := range []quota.Window{quota.WindowMinute, quota.WindowHour, quota.WindowDay, quota.WindowWeek, quota.WindowMonth} {
		limits = append(limits, quota.Limit{
			ID: string(w), Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: w, Value: quota.MaxValue,
		})
	}
	limits = append(limits,
		quota.Limit{ID: "none", Scope: quota.ScopeUser, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 1000},
		quota.Limit{ID: "rpm", Scope: quota.ScopeUser, Dimension: quota.DimensionRequests, Window: quota.WindowMinute, Value: quota.MaxValue},
		quota.Limit{ID: "cost", Scope: quota.ScopeTeam, Dimension: quota.DimensionCost, Window: quota.WindowMonth, Value: quota.MaxValue, Zone: "Europe/Berlin"})
	set, err := quota.Compile(limits)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// pairs makes exchanges of 1,000 people.
type pairs struct {
	ledger *redis.Ledger
	limits *quota.LimitSet
	next   atomic.Int64
}

func newPairs(b *testing.B, o redis.Options) *pairs {
	l, err := redis.New(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	if _, err := l.Bind(context.Background()); err != nil {
		b.Fatal(err)
	}
	return &pairs{ledger: l, limits: eight(b)}
}

func (p *pairs) one(ctx context.Context) error {
	i := p.next.Add(1)
	id := fmt.Sprintf("0199c3d2-7e1a-7000-8000-%012d", i)
	_, err := p.ledger.Reserve(ctx, quota.Request{
		ID: id, Limits: p.limits,
		Subject: quota.Subject{User: fmt.Sprint("user-", i%1000), Team: fmt.Sprint("team-", i%20), Model: "gpt-5"},
		Amounts: quota.Amounts{Requests: 1, InputTokens: 500, OutputTokens: 1024, Cost: 5000},
	})
	if err != nil {
		return err
	}
	_, err = p.ledger.Settle(ctx, id, quota.Amounts{Requests: 1, InputTokens: 400, OutputTokens: 200, Cost: 900})
	return err
}

// BenchmarkReserveSettle is as many exchanges as go through, of 128 callers.
func BenchmarkReserveSettle(b *testing.B) {
	server := redisproc.Start(b)
	p := newPairs(b, redis.Options{Addrs: []string{server.Addr}, Book: "bench"})
	const callers = 128
	var left atomic.Int64
	left.Store(int64(b.N))
	var done sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range callers {
		done.Go(func() {
			for left.Add(-1) >= 0 {
				if err := p.one(context.Background()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	done.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
	info := server.Do(b, "info", "everything")
	pairs := float64(b.N)
	b.ReportMetric(field(b, info, "cmdstat_fcall:calls=", "usec=")/pairs, "lua-µs/pair")
	b.ReportMetric((field(b, info, "used_cpu_user:", "")+field(b, info, "used_cpu_sys:", ""))*1e6/pairs, "server-µs/pair")
}

// field reads a number of INFO, which stands on the line that begins so, behind a word.
func field(b *testing.B, info any, line, word string) float64 {
	for text := range strings.Lines(fmt.Sprint(info)) {
		if rest, ok := strings.CutPrefix(text, line); ok {
			_, number, _ := strings.Cut(rest, word)
			end := strings.IndexFunc(number, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
			v, err := strconv.ParseFloat(number[:end], 64)
			if err != nil {
				b.Fatal(err)
			}
			return v
		}
	}
	b.Fatalf("INFO has no %s", line)
	return 0
}

// BenchmarkLatency is 2,000 exchanges a second at random moments beside as many bare calls of an empty script, and what
// each takes.
func BenchmarkLatency(b *testing.B) {
	const rate = 2000
	server := redisproc.Start(b)
	p := newPairs(b, redis.Options{Addrs: []string{server.Addr}, Book: "bench"})
	bare := server.Client()
	defer func() { _ = bare.Close() }()
	empty := goredis.NewScript("return 0")
	if err := empty.Load(context.Background(), bare).Err(); err != nil {
		b.Fatal(err)
	}
	alternate := [...]func(context.Context) error{
		p.one,
		func(ctx context.Context) error { return empty.EvalSha(ctx, bare, []string{"{plumbline}:x"}).Err() },
	}
	var mu sync.Mutex
	var took [len(alternate)][]time.Duration
	var done sync.WaitGroup
	start := time.Now()
	for i := range b.N {
		<-time.After(time.Until(start.Add(time.Duration(i) * time.Second / rate)))
		for kind, do := range alternate {
			done.Go(func() {
				began := time.Now()
				if err := do(context.Background()); err != nil {
					b.Error(err)
				}
				d := time.Since(began)
				mu.Lock()
				took[kind] = append(took[kind], d)
				mu.Unlock()
			})
		}
	}
	done.Wait()
	for kind, name := range []string{"pair", "empty"} {
		slices.Sort(took[kind])
		n := len(took[kind])
		b.ReportMetric(float64(took[kind][n/2].Microseconds()), name+"-p50-µs")
		b.ReportMetric(float64(took[kind][n*99/100].Microseconds()), name+"-p99-µs")
	}
}
