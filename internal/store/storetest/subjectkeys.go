package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

// subjectKey is a key with every field in use.
func subjectKey(id, subject string) core.SubjectKey {
	return core.SubjectKey{ID: id, Subject: subject, Master: "m1", Wrapped: []byte("wrapped \x00 " + id), Created: made}
}

// subjectKeys: what one process keeps the other finds, one for each subject, and nothing of it is control data.
func subjectKeys(t *testing.T, open func() store.Store) {
	st, other := open(), open()
	before := version(t, st)
	for _, want := range []core.SubjectKey{subjectKey("k1", "user/ann"), subjectKey("k2", "app/ann"), subjectKey(hostile, "user/"+hostile)} {
		got, err := st.SubjectKeys().Ensure(t.Context(), want)
		must(t, err)
		equal(t, "what was kept", want, got)
		got, err = other.SubjectKeys().Ensure(t.Context(), subjectKey("another", want.Subject))
		must(t, err)
		equal(t, "the key that is there already", want, got)
		got, err = other.SubjectKeys().Get(t.Context(), want.ID)
		must(t, err)
		equal(t, "the key by its id", want, got)
	}
	for _, id := range []string{"another", "", "K1", "k1 ", "\x00"} {
		if _, err := st.SubjectKeys().Get(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("key %q: %v, want ErrNotFound", id, err)
		}
	}
	if after := version(t, st); after != before {
		t.Errorf("making keys took the version from %d to %d", before, after)
	}
	for _, wrong := range []core.SubjectKey{
		{},
		subjectKey("", "user/ann"), subjectKey("k", "ann"), subjectKey("k", "user/"), subjectKey("k", "user/"+strings.Repeat("x", 300)),
		{ID: "k", Subject: "user/ann", Master: "m", Created: made},
		{ID: "k", Subject: "user/ann", Wrapped: []byte("w"), Created: made},
		{ID: "k", Subject: "user/ann", Master: "m", Wrapped: []byte("w"), Created: made, Erased: made},
	} {
		_, err := st.SubjectKeys().Ensure(t.Context(), wrong)
		names(t, err, store.ErrInvalid)
	}
}

