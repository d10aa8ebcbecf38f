package quota_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

func TestParseValue(t *testing.T) {
	const tokens, cost = quota.DimensionTokens, quota.DimensionCost
	for _, tt := range []struct {
		d    quota.Dimension
		text string
		want int64
		bad  string // a part of the error, empty for a good value
	}{
		{tokens, "0", 0, ""},
		{tokens, "200000", 200_000, ""},
		{tokens, "200_000", 200_000, ""},
		{tokens, "10k", 10_000, ""},
		{tokens, "10K", 10_000, ""},
		{tokens, "1.5M", 1_500_000, ""},
		{tokens, "0.0015k", 0, "not a whole number"},
		{tokens, "2G", 2_000_000_000, ""},
		{tokens, " 7 ", 7, ""},
		{tokens, "9007199254740991", quota.MaxValue, ""},
		{tokens, "9007199254740992", 0, "above the largest value, 9,007,199,254,740,991 tokens"},
		{tokens, "99999999999999999999999999G", 0, "above the largest value"},
		{quota.DimensionConcurrency, "8", 8, ""},
		{tokens, "-1", 0, "not a number"},
		{tokens, "+1", 0, "not a number"},
		{tokens, "1e6", 0, "not a number"},
		{tokens, "0x10", 0, "not a number"},
		{tokens, "1/3", 0, "not a number"},
		{tokens, "1,000", 0, "not a number"},
		{tokens, "10m", 0, "not a number"},
		{tokens, "_1", 0, "not a number"},
		{tokens, "1__0", 0, "not a number"},
		{tokens, "1_", 0, "not a number"},
		{tokens, ".5k", 0, "not a number"},
		{tokens, "5.", 0, "not a number"},
		{tokens, "1.2.3", 0, "not a number"},
		{tokens, "٣", 0, "not a number"},
		{tokens, "", 0, "not a number"},
		{tokens, "k", 0, "not a number"},
		{tokens, "$5", 0, "is money"},
		{tokens, strings.Repeat("1", 65), 0, "longer than 64"},
		{cost, "$5", 5_000_000, ""},
		{cost, "5USD", 5_000_000, ""},
		{cost, "5 USD", 5_000_000, ""},
		{cost, "$0.10", 100_000, ""}, // which no float holds
		{cost, "$0.000001", 1, ""},
		{cost, "$2k", 2_000_000_000, ""},
		{cost, "$9007199254.740991", quota.MaxValue, ""},
		{cost, "$9007199254.740992", 0, "above the largest value, $9007199254.740991"},
		{cost, "$0.0000001", 0, "not a whole number of millionths"},
		{cost, "0", 0, ""},
		{cost, "20", 0, "does not say its unit"},
		{cost, "20000000", 0, "does not say its unit"},
		{cost, "$-5", 0, "not a number"},
		{cost, "$5USD", 0, "not a number"},
		{cost, "$", 0, "not a number"},
	} {
		got, err := quota.ParseValue(tt.d, tt.text)
		switch {
		case tt.bad == "" && (err != nil || got != tt.want):
			t.Errorf("%s %q: %d, %v, want %d", tt.d, tt.text, got, err, tt.want)
		case tt.bad != "" && (!errors.Is(err, quota.ErrValue) || !strings.Contains(err.Error(), tt.bad)):
			t.Errorf("%s %q: %d, %v, want an error with %q", tt.d, tt.text, got, err, tt.bad)
		}
	}
}

// What is printed of a value of cost is read as the same value.
func TestMoneyIsReadAsItIsPrinted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Int64Range(0, quota.MaxValue).Draw(t, "micros")
		if got, err := quota.ParseValue(quota.DimensionCost, core.MicroUSD(v).String()); err != nil || got != v {
			t.Fatalf("%s is %d, %v", core.MicroUSD(v), got, err)
		}
	})
}

func FuzzParseValue(f *testing.F) {
	for _, text := range []string{"200_000", "1.5M", "$0.25", "5USD", "-1", "1e999999999", "0x1p-9"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range []quota.Dimension{quota.DimensionTokens, quota.DimensionCost} {
			v, err := quota.ParseValue(d, text)
			if err != nil && !errors.Is(err, quota.ErrValue) || v < 0 || v > quota.MaxValue {
				t.Fatalf("%s %q: %d, %v", d, text, v, err)
			}
		}
	})
}
