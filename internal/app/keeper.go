package app

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/telemetry"
)

const (
	// lease is how long a reservation lives that nobody renews. It is longer than closeTimeout and keepInterval together, so
	// that an exchange whose caller is gone can still close in order.
	lease = 30 * time.Second
	// keepInterval renews each lease thrice in its length: one failure ends nothing.
	keepInterval = lease / 3
	// touchBatch bounds what one call renews, so that the ledger serves requests in between.
	touchBatch = 1000
)

// keeper renews the leases of what is in flight and ends the reservations that nobody will close.
type keeper struct {
	ledger   quota.Ledger
	live     func() []quota.Progress
	interval time.Duration
	metrics  *telemetry.Metrics
	log      *slog.Logger
}

// run keeps leases until ctx ends.
func (k *keeper) run(ctx context.Context) error {
	return every(ctx, k.interval, func() { k.keep(ctx) })
}

// keep renews first, and ends nothing when that fails: whatever keeps it from running in time, a process that was stopped
// for an hour among it, costs no exchange in flight its reservation. For the same reason leases are measured against the
// time before.
func (k *keeper) keep(ctx context.Context) {
	now := time.Now()
	for batch := range slices.Chunk(k.live(), touchBatch) {
		if err := k.ledger.Touch(ctx, batch...); err != nil {
			k.metrics.FailedClosed("ledger_touch")
			k.log.Error("leases of reservations could not be renewed", "reservations", len(batch), "error", err)
			return
		}
	}
	expired, err := k.ledger.Expire(ctx, now)
	if err != nil {
		k.metrics.FailedClosed("ledger_expire")
		k.log.Error("reservations without a lease could not be ended", "error", err)
		return
	}
	k.metrics.QuotaExpired(len(expired))
	for _, id := range expired {
		k.log.Error("a reservation was ended by its lease, since nobody closed its exchange; it is charged its last progress", "exchange", id)
	}
}
