package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	strict "github.com/go-json-experiment/json"

	"github.com/plumbline/plumbline/internal/core"
)

// factsVersion is the version of how facts are recorded. It changes whenever the same facts get another record.
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
	// Calibration is what stands behind the deviation.
	Calibration Calibration `json:"calibration,omitzero"`
	// Found are secrets and attacks.
	Found core.Found `json:"found,omitzero"`
	// Opaque are the media types of what could not be read, each once.
	Opaque []string `json:"opaque,omitempty"`
	// TurnsUnjudged is how many turns of a long conversation are older than those that intent and deviation were judged by.
	TurnsUnjudged int   `json:"turns_unjudged,omitzero"`
	Quota         Quota `json:"quota,omitzero"`
}

// Calibration names what a deviation was judged by. No verdict depends on it: it says which labels can be compared.
type Calibration struct {
	// Version is that of the calibration, empty for none, and Text that of the nearest task's text.
	Version string `json:"version,omitempty"`
	Text    string `json:"text,omitempty"`
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

// rest is what Record.Facts holds: the facts for which a record has no field of its own.
type rest struct {
	Version int        `json:"v"`
	At      time.Time  `json:"at"`
	Priced  bool       `json:"priced"`
	Tasks   []string   `json:"tasks,omitempty"`
	Found   core.Found `json:"found,omitzero"`
	Turns   int        `json:"turns_unjudged,omitzero"`
	Quota   Quota      `json:"quota,omitzero"`

	Calibration Calibration `json:"calibration,omitzero"`
}

// AddTo writes the facts into rec, from which FactsOf gives them back: most into the fields of the same name, the rest as
// canonical bytes into rec.Facts. Same facts, same record, same verdict. What JSON cannot hold is changed so that it can:
// a number becomes 1 or -1, on the same side of every threshold, and a year of more than four digits the zero time.
func (f Facts) AddTo(rec *core.Record) {
	at := recordedTime(f.At)
	rec.Principal, rec.Endpoint, rec.Model = f.Principal, f.Endpoint, f.Model
	rec.PolicyVersion, rec.PriceVersion = f.PolicyVersion, f.PriceVersion
	rec.Intent, rec.Deviation = recordedIntent(f.Intent), recordedDeviation(f.Deviation)
	rec.Opaque = f.Opaque
	rec.Facts = rest{factsVersion, at, f.Priced, f.Tasks, f.Found, f.TurnsUnjudged, f.Quota, f.Calibration}.canonical()
}

// recordedTime is a time as a record holds it.
func recordedTime(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Microsecond)
	if y := t.Year(); y < 0 || y > 9999 {
		return time.Time{}
	}
	return t
}

