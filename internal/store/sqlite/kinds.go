package sqlite

import (
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/store"
)

var teams = kind[core.Team]{
	name: "team", table: "teams", columns: []string{"id", "name", "created"},
	id: func(t core.Team) string { return t.ID }, validate: store.ValidateTeam,
	values: func(t core.Team) []any { return []any{t.ID, t.Name, store.Micros(t.Created)} },
	scan: func(row scanner) (t core.Team, err error) {
		err = row.Scan(&t.ID, &t.Name, micros{&t.Created})
		return t, err
	},
	referrer: []referrer{
		{"user", "users", "id", "team"},
		{"app", "apps", "id", "team"},
		{"task", "task_teams", "task", "team"},
		{"limit", "limits", "id", "team"},
	},
}

var users = kind[core.User]{
	name: "user", table: "users", columns: []string{"id", "name", "team", "blocked", "created"},
	id: func(u core.User) string { return u.ID }, validate: store.ValidateUser,
	values: func(u core.User) []any {
		return []any{u.ID, u.Name, reference(u.Team), u.Blocked, store.Micros(u.Created)}
	},
	scan: func(row scanner) (u core.User, err error) {
		err = row.Scan(&u.ID, &u.Name, optional{&u.Team}, &u.Blocked, micros{&u.Created})
		return u, err
	},
	refers: func(u core.User) map[string][]string { return map[string][]string{"teams": one(u.Team)} },
	referrer: []referrer{
		{"task", "task_users", "task", "user"},
		{"limit", "limits", "id", "user"},
		{"key", "app_keys", "id", "user"},
	},
}

var apps = kind[core.App]{
	name: "app", table: "apps", columns: []string{"id", "name", "team", "created"},
	id: func(a core.App) string { return a.ID }, validate: store.ValidateApp,
	values: func(a core.App) []any { return []any{a.ID, a.Name, reference(a.Team), store.Micros(a.Created)} },
	scan: func(row scanner) (a core.App, err error) {
		err = row.Scan(&a.ID, &a.Name, optional{&a.Team}, micros{&a.Created})
		return a, err
	},
	refers: func(a core.App) map[string][]string { return map[string][]string{"teams": one(a.Team)} },
	referrer: []referrer{
		{"limit", "limits", "id", "app"},
		{"key", "app_keys", "id", "app"},
	},
}

var tasks = kind[core.Task]{
	name: "task", table: "tasks", columns: []string{"id", "title", "description", "topics", "examples", "created"},
	id: func(t core.Task) string { return t.ID }, validate: store.ValidateTask,
	values: func(t core.Task) []any {
		return []any{t.ID, t.Title, t.Description, texts{&t.Topics}, texts{&t.Examples}, store.Micros(t.Created)}
	},
	scan: func(row scanner) (t core.Task, err error) {
		err = row.Scan(&t.ID, &t.Title, &t.Description, texts{&t.Topics}, texts{&t.Examples}, micros{&t.Created},
			texts{&t.Users}, texts{&t.Teams})
		return t, err
	},
	members: []members[core.Task]{
		{"task_users", "task", "user", func(t core.Task) []string { return t.Users }},
		{"task_teams", "task", "team", func(t core.Task) []string { return t.Teams }},
	},
	refers: func(t core.Task) map[string][]string {
		return map[string][]string{"users": t.Users, "teams": t.Teams}
	},
}

var limits = kind[quota.Limit]{
	name: "limit", table: "limits",
	columns: []string{"id", "scope", "team", "user", "app", "model", "dimension", "window", "value", "zone", "enforcement", "unreachable", "created"},
	id:      func(l quota.Limit) string { return l.ID }, validate: store.ValidateLimit,
	values: func(l quota.Limit) []any {
		var team, user, app any
		switch subject := reference(l.Subject); l.Scope {
		case quota.ScopeTeam:
			team = subject
		case quota.ScopeUser:
			user = subject
		case quota.ScopeApp:
			app = subject
		case quota.ScopeEveryone:
		}
		return []any{
			l.ID, string(l.Scope), team, user, app, l.Model, string(l.Dimension), string(l.Window), l.Value, l.Zone,
			string(l.Enforcement), string(l.Unreachable), store.Micros(l.Created),
		}
	},
	scan: func(row scanner) (l quota.Limit, err error) {
		var team, user, app string
		err = row.Scan(&l.ID, &l.Scope, optional{&team}, optional{&user}, optional{&app}, &l.Model, &l.Dimension, &l.Window,
			&l.Value, &l.Zone, &l.Enforcement, &l.Unreachable, micros{&l.Created})
		l.Subject = team + user + app // at most one is set
		return l, err
	},
	refers: func(l quota.Limit) map[string][]string {
		return map[string][]string{string(l.Scope) + "s": one(l.Subject)}
	},
}

