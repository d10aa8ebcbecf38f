package gate_test

import (
	"context"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
)

// Somebody whose credential was good is refused by name, once in a while, and otherwise counted; nobody else is named.
func TestARefusalOfSomebodyKnownIsRecorded(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	refused := func(credential string) core.Reason {
		x, reply := w.Gate.Open(t.Context(), gate.Head{Method: "POST", Path: "/v1/chat/completions", Authorization: []string{credential}, ContentType: "application/json"})
		if reply == nil {
			t.Fatalf("%s is let in", credential)
		}
		x.Close(t.Context(), core.FinishInterrupted)
		return x.Reason()
	}
	if got := refused(gatetest.Revoked); got != core.ReasonRevokedCredential {
		t.Errorf("reason %s", got)
	}
	records := w.Records()
	if len(records) != 1 || w.Refusals() != 0 {
		t.Fatalf("%d records and %d sums of one refusal", len(records), w.Refusals())
	}
	rec := records[0]
	if rec.Kind != core.RecordDeny || rec.Principal.User != gatetest.User || rec.Reason != core.ReasonRevokedCredential || rec.Status != 401 ||
		rec.Exchange == "" || !rec.Verdict.Blocked() {
		t.Errorf("the record: %+v", rec)
	}
	refused(gatetest.Revoked)
	refused("Bearer rubbish")
	if len(w.Records()) != 1 || w.Refusals() != 2 {
		t.Errorf("%d records and %d sums of three refusals", len(w.Records()), w.Refusals())
	}
}

// A refusal that should have a record and cannot get one is answered as any that cannot be recorded.
func TestARefusalOfSomebodyKnownThatIsNotRecorded(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	w.Fail = func(_ context.Context, step string) error {
		if step == "deny" {
			return gatetest.ErrDown
		}
		return nil
	}
	_, reply := w.Gate.Open(t.Context(), gate.Head{Method: "POST", Path: "/v1/chat/completions", Authorization: []string{gatetest.Revoked}})
	if reply == nil || reply.Status != 503 {
		t.Errorf("%+v", reply)
	}
}
