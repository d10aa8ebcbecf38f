package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/quota"
)

// A report that cannot be true is none; what was delivered is counted then, never nothing and never above the hold.
func TestUsageOfTheProvider(t *testing.T) {
	for name, c := range map[string]struct {
		usage     string
		estimated bool
		output    int64
	}{
		"a good report":     {`,"usage":{"prompt_tokens":20,"completion_tokens":7}`, false, 7},
		"above the hold":    {`,"usage":{"prompt_tokens":20,"completion_tokens":90000}`, false, 90000},
		"none":              {``, true, 7},
		"null":              {`,"usage":null`, true, 7},
		"negative":          {`,"usage":{"prompt_tokens":20,"completion_tokens":-7}`, true, 7},
		"a negative prompt": {`,"usage":{"prompt_tokens":-20,"completion_tokens":7}`, true, 7},
		"absurdly large":    {`,"usage":{"prompt_tokens":20,"completion_tokens":9223372036854775807}`, true, 7},
		"nothing at all":    {`,"usage":{"prompt_tokens":0,"completion_tokens":0}`, true, 7},
		"of another type":   {`,"usage":"a lot"`, true, 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := gatetest.New(t, gatetest.Options{})
			x, _ := admitted(t, w, chat(""))
			answers(t, x, jsonType)
			observed(t, x, []byte(whole+c.usage+"}"), true)
			rec := w.Record(t, core.RecordOutcome)
			if rec.Usage.Estimated != c.estimated || rec.Usage.OutputTokens != c.output || rec.Usage.InputTokens <= 0 {
				t.Errorf("usage %+v, want estimated %t and %d output tokens", *rec.Usage, c.estimated, c.output)
			}
			if rec.Settled.Requests != 1 || rec.Settled.OutputTokens != c.output || rec.Settled.Cost <= 0 {
				t.Errorf("charged %+v", *rec.Settled)
			}
			if held := w.Record(t, core.RecordIntent).Reserved; c.estimated && quota.ChargeAmounts(*rec.Settled).Exceeds(quota.ChargeAmounts(*held)) {
				t.Errorf("charged %+v above %+v held", *rec.Settled, *held)
			}
			quiet(t, w)
		})
	}
}

// The estimate stays within the hold whatever was delivered.
func TestEstimateIsNeverAboveTheHold(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	x, _ := admitted(t, w, chat(`,"max_completion_tokens":5`))
	answers(t, x, jsonType)
	observed(t, x, []byte(strings.Replace(whole, "All is well", strings.Repeat("word ", 500), 1)+"}"), true)
	rec := w.Record(t, core.RecordOutcome)
	if rec.Settled.OutputTokens != 5 || !rec.Usage.Estimated {
		t.Errorf("charged %+v of a hold of 5", *rec.Settled)
	}
	if w.Ledger.Overruns() != 0 {
		t.Error("an estimate went over its hold")
	}
}

func TestAFailedAnswerIsChargedAsARequestOnly(t *testing.T) {
	for _, status := range []int{400, 401, 429, 500, 503} {
		w := gatetest.New(t, gatetest.Options{})
		x, _ := admitted(t, w, chat(""))
		if _, reply := x.ObserveHead(t.Context(), gate.AnswerHead{Status: status, ContentType: jsonType}, false); reply == nil {
			observed(t, x, []byte(`{"error":{"message":"no"},"usage":{"prompt_tokens":9,"completion_tokens":9}}`), true)
		}
		rec := w.Record(t, core.RecordOutcome)
		if got, want := w.Posted(), (quota.Amounts{Requests: 1}); got != want || rec.Finish != core.FinishUpstreamError {
			t.Errorf("%d: charged %+v and finished %s, want %+v and upstream_error", status, got, rec.Finish, want)
		}
		quiet(t, w)
	}
}

