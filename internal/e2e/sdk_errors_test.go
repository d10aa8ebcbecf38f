package e2e

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/store"
)

// sdkError is what a client must make of a refusal, and how often it may ask.
type sdkError struct {
	status     int
	kind, code string
	param      string
	says       string // in the message
	attempts   int
}

// check makes a call that must fail in this way.
func (want sdkError) check(t *testing.T, w *world, client sdk, call sdkCall) *sdkFailure {
	t.Helper()
	before := w.received()
	r := client.make(t, call)
	if r.Error == nil {
		t.Fatalf("the client raised nothing: %s %d chunks", r.Answer, len(r.Chunks))
	}
	e := r.Error
	if e.Class != client.class(want.status) {
		t.Errorf("the client raised %s, want %s", e.Class, client.class(want.status))
	}
	if e.Status != want.status || e.Type != want.kind || e.Code != want.code || e.Param != want.param {
		t.Errorf("status %d, type %q, code %q, param %q; want %d, %q, %q, %q", e.Status, e.Type, e.Code, e.Param, want.status, want.kind, want.code, want.param)
	}
	if e.Object.Message == "" || !strings.Contains(e.Object.Message, want.says) {
		t.Errorf("the message is %q, want %q in it", e.Object.Message, want.says)
	}
	if e.Class != "openai.Error" && !strings.Contains(e.Text, e.Object.Message) {
		t.Errorf("printed, the error does not show its message: %q", e.Text)
	}
	if n := w.received() - before; n != want.attempts {
		t.Errorf("the client made %d attempts, want %d", n, want.attempts)
	}
	if e.RequestID == "" || e.Header["content-type"] != "application/json" {
		t.Errorf("the request's id is %q, and the content type %q", e.RequestID, e.Header["content-type"])
	}
	if after, err := strconv.Atoi(e.Header["retry-after"]); err == nil && after > 60 {
		t.Errorf("retry-after %d would seem to hang", after)
	}
	if t.Failed() {
		t.Logf("the client raised %+v", *e)
	}
	return e
}

// sdkKeys are credentials that are refused, and one that is not.
type sdkKeys struct{ ben, expired, revoked, blocked string }

func (w *world) sdkKeys() sdkKeys {
	w.t.Helper()
	ctx := store.WithActor(w.t.Context(), "test")
	st := w.app.Store()
	must(w.t, st.Users().Put(ctx, core.User{ID: "eve", Team: "support", Blocked: true, Created: time.Now()}))
	keys := sdkKeys{ben: w.newKey("helpdesk", "ben"), blocked: w.newKey("helpdesk", "eve")}
	var key core.AppKey
	var err error
	keys.expired, key, err = app.CreateKey(ctx, st, "helpdesk", "ann", time.Hour)
	must(w.t, err)
	key.Expires = time.Now().Add(-time.Minute)
	must(w.t, st.Keys().Put(ctx, key))
	keys.revoked, key, err = app.CreateKey(ctx, st, "helpdesk", "ann", time.Hour)
	must(w.t, err)
	must(w.t, app.RevokeKey(ctx, st, key.ID))
	w.refresh()
	return keys
}

