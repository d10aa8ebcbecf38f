package e2e

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
)

func TestEndpoints(t *testing.T) {
	t.Parallel()
	w := start(t, setup{})
	good := chatBody("gpt-4o", onTask, nil)
	get := func(path string) call { return call{method: "GET", path: path, auth: []string{w.key}} }
	post := func(path string) call { return call{path: path, auth: []string{w.key}, body: good} }
	method := func(method string) call { return call{method: method, auth: []string{w.key}, body: good} }
	for _, tt := range []struct {
		name     string
		call     call
		endpoint string // as the audit names it
	}{
		{"unknown", post("/v1/mind-reading"), "unknown"},
		{"root", get("/"), "unknown"},
		{"not governed yet", post("/v1/responses/compact"), "responses.tools"},
		{"batches", post("/v1/batches"), "batches"},
		{"mints credentials", post("/v1/realtime/client_secrets"), "realtime"},
		{"administration", get("/v1/organization/projects"), "organization"},
		{"wrong method", get("/v1/chat/completions"), "chat.stored"},
		{"PUT", method("PUT"), "unknown"},
		{"DELETE", method("DELETE"), "unknown"},
		{"models by POST", post("/v1/models"), "unknown"},
		{"upper case", post("/V1/Chat/Completions"), "unknown"},
		{"trailing slash", post("/v1/chat/completions/"), "unknown"},
		{"a path parameter", post("/v1/chat/completions;x=1"), "unknown"},
		{"a path parameter before", post("/v1;x/chat/completions"), "unknown"},
		{"a space by percent", post("/v1/chat/completions%20"), "unknown"},
		{"twice encoded", post("/v1/%252e%252e/chat/completions"), "unknown"},
		{"a question mark by percent", post("/v1/chat/completions%3F"), "unknown"},
		{"without the version", post("/chat/completions"), "unknown"},
		{"the version twice", post("/v1/v1/chat/completions"), "unknown"},
		{"up beyond the version", post("/v1/../chat/completions"), "unknown"},
		{"another host in the path", post("http://evil.test/v1/batches"), "batches"},
		{"a model that is a path", get("/v1/models/a/b"), "unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, rec := w.in(t).refused(tt.call, badEndpoint)
			if rec.Endpoint != tt.endpoint {
				t.Errorf("the audit names the endpoint %q, want %q", rec.Endpoint, tt.endpoint)
			}
		})
	}
	// What Envoy does not take reaches Plumbline as Envoy's own refusal, without the request.
	for name, path := range map[string]string{
		"a slash by percent": "/v1/chat%2fcompletions", "a backslash by percent": "/v1/chat%5ccompletions",
		"a null by percent": "/v1/chat/completions%00", "a fragment": "/v1/chat/completions#x",
	} {
		t.Run(name, func(t *testing.T) { w.in(t).unnamed(post(path), badEndpoint) })
	}
}

// TestBrokenRequests sends what is no HTTP: Envoy hangs up, and goes on to serve others.
func TestBrokenRequests(t *testing.T) {
	t.Parallel()
	w := start(t, setup{})
	for name, bytes := range map[string]string{
		"a made-up method":     string(call{method: "CHAT", auth: []string{w.key}, body: "{}"}.bytes()),
		"a lower-case method":  string(call{method: "post", auth: []string{w.key}, body: "{}"}.bytes()),
		"a header without end": "GET /v1/models HTTP/1.1\r\nhost: gateway.test\r\nfoo\r\n\r\n",
		"two lengths":          "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 4\r\n\r\n{}{}",
		"a length and chunks":  "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
		"a header of 70 kB":    "GET /v1/models HTTP/1.1\r\nhost: x\r\nx-long: " + strings.Repeat("x", 70<<10) + "\r\n\r\n",
		"no HTTP at all":       "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := w.in(t).dial()
			go conn.Write([]byte(bytes))
			if answer, _ := io.ReadAll(conn); strings.Contains(string(answer), " 200 ") {
				t.Errorf("answered with %q", answer)
			}
		})
	}
	t.Cleanup(func() {
		if n := w.provider.Total(); n != 0 {
			t.Errorf("the provider received %d requests", n)
		}
	})
}

