package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

// fates says what becomes of each recorded exchange that is not answered as it was.
var fates = map[string]refusal{
	"azure-chat-basic":          badEndpoint,                                             // another provider's path
	"chat-multimodal":           badParameter.at("messages[0].content[1].image_url.url"), // the provider would fetch it
	"chat-streaming-web-search": badParameter.at("web_search_options"),                   // the provider would read pages
	"chat-web-search":           badParameter.at("web_search_options"),
	"completion-bad-request":    badBody.at("max_tokens"), // -1
	"embeddings-bad-request":    badBody.at("dimensions"), // -1
}

// seldom is a policy that allows what recorded exchanges ask for and few do.
const seldom = allowAll + "requests: {service_tiers: [auto, default, flex, priority]}\n"

// replay answers as the provider did when the exchange at hand was recorded.
type replay struct {
	mu       sync.Mutex
	at       testkit.Recording
	received []byte
	requests int
}

func (p *replay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.received = body.Bytes()
	p.requests++
	for name, values := range p.at.Response.Header {
		if name != "Content-Length" && name != "Transfer-Encoding" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(p.at.Response.Status)
	for piece := range slices.Chunk(slices.Concat(answerTo(p.at, p.received)), 997) { // ends within lines, words and characters
		_, _ = w.Write(piece)
		_ = http.NewResponseController(w).Flush()
	}
}

// set makes r the exchange at hand.
func (p *replay) set(r testkit.Recording) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.received, p.requests = r, nil, 0
}

// seen is what was received since set.
func (p *replay) seen() (body []byte, requests int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.received, p.requests
}

// usageAsked is what Plumbline adds to the request of a stream.
const usageAsked = `"stream_options":{"include_usage":true},`

// answerTo is what the provider sends: the recorded answer, and what it adds when the forwarded request asks for the
// usage and the recorded one did not: "usage":null in every chunk, and before the end a chunk of its own.
func answerTo(r testkit.Recording, forwarded []byte) (answer, added, end []byte) {
	if !bytes.Contains(forwarded, []byte(usageAsked)) || bytes.Contains(r.Request.Body, []byte(usageAsked)) {
		return r.Response.Body, nil, nil
	}
	_, model := recordedUsage(r.Response.Body)
	usage := `data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"` + model + `","choices":[],` +
		`"usage":{"prompt_tokens":11,"completion_tokens":22,"total_tokens":33,"prompt_tokens_details":{"cached_tokens":3}}}` + "\n\n"
	chunks, done, _ := bytes.Cut(r.Response.Body, []byte("data: [DONE]"))
	answer = bytes.ReplaceAll(chunks, []byte("}\n\n"), []byte(`,"usage":null}`+"\n\n"))
	return answer, []byte(usage), append([]byte("data: [DONE]"), done...)
}

// Every exchange that was recorded with the real provider, through the whole path.
func TestRecordedExchanges(t *testing.T) {
	t.Parallel()
	provider := &replay{}
	upstream := httptest.NewServer(provider)
	t.Cleanup(upstream.Close)
	w := start(t, setup{upstream: upstream.URL, policy: seldom})

	refused, replayed := map[string]bool{}, map[string]int{}
	for _, dir := range []string{"ai-gateway", "openllmetry-responses"} {
		for _, r := range testkit.Recordings(t, testkit.SharedData(t, "openai-recordings", dir)) {
			if uploads(r) {
				continue // TestRecordedForms
			}
			fate, isRefused := fates[r.Name]
			t.Run(dir+"/"+r.Name, func(t *testing.T) {
				w := w.in(t)
				provider.set(r)
				req := w.request(r.Request.Method, r.Request.Path, string(r.Request.Body))
				req.Header.Set("accept-encoding", "gzip") // the client is not to decompress what it gets
				if ct := r.Request.Header.Get("Content-Type"); ct != "" {
					req.Header.Set("content-type", ct)
				}
				got := w.do(req)
				body, n := provider.seen()
				if !isRefused {
					replayed[r.Request.Path]++
					w.passed(r, body, got)
					return
				}
				refused[r.Name] = true
				fate.check(t, got)
				if rec := w.denied(got.Exchange); rec.Reason != fate.reason || n != 0 {
					t.Errorf("the audit has reason %s, and the provider received %d requests", rec.Reason, n)
				}
			})
		}
	}
	for name := range fates {
		if !refused[name] {
			t.Errorf("%s is listed and was not recorded", name)
		}
	}
	for path, least := range map[string]int{
		"/v1/chat/completions": 17, "/v1/responses": 30, "/v1/completions": 8, "/v1/embeddings": 9, "/v1/images/generations": 1,
	} {
		if replayed[path] < least {
			t.Errorf("%s: %d exchanges, want %d", path, replayed[path], least)
		}
	}
}

