package policy_test

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/policy/policytest"
)

var (
	actions   = map[core.Action]int{core.ActionAllow: 0, core.ActionWarn: 1, core.ActionBlock: 2}
	anyFacts  = policytest.Facts()
	anyPolicy = policytest.Policy()
)

// recorded gives facts as the bytes of a record, which is how they are kept.
func recorded(t interface{ Fatalf(string, ...any) }, f policy.Facts) []byte {
	var rec core.Record
	f.AddTo(&rec)
	b, err := json.Marshal(rec)
	if err != nil {
		t.Fatalf("facts make a record that cannot be kept: %v", err)
	}
	return b
}

// replayed reads facts from the bytes of a record.
func replayed(record []byte) (policy.Facts, error) {
	var rec core.Record
	if err := json.Unmarshal(record, &rec); err != nil {
		return policy.Facts{}, err
	}
	return policy.FactsOf(rec)
}

// checkDecision states what holds for every policy and all facts.
func checkDecision(t interface{ Fatalf(string, ...any) }, s *policy.Snapshot, f policy.Facts) {
	v := s.Decide(f)
	if again := s.Decide(f); again != v {
		t.Fatalf("decided %+v, then %+v", v, again)
	}
	if actions[v.Action] > actions[v.Decided] {
		t.Fatalf("did more than was decided: %+v", v)
	}
	if (v.Decided == core.ActionAllow) != (v.Reason == core.ReasonNone) {
		t.Fatalf("reason and decision disagree: %+v", v)
	}
	without := f // the rules on what was found have a mode of their own
	without.Found = core.Found{}
	if w := s.Decide(without); s.Mode() == policy.ModeEnforce && w.Action != w.Decided {
		t.Fatalf("not enforced: %+v", w)
	}
	modelRefused := f.Model != "" && (!f.Priced || !s.ModelAllowed(f.Principal, f.Model))
	if mustHold := modelRefused || f.Quota.Outcome == policy.QuotaExhausted; mustHold && !v.Blocked() {
		t.Fatalf("a model or hard limit did not hold: %+v", v)
	}
	if v, silent := blocksInSilence(s, f); silent {
		t.Fatalf("blocked by an uncalibrated score without saying so: %+v", v)
	}
	b := recorded(t, f)
	back, err := replayed(b)
	if err != nil {
		t.Fatalf("recorded facts do not read: %v\n%s", err, b)
	}
	if again := recorded(t, back); !bytes.Equal(b, again) {
		t.Fatalf("not canonical:\n%s\n%s", b, again)
	}
	if got := s.Decide(back); got != v {
		t.Fatalf("replayed %+v, decided %+v\n%s", got, v, b)
	}
}

// blocksInSilence gives a verdict by which a score that no calibration backs blocks, or would, without saying so. What is decided
// is asked without what was found: rules on that can be under a mode of their own, and are then not the reason of what is done.
func blocksInSilence(s *policy.Snapshot, f policy.Facts) (v core.Verdict, silent bool) {
	is := func(v core.Verdict, action core.Action) bool {
		return v.Reason == core.ReasonOffTask && action == core.ActionBlock && !f.Deviation.Calibrated && !v.Uncalibrated
	}
	if v = s.Decide(f); is(v, v.Action) {
		return v, true
	}
	f.Found = core.Found{}
	v = s.Decide(f)
	return v, is(v, v.Decided)
}

func TestDecideIsPureTotalAndReplays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkDecision(t, anyPolicy.Draw(t, "policy"), anyFacts.Draw(t, "facts")) })
}

func FuzzDecide(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { checkDecision(t, anyPolicy.Draw(t, "policy"), anyFacts.Draw(t, "facts")) }))
}

// FuzzFactsOf: whatever reads is decided, and is recorded the same again.
func FuzzFactsOf(f *testing.F) {
	f.Add(recorded(f, baselineFacts(f)))
	s := policy.Default()
	f.Fuzz(func(t *testing.T, record []byte) {
		if facts, err := replayed(record); err == nil {
			checkDecision(t, s, facts)
		}
	})
}

