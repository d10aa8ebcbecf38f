package app

import (
	"context"
	"errors"
	"fmt"
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

// IssueToken signs a token for a user, an app, or an app in the name of a user. Plumbline's signing key is made when
// there is none.
func IssueToken(ctx context.Context, st store.Store, c config.Identity, user, app string, lifetime time.Duration) (token, id string, expires time.Time, err error) {
	if user != "" {
		if _, err := st.Users().Get(ctx, user); err != nil {
			return "", "", time.Time{}, err
		}
	}
	if app != "" {
		if _, err := st.Apps().Get(ctx, app); err != nil {
			return "", "", time.Time{}, err
		}
	}
	key, err := signingKey(ctx, st)
	if err != nil {
		return "", "", time.Time{}, err
	}
	issuer, err := identity.NewIssuer(identity.IssuerOptions{
		Issuer: c.Issuer, Audience: c.Audience, Key: key, MaxLifetime: c.MaxLifetime, Now: time.Now,
	})
	if err != nil {
		return "", "", time.Time{}, err
	}
	return issuer.Issue(identity.IssueRequest{User: user, App: app, Lifetime: lifetime})
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

// RevokeToken ends one token by its id, or all tokens of a subject, a user or an app, that were issued so far. Which
// tokens were issued is not kept, so that a wrong id cannot be told.
func RevokeToken(ctx context.Context, st store.Store, c config.Identity, tokenID, subject string) error {
	if subject != "" {
		_, noUser := st.Users().Get(ctx, subject)
		_, noApp := st.Apps().Get(ctx, subject)
		if noUser != nil && noApp != nil {
			return errors.Join(noUser, noApp)
		}
	}
	id, err := newID("rev")
	if err != nil {
		return err
	}
	now := time.Now()
	r := core.Revocation{ID: id, TokenID: tokenID, Subject: subject, Created: now, Expires: now.Add(c.MaxLifetime + c.Leeway)}
	if subject != "" {
		// iat counts whole seconds: the next one begins after every token that was issued so far.
		r.IssuedBefore = now.Truncate(time.Second).Add(time.Second)
	}
	return st.Revocations().Put(ctx, r)
}

// newID makes a sortable id with a prefix that says what it names.
func newID(prefix string) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("making an id: %w", err)
	}
	return prefix + "-" + id.String(), nil
}
