package openai

import (
	_ "embed"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/plumbline/plumbline/internal/core"
)

// Model is what is known of a model. Prices are for a million tokens.
type Model struct {
	Name string `json:"name"`
	// Input and Output are required. A price that is zero among the others means that there is no such discount or
	// extra charge: cached input costs as input, audio as text.
	Input       core.MicroUSD `json:"input"`
	CachedInput core.MicroUSD `json:"cached_input,omitzero"`
	Output      core.MicroUSD `json:"output"`
	AudioInput  core.MicroUSD `json:"audio_input,omitzero"`
	AudioOutput core.MicroUSD `json:"audio_output,omitzero"`
	// ContextWindow and MaxOutput are in tokens.
	ContextWindow int64 `json:"context_window"`
	MaxOutput     int64 `json:"max_output"`
	// Reasoning says that the model spends output tokens that it does not show.
	Reasoning bool `json:"reasoning,omitzero"`
}

// PriceTable is a dated table of models. It never changes.
type PriceTable struct {
	version string
	models  map[string]Model
	unknown Model // what a model that is not in the table costs; nothing: it must not be called
}

// pricesJSON is written from the provider's public price page; its version is the day.
//
//go:embed prices.json
var pricesJSON []byte

var defaultPrices = sync.OnceValue(func() *PriceTable {
	t, err := ParsePrices(pricesJSON)
	if err != nil {
		return &PriceTable{version: "none"} // a test keeps the table that is built in readable
	}
	return t
})

// DefaultPrices is the table that is built in.
func DefaultPrices() *PriceTable { return defaultPrices() }

// maxPrice bounds prices: ten thousand dollars for a million tokens.
const maxPrice core.MicroUSD = 10_000_000_000

// ParsePrices reads a table from JSON: {"version", "source", "models": [{"name", "input", "output", …}]}, prices in whole
// micro-dollars for a million tokens. Unknown and repeated names, missing prices and impossible figures are errors.
func ParsePrices(data []byte) (*PriceTable, error) {
	var file struct {
		Version string  `json:"version"`
		Source  string  `json:"source"`
		Models  []Model `json:"models"`
	}
	if err := json.Unmarshal(data, &file, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("reading prices: %w", err)
	}
	if file.Version == "" {
		return nil, fmt.Errorf("reading prices: the table has no version")
	}
	t := &PriceTable{version: file.Version, models: make(map[string]Model, len(file.Models))}
	for i, m := range file.Models {
		if err := m.check(); err != nil {
			return nil, fmt.Errorf("reading prices: models[%d] %q: %w", i, m.Name, err)
		}
		if _, twice := t.models[m.Name]; twice {
			return nil, fmt.Errorf("reading prices: models[%d] %q is there twice", i, m.Name)
		}
		t.models[m.Name] = m
	}
	return t, nil
}

func (m Model) check() error {
	if m.Name == "" {
		return fmt.Errorf("it has no name")
	}
	if m.Input <= 0 || m.Output <= 0 {
		return fmt.Errorf("input and output need a price above zero: nothing is free")
	}
	for _, p := range []core.MicroUSD{m.Input, m.CachedInput, m.Output, m.AudioInput, m.AudioOutput} {
		if p < 0 || p > maxPrice {
			return fmt.Errorf("%d is no price in micro-dollars for a million tokens", p)
		}
	}
	if m.ContextWindow <= 0 || m.MaxOutput <= 0 {
		return fmt.Errorf("context_window and max_output must be above zero")
	}
	return nil
}

// Version names the table, by its date.
func (t *PriceTable) Version() string { return t.version }

// Model finds a model by its name, or by its name without the date of a snapshot (-2025-08-07, -0613). A model that is
// not found has no price, and is not free: it must not be called.
func (t *PriceTable) Model(name string) (Model, bool) {
	if m, ok := t.models[name]; ok {
		return m, true
	}
	for _, suffix := range []string{"-dddd-dd-dd", "-dddd"} {
		if base, ok := cutDate(name, suffix); ok {
			if m, ok := t.models[base]; ok {
				return m, true
			}
		}
	}
	if t.unknown.Input > 0 {
		m := t.unknown
		m.Name = name
		return m, true
	}
	return Model{}, false
}

// Unknown models are bounded by the largest figures that are in use, since nothing is known of them.
const (
	unknownContextWindow = 1_000_000
	unknownMaxOutput     = 128_000
)

// WithUnknown gives the table with a price for models that it does not name, per million tokens.
func (t *PriceTable) WithUnknown(input, output core.MicroUSD) *PriceTable {
	with := *t
	with.unknown = Model{Input: input, Output: output, ContextWindow: unknownContextWindow, MaxOutput: unknownMaxOutput}
	return &with
}

// Names are the models of the table, in order.
func (t *PriceTable) Names() []string { return slices.Sorted(maps.Keys(t.models)) }

// cutDate takes a suffix of the given pattern, in which d stands for a digit, off a name.
func cutDate(name, pattern string) (string, bool) {
	at := len(name) - len(pattern)
	if at <= 0 {
		return "", false
	}
	for i := range len(pattern) {
		c := name[at+i]
		if pattern[i] == 'd' && (c < '0' || c > '9') || pattern[i] == '-' && c != '-' {
			return "", false
		}
	}
	return name[:at], true
}

// Cost is the price of what was used, rounded up once. It does not overflow: what would is the largest amount there is.
func (m Model) Cost(u core.Usage) core.MicroUSD {
	audioIn := clamp(u.AudioInputTokens, u.InputTokens)
	cached := clamp(u.CachedInputTokens, u.InputTokens-audioIn)
	audioOut := clamp(u.AudioOutputTokens, u.OutputTokens)
	var sum wide
	sum.add(max(u.InputTokens, 0)-audioIn-cached, m.Input)
	sum.add(cached, priceOr(m.CachedInput, m.Input))
	sum.add(audioIn, priceOr(m.AudioInput, m.Input))
	sum.add(max(u.OutputTokens, 0)-audioOut, m.Output)
	sum.add(audioOut, priceOr(m.AudioOutput, m.Output))
	return sum.perMillion()
}

// clamp is part, at least 0 and at most whole.
func clamp(part, whole int64) int64 { return max(min(part, whole), 0) }

func priceOr(p, other core.MicroUSD) core.MicroUSD {
	if p == 0 {
		return other
	}
	return p
}

// wide is a sum of products in 128 bits.
type wide struct{ hi, lo uint64 }

func (w *wide) add(tokens int64, price core.MicroUSD) {
	hi, lo := bits.Mul64(uint64(tokens), uint64(price))
	var carry uint64
	w.lo, carry = bits.Add64(w.lo, lo, 0)
	w.hi, _ = bits.Add64(w.hi, hi, carry)
}

// perMillion divides by a million, rounding up.
func (w wide) perMillion() core.MicroUSD {
	const million = 1_000_000
	lo, carry := bits.Add64(w.lo, million-1, 0)
	hi := w.hi + carry
	if hi >= million {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, million)
	return core.MicroUSD(min(q, math.MaxInt64))
}
