package memory

import (
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/quota/quotatest"
)

func openForSuite(_ testing.TB, now func() time.Time) quotatest.Ledger {
	return New(Options{Now: now, Lease: quotatest.Lease})
}

func TestCombinations(t *testing.T) { quotatest.Combinations(t, openForSuite) }

func TestLimitsThatChangeInFlight(t *testing.T) { quotatest.Changes(t, openForSuite) }
