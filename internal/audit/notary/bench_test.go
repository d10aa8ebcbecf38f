package notary_test

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/internal/core"
)

// BenchmarkVerify verifies a log of exchanges against the checkpoints in it and at the second place, its indexes included.
func BenchmarkVerify(b *testing.B) {
	const exchanges = 15_000
	w := newWorld(b)
	var group errgroup.Group
	for caller := range 16 {
		group.Go(func() error {
			for i := caller; i < exchanges; i += 16 {
				in := exchange(i)
				if err := w.log.Append(b.Context(), in); err != nil {
					return err
				}
				in.Kind, in.Settled, in.Facts, in.Verdict = core.RecordOutcome, in.Reserved, nil, nil
				if err := w.log.Append(b.Context(), in); err != nil {
					return err
				}
			}
			return nil
		})
	}
	must(b, group.Wait())
	w.record(0)
	must(b, w.notary.Finish(b.Context()))
	b.ReportAllocs()
	for b.Loop() {
		if report, err := w.verify(); err != nil || report.FixedOutside != 2*exchanges {
			b.Fatalf("%+v, %v", report, err)
		}
	}
	b.ReportMetric(float64(b.N)*2*exchanges/b.Elapsed().Seconds(), "records/s")
}

// exchange is an intent of the usual size.
func exchange(i int) core.Record {
	at := start.Add(time.Duration(i) * time.Millisecond)
	return core.Record{
		Kind: core.RecordIntent, Time: at, Exchange: fmt.Sprintf("0195%08x-7000-8000-000000000000", i),
		Principal: core.Principal{User: fmt.Sprintf("user-%d", i%50), Team: fmt.Sprintf("team-%d", i%5), App: "assistant"},
		Source:    "192.0.2.7", Endpoint: "chat", Model: "gpt-4o-mini", PolicyVersion: "p-1f3a",
		Intent:    &core.Intent{Label: "banking", Confidence: 0.91, Model: "clinc-1"},
		Deviation: &core.Deviation{Score: float64(i%11) / 10, Task: "task-3", Phrase: "monthly statements", Model: "lin-1"},
		Verdict:   &core.Verdict{Action: core.ActionAllow, Decided: core.ActionAllow, Reason: core.ReasonNone},
		Reason:    core.ReasonNone,
		Facts:     []byte(fmt.Sprintf(`{"v":1,"note":"%0500d"}`, i)),
		Reserved:  &core.Charge{Admitted: at, Requests: 1, InputTokens: 500, OutputTokens: 256, Cost: 228},
	}
}
