package layout

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

// Calibrations is how calibrations are kept.
var Calibrations = Kind[core.Calibration]{
	Name: "calibration", Table: "calibrations", Columns: []string{"id", "model", "tasks", "created", "demoted"},
	ID: func(c core.Calibration) string { return c.ID }, Validate: store.ValidateCalibration,
	Values: func(c core.Calibration) []any {
		return []any{c.ID, c.Model, tasks{&c.Tasks}, store.Micros(c.Created), store.Micros(c.Demoted)}
	},
	Scan: func(row Scanner) (c core.Calibration, err error) {
		err = row.Scan(&c.ID, &c.Model, tasks{&c.Tasks}, Micros{&c.Created}, Micros{&c.Demoted})
		return c, err
	},
}

// tasks keeps the scores of a calibration as JSON, in which each number is the shortest that gives it back.
type tasks struct{ of *[]core.CalibratedTask }

// Value implements driver.Valuer.
func (t tasks) Value() (driver.Value, error) {
	data, err := json.Marshal(*t.of)
	return string(data), err
}

// Scan implements sql.Scanner.
func (t tasks) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("scores are kept as %T", value)
	}
	return json.Unmarshal([]byte(text), t.of)
}

// SampleColumns are those of a sample, in the order in which they are read and written.
const SampleColumns = "exchange, drawn, task, text, model, score, place"

// SampleValues are a sample's columns.
func SampleValues(s core.Sample) []any {
	return []any{s.Exchange, store.Micros(s.Drawn), s.Task, s.Text, s.Model, s.Score, s.Place}
}

// ScanSample reads a sample.
func ScanSample(row Scanner) (s core.Sample, err error) {
	err = row.Scan(&s.Exchange, Micros{&s.Drawn}, &s.Task, &s.Text, &s.Model, &s.Score, &s.Place)
	return s, err
}

// LabelColumns are those of a label, after those of its sample.
const LabelColumns = SampleColumns + ", labeller, on_task, labelled, approved, proposal, judge"

// LabelValues are a label's columns.
func LabelValues(l core.Label) []any {
	return append(SampleValues(l.Sample), l.By, l.OnTask, store.Micros(l.At), l.Approved, l.Proposal, l.Judge)
}

// ScanLabel reads a label.
func ScanLabel(row Scanner) (l core.Label, err error) {
	s := &l.Sample
	err = row.Scan(&s.Exchange, Micros{&s.Drawn}, &s.Task, &s.Text, &s.Model, &s.Score, &s.Place,
		&l.By, &l.OnTask, Micros{&l.At}, &l.Approved, &l.Proposal, &l.Judge)
	return l, err
}

// ProposalColumns are those of a proposal, in the order in which they are read and written.
const ProposalColumns = "exchange, judge, verdict, rationale, made"

// ProposalValues are a proposal's columns.
func ProposalValues(p core.Proposal) []any {
	return []any{p.Exchange, p.Judge, p.Verdict, Blob{&p.Rationale}, store.Micros(p.At)}
}

// ScanProposal reads a proposal.
func ScanProposal(row Scanner) (p core.Proposal, err error) {
	err = row.Scan(&p.Exchange, &p.Judge, &p.Verdict, Blob{&p.Rationale}, Micros{&p.At})
	return p, err
}
