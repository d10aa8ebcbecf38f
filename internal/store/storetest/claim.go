package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

// claim gives the versions that a writer is given.
func claim(t testing.TB, st store.Store, writer string, life time.Duration, limit int) (versions []uint64) {
	t.Helper()
	claimed, err := st.Claim(t.Context(), writer, life, limit)
	must(t, err)
	for _, c := range claimed {
		versions = append(versions, c.Version)
	}
	return versions
}

// claiming: what one has is no other's until it is too long ago, and nobody's once it is recorded. The feed stays as it is.
func claiming(t *testing.T, open func() store.Store) {
	st, other := open(), open()
	if got := claim(t, st, "one", time.Hour, 10); len(got) > 0 {
		t.Errorf("of nothing %v is given", got)
	}
	for _, id := range []string{"a", "b", "c"} {
		must(t, st.Teams().Put(store.WithActor(t.Context(), "cli:root"), team(id)))
	}
	all, err := st.Changes(t.Context(), 0, 10)
	must(t, err)
	v := func(i ...int) (versions []uint64) {
		for _, i := range i {
			versions = append(versions, all[i].Version)
		}
		return versions
	}
	claimed, err := st.Claim(t.Context(), "one", time.Hour, 2)
	must(t, err)
	equal(t, "what is claimed", all[:2], claimed)
	equal(t, "what another is given", v(2), claim(t, other, "two", time.Hour, 10))
	equal(t, "what is left", []uint64(nil), claim(t, other, "three", time.Hour, 10))
	must(t, other.Recorded(t.Context(), v(0)...))
	equal(t, "what is its own", v(1), claim(t, other, "one", time.Hour, 10))
	equal(t, "what was claimed too long ago", v(1, 2), claim(t, st, "three", -time.Minute, 10)) // any claim is
	equal(t, "what was taken over", []uint64(nil), claim(t, st, "one", time.Hour, 10))
	must(t, st.Recorded(t.Context(), append(v(1, 2), 1<<40)...))
	must(t, st.Recorded(t.Context()))
	for _, who := range []string{"one", "three", "four"} {
		equal(t, "what is recorded", []uint64(nil), claim(t, st, who, -time.Minute, 10))
	}
	for _, limit := range []int{0, -1} {
		equal(t, "no change at all", []uint64(nil), claim(t, st, "one", -time.Minute, limit))
	}
	after, err := other.Changes(t.Context(), 0, 10)
	must(t, err)
	equal(t, "the feed", all, after)
	if got := version(t, st); got != all[2].Version {
		t.Errorf("claiming took the version to %d", got)
	}
}

// claimedByOne: replicas claim while others write.
func claimedByOne(t *testing.T, open func() store.Store) {
	const writers, claimers, each = 2, 3, 20
	var mu sync.Mutex
	given := map[uint64]int{}
	var writing, claiming sync.WaitGroup
	written := make(chan struct{})
	for w := range writers {
		st := open()
		writing.Go(func() {
			for i := range each {
				if err := st.Apply(t.Context(), store.Objects{Teams: []core.Team{{ID: fmt.Sprintf("t%d-%d", w, i)}, {ID: fmt.Sprintf("u%d-%d", w, i)}}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { writing.Wait(); close(written) }()
	for c := range claimers {
		st := open()
		claiming.Go(func() {
			for last := false; ; {
				claimed, err := st.Claim(t.Context(), fmt.Sprint("audit-", c), time.Hour, 5)
				if err != nil {
					t.Error(err)
					return
				}
				var versions []uint64
				mu.Lock()
				for _, c := range claimed {
					given[c.Version]++
					versions = append(versions, c.Version)
				}
				mu.Unlock()
				if err := st.Recorded(t.Context(), versions...); err != nil {
					t.Error(err)
				}
				if last && len(claimed) == 0 {
					return
				}
				select {
				case <-written:
					last = true
				default:
				}
			}
		})
	}
	claiming.Wait()
	for version, n := range given {
		if n > 1 {
			t.Errorf("change %d was given to %d", version, n)
		}
	}
	if len(given) != writers*each*2 {
		t.Errorf("%d of %d changes were given", len(given), writers*each*2)
	}
}
