package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// kept is a gate whose leases are kept, on the clock of a synctest bubble.
type kept struct {
	*gatetest.World
	keeper   *keeper
	registry *prometheus.Registry
	log      *bytes.Buffer
	// hangUp ends the context of the callers.
	ctx    context.Context
	hangUp context.CancelFunc
}

// keeping runs a test with a keeper that keeps leases. ledger may put another in front of the keeper's.
func keeping(t *testing.T, ledger func(quota.Ledger) quota.Ledger, test func(*testing.T, *kept)) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{registry: prometheus.NewRegistry(), log: new(bytes.Buffer)}
		metrics := telemetry.New(k.registry, telemetry.Build{}, nil)
		k.World = gatetest.New(t, gatetest.Options{
			Limits: []quota.Limit{{
				ID: "tokens", Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: quota.WindowMonth, Value: 1e9,
			}},
			Change: func(o *gate.Options) { o.Metrics = metrics },
		})
		k.keeper = &keeper{
			ledger: k.Ledger, live: k.Gate.Live, interval: keepInterval,
			metrics: metrics, log: slog.New(slog.NewTextHandler(k.log, nil)),
		}
		if ledger != nil {
			k.keeper.ledger = ledger(k.Ledger)
		}
		k.ctx, k.hangUp = context.WithCancel(t.Context())
		defer k.hangUp()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.keeper.run(ctx) }()
		test(t, k)
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	})
}

// after lets time pass, and the keeper do what is due.
func after(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the clock of the bubble
	synctest.Wait()
}

// stream opens a stream that was answered with some text.
func (k *kept) stream(t *testing.T) *gate.Exchange {
	t.Helper()
	x, reply := k.Gate.Open(k.ctx, gate.Head{
		Method: "POST", Path: "/v1/chat/completions", Authorization: []string{gatetest.Credential},
		ContentType: "application/json", ContentLength: -1,
	})
	if reply != nil {
		t.Fatalf("refused: %s", reply.Body)
	}
	const body = `{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Sum up the open tickets."}]}`
	if _, reply := x.Admit(k.ctx, []byte(body)); reply != nil {
		t.Fatalf("refused: %s", reply.Body)
	}
	if _, reply := x.ObserveHead(k.ctx, gate.AnswerHead{Status: 200, ContentType: "text/event-stream"}, false); reply != nil {
		t.Fatalf("replaced: %s", reply.Body)
	}
	k.say(t, x, "All is well")
	return x
}

func (k *kept) say(t *testing.T, x *gate.Exchange, text string) {
	t.Helper()
	event := fmt.Appendf(nil, `data: {"choices":[{"index":0,"delta":{"content":%q}}]}`+"\n\n", text)
	if p, err := x.ObserveBody(k.ctx, event, false); err != nil || p.Replace {
		t.Fatalf("a piece did not pass: %s %v", p.Body, err)
	}
}

func (k *kept) used(t *testing.T) int64 {
	t.Helper()
	s, err := k.Ledger.Standings(t.Context(), quota.Subject{User: gatetest.User}, k.Limits(), time.Now())
	if err != nil || len(s) != 1 {
		t.Fatalf("standings %v, %v", s, err)
	}
	return s[0].Used
}

func (k *kept) expired(t *testing.T) float64 {
	t.Helper()
	return counterOf(t, k.registry, "plumbline_quota_expired_total")
}

// counterOf sums the series of a counter.
func counterOf(t *testing.T, registry prometheus.Gatherer, family string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == family {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// A stream keeps its reservation for as long as its caller is there, whether or not it says anything.
func TestALongStreamKeepsItsReservation(t *testing.T) {
	for name, every := range map[string]time.Duration{"that is slow": time.Minute, "that is silent": 30 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			keeping(t, nil, func(t *testing.T, k *kept) {
				x := k.stream(t)
				for range 30 * time.Minute / every {
					after(every)
					k.say(t, x, " and well")
				}
				if n := k.Ledger.Pending(); n != 1 || k.expired(t) != 0 {
					t.Fatalf("%d reservations live and %v expired after half an hour, want the stream's", n, k.expired(t))
				}
				x.Close(k.ctx, core.FinishInterrupted)
				settled := quota.ChargeAmounts(*k.Record(t, core.RecordOutcome).Settled)
				if k.Posted() != settled || k.used(t) != settled.InputTokens+settled.OutputTokens {
					t.Errorf("posted %+v and used %d, the record says %+v", k.Posted(), k.used(t), settled)
				}
				if n := len(k.Gate.Live()); n != 0 {
					t.Errorf("%d exchanges are live after they were closed", n)
				}
			})
		})
	}
}