func TestMoreDeviationNeverSoftens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, low := anyPolicy.Draw(t, "policy"), anyFacts.Draw(t, "facts")
		high := low
		low.Deviation.Score = rapid.Float64Range(0, 1).Draw(t, "low")
		high.Deviation.Score = rapid.OneOf(rapid.Float64Range(low.Deviation.Score, 1), rapid.Just(math.NaN())).Draw(t, "high")
		a, b := s.Decide(low), s.Decide(high)
		if actions[b.Action] < actions[a.Action] || actions[b.Decided] < actions[a.Decided] {
			t.Fatalf("%v is %+v, %v is %+v", low.Deviation.Score, a, high.Deviation.Score, b)
		}
	})
}

func TestUncalibratedNeverBlocksUnlessTold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, f := anyPolicy.Draw(t, "policy"), anyFacts.Draw(t, "facts")
		f.Deviation.Calibrated = false
		if v, silent := blocksInSilence(s, f); silent {
			t.Fatalf("%+v", v)
		}
	})
}

// TestWhatAnotherVersionFoundDoesNotPassUnseen: a cause that this one does not know warns whatever the document allows, and an
// outcome of the ledger that it does not know refuses.
func TestWhatAnotherVersionFoundDoesNotPassUnseen(t *testing.T) {
	s, err := policy.Parse("policy.yaml", []byte("version: 1\nmode: enforce\ndeviation: {on_unscored: {language: allow, opaque: allow, encoded: allow, too_short: allow, no_task: allow}}"))
	if err != nil {
		t.Fatal(err)
	}
	f := baselineFacts(t)
	f.Deviation = core.Deviation{Unscored: "too_new"}
	if v := s.Decide(f); v.Action != core.ActionWarn || v.Reason != core.ReasonUnscored || v.Rule != "deviation.on_unscored" {
		t.Errorf("%+v", v)
	}
	f.Quota.Outcome = "postponed"
	if v := s.Decide(f); v.Action != core.ActionBlock || v.Reason != core.ReasonGovernanceDown {
		t.Errorf("%+v", v)
	}
}

