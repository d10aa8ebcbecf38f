package openai

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/plumbline/plumbline/internal/core"
)

const eventStream = "text/event-stream; charset=utf-8"

// feed writes an answer in pieces of the given size and gives what was forwarded.
func feed(a *Answer, body []byte, size int) []byte {
	var out []byte
	for len(body) > size {
		piece := bytes.Clone(body[:size])
		forward, changed := a.Write(piece, false)
		if !changed && !bytes.Equal(forward, body[:size]) {
			panic("unchanged, and another piece")
		}
		out = append(out, forward...)
		clear(piece) // what is not forwarded at once must have been copied
		body = body[size:]
	}
	forward, _ := a.Write(bytes.Clone(body), true)
	return append(out, forward...)
}

// chunk is one event of a chat stream.
func chunk(delta, rest string) string {
	return `data: {"id":"c1","object":"chat.completion.chunk","created":7,"model":"m-1","choices":[{"index":0,"delta":` + delta + `,"finish_reason":null}]` + rest + "}\n\n"
}

const (
	usageChunk = `data: {"id":"c1","object":"chat.completion.chunk","created":7,"model":"m-1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}` + "\n\n"
	doneEvent  = "data: [DONE]\n\n"
)

func streamed(o AnswerOptions) *Answer {
	o.Status, o.ContentType = 200, eventStream
	if o.Request == nil {
		o.Request = &Request{Model: "gpt-4o", Stream: true, Choices: 1}
	}
	return NewAnswer(o)
}

// The usage chunk that the client did not ask for is taken out, with its whole event, however lines end.
func TestStripUsage(t *testing.T) {
	for name, end := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
		lines := func(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", end)) }
		head := chunk(`{"content":"Hi"}`, `,"usage":null`)
		in := lines(": hello\n\n" + head + "event: x\n" + usageChunk + doneEvent)
		want := lines(": hello\n\n" + head + doneEvent)
		for size := 1; size <= len(in); size++ {
			a := streamed(AnswerOptions{StripUsage: true})
			if got := feed(a, in, size); !bytes.Equal(got, want) {
				t.Fatalf("%s in pieces of %d:\n got %q\nwant %q", name, size, got, want)
			}
			if u, ok := a.Usage(); !ok || u.InputTokens != 9 || u.OutputTokens != 4 || !a.Complete() {
				t.Fatalf("%s: usage %+v, %v", name, u, ok)
			}
		}
		// A client that asked gets it.
		if got := feed(streamed(AnswerOptions{}), in, 5); !bytes.Equal(got, in) {
			t.Fatalf("%s: changed for a client that asked", name)
		}
	}
	// Usage that comes with the last words stays where it is.
	last := chunk(`{"content":"Hi"}`, `,"usage":{"prompt_tokens":1,"completion_tokens":1}`)
	if got := feed(streamed(AnswerOptions{StripUsage: true}), []byte(last), 9); string(got) != last {
		t.Errorf("%q", got)
	}
}

// A stream is read as the standard says.
func TestEventStreamForms(t *testing.T) {
	const data = `{"id":"c1","model":"m-1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}`
	for name, in := range map[string]string{
		"no space":               "data:" + data + "\n\ndata:[DONE]\n\n",
		"no final empty line":    "data: " + data + "\n\ndata: [DONE]\n",
		"no final newline":       "data: " + data + "\n\ndata: [DONE]",
		"data in two lines":      "data: " + data[:11] + "\ndata:" + data[11:] + "\n\n" + doneEvent,
		"data in three lines":    "data: " + data[:11] + "\ndata: " + data[11:25] + "\ndata:" + data[25:] + "\n\n" + doneEvent,
		"other fields":           "event: chunk\nid: 1\nretry: 5\ndatax: no\ndata\n\ndata: " + data + "\n\n" + doneEvent,
		"comments":               ": a\n:\n\n: b\ndata: " + data + "\n: c\n\n" + doneEvent,
		"byte order mark":        "\xef\xbb\xbfdata: " + data + "\n\n" + doneEvent,
		"mixed ends of lines":    "data: " + data + "\r\n\ndata: [DONE]\r\r\n",
		"empty lines everywhere": "\n\n\r\n\r\rdata: " + data + "\n\n\n\n" + doneEvent + "\n",
		"rubbish before":         "data: {\n\ndata: 7\n\ndata: [1\n\n<html>\n\ndata: " + data + "\n\n" + doneEvent,
		"the last usage counts":  "data: {\"usage\":{\"prompt_tokens\":1,\"prompt_tokens_details\":{\"cached_tokens\":1}}}\n\ndata: " + data + "\n\ndata: {\"usage\":null}\n\n" + doneEvent,
	} {
		for size := 1; size <= len(in); size++ {
			a := streamed(AnswerOptions{})
			if got := feed(a, []byte(in), size); string(got) != in {
				t.Fatalf("%s in pieces of %d: %q", name, size, got)
			}
			if u, ok := a.Usage(); !ok || u != (core.Usage{InputTokens: 9, OutputTokens: 4}) || !a.Complete() {
				t.Fatalf("%s in pieces of %d: usage %+v, %v, complete %v", name, size, u, ok, a.Complete())
			}
		}
	}
}

