package openai

import (
	"fmt"
	"testing"
)

// benchEvents are one event of a stream of each kind, as the provider writes them.
var benchEvents = map[string]string{
	"chat.completions": `data: {"id":"chatcmpl-C8kdxgdHUGlvq4PHNQHXhcYOJlOhB","object":"chat.completion.chunk","created":1756225000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_560af6e559","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"ScF0vzdDoj56VY"}`,
	"completions":      `data: {"id":"cmpl-CKzHhit4D82m3cp2zRTC2fpTNlJCX","object":"text_completion","created":1759118173,"choices":[{"text":" word","index":0,"logprobs":null,"finish_reason":null}],"model":"babbage:2023-07-21-v2","usage":null}`,
	"responses": "event: response.output_text.delta\n" +
		`data: {"type":"response.output_text.delta","sequence_number":7,"item_id":"msg_087a1bffb8180cc40069120650b3e08196921c90ad59e694eb","output_index":0,"content_index":0,"delta":" word","logprobs":[],"obfuscation":"ScF0vzdDoj56VY"}`,
	"audio.transcriptions": `data: {"type":"transcript.text.delta","delta":" word","obfuscation":"ScF0vzdDoj56VY"}`,
}

// benchLength is how many pieces a stream of a benchmark has.
const benchLength = 10_000

func benchAnswer(endpoint string) *Answer {
	return NewAnswer(AnswerOptions{
		Request: &Request{Endpoint: endpoint, Model: "gpt-4o", Stream: true, Choices: 1}, Status: 200, ContentType: eventStream,
	})
}

// A piece of a stream that is one event. It is to take at most 2 µs, without allocating.
func BenchmarkEvent(b *testing.B) {
	for endpoint, event := range benchEvents {
		b.Run(endpoint, func(b *testing.B) {
			piece := []byte(event + "\n\n")
			var a *Answer
			b.ReportAllocs()
			b.SetBytes(int64(len(piece)))
			for n := 0; b.Loop(); n++ {
				if n%benchLength == 0 {
					a = benchAnswer(endpoint)
				}
				a.Write(piece, false)
			}
		})
	}
}

// The same when pieces end anywhere: two of them are three events.
func BenchmarkSplitEvents(b *testing.B) {
	for endpoint, event := range benchEvents {
		b.Run(endpoint, func(b *testing.B) {
			three := []byte(event + "\n\n" + event + "\n\n" + event + "\n\n")
			half := len(three) / 2
			var a *Answer
			b.ReportAllocs()
			b.SetBytes(int64(len(three)))
			for n := 0; b.Loop(); n++ {
				if n%benchLength == 0 {
					a = benchAnswer(endpoint)
				}
				a.Write(three[:half], false)
				a.Write(three[half:], false)
			}
		})
	}
}

// In the steady state nothing is allocated, however the pieces are cut.
func TestEventsDoNotAllocate(t *testing.T) {
	for endpoint, event := range benchEvents {
		three := []byte(fmt.Sprintf("%[1]s\n\n%[1]s\n\n%[1]s\n\n", event))
		for _, cut := range []int{len(three), len(three) / 3, len(three) / 2, 7} {
			a := benchAnswer(endpoint)
			pass := func() {
				a.Write(three[:cut], false)
				a.Write(three[cut:], false)
			}
			for range 3000 { // until the buffers have their size
				pass()
			}
			if n := testing.AllocsPerRun(2000, pass); n > 0 {
				t.Errorf("%s, cut at %d: %.1f allocations for each piece", endpoint, cut, n)
			}
		}
	}
}
