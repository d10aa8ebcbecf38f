package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
	"github.com/plumbline/plumbline/internal/testkit"
)

// The people and limits with whom each kind of refusal can be met.
const sdkObjects = objects + `
limits:
  - {id: ben-day, scope: user, subject: ben, dimension: requests, window: day, value: 1}
  - {id: ann-tiny, scope: user, subject: ann, model: gpt-4.1, dimension: tokens, window: day, value: 1}
  - {id: ann-rate, scope: user, subject: ann, model: gpt-4.1-mini, dimension: requests, window: minute, value: 1}
  - {id: ann-one, scope: user, subject: ann, model: standin-long, dimension: concurrency, window: none, value: 1}
`

const sdkPolicy = `version: 1
mode: enforce
models: {allow: ["gpt-4*", "standin-*"]}
intents: {forbidden: [travel], min_confidence: 0.3}
deviation: {warn: 0.8, block: 0.9, enforce_uncalibrated: true}
`

// retried is how often the SDK makes a call that fails each time, if it thinks that trying again helps.
const retried = 3

// sdk is the official client, with nothing changed but where it connects and its key.
func (w *world) sdk(key string) openai.Client {
	return openai.NewClient(option.WithBaseURL(w.envoy.URL+"/v1"), option.WithAPIKey(key))
}

func ask(model, prompt string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(prompt)}}
}

func TestSDKChat(t *testing.T) {
	t.Parallel()
	w := start(t, setup{})
	client := w.sdk(w.key)
	answer, err := client.Chat.Completions.New(t.Context(), ask("gpt-4o-mini", onTask))
	must(t, err)
	if got := answer.Choices[0].Message.Content; got != provider.Text(provider.DefaultWords) {
		t.Errorf("the answer is %q", got)
	}
	if answer.Usage.CompletionTokens != provider.DefaultWords || answer.Choices[0].FinishReason != "stop" {
		t.Errorf("%d tokens, finish reason %q", answer.Usage.CompletionTokens, answer.Choices[0].FinishReason)
	}
	models, err := client.Models.List(t.Context())
	if err != nil || len(models.Data) == 0 {
		t.Errorf("models %v: %v", models, err)
	}
	if model, err := client.Models.Get(t.Context(), "gpt-4o"); err != nil || model.ID != "gpt-4o" {
		t.Errorf("model %v: %v", model, err)
	}
}

func TestSDKToolCall(t *testing.T) {
	t.Parallel()
	recorded := &replay{}
	upstream := httptest.NewServer(recorded)
	t.Cleanup(upstream.Close)
	w := start(t, setup{upstream: upstream.URL})
	for _, r := range testkit.Recordings(t, testkit.SharedData(t, "openai-recordings", "ai-gateway")) {
		if r.Name == "chat-tools" {
			recorded.set(r)
		}
	}
	params := ask("gpt-4o-mini", "What is the weather like in Boston today?")
	params.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
		Name: "get_current_weather", Parameters: openai.FunctionParameters{
			"type": "object", "properties": map[string]any{"location": map[string]string{"type": "string"}},
		},
	})}
	client := w.sdk(w.key)
	answer, err := client.Chat.Completions.New(t.Context(), params)
	must(t, err)
	calls := answer.Choices[0].Message.ToolCalls
	if len(calls) == 0 || calls[0].Function.Name != "get_current_weather" || !strings.Contains(calls[0].Function.Arguments, "Boston") {
		t.Errorf("the client gets %+v", calls)
	}
}

func TestSDKStream(t *testing.T) {
	t.Parallel()
	w := start(t, setup{})
	client := w.sdk(w.key)
	for _, asked := range []bool{false, true} {
		t.Run(fmt.Sprint("usage asked for ", asked), func(t *testing.T) {
			params := ask("gpt-4o-mini", onTask)
			if asked {
				params.StreamOptions.IncludeUsage = openai.Bool(true)
			}
			stream := client.Chat.Completions.NewStreaming(t.Context(), params)
			defer stream.Close()
			var whole openai.ChatCompletionAccumulator
			for stream.Next() {
				if !whole.AddChunk(stream.Current()) {
					t.Fatal("a chunk does not fit")
				}
				if len(stream.Current().Choices) == 0 && !asked {
					t.Error("the client sees a chunk that it did not ask for")
				}
			}
			must(t, stream.Err())
			if got := whole.Choices[0].Message.Content; got != provider.Text(provider.DefaultWords) {
				t.Errorf("the stream says %q", got)
			}
			if got := whole.Usage.CompletionTokens; (got != 0) != asked {
				t.Errorf("the client sees a usage of %d", got)
			}
		})
	}
}

