package store

import (
	"container/list"
	"context"
	"sync"

	"github.com/plumbline/plumbline/internal/core"
)

// RememberedObjects is how many objects Remember is meant to keep: with ids and names of usual length below 20 MB.
const RememberedObjects = 32_768

// Remember gives objects with those that were looked up last kept in memory, so that looking one up again asks nobody. That
// an object is somebody's cannot change, only end, and what is kept is used for no longer than the snapshot in force when it
// was looked up: an id of a person who was deleted, given to somebody new, inherits nothing once that is known here.
//
// What another process forgets may be found here until then: the provider has deleted it. Conversations are never kept,
// since each turn, at whatever replica, changes what is known of one; nor is it kept that an object is nobody's.
func Remember(objects Ownership, inForce func() *Snapshot, most int) Ownership {
	return &remembered{Ownership: objects, inForce: inForce, most: most, entries: map[core.ObjectRef]*list.Element{}}
}

type remembered struct {
	Ownership
	inForce func() *Snapshot
	most    int

	mu      sync.Mutex
	of      moment
	entries map[core.ObjectRef]*list.Element
	recent  list.List // of core.OwnedObject, the latest used first
}

// moment is what entries are kept for: a snapshot of the control data, and how often something was changed from here.
type moment struct {
	snapshot *Snapshot
	changes  uint64
}

func (r *remembered) Owned(ctx context.Context, ref core.ObjectRef) (core.OwnedObject, bool, error) {
	if ref.Kind == core.ObjectConversation {
		return r.Ownership.Owned(ctx, ref)
	}
	o, now, ok := r.get(ref)
	if ok {
		return o, true, nil
	}
	o, known, err := r.Ownership.Owned(ctx, ref)
	if err == nil && known {
		r.put(now, o)
	}
	return o, known, err
}

// get gives an object, or the moment before it is looked up.
func (r *remembered) get(ref core.ObjectRef) (core.OwnedObject, moment, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.inForce(); now != r.of.snapshot {
		r.of.snapshot = now
		clear(r.entries)
		r.recent.Init()
	}
	e, ok := r.entries[ref]
	if !ok {
		return core.OwnedObject{}, r.of, false
	}
	r.recent.MoveToFront(e)
	return e.Value.(core.OwnedObject), r.of, true
}

// put keeps an object that was looked up at a moment, unless that is over: it may be of before what ended it.
func (r *remembered) put(looked moment, o core.OwnedObject) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, kept := r.entries[o.ObjectRef]; kept || looked != r.of {
		return
	}
	if len(r.entries) >= r.most {
		r.drop(r.recent.Back())
	}
	r.entries[o.ObjectRef] = r.recent.PushFront(o)
}

func (r *remembered) drop(e *list.Element) {
	delete(r.entries, e.Value.(core.OwnedObject).ObjectRef)
	r.recent.Remove(e)
}

// forget lets go of an object that was changed from here.
func (r *remembered) forget(ref core.ObjectRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of.changes++
	if e, ok := r.entries[ref]; ok {
		r.drop(e)
	}
}

func (r *remembered) Count(ctx context.Context, ref core.ObjectRef, model string, tokens int64) error {
	defer r.forget(ref)
	return r.Ownership.Count(ctx, ref, model, tokens)
}

func (r *remembered) Add(ctx context.Context, ref core.ObjectRef, model string, tokens int64) error {
	defer r.forget(ref)
	return r.Ownership.Add(ctx, ref, model, tokens)
}

func (r *remembered) Disown(ctx context.Context, ref core.ObjectRef) error {
	defer r.forget(ref)
	return r.Ownership.Disown(ctx, ref)
}
