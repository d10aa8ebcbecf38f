package openai

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/plumbline/plumbline/internal/core"
)

// Model is what is known of a model. All prices are in whole micro-dollars.
type Model struct {
	Name string `json:"name"`
	Rates
	// Flex and Priority are the prices of the service tiers of these names; nil: as Rates.
	Flex     *Rates `json:"flex,omitzero"`
	Priority *Rates `json:"priority,omitzero"`
	// Long is what a call with a long input costs, nil for a model to which that makes no difference.
	Long *LongRates `json:"long,omitzero"`
	// Images are the prices of a picture by size and quality, e.g. "1024x1024/hd", of a model that is paid by the picture.
	Images map[string]core.MicroUSD `json:"images,omitzero"`
	// Characters is for a million characters that are spoken, Minute for a minute of audio that is heard, Request for
	// each call.
	Characters core.MicroUSD `json:"characters,omitzero"`
	Minute     core.MicroUSD `json:"minute,omitzero"`
	Request    core.MicroUSD `json:"request,omitzero"`
	// Free says that the provider asks nothing for the model, which no price by itself does.
	Free bool `json:"free,omitzero"`
	// ContextWindow and MaxOutput are in tokens; 0 where the model has none, or it is not known.
	ContextWindow int64 `json:"context_window,omitzero"`
	MaxOutput     int64 `json:"max_output,omitzero"`
	// Reasoning says that the model spends output tokens that it does not show.
	Reasoning bool `json:"reasoning,omitzero"`

	image core.MicroUSD // of a picture, once that is known
}

// Rates are prices for a million tokens. One that is zero among CachedInput and those after Output means that there is no
// such discount or extra charge: cached input costs as input, audio and pictures as text.
type Rates struct {
	Input       core.MicroUSD `json:"input,omitzero"`
	CachedInput core.MicroUSD `json:"cached_input,omitzero"`
	Output      core.MicroUSD `json:"output,omitzero"`
	AudioInput  core.MicroUSD `json:"audio_input,omitzero"`
	AudioOutput core.MicroUSD `json:"audio_output,omitzero"`
	ImageInput  core.MicroUSD `json:"image_input,omitzero"`
	ImageOutput core.MicroUSD `json:"image_output,omitzero"`
}

// LongRates hold for all tokens of a call with more input tokens than Above.
type LongRates struct {
	Above int64 `json:"above"`
	Rates
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

// priceFile is the form of a price table.
type priceFile struct {
	Version string  `json:"version"`
	Source  string  `json:"source"`
	Models  []Model `json:"models"`
}

// ParsePrices reads a table from JSON: {"version", "source", "models": [{"name", "input", "output", …}]}, with the members
// of Model. Unknown and repeated names, missing prices and impossible figures are errors.
func ParsePrices(data []byte) (*PriceTable, error) {
	var file priceFile
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
	prices := []core.MicroUSD{m.Characters, m.Minute, m.Request}
	for _, r := range []*Rates{&m.Rates, m.Flex, m.Priority, m.longRates()} {
		if r == nil {
			continue
		}
		if err := r.check(m.Input > 0, m.Output > 0); err != nil {
			return err
		}
		prices = append(prices, r.Input, r.CachedInput, r.Output, r.AudioInput, r.AudioOutput, r.ImageInput, r.ImageOutput)
	}
	for _, p := range m.Images {
		if p == 0 {
			return fmt.Errorf("a picture needs a price above zero: nothing is free")
		}
		prices = append(prices, p)
	}
	paid := false
	for _, p := range prices {
		if p < 0 || p > maxPrice {
			return fmt.Errorf("%d is no price in micro-dollars", p)
		}
		paid = paid || p > 0
	}
	byPiece := m.Characters > 0 || m.Minute > 0 || len(m.Images) > 0
	switch {
	case m.Free && paid:
		return fmt.Errorf("it is free and has a price")
	case m.Free:
	case m.Input == 0 && !byPiece:
		return fmt.Errorf("input needs a price above zero: nothing is free")
	case m.Output == 0 && m.MaxOutput > 0 && !byPiece:
		return fmt.Errorf("output needs a price above zero, or max_output none: nothing is free")
	case m.Output > 0 && m.MaxOutput == 0:
		return fmt.Errorf("a model with a price of its output needs max_output")
	}
	if m.ContextWindow < 0 || m.MaxOutput < 0 {
		return fmt.Errorf("context_window and max_output must not be negative")
	}
	if m.Long != nil && m.Long.Above <= 0 {
		return fmt.Errorf("long needs a number of tokens above which it holds")
	}
	return nil
}

func (m Model) longRates() *Rates {
	if m.Long == nil {
		return nil
	}
	return &m.Long.Rates
}

// check holds the rates of a tier to what the model has a price for, and discounts to being none the other way round:
// more use must not cost less.
func (r Rates) check(input, output bool) error {
	switch {
	case (r.Input > 0) != input || (r.Output > 0) != output:
		return fmt.Errorf("each tier needs the prices of input and output that the model has: nothing is free")
	case r.CachedInput > r.Input:
		return fmt.Errorf("cached_input is above input")
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
	with.unknown = Model{
		Rates: Rates{Input: input, Output: output}, ContextWindow: unknownContextWindow, MaxOutput: unknownMaxOutput,
	}
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
