package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
)

// owners is an Ownership in memory that counts what it is asked.
type owners struct {
	Ownership
	mu    sync.Mutex
	held  map[core.ObjectRef]core.OwnedObject
	asked int
	err   error
	// looking, if set, is called after an object was looked up and before it is given.
	looking func()
}

func newOwners(all ...core.OwnedObject) *owners {
	o := &owners{held: map[core.ObjectRef]core.OwnedObject{}}
	for _, one := range all {
		o.held[one.ObjectRef] = one
	}
	return o
}

func (o *owners) Owned(_ context.Context, ref core.ObjectRef) (core.OwnedObject, bool, error) {
	o.mu.Lock()
	o.asked++
	one, known := o.held[ref]
	err, looking := o.err, o.looking
	o.mu.Unlock()
	if looking != nil {
		looking()
	}
	return one, known && err == nil, err
}

func (o *owners) Count(_ context.Context, ref core.ObjectRef, model string, tokens int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if one, known := o.held[ref]; known {
		one.Model, one.Tokens = model, tokens
		o.held[ref] = one
	}
	return nil
}

func (o *owners) Disown(_ context.Context, ref core.ObjectRef) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.held, ref)
	return nil
}

func file(id, user string) core.OwnedObject {
	return core.OwnedObject{ObjectRef: core.ObjectRef{Kind: core.ObjectFile, ID: id}, Owner: core.Owner{User: user}}
}

// ownerOf gives whose an object is, "" for nobody's.
func ownerOf(t *testing.T, o Ownership, ref core.ObjectRef) string {
	t.Helper()
	one, known, err := o.Owned(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if known != (one.Owner != core.Owner{}) {
		t.Errorf("%v: %+v, %v", ref, one, known)
	}
	return one.Owner.User
}

func TestRememberAsksOnce(t *testing.T) {
	conversation := core.OwnedObject{ObjectRef: core.ObjectRef{Kind: core.ObjectConversation, ID: "conv_1"}, Owner: core.Owner{User: "ann"}}
	inner, snapshot := newOwners(file("a", "ann"), file("b", "ben"), file("c", "cid"), conversation), &Snapshot{}
	r := Remember(inner, func() *Snapshot { return snapshot }, 2)
	asks := func(what string, want int, ref core.ObjectRef, owner string) {
		t.Helper()
		before := inner.asked
		if got := ownerOf(t, r, ref); got != owner || inner.asked-before != want {
			t.Errorf("%s: it is %q's after %d look-ups, want %q's after %d", what, got, inner.asked-before, owner, want)
		}
	}
	a, b, c := file("a", "").ObjectRef, file("b", "").ObjectRef, file("c", "").ObjectRef
	asks("the first time", 1, a, "ann")
	asks("again", 0, a, "ann")
	asks("another", 1, b, "ben")
	asks("one that was used since", 0, a, "ann")
	asks("one more than is kept", 1, c, "cid")
	asks("what was used least", 1, b, "ben")
	asks("nobody's", 1, file("none", "").ObjectRef, "")
	asks("nobody's again", 1, file("none", "").ObjectRef, "")
	for range 2 {
		asks("a conversation", 1, conversation.ObjectRef, "ann")
	}
	snapshot = &Snapshot{}
	asks("after a change of control data", 1, b, "ben")
	asks("again", 0, b, "ben")
	if err := r.Count(t.Context(), b, "m", 7); err != nil {
		t.Fatal(err)
	}
	asks("once it was counted", 1, b, "ben")
	if err := r.Disown(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	asks("once it is gone", 1, b, "")
	inner.err = errors.New("away")
	if _, known, err := r.Owned(t.Context(), a); known || !errors.Is(err, inner.err) {
		t.Errorf("without a store: %v, %v", known, err)
	}
}

// TestRememberAcrossTheEnd: what is looked up while a change comes into force, or while it is deleted from here, is not kept.
func TestRememberAcrossTheEnd(t *testing.T) {
	ref := file("a", "").ObjectRef
	for name, end := range map[string]func(r Ownership, snapshot **Snapshot, inner *owners){
		"the owner is deleted and given again": func(r Ownership, snapshot **Snapshot, inner *owners) {
			delete(inner.held, ref)
			*snapshot = &Snapshot{}
			inner.looking = nil
			_, _, _ = r.Owned(t.Context(), file("b", "").ObjectRef) // sees the new snapshot first
		},
		"the object is deleted": func(r Ownership, _ **Snapshot, inner *owners) {
			inner.looking = nil
			_ = r.Disown(t.Context(), ref)
		},
	} {
		inner, snapshot := newOwners(file("a", "ann")), &Snapshot{}
		r := Remember(inner, func() *Snapshot { return snapshot }, 10)
		inner.looking = func() { end(r, &snapshot, inner) }
		ownerOf(t, r, ref) // as it was
		if got := ownerOf(t, r, ref); got != "" {
			t.Errorf("%s: it is still %q's", name, got)
		}
	}
}

// TestRememberAsTheStore: whatever is done, in whatever order, from here or by the change of a snapshot, what is found is
// what the store has.
func TestRememberAsTheStore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inner, snapshot := newOwners(), &Snapshot{}
		r := Remember(inner, func() *Snapshot { return snapshot }, 3)
		one := rapid.Custom(func(rt *rapid.T) core.OwnedObject {
			return file(fmt.Sprint("f", rapid.IntRange(0, 5).Draw(rt, "id")), rapid.SampledFrom([]string{"ann", "ben"}).Draw(rt, "user"))
		})
		rt.Repeat(map[string]func(*rapid.T){
			"own": func(rt *rapid.T) {
				if o := one.Draw(rt, "object"); inner.held[o.ObjectRef].ID == "" {
					inner.held[o.ObjectRef] = o
				}
			},
			"disown": func(rt *rapid.T) { _ = r.Disown(t.Context(), one.Draw(rt, "object").ObjectRef) },
			"count": func(rt *rapid.T) {
				_ = r.Count(t.Context(), one.Draw(rt, "object").ObjectRef, "m", rapid.Int64().Draw(rt, "tokens"))
			},
			"delete a user": func(rt *rapid.T) {
				user := one.Draw(rt, "object").Owner.User
				for ref, o := range inner.held {
					if o.Owner.User == user {
						delete(inner.held, ref)
					}
				}
				snapshot = &Snapshot{}
			},
			"look up": func(rt *rapid.T) {
				ref := one.Draw(rt, "object").ObjectRef
				got, known, err := r.Owned(t.Context(), ref)
				if want, held := inner.held[ref]; err != nil || known != held || got != want {
					rt.Fatalf("%v: %+v, %v, %v; want %+v, %v", ref, got, known, err, want, held)
				}
			},
		})
	})
}

func BenchmarkRemember(b *testing.B) {
	snapshot, inner := &Snapshot{}, newOwners()
	for i := range RememberedObjects {
		o := file(fmt.Sprintf("file-%032d", i), "somebody@example.com")
		inner.held[o.ObjectRef] = o
	}
	r := Remember(inner, func() *Snapshot { return snapshot }, RememberedObjects)
	refs := make([]core.ObjectRef, 0, len(inner.held))
	for ref := range inner.held {
		refs = append(refs, ref)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, _, _ = r.Owned(b.Context(), refs[i%len(refs)])
	}
}
