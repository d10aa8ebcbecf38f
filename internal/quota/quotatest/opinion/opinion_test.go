package opinion_test

import (
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/quota/memory"
	"github.com/plumbline/plumbline/internal/quota/quotatest"
	"github.com/plumbline/plumbline/internal/quota/quotatest/opinion"
)

func TestMemory(t *testing.T) {
	opinion.Run(t, func(_ testing.TB, now func() time.Time) quotatest.Ledger {
		return memory.New(memory.Options{Now: now, Lease: quotatest.Lease})
	})
}