// Whatever is delivered counts: text, refusals, reasoning, calls, transcripts, audio, and what nobody can read.
func TestDelivered(t *testing.T) {
	const text = "The quick brown fox jumps over the lazy dog"
	want := counterOf("gpt-4o")(text)
	for name, delta := range map[string]string{
		"content": `{"content":"` + text + `"}`, "refusal": `{"refusal":"` + text + `"}`, "reasoning": `{"reasoning_content":"` + text + `"}`,
		"arguments":  `{"tool_calls":[{"index":0,"function":{"arguments":"` + text + `"}}]}`,
		"input":      `{"tool_calls":[{"index":0,"custom":{"input":"` + text + `"}}]}`,
		"older call": `{"function_call":{"arguments":"` + text + `"}}`, "transcript": `{"audio":{"transcript":"` + text + `"}}`,
		"escaped": `{"content":"\u0054he quick brown fox jumps over the lazy dog"}`,
	} {
		a := streamed(AnswerOptions{})
		a.Write([]byte(chunk(delta, "")), false)
		if got := a.CountDelivered(); got != want || a.DeliveredBound() < got {
			t.Errorf("%s: %d tokens, want %d; bound %d", name, got, want, a.DeliveredBound())
		}
	}
	for name, event := range map[string]string{
		"rubbish":     "data: " + text + "\n\n",
		"broken JSON": `data: {"choices":[{"delta":{"content":"` + text + "\n\n",
		"audio":       chunk(`{"audio":{"data":"`+strings.Repeat("A", 20*audioBytesPerToken)+`"}}`, ""),
		"a call":      chunk(`{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]}`, ""),
	} {
		a := streamed(AnswerOptions{})
		a.Write([]byte(event), false)
		if got := a.CountDelivered(); got < tokensPerCall || a.DeliveredBound() < got {
			t.Errorf("%s: %d tokens, bound %d", name, got, a.DeliveredBound())
		}
	}
}

// Deltas that come a word at a time count as the whole text does.
func TestDeliveredByWords(t *testing.T) {
	a := streamed(AnswerOptions{})
	var whole strings.Builder
	for i := range 200 {
		word := fmt.Sprintf(" word%d of it", i)
		whole.WriteString(word)
		a.Write([]byte(chunk(`{"content":"`+word+`"}`, "")), false)
		if i%7 == 0 {
			if got, want := a.CountDelivered(), counterOf("gpt-4o")(whole.String()); got != want {
				t.Fatalf("after %d words: %d, want %d", i, got, want)
			}
		}
	}
}

func TestJSONAnswerBrokenOff(t *testing.T) {
	const body = `{"id":"c","model":"m-1","choices":[{"index":0,"message":{"content":"The quick brown fox jumps over the lazy dog"}}],"usage":{"prompt_tokens":9,"completion_tokens":4}}`
	for cut := range len(body) {
		a := NewAnswer(AnswerOptions{Request: &Request{}, Status: 200, ContentType: "application/json"})
		a.Write([]byte(body[:cut]), false)
		if a.Complete() {
			t.Fatalf("complete after %d of %d bytes", cut, len(body))
		}
		if tokens := a.CountDelivered(); cut > 80 && tokens == 0 || tokens > int64(cut) {
			t.Fatalf("%d tokens in %d bytes", tokens, cut)
		}
		// The rest comes after all.
		a.Write([]byte(body[cut:]), false)
		if u, ok := a.Usage(); !ok || u.InputTokens != 9 || !a.Complete() {
			t.Fatalf("cut at %d: usage %+v, %v, complete %v", cut, u, ok, a.Complete())
		}
		if got := a.CountDelivered(); got != counterOf("")("The quick brown fox jumps over the lazy dog") {
			t.Fatalf("cut at %d: %d tokens", cut, got)
		}
	}
}

