package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

// ann, ben and ide are owners: two people, and an app that calls in nobody's name.
var (
	ann = core.Owner{User: "ann@example.com"}
	ben = core.Owner{User: "ben"}
	ide = core.Owner{App: "ide"}
)

// owned is an object with every field in use.
func owned(kind core.ObjectKind, id string, owner core.Owner) core.OwnedObject {
	return core.OwnedObject{
		ObjectRef: core.ObjectRef{Kind: kind, ID: id}, Owner: owner, App: "ide", Team: "red", Endpoint: "responses",
		Created: made, Tokens: 42, Model: "gpt-4o",
	}
}

// ownership: what one process keeps the other finds, by kind and id, and nothing of it is control data.
func ownership(t *testing.T, open func() store.Store) {
	st, other := open(), open()
	must(t, st.Apply(t.Context(), objects()))
	before := version(t, st)
	want := []core.OwnedObject{
		owned(core.ObjectResponse, "resp_1", ann), owned(core.ObjectResponse, hostile, ben),
		owned(core.ObjectFile, "resp_1", ide), // the same id, of another kind
	}
	for _, o := range want {
		must(t, st.Ownership().Own(t.Context(), o))
		must(t, st.Ownership().Own(t.Context(), o)) // again
	}
	for _, o := range want {
		got, known, err := other.Ownership().Owned(t.Context(), o.ObjectRef)
		must(t, err)
		if !known {
			t.Errorf("%v belongs to nobody", o.ObjectRef)
		}
		equal(t, o.ID, o, got)
	}
	nobody(t, other, core.ObjectRef{Kind: core.ObjectConversation, ID: "resp_1"})
	nobody(t, other, core.ObjectRef{Kind: core.ObjectResponse, ID: "RESP_1"})
	nobody(t, other, core.ObjectRef{Kind: core.ObjectResponse, ID: "resp_1 "})
	nobody(t, other, core.ObjectRef{})

	must(t, other.Ownership().Disown(t.Context(), want[0].ObjectRef))
	must(t, other.Ownership().Disown(t.Context(), want[0].ObjectRef))
	nobody(t, st, want[0].ObjectRef)
	if after := version(t, st); after != before {
		t.Errorf("objects at the provider took the version from %d to %d", before, after)
	}
	all, _, err := st.Load(t.Context())
	must(t, err)
	equal(t, "the control data", objects(), all)
}

func nobody(t testing.TB, st store.Store, ref core.ObjectRef) {
	t.Helper()
	if o, known, err := st.Ownership().Owned(t.Context(), ref); err != nil || known || o != (core.OwnedObject{}) {
		t.Errorf("%v is %+v, %v, %v: want nobody's", ref, o, known, err)
	}
}

// neverChangesHands: not by another owner's claim, nor by one that is almost the same.
func neverChangesHands(t *testing.T, open func() store.Store) {
	st := open()
	mine := owned(core.ObjectResponse, "resp_1", ann)
	must(t, st.Ownership().Own(t.Context(), mine))
	for _, thief := range []core.Owner{ben, ide, {App: "ann@example.com"}, {User: "ANN@example.com"}} {
		claim := mine
		claim.Owner, claim.Tokens = thief, 1
		names(t, st.Ownership().Own(t.Context(), claim), store.ErrConflict, "resp_1")
	}
	for _, o := range []core.OwnedObject{
		{ObjectRef: mine.ObjectRef},
		{ObjectRef: mine.ObjectRef, Owner: core.Owner{User: "ann", App: "ide"}},
		{ObjectRef: core.ObjectRef{Kind: core.ObjectFile}, Owner: ann},
		{ObjectRef: core.ObjectRef{ID: "x"}, Owner: ann},
	} {
		names(t, st.Ownership().Own(t.Context(), o), store.ErrInvalid)
	}
	again := mine
	again.Tokens, again.App = 1, "helpdesk"
	must(t, st.Ownership().Own(t.Context(), again))
	got, _, err := st.Ownership().Owned(t.Context(), mine.ObjectRef)
	must(t, err)
	equal(t, "the object", mine, got)
}

