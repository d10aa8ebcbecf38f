package gate_test

import (
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