var keys = kind[core.AppKey]{
	name: "key", table: "app_keys", columns: []string{"id", "app", "user", "hash", "hint", "created", "expires", "revoked"},
	id: func(k core.AppKey) string { return k.ID }, validate: store.ValidateKey,
	values: func(k core.AppKey) []any {
		return []any{k.ID, k.App, reference(k.User), k.Hash[:], k.Hint, store.Micros(k.Created), store.Micros(k.Expires), store.Micros(k.Revoked)}
	},
	scan: func(row scanner) (k core.AppKey, err error) {
		var hash []byte
		err = row.Scan(&k.ID, &k.App, optional{&k.User}, &hash, &k.Hint, micros{&k.Created}, micros{&k.Expires}, micros{&k.Revoked})
		if err == nil && len(hash) != len(k.Hash) {
			err = fmt.Errorf("key %q has a hash of %d bytes", k.ID, len(hash))
		}
		copy(k.Hash[:], hash)
		return k, err
	},
	refers: func(k core.AppKey) map[string][]string {
		return map[string][]string{"apps": one(k.App), "users": one(k.User)}
	},
}

var revocations = kind[core.Revocation]{
	name: "revocation", table: "revocations", columns: []string{"id", "token_id", "session", "subject", "issued_before", "created", "expires"},
	expires: "expires",
	id:      func(r core.Revocation) string { return r.ID }, validate: store.ValidateRevocation,
	values: func(r core.Revocation) []any {
		return []any{r.ID, r.TokenID, r.Session, r.Subject, store.Micros(r.IssuedBefore), store.Micros(r.Created), store.Micros(r.Expires)}
	},
	scan: func(row scanner) (r core.Revocation, err error) {
		err = row.Scan(&r.ID, &r.TokenID, &r.Session, &r.Subject, micros{&r.IssuedBefore}, micros{&r.Created}, micros{&r.Expires})
		return r, err
	},
}

var tokens = kind[core.IssuedToken]{
	name: "token", table: "issued_tokens", columns: []string{"id", "user", "app", "session", "created", "expires"},
	expires: "expires",
	id:      func(t core.IssuedToken) string { return t.ID }, validate: store.ValidateToken,
	values: func(t core.IssuedToken) []any {
		return []any{t.ID, t.User, t.App, t.Session, store.Micros(t.Created), store.Micros(t.Expires)}
	},
	scan: func(row scanner) (t core.IssuedToken, err error) {
		err = row.Scan(&t.ID, &t.User, &t.App, &t.Session, micros{&t.Created}, micros{&t.Expires})
		return t, err
	},
}

var signingKeys = kind[core.SigningKey]{
	name: "signing-key", table: "signing_keys", columns: []string{"id", "alg", "public", "private", "created", "retired"},
	id: func(k core.SigningKey) string { return k.ID }, validate: store.ValidateSigningKey,
	values: func(k core.SigningKey) []any {
		return []any{k.ID, k.Alg, k.Public, blob{&k.Private}, store.Micros(k.Created), store.Micros(k.Retired)}
	},
	scan: func(row scanner) (k core.SigningKey, err error) {
		err = row.Scan(&k.ID, &k.Alg, &k.Public, blob{&k.Private}, micros{&k.Created}, micros{&k.Retired})
		return k, err
	},
}

// reference is an id, or NULL for none.
func reference(id string) any {
	if id == "" {
		return nil
	}
	return id
}

// one is a list of an id, empty for none.
func one(id string) []string {
	if id == "" {
		return nil
	}
	return []string{id}
}
