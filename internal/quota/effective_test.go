package quota_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
)

var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

func TestConcerns(t *testing.T) {
	ann := quota.Subject{User: "ann", Team: "red", App: "ide", Model: "gpt-5-mini"}
	bare := quota.Subject{User: "ann"}
	for _, tt := range []struct {
		limit     quota.Limit
		subject   quota.Subject
		relevance quota.Relevance
		why       string
	}{
		{quota.Limit{Scope: quota.ScopeEveryone}, bare, quota.RelevanceApplies, "it counts everyone together"},
		{quota.Limit{Scope: quota.ScopeUser}, ann, quota.RelevanceApplies, "it counts each user alone, here ann"},
		{quota.Limit{Scope: quota.ScopeUser, Subject: "ann"}, ann, quota.RelevanceApplies, "it is about user ann"},
		{quota.Limit{Scope: quota.ScopeUser, Subject: "ben"}, ann, quota.RelevanceOthers, "it is about user ben"},
		{quota.Limit{Scope: quota.ScopeTeam, Subject: "red"}, ann, quota.RelevanceApplies, "it is about team red"},
		{quota.Limit{Scope: quota.ScopeTeam}, bare, quota.RelevanceOthers, "it counts each team alone, and here is none"},
		{quota.Limit{Scope: quota.ScopeApp}, bare, quota.RelevanceDepends, "it counts each app alone"},
		{quota.Limit{Scope: quota.ScopeApp, Subject: "ide"}, bare, quota.RelevanceDepends, "only calls through app ide"},
		{quota.Limit{Scope: quota.ScopeApp, Subject: "crm"}, ann, quota.RelevanceOthers, "it is about app crm"},
		{quota.Limit{Scope: quota.ScopeUser, Model: "gpt-5*"}, ann, quota.RelevanceApplies, "it counts each user alone, here ann; model gpt-5-mini is one of gpt-5*"},
		{quota.Limit{Scope: quota.ScopeUser, Model: "o3"}, ann, quota.RelevanceOthers, "it is about models o3, not gpt-5-mini"},
		{quota.Limit{Scope: quota.ScopeUser, Model: "gpt-5*"}, bare, quota.RelevanceDepends, "it counts each user alone, here ann; only calls of models gpt-5*"},
		{quota.Limit{Scope: quota.ScopeUser, Subject: "ben", Model: "gpt-5*"}, bare, quota.RelevanceOthers, "it is about user ben"},
	} {
		relevance, why := tt.limit.Concerns(tt.subject)
		if relevance != tt.relevance || why != tt.why {
			t.Errorf("%+v to %+v: %s, %q, want %s, %q", tt.limit, tt.subject, relevance, why, tt.relevance, tt.why)
		}
	}
}

// What is said to apply is what the ledger counts, for every limit and caller.
func TestWhatAppliesIsWhatCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, s := drawLimit(t, "l"), drawSubject(t)
		relevance, why := l.Concerns(s)
		if (relevance == quota.RelevanceApplies) != l.Matches(s) {
			t.Fatalf("%+v to %+v: %s (%s), and the limit matches: %v", l, s, relevance, why, l.Matches(s))
		}
	})
}

