package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

func feed(t *testing.T, open func() store.Store) {
	st, other := open(), open()
	begin := time.Now().Truncate(time.Microsecond)
	ctx := store.WithActor(t.Context(), "cli:root")
	must(t, st.Teams().Put(t.Context(), team("red")))
	must(t, other.Apply(ctx, store.Objects{Users: []core.User{user("ann", "red")}, Apps: []core.App{{ID: "ide"}}}))
	key := core.AppKey{ID: "k", App: "ide", Hash: hash(1)}
	must(t, st.Keys().Put(ctx, key))
	key.Revoked = made
	must(t, st.Keys().Put(ctx, key))
	must(t, st.Revocations().Put(ctx, objects().Revocations[2]))
	signing := core.SigningKey{ID: "s", Alg: "EdDSA", Public: []byte{1}, Private: []byte{2}}
	must(t, st.SigningKeys().Put(ctx, signing))
	signing.Retired = made
	must(t, st.SigningKeys().Put(ctx, signing))
	must(t, st.Tokens().Put(ctx, core.IssuedToken{ID: "JTI", App: "ide", Expires: never}))
	must(t, other.Users().Delete(ctx, "ann"))

	want := []core.Change{
		{Actor: "system", Action: "put", Object: "team/red"},
		{Actor: "cli:root", Action: "put", Object: "user/ann"},
		{Actor: "cli:root", Action: "put", Object: "app/ide"},
		{Actor: "cli:root", Action: "issue", Object: "key/k"},
		{Actor: "cli:root", Action: "revoke", Object: "key/k"},
		{Actor: "cli:root", Action: "revoke", Object: "revocation/rev-2"},
		{Actor: "cli:root", Action: "issue", Object: "signing-key/s"},
		{Actor: "cli:root", Action: "retire", Object: "signing-key/s"},
		{Actor: "cli:root", Action: "issue", Object: "token/JTI"},
		{Actor: "cli:root", Action: "delete", Object: "user/ann"},
	}
	all, err := other.Changes(t.Context(), 0, 100)
	must(t, err)
	var got []core.Change
	last := uint64(0)
	for _, c := range all {
		if c.Version <= last {
			t.Errorf("version %d after %d", c.Version, last)
		}
		if c.Time.Before(begin) || c.Time.After(time.Now()) || c.Time.Location() != time.UTC {
			t.Errorf("change %d is of %v", c.Version, c.Time)
		}
		last = c.Version
		got = append(got, c.Change)
	}
	equal(t, "the feed", want, got)
	if v := version(t, st); v != last {
		t.Errorf("version %d, and the last change is %d", v, last)
	}

	some, err := st.Changes(t.Context(), all[2].Version, 2)
	must(t, err)
	equal(t, "two changes after the third", all[3:5], some)
	for _, limit := range []int{0, -1} {
		if some, err = st.Changes(t.Context(), 0, limit); err != nil || len(some) != 0 {
			t.Errorf("at most %d changes: %v, %v", limit, some, err)
		}
	}
	if some, err = st.Changes(t.Context(), last, 10); err != nil || len(some) != 0 {
		t.Errorf("changes after the last: %v, %v", some, err)
	}
}

func nothingChanges(t *testing.T, open func() store.Store) {
	st := open()
	must(t, st.Apply(t.Context(), objects()))
	before := version(t, st)
	again := objects()
	again.Tasks[0].Users = []string{"ben", "ann@example.com", "ben"}
	again.Teams[0].Created = time.Now() // stays as it was
	must(t, st.Apply(t.Context(), again))
	must(t, st.Users().Put(t.Context(), again.Users[0]))
	if after := version(t, st); after != before {
		changes, err := st.Changes(t.Context(), before, 10)
		t.Errorf("the same again took the version from %d to %d: %v, %v", before, after, changes, err)
	}
	// Each of these is a change, though all but a few bytes stay as they were.
	again.Tasks[0].Users = again.Tasks[0].Users[:1]
	must(t, st.Tasks().Put(t.Context(), again.Tasks[0]))
	again.Users[1].Blocked = true
	must(t, st.Users().Put(t.Context(), again.Users[1]))
	again.Users[0].Team = ""
	must(t, st.Users().Put(t.Context(), again.Users[0]))
	if after := version(t, st); after != before+3 {
		t.Errorf("three changes took the version from %d to %d", before, after)
	}
}

