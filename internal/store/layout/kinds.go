package layout

import (
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/store"
)

// Teams is how teams are kept.
var Teams = Kind[core.Team]{
	Name: "team", Table: "teams", Columns: []string{"id", "name", "created"},
	ID: func(t core.Team) string { return t.ID }, Validate: store.ValidateTeam,
	Values: func(t core.Team) []any { return []any{t.ID, t.Name, store.Micros(t.Created)} },
	Scan: func(row Scanner) (t core.Team, err error) {
		err = row.Scan(&t.ID, &t.Name, Micros{&t.Created})
		return t, err
	},
	Referrer: []Referrer{
		{"user", "users", "id", "team"},
		{"app", "apps", "id", "team"},
		{"task", "task_teams", "task", "team"},
		{"limit", "limits", "id", "team"},
	},
}

// Users is how users are kept.
var Users = Kind[core.User]{
	Name: "user", Table: "users", Columns: []string{"id", "name", "team", "blocked", "created"},
	ID: func(u core.User) string { return u.ID }, Validate: store.ValidateUser,
	Values: func(u core.User) []any {
		return []any{u.ID, u.Name, reference(u.Team), u.Blocked, store.Micros(u.Created)}
	},
	Scan: func(row Scanner) (u core.User, err error) {
		err = row.Scan(&u.ID, &u.Name, Optional{&u.Team}, &u.Blocked, Micros{&u.Created})
		return u, err
	},
	Refers: func(u core.User) map[string][]string { return map[string][]string{"teams": one(u.Team)} },
	Referrer: []Referrer{
		{"task", "task_users", "task", "user"},
		{"limit", "limits", "id", "user"},
		{"key", "app_keys", "id", "user"},
	},
}

// Apps is how apps are kept.
var Apps = Kind[core.App]{
	Name: "app", Table: "apps", Columns: []string{"id", "name", "team", "created"},
	ID: func(a core.App) string { return a.ID }, Validate: store.ValidateApp,
	Values: func(a core.App) []any { return []any{a.ID, a.Name, reference(a.Team), store.Micros(a.Created)} },
	Scan: func(row Scanner) (a core.App, err error) {
		err = row.Scan(&a.ID, &a.Name, Optional{&a.Team}, Micros{&a.Created})
		return a, err
	},
	Refers: func(a core.App) map[string][]string { return map[string][]string{"teams": one(a.Team)} },
	Referrer: []Referrer{
		{"limit", "limits", "id", "app"},
		{"key", "app_keys", "id", "app"},
		{"system-prompt", "system_prompts", "id", "app"},
	},
}

// Tasks is how tasks are kept.
var Tasks = Kind[core.Task]{
	Name: "task", Table: "tasks", Columns: []string{"id", "title", "description", "topics", "examples", "out_of_scope", "created"},
	ID: func(t core.Task) string { return t.ID }, Validate: store.ValidateTask,
	Values: func(t core.Task) []any {
		return []any{t.ID, t.Title, t.Description, Texts{&t.Topics}, Texts{&t.Examples}, Texts{&t.OutOfScope}, store.Micros(t.Created)}
	},
	Scan: func(row Scanner) (t core.Task, err error) {
		err = row.Scan(&t.ID, &t.Title, &t.Description, Texts{&t.Topics}, Texts{&t.Examples}, Texts{&t.OutOfScope}, Micros{&t.Created},
			Texts{&t.Users}, Texts{&t.Teams})
		return t, err
	},
	Members: []Members[core.Task]{
		{"task_users", "task", "user", func(t core.Task) []string { return t.Users }},
		{"task_teams", "task", "team", func(t core.Task) []string { return t.Teams }},
	},
	Refers: func(t core.Task) map[string][]string {
		return map[string][]string{"users": t.Users, "teams": t.Teams}
	},
}

