package gate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/quota"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func standing(d quota.Dimension, w quota.Window, value, used int64, reset time.Duration) quota.Standing {
	s := quota.Standing{Limit: &quota.Limit{ID: "l", Dimension: d, Window: w, Value: value}, Used: used}
	if reset != 0 {
		s.Reset = noon.Add(reset)
	}
	if w != quota.WindowMinute && w != quota.WindowNone {
		s.Since, _ = quota.Bounds(w, time.UTC, noon)
		_, s.Reset = quota.Bounds(w, time.UTC, noon)
		if until := noon.Add(reset); until.Before(s.Reset) {
			s.Since, s.Reset = s.Since.Add(until.Sub(s.Reset)), until // as long a window, which ends then
		}
	}
	return s
}

// providers are the headers of a provider with 500 requests and 30,000 tokens a minute.
func providers(requests, tokens string) [][2]string {
	return [][2]string{
		{"x-ratelimit-limit-requests", "500"},
		{"x-ratelimit-remaining-requests", requests},
		{"x-ratelimit-reset-requests", "120ms"},
		{"x-ratelimit-limit-tokens", "30000"},
		{"x-ratelimit-remaining-tokens", tokens},
		{"x-ratelimit-reset-tokens", "6m0s"},
	}
}

func TestRateLimits(t *testing.T) {
	soft := standing(quota.DimensionRequests, quota.WindowMinute, 5, 5, time.Second)
	soft.Limit.Enforcement = quota.EnforceSoft
	ours := func(kind, limit, left, reset string) [][2]string {
		return [][2]string{{"x-ratelimit-limit-" + kind, limit}, {"x-ratelimit-remaining-" + kind, left}, {"x-ratelimit-reset-" + kind, reset}}
	}
	draft := func(policy, state string) [][2]string {
		return [][2]string{{"ratelimit-policy", policy}, {"ratelimit", state}}
	}
	join := func(parts ...[][2]string) (all [][2]string) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	for _, tt := range []struct {
		name      string
		standings []quota.Standing
		provider  [][2]string
		want      [][2]string
	}{
		{"no limits", nil, nil, nil},
		{
			"the provider's alone stay as they are", nil, providers("499", "29000"),
			draft(`"requests";q=500;qu="requests", "tokens";q=30000;qu="tokens"`, `"requests";r=499;t=1, "tokens";r=29000;t=360`),
		},
		{
			"ours alone",
			[]quota.Standing{standing(quota.DimensionRequests, quota.WindowMinute, 60, 10, 5*time.Second)},
			nil,
			join(ours("requests", "60", "50", "5s"), draft(`"requests";q=60;qu="requests";w=60`, `"requests";r=50;t=5`)),
		},
		{
			"the tightest of each kind",
			[]quota.Standing{
				standing(quota.DimensionTokens, quota.WindowDay, 200_000, 100_000, 12*time.Hour),
				standing(quota.DimensionOutputTokens, quota.WindowHour, 10_000, 9_000, 6*time.Minute),
				standing(quota.DimensionRequests, quota.WindowMonth, 1000, 1, time.Hour),
				standing(quota.DimensionCost, quota.WindowMonth, 10, 10, time.Hour),
				standing(quota.DimensionConcurrency, quota.WindowNone, 1, 1, 0), soft,
			},
			providers("499", "29000"),
			join(ours("tokens", "10000", "1000", "6m0s"),
				draft(`"requests";q=500;qu="requests", "tokens";q=10000;qu="tokens";w=3600`, `"requests";r=499;t=1, "tokens";r=1000;t=360`)),
		},
		{
			"as little for longer is tighter",
			[]quota.Standing{
				standing(quota.DimensionRequests, quota.WindowMinute, 60, 60, 5*time.Second),
				standing(quota.DimensionRequests, quota.WindowDay, 100, 100, time.Hour),
			},
			nil,
			join(ours("requests", "100", "0", "1h0m0s"), draft(`"requests";q=100;qu="requests";w=86400`, `"requests";r=0;t=3600`)),
		},
		{
			"above the limit, and past",
			[]quota.Standing{standing(quota.DimensionInputTokens, quota.WindowMinute, 10, 900, -time.Second)},
			nil,
			join(ours("tokens", "10", "0", "0s"), draft(`"tokens";q=10;qu="tokens";w=60`, `"tokens";r=0;t=0`)),
		},
		{
			"an unused minute",
			[]quota.Standing{standing(quota.DimensionInputTokens, quota.WindowMinute, 10, 0, 0)},
			nil,
			join(ours("tokens", "10", "10", "0s"), draft(`"tokens";q=10;qu="tokens";w=60`, `"tokens";r=10;t=0`)),
		},
		{"rubbish of the provider says nothing", nil, providers("a lot", "-1"), nil},
		{"half of the provider's says nothing", nil, providers("499", "29000")[1:3], nil},
	} {
		if diff := cmp.Diff(tt.want, rateLimits(tt.standings, tt.provider, noon)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestResetIsWrittenAsOpenAIDoes(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 120 * time.Millisecond: "120ms", 1500 * time.Microsecond: "2ms", 999_500 * time.Microsecond: "1s", time.Second: "1s",
		1001 * time.Millisecond: "2s", 6 * time.Minute: "6m0s", 24 * time.Hour: "24h0m0s",
	} {
		if got := resetIn(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
