package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
)

// Refusals that stand in place of what a provider did.
var (
	upstreamDown  = refusal{502, "api_error", "upstream_error", "", core.ReasonUpstreamError, unsaid}
	upstreamSlow  = refusal{504, "api_error", "upstream_timeout", "", core.ReasonUpstreamTimeout, unsaid}
	upstreamNoKey = refusal{502, "api_error", "upstream_rejected_key", "", core.ReasonUpstreamRejected, noRetry}
)

// streamed asks for an event stream.
var streamed = map[string]any{"stream": true}

// failed checks the records of a call that the provider did not serve: nothing is charged but the request itself.
func (w *world) failed(exchange string, status int) {
	w.t.Helper()
	_, outcome := w.outcome(exchange)
	if outcome.Finish != core.FinishUpstreamError || outcome.Status != status {
		w.t.Errorf("the audit has finish %s, status %d", outcome.Finish, outcome.Status)
	}
	if outcome.Settled == nil || outcome.Settled.Requests != 1 || outcome.Settled.InputTokens != 0 || outcome.Settled.Cost != 0 {
		w.t.Errorf("the audit charges %+v for what the provider did not do", outcome.Settled)
	}
}

func TestProviderErrors(t *testing.T) {
	t.Parallel()
	w := start(t, setup{})
	for _, more := range []map[string]any{nil, streamed} {
		for _, status := range []int{400, 404, 409, 422, 429, 500, 503, 504} {
			t.Run(fmt.Sprint(status, more), func(t *testing.T) {
				w, before := w.in(t), w.provider.Total()
				r := w.chat(chatBody(fmt.Sprint(provider.ModelError, status), onTask, more))
				if r.Status != status || !strings.Contains(r.Body, "as it was asked to") {
					t.Errorf("status %d, not the provider's own error: %s", r.Status, r.Body)
				}
				if n := w.provider.Total() - before; n != 1 {
					t.Errorf("%d attempts at the provider", n)
				}
				w.failed(r.Exchange, status)
			})
		}
		t.Run(fmt.Sprint("the provider refuses the key", more), func(t *testing.T) {
			w := w.in(t)
			r := w.chat(chatBody(provider.Model401, onTask, more))
			upstreamNoKey.check(t, r)
			for _, part := range []string{"sk-p", "leak", "***", "standin-org"} {
				if strings.Contains(r.Body+fmt.Sprint(r.Header), part) {
					t.Errorf("the answer holds %q: %v %s", part, r.Header, r.Body)
				}
			}
			w.failed(r.Exchange, http.StatusBadGateway)
		})
	}
}

// TestProviderHeaders has the provider refuse a call for its rate: what it says about trying again passes, what it says
// about the account does not.
func TestProviderHeaders(t *testing.T) {
	t.Parallel()
	passed := map[string]string{
		"retry-after": "7", "retry-after-ms": "6500", "x-should-retry": "true", "x-ratelimit-limit-requests": "500",
		"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6.5s", "x-request-id": "req_1", "openai-processing-ms": "12",
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		for name, value := range passed {
			rw.Header().Set(name, value)
		}
		rw.Header().Add("set-cookie", "__cf_bm=1; Path=/")
		rw.Header().Add("set-cookie", "_cfuvid=2; Path=/")
		rw.Header().Set("openai-organization", "org-shared")
		rw.Header().Set("openai-project", "proj-shared")
		rw.Header().Set("x-plumbline-notice", "forged")
		rw.Header().Set("content-type", "application/json")
		rw.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(rw, `{"error":{"message":"Rate limit reached.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`)
	}))
	t.Cleanup(server.Close)
	w := start(t, setup{upstream: server.URL})
	r := w.chat(chatBody("gpt-4o", onTask, nil))
	if r.Status != http.StatusTooManyRequests || !strings.Contains(r.Body, "Rate limit reached.") {
		t.Errorf("status %d: %s", r.Status, r.Body)
	}
	for name, want := range passed {
		if got := r.Header.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"set-cookie", "openai-organization", "openai-project", "x-plumbline-notice"} {
		if got := r.Header.Values(name); len(got) != 0 {
			t.Errorf("header %s is %q", name, got)
		}
	}
	w.failed(r.Exchange, http.StatusTooManyRequests)
}

