package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

// trailInterval is how often changes to the control data are taken over into the audit.
const trailInterval = time.Second

// trail copies the store's change feed into the audit: one ADMIN record per change. A change names its version as the
// record's exchange, which the audit takes only once, so that a trail that starts over writes nothing twice.
type trail struct {
	store store.Store
	audit *audit.Log
	log   *slog.Logger
	after uint64 // the last change that is in the audit
}

// run takes over changes until ctx ends.
func (t *trail) run(ctx context.Context) error {
	return every(ctx, trailInterval, func() {
		if err := t.catchUp(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.log.Error("changes to the control data are not yet in the audit", "error", err)
		}
	})
}

// catchUp takes over every change that the audit does not have.
func (t *trail) catchUp(ctx context.Context) error {
	const batch = 100
	for {
		changes, err := t.store.Changes(ctx, t.after, batch)
		if err != nil {
			return err
		}
		for _, c := range changes {
			err := t.audit.Append(ctx, core.Record{
				Kind: core.RecordAdmin, Time: c.Time, Exchange: fmt.Sprintf("change-%d", c.Version), Admin: &c.Change,
			})
			if err != nil && !errors.Is(err, audit.ErrDuplicate) {
				return err
			}
			t.after = c.Version
		}
		if len(changes) < batch {
			return nil
		}
	}
}