// What nobody closes ends with its lease: charged what was delivered, counted and logged.
func TestALeakedReservationEnds(t *testing.T) {
	down := func(step string) func(context.Context, string) error {
		return func(_ context.Context, s string) error {
			if s == step {
				return gatetest.ErrDown
			}
			return nil
		}
	}
	for name, leak := range map[string]func(*kept, *gate.Exchange){
		"its caller is gone and nobody closes": func(k *kept, _ *gate.Exchange) { k.hangUp() },
		"its settlement fails": func(k *kept, x *gate.Exchange) {
			k.Fail = down("settle")
			x.Close(k.ctx, core.FinishInterrupted)
		},
		"its close panics": func(k *kept, x *gate.Exchange) {
			k.Fail = func(context.Context, string) error { panic("broken") }
			defer func() { _ = recover() }()
			x.Close(k.ctx, core.FinishInterrupted)
		},
	} {
		t.Run(name, func(t *testing.T) {
			keeping(t, nil, func(t *testing.T, k *kept) {
				x := k.stream(t)
				after(5 * time.Minute)
				if held := k.used(t); held < quota.StreamSlab {
					t.Fatalf("%d tokens held, want a slab and the input", held)
				}
				leak(k, x)
				after(2 * closeTimeout)
				if k.Ledger.Pending() != 1 {
					t.Error("ended while a close in order may still come")
				}
				after(20 * time.Second)
				if n := k.Ledger.Pending(); n != 0 || k.expired(t) != 1 {
					t.Errorf("%d reservations live and %v counted as expired, want 0 and 1", n, k.expired(t))
				}
				if lines := strings.Count(k.log.String(), "level=ERROR"); lines != 1 || !strings.Contains(k.log.String(), x.ID()) {
					t.Errorf("logged %d errors, want one that names %s:\n%s", lines, x.ID(), k.log)
				}
				if used := k.used(t); used <= 0 || used >= quota.StreamSlab {
					t.Errorf("charged %d tokens, want what was delivered", used)
				}
				after(time.Hour)
				if k.expired(t) != 1 {
					t.Errorf("%v counted as expired an hour later", k.expired(t))
				}
			})
		})
	}
}

// A request that was not forwarded has used nothing.
func TestALeakBeforeTheVerdictIsChargedNothing(t *testing.T) {
	keeping(t, nil, func(t *testing.T, k *kept) {
		k.Fail = func(_ context.Context, step string) error {
			if step == string(core.RecordIntent) {
				panic("broken")
			}
			return nil
		}
		func() {
			defer func() { _ = recover() }()
			k.stream(t)
		}()
		if k.Ledger.Pending() != 1 {
			t.Fatal("nothing leaked")
		}
		k.hangUp()
		after(2 * lease)
		if n, used := k.Ledger.Pending(), k.used(t); n != 0 || used != 0 || k.expired(t) != 1 {
			t.Errorf("%d live, %d used, %v expired, want 0, 0 and 1", n, used, k.expired(t))
		}
	})
}

// A close after the lease is recorded in full, and the ledger takes over what it says.
func TestALateCloseIsNotLost(t *testing.T) {
	keeping(t, nil, func(t *testing.T, k *kept) {
		x := k.stream(t)
		after(keepInterval)
		k.say(t, x, strings.Repeat(" and all shall be well", 20))
		k.hangUp()
		after(lease + keepInterval)
		atLease := k.used(t)
		k.say(t, x, " after all")
		x.Close(k.ctx, core.FinishInterrupted)
		settled := k.Record(t, core.RecordOutcome).Settled
		if got, want := k.used(t), settled.InputTokens+settled.OutputTokens; got != want || got == atLease {
			t.Errorf("the ledger has %d used (%d at the lease), the record says %d", got, atLease, want)
		}
		if n := counterOf(t, k.registry, "plumbline_fail_closed_total"); n != 0 {
			t.Errorf("%v failures counted, want none", n)
		}
	})
}

// hooked is a ledger whose keeping a test steps into.
type hooked struct {
	quota.Ledger
	touch  func(n int, renew func() error) error
	expire func(end func() ([]string, error)) ([]string, error)
}

func (h hooked) Touch(ctx context.Context, progress ...quota.Progress) error {
	renew := func() error { return h.Ledger.Touch(ctx, progress...) }
	if h.touch == nil {
		return renew()
	}
	return h.touch(len(progress), renew)
}

func (h hooked) Expire(ctx context.Context, now time.Time) ([]string, error) {
	end := func() ([]string, error) { return h.Ledger.Expire(ctx, now) }
	if h.expire == nil {
		return end()
	}
	return h.expire(end)
}