// Limits is how limits are kept.
var Limits = Kind[quota.Limit]{
	Name: "limit", Table: "limits",
	Columns: []string{"id", "scope", "team", "user", "app", "model", "dimension", "window", "value", "zone", "enforcement", "unreachable", "created"},
	ID:      func(l quota.Limit) string { return l.ID }, Validate: store.ValidateLimit,
	Values: func(l quota.Limit) []any {
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
	Scan: func(row Scanner) (l quota.Limit, err error) {
		var team, user, app string
		err = row.Scan(&l.ID, &l.Scope, Optional{&team}, Optional{&user}, Optional{&app}, &l.Model, &l.Dimension, &l.Window,
			&l.Value, &l.Zone, &l.Enforcement, &l.Unreachable, Micros{&l.Created})
		l.Subject = team + user + app // at most one is set
		return l, err
	},
	Refers: func(l quota.Limit) map[string][]string {
		return map[string][]string{string(l.Scope) + "s": one(l.Subject)}
	},
}

// Keys is how app keys are kept.
var Keys = Kind[core.AppKey]{
	Name: "key", Table: "app_keys", Columns: []string{"id", "app", "user", "hash", "hint", "created", "expires", "revoked"},
	ID: func(k core.AppKey) string { return k.ID }, Validate: store.ValidateKey,
	Values: func(k core.AppKey) []any {
		return []any{k.ID, k.App, reference(k.User), k.Hash[:], k.Hint, store.Micros(k.Created), store.Micros(k.Expires), store.Micros(k.Revoked)}
	},
	Scan: func(row Scanner) (k core.AppKey, err error) {
		var hash []byte
		err = row.Scan(&k.ID, &k.App, Optional{&k.User}, &hash, &k.Hint, Micros{&k.Created}, Micros{&k.Expires}, Micros{&k.Revoked})
		if err == nil && len(hash) != len(k.Hash) {
			err = fmt.Errorf("key %q has a hash of %d bytes", k.ID, len(hash))
		}
		copy(k.Hash[:], hash)
		return k, err
	},
	Hash: func(k core.AppKey) [32]byte { return k.Hash },
	Refers: func(k core.AppKey) map[string][]string {
		return map[string][]string{"apps": one(k.App), "users": one(k.User)}
	},
}

// Revocations is how revocations are kept.
var Revocations = Kind[core.Revocation]{
	Name: "revocation", Table: "revocations", Columns: []string{"id", "token_id", "session", "subject", "issued_before", "created", "expires"},
	Expires: "expires",
	ID:      func(r core.Revocation) string { return r.ID }, Validate: store.ValidateRevocation,
	Values: func(r core.Revocation) []any {
		return []any{r.ID, r.TokenID, r.Session, r.Subject, store.Micros(r.IssuedBefore), store.Micros(r.Created), store.Micros(r.Expires)}
	},
	Scan: func(row Scanner) (r core.Revocation, err error) {
		err = row.Scan(&r.ID, &r.TokenID, &r.Session, &r.Subject, Micros{&r.IssuedBefore}, Micros{&r.Created}, Micros{&r.Expires})
		return r, err
	},
}

// Tokens is how that which is known of issued tokens is kept.
var Tokens = Kind[core.IssuedToken]{
	Name: "token", Table: "issued_tokens", Columns: []string{"id", "user", "app", "session", "created", "expires"},
	Expires: "expires",
	ID:      func(t core.IssuedToken) string { return t.ID }, Validate: store.ValidateToken,
	Values: func(t core.IssuedToken) []any {
		return []any{t.ID, t.User, t.App, t.Session, store.Micros(t.Created), store.Micros(t.Expires)}
	},
	Scan: func(row Scanner) (t core.IssuedToken, err error) {
		err = row.Scan(&t.ID, &t.User, &t.App, &t.Session, Micros{&t.Created}, Micros{&t.Expires})
		return t, err
	},
}

// SigningKeys is how Plumbline's own signing keys are kept.
var SigningKeys = Kind[core.SigningKey]{
	Name: "signing-key", Table: "signing_keys", Columns: []string{"id", "alg", "public", "private", "created", "retired"},
	ID: func(k core.SigningKey) string { return k.ID }, Validate: store.ValidateSigningKey,
	Values: func(k core.SigningKey) []any {
		return []any{k.ID, k.Alg, k.Public, Blob{&k.Private}, store.Micros(k.Created), store.Micros(k.Retired)}
	},
	Scan: func(row Scanner) (k core.SigningKey, err error) {
		err = row.Scan(&k.ID, &k.Alg, &k.Public, Blob{&k.Private}, Micros{&k.Created}, Micros{&k.Retired})
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
