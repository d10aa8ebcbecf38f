package e2e

import (
	"encoding/json"
	"net/http/httptest"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/testkit"
)

// The people and limits with whom each kind of refusal can be met.
const sdkObjects = objects + `
limits:
  - {id: ben-day, scope: user, subject: ben, model: gpt-4o, dimension: requests, window: day, value: 1}
  - {id: ann-tiny, scope: user, subject: ann, model: gpt-4.1, dimension: tokens, window: day, value: 1}
  - {id: ann-rate, scope: user, subject: ann, model: gpt-4.1-mini, dimension: requests, window: minute, value: 1}
  - {id: ann-stream, scope: user, subject: ann, model: standin-long, dimension: output_tokens, window: day, value: 1500}
  - {id: ann-one, scope: user, subject: ann, model: gpt-4.1-nano, dimension: concurrency, window: none, value: 1}
`

const sdkPolicy = `version: 1
mode: enforce
models: {allow: ["gpt-4*", "standin-*"]}
intents: {forbidden: [entertainment], min_confidence: 0.3}
deviation: {warn: 0.8, block: 0.9, enforce_uncalibrated: true}
`

const (
	// retried is how often a client makes a call that fails each time, if it thinks that trying again helps.
	retried = 3
	poem    = "Write a funny poem about a dog who hates rain."
)

// inEachSDK runs a test with each of the official clients, in a world of its own.
func inEachSDK(t *testing.T, s func(t *testing.T) setup, test func(t *testing.T, w *world, client sdk)) {
	t.Parallel()
	for _, language := range []string{"go", "node", "python"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			w := start(t, s(t))
			test(t, w, newSDK(t, language))
		})
	}
}

// sdkChat is a chat call under a key.
func (w *world) sdkChat(key, model, prompt string) sdkCall {
	return sdkCall{BaseURL: w.envoy.URL + "/v1", Key: key, Method: "chat.completions.create", Body: map[string]any{
		"model": model, "messages": []map[string]string{{"role": "user", "content": prompt}},
	}}
}

// sdkCall is a call under ann's key.
func (w *world) sdkCall(method string, body map[string]any) sdkCall {
	return sdkCall{BaseURL: w.envoy.URL + "/v1", Key: w.key, Method: method, Body: body}
}

// streamed asks for the answer as a stream.
func (c sdkCall) streamed() sdkCall {
	c.Stream = true
	return c
}

// with sets fields that the client has no name for.
func (c sdkCall) with(extra map[string]any) sdkCall {
	c.Extra = extra
	return c
}

// once has the client not try again.
func (c sdkCall) once() sdkCall {
	c.MaxRetries = new(int)
	return c
}

// ok fails the test unless the call went well.
func (r sdkResult) ok(t testing.TB) sdkResult {
	t.Helper()
	if r.Error != nil {
		t.Fatalf("the client raised %+v", *r.Error)
	}
	return r
}

// sdkChatAnswer is what is looked at of a chat completion, whole or in chunks.
type sdkChatAnswer struct {
	Choices []struct {
		Message      struct{ Content string }
		Delta        struct{ Content string }
		FinishReason string `json:"finish_reason"`
	}
	Usage *struct {
		CompletionTokens int `json:"completion_tokens"`
	}
	Plumbline *struct{ Reason core.Reason }
}

func TestSDKChat(t *testing.T) {
	inEachSDK(t, func(*testing.T) setup { return setup{} }, func(t *testing.T, w *world, client sdk) {
		call := w.sdkChat(w.key, "gpt-4o-mini", onTask)
		calls := map[string]func(t *testing.T) sdkResult{"told in code": func(t *testing.T) sdkResult { return client.make(t, call) }}
		if language := path.Base(t.Name()); language != "go" { // whose environment is that of all tests
			calls["told in the environment"] = func(t *testing.T) sdkResult {
				d := startDriver(t, language, "OPENAI_BASE_URL="+w.envoy.URL+"/v1", "OPENAI_API_KEY="+w.key)
				r := d.make(t, sdkCall{Method: call.Method, Body: call.Body})
				must(t, d.stop())
				return r
			}
		}
		for name, answered := range calls {
			t.Run(name, func(t *testing.T) {
				r := answered(t).ok(t)
				var answer sdkChatAnswer
				must(t, json.Unmarshal(r.Answer, &answer))
				if got := answer.Choices[0].Message.Content; got != provider.Text(provider.DefaultWords) || answer.Choices[0].FinishReason != "stop" {
					t.Errorf("the answer is %q, ended by %q", got, answer.Choices[0].FinishReason)
				}
				if answer.Usage.CompletionTokens != provider.DefaultWords {
					t.Errorf("%d tokens", answer.Usage.CompletionTokens)
				}
				if !strings.HasPrefix(r.RequestID, "req_standin") || r.Header["x-plumbline-request-id"] == "" {
					t.Errorf("the request's id is %q, and the headers are %v", r.RequestID, r.Header)
				}
			})
		}
		model := client.make(t, sdkCall{BaseURL: w.envoy.URL + "/v1", Key: w.key, Method: "models.retrieve", Args: []string{"gpt-4o"}}).ok(t)
		if !strings.Contains(string(model.Answer), `"gpt-4o"`) {
			t.Errorf("the model is %s", model.Answer)
		}
	})
}

