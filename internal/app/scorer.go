package app

import (
	"fmt"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/models"
)

// LoadScorer gives the scorer by the embedding table that is in use, and the table. A table that is missing, broken or another
// than its name says is an error: nothing is scored by a table that nobody chose. Intents are told by the shipped table
// whatever is in use: their classifier was trained with it.
func LoadScorer(c config.Deviation) (*deviation.Scorer, *embed.Table, error) {
	s, table, err := scorerOf(models.Dir(c.Models))
	if err != nil {
		return nil, nil, fmt.Errorf("deviation.models: %w", err)
	}
	return s, table, nil
}

func scorerOf(dir models.Dir) (*deviation.Scorer, *embed.Table, error) {
	table, err := dir.Table()
	if err != nil {
		return nil, nil, err
	}
	shipped, err := embed.Default()
	if err != nil {
		return nil, nil, err
	}
	if table == shipped { // made once for the whole process
		s, err := deviation.Default()
		return s, table, err
	}
	s, err := deviation.New(table)
	return s, table, err
}
