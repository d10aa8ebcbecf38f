package demo

import (
	"context"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/store"
)

// credentials are what the people of the demo call with.
type credentials struct {
	tokens map[string]string // good ones, by the name of their owner
	// revoked is a key that was revoked; revoking it is a part of the seed, so that it holds when the tour starts.
	revoked string
}

// credentialLifetime is long enough for a demo that somebody forgot.
const credentialLifetime = 24 * time.Hour

// seed stores the people, work and limits, and makes credentials.
func seed(ctx context.Context, a *app.App, c config.Identity) (credentials, error) {
	ctx = store.WithActor(ctx, "demo")
	st := a.Store()
	o, err := app.ParseObjects("objects.yaml", objects)
	if err != nil {
		return credentials{}, err
	}
	if err := st.Apply(ctx, o); err != nil {
		return credentials{}, err
	}
	made := credentials{tokens: map[string]string{}}
	for _, k := range []struct{ name, app, user string }{
		{"billing-agent", "helpdesk", "billing-agent"},
		{"travel-agent", "helpdesk", "travel-agent"},
		{"nightly-report", "nightly-report", ""},
	} {
		if made.tokens[k.name], _, err = app.CreateKey(ctx, st, k.app, k.user, credentialLifetime); err != nil {
			return credentials{}, err
		}
	}
	analyst := identity.IssueRequest{User: "data-analyst", Lifetime: min(credentialLifetime, c.MaxLifetime)}
	if made.tokens["data-analyst"], _, err = app.IssueToken(ctx, st, c, analyst); err != nil {
		return credentials{}, err
	}
	secret, key, err := app.CreateKey(ctx, st, "helpdesk", "billing-agent", credentialLifetime)
	if err != nil {
		return credentials{}, err
	}
	made.revoked = secret
	if err := app.RevokeKey(ctx, st, key.ID); err != nil {
		return credentials{}, err
	}
	return made, a.Refresh(ctx)
}
