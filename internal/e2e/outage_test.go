package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

// ledgerAway is what a limit says that is closed without its ledger.
var ledgerAway = refusal{503, "service_unavailable_error", "quota_unavailable", "", core.ReasonQuotaUnavailable, soon}

// benHas is how many requests ben has in a month, where replicas count on their own without Redis.
const benHas = 40

// outageLimits give ann money, which is closed without Redis, ben requests, which are counted locally, and cy tokens, which are
// open. Those of everyone only count: they show what all replicas posted.
var outageLimits = []string{
	"id: calls, scope: everyone, dimension: requests, window: month, value: 1000000000, enforcement: observe",
	"id: in, scope: everyone, dimension: input_tokens, window: month, value: 1000000000, enforcement: observe",
	"id: out, scope: everyone, dimension: output_tokens, window: month, value: 1000000000, enforcement: observe",
	"id: paid, scope: everyone, dimension: cost, window: month, value: 1000000000, enforcement: observe",
	"id: ann, scope: user, subject: ann, dimension: cost, window: month, value: 1000000000",
	"id: ben, scope: user, subject: ben, dimension: requests, window: month, value: 40",
	"id: cy, scope: user, subject: cy, dimension: tokens, window: month, value: 1000000000, unreachable: open",
}

// onRedis is the setup of a replica that counts in a Redis, with a deadline that a busy machine keeps.
func onRedis(address string, limits ...string) setup {
	return setup{
		objects: strings.Replace(limited(limits...), "apps:", "  - {id: cy, team: support}\napps:", 1),
		config:  "quota: {ledger: redis}\nredis: {addresses: [\"" + address + "\"], deadline: 250ms}\n",
	}
}

// caller is a person at one replica.
type caller struct {
	*world
	name string
}

// callers are ann, ben and cy at two replicas of one Redis, each replica behind an Envoy of its own.
type callers struct {
	t     *testing.T
	redis *redisproc.Server
	each  []map[string]caller
}

func startCallers(t *testing.T, redisArgs ...string) *callers {
	t.Helper()
	c := &callers{t: t, redis: redisproc.StartTCP(t, redisArgs...)}
	for range 2 {
		s := onRedis(c.redis.Addr, outageLimits...)
		s.provider = provider.Options{ChunkPause: time.Millisecond}
		w := start(t, s)
		people := map[string]caller{}
		for _, name := range []string{"ann", "ben", "cy"} {
			own := w.in(t)
			own.key = w.newKey("helpdesk", name)
			people[name] = caller{own, name}
		}
		c.each = append(c.each, people)
	}
	c.served()
	pause(t.Context(), 2500*time.Millisecond) // two heartbeats, by which each knows of the other
	return c
}

// served waits until both replicas count in Redis.
func (c *callers) served() {
	c.t.Helper()
	for _, people := range c.each {
		eventually(c.t, "the breaker is closed", func() bool { return people["ann"].breaker() == "closed" })
		eventually(c.t, "ann is served", func() bool { return people["ann"].ask().Status == http.StatusOK })
	}
}

func (c caller) ask() response { return c.chat(chatBody("gpt-4o-mini", onTask, nil)) }

// breaker is the state of the way to Redis, as the metrics have it.
func (w *world) breaker() string {
	w.t.Helper()
	for _, state := range []string{"closed", "half_open", "open"} {
		if strings.Contains(w.metrics(), `plumbline_ledger_breaker_state{state="`+state+`"} 1`) {
			return state
		}
	}
	return ""
}

// counts reports whether one of Plumbline's figures with one label is above zero.
func (w *world) counts(name, label string) bool {
	w.t.Helper()
	for line := range strings.Lines(w.metrics()) {
		if rest, ok := strings.CutPrefix(line, "plumbline_"+name+"{"+label+"} "); ok {
			return strings.TrimSpace(rest) != "0"
		}
	}
	return false
}

