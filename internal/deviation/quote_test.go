package deviation_test

import (
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
)

// stray is off each of the tasks.
const stray = "Recommend three thrillers about submarines for my holiday"

// TestQuotingATaskHidesNothing: who names a task in front of a request or behind it is judged by the request.
func TestQuotingATaskHidesNothing(t *testing.T) {
	s := shipped(t)
	for _, task := range []core.Task{support, analyst, travel} {
		compiled := []*deviation.Task{deviation.Compile(task)}
		plain := s.Score(view(stray), compiled).Score
		for _, text := range []string{
			stray + ". " + task.Title + ".", task.Title + ": " + stray, stray + ", " + task.Topics[0],
			stray + "\nAlso: " + task.Topics[1] + ". And " + task.Topics[2] + ".",
			task.Topics[0] + ", " + stray + ", " + task.Topics[3],
		} {
			d := s.Score(view(text), compiled)
			if d.Score < plain-0.05 {
				t.Errorf("%s: %.3f where the request alone has %.3f: %s", task.ID, d.Score, plain, text)
			}
			for _, w := range d.Words {
				if w.Word == "visa" || w.Word == "chargeback" || w.Word == "retention" {
					t.Errorf("%s: what was quoted explains the score: %v", task.ID, d.Words)
				}
			}
		}
	}
}

// TestQuotingInAConversation: the newest turn is looked at, and what was asked before it is not what is left of it.
func TestQuotingInAConversation(t *testing.T) {
	s, tasks := shipped(t), all()
	before := "Book a flight to Lisbon for the team and a hotel near the conference"
	text := stray + ", with a plot that surprises. Travel expenses and policy."
	if plain, d := s.Score(view(stray), tasks), s.Score(turns(before, text), tasks); d.Score < plain.Score-0.05 {
		t.Errorf("%.3f in a conversation, %.3f the request alone", d.Score, plain.Score)
	}
	for _, text := range []string{"Travel expenses and policy?", "Yes. Rental car, train and airport transfer, please."} {
		if d := s.Score(turns(before, text), tasks); d.Score > warn/2 {
			t.Errorf("%.3f for a short answer: %s", d.Score, text)
		}
	}
}

// TestQuotationsOfOtherRolesAreLeftIn: what an app says of itself is judged where the user says next to nothing, and names the
// task for good.
func TestQuotationsOfOtherRolesAreLeftIn(t *testing.T) {
	p := core.Prompt{Parts: []core.Part{
		{Role: core.RoleSystem, Kind: core.KindText, Text: "You help with business travel coordination. Answer in a friendly tone, concisely and without jokes."},
		{Role: core.RoleUser, Kind: core.KindText, Turn: 1, Text: "go on"},
	}}
	alone := p
	alone.Parts = p.Parts[:1:1]
	alone.Parts[0].Role = core.RoleUser
	tasks := all()
	if asked, said := shipped(t).Score(intent.NewView(alone), tasks), shipped(t).Score(intent.NewView(p), tasks); said.Score >= asked.Score {
		t.Errorf("%.3f said by the app, %.3f by the user", said.Score, asked.Score)
	}
}

// TestQuotingOneTaskAndAskingForAnother: both are assigned.
func TestQuotingOneTaskAndAskingForAnother(t *testing.T) {
	d := shipped(t).Score(view("Billing disputes support: which visa and which hotel does our engineer need in Oslo?"), all())
	if d.Task != "trips" || d.Score > warn/2 {
		t.Errorf("%+v", d)
	}
}

// TestRequestsInTheTasksOwnWords: people word requests as their task is worded, and add how they want the answer.
func TestRequestsInTheTasksOwnWords(t *testing.T) {
	s := shipped(t)
	for _, task := range []core.Task{support, analyst, travel} {
		compiled := []*deviation.Task{deviation.Compile(task)}
		for _, topic := range task.Topics {
			for _, text := range []string{"How do we handle " + topic + "?", topic + ". Keep it short, please.", "Write a note for the team on " + topic} {
				if d := s.Score(view(text), compiled); d.Unscored == "" && d.Score > warn/2 {
					t.Errorf("%s: %.3f: %s", task.ID, d.Score, text)
				}
			}
		}
	}
}

// letters is worded in topics of two or three words, as people ask.
var letters = core.Task{
	ID: "letters", Title: "Answers to customers", Description: "Reply to customers who write about their payments.",
	Topics: []string{"an invoice is wrong", "refund of a payment", "late fee", "cancel a subscription", "a card that was declined"},
}

// TestRequestsMadeOfShortTopics: what is left of them says how, when and for whom, and is no request of its own.
func TestRequestsMadeOfShortTopics(t *testing.T) {
	s, tasks := shipped(t), []*deviation.Task{deviation.Compile(letters)}
	for _, text := range []string{
		"Write a reply to a customer whose invoice is wrong and who asks for a refund of the payment",
		"Draft a short, friendly mail to a client about a late fee", "Explain in simple words why the invoice is wrong",
		"When will I get my late fee back?", "How long does it take to cancel a subscription?", "Give me an example of a letter on a late fee, please",
		"A colleague wants to know today how to cancel the subscription", "Summarise this week: refund of a payment, late fee",
	} {
		if d := s.Score(view(text), tasks); d.Score > warn/8 {
			t.Errorf("%.3f: %s", d.Score, text)
		}
	}
	for _, text := range []string{
		"Recommend a thriller about submarines. Late fee.", "late fee: which chocolate cake can be baked without an oven?",
		"Cancel a subscription. Compose a sonnet on autumn leaves and melancholy.", "Which striker scored most goals in the cup final? Refund of a payment.",
	} {
		if d := s.Score(view(text), tasks); d.Score < warn {
			t.Errorf("%.3f: %s", d.Score, text)
		}
	}
}

// TestLessHasToBeLeftOfALongerQuotation: two words about a subject, beside more than two of the task.
func TestLessHasToBeLeftOfALongerQuotation(t *testing.T) {
	s, tasks := shipped(t), []*deviation.Task{deviation.Compile(support)}
	for _, topic := range support.Topics {
		if d := s.Score(view("Which volcanoes erupt in Iceland? "+topic), tasks); d.Score < warn {
			t.Errorf("%.3f: %s", d.Score, topic)
		}
	}
}

// TestSeveralSentences: none of a few dozen prompts of several sentences each, with what people say beside a request, is
// warned of.
func TestSeveralSentences(t *testing.T) {
	s := shipped(t)
	for _, of := range []struct {
		task  core.Task
		texts []string
	}{{support, supportSentences}, {analyst, analystSentences}, {travel, travelSentences}} {
		compiled := []*deviation.Task{deviation.Compile(of.task)}
		for _, text := range of.texts {
			if d := s.Score(view(text), compiled); d.Score > warn {
				t.Errorf("%s: %.3f: %s", of.task.ID, d.Score, text)
			}
		}
	}
}

func TestQuotingAllocatesNoMore(t *testing.T) {
	s, tasks, v := shipped(t), all(), view(stray+". Billing disputes support, churn reports in SQL and business travel coordination.")
	for range 10 {
		s.Score(v, tasks)
	}
	if n := testing.AllocsPerRun(100, func() { s.Score(v, tasks) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkQuoting(b *testing.B) {
	s, tasks, v := shipped(b), all(), view(stray+". Billing disputes support.")
	b.ReportAllocs()
	for b.Loop() {
		s.Score(v, tasks)
	}
}
