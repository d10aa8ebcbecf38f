package quota_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

func TestOutputReservation(t *testing.T) {
	tests := []struct {
		name   string
		output quota.Output
		want   int64
		ok     bool
	}{
		{"the model's maximum", quota.Output{ModelMax: 16384}, 16384, true},
		{"the client's maximum", quota.Output{ModelMax: 16384, ClientMax: 100}, 100, true},
		{"a client that asks for more than there is", quota.Output{ModelMax: 16384, ClientMax: math.MaxInt64}, 16384, true},
		{"of several choices", quota.Output{ModelMax: 16384, ClientMax: 100, Choices: 4}, 400, true},
		{"a model without a known maximum", quota.Output{ClientMax: 100}, 100, true},
		{"nothing known", quota.Output{}, 0, false},
		{"stream", quota.Output{ModelMax: 16384, Stream: true}, 1024, true},
		{"short stream", quota.Output{ModelMax: 16384, ClientMax: 100, Stream: true}, 100, true},
		{"short stream of several choices", quota.Output{ModelMax: 16384, ClientMax: 600, Choices: 2, Stream: true}, 1024, true},
		{"stream, nothing known", quota.Output{Stream: true}, 1024, true},
		{"stream of a model that reasons", quota.Output{ModelMax: 16384, Stream: true, Reasoning: true}, 16384, true},
		{"too many choices", quota.Output{ModelMax: 16384, Choices: math.MaxInt64}, quota.MaxAmount, true},
		{"negative", quota.Output{ModelMax: 16384, ClientMax: -5, Choices: -1}, 16384, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := quota.OutputReservation(tt.output); got != tt.want || ok != tt.ok {
				t.Errorf("got %d, %v, want %d, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// standing gives a hard limit with so much room left.
func standing(d quota.Dimension, room int64) quota.Standing {
	return quota.Standing{Limit: &quota.Limit{ID: string(d), Dimension: d, Value: 100_000}, Used: 100_000 - room}
}

func tenEach(output int64) core.MicroUSD { return core.MicroUSD(1000 + 10*output) }

func TestLargestFitting(t *testing.T) {
	soft := standing(quota.DimensionOutputTokens, 0)
	soft.Limit.Enforcement = quota.EnforceSoft
	tests := []struct {
		name          string
		standings     []quota.Standing
		most, choices int64
		want          int64 // 0 for none
	}{
		{"no limits", nil, 5000, 1, 5000},
		{"all fits", []quota.Standing{standing(quota.DimensionOutputTokens, 5000)}, 5000, 1, 5000},
		{"output", []quota.Standing{standing(quota.DimensionOutputTokens, 4999)}, 5000, 1, 4999},
		{"output of three choices", []quota.Standing{standing(quota.DimensionOutputTokens, 1000)}, 5000, 3, 333},
		{"total", []quota.Standing{standing(quota.DimensionTokens, 1000)}, 5000, 1, 900},
		{"cost", []quota.Standing{standing(quota.DimensionCost, 5009)}, 5000, 1, 400},
		{"the least of all", []quota.Standing{
			standing(quota.DimensionTokens, 1000), standing(quota.DimensionCost, 8000), standing(quota.DimensionOutputTokens, 3000),
		}, 5000, 1, 700},
		{"soft", []quota.Standing{soft}, 5000, 1, 5000},
		{"just enough", []quota.Standing{standing(quota.DimensionOutputTokens, 256)}, 5000, 1, 256},
		{"too little", []quota.Standing{standing(quota.DimensionOutputTokens, 255)}, 5000, 1, 0},
		{"too little for two", []quota.Standing{standing(quota.DimensionOutputTokens, 511)}, 5000, 2, 0},
		{"a client that wants less than is worth it", nil, 255, 1, 0},
		{"no room for the input", []quota.Standing{standing(quota.DimensionInputTokens, 99)}, 5000, 1, 0},
		{"no request left", []quota.Standing{standing(quota.DimensionRequests, 0)}, 5000, 1, 0},
		{"none at once", []quota.Standing{standing(quota.DimensionConcurrency, 0)}, 5000, 1, 0},
		{"one at once", []quota.Standing{standing(quota.DimensionConcurrency, 1)}, 5000, 1, 5000},
		{"unbounded", []quota.Standing{standing(quota.DimensionOutputTokens, 70_000)}, math.MaxInt64, 1, 70_000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := quota.Amounts{Requests: 1, InputTokens: 100}
			got, ok := quota.LargestFitting(tt.standings, want, tt.most, tt.choices, tenEach)
			if got != tt.want || ok != (tt.want > 0) {
				t.Errorf("got %d, %v, want %d", got, ok, tt.want)
			}
		})
	}
}

// What it gives fits, and one more does not.
func TestLargestFittingProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var standings []quota.Standing
		for _, d := range []quota.Dimension{quota.DimensionOutputTokens, quota.DimensionTokens, quota.DimensionCost} {
			standings = append(standings, standing(d, rapid.Int64Range(-10, 20_000).Draw(t, string(d))))
		}
		input, most := rapid.Int64Range(0, 1000).Draw(t, "input"), rapid.Int64Range(1, 30_000).Draw(t, "most")
		choices := rapid.Int64Range(1, 5).Draw(t, "choices")
		fits := func(perChoice int64) bool {
			out := perChoice * choices
			return out <= room(standings[0]) && input+out <= room(standings[1]) && int64(tenEach(out)) <= room(standings[2])
		}
		got, ok := quota.LargestFitting(standings, quota.Amounts{Requests: 1, InputTokens: input}, most, choices, tenEach)
		switch {
		case !ok && most >= quota.MinOutput && fits(quota.MinOutput):
			t.Fatal("none, though the least fits")
		case ok && (got < quota.MinOutput || got > most || !fits(got)):
			t.Fatalf("%d does not fit", got)
		case ok && got < most && fits(got+1):
			t.Fatalf("%d, though %d fits", got, got+1)
		}
	})
}

func room(s quota.Standing) int64 { return s.Limit.Value - s.Used }

func TestAmounts(t *testing.T) {
	most := quota.Amounts{Requests: quota.MaxAmount, InputTokens: quota.MaxAmount, OutputTokens: quota.MaxAmount, Cost: quota.MaxAmount}
	if err := most.Validate(); err != nil {
		t.Error(err)
	}
	if got := most.In(quota.DimensionTokens); got != 2*quota.MaxAmount {
		t.Errorf("total tokens %d", got)
	}
	if err := most.Add(quota.Amounts{Cost: 1}).Validate(); !errors.Is(err, quota.ErrAmount) {
		t.Errorf("above the most: %v", err)
	}
	a := quota.Amounts{Requests: 1, InputTokens: 2, OutputTokens: 3, Cost: 4}
	for d, want := range map[quota.Dimension]int64{
		quota.DimensionRequests: 1, quota.DimensionInputTokens: 2, quota.DimensionOutputTokens: 3,
		quota.DimensionTokens: 5, quota.DimensionCost: 4, quota.DimensionConcurrency: 0,
	} {
		if got := a.In(d); got != want {
			t.Errorf("%s: %d, want %d", d, got, want)
		}
	}
	if got := quota.ChargeAmounts(a.Charge(time.Unix(1, 0))); got != a {
		t.Errorf("through a charge: %+v", got)
	}
	for _, b := range []quota.Amounts{{Requests: 2}, {InputTokens: 3}, {OutputTokens: 4}, {Cost: 5}} {
		if !b.Exceeds(a) {
			t.Errorf("%+v does not exceed %+v", b, a)
		}
	}
	if a.Exceeds(a) {
		t.Error("exceeds itself")
	}
	for _, tt := range []struct{ a, b, want int64 }{
		{1, 2, 3}, {math.MaxInt64, 1, math.MaxInt64}, {math.MaxInt64, math.MaxInt64, math.MaxInt64}, {math.MaxInt64 - 1, 1, math.MaxInt64}, {0, 0, 0},
	} {
		if got := quota.SaturatingAdd(tt.a, tt.b); got != tt.want {
			t.Errorf("%d + %d = %d", tt.a, tt.b, got)
		}
	}
}

func TestExhaustedError(t *testing.T) {
	refusal := func(d quota.Dimension, w quota.Window, wanted int64, reset time.Time) *quota.ExhaustedError {
		l := quota.Limit{ID: "l", Dimension: d, Window: w, Value: 10}
		return &quota.ExhaustedError{Standing: quota.Standing{Limit: &l, Used: 10, Reset: reset}, Wanted: wanted}
	}
	soon, late := time.Unix(100, 0), time.Unix(200, 0)
	never := refusal(quota.DimensionTokens, quota.WindowMinute, 11, soon)
	month := refusal(quota.DimensionTokens, quota.WindowMonth, 1, late)
	minute := refusal(quota.DimensionTokens, quota.WindowMinute, 1, soon)
	atOnce := refusal(quota.DimensionConcurrency, quota.WindowNone, 1, time.Time{})
	order := []*quota.ExhaustedError{never, month, minute, atOnce, nil}
	for i, e := range order[:4] {
		want := []core.Reason{
			core.ReasonRequestTooLarge, core.ReasonQuotaExhausted, core.ReasonRateLimited, core.ReasonConcurrencyLimit,
		}[i]
		if got := e.Reason(); got != want {
			t.Errorf("reason %s, want %s", got, want)
		}
		for j, o := range order {
			if got := e.Outlasts(o); got != (i < j) {
				t.Errorf("%v outlasts %v: %v", e, o, got)
			}
		}
	}
	if got := minute.Error(); got != "quota: limit l lacks room: 10 used of 10, 1 wanted" {
		t.Error(got)
	}
}
