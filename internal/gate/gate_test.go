package gate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/quota"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	question = "Please summarise the open billing tickets of the support team for this week."
	whole    = `{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,` +
		`"message":{"role":"assistant","content":"All is well with the tickets."},"finish_reason":"stop"}]`
	answered = whole + `,"usage":{"prompt_tokens":20,"completion_tokens":7,"total_tokens":27}}`
	done     = "data: [DONE]\n\n"
)

func chatHead() gate.Head {
	return gate.Head{
		Method: "POST", Path: "/v1/chat/completions", Authorization: []string{gatetest.Credential},
		ContentType: "application/json", ContentLength: -1,
	}
}

// chat is a request body; more is spliced in as further members.
func chat(more string) []byte {
	return fmt.Appendf(nil, `{"model":"gpt-4o-mini","messages":[{"role":"user","content":%q}]%s}`, question, more)
}

const streaming = `,"stream":true`

func piece(text string) []byte {
	return fmt.Appendf(nil, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o-mini",`+
		`"choices":[{"index":0,"delta":{"content":%q},"finish_reason":null}]}`+"\n\n", text)
}

func usageEvent(input, output int64) []byte {
	return fmt.Appendf(nil, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o-mini","choices":[],`+
		`"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}`+"\n\n", input, output, input+output)
}

func tokens(value int64) quota.Limit {
	return quota.Limit{ID: "day", Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: value}
}

func outputTokens(value int64) quota.Limit {
	return quota.Limit{ID: "out", Scope: quota.ScopeUser, Dimension: quota.DimensionOutputTokens, Window: quota.WindowDay, Value: value}
}

// opened opens an exchange that must not be refused.
func opened(t testing.TB, w *gatetest.World) *gate.Exchange {
	t.Helper()
	x, reply := w.Gate.Open(t.Context(), chatHead())
	if reply != nil {
		t.Fatalf("Open refused: %d %s", reply.Status, reply.Body)
	}
	return x
}

// admitted opens and admits an exchange that must not be refused.
func admitted(t testing.TB, w *gatetest.World, body []byte) (*gate.Exchange, gate.Admission) {
	t.Helper()
	x := opened(t, w)
	a, reply := x.Admit(t.Context(), body)
	if reply != nil {
		t.Fatalf("Admit refused: %d %s", reply.Status, reply.Body)
	}
	return x, a
}

// answers shows the head of an answer that may pass.
func answers(t testing.TB, x *gate.Exchange, contentType string) gate.HeaderEdits {
	t.Helper()
	edits, reply := x.ObserveHead(t.Context(), gate.AnswerHead{Status: 200, ContentType: contentType}, false)
	if reply != nil {
		t.Fatalf("the answer was replaced: %d %s", reply.Status, reply.Body)
	}
	return edits
}

const (
	eventStream = "text/event-stream"
	jsonType    = "application/json"
)

func observed(t testing.TB, x *gate.Exchange, chunk []byte, end bool) []byte {
	t.Helper()
	p, err := x.ObserveBody(t.Context(), chunk, end)
	if err != nil {
		t.Fatalf("ObserveBody: %v", err)
	}
	if p.Replace {
		return p.Body
	}
	return chunk
}

// quiet checks that nothing is held any more and that what was posted is what the records say.
func quiet(t testing.TB, w *gatetest.World) {
	t.Helper()
	if n := w.Ledger.Pending(); n != 0 {
		t.Errorf("%d reservations are still held", n)
	}
	var settled quota.Amounts
	for _, r := range w.Records() {
		if r.Settled != nil {
			settled = settled.Add(quota.ChargeAmounts(*r.Settled))
		}
	}
	if posted := w.Posted(); posted != settled {
		t.Errorf("the ledger posted %+v, the records say %+v", posted, settled)
	}
	if above := w.Above(); len(above) != 0 {
		t.Errorf("hard limits were exceeded: %v", above)
	}
}

func refusedWith(t testing.TB, reply *openai.Reply, status int, reason core.Reason) {
	t.Helper()
	if reply == nil {
		t.Fatalf("it passed, want %d %s", status, reason)
	}
	if reply.Status != status || !strings.Contains(string(reply.Body), string(reason)) {
		t.Fatalf("the reply is %d %s, want %d %s", reply.Status, reply.Body, status, reason)
	}
}

