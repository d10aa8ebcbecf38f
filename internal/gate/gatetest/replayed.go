package gatetest

import (
	"context"
	"testing"
	"time"

	auditlog "github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/replay"
)

// replays checks that every verdict that was recorded is what its policy decides on the facts of its record: every test of a
// gate tests that as well.
func (w *World) replays(t testing.TB) {
	w.mu.Lock()
	policies := w.policies
	w.mu.Unlock()
	var same, replayed int64
	for _, p := range policies {
		report, err := replay.Run(context.Background(), recorded(w.Records()), replay.Options{Policy: p})
		if err != nil {
			t.Error(err)
			return
		}
		for _, d := range report.Same.Examples {
			t.Errorf("the record of %s holds the verdict %+v, its replay gives %+v", d.Exchange, d.Recorded, d.Replayed)
		}
		for _, c := range report.NotReplayed {
			if c.Cause != replay.CauseBeforeFacts && c.Cause != replay.CauseUndecided {
				t.Errorf("%d records cannot be replayed: %s", c.Calls, c.Cause)
			}
		}
		same += report.Same.Records
		replayed = report.Replayed
	}
	if same != replayed {
		t.Errorf("%d of %d verdicts were recorded under a policy that was in force", same, replayed)
	}
}

// recorded is what the audit took, as a log gives it.
type recorded []core.Record

func (r recorded) Records(_ context.Context, _, _ time.Time, fn func(core.RecordKind, []byte) error) error {
	for _, rec := range r {
		canonical, err := auditlog.Canonical(rec)
		if err != nil {
			return err
		}
		if err := fn(rec.Kind, canonical); err != nil {
			return err
		}
	}
	return nil
}

// inForce keeps a policy that is or was in force. The lock is held.
func (w *World) inForce(p *policy.Snapshot) {
	w.policy = p
	w.policies[p.Version()] = p
}
