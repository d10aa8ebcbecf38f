package openai

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
)

// fuzzEndpoints are one of each kind.
var fuzzEndpoints = []string{
	"chat.completions", "completions", "responses", "images.generations", "audio.speech", "audio.transcriptions", "embeddings",
}

// pieces cuts b at the given sizes, again and again.
func pieces(b, sizes []byte) (all [][]byte) {
	for i := 0; len(sizes) > 0 && len(b) > 0 && len(all) < 1<<12; i++ {
		n := min(int(sizes[i%len(sizes)]), len(b))
		all = append(all, b[:n:n])
		b = b[n:]
	}
	return append(all, b)
}

// However a stream is cut into pieces, the client gets the same bytes and the same is counted.
func FuzzAnswerSplits(f *testing.F) {
	whole := chunk(`{"content":"Hi there"}`, `,"usage":null`) + usageChunk + doneEvent
	f.Add([]byte(whole), []byte{1, 2, 3}, true, uint8(0))
	f.Add([]byte(strings.ReplaceAll(whole, "\n", "\r\n")), []byte{200, 1, 1}, true, uint8(0))
	f.Add([]byte(strings.ReplaceAll(whole, "\n", "\r")), []byte{90}, false, uint8(0))
	f.Add([]byte("data: {\"choices\":[],\"usage\":{}}\r\n\r\n\n\r\r\ndata: x"), []byte{0, 5}, true, uint8(0))
	f.Add([]byte("\xef\xbb\xbfdata: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"\\u00e9\"}}]}}]}\n\n"), []byte{4}, false, uint8(0))
	for _, s := range streams {
		for i, endpoint := range fuzzEndpoints {
			if endpoint == s.endpoint {
				f.Add([]byte(s.body), []byte{7, 40, 0, 3}, i%2 == 0, uint8(i))
			}
		}
	}
	f.Fuzz(func(t *testing.T, stream, sizes []byte, strip bool, endpoint uint8) {
		read := func(sizes []byte) (*Answer, string) {
			a := streamed(AnswerOptions{StripUsage: strip, Request: asked(fuzzEndpoints[int(endpoint)%len(fuzzEndpoints)])})
			var out []byte
			all := pieces(stream, sizes)
			for i, piece := range all {
				forward, changed := a.Write(piece, i == len(all)-1)
				if !changed && string(forward) != string(piece) {
					t.Fatal("unchanged, and another piece")
				}
				out = append(out, forward...)
			}
			return a, string(out)
		}
		one, want := read(nil)
		many, got := read(sizes)
		if got != want {
			t.Fatalf("in pieces %q, at once %q", got, want)
		}
		if !strip && got != string(stream) {
			t.Fatalf("%q became %q", stream, got)
		}
		u1, ok1 := one.Usage()
		u2, ok2 := many.Usage()
		if u1 != u2 || ok1 != ok2 || one.Complete() != many.Complete() || one.ServedModel() != many.ServedModel() ||
			one.ObjectID() != many.ObjectID() || one.ServedTerms() != many.ServedTerms() {
			t.Fatalf("in pieces %+v %v %v, at once %+v %v %v", u2, ok2, many.Complete(), u1, ok1, one.Complete())
		}
		if one.DeliveredBound() != many.DeliveredBound() || one.CountDelivered() != many.CountDelivered() {
			t.Fatalf("in pieces %d tokens, at once %d", many.CountDelivered(), one.CountDelivered())
		}
		if one.CountDelivered() > one.DeliveredBound() {
			t.Fatal("more tokens than the bound")
		}
		if cost := (Model{Rates: Rates{Input: 1, Output: 1}}).Cost(u1); cost < 0 {
			t.Fatalf("%+v costs %d", u1, cost)
		}
	})
}

// However a stream goes, cutting it leaves the client with whole events of which none tells of an error.
func FuzzCut(f *testing.F) {
	for _, s := range streams {
		for i, endpoint := range fuzzEndpoints {
			if endpoint == s.endpoint {
				f.Add([]byte(s.body[:len(s.body)*2/3]), uint8(i))
			}
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, endpoint uint8) {
		a := streamed(AnswerOptions{Request: asked(fuzzEndpoints[int(endpoint)%len(fuzzEndpoints)])})
		forward, _ := a.Write(stream, false)
		sent := len(forward)
		out := append(append([]byte(nil), forward...), a.Cut(core.ReasonQuotaExhausted)...)
		if len(out) == sent {
			return
		}
		if !bytes.HasSuffix(out, []byte("\n\n")) {
			t.Fatalf("%q ends %q", stream, out)
		}
		for line := range strings.SplitSeq(string(out[sent:]), "\n") {
			data, ok := strings.CutPrefix(line, "data: ")
			if !ok || data == "[DONE]" {
				continue
			}
			var event map[string]any
			if err := json.Unmarshal([]byte(data), &event); err != nil || event["error"] != nil {
				t.Fatalf("%q: %v", data, err)
			}
		}
	})
}

