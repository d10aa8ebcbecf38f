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
	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/core"
)

// quickFox is text whose tokens are the same however it is cut into words.
const quickFox = "The quick brown fox jumps over the lazy dog"

func quickFoxTokens() int64 { return counterOf("gpt-4o")(quickFox) }

func asked(endpoint string) *Request {
	return &Request{Endpoint: endpoint, Model: "gpt-4o", Stream: true, Choices: 1}
}

// sse writes events as the provider does: with the type before the data.
func sse(events ...string) string {
	var b strings.Builder
	for _, e := range events {
		_, kind, _ := strings.Cut(e, `"type":"`)
		kind, _, _ = strings.Cut(kind, `"`)
		fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", kind, e)
	}
	return b.String()
}

const responseUsage = `"usage":{"input_tokens":11,"input_tokens_details":{"cached_tokens":3},"output_tokens":9,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":20}`

var responseUsed = core.Usage{InputTokens: 11, CachedInputTokens: 3, OutputTokens: 9, ReasoningTokens: 2}

// streams are one stream of each kind, with what it comes to. Each has 43 letters of text.
var streams = map[string]struct {
	endpoint, body string
	usage          core.Usage
	reported       bool
	tokens         int64 // more than those of the text
	id             string
}{
	"response": {endpoint: "responses", id: "resp_1", usage: responseUsed, reported: true, body: sse(
		`{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":7,"model":"m-1","service_tier":"auto","output":[],"usage":null}}`,
		`{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_1","type":"message","content":[]}}`,
		`{"type":"response.content_part.added","sequence_number":2,"output_index":0,"content_index":0,"part":{"type":"output_text","text":""}}`,
		`{"type":"response.output_text.delta","sequence_number":3,"output_index":0,"content_index":0,"delta":"The quick brown"}`,
		`{"type":"response.output_text.delta","sequence_number":4,"delta":" fox jumps over the lazy dog","output_index":0,"content_index":0}`,
		`{"type":"response.output_text.done","sequence_number":5,"output_index":0,"content_index":0,"text":"`+quickFox+`"}`,
		`{"type":"response.content_part.done","sequence_number":6,"output_index":0,"content_index":0,"part":{"text":"`+quickFox+`","type":"output_text"}}`,
		`{"type":"response.output_item.done","sequence_number":7,"output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"`+quickFox+`"}]}}`,
		`{"type":"response.completed","sequence_number":8,"response":{"id":"resp_1","model":"m-1","service_tier":"flex","output":[{"type":"message","content":[{"type":"output_text","text":"`+quickFox+`"}]}],`+responseUsage+`}}`,
	)},
	"response without deltas": {endpoint: "responses", id: "resp_1", usage: responseUsed, reported: true, body: sse(
		`{"type":"response.incomplete","sequence_number":8,"response":{"id":"resp_1","output":[{"type":"reasoning","summary":[]},{"type":"message","content":[{"type":"output_text","text":"` + quickFox + `"}]}],` + responseUsage + `}}`,
	)},
	"response with a call": {endpoint: "responses", tokens: tokensPerCall + 1, body: sse(
		`{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","name":"f","arguments":""}}`,
		`{"type":"response.function_call_arguments.delta","output_index":1,"delta":"The quick brown fox"}`,
		`{"type":"response.function_call_arguments.delta","output_index":1,"delta":" jumps over the lazy dog"}`,
		`{"type":"response.function_call_arguments.done","output_index":1,"arguments":"`+quickFox+`"}`,
		`{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","name":"f","arguments":"`+quickFox+`"}}`,
		`{"type":"response.failed","response":{"output":[],"usage":null}}`,
	)},
	"response with a refusal": {endpoint: "responses", body: sse(
		`{"type":"response.refusal.delta","output_index":0,"content_index":0,"delta":"The quick brown fox jumps over the"}`,
		`{"type":"response.refusal.done","output_index":0,"content_index":0,"refusal":"`+quickFox+`"}`,
		`{"type":"response.completed","response":{"output":[{"content":[{"type":"refusal","refusal":"`+quickFox+`"}]}]}}`,
	)},
	"response with reasoning": {endpoint: "responses", body: sse(
		`{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"`+quickFox+`"}`,
		`{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","summary":[{"type":"summary_text","text":"`+quickFox+`"}]}}`,
		`{"type":"response.completed","response":{"output":[{"type":"reasoning","summary":[{"text":"`+quickFox+`","type":"summary_text"}]}]}}`,
	)},
	"completion": {endpoint: "completions", id: "cmpl-1", usage: core.Usage{InputTokens: 5, OutputTokens: 9}, reported: true, body: "" +
		`data: {"id":"cmpl-1","object":"text_completion","choices":[{"text":"The quick brown fox","index":0,"finish_reason":null}],"usage":null}` + "\n\n" +
		`data: {"id":"cmpl-1","object":"text_completion","choices":[{"text":" jumps over the lazy dog","index":0,"finish_reason":"stop"}]}` + "\n\n" +
		`data: {"id":"cmpl-1","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":9}}` + "\n\n" + doneEvent},
	"transcript": {endpoint: "audio.transcriptions", usage: core.Usage{InputTokens: 14, AudioInputTokens: 12, OutputTokens: 9}, reported: true, body: sse(
		`{"type":"transcript.text.delta","delta":"The quick brown fox"}`, `{"type":"transcript.text.delta","delta":" jumps over the lazy dog"}`,
		`{"type":"transcript.text.done","text":"`+quickFox+`","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":2,"audio_tokens":12},"output_tokens":9}}`,
	)},
	"transcript by the second": {endpoint: "audio.translations", usage: core.Usage{AudioMillis: 7250}, reported: true, body: sse(
		`{"type":"transcript.text.segment","text":"The quick brown fox"}`,
		`{"type":"transcript.text.done","usage":{"type":"duration","seconds":7.25},"text":"`+quickFox+`"}`,
	)},
	"pictures": {
		endpoint: "images.generations", reported: true, tokens: 100 + 1056 + 4160 - 9,
		usage: core.Usage{InputTokens: 20, ImageInputTokens: 4, OutputTokens: 300, Images: 2}, body: sse(
			`{"type":"image_generation.partial_image","b64_json":"`+strings.Repeat("A", 4096)+`","partial_image_index":0}`,
			`{"type":"image_generation.completed","b64_json":"`+strings.Repeat("B", 4096)+`","size":"1024x1024","quality":"medium","usage":{"input_tokens":10,"input_tokens_details":{"text_tokens":8,"image_tokens":2},"output_tokens":100}}`,
			`{"type":"image_edit.completed","b64_json":"`+strings.Repeat("B", 4096)+`","size":"1024x1024","quality":"high","usage":{"input_tokens":10,"input_tokens_details":{"text_tokens":8,"image_tokens":2},"output_tokens":200}}`,
		),
	},
	"speech": {
		endpoint: "audio.speech", reported: true, tokens: 20 - 9, usage: core.Usage{InputTokens: 5, OutputTokens: 60}, body: sse(
			`{"type":"speech.audio.delta","audio":"`+strings.Repeat("A", 20*audioBytesPerToken)+`"}`,
			`{"type":"speech.audio.done","usage":{"input_tokens":5,"output_tokens":60,"total_tokens":65}}`,
		),
	},
}