// claimedAtOnce: of many that claim one id at a time, one has it.
func claimedAtOnce(t *testing.T, open func() store.Store) {
	for round := range 5 {
		var wg sync.WaitGroup
		var mu sync.Mutex
		var won []core.Owner
		for i := range 8 {
			st := open()
			claim := owned(core.ObjectFile, fmt.Sprint("file-", round), core.Owner{User: fmt.Sprint("u", i)})
			wg.Go(func() {
				err := st.Ownership().Own(t.Context(), claim)
				if err != nil && !errors.Is(err, store.ErrConflict) {
					t.Error(err)
				}
				if err == nil {
					mu.Lock()
					won = append(won, claim.Owner)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		got, _, err := open().Ownership().Owned(t.Context(), core.ObjectRef{Kind: core.ObjectFile, ID: fmt.Sprint("file-", round)})
		must(t, err)
		if len(won) != 1 || won[0] != got.Owner {
			t.Errorf("%v have it, and it belongs to %v", won, got.Owner)
		}
	}
}

func ownedBy(t *testing.T, open func() store.Store) {
	st := open()
	for i, owner := range []core.Owner{ann, ben, ide, ann, {User: "ide"}} {
		must(t, st.Ownership().Own(t.Context(), owned(core.ObjectFile, fmt.Sprint("file-", i), owner)))
		must(t, st.Ownership().Own(t.Context(), owned(core.ObjectResponse, fmt.Sprint("resp-", i), owner)))
	}
	for owner, want := range map[core.Owner][]string{
		ann: {"file-0", "file-3"}, ben: {"file-1"}, ide: {"file-2"}, {User: "ide"}: {"file-4"}, {App: "ann@example.com"}: nil, {}: nil,
	} {
		got, err := st.Ownership().OwnedBy(t.Context(), core.ObjectFile, owner)
		must(t, err)
		slices.Sort(got)
		equal(t, fmt.Sprintf("the files of %v", owner), want, got)
	}
}

// counting: the last figure holds, with its model, and nobody comes to own anything by it.
func counting(t *testing.T, open func() store.Store) {
	st := open()
	ref := core.ObjectRef{Kind: core.ObjectConversation, ID: "conv_1"}
	must(t, st.Ownership().Count(t.Context(), ref, "gpt-4o", 7))
	nobody(t, st, ref)
	want := owned(ref.Kind, ref.ID, ann)
	want.Tokens, want.Model = 0, ""
	must(t, st.Ownership().Own(t.Context(), want))
	must(t, st.Ownership().Own(t.Context(), owned(core.ObjectResponse, ref.ID, ben)))
	for _, step := range []struct {
		model  string
		tokens int64
	}{{"gpt-4o", 300}, {"gpt-4o", 200}, {"o3", 0}, {"", 0}} {
		must(t, st.Ownership().Count(t.Context(), ref, step.model, step.tokens))
		got, _, err := st.Ownership().Owned(t.Context(), ref)
		must(t, err)
		want.Model, want.Tokens = step.model, step.tokens
		equal(t, "the conversation", want, got)
	}
}

// addedAtOnce: of many additions at a time none is lost, and what is not known stays so.
func addedAtOnce(t *testing.T, open func() store.Store) {
	st := open()
	conversation := owned(core.ObjectConversation, "conv_1", ann)
	conversation.Tokens, conversation.Model = 0, ""
	must(t, st.Ownership().Add(t.Context(), conversation.ObjectRef, "*", 7))
	nobody(t, st, conversation.ObjectRef)
	must(t, st.Ownership().Own(t.Context(), conversation))
	var wg sync.WaitGroup
	for range 8 {
		other := open()
		wg.Go(func() {
			for range 10 {
				if err := other.Ownership().Add(t.Context(), conversation.ObjectRef, "*", 7); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, _, err := st.Ownership().Owned(t.Context(), conversation.ObjectRef)
	must(t, err)
	conversation.Tokens, conversation.Model = 560, "*"
	equal(t, "the conversation", conversation, got)
	must(t, st.Ownership().Count(t.Context(), conversation.ObjectRef, "o3", 0))
	must(t, st.Ownership().Add(t.Context(), conversation.ObjectRef, "*", 7))
	got, _, err = st.Ownership().Owned(t.Context(), conversation.ObjectRef)
	must(t, err)
	conversation.Tokens, conversation.Model = 0, "o3"
	equal(t, "what is not known", conversation, got)
}

// sweeping: old responses go, and the oldest of those who have too many; nothing else does.
func sweeping(t *testing.T, open func() store.Store) {
	st := open()
	put := func(kind core.ObjectKind, id string, owner core.Owner, age time.Duration) {
		o := owned(kind, id, owner)
		o.Created = made.Add(-age)
		must(t, st.Ownership().Own(t.Context(), o))
	}
	put(core.ObjectResponse, "old", ann, 3*time.Hour)
	put(core.ObjectResponse, "new", ann, time.Hour)
	put(core.ObjectFile, "old", ann, 3*time.Hour)
	put(core.ObjectConversation, "old", ann, 3*time.Hour)
	for i := range 5 {
		put(core.ObjectFile, fmt.Sprint("many-", i), ben, time.Duration(i)*time.Hour)
		put(core.ObjectFile, fmt.Sprint("app-", i), ide, time.Duration(i)*time.Hour)
	}
	surplus, err := st.Ownership().Surplus(t.Context(), store.Keep{ResponsesSince: made.Add(-2 * time.Hour), PerOwner: 3}, 2)
	must(t, err)
	if len(surplus) != 2 {
		t.Errorf("%v were looked up, want 2", surplus)
	}
	n, err := store.Sweep(t.Context(), st.Ownership(), store.Keep{ResponsesSince: made.Add(-2 * time.Hour), PerOwner: 3})
	must(t, err)
	if n != 5 {
		t.Errorf("%d objects were forgotten, want 5", n)
	}
	left := map[string]core.Owner{}
	for _, kind := range []core.ObjectKind{core.ObjectResponse, core.ObjectFile, core.ObjectConversation} {
		for _, owner := range []core.Owner{ann, ben, ide} {
			ids, err := st.Ownership().OwnedBy(t.Context(), kind, owner)
			must(t, err)
			for _, id := range ids {
				left[string(kind)+"/"+id] = owner
			}
		}
	}
	equal(t, "what is left", map[string]core.Owner{
		"response/new": ann, "file/old": ann, "conversation/old": ann, "file/many-0": ben, "file/many-1": ben, "file/many-2": ben,
		"file/app-0": ide, "file/app-1": ide, "file/app-2": ide,
	}, left)
}

// heirs: whoever is given the id of somebody who was deleted owns nothing.
func heirs(t *testing.T, open func() store.Store) {
	st := open()
	must(t, st.Apply(t.Context(), store.Objects{Users: []core.User{user("ide", ""), user("ben", "")}, Apps: []core.App{{ID: "ide"}, {ID: "ben"}}}))
	file := func(id string, owner core.Owner) core.ObjectRef {
		o := owned(core.ObjectFile, id, owner)
		must(t, st.Ownership().Own(t.Context(), o))
		return o.ObjectRef
	}
	ofUser, ofApp, ofOther := file("of-user", core.Owner{User: "ide"}), file("of-app", core.Owner{App: "ide"}), file("of-ben", ben)
	stays := func(ref core.ObjectRef) {
		t.Helper()
		if _, known, err := st.Ownership().Owned(t.Context(), ref); err != nil || !known {
			t.Errorf("%v: %v, %v: want it to stay", ref, known, err)
		}
	}
	must(t, st.Users().Delete(t.Context(), "ide"))
	nobody(t, st, ofUser)
	stays(ofApp)
	must(t, st.Apps().Delete(t.Context(), "ide"))
	nobody(t, st, ofApp)
	must(t, st.Apps().Delete(t.Context(), "ben"))
	stays(ofOther)
	must(t, st.Users().Put(t.Context(), user("ide", "")))
	nobody(t, st, ofUser)
}

// ownershipSequences: whatever is done in whatever order by two processes, what the store says is what the model says, and
// nobody ever finds what another made.
func ownershipSequences(t *testing.T, db Database) {
	open := db(t)
	st, other := open(), open()
	ctx := context.Background()
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++ // ids of its own for each sequence
		model := map[core.ObjectRef]core.OwnedObject{}
		someRef := func(rt *rapid.T) core.ObjectRef {
			kind := rapid.SampledFrom([]core.ObjectKind{core.ObjectResponse, core.ObjectFile}).Draw(rt, "kind")
			return core.ObjectRef{Kind: kind, ID: fmt.Sprintf("%d-%s", round, someID.Draw(rt, "id"))}
		}
		someOwner := rapid.SampledFrom([]core.Owner{ann, ben, ide})
		rt.Repeat(map[string]func(*rapid.T){
			"own": func(rt *rapid.T) {
				o := core.OwnedObject{ObjectRef: someRef(rt), Owner: someOwner.Draw(rt, "owner"), Created: made}
				had, taken := model[o.ObjectRef]
				if err := st.Ownership().Own(ctx, o); (err != nil) != (taken && had.Owner != o.Owner) {
					rt.Fatalf("owning %+v, which is %+v: %v", o, had, err)
				}
				if !taken {
					model[o.ObjectRef] = o
				}
			},
			"disown": func(rt *rapid.T) {
				ref := someRef(rt)
				delete(model, ref)
				if err := st.Ownership().Disown(ctx, ref); err != nil {
					rt.Fatal(err)
				}
			},
			"count": func(rt *rapid.T) {
				ref, tokens := someRef(rt), rapid.Int64Range(0, 9).Draw(rt, "tokens")
				if o, ok := model[ref]; ok {
					o.Model, o.Tokens = "m", tokens
					model[ref] = o
				}
				if err := st.Ownership().Count(ctx, ref, "m", tokens); err != nil {
					rt.Fatal(err)
				}
			},
			"": func(rt *rapid.T) {
				st, other = other, st
				for _, owner := range []core.Owner{ann, ben, ide} {
					ids, err := st.Ownership().OwnedBy(ctx, core.ObjectFile, owner)
					if err != nil {
						rt.Fatal(err)
					}
					for _, id := range ids {
						if o, ok := model[core.ObjectRef{Kind: core.ObjectFile, ID: id}]; ok && o.Owner != owner {
							rt.Fatalf("%v is listed as %v's", o, owner)
						}
					}
				}
				for ref, want := range maps.All(model) {
					got, known, err := st.Ownership().Owned(ctx, ref)
					if diff := cmp.Diff(want, got); err != nil || !known || diff != "" {
						rt.Fatalf("%v: %v, %v (-want +got):\n%s", ref, known, err, diff)
					}
				}
			},
		})
	})
}
