package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/plumbline/plumbline/internal/core"
)

// errCalledOff is of an intent that is in the log and not known to be in the other store. It is an end of waiting like that of
// a context: the caller appends the record that closes the exchange.
var errCalledOff = fmt.Errorf("audit: the wait for the other store was called off: %w", context.Canceled)

// replica is what a log knows of the store that must have an intent before its call goes on.
type replica struct {
	mu      sync.Mutex
	upTo    Position // the store has all up to here
	waiting []awaited
	away    *trouble // why the store takes no records, nil while it does
}

// awaited is an intent whose caller waits for the store.
type awaited struct {
	position Position
	done     chan error // takes the result, once
}

// replicates reports whether a record must be in the other store before its caller goes on. Outcomes need not: they are owed
// whatever happens, and their calls were forwarded long since.
func (l *Log) replicates(kind core.RecordKind) bool {
	return l.o.Durability == Replicated && kind == core.RecordIntent
}

// await waits until the store has the entry at a position.
func (r *replica) await(ctx context.Context, position Position) error {
	r.mu.Lock()
	switch {
	case position <= r.upTo:
		r.mu.Unlock()
		return nil
	case r.away != nil:
		defer r.mu.Unlock()
		return errors.Join(r.away, errCalledOff)
	}
	w := awaited{position, make(chan error, 1)}
	r.waiting = append(r.waiting, w)
	r.mu.Unlock()
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		r.waiting = slices.DeleteFunc(r.waiting, func(other awaited) bool { return other.done == w.done })
		return fmt.Errorf("audit: waiting for the other store: %w", ctx.Err())
	}
}

// advance lets go those whose entries the store has.
func (r *replica) advance(upTo Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.upTo = max(r.upTo, upTo)
	r.waiting = slices.DeleteFunc(r.waiting, func(w awaited) bool {
		if w.position > r.upTo {
			return false
		}
		w.done <- nil
		return true
	})
}

// trouble is why intents are refused, nil if they are not.
func (r *replica) trouble() *trouble {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.away
}

// Shipping is to be told after each attempt to ship how it went, nil if well. A log that is Replicated refuses intents while
// it goes badly, those that wait among them, since none may pass that the other store does not have.
func (l *Log) Shipping(err error) {
	if l.o.Durability != Replicated {
		return
	}
	r := &l.replica
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.away = nil
		return
	}
	// Its words alone: were it a timeout, whoever is refused would take it for the end of his own time, after which an intent may
	// be in the log.
	cause := errors.New("the other store does not take records, and calls wait for it with this durability: " + err.Error())
	r.away = &trouble{cause: cause, outcomes: true}
	for _, w := range r.waiting {
		w.done <- errors.Join(r.away, errCalledOff)
	}
	r.waiting = nil
}

// Waiting gives a token when intents wait for the other store and are in the tables, from which they are shipped. Nothing
// comes from it unless the log is Replicated.
func (l *Log) Waiting() <-chan struct{} { return l.ship }