func TestProviderDown(t *testing.T) {
	t.Parallel()
	w := start(t, setup{upstream: "http://" + closedPort(t)})
	for _, more := range []map[string]any{nil, streamed} {
		r := w.chat(chatBody("gpt-4o", onTask, more))
		upstreamDown.check(t, r)
		w.failed(r.Exchange, http.StatusBadGateway)
	}
}

func TestProviderSlow(t *testing.T) {
	t.Parallel()
	s := setup{}
	s.envoy.IdleTimeout = 400 * time.Millisecond
	w := start(t, s)
	for _, more := range []map[string]any{nil, streamed} {
		began := time.Now()
		r := w.chat(chatBody(provider.ModelSlow, onTask, more))
		upstreamSlow.check(t, r)
		if took := time.Since(began); took < s.envoy.IdleTimeout/2 || took > 5*time.Second {
			t.Errorf("refused after %v", took)
		}
		w.failed(r.Exchange, http.StatusGatewayTimeout)
	}
	if n := w.provider.Total(); n != 2 {
		t.Errorf("%d attempts at the provider, not one each", n)
	}
	t.Run("the caller", func(t *testing.T) { // who says that a body comes, and sends none
		w, n := w.in(t), len(w.all(audit.Query{Kind: core.RecordDeny}))
		r := w.send(call{auth: []string{w.key}, body: `{"model":`, promise: 1000})
		badBody.check(t, r)
		if rec := w.last(core.RecordDeny, n); rec.Principal.User != "ann" {
			t.Errorf("the audit has %+v", rec)
		}
		if n := w.provider.Total(); n != 2 {
			t.Errorf("the provider received something")
		}
	})
}

// TestProviderStallsInMidStream has a stream fall silent: it ends at the time-out, and what was delivered is charged.
func TestProviderStallsInMidStream(t *testing.T) {
	t.Parallel()
	s := setup{}
	s.envoy.IdleTimeout = 300 * time.Millisecond
	s.provider.ChunkPause = time.Minute
	w := start(t, s)
	st := w.open(w.chatCall(chatBody("gpt-4o", onTask, streamed)))
	if rest, err := st.rest(); err == nil || strings.Contains(rest, "[DONE]") {
		t.Errorf("a stream that fell silent ended in order: %q", rest)
	}
	w.interrupted(st.exchange)
}

// interrupted checks the records of a stream that somebody broke off, and gives its usage.
func (w *world) interrupted(exchange string) core.Usage {
	w.t.Helper()
	intent, outcome := w.outcome(exchange)
	if outcome.Finish != core.FinishInterrupted || outcome.Status != http.StatusOK {
		w.t.Errorf("the audit has finish %s, status %d", outcome.Finish, outcome.Status)
	}
	if outcome.Usage == nil || !outcome.Usage.Estimated || outcome.Usage.InputTokens == 0 {
		w.t.Fatalf("the audit has usage %+v: the prompt was used", outcome.Usage)
	}
	if outcome.Settled == nil || outcome.Settled.OutputTokens != outcome.Usage.OutputTokens || outcome.Settled.Cost <= 0 ||
		outcome.Settled.Cost > intent.Reserved.Cost {
		w.t.Errorf("the audit charges %+v for %+v", outcome.Settled, outcome.Usage)
	}
	return *outcome.Usage
}

func TestProviderCutsOff(t *testing.T) {
	t.Parallel()
	s := setup{}
	s.provider.ChunkPause = 5 * time.Millisecond
	w := start(t, s)
	for _, more := range []map[string]any{nil, streamed} {
		conn := w.dial()
		conn.Write(w.chatCall(chatBody(provider.ModelCutoff, onTask, more)).bytes())
		n := len(w.all(audit.Query{Kind: core.RecordOutcome}))
		switch r, err := readResponse(conn, "POST"); {
		case r.Status == http.StatusBadGateway: // it broke off before its head had passed
			upstreamDown.check(t, r)
		case err == nil || r.Status != http.StatusOK || strings.Contains(r.Body, "[DONE]"):
			t.Errorf("an answer that broke off ended in order: %d %q", r.Status, r.Body)
		}
		if u := w.interrupted(w.last(core.RecordOutcome, n).Exchange); more != nil && u.OutputTokens < 10 || u.OutputTokens > provider.DefaultWords {
			t.Errorf("half of %d words was delivered, and %d tokens are charged", provider.DefaultWords, u.OutputTokens)
		}
	}
	if n := w.provider.Total(); n != 2 {
		t.Errorf("%d attempts at the provider, not one each", n)
	}
}

