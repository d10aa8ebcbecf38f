package guard

import (
	"context"
	"errors"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

// Errors of a Shared ledger beside those of quota.Ledger.
var (
	// ErrUnreachable: there was no answer in time, or the ledger's server would not do what was asked. It may have been done.
	ErrUnreachable = errors.New("quota: the ledger cannot be reached")
	// ErrEpoch: the ledger is not in the epoch that was joined. Nothing was changed.
	ErrEpoch = errors.New("quota: the ledger is in another epoch")
	// ErrMark: the book's mark is not what was said. Nothing was changed.
	ErrMark = errors.New("quota: the book's mark is another one")
)

// Shared is the ledger that replicas share. It counts in epochs: one that lost what it counted begins a new one, from
// nothing, and each replica brings back what its book, the records of its own, holds.
//
// Every method must return by the deadline of its context, and ErrUnreachable, ErrEpoch or ErrMark as said there. Settle
// and Void after Expire must replace what Expire booked.
type Shared interface {
	quota.Ledger
	// Heartbeat renews the lease of this replica's book and tells how the ledger stands.
	Heartbeat(ctx context.Context) (Pulse, error)
	// BeginEpoch begins a new epoch if the one in force is still old, empty for none. The epoch waits for the books named, and
	// for those that have a lease. It is no error if another replica was first.
	BeginEpoch(ctx context.Context, old string, books ...string) error
	// Adopt makes every later operation one of an epoch. It asks nobody.
	Adopt(Epoch)
	// Reassert holds again what was held, without asking for room. It passes over ids that the epoch knows.
	Reassert(ctx context.Context, live ...quota.Live) error
	// Owned gives the ids of this book's reservations that are live, or expired and neither settled nor voided since.
	Owned(ctx context.Context) ([]string, error)
	// Mark gives how far this book is in the counters of the epoch; false if nothing of it is.
	Mark(ctx context.Context) (int64, bool, error)
	// Post adds at most maxPostings postings and moves the book's mark, both or neither. A book without a mark is at 0.
	Post(ctx context.Context, from, to int64, postings ...quota.Posting) error
	// Coverage gives the text that stands beside the book's mark; false if the epoch has none.
	Coverage(ctx context.Context) (string, bool, error)
	// PostCovering adds at most maxPostings postings and puts one text in the place of another, both or neither. Where there
	// is none it is empty. It returns ErrMark if the text is another one.
	PostCovering(ctx context.Context, from, to string, postings ...quota.Posting) error
	// BookDone says that this book is back.
	BookDone(ctx context.Context) error
}

// Epoch is one life of the shared counters.
type Epoch struct {
	ID    string // empty: none
	Since time.Time
	// Rebuilding says that a known book is not back yet, and that it is waited for.
	Rebuilding bool
}

// Pulse is what a heartbeat finds.
type Pulse struct {
	// Time is the ledger's clock: not before the admission of any reservation that was answered before it was asked, and
	// before that of any made after it answered.
	Time  time.Time
	Epoch Epoch
	// Lost says that the ledger lost, or may have lost, what it counted: a new epoch has to begin.
	Lost bool
	// Books are those of the live replicas, this one's included.
	Books []string
}

// Charged is a settled exchange as the records have it.
type Charged struct {
	Position int64
	Exchange string
	Subject  quota.Subject
	Charge   core.Charge
}

// Ending is what the records say of an exchange.
type Ending struct {
	Charge   core.Charge
	Fallback bool // it was admitted without the ledger
	Open     bool // it is begun and has no end
}

// Records are the book of this replica: what its exchanges were charged, in the order in which that became durable.
type Records interface {
	// End is the position of the last record.
	End(ctx context.Context) (int64, error)
	// Charges calls fn for each charge after a position that was admitted at or after since, in their order, and gives the
	// position up to which it read.
	Charges(ctx context.Context, since time.Time, after int64, fn func(Charged) error) (int64, error)
	// FallbackCharges is the same for those that were admitted without the ledger, whenever that was.
	FallbackCharges(ctx context.Context, after int64, fn func(Charged) error) (int64, error)
	// Endings says how exchanges ended. Those it does not know are left out.
	Endings(ctx context.Context, exchanges []string) (map[string]Ending, error)
}

// Breaker is the state of the way to the shared ledger.
type Breaker string

// The states of the breaker.
const (
	BreakerClosed   Breaker = "closed"    // it is asked
	BreakerHalfOpen Breaker = "half_open" // it answered, and has to prove itself
	BreakerOpen     Breaker = "open"      // it is not asked
)

// Metrics is told what the guard does.
type Metrics interface {
	LedgerBreaker(Breaker)
	// LedgerFellBack counts an admission, or a refusal, without the ledger, by what the limits said: closed, local, open.
	LedgerFellBack(quota.Unreachable)
	// LedgerBooked counts what the ledger was told late: reservations resolved and charges booked from the records.
	LedgerBooked(resolved, charges int)
}