// The provider's refusals of Plumbline's key, and Envoy's own replies, do not reach the caller as they are.
func TestAnswersThatAreReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		head   gate.AnswerHead
		status int
		reason core.Reason
	}{
		"401":               {gate.AnswerHead{Status: 401, ContentType: jsonType}, 502, core.ReasonUpstreamRejected},
		"403":               {gate.AnswerHead{Status: 403, ContentType: jsonType}, 502, core.ReasonUpstreamRejected},
		"provider down":     {gate.AnswerHead{Status: 503, Local: "upstream_reset_before_response_started{connection_failure}"}, 502, core.ReasonUpstreamError},
		"provider too slow": {gate.AnswerHead{Status: 504, Local: "upstream_response_timeout"}, 504, core.ReasonUpstreamTimeout},
		"an unasked switch": {gate.AnswerHead{Status: 101}, 502, core.ReasonUpstreamError},
	} {
		t.Run(name, func(t *testing.T) {
			w := gatetest.New(t, gatetest.Options{})
			x, _ := admitted(t, w, chat(""))
			_, reply := x.ObserveHead(t.Context(), c.head, false)
			refusedWith(t, reply, c.status, c.reason)
			if rec := w.Record(t, core.RecordOutcome); rec.Status != reply.Status {
				t.Errorf("the record says status %d, the caller saw %d", rec.Status, reply.Status)
			}
			quiet(t, w)
		})
	}
}

func TestHeadersOfRequestAndAnswer(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	x, a := admitted(t, w, chat(""))
	for _, name := range []string{
		"authorization", "api-key", "x-api-key", "cookie", "openai-organization", "openai-project",
		"x-forwarded-client-cert", "x-forwarded-user", "x-forwarded-email", "x-plumbline-user", "x-user",
	} {
		if !slices.Contains(a.Headers.Remove, name) {
			t.Errorf("%s reaches the provider", name)
		}
	}
	want := [][2]string{{"accept-encoding", "identity"}, {"authorization", "Bearer " + gatetest.Key}}
	if !slices.Equal(a.Headers.Set, want) {
		t.Errorf("set %q, want %q", a.Headers.Set, want)
	}
	if a.Body != nil {
		t.Errorf("the body was changed without need: %s", a.Body)
	}
	edits := answers(t, x, jsonType)
	for _, name := range []string{"set-cookie", "openai-organization", "openai-project"} {
		if !slices.Contains(edits.Remove, name) {
			t.Errorf("%s reaches the caller", name)
		}
	}
	if !slices.Contains(edits.Set, [2]string{"x-plumbline-request-id", x.ID()}) {
		t.Errorf("the caller is not told the request's id: %q", edits.Set)
	}
	x.Close(t.Context(), core.FinishInterrupted)

	w = gatetest.New(t, gatetest.Options{Change: func(o *gate.Options) { o.ProviderKey = nil }})
	x, a = admitted(t, w, chat(""))
	x.Close(t.Context(), core.FinishInterrupted)
	if !slices.Equal(a.Headers.Set, want[:1]) {
		t.Errorf("set %q where Envoy injects the key", a.Headers.Set)
	}
}

func TestModelsListIsFiltered(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{Policy: "version: 1\nmodels:\n  allow: [gpt-4o*]\n"})
	x, reply := w.Gate.Open(t.Context(), gate.Head{Method: "GET", Path: "/v1/models", Authorization: []string{gatetest.Credential}})
	if reply != nil {
		t.Fatalf("refused: %s", reply.Body)
	}
	if _, reply = x.Admit(t.Context(), nil); reply != nil {
		t.Fatalf("refused: %s", reply.Body)
	}
	if edits := answers(t, x, jsonType); !slices.Contains(edits.Remove, "content-length") {
		t.Error("the length of the whole list is announced for a part of it")
	}
	const list = `{"object":"list","data":[{"id":"gpt-4o-mini","object":"model"},{"id":"o3","object":"model"}]}`
	got := observed(t, x, []byte(list[:30]), false)
	got = append(got, observed(t, x, []byte(list[30:]), true)...)
	if s := string(got); !strings.Contains(s, "gpt-4o-mini") || strings.Contains(s, "o3") || !json.Valid(got) {
		t.Errorf("the caller sees %s", s)
	}
	if rec := w.Record(t, core.RecordOutcome); rec.Settled != nil || rec.Finish != core.FinishComplete {
		t.Errorf("the record is %+v", rec)
	}
	quiet(t, w)
}

