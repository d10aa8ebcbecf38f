package evaluate

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// holidays is a task with neighbours: prompts about trips that are private.
func holidays() (Task, []Prompt) {
	task := Task{
		ID: "trips", Title: "Business travel", Description: "Book trips.", Topics: []string{"flights", "hotel rooms"},
		Set: "ours", Labels: []string{"travel"}, NegativeSets: []string{"other"},
	}
	var prompts []Prompt
	for i := range 40 {
		prompts = append(prompts,
			Prompt{"ours", "travel", fmt.Sprintf("Reserve room %d for the trade fair", i)},
			Prompt{"other", "leisure", fmt.Sprintf("Book flight %d to the beach for our honeymoon", i)},
			Prompt{"other", "verse", fmt.Sprintf("Compose %d lines about the autumn rain", i)})
	}
	return task, prompts
}

// TestOutOfScopeExamplesAreNeighboursAndNotJudged: what is drawn is of the tenth that is nearest, is left out of the figures
// whether it is given to the task or not, and helps.
func TestOutOfScopeExamplesAreNeighboursAndNotJudged(t *testing.T) {
	task, prompts := holidays()
	o := Options{OutOfScope: 5, Withhold: true, Seeds: 3}
	without, err := Deviation(t.Context(), shipped(t), []Task{task}, prompts, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Withhold = false
	with, err := Deviation(t.Context(), shipped(t), []Task{task}, prompts, o)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := without.Tasks[0], with.Tasks[0]; a.Negatives != 75 || b.Negatives != 75 || with.OutOfScope != 5 || with.Seeds != 3 || b.AUROC <= a.AUROC {
		t.Errorf("without %+v, with %+v", a, b)
	}
	on, off, err := task.part(prompts, 0)
	if err != nil {
		t.Fatal(err)
	}
	e := evaluation{scorer: shipped(t), task: task, prompts: prompts, on: on, off: off}
	for _, p := range prompts {
		e.views = append(e.views, viewOf(p.Text))
	}
	if err := e.findNeighbours(5); err != nil || len(e.neighbours) != 8 {
		t.Fatalf("%d neighbours, %v", len(e.neighbours), err)
	}
	for _, i := range e.neighbours {
		if prompts[i].Label != "leisure" {
			t.Errorf("%q is no neighbour", prompts[i].Text)
		}
	}
	for _, o := range []Options{{OutOfScope: 9, Seeds: 1}, {OutOfScope: -1, Seeds: 1}} {
		if _, err := Deviation(t.Context(), shipped(t), []Task{task}, prompts, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

var stuffing = regexp.MustCompile("flights|hotel|rooms|Business|travel")

// TestDisguisesHide: each disguise keeps what is asked for, and the same numbers give the same text; it changes what is off the
// task alone, and says so.
func TestDisguisesHide(t *testing.T) {
	task, prompts := holidays()
	text := "Please write a poem. Make it short"
	for _, d := range Disguises() {
		hidden := d.of(&task, text, rand.New(rand.NewPCG(1, 2)))
		if hidden == text || !strings.Contains(strings.ToLower(hidden), "poem") || hidden != d.of(&task, text, rand.New(rand.NewPCG(1, 2))) {
			t.Errorf("%s: %q", d, hidden)
		}
		if has := stuffing.MatchString(hidden); has != (d != DisguiseReword) {
			t.Errorf("%s has words of the task: %v: %q", d, has, hidden)
		}
		r, err := Deviation(t.Context(), shipped(t), []Task{task}, prompts, Options{Seeds: 1, Disguise: d})
		if err != nil || r.Disguise != d || r.Tasks[0].Positives != 40 || r.Tasks[0].Negatives != 80 {
			t.Errorf("%s: %+v, %v", d, r, err)
		}
		bare := Task{Description: "Book trips."}
		d.of(&bare, text, rand.New(rand.NewPCG(1, 2))) // nothing to hide behind
	}
	if DisguiseNone.of(&task, text, nil) != text {
		t.Error("no disguise changes a prompt")
	}
}
