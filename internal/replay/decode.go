package replay

import (
	"encoding/json"
	"fmt"
	"time"

	strict "github.com/go-json-experiment/json"

	"github.com/plumbline/plumbline/internal/core"
)

// members are those of a record that a replay needs: every one that policy.FactsOf reads, whole, and what was made of the
// facts. Leaving out the others more than halves the time.
type members struct {
	Kind          core.RecordKind `json:"kind"`
	Time          time.Time       `json:"time"`
	Exchange      string          `json:"exchange"`
	Principal     core.Principal  `json:"principal"`
	Endpoint      string          `json:"endpoint"`
	Model         string          `json:"model"`
	PolicyVersion string          `json:"policy_version"`
	PriceVersion  string          `json:"price_version"`
	Intent        *core.Intent    `json:"intent"`
	Deviation     *core.Deviation `json:"deviation"`
	Verdict       *core.Verdict   `json:"verdict"`
	Facts         json.RawMessage `json:"facts"`
	Finish        core.Finish     `json:"finish"`
	Reason        core.Reason     `json:"reason"`
	Refusals      *core.Refusals  `json:"refusals"`
}

// decode reads of a record's canonical bytes what a replay needs; the other fields stay empty. Each member may stand there
// once: where there are two, no reader could say which one was decided on.
func decode(canonical []byte) (core.Record, error) {
	var m members
	if err := strict.Unmarshal(canonical, &m); err != nil {
		return core.Record{}, fmt.Errorf("replay: decoding a record: %w", err)
	}
	return core.Record{
		Kind: m.Kind, Time: m.Time, Exchange: m.Exchange, Principal: m.Principal, Endpoint: m.Endpoint, Model: m.Model,
		PolicyVersion: m.PolicyVersion, PriceVersion: m.PriceVersion, Intent: m.Intent, Deviation: m.Deviation,
		Verdict: m.Verdict, Facts: m.Facts, Finish: m.Finish, Reason: m.Reason, Refusals: m.Refusals,
	}, nil
}
