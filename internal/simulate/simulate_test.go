package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/quota"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small is a load that takes a moment and meets every limit.
func small() Options {
	o := Defaults()
	o.Users, o.Teams, o.Rate, o.Duration, o.Replicas, o.Shards, o.Crashes = 300, 5, 150, 40*time.Second, 5, 3, 2
	return o
}

func mustRun(t testing.TB, o Options, models []model) map[string]Figures {
	t.Helper()
	r, err := run(context.Background(), withLimits(o), models)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]Figures{}
	for _, f := range r.Models {
		byName[f.Model] = f
	}
	return byName
}

func TestModels(t *testing.T) {
	got := mustRun(t, small(), models())
	oracle := got["oracle"]
	for name, f := range got {
		t.Logf("%+v", f)
		switch {
		case f.Calls != oracle.Calls || f.Calls < 5000:
			t.Errorf("%s met %d calls, the oracle %d", name, f.Calls, oracle.Calls)
		case f.Refused == 0:
			t.Errorf("%s: the limits do not bind", name)
		case f.Exact && (f.Over != 0 || f.Overshoot != 0 || f.heldOver > 0 || f.Pending != 0):
			t.Errorf("%s passes limits or leaks: %+v", name, f)
		case f.Exact && f.OfOracle < 0.8:
			t.Errorf("%s admits %.2f of what the oracle does", name, f.OfOracle)
		}
	}
	if oracle.Over != 0 || oracle.Pending != 0 || oracle.OfOracle != 1 {
		t.Errorf("the oracle errs: %+v", oracle)
	}
	if f := got["charge-after"]; f.Over == 0 || f.Overshoot == 0 {
		t.Errorf("charging after the answer passes no limit: the truth is blind")
	}
	if f := got["leaky-reserve"]; f.Pending == 0 || f.OfOracle >= got["exact"].OfOracle {
		t.Errorf("leaks leave no trace: %+v", f)
	}
}

// The exact models pass no limit and leak nothing, whatever the load and the faults.
func TestExactModelsPassNoLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawOptions(t)
		var exact []model
		for _, m := range models() {
			if m.exact || m.name == "oracle" {
				exact = append(exact, m)
			}
		}
		r, err := run(context.Background(), withLimits(o), exact)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Models[1:] {
			if f.Over != 0 || f.heldOver > 0 {
				t.Errorf("%s passes %d limits by %.3f (held %d)", f.Model, f.Over, f.Overshoot, f.heldOver)
			}
			if f.Pending != 0 {
				t.Errorf("%s leaks %d reservations", f.Model, f.Pending)
			}
			if f.Admitted+f.Refused+f.Unanswered != f.Calls {
				t.Errorf("%s loses calls: %+v", f.Model, f)
			}
		}
	})
}

func drawOptions(t *rapid.T) Options {
	o := Options{
		Seed:  rapid.Uint64().Draw(t, "seed"),
		Users: rapid.IntRange(1, 300).Draw(t, "users"), Teams: rapid.IntRange(1, 20).Draw(t, "teams"),
		Rate: rapid.Float64Range(1, 50).Draw(t, "rate"), Duration: time.Duration(rapid.IntRange(5, 45).Draw(t, "seconds")) * time.Second,
		Replicas: rapid.IntRange(1, 20).Draw(t, "replicas"), Shards: rapid.IntRange(1, 6).Draw(t, "shards"),
		Slab: rapid.IntRange(1, 200).Draw(t, "slab"), OpTime: time.Duration(rapid.IntRange(1, 2000).Draw(t, "µs")) * time.Microsecond,
		Crashes: rapid.IntRange(0, 6).Draw(t, "crashes"), Loss: rapid.SampledFrom([]float64{0, 0.001, 0.1, maxLoss}).Draw(t, "loss"),
	}
	scale := rapid.Float64Range(0.02, 1.2).Draw(t, "scale of limits")
	o.Limits = DefaultLimits(o)
	for i := range o.Limits {
		o.Limits[i].Value = int64(float64(o.Limits[i].Value) * scale)
	}
	for _, w := range []quota.Window{quota.WindowMinute, quota.WindowMonth} {
		o.Limits = append(o.Limits, quota.Limit{
			ID: "app-" + string(w), Scope: quota.ScopeApp, Dimension: quota.DimensionOutputTokens, Window: w, Zone: "Asia/Kolkata",
			Value: rapid.Int64Range(0, 2_000_000).Draw(t, "value"),
		})
	}
	return o
}

