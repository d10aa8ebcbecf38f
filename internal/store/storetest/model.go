package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/store"
)

// model is what a store is, in maps: the rules of references and nothing else.
type model struct {
	teams   map[string]core.Team
	users   map[string]core.User
	apps    map[string]core.App
	tasks   map[string]core.Task
	limits  map[string]quota.Limit
	keys    map[string]core.AppKey
	changes uint64
}

func newModel() *model {
	return &model{
		teams: map[string]core.Team{}, users: map[string]core.User{}, apps: map[string]core.App{}, tasks: map[string]core.Task{},
		limits: map[string]quota.Limit{}, keys: map[string]core.AppKey{},
	}
}

func (m *model) clone() *model {
	return &model{
		maps.Clone(m.teams), maps.Clone(m.users), maps.Clone(m.apps), maps.Clone(m.tasks), maps.Clone(m.limits), maps.Clone(m.keys),
		m.changes,
	}
}

func (m *model) objects() store.Objects {
	return store.Objects{
		Teams: sorted(m.teams), Users: sorted(m.users), Apps: sorted(m.apps), Tasks: sorted(m.tasks), Limits: sorted(m.limits),
		Keys: sorted(m.keys),
	}
}

func sorted[T any](m map[string]T) (all []T) {
	for _, id := range slices.Sorted(maps.Keys(m)) {
		all = append(all, m[id])
	}
	return all
}

func has[T any](m map[string]T, id string) bool {
	_, ok := m[id]
	return id == "" || ok
}

func all[T any](m map[string]T, ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !has(m, id) })
}

// put puts an object if what it refers to exists.
func put[T any](m *model, into map[string]T, id string, object T, refers bool) error {
	if !refers {
		return store.ErrConflict
	}
	if old, ok := into[id]; !ok || !cmp.Equal(old, object) {
		into[id] = object
		m.changes++
	}
	return nil
}

func (m *model) putTeam(t core.Team) error { return put(m, m.teams, t.ID, t, true) }

func (m *model) putUser(u core.User) error { return put(m, m.users, u.ID, u, has(m.teams, u.Team)) }

func (m *model) putApp(a core.App) error { return put(m, m.apps, a.ID, a, has(m.teams, a.Team)) }

func (m *model) putTask(t core.Task) error {
	refers := all(m.users, t.Users) && all(m.teams, t.Teams)
	t.Users, t.Teams = set(t.Users), set(t.Teams)
	return put(m, m.tasks, t.ID, t, refers)
}

func set(ids []string) []string { return slices.Compact(slices.Sorted(slices.Values(ids))) }

func (m *model) putLimit(l quota.Limit) error {
	refers := true
	switch l.Scope {
	case quota.ScopeTeam:
		refers = has(m.teams, l.Subject)
	case quota.ScopeUser:
		refers = has(m.users, l.Subject)
	case quota.ScopeApp:
		refers = has(m.apps, l.Subject)
	case quota.ScopeEveryone:
	}
	return put(m, m.limits, l.ID, l, refers)
}

func (m *model) putKey(k core.AppKey) error {
	for id, other := range m.keys {
		if id != k.ID && other.Hash == k.Hash {
			return store.ErrConflict
		}
	}
	return put(m, m.keys, k.ID, k, has(m.apps, k.App) && has(m.users, k.User))
}

// apply is every put of o or none.
func (m *model) apply(o store.Objects) error {
	after := m.clone()
	err := errors.Join(
		each(o.Teams, after.putTeam), each(o.Users, after.putUser), each(o.Apps, after.putApp), each(o.Tasks, after.putTask),
		each(o.Limits, after.putLimit), each(o.Keys, after.putKey),
	)
	if err == nil {
		*m = *after
	}
	return err
}

