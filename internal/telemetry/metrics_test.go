package telemetry

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

func newTestMetrics(t *testing.T) (*prometheus.Registry, *Metrics) {
	t.Helper()
	reg := prometheus.NewRegistry()
	m := New(reg, Build{Version: "test"}, []string{"gpt-4o-mini"})
	one := func() float64 { return 1 }
	m.Watch(reg, Gauges{
		QuotaReservedTokens: one, QuotaOverruns: one, StreamsOpen: one, BodyBytesInFlight: one,
		AuditHealthy: func() bool { return true }, DirectoryVersion: one, DirectoryAge: one, DirectoryFailures: one,
		Checkpoints: func() Checkpoints { return Checkpoints{} }, Calibration: func() Calibration { return Calibration{} },
	})
	return reg, m
}

// touched is a registry in which every family has a series.
func touched(t *testing.T) *prometheus.Registry {
	t.Helper()
	reg, m := newTestMetrics(t)
	m.Decided("chat.completions", core.Verdict{Action: core.ActionAllow, Reason: core.ReasonNone}, "gpt-4o-mini")
	m.Settled("gpt-4o-mini", core.Usage{InputTokens: 1, OutputTokens: 1}, 1)
	m.QuotaRefused("user", "tokens")
	m.QuotaThreshold(80, "user", "tokens")
	m.FailedClosed("governance_unavailable")
	m.RefusedAnonymous(core.ReasonMissingCredential)
	m.PolicyInForce("v", "observe")
	m.PolicyRead(true)
	m.ConditionFailed("rules.night")
	m.KeysConfirmed("https://idp.test", time.Time{})
	m.LedgerBreaker("closed")
	m.LedgerFellBack("open")
	m.LedgerBookedLate(1, 1)
	m.JudgeResults("proposed")
	m.JobEnded("objects_sweep", "done", time.Second)
	m.Judged(core.Intent{Label: "writing"}, core.Deviation{Score: .5}, core.Found{
		Secrets: []core.Sighting{{Kind: "jwt"}}, Attacks: []core.Sighting{{Kind: "jailbreak"}},
	})
	return reg
}

func TestFamiliesFollowPrometheusConventions(t *testing.T) {
	problems, err := testutil.GatherAndLint(touched(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "plumbline_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

var update = flag.Bool("update", false, "rewrite the reference page")

func TestReferenceOfMetrics(t *testing.T) {
	families, err := touched(t).Gather()
	if err != nil {
		t.Fatal(err)
	}
	page := "# Metrics\n\n<!-- Generated: go test ./internal/telemetry -update -->\n\n" +
		"Served at `/metrics` of the ops listener, with Go's own and the process's. Times are in seconds, sizes in bytes. Labels\n" +
		"are of closed sets: a model without a price is `other`. Histograms are classic, those without labels native too.\n\n" +
		"| metric | type | labels | |\n|---|---|---|---|\n"
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "plumbline_") {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		page += fmt.Sprintf("| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())
	}
	path := filepath.Join("..", "..", "docs", "reference", "metrics.md")
	testkit.Golden(t, path, []byte(page), *update, "run make generate")
}

// A model's name is the client's own text: it must not make a new series.
func TestUnknownModelsShareOneLabel(t *testing.T) {
	_, m := newTestMetrics(t)
	for _, model := range []string{"gpt-4o-mini", "made-up-1", "made-up-2", "made-up-3"} {
		m.Decided("chat.completions", core.Verdict{Action: core.ActionBlock, Reason: core.ReasonModelNotAllowed}, model)
	}
	if n := testutil.CollectAndCount(m.requests); n != 2 {
		t.Errorf("%d series for one known and three unknown models, want 2", n)
	}
}

func TestSettledCountsTokensAndDollars(t *testing.T) {
	_, m := newTestMetrics(t)
	m.Settled("gpt-4o-mini", core.Usage{InputTokens: 10, OutputTokens: 3}, 2_500_000)
	if got := testutil.ToFloat64(m.tokens.WithLabelValues("gpt-4o-mini", "input")); got != 10 {
		t.Errorf("input tokens = %v, want 10", got)
	}
	if got := testutil.ToFloat64(m.costUSD.WithLabelValues("gpt-4o-mini")); got != 2.5 {
		t.Errorf("cost = %v dollars, want 2.5", got)
	}
}

func TestAnsweredLeavesOutWhatWasNotStreamed(t *testing.T) {
	reg, m := newTestMetrics(t)
	m.Answered(time.Millisecond, time.Second, 0)
	m.Answered(time.Millisecond, time.Second, time.Second/2)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, f := range families {
		if h := f.GetMetric()[0].GetHistogram(); h != nil && len(f.GetMetric()) == 1 {
			got[f.GetName()] = h.GetSampleCount()
		}
	}
	if got["plumbline_response_duration_seconds"] != 2 || got["plumbline_time_to_first_token_seconds"] != 1 {
		t.Errorf("samples = %v, want 2 answers and 1 first token", got)
	}
}

// BenchmarkLedgerTook is one observation, of which an exchange makes two or more.
func BenchmarkLedgerTook(b *testing.B) {
	m := New(prometheus.NewRegistry(), Build{}, nil)
	b.ReportAllocs()
	d := time.Duration(0)
	for b.Loop() {
		d = (d + time.Microsecond) % time.Millisecond
		m.LedgerTook(LedgerReserve, d)
	}
}