// TestSpellings sends paths that Envoy rewrites: what is judged must be what the provider is asked.
func TestSpellings(t *testing.T) {
	t.Parallel()
	w := start(t, setup{})
	for _, path := range []string{
		"//v1/../v1/chat/completions", "/v1//chat///completions", "/v1/./chat/completions", "/v1/x/../chat/completions",
		"/v1/models/../chat/completions", "/v1/%2e/chat/completions", "/v1/ch%61t/completions", "/v1/%2E%2e/v1/chat/completions", `/v1\chat/completions`,
		"http://evil.test/v1/chat/completions", "/v1/chat/completions?user=eve&api-version=1",
	} {
		t.Run(strings.ReplaceAll(path, "/", "|"), func(t *testing.T) {
			w := w.in(t)
			before := len(w.provider.Requests())
			r := w.send(call{path: path, auth: []string{w.key}, body: chatBody("gpt-4o", onTask, nil)})
			seen := w.provider.Requests()[before:]
			if r.Status != http.StatusOK {
				t.Logf("refused with %d: %s", r.Status, r.Body)
				if len(seen) != 0 {
					t.Errorf("refused, yet the provider was asked %s", seen[0].Path)
				}
				return
			}
			if len(seen) != 1 {
				t.Fatalf("the provider received %d requests", len(seen))
			}
			if asked, _, _ := strings.Cut(seen[0].Path, "?"); asked != "/v1/chat/completions" {
				t.Errorf("judged as a chat, the provider was asked %s", asked)
			}
			if intent, _ := w.outcome(r.Exchange); intent.Endpoint != "chat.completions" {
				t.Errorf("the audit names the endpoint %s", intent.Endpoint)
			}
		})
	}
}

func TestUpgrades(t *testing.T) {
	t.Parallel()
	w := start(t, setup{})
	upgrade := func(protocol string) call {
		return call{method: "GET", path: "/v1/models", auth: []string{w.key}}.with("connection", "upgrade").with("upgrade", protocol).
			with("sec-websocket-version", "13").with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
	}
	for _, protocol := range []string{"websocket", "TLS/1.0"} {
		t.Run(strings.ReplaceAll(protocol, "/", " "), func(t *testing.T) { w.in(t).unnamed(upgrade(protocol), badEndpoint) })
	}
	t.Run("h2c", func(t *testing.T) { // may be left aside (RFC 9113, section 3.1): the call is governed as any other
		r := w.in(t).send(upgrade("h2c"))
		if r.Status != http.StatusOK || w.provider.Total() != 1 || w.provider.Requests()[0].Header.Get("upgrade") != "" {
			t.Errorf("status %d, and the provider received %+v", r.Status, w.provider.Requests())
		}
	})
}

// steering are headers with which a caller could have Envoy try again, wait otherwise, or go elsewhere.
var steering = [][2]string{
	{"x-envoy-retry-on", "5xx,gateway-error,reset,connect-failure,retriable-4xx,retriable-status-codes"},
	{"x-envoy-max-retries", "5"},
	{"x-envoy-retry-grpc-on", "cancelled,unavailable,internal"},
	{"x-envoy-retriable-status-codes", "500,503,429"},
	{"x-envoy-retriable-header-names", "x-request-id,content-type"},
	{"x-envoy-hedge-on-per-try-timeout", "true"},
	{"x-envoy-upstream-rq-timeout-ms", "1"},
	{"x-envoy-upstream-rq-per-try-timeout-ms", "1"},
	{"x-envoy-expected-rq-timeout-ms", "1"},
	{"x-envoy-upstream-rq-timeout-alt-response", "1"},
	{"x-envoy-upstream-alt-stat-name", "spoofed"},
	{"x-envoy-upstream-stream-duration-ms", "1"},
	{"x-envoy-original-path", "/v1/models"},
	{"x-envoy-original-dst-host", "127.0.0.1:1"},
	{"x-envoy-decorator-operation", "spoofed"},
	{"x-envoy-external-address", "10.0.0.1"},
	{"x-envoy-internal", "true"},
	{"x-envoy-force-trace", "true"},
	{"x-envoy-ip-tags", "trusted"},
	{"x-envoy-attempt-count", "7"},
	{"x-envoy-downstream-service-cluster", "spoofed"},
	{"x-envoy-downstream-service-node", "spoofed"},
	{"x-envoy-is-timeout-retry", "true"},
}