// A stream that quota cuts ends for the client as one that reached its maximum: without an error, and not tried again.
func TestSDKStreamCutByQuota(t *testing.T) {
	t.Parallel()
	w := start(t, setup{objects: objects + `
limits:
  - {id: stream, scope: user, subject: ann, dimension: output_tokens, window: day, value: 1500}
`, provider: provider.Options{ChunkPause: 100 * time.Microsecond}})
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
	if reason != "length" || words < 100 || words > 1500 {
		t.Errorf("ended with %q after %d words, want length and at most 1500", reason, words)
	}
	if rec := w.last(core.RecordOutcome, 0); rec.Finish != core.FinishCut || rec.Reason != core.ReasonQuotaExhausted {
		t.Errorf("the audit has finish %s, reason %s", rec.Finish, rec.Reason)
	}
	if n := w.attempts(); n != 1 {
		t.Errorf("the client made %d attempts", n)
	}
}

// Each refusal is the SDK's own typed error, is tried again only where that can help, and says what to do.
func TestSDKErrors(t *testing.T) {
	t.Parallel()
	w := start(t, setup{objects: sdkObjects, policy: sdkPolicy})
	must(t, w.app.Store().Users().Put(t.Context(), core.User{ID: "eve", Team: "support", Blocked: true, Created: time.Now()}))
	ann, ben, eve := w.sdk(w.key), w.sdk(w.newKey("helpdesk", "ben")), w.sdk(w.newKey("helpdesk", "eve"))
	nobody := w.sdk("pl_nothing")
	chat := func(client openai.Client, model, prompt string, options ...option.RequestOption) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := client.Chat.Completions.New(ctx, ask(model, prompt), options...)
			return err
		}
	}
	must(t, chat(ben, "gpt-4o", onTask)(t.Context()))
	must(t, chat(ann, "gpt-4.1-mini", onTask)(t.Context()))

	for _, tt := range []struct {
		name           string
		call           func(context.Context) error
		status         int
		kind, code     string
		param, message string
		attempts       int
	}{
		{"not JSON", chat(ann, "", "", option.WithRequestBody("application/json", strings.NewReader("{"))), 400, "invalid_request_error", "invalid_json", "", "", 1},
		{"unknown field", chat(ann, "gpt-4o", onTask, option.WithJSONSet("no_such_field", 1)), 400, "invalid_request_error", "unsupported_parameter", "no_such_field", "no_such_field", 1},
		{"forbidden intent", chat(ann, "gpt-4o", "Book me a flight from Berlin to Madrid and a hotel near the beach for my vacation."), 400, "invalid_request_error", "content_policy_violation", "messages", "travel", 1},
		{"bad key", chat(nobody, "gpt-4o", onTask), 401, "invalid_request_error", "invalid_api_key", "", "", 1},
		{"blocked", chat(eve, "gpt-4o", onTask), 403, "permission_error", "user_blocked", "", "", 1},
		{"off task", chat(ann, "gpt-4o", "Write a cover letter for my application as a pastry chef."), 403, "permission_error", "task_deviation", "messages", "billing", 1},
		{"forbidden model", chat(ann, "o3", onTask), 403, "invalid_request_error", "model_not_found", "model", "gpt-4*", 1},
		{"ungoverned endpoint", func(ctx context.Context) error {
			_, err := ann.Models.Delete(ctx, "gpt-4o")
			return err
		}, 403, "invalid_request_error", "endpoint_not_allowed", "", "", 1},
		{"rate of a minute", chat(ann, "gpt-4.1-mini", onTask, option.WithMaxRetries(0)), 429, "requests", "rate_limit_exceeded", "", "per-minute limit on requests of user ann", 1},
		{"quota used up", chat(ben, "gpt-4o", onTask), 429, "insufficient_quota", "insufficient_quota", "", "daily limit on requests of user ben", 1},
		{"larger than the limit", chat(ann, "gpt-4.1", onTask), 429, "tokens", "rate_limit_exceeded", "", "daily limit on tokens of user ann", 1},
		{"provider refuses the key", chat(ann, provider.Model401, onTask), 502, "api_error", "upstream_rejected_key", "", "", 1},
		{"provider refuses the request", chat(ann, provider.ModelError+"400", onTask), 400, "server_error", "", "", "as it was asked to", 1},
		{"provider fails", chat(ann, provider.ModelError+"500", onTask), 500, "server_error", "", "", "as it was asked to", retried},
		{"provider is overloaded", chat(ann, provider.ModelError+"503", onTask), 503, "server_error", "", "", "as it was asked to", retried},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := w.in(t)
			before := w.attempts()
			e := sdkError(t, tt.call(t.Context()))
			if e.StatusCode != tt.status || e.Type != tt.kind || e.Code != tt.code || e.Param != tt.param {
				t.Errorf("status %d, type %q, code %q, param %q; want %d, %q, %q, %q", e.StatusCode, e.Type, e.Code, e.Param, tt.status, tt.kind, tt.code, tt.param)
			}
			if e.Message == "" || !strings.Contains(e.Message, tt.message) {
				t.Errorf("the message is %q, want %q in it", e.Message, tt.message)
			}
			if n := w.attempts() - before; n != tt.attempts {
				t.Errorf("the client made %d attempts, want %d", n, tt.attempts)
			}
			if after, err := strconv.Atoi(e.Response.Header.Get("retry-after")); err == nil && after > 60 {
				t.Errorf("retry-after %d would seem to hang", after)
			}
		})
	}
}