// Every ending closes once, the outcome before the ledger, whatever is called afterwards.
func TestEveryEndingClosesOnceAndInOrder(t *testing.T) {
	ctx := context.Background()
	complete := func(t *testing.T, w *gatetest.World) *gate.Exchange {
		x, _ := admitted(t, w, chat(""))
		answers(t, x, jsonType)
		observed(t, x, []byte(answered), true)
		return x
	}
	begun := func(t *testing.T, w *gatetest.World) *gate.Exchange {
		x, _ := admitted(t, w, chat(streaming))
		answers(t, x, eventStream)
		observed(t, x, piece("All is well"), false)
		return x
	}
	forwarded := func(finish core.Finish) string { return "reserve intent outcome:" + string(finish) + " settle" }
	for name, c := range map[string]struct {
		limits []quota.Limit
		policy string
		run    func(*testing.T, *gatetest.World) *gate.Exchange
		finish core.Finish // as the front end says it
		want   string
	}{
		"whole JSON": {run: complete, want: forwarded(core.FinishComplete)},
		"whole stream": {run: func(t *testing.T, w *gatetest.World) *gate.Exchange {
			x := begun(t, w)
			observed(t, x, []byte(done), false)
			observed(t, x, nil, true)
			return x
		}, want: forwarded(core.FinishComplete)},
		"trailers": {run: func(t *testing.T, w *gatetest.World) *gate.Exchange {
			x := begun(t, w)
			observed(t, x, []byte(done), false)
			x.ObserveEnd(ctx)
			return x
		}, want: forwarded(core.FinishComplete)},
		"a stream that ends without [DONE]": {run: func(t *testing.T, w *gatetest.World) *gate.Exchange {
			x := begun(t, w)
			observed(t, x, nil, true)
			return x
		}, want: forwarded(core.FinishUpstreamError)},
		"no body": {run: func(t *testing.T, w *gatetest.World) *gate.Exchange {
			x, _ := admitted(t, w, chat(""))
			x.ObserveHead(ctx, gate.AnswerHead{Status: 500}, true)
			return x
		}, want: forwarded(core.FinishUpstreamError)},
		"lost before the answer":  {run: func(t *testing.T, w *gatetest.World) *gate.Exchange { x, _ := admitted(t, w, chat("")); return x }, want: forwarded(core.FinishInterrupted)},
		"lost in mid-answer":      {run: begun, want: forwarded(core.FinishInterrupted)},
		"drained":                 {run: begun, finish: core.FinishDrained, want: forwarded(core.FinishDrained)},
		"the provider's own 401":  {run: replacedBy(gate.AnswerHead{Status: 401, ContentType: jsonType}), want: forwarded(core.FinishUpstreamError)},
		"Envoy's reply":           {run: replacedBy(gate.AnswerHead{Status: 503, Local: "upstream_reset_before_response_started{x}"}), want: forwarded(core.FinishUpstreamError)},
		"cut, then to its end":    {limits: []quota.Limit{outputTokens(300)}, run: cut(true), want: "reserve! reserve! reserve intent extend! outcome:cut settle"},
		"cut, then lost":          {limits: []quota.Limit{outputTokens(300)}, run: cut(false), want: "reserve! reserve! reserve intent extend! outcome:cut settle"},
		"lost before the verdict": {run: func(t *testing.T, w *gatetest.World) *gate.Exchange { return opened(t, w) }, want: "deny:interrupted"},
		"nobody known": {run: func(t *testing.T, w *gatetest.World) *gate.Exchange {
			h := chatHead()
			h.Authorization = nil
			x, reply := w.Gate.Open(ctx, h)
			refusedWith(t, reply, 401, core.ReasonInvalidCredential)
			return x
		}},
		"refused at the head": {run: func(t *testing.T, w *gatetest.World) *gate.Exchange {
			h := chatHead()
			h.Upgrade = "websocket"
			x, reply := w.Gate.Open(ctx, h)
			refusedWith(t, reply, 403, core.ReasonEndpointNotAllowed)
			return x
		}, want: "deny"},
		"refused by policy": {policy: "version: 1\nmodels:\n  allow: [o3]\n", run: refused(403, core.ReasonModelNotAllowed), want: "deny"},
		"refused by quota":  {limits: []quota.Limit{tokens(10)}, run: refused(429, core.ReasonRequestTooLarge), want: "reserve! reserve! reserve! deny"},
		"refused by the front end": {run: func(t *testing.T, w *gatetest.World) *gate.Exchange {
			x := opened(t, w)
			refusedWith(t, x.Fail(ctx, &core.Error{Reason: core.ReasonOverloaded}), 503, core.ReasonOverloaded)
			return x
		}, want: "deny"},
		"Envoy's reply before the verdict": {run: func(t *testing.T, w *gatetest.World) *gate.Exchange {
			x := opened(t, w)
			_, reply := x.ObserveHead(ctx, gate.AnswerHead{Status: 413, Local: "request_payload_too_large"}, false)
			refusedWith(t, reply, 413, core.ReasonBodyTooLarge)
			return x
		}, want: "deny"},
		"refused, and an answer nevertheless": {policy: "version: 1\nmodels:\n  allow: [o3]\n", run: func(t *testing.T, w *gatetest.World) *gate.Exchange {
			x := refused(403, core.ReasonModelNotAllowed)(t, w)
			_, reply := x.ObserveHead(ctx, gate.AnswerHead{Status: 200}, false)
			refusedWith(t, reply, 503, core.ReasonGovernanceDown)
			return x
		}, want: "deny"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := gatetest.New(t, gatetest.Options{Limits: c.limits, Policy: c.policy})
			x := c.run(t, w)
			if c.finish == "" {
				c.finish = core.FinishInterrupted
			}
			for range 3 {
				x.Close(ctx, c.finish)
			}
			if got := strings.Join(w.Journal(), " "); got != c.want {
				t.Errorf("steps\n%s, want\n%s", got, c.want)
			}
			quiet(t, w)
		})
	}
}

