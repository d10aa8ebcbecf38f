package gate_test

import (
	"context"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/quota"
)

var (
	chatBody, streamBody = string(chat("")), string(chat(streaming + `,"max_tokens":40`))
	longText             = strings.Repeat(" word", 700)
)

// caller is one exchange of the model and how far it got.
type caller struct {
	x         *gate.Exchange
	forwarded bool
	answering bool
	over      bool // no more calls but Close
}

// Whatever callers, providers and failing parts do, in any interleaving: nothing stays held, the ledger has posted what
// the records say, and what was forwarded has one intent and one outcome.
func TestModelOfExchanges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{
			tokens(rapid.Int64Range(0, 30_000).Draw(rt, "tokens")),
			{ID: "most", Scope: quota.ScopeEveryone, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 3},
		}})
		w.Classify = func(*intent.View) core.Intent { return core.Intent{} }
		w.Fail = func(_ context.Context, step string) error {
			if step == "outcome" || step == "settle" || step == "void" {
				return nil // these break the promise that is checked; see TestFailuresAfterTheVerdict
			}
			return rapid.SampledFrom([]error{
				nil, nil, nil, nil, nil, nil, nil, gatetest.ErrDown, context.DeadlineExceeded,
			}).Draw(rt, "failure of "+step)
		}
		var callers []*caller
		forwarded := map[string]bool{}
		pick := func(rt *rapid.T, usable func(*caller) bool) *caller {
			var some []*caller
			for _, c := range callers {
				if usable(c) {
					some = append(some, c)
				}
			}
			if len(some) == 0 {
				rt.Skip("nobody")
			}
			return rapid.SampledFrom(some).Draw(rt, "caller")
		}
		rt.Repeat(map[string]func(*rapid.T){
			"open": func(rt *rapid.T) {
				h := chatHead()
				if rapid.IntRange(0, 9).Draw(rt, "credential") == 0 {
					h.Authorization = nil
				}
				x, reply := w.Gate.Open(t.Context(), h)
				callers = append(callers, &caller{x: x, over: reply != nil})
			},
			"admit": func(rt *rapid.T) {
				c := pick(rt, func(c *caller) bool { return !c.over && !c.forwarded })
				body := rapid.SampledFrom([]string{chatBody, chatBody, streamBody, streamBody, `{"model":`, ``}).Draw(rt, "body")
				_, reply := c.x.Admit(t.Context(), []byte(body))
				c.forwarded, c.over = reply == nil, reply != nil
				if c.forwarded {
					forwarded[c.x.ID()] = true
				}
			},
			"head": func(rt *rapid.T) {
				c := pick(rt, func(c *caller) bool { return !c.over && !c.answering })
				h := gate.AnswerHead{
					Status:      rapid.SampledFrom([]int{200, 200, 200, 400, 401, 500}).Draw(rt, "status"),
					ContentType: rapid.SampledFrom([]string{eventStream, jsonType}).Draw(rt, "type"),
				}
				if !c.forwarded || rapid.IntRange(0, 9).Draw(rt, "local") == 0 {
					h.Local = "upstream_reset"
				}
				end := rapid.IntRange(0, 9).Draw(rt, "end") == 0
				_, reply := c.x.ObserveHead(t.Context(), h, end)
				c.answering, c.over = true, reply != nil || end
			},
			"body": func(rt *rapid.T) {
				c := pick(rt, func(c *caller) bool { return !c.over && c.answering })
				chunk := rapid.SampledFrom([][]byte{
					nil, {'{'}, piece(" a word"), piece(longText), usageEvent(20, 40), usageEvent(-1, 1<<50), []byte(done), []byte(answered),
				}).Draw(rt, "chunk")
				end := rapid.IntRange(0, 4).Draw(rt, "end") == 0
				_, err := c.x.ObserveBody(t.Context(), chunk, end)
				c.over = end || err != nil
			},
			"trailers": func(rt *rapid.T) {
				c := pick(rt, func(c *caller) bool { return !c.over && c.answering })
				c.x.ObserveEnd(t.Context())
				c.over = true
			},
			"revoke": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "really") == 0 {
					w.End(core.ReasonRevokedCredential)
				}
			},
			"keep": func(rt *rapid.T) {
				if err := w.Ledger.Touch(t.Context(), w.Gate.Live()...); err != nil {
					rt.Fatal(err)
				}
			},
			"close": func(rt *rapid.T) {
				c := pick(rt, func(*caller) bool { return true })
				c.x.Close(t.Context(), core.FinishInterrupted)
				c.over = true
			},
		})
		for _, c := range callers {
			c.x.Close(t.Context(), core.FinishInterrupted)
		}
		checkModel(rt, w, forwarded)
	})
}

func checkModel(rt *rapid.T, w *gatetest.World, forwarded map[string]bool) {
	if n := w.Ledger.Pending(); n != 0 {
		rt.Errorf("%d reservations are still held", n)
	}
	if n := len(w.Gate.Live()); n != 0 {
		rt.Errorf("%d exchanges are still live", n)
	}
	kinds := map[string]map[core.RecordKind]core.Record{}
	var settled quota.Amounts
	for _, r := range w.Records() {
		if kinds[r.Exchange] == nil {
			kinds[r.Exchange] = map[core.RecordKind]core.Record{}
		}
		kinds[r.Exchange][r.Kind] = r // the fake refuses a second one
		if r.Settled != nil {
			settled = settled.Add(quota.ChargeAmounts(*r.Settled))
		}
	}
	if posted := w.Posted(); posted != settled {
		rt.Errorf("the ledger posted %+v, the records say %+v", posted, settled)
	}
	for id := range forwarded {
		_, begun := kinds[id][core.RecordIntent]
		outcome, ended := kinds[id][core.RecordOutcome]
		_, denied := kinds[id][core.RecordDeny]
		switch {
		case !begun || !ended || denied:
			rt.Errorf("a forwarded exchange has intent %t, outcome %t, deny %t", begun, ended, denied)
		case outcome.Finish == core.FinishNotForwarded || outcome.Settled.Requests != 1:
			rt.Errorf("a forwarded exchange finished %s, charged %+v", outcome.Finish, *outcome.Settled)
		}
	}
	for id, r := range kinds {
		if outcome, ended := r[core.RecordOutcome]; !forwarded[id] && ended && *outcome.Settled != (core.Charge{}) {
			rt.Errorf("an exchange that was not forwarded is charged %+v", *outcome.Settled)
		}
	}
}
