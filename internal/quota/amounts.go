package quota

import (
	"fmt"
	"math"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

const (
	// MaxAmount bounds what one call can hold or use in one dimension: a trillion tokens, a million dollars. It leaves
	// counters room for millions of such calls at once before an int64 could overflow.
	MaxAmount = 1 << 40
	// MaxValue bounds the value of a limit: what JSON readers and Redis scripts, which count in float64, keep exactly.
	MaxValue = 1<<53 - 1
)

// Amounts is what a call holds or used, in every dimension. Total tokens are the sum of both kinds.
type Amounts struct {
	Requests     int64
	InputTokens  int64
	OutputTokens int64
	Cost         core.MicroUSD
}

// ChargeAmounts gives the amounts of a charge from the records.
func ChargeAmounts(c core.Charge) Amounts {
	return Amounts{Requests: c.Requests, InputTokens: c.InputTokens, OutputTokens: c.OutputTokens, Cost: c.Cost}
}

// Charge gives the amounts as the records keep them. Admitted is when the reservation was made.
func (a Amounts) Charge(admitted time.Time) core.Charge {
	return core.Charge{
		Admitted: admitted, Requests: a.Requests, InputTokens: a.InputTokens, OutputTokens: a.OutputTokens, Cost: a.Cost,
	}
}

// Validate returns ErrAmount, wrapped, if an amount is below zero or above MaxAmount.
func (a Amounts) Validate() error {
	for _, v := range [...]int64{a.Requests, a.InputTokens, a.OutputTokens, int64(a.Cost)} {
		if v < 0 || v > MaxAmount {
			return fmt.Errorf("%w: %d", ErrAmount, v)
		}
	}
	return nil
}

// Add gives a plus b. The sum of two valid amounts does not overflow, but may be above MaxAmount.
func (a Amounts) Add(b Amounts) Amounts {
	return Amounts{
		Requests:     a.Requests + b.Requests,
		InputTokens:  a.InputTokens + b.InputTokens,
		OutputTokens: a.OutputTokens + b.OutputTokens,
		Cost:         a.Cost + b.Cost,
	}
}

// Above gives what a has above b, nothing in a dimension where it has no more.
func (a Amounts) Above(b Amounts) Amounts {
	return Amounts{
		Requests:     max(a.Requests-b.Requests, 0),
		InputTokens:  max(a.InputTokens-b.InputTokens, 0),
		OutputTokens: max(a.OutputTokens-b.OutputTokens, 0),
		Cost:         max(a.Cost-b.Cost, 0),
	}
}

// AtLeast gives the larger of a and b in each dimension.
func (a Amounts) AtLeast(b Amounts) Amounts { return a.Add(b.Above(a)) }

// Exceeds reports whether a is above b in any dimension.
func (a Amounts) Exceeds(b Amounts) bool {
	return a.Requests > b.Requests || a.InputTokens > b.InputTokens || a.OutputTokens > b.OutputTokens || a.Cost > b.Cost
}

// In gives what a adds up to in a dimension. It is 0 for concurrency, of which a reservation holds one from Reserve on
// whatever its amounts.
func (a Amounts) In(d Dimension) int64 {
	switch d {
	case DimensionRequests:
		return a.Requests
	case DimensionInputTokens:
		return a.InputTokens
	case DimensionOutputTokens:
		return a.OutputTokens
	case DimensionTokens:
		return a.InputTokens + a.OutputTokens
	case DimensionCost:
		return int64(a.Cost)
	default:
		return 0
	}
}

// SaturatingAdd adds two counts that are not negative and stops at the largest int64.
func SaturatingAdd(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Wanted gives what a reservation of a wants under the limit, which is one of concurrency.
func (l *Limit) Wanted(a Amounts) int64 {
	if l.Dimension == DimensionConcurrency {
		return 1
	}
	return a.In(l.Dimension)
}

// HasRoom reports whether more fits under the limit. Nothing always fits, also where a lowered limit is exceeded.
func (s *Standing) HasRoom(more int64) bool {
	return more == 0 || more <= s.Limit.Value-s.Used
}
