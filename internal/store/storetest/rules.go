package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/store"
)

// pages: the order is that of the bytes, whatever a collation makes of digits, signs and letters.
func pages(t *testing.T, open func() store.Store) {
	st := open()
	want := []string{"1", "10", "2", "a", "a-", "a-b", "a.b", "a0", "a1", "a10", "a2", "a@b", "a_b", "ab", "b"}
	shuffled := slices.Concat(want[7:], want[:7])
	slices.Reverse(shuffled)
	for _, id := range shuffled {
		must(t, st.Teams().Put(t.Context(), team(id)))
	}
	if !slices.IsSorted(want) {
		t.Fatal("the ids are not in the order of their bytes")
	}
	for _, limit := range []int{0, 1, 4, len(want), len(want) + 1, 5000} {
		var got []string
		for page := (store.Page{Limit: limit}); ; {
			some, err := st.Teams().List(t.Context(), page)
			must(t, err)
			if len(some) > page.Size() || len(got) > len(want) {
				t.Fatalf("a page of %d for a limit of %d, after %d of %d", len(some), limit, len(got), len(want))
			}
			for _, one := range some {
				got = append(got, one.ID)
			}
			if len(some) < page.Size() {
				break
			}
			page.After = some[len(some)-1].ID
		}
		equal(t, fmt.Sprintf("pages of %d", limit), want, got)
	}
	some, err := st.Teams().List(t.Context(), store.Page{After: "a1-is-not-there", Limit: 1})
	must(t, err)
	equal(t, "after an id that does not exist", []core.Team{team("a10")}, some)

	all, _, err := st.Load(t.Context())
	must(t, err)
	for i, one := range all.Teams {
		if one.ID != want[i] {
			t.Fatalf("load gives %q where the list gives %q", one.ID, want[i])
		}
	}
}

func replacing(t *testing.T, open func() store.Store) {
	st := open()
	must(t, st.Apply(t.Context(), objects()))
	task := objects().Tasks[0]
	task.Title, task.Topics, task.Examples, task.OutOfScope, task.Created = "Other", nil, []string{"x"}, []string{"y"}, made.Add(time.Hour)
	task.Users, task.Teams = []string{"ben", "ben"}, []string{"red", "blue", "red"}
	must(t, st.Tasks().Put(t.Context(), task))
	got, err := st.Tasks().Get(t.Context(), task.ID)
	must(t, err)
	task.Users, task.Teams, task.Created = []string{"ben"}, []string{"blue", "red"}, made
	equal(t, "the task", task, got)

	limit := objects().Limits[4] // of a user, now of a team
	limit.Scope, limit.Subject, limit.Value = quota.ScopeTeam, "blue", 0
	must(t, st.Limits().Put(t.Context(), limit))
	gotLimit, err := st.Limits().Get(t.Context(), limit.ID)
	must(t, err)
	equal(t, "the limit", limit, gotLimit)

	// Times in another zone and finer than a microsecond come back in UTC, cut.
	key := objects().Keys[1]
	key.Expires = made.Add(999 * time.Nanosecond).In(time.FixedZone("far", 13*3600))
	must(t, st.Keys().Put(t.Context(), key))
	gotKey, err := st.Keys().Get(t.Context(), key.ID)
	must(t, err)
	if gotKey.Expires != made {
		t.Errorf("a time comes back as %v, want %v", gotKey.Expires, made)
	}
}

// invalid: what store.Validate… refuses is refused by put and by apply. The rules have their own test.
func invalid(t *testing.T, open func() store.Store) {
	st := open()
	ctx := t.Context()
	long := strings.Repeat("x", 300)
	names(t, st.Teams().Put(ctx, core.Team{ID: "Red Team"}), store.ErrInvalid, "Red Team", "id")
	names(t, st.Users().Put(ctx, core.User{ID: "ann", Name: "a\x00b"}), store.ErrInvalid, "ann", "name")
	names(t, st.Apps().Put(ctx, core.App{ID: "ide", Name: long}), store.ErrInvalid, "ide", "name")
	names(t, st.Tasks().Put(ctx, core.Task{ID: "t"}), store.ErrInvalid, "title")
	names(t, st.Limits().Put(ctx, quota.Limit{ID: "l"}), store.ErrInvalid, "scope", "dimension", "window")
	names(t, st.Keys().Put(ctx, core.AppKey{ID: "k", App: "ide"}), store.ErrInvalid, "hash")
	names(t, st.Revocations().Put(ctx, core.Revocation{ID: "r"}), store.ErrInvalid, "expires")
	names(t, st.SigningKeys().Put(ctx, core.SigningKey{ID: "s"}), store.ErrInvalid, "private")
	err := st.Apply(ctx, store.Objects{Teams: []core.Team{team("red"), {ID: "Blue"}}, Users: []core.User{{ID: "ann", Name: "\xff"}}})
	names(t, err, store.ErrInvalid, "Blue", "ann")
	isEmpty(t, st)
}