// Each kind of stream passes unchanged in any pieces, ends by itself, and what it used and brought is known: every text
// once, however often the events repeat it.
func TestStreamsOfEachKind(t *testing.T) {
	for name, tt := range streams {
		for _, size := range []int{1, 3, 50, 1000, len(tt.body)} {
			a := streamed(AnswerOptions{Request: asked(tt.endpoint)})
			if got := feed(a, []byte(tt.body), size); string(got) != tt.body {
				t.Fatalf("%s in pieces of %d: %q", name, size, got)
			}
			if u, ok := a.Usage(); u != tt.usage || ok != tt.reported {
				t.Errorf("%s in pieces of %d: usage %+v, %v", name, size, u, ok)
			}
			want := quickFoxTokens() + tt.tokens
			if got := a.CountDelivered(); got != want || a.DeliveredBound() < got {
				t.Errorf("%s in pieces of %d: %d tokens, want %d, bound %d", name, size, got, want, a.DeliveredBound())
			}
			if !a.Complete() || a.ObjectID() != tt.id {
				t.Errorf("%s: complete %v, id %q", name, a.Complete(), a.ObjectID())
			}
		}
		// It is not complete before its last event.
		a := streamed(AnswerOptions{Request: asked(tt.endpoint)})
		a.Write([]byte(tt.body[:max(0, strings.LastIndex(tt.body[:len(tt.body)-2], "\n\n"))]), true)
		if name != "pictures" && a.Complete() {
			t.Errorf("%s: complete without its end", name)
		}
	}
}

