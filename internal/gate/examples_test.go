package gate_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/policy"
)

// TestExamplesAreNamedByNumber: what a task's examples say stands in no refusal and in no record, of the prompt that is the very
// same either; their numbers do.
func TestExamplesAreNamedByNumber(t *testing.T) {
	const (
		inside  = "Has Mrs Abernathy of Leith paid for her zither yet?"
		outside = "Recommend a ukulele teacher in Leith for the grandson of Mr Abernathy"
	)
	task := core.Task{
		ID: "billing", Title: "Billing", Description: "Answer questions about invoices and payments.", Topics: []string{"invoices", "payment reminders"},
		Examples: []string{"Which invoices are overdue?", inside}, OutOfScope: []string{"Plan a birthday party", "Book a flight to Oslo", outside},
	}
	for _, c := range []struct {
		text                string
		blocked             bool
		example, outOfScope int
	}{
		{inside, false, 2, 0}, {outside, true, 0, 3},
	} {
		w := gatetest.New(t, gatetest.Options{
			Policy: "version: 1\nmode: enforce\ndeviation: {warn: 0.3, block: 0.4, enforce_uncalibrated: true}\n", Tasks: []core.Task{task},
		})
		w.Calibration = calibrate.Apply(nil, calibrate.TextVersions([]core.Task{task}))
		x := opened(t, w)
		_, reply := x.Admit(t.Context(), saying(c.text))
		x.Close(t.Context(), core.FinishInterrupted)
		if (reply != nil) != c.blocked {
			t.Fatalf("%q: refused %v, want %v", c.text, reply != nil, c.blocked)
		}
		kind := core.RecordIntent
		if c.blocked {
			kind = core.RecordDeny
			if !bytes.Contains(reply.Body, []byte("example 3")) {
				t.Errorf("the refusal does not name the example: %s", reply.Body)
			}
		}
		record := w.Record(t, kind)
		d := record.Deviation
		if c.example != 0 && d.Example != c.example || d.OutOfScope != c.outOfScope || d.Phrase == "" {
			t.Errorf("%q: recorded %+v", c.text, *d)
		}
		canonical, err := audit.Canonical(record)
		if err != nil {
			t.Fatal(err)
		}
		said := string(canonical) + audit.Explanation(&record)
		if reply != nil {
			said += string(reply.Body)
		}
		for _, word := range []string{"abernathy", "leith", "zither", "ukulele"} {
			if strings.Contains(strings.ToLower(said), word) {
				t.Errorf("%q of an example is told: %s", word, said)
			}
		}
		facts, err := policy.FactsOf(record)
		if err != nil || facts.Calibration.Text != calibrate.TextVersion(task) {
			t.Errorf("by %+v, %v: the record does not say in which version of the text the example has its number", facts.Calibration, err)
		}
	}
}
