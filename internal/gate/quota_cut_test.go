package gate_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/quota"
)

// The last chunk of a stream that is cut for quota says which limit it was, its numbers and its reset, also where a slab
// is more than the whole limit.
func TestACutForQuotaSaysWhichLimitTheNumbersAndTheReset(t *testing.T) {
	day := quota.Limit{ID: "out-day", Scope: quota.ScopeUser, Dimension: quota.DimensionOutputTokens, Window: quota.WindowDay, Value: 1000}
	w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{day}})
	x, _ := admitted(t, w, chat(streaming+`,"max_tokens":1000`))
	defer x.Close(t.Context(), core.FinishInterrupted)
	answers(t, x, "text/event-stream")
	p, err := x.ObserveBody(t.Context(), piece(strings.Repeat(" word", 1500)), false)
	if err != nil || !p.Replace {
		t.Fatalf("the stream was not cut: %+v, %v", p, err)
	}
	data, _, _ := bytes.Cut(bytes.TrimPrefix(p.Body, []byte("data: ")), []byte("\n"))
	var last struct {
		Plumbline struct {
			Reason  core.Reason   `json:"reason"`
			Limit   core.Shortage `json:"limit"`
			ResetAt time.Time     `json:"reset_at"`
			ResetIn int64         `json:"reset_in_seconds"`
		} `json:"plumbline"`
	}
	if err := json.Unmarshal(data, &last); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	got := last.Plumbline
	want := core.Shortage{Limit: "out-day", Dimension: "output_tokens", Window: "day", Value: 1000, Used: 1000, Wanted: quota.StreamSlab}
	if got.Reason != core.ReasonQuotaExhausted || got.Limit != want || time.Until(got.ResetAt) > 24*time.Hour || got.ResetIn <= 0 || got.ResetIn > 86_400 {
		t.Errorf("the last chunk says %+v, want the limit %+v and its reset", got, want)
	}
}
