package evaluate_test

import (
	"math"
	"testing"

	"github.com/plumbline/plumbline/internal/evaluate"
)

func reportOf(se float64, aurocs ...float64) *evaluate.Report {
	r := &evaluate.Report{}
	for _, a := range aurocs {
		r.Tasks = append(r.Tasks, evaluate.Result{Figures: evaluate.Figures{AUROC: a, AUROCSE: se, Caught: a / 2}})
	}
	return r
}

func TestCompared(t *testing.T) {
	for name, c := range map[string]struct {
		before, after *evaluate.Report
		auroc, se     float64
		worse         bool
	}{
		"better":             {reportOf(0, .8, .9), reportOf(0, .9, .92), .06, .04, false},
		"worse":              {reportOf(0, .9, .92), reportOf(0, .8, .85), -.085, .015, true},
		"within the error":   {reportOf(0, .8, .9, .85), reportOf(0, .85, .83, .86), -.01 / 3, .035, false},
		"the same":           {reportOf(.1, .8), reportOf(.1, .8), 0, .1 * math.Sqrt2, false},
		"one task, a little": {reportOf(.1, .8), reportOf(.1, .7), -.1, .1 * math.Sqrt2, false},
		"one task, worse":    {reportOf(.01, .8), reportOf(.01, .7), -.1, .01 * math.Sqrt2, true},
	} {
		got := evaluate.Compare(c.before, c.after)
		if math.Abs(got.AUROC-c.auroc) > 1e-9 || math.Abs(got.SE-c.se) > 1e-3 || got.Worse() != c.worse || math.Abs(got.Caught-c.auroc/2) > 1e-9 {
			t.Errorf("%s: %+.4f ± %.4f, worse %v", name, got.AUROC, got.SE, got.Worse())
		}
	}
}
