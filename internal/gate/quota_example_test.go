package gate_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/quota"
)

// The worked example of docs/explanation/quota.md is what happens: each of its rows is made here.
func TestWorkedExampleOfTheDocumentation(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "explanation", "quota.md"))
	if err != nil {
		t.Fatal(err)
	}
	limits := []quota.Limit{
		{ID: "ann-tokens", Scope: quota.ScopeUser, Subject: gatetest.User, Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: 5000},
		{ID: "each-cost", Scope: quota.ScopeUser, Dimension: quota.DimensionCost, Window: quota.WindowMonth, Value: 1_000_000},
	}
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) // far from the end of a day
	w := gatetest.New(t, gatetest.Options{Limits: limits, Change: func(o *gate.Options) { o.Now = func() time.Time { return now } }})
	row := func(what string) {
		t.Helper()
		subject := quota.Subject{User: gatetest.User, Team: "support", Model: "gpt-4o-mini"}
		standings, err := w.Ledger.Standings(t.Context(), subject, w.Limits(), now)
		if err != nil {
			t.Fatal(err)
		}
		cells := "| " + what + " |"
		for _, s := range standings {
			d := s.Limit.Dimension
			cells += fmt.Sprintf(" %s | %s |", d.Figure(s.Posted), d.Figure(s.Used-s.Posted))
		}
		if !strings.Contains(string(page), cells) {
			t.Errorf("docs/explanation/quota.md does not hold the row\n%s", cells)
		}
	}
	words := func(n int) []byte { return piece(strings.Repeat(" word", n)) }

	stream, _ := admitted(t, w, chat(streaming))
	row("1. reserve the stream")
	answers(t, stream, "text/event-stream")
	for _, n := range []int{1000, 500} {
		if p, err := stream.ObserveBody(t.Context(), words(n), false); err != nil || p.Replace {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	row("2. extend it at 1,500 tokens")
	if _, err := stream.ObserveBody(t.Context(), append(usageEvent(380, 1730), "data: [DONE]\n\n"...), true); err != nil {
		t.Fatal(err)
	}
	stream.Close(t.Context(), core.FinishComplete)
	row("3. settle it")

	whole, a := admitted(t, w, chat(""))
	row("4. reserve the rest")
	var sent struct {
		Max int64 `json:"max_completion_tokens"`
	}
	if err := json.Unmarshal(a.Body, &sent); err != nil || !strings.Contains(string(page), "`max_completion_tokens: "+quota.Grouped(sent.Max)+"`") {
		t.Errorf("a maximum of %s was written into the request (%v)", quota.Grouped(sent.Max), err)
	}
	refused := opened(t, w)
	_, reply := refused.Admit(t.Context(), chat(""))
	if reply == nil || reply.Status != 429 {
		t.Fatalf("while the rest is held: %+v", reply)
	}
	refused.Close(t.Context(), core.FinishInterrupted)
	answers(t, whole, "application/json")
	body := `{"id":"c","model":"gpt-4o-mini","choices":[{"index":0,"message":{"content":"Yes."},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":20,"completion_tokens":600,"total_tokens":620}}`
	if _, err := whole.ObserveBody(t.Context(), []byte(body), true); err != nil {
		t.Fatal(err)
	}
	row("5. settle that")

	gone, _ := admitted(t, w, chat(streaming))
	answers(t, gone, "text/event-stream")
	if _, err := gone.ObserveBody(t.Context(), words(100), false); err != nil {
		t.Fatal(err)
	}
	gone.Close(t.Context(), core.FinishInterrupted)
	row("6. a caller leaves after 100 tokens")
}
