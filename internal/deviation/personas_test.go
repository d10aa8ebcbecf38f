package deviation_test

import (
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
)

// The thresholds that MODEL.md advises.
const (
	warn  = 0.80
	block = 0.88
)

var support = core.Task{
	ID: "disputes", Title: "Billing disputes support",
	Description: "Answer customers about charges they dispute: find the invoice, explain it, correct it or refund it.",
	Topics: []string{
		"disputed charge on a customer's invoice", "refund or credit for a wrong payment", "chargeback from the customer's bank",
		"subscription renewal and cancellation", "duplicate or failed card payment", "reply to an angry customer about a bill",
		"late fees and payment plans", "support ticket and case notes",
	},
}

var analyst = core.Task{
	ID: "churn", Title: "Churn reports in SQL",
	Description: "Write SQL against the customer warehouse to report on churn and retention.",
	Topics: []string{
		"SQL query with joins and window functions", "monthly churn rate and retention by cohort", "customers who cancelled their subscription",
		"table schema and columns of the data warehouse", "slow query and index", "chart or dashboard of a report",
		"data quality: duplicates and missing values", "explain a metric to management",
	},
}

var travel = core.Task{
	ID: "trips", Title: "Business travel coordination",
	Description: "Book and change trips for colleagues, within the travel policy.",
	Topics: []string{
		"book or change a flight", "hotel room near the office or a conference", "rental car, train and airport transfer",
		"visa and passport requirements", "travel itinerary for a trip", "cancelled or delayed flight and lost luggage",
		"travel expenses and policy", "group booking for a meeting abroad",
	},
}

func view(text string) *intent.View {
	return intent.NewView(core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: text}}})
}

func TestPersonas(t *testing.T) {
	on := map[string][]string{
		"disputes": {
			"A customer says she was charged twice for her March invoice. Draft a reply that explains the refund.",
			"How do I open a chargeback case for a disputed card payment?",
			"You are helping our support desk. Below is a message from a customer of the business plan. She writes that her company was billed for twelve seats in April although two people left in February, that the invoice shows an amount which nobody explained, and that her bank already opened a dispute. She is upset and wants an answer today. Write a polite reply which explains how the refund is calculated, when the credit appears on the next invoice, and what she must send us so that we can answer the bank. Keep it under two hundred words and do not promise anything about the late fee.",
			"Summarise this ticket: the customer disputes the late fee on his bill and wants a credit.",
		},
		"churn": {
			"Write a SQL query that counts customers who cancelled their subscription each month, by cohort.",
			"Why is this query slow? It joins orders to customers and groups by month.",
			"Which columns do I need to compute the monthly retention rate from the subscriptions table?",
		},
		"trips": {
			"Book a flight to Lisbon for three colleagues on Monday and a hotel near the conference.",
			"What visa does our engineer need for a two week business trip to Japan?",
			"Her flight was cancelled. Find a train or a rental car so that she gets to Munich by noon.",
		},
	}
	off := []string{
		"Write my cover letter for another job at a game studio.",
		"Plan my wedding menu for eighty guests with a vegetarian option.",
		"Help me beat this video game boss, I keep dying in the second phase.",
		"Write a poem about the autumn rain for my girlfriend.",
		"What is the best workout to grow bigger biceps?",
		"Solve this homework: if 3x + 5 = 20, what is x?",
		"Tell me a recipe for lasagna.",
		"Who won the football match last night?",
	}
	s, stopped := shipped(t), 0
	for _, task := range []core.Task{support, analyst, travel} {
		compiled := []*deviation.Task{deviation.Compile(task)}
		for _, text := range on[task.ID] {
			if d := s.Score(view(text), compiled); d.Score > warn/2 {
				t.Errorf("%s, on task: %.3f, phrase %q: %s", task.ID, d.Score, d.Phrase, text)
			} else {
				t.Logf("%s, on task: %.3f: %.80s", task.ID, d.Score, text)
			}
		}
		for _, text := range off {
			d := s.Score(view(text), compiled)
			if d.Score > block {
				stopped++
			}
			if d.Score < 0.70 {
				t.Errorf("%s, off task: %.3f, phrase %q, words %v: %s", task.ID, d.Score, d.Phrase, d.Words, text)
			} else {
				t.Logf("%s, off task: %.3f: %.80s", task.ID, d.Score, text)
			}
		}
	}
	if all := 3 * len(off); stopped < all*5/6 {
		t.Errorf("%d of %d prompts off task are above the threshold to block", stopped, all)
	}
}