// load has ann and cy ask both replicas until ctx ends, whole answers and streams, and counts what they get.
func (c *callers) load(ctx context.Context, got *[600]atomic.Int64) *sync.WaitGroup {
	var group sync.WaitGroup
	for i, people := range c.each {
		for _, name := range []string{"ann", "cy"} {
			w := people[name]
			group.Go(func() {
				body := chatBody("gpt-4o-mini", onTask, map[string]any{"stream": i == 0})
				for ctx.Err() == nil {
					req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, w.envoy.URL+"/v1/chat/completions", strings.NewReader(body))
					must(c.t, err)
					req.Header.Set("authorization", "Bearer "+w.key)
					req.Header.Set("content-type", "application/json")
					res, err := http.DefaultClient.Do(req)
					if err != nil {
						c.t.Errorf("%s: %v", name, err)
						return
					}
					if _, err := io.Copy(io.Discard, res.Body); err != nil {
						c.t.Errorf("%s: an answer broke off: %v", name, err)
					}
					res.Body.Close()
					got[res.StatusCode].Add(1)
					if res.StatusCode != http.StatusOK {
						pause(ctx, 5*time.Millisecond)
					}
				}
			})
		}
	}
	return &group
}

// TestRedisDiesInTraffic kills the Redis of two replicas under load and brings it back, empty or with its file. Without it
// each limit does what it is set to do, which the caller, the metrics and the records are told. Afterwards what is posted is
// what the records say, and nothing was restarted but Redis.
func TestRedisDiesInTraffic(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"it comes back empty": nil, "it comes back with its file": {"--appendonly", "yes", "--appendfsync", "always"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCallers(t, args...)
			for _, people := range c.each {
				people["ben"].mustServe("")
				people["cy"].mustServe("")
			}
			streams := []*stream{}
			for _, people := range c.each {
				w := people["ann"]
				s := w.open(w.chatCall(chatBody(provider.ModelLong, onTask, streamed)))
				s.until(`"content":`)
				streams = append(streams, s)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var got [600]atomic.Int64
			load := c.load(ctx, &got)
			c.redis.Kill()
			c.withoutRedis(streams)
			c.redis.Restart(t)
			c.served()
			stop()
			load.Wait()
			if others := got[http.StatusOK].Load() + got[http.StatusServiceUnavailable].Load(); others < 50 || got[http.StatusServiceUnavailable].Load() == 0 {
				t.Errorf("%d answers, %d of them 503: too few to prove anything", others, got[http.StatusServiceUnavailable].Load())
			}
			c.wantNoDrift()
			t.Logf("%d answers, and %d refusals while Redis was away", got[http.StatusOK].Load(), got[http.StatusServiceUnavailable].Load())
		})
	}
}

// mustServe makes a call that must be admitted, with Redis or in a mode without it, and checks its records.
func (c caller) mustServe(mode string) {
	c.t.Helper()
	r := c.ask()
	if r.Status != http.StatusOK {
		c.t.Errorf("%s: status %d: %s", c.name, r.Status, r.Body)
		return
	}
	if intent, outcome := c.outcome(r.Exchange); intent.Fallback != mode || outcome.Fallback != mode {
		c.t.Errorf("%s: the records have fallback %q and %q, want %q", c.name, intent.Fallback, outcome.Fallback, mode)
	}
}