// passed checks an exchange that the provider was asked: what it received, what the caller got, what the audit holds.
func (w *world) passed(r testkit.Recording, received []byte, got response) {
	w.t.Helper()
	// All that may differ is that the usage of a stream is asked for.
	forwarded := string(received)
	if streams(r.Request.Body) && !bytes.Contains(r.Request.Body, []byte("include_usage")) && strings.HasSuffix(r.Request.Path, "completions") {
		forwarded = strings.Replace(forwarded, usageAsked, "", 1)
		if forwarded == string(received) {
			w.t.Error("the provider is not asked for the usage of a stream")
		}
	}
	if diff := gocmp.Diff(string(r.Request.Body), forwarded); diff != "" {
		w.t.Errorf("what the provider received (-recorded +got):\n%s", diff)
	}

	answer, added, end := answerTo(r, received)
	plain := slices.Concat(answer, added, end)
	if r.Response.Header.Get("Content-Encoding") == "gzip" {
		if plain = r.Response.Plain(w.t); strings.HasPrefix(r.Response.Header.Get("Content-Type"), "text/event-stream") {
			answer = plain // a stream passes without its compression
		}
	}
	if got.Status != r.Response.Status {
		w.t.Fatalf("status %d, want %d: %s", got.Status, r.Response.Status, got.Body)
	}
	if diff := gocmp.Diff(string(answer)+string(end), got.Body); diff != "" {
		w.t.Errorf("the caller's answer (-recorded +got):\n%s", diff)
	}
	if ct := got.Header.Get("content-type"); ct != r.Response.Header.Get("content-type") {
		w.t.Errorf("the caller's content-type is %q", ct)
	}

	if r.Response.Status >= 400 {
		w.failed(got.Exchange, r.Response.Status)
		return
	}
	_, outcome := w.outcome(got.Exchange)
	if outcome.Finish != core.FinishComplete || outcome.Usage == nil {
		w.t.Fatalf("ended as %s with usage %v", outcome.Finish, outcome.Usage)
	}
	usage, model := recordedUsage(plain)
	if usage.TotalTokens() == 0 { // it was not recorded
		if u := *outcome.Usage; !u.Estimated || u.Images != usage.Images || u.InputTokens == 0 || u.OutputTokens == 0 {
			w.t.Errorf("the audit estimates %+v of an answer that does not say", u)
		}
	} else if diff := gocmp.Diff(usage, *outcome.Usage); diff != "" {
		w.t.Errorf("the audit's usage (-recorded +got):\n%s", diff)
	}
	if outcome.ServedModel != model {
		w.t.Errorf("the audit says that %q answered, the recording %q", outcome.ServedModel, model)
	}
}

// streams reports whether a request asks for an event stream.
func streams(body []byte) bool {
	var r struct {
		Stream bool `json:"stream"`
	}
	return json.Unmarshal(body, &r) == nil && r.Stream
}

// recordedAnswer is what a recorded answer, or one event of it, says of itself.
type recordedAnswer struct {
	Model    string            `json:"model"`
	Data     []json.RawMessage `json:"data"`
	Usage    *recordedFigures  `json:"usage"`
	Response *recordedAnswer   `json:"response"`
}

type recordedFigures struct {
	Prompt            int64           `json:"prompt_tokens"`
	Completion        int64           `json:"completion_tokens"`
	Input             int64           `json:"input_tokens"`
	Output            int64           `json:"output_tokens"`
	PromptDetails     recordedDetails `json:"prompt_tokens_details"`
	CompletionDetails recordedDetails `json:"completion_tokens_details"`
	InputDetails      recordedDetails `json:"input_tokens_details"`
	OutputDetails     recordedDetails `json:"output_tokens_details"`
}

type recordedDetails struct {
	Cached    int64 `json:"cached_tokens"`
	Audio     int64 `json:"audio_tokens"`
	Image     int64 `json:"image_tokens"`
	Reasoning int64 `json:"reasoning_tokens"`
}

// recordedUsage is the last usage of a provider's answer and the model that it names first, read without Plumbline's own
// reader.
func recordedUsage(answer []byte) (last core.Usage, model string) {
	read := func(data []byte) {
		var a recordedAnswer
		if json.Unmarshal(data, &a) != nil {
			return
		}
		if a.Response != nil {
			a = *a.Response
		}
		model = cmp.Or(model, a.Model)
		u := cmp.Or(a.Usage, &recordedFigures{})
		if a.Usage == nil && a.Data == nil {
			return
		}
		last = core.Usage{
			InputTokens: u.Prompt + u.Input, OutputTokens: u.Completion + u.Output,
			CachedInputTokens: u.PromptDetails.Cached + u.InputDetails.Cached,
			AudioInputTokens:  u.PromptDetails.Audio, ImageInputTokens: u.InputDetails.Image,
			ReasoningTokens:   u.CompletionDetails.Reasoning + u.OutputDetails.Reasoning,
			AudioOutputTokens: u.CompletionDetails.Audio, ImageOutputTokens: u.OutputDetails.Image,
		}
		if u.Prompt == 0 { // not vectors
			last.Images = int64(len(a.Data))
		}
	}
	read(answer)
	for line := range bytes.Lines(answer) {
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			read(data)
		}
	}
	return last, model
}