// TestProviderTalksRubbish has the provider send answers that are none, in several ways.
func TestProviderTalksRubbish(t *testing.T) {
	t.Parallel()
	w := start(t, setup{})
	for _, more := range []map[string]any{nil, streamed} {
		t.Run(fmt.Sprint("rubbish", more), func(t *testing.T) {
			w := w.in(t)
			r := w.chat(chatBody(provider.ModelRubbish, onTask, more))
			if r.Status != http.StatusOK || !strings.Contains(r.Body, "choices") {
				t.Errorf("status %d: %q", r.Status, r.Body)
			}
			_, outcome := w.outcome(r.Exchange)
			if outcome.Finish == core.FinishComplete || !outcome.Usage.Estimated || outcome.Usage.InputTokens == 0 {
				t.Errorf("the audit has finish %s, usage %+v", outcome.Finish, outcome.Usage)
			}
		})
		t.Run(fmt.Sprint("no usage", more), func(t *testing.T) {
			w := w.in(t)
			r := w.chat(chatBody(provider.ModelNoUsage, onTask, more))
			_, outcome := w.outcome(r.Exchange)
			if u := outcome.Usage; outcome.Finish != core.FinishComplete || !u.Estimated || u.OutputTokens < 40 || u.OutputTokens > 60 {
				t.Errorf("the audit has finish %s, usage %+v for %d words", outcome.Finish, u, provider.DefaultWords)
			}
		})
	}
	t.Run("gzip that nobody asked for", func(t *testing.T) {
		w := w.in(t)
		r := w.send(w.chatCall(chatBody(provider.ModelGzip, onTask, nil)))
		if r.Status != http.StatusOK || r.Header.Get("content-encoding") != "gzip" || !strings.HasPrefix(r.Body, "\x1f\x8b") {
			t.Errorf("status %d, %v: %q", r.Status, r.Header, r.Body)
		}
		_, outcome := w.outcome(r.Exchange)
		if u := outcome.Usage; outcome.Finish != core.FinishComplete || u.Estimated || u.OutputTokens != provider.DefaultWords {
			t.Errorf("the audit has finish %s, usage %+v", outcome.Finish, u)
		}
	})
	t.Run("a stream in gzip", func(t *testing.T) { // passes without it, so that it can be cut
		w := w.in(t)
		r := w.chat(chatBody(provider.ModelGzip, onTask, streamed))
		if r.Status != http.StatusOK || r.Header.Get("content-encoding") != "" || !strings.HasSuffix(r.Body, "data: [DONE]\n\n") {
			t.Errorf("status %d, %v: %q", r.Status, r.Header, r.Body)
		}
		_, outcome := w.outcome(r.Exchange)
		if u := outcome.Usage; outcome.Finish != core.FinishComplete || u.Estimated || u.OutputTokens != provider.DefaultWords {
			t.Errorf("the audit has finish %s, usage %+v", outcome.Finish, u)
		}
	})
}

// TestRawProviders has providers break HTTP itself.
func TestRawProviders(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"no HTTP":            "SSH-2.0-OpenSSH_9.2\r\n",
		"nothing":            "",
		"half a head":        "HTTP/1.1 200 OK\r\ncontent-ty",
		"a made-up status":   "HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n",
		"two lengths":        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
		"a head of 100 kB":   "HTTP/1.1 200 OK\r\nx: " + strings.Repeat("x", 100<<10) + "\r\n\r\n",
		"a switch protocols": "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, setup{upstream: rawProvider(t, answer)})
			r := w.send(w.chatCall(chatBody("gpt-4o", onTask, nil)))
			if r.Status < 500 {
				t.Errorf("status %d: %q", r.Status, r.Body)
			}
			if e := upstreamDown; r.Status == e.status {
				e.check(t, r)
			}
			_, outcome := w.outcome(r.Exchange)
			if outcome.Finish != core.FinishUpstreamError || outcome.Settled.InputTokens != 0 {
				t.Errorf("the audit has finish %s, charge %+v", outcome.Finish, outcome.Settled)
			}
		})
	}
}

