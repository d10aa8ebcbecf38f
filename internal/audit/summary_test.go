package audit_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// said is a summary as it can be compared.
type said struct {
	Kind, Exchange, User, Team, App, Action, Reason, Model string
	Time                                                   int64
}

func sayingOf(s *audit.Summary) said {
	return said{
		string(s.Kind), string(s.Exchange), string(s.User), string(s.Team), string(s.App), string(s.Action), string(s.Reason), string(s.Model), s.Time,
	}
}

func sayingOfRecord(r *core.Record) said {
	out := said{
		string(r.Kind), r.Exchange, r.Principal.User, r.Principal.Team, r.Principal.App, "", string(r.Reason), r.Model, r.Time.UnixMicro(),
	}
	if r.Verdict != nil {
		out.Action = string(r.Verdict.Action)
	}
	return out
}

func TestSummariesSayWhatRecordsSay(t *testing.T) {
	admin := core.Record{Kind: core.RecordAdmin, Time: time.Date(1969, 12, 31, 23, 59, 59, 1000, time.UTC), Exchange: "change-1", Admin: &core.Change{Actor: "root"}}
	for _, rec := range []core.Record{intentRecord(0), outcomeRecord(0), admin, {Kind: core.RecordRefusals}} {
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