// expiry: what expired is dropped when another is put, one by one and in sets, and never by a put that is refused.
func expiry(t *testing.T, open func() store.Store) {
	st := open()
	ctx := store.WithActor(t.Context(), "cli:root")
	revoke := func(id string, expires time.Time) core.Revocation {
		return core.Revocation{ID: id, TokenID: id, Created: made, Expires: expires.UTC().Truncate(time.Microsecond)}
	}
	long, lately := time.Now().Add(-store.KeepExpired-time.Hour), time.Now().Add(time.Hour-store.KeepExpired)
	left := func(want ...string) {
		t.Helper()
		got, err := st.Revocations().List(t.Context(), store.Page{})
		must(t, err)
		equal(t, "revocations", want, collect(got, revocationID))
	}
	// What is put together stays together, and what came first goes with the next.
	must(t, st.Apply(ctx, store.Objects{Revocations: []core.Revocation{revoke("b", long), revoke("a", long), revoke("c", lately)}}))
	left("a", "b", "c")
	must(t, st.Apply(ctx, store.Objects{Teams: []core.Team{team("red")}}))
	left("a", "b", "c")
	before := version(t, st)
	names(t, st.Apply(ctx, store.Objects{
		Revocations: []core.Revocation{revoke("d", never)}, Keys: []core.AppKey{{ID: "k", App: "none", Hash: hash(1)}},
	}), store.ErrConflict, `app "none"`)
	left("a", "b", "c")
	must(t, st.Revocations().Put(ctx, revoke("d", long)))
	left("c", "d")
	must(t, st.Apply(ctx, store.Objects{Revocations: []core.Revocation{revoke("e", never)}}))
	left("c", "e")

	changes, err := st.Changes(t.Context(), before, 10)
	must(t, err)
	var got []core.Change
	for _, c := range changes {
		got = append(got, c.Change)
	}
	equal(t, "the feed", []core.Change{
		{Actor: store.System, Action: "expire", Object: "revocation/a"},
		{Actor: store.System, Action: "expire", Object: "revocation/b"},
		{Actor: "cli:root", Action: "revoke", Object: "revocation/d"},
		{Actor: store.System, Action: "expire", Object: "revocation/d"},
		{Actor: "cli:root", Action: "revoke", Object: "revocation/e"},
	}, got)
}

