package gate

import (
	"log/slog"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/telemetry"

	"github.com/prometheus/client_golang/prometheus"
)

// An answer whose reader panics is still charged: what was held.
func TestAnAnswerThatCannotBeSummedUpIsChargedInFull(t *testing.T) {
	request, refusal := openai.Read(openai.Endpoint{Name: "chat.completions"}, "application/json", []byte(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}`), openai.Allowance{})
	if refusal != nil {
		t.Fatal(refusal)
	}
	x := &Exchange{request: request, gate: &Gate{o: Options{
		Log: slog.New(slog.DiscardHandler), Metrics: telemetry.New(prometheus.NewRegistry(), telemetry.Build{}, nil),
	}}}
	x.hold.reservation.Held = quota.Amounts{Requests: 1, InputTokens: 30, OutputTokens: 400}
	x.answer.reader = new(openai.Answer) // not made by NewAnswer: reading from it panics
	x.answer.reader.Write([]byte(`{"choices":[{"message":{"content":"hi"}}]}`), false)
	got := x.sum()
	want := seen{usage: core.Usage{InputTokens: 30, OutputTokens: 400, Estimated: true}}
	if got != want {
		t.Errorf("summed up as %+v, want %+v", got, want)
	}
}
