package openai

import (
	"math"
	"math/big"
	"reflect"
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
		"not JSON":           `{`,
		"no version":         `{"models":[` + good + `]}`,
		"unknown member":     `{"version":"1","modles":[]}`,
		"unknown price":      `{"version":"1","models":[{"name":"m","input":1,"output":1,"context_window":1,"max_output":1,"batch":1}]}`,
		"no name":            `{"version":"1","models":[{"input":1,"output":1,"context_window":1,"max_output":1}]}`,
		"free":               `{"version":"1","models":[{"name":"m","input":0,"output":1,"context_window":1,"max_output":1}]}`,
		"free output":        `{"version":"1","models":[{"name":"m","input":1,"context_window":1,"max_output":1}]}`,
		"negative":           `{"version":"1","models":[{"name":"m","input":1,"output":1,"cached_input":-1,"context_window":1,"max_output":1}]}`,
		"in dollars":         `{"version":"1","models":[{"name":"m","input":1.25,"output":1,"context_window":1,"max_output":1}]}`,
		"beyond a price":     `{"version":"1","models":[{"name":"m","input":9999999999999,"output":1,"context_window":1,"max_output":1}]}`,
		"no maximum":         `{"version":"1","models":[{"name":"m","input":1,"output":1,"context_window":1}]}`,
		"twice":              `{"version":"1","models":[` + good + `,` + good + `]}`,
		"free and paid":      `{"version":"1","models":[{"name":"m","input":1,"free":true}]}`,
		"a free tier":        `{"version":"1","models":[{"name":"m","input":2,"output":2,"flex":{"input":1},"context_window":1,"max_output":1}]}`,
		"dearer when cached": `{"version":"1","models":[{"name":"m","input":2,"cached_input":3,"output":2,"context_window":1,"max_output":1}]}`,
		"a free picture":     `{"version":"1","models":[{"name":"m","images":{"a":0}}]}`,
		"negative minute":    `{"version":"1","models":[{"name":"m","minute":-6}]}`,
		"long from nowhere":  `{"version":"1","models":[{"name":"m","input":2,"output":2,"long":{"input":3,"output":3},"context_window":1,"max_output":1}]}`,
		"a price of no use":  `{"version":"1","models":[{"name":"m","request":5}]}`,
		"unknown in a tier":  `{"version":"1","models":[{"name":"m","input":2,"output":2,"flex":{"input":1,"output":1,"x":1},"context_window":1,"max_output":1}]}`,
		"repeated member":    `{"version":"1","version":"2","models":[]}`,
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
	m := Model{
		Rates:    Rates{Input: 2_500_000, CachedInput: 1_250_000, Output: 10_000_000, AudioInput: 40_000_000, AudioOutput: 80_000_000},
		Priority: &Rates{Input: 5_000_000, Output: 20_000_000}, Flex: &Rates{Input: 1_250_000, Output: 5_000_000},
	}
	text := func(input, output core.MicroUSD) Model { return Model{Rates: Rates{Input: input, Output: output}} }
	picture := Model{Images: map[string]core.MicroUSD{"1024x1024/standard": 40_000, "1024x1024/hd": 80_000}}
	draw := Model{Rates: Rates{Input: 5_000_000, Output: 40_000_000, ImageInput: 10_000_000, ImageOutput: 50_000_000}}
	long := Model{Rates: Rates{Input: 2_000_000, CachedInput: 200_000, Output: 10_000_000}, Long: &LongRates{Above: 100, Rates: Rates{Input: 4_000_000, CachedInput: 400_000, Output: 15_000_000}}}
	for _, tt := range []struct {
		name  string
		model Model
		usage core.Usage
		want  core.MicroUSD
	}{
		{"nothing", m, core.Usage{}, 0},
		{"text", m, core.Usage{InputTokens: 1000, OutputTokens: 100}, 3500},
		{"rounded up once", m, core.Usage{InputTokens: 1}, 3},
		{"not rounded by part", text(100_000, 100_000), core.Usage{InputTokens: 5, OutputTokens: 5}, 1},
		{"cached", m, core.Usage{InputTokens: 1000, CachedInputTokens: 400}, 2000},
		{"cached without a discount", text(1_000_000, 1), core.Usage{InputTokens: 10, CachedInputTokens: 10}, 10},
		{"more cached than there is", m, core.Usage{InputTokens: 100, CachedInputTokens: 1000}, 125},
		{"audio", m, core.Usage{InputTokens: 10, AudioInputTokens: 10, OutputTokens: 20, AudioOutputTokens: 10}, 400 + 800 + 100},
		{"audio without a price", text(1_000_000, 2_000_000), core.Usage{InputTokens: 10, AudioInputTokens: 10, OutputTokens: 10, AudioOutputTokens: 10}, 30},
		{"negative", m, core.Usage{InputTokens: -5, OutputTokens: -5, CachedInputTokens: -5}, 0},
		{"beyond all", text(maxPrice, maxPrice), core.Usage{InputTokens: math.MaxInt64, OutputTokens: math.MaxInt64}, math.MaxInt64},
		{"priority", m.On(Terms{Tier: "priority"}), core.Usage{InputTokens: 1000, CachedInputTokens: 400, OutputTokens: 100}, 7000},
		{"flex", m.On(Terms{Tier: "flex"}), core.Usage{InputTokens: 1000, OutputTokens: 100}, 1750},
		{"the default tier", m.On(Terms{Tier: "default"}), core.Usage{InputTokens: 1000}, 2500},
		{"a tier without prices", text(1_000_000, 1).On(Terms{Tier: "flex"}), core.Usage{InputTokens: 10}, 10},
		{"pictures by the token", draw, core.Usage{InputTokens: 10, ImageInputTokens: 4, OutputTokens: 10, ImageOutputTokens: 10, Images: 1}, 30 + 40 + 500},
		{"a picture", picture.On(Terms{Image: "1024x1024/standard"}), core.Usage{Images: 2}, 80_000},
		{"a picture of an unknown size is as the dearest", picture.On(Terms{Image: "9x9/hd"}), core.Usage{Images: 2}, 160_000},
		{"speech", Model{Characters: 15_000_000}, core.Usage{InputTokens: 4, Characters: 11}, 165},
		{"a minute", Model{Minute: 6000}, core.Usage{AudioMillis: 60_000}, 6000},
		{"seven seconds", Model{Minute: 6000}, core.Usage{AudioMillis: 7000}, 700},
		{"a millisecond", Model{Minute: 6000}, core.Usage{AudioMillis: 1}, 1},
		{"audio of a model without minutes", text(1_000_000, 1), core.Usage{AudioMillis: 5000}, 100},
		{"a call", Model{Rates: Rates{Input: 1_000_000}, Request: 25_000}, core.Usage{InputTokens: 1}, 25_001},
		{"a long input", long, core.Usage{InputTokens: 101, CachedInputTokens: 1, OutputTokens: 10}, 400 + 1 + 150},
		{"not long", long, core.Usage{InputTokens: 100, OutputTokens: 10}, 300},
		{"free", Model{Free: true}, core.Usage{InputTokens: 1000}, 0},
	} {
		if got := tt.model.Cost(tt.usage); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// drawModel makes up a model that passes the check of a price file.
func drawModel(t *rapid.T) Model {
	price := func(name string, least int64) core.MicroUSD {
		return core.MicroUSD(rapid.Int64Range(least, int64(maxPrice)).Draw(t, name))
	}
	rates := func(name string) Rates {
		r := Rates{Input: price(name+" in", 1), Output: price(name+" out", 1), AudioInput: price(name+" audio in", 0)}
		r.CachedInput = core.MicroUSD(rapid.Int64Range(0, int64(r.Input)).Draw(t, name+" cached"))
		r.AudioOutput, r.ImageInput, r.ImageOutput = price(name+" audio out", 0), price(name+" image in", 0), price(name+" image out", 0)
		return r
	}
	m := Model{
		Name: "m", Rates: rates("base"), ContextWindow: 1, MaxOutput: 1,
		Characters: price("characters", 0), Minute: price("minute", 0), Request: price("request", 0),
		Images: map[string]core.MicroUSD{"a": price("picture a", 1), "b": price("picture b", 1)},
	}
	if rapid.Bool().Draw(t, "tier") {
		flex := rates("flex")
		m.Flex = &flex
	}
	if rapid.Bool().Draw(t, "long") {
		m.Long = &LongRates{Above: rapid.Int64Range(1, 1<<20).Draw(t, "above"), Rates: rates("long")}
	}
	if err := m.check(); err != nil {
		t.Fatal(err)
	}
	return m.On(Terms{Tier: rapid.SampledFrom([]string{"", "flex"}).Draw(t, "asked"), Image: rapid.SampledFrom([]string{"", "a"}).Draw(t, "picture")})
}

func drawUsage(t *rapid.T) core.Usage {
	n := func(name string, most int64) int64 {
		if rapid.Bool().Draw(t, name+" is small") {
			most = min(most, 1<<21)
		}
		return rapid.Int64Range(0, most).Draw(t, name)
	}
	u := core.Usage{
		InputTokens: n("input", math.MaxInt64), OutputTokens: n("output", math.MaxInt64), Images: n("images", math.MaxInt64),
		Characters: n("characters", math.MaxInt64), AudioMillis: n("millis", math.MaxInt64),
	}
	u.CachedInputTokens, u.AudioInputTokens, u.ImageInputTokens = n("cached", u.InputTokens), n("audio in", u.InputTokens), n("image in", u.InputTokens)
	u.AudioOutputTokens, u.ImageOutputTokens = n("audio out", u.OutputTokens), n("image out", u.OutputTokens)
	return u
}

// costByBig is the price list's own arithmetic, in numbers without an end.
func costByBig(m Model, u core.Usage) core.MicroUSD {
	or := func(p, other core.MicroUSD) core.MicroUSD {
		if p == 0 {
			return other
		}
		return p
	}
	if u.IsZero() {
		return 0
	}
	if m.Minute == 0 {
		u.InputTokens = max(u.InputTokens, u.AudioMillis/50)
	}
	full := func(r Rates) [7]core.MicroUSD {
		return [7]core.MicroUSD{
			r.Input, or(r.CachedInput, r.Input), or(r.AudioInput, r.Input), or(r.ImageInput, r.Input),
			r.Output, or(r.AudioOutput, r.Output), or(r.ImageOutput, r.Output),
		}
	}
	prices := full(m.Rates)
	if m.Long != nil && u.InputTokens > m.Long.Above {
		for i, p := range full(m.Long.Rates) {
			prices[i] = max(prices[i], p)
		}
	}
	audioIn := u.AudioInputTokens
	imageIn := min(u.ImageInputTokens, u.InputTokens-audioIn)
	cached := min(u.CachedInputTokens, u.InputTokens-audioIn-imageIn)
	imageOut := min(u.ImageOutputTokens, u.OutputTokens-u.AudioOutputTokens)
	tokens := [7]int64{
		u.InputTokens - audioIn - imageIn - cached, cached, audioIn, imageIn,
		u.OutputTokens - u.AudioOutputTokens - imageOut, u.AudioOutputTokens, imageOut,
	}
	sum := new(big.Rat)
	add := func(n int64, price core.MicroUSD, of int64) {
		product := new(big.Int).Mul(big.NewInt(n), big.NewInt(int64(price)))
		sum.Add(sum, new(big.Rat).SetFrac(product, big.NewInt(of)))
	}
	for i, n := range tokens {
		add(n, prices[i], 1_000_000)
	}
	add(u.Characters, m.Characters, 1_000_000)
	add(u.AudioMillis, m.Minute, 60_000)
	add(u.Images, m.picture(), 1)
	add(1, m.Request, 1)
	up := new(big.Int).Add(sum.Num(), new(big.Int).Sub(sum.Denom(), big.NewInt(1)))
	if up.Div(up, sum.Denom()); !up.IsInt64() {
		return math.MaxInt64
	}
	return core.MicroUSD(up.Int64())
}

// Cost is the exact sum, rounded up once, of whatever was used; it is never negative, and more never costs less.
func TestCostIsExactAndRises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, u := drawModel(t), drawUsage(t)
		got := m.Cost(u)
		if want := costByBig(m, u); got != want || got < 0 {
			t.Fatalf("%d, want %d", got, want)
		}
		for name, field := range map[string]*int64{
			"input": &u.InputTokens, "output": &u.OutputTokens, "images": &u.Images, "characters": &u.Characters, "audio": &u.AudioMillis,
		} {
			before := *field
			*field = rapid.Int64Range(before, math.MaxInt64).Draw(t, "more "+name)
			if more := m.Cost(u); more < got {
				t.Fatalf("%d of %s cost %d, %d cost %d", before, name, got, *field, more)
			}
			*field = before
		}
		if u.IsZero() != (got == 0) {
			t.Fatalf("%+v costs %d", u, got)
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
	if m, ok := priced.Model("gpt-4o-2024-08-06"); !ok || !reflect.DeepEqual(m, known) {
		t.Errorf("known: %+v, %v", m, ok)
	}
	if m, ok := table.Model("unheard-of"); ok {
		t.Errorf("the first table prices it as well: %+v", m)
	}
	if names := table.Names(); !slices.Contains(names, "gpt-4o") || !slices.IsSorted(names) {
		t.Errorf("names %v", names)
	}
}