// Each refusal is the client's own typed error, is tried again only where that can help, and says what to do.
func TestSDKErrors(t *testing.T) {
	s := func(*testing.T) setup {
		return setup{objects: sdkObjects, policy: sdkPolicy, settings: map[string]string{"extproc.max_body": "256KiB"}}
	}
	inEachSDK(t, s, func(t *testing.T, w *world, client sdk) {
		keys := w.sdkKeys()
		chat := func(model, prompt string) sdkCall { return w.sdkChat(w.key, model, prompt) }
		as := func(key string) sdkCall { return w.sdkChat(key, "gpt-4o", onTask) }
		anonymous := as("")
		anonymous.Key, anonymous.Anonymous = "unused", true
		client.make(t, as(keys.ben)).ok(t)
		client.make(t, chat("gpt-4.1-mini", onTask)).ok(t)

		for _, tt := range []struct {
			name string
			call sdkCall
			want sdkError
		}{
			{"no key", anonymous, sdkError{401, "invalid_request_error", "invalid_api_key", "", "Authorization: Bearer", 1}},
			{"bad key", as("pl_nothing"), sdkError{401, "invalid_request_error", "invalid_api_key", "", "Copy the whole key", 1}},
			{"expired key", as(keys.expired), sdkError{401, "invalid_request_error", "invalid_api_key", "", "new one", 1}},
			{"revoked key", as(keys.revoked), sdkError{401, "invalid_request_error", "invalid_api_key", "", "new one", 1}},
			{"blocked", as(keys.blocked), sdkError{403, "permission_error", "user_blocked", "", "administrator", 1}},
			{"off task", chat("gpt-4o", "Write a cover letter for my application as a pastry chef."), sdkError{403, "permission_error", "task_deviation", "messages", "Rephrase", 1}},
			{"off task, streamed", chat("gpt-4o", "Write a cover letter for my application as a pastry chef.").streamed(), sdkError{403, "permission_error", "task_deviation", "messages", "billing", 1}},
			{"forbidden intent", chat("gpt-4o", poem), sdkError{400, "invalid_request_error", "content_policy_violation", "messages", `"entertainment" are not allowed`, 1}},
			{"forbidden model", chat("o3", onTask), sdkError{403, "invalid_request_error", "model_not_found", "model", "Allowed: gpt-4*", 1}},
			{"rate of a minute", chat("gpt-4.1-mini", onTask).once(), sdkError{429, "requests", "rate_limit_exceeded", "", "per-minute limit on requests of user ann", 1}},
			{"quota used up", as(keys.ben), sdkError{429, "insufficient_quota", "insufficient_quota", "", "Resets at 20", 1}},
			{"quota used up, streamed", as(keys.ben).streamed(), sdkError{429, "insufficient_quota", "insufficient_quota", "", "daily limit on requests of user ben", 1}},
			{"larger than the limit", chat("gpt-4.1", onTask), sdkError{429, "tokens", "rate_limit_exceeded", "", "Ask for less output", 1}},
			{"ungoverned endpoint", w.sdkCall("realtime.clientSecrets.create", nil), sdkError{403, "invalid_request_error", "endpoint_not_allowed", "", "", 1}},
			{"wrong type", chat("gpt-4o", onTask).with(map[string]any{"temperature": "hot"}), sdkError{400, "invalid_request_error", "invalid_json", "temperature", "temperature", 1}},
			{"unknown field", chat("gpt-4o", onTask).with(map[string]any{"no_such_field": 1}), sdkError{400, "invalid_request_error", "unsupported_parameter", "no_such_field", "no_such_field", 1}},
			{"large body", chat("gpt-4o", strings.Repeat("word ", 100_000)), sdkError{413, "invalid_request_error", "body_too_large", "", "Send less", 1}},
			{"very large body", chat("gpt-4o", strings.Repeat("word ", 4_000_000)), sdkError{413, "invalid_request_error", "body_too_large", "", "Send less", 1}},
			{"unknown model", chat("gpt-4-none", onTask), sdkError{404, "invalid_request_error", "model_not_found", "", "does not exist", 1}},
			{"provider refuses the key", chat(provider.Model401, onTask), sdkError{502, "api_error", "upstream_rejected_key", "", "tell the operator", 1}},
			{"provider refuses the request", chat(provider.ModelError+"400", onTask), sdkError{400, "server_error", "", "", "as it was asked to", 1}},
			{"provider fails", chat(provider.ModelError+"500", onTask), sdkError{500, "server_error", "", "", "as it was asked to", retried}},
			{"provider is overloaded", chat(provider.ModelError+"503", onTask).streamed(), sdkError{503, "server_error", "", "", "as it was asked to", retried}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				e := tt.want.check(t, w.in(t), client, tt.call)
				if own := e.Object.Plumbline; tt.want.kind != "server_error" && tt.want.status != http.StatusNotFound {
					if own.Reason == "" || own.RequestID != e.RequestID || e.Header["x-plumbline-request-id"] != e.RequestID {
						t.Errorf("the app is told %+v, and the request's id %q", own, e.RequestID)
					}
					if tt.want.code == "insufficient_quota" && own.ResetAt == nil {
						t.Error("the app is not told when the quota resets")
					}
				}
			})
		}
	})
}

// A name with a slash makes a path that Envoy itself does not take, in each client's spelling of it.
func TestSDKPathThatEnvoyRefuses(t *testing.T) {
	inEachSDK(t, func(*testing.T) setup { return setup{} }, func(t *testing.T, w *world, client sdk) {
		call := w.sdkCall("models.retrieve", nil)
		call.Args = []string{"team/model"}
		sdkError{403, "invalid_request_error", "endpoint_not_allowed", "", "plain form", 1}.check(t, w, client, call)
		w.untouched(0)
	})
}

