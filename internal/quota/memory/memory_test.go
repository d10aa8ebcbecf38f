package memory_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/quota/memory"
	"github.com/plumbline/plumbline/internal/quota/quotatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	quotatest.Run(t, func(_ testing.TB, now func() time.Time) quotatest.Ledger {
		return memory.New(memory.Options{Now: now, Lease: quotatest.Lease})
	})
}