// The room of a stream grows by whole slabs and by exact cost: no stream goes over its hold, also when chunks are large.
func TestStreamsExtendBeforeTheyDeliver(t *testing.T) {
	for _, words := range []int{1, 7, 300, 5000} {
		t.Run(fmt.Sprint(words), func(t *testing.T) {
			w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{
				{ID: "cost", Scope: quota.ScopeUser, Dimension: quota.DimensionCost, Window: quota.WindowDay, Value: 1_000_000},
			}})
			x, _ := admitted(t, w, chat(streaming))
			answers(t, x, eventStream)
			for sent := 0; sent < 6000; sent += words {
				observed(t, x, piece(strings.Repeat(" word", words)), false)
			}
			x.Close(t.Context(), core.FinishInterrupted)
			rec := w.Record(t, core.RecordOutcome)
			if rec.Settled.OutputTokens < 6000 {
				t.Errorf("6,000 words were delivered and %d tokens charged", rec.Settled.OutputTokens)
			}
			if n := w.Ledger.Overruns(); n != 0 {
				t.Errorf("%d settlements went over their hold", n)
			}
			quiet(t, w)
		})
	}
}

// The cost held is that of the tokens held, however many slabs it grew by: rounding must not leave it short.
func TestCostHeldIsThatOfTheTokensHeld(t *testing.T) {
	for n := range 12 {
		w := gatetest.New(t, gatetest.Options{})
		x, _ := admitted(t, w, fmt.Appendf(nil, `{"model":"gpt-4o-mini","stream":true,"max_tokens":%d,"messages":[{"role":"user","content":%q}]}`,
			n+1, strings.Repeat("a b ", n+1)))
		answers(t, x, eventStream)
		for range 2100 {
			observed(t, x, piece(" word"), false)
		}
		// The provider reports as much as is held.
		held := w.Record(t, core.RecordIntent).Reserved
		observed(t, x, usageEvent(held.InputTokens, held.OutputTokens+2*quota.StreamSlab+quota.StreamSlab), false)
		observed(t, x, []byte(done), true)
		if w.Record(t, core.RecordOutcome).Settled.OutputTokens == held.OutputTokens+3*quota.StreamSlab && w.Ledger.Overruns() != 0 {
			t.Errorf("%d: what was held in tokens cost more than was held in money", n)
		}
		quiet(t, w)
	}
}

func TestCutByQuota(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{outputTokens(300)}})
	x := cut(false)(t, w)
	// What the provider goes on to say reaches nobody and is nobody's.
	if out := observed(t, x, piece(" more"), false); len(out) != 0 {
		t.Errorf("after the cut the caller got %q", out)
	}
	observed(t, x, usageEvent(20, 900), false)
	if out := observed(t, x, []byte(done), true); len(out) != 0 {
		t.Errorf("after the cut the caller got %q", out)
	}
	rec := w.Record(t, core.RecordOutcome)
	if rec.Finish != core.FinishCut || rec.Reason != core.ReasonQuotaExhausted {
		t.Errorf("finished %s for %s", rec.Finish, rec.Reason)
	}
	if rec.Settled.OutputTokens != 300 || rec.UnattributedTokens != 600 {
		t.Errorf("%d charged and %d unattributed, want 300 and 600", rec.Settled.OutputTokens, rec.UnattributedTokens)
	}
	quiet(t, w)
}

