package openai

import (
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
)

func TestDefaultPrices(t *testing.T) {
	if _, err := ParsePrices(pricesJSON); err != nil {
		t.Fatal(err)
	}
	table := DefaultPrices()
	if table.Version() == "" || table.Version() == "none" {
		t.Errorf("version %q", table.Version())
	}
	for name, want := range map[string]string{
		"gpt-4o": "gpt-4o", "gpt-4o-2024-08-06": "gpt-4o", "gpt-4o-2024-05-13": "gpt-4o-2024-05-13",
		"gpt-4o-mini-2024-07-18": "gpt-4o-mini", "gpt-4.1-nano": "gpt-4.1-nano", "gpt-5-nano-2025-08-07": "gpt-5-nano",
		"gpt-5-mini": "gpt-5-mini", "o3": "o3", "o4-mini": "o4-mini", "gpt-3.5-turbo-0125": "gpt-3.5-turbo", "gpt-4-0613": "gpt-4",
		// Not known, so not free.
		"": "", "gpt-4o-": "", "GPT-4o": "", "gpt-4o-2024-8-6": "", "gpt-4o-search-preview": "", "gpt-4o-20240806": "",
		"-2024-08-06": "", "gpt-5-2025-08-07-2025-08-07": "", "gpt-9": "", "ft:gpt-4o:x": "", "gpt-4o-0a13": "",
	} {
		m, ok := table.Model(name)
		if m.Name != want || ok != (want != "") {
			t.Errorf("Model(%q) = %q, %v", name, m.Name, ok)
		}
	}
}

