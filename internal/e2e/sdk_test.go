package e2e

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
)

// The limits under which each kind of refusal for quota can be met.
const sdkObjects = objects + `
limits:
  - {id: ben-day, scope: user, subject: ben, dimension: requests, window: day, value: 1}
  - {id: tiny, scope: user, subject: ann, model: standin-500, dimension: tokens, window: day, value: 1}
  - {id: stream, scope: user, subject: ann, model: standin-long, dimension: output_tokens, window: day, value: 1500}
`

const sdkPolicy = `version: 1
mode: enforce
models: {allow: ["gpt-4o-mini", "standin-*"]}
deviation: {warn: 0.8, block: 0.9, enforce_uncalibrated: true}
`

// sdk is the official client, with nothing changed but where it connects and its key.
func (w *world) sdk(key string) openai.Client {
	return openai.NewClient(option.WithBaseURL(w.envoy.URL+"/v1"), option.WithAPIKey(key))
}

func ask(model, prompt string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(prompt)}}
}

func TestSDKChat(t *testing.T) {
	w := start(t, setup{})
	client := w.sdk(w.key)
	answer, err := client.Chat.Completions.New(t.Context(), ask("gpt-4o-mini", onTask))
	if err != nil {
		t.Fatal(err)
	}
	if answer.Choices[0].Message.Content == "" || answer.Usage.PromptTokens == 0 {
		t.Errorf("answer %q with %d prompt tokens", answer.Choices[0].Message.Content, answer.Usage.PromptTokens)
	}
	models, err := client.Models.List(t.Context())
	if err != nil || len(models.Data) == 0 {
		t.Errorf("models %v: %v", models, err)
	}
}

func TestSDKStream(t *testing.T) {
	w := start(t, setup{})
	client := w.sdk(w.key)
	stream := client.Chat.Completions.NewStreaming(t.Context(), ask("gpt-4o-mini", onTask))
	defer stream.Close()
	var whole openai.ChatCompletionAccumulator
	for stream.Next() {
		if !whole.AddChunk(stream.Current()) {
			t.Fatal("a chunk does not fit")
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	if got := whole.Choices[0].Message.Content; got != provider.Text(provider.DefaultWords) {
		t.Errorf("the stream says %q", got)
	}
	if whole.Usage.TotalTokens != 0 {
		t.Error("the client sees a usage that it did not ask for")
	}
}

// A stream that quota cuts ends for the client as one that reached its maximum, without an error.
func TestSDKStreamCutByQuota(t *testing.T) {
	w := start(t, setup{objects: sdkObjects, provider: provider.Options{ChunkPause: time.Millisecond}})
	client := w.sdk(w.key)
	stream := client.Chat.Completions.NewStreaming(t.Context(), ask(provider.ModelLong, onTask))
	defer stream.Close()
	reason, words := "", 0
	for stream.Next() {
		for _, c := range stream.Current().Choices {
			reason, words = c.FinishReason, words+provider.Words(c.Delta.Content)
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatalf("the cut stream is an error for the client: %v", err)
	}
	if reason != "length" || words == 0 || words > 1500 {
		t.Errorf("ended with %q after %d words, want length and at most 1500", reason, words)
	}
}

// Each refusal is the SDK's own typed error, is retried only where that can help, and says what to do.
func TestSDKErrors(t *testing.T) {
	w := start(t, setup{objects: sdkObjects, policy: sdkPolicy})
	ben := w.newKey("helpdesk", "ben")
	used := w.sdk(ben)
	if _, err := used.Chat.Completions.New(t.Context(), ask("gpt-4o-mini", onTask)); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		key      string
		params   openai.ChatCompletionNewParams
		options  []option.RequestOption
		status   int
		code     string
		attempts int // 1: not retried; 3: retried twice, as the SDK does by default
	}{
		"bad key":          {"pl_nothing", ask("gpt-4o-mini", onTask), nil, 401, "invalid_api_key", 1},
		"off task":         {w.key, ask("gpt-4o-mini", "Write a cover letter for my application as a pastry chef."), nil, 403, "task_deviation", 1},
		"forbidden model":  {w.key, ask("o3", onTask), nil, 403, "model_not_found", 1},
		"unknown field":    {w.key, ask("gpt-4o-mini", onTask), []option.RequestOption{option.WithJSONSet("no_such_field", 1)}, 400, "unsupported_parameter", 1},
		"not JSON":         {w.key, ask("gpt-4o-mini", onTask), []option.RequestOption{option.WithRequestBody("application/json", strings.NewReader("{"))}, 400, "invalid_json", 1},
		"quota used up":    {ben, ask("gpt-4o-mini", onTask), nil, 429, "insufficient_quota", 1},
		"larger than any":  {w.key, ask("standin-500", onTask), nil, 429, "rate_limit_exceeded", 1},
		"provider refuses": {w.key, ask(provider.Model401, onTask), nil, 502, "", 1},
		"provider fails":   {w.key, ask(provider.ModelError+"503", onTask), nil, 503, "", 3},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.in(t).exchanges()
			client := w.sdk(tt.key)
			_, err := client.Chat.Completions.New(t.Context(), tt.params, tt.options...)
			var refusal *openai.Error
			if !errors.As(err, &refusal) {
				t.Fatalf("%T, not the SDK's error: %v", err, err)
			}
			if refusal.StatusCode != tt.status || tt.code != "" && refusal.Code != tt.code || refusal.Message == "" {
				t.Errorf("status %d, code %q, message %q; want %d and %q", refusal.StatusCode, refusal.Code, refusal.Message, tt.status, tt.code)
			}
			if n := w.in(t).exchanges() - before; n != tt.attempts {
				t.Errorf("the SDK made %d attempts, want %d", n, tt.attempts)
			}
		})
	}
}

// exchanges counts the attempts that the audit knows of.
func (w *world) exchanges() int {
	w.t.Helper()
	n := 0
	for _, kind := range []core.RecordKind{core.RecordIntent, core.RecordDeny} {
		entries, _, err := w.audit.Search(w.t.Context(), audit.Query{Kind: kind, Limit: 1000})
		if err != nil {
			w.t.Fatal(err)
		}
		n += len(entries)
	}
	return n + int(w.refusals(core.ReasonInvalidCredential))
}