// canonical is what encoding/json makes of r, in a tenth of the time. Nothing in it could fail: strings, numbers, a time
// within RFC 3339.
func (r rest) canonical() []byte {
	b := make([]byte, 0, 256)
	b = append(b, `{"v":`...)
	b = strconv.AppendInt(b, int64(r.Version), 10)
	b = append(b, `,"at":"`...)
	b = r.At.AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","priced":`...)
	b = strconv.AppendBool(b, r.Priced)
	for i, id := range r.Tasks {
		if i == 0 {
			b = append(b, `,"tasks":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendString(b, id)
	}
	if len(r.Tasks) > 0 {
		b = append(b, ']')
	}
	b = appendFound(b, r.Found)
	if r.Turns != 0 {
		b = strconv.AppendInt(append(b, `,"turns_unjudged":`...), int64(r.Turns), 10)
	}
	if r.Quota != (Quota{}) {
		b = append(b, `,"quota":{"outcome":`...)
		b = appendString(b, string(r.Quota.Outcome))
		for _, m := range [...]struct{ name, value string }{
			{`,"limit":`, r.Quota.Limit}, {`,"dimension":`, r.Quota.Dimension}, {`,"window":`, r.Quota.Window},
		} {
			if m.value != "" {
				b = appendString(append(b, m.name...), m.value)
			}
		}
		if r.Quota.Never {
			b = append(b, `,"never":true`...)
		}
		b = append(b, '}')
	}
	return append(appendCalibration(b, r.Calibration), '}')
}

// appendCalibration appends the member of what a deviation was judged by, nothing where that is nothing.
func appendCalibration(b []byte, c Calibration) []byte {
	if c == (Calibration{}) {
		return b
	}
	b = append(b, `,"calibration":{`...)
	if c.Version != "" {
		b = appendString(append(b, `"version":`...), c.Version)
	}
	if c.Version != "" && c.Text != "" {
		b = append(b, ',')
	}
	if c.Text != "" {
		b = appendString(append(b, `"text":`...), c.Text)
	}
	return append(b, '}')
}

// appendFound appends the member of what was found, nothing where that is nothing.
func appendFound(b []byte, f core.Found) []byte {
	if !f.Any() {
		return b
	}
	b = append(b, `,"found":{`...)
	b = appendSightings(b, `"secrets":[`, f.Secrets)
	if len(f.Secrets) > 0 && len(f.Attacks) > 0 {
		b = append(b, ',')
	}
	b = appendSightings(b, `"attacks":[`, f.Attacks)
	if f.Rules != "" {
		b = appendString(append(b, `,"rules":`...), f.Rules)
	}
	return append(b, '}')
}

func appendSightings(b []byte, name string, list []core.Sighting) []byte {
	for i, s := range list {
		if i == 0 {
			b = append(b, name...)
		} else {
			b = append(b, ',')
		}
		b = appendString(append(b, `{"kind":`...), s.Kind)
		b = appendString(append(b, `,"role":`...), string(s.Role))
		b = strconv.AppendInt(append(b, `,"turn":`...), int64(s.Turn), 10)
		b = strconv.AppendInt(append(b, `,"count":`...), int64(s.Count), 10)
		if s.Encoded {
			b = append(b, `,"encoded":true`...)
		}
		b = append(b, '}')
	}
	if len(list) > 0 {
		b = append(b, ']')
	}
	return b
}

// appendString appends a JSON string. Those that need escapes are left to encoding/json.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			quoted, _ := json.Marshal(s) // every string has a form
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// recordedIntent gives an intent as a record holds it: none for a prompt that was not read.
func recordedIntent(in core.Intent) *core.Intent {
	if in.Label == "" && in.Confidence == 0 && len(in.Top) == 0 && in.Unscored == "" && in.Model == "" {
		return nil
	}
	in.Confidence = finite(in.Confidence)
	for i, s := range in.Top {
		if p := finite(s.P); p != s.P { // also when s.P is not a number
			in.Top = slices.Clone(in.Top)
			in.Top[i].P = p
		}
	}
	return &in
}

// recordedDeviation gives a deviation as a record holds it: none for a prompt that was not read.
func recordedDeviation(d core.Deviation) *core.Deviation {
	if d.Score == 0 && d.P == nil && d.N == 0 && !d.Calibrated && d.Unscored == "" && d.Task == "" && d.Phrase == "" &&
		d.Example == 0 && d.OutOfScope == 0 && d.Model == "" {
		return nil
	}
	d.Score, d.Words = finite(d.Score), nil // words of a prompt are not recorded
	if d.P != nil {
		p := finite(*d.P)
		d.P = &p
	}
	return &d
}

// FactsOf reads what AddTo wrote. It refuses other versions and members that it does not know: replaying half of the
// facts would give another verdict than the whole.
func FactsOf(rec core.Record) (Facts, error) {
	var r rest
	if err := strict.Unmarshal(rec.Facts, &r, strict.RejectUnknownMembers(true)); err != nil {
		return Facts{}, fmt.Errorf("facts: %w", err)
	}
	if r.Version != factsVersion {
		return Facts{}, errors.New("facts: of another version of Plumbline")
	}
	f := Facts{
		At:            r.At,
		PolicyVersion: rec.PolicyVersion,
		PriceVersion:  rec.PriceVersion,
		Principal:     rec.Principal,
		Endpoint:      rec.Endpoint,
		Model:         rec.Model,
		Priced:        r.Priced,
		Tasks:         r.Tasks,
		Calibration:   r.Calibration,
		Found:         r.Found,
		TurnsUnjudged: r.Turns,
		Opaque:        rec.Opaque,
		Quota:         r.Quota,
	}
	if rec.Intent != nil {
		f.Intent = *rec.Intent
	}
	if rec.Deviation != nil {
		f.Deviation = *rec.Deviation
	}
	return f, nil
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
