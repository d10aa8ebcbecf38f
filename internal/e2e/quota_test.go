package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
	"github.com/plumbline/plumbline/internal/store"
)

// limited are the ordinary objects with limits.
func limited(limits ...string) string {
	return objects + "\nlimits:\n  - {" + strings.Join(limits, "}\n  - {") + "}\n"
}

// settled is what the outcomes in the audit sum up to.
func (w *world) settled() (sum core.Charge, outcomes int) {
	w.t.Helper()
	for _, e := range w.all(audit.Query{Kind: core.RecordOutcome}) {
		c := e.Record.Settled
		sum.Requests += c.Requests
		sum.InputTokens += c.InputTokens
		sum.OutputTokens += c.OutputTokens
		sum.Cost += c.Cost
		outcomes++
	}
	return sum, outcomes
}

// nothingHeld waits until every exchange is closed, and checks that none left anything behind.
func (w *world) nothingHeld() {
	w.t.Helper()
	eventually(w.t, "every exchange is closed", func() bool { return w.metric("plumbline_streams_open") == 0 })
	if n := w.metric("plumbline_quota_reserved_tokens"); n != 0 {
		w.t.Errorf("%v tokens are still held", n)
	}
}

// TestNoOvershoot has 64 callers use up limits at once, with whole answers and streams, of a provider that honours the
// maximum.
func TestNoOvershoot(t *testing.T) {
	t.Parallel()
	const clients, calls, mostTokens, mostCost = 64, 8, 50_000, 25_000
	w := start(t, setup{provider: provider.Options{Words: 200}, objects: limited(
		fmt.Sprintf("id: tokens, scope: team, subject: support, dimension: tokens, window: month, value: %d", mostTokens),
		fmt.Sprintf("id: cost, scope: everyone, dimension: cost, window: month, value: %d", mostCost),
	)})
	var passed, refused atomic.Int64
	var group sync.WaitGroup
	begin := make(chan struct{})
	for i := range clients {
		more := []map[string]any{
			nil, {"stream": true}, {"max_completion_tokens": 150}, {"stream": true, "max_completion_tokens": 300}, {"n": 2}, {"stream": true, "n": 2},
		}[i%6]
		body := chatBody("gpt-4o-mini", onTask, more)
		group.Go(func() {
			<-begin
			for range calls {
				res, err := http.DefaultClient.Do(w.request("POST", "/v1/chat/completions", body))
				if err != nil {
					t.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				switch {
				case err != nil || res.StatusCode != http.StatusOK && res.StatusCode != http.StatusTooManyRequests:
					t.Errorf("status %d, %v", res.StatusCode, err)
				case res.StatusCode == http.StatusOK:
					passed.Add(1)
				default:
					refused.Add(1)
				}
			}
		})
	}
	close(begin)
	group.Wait()
	w.nothingHeld()
	sum, outcomes := w.settled()
	if tokens := sum.InputTokens + sum.OutputTokens; tokens > mostTokens || int64(sum.Cost) > mostCost {
		t.Errorf("overshoot: %d tokens of %d and %s of %d micro-dollars are charged", tokens, mostTokens, sum.Cost, mostCost)
	}
	if n := w.metric("plumbline_quota_overrun_total"); n != 0 {
		t.Errorf("%v overruns", n)
	}
	if int64(outcomes) != passed.Load() || passed.Load() < clients/4 || refused.Load() == 0 { // a hold of the whole rest keeps the others out
		t.Errorf("%d passed, %d refused, %d outcomes: too few to prove anything", passed.Load(), refused.Load(), outcomes)
	}
	t.Logf("%d passed, %d refused, %+v charged", passed.Load(), refused.Load(), sum)
}

// TestCallerHangsUpAtAChunk has a caller leave a stream of 200 chunks at several of them.
func TestCallerHangsUpAtAChunk(t *testing.T) {
	t.Parallel()
	w := start(t, setup{provider: provider.Options{Words: 200, ChunkPause: time.Millisecond}, objects: limited(
		"id: out, scope: user, dimension: output_tokens, window: month, value: 1000000",
	)})
	for _, at := range []int{0, 1, 2, 3, 10, 25, 50, 77, 100, 150, 190, 199} {
		s := w.open(w.chatCall(chatBody("gpt-4o-mini", onTask, streamed)))
		for range at {
			s.until(`"content":`)
		}
		s.close()
		intent, outcome := w.outcome(s.exchange)
		held, charged := intent.Reserved, outcome.Settled
		if charged.Requests != 1 || charged.InputTokens <= 0 || charged.OutputTokens < int64(at-1) { // the first holds no word
			t.Errorf("hung up at chunk %d: charged %+v", at, *charged)
		}
		if charged.OutputTokens > held.OutputTokens || charged.InputTokens > held.InputTokens || charged.Cost > held.Cost {
			t.Errorf("hung up at chunk %d: charged %+v of %+v held", at, *charged, *held)
		}
	}
	w.nothingHeld()
}

// TestProviderIgnoresTheMaximum has a provider make more than it was asked for: it is booked in full, and counted.
func TestProviderIgnoresTheMaximum(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("content-type", "application/json")
		io.WriteString(rw, `{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"message":`+
			`{"role":"assistant","content":"Much."},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":5000,"total_tokens":5020}}`)
	}))
	t.Cleanup(server.Close)
	w := start(t, setup{upstream: server.URL, objects: limited("id: day, scope: user, dimension: tokens, window: day, value: 1000")})
	r := w.chat(chatBody("gpt-4o-mini", onTask, nil))
	intent, outcome := w.outcome(r.Exchange)
	if intent.Reserved.InputTokens+intent.Reserved.OutputTokens > 1000 || outcome.Settled.OutputTokens != 5000 {
		t.Errorf("held %+v, charged %+v", *intent.Reserved, *outcome.Settled)
	}
	if n := w.metric("plumbline_quota_overrun_total"); n != 1 {
		t.Errorf("%v overruns are counted", n)
	}
	quotaUsedUp.check(t, w.chat(chatBody("gpt-4o-mini", onTask, nil)))
	w.nothingHeld()
}

