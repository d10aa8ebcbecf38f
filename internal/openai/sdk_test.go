package openai_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/openai"
)

// client is the unmodified SDK, pointed at a server that answers each request with the given function.
func client(t *testing.T, answer http.HandlerFunc) sdk.Client {
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return sdk.NewClient(option.WithBaseURL(server.URL+"/v1/"), option.WithAPIKey("pl_x"))
}

var params = sdk.ChatCompletionNewParams{Model: "gpt-4o", Messages: []sdk.ChatCompletionMessageParamUnion{sdk.UserMessage("hi")}}

// The SDK understands each error, and repeats a request only where that helps.
func TestSDKReadsErrors(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		reason  core.Reason
		code    string
		repeats bool
	}{
		{core.ReasonInvalidCredential, "invalid_api_key", false},
		{core.ReasonUserBlocked, "user_blocked", false},
		{core.ReasonOffTask, "task_deviation", false},
		{core.ReasonSecret, "content_policy_violation", false},
		{core.ReasonAttack, "content_policy_violation", false},
		{core.ReasonForbiddenIntent, "content_policy_violation", false},
		{core.ReasonModelNotAllowed, "model_not_found", false},
		{core.ReasonEndpointNotAllowed, "endpoint_not_allowed", false},
		{core.ReasonInvalidBody, "invalid_json", false},
		{core.ReasonBodyTooLarge, "body_too_large", false},
		{core.ReasonQuotaExhausted, "insufficient_quota", false},
		{core.ReasonRequestTooLarge, "rate_limit_exceeded", false},
		{core.ReasonUpstreamRejected, "upstream_rejected_key", false},
		{core.ReasonRateLimited, "rate_limit_exceeded", true},
		{core.ReasonConcurrencyLimit, "rate_limit_exceeded", true},
		{core.ReasonGovernanceDown, "governance_unavailable", true},
		{core.ReasonOverloaded, "overloaded", true},
	} {
		t.Run(string(tt.reason), func(t *testing.T) {
			t.Parallel()
			requests := 0
			c := client(t, func(w http.ResponseWriter, _ *http.Request) {
				requests++
				r := openai.ErrorReply(&core.Error{Reason: tt.reason, Public: "These words.", Reset: now.Add(time.Millisecond)},
					openai.ErrorContext{
						RequestID: "x", NoticeURL: "https://notice.example", Now: now,
						Jitter: func(time.Duration) time.Duration { return 0 },
					})
				for _, h := range r.Header {
					w.Header().Set(h[0], h[1])
				}
				w.WriteHeader(r.Status)
				w.Write(r.Body)
			})
			_, err := c.Chat.Completions.New(t.Context(), params, option.WithMaxRetries(1))
			var e *sdk.Error
			if !errors.As(err, &e) {
				t.Fatalf("%v is no error of the API", err)
			}
			if e.Code != tt.code || !strings.HasPrefix(e.Message, "These words.") || e.Type == "" {
				t.Errorf("code %q, message %q, type %q", e.Code, e.Message, e.Type)
			}
			if repeated := requests > 1; repeated != tt.repeats {
				t.Errorf("%d requests", requests)
			}
		})
	}
}

// stream passes a recorded-like stream through an Answer and cuts it behind some words.
func stream(w http.ResponseWriter, cut core.Reason) {
	w.Header().Set("Content-Type", "text/event-stream")
	a := openai.NewAnswer(openai.AnswerOptions{
		Request: &openai.Request{Model: "gpt-4o", Stream: true, Choices: 1}, Status: 200,
		ContentType: "text/event-stream", StripUsage: true,
	})
	const head = `data: {"id":"c1","object":"chat.completion.chunk","created":7,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":`
	all := head + `{"role":"assistant","content":""},"finish_reason":null}],"usage":null}` + "\n\n" +
		head + `{"content":"Hello"},"finish_reason":null}],"usage":null}` + "\n\n" +
		head + `{"content":" world"},"finish_reason":null}],"usage":null}` + "\n\n"
	if cut == "" {
		all += head + `{},"finish_reason":"stop"}],"usage":null}` + "\n\n" +
			`data: {"id":"c1","object":"chat.completion.chunk","created":7,"model":"gpt-4o-2024-08-06","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}` + "\n\n" +
			"data: [DONE]\n\n"
	} else {
		all += head + `{"content":" never s` // the cut comes inside an event
	}
	for len(all) > 0 {
		n := min(50, len(all))
		forward, _ := a.Write([]byte(all[:n]), false)
		w.Write(forward)
		all = all[n:]
	}
	if cut != "" {
		w.Write(a.Cut(cut))
	}
}

// The SDK reads a stream that was cut as one that ended, with its reason.
func TestSDKReadsCutStream(t *testing.T) {
	for reason, want := range map[core.Reason]string{"": "stop", core.ReasonQuotaExhausted: "length", core.ReasonUserBlocked: "content_filter"} {
		c := client(t, func(w http.ResponseWriter, _ *http.Request) { stream(w, reason) })
		s := c.Chat.Completions.NewStreaming(t.Context(), params)
		acc := sdk.ChatCompletionAccumulator{}
		for s.Next() {
			if !acc.AddChunk(s.Current()) {
				t.Errorf("%s: a chunk does not fit: %s", reason, s.Current().RawJSON())
			}
		}
		if err := s.Err(); err != nil {
			t.Errorf("%s: %v", reason, err)
			continue
		}
		if got := acc.Choices[0]; got.Message.Content != "Hello world" || got.FinishReason != want {
			t.Errorf("%s: %q, finished by %q, want %q", reason, got.Message.Content, got.FinishReason, want)
		}
		if acc.Usage.TotalTokens != 0 {
			t.Errorf("%s: usage that nobody asked for", reason)
		}
	}
}

// What the SDK sends is read, with all that its types can say.
func TestSDKRequestsAreRead(t *testing.T) {
	full := params
	full.MaxCompletionTokens = sdk.Int(100)
	full.N = sdk.Int(2)
	full.Temperature = sdk.Float(0.5)
	full.StreamOptions = sdk.ChatCompletionStreamOptionsParam{IncludeUsage: sdk.Bool(true)}
	full.Tools = []sdk.ChatCompletionToolUnionParam{sdk.ChatCompletionFunctionTool(sdk.FunctionDefinitionParam{
		Name: "weather", Description: sdk.String("of a city"), Parameters: sdk.FunctionParameters{"type": "object"},
	})}
	var read *openai.Request
	var failed *core.Error
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		if e := openai.CheckContent(openai.Endpoint{}, r.Header.Get("Content-Type"), r.Header.Get("Content-Encoding")); e != nil {
			t.Error(e)
		}
		if _, _, e := openai.Lookup(r.Method, r.URL.RequestURI()); e != nil {
			t.Error(e)
		}
		body, _ := io.ReadAll(r.Body)
		read, failed = openai.Read(openai.Endpoint{Name: "chat.completions"}, "application/json", body, openai.Allowance{MaxChoices: 8})
		stream(w, "")
	})
	s := c.Chat.Completions.NewStreaming(context.Background(), full)
	for s.Next() {
	}
	if failed != nil {
		t.Fatal(failed.Public)
	}
	if !read.Stream || !read.IncludeUsage || read.Choices != 2 || read.MaxOutputTokens != 100 {
		t.Errorf("%+v", read)
	}
}