// Whole answers in JSON, of each kind.
func TestJSONOfEachKind(t *testing.T) {
	for _, tt := range []struct {
		name, endpoint, body string
		usage                core.Usage
		reported             bool
		tokens               int64
	}{
		{
			"response", "responses",
			`{"id":"x","output":[{"type":"reasoning","summary":[]},{"type":"message","content":[{"type":"output_text","text":"` + quickFox + `","annotations":[]}]}],` + responseUsage + `}`,
			responseUsed, true, 9,
		},
		{
			"response with a call", "responses",
			`{"id":"x","output":[{"type":"function_call","arguments":"` + quickFox + `","name":"f"}]}`,
			core.Usage{},
			false, 9 + tokensPerCall + 1,
		},
		{"completion", "completions", `{"id":"x","choices":[{"text":"` + quickFox + `","index":0}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`, core.Usage{InputTokens: 1, OutputTokens: 2}, true, 9},
		{"message before its index", "chat.completions", `{"id":"x","choices":[{"message":{"content":"` + quickFox + `"},"index":3}]}`, core.Usage{}, false, 9},
		{"messages before their indices", "chat.completions", `{"id":"x","choices":[{"message":{"content":"a"},"index":1},{"message":{"content":"b"},"index":0}]}`, core.Usage{}, false, 2},
		{"embeddings", "embeddings", `{"id":"x","data":[{"embedding":[0.25,-1e-5]},{"embedding":"AAAA"}],"usage":{"prompt_tokens":8,"total_tokens":8}}`, core.Usage{InputTokens: 8}, true, 0},
		{"moderation", "moderations", `{"id":"x","results":[{"flagged":false}]}`, core.Usage{}, false, 0},
		{
			"pictures", "images.edits",
			`{"id":"x","created":7,"data":[{"b64_json":"AA\"]}"},{"url":"data"}],"size":"1024x1024","quality":"low","usage":{"input_tokens":10,"input_tokens_details":{"image_tokens":4,"text_tokens":6},"output_tokens":544,"output_tokens_details":{"image_tokens":544,"text_tokens":0}}}`,
			core.Usage{InputTokens: 10, ImageInputTokens: 4, OutputTokens: 544, ImageOutputTokens: 544, Images: 2},
			true, 2 * 272,
		},
		{"no pictures", "images.generations", `{"id":"x","data":[ ],"usage":{"input_tokens":1,"output_tokens":0}}`, core.Usage{InputTokens: 1}, true, 0},
		{"pictures without usage", "images.generations", `{"id":"x","data":[{"url":"u"}]}`, core.Usage{}, false, 6240},
		{"transcript", "audio.transcriptions", `{"id":"x","text":"` + quickFox + `","usage":{"type":"duration","seconds":7}}`, core.Usage{AudioMillis: 7000}, true, 9},
		{"verbose transcript", "audio.translations", `{"id":"x","task":"translate","duration":8.470000267028809,"text":"` + quickFox + `","segments":[{"text":"again"}]}`, core.Usage{AudioMillis: 8470}, true, 9},
		{"file", "files", `{"id":"x","object":"file"}`, core.Usage{}, false, 0},
	} {
		for _, size := range []int{1, 10, len(tt.body)} {
			a := NewAnswer(AnswerOptions{Request: asked(tt.endpoint), Status: 200, ContentType: "application/json"})
			if got := feed(a, []byte(tt.body), size); string(got) != tt.body {
				t.Fatalf("%s: %q", tt.name, got)
			}
			if u, ok := a.Usage(); u != tt.usage || ok != tt.reported {
				t.Errorf("%s in pieces of %d: usage %+v, %v", tt.name, size, u, ok)
			}
			if got := a.CountDelivered(); got != tt.tokens || !a.Complete() || a.ObjectID() != "x" {
				t.Errorf("%s in pieces of %d: %d tokens, want %d; complete %v, id %q", tt.name, size, got, tt.tokens, a.Complete(), a.ObjectID())
			}
		}
	}
}

