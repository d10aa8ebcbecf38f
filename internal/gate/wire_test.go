package gate_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/quota"
)

// A compressed stream reaches the caller without its compression, and is charged as any other.
func TestACompressedStreamPasses(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	x, _ := admitted(t, w, chat(`,"stream":true,"stream_options":{"include_usage":true}`))
	edits, reply := x.ObserveHead(t.Context(), gate.AnswerHead{Status: 200, ContentType: "text/event-stream", ContentEncoding: "gzip"}, false)
	if reply != nil || !slices.Contains(edits.Remove, "content-encoding") || !slices.Contains(edits.Remove, "content-length") {
		t.Fatalf("reply %v, edits %v", reply, edits)
	}
	want := string(piece("All is well")) + string(usageEvent(20, 7)) + "data: [DONE]\n\n"
	var compressed bytes.Buffer
	z := gzip.NewWriter(&compressed)
	io.WriteString(z, want)
	z.Close()
	var got []byte
	for i, b := range compressed.Bytes() {
		got = append(got, observed(t, x, []byte{b}, i == compressed.Len()-1)...)
	}
	if string(got) != want {
		t.Errorf("the caller got %q", got)
	}
	if rec := w.Record(t, core.RecordOutcome); rec.Finish != core.FinishComplete || rec.Usage.Estimated || rec.Usage.OutputTokens != 7 {
		t.Errorf("finished %s with %+v", rec.Finish, *rec.Usage)
	}
	quiet(t, w)
}

// A compressed stream whose caller leaves takes nothing with it.
func TestACompressedStreamThatIsLeft(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	x, _ := admitted(t, w, chat(`,"stream":true`))
	x.ObserveHead(t.Context(), gate.AnswerHead{Status: 200, ContentType: "text/event-stream", ContentEncoding: "zstd"}, false)
	observed(t, x, []byte{0x28}, false)
	x.Close(t.Context(), core.FinishInterrupted)
	quiet(t, w)
}

// A tier that the provider served on is what is paid.
func TestTheServedTierIsPaid(t *testing.T) {
	cost := func(tier string) core.MicroUSD {
		w := gatetest.New(t, gatetest.Options{})
		x, _ := admitted(t, w, chat(""))
		answers(t, x, jsonType)
		observed(t, x, []byte(whole+`,"service_tier":"`+tier+`","usage":{"prompt_tokens":1000,"completion_tokens":7}}`), true)
		return w.Record(t, core.RecordOutcome).Settled.Cost
	}
	if standard, priority := cost("default"), cost("priority"); priority <= standard {
		t.Errorf("priority costs %s, the default tier %s", priority, standard)
	}
}

// Callers are told how much is left, of the tighter limit.
func TestAnswersTellWhatIsLeft(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{{
		ID: "few", Scope: quota.ScopeEveryone, Dimension: quota.DimensionRequests, Window: quota.WindowMinute, Value: 10,
	}}})
	x, _ := admitted(t, w, chat(""))
	edits, _ := x.ObserveHead(t.Context(), gate.AnswerHead{Status: 200, ContentType: jsonType, RateLimits: [][2]string{
		{"x-ratelimit-limit-requests", "500"}, {"x-ratelimit-remaining-requests", "499"}, {"x-ratelimit-reset-requests", "1s"},
	}}, false)
	if !slices.Contains(edits.Set, [2]string{"x-ratelimit-remaining-requests", "9"}) ||
		!slices.ContainsFunc(edits.Set, func(h [2]string) bool { return h[0] == "ratelimit" && strings.HasPrefix(h[1], `"requests";r=9;t=`) }) {
		t.Errorf("%v", edits.Set)
	}
	observed(t, x, []byte(whole+"}"), true)
}