// TestWhatBacksAPromise: that a score is calibrated, a p value and enough prompts: each of them has to be there.
func TestWhatBacksAPromise(t *testing.T) {
	s, err := policy.Parse("policy.yaml", []byte("version: 1\nmode: enforce\ndeviation: {block: promised, promise: 1%}"))
	if err != nil {
		t.Fatal(err)
	}
	least := func(n int) *float64 { p := 1 / float64(n+1); return &p }
	for name, c := range map[string]struct {
		d    core.Deviation
		want core.Action
	}{
		"all of it":             {core.Deviation{Calibrated: true, P: least(299), N: 299}, core.ActionBlock},
		"not calibrated":        {core.Deviation{P: least(299), N: 299}, core.ActionWarn},
		"no p value":            {core.Deviation{Calibrated: true, N: 299}, core.ActionWarn},
		"one prompt too few":    {core.Deviation{Calibrated: true, P: least(298), N: 298}, core.ActionWarn},
		"a p of many, n of few": {core.Deviation{Calibrated: true, P: least(100_000), N: 298}, core.ActionWarn},
	} {
		f := baselineFacts(t)
		f.Deviation = c.d
		f.Deviation.Score, f.Deviation.Task = 0.99, "billing"
		if v := s.Decide(f); v.Action != c.want {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// TestWhatIsNoNumber: no document makes a threshold of it, and as a score it meets each.
func TestWhatIsNoNumber(t *testing.T) {
	for _, text := range []string{"warn: nan", "warn: NaN", "block: nan", "promise: nan%", "promise: inf%", "block: -inf"} {
		if _, err := policy.Parse("policy.yaml", []byte("version: 1\ndeviation: {"+text+"}")); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
	s, err := policy.Parse("policy.yaml", []byte("version: 1\nmode: enforce\ndeviation: {warn: 1}"))
	if err != nil {
		t.Fatal(err)
	}
	f := baselineFacts(t)
	f.Deviation = core.Deviation{Score: math.NaN(), Task: "billing"}
	if v := s.Decide(f); v.Action != core.ActionWarn || v.Rule != "deviation.warn" {
		t.Errorf("a score that is no number: %+v", v)
	}
}

func TestObserveLiftsOnlyWhatIsAsked(t *testing.T) {
	parse := func(mode string) *policy.Snapshot {
		s, err := policy.Parse("policy.yaml", []byte("version: 1\nmode: "+mode+
			"\ndeviation: {block: 0.9, enforce_uncalibrated: true}\nintents: {forbidden: [jailbreak]}"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	observe, enforce := parse("observe"), parse("enforce")
	rapid.Check(t, func(t *rapid.T) {
		f := anyFacts.Draw(t, "facts")
		a, b := observe.Decide(f), enforce.Decide(f)
		if a.Decided != b.Decided {
			t.Fatalf("the mode changed what was decided: %+v, %+v", a, b)
		}
		f.Intent, f.Deviation, f.Found = core.Intent{}, core.Deviation{}, core.Found{}
		if held := observe.Decide(f); held.Action != a.Action {
			t.Fatalf("what was asked changed what was done: %+v, %+v", a, held)
		}
	})
}

func TestRecordedForm(t *testing.T) {
	f := baselineFacts(t)
	f.Deviation.Words = []core.WordWeight{{Word: "secret", Weight: 1}}
	var got core.Record
	f.AddTo(&got)
	want := core.Record{
		PriceVersion: "2026-03-01",
		Principal:    core.Principal{User: "ada", Team: "billing", App: "crm", Method: core.MethodToken},
		Endpoint:     "chat.completions",
		Model:        "gpt-4o-mini",
		Intent:       &core.Intent{Label: "coding", Confidence: 0.9, Model: "i1"},
		Deviation:    &core.Deviation{Score: 0.1, Task: "t1", Model: "d1"},
		Facts:        json.RawMessage(`{"v":1,"at":"2026-03-02T09:30:00.25Z","priced":true,"tasks":["t1"],"quota":{"outcome":"granted"}}`),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRecordHoldsWhatJSONCannot(t *testing.T) {
	nan := math.NaN()
	f := policy.Facts{
		At:        time.Date(20000, 1, 1, 0, 0, 0, 1, time.FixedZone("", 3600)),
		Model:     "gpt\xff",
		Intent:    core.Intent{Confidence: math.Inf(-1), Top: []core.LabelScore{{P: nan}, {P: 0.5}}},
		Deviation: core.Deviation{Score: nan, P: &nan},
	}
	one := 1.0
	want := policy.Facts{
		Model:     "gpt\ufffd",
		Intent:    core.Intent{Confidence: -1, Top: []core.LabelScore{{P: 1}, {P: 0.5}}},
		Deviation: core.Deviation{Score: 1, P: &one},
	}
	got, err := replayed(recorded(t, f))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if !math.IsNaN(f.Intent.Top[0].P) || !math.IsNaN(*f.Deviation.P) {
		t.Error("AddTo changed the caller's facts")
	}
}

func TestFactsOfRefuses(t *testing.T) {
	for _, b := range []string{``, `{}`, `{"v":2}`, `{"v":1,"risk":3}`, `{"v":1,"v":1}`, `{"v":1}{}`, `[]`, `{"v":1,"priced":"yes"}`} {
		if _, err := policy.FactsOf(core.Record{Facts: json.RawMessage(b)}); err == nil {
			t.Errorf("%s is accepted", b)
		}
	}
}

func benchmarkSubject(b *testing.B) (*policy.Snapshot, policy.Facts) {
	s, err := policy.Parse("policy.yaml", []byte(`
version: 1
mode: enforce
models: {teams: {billing: [o3, "gpt-4*"]}, apps: {crm: ["*-mini", "gpt-*"]}}
deviation: {warn: 0.6, block: 0.9}
intents: {forbidden: [jailbreak], warn: [job_search]}
`))
	if err != nil {
		b.Fatal(err)
	}
	f := baselineFacts(b)
	f.Intent.Top = []core.LabelScore{{Label: "coding", P: 0.9}, {Label: "debugging", P: 0.05}, {Label: "writing", P: 0.01}}
	f.Intent.Confidence, f.Deviation.Score, f.Deviation.Phrase = 0.9134512345, 0.123456789, "monthly invoice run"
	return s, f
}

func BenchmarkDecide(b *testing.B) {
	s, f := benchmarkSubject(b)
	for b.Loop() {
		s.Decide(f)
	}
}

// TestFactsAreWhatEncodingJSONMakes compares the bytes that are written by hand.
func TestFactsAreWhatEncodingJSONMakes(t *testing.T) {
	type written struct {
		Version int          `json:"v"`
		At      time.Time    `json:"at"`
		Priced  bool         `json:"priced"`
		Tasks   []string     `json:"tasks,omitempty"`
		Found   core.Found   `json:"found,omitzero"`
		Turns   int          `json:"turns_unjudged,omitzero"`
		Quota   policy.Quota `json:"quota,omitzero"`

		Calibration policy.Calibration `json:"calibration,omitzero"`
	}
	rapid.Check(t, func(t *rapid.T) {
		f := anyFacts.Draw(t, "facts")
		f.Tasks = append(f.Tasks, rapid.SliceOf(rapid.String()).Draw(t, "tasks")...)
		at := f.At.UTC().Truncate(time.Microsecond)
		if y := at.Year(); y < 0 || y > 9999 {
			at = time.Time{}
		}
		want, err := json.Marshal(written{1, at, f.Priced, f.Tasks, f.Found, f.TurnsUnjudged, f.Quota, f.Calibration})
		if err != nil {
			t.Fatal(err)
		}
		var rec core.Record
		if f.AddTo(&rec); string(rec.Facts) != string(want) {
			t.Errorf("\n got %s\nwant %s", rec.Facts, want)
		}
	})
}

func BenchmarkAddTo(b *testing.B) {
	_, f := benchmarkSubject(b)
	var rec core.Record
	for b.Loop() {
		f.AddTo(&rec)
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	s := policy.Default()
	f := baselineFacts(t)
	if n := testing.AllocsPerRun(100, func() { s.Decide(f) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestGives: what Decide blocks for is what Gives lists, so that a replay tells the policy's refusals from others. An outcome
// of the ledger that this version does not know is the one exception.
func TestGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, f := anyPolicy.Draw(t, "policy"), anyFacts.Draw(t, "facts")
		v := s.Decide(f)
		if !v.Blocked() {
			return
		}
		if unknown := v.Reason == core.ReasonGovernanceDown && f.Quota.Outcome == "other"; !policy.Gives(v.Reason) && !unknown {
			t.Fatalf("%+v", v)
		}
	})
}

func TestUnmet(t *testing.T) {
	s, err := policy.Parse("policy.yaml", []byte(`
version: 1
models:
  allow: [gpt-4o, gpt-9*, "*"]
  teams: {billing: [o3], blling: [gpt-4o]}
  apps: {crm: ["gpt-*"], cmr: ["*"]}
`))
	if err != nil {
		t.Fatal(err)
	}
	got := s.Unmet([]string{"gpt-4o", "o4"}, []string{"billing"}, []string{"crm", "chat"})
	want := []string{
		"models.allow[1]: no model that is known matches gpt-9*",
		"models.teams.billing[0]: no model that is known matches o3",
		"models.teams.blling: no call of this team is known",
		"models.apps.cmr: no call of this app is known",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := s.Unmet(nil, nil, nil); len(got) != 0 {
		t.Errorf("of what is not known it says %q", got)
	}
}

// TestMatches: without limits something objects exactly when not all is allowed, and what decides is among it.
func TestMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, f := anyPolicy.Draw(t, "policy"), anyFacts.Draw(t, "facts")
		f.Quota = policy.Quota{}
		v, names := s.Decide(f), s.Matches(f)
		if (v.Decided == core.ActionAllow) != (len(names) == 0) {
			t.Fatalf("%+v, and %q object", v, names)
		}
		if v.Rule != "" && v.Rule != "models.unpriced" && !slices.Contains(names, v.Rule) {
			t.Fatalf("%+v is not among %q", v, names)
		}
	})
}
