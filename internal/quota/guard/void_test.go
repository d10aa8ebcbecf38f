package guard

import (
	"errors"
	"testing"

	"github.com/plumbline/plumbline/internal/quota"
)

// TestVoidOfAFailedCallIsUnknown: of each call that is refused while the shared ledger is away the gate voids what may be
// held. That is no failure to be told of each time, and what is held all the same is let go later.
func TestVoidOfAFailedCallIsUnknown(t *testing.T) {
	w := newWorld(t, 1, limit("money", quota.DimensionCost, 100))
	w.fault = func(op string) fault {
		if op == "reserve" {
			return postponed
		}
		return refused
	}
	if _, err := w.reserve(t, 0, "a", 0, 10); err == nil {
		t.Fatal("admitted without the ledger")
	}
	if err := w.replicas[0].Void(t.Context(), "a"); !errors.Is(err, quota.ErrUnknown) {
		t.Errorf("void: %v", err)
	}
	w.arrive() // it is held after all
	w.stands(t, 0, 1)
	w.back()
	w.passes(t, 25) // two looks at what it owns, ten seconds apart
	w.stands(t, 0, 0)
}
