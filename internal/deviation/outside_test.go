package deviation_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
)

// holidays are what seems to belong to business travel, and does not.
var holidays = []string{
	"Find a cheap flight and a beach hotel for my family holiday", "Plan a honeymoon in Bali for my wife and me",
}

// TestOutOfScopeExamplesMoveAway: with them a prompt that they are like is farther from the task, and the explanation names the
// likest by its number; one that they are not like scores as it did without them.
func TestOutOfScopeExamplesMoveAway(t *testing.T) {
	s := shipped(t)
	asked := travel
	asked.Examples = []string{"Which hotel is near the fair in Oslo?", "Move my flight to Friday"}
	for name, task := range map[string]core.Task{"described": travel, "with examples": asked} {
		with := task
		with.OutOfScope = holidays
		for text, want := range map[string]int{
			"Find a cheap flight and a hotel at the beach for our family": 1,
			"Plan our honeymoon in Bali":                                  2,
			"Change the flight of our sales team to Monday":               0,
			"Which visa and passport do I need for Japan?":                0,
			"Write a SQL query for the churn rate":                        0,
		} {
			before := s.Score(view(text), []*deviation.Task{s.Compile(task)})
			after := s.Score(view(text), []*deviation.Task{s.Compile(with)})
			if after.OutOfScope != want || before.OutOfScope != 0 {
				t.Errorf("%s: %s: moved by %d, want %d", name, text, after.OutOfScope, want)
			}
			if want == 0 && after.Score != before.Score || want != 0 && after.Score <= before.Score {
				t.Errorf("%s: %s: %.4f without, %.4f with", name, text, before.Score, after.Score)
			}
		}
	}
}

// TestWhatIsInScopeWins: a prompt that is as like an example in scope, or a topic, as one out of it is on the task.
func TestWhatIsInScopeWins(t *testing.T) {
	s := shipped(t)
	for name, change := range map[string]func(*core.Task){
		"an example": func(t *core.Task) { t.Examples = []string{holidays[1]} }, "a topic": func(t *core.Task) { t.Topics = append(slices.Clone(t.Topics), holidays[1]) },
	} {
		task := travel
		change(&task)
		with := task
		with.OutOfScope = []string{holidays[1]}
		v := view("Plan a honeymoon in Bali")
		before, after := s.Score(v, []*deviation.Task{s.Compile(task)}), s.Score(v, []*deviation.Task{s.Compile(with)})
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s that is out of scope too (-without +with): %s", name, diff)
		}
	}
}

// TestOutOfScopeBesideTraffic: they count beside a background too.
func TestOutOfScopeBesideTraffic(t *testing.T) {
	s := shipped(t)
	b := s.NewBackground(everyday())
	with := travel
	with.OutOfScope = holidays
	v := view("Plan our honeymoon in Bali")
	before, after := s.Score(v, []*deviation.Task{s.CompileBeside(travel, b)}), s.Score(v, []*deviation.Task{s.CompileBeside(with, b)})
	if after.Score <= before.Score || after.OutOfScope != 2 {
		t.Errorf("%.4f without, %+v with", before.Score, after)
	}
}
