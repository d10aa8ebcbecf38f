package deviation

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// besideTraffic gives the task with examples enough to be taught again, and what its traffic is.
func besideTraffic(t *testing.T) (*Scorer, *Task, *Background) {
	t.Helper()
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	task := caseTask
	for _, text := range []string{"Flights", "Hotels", "Trains"} {
		task.Examples = append(task.Examples, caseExamples[len(task.Examples)%3]+" "+text, text+" to Bergen for the fair")
	}
	var samples []*query
	for _, text := range slices.Repeat(append(slices.Clone(casePrompts), caseExamples...), 20) {
		samples = append(samples, s.query(text).features())
	}
	b := newBackground(samples)
	return s, s.CompileBeside(task, b), b
}

// TestModelsAreTaughtByModels trains the models anew, step by step.
func TestModelsAreTaughtByModels(t *testing.T) {
	s, task, b := besideTraffic(t)
	examples, sentences := s.read(task.examples), s.generic[len(s.generic)/2:]
	byHand := *task
	byHand.learnt = nil
	first := learn(lessons(examples, b.samples, byHand.taught(b.samples)), s.table.Dim())
	byHand.learnt = first.keep()
	byHand.measureLearnt(sentences)
	alike := byHand.taughtAgain(b.samples)
	second := learn(lessons(examples, b.samples, alike), s.table.Dim())
	if share := task.mix.again.share; share < 0.9 {
		t.Fatalf("%d examples make way by %v", len(task.examples), share)
	}
	for i, got := range task.learnt.columns {
		want := first.columns[i] + task.mix.again.share*(second.columns[i]-first.columns[i])
		if math.Abs(float64(got-want)) > 1e-5 {
			t.Fatalf("column %d: %v, want %v", i, got, want)
		}
	}
	if cmp.Equal(first.columns, second.columns) {
		t.Error("the second models have learnt what the first knew")
	}
	byHand.learnt = task.learnt
	byHand.measureLearnt(sentences)
	if byHand.usual != task.usual {
		t.Error("the models in force are not those that were measured")
	}
}

// TestModelsTeachGently: what is on the task is believed most, what is far hardly, and nothing beyond 0.03.
func TestModelsTeachGently(t *testing.T) {
	s, task, _ := besideTraffic(t)
	alike := task.taughtAgain([]*query{s.query("Which hotel is near the fair in Oslo?"), s.query("Write a poem about rain")})
	if alike[0] < 0.02 || alike[0] > 0.03 || alike[1] > 0.01 || alike[1] < 1e-5 {
		t.Errorf("believed by %v", alike)
	}
}

// TestWhoTeachesAgain: with as few examples as tell little of how a task is worded, and with as many as tell it better than
// traffic does, nothing is taught again.
func TestWhoTeachesAgain(t *testing.T) {
	b := &Background{}
	for examples, again := range map[int]float32{0: 0, 1: 0, 5: 1, 10: 1, 20: 1, 100: 0, MaxExamples: 0} {
		if got := mixOf(examples, b).again.share; math.Abs(float64(got-again)) > 1e-4 {
			t.Errorf("%d examples: %v, want %v", examples, got, again)
		}
	}
	if got := mixOf(10, nil).again.share; got != 0 {
		t.Errorf("%v without traffic", got)
	}
}

// TestKeptModelsAreNear: log-odds by words are off by what rounding each weight comes to, and those by meaning not at all.
func TestKeptModelsAreNear(t *testing.T) {
	s, task, b := besideTraffic(t)
	full := learn(lessons(s.read(task.examples), b.samples, nil), s.table.Dim())
	kept := full.keep()
	moved := false
	for _, q := range s.generic {
		n := float32(len(q.grams))
		got, want, bound := kept.byWords(q), full.byWords(q), 0.51*n*kept.gramUnit*gramScale(len(q.grams))+1e-5
		if off := got - want; off > bound || off < -bound {
			t.Fatalf("%v by words, %v as learnt: more than %v apart", got, want, bound)
		}
		if kept.byMeaning(q) != full.byMeaning(q) {
			t.Fatalf("%v by meaning, %v as learnt", kept.byMeaning(q), full.byMeaning(q))
		}
		moved = moved || got != kept.gramsBias
	}
	if !moved {
		t.Error("words say nothing")
	}
	nothing := &learning{grams: make([]float32, gramSlots), columns: make([]float32, s.table.Dim()), gramsBias: 2}
	if got := nothing.keep().byWords(s.generic[0]); got != 2 {
		t.Errorf("%v by words that nothing was learnt of", got)
	}
}
