package app

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/quota"
)

// endings stands between the gate and both the audit and the ledger of one process, and notes which exchanges are on their way
// from the record of their end to its settlement. So it can be said to the last exchange what the ledger had posted of the
// records when it was read.
type endings struct {
	quota.Ledger
	audit *audit.Log
	// instance names this life of the ledger.
	instance string
	// door is held for reading by whatever changes what is posted, and by who wants it to stand still.
	door sync.RWMutex

	mu sync.Mutex
	// ending are exchanges whose end was handed to the audit and not yet to the ledger. The gate settles or voids each.
	ending map[string]struct{}
	// began are those that came to be ending while the end of the records is asked for; nil when nobody asks.
	began map[string]struct{}
	// expired are those that their lease ended, until their owner settles or voids them, or expiredFor has passed.
	expired map[string]time.Time

	looks sync.Mutex // one at a time
}

// expiredFor is how long the ledger takes a settlement for what its lease ended.
const expiredFor = 10 * time.Minute

var (
	_ quota.Ledger  = (*endings)(nil)
	_ gate.Recorder = (*endings)(nil)
)

func newEndings(log *audit.Log, ledger quota.Ledger) *endings {
	return &endings{
		Ledger: ledger, audit: log, instance: uuid.NewString(),
		ending: map[string]struct{}{}, expired: map[string]time.Time{},
	}
}

// Append implements gate.Recorder.
func (e *endings) Append(ctx context.Context, rec core.Record) error {
	if rec.Kind == core.RecordOutcome && rec.Settled != nil {
		e.begin(rec.Exchange)
	}
	return e.audit.Append(ctx, rec)
}

func (e *endings) begin(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ending[id] = struct{}{}
	if e.began != nil {
		e.began[id] = struct{}{}
	}
}

// end notes that the ledger was told. The door is held.
func (e *endings) end(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.ending, id)
	delete(e.expired, id)
}

// Settle implements quota.Ledger.
func (e *endings) Settle(ctx context.Context, id string, used quota.Amounts) (quota.Amounts, error) {
	e.door.RLock()
	defer e.door.RUnlock()
	defer e.end(id)
	return e.Ledger.Settle(ctx, id, used)
}

// Void implements quota.Ledger.
func (e *endings) Void(ctx context.Context, id string) error {
	e.door.RLock()
	defer e.door.RUnlock()
	defer e.end(id)
	return e.Ledger.Void(ctx, id)
}

// Expire implements quota.Ledger.
func (e *endings) Expire(ctx context.Context, now time.Time) ([]string, error) {
	e.door.RLock()
	defer e.door.RUnlock()
	ids, err := e.Ledger.Expire(ctx, now)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range ids {
		e.expired[id] = now
	}
	maps.DeleteFunc(e.expired, func(_ string, at time.Time) bool { return now.Sub(at) > expiredFor })
	return ids, err
}

// posted says which settlements of the records the ledger had when it was read: all up to End, but for those of Out and
// Expired.
type posted struct {
	End     int64    `json:"end"`
	Out     []string `json:"out"`
	Expired []string `json:"expired"` // booked at their last progress
}

// look calls read while nothing that is posted changes. It must not take long: exchanges that end wait for it.
func (e *endings) look(ctx context.Context, read func() error) (posted, error) {
	e.looks.Lock()
	defer e.looks.Unlock()
	p, err := e.still(read)
	if err != nil {
		return p, err
	}
	p.End, err = e.audit.End(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	p.Out = slices.AppendSeq(p.Out, maps.Keys(e.began))
	e.began = nil
	return p, err
}

// still closes the door for read, and begins to note what comes after.
func (e *endings) still(read func() error) (posted, error) {
	e.door.Lock()
	defer e.door.Unlock()
	if err := read(); err != nil {
		return posted{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.began = map[string]struct{}{}
	return posted{Out: slices.Collect(maps.Keys(e.ending)), Expired: slices.Collect(maps.Keys(e.expired))}, nil
}
