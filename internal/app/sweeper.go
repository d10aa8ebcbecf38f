package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/telemetry"
)

const (
	// responseLife is how long it is known whose a response is: the provider deletes responses after 30 days.
	responseLife = 32 * 24 * time.Hour
	// mostOwned is how many objects of one kind one user or app is known to own, the newest. A million are 260 MB.
	mostOwned = 100_000
	// sweepInterval is the time between two sweeps. Until the next one, more than mostOwned are kept.
	sweepInterval = 10 * time.Minute
)

// sweeper keeps what is known of objects at the provider within bounds.
type sweeper struct {
	objects store.Ownership
	metrics *telemetry.Metrics
	log     *slog.Logger
}

// run sweeps until ctx ends.
func (s *sweeper) run(ctx context.Context) error {
	return every(ctx, sweepInterval, func() { s.sweep(ctx, time.Now()) })
}

func (s *sweeper) sweep(ctx context.Context, now time.Time) {
	n, err := s.objects.Sweep(ctx, store.Keep{ResponsesSince: now.Add(-responseLife), PerOwner: mostOwned})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.metrics.FailedClosed("owner_sweep")
		s.log.Error("objects at the provider that are too old or too many could not be forgotten", "error", err)
	case n > 0:
		s.log.Info("objects at the provider that were too old or too many were forgotten", "objects", n)
	}
}
