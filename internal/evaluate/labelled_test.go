package evaluate_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/plumbline/plumbline/internal/evaluate"
)

// TestLabelledAreCompared: two scorers are compared by the same prompts; a difference that chance explains is none.
func TestLabelledAreCompared(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(n int, shift float64) (all []evaluate.Scored) {
		for i := range n {
			on := i%2 == 0
			score := random.Float64()
			if !on {
				score += 0.5
			}
			after := score
			if !on {
				after += shift
			}
			all = append(all, evaluate.Scored{OnTask: on, Before: score, After: after + 0.01*random.Float64()})
		}
		return all
	}
	for name, c := range map[string]struct {
		shift       float64
		worse, more bool
	}{"better": {0.3, false, true}, "the same": {0, false, false}, "worse": {-0.3, true, false}} {
		l := evaluate.CompareLabelled(draw(400, c.shift))
		if l.OnTask != 200 || l.OffTask != 200 || l.Worse() != c.worse || (l.AUROC > 2*l.SE) != c.more {
			t.Errorf("%s: %+v", name, l)
		}
		if math.Abs(l.AUROC-(l.After.AUROC-l.Before.AUROC)) > 1e-12 || l.Before.AUROC < 0.8 || l.Before.AUROC > 0.95 || l.SE <= 0 || l.SE > 0.05 {
			t.Errorf("%s: %+v", name, l)
		}
	}
	if l := evaluate.CompareLabelled(draw(2*evaluate.FewestLabelled-1, 0)); l != nil {
		t.Errorf("compared by too few: %+v", l)
	}
	var tied []evaluate.Scored
	for i := range 100 {
		tied = append(tied, evaluate.Scored{OnTask: i%2 == 0, Before: 0.5, After: 0.5})
	}
	if l := evaluate.CompareLabelled(tied); math.Abs(l.Before.AUROC-0.5) > 1e-12 || l.AUROC != 0 || l.SE != 0 || l.Worse() {
		t.Errorf("scores that are all alike: %+v", l)
	}
}