// A report with a figure that cannot be is none: it is neither believed nor bent.
func TestRubbishUsageIsNone(t *testing.T) {
	for name, usage := range map[string]string{
		"negative": `{"prompt_tokens":-1,"completion_tokens":1}`, "a fraction": `{"prompt_tokens":1.5,"completion_tokens":1}`,
		"an exponent": `{"prompt_tokens":1e3,"completion_tokens":1}`, "huge": `{"prompt_tokens":1,"completion_tokens":99999999999999999999}`,
		"a text": `{"prompt_tokens":"9","completion_tokens":1}`, "an object": `{"prompt_tokens":{},"completion_tokens":1}`,
		"a leading zero": `{"prompt_tokens":01,"completion_tokens":1}`, "nothing": `{}`, "output alone": `{"completion_tokens":4}`,
		"true": `{"prompt_tokens":true,"completion_tokens":1}`, "more cached than input": `{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":2}}`,
		"more reasoning than output": `{"prompt_tokens":1,"completion_tokens":1,"completion_tokens_details":{"reasoning_tokens":2}}`,
		"a rubbish part":             `{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"audio_tokens":-1}}`,
		"seconds as NaN":             `{"seconds":"NaN"}`, "negative seconds": `{"seconds":-1}`, "endless seconds": `{"seconds":1e300}`,
	} {
		a := NewAnswer(AnswerOptions{Request: asked("chat.completions"), Status: 200})
		feed(a, []byte(`{"choices":[],"usage":`+usage+`}`), 7)
		if u, ok := a.Usage(); ok || u != (core.Usage{}) || !a.Complete() {
			t.Errorf("%s: %+v, %v", name, u, ok)
		}
		// In a stream it takes the place of what was reported before.
		a = streamed(AnswerOptions{StripUsage: true})
		out := feed(a, []byte(usageChunk+`data: {"choices":[],"usage":`+usage+"}\n\n"+doneEvent), 11)
		if u, ok := a.Usage(); ok || string(out) != doneEvent {
			t.Errorf("%s: %+v, %v; %q", name, u, ok, out)
		}
	}
	// null figures are none at all.
	a := NewAnswer(AnswerOptions{Request: asked("responses"), Status: 200})
	feed(a, []byte(`{"usage":{"input_tokens":3,"output_tokens":1,"input_tokens_details":{"cached_tokens":null},"output_tokens_details":null}}`), 9)
	if u, ok := a.Usage(); !ok || u != (core.Usage{InputTokens: 3, OutputTokens: 1}) {
		t.Errorf("%+v, %v", u, ok)
	}
	// One picture without a report leaves the sum without one.
	a = streamed(AnswerOptions{Request: asked("images.generations")})
	feed(a, []byte(sse(`{"type":"image_generation.completed","usage":{"input_tokens":-1}}`, `{"type":"image_generation.completed","usage":{"input_tokens":1,"output_tokens":2}}`)), 40)
	if u, ok := a.Usage(); ok {
		t.Errorf("%+v", u)
	}
}