func TestSDKToolCall(t *testing.T) {
	recorded := &replay{}
	for _, r := range testkit.Recordings(t, testkit.SharedData(t, "openai-recordings", "ai-gateway")) {
		if r.Name == "chat-tools" {
			recorded.set(r)
		}
	}
	upstream := httptest.NewServer(recorded)
	t.Cleanup(upstream.Close)
	inEachSDK(t, func(*testing.T) setup { return setup{upstream: upstream.URL} }, func(t *testing.T, w *world, client sdk) {
		call := w.sdkChat(w.key, "gpt-4o-mini", "What is the weather like in Boston today?")
		call.Body["tools"] = []map[string]any{{"type": "function", "function": map[string]any{
			"name": "get_current_weather", "parameters": map[string]any{
				"type": "object", "properties": map[string]any{"location": map[string]string{"type": "string"}},
			},
		}}}
		answer := string(client.make(t, call).ok(t).Answer)
		if !strings.Contains(answer, "get_current_weather") || !strings.Contains(answer, "Boston") {
			t.Errorf("the client gets %s", answer)
		}
	})
}

func TestSDKStream(t *testing.T) {
	s := func(*testing.T) setup {
		return setup{objects: sdkObjects, provider: provider.Options{ChunkPause: 500 * time.Microsecond}}
	}
	inEachSDK(t, s, func(t *testing.T, w *world, client sdk) {
		for _, asked := range []bool{false, true} {
			t.Run("usage asked for "+strconv.FormatBool(asked), func(t *testing.T) {
				call := w.sdkChat(w.key, "gpt-4o-mini", onTask).streamed()
				if asked {
					call.Body["stream_options"] = map[string]any{"include_usage": true}
				}
				text, finish, usage := chatStream(t, client.make(t, call).ok(t))
				if text != provider.Text(provider.DefaultWords) || finish != "stop" {
					t.Errorf("the stream says %q and ends by %q", text, finish)
				}
				if (usage != 0) != asked {
					t.Errorf("the client sees a usage of %d", usage)
				}
			})
		}
		// A stream that quota cuts ends for the client as one that reached its maximum: without an error, and not tried again.
		t.Run("cut by quota", func(t *testing.T) {
			w, before := w.in(t), w.received()
			r := client.make(t, w.sdkChat(w.key, provider.ModelLong, onTask).streamed()).ok(t)
			text, finish, _ := chatStream(t, r)
			if n := provider.Words(text); finish != "length" || n < 100 || n > 1500 {
				t.Errorf("ended by %q after %d words, want length and at most 1500", finish, n)
			}
			var last sdkChatAnswer
			must(t, json.Unmarshal(r.Chunks[len(r.Chunks)-1], &last))
			if last.Plumbline == nil || last.Plumbline.Reason != core.ReasonQuotaExhausted {
				t.Errorf("the client is not told why: %s", r.Chunks[len(r.Chunks)-1])
			}
			if _, outcome := w.outcome(r.Header["x-plumbline-request-id"]); outcome.Finish != core.FinishCut || outcome.Reason != core.ReasonQuotaExhausted {
				t.Errorf("the audit has finish %s, reason %s", outcome.Finish, outcome.Reason)
			}
			if n := w.received() - before; n != 1 {
				t.Errorf("the client made %d attempts", n)
			}
		})
		// One whose caller may not go on is one that was filtered, which is what the clients have a word for.
		t.Run("cut by a revocation", func(t *testing.T) {
			w := w.in(t)
			ctx := store.WithActor(t.Context(), "test")
			secret, key, err := app.CreateKey(ctx, w.app.Store(), "helpdesk", "ben", time.Hour)
			must(t, err)
			w.refresh()
			n, done := len(w.all(auditOf(core.RecordIntent))), make(chan sdkResult, 1)
			go func() { done <- client.make(t, w.sdkChat(secret, provider.ModelLong, onTask).streamed()) }()
			w.last(core.RecordIntent, n)
			must(t, app.RevokeKey(ctx, w.app.Store(), key.ID))
			w.refresh()
			r := (<-done).ok(t)
			if _, finish, _ := chatStream(t, r); finish != "content_filter" {
				t.Errorf("ended by %q after %d chunks", finish, len(r.Chunks))
			}
		})
		t.Run("broken off", func(t *testing.T) {
			r := client.make(t, w.sdkChat(w.key, provider.ModelCutoff, onTask).streamed())
			if r.Error == nil || len(r.Chunks) == 0 {
				t.Errorf("a stream that broke off ended in order for the client, after %d chunks", len(r.Chunks))
			}
		})
	})
}

// chatStream puts the chunks of a stream together.
func chatStream(t testing.TB, r sdkResult) (text, finish string, usage int) {
	t.Helper()
	for _, chunk := range r.Chunks {
		var c sdkChatAnswer
		must(t, json.Unmarshal(chunk, &c))
		for _, choice := range c.Choices {
			text, finish = text+choice.Delta.Content, choice.FinishReason
		}
		if c.Usage != nil {
			usage = c.Usage.CompletionTokens
		}
	}
	return text, finish, usage
}