func dangling(t *testing.T, open func() store.Store) {
	st := open()
	ctx := t.Context()
	must(t, st.Teams().Put(ctx, team("red")))
	must(t, st.Apps().Put(ctx, core.App{ID: "ide", Created: made}))
	before := version(t, st)
	names(t, st.Users().Put(ctx, user("ann", "green")), store.ErrConflict, `"ann"`, `team "green"`)
	names(t, st.Apps().Put(ctx, core.App{ID: "web", Team: "green"}), store.ErrConflict, `"web"`, `team "green"`)
	task := core.Task{ID: "t", Title: "T", Users: []string{"cid", "ben"}, Teams: []string{"red", "green"}}
	names(t, st.Tasks().Put(ctx, task), store.ErrConflict, `"t"`, `user "ben"`, `user "cid"`, `team "green"`)
	for range 50 {
		task.Users = append(task.Users, fmt.Sprintf("nobody-%d", len(task.Users)))
	}
	err := st.Tasks().Put(ctx, task)
	names(t, err, store.ErrConflict, "and more")
	if len(err.Error()) > 500 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
	for scope, words := range map[quota.ScopeKind]string{quota.ScopeTeam: `team "green"`, quota.ScopeUser: `user "green"`, quota.ScopeApp: `app "green"`} {
		l := quota.Limit{ID: "l", Scope: scope, Subject: "green", Dimension: quota.DimensionRequests, Window: quota.WindowDay, Value: 1}
		names(t, st.Limits().Put(ctx, l), store.ErrConflict, words)
	}
	names(t, st.Keys().Put(ctx, core.AppKey{ID: "k", App: "web", User: "ann", Hash: hash(1)}), store.ErrConflict, `app "web"`, `user "ann"`)
	names(t, st.Keys().Put(ctx, core.AppKey{ID: "k", App: "ide", User: "ann", Hash: hash(1)}), store.ErrConflict, `user "ann"`)
	if after := version(t, st); after != before {
		t.Errorf("refused changes took the version from %d to %d", before, after)
	}
	if list, err := st.Tasks().List(ctx, store.Page{}); err != nil || len(list) != 0 {
		t.Errorf("a refused task left %v, %v", list, err)
	}
}

func needed(t *testing.T, open func() store.Store) {
	st := open()
	ctx := t.Context()
	must(t, st.Apply(ctx, objects()))
	before := version(t, st)
	names(t, st.Teams().Delete(ctx, "red"), store.ErrConflict, `user "ann@example.com"`, `task "billing"`, `limit "team"`)
	names(t, st.Teams().Delete(ctx, "blue"), store.ErrConflict, `app "helpdesk"`, `task "billing"`)
	names(t, st.Users().Delete(ctx, "ann@example.com"), store.ErrConflict, `task "billing"`, `limit "user"`)
	names(t, st.Users().Delete(ctx, "ben"), store.ErrConflict, `task "billing"`, `key "key-1"`)
	names(t, st.Apps().Delete(ctx, "ide"), store.ErrConflict, `limit "app"`, `key "key-2"`)
	if after := version(t, st); after != before {
		t.Errorf("refused deletions took the version from %d to %d", before, after)
	}
	got, _, err := st.Load(ctx)
	must(t, err)
	equal(t, "after refused deletions", objects(), got)

	// A task takes its assignments with it, so that those assigned can go.
	must(t, st.Tasks().Delete(ctx, "billing"))
	must(t, st.Keys().Delete(ctx, "key-1"))
	must(t, st.Users().Delete(ctx, "ben"))
}

