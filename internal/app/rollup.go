package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
	"github.com/plumbline/plumbline/internal/quota/rollup"
)

const (
	// rollEvery is how often new charges are summed up, beside the path of requests.
	rollEvery = time.Minute
	// saveAfter is how many charges a start may have to read one by one, beside those of a last minute: about half a second
	// of reading.
	saveAfter = 100_000
)

// roller keeps the charges of the records summed up, in memory and in a file, so that a start does not read them all. It
// follows the records and nothing else: the ledger cannot lead it astray.
type roller struct {
	audit *audit.Log
	path  string
	now   func() time.Time
	log   *slog.Logger

	mu    sync.Mutex // of what follows
	sums  *rollup.Rollup
	fresh int          // charges that the file does not hold
	saved atomic.Int64 // position of the last charge that the file holds
}

// hold is the position up to which the audit may let go of records: the file's last record tells that it is of this audit.
func (r *roller) hold() audit.Position { return audit.Position(max(r.saved.Load()-1, 0)) }

// fill books the charges of the records in a ledger that does not serve yet.
func (r *roller) fill(ctx context.Context, ledger *memory.Ledger, limits *quota.LimitSet) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	if _, err := r.book(ctx, ledger, limits); err != nil {
		return err
	}
	r.log.Info("quota ledger filled from the audit", "sums", r.sums.Len())
	return nil
}

// book books the charges of the records under limits that do not count yet, and gives the position of the last.
func (r *roller) book(ctx context.Context, ledger *memory.Ledger, limits *quota.LimitSet) (int64, error) {
	book := func(s quota.Subject, c core.Charge) error { return ledger.Replay(c, s, limits) }
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.follow(ctx); err != nil {
		return 0, err
	}
	if r.sums.Fits(limits, r.now()) {
		return r.sums.Position(), r.sums.Each(book)
	}
	r.log.Warn("the sums of charges do not fit the clock and the limits' time zones; reading the records instead")
	r.sums = rollup.New(r.now())
	err := r.audit.Charges(ctx, audit.ChargesQuery{Since: r.sums.Since()}, func(c audit.Charged) error {
		r.fresh++
		return errors.Join(r.add(c), book(subjectOf(c), c.Charge))
	})
	return r.sums.Position(), err
}

func subjectOf(c audit.Charged) quota.Subject {
	return quota.Subject{User: c.By.User, Team: c.By.Team, App: c.By.App, Model: c.Model}
}

func (r *roller) add(c audit.Charged) error { return r.sums.Add(c.Position, subjectOf(c), c.Charge) }

// load begins with the file's sums where they are of this log, and from nothing where not.
func (r *roller) load(ctx context.Context) error {
	sums, leaf, err := rollup.Load(r.path, r.now())
	if err == nil {
		known, ok, err := r.audit.Leaf(ctx, sums.Position())
		if err != nil {
			return err
		}
		if ok && known == leaf {
			r.sums = sums
			r.saved.Store(sums.Position())
			return nil
		}
		r.log.Warn("the sums of charges are of another audit log; reading the records instead", "path", r.path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		r.log.Warn("the sums of charges cannot be used; reading the records instead", "path", r.path, "error", err)
	}
	r.sums = rollup.New(r.now())
	return nil
}

// follow adds the charges that were recorded since.
func (r *roller) follow(ctx context.Context) error {
	q := audit.ChargesQuery{Since: r.sums.Since(), After: r.sums.Position()}
	return r.audit.Charges(ctx, q, func(c audit.Charged) error {
		r.fresh++
		return r.add(c)
	})
}

// run keeps the sums, and at times the file, up to date until ctx ends.
func (r *roller) run(ctx context.Context) error {
	tick := time.NewTicker(rollEvery)
	defer tick.Stop()
	for {
		if err := r.roll(ctx, saveAfter); err != nil {
			r.log.Warn("charges could not be summed up; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// roll follows the records and saves the sums when at least so many charges are not in the file.
func (r *roller) roll(ctx context.Context, atLeast int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.follow(ctx); err != nil {
		return err
	}
	r.sums.Compact(r.now())
	if r.fresh < atLeast {
		return nil
	}
	leaf, ok, err := r.audit.Leaf(ctx, r.sums.Position())
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("the audit has no record %d", r.sums.Position())
	}
	if err := rollup.Save(r.path, r.sums.Encode(leaf)); err != nil {
		return err
	}
	r.fresh = 0
	r.saved.Store(r.sums.Position())
	return nil
}

// close saves what there is, so that the next start has next to nothing to read.
func (r *roller) close(ctx context.Context) error {
	if r.sums == nil {
		return nil // fill did not come so far
	}
	return r.roll(ctx, 1)
}