// issuedTokens: they come back through their table, outlive whom they are for, are no part of a load, and go when others
// are put after they expired.
func issuedTokens(t *testing.T, open func() store.Store) {
	st, other := open(), open()
	ctx := t.Context()
	want := []core.IssuedToken{
		{ID: "A", User: "ann", App: "ide", Session: hostile, Created: made, Expires: never},
		{ID: "B", App: "ide", Created: made, Expires: never},
	}
	for _, one := range want {
		must(t, st.Tokens().Put(ctx, one))
	}
	loaded, _, err := other.Load(ctx)
	must(t, err)
	equal(t, "what is loaded", store.Objects{}, loaded)
	throughTable(t, st.Tokens(), other.Tokens(), want, tokenID)

	gone := core.IssuedToken{ID: "C", User: "ben", Created: made, Expires: made}
	must(t, st.Tokens().Put(ctx, gone))
	must(t, st.Tokens().Put(ctx, want[0]))
	left, err := other.Tokens().List(ctx, store.Page{})
	must(t, err)
	equal(t, "what is left", want[:1], left)
	for name, bad := range map[string]core.IssuedToken{
		"nobody's": {ID: "D", Expires: never}, "without an end": {ID: "D", User: "ann"}, "without an id": {User: "ann", Expires: never},
	} {
		if err := st.Tokens().Put(ctx, bad); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

// versionsGrow: a reader that follows the feed by version misses nothing, whoever wrote.
func versionsGrow(t *testing.T, open func() store.Store) {
	const writers, each = 4, 15
	var wg sync.WaitGroup
	for w := range writers {
		st := open()
		wg.Go(func() {
			for i := range each {
				if err := st.Teams().Put(t.Context(), team(fmt.Sprintf("t-%d-%d", w, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	t.Cleanup(func() { <-done })

	st := open()
	var seen, last uint64
	for final := false; ; {
		head := version(t, st)
		if head < last {
			t.Fatalf("the version went from %d to %d", last, head)
		}
		changes, err := st.Changes(t.Context(), last, 1000)
		must(t, err)
		for _, c := range changes {
			if c.Version <= last {
				t.Fatalf("change %d after %d", c.Version, last)
			}
			last = c.Version
			seen++
		}
		if last < head {
			t.Fatalf("the feed ends at %d, before the version %d", last, head)
		}
		if final {
			break
		}
		select {
		case <-done:
			final = true
		default:
		}
	}
	if seen != writers*each {
		t.Errorf("the feed told %d of %d changes", seen, writers*each)
	}
}

// loadIsOfOneMoment: a writer moves ann from team to team, and her team's name, in one change each.
func loadIsOfOneMoment(t *testing.T, open func() store.Store) {
	writer, reader := open(), open()
	moment := func(i int) store.Objects {
		name := fmt.Sprint(i)
		return store.Objects{
			Teams: []core.Team{{ID: "red", Name: name}},
			Users: []core.User{{ID: "ann", Name: name, Team: "red"}},
			Tasks: []core.Task{{ID: "t", Title: name, Users: []string{"ann"}}},
		}
	}
	must(t, writer.Apply(t.Context(), moment(0)))
	perChange := version(t, writer)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 1; i <= 40; i++ {
			if err := writer.Apply(t.Context(), moment(i)); err != nil {
				t.Error(err)
			}
		}
	}()
	t.Cleanup(func() { <-done })
	until(done, func() {
		got, v, err := reader.Load(t.Context())
		must(t, err)
		want := moment(int(v/perChange) - 1)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("version %d (-want +got):\n%s", v, diff)
		}
	})
}

// tasksAreOfOneMoment: a task is read with the assignments that it had when it had its text.
func tasksAreOfOneMoment(t *testing.T, open func() store.Store) {
	writer, reader := open(), open()
	must(t, writer.Apply(t.Context(), store.Objects{Users: []core.User{user("ann", ""), user("ben", "")}}))
	versions := []core.Task{{ID: "t", Title: "ann", Users: []string{"ann"}}, {ID: "t", Title: "ben", Users: []string{"ben"}}}
	must(t, writer.Tasks().Put(t.Context(), versions[0]))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 60 {
			if err := writer.Tasks().Put(t.Context(), versions[(i+1)%2]); err != nil {
				t.Error(err)
			}
		}
	}()
	t.Cleanup(func() { <-done })
	until(done, func() {
		got, err := reader.Tasks().Get(t.Context(), "t")
		must(t, err)
		list, err := reader.Tasks().List(t.Context(), store.Page{})
		must(t, err)
		for _, task := range append(list, got) {
			if len(task.Users) != 1 || task.Users[0] != task.Title {
				t.Fatalf("the task of %s is assigned to %v", task.Title, task.Users)
			}
		}
	})
}

// until repeats do until done is closed, and once more.
func until(done <-chan struct{}, do func()) {
	for {
		select {
		case <-done:
			do()
			return
		default:
			do()
		}
	}
}
