package gate_test

import (
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/policy"
)

// answering is a classifier with one answer.
type answering string

func (a answering) Classify(*intent.View) core.Intent {
	return core.Intent{Label: string(a), Confidence: 0.9, Model: "test"}
}

// TestClassesComeWithThePolicy: a prompt is judged by the classes of the policy that its exchange pinned, which are made ready
// once for each policy, and where a policy adds none nothing is asked for.
func TestClassesComeWithThePolicy(t *testing.T) {
	made := 0
	w := gatetest.New(t, gatetest.Options{Change: func(o *gate.Options) {
		o.Classifier = answering("coding")
		o.Extend = func(p *policy.Snapshot) gate.Classifier {
			made++
			return answering(p.Classes()[0].Label)
		}
	}})
	ask := func() string {
		x, _ := admitted(t, w, saying("Should I buy bitcoin now, or hold what I have?"))
		x.Close(t.Context(), core.FinishInterrupted)
		records := w.Records()
		for i := len(records) - 1; i >= 0; i-- {
			if records[i].Kind == core.RecordIntent {
				return records[i].Intent.Label
			}
		}
		return ""
	}
	for i, step := range []struct {
		document, want string
		made           int
	}{
		{"version: 1\n", "coding", 0},
		{classesOf("crypto"), "crypto", 1},
		{"", "crypto", 1},
		{classesOf("sailing"), "sailing", 2},
		{"version: 1\n", "coding", 2},
	} {
		if step.document != "" {
			w.SetPolicy(t, step.document)
		}
		if got := ask(); got != step.want || made != step.made {
			t.Errorf("step %d: %s, made %d times; want %s and %d", i, got, made, step.want, step.made)
		}
	}
}

// classesOf is a document that adds a class and warns of it.
func classesOf(label string) string {
	return "version: 1\nintents: {classes: [{label: " + label + ", description: d}], warn: [" + label + "]}\n"
}