// Of JSON in any pieces the same is read, with and without its data, and as the standard library reads it where that
// can.
func FuzzJSONAnswer(f *testing.F) {
	f.Add([]byte(`{"id":"x","created":7,"data":[{"b64_json":"AA\"]}"},{"url":"data"},3,[1,{}]],"usage":{"input_tokens":10,"output_tokens":544}}`), []byte{3}, uint8(3))
	f.Add([]byte(`{"data":"[","data":[],"x":{"data":[1]},"usage":{"prompt_tokens":1}}`), []byte{1}, uint8(6))
	f.Add([]byte(`{"output":[{"type":"message","content":[{"text":"a","type":"output_text"}]}],"usage":{"input_tokens":1,"output_tokens":2}}`), []byte{9}, uint8(2))
	f.Add([]byte(`{"choices":[{"message":{"content":"\ud83d\ude00"},"index":1},{"text":"x"}]}`), []byte{9}, uint8(0))
	f.Fuzz(func(t *testing.T, body, sizes []byte, endpoint uint8) {
		read := func(sizes []byte) *Answer {
			a := NewAnswer(AnswerOptions{Request: asked(fuzzEndpoints[int(endpoint)%len(fuzzEndpoints)]), Status: 200, ContentType: "application/json"})
			all := pieces(body, sizes)
			for i, piece := range all {
				a.Write(piece, i == len(all)-1)
			}
			return a
		}
		one, many := read(nil), read(sizes)
		u1, ok1 := one.Usage()
		u2, ok2 := many.Usage()
		if u1 != u2 || ok1 != ok2 || one.Complete() != many.Complete() || one.ObjectID() != many.ObjectID() || one.CountDelivered() != many.CountDelivered() {
			t.Fatalf("in pieces %+v %v, at once %+v %v", u2, ok2, u1, ok1)
		}
		var plain struct {
			Data []any `json:"data"`
		}
		if json.Unmarshal(body, &plain) == nil && !one.Complete() {
			t.Fatalf("%q is JSON and was not read to its end", body)
		}
		if one.prune != nil && json.Valid(body) && bytes.Count(body, []byte("data")) == 1 && bytes.Contains(body, []byte(`"data"`)) &&
			json.Unmarshal(body, &plain) == nil && int64(len(plain.Data)) != one.prune.elements {
			t.Fatalf("%q has %d elements, not %d", body, len(plain.Data), one.prune.elements)
		}
	})
}

// What decompresses, decompresses to the same in any pieces; what does not, ends.
func FuzzCompressedStream(f *testing.F) {
	names := []string{"gzip", "br", "zstd"}
	for i, name := range names {
		var b bytes.Buffer
		w := compressors[name](&b)
		w.Write([]byte(chunk(`{"content":"Hi"}`, "") + usageChunk))
		w.Flush()
		w.Write([]byte(doneEvent))
		w.Close()
		f.Add(b.Bytes(), []byte{3, 1}, uint8(i))
		f.Add(b.Bytes()[:b.Len()/2], []byte{10}, uint8(i))
	}
	f.Fuzz(func(t *testing.T, compressed, sizes []byte, encoding uint8) {
		read := func(sizes []byte) (string, bool) {
			a := streamed(AnswerOptions{ContentEncoding: names[int(encoding)%len(names)]})
			defer a.Close()
			var out []byte
			all := pieces(compressed, sizes)
			for i, piece := range all {
				forward, _ := a.Write(piece, i == len(all)-1)
				out = append(out, forward...)
			}
			return string(out), a.inflate.ended
		}
		one, ended := read(nil)
		many, endedToo := read(sizes)
		if ended != endedToo || ended && one != many {
			t.Fatalf("at once %q, %v; in pieces %q, %v", one, ended, many, endedToo)
		}
	})
}
