package replay

import (
	"encoding/json"
	"fmt"
	"time"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/plumbline/plumbline/internal/core"
)

// members are those of a record that a replay needs: what policy.Decide reads of the facts, what was made of them, and whose
// call it was. To leave out the others, and to use the same memory for each record, takes a third of the time. That nothing
// is missing here that Decide reads is what TestAnyFactsReplayExactly finds out.
type members struct {
	Kind      core.RecordKind `json:"kind"`
	Time      time.Time       `json:"time"`
	Exchange  string          `json:"exchange"`
	Principal struct {
		User   string      `json:"user"`
		Team   string      `json:"team"`
		App    string      `json:"app"`
		Method core.Method `json:"method"`
	} `json:"principal"`
	Endpoint      string `json:"endpoint"`
	Model         string `json:"model"`
	PolicyVersion string `json:"policy_version"`
	Intent        struct {
		Label      string        `json:"label"`
		Confidence float64       `json:"confidence"`
		Unscored   core.Unscored `json:"unscored"`
		Model      string        `json:"model"`
	} `json:"intent"`
	Deviation struct {
		Score      float64       `json:"score"`
		P          *float64      `json:"p"`
		N          int           `json:"n"`
		Calibrated bool          `json:"calibrated"`
		Unscored   core.Unscored `json:"unscored"`
		Task       string        `json:"task"`
		Model      string        `json:"model"`
	} `json:"deviation"`
	Opaque   []string        `json:"opaque"`
	Verdict  *core.Verdict   `json:"verdict"`
	Facts    json.RawMessage `json:"facts"`
	Finish   core.Finish     `json:"finish"`
	Reason   core.Reason     `json:"reason"`
	Refusals *core.Refusals  `json:"refusals"`

	record core.Record
	scores struct {
		intent    core.Intent
		deviation core.Deviation
	}
}

// read reads canonical bytes. The record holds what a replay needs, and is overwritten by the next one. As for
// audit.Decode, of members that stand there twice the last one counts; no record that was written has any.
func (m *members) read(canonical []byte) (*core.Record, error) {
	*m = members{Facts: m.Facts[:0]}
	if err := strict.Unmarshal(canonical, m, jsontext.AllowDuplicateNames(true)); err != nil {
		return nil, fmt.Errorf("replay: decoding a record: %w", err)
	}
	m.scores.intent = core.Intent{
		Label: m.Intent.Label, Confidence: m.Intent.Confidence, Unscored: m.Intent.Unscored, Model: m.Intent.Model,
	}
	m.scores.deviation = core.Deviation{
		Score: m.Deviation.Score, P: m.Deviation.P, N: m.Deviation.N, Calibrated: m.Deviation.Calibrated,
		Unscored: m.Deviation.Unscored, Task: m.Deviation.Task, Model: m.Deviation.Model,
	}
	m.record = core.Record{
		Kind: m.Kind, Time: m.Time, Exchange: m.Exchange, Endpoint: m.Endpoint, Model: m.Model, PolicyVersion: m.PolicyVersion,
		Principal: core.Principal{User: m.Principal.User, Team: m.Principal.Team, App: m.Principal.App, Method: m.Principal.Method},
		Opaque:    m.Opaque,
		Intent:    &m.scores.intent, Deviation: &m.scores.deviation, Verdict: m.Verdict, Facts: m.Facts,
		Finish: m.Finish, Reason: m.Reason, Refusals: m.Refusals,
	}
	return &m.record, nil
}