// What has no report is counted, and never comes to nothing.
func TestCountedWithoutAReport(t *testing.T) {
	speak := asked("audio.speech")
	speak.Prompt.Parts = []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: "Grüße"}}
	for _, tt := range []struct {
		name, contentType, body string
		request                 *Request
		want                    core.Usage
	}{
		{"SRT", "text/plain", "1\r\n00:00:00,000 --> 00:01:02,500\r\nThe quick\r\n\r\n", asked("audio.transcriptions"), core.Usage{AudioMillis: 62_500}},
		{"WebVTT", "text/vtt", "WEBVTT\n\n00:00.000 --> 00:05.500 align:start\nThe quick\n\n01:00:05.500 --> 01:00:09.250\nbrown -->\n", asked("audio.translations"), core.Usage{AudioMillis: 3_609_250}},
		{"text", "text/plain; charset=utf-8", quickFox, asked("audio.transcriptions"), core.Usage{AudioMillis: 1000 + quickFoxTokens()*spokenMillisPerToken}},
		{"MP3", "audio/mpeg", strings.Repeat("x", 96*30), speak, core.Usage{OutputTokens: 30, Characters: 5}},
		{"WAV", "audio/wav", strings.Repeat("x", 2400*3), speak, core.Usage{OutputTokens: 3, Characters: 5}},
		{"picture", "application/json", `{"data":[{"url":"u"}],"size":"1024x1536","quality":"medium"}`, asked("images.generations"), core.Usage{OutputTokens: 1584, Images: 1}},
	} {
		a := NewAnswer(AnswerOptions{Request: tt.request, Status: 200, ContentType: tt.contentType})
		if got := feed(a, []byte(tt.body), 7); string(got) != tt.body || !a.Complete() {
			t.Errorf("%s: %q, complete %v", tt.name, got, a.Complete())
		}
		if u, ok := a.Usage(); ok {
			t.Errorf("%s: reported %+v", tt.name, u)
		}
		got := a.Counted()
		if got.AudioMillis != tt.want.AudioMillis || got.Characters != tt.want.Characters || got.Images != tt.want.Images || !got.Estimated ||
			tt.want.OutputTokens > 0 && got.OutputTokens != tt.want.OutputTokens || got.InputTokens == 0 || got.OutputTokens == 0 {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	// What was said for certain stands beside what was reported.
	a := streamed(AnswerOptions{Request: speak})
	feed(a, []byte(streams["speech"].body), 99)
	if u, ok := a.Usage(); !ok || u.Characters != 5 || u.OutputTokens != 60 {
		t.Errorf("%+v, %v", u, ok)
	}
}

// The terms are those that were asked for, but as the answer says.
func TestServedTerms(t *testing.T) {
	a := streamed(AnswerOptions{Request: asked("responses"), Terms: Terms{Tier: "auto"}})
	feed(a, []byte(streams["response"].body), 100)
	if got := a.ServedTerms(); got.Tier != "flex" {
		t.Errorf("%+v", got)
	}
	a = NewAnswer(AnswerOptions{Request: asked("images.generations"), Status: 200, Terms: Terms{Image: "1024x1024/hd"}})
	feed(a, []byte(`{"data":[{}]}`), 100)
	if got := a.ServedTerms(); got.Image != "1024x1024/hd" {
		t.Errorf("%+v", got)
	}
	a = NewAnswer(AnswerOptions{Request: asked("images.generations"), Status: 200, Terms: Terms{Image: "auto/auto"}})
	feed(a, []byte(`{"data":[{}],"size":"1024x1536","quality":"low"}`), 100)
	if got := a.ServedTerms(); got.Image != "1024x1536/low" {
		t.Errorf("%+v", got)
	}
}

// Pictures and vectors of any size do not stay in memory, nor keep the usage behind them from being read.
func TestLargeDataIsNotKept(t *testing.T) {
	for endpoint, element := range map[string]string{
		"images.generations": `{"b64_json":"` + strings.Repeat("A", 1<<20) + `"}`, "embeddings": `{"embedding":[` + strings.Repeat("0.125,", 1<<17) + `1]}`,
	} {
		a := NewAnswer(AnswerOptions{Request: asked(endpoint), Status: 200, ContentType: "application/json"})
		a.Write([]byte(`{"created":7,"data":[`), false)
		for range 40 {
			a.Write([]byte(element+","), false)
			if len(a.kept) > 100 {
				t.Fatalf("%s: %d bytes kept", endpoint, len(a.kept))
			}
		}
		a.Write([]byte(element+`],"usage":{"input_tokens":9,"output_tokens":0}}`), true)
		if u, ok := a.Usage(); !ok || u.InputTokens != 9 || !a.Complete() || endpoint == "images.generations" && u.Images != 41 {
			t.Errorf("%s: %+v, %v", endpoint, u, ok)
		}
	}
}

// After an event that is too long a stream is read again, and can be cut again.
func TestStreamGoesOnAfterALongEvent(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r"} {
		a := streamed(AnswerOptions{StripUsage: true})
		head := "data: {\"x\":\"" + strings.Repeat("a", maxEvent+300_000)
		tail := "a\"}\n\n" + usageChunk + chunk(`{"content":"Hi"}`, "")
		long := strings.ReplaceAll(head+tail, "\n", end)
		got := feed(a, []byte(long), 100_000)
		if want := strings.ReplaceAll(head+"a\"}\n\n"+chunk(`{"content":"Hi"}`, ""), "\n", end); string(got) != want {
			t.Errorf("%q: %d bytes of %d", end, len(got), len(want))
		}
		if u, ok := a.Usage(); !ok || u.InputTokens != 9 {
			t.Errorf("%q: %+v, %v", end, u, ok)
		}
		if a.Cut(core.ReasonQuotaExhausted) == nil {
			t.Errorf("%q: it cannot be cut", end)
		}
	}
}

