package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
)

// Matches says how often each rule of a policy objects to recorded traffic, whichever rule decides.
type Matches struct {
	// Decisions is how many were looked at, and Skipped how many have no facts to look at.
	Decisions int64       `json:"decisions"`
	Skipped   int64       `json:"skipped"`
	Rules     []RuleMatch `json:"rules"`
}

// RuleMatch is one rule that the document writes.
type RuleMatch struct {
	Rule  string    `json:"rule"`
	Calls int64     `json:"calls"`
	Last  time.Time `json:"last,omitzero"` // the last call that it objected to
}

// CountMatches looks at what src holds with the rules of a policy.
func CountMatches(ctx context.Context, src Source, p *policy.Snapshot, since, until time.Time) (*Matches, error) {
	if p == nil {
		return nil, errors.New("replay: no policy is given")
	}
	m := &Matches{Rules: []RuleMatch{}}
	places := map[string]int{}
	for i, rule := range p.Rules() {
		places[rule] = i
		m.Rules = append(m.Rules, RuleMatch{Rule: rule})
	}
	var in members
	err := src.Records(ctx, since, until, func(kind core.RecordKind, canonical []byte) error {
		if kind != core.RecordIntent && kind != core.RecordDeny {
			return nil
		}
		rec, err := in.read(canonical)
		if err != nil {
			m.Skipped++
			return nil //nolint:nilerr // a damaged record is counted, as in a replay
		}
		f, cause := facts(rec)
		if cause != "" {
			m.Skipped++
			return nil
		}
		m.Decisions++
		m.count(p, &f, rec.Time, places)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	return m, nil
}

// count counts each rule that objects to one call.
func (m *Matches) count(p *policy.Snapshot, f *policy.Facts, at time.Time, places map[string]int) {
	for _, rule := range p.Matches(*f) {
		if i, written := places[rule]; written {
			m.Rules[i].Calls++
			if at.After(m.Rules[i].Last) {
				m.Rules[i].Last = at
			}
		}
	}
}
