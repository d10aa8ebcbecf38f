package audit_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// exchangeID is an id of the form that exchanges have.
func exchangeID(i int) string { return fmt.Sprintf("0195%08x-7000-8000-000000000000", i) }

// intentRecord is what is written before exchange i is forwarded, of the usual size.
func intentRecord(i int) core.Record {
	at := start.Add(time.Duration(i) * time.Millisecond)
	return core.Record{
		Kind: core.RecordIntent, Time: at, Exchange: exchangeID(i), Trace: strings.Repeat("4b", 16),
		Principal: core.Principal{
			User: fmt.Sprintf("user-%d", i%50), Team: fmt.Sprintf("team-%d", i%5), App: "assistant",
			Method: core.MethodAppKey, Credential: "key-7",
		},
		Source: "192.0.2.7", Endpoint: "chat", Model: "gpt-4o-mini", PolicyVersion: "p-1f3a", PriceVersion: "2026-02-01",
		Intent: &core.Intent{
			Label: "banking", Confidence: 0.91, Model: "clinc-1",
			Top: []core.LabelScore{{Label: "banking", P: 0.91}, {Label: "travel", P: 0.05}, {Label: "work", P: 0.01}},
		},
		Deviation: &core.Deviation{Score: 0.12, Task: "task-3", Phrase: "monthly statements", Model: "lin-1"},
		Verdict:   &core.Verdict{Action: core.ActionAllow, Decided: core.ActionAllow, Reason: core.ReasonNone},
		Reason:    core.ReasonNone,
		Facts:     json.RawMessage(`{"v":1,"at":"2026-03-01T12:00:00Z","model":"gpt-4o-mini","note":"<a&b>` + strings.Repeat("x", 500) + `"}`),
		Reserved:  &core.Charge{Admitted: at, Requests: 1, InputTokens: 500, OutputTokens: 256, Cost: 228},
	}
}

// outcomeRecord is how exchange i ended.
func outcomeRecord(i int) core.Record {
	in := intentRecord(i)
	return core.Record{
		Kind: core.RecordOutcome, Time: in.Time.Add(time.Second), Exchange: in.Exchange, Trace: in.Trace, Principal: in.Principal,
		Source: in.Source, Endpoint: in.Endpoint, Model: in.Model, ServedModel: "gpt-4o-mini-2024-07-18", Status: 200,
		PriceVersion: in.PriceVersion, Finish: core.FinishComplete, Reason: core.ReasonNone,
		Usage:       &core.Usage{InputTokens: 480, OutputTokens: 100 + int64(i%7)},
		Settled:     &core.Charge{Admitted: in.Time, Requests: 1, InputTokens: 480, OutputTokens: 100 + int64(i%7), Cost: 132},
		StageMicros: map[string]int64{"identity": 12, "wire": 40, "intent": 80, "deviation": 60, "policy": 4, "ledger": 5, "audit": 90},
	}
}
