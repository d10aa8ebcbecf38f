package gate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

// A refusal names the limit, what is used, wanted and allowed, and when it resets: as a date in the limit's zone and in
// seconds.
func TestARefusalForQuotaSaysWhichLimitTheNumbersAndTheReset(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	limit := func(d quota.Dimension, w quota.Window, value int64) *quota.Limit {
		return &quota.Limit{ID: "l-1", Scope: quota.ScopeTeam, Subject: "billing", Dimension: d, Window: w, Value: value}
	}
	each := limit(quota.DimensionRequests, quota.WindowMinute, 60)
	each.Scope, each.Subject, each.Model = quota.ScopeUser, "", "gpt-4o*"
	midnight := time.Date(2026, 3, 4, 23, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		q     quota.ExhaustedError
		zone  *time.Location
		words string
		reset time.Time
	}{
		{
			"a day in Berlin",
			quota.ExhaustedError{Standing: quota.Standing{Limit: limit(quota.DimensionTokens, quota.WindowDay, 200_000), Used: 199_500, Reset: midnight}, Wanted: 1_200},
			berlin,
			"The daily limit on tokens of team billing is used up: 199,500 tokens of 200,000 tokens, and this request may need 1,200 tokens." +
				" Resets at 2026-03-05T00:00:00+01:00 (Europe/Berlin, in 39,600 s).",
			midnight,
		},
		{
			"money",
			quota.ExhaustedError{Standing: quota.Standing{Limit: limit(quota.DimensionCost, quota.WindowMonth, 5_000_000), Used: 4_999_999, Reset: midnight}, Wanted: 2},
			time.UTC,
			"The monthly limit on cost of team billing is used up: $4.999999 of $5.000000, and this request may need $0.000002." +
				" Resets at 2026-03-04T23:00:00Z (in 39,600 s).",
			midnight,
		},
		{
			"a minute of each user, a moment before it lets go",
			quota.ExhaustedError{Standing: quota.Standing{Limit: each, Used: 60, Reset: noon.Add(1200 * time.Millisecond)}, Wanted: 1},
			time.UTC,
			"The per-minute limit on requests of each user for gpt-4o* is used up: 60 requests of 60 requests, and this request may need 1 request." +
				" Resets at 2026-03-04T12:00:01Z (in 2 s).",
			noon.Add(1200 * time.Millisecond),
		},
		{
			"at once",
			quota.ExhaustedError{Standing: quota.Standing{Limit: limit(quota.DimensionConcurrency, quota.WindowNone, 8), Used: 8}, Wanted: 1},
			time.UTC,
			"The limit on concurrent requests of team billing is reached: 8 of 8 in flight. Wait for one to end.",
			time.Time{},
		},
		{
			"more than the whole",
			quota.ExhaustedError{Standing: quota.Standing{Limit: limit(quota.DimensionTokens, quota.WindowDay, 100), Reset: midnight}, Wanted: 101},
			time.UTC,
			"This request alone may use 101 tokens, more than the daily limit on tokens of team billing (100 tokens)." +
				" Ask for less output (max_tokens) or send a shorter prompt.",
			time.Time{},
		},
		{
			"nothing",
			quota.ExhaustedError{Standing: quota.Standing{Limit: limit(quota.DimensionRequests, quota.WindowDay, 0), Reset: midnight}, Wanted: 1},
			time.UTC,
			"The daily limit on requests of team billing is 0: nothing of it is allowed.",
			time.Time{},
		},
	} {
		e := explainQuota(&tt.q, core.ReasonQuotaExhausted, "max_tokens", tt.zone, noon)
		l := tt.q.Standing.Limit
		want := core.Shortage{
			Limit: "l-1", Dimension: string(l.Dimension), Window: string(l.Window), Value: l.Value, Used: tt.q.Standing.Used, Wanted: tt.q.Wanted,
		}
		if diff := cmp.Diff(tt.words, e.Public); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(&want, e.Shortage); diff != "" || !e.Reset.Equal(tt.reset) || e.Rule != "l-1" {
			t.Errorf("%s: reset %v, rule %q, for programs (-want +got):\n%s", tt.name, e.Reset, e.Rule, diff)
		}
	}
}
