package deviation_test

import (
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
)

// TestFreshWording keeps the figures of MODEL.md for prompts that were written after the model was done, of which few
// share a word with the tasks or with the generic activities. They are the honest picture beside TestPersonas, whose
// prompts name what the tasks and the activities name. A better model raises the bounds.
func TestFreshWording(t *testing.T) {
	on := map[string][]string{
		"disputes": {
			"He never authorised this transaction, what do we tell him?",
			"The client wants her money back for a service she did not use.",
			"Draft an apology for overbilling.",
			"Why does the statement show two debits of 49 dollars?",
			"Escalate this complaint to the finance team.",
		},
		"churn": {
			"Optimise this left join.",
			"Which accounts left us in Q3?",
			"Give me a breakdown of lost subscribers by plan.",
			"Why does this group by return NULL rows?",
			"Turn these numbers into a slide for the board.",
		},
		"trips": {
			"Cheapest fare from Oslo to Rome on the 12th?",
			"Our speaker missed her connection in Frankfurt, what are the options?",
			"Do I need vaccines for Kenya?",
			"Extend the stay by two nights.",
			"Reserve seats on the Eurostar for four people.",
		},
	}
	off := []string{
		"Write a eulogy for my grandfather.",
		"How do I fold a paper crane?",
		"Draft a complaint to my landlord about mould in the bathroom.",
		"What does my horoscope say for this week?",
		"Generate names for my dungeons and dragons elf.",
		"How do I tune an acoustic guitar?",
		"Explain quantum entanglement to a ten year old.",
		"Which telescope should I get to watch Saturn?",
		"Help my son with his French verbs.",
		"How can I unclog the kitchen sink?",
		"Write a Python script that scrapes sneaker prices.",
		"Compose a wedding speech for my sister.",
		"Book a table for my anniversary tonight.",
		"Give me a strategy for beating Elden Ring's final enemy.",
		"Improve my CV for a position at a competitor.",
	}
	s := shipped(t)
	var warned, stopped, caught int
	for _, task := range []core.Task{support, analyst, travel} {
		compiled := []*deviation.Task{deviation.Compile(task)}
		for _, text := range on[task.ID] {
			score := s.Score(view(text), compiled).Score
			if score > warn {
				warned++
			}
			if score > block {
				stopped++
			}
			t.Logf("%s, on task: %.3f: %s", task.ID, score, text)
		}
		for _, text := range off {
			score := s.Score(view(text), compiled).Score
			if score > block {
				caught++
			}
			t.Logf("%s, off task: %.3f: %s", task.ID, score, text)
		}
	}
	if warned > 3 || stopped > 1 || caught < 35 {
		t.Errorf("of 15 on task %d are above warn and %d above block; of 45 off task %d are above block", warned, stopped, caught)
	}
}