func TestEffective(t *testing.T) {
	limit := func(id string, d quota.Dimension, w quota.Window, value int64) quota.Limit {
		return quota.Limit{ID: id, Scope: quota.ScopeUser, Dimension: d, Window: w, Value: value}
	}
	soft := limit("soft", quota.DimensionTokens, quota.WindowMonth, 10)
	soft.Enforcement = quota.EnforceSoft
	model := limit("model", quota.DimensionRequests, quota.WindowDay, 1)
	model.Model = "o3*"
	limits := must(quota.Compile([]quota.Limit{
		limit("day", quota.DimensionTokens, quota.WindowDay, 1000), limit("week", quota.DimensionTokens, quota.WindowWeek, 2000), soft,
		limit("at-once", quota.DimensionConcurrency, quota.WindowNone, 4), model,
	}))(t)
	now := noon
	ledger := memory.New(memory.Options{Now: func() time.Time { return now }})
	ann := quota.Subject{User: "ann", Model: "gpt-5"}
	for id, tokens := range map[string]int64{"settled": 300, "held": 200} {
		r := quota.Request{ID: id, Subject: ann, Limits: limits, At: now, Amounts: quota.Amounts{Requests: 1, OutputTokens: tokens}}
		if _, err := ledger.Reserve(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ledger.Settle(t.Context(), "settled", quota.Amounts{Requests: 1, OutputTokens: 300}); err != nil {
		t.Fatal(err)
	}
	effects, err := quota.Effective(t.Context(), quota.AskLedger(ledger, limits, now), limits, ann, now)
	if err != nil {
		t.Fatal(err)
	}
	type brief struct {
		ID                               string
		Used, Posted, Pending, Remaining int64
		First                            bool
	}
	var got []brief
	for _, e := range effects {
		if e.Use == nil {
			got = append(got, brief{ID: e.Limit.ID + " has no use", First: e.First})
			continue
		}
		got = append(got, brief{e.Limit.ID, e.Use.Used, e.Use.Posted, *e.Use.Pending, e.Use.Remaining, e.First})
	}
	want := []brief{
		{"day", 500, 300, 200, 500, true}, // half is left; of the week three quarters, and the soft one refuses nobody
		{"week", 500, 300, 200, 1500, false},
		{"soft", 500, 300, 200, 0, false},
		{"at-once", 1, 0, 1, 3, false},
		{"model has no use", 0, 0, 0, 0, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	day := effects[0].Use
	if !day.Since.Equal(noon.Add(-12*time.Hour)) || !day.Reset.Equal(noon.Add(12*time.Hour)) || day.Forecast.Outlook != quota.OutlookLasts {
		t.Errorf("the day is %+v", day)
	}
	if _, err := quota.Effective(t.Context(), failing, limits, ann, now); !errors.Is(err, errFailing) {
		t.Errorf("a ledger that cannot say: %v", err)
	}
}

// The limit with the least part left comes first, also where parts of large values are told apart, and one of 0 before all.
func TestFirstToBind(t *testing.T) {
	day, month := noon.Add(12*time.Hour), noon.Add(20*24*time.Hour)
	for _, tt := range []struct {
		name       string
		one, other quota.Standing
		first      string
	}{
		{name: "least part", one: quota.Standing{Limit: &quota.Limit{Value: 100}, Used: 91}, other: quota.Standing{Limit: &quota.Limit{Value: 10}, Used: 9}, first: "one"},
		{name: "large values", one: quota.Standing{Limit: &quota.Limit{Value: quota.MaxValue}, Used: quota.MaxValue - 2}, other: quota.Standing{Limit: &quota.Limit{Value: quota.MaxValue - 1}, Used: quota.MaxValue - 2}, first: "other"},
		{name: "products of more than 64 bits", one: quota.Standing{Limit: &quota.Limit{Value: 1 << 40}, Used: 1 << 39}, other: quota.Standing{Limit: &quota.Limit{Value: quota.MaxValue}, Used: 1}, first: "one"},
		{name: "nothing", one: quota.Standing{Limit: &quota.Limit{Value: 0}}, other: quota.Standing{Limit: &quota.Limit{Value: 10}, Used: 9}, first: "one"},
		{name: "as little for longer", one: quota.Standing{Limit: &quota.Limit{Value: 10}, Used: 10, Reset: day}, other: quota.Standing{Limit: &quota.Limit{Value: 20}, Used: 25, Reset: month}, first: "other"},
	} {
		var set []quota.Limit
		var stand []quota.Standing
		for i, s := range []quota.Standing{tt.one, tt.other} {
			l := quota.Limit{ID: []string{"one", "other"}[i], Scope: quota.ScopeEveryone, Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: s.Limit.Value}
			s.Limit = &l
			set, stand = append(set, l), append(stand, s)
		}
		ask := func(context.Context, ...quota.Subject) ([][]quota.Standing, error) {
			return [][]quota.Standing{stand}, nil
		}
		effects, err := quota.Effective(t.Context(), ask, must(quota.Compile(set))(t), quota.Subject{}, noon)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range effects {
			if e.First != (e.Limit.ID == tt.first) {
				t.Errorf("%s: %s is first: %v", tt.name, e.Limit.ID, e.First)
			}
		}
	}
}

var errFailing = errors.New("failing")

func failing(context.Context, ...quota.Subject) ([][]quota.Standing, error) { return nil, errFailing }

// Each counter is listed once, whoever meets it, and those that nobody used are not.
func TestCounters(t *testing.T) {
	limit := func(id string, scope quota.ScopeKind, model string) quota.Limit {
		return quota.Limit{ID: id, Scope: scope, Model: model, Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: 100}
	}
	limits := must(quota.Compile([]quota.Limit{
		limit("all", quota.ScopeEveryone, ""), limit("each", quota.ScopeUser, ""), limit("o3", quota.ScopeUser, "o3"), limit("app", quota.ScopeApp, ""),
	}))(t)
	now := noon
	ledger := memory.New(memory.Options{Now: func() time.Time { return now }})
	calls := []struct {
		s      quota.Subject
		tokens int64
		settle bool
	}{
		{quota.Subject{User: "ann", Model: "gpt-5"}, 10, true},
		{quota.Subject{User: "ann", Model: "o3"}, 5, true},
		{quota.Subject{User: "ben", Model: "gpt-5"}, 20, false},
		{quota.Subject{User: "eve", Model: "o3"}, 0, true},
	}
	var subjects []quota.Subject
	for i, c := range calls {
		id, a := string(rune('a'+i)), quota.Amounts{Requests: 1, OutputTokens: c.tokens}
		if _, err := ledger.Reserve(t.Context(), quota.Request{ID: id, Subject: c.s, Limits: limits, At: now, Amounts: a}); err != nil {
			t.Fatal(err)
		}
		if c.settle {
			if _, err := ledger.Settle(t.Context(), id, a); err != nil {
				t.Fatal(err)
			}
		}
		subjects = append(subjects, c.s, c.s)
	}
	uses, err := quota.Counters(t.Context(), quota.AskLedger(ledger, limits, now), limits, subjects, now)
	if err != nil {
		t.Fatal(err)
	}
	type brief struct {
		ID, For      string
		Used, Posted int64
	}
	var got []brief
	for _, u := range uses {
		got = append(got, brief{u.Limit.ID, u.For, u.Used, u.Posted})
	}
	want := []brief{{"all", "", 35, 15}, {"each", "ben", 20, 0}, {"each", "ann", 15, 15}, {"o3", "ann", 5, 5}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	other := must(quota.Compile(nil))(t)
	if _, err := quota.Counters(t.Context(), quota.AskLedger(ledger, other, now), limits, subjects, now); !errors.Is(err, quota.ErrChanged) {
		t.Errorf("limits that changed meanwhile: %v", err)
	}
}

// must gives a value, or fails the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
