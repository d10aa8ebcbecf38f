package deviation_test

import (
	"slices"
	"strings"
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
// likest; one that they are not like scores as it did without them.
func TestOutOfScopeExamplesMoveAway(t *testing.T) {
	s := shipped(t)
	asked := travel
	asked.Examples = []string{"Which hotel is near the fair in Oslo?", "Move my flight to Friday"}
	for name, task := range map[string]core.Task{"described": travel, "with examples": asked} {
		with := task
		with.OutOfScope = holidays
		for text, want := range map[string]string{
			"Find a cheap flight and a hotel at the beach for our family": holidays[0],
			"Plan our honeymoon in Bali":                                  holidays[1],
			"Change the flight of our sales team to Monday":               "",
			"Which visa and passport do I need for Japan?":                "",
			"Write a SQL query for the churn rate":                        "",
		} {
			before := s.Score(view(text), []*deviation.Task{s.Compile(task)})
			after := s.Score(view(text), []*deviation.Task{s.Compile(with)})
			if after.OutOfScope != want || before.OutOfScope != "" {
				t.Errorf("%s: %s: moved by %q, want %q", name, text, after.OutOfScope, want)
			}
			if want == "" && after.Score != before.Score || want != "" && after.Score <= before.Score {
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

// TestLongOutOfScopeExampleIsShownInPart: an explanation is bounded, and whole characters.
func TestLongOutOfScopeExampleIsShownInPart(t *testing.T) {
	task := travel
	task.OutOfScope = []string{"Plan a honeymoon in Bali " + strings.Repeat("é", 300)}
	d := shipped(t).Score(view("Plan a honeymoon in Bali "+strings.Repeat("é", 300)), []*deviation.Task{deviation.Compile(task)})
	if n := len(d.OutOfScope); n < 250 || n > 256 || !strings.HasSuffix(d.OutOfScope, "é") {
		t.Errorf("%d bytes: %q", n, d.OutOfScope)
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
	if after.Score <= before.Score || after.OutOfScope != holidays[1] {
		t.Errorf("%.4f without, %+v with", before.Score, after)
	}
}