// withoutRedis checks what each caller gets while Redis is away, and what is said of it.
func (c *callers) withoutRedis(streams []*stream) {
	t := c.t
	served := 2 // of ben, before
	for i, people := range c.each {
		ann, ben := people["ann"], people["ben"]
		// A stream under a money limit gets no more and is cut: whole for its caller, with the reason.
		if rest := streams[i].until("[DONE]"); !strings.Contains(rest, `"plumbline":{"reason":"quota_unavailable"`) {
			t.Errorf("the stream ended with %q", rest[max(0, len(rest)-300):])
		}
		streams[i].close()
		if _, outcome := ann.outcome(streams[i].exchange); outcome.Finish != core.FinishCut || outcome.Reason != core.ReasonQuotaUnavailable {
			t.Errorf("the stream's record has finish %s, reason %s", outcome.Finish, outcome.Reason)
		}
		var r response
		eventually(t, "money is closed", func() bool { r = ann.ask(); return r.Status != http.StatusOK })
		e := ledgerAway.check(t, r)
		for _, part := range []string{"cannot be reached", "limit on cost", "Nothing was sent to the provider", "Try again"} {
			if !strings.Contains(e.Error.Message, part) {
				t.Errorf("the message does not say %q: %s", part, e.Error.Message)
			}
		}
		for n := 0; ; n++ {
			if r = ben.ask(); r.Status != http.StatusOK {
				break
			}
			served++
			if _, outcome := ben.outcome(r.Exchange); outcome.Fallback != string(quota.UnreachableLocal) {
				t.Errorf("ben's record has fallback %q", outcome.Fallback)
			}
			if n > benHas {
				t.Fatal("ben is never refused")
			}
		}
		quotaUsedUp.check(t, r)
		people["cy"].mustServe(string(quota.UnreachableOpen))
		refused := 0
		for _, rec := range ann.all(auditOf(core.RecordDeny)) {
			if rec.Record.Principal.User != "ann" {
				continue
			}
			if refused++; rec.Record.Reason != core.ReasonQuotaUnavailable {
				t.Errorf("ann's refusal is recorded as %s", rec.Record.Reason)
			}
		}
		if refused == 0 {
			t.Error("no refusal of ann's is recorded")
		}
		for name, label := range map[string]string{
			"ledger_fallback_total": `mode="closed"`, "fail_closed_total": `cause="ledger_unreachable"`, "fail_open_total": `cause="ledger_unreachable"`,
		} {
			if !ann.counts(name, label) {
				t.Errorf("%s{%s} counts nothing", name, label)
			}
		}
		if b := ann.breaker(); b == "closed" || !ann.counts("ledger_fallback_total", `mode="local"`) || !ann.counts("ledger_fallback_total", `mode="open"`) {
			t.Errorf("the breaker is %s, or a mode is not counted", b)
		}
	}
	// Each replica had half of what was left, as it last knew it.
	if served > benHas || served < benHas-4 {
		t.Errorf("ben was served %d times of %d", served, benHas)
	}
}

// wantNoDrift waits until nothing is held and what is posted under the limits of everyone is the sum of both audits.
func (c *callers) wantNoDrift() {
	c.t.Helper()
	r := &replicas{t: c.t}
	for _, people := range c.each {
		r.each = append(r.each, &server{world: people["ann"].world})
	}
	o, err := app.ParseObjects("objects.yaml", []byte(limited(outageLimits[:4]...)))
	must(c.t, err)
	r.limits, err = quota.Compile(o.Limits)
	must(c.t, err)
	wrong := ""
	for deadline := time.Now().Add(45 * time.Second); time.Now().Before(deadline); <-time.After(200 * time.Millisecond) {
		if wrong = r.differs(); wrong == "" {
			return
		}
	}
	c.t.Errorf("it drifts: %s", wrong)
}

// TestSDKQuotaUnavailable has each official client meet a limit that is closed because its ledger is away: it is an error that
// they try again, and that says what to do.
func TestSDKQuotaUnavailable(t *testing.T) {
	s := func(t *testing.T) setup { return onRedis(closedPort(t), outageLimits...) }
	inEachSDK(t, s, func(t *testing.T, w *world, client sdk) {
		want := sdkError{503, "service_unavailable_error", "quota_unavailable", "", "Try again in a moment", retried}
		want.check(t, w, client, w.sdkChat(w.key, "gpt-4o-mini", onTask))
		want.check(t, w, client, w.sdkChat(w.key, "gpt-4o-mini", onTask).streamed())
	})
}
