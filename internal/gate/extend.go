package gate

import (
	"context"
	"errors"
	"sort"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

// extend takes room for output that a stream lacks, by whole slabs; when no slab fits, by what is left. It gives the reason
// to cut the stream when there is not even that.
func (x *Exchange) extend(ctx context.Context, missing int64) core.Reason {
	slabs := (missing + quota.StreamSlab - 1) / quota.StreamSlab * quota.StreamSlab
	refused := x.takeMore(ctx, slabs)
	var exhausted *quota.ExhaustedError
	if errors.As(refused, &exhausted) {
		if rest := x.left(exhausted, slabs); rest >= missing {
			refused = x.takeMore(ctx, rest)
		}
	}
	switch {
	case refused == nil:
		return ""
	case errors.As(refused, &exhausted):
		l := exhausted.Standing.Limit
		x.gate.o.Metrics.QuotaRefused(string(l.Scope), string(l.Dimension))
		x.answer.lack = x.explainCut(exhausted)
		return core.ReasonQuotaExhausted
	case !x.limited(slabs):
		// No limit could have ended it. What the ledger does not hold is booked in full when it is settled.
		x.hold.reservation.Held = x.hold.reservation.Held.Add(x.more(slabs))
		x.gate.o.Log.Warn("a stream under no hard limit goes on beyond its reservation, which could not be extended",
			"exchange", x.id, "error", refused)
		return ""
	}
	x.gate.o.Metrics.FailedClosed("ledger_extend")
	x.gate.o.Log.Error("a stream is cut: its reservation could not be extended", "exchange", x.id, "error", refused)
	return core.AsError(refused).Reason
}

// takeMore asks the ledger once for more output.
func (x *Exchange) takeMore(ctx context.Context, output int64) error {
	reservation, err := x.gate.o.Ledger.Extend(ctx, x.id, x.hold.reservation.Held.Add(x.more(output)))
	if err == nil {
		x.hold.reservation = reservation
	}
	return err
}

// more is what so much more output takes. The cost held stays that of the tokens held: the price of the output alone would be
// rounded up each time, and would not know of a long input, which makes it dearer.
func (x *Exchange) more(output int64) quota.Amounts {
	held := x.hold.reservation.Held
	return quota.Amounts{OutputTokens: output, Cost: x.cost(held.InputTokens, held.OutputTokens+output) - held.Cost}
}

// left is how much output, up to most, the limit that refused has room for.
func (x *Exchange) left(e *quota.ExhaustedError, most int64) int64 {
	d := e.Standing.Limit.Dimension
	return int64(sort.Search(int(most), func(n int) bool { return !e.Standing.HasRoom(x.more(int64(n) + 1).In(d)) }))
}

// limited reports whether a hard limit counts what more output takes.
func (x *Exchange) limited(output int64) bool {
	more := x.more(output)
	for i := range x.hold.reservation.Standings {
		if l := x.hold.reservation.Standings[i].Limit; l.Hard() && more.In(l.Dimension) > 0 {
			return true
		}
	}
	return false
}