// subjectKeysAtOnce: of many that see a subject for the first time at once, all have one key.
func subjectKeysAtOnce(t *testing.T, open func() store.Store) {
	const each = 8
	got := make([]core.SubjectKey, each)
	var wg sync.WaitGroup
	for i := range each {
		st := open()
		wg.Go(func() {
			var err error
			if got[i], err = st.SubjectKeys().Ensure(t.Context(), subjectKey(fmt.Sprint("k", i), "user/ann")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range got {
		equal(t, "the key", got[0], k)
	}
}

// erasing: an erased key is gone and known to have been, the feed says who and why, and what comes later has a new key.
func erasing(t *testing.T, open func() store.Store) {
	st, other := open(), open()
	ctx := store.WithReason(store.WithActor(t.Context(), "cli:eve"), "asked 'so' \u2014 art. 17")
	names(t, st.SubjectKeys().Erase(ctx, "user/ann"), store.ErrNotFound, "user/ann")
	names(t, st.SubjectKeys().Erase(ctx, "user/\x00"), store.ErrNotFound)
	kept := subjectKey("k2", "user/ben")
	for _, k := range []core.SubjectKey{subjectKey("k1", "user/ann"), kept} {
		_, err := st.SubjectKeys().Ensure(ctx, k)
		must(t, err)
	}
	before := version(t, st)
	must(t, other.SubjectKeys().Erase(ctx, "user/ann"))
	names(t, other.SubjectKeys().Erase(ctx, "user/ann"), store.ErrNotFound)

	gone, err := st.SubjectKeys().Get(ctx, "k1")
	must(t, err)
	if gone.Erased.IsZero() || gone.Wrapped != nil || gone.Master != "" || gone.Subject != "user/ann" || !gone.Created.Equal(made) {
		t.Errorf("the erased key is %+v", gone)
	}
	next, err := st.SubjectKeys().Ensure(ctx, subjectKey("k3", "user/ann"))
	must(t, err)
	equal(t, "the key of what comes later", subjectKey("k3", "user/ann"), next)
	list, err := st.SubjectKeys().List(ctx, store.Page{After: "k1"})
	must(t, err)
	equal(t, "the keys", []core.SubjectKey{kept, next}, list)

	changes, err := st.Changes(ctx, before, 10)
	must(t, err)
	want := core.Change{Actor: "cli:eve", Action: store.EraseAction, Object: "subject-key/user/ann", Reason: store.Reason(ctx)}
	if len(changes) != 1 || changes[0].Change != want {
		t.Errorf("the feed has %+v, want %+v", changes, want)
	}
	must(t, st.SubjectKeys().NoteLook(ctx, "0195-a"))
	changes, err = other.Changes(ctx, before+1, 10)
	must(t, err)
	want.Action, want.Object = store.RevealAction, "exchange/0195-a"
	if len(changes) != 1 || changes[0].Change != want {
		t.Errorf("the feed has %+v, want %+v", changes, want)
	}
}

// samplesEnd: keys of days go when their time is over, and no others do.
func samplesEnd(t *testing.T, open func() store.Store) {
	st := open()
	day := time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC)
	for i := range 4 {
		_, err := st.SubjectKeys().Ensure(t.Context(), subjectKey(fmt.Sprint("k", i), store.SampleSubject(day.AddDate(0, 0, i))))
		must(t, err)
	}
	for i, subject := range []string{"user/ann", "app/sample", "sampler/2026-03-01"} {
		_, err := st.SubjectKeys().Ensure(t.Context(), subjectKey(fmt.Sprint("other", i), subject))
		must(t, err)
	}
	before := version(t, st)
	for i, want := range []int64{2, 0} {
		n, err := st.SubjectKeys().EraseSamples(t.Context(), day.AddDate(0, 0, 2).Add(23*time.Hour))
		must(t, err)
		if n != want {
			t.Errorf("time %d: %d keys ended, want %d", i, n, want)
		}
	}
	list, err := st.SubjectKeys().List(t.Context(), store.Page{})
	must(t, err)
	var live []string
	for _, k := range list {
		if k.Erased.IsZero() {
			live = append(live, k.Subject)
		}
	}
	if want := []string{"sample/2026-03-13", "sample/2026-03-14", "user/ann", "app/sample", "sampler/2026-03-01"}; !slices.Equal(live, want) {
		t.Errorf("what is left: %q, want %q", live, want)
	}
	changes, err := st.Changes(t.Context(), before, 10)
	must(t, err)
	if len(changes) != 2 || changes[0].Actor != store.System || changes[0].Object != "subject-key/sample/2026-03-11" {
		t.Errorf("the feed has %+v", changes)
	}
}

// rewrapping: what wraps a key is replaced once, and never brings back one that was erased meanwhile.
func rewrapping(t *testing.T, open func() store.Store) {
	st := open()
	was := subjectKey("k1", "user/ann")
	_, err := st.SubjectKeys().Ensure(t.Context(), was)
	must(t, err)
	now := was
	now.Master, now.Wrapped = "m2", []byte("wrapped anew")
	for _, want := range []bool{true, false} {
		done, err := st.SubjectKeys().Rewrap(t.Context(), was, now)
		must(t, err)
		if done != want {
			t.Errorf("rewrapped: %v, want %v", done, want)
		}
	}
	got, err := st.SubjectKeys().Get(t.Context(), "k1")
	must(t, err)
	equal(t, "the key", now, got)
	must(t, st.SubjectKeys().Erase(t.Context(), "user/ann"))
	if done, err := st.SubjectKeys().Rewrap(t.Context(), now, was); done || err != nil {
		t.Errorf("an erased key was brought back: %v, %v", done, err)
	}
}