func each[T any](objects []T, put func(T) error) error {
	for _, o := range objects {
		if err := put(o); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes an object that nothing refers to.
func remove[T any](m *model, from map[string]T, id string, refers bool) error {
	if !has(from, id) {
		return store.ErrNotFound
	}
	if refers {
		return store.ErrConflict
	}
	delete(from, id)
	m.changes++
	return nil
}

// remove deletes the object of a kind.
func (m *model) remove(kind, id string) error {
	o := m.objects()
	limited := func(scope quota.ScopeKind) bool {
		return slices.ContainsFunc(o.Limits, func(l quota.Limit) bool { return l.Scope == scope && l.Subject == id })
	}
	switch kind {
	case "team":
		return remove(m, m.teams, id, limited(quota.ScopeTeam) ||
			slices.ContainsFunc(o.Users, func(u core.User) bool { return u.Team == id }) ||
			slices.ContainsFunc(o.Apps, func(a core.App) bool { return a.Team == id }) ||
			slices.ContainsFunc(o.Tasks, func(t core.Task) bool { return slices.Contains(t.Teams, id) }))
	case "user":
		return remove(m, m.users, id, limited(quota.ScopeUser) ||
			slices.ContainsFunc(o.Keys, func(k core.AppKey) bool { return k.User == id }) ||
			slices.ContainsFunc(o.Tasks, func(t core.Task) bool { return slices.Contains(t.Users, id) }))
	case "app":
		return remove(m, m.apps, id, limited(quota.ScopeApp) ||
			slices.ContainsFunc(o.Keys, func(k core.AppKey) bool { return k.App == id }))
	case "task":
		return remove(m, m.tasks, id, false)
	case "limit":
		return remove(m, m.limits, id, false)
	default:
		return remove(m, m.keys, id, false)
	}
}

// deleting gives the delete of each kind.
func deleting(st store.Store) map[string]func(context.Context, string) error {
	return map[string]func(context.Context, string) error{
		"team": st.Teams().Delete, "user": st.Users().Delete, "app": st.Apps().Delete, "task": st.Tasks().Delete,
		"limit": st.Limits().Delete, "key": st.Keys().Delete,
	}
}

// Ids are few, so that objects meet.
var (
	someID   = rapid.SampledFrom([]string{"a", "b", "c"})
	maybeID  = rapid.SampledFrom([]string{"", "a", "b", "c"})
	someIDs  = rapid.SliceOfN(someID, 0, 3)
	someName = rapid.SampledFrom([]string{"", hostile})
	someTeam = rapid.Custom(func(t *rapid.T) core.Team {
		return core.Team{ID: someID.Draw(t, "team"), Name: someName.Draw(t, "name")}
	})
	someUser = rapid.Custom(func(t *rapid.T) core.User {
		return core.User{ID: someID.Draw(t, "user"), Team: maybeID.Draw(t, "team")}
	})
	someApp   = rapid.Custom(func(t *rapid.T) core.App { return core.App{ID: someID.Draw(t, "app"), Team: maybeID.Draw(t, "team")} })
	someTask  = rapid.Custom(drawTask)
	someLimit = rapid.Custom(drawLimit)
	someKey   = rapid.Custom(drawKey)
)

func drawTask(t *rapid.T) core.Task {
	return core.Task{ID: someID.Draw(t, "task"), Title: "T" + someName.Draw(t, "title"), Users: someIDs.Draw(t, "users"), Teams: someIDs.Draw(t, "teams")}
}

func drawLimit(t *rapid.T) quota.Limit {
	l := quota.Limit{
		ID: someID.Draw(t, "limit"), Dimension: quota.DimensionRequests, Window: quota.WindowDay, Value: rapid.Int64Range(0, 1).Draw(t, "value"),
		Scope: rapid.SampledFrom([]quota.ScopeKind{quota.ScopeEveryone, quota.ScopeTeam, quota.ScopeUser, quota.ScopeApp}).Draw(t, "scope"),
	}
	if l.Scope != quota.ScopeEveryone {
		l.Subject = maybeID.Draw(t, "subject")
	}
	return l
}

func drawKey(t *rapid.T) core.AppKey {
	return core.AppKey{ID: someID.Draw(t, "key"), App: someID.Draw(t, "app"), User: maybeID.Draw(t, "user"), Hash: hash(rapid.Byte().Draw(t, "hash") & 3)}
}

// drawObjects gives a set without an id twice.
func drawObjects(t *rapid.T) store.Objects {
	return store.Objects{
		Teams: rapid.SliceOfNDistinct(someTeam, 0, 3, teamID).Draw(t, "teams"), Users: rapid.SliceOfNDistinct(someUser, 0, 2, userID).Draw(t, "users"),
		Apps: rapid.SliceOfNDistinct(someApp, 0, 2, appID).Draw(t, "apps"), Tasks: rapid.SliceOfNDistinct(someTask, 0, 1, taskID).Draw(t, "tasks"),
		Limits: rapid.SliceOfNDistinct(someLimit, 0, 2, limitID).Draw(t, "limits"), Keys: rapid.SliceOfNDistinct(someKey, 0, 2, keyID).Draw(t, "keys"),
	}
}

// sequences: what the store answers and counts is what the model says after every step, and what it holds after many.
func sequences(t *testing.T, db Database) {
	open := db(t)
	st, other := open(), open() // two processes in turn
	ctx := t.Context()
	rapid.Check(t, func(rt *rapid.T) {
		empty(t, st)
		m, base := newModel(), version(t, st)
		same := func(rt *rapid.T, want, got error) {
			st, other = other, st
			for _, class := range []error{store.ErrNotFound, store.ErrConflict, store.ErrInvalid} {
				if errors.Is(want, class) != errors.Is(got, class) || (want == nil) != (got == nil) {
					rt.Fatalf("got %v, want %v", got, want)
				}
			}
		}
		holds := func(rt *rapid.T) {
			got, v, err := other.Load(ctx)
			if err != nil || v != base+m.changes {
				rt.Fatalf("version %d after %d changes since %d, %v", v, m.changes, base, err)
			}
			if diff := cmp.Diff(m.objects(), got); diff != "" {
				rt.Fatalf("the store (-want +got):\n%s", diff)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"team": func(rt *rapid.T) { o := someTeam.Draw(rt, "o"); same(rt, m.putTeam(o), st.Teams().Put(ctx, o)) },
			"user": func(rt *rapid.T) { o := someUser.Draw(rt, "o"); same(rt, m.putUser(o), st.Users().Put(ctx, o)) },
			"app":  func(rt *rapid.T) { o := someApp.Draw(rt, "o"); same(rt, m.putApp(o), st.Apps().Put(ctx, o)) },
			"task": func(rt *rapid.T) { o := someTask.Draw(rt, "o"); same(rt, m.putTask(o), st.Tasks().Put(ctx, o)) },
			"limit": func(rt *rapid.T) {
				o := someLimit.Draw(rt, "o")
				same(rt, m.putLimit(o), st.Limits().Put(ctx, o))
			},
			"key":   func(rt *rapid.T) { o := someKey.Draw(rt, "o"); same(rt, m.putKey(o), st.Keys().Put(ctx, o)) },
			"apply": func(rt *rapid.T) { o := drawObjects(rt); same(rt, m.apply(o), st.Apply(ctx, o)) },
			"delete": func(rt *rapid.T) {
				kind, id := rapid.SampledFrom(kinds).Draw(rt, "kind"), someID.Draw(rt, "id")
				same(rt, m.remove(kind, id), deleting(st)[kind](ctx, id))
			},
			"load": holds,
			"": func(rt *rapid.T) {
				if v, err := other.Version(ctx); err != nil || v != base+m.changes {
					rt.Fatalf("version %d after %d changes since %d, %v", v, m.changes, base, err)
				}
			},
		})
		holds(rt)
	})
}

// kinds are those that the model knows, what refers to others first.
var kinds = []string{"key", "limit", "task", "app", "user", "team"}

// empty deletes everything.
func empty(t *testing.T, st store.Store) {
	t.Helper()
	o, _, err := st.Load(t.Context())
	must(t, err)
	ids := map[string][]string{
		"key": collect(o.Keys, keyID), "limit": collect(o.Limits, limitID), "task": collect(o.Tasks, taskID),
		"app": collect(o.Apps, appID), "user": collect(o.Users, userID), "team": collect(o.Teams, teamID),
	}
	for _, kind := range kinds {
		for _, id := range ids[kind] {
			must(t, deleting(st)[kind](t.Context(), id))
		}
	}
}

func collect[T any](objects []T, id func(T) string) (ids []string) {
	for _, o := range objects {
		ids = append(ids, id(o))
	}
	return ids
}
