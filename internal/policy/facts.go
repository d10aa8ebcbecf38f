package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	strict "github.com/go-json-experiment/json"

	"github.com/plumbline/plumbline/internal/core"
)

// factsVersion is the version of the canonical form. It changes whenever the same facts get other bytes.
const factsVersion = 1

// Facts is everything a decision sees. What is not in here cannot change a verdict.
type Facts struct {
	At            time.Time      `json:"at"` // of admission; microseconds count
	PolicyVersion string         `json:"policy_version"`
	PriceVersion  string         `json:"price_version"`
	Principal     core.Principal `json:"principal"`
	Endpoint      string         `json:"endpoint"`
	Model         string         `json:"model"`
	// Priced reports whether the model has a price. A model without one is refused: nothing is free.
	Priced bool `json:"priced"`
	// Tasks are the ids of the tasks assigned to the person, in the order in which they were scored.
	Tasks     []string       `json:"tasks,omitempty"`
	Intent    core.Intent    `json:"intent"`
	Deviation core.Deviation `json:"deviation"`
	Quota     Quota          `json:"quota,omitzero"`
}

// Outcome is what the ledger answered.
type Outcome string

// The outcomes of asking the ledger.
const (
	QuotaUnasked   Outcome = ""          // the ledger was not asked yet
	QuotaGranted   Outcome = "granted"   // there was room in every limit
	QuotaSoft      Outcome = "soft"      // granted, and a soft limit is over its value
	QuotaExhausted Outcome = "exhausted" // a hard limit lacked room
)

// Quota is the ledger's answer. Limit, Dimension and Window describe the limit that lacked room in the words of package
// quota, which are stored as they are.
type Quota struct {
	Outcome   Outcome `json:"outcome"`
	Limit     string  `json:"limit,omitempty"` // its id
	Dimension string  `json:"dimension,omitempty"`
	Window    string  `json:"window,omitempty"`
	// Never is set when the call is larger than the whole limit and can never fit.
	Never bool `json:"never,omitzero"`
}

// canonical is the stored form of facts.
type canonical struct {
	Version int `json:"v"`
	Facts
}

// Canonical gives the canonical bytes of the facts, as JSON: same facts, same bytes, same verdict. Every value has such
// bytes: a number that JSON cannot hold becomes 1 or -1, on the same side of every threshold, invalid UTF-8 becomes the
// replacement character, and a year of more than four digits the zero time.
func (f Facts) Canonical() []byte {
	f.At = f.At.UTC().Truncate(time.Microsecond)
	if y := f.At.Year(); y < 0 || y > 9999 {
		f.At = time.Time{}
	}
	f.Intent.Confidence = finite(f.Intent.Confidence)
	f.Deviation.Score = finite(f.Deviation.Score)
	if p := f.Deviation.P; p != nil {
		in := finite(*p)
		f.Deviation.P = &in
	}
	for i, s := range f.Intent.Top {
		if p := finite(s.P); p != s.P { // also when s.P is not a number
			f.Intent.Top = slices.Clone(f.Intent.Top)
			f.Intent.Top[i].P = p
		}
	}
	// Nothing is left that could fail: strings, finite numbers, a time within RFC 3339.
	b, _ := json.Marshal(&canonical{factsVersion, f})
	return b
}

// ParseFacts reads what Canonical wrote. It refuses other versions and members that it does not know: replaying half of
// the facts would give another verdict than the whole.
func ParseFacts(b []byte) (Facts, error) {
	var c canonical
	if err := strict.Unmarshal(b, &c, strict.RejectUnknownMembers(true)); err != nil {
		return Facts{}, fmt.Errorf("facts: %w", err)
	}
	if c.Version != factsVersion {
		return Facts{}, errors.New("facts: of another version of Plumbline")
	}
	return c.Facts, nil
}

// finite replaces what is not a number by 1, as it meets every threshold.
func finite(x float64) float64 {
	switch {
	case math.IsNaN(x), math.IsInf(x, 1):
		return 1
	case math.IsInf(x, -1):
		return -1
	default:
		return x
	}
}