func TestParsePrices(t *testing.T) {
	const good = `{"name":"m","input":1,"output":1,"context_window":1,"max_output":1}`
	for name, doc := range map[string]string{
		"not JSON":        `{`,
		"no version":      `{"models":[` + good + `]}`,
		"unknown member":  `{"version":"1","modles":[]}`,
		"unknown price":   `{"version":"1","models":[{"name":"m","input":1,"output":1,"context_window":1,"max_output":1,"batch":1}]}`,
		"no name":         `{"version":"1","models":[{"input":1,"output":1,"context_window":1,"max_output":1}]}`,
		"free":            `{"version":"1","models":[{"name":"m","input":0,"output":1,"context_window":1,"max_output":1}]}`,
		"free output":     `{"version":"1","models":[{"name":"m","input":1,"context_window":1,"max_output":1}]}`,
		"negative":        `{"version":"1","models":[{"name":"m","input":1,"output":1,"cached_input":-1,"context_window":1,"max_output":1}]}`,
		"in dollars":      `{"version":"1","models":[{"name":"m","input":1.25,"output":1,"context_window":1,"max_output":1}]}`,
		"beyond a price":  `{"version":"1","models":[{"name":"m","input":9999999999999,"output":1,"context_window":1,"max_output":1}]}`,
		"no maximum":      `{"version":"1","models":[{"name":"m","input":1,"output":1,"context_window":1}]}`,
		"twice":           `{"version":"1","models":[` + good + `,` + good + `]}`,
		"repeated member": `{"version":"1","version":"2","models":[]}`,
	} {
		if _, err := ParsePrices([]byte(doc)); err == nil {
			t.Errorf("%s: no error", name)
		} else if !strings.HasPrefix(err.Error(), "reading prices: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	table, err := ParsePrices([]byte(`{"version":"1","source":"s","models":[` + good + `]}`))
	if err != nil || table.Version() != "1" {
		t.Fatalf("%v, %v", table, err)
	}
}

func TestCost(t *testing.T) {
	m := Model{Input: 2_500_000, CachedInput: 1_250_000, Output: 10_000_000, AudioInput: 40_000_000, AudioOutput: 80_000_000}
	for _, tt := range []struct {
		name  string
		model Model
		usage core.Usage
		want  core.MicroUSD
	}{
		{"nothing", m, core.Usage{}, 0},
		{"text", m, core.Usage{InputTokens: 1000, OutputTokens: 100}, 3500},
		{"rounded up once", m, core.Usage{InputTokens: 1}, 3},
		{"not rounded by part", Model{Input: 100_000, Output: 100_000}, core.Usage{InputTokens: 5, OutputTokens: 5}, 1},
		{"cached", m, core.Usage{InputTokens: 1000, CachedInputTokens: 400}, 2000},
		{"cached without a discount", Model{Input: 1_000_000, Output: 1}, core.Usage{InputTokens: 10, CachedInputTokens: 10}, 10},
		{"more cached than there is", m, core.Usage{InputTokens: 100, CachedInputTokens: 1000}, 125},
		{"audio", m, core.Usage{InputTokens: 10, AudioInputTokens: 10, OutputTokens: 20, AudioOutputTokens: 10}, 400 + 800 + 100},
		{
			"audio without a price",
			Model{Input: 1_000_000, Output: 2_000_000},
			core.Usage{InputTokens: 10, AudioInputTokens: 10, OutputTokens: 10, AudioOutputTokens: 10},
			30,
		},
		{"negative", m, core.Usage{InputTokens: -5, OutputTokens: -5, CachedInputTokens: -5}, 0},
		{"beyond all", Model{Input: maxPrice, Output: maxPrice}, core.Usage{InputTokens: math.MaxInt64, OutputTokens: math.MaxInt64}, math.MaxInt64},
	} {
		if got := tt.model.Cost(tt.usage); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// Cost is the exact sum, rounded up, of whatever was used.
func TestCostIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		price := rapid.Int64Range(1, int64(maxPrice))
		m := Model{Input: core.MicroUSD(price.Draw(t, "in")), CachedInput: core.MicroUSD(price.Draw(t, "cached")), Output: core.MicroUSD(price.Draw(t, "out"))}
		in := rapid.Int64Range(0, math.MaxInt64).Draw(t, "input")
		u := core.Usage{InputTokens: in, CachedInputTokens: rapid.Int64Range(0, in).Draw(t, "cached"), OutputTokens: rapid.Int64Range(0, math.MaxInt64).Draw(t, "output")}
		sum := new(big.Int)
		for _, x := range [][2]int64{{u.InputTokens - u.CachedInputTokens, int64(m.Input)}, {u.CachedInputTokens, int64(m.CachedInput)}, {u.OutputTokens, int64(m.Output)}} {
			sum.Add(sum, new(big.Int).Mul(big.NewInt(x[0]), big.NewInt(x[1])))
		}
		sum.Add(sum, big.NewInt(999_999)).Div(sum, big.NewInt(1_000_000))
		want := core.MicroUSD(math.MaxInt64)
		if sum.IsInt64() {
			want = core.MicroUSD(sum.Int64())
		}
		if got := m.Cost(u); got != want {
			t.Fatalf("%d, want %d", got, want)
		}
	})
}

// A configured price for unknown models is for those alone, and leaves the table that it came from as it was.
func TestPricesWithUnknown(t *testing.T) {
	table := DefaultPrices()
	priced := table.WithUnknown(9_000_000, 90_000_000)
	if m, ok := priced.Model("unheard-of"); !ok || m.Name != "unheard-of" || m.Input != 9_000_000 || m.Output != 90_000_000 {
		t.Errorf("unknown: %+v, %v", m, ok)
	}
	known, _ := table.Model("gpt-4o-2024-08-06")
	if m, ok := priced.Model("gpt-4o-2024-08-06"); !ok || m != known {
		t.Errorf("known: %+v, %v", m, ok)
	}
	if m, ok := table.Model("unheard-of"); ok {
		t.Errorf("the first table prices it as well: %+v", m)
	}
	if names := table.Names(); !slices.Contains(names, "gpt-4o") || !slices.IsSorted(names) {
		t.Errorf("names %v", names)
	}
}
