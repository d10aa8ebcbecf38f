package audit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// said is a summary as it can be compared.
type said struct {
	Kind, Exchange, User, Team, App, Action, Reason, Model string
	Task, Intent, Explanation                              string
	Time                                                   int64
	Counted                                                core.Record
}

func sayingOf(s *audit.Summary) said {
	var counted audit.Counted
	counted.Set(s)
	return said{
		string(s.Kind), string(s.Exchange), string(s.User), string(s.Team), string(s.App), string(s.Action), string(s.Reason), string(s.Model),
		string(s.Task), string(s.Intent), string(s.AppendExplanation(nil)), s.Time, counted.Record,
	}
}

func sayingOfRecord(r *core.Record) said {
	out := said{
		Kind: string(r.Kind), Exchange: r.Exchange, User: r.Principal.User, Team: r.Principal.Team, App: r.Principal.App, Reason: string(r.Reason), Model: r.Model,
		Explanation: audit.Explanation(r), Time: r.Time.UnixMicro(),
	}
	out.Counted = core.Record{
		Kind: r.Kind, Reason: r.Reason, Time: time.UnixMicro(r.Time.UnixMicro()).UTC(), Model: r.Model,
		Principal: core.Principal{User: r.Principal.User, Team: r.Principal.Team, App: r.Principal.App},
	}
	if r.Verdict != nil {
		out.Action = string(r.Verdict.Action)
		out.Counted.Verdict = &core.Verdict{Action: r.Verdict.Action}
	}
	if r.Intent != nil {
		out.Intent = r.Intent.Label
		out.Counted.Intent = &core.Intent{Label: r.Intent.Label}
	}
	if d := r.Deviation; d != nil {
		out.Task = d.Task
		out.Counted.Deviation = &core.Deviation{Score: d.Score, Unscored: d.Unscored}
	}
	if c := r.Settled; c != nil {
		settled := *c
		settled.Admitted = time.UnixMicro(c.Admitted.UnixMicro()).UTC()
		out.Counted.Settled = &settled
	}
	return out
}

func TestSummariesSayWhatRecordsSay(t *testing.T) {
	admin := core.Record{Kind: core.RecordAdmin, Time: time.Date(1969, 12, 31, 23, 59, 59, 1000, time.UTC), Exchange: "change-1", Admin: &core.Change{Actor: "root"}}
	denied := intentRecord(1)
	denied.Kind, denied.Reason = core.RecordDeny, core.ReasonOffTask
	denied.Verdict = &core.Verdict{Action: core.ActionBlock, Reason: core.ReasonOffTask, Rule: "deviation.Block"}
	denied.Deviation = &core.Deviation{Score: 0.875, Task: "Refunds", Phrase: strings.Repeat("Late Parcels ", 100), Unscored: core.UnscoredEncoded, Model: "m"}
	denied.Intent = &core.Intent{Label: "banking", Unscored: core.UnscoredTooShort, Model: "m"}
	free := outcomeRecord(1)
	free.Settled = &core.Charge{Requests: 1}
	admin.Admin.Action, admin.Admin.Object = "put", "user/Ann"
	for _, rec := range []core.Record{intentRecord(0), outcomeRecord(0), admin, denied, free, {Kind: core.RecordRefusals}} {
		canonical, err := audit.Canonical(rec)
		must(t, err)
		s, ok := audit.Summarize(canonical)
		if !ok {
			t.Errorf("not summarized: %s", canonical)
		}
		if diff := cmp.Diff(sayingOfRecord(&rec), sayingOf(&s)); diff != "" {
			t.Errorf("of %s (-want +got):\n%s", canonical, diff)
		}
		for n := range canonical {
			if _, ok := audit.Summarize(canonical[:n]); ok {
				t.Fatalf("cut at %d: %s", n, canonical[:n])
			}
		}
	}
	escaped := intentRecord(0)
	escaped.Principal.User = "a\"b"
	canonical, err := audit.Canonical(escaped)
	must(t, err)
	if _, ok := audit.Summarize(canonical); ok {
		t.Error("a name with an escape is left to Decode")
	}
}

// FuzzSummarize: whatever bytes there are, a summary says what the decoded record says.
func FuzzSummarize(f *testing.F) {
	for _, rec := range []core.Record{intentRecord(0), outcomeRecord(1)} {
		canonical, err := audit.Canonical(rec)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(canonical)
	}
	f.Add([]byte(`{"kind":"deny","time":"2026-03-01T12:00:00Z","principal":{},"intent":{"label":"a","unscored":"x"},"deviation":{"score":0.5,"task":"T","phrase":"P"},"verdict":{"rule":"r"},"settled":{"requests":1},"admin":{"object":"a/b"}}`))
	f.Add([]byte(`{"kind":"admin","time":"2026-03-01T12:00:00Z","principal":{},"facts":{"a":[1,{"b":"\""}]},"Model":"x"}`))
	f.Fuzz(func(t *testing.T, canonical []byte) {
		s, ok := audit.Summarize(canonical)
		rec, err := audit.Decode(canonical)
		if !ok || err != nil {
			return
		}
		if diff := cmp.Diff(sayingOfRecord(&rec), sayingOf(&s)); diff != "" {
			t.Errorf("of %q (-decoded +summarized):\n%s", canonical, diff)
		}
	})
}
