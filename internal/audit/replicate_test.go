package audit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/plumbline/plumbline/internal/audit"
)

// TestRefusedIsNotUnknown: whoever is refused since the other store hangs must not take it for an intent that may be in the
// log, as one is whose own time ended: an outcome would then be recorded of what never began, and no refusal.
func TestRefusedIsNotUnknown(t *testing.T) {
	log := openLog(t, audit.Options{Durability: audit.Replicated})
	log.Shipping(fmt.Errorf("no answer within 10s: %w", context.DeadlineExceeded))
	err := log.Append(t.Context(), intentRecord(1))
	if !errors.Is(err, audit.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		t.Errorf("refused with %v", err)
	}
	if end, err := log.End(t.Context()); err != nil || end != 0 {
		t.Errorf("%d records, %v", end, err)
	}
}
