package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/replay"
)

// seedTraffic writes calls of some people, as the default policy decided them, into a data directory; altered with the verdict
// of one changed.
func seedTraffic(t *testing.T, dir string, altered bool) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(t.Context(), audit.Options{Path: app.AuditPath(dir), Durability: audit.CrashSafe, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range traffic(altered) {
		if err := log.Append(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func traffic(altered bool) []core.Record {
	at := time.Date(2020, 5, 4, 9, 0, 0, 0, time.UTC)
	rules := policy.Default()
	var list []core.Record
	for i, c := range []struct {
		user, team, model string
		score             float64
		quota             policy.Quota
	}{
		{"ann", "support", "gpt-4o-mini", 0.1, policy.Quota{Outcome: policy.QuotaGranted}},
		{"ann", "support", "gpt-4o-mini", 0.6, policy.Quota{Outcome: policy.QuotaGranted}},
		{"ben", "sales", "gpt-4o", 0.9, policy.Quota{Outcome: policy.QuotaGranted}},
		{"ben", "sales", "o3", 0.2, policy.Quota{Outcome: policy.QuotaGranted}},
		{"eve", "", "gpt-4o", 0.2, policy.Quota{Outcome: policy.QuotaExhausted, Limit: "each-day", Dimension: "tokens", Window: "day"}},
		{"eve", "", "unpriced", 0.2, policy.Quota{}},
	} {
		f := policy.Facts{
			At: at, PolicyVersion: rules.Version(), Model: c.model, Priced: c.model != "unpriced", Quota: c.quota,
			Principal: core.Principal{User: c.user, Team: c.team, App: "helpdesk"},
			Intent:    core.Intent{Label: "coding", Confidence: 0.9, Model: "intent-0"},
			Deviation: core.Deviation{Score: c.score, Model: "deviation-0"},
		}
		v := rules.Decide(f)
		if altered && i == 2 {
			v = core.Verdict{Action: core.ActionAllow, Decided: core.ActionAllow, Reason: core.ReasonNone}
		}
		rec := core.Record{
			Kind: core.RecordIntent, Time: at.Add(time.Duration(i) * time.Second), Verdict: &v, Reason: v.Reason,
			Exchange: fmt.Sprintf("0171dd5b-0000-7000-8000-%012d", i),
		}
		if v.Blocked() {
			rec.Kind = core.RecordDeny
		}
		f.AddTo(&rec)
		list = append(list, rec)
	}
	return append(list, records()[3:]...)
}

// The JSON of a report holds each member that its documentation names, also where there is nothing to say.
func TestReportIsWhole(t *testing.T) {
	t.Chdir(t.TempDir())
	seedTraffic(t, "traffic", false)
	out, talk, code := plumbline(t, nil, "policy", "replay", "--set", "data_dir=traffic", "-o", "json")
	var got map[string]any
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
		t.Fatalf("%d, %v: %s%s", code, err, out, talk)
	}
	for _, member := range []string{
		"policy", "records", "decisions", "replayed", "not_replayed", "total", "applied", "decided", "rules", "people", "kept", "approximate", "same_policy", "policies", "models", "warnings",
	} {
		if v, ok := got[member]; !ok || v == nil {
			t.Errorf("%s is %v in\n%s", member, v, out)
		}
	}
	var report replay.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Error(err)
	}
}
