package gate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/intent"
)

// BenchmarkObserveBody is one piece of a stream.
func BenchmarkObserveBody(b *testing.B) {
	w := gatetest.New(b, gatetest.Options{})
	x, _ := admitted(b, w, chat(streaming))
	answers(b, x, eventStream)
	chunk := piece(" word")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.ObserveBody(b.Context(), chunk, false); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	x.Close(b.Context(), core.FinishInterrupted)
}

// BenchmarkExchange is a whole exchange of one JSON answer, without the classifier.
func BenchmarkExchange(b *testing.B) {
	w := gatetest.New(b, gatetest.Options{})
	w.Classify = func(*intent.View) core.Intent { return core.Intent{} }
	body := chat("")
	b.ReportAllocs()
	for b.Loop() {
		x, _ := admitted(b, w, body)
		answers(b, x, jsonType)
		observed(b, x, []byte(answered), true)
		x.Close(b.Context(), core.FinishComplete)
	}
}

// BenchmarkAdmit is the verdict on a chat of 2 kB as people have them, with the classifier and the scorer that are shipped:
// what a request costs before it is forwarded, but for the ledger and the audit, which are kept in memory here.
func BenchmarkAdmit(b *testing.B) {
	w := gatetest.New(b, gatetest.Options{})
	body := fmt.Appendf(nil, `{"model":"gpt-4o-mini","max_completion_tokens":512,"messages":[{"role":"system","content":%q},{"role":"user","content":%q}]}`,
		"You are the assistant of the billing team. Keep to the facts that are given, and quote the number of each document.", mail)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		x := opened(b, w)
		b.StartTimer()
		if _, reply := x.Admit(b.Context(), body); reply != nil {
			b.Fatalf("refused: %s", reply.Body)
		}
		b.StopTimer()
		x.Close(b.Context(), core.FinishInterrupted)
		b.StartTimer()
	}
}

// mail is a letter of 2 kB with a request.
var mail = strings.Join([]string{
	"Hello,\n\nthe customer Northwind wrote to us about invoice \"2024-1178\". They say that the freight of 84,50 € was charged twice: once as a position of its own and once within the price of the pallets. I have copied both documents below.",
	"- Delivery note 5521: 12 pallets, 3 of them returned on the 14th.\n- Invoice 2024-1178: 12 pallets at 61.20, freight 84.50, discount 3 %.",
	"The terms that they signed in spring say that carriage is part of the price of full pallets. Their clerk remembers that the same happened in March, and that the credit note then took six weeks. He would like it to be faster this time. Our own ledger shows two entries for the freight, both of the same day, and one of them without a number. The driver's sheet names one delivery only.",
	"The three pallets that came back were damaged in the rain. The warehouse has not confirmed yet whether they were ours. Until it does, nothing should be promised about them, neither on the phone nor in writing. The team in Rotterdam keeps the photographs.",
	"Can you check whether the customer is right? Please also tell me which amount we would have to refund. Then write a short and friendly reply. It should explain what went wrong, name the amount of the refund and say that the credit note follows within five working days. Keep it below 120 words, and end it with our usual line about the customer's portal.",
	"Lastly, list what we should change so that this does not happen a third time. I thought of a check in the ledger that finds two entries of one day for one delivery, and of a note in the file of each customer whose price has the carriage in it. What else comes to your mind? Thanks a lot, and have a good weekend.",
}, "\n\n")