func TestCutByRevocation(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	x, _ := admitted(t, w, chat(streaming))
	answers(t, x, eventStream)
	observed(t, x, piece("All is"), false)
	w.End(core.ReasonRevokedCredential)
	out := string(observed(t, x, piece(" well"), false))
	if strings.Contains(out, "well") || !strings.HasSuffix(out, done) || !strings.Contains(out, "content_filter") {
		t.Errorf("the caller got %q, want a polite end", out)
	}
	x.Close(t.Context(), core.FinishInterrupted)
	rec := w.Record(t, core.RecordOutcome)
	if rec.Finish != core.FinishCut || rec.Reason != core.ReasonRevokedCredential || rec.Settled.OutputTokens == 0 {
		t.Errorf("the record is %s for %s, charged %+v", rec.Finish, rec.Reason, rec.Settled)
	}
	quiet(t, w)
}

// A stream whose end is in the piece at hand is not cut: it could not be ended politely any more.
func TestTheEndOfAStreamIsNotCut(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	x, _ := admitted(t, w, chat(streaming))
	answers(t, x, eventStream)
	w.End(core.ReasonRevokedCredential)
	last := append(piece("All is well"), done...)
	if out := observed(t, x, last, false); string(out) != string(last) {
		t.Errorf("the caller got %q", out)
	}
	observed(t, x, nil, true)
	if rec := w.Record(t, core.RecordOutcome); rec.Finish != core.FinishComplete {
		t.Errorf("finished %s", rec.Finish)
	}
}

func TestLedgerThatFailsInMidStreamCuts(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{outputTokens(1 << 30)}})
	w.Fail = func(_ context.Context, step string) error {
		if step == "extend" {
			return gatetest.ErrDown
		}
		return nil
	}
	x, _ := admitted(t, w, chat(streaming+`,"max_tokens":3`))
	answers(t, x, eventStream)
	for range 20 {
		observed(t, x, piece(" word"), false)
	}
	x.Close(t.Context(), core.FinishInterrupted)
	if rec := w.Record(t, core.RecordOutcome); rec.Finish != core.FinishCut || rec.Reason != core.ReasonGovernanceDown {
		t.Errorf("finished %s for %s", rec.Finish, rec.Reason)
	}
	quiet(t, w)
}

func TestAProviderThatGoesOnAfterTheCutIsReset(t *testing.T) {
	revoked := func(t *testing.T, bytes int64) (*gatetest.World, *gate.Exchange) {
		w := gatetest.New(t, gatetest.Options{Change: func(o *gate.Options) {
			o.CutGraceTime, o.CutGraceBytes = 10*time.Second, bytes
		}})
		x, _ := admitted(t, w, chat(streaming))
		answers(t, x, eventStream)
		w.End(core.ReasonUserBlocked)
		observed(t, x, piece("All"), false)
		return w, x
	}
	t.Run("bytes", func(t *testing.T) {
		chunk := piece("more")
		w, x := revoked(t, int64(2*len(chunk)))
		observed(t, x, chunk, false)
		observed(t, x, chunk, false)
		if _, err := x.ObserveBody(t.Context(), chunk, false); !errors.Is(err, gate.ErrCutOver) {
			t.Errorf("error %v, want ErrCutOver", err)
		}
		x.Close(t.Context(), core.FinishInterrupted)
		quiet(t, w)
	})
	t.Run("time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, x := revoked(t, 1<<20)
			time.Sleep(10 * time.Second) //nolint:forbidigo // the clock of the bubble
			observed(t, x, piece("more"), false)
			time.Sleep(time.Nanosecond) //nolint:forbidigo // the clock of the bubble
			if _, err := x.ObserveBody(t.Context(), piece("more"), false); !errors.Is(err, gate.ErrCutOver) {
				t.Errorf("error %v, want ErrCutOver", err)
			}
			x.Close(t.Context(), core.FinishInterrupted)
			quiet(t, w)
		})
	})
}
