package openai

import "github.com/plumbline/plumbline/internal/core"

// Model is a model and its prices, per million tokens.
type Model struct {
	Name                       string
	Input, CachedInput, Output core.MicroUSD
	AudioInput, AudioOutput    core.MicroUSD
	ContextWindow, MaxOutput   int64
	Reasoning                  bool
}

// PriceTable is an immutable table of models.
type PriceTable struct{}

// DefaultPrices is the table that is built in.
func DefaultPrices() *PriceTable { return nil }

// ParsePrices reads a table.
func ParsePrices(data []byte) (*PriceTable, error) { return nil, nil }

// Version names the table.
func (t *PriceTable) Version() string { return "" }

// Model finds a model.
func (t *PriceTable) Model(name string) (Model, bool) { return Model{}, false }

// Cost prices usage.
func (m Model) Cost(u core.Usage) core.MicroUSD { return 0 }
