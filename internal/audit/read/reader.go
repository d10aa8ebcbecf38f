// Package read is how recorded facts are looked at, wherever they lie: in the log of one process, or in Postgres with those
// of all. Reader is the contract, which audittest checks of both; Local is a process's own log under it.
//
// It must not know a driver.
package read

import (
	"context"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// Reader gives what was recorded and changes none of it. Its methods are safe for concurrent use, also while records come in.
type Reader interface {
	// Search must give the records that match (audit.Query.Matches), at most q.PageSize() of them, in one order that no query
	// changes: the newest first, and those of one writer by falling number where their times do not say otherwise. next must
	// be the cursor of the page that follows, and empty when there is none. Over all pages, what was there when the first was
	// asked for must be given once each, whatever comes in meanwhile; what came in later at most once. One call must look
	// through a bounded number of records: a page may be short, or empty, and have a next. A cursor that Search did not give
	// must be an error that wraps audit.ErrCursor.
	Search(ctx context.Context, q audit.Query) (entries []audit.Entry, next string, err error)

	// Walk must call fn for each record that matches, once, those of one writer by rising number where their times do not say
	// otherwise: for all that were there when it was called, and for none that came in later. q.Limit and q.After do not
	// count. Memory must not grow with the number of records. It must end with the first error of fn.
	Walk(ctx context.Context, q audit.Query, fn func(audit.Raw) error) error

	// Records must be Walk over a span of time: it is what a policy's replay reads.
	Records(ctx context.Context, since, until time.Time, fn func(kind core.RecordKind, canonical []byte) error) error

	// Follow must take note of what is there, and give what calls fn for each record that comes in after that, once, those of
	// one writer by rising number, within a second, until ctx ends or fn fails; it returns the error of either.
	Follow(ctx context.Context) (run func(fn func(audit.Entry) error) error, err error)

	// Sum must give the sums of what was recorded from q.Since up to q.Until, as SumQuery says.
	Sum(ctx context.Context, q SumQuery) ([]Row, error)

	// Verify must read every record and name the first that is missing or changed with an *audit.BadEntryError.
	Verify(ctx context.Context) (audit.Verified, error)
}

// Local is the log of one process.
type Local struct{ *audit.Reader }

var _ Reader = Local{}

// Follow implements Reader.
func (l Local) Follow(ctx context.Context) (run func(func(audit.Entry) error) error, err error) {
	end, err := l.End(ctx)
	if err != nil {
		return nil, err
	}
	return func(fn func(audit.Entry) error) error { return l.Tail(ctx, end, fn) }, nil
}
