package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/store"
)

// CreateKey makes an app key and stores its hash. The secret is returned once and kept nowhere.
func CreateKey(ctx context.Context, st store.Store, app, user string, lifetime time.Duration) (string, core.AppKey, error) {
	if lifetime <= 0 {
		return "", core.AppKey{}, errors.New("a key must expire some time: give a lifetime above 0")
	}
	secret, hash, hint, err := identity.NewAppKey()
	if err != nil {
		return "", core.AppKey{}, err
	}
	id, err := newID("key")
	if err != nil {
		return "", core.AppKey{}, err
	}
	now := time.Now()
	key := core.AppKey{ID: id, App: app, User: user, Hash: hash, Hint: hint, Created: now, Expires: now.Add(lifetime)}
	return secret, key, st.Keys().Put(ctx, key)
}

// RevokeKey ends a key. Doing it twice changes nothing.
func RevokeKey(ctx context.Context, st store.Store, id string) error {
	key, err := st.Keys().Get(ctx, id)
	if err != nil || !key.Revoked.IsZero() {
		return err
	}
	key.Revoked = time.Now()
	return st.Keys().Put(ctx, key)
}

// IssueToken signs a token for a user, an app, or an app in the name of a user, and keeps whom it is for. Plumbline's
// signing key is made when there is none.
func IssueToken(ctx context.Context, st store.Store, c config.Identity, r identity.IssueRequest) (token string, kept core.IssuedToken, err error) {
	if err := subjectsExist(ctx, st, r); err != nil {
		return "", kept, err
	}
	key, err := signingKey(ctx, st)
	if err != nil {
		return "", kept, err
	}
	issuer, err := identity.NewIssuer(identity.IssuerOptions{
		Issuer: c.Issuer, Audience: c.Audience, Key: key, MaxLifetime: c.MaxLifetime, Now: time.Now,
	})
	if err != nil {
		return "", kept, err
	}
	token, id, expires, err := issuer.Issue(r)
	if err != nil {
		return "", kept, err
	}
	kept = core.IssuedToken{ID: id, User: r.User, App: r.App, Session: r.Session, Created: time.Now(), Expires: expires}
	if err := st.Tokens().Put(ctx, kept); err != nil {
		return "", kept, err // a token that nobody knows of is not given out
	}
	return token, kept, nil
}

func subjectsExist(ctx context.Context, st store.Store, r identity.IssueRequest) error {
	if r.User != "" {
		if _, err := st.Users().Get(ctx, r.User); err != nil {
			return err
		}
	}
	if r.App != "" {
		if _, err := st.Apps().Get(ctx, r.App); err != nil {
			return err
		}
	}
	return nil
}

// signingKey gives the newest key that signs, and makes one when there is none.
func signingKey(ctx context.Context, st store.Store) (core.SigningKey, error) {
	objects, _, err := st.Load(ctx)
	if err != nil {
		return core.SigningKey{}, err
	}
	var newest core.SigningKey
	for _, k := range objects.SigningKeys {
		if k.Retired.IsZero() && k.Created.After(newest.Created) {
			newest = k
		}
	}
	if newest.ID != "" {
		return newest, nil
	}
	key, err := identity.NewSigningKey(identity.AlgEdDSA, time.Now())
	if err != nil {
		return core.SigningKey{}, err
	}
	return key, st.SigningKeys().Put(ctx, key)
}

// RotateSigningKey makes a new key, which signs from now on, and retires those before it: they lose their private halves
// at once and verify until the last token that they signed has expired. Keys whose time is over are deleted.
func RotateSigningKey(ctx context.Context, st store.Store, c config.Identity, alg string) (core.SigningKey, error) {
	objects, _, err := st.Load(ctx)
	if err != nil {
		return core.SigningKey{}, err
	}
	now := time.Now()
	key, err := identity.NewSigningKey(alg, now)
	if err != nil {
		return core.SigningKey{}, err
	}
	put, over := []core.SigningKey{key}, []string{}
	verifying := 1
	for _, k := range objects.SigningKeys {
		switch {
		case !identity.Verifies(k, now, TokenLife(c)):
			over = append(over, k.ID)
			continue
		case k.Retired.IsZero():
			k.Retired, k.Private = now, nil
			put = append(put, k)
		}
		verifying++
	}
	if verifying > identity.MaxSigningKeys {
		return core.SigningKey{}, fmt.Errorf("%d keys verify tokens already, the most that readers of the key set take: wait for some to end, or delete them (signing-key delete)", verifying-1)
	}
	if err := st.Apply(ctx, store.Objects{SigningKeys: put}); err != nil {
		return core.SigningKey{}, err
	}
	for _, id := range over {
		if err := st.SigningKeys().Delete(ctx, id); err != nil && !errors.Is(err, store.ErrNotFound) {
			return key, err
		}
	}
	return key, nil
}

// TokenLife is for how long after its issue a token may be accepted.
func TokenLife(c config.Identity) time.Duration { return c.MaxLifetime + c.Leeway }

// RevokeToken ends the one token, or all tokens of the session or of the subject, that r names: the latter those that
// were issued so far. A subject is a user or an app, which must exist. Tokens and sessions of other issuers can be named as
// well and are not known here, so that a wrong id cannot be told.
func RevokeToken(ctx context.Context, st store.Store, c config.Identity, r core.Revocation) error {
	if r.Subject != "" {
		_, noUser := st.Users().Get(ctx, r.Subject)
		_, noApp := st.Apps().Get(ctx, r.Subject)
		if noUser != nil && noApp != nil {
			return errors.Join(noUser, noApp)
		}
	}
	var err error
	if r.ID, err = newID("rev"); err != nil {
		return err
	}
	r.Created = time.Now()
	r.Expires = r.Created.Add(TokenLife(c))
	if r.Subject != "" {
		// iat counts whole seconds: the next one begins after every token that was issued so far.
		r.IssuedBefore = r.Created.Truncate(time.Second).Add(time.Second)
	}
	return st.Revocations().Put(ctx, r)
}

// TokenStates says of each token whether it is "good", "revoked" or "expired".
func TokenStates(ctx context.Context, st store.Store, tokens []core.IssuedToken) ([]string, error) {
	objects, _, err := st.Load(ctx)
	if err != nil {
		return nil, err
	}
	states, now := make([]string, len(tokens)), time.Now()
	for i, t := range tokens {
		switch {
		case !now.Before(t.Expires):
			states[i] = "expired"
		case slices.ContainsFunc(objects.Revocations, func(r core.Revocation) bool { return ends(r, t) }):
			states[i] = "revoked"
		default:
			states[i] = "good"
		}
	}
	return states, nil
}

// ends reports whether a revocation names a token.
func ends(r core.Revocation, t core.IssuedToken) bool {
	subject := cmp.Or(t.User, t.App)
	return r.TokenID != "" && r.TokenID == t.ID || r.Session != "" && r.Session == t.Session ||
		r.Subject != "" && r.Subject == subject && t.Created.Truncate(time.Second).Before(r.IssuedBefore)
}

// BlockUser refuses everything that a user asks, or no longer does.
func BlockUser(ctx context.Context, st store.Store, id string, blocked bool) error {
	user, err := st.Users().Get(ctx, id)
	if err != nil {
		return err
	}
	user.Blocked = blocked
	return st.Users().Put(ctx, user)
}

// newID makes a sortable id with a prefix that says what it names.
func newID(prefix string) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("making an id: %w", err)
	}
	return prefix + "-" + id.String(), nil
}