// Where one moment's trouble is over the next, the client's own retry is all that an app needs.
func TestSDKWaitsForRoom(t *testing.T) {
	s := func(*testing.T) setup {
		return setup{objects: sdkObjects, provider: provider.Options{ChunkPause: 20 * time.Millisecond}}
	}
	inEachSDK(t, s, func(t *testing.T, w *world, client sdk) {
		brief := w.sdkChat(w.key, "gpt-4o", onTask)
		brief.Body["max_completion_tokens"] = 1
		client.make(t, brief).ok(t) // it has started
		open := w.open(w.chatCall(chatBody("gpt-4.1-nano", onTask, streamed)))
		open.until(`"content"`)
		done := make(chan sdkResult, 1)
		go func() { done <- client.make(t, w.sdkChat(w.key, "gpt-4.1-nano", onTask)) }()
		if rec := w.last(core.RecordDeny, 0); rec.Reason != core.ReasonConcurrencyLimit {
			t.Errorf("refused for %s", rec.Reason)
		}
		open.close()
		(<-done).ok(t)
	})
}

// A client that met the limit of a minute comes back when it is told to, and is served. That takes up to 65 seconds, in which
// this test does nothing, so the clients wait together.
func TestSDKWaitsForTheMinute(t *testing.T) {
	t.Parallel()
	w := start(t, setup{objects: strings.Replace(objects, "apps:", "  - {id: cleo, team: support}\napps:", 1) + `
limits:
  - {id: ann, scope: user, subject: ann, dimension: requests, window: minute, value: 1}
  - {id: ben, scope: user, subject: ben, dimension: requests, window: minute, value: 1}
  - {id: cleo, scope: user, subject: cleo, dimension: requests, window: minute, value: 1}
`})
	clients := map[string]sdk{"ann": newSDK(t, "go"), "ben": newSDK(t, "node"), "cleo": newSDK(t, "python")}
	var waits sync.WaitGroup
	for user, client := range clients {
		call := w.sdkChat(w.newKey("helpdesk", user), "gpt-4o", onTask)
		client.make(t, call).ok(t)
		waits.Go(func() {
			if r := client.make(t, call); r.Error != nil {
				t.Errorf("%s: the client gave up: %+v", user, *r.Error)
			}
		})
	}
	waits.Wait()
}

// Errors that Envoy makes, in its own words or in those of Plumbline, are no different for the clients.
func TestSDKErrorsAround(t *testing.T) {
	t.Parallel()
	down := sdkError{503, "service_unavailable_error", "governance_unavailable", "", "Try again", retried}
	large := sdkError{413, "invalid_request_error", "body_too_large", "", "Send less", 1}
	broken := sdkError{502, "api_error", "upstream_error", "", "Try again", retried}
	for _, tt := range []struct {
		name   string
		setup  setup
		ruin   func(w *world) // nil: nothing
		model  string
		prompt string
		want   sdkError
	}{
		{"provider down", setup{upstream: "http://" + closedPort(t)}, nil, "gpt-4o", onTask, broken},
		{"provider hangs up", setup{upstream: rawProvider(t, "")}, nil, "gpt-4o", onTask, broken},
		{
			"provider slow",
			setup{envoy: envoyconf.Options{IdleTimeout: 300 * time.Millisecond}},
			nil, provider.ModelSlow, onTask,
			sdkError{504, "api_error", "upstream_timeout", "", "Try again", retried},
		},
		{"no Plumbline", setup{}, func(w *world) { w.stop() }, "gpt-4o", onTask, down},
		{"no Plumbline, large body", setup{}, func(w *world) { w.stop() }, "gpt-4o", strings.Repeat("word ", 1_000_000), down},
		{
			"Plumbline cannot record",
			setup{settings: map[string]string{"extproc.message_timeout": "900ms", "audit.journal_size": smallJournal}},
			func(w *world) { w.holdAudit() }, "gpt-4o", onTask, down,
		},
		{
			"Plumbline hangs",
			setup{envoy: envoyconf.Options{MessageTimeout: 250 * time.Millisecond}, settings: map[string]string{"audit.journal_size": smallJournal}},
			func(w *world) { w.holdAudit() }, "gpt-4o", onTask, down,
		},
		{"body too large for Envoy", setup{envoy: envoyconf.Options{BodyLimit: 64 << 10}}, nil, "gpt-4o", strings.Repeat("word ", 100_000), large},
		{"body far too large for Envoy", setup{envoy: envoyconf.Options{BodyLimit: 64 << 10}}, nil, "gpt-4o", strings.Repeat("word ", 800_000), large},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEachSDK(t, func(*testing.T) setup { return tt.setup }, func(t *testing.T, w *world, client sdk) {
				if tt.ruin != nil {
					tt.ruin(w)
				}
				tt.want.check(t, w, client, w.sdkChat(w.key, tt.model, tt.prompt))
			})
		})
	}
}