func refused(status int, reason core.Reason) func(*testing.T, *gatetest.World) *gate.Exchange {
	return func(t *testing.T, w *gatetest.World) *gate.Exchange {
		t.Helper()
		x := opened(t, w)
		_, reply := x.Admit(t.Context(), chat(""))
		refusedWith(t, reply, status, reason)
		return x
	}
}

func replacedBy(h gate.AnswerHead) func(*testing.T, *gatetest.World) *gate.Exchange {
	return func(t *testing.T, w *gatetest.World) *gate.Exchange {
		t.Helper()
		x, _ := admitted(t, w, chat(""))
		if _, reply := x.ObserveHead(t.Context(), h, false); reply == nil {
			t.Fatalf("the answer %+v was not replaced", h)
		}
		return x
	}
}

// cut runs a stream past its quota, and on to its end if wanted.
func cut(end bool) func(*testing.T, *gatetest.World) *gate.Exchange {
	return func(t *testing.T, w *gatetest.World) *gate.Exchange {
		t.Helper()
		x, _ := admitted(t, w, chat(streaming))
		answers(t, x, eventStream)
		for range 400 {
			if out := observed(t, x, piece(" ticket"), false); strings.Contains(string(out), "[DONE]") {
				if end {
					observed(t, x, []byte(done), true)
				}
				return x
			}
		}
		t.Fatal("the stream was not cut")
		return nil
	}
}

// What the log did not take is not forwarded. One that it refused is a refusal; one that it may have taken has an outcome.
func TestAnIntentThatIsNotRecordedForwardsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"refused": {gatetest.ErrDown, "reserve intent! void deny"},
		"unknown": {fmt.Errorf("waiting: %w", context.DeadlineExceeded), "reserve intent! void outcome:not_forwarded"},
	} {
		t.Run(name, func(t *testing.T) {
			w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{tokens(50_000)}})
			w.Fail = func(_ context.Context, step string) error {
				if step == "intent" {
					return c.err
				}
				return nil
			}
			x := opened(t, w)
			_, reply := x.Admit(t.Context(), chat(""))
			refusedWith(t, reply, 503, core.ReasonGovernanceDown)
			if n := w.Ledger.Pending(); n != 0 {
				t.Errorf("%d reservations are held after the refusal", n)
			}
			x.Close(t.Context(), core.FinishInterrupted)
			if got := strings.Join(w.Journal(), " "); got != c.want {
				t.Errorf("steps %s, want %s", got, c.want)
			}
			if got := w.Posted(); got != (quota.Amounts{}) {
				t.Errorf("%+v were charged for nothing", got)
			}
			quiet(t, w)
		})
	}
}

