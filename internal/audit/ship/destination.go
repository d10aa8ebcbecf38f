package ship

import (
	"context"
	"errors"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
)

// ErrRefused is wrapped by errors which say that the fault lies in what was to be stored: sending the same again fails again.
var ErrRefused = errors.New("the store refuses a record")

// Stored counts what became of a batch.
type Stored struct {
	// New were not there before, Known were there as they are, and Conflicts are other records than those that are there
	// under their writer and number: they were put with the dead letters.
	New, Known, Conflicts int
}

// Destination is the store that all processes share.
type Destination interface {
	// Usable reports why the store would take no batch now, nil if it would. It must be cheap: it is asked again and again
	// while the store is away.
	Usable(ctx context.Context) error
	// Prepare readies the store for records of a time. It must be possible to repeat it.
	Prepare(ctx context.Context, at time.Time) error
	// Store keeps a batch of entries without faults, together with the sums over those that are new: all of it or, with an
	// error, nothing. An entry that is there already must change nothing. Errors that lie in an entry wrap ErrRefused.
	Store(ctx context.Context, batch []audit.Shipment) (Stored, error)
	// Bury keeps an entry with the dead letters, with why. One that is there already must change nothing.
	Bury(ctx context.Context, s audit.Shipment, why string) error
	// Missing is how many entries are in neither although a later one of the same writer is.
	Missing(ctx context.Context) (int64, error)
}

// Source is the log that is shipped. See audit.Log, which implements it. Its methods must be safe for concurrent use.
type Source interface {
	Unshipped(ctx context.Context, after audit.Position, limit int) ([]audit.Shipment, error)
	Shipped(ctx context.Context, upTo audit.Position) error
	Release(ctx context.Context, upTo audit.Position, owed time.Time) (int64, error)
	Spool(ctx context.Context) (audit.Spool, error)
}