// Where one moment's trouble is over the next, the client's own retry is all that an app needs.
func TestSDKWaitsForRoom(t *testing.T) {
	t.Parallel()
	w := start(t, setup{objects: sdkObjects, provider: provider.Options{ChunkPause: 20 * time.Millisecond}})
	open := w.open(w.chatCall(chatBody(provider.ModelLong, onTask, streamed)))
	open.until(`"content"`)
	client := w.sdk(w.key)
	params := ask(provider.ModelLong, onTask)
	params.MaxCompletionTokens = openai.Int(5)
	done := make(chan error, 1)
	go func() {
		_, err := client.Chat.Completions.New(t.Context(), params)
		done <- err
	}()
	if rec := w.last(core.RecordDeny, 0); rec.Reason != core.ReasonConcurrencyLimit {
		t.Errorf("refused for %s", rec.Reason)
	}
	open.close()
	if err := <-done; err != nil {
		t.Errorf("the client gave up: %v", err)
	}
}

// Errors that Envoy makes, in its own words or in those of Plumbline, are no different for the SDK.
func TestSDKErrorsAround(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		setup  func(t *testing.T) setup
		model  string
		down   bool // Plumbline has ended
		status int
		code   string
	}{
		{"provider down", func(t *testing.T) setup { return setup{upstream: "http://" + closedPort(t)} }, "gpt-4o", false, 502, "upstream_error"},
		{"provider slow", func(*testing.T) setup {
			s := setup{}
			s.envoy.IdleTimeout = 300 * time.Millisecond
			return s
		}, provider.ModelSlow, false, 504, "upstream_timeout"},
		{"no Plumbline", func(*testing.T) setup { return setup{} }, "gpt-4o", true, 503, "governance_unavailable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := start(t, tt.setup(t))
			if tt.down {
				w.stop()
			}
			client := w.sdk(w.key)
			_, err := client.Chat.Completions.New(t.Context(), ask(tt.model, onTask))
			if e := sdkError(t, err); e.StatusCode != tt.status || e.Code != tt.code || e.Message == "" {
				t.Errorf("status %d, code %q, message %q; want %d and %q", e.StatusCode, e.Code, e.Message, tt.status, tt.code)
			}
			must(t, w.envoy.Stop()) // writes out the log
			log, err := os.ReadFile(w.envoy.AccessLog)
			must(t, err)
			if n := bytes.Count(log, []byte("\n")); n != retried {
				t.Errorf("the client made %d attempts, want %d:\n%s", n, retried, log)
			}
		})
	}
}

// sdkError is the SDK's own error, made from an answer in OpenAI's shape.
func sdkError(t testing.TB, err error) *openai.Error {
	t.Helper()
	var e *openai.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T, not the SDK's error: %v", err, err)
	}
	if got := e.Response.Header.Get("content-type"); got != "application/json" {
		t.Errorf("content-type %q", got)
	}
	if e.StatusCode < http.StatusBadRequest {
		t.Errorf("an error of status %d", e.StatusCode)
	}
	return e
}

// attempts is how many calls the audit knows of.
func (w *world) attempts() int {
	w.t.Helper()
	must(w.t, w.app.FlushRefusals(w.t.Context()))
	n := len(w.all(auditOf(core.RecordIntent))) + len(w.all(auditOf(core.RecordDeny)))
	for _, e := range w.all(auditOf(core.RecordRefusals)) {
		n += int(e.Record.Refusals.Count)
	}
	return n
}
