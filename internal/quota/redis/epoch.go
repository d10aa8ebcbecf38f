package redis

import (
	"context"
	"errors"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// Epoch is one life of the counters. Every key of counters and reservations carries its id, so that a new epoch starts
// from nothing, and what an old one left runs out.
type Epoch struct {
	ID    string // empty: none
	Since time.Time
	// ReplID is the master_replid of the server that the epoch was begun on. When the server has another one now, it was
	// restarted or took over, and may have lost writes: a new epoch has to begin.
	ReplID string
	// Rebuilding reports that a known book is not back in the counters yet. It ends RebuildTime after Since at the latest.
	Rebuilding bool
}

// Pulse is what a heartbeat finds.
type Pulse struct {
	Time   time.Time // the server's clock
	Epoch  Epoch     // the one in force, zero if there is none
	ReplID string    // the server's master_replid now
	Books  []Book    // those whose lease has not ended, this one's included
}

// Lost reports whether the counters may have lost writes, so that a new epoch has to begin.
func (p Pulse) Lost() bool { return p.Epoch.ID == "" || p.Epoch.ReplID != p.ReplID }

// Book is the state of one replica's records in the counters.
type Book struct {
	Name string
	Done bool // it is back in the epoch in force
}

// Live is a reservation to put back into a new epoch.
type Live struct {
	Request quota.Request // At is the time of admission that pins its windows
	Held    quota.Amounts
	Used    quota.Amounts // the last progress
}

// Posting adds to what is posted in one window of a counter.
type Posting struct {
	Key    quota.CounterKey
	Window quota.Window
	Bucket int64     // of the sliding minute, else 0
	End    time.Time // of the calendar window, else zero
	Amount int64     // may be below zero; what is posted stops at 0
}

// ErrEpoch is returned by every operation whose epoch is not in force: nothing was changed.
var ErrEpoch = errors.New("quota/redis: the epoch is not in force")

// ErrMark is returned by Post when the book's mark is not what was said: nothing was changed.
var ErrMark = errors.New("quota/redis: the book's mark is another one")

var errStub = errors.New("quota/redis: not built")

// Epoch gives the one this ledger works in, zero before Adopt.
func (l *Ledger) Epoch() Epoch { return Epoch{} }

// Adopt makes the ledger work in an epoch from now on. It asks nobody.
func (l *Ledger) Adopt(e Epoch) {}

// Heartbeat renews the lease of this replica's book and tells how the ledger stands.
func (l *Ledger) Heartbeat(ctx context.Context) (Pulse, error) { return Pulse{}, errStub }

// BeginEpoch begins a new epoch if the one in force is still old (empty for none), and gives the one in force after that,
// whoever began it. The books named are waited for like those that have a lease. It does not adopt.
func (l *Ledger) BeginEpoch(ctx context.Context, old string, books ...string) (Epoch, error) {
	return Epoch{}, errStub
}

// Bind adopts the epoch in force, and begins one if there is none or if the counters may have lost writes.
func (l *Ledger) Bind(ctx context.Context) (Epoch, error) { return Epoch{}, errStub }

// Reassert puts reservations of this replica into the epoch without asking for room. It passes over ids that the epoch
// knows, live or resolved, so that a repeat changes nothing.
func (l *Ledger) Reassert(ctx context.Context, live ...Live) error { return errStub }

// Mark gives how far this replica's book is in the counters of the epoch; false if nothing of it is.
func (l *Ledger) Mark(ctx context.Context) (int64, bool, error) { return 0, false, errStub }

// Post adds postings, at most MaxPostings, and moves the book's mark from one position to another, both or neither. It
// returns ErrMark if the mark is another one; a book without a mark is at 0.
func (l *Ledger) Post(ctx context.Context, from, to int64, postings ...Posting) error { return errStub }

// BookDone says that this replica's book is back in the epoch.
func (l *Ledger) BookDone(ctx context.Context) error { return errStub }

// Owned gives the ids of this replica's book that are live in the epoch, or that ended with their lease and were not
// settled since.
func (l *Ledger) Owned(ctx context.Context) ([]string, error) { return nil, errStub }