// TestSteeringHeaders sends each header that steers Envoy with a call that the provider fails: there is one attempt, and
// nothing of the header arrives.
func TestSteeringHeaders(t *testing.T) {
	t.Parallel()
	w := start(t, setup{})
	all := w.chatCall(chatBody("standin-error-503", onTask, nil))
	for _, h := range steering {
		all = all.with(h[0], h[1])
	}
	check := func(t *testing.T, c call) {
		w := w.in(t)
		before := len(w.provider.Requests())
		if r := w.send(c); r.Status != http.StatusServiceUnavailable || !strings.Contains(r.Body, "as it was asked to") {
			t.Errorf("status %d, not the provider's own error: %s", r.Status, r.Body)
		}
		seen := w.provider.Requests()[before:]
		if len(seen) != 1 {
			t.Fatalf("%d attempts at the provider", len(seen))
		}
		for name := range seen[0].Header {
			if strings.HasPrefix(name, "X-Envoy-") {
				t.Errorf("the provider received %s: %v", name, seen[0].Header[name])
			}
		}
	}
	for _, h := range steering {
		t.Run(h[0], func(t *testing.T) {
			check(t, w.chatCall(chatBody("standin-error-503", onTask, nil)).with(h[0], h[1]))
		})
	}
	t.Run("all", func(t *testing.T) { check(t, all) })
	t.Run("a dropped connection", func(t *testing.T) {
		before := w.provider.Total()
		cut := all
		cut.body = chatBody("standin-rubbish", onTask, nil)
		w.in(t).send(cut)
		if n := w.provider.Total() - before; n != 1 {
			t.Errorf("%d attempts at the provider", n)
		}
	})
}

// TestCallersHeaders sends every header with which a caller could pass for somebody else, or tell the provider who it is.
func TestCallersHeaders(t *testing.T) {
	t.Parallel()
	w := start(t, setup{})
	c := w.chatCall(chatBody("gpt-4o", onTask, nil))
	const mark = "spoofed-by-the-caller"
	for _, name := range []string{
		"x-forwarded-client-cert", "x-user", "x-user-id", "x-user-email", "X-Username", "x-plumbline-user", "x-plumbline-team",
		"x-plumbline-app", "X-Plumbline-Anything", "x_plumbline_user", "openai-organization", "OpenAI-Project", "openai_organization",
		"cookie", "x-plumbline-workload", "x-plumbline-clients", "x-forwarded-for", "x-forwarded-user", "x-forwarded-email", "x-forwarded-host",
		"x-real-ip", "forwarded", "x-request-id", "x-auth-request-user", "x-remote-user", "x-amzn-oidc-identity", "cf-access-jwt-assertion",
	} {
		c = c.with(name, mark)
	}
	r := w.send(c)
	if r.Status != http.StatusOK {
		t.Fatalf("status %d: %s", r.Status, r.Body)
	}
	if n := w.provider.Total(); n != 1 {
		t.Fatalf("%d requests at the provider", n)
	}
	seen := w.provider.Requests()[0].Header
	for name, values := range seen {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, mark) || strings.Contains(v, w.key) }) {
			t.Errorf("the provider received %s: %v", name, values)
		}
	}
	if got := seen["Authorization"]; len(got) != 1 || got[0] != "Bearer "+providerKey {
		t.Errorf("the provider received the credentials %v", got)
	}
	if got := seen.Get("accept-encoding"); got != "identity" {
		t.Errorf("the provider was asked for the encoding %q", got)
	}
	intent, outcome := w.outcome(r.Exchange)
	if (intent.Principal != core.Principal{User: "ann", Team: "support", App: "helpdesk", Method: core.MethodAppKey, Credential: intent.Principal.Credential}) {
		t.Errorf("the audit names %+v", intent.Principal)
	}
	if intent.Source != "127.0.0.1" {
		t.Errorf("the audit has the source %q: the caller's own words were believed", intent.Source)
	}
	if outcome.Finish != core.FinishComplete {
		t.Errorf("the audit has finish %s", outcome.Finish)
	}
	t.Run("dropped by the caller", func(t *testing.T) {
		w.in(t).unnamed(w.chatCall(chatBody("gpt-4o", onTask, nil)).with("connection", "authorization"),
			refusal{401, "invalid_request_error", "invalid_api_key", "", core.ReasonMissingCredential, askAgain})
	})
}