func uniqueHashes(t *testing.T, open func() store.Store) {
	st := open()
	must(t, st.Apply(t.Context(), objects()))
	key := objects().Keys[0]
	key.ID = "key-3"
	names(t, st.Keys().Put(t.Context(), key), store.ErrConflict, "key-3", "hash")
	must(t, st.Keys().Delete(t.Context(), "key-1"))
	must(t, st.Keys().Put(t.Context(), key))
}

func applyAll(t *testing.T, open func() store.Store) {
	st := open()
	o := objects()
	slices.Reverse(o.Users)
	slices.Reverse(o.Limits)
	must(t, st.Apply(t.Context(), o))
	must(t, st.Apply(t.Context(), store.Objects{}))
	// Objects that are there already can be referred to, and are not touched.
	must(t, st.Apply(t.Context(), store.Objects{Users: []core.User{user("cid", "red")}}))
	got, _, err := st.Load(t.Context())
	must(t, err)
	want := objects()
	want.Users = append(want.Users, user("cid", "red"))
	equal(t, "everything", want, got)
}

func applyNothing(t *testing.T, open func() store.Store) {
	st := open()
	o := objects()
	o.Keys[1].Hash = o.Keys[0].Hash // the last kind but two
	names(t, st.Apply(t.Context(), o), store.ErrConflict, "key-2")
	isEmpty(t, st)

	// Every conflict of a kind is named, and not those that only follow from it.
	o = store.Objects{
		Users: []core.User{user("ann", "green"), user("ben", ""), user("cid", "grey")},
		Tasks: []core.Task{{ID: "t", Title: "T", Users: []string{"ann"}}},
	}
	err := st.Apply(t.Context(), o)
	names(t, err, store.ErrConflict, "ann", "green", "cid", "grey")
	if strings.Contains(err.Error(), "task") {
		t.Errorf("error %q names what only follows", err)
	}
	isEmpty(t, st)
}

func applyTwice(t *testing.T, open func() store.Store) {
	st := open()
	err := st.Apply(t.Context(), store.Objects{Users: []core.User{user("ann", ""), user("ben", ""), user("ann", "")}})
	names(t, err, store.ErrInvalid, "ann", "twice")
	isEmpty(t, st)
}

// provisioning: what exists stays as it is, a block among it; what is created is in the feed; a team that is not given
// must exist.
func provisioning(t *testing.T, open func() store.Store) {
	st, other := open(), open()
	ctx := store.WithActor(t.Context(), "issuer:https://idp.test")
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	blocked := core.User{ID: "eve", Name: "Eve", Blocked: true, Created: at}
	must(t, st.Users().Put(t.Context(), blocked))
	must(t, st.Teams().Put(t.Context(), core.Team{ID: "law", Name: "Legal", Created: at}))

	ana := core.User{ID: "ana", Team: "support", Created: at}
	if err := st.Provision(ctx, ana, core.Team{}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a team that does not exist: %v", err)
	}
	if err := st.Provision(ctx, core.User{ID: "Not An Id"}, core.Team{ID: "new", Created: at}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a user that is not valid: %v", err)
	}
	before, err := st.Version(t.Context())
	must(t, err)
	must(t, st.Provision(ctx, core.User{ID: "eve", Team: "law", Created: at.Add(time.Hour)}, core.Team{ID: "law", Created: at.Add(time.Hour)}))
	must(t, st.Provision(ctx, ana, core.Team{ID: "support", Created: at}))
	must(t, other.Provision(ctx, ana, core.Team{ID: "support", Created: at}))
	must(t, st.Provision(ctx, core.User{ID: "ben", Team: "law", Created: at}, core.Team{}))

	o, _, err := other.Load(t.Context())
	must(t, err)
	equal(t, "users", []core.User{ana, {ID: "ben", Team: "law", Created: at}, blocked}, o.Users)
	equal(t, "teams", []core.Team{{ID: "law", Name: "Legal", Created: at}, {ID: "support", Created: at}}, o.Teams)
	changes, err := other.Changes(t.Context(), before, 10)
	must(t, err)
	var told []string
	for _, c := range changes {
		told = append(told, c.Actor+" "+c.Action+" "+c.Object)
	}
	equal(t, "changes", []string{
		"issuer:https://idp.test put team/support", "issuer:https://idp.test put user/ana", "issuer:https://idp.test put user/ben",
	}, told)
}