// rawProvider answers the first bytes of each connection with the same bytes, and hangs up.
func rawProvider(t testing.TB, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.Read(make([]byte, 64<<10))
				io.WriteString(c, answer)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// closedPort is an address at which nobody listens.
func closedPort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

// one is a limit of one call at a time for everyone.
const oneAtATime = objects + `
limits:
  - {id: one, scope: everyone, dimension: concurrency, window: none, value: 1}
`

// TestCallerHangsUp has callers leave at every point. What they held is free again, and what they had is charged.
func TestCallerHangsUp(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 10)
	s := setup{objects: oneAtATime}
	s.provider.ChunkPause = 20 * time.Millisecond
	s.provider.OnRequest = func(provider.Request) { arrived <- struct{}{} }
	w := start(t, s)
	freed := func(w *world) {
		w.t.Helper()
		var r response
		eventually(w.t, "the room of the caller who left is free", func() bool {
			r = w.send(w.chatCall(chatBody("gpt-4o", onTask, nil)))
			return r.Status != http.StatusTooManyRequests
		})
		if r.Status != http.StatusOK {
			w.t.Errorf("the next caller got %d: %s", r.Status, r.Body)
		}
		<-arrived
	}
	leave := map[string]string{
		"in the middle of the head": "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthor",
		"before the body":           string(call{auth: []string{w.key}, promise: 500}.with("content-type", "application/json").bytes()),
		"in the middle of the body": string(call{auth: []string{w.key}, body: `{"model":"gpt-4o",`, promise: 500}.bytes()),
	}
	for name, bytes := range leave {
		t.Run(name, func(t *testing.T) {
			w, n := w.in(t), len(w.all(audit.Query{Kind: core.RecordDeny}))
			conn := w.dial()
			conn.Write([]byte(bytes))
			if !strings.Contains(name, "head") {
				// Envoy's stream alone would not do: a caller who leaves before its headers are read is nobody's.
				eventually(t, "the headers are judged", func() bool { return w.metric("plumbline_body_bytes_in_flight") == 500 })
			}
			conn.Close()
			if !strings.Contains(name, "head") {
				if rec := w.last(core.RecordDeny, n); rec.Finish != core.FinishInterrupted || rec.Principal.User != "ann" || rec.Settled != nil {
					t.Errorf("the audit has %+v", rec)
				}
			}
			if len(arrived) != 0 {
				t.Error("the provider received something")
			}
			freed(w)
		})
	}
	t.Run("before the answer", func(t *testing.T) {
		w, n := w.in(t), len(w.all(audit.Query{Kind: core.RecordOutcome}))
		conn := w.dial()
		conn.Write(w.chatCall(chatBody(provider.ModelSlow, onTask, nil)).bytes())
		<-arrived
		conn.Close()
		rec := w.last(core.RecordOutcome, n)
		if rec.Finish != core.FinishInterrupted || rec.Usage.InputTokens == 0 || rec.Usage.OutputTokens != 0 {
			t.Errorf("the audit has finish %s, usage %+v: the prompt was sent, nothing came back", rec.Finish, rec.Usage)
		}
		freed(w)
	})
	t.Run("in mid-stream", func(t *testing.T) {
		w := w.in(t)
		st := w.open(w.chatCall(chatBody(provider.ModelLong, onTask, streamed)))
		<-arrived
		st.until(" beam")
		st.close()
		if u := w.interrupted(st.exchange); u.OutputTokens < 5 || u.OutputTokens > 200 {
			t.Errorf("%d tokens are charged for about six words", u.OutputTokens)
		}
		freed(w)
	})
	eventually(t, "every exchange is closed", func() bool { return w.metric("plumbline_streams_open") == 0 })
}

// metric reads one of Plumbline's own figures, the sum over its labels.
func (w *world) metric(name string) float64 {
	w.t.Helper()
	var sum float64
	for line := range strings.Lines(w.metrics()) {
		if !strings.HasPrefix(line, name+" ") && !strings.HasPrefix(line, name+"{") {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(line[strings.LastIndex(strings.TrimSpace(line), " ")+1:], &v); err != nil {
			w.t.Fatalf("%q: %v", line, err)
		}
		sum += v
	}
	return sum
}

// metrics is all that Plumbline tells about itself.
func (w *world) metrics() string { return w.ops("/metrics") }

// ops reads a page of the listener for operators.
func (w *world) ops(path string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.app.OpsURL()+path, nil)
	must(w.t, err)
	res, err := http.DefaultClient.Do(req)
	must(w.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(w.t, err)
	return string(body)
}
