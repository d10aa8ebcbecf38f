package openai

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

// recordedFacts is what a recorded document says, as a reader of the standard library finds it.
type recordedFacts struct {
	ID, Model string
	Usage     *struct {
		Type                    string
		Seconds                 float64
		PromptTokens            int64           `json:"prompt_tokens"`
		CompletionTokens        int64           `json:"completion_tokens"`
		InputTokens             int64           `json:"input_tokens"`
		OutputTokens            int64           `json:"output_tokens"`
		PromptTokensDetails     recordedDetails `json:"prompt_tokens_details"`
		InputTokensDetails      recordedDetails `json:"input_tokens_details"`
		CompletionTokensDetails recordedDetails `json:"completion_tokens_details"`
		OutputTokensDetails     recordedDetails `json:"output_tokens_details"`
	}
	Response *recordedFacts
}

type recordedDetails struct {
	Cached    int64 `json:"cached_tokens"`
	Audio     int64 `json:"audio_tokens"`
	Reasoning int64 `json:"reasoning_tokens"`
	Image     int64 `json:"image_tokens"`
}

func (r recordedFacts) usage() (core.Usage, bool) {
	u := r.Usage
	if u == nil {
		return core.Usage{}, false
	}
	return core.Usage{
		InputTokens: u.PromptTokens + u.InputTokens, OutputTokens: u.CompletionTokens + u.OutputTokens,
		CachedInputTokens: u.PromptTokensDetails.Cached + u.InputTokensDetails.Cached,
		AudioInputTokens:  u.PromptTokensDetails.Audio + u.InputTokensDetails.Audio,
		ReasoningTokens:   u.CompletionTokensDetails.Reasoning + u.OutputTokensDetails.Reasoning,
		AudioOutputTokens: u.CompletionTokensDetails.Audio,
		AudioMillis:       int64(u.Seconds * 1000),
	}, true
}

// factsOf reads a recorded answer: the whole of it, or the last of its events that says each fact.
func factsOf(t *testing.T, body []byte, stream bool) (facts recordedFacts) {
	t.Helper()
	if !stream {
		if err := json.Unmarshal(body, &facts); err != nil {
			t.Fatal(err)
		}
		return facts
	}
	for line := range strings.SplitSeq(string(body), "\n") {
		data, ok := strings.CutPrefix(line, "data: {")
		if !ok {
			continue
		}
		var event recordedFacts
		if err := json.Unmarshal([]byte("{"+data), &event); err != nil {
			t.Fatal(err)
		}
		if event.Response != nil {
			event = *event.Response
		}
		if event.Usage != nil {
			facts.Usage = event.Usage
		}
		if event.ID != "" {
			facts.ID = event.ID
		}
		if event.Model != "" {
			facts.Model = event.Model
		}
	}
	return facts
}

// endpointOf names the endpoint of a recorded path.
func endpointOf(path string) string {
	_, path, _ = strings.Cut(path, "/v1/")
	if name := strings.ReplaceAll(path, "/", "."); name != "" {
		return name
	}
	return "chat.completions" // another provider's path
}

// recordings are all recorded exchanges.
func recordings(t *testing.T) []testkit.Recording {
	t.Helper()
	return append(testkit.Recordings(t, testkit.SharedData(t, "openai-recordings", "ai-gateway")),
		testkit.Recordings(t, testkit.SharedData(t, "openai-recordings", "openllmetry-responses"))...)
}

func recordedAnswer(r testkit.Recording) *Answer {
	var said struct {
		Model  string
		Stream bool
		N      int64
	}
	_ = json.Unmarshal(r.Request.Body, &said) // an upload was not recorded
	return NewAnswer(AnswerOptions{
		Request: &Request{Endpoint: endpointOf(r.Request.Path), Model: said.Model, Stream: said.Stream, Choices: max(said.N, 1)},
		Status:  r.Response.Status, ContentType: r.Response.Header.Get("Content-Type"),
	})
}

