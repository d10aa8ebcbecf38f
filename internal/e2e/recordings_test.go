package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

// passes is the fate of an exchange that the provider is asked: the caller gets the recorded answer.
var passes = refusal{}

// chats says what becomes of each recorded chat.
var chats = map[string]refusal{
	"azure-chat-basic":              badEndpoint, // another provider's path
	"chat-audio-to-text":            passes,
	"chat-bad-request":              passes,
	"chat-basic":                    passes,
	"chat-detailed-usage":           passes,
	"chat-image-to-text":            passes,
	"chat-json-mode":                passes,
	"chat-multimodal":               badParameter.at("messages[0].content[1].image_url.url"), // the provider would fetch it
	"chat-multiturn":                passes,
	"chat-no-messages":              passes,
	"chat-openai-agents-python":     passes,
	"chat-parallel-tools":           passes,
	"chat-reasoning":                passes,
	"chat-streaming":                passes,
	"chat-streaming-detailed-usage": passes,
	"chat-streaming-web-search":     badParameter.at("web_search_options"), // the provider would read pages
	"chat-text-to-audio":            passes,
	"chat-text-to-image-tool":       passes,
	"chat-tools":                    passes,
	"chat-unknown-model":            passes,
	"chat-web-search":               badParameter.at("web_search_options"),
}

// others are the endpoints of all other recordings, which are refused until they are governed.
var others = []string{
	"/v1/audio/transcriptions", "/v1/audio/translations", "/v1/completions", "/v1/embeddings", "/v1/images/generations", "/v1/responses",
}

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
	const usage = `data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"gpt-5-nano-2025-08-07","choices":[],` +
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
	w := start(t, setup{upstream: upstream.URL})

	replayed := map[string]bool{}
	for _, dir := range []string{"ai-gateway", "openllmetry-responses"} {
		for _, r := range testkit.Recordings(t, testkit.SharedData(t, "openai-recordings", dir)) {
			fate, listed := chats[r.Name]
			if path, _, _ := strings.Cut(r.Request.Path, "?"); !listed && slices.Contains(others, path) {
				fate, listed = badEndpoint, true
			}
			if !listed {
				t.Errorf("%s: what should become of it?", r.Name)
				continue
			}
			replayed[r.Name] = true
			t.Run(dir+"/"+r.Name, func(t *testing.T) {
				w := w.in(t)
				provider.set(r)
				req := w.request(r.Request.Method, r.Request.Path, string(r.Request.Body))
				if ct := r.Request.Header.Get("Content-Type"); ct != "" {
					req.Header.Set("content-type", ct)
				}
				got := w.do(req)
				if body, n := provider.seen(); fate.status == 0 {
					w.passed(r, body, got)
				} else {
					fate.check(t, got)
					if rec := w.denied(got.Exchange); rec.Reason != fate.reason || n != 0 {
						t.Errorf("the audit has reason %s, and the provider received %d requests", rec.Reason, n)
					}
				}
			})
		}
	}
	for name := range chats {
		if !replayed[name] {
			t.Errorf("%s is listed and was not recorded", name)
		}
	}
}

// passed checks an exchange that the provider was asked: what it received, what the caller got, what the audit holds.
func (w *world) passed(r testkit.Recording, received []byte, got response) {
	w.t.Helper()
	// All that may differ is that the usage of a stream is asked for.
	forwarded := string(received)
	if streams(r.Request.Body) && !bytes.Contains(r.Request.Body, []byte("include_usage")) {
		forwarded = strings.Replace(forwarded, usageAsked, "", 1)
		if forwarded == string(received) {
			w.t.Error("the provider is not asked for the usage of a stream")
		}
	}
	if diff := cmp.Diff(string(r.Request.Body), forwarded); diff != "" {
		w.t.Errorf("what the provider received (-recorded +got):\n%s", diff)
	}

	answer, added, end := answerTo(r, received)
	if got.Status != r.Response.Status {
		w.t.Fatalf("status %d, want %d: %s", got.Status, r.Response.Status, got.Body)
	}
	if diff := cmp.Diff(string(answer)+string(end), got.Body); diff != "" {
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
	usage, model := recordedUsage(w.t, slices.Concat(answer, added, end))
	if diff := cmp.Diff(usage, *outcome.Usage); diff != "" {
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

// recordedUsage is the last usage of a provider's answer and the model that it names first, read without Plumbline's own
// reader.
func recordedUsage(t testing.TB, answer []byte) (last core.Usage, model string) {
	t.Helper()
	type details struct {
		Cached    int64 `json:"cached_tokens"`
		Audio     int64 `json:"audio_tokens"`
		Reasoning int64 `json:"reasoning_tokens"`
	}
	read := func(data []byte) {
		var a struct {
			Model string `json:"model"`
			Usage *struct {
				Prompt            int64   `json:"prompt_tokens"`
				Completion        int64   `json:"completion_tokens"`
				PromptDetails     details `json:"prompt_tokens_details"`
				CompletionDetails details `json:"completion_tokens_details"`
			} `json:"usage"`
		}
		if json.Unmarshal(data, &a) != nil {
			return
		}
		if model == "" {
			model = a.Model
		}
		if a.Usage == nil {
			return
		}
		u := a.Usage
		last = core.Usage{
			InputTokens: u.Prompt, CachedInputTokens: u.PromptDetails.Cached, AudioInputTokens: u.PromptDetails.Audio,
			OutputTokens: u.Completion, ReasoningTokens: u.CompletionDetails.Reasoning, AudioOutputTokens: u.CompletionDetails.Audio,
		}
	}
	read(answer)
	for line := range bytes.Lines(answer) {
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			read(data)
		}
	}
	if last.IsZero() {
		t.Fatal("the recording holds no usage")
	}
	return last, model
}