// A ledger that cannot be told who is live must not be told who is not.
func TestNothingExpiresWhileLeasesCannotBeRenewed(t *testing.T) {
	for _, step := range []string{"touch", "expire"} {
		t.Run(step, func(t *testing.T) {
			var down atomic.Bool
			down.Store(true)
			broken := func(l quota.Ledger) quota.Ledger {
				return hooked{
					Ledger: l,
					touch: func(_ int, renew func() error) error {
						if step == "touch" && down.Load() {
							return gatetest.ErrDown
						}
						return renew()
					},
					expire: func(end func() ([]string, error)) ([]string, error) {
						if step == "expire" && down.Load() {
							return nil, gatetest.ErrDown
						}
						return end()
					},
				}
			}
			keeping(t, broken, func(t *testing.T, k *kept) {
				k.stream(t)
				const failures = 30
				after(failures * keepInterval)
				if k.Ledger.Pending() != 1 {
					t.Error("a live stream lost its reservation")
				}
				counted := counterOf(t, k.registry, "plumbline_fail_closed_total")
				logged := strings.Count(k.log.String(), "level=ERROR")
				if counted != failures || logged != failures {
					t.Errorf("%v failures counted and %d logged, want %d", counted, logged, failures)
				}
				down.Store(false)
				after(lease)
				if k.Ledger.Pending() != 1 || k.expired(t) != 0 {
					t.Error("a live stream lost its reservation when the ledger was back")
				}
			})
		})
	}
}

// A process that stands still for long ends nothing of what goes on when it wakes, wherever it stood.
func TestAProcessThatStoodStillLosesNothing(t *testing.T) {
	var standing atomic.Bool
	stand := func() {
		if standing.Load() {
			time.Sleep(3 * lease) //nolint:forbidigo // the clock of the bubble
		}
	}
	for name, touch := range map[string]func(int, func() error) error{
		"before it renewed": func(_ int, renew func() error) error { stand(); return renew() },
		"after it renewed":  func(_ int, renew func() error) error { defer stand(); return renew() },
	} {
		t.Run(name, func(t *testing.T) {
			keeping(t, func(l quota.Ledger) quota.Ledger { return hooked{Ledger: l, touch: touch} }, func(t *testing.T, k *kept) {
				k.stream(t)
				standing.Store(true)
				after(10 * lease)
				standing.Store(false)
				after(3 * lease)
				if k.Ledger.Pending() != 1 || k.expired(t) != 0 {
					t.Error("a live stream lost its reservation")
				}
			})
		})
	}
}

// Many leases are renewed in calls of a bounded size.
func TestLeasesAreRenewedInBatches(t *testing.T) {
	var sizes []int
	k := &keeper{
		ledger: hooked{Ledger: memory.New(memory.Options{}), touch: func(n int, renew func() error) error {
			sizes = append(sizes, n)
			return renew()
		}},
		live:    func() []quota.Progress { return make([]quota.Progress, 2*touchBatch+1) },
		metrics: telemetry.New(prometheus.NewRegistry(), telemetry.Build{}, nil), log: slog.New(slog.DiscardHandler),
	}
	k.keep(t.Context())
	if diff := cmp.Diff([]int{touchBatch, touchBatch, 1}, sizes); diff != "" {
		t.Errorf("leases renewed at once (-want +got):\n%s", diff)
	}
}

// The app runs the keeper, on the ledger that its gate reserves in.
func TestAppKeepsLeases(t *testing.T) {
	a, err := New(t.Context(), Options{Config: testConfig(t, nil), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if timed, ok := a.endings.Ledger.(timedLedger); !ok || a.keeper.ledger != quota.Ledger(a.endings) || timed.ledger != a.ledger {
		t.Errorf("leases are kept in %T, not in the app's ledger", a.keeper.ledger)
	}
	kept := make(chan struct{}, 1)
	a.keeper.interval = time.Millisecond
	a.keeper.ledger = hooked{Ledger: a.ledger, expire: func(end func() ([]string, error)) ([]string, error) {
		select {
		case kept <- struct{}{}:
		default:
		}
		return end()
	}}
	defer run(t, a)()
	select {
	case <-kept:
	case <-time.After(10 * time.Second):
		t.Error("nobody keeps leases")
	}
}

func TestEachOperationOfTheLedgerIsTimed(t *testing.T) {
	registry := prometheus.NewRegistry()
	l := timedLedger{memory.New(memory.Options{}), telemetry.New(registry, telemetry.Build{}, nil)}
	ctx, limits := t.Context(), new(quota.LimitSet)
	_, reserve := l.Reserve(ctx, quota.Request{ID: "a", Limits: limits})
	_, extend := l.Extend(ctx, "a", quota.Amounts{OutputTokens: 1})
	touch := l.Touch(ctx, quota.Progress{ID: "a"})
	_, standings := l.Standings(ctx, quota.Subject{}, limits, time.Now())
	_, settle := l.Settle(ctx, "a", quota.Amounts{})
	void := l.Void(ctx, "a")
	_, expire := l.Expire(ctx, time.Now())
	if err := errors.Join(reserve, extend, touch, standings, settle, void, expire); err != nil {
		t.Error(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got, want := map[telemetry.LedgerOp]uint64{}, map[telemetry.LedgerOp]uint64{}
	for _, op := range telemetry.LedgerOps() {
		want[op] = 1
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "plumbline_ledger_duration_seconds" {
				got[telemetry.LedgerOp(m.GetLabel()[0].GetValue())] = m.GetHistogram().GetSampleCount()
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("observations by operation (-want +got):\n%s", diff)
	}
}
