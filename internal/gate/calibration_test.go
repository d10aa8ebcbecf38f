package gate_test

import (
	"testing"

	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/policy"
)

// TestThePromiseNeedsEnoughLabels: with one label too few a prompt far from every task is warned about and the record says how
// many there are; with enough it is blocked, and the record says by which calibration.
func TestThePromiseNeedsEnoughLabels(t *testing.T) {
	task := core.Task{ID: "billing", Title: "Billing", Description: "Answer questions about invoices and payments.", Topics: []string{"invoices", "payment reminders"}}
	far := saying("Write a birthday poem about sailing boats for my grandmother who loves the sea.")
	scorer, err := deviation.Default()
	if err != nil {
		t.Fatal(err)
	}
	texts := calibrate.TextVersions([]core.Task{task})
	for _, tt := range []struct {
		name          string
		n             int
		doc           string
		blocked       bool
		uncalibrated  bool
		calibratedOne bool
	}{
		{name: "nothing", n: 0, doc: "{warn: 0.1, block: promised}"},
		{name: "one too few", n: 298, doc: "{warn: 0.1, block: promised}"},
		{name: "enough", n: 299, doc: "{warn: 0.1, block: promised}", blocked: true, calibratedOne: true},
		{name: "too few for 0.1 %", n: 299, doc: "{warn: 0.1, block: promised, promise: 0.1%}"},
		{name: "too few, and told to", n: 298, doc: "{warn: 0.1, block: 0.2, enforce_uncalibrated: true}", blocked: true, uncalibrated: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := gatetest.New(t, gatetest.Options{Policy: "version: 1\nmode: enforce\ndeviation: " + tt.doc + "\n", Tasks: []core.Task{task}})
			var labelled []core.Sample
			for range tt.n {
				labelled = append(labelled, core.Sample{Task: task.ID, Text: texts[task.ID], Model: scorer.Version(), Score: 0})
			}
			version := calibrate.New(scorer.Version(), labelled)
			w.Calibration = calibrate.Apply(&version, texts)
			x := opened(t, w)
			_, reply := x.Admit(t.Context(), far)
			x.Close(t.Context(), core.FinishInterrupted)
			kind := core.RecordIntent
			if tt.blocked {
				kind = core.RecordDeny
			}
			if (reply != nil) != tt.blocked {
				t.Fatalf("blocked: %v, want %v", reply != nil, tt.blocked)
			}
			rec := w.Record(t, kind)
			d := rec.Deviation
			if d.N != tt.n || d.Calibrated != tt.calibratedOne || (d.P != nil) != tt.calibratedOne || rec.Verdict.Uncalibrated != tt.uncalibrated {
				t.Errorf("recorded %+v, %+v", *d, *rec.Verdict)
			}
			if !tt.blocked && rec.Verdict.Action != core.ActionWarn {
				t.Errorf("the verdict is %+v", *rec.Verdict)
			}
			facts, err := policy.FactsOf(rec)
			if err != nil || facts.Calibration.Text != texts[task.ID] || (facts.Calibration.Version == version.ID) != (tt.n > 0) {
				t.Errorf("by %+v, %v", facts.Calibration, err)
			}
		})
	}
}
