package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/durable"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/wholefile"
)

// cardSuffix is what names of cards end in, and maxCard how long one is at most.
const (
	cardSuffix = ".json"
	maxCard    = 64 << 10
)

// Card says what a table was made of and what it is worth. Nothing of a prompt is in it.
type Card struct {
	Version string    `json:"version"`
	Made    time.Time `json:"made"`
	// Base is the table that was adapted, From what it was adapted to, and Why the reason that was given for looking at that.
	Base string `json:"base"`
	From string `json:"from"`
	Why  string `json:"why,omitempty"`
	// Learnt are the prompts that were learnt from, and HeldOut those that were not. Rows have learnt.
	Learnt  int `json:"learnt"`
	HeldOut int `json:"held_out"`
	Rows    int `json:"rows"`
	// Before and After are the mean cosines to the teacher on what was held out, of the base and of this table.
	Before float64 `json:"cosine_before"`
	After  float64 `json:"cosine_after"`
	// Judged is how it parts labelled prompts, nil where nobody judged it.
	Judged *Judged `json:"judged,omitempty"`
}

// Judged is how a table parts prompts on task from others, beside another.
type Judged struct {
	// Beside is the table that it was compared with, and By what the prompts were.
	Beside string `json:"beside"`
	By     string `json:"by"`
	// AUROC is that of the other and of this one, Difference what is more, and SE the standard error of that.
	AUROCBefore float64 `json:"auroc_before"`
	AUROCAfter  float64 `json:"auroc_after"`
	Difference  float64 `json:"auroc_difference"`
	SE          float64 `json:"auroc_difference_se"`
	// Caught is the share of prompts off task that are stopped where 1 % of those on task are.
	CaughtBefore float64 `json:"caught_before"`
	CaughtAfter  float64 `json:"caught_after"`
}

// Propose puts a table and its card into the directory, beside the one in use. A table that is there already keeps its card, if
// it has one.
func (d Dir) Propose(table []byte, card Card) error {
	version, err := d.put(table)
	if err != nil {
		return err
	}
	if version != card.Version {
		return fmt.Errorf("the card is that of %s, and the table is %s", card.Version, version)
	}
	data, err := json.MarshalIndent(card, "", "  ")
	if err != nil {
		return err
	}
	err = durable.Create(d.cardPath(version), append(data, '\n'))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (d Dir) cardPath(version string) string {
	return filepath.Join(string(d), version+cardSuffix)
}

// Card gives the card of a version, nil for none.
func (d Dir) Card(version string) (*Card, error) {
	data, err := wholefile.Read(d.cardPath(version), maxCard)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil && !errors.Is(err, wholefile.ErrTooLarge): // what is too large is no card
		return nil, err
	}
	var c Card
	if err := json.Unmarshal(data, &c); err != nil || c.Version != version {
		return nil, fmt.Errorf("%s is no card of %s: remove it", d.cardPath(version), version)
	}
	return &c, nil
}

// Base gives the table that is to be adapted anew: the one in use, or what that was itself adapted of, so that what a table has
// learnt does not pile up.
func (d Dir) Base() (*embed.Table, error) {
	version, err := d.InUse()
	if err != nil {
		return nil, err
	}
	card, err := d.Card(version)
	if err != nil {
		return nil, err
	}
	if card != nil && embed.IsVersion(card.Base) {
		version = card.Base
	}
	return d.read(version)
}

// Candidates gives the models that were adapted here and never in use, the newest first.
func (d Dir) Candidates() ([]Model, error) {
	all, err := d.List()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(m Model) bool { return !m.Candidate })
	slices.SortFunc(all, func(a, b Model) int { return b.Card.Made.Compare(a.Card.Made) })
	return all, nil
}
