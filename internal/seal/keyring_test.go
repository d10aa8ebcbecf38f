package seal_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/seal"
)

func TestKeyIsFetchedOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		first := w.key(t, "user/ann")
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if w.key(t, "user/ann") != first || w.key(t, "user/ben") == first {
					t.Error("another key")
				}
			})
		}
		wg.Wait()
		if n := w.store.questions(); n != 2 {
			t.Errorf("the store was asked %d times for 2 keys", n)
		}
	})
}

// TestStoreAway: the first request waits for a moment, those after it do not; when the store is back the next has its key.
func TestStoreAway(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.store.set(errAway)
		for i := range 20 {
			began := time.Now()
			if k := w.keys.Key(t.Context(), fmt.Sprint("user/", i)); k != nil {
				t.Fatal("a key without a store")
			}
			synctest.Wait()
			if waited := time.Since(began); i > 0 && waited > 0 {
				t.Errorf("request %d waited %s for a store that is away", i, waited)
			}
		}
		w.store.set(nil)
		<-time.After(time.Second)
		w.keys.Prepare("user/ann")
		<-time.After(time.Second)
		w.key(t, "user/ann")
	})
}

// TestSlowStore: a request does not wait for longer than is good for it.
func TestSlowStore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.store.before = func(string) { <-time.After(time.Second) }
		began := time.Now()
		for range 10 { // the first of them waits, and then it is known
			if w.keys.Key(t.Context(), "user/ann") != nil || w.keys.Key(t.Context(), "user/ben") != nil || time.Since(began) > 250*time.Millisecond {
				t.Errorf("waited %s", time.Since(began))
			}
		}
		<-time.After(2 * time.Second)
		w.key(t, "user/ann")
	})
}

// TestDrop: after an erasure the next record has another key, also when the old one was just on its way here.
func TestDrop(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		old := w.key(t, "user/ann")
		w.store.erase("user/ann")
		if w.key(t, "user/ann") != old {
			t.Error("the key went before it was dropped")
		}
		w.keys.Drop("user/ann")
		w.keys.Drop("user/nobody")
		next := w.key(t, "user/ann")
		if next.ID == old.ID {
			t.Error("the erased key is in use again")
		}

		var once sync.Once
		var stale core.SubjectKey
		w.store.before = func(subject string) {
			once.Do(func() { // the store has answered; before the answer is here the key is erased and dropped
				stale = w.store.keys[subject]
				w.store.erase(subject)
				w.keys.Drop(subject)
			})
		}
		if k := w.key(t, "user/ben"); k.ID == stale.ID || stale.ID == "" {
			t.Error("a key that was erased on its way is in use")
		}
	})
}

func TestKeysInMemoryAreBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for i := range 16_384 + 100 {
			w.key(t, fmt.Sprint("user/", i))
			w.key(t, "user/often")
		}
		if n := w.keys.Held(); n != 16_384 {
			t.Errorf("%d keys in memory", n)
		}
		asked := w.store.questions()
		w.key(t, "user/often")
		if w.store.questions() != asked {
			t.Error("the key that is used most was let go of")
		}
	})
}

// TestRotatedElsewhere: a key that another replica wrapped by a new master key is understood after the file is read again.
func TestRotatedElsewhere(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		next, err := w.masters.Rotated()
		if err != nil {
			t.Fatal(err)
		}
		w.store.keys["user/ann"] = next.Make("user/ann", time.Now())
		w.store.keys["user/ben"] = seal.NewMasterKeys().Make("user/ben", time.Now())
		w.masters = next
		w.key(t, "user/ann")
		if w.keys.Key(t.Context(), "user/ben") != nil {
			t.Error("a key by an unknown master key")
		}
		asked := w.store.questions()
		for range 10 {
			w.keys.Key(t.Context(), "user/ben")
		}
		if w.store.questions() != asked {
			t.Error("the store is asked again and again for a key that cannot be used")
		}
		w.key(t, "user/zoe") // nobody else has to suffer
	})
}
