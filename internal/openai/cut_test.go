package openai

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
)

// events parses a stream as the standard says, strictly: every event that is dispatched must be JSON or [DONE].
func events(t *testing.T, stream []byte) (chunks []map[string]any, done bool) {
	t.Helper()
	var s splitter
	for len(stream) > 0 {
		n := s.next(stream)
		if n < 0 {
			return chunks, done // an event without its end is not dispatched
		}
		data := eventData(stream[:n])
		stream = stream[n:]
		switch {
		case len(data) == 0:
		case string(data) == "[DONE]":
			done = true
		default:
			var chunk map[string]any
			if err := json.Unmarshal(data, &chunk); err != nil {
				t.Fatalf("an event that is not JSON: %q", data)
			}
			if _, ok := chunk["error"]; ok {
				t.Fatalf("an event with an error: %q", data)
			}
			if done {
				t.Fatal("an event after [DONE]")
			}
			chunks = append(chunks, chunk)
		}
	}
	return chunks, done
}

// lastData is the last data but [DONE] that a parser finds which takes LF and CRLF for the end of a line, as those of
// the SDKs do.
func lastData(stream []byte) (last string, done bool) {
	for line := range strings.SplitSeq(string(stream), "\n") {
		data, ok := strings.CutPrefix(strings.TrimSuffix(line, "\r"), "data: ")
		switch {
		case ok && data == "[DONE]":
			done = true
		case ok:
			last = data
		}
	}
	return last, done
}

// A stream can be cut after any byte, in place of the last piece or behind it, and is whole for the client.
func TestCutAfterAnyByte(t *testing.T) {
	for name, end := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
		in := strings.ReplaceAll(chunk(`{"role":"assistant","content":""}`, "")+chunk(`{"content":"Hi"}`, "")+": wait\n\n"+
			chunk(`{"content":" there"}`, "")+usageChunk, "\n", end)
		for at := range len(in) + 1 {
			for _, behind := range []bool{true, false} {
				a := streamed(AnswerOptions{})
				first, _ := a.Write([]byte(in[:at/2]), false)
				out := append([]byte(nil), first...)
				last, _ := a.Write([]byte(in[at/2:at]), false)
				if behind {
					out = append(out, last...)
				}
				out = append(out, a.Cut(core.ReasonQuotaExhausted)...)
				chunks, done := events(t, out)
				if !done || len(chunks) == 0 {
					t.Fatalf("%s, cut at %d: %q", name, at, out)
				}
				final := chunks[len(chunks)-1]
				choice := final["choices"].([]any)[0].(map[string]any)
				if choice["finish_reason"] != "length" || final["plumbline"].(map[string]any)["reason"] != "quota_exhausted" {
					t.Fatalf("%s, cut at %d: last chunk %v", name, at, final)
				}
				if last, done := lastData(out); end != "\r" && (!done || !strings.Contains(last, "quota_exhausted")) {
					t.Fatalf("%s, cut at %d: a parser that splits at LF misses the end: %q", name, at, out)
				}
				// The rest of the provider's stream reaches nobody, but its usage is read.
				rest, changed := a.Write([]byte(in[at:]+doneEvent), true)
				if len(rest) > 0 || !changed {
					t.Fatalf("%q after the cut", rest)
				}
				if u, ok := a.Usage(); !ok || u.OutputTokens != 4 {
					t.Fatalf("%s, cut at %d: usage %+v, %v", name, at, u, ok)
				}
			}
		}
	}
}

func TestCutCountsNothingAfterwards(t *testing.T) {
	a := streamed(AnswerOptions{})
	a.Write([]byte(chunk(`{"content":"one two"}`, "")), false)
	before, bound := a.CountDelivered(), a.DeliveredBound()
	a.Cut(core.ReasonQuotaExhausted)
	a.Write([]byte(chunk(`{"content":" three four five"}`, "")+"data: rubbish\n\n"), false)
	if a.CountDelivered() != before || a.DeliveredBound() != bound {
		t.Errorf("%d, %d after the cut; %d, %d at it", a.CountDelivered(), a.DeliveredBound(), before, bound)
	}
}