// TestNothingOfACallersMakesTwoCallsOne sends calls with equal ids, as SDKs that retry do: each is one of its own.
func TestNothingOfACallersMakesTwoCallsOne(t *testing.T) {
	t.Parallel()
	w := start(t, setup{objects: limited("id: three, scope: user, dimension: requests, window: day, value: 3")})
	again := func() response {
		r := w.request("POST", "/v1/chat/completions", chatBody("gpt-4o-mini", onTask, nil))
		for _, name := range []string{
			"idempotency-key", "x-idempotency-key", "x-stainless-idempotency-key", "x-request-id", "x-client-request-id", "x-plumbline-request-id",
		} {
			r.Header.Set(name, "01a2202c-1d53-7149-9c5d-caa829c4a296")
		}
		r.Header.Set("x-stainless-retry-count", "1")
		r.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		return w.do(r)
	}
	seen := map[string]bool{}
	for range 3 {
		r := again()
		if r.Status != http.StatusOK || seen[r.Exchange] {
			t.Errorf("status %d, exchange %s", r.Status, r.Exchange)
		}
		seen[r.Exchange] = true
		w.outcome(r.Exchange)
	}
	quotaUsedUp.check(t, again())
	if sum, _ := w.settled(); sum.Requests != 3 || w.provider.Total() != 3 {
		t.Errorf("%d requests are charged, %d reached the provider", sum.Requests, w.provider.Total())
	}
}

// TestALimitLoweredInMidStream lowers a limit below what is in flight: that goes on, and new work is denied at once.
func TestALimitLoweredInMidStream(t *testing.T) {
	t.Parallel()
	const limit = "id: out, scope: user, dimension: output_tokens, window: day, value: %d"
	w := start(t, setup{provider: provider.Options{Words: 1500, ChunkPause: 200 * time.Microsecond}, objects: limited(fmt.Sprintf(limit, 5000))})
	change := func(value int) {
		o, err := app.ParseObjects("objects.yaml", []byte(limited(fmt.Sprintf(limit, value))))
		must(t, err)
		must(t, w.app.Store().Apply(store.WithActor(t.Context(), "test"), o))
		w.refresh()
	}
	s := w.open(w.chatCall(chatBody("gpt-4o-mini", onTask, streamed)))
	s.until(`"content":`)
	change(600)
	quotaUsedUp.check(t, w.chat(chatBody("gpt-4o-mini", onTask, nil)))
	if rest, err := s.rest(); err != nil || strings.Contains(rest, `"plumbline"`) || !strings.HasSuffix(rest, "data: [DONE]\n\n") {
		t.Errorf("the stream in flight ended with %v: %.200q", err, rest[max(0, len(rest)-200):])
	}
	if _, outcome := w.outcome(s.exchange); outcome.Finish != core.FinishComplete || outcome.Settled.OutputTokens != 1500 {
		t.Errorf("finished %s, charged %+v", outcome.Finish, *outcome.Settled)
	}
	change(5000)
	if r := w.chat(chatBody("gpt-4o-mini", onTask, nil)); r.Status != http.StatusOK {
		t.Errorf("status %d once the limit was raised again: %s", r.Status, r.Body)
	}
	w.nothingHeld()
}