// compressors are those that can be undone, flushed after each event as servers do.
var compressors = map[string]func(io.Writer) flusher{
	"gzip": func(w io.Writer) flusher { return gzip.NewWriter(w) },
	"br":   func(w io.Writer) flusher { return brotli.NewWriter(w) },
	"zstd": func(w io.Writer) flusher {
		z, err := zstd.NewWriter(w)
		if err != nil {
			panic(err)
		}
		return z
	},
}

type flusher interface {
	io.WriteCloser
	Flush() error
}

// A compressed stream passes without its compression, each event as soon as it is there; what was not asked for is taken
// out of it, and it can be cut.
func TestCompressedStreams(t *testing.T) {
	defer goleak.VerifyNone(t)
	for encoding, open := range compressors {
		events := []string{chunk(`{"content":"Hi"}`, ""), chunk(`{"content":" there"}`, ""), usageChunk, doneEvent}
		o := AnswerOptions{ContentEncoding: encoding, StripUsage: true}
		var compressed bytes.Buffer
		w := open(&compressed)
		a := streamed(o)
		if !a.Decodes() {
			t.Fatalf("%s: not decoded", encoding)
		}
		for i, e := range events {
			compressed.Reset()
			io.WriteString(w, e)
			w.Flush()
			forward, changed := a.Write(bytes.Clone(compressed.Bytes()), false)
			want := e
			if i == 2 {
				want = ""
			}
			if !changed || string(forward) != want {
				t.Errorf("%s: event %d came as %q, %v", encoding, i, forward, changed)
			}
		}
		compressed.Reset()
		w.Close()
		if rest, _ := a.Write(bytes.Clone(compressed.Bytes()), true); len(rest) != 0 || !a.Complete() {
			t.Errorf("%s: %q at the end, complete %v", encoding, rest, a.Complete())
		}
		if u, ok := a.Usage(); !ok || u.InputTokens != 9 {
			t.Errorf("%s: %+v, %v", encoding, u, ok)
		}
		a.Close()

		var whole bytes.Buffer
		w = open(&whole)
		io.WriteString(w, strings.Join(events, ""))
		w.Close()
		for size := 1; size <= whole.Len(); size++ {
			a := streamed(o)
			if got := feed(a, whole.Bytes(), size); string(got) != events[0]+events[1]+doneEvent {
				t.Fatalf("%s in pieces of %d: %q", encoding, size, got)
			}
			a.Close()
		}
		for at := range whole.Len() { // it breaks off: what came is read, and the client sees no rubbish
			a := streamed(o)
			out, _ := a.Write(bytes.Clone(whole.Bytes()[:at]), true)
			if !strings.HasPrefix(strings.Join(events[:2], "")+doneEvent, string(out)) && !strings.HasPrefix(strings.Join(events, ""), string(out)) {
				t.Fatalf("%s broken off at %d: %q", encoding, at, out)
			}
			a.Close()
			a.Close()
		}
		a = streamed(o)
		a.Write(bytes.Clone(whole.Bytes()[:1]), false)
		if cut := a.Cut(core.ReasonUserBlocked); !bytes.Contains(cut, []byte("content_filter")) {
			t.Errorf("%s: cut with %q", encoding, cut)
		}
		a.Close()
		a = streamed(o)
		if out, _ := a.Write([]byte("this is not compressed at all"), false); len(out) != 0 || a.Complete() {
			t.Errorf("%s: rubbish came as %q", encoding, out)
		}
		if out, _ := a.Write([]byte("nor is this"), true); len(out) != 0 {
			t.Errorf("%s: more rubbish came as %q", encoding, out)
		}
		a.Close()
	}
}

// A compressed list of models is filtered.
func TestCompressedModels(t *testing.T) {
	var list bytes.Buffer
	w := gzip.NewWriter(&list)
	io.WriteString(w, `{"object":"list","data":[{"id":"gpt-4o"},{"id":"secret"}]}`)
	w.Close()
	a := NewAnswer(AnswerOptions{Status: 200, ContentEncoding: "gzip", Filter: func(m string) bool { return m == "gpt-4o" }})
	defer a.Close()
	if got := feed(a, list.Bytes(), 5); !a.Decodes() || string(got) != `{"object":"list","data":[{"id":"gpt-4o"}]}` {
		t.Errorf("%s", got)
	}
}