// Every recorded answer of every endpoint passes unchanged, however it is cut into pieces, and its recorded usage, model
// and id are read.
func TestRecordedAnswers(t *testing.T) {
	seen, reported := map[string]int{}, map[string]int{}
	for _, r := range recordings(t) {
		endpoint := endpointOf(r.Request.Path)
		seen[endpoint]++
		body := r.Response.Plain(t)
		stream := isEventStream(r.Response.Header.Get("Content-Type"))
		facts := factsOf(t, body, stream)
		want, ok := facts.usage()
		if endpoint == "images.generations" && ok {
			want.Images = 1
		}
		if ok {
			reported[endpoint]++
		}
		for _, size := range []int{1, 7, 100, 1024, len(body) + 1} {
			a := recordedAnswer(r)
			if out := feed(a, body, size); !bytes.Equal(out, body) {
				t.Fatalf("%s in pieces of %d: other bytes", r.Name, size)
			}
			if got, said := a.Usage(); got != want || said != ok {
				t.Errorf("%s in pieces of %d: usage %+v, %v, want %+v, %v", r.Name, size, got, said, want, ok)
			}
			if a.ServedModel() != facts.Model || a.ObjectID() != facts.ID || !a.Complete() {
				t.Errorf("%s in pieces of %d: model %q, id %q, complete %v", r.Name, size, a.ServedModel(), a.ObjectID(), a.Complete())
			}
			tokens := a.CountDelivered()
			if visible := want.OutputTokens - want.ReasoningTokens; ok && visible > 0 && (tokens == 0 || tokens > a.DeliveredBound()) {
				t.Errorf("%s: %d delivered, bound %d", r.Name, tokens, a.DeliveredBound())
			}
			// What was counted is near what was reported, where all of the output is text.
			if text := want.OutputTokens - want.ReasoningTokens - want.AudioOutputTokens; stream && size == 7 && text > 20 {
				if off := float64(tokens-text) / float64(text); off < -0.25 || off > 0.25 {
					t.Errorf("%s: counted %d tokens, reported were %d", r.Name, tokens, text)
				}
			}
		}
	}
	for endpoint, least := range map[string][2]int{
		"chat.completions": {18, 14}, "completions": {8, 4}, "embeddings": {8, 6}, "responses": {15, 14},
		"audio.transcriptions": {1, 1}, "audio.translations": {1, 0}, "images.generations": {1, 0},
	} {
		if seen[endpoint] < least[0] || reported[endpoint] < least[1] {
			t.Errorf("%s: %d recordings, %d with usage", endpoint, seen[endpoint], reported[endpoint])
		}
	}
}

// state is all that reading a stream has come to.
type state struct {
	doc                  document
	runs                 []run
	bound, extra         int64
	split                splitter
	kept                 string
	whole, dropped, long bool
}

func stateOf(a *Answer) state {
	s := state{
		doc: a.doc, bound: a.out.bound, extra: a.out.extra, split: a.stream.split, kept: string(a.stream.kept),
		whole: a.whole, dropped: a.stream.dropped, long: a.stream.long,
	}
	s.doc.out, s.doc.scanner = nil, scanner{}
	for _, r := range a.out.runs {
		r.text = slices.Clone(r.text)
		s.runs = append(s.runs, r)
	}
	return s
}

// resumed is an answer that goes on where another one stands.
func resumed(a *Answer) *Answer {
	c := *a
	c.doc.choices = slices.Clone(a.doc.choices)
	c.out.runs = slices.Clone(a.out.runs)
	for i := range c.out.runs {
		c.out.runs[i].text = slices.Clone(a.out.runs[i].text)
	}
	c.doc.out = &c.out
	c.stream.answer = &c
	c.stream.kept, c.stream.spare, c.stream.built = slices.Clone(a.stream.kept), nil, nil
	return &c
}

// A recorded stream that is split at any byte gives the same bytes and comes to the same. An event is read as soon as it
// is whole, so it is enough to split each event where the ones before it have been read.
func TestRecordedStreamsSplitAtEveryByte(t *testing.T) {
	streams := map[string]int{}
	for _, r := range recordings(t) {
		if !isEventStream(r.Response.Header.Get("Content-Type")) {
			continue
		}
		streams[endpointOf(r.Request.Path)]++
		body := r.Response.Plain(t)
		whole := recordedAnswer(r)
		for start := 0; start < len(body); {
			end := start + len("\n\n")
			if n := bytes.Index(body[start:], []byte("\n\n")); n >= 0 {
				end += n
			} else {
				end = len(body)
			}
			before := resumed(whole)
			whole.Write(body[start:end:end], false)
			want := stateOf(whole)
			for at := start + 1; at < end; at++ {
				a := resumed(before)
				first, _ := a.Write(bytes.Clone(body[start:at]), false)
				got := bytes.Clone(first)
				second, _ := a.Write(bytes.Clone(body[at:end]), false)
				if got = append(got, second...); !bytes.Equal(got, body[start:end]) {
					t.Fatalf("%s split at %d: %q", r.Name, at, got)
				}
				if state := stateOf(a); !reflect.DeepEqual(state, want) {
					t.Fatalf("%s split at %d:\n got %+v\nwant %+v", r.Name, at, state, want)
				}
			}
			start = end
		}
	}
	if streams["chat.completions"] < 3 || streams["completions"] < 2 || streams["responses"] < 7 {
		t.Errorf("streams: %v", streams)
	}
}
