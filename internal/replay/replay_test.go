package replay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/policy/policytest"
	"github.com/plumbline/plumbline/internal/replay"
)

// log is a source in memory. It gives each record in bytes that are overwritten afterwards, as a back end may.
type log []core.Record

func (l log) Records(_ context.Context, since, until time.Time, fn func(core.RecordKind, []byte) error) error {
	for _, rec := range l {
		if rec.Time.Before(since) || !until.IsZero() && !rec.Time.Before(until) {
			continue
		}
		canonical, err := audit.Canonical(rec)
		if err != nil {
			return err
		}
		if err := fn(rec.Kind, canonical); err != nil {
			return err
		}
		clear(canonical)
	}
	return nil
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func parsed(t testing.TB, document string) *policy.Snapshot {
	t.Helper()
	s, err := policy.Parse("policy.yaml", []byte("version: 1\n"+document))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func run(t testing.TB, src replay.Source, o replay.Options) *replay.Report {
	t.Helper()
	report, err := replay.Run(context.Background(), src, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// decided is the record of a call of ann's, of team support, as s decides it. Each is a second after the one before.
func decided(s *policy.Snapshot, n int, change func(*policy.Facts)) core.Record {
	f := policy.Facts{
		At: noon, PolicyVersion: s.Version(), PriceVersion: "1", Endpoint: "chat.completions", Model: "gpt-4o-mini", Priced: true,
		Principal: core.Principal{User: "ann", Team: "support", App: "helpdesk", Method: core.MethodAppKey},
		Intent:    core.Intent{Label: "coding", Confidence: 0.9, Model: "i1"},
		Deviation: core.Deviation{Score: 0.1, Model: "d1"},
		Quota:     policy.Quota{Outcome: policy.QuotaGranted},
	}
	if change != nil {
		change(&f)
	}
	v := s.Decide(f)
	rec := core.Record{Kind: core.RecordIntent, Time: noon.Add(time.Duration(n) * time.Second), Exchange: fmt.Sprintf("x%d", n), Verdict: &v, Reason: v.Reason}
	if v.Blocked() {
		rec.Kind = core.RecordDeny
	}
	f.AddTo(&rec)
	return rec
}

func score(x float64) func(*policy.Facts) { return func(f *policy.Facts) { f.Deviation.Score = x } }

// What is decided is decided the same from the bytes of its record, whatever the facts and the policy.
func TestAnyFactsReplayExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, other := policytest.Policy().Draw(t, "policy"), policytest.Policy().Draw(t, "other")
		facts := rapid.SliceOfN(policytest.Facts(), 1, 5).Draw(t, "facts")
		var l log
		for i, f := range facts {
			l = append(l, decided(s, i, func(into *policy.Facts) { *into = f; into.PolicyVersion = s.Version() }))
		}
		report, err := replay.Run(context.Background(), l, replay.Options{Policy: s})
		if err != nil {
			t.Fatal(err)
		}
		n := int64(len(facts))
		if report.Same.Records != n || report.Same.Differences != 0 || report.Total.Changed != 0 || report.Total.Was != report.Total.Would {
			t.Fatalf("%+v", report)
		}
		// And under another policy each is what that policy decides on the facts.
		var want replay.Counts
		for _, rec := range l {
			f, err := policy.FactsOf(rec)
			if err != nil {
				t.Fatal(err)
			}
			switch other.Decide(f).Action {
			case core.ActionBlock:
				want.Blocked++
			case core.ActionWarn:
				want.Warned++
			case core.ActionAllow:
			}
		}
		if report, err = replay.Run(context.Background(), l, replay.Options{Policy: other}); err != nil {
			t.Fatal(err)
		}
		if got := report.Total.Would; got.Blocked != want.Blocked || got.Warned != want.Warned || report.Replayed != n {
			t.Fatalf("%+v, want %+v", got, want)
		}
	})
}

// A score is kept to its last digit: on either side of a threshold it stays there.
func TestScoresAreKeptWhole(t *testing.T) {
	for _, threshold := range []float64{0.1, 0.3, 0.7, 0.8, 0.9, 1.0 / 3} {
		s := parsed(t, fmt.Sprintf("mode: enforce\ndeviation: {warn: %v}\nintents: {forbidden: [coding], min_confidence: %[1]v}", threshold))
		var l log
		for i, x := range []float64{threshold, math.Nextafter(threshold, 0), math.Nextafter(threshold, 1)} {
			l = append(l, decided(s, 2*i, func(f *policy.Facts) { f.Deviation.Score, f.Intent.Label = x, "travel" }),
				decided(s, 2*i+1, func(f *policy.Facts) { f.Deviation.Score, f.Intent.Confidence = 0, x }))
		}
		report := run(t, l, replay.Options{Policy: s})
		if report.Same.Records != 6 || report.Same.Differences != 0 {
			t.Errorf("%v: %+v", threshold, report.Same)
		}
		for i, rec := range l {
			if below := i/2 == 1; below != (rec.Verdict.Decided == core.ActionAllow) {
				t.Errorf("%v, %d: %+v", threshold, i, rec.Verdict)
			}
		}
	}
}

const strictPolicy = "mode: enforce\ndeviation: {warn: 0.5, block: 0.8, enforce_uncalibrated: true}\nmodels: {teams: {closed: []}}"

// beside has the deviation scored beside a sample of traffic.
func beside(version string) func(*policy.Facts) {
	return func(f *policy.Facts) { f.Deviation.Model = version }
}

func both(a, b func(*policy.Facts)) func(*policy.Facts) {
	return func(f *policy.Facts) {
		a(f)
		b(f)
	}
}

func TestReport(t *testing.T) {
	old := parsed(t, "mode: enforce\ndeviation: {warn: 0.7}\nmodels: {allow: [gpt-4o-mini]}")
	next := parsed(t, strictPolicy)
	ben := func(f *policy.Facts) { f.Principal = core.Principal{User: "ben", Team: "closed"} }
	exhausted := policy.Quota{Outcome: policy.QuotaExhausted, Limit: "day", Dimension: "tokens", Window: "day"}
	l := log{
		decided(old, 0, nil),
		decided(old, 1, both(score(0.6), beside("d2+0a1b"))), // allow → warn
		decided(old, 2, both(score(0.9), beside("d2+ffff"))), // warn → block
		decided(old, 3, ben), // allow → block: the model
		decided(old, 4, func(f *policy.Facts) { f.Model, f.Quota = "o3", policy.Quota{} }), // block → allow, quota was not asked
		decided(old, 5, func(f *policy.Facts) { f.Quota = exhausted }),                     // stays
		decided(next, 6, score(0.9)), // stays: of the same policy
		{Kind: core.RecordOutcome, Time: noon, Exchange: "x0", Finish: core.FinishCrashed, Principal: core.Principal{User: "ann", Team: "support"}},
		{Kind: core.RecordOutcome, Time: noon, Exchange: "x1", Finish: core.FinishComplete},
		{Kind: core.RecordAdmin, Time: noon, Admin: &core.Change{Object: `user/"finish":"crashed"`}},
		{Kind: core.RecordRefusals, Time: noon, Reason: core.ReasonInvalidCredential, Refusals: &core.Refusals{Count: 7}},
	}
	report := run(t, l, replay.Options{Policy: next, IntentModel: "i1", DeviationModel: "d2", Models: []string{"gpt-4o-mini"}})
	want := &replay.Report{
		Policy: replay.PolicyName{Version: next.Version(), Mode: "enforce"},
		First:  noon, Last: noon.Add(6 * time.Second),
		Records:   replay.Records{Read: 11, Outcomes: 2, Crashed: 1, Refusals: 1, Admin: 1},
		Decisions: 7, Replayed: 7,
		NotReplayed: []replay.Calls{{Cause: replay.CauseBeforeFacts, Reason: core.ReasonInvalidCredential, Calls: 7}},
		Total: replay.Tally{
			Calls: 7, Was: replay.Counts{Blocked: 3, Warned: 1}, Would: replay.Counts{Blocked: 4, Warned: 1},
			Changed: 4, NewlyBlocked: 2, NoLongerBlocked: 1,
		},
		Applied: []replay.Transition{
			{Was: "allow", Would: "allow", Calls: 1},
			{Was: "allow", Would: "warn", Calls: 1},
			{Was: "allow", Would: "block", Calls: 1},
			{Was: "warn", Would: "block", Calls: 1},
			{Was: "block", Would: "allow", Calls: 1},
			{Was: "block", Would: "block", Calls: 2},
		},
		Rules: []replay.Rule{
			{Rule: "deviation.block", Reason: "off_task", Was: replay.Counts{Blocked: 1}, Would: replay.Counts{Blocked: 2}},
			{Rule: "models.allow", Reason: "model_not_allowed", Was: replay.Counts{Blocked: 1}},
			{Rule: "models.teams.closed", Reason: "model_not_allowed", Would: replay.Counts{Blocked: 1}},
			{Rule: "day", Reason: "quota_exhausted", Was: replay.Counts{Blocked: 1}, Would: replay.Counts{Blocked: 1}},
			{Rule: "deviation.warn", Reason: "off_task", Was: replay.Counts{Warned: 1}, Would: replay.Counts{Warned: 1}},
		},
		People: []replay.Person{
			{User: "ann", Team: "support", Tally: replay.Tally{
				Calls: 6, Was: replay.Counts{Blocked: 3, Warned: 1}, Would: replay.Counts{Blocked: 3, Warned: 1},
				Changed: 3, NewlyBlocked: 1, NoLongerBlocked: 1,
			}},
			{User: "ben", Team: "closed", Tally: replay.Tally{Calls: 1, Would: replay.Counts{Blocked: 1}, Changed: 1, NewlyBlocked: 1}},
		},
		Approximate: replay.Approximate{Unasked: 1, Limits: 1},
		Same:        replay.Same{Records: 1},
		Policies:    []replay.Version{{Version: old.Version(), Calls: 6}, {Version: next.Version(), Calls: 1}},
		Models: []replay.Model{
			{Part: "intent", Version: "i1", Calls: 7, Today: true},
			{Part: "deviation", Version: "d1", Calls: 5},
			{Part: "deviation", Version: "d2", Calls: 2, Beside: 2, Today: true},
		},
		Warnings: []string{},
	}
	want.Decided = want.Applied
	if old.Version() > next.Version() {
		want.Policies[0], want.Policies[1] = want.Policies[1], want.Policies[0]
	}
	if diff := cmp.Diff(asJSON(t, want), asJSON(t, report)); diff != "" {
		t.Error(diff)
	}
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What the mode observe lets pass is told apart from what is done.
func TestObservedIsKeptApart(t *testing.T) {
	observe, enforce := parsed(t, strings.Replace(strictPolicy, "enforce", "observe", 1)), parsed(t, strictPolicy)
	l := log{decided(observe, 0, score(0.9)), decided(observe, 1, score(0.6)), decided(observe, 2, nil)}
	report := run(t, l, replay.Options{Policy: enforce})
	if diff := cmp.Diff(report.Applied, []replay.Transition{
		{Was: "allow", Would: "allow", Calls: 1}, {Was: "allow", Would: "warn", Calls: 1}, {Was: "allow", Would: "block", Calls: 1},
	}); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(report.Decided, []replay.Transition{
		{Was: "allow", Would: "allow", Calls: 1}, {Was: "warn", Would: "warn", Calls: 1}, {Was: "block", Would: "block", Calls: 1},
	}); diff != "" {
		t.Error(diff)
	}
	if want := (replay.Tally{
		Calls: 3, Was: replay.Counts{Observed: 2}, Would: replay.Counts{Blocked: 1, Warned: 1}, Changed: 2, NewlyBlocked: 1,
	}); report.Total != want {
		t.Errorf("%+v", report.Total)
	}
}

// A verdict that its own policy does not give is named, and so is one whose facts were changed.
func TestDifferencesAreNamed(t *testing.T) {
	s := parsed(t, strictPolicy)
	for name, tamper := range map[string]func(*core.Record){
		"verdict": func(r *core.Record) { r.Verdict.Action = core.ActionAllow },
		"decided": func(r *core.Record) { r.Verdict.Decided = core.ActionAllow },
		"rule":    func(r *core.Record) { r.Verdict.Rule = "deviation.warn" },
		"score":   func(r *core.Record) { r.Deviation.Score = 0.1 },
		"priced": func(r *core.Record) {
			r.Facts = json.RawMessage(strings.Replace(string(r.Facts), `"priced":true`, `"priced":false`, 1))
		},
		"refused by another": func(r *core.Record) {
			r.Verdict.Reason, r.Reason = core.ReasonGovernanceDown, core.ReasonGovernanceDown
		},
	} {
		rec := decided(s, 1, score(0.9))
		tamper(&rec)
		report := run(t, log{decided(s, 0, score(0.9)), rec}, replay.Options{Policy: s})
		if same := report.Same; same.Records != 2 || same.Differences != 1 || len(same.Examples) != 1 || same.Examples[0].Exchange != "x1" {
			t.Errorf("%s: %+v", name, same)
		}
	}
}

// Refusals that were not the policy's stay, unless the policy refuses before.
func TestRefusalsOfOthersAreKept(t *testing.T) {
	lax, strict := parsed(t, "mode: enforce"), parsed(t, strictPolicy)
	down := decided(lax, 0, score(0.9))
	down.Kind, down.Reason = core.RecordDeny, core.ReasonQuotaUnavailable
	down.Verdict = &core.Verdict{Action: core.ActionBlock, Decided: core.ActionBlock, Reason: core.ReasonQuotaUnavailable}
	report := run(t, log{down}, replay.Options{Policy: lax})
	if report.Kept != 1 || report.Same.Differences != 0 || report.Total.Changed != 0 || report.Approximate != (replay.Approximate{}) {
		t.Errorf("under its own policy: %+v", report)
	}
	report = run(t, log{down}, replay.Options{Policy: strict})
	if report.Kept != 0 || report.Total.Changed != 0 || report.Rules[0].Rule != "deviation.block" && report.Rules[1].Rule != "deviation.block" {
		t.Errorf("under one that refuses as well: %+v", report)
	}
}

func TestWhatCannotBeReplayedIsCounted(t *testing.T) {
	s := policy.Default()
	with := func(change func(*core.Record)) core.Record {
		rec := decided(s, 0, nil)
		change(&rec)
		return rec
	}
	l := log{
		with(func(r *core.Record) { r.Verdict = nil }),
		with(func(r *core.Record) { r.Facts = nil }),
		with(func(r *core.Record) { r.Kind, r.Facts, r.Reason = core.RecordDeny, nil, core.ReasonInvalidBody }),
		with(func(r *core.Record) { r.Facts = json.RawMessage(`{"v":9}`) }),
		{Kind: core.RecordRefusals, Time: noon, Reason: core.ReasonMissingCredential, Refusals: &core.Refusals{Count: 3}},
		{Kind: core.RecordRefusals, Time: noon},
	}
	report := run(t, l, replay.Options{Policy: s})
	want := []replay.Calls{
		{Cause: replay.CauseBeforeFacts, Reason: "invalid_body", Calls: 1},
		{Cause: replay.CauseBeforeFacts, Reason: "missing_credential", Calls: 3},
		{Cause: replay.CauseNoFacts, Reason: "none", Calls: 1},
		{Cause: replay.CauseOtherFacts, Reason: "none", Calls: 1},
		{Cause: replay.CauseUndecided, Reason: "none", Calls: 1},
		{Cause: replay.CauseUnreadable, Calls: 1},
	}
	if diff := cmp.Diff(want, report.NotReplayed); diff != "" {
		t.Error(diff)
	}
	if report.Decisions != 4 || report.Replayed != 0 {
		t.Errorf("%+v", report)
	}
}

func TestFilters(t *testing.T) {
	s, next := parsed(t, "mode: enforce"), parsed(t, strictPolicy)
	other := func(f *policy.Facts) {
		f.Principal, f.Deviation.Score = core.Principal{User: "ben", Team: "sales", App: "ide"}, 0.6
	}
	refused := decided(s, 2, nil)
	refused.Kind, refused.Facts, refused.Verdict.Rule = core.RecordDeny, nil, "requests.inline"
	l := log{decided(s, 0, score(0.9)), decided(s, 1, other), refused}
	for _, c := range []struct {
		filter              replay.Filter
		decisions, replayed int64
	}{
		{replay.Filter{}, 3, 2},
		{replay.Filter{User: "ben"}, 1, 1},
		{replay.Filter{Team: "support"}, 2, 1},
		{replay.Filter{App: "ide"}, 1, 1},
		{replay.Filter{App: "ide", User: "ann"}, 0, 0},
		{replay.Filter{Rule: "deviation.block"}, 1, 1},
		{replay.Filter{Rule: "deviation.warn"}, 2, 2}, // it was behind both, and would be behind one
		{replay.Filter{Rule: "requests.inline"}, 1, 0},
	} {
		report := run(t, l, replay.Options{Policy: next, Filter: c.filter})
		if report.Decisions != c.decisions || report.Replayed != c.replayed || report.Records.Read != 3 {
			t.Errorf("%+v: %d decisions, %d replayed", c.filter, report.Decisions, report.Replayed)
		}
	}
}

// However many people and names there are, memory is bounded, and the sums hold.
func TestPeopleAreBounded(t *testing.T) {
	s := parsed(t, strictPolicy)
	l := log{decided(s, 30, func(f *policy.Facts) { f.Principal.User = strings.Repeat("x", 1000) })}
	for i := range 30 {
		l = append(l, decided(s, i, func(f *policy.Facts) { f.Principal.User = fmt.Sprintf("user-%d", i%10) }))
	}
	report := run(t, l, replay.Options{Policy: s, MaxPeople: 4})
	if len(report.People) != 4 || report.People[0].Calls != 3 || report.Others == nil || report.Others.Calls != 19 || report.Total.Calls != 31 {
		t.Errorf("%+v", report)
	}
}

func TestErasedPeopleAreCountedWithoutTheirName(t *testing.T) {
	s, next := parsed(t, "mode: enforce"), parsed(t, strictPolicy)
	l := log{decided(s, 0, score(0.9)), decided(s, 1, func(f *policy.Facts) { f.Principal.User = "ben" })}
	report := run(t, l, replay.Options{Policy: next, Erased: func(user string) bool { return user == "ann" }})
	if e := report.Erased; e == nil || e.People != 1 || e.NewlyBlocked != 1 || len(report.People) != 1 || strings.Contains(asJSON(t, report), "ann") {
		t.Errorf("%s", asJSON(t, report))
	}
}

func TestWarnings(t *testing.T) {
	inForce := policy.Default()
	s := parsed(t, "models: {allow: [gpt-4o-mini, gpt-9], teams: {seles: ['*']}}\nrequests: {max_choices: 2}")
	report := run(t, log{decided(inForce, 0, nil)}, replay.Options{Policy: s, InForce: inForce, Models: []string{"o3"}})
	if n := len(report.Warnings); n != 3 || !strings.Contains(report.Warnings[0], "gpt-9") || !strings.Contains(report.Warnings[1], "seles") ||
		!strings.Contains(report.Warnings[2], "requests:") {
		t.Errorf("%q", report.Warnings)
	}
}

func TestErrorsOfTheSource(t *testing.T) {
	if _, err := replay.Run(t.Context(), log{}, replay.Options{}); err == nil {
		t.Error("no policy is taken")
	}
	if _, err := replay.Run(t.Context(), broken{}, replay.Options{Policy: policy.Default()}); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Records(context.Context, time.Time, time.Time, func(core.RecordKind, []byte) error) error {
	return errBroken
}