func TestCompressedAnswer(t *testing.T) {
	const body = `{"model":"m-1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}`
	for encoding, writer := range map[string]func(io.Writer) io.WriteCloser{
		"gzip": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"br":   func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) },
		"zstd": func(w io.Writer) io.WriteCloser {
			z, err := zstd.NewWriter(w)
			if err != nil {
				t.Fatal(err)
			}
			return z
		},
	} {
		compress := func(text string) []byte {
			var buf bytes.Buffer
			w := writer(&buf)
			io.WriteString(w, text)
			w.Close()
			return buf.Bytes()
		}
		o := AnswerOptions{Request: &Request{}, Status: 200, ContentType: "application/json", ContentEncoding: encoding}
		a, in := NewAnswer(o), compress(body)
		if out := feed(a, in, 3); !bytes.Equal(out, in) {
			t.Errorf("%s: changed", encoding)
		}
		if u, ok := a.Usage(); !ok || u.InputTokens != 9 || !a.Complete() {
			t.Errorf("%s: usage %+v, %v", encoding, u, ok)
		}
		// A bomb is read to the bound and no further.
		a = NewAnswer(o)
		feed(a, compress(`{"x":"`+strings.Repeat("a", maxDecoded+1<<16)+`"}`), 1<<16)
		if a.Complete() {
			t.Errorf("%s: a bomb was read whole", encoding)
		}
		if _, ok := a.Usage(); ok {
			t.Errorf("%s: a bomb has usage", encoding)
		}
		a = NewAnswer(o)
		feed(a, compress(body+strings.Repeat(" ", maxDecoded)), 1<<16)
		if a.Complete() {
			t.Errorf("%s: a bomb of white space was read whole", encoding)
		}
	}
}

// Beyond the bounds an answer passes unread, and counts by its bytes.
func TestOverlongAnswers(t *testing.T) {
	piece := bytes.Repeat([]byte("a"), 1<<20)
	a := NewAnswer(AnswerOptions{Request: &Request{}, Status: 200, ContentType: "application/json"})
	for range maxAnswer>>20 + 2 {
		if _, changed := a.Write(piece, false); changed {
			t.Fatal("changed")
		}
	}
	if cap(a.kept) != 0 || a.CountDelivered() < maxAnswer || a.Complete() {
		t.Errorf("%d bytes kept, %d tokens", cap(a.kept), a.CountDelivered())
	}
	s := streamed(AnswerOptions{})
	total := 0
	for range 4 {
		out, _ := s.Write(piece, false)
		total += len(out)
	}
	if total != 4<<20 || len(s.stream.kept) != 0 || s.CountDelivered() < 4<<20 {
		t.Errorf("%d bytes passed, %d kept, %d tokens", total, len(s.stream.kept), s.CountDelivered())
	}
	if cut := s.Cut(core.ReasonQuotaExhausted); cut != nil {
		t.Errorf("cut inside an event: %q", cut)
	}
}

func TestFilterList(t *testing.T) {
	const list = `{"object":"list","data":[{"id":"gpt-4o","object":"model","created":1,"owned_by":"x"},{"id":"secret","object":"model"},{"id":"gpt-5","object":"model"},{"object":"model"},7]}`
	only := func(names ...string) func(string) bool {
		return func(model string) bool { return strings.Contains(strings.Join(names, " "), model) }
	}
	for _, tt := range []struct {
		name, in string
		status   int
		filter   func(string) bool
		want     string
	}{
		{"list", list, 200, only("gpt-4o", "gpt-5"), `{"object":"list","data":[{"id":"gpt-4o","object":"model","created":1,"owned_by":"x"},{"id":"gpt-5","object":"model"}]}`},
		{"nothing allowed", list, 200, only(), noElements},
		{"rubbish", `<html>`, 200, only("gpt-4o"), noElements},
		{"broken off", list[:60], 200, only("gpt-4o"), noElements},
		{"one model", `{"object":"model","id":"gpt-4o","x":1}`, 200, only("gpt-4o"), `{"object":"model","id":"gpt-4o","x":1}`},
		{"one that is not allowed", `{"object":"model","id":"secret"}`, 200, only("gpt-4o"), noElements},
		{"an error passes", `{"error":{}}`, 404, only("gpt-4o"), `{"error":{}}`},
	} {
		for size := 1; size <= len(tt.in)+1; size += 3 {
			a := NewAnswer(AnswerOptions{Status: tt.status, ContentType: "application/json", Filter: tt.filter})
			if got := feed(a, []byte(tt.in), size); string(got) != tt.want {
				t.Errorf("%s in pieces of %d: %s", tt.name, size, got)
			}
		}
	}
	// It does not wait for an end that comes without a piece.
	a := NewAnswer(AnswerOptions{Status: 200, Filter: only("gpt-4o")})
	if out, changed := a.Write([]byte(list), false); !changed || !strings.Contains(string(out), "gpt-4o") || strings.Contains(string(out), "secret") || !a.Complete() {
		t.Errorf("%q", out)
	}
}
