package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

const (
	// trailInterval is how often changes to the control data are taken over into the audit.
	trailInterval = time.Second
	// trailBatch is how many are taken over at once.
	trailBatch = 100
	// claimLife is for how long a change is left to the replica that claimed it and may have died. It is longer than a
	// restart takes: whoever comes back on its volume by then has the change in its audit once.
	claimLife = 10 * time.Minute
	// takeLimit bounds the taking over of what was claimed, far below claimLife.
	takeLimit = 30 * time.Second
)

// trail takes the store's changes over into the audit, one ADMIN record each. The row of a change in the feed is by the
// change's own commit, and says whether an audit has it: of the replicas that share the store one claims it, puts it into
// its own audit, and then says so. A change names its version as the record's exchange, which an audit takes only once, so
// that a replica which died in between does no harm when it comes back. A store that was put back gives versions again: its
// changes are told apart by what they say.
type trail struct {
	store   store.Store
	audit   *audit.Log
	log     *slog.Logger
	writer  string        // the name of the audit
	life    time.Duration // claimLife
	failing bool
}

func newTrail(ctx context.Context, st store.Store, log *audit.Log, logger *slog.Logger) (*trail, error) {
	writer, err := log.Name(ctx)
	return &trail{store: st, audit: log, log: logger, writer: writer, life: claimLife}, err
}

// run takes over changes until ctx ends.
func (t *trail) run(ctx context.Context) error {
	return every(ctx, trailInterval, func() {
		err := t.catchUp(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil && !t.failing:
			t.log.Error("changes to the control data are not yet in the audit", "error", err)
		case err == nil && t.failing:
			t.log.Info("changes to the control data reach the audit again")
		}
		t.failing = err != nil
	})
}

// catchUp takes over every change that is this replica's to take.
func (t *trail) catchUp(ctx context.Context) error {
	for {
		if err := t.audit.Healthy(); err != nil { // others take what this replica cannot
			return err
		}
		claimed, err := t.store.Claim(ctx, t.writer, t.life, trailBatch)
		if err != nil {
			return err
		}
		if err := t.take(ctx, claimed); err != nil || len(claimed) < trailBatch {
			return err
		}
	}
}

// take records changes that this replica has claimed, as many as it can.
func (t *trail) take(ctx context.Context, claimed []store.Change) error {
	limited, cancel := context.WithTimeout(ctx, takeLimit)
	defer cancel()
	var recorded []uint64
	var failed error
	for _, c := range claimed {
		if failed = t.record(limited, &c); failed != nil {
			break
		}
		recorded = append(recorded, c.Version)
	}
	return errors.Join(failed, t.store.Recorded(ctx, recorded...))
}

// record puts a change into the audit, unless it is there.
func (t *trail) record(ctx context.Context, c *store.Change) error {
	rec := core.Record{Kind: core.RecordAdmin, Time: c.Time, Exchange: fmt.Sprintf("change-%d", c.Version), Admin: &c.Change}
	err := t.audit.Append(ctx, rec)
	if !errors.Is(err, audit.ErrDuplicate) {
		return err
	}
	known, ok, err := t.audit.Change(ctx, rec.Exchange)
	if err != nil || ok && isOf(&known, c) {
		return err
	}
	// The store was put back to an earlier state, as from a backup or by a failover, and gives its versions again: this is
	// another change than the one that is recorded under its number, or that one is not here any more to tell.
	rec.Exchange += "-" + digest(c)
	if err := t.audit.Append(ctx, rec); !errors.Is(err, audit.ErrDuplicate) {
		return err
	}
	return nil
}

// isOf reports whether a record is that of a change.
func isOf(rec *core.Record, c *store.Change) bool {
	return rec.Time.Equal(c.Time.Truncate(time.Microsecond)) && rec.Admin != nil && *rec.Admin == c.Change
}

// digest tells changes of one version apart.
func digest(c *store.Change) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %q %q %q %q", c.Time.UnixMicro(), c.Actor, c.Action, c.Object, c.Reason))
	return hex.EncodeToString(sum[:8])
}