// A refusal that cannot be recorded is replaced: none of Plumbline's answers stands un-audited.
func TestARefusalThatIsNotRecordedIsReplaced(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{Policy: "version: 1\nmodels:\n  allow: [o3]\n"})
	w.Fail = func(_ context.Context, step string) error {
		if step == "deny" {
			return gatetest.ErrDown
		}
		return nil
	}
	x := refused(503, core.ReasonGovernanceDown)(t, w)
	if x.Reason() != core.ReasonGovernanceDown {
		t.Errorf("the exchange says %s", x.Reason())
	}
	x.Close(t.Context(), core.FinishInterrupted)
	quiet(t, w)
}

// A failure after the verdict changes neither the answer nor the order, and loses no hold.
func TestFailuresAfterTheVerdict(t *testing.T) {
	for _, failing := range []string{"outcome", "settle"} {
		t.Run(failing, func(t *testing.T) {
			w := gatetest.New(t, gatetest.Options{})
			w.Fail = func(_ context.Context, step string) error {
				if step == failing {
					return gatetest.ErrDown
				}
				return nil
			}
			x, _ := admitted(t, w, chat(""))
			answers(t, x, jsonType)
			if got := observed(t, x, []byte(answered), true); string(got) != answered {
				t.Errorf("the caller got %s", got)
			}
			if got := len(w.Journal()); got != 4 {
				t.Errorf("steps %q, want four", w.Journal())
			}
		})
	}
}

func TestLedgerThatIsDownRefuses(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	w.Fail = func(_ context.Context, step string) error {
		if step == "reserve" {
			return gatetest.ErrDown
		}
		return nil
	}
	x := refused(503, core.ReasonGovernanceDown)(t, w)
	x.Close(t.Context(), core.FinishInterrupted)
	if rec := w.Record(t, core.RecordDeny); rec.Status != 503 || rec.Reason != core.ReasonGovernanceDown || !rec.Verdict.Blocked() {
		t.Errorf("the record is %+v", rec)
	}
}

func TestDirectoryThatIsTooOldRefuses(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{Change: func(o *gate.Options) {
		o.Directory = func() (gate.Directory, error) { return nil, errors.New("too old") }
	}})
	x, reply := w.Gate.Open(t.Context(), chatHead())
	refusedWith(t, reply, 503, core.ReasonGovernanceDown)
	x.Close(t.Context(), core.FinishInterrupted)
	if w.Refusals() != 1 || len(w.Records()) != 0 {
		t.Errorf("%d refusals and %d records, want one refusal", w.Refusals(), len(w.Records()))
	}
}

// A panic passes through, so that nothing passes; what it left is closed.
func TestAPanicInAdmitPassesNothing(t *testing.T) {
	for _, where := range []string{"classifier", "reserve", "intent"} {
		t.Run(where, func(t *testing.T) {
			w := gatetest.New(t, gatetest.Options{})
			explode := func(_ context.Context, step string) error {
				if step == where {
					panic(step)
				}
				return nil
			}
			w.Fail = explode
			if where == "classifier" {
				w.Classify = nil // a call of it panics
			}
			x := opened(t, w)
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the panic was swallowed")
					}
				}()
				x.Admit(t.Context(), chat(""))
			}()
			w.Fail = nil
			x.Close(t.Context(), core.FinishInterrupted)
			if n := w.Ledger.Pending(); n != 0 {
				t.Errorf("%d reservations are still held", n)
			}
			if got := w.Posted(); got != (quota.Amounts{}) {
				t.Errorf("%+v were charged", got)
			}
		})
	}
}