// Without one of these protections, replicas together pass a limit that they keep with it.
func TestEscrowNeedsItsProtections(t *testing.T) {
	o := small()
	o.Replicas, o.Crashes, o.Rate, o.Duration, o.Loss = 3, 0, 30, 200*time.Second, 0
	everyone := func(d quota.Dimension, w quota.Window, value int64) []quota.Limit {
		return []quota.Limit{{ID: "everyone", Scope: quota.ScopeEveryone, Dimension: d, Window: w, Value: value}}
	}
	tests := []struct {
		name   string
		limits []quota.Limit
		remove func(*escrow) keeper
	}{
		{"slabs are debited before they are spent", everyone(quota.DimensionTokens, quota.WindowDay, 500_000), func(e *escrow) keeper {
			e.lend = func(e *escrow, r loanRequest) loan {
				if e.share(r, e.s.rules[r.line.rule], r.line.call.subject) > 0 {
					return loan{amount: r.ask}
				}
				return loan{}
			}
			return e
		}},
		{"clocks are bounded from above", everyone(quota.DimensionRequests, quota.WindowMinute, 600), func(e *escrow) keeper {
			for _, d := range e.desks {
				for i := range d.stamps {
					d.stamps[i].home = d.stamps[i].home.Add(-2 * time.Second)
				}
			}
			return e
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o.Limits = tt.limits
			if f := mustRun(t, o, escrowWith(func(e *escrow) keeper { return e }))["escrow"]; f.Over != 0 || f.heldOver > 0 || f.Refused == 0 {
				t.Errorf("with it: %+v", f)
			}
			if f := mustRun(t, o, escrowWith(tt.remove))["escrow"]; f.Over == 0 {
				t.Errorf("without it, no limit is passed: %+v", f)
			}
		})
	}
}

// escrowWith gives the oracle and a changed escrow.
func escrowWith(change func(*escrow) keeper) []model {
	return []model{models()[0], {
		name: "escrow", shards: func(o Options) int { return o.Shards }, lease: leaseTime, exact: true,
		make: func(s *sim) keeper {
			return change(newEscrow(s).(*escrow))
		},
	}}
}

func TestSameSeedSameBytes(t *testing.T) {
	o := small()
	o.Duration = 20 * time.Second
	report := func(seed uint64) []byte {
		o.Seed = seed
		r, err := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	first := report(7)
	if !bytes.Equal(first, report(7)) {
		t.Error("two runs with one seed differ")
	}
	if bytes.Equal(first, report(8)) {
		t.Error("two seeds give the same")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	if err := withLimits(Defaults()).Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	tests := []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.Users = 0 }, "users"},
		{func(o *Options) { o.Users = maxUsers + 1 }, "users"},
		{func(o *Options) { o.Teams = 0 }, "teams"},
		{func(o *Options) { o.Rate = -1 }, "rate"},
		{func(o *Options) { o.Duration = 0 }, "duration"},
		{func(o *Options) { o.Rate, o.Duration = 1e6, time.Hour }, "calls"},
		{func(o *Options) { o.Replicas = 0 }, "replicas"},
		{func(o *Options) { o.Shards = 0 }, "shards"},
		{func(o *Options) { o.Slab = 0 }, "slab"},
		{func(o *Options) { o.OpTime = 0 }, "operation"},
		{func(o *Options) { o.Crashes = -1 }, "crashes"},
		{func(o *Options) { o.Loss = 0.9 }, "loss"},
		{func(o *Options) { o.Limits = []quota.Limit{{ID: "x"}} }, "scope"},
		{func(o *Options) {
			o.Limits = []quota.Limit{{ID: "x", Scope: quota.ScopeTeam, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone}}
		}, "concurrency"},
	}
	for _, tt := range tests {
		o := Defaults()
		tt.change(&o)
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want a word about %s", err, tt.want)
		}
	}
}

func TestRunCanBeStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, small()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