func TestCutFinishesOpenChoices(t *testing.T) {
	finished := `data: {"id":"c1","created":7,"model":"m-1","choices":[{"index":1,"delta":{},"finish_reason":"stop"},{"index":2,"delta":{"content":"x"}}]}` + "\n\n"
	for _, tt := range []struct {
		name, in string
		reason   core.Reason
		want     string
	}{
		{
			"begun", chunk(`{"content":"x"}`, "") + finished, core.ReasonQuotaExhausted,
			`{"id":"c1","object":"chat.completion.chunk","created":7,"model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"length"},{"index":2,"delta":{},"finish_reason":"length"}],"plumbline":{"reason":"quota_exhausted"}}`,
		},
		{
			"not begun", "", core.ReasonUserBlocked,
			`{"id":"","object":"chat.completion.chunk","created":0,"model":"gpt-4o","choices":[{"index":0,"delta":{},"finish_reason":"content_filter"},{"index":1,"delta":{},"finish_reason":"content_filter"}],"plumbline":{"reason":"user_blocked"}}`,
		},
		{
			"ledger gone", chunk(`{}`, ""), core.ReasonGovernanceDown,
			`{"id":"c1","object":"chat.completion.chunk","created":7,"model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"length"}],"plumbline":{"reason":"governance_unavailable"}}`,
		},
	} {
		a := streamed(AnswerOptions{Request: &Request{Model: "gpt-4o", Stream: true, Choices: 2}})
		a.Write([]byte(tt.in), false)
		if got, want := string(a.Cut(tt.reason)), "data: "+tt.want+"\n\n"+doneEvent; got != want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, want)
		}
		if again := a.Cut(tt.reason); again != nil {
			t.Errorf("%s: cut twice: %q", tt.name, again)
		}
	}
}

// Every kind of stream can be cut after any byte and is whole for the client: it gets whole events only, the last of which
// says why, where its kind has one for that. Sequence numbers go on rising.
func TestCutOfEachKindAfterAnyByte(t *testing.T) {
	for name, tt := range streams {
		for at := range len(tt.body) - 1 {
			a := streamed(AnswerOptions{Request: asked(tt.endpoint)})
			first, _ := a.Write([]byte(tt.body[:at]), false)
			out := append([]byte(nil), first...)
			if a.Complete() {
				break
			}
			out = append(out, a.Cut(core.ReasonQuotaExhausted)...)
			chunks, done := events(t, out)
			if !done {
				t.Fatalf("%s, cut at %d: a client would wait on after %q", name, at, out)
			}
			switch a.doc.kind {
			case kindCompletion:
				last := chunks[len(chunks)-1]
				if last["object"] != "text_completion" {
					t.Fatalf("%s, cut at %d: %v", name, at, last)
				}
			case kindResponse:
				last := chunks[len(chunks)-1]
				if last["type"] != "response.incomplete" {
					t.Fatalf("%s, cut at %d: %v", name, at, last)
				}
				if n := len(chunks); n > 1 && name == "response" && last["sequence_number"].(float64) != float64(n-1) {
					t.Fatalf("%s, cut at %d: number %v of event %d", name, at, last["sequence_number"], n)
				}
			default:
				if len(chunks) != strings.Count(tt.body[:at], "\n\n") || !strings.HasSuffix(string(out), ": plumbline quota_exhausted\n\n"+doneEvent) {
					t.Fatalf("%s, cut at %d: %q", name, at, out)
				}
			}
		}
	}
}

func TestCutOfWhatCannotBeCut(t *testing.T) {
	a := NewAnswer(AnswerOptions{Request: &Request{}, Status: 200, ContentType: "application/json"})
	a.Write([]byte(`{"id":`), false)
	if got := a.Cut(core.ReasonUserBlocked); got != nil {
		t.Errorf("JSON: %q", got)
	}
	a = streamed(AnswerOptions{})
	a.Write([]byte(doneEvent), false)
	if got := a.Cut(core.ReasonUserBlocked); got != nil {
		t.Errorf("after the end: %q", got)
	}
}
