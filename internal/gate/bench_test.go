package gate_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/openai"
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

// BenchmarkRead is how fast a chat becomes what is judged: its reading, and the view of its prompt. Compare with the pass
// of the standard library over the same bytes, which this machine makes at the same time.
func BenchmarkRead(b *testing.B) {
	turn := strings.Repeat(`Please summarise the invoice \"No. 7\" of the customer, and list each position with its price.\n`, 12)
	for _, size := range []int{2 << 10, 64 << 10, 1 << 20} {
		body := []byte(`{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You help an accountant."}`)
		for len(body) < size {
			body = append(body, `,{"role":"user","content":"`+turn+`"}`...)
		}
		body = append(body, `]}`...)
		pass := func(name string, once func() bool) {
			b.Run(fmt.Sprintf("%dkB/%s", size>>10, name), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if !once() {
						b.Fatal("not read")
					}
				}
			})
		}
		chats, _, _ := openai.Lookup("POST", "/v1/chat/completions")
		pass("read-and-view", func() bool {
			r, err := openai.Read(chats, "application/json", body, openai.Allowance{MaxChoices: 1})
			return err == nil && intent.NewView(r.Prompt).Unscored == ""
		})
		pass("read", func() bool {
			_, err := openai.Read(chats, "application/json", body, openai.Allowance{MaxChoices: 1})
			return err == nil
		})
		pass("encoding-json-valid", func() bool { return json.Valid(body) })
	}
}
