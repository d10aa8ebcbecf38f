package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

// What becomes of a recorded exchange.
const (
	answered = "answered" // the caller gets the recorded answer, the audit the recorded usage
	failed   = "failed"   // the caller gets the recorded error
	refused  = "refused"  // denied before the provider
)

// chatRecordings says what becomes of each recorded chat. Everything else that was recorded is refused for now.
var chatRecordings = map[string]string{
	"azure-chat-basic":              refused, // another provider's path
	"chat-audio-to-text":            answered,
	"chat-bad-request":              failed,
	"chat-basic":                    answered,
	"chat-detailed-usage":           answered,
	"chat-image-to-text":            answered,
	"chat-json-mode":                answered,
	"chat-multimodal":               refused, // the provider would fetch a remote image
	"chat-multiturn":                answered,
	"chat-no-messages":              failed,
	"chat-openai-agents-python":     answered,
	"chat-parallel-tools":           answered,
	"chat-reasoning":                answered,
	"chat-streaming":                answered,
	"chat-streaming-detailed-usage": answered,
	"chat-streaming-web-search":     refused, // hosted tools
	"chat-text-to-audio":            answered,
	"chat-text-to-image-tool":       answered,
	"chat-tools":                    answered,
	"chat-unknown-model":            failed,
	"chat-web-search":               refused, // hosted tools
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
	_, _ = w.Write(p.answer())
}

// answer is the recorded one, with the usage chunk that the provider adds when the forwarded request asks for it and the
// recorded one did not.
func (p *replay) answer() []byte {
	recorded := p.at.Response.Body
	const asks = `"include_usage":true`
	if !bytes.Contains(p.received, []byte(asks)) || bytes.Contains(squeezed(p.at.Request.Body), []byte(asks)) {
		return recorded
	}
	return bytes.Replace(recorded, []byte("data: [DONE]"), []byte(addedUsage+"data: [DONE]"), 1)
}

const addedUsage = `data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":22,"total_tokens":33}}` + "\n\n"

// squeezed is JSON without white space.
func squeezed(data []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, data) != nil {
		return data
	}
	return out.Bytes()
}

func TestRecordedExchanges(t *testing.T) {
	provider := &replay{}
	upstream := httptest.NewServer(provider)
	t.Cleanup(upstream.Close)
	w := start(t, setup{upstream: upstream.URL})

	seen := map[string]bool{}
	for _, dir := range []string{"ai-gateway", "openllmetry-responses"} {
		for _, r := range testkit.Recordings(t, testkit.SharedData(t, "openai-recordings", dir)) {
			want := refused
			if strings.Contains(r.Name, "chat-") {
				seen[r.Name] = true
				if want = chatRecordings[r.Name]; want == "" {
					t.Errorf("%s is a chat that chatRecordings does not list", r.Name)
					continue
				}
			}
			t.Run(dir+"/"+r.Name, func(t *testing.T) { w.in(t).replay(provider, r, want) })
		}
	}
	for name := range chatRecordings {
		if !seen[name] {
			t.Errorf("%s is listed and was not recorded", name)
		}
	}
}

func (w *world) replay(provider *replay, r testkit.Recording, want string) {
	w.t.Helper()
	provider.mu.Lock()
	provider.at, provider.received, provider.requests = r, nil, 0
	provider.mu.Unlock()

	req := w.request(r.Request.Method, r.Request.Path, string(r.Request.Body))
	if ct := r.Request.Header.Get("Content-Type"); ct != "" {
		req.Header.Set("content-type", ct)
	}
	got := w.do(req)
	if want == refused {
		rec := w.denied(got.Exchange)
		if got.Status < 400 || provider.requests != 0 {
			w.t.Errorf("status %d for %s, and the provider received %d requests", got.Status, rec.Reason, provider.requests)
		}
		return
	}
	if got.Status != r.Response.Status {
		w.t.Fatalf("status %d, want %d: %s", got.Status, r.Response.Status, got.Body)
	}
	if diff := cmp.Diff(string(r.Response.Plain(w.t)), got.Body); diff != "" {
		w.t.Errorf("the caller's answer (-recorded +got):\n%s", diff)
	}
	_, outcome := w.outcome(got.Exchange)
	if want == failed {
		if outcome.Finish != core.FinishUpstreamError {
			w.t.Errorf("ended as %s", outcome.Finish)
		}
		return
	}
	if outcome.Finish != core.FinishComplete || outcome.Usage == nil {
		w.t.Fatalf("ended as %s with usage %v", outcome.Finish, outcome.Usage)
	}
	if diff := cmp.Diff(recordedUsage(w.t, provider.answer()), *outcome.Usage); diff != "" {
		w.t.Errorf("the audit's usage (-recorded +got):\n%s", diff)
	}
}

// recordedUsage is the last usage of a provider's answer, read without Plumbline's own reader.
func recordedUsage(t testing.TB, answer []byte) core.Usage {
	t.Helper()
	type details struct {
		Cached    int64 `json:"cached_tokens"`
		Audio     int64 `json:"audio_tokens"`
		Reasoning int64 `json:"reasoning_tokens"`
	}
	var last core.Usage
	read := func(data []byte) {
		var a struct {
			Usage *struct {
				Prompt            int64   `json:"prompt_tokens"`
				Completion        int64   `json:"completion_tokens"`
				PromptDetails     details `json:"prompt_tokens_details"`
				CompletionDetails details `json:"completion_tokens_details"`
			} `json:"usage"`
		}
		if json.Unmarshal(data, &a) != nil || a.Usage == nil {
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
	return last
}
